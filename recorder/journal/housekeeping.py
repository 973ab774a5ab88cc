"""What keeps a journal small: pruning what was shipped long ago, giving the room back, emptying the log.

Bounded steps, with a pause after each as long as it took: others record and ship in between.
"""

import time
from collections.abc import Callable
from pathlib import Path

from recorder.journal.connection import Connection
from recorder.journal.limits import keeping_of
from recorder.journal.locks import beside
from recorder.journal.prune import Cut, Fold, Walk, cut_of, find_fold, numbers, prunable
from recorder.model.errors import JournalError
from recorder.model.reports import Pruned

__all__ = ["Housekeeping"]

_VACUUM_AT_ONCE = 500  # pages
_LOOKED_THROUGH = 20_000  # numbers, some milliseconds
_SLACK = 256  # pages that stay for what is recorded next
_SPARE = 8  # of so many pages one may be free before the file is made smaller
_OFTEN = 60.0  # seconds between two looks for what may be pruned
_QUIET = 60.0  # seconds without a write; cut sooner, the log would only be made to grow again
_SELDOM = 3_600.0  # seconds until attempts are looked through though nothing more was shipped

_PAGES = "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"


class Housekeeping:
    """A journal's side for those who keep it small; see `Journal.prune`."""

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._walk: Walk | None = None
        self._next_look = float("-inf")
        self._next_round = float("-inf")
        self._upto = 0  # the attempt up to which all was pruned
        self._log = (0, 0)  # as it was seen last: when it was written, and its size
        self._quiet_since = float("-inf")

    def prune(
        self,
        now: float,
        *,
        all_shipped: bool = False,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Pruned:
        """See `Journal.prune`."""
        fold = find_fold()
        if fold is None:
            raise JournalError(
                f"{self._path.name}: nothing can be pruned, for no fold is installed that would keep the profiles",
                hint="The simulator brings one: install restante whole.",
            )
        cut = self._cut(now, all_shipped=all_shipped)
        going = self._prunable(cut)
        if dry_run:
            return Pruned(entries=going)
        before = self._bytes()
        walk = Walk(cut)
        while not walk.over:
            self._step(walk, fold)
            if progress is not None:
                progress(walk.entries, going)
        self._shrink(0)
        return Pruned(entries=walk.entries, attempts=walk.attempts, freed=max(0, before - self._bytes()))

    def _prunable(self, cut: Cut) -> int:
        """How many entries would go, counted in short reads: threads that record wait for the connection."""
        with self._connection.reading() as connection:
            lowest, highest = numbers(connection)
        going = 0
        for first in range(lowest, highest + 1, _LOOKED_THROUGH):
            with self._connection.reading() as connection:
                going += prunable(connection, cut, first, first + _LOOKED_THROUGH - 1)
        return going

    def keep(self, now: float, uptime: float, *, steps: int) -> bool:
        """Prune a little, where anything is due; whether more of it is due at once.

        Args:
            now: Seconds since the epoch.
            uptime: Seconds of a clock that is never set, for how often it looks.
            steps: At most so many transactions.
        """
        if self._walk is None and not self._due(now, uptime):
            return False
        fold = find_fold()
        if fold is None or self._walk is None:
            return False
        for _ in range(steps):
            self._step(self._walk, fold)
            if self._walk.over:
                self._walk = None
                self._shrink(_SPARE)
                return False
        return True

    def _due(self, now: float, uptime: float) -> bool:
        if uptime < self._next_look:
            return False
        self._next_look = uptime + _OFTEN
        cut = self._cut(now)
        if cut.attempt <= self._upto and uptime < self._next_round:
            return False
        self._upto, self._next_round = cut.attempt, uptime + _SELDOM
        self._walk = Walk(cut)
        return True

    def _cut(self, now: float, *, all_shipped: bool = False) -> Cut:
        with self._connection.reading() as connection:
            return cut_of(connection, keeping_of(connection), now, all_shipped=all_shipped)

    def _step(self, walk: Walk, fold: Fold) -> None:
        began, written = time.monotonic(), walk.written
        with self._connection.transaction() as connection:
            walk.step(connection, fold)
            self._connection.note_written(2 * (walk.written - written))  # what is deleted is overwritten, too
        time.sleep(min(time.monotonic() - began, 0.5))

    # --- giving room back

    def _shrink(self, spare: int) -> None:
        """Make the file smaller, where more of it is free than is worth keeping; 0 for all of it."""
        while True:
            began = time.monotonic()
            with self._connection.reading() as connection:
                pages, free, size = connection.execute(_PAGES).fetchone()
                if free <= (max(_SLACK, pages // spare) if spare else 0):
                    break
                # execute() would free one page: it stops at the first row that the statement gives.
                connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_AT_ONCE})")
                self._connection.note_written(_VACUUM_AT_ONCE * size)
                self._connection.look_at_log()
            time.sleep(min(time.monotonic() - began, 0.5))
        if not spare:
            self.empty_log()

    def rest(self, uptime: float) -> None:
        """Empty the log, where nobody has written for a minute; `uptime` as for `keep`."""
        try:
            status = beside(self._path, "-wal").stat()
        except FileNotFoundError:
            return
        seen = (status.st_mtime_ns, status.st_size)
        if seen != self._log:
            self._log, self._quiet_since = seen, uptime
        elif status.st_size and uptime - self._quiet_since >= _QUIET:
            self.empty_log()

    def empty_log(self) -> None:
        """Move the write-ahead log into the file, and cut it, where nobody reads or writes at this moment."""
        with self._connection.reading():
            self._connection.empty_log()

    def _bytes(self) -> int:
        with self._connection.reading() as connection:
            pages, _, size = connection.execute(_PAGES).fetchone()
        return int(pages) * int(size)
