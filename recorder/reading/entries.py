"""Entries of a journal: pages, counts, places, and the profiles they name."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from os import PathLike
from typing import Any

from recorder.journal.opening import making_sense, onward
from recorder.journal.uptime import now
from recorder.model.entries import State
from recorder.model.filters import where
from recorder.model.operations import Lane
from recorder.model.reports import Entry, EntryRow, ProfileCount, ProfileState
from recorder.reading import statements as sql
from recorder.reading.pages import NEWER, OLDER, Direction, Query, count, page, runs
from recorder.reading.places import Places
from recorder.reading.rows import as_entry, make
from recorder.reading.source import Source, never

__all__ = ["EntryReader"]

Filter = str | Sequence[str]

_PAGE = 200  # a message may take a megabyte
_MOST_ENTRIES = 1_000_000
_COUNTED = 10_000  # set aside, counted by one read
_NUMBERS = 20_000  # looked through by one read: some milliseconds


class EntryReader(Source):
    """The entries of a journal."""

    def __init__(self, path: str | PathLike[str], *, clock: Callable[[], float] = now) -> None:
        super().__init__(path, clock=clock)
        self._places = Places(self._all)

    def entries(
        self,
        filter: Filter = "",
        after: int | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """Return a page of entries, newest first.

        Args:
            filter: See `recorder.model.filters`, as in ``"state=rejected op=add"``.
            after: Entries older than this number, to read on from the last one of a page.
            limit: The most entries; up to a million.

        Raises:
            InvalidFilter: The filter is not understood.
        """
        return self.older(filter, than=after, limit=min(limit, _MOST_ENTRIES))

    def older(
        self,
        filter: Filter = "",
        *,
        than: int | None = None,
        limit: int = 100,
        states: Collection[State] = (),
        stop: Callable[[], bool] = never,
    ) -> list[Entry]:
        """Return entries with lower numbers than one, newest first.

        Several short reads where a filter matches few, so that none keeps a writer waiting; states that set
        entries aside are found through their index.

        Args:
            filter: See `entries`.
            than: The number; None for the newest.
            limit: The most entries.
            states: Only these; none means any.
            stop: Asked between reads; once it returns True, the entries found so far are returned.

        Raises:
            InvalidFilter: The filter is not understood.

        >>> import pathlib, tempfile
        >>> from restante import JournalReader, Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     for plan in ("free", "pro", "free"):
        ...         recorder.people_set("ada", {"plan": plan})
        >>> with JournalReader(path) as reader:
        ...     [entry.seq for entry in reader.older(than=3)], [entry.seq for entry in reader.newer(than=1)]
        ([2, 1], [2, 3])
        """
        return self._page(OLDER, self._query(filter, states), than=than, limit=limit, stop=stop)

    def newer(
        self,
        filter: Filter = "",
        *,
        than: int,
        limit: int = 100,
        states: Collection[State] = (),
        stop: Callable[[], bool] = never,
    ) -> list[Entry]:
        """Return entries with higher numbers than one, the nearest first; see `older`."""
        return self._page(NEWER, self._query(filter, states), than=than, limit=limit, stop=stop)

    def stream(self, filter: Filter = "") -> Iterator[Entry]:
        """Yield all entries that match, oldest first, read a page at a time.

        While others record and ship, each page shows its own moment; no entry comes twice.

        Args:
            filter: See `entries`.

        Raises:
            InvalidFilter: The filter is not understood.
        """
        query, last = self._query(filter), 0
        while entries := self._page(NEWER, query, than=last, limit=_PAGE):
            yield from entries
            last = onward(last, entries[-1].seq)

    def tally(
        self,
        filter: Filter = "",
        *,
        states: Collection[State] = (),
        stop: Callable[[], bool] = never,
    ) -> int | None:
        """Count the entries that match, in several short reads; None if it was stopped. See `older`."""
        return count(self._all, self._query(filter, states), stop)

    def runs(
        self,
        filter: Filter = "",
        *,
        states: Collection[State] = (),
        stop: Callable[[], bool] = never,
    ) -> Iterator[tuple[int, int]]:
        """Yield the numbers of the entries that match, ascending, as first and last of consecutive ones.

        However many match, no entry is read whole. One run may go on in the next. See `older`.
        """
        return runs(self._all, self._query(filter, states), stop)

    def count(self, filter: Filter = "") -> int:
        """Count the entries that match a filter."""
        return self.tally(filter) or 0

    def _query(self, words: Filter, states: Collection[State] = ()) -> Query:
        return Query(where(words, now=self._clock()), frozenset(states))

    def _page(
        self,
        direction: Direction,
        query: Query,
        *,
        than: int | None,
        limit: int,
        stop: Callable[[], bool] = never,
    ) -> list[Entry]:
        return self._entries(page(self._all, query, direction, than=than, limit=limit, stop=stop))

    def _entries(self, rows: list[Any]) -> list[Entry]:
        with making_sense(self.path):
            return [as_entry(row) for row in rows]

    def entry(self, seq: int) -> Entry | None:
        """Return the entry of a number; None if there is none."""
        entries = self._entries(self._all(sql.ENTRY, (seq,)))
        return entries[0] if entries else None

    def rows_of(self, numbers: Sequence[int], stop: Callable[[], bool] = never) -> list[EntryRow]:
        """Return entries by their ascending numbers, with their messages unparsed, to see what has changed.

        Several short reads; once `stop`, which is asked between them, returns True, those read so far are returned.
        """
        rows: list[EntryRow] = []
        for first in range(0, len(numbers), _PAGE):
            if stop():
                break
            some = json.dumps([*numbers[first : first + _PAGE]])
            rows += map(EntryRow._make, self._all(sql.RAW_ROWS, (some,)))
        return rows

    # --- places

    def highest(self) -> int:
        """Return the highest number; 0 if nothing is recorded."""
        return int(self._all(sql.HIGHEST)[0][0])

    def place(self, seq: int) -> int:
        """Return how many of the entries that are kept have this number or a lower one."""
        return self._places.place(seq)

    def number_at(self, place: int) -> int | None:
        """Return the number of the entry at a place among those that are kept, 1 for the oldest; see `place`."""
        return self._places.number(place)

    # --- profiles

    def profile_counts(self, first: int, last: int) -> list[ProfileCount]:
        """Return the profiles that the entries of a range of numbers name, in no particular order.

        No index knows profiles: to list them all, read the journal a range at a time, 20,000 numbers in some
        tens of milliseconds.
        """
        return [make(ProfileCount, row) for row in self._all(sql.PROFILE_COUNTS, (first, last))]

    def profile_states(
        self, pending: int, *, stop: Callable[[], bool] = never
    ) -> Iterator[list[ProfileState]]:
        """Yield how many entries of each profile wait, are in doubt, rejected or pending, some thousands at a time.

        States that set entries aside are found through their index. What is pending is looked for from the newest entry
        down, in short reads, until all of it was found. A profile may come more than once.

        Args:
            pending: How many entries of the journal are; see `counts`.
            stop: Asked between reads; once it returns True, nothing more is yielded.
        """
        for state in (State.IN_DOUBT, State.REJECTED, State.WAITING):
            for lane in (Lane.PEOPLE, Lane.GROUPS):
                last = 0
                while rows := self._all(sql.SET_ASIDE_COUNTS, (state, lane, last, _COUNTED)):
                    yield [ProfileState(profile, group_key, state, n) for profile, group_key, n, _ in rows]
                    last = onward(last, max(seq for *_, seq in rows))
        ((lowest, highest),) = self._all(sql.ENDS)
        for last in range(highest or 0, (lowest or 1) - 1, -_NUMBERS):
            if stop() or pending <= 0:
                break
            rows = self._all(sql.PENDING_COUNTS, (last - _NUMBERS + 1, last))
            pending -= sum(n for *_, n in rows)
            yield [ProfileState(whose, key, State.PENDING, n) for whose, key, n in rows if whose is not None]

    def deletions_among(self, numbers: Sequence[int]) -> set[int]:
        """Return those of some entries that delete their profile, or will."""
        return {seq for (seq,) in self._all(sql.DELETIONS_AMONG, (json.dumps(list(numbers)),))}

    def profiles_of(self, numbers: Sequence[int]) -> list[ProfileCount]:
        """Return the profiles that these entries name, in the order of their first ones."""
        return [make(ProfileCount, row) for row in self._all(sql.PROFILES_OF, (json.dumps(list(numbers)),))]

    def numbers_of(
        self,
        profile: str,
        group_key: str | None = None,
        *,
        after: int = 0,
        stop: Callable[[], bool] = never,
    ) -> list[int]:
        """Return the numbers of one profile's entries in any state, ascending.

        All entries beyond `after` are looked through, in several short reads.

        Args:
            profile: The profile's or group's id.
            group_key: A group's key; None for a user's profile.
            after: Only higher numbers, to read on from the last one.
            stop: Asked between reads; once it returns True, the numbers found so far are returned.
        """
        lane = Lane.PEOPLE if group_key is None else Lane.GROUPS
        numbers: list[int] = []
        for first in range(after + 1, self.highest() + 1, _NUMBERS):
            if stop():
                break
            values = (first, first + _NUMBERS - 1, profile, group_key, lane)
            numbers += (seq for (seq,) in self._all(sql.NUMBERS_OF_PROFILE, values))
        return numbers
