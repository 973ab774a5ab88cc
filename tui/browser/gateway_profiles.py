"""Reads for the profiles view: the ids of all profiles, and the history of one. Blocking, for threads."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tui.browser.directory import ORDERS, Directory, Order, Page
from tui.browser.gateway_histories import REREAD_AFTER, HistoryGateway
from tui.browser.pace import Pace

__all__ = ["Collected", "ProfilesGateway"]

_SLICE = 10_000  # entries whose profiles are collected at a time: some tens of milliseconds


@dataclass(frozen=True, slots=True)
class Collected:
    """Progress of collecting the ids of profiles.

    Attributes:
        looked_at: At so many entries.
        recorded: Of so many.
        revision: A number that changes with what is collected.
        pruned: Whether those are there whose entries were pruned; they come last.
    """

    looked_at: int
    recorded: int
    revision: int = 0
    pruned: bool = True

    @property
    def complete(self) -> bool:
        """True if all ids are collected."""
        return self.pruned and self.looked_at >= self.recorded


class ProfilesGateway(HistoryGateway):
    """The profiles of one journal. Safe for threads.

    Args:
        path: The journal's file.
        clock: Seconds since the epoch; tests give a fixed one.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(path, clock=clock)
        self._directory = Directory()
        self._counted = -1  # the journal's version when entries were counted by state
        self._counting = Pace(time.monotonic, REREAD_AFTER)
        self._lowest = self._highest = 0  # what was looked at: from the one to the other
        self._begun = False
        self._revision = 0
        self._forgotten = 0  # entries, when it was begun
        # The baseline is gone through whenever something was pruned: how many entries had been, when that was begun
        # last; how far it has come; whether entries that were met before may have gone there since.
        self._pruned = -1
        self._at: int | None = None
        self._moved = False
        self._pruned_then = 0

    def close(self) -> None:
        """Close the journal, and forget the ids."""
        super().close()
        with self._turn:
            self._directory.close()

    # --- ids

    def collect(self) -> Collected:
        """Collect the ids of one more slice of entries: new ones first, then older ones, then what was pruned.

        In this order, so that whatever is pruned meanwhile is met at one place at least.
        """
        with self._turn:
            recorded, forgotten = self._reader.highest(), self._reader.counts().forgotten
            anew = self._begun and forgotten != self._forgotten
            if anew:
                self._directory.clear()
                self._pruned, self._at, self._moved = -1, None, False
            self._revision += anew
            if anew or not self._begun:
                self._forgotten = forgotten
                self._begun, self._lowest, self._highest = True, recorded + 1, recorded
                self._pruned_then = self._number_pruned()
            if recorded > self._highest:
                first, last, newer = self._highest + 1, min(self._highest + _SLICE, recorded), True
                self._highest = last
            elif self._lowest > 1:
                first, last, newer = max(self._lowest - _SLICE, 1), self._lowest - 1, False
                self._lowest = first
            else:
                return self._collect_pruned(recorded)
            counts = self._reader.profile_counts(first, last)
            while not counts and not newer and self._lowest > 1:  # numbers that were pruned cost nothing
                self._lowest = max(self._lowest - _SLICE, 1)
                counts = self._reader.profile_counts(self._lowest, first - 1)
                first = self._lowest
            self._directory.add(counts, newer=newer)
            looked_at = self._highest - self._lowest + 1
            self._revision += bool(counts)
            return Collected(looked_at, recorded, self._revision, pruned=self._pruned >= 0)

    def _number_pruned(self) -> int:
        return sum(self._reader.pruned().values())

    def _collect_pruned(self, recorded: int) -> Collected:
        """One more page of the profiles whose entries were pruned; once more when others were."""
        pruned = self._number_pruned()
        if self._at is None:
            if pruned == self._pruned:
                return Collected(recorded, recorded, self._revision)
            self._pruned = pruned
        self._moved = self._moved or pruned != self._pruned_then
        rows = self._reader.baseline_counts(self._at, _SLICE)
        self._directory.add_pruned([count for _, count in rows], again=self._moved)
        whole = len(rows) < _SLICE
        self._at = None if whole else rows[-1][0]
        self._moved = self._moved or whole
        self._revision += bool(rows)
        return Collected(recorded, recorded, self._revision, pruned=whole)

    def page(
        self,
        around: tuple[str, str | None] | None,
        *,
        limit: int,
        search: str = "",
        order: Order = ORDERS[0],
        reverse: bool = False,
        last: bool = False,
    ) -> Page:
        """Profiles around the one with this id and group key; see `Directory.around`."""
        at = self._directory.find(*around) if around is not None else None
        page = self._directory.around(at, limit=limit, search=search, order=order, reverse=reverse, last=last)
        deleted = self._reader.deletions_among([row.latest for row in page.rows])
        return replace(page, rows=tuple(row._replace(deleted=row.latest in deleted) for row in page.rows))

    def starting(self, text: str) -> tuple[list[tuple[str, int]], bool]:
        """Collect one more slice of ids; return some that begin so, with their entries, and True if that are all."""
        complete = self.collect().complete
        return self._directory.starting(text), complete

    def count_states(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Count the profiles' entries by state, if something has changed since; return True if it was done.

        Not again before thirty times as long as that took: of a long backlog a second, of most some milliseconds.
        """
        version = self._reader.version()
        if version == self._counted or not self._counting.due:
            return False

        def count() -> None:
            counts = self._reader.counts()
            self._directory.show_states(
                self._reader.profile_states(counts.pending + counts.sending, stop=stop)
            )

        self._counting.timed(count)
        self._counted = version
        return True
