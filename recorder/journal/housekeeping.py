"""Housekeeping: when to prune, and giving the freed space back.

Bounded steps, with a pause after each as long as it took: others record and ship in between.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from recorder.journal import baseline, project, space
from recorder.journal.baseline import Cut
from recorder.journal.connection import Connection

if TYPE_CHECKING:
    from recorder.journal.prune import Walk
    from recorder.model.reports import Pruned

__all__ = ["Housekeeping"]

_VACUUM_PAGES = 500  # in one statement
_SPARING_PAGES = 50  # the same, on a full disk
_NUMBERS_A_READ = 20_000  # some milliseconds
_SPARE_PAGES = 256  # stay free for what is recorded next
_SPARE_SHARE = 8  # of so many pages one may be free before the file is shrunk
_LOOK_INTERVAL = 60.0  # seconds
_ATTEMPTS_INTERVAL = 3_600.0  # seconds until attempts are examined though nothing more was shipped


class Housekeeping:
    """The part of a journal that keeps it small; see `Journal.prune`."""

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._walk: Walk | None = None
        self._next_look = float("-inf")
        self._next_round = float("-inf")
        self._upto = 0  # the attempt up to which all was pruned
        self._all_upto = 0  # the same, however recent

    def prune(
        self,
        now: float,
        *,
        all_shipped: bool = False,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> "Pruned":
        """Prune all that is due, and shrink the file; see `Journal.prune`."""
        with self._connection.reading():  # as in _walk_to
            from recorder.model.reports import Pruned

        cut = self._cut(now, all_shipped=all_shipped)
        going = self._prunable(cut)
        if dry_run:
            return Pruned(entries=going)
        before = self._bytes()
        walk = self._walk_to(cut)
        while not walk.over:
            self._step(walk)
            if progress is not None:
                progress(walk.entries, going)
        self._shrink(0)
        return Pruned(entries=walk.entries, attempts=walk.attempts, freed=max(0, before - self._bytes()))

    def _prunable(self, cut: Cut) -> int:
        """Return how many entries would go, counted in short reads: threads that record wait for the connection."""
        with self._connection.reading() as connection:
            lowest = baseline.lowest(connection)
            reached = baseline.reached_by_ranges(connection, cut.attempt)
        going = 0
        for first in range(lowest, cut.number + 1, _NUMBERS_A_READ):
            last = first + _NUMBERS_A_READ - 1
            with self._connection.reading() as connection:
                going += baseline.count_prunable(connection, cut, reached, first, last)
        return going

    def keep(self, now: float, uptime: float, *, steps: int, short: bool = False) -> bool:
        """Prune a little, if anything is due; return True if more of it is due at once.

        Args:
            now: Seconds since the epoch.
            uptime: Seconds of a clock that nobody sets, for how often it looks.
            steps: Most transactions.
            short: The disk is full: all that was shipped is due, and the file gives back every free page.

        Raises:
            JournalFull: There was no space even for that; the next call begins again.
        """
        if self._walk is None or (short and not self._walk.sparing):
            self._walk = self._begin_walk_of_all(now) if short else self._begin_walk(now, uptime)
        walk, self._walk = self._walk, None  # after a failure, what was rolled back is walked again
        if walk is not None and not self._walk_on(walk, steps):
            self._walk = walk
            return True
        if short:
            self._shrink(0, _SPARING_PAGES)
        return False

    def _walk_on(self, walk: "Walk", steps: int) -> bool:
        """Make so many steps at most; return True if the walk is over."""
        for _ in range(steps):
            self._step(walk)
            if walk.over:
                break
        else:
            return False
        if walk.sparing:
            self._all_upto = walk.cut.attempt
        else:
            self._upto = walk.cut.attempt
            self._shrink(_SPARE_SHARE)
        return True

    def _begin_walk_of_all(self, now: float) -> "Walk | None":
        cut = self._cut(now, all_shipped=True)
        if cut.attempt <= self._all_upto:
            return None
        return self._walk_to(cut, sparing=True)

    def _begin_walk(self, now: float, uptime: float) -> "Walk | None":
        if uptime < self._next_look:
            return None
        self._next_look = uptime + _LOOK_INTERVAL
        with self._connection.reading() as connection:
            if not baseline.due(connection, project.limits(connection), now):
                return None
        cut = self._cut(now)
        if cut.attempt <= self._upto and uptime < self._next_round:
            return None
        self._next_round = uptime + _ATTEMPTS_INTERVAL
        return self._walk_to(cut)

    def _walk_to(self, cut: Cut, *, sparing: bool = False) -> "Walk":
        with self._connection.reading():  # forks wait for the end of the import, with all that folding needs
            from recorder.journal.prune import Walk
        return Walk(cut, sparing=sparing)

    def _cut(self, now: float, *, all_shipped: bool = False) -> Cut:
        with self._connection.reading() as connection:
            return baseline.cut_now(connection, project.limits(connection), now, all_shipped=all_shipped)

    def _step(self, walk: "Walk") -> None:
        began, written = time.monotonic(), walk.written
        if walk.sparing:
            with self._connection.reading():
                self._connection.empty_log()  # the step takes the space that the log gave back
        with self._connection.transaction() as connection:
            walk.step(connection)
            self._connection.note_written(2 * (walk.written - written))  # deleted rows are overwritten, too
        time.sleep(min(time.monotonic() - began, 0.5))

    # --- giving space back

    def _shrink(self, share: int, step: int = _VACUUM_PAGES) -> None:
        """Shrink the file if more than one page in `share` is free; 0 to give back all."""
        before = None
        while True:
            began = time.monotonic()
            with self._connection.reading() as connection:
                pages, free, size = space.pages(connection)
                if before is not None and free >= before:
                    break  # a damaged list of free pages gives nothing back
                before = free
                if free <= (max(_SPARE_PAGES, pages // share) if share else 0):
                    break
                # execute() would free one page: it stops at the first row that the statement gives.
                connection.executescript(f"PRAGMA incremental_vacuum({step})")
                self._connection.note_written(step * size)
                self._connection.checkpoint_large_log()
            time.sleep(min(time.monotonic() - began, 0.5))
        if not share:
            with self._connection.reading():
                self._connection.empty_log()

    def _bytes(self) -> int:
        with self._connection.reading() as connection:
            pages, _, size = space.pages(connection)
        return pages * size
