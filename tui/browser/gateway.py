"""The screens' one door to the recorder: blocking reads for threads, and frozen data.

Every read is fetched whole, and no read transaction is left open, so that the writer can truncate its log
whoever looks on.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from recorder import Attempt, Entry, HttpTransport, JournalReader, Lane, State, Statistics
from recorder.model.reports import Hold, ShipperStatus
from simulator import Start
from simulator.testing import to_test
from tui.text.effect import Effect, effect_of
from tui.text.history import note_of, opening, start_of
from tui.text.rows import Query, Row, Window, row_of
from tui.text.sentence import Shipping, shipping_of

__all__ = ["EntryFacts", "Facts", "Gateway"]

_CHUNK = 64  # entries fetched at a time: a message may take a megabyte, a row takes some hundred bytes
PAGE = 256


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """How the journal stands at one moment.

    Attributes:
        now: When, in seconds since the epoch.
        statistics: Its accounts.
        shipper: Who ships it.
        shipping: How that stands, in words.
        pruned: How many entries of each state are counted and not kept any more.
    """

    now: float
    statistics: Statistics
    shipper: ShipperStatus
    shipping: Shipping
    pruned: Mapping[State, int] = field(default_factory=dict)

    def counted(self, state: State | None) -> int:
        """How many entries of a state there ever were; None for all."""
        return _counted(self.statistics, state)

    def kept(self, state: State | None) -> int:
        """How many of them the journal still has."""
        return _kept(self.statistics, self.pruned, state)


def _counted(statistics: Statistics, state: State | None) -> int:
    return statistics.recorded if state is None else int(getattr(statistics, state.value))


def _kept(statistics: Statistics, pruned: Mapping[State, int], state: State | None) -> int:
    gone = sum(pruned.values()) if state is None else pruned.get(state, 0)
    return max(_counted(statistics, state) - gone, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFacts:
    """One entry, and what is known about it.

    Attributes:
        now: When, in seconds since the epoch.
        entry: It.
        attempts: What carried it, oldest first.
        hold: What keeps its profile from being sent.
        shipper: How its lane, and shipping at all, stand.
    """

    now: float
    entry: Entry
    attempts: tuple[Attempt, ...]
    hold: Hold | None
    shipper: ShipperStatus


class Gateway:
    """One journal, for the browser. Safe for threads.

    Args:
        path: The journal's file. It is never created.
        write: Whether actions may change it; see `tui.browser.actions`.
        clock: Seconds since the epoch; tests give a fixed one.
        transport: Where ``ship now`` sends to.

    Raises:
        JournalMissing, NotAJournal, JournalTooNew, JournalDamaged: There is nothing to read.
    """

    def __init__(
        self,
        path: Path,
        *,
        write: bool = False,
        clock: Callable[[], float] = time.time,
        transport: Callable[[], HttpTransport] = HttpTransport,
    ) -> None:
        self.write = write
        self.now = clock
        self.transport = transport
        # Told apart by its path alone, without a descriptor: closing one would cancel SQLite's locks on the file. Of a
        # file that is put in its place in between it is thought that it was replaced, and it is opened once more.
        self._file = _identity(path)
        self._reader = JournalReader(path, clock=clock)
        self.path = self._reader.path
        # What takes longer has a connection of its own, so that pages do not wait for it.
        self._slow = JournalReader(path, clock=clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._slow.close()

    # --- the file

    def whereabouts(self) -> Literal["here", "gone", "replaced"]:
        """Whether the file that is open is still the one at its path."""
        found = _identity(self.path)
        if found is None:
            return "gone"
        return "here" if found == self._file else "replaced"

    def opens(self) -> None:
        """Raise what keeps the file that is at the path by now from being opened."""
        JournalReader(self.path, clock=self.now).close()

    # --- the whole journal

    def version(self) -> int:
        """A number that changes when another process, or an action here, has changed the journal."""
        return self._reader.version()

    def facts(self) -> Facts:
        """How the journal stands."""
        now = self.now()
        pruned = self._reader.pruned()
        statistics, shipper = self._reader.counts(), self._reader.shipping()
        return Facts(
            now=now,
            statistics=statistics,
            shipper=shipper,
            shipping=shipping_of(statistics, shipper, now=now),
            pruned=pruned,
        )

    # --- entries

    def newest(self, query: Query, limit: int, stop: Callable[[], bool] = _never) -> Window:
        """The newest matches."""
        rows = self._older(query, None, limit, stop)
        return Window(rows=tuple(rows), at_oldest=len(rows) < limit, total=self.total(query)).placed()

    def oldest(self, query: Query, limit: int, stop: Callable[[], bool] = _never) -> Window:
        """The oldest matches."""
        rows = tuple(self._newer(query, 0, limit, stop))[::-1]
        short = len(rows) < limit
        return Window(rows=rows, at_newest=short, at_oldest=True, total=self.total(query)).placed()

    def further(
        self, query: Query, than: int, limit: int, *, newer: bool, stop: Callable[[], bool] = _never
    ) -> tuple[Row, ...]:
        """The matches beyond a number, newest first."""
        if newer:
            return tuple(self._newer(query, than, limit, stop)[::-1])
        return tuple(self._older(query, than, limit, stop))

    def around(
        self, query: Query, seq: int, above: int, below: int, stop: Callable[[], bool] = _never
    ) -> Window:
        """The matches around a number, with the row number of the first where that is known."""
        newer = self._newer(query, seq, above, stop)
        older = self._older(query, seq + 1, below, stop)
        total = self.total(query)
        first, at_newest = 1, len(newer) < above
        if query.everything and total is not None and newer:
            first = total - self._reader.place(newer[-1].seq)
            at_newest = at_newest or first <= 0
        return Window(
            first,
            (*newer[::-1], *older),
            at_newest=at_newest,
            at_oldest=len(older) < below,
            total=total,
        ).placed()

    def near(
        self, query: Query, row: int, height: int, above: int, below: int, stop: Callable[[], bool] = _never
    ) -> Window:
        """The matches around a row of the table, which has so many.

        Where something is to match, what stands at about that height among all entries is taken for it.
        """
        pruned = self._reader.pruned()
        kept = _kept(self._reader.counts(), pruned, None)
        newer = row if query.everything else int(kept * row / max(height, 1))
        number = self._reader.number_at(max(kept - newer, 1))
        return self.around(query, number or 1, above, below, stop)

    def total(self, query: Query) -> int | None:
        """How many match of those that are kept, where the accounts know it."""
        if query.words:
            return None
        pruned = self._reader.pruned()
        return _kept(self._reader.counts(), pruned, query.state)

    def tally(self, query: Query, stop: Callable[[], bool] = _never) -> int | None:
        """How many match, counted; None where it was stopped."""
        return self._slow.tally(query.words, states=query.states, stop=stop)

    def beside(
        self,
        query: Query,
        seq: int | None,
        *,
        newer: bool = False,
        words: Sequence[str] = (),
        states: Sequence[State] = (),
        stop: Callable[[], bool] = _never,
    ) -> int | None:
        """The number of the next match that also matches these words, or is in one of these states."""
        both = [*query.words, *words]
        if states and query.state is not None:
            states = [query.state] if query.state in states else []
            if not states:
                return None
        among = states or query.states
        if newer:
            found = self._slow.newer(both, than=seq or 0, limit=1, states=among, stop=stop)
        else:
            found = self._slow.older(both, than=seq, limit=1, states=among, stop=stop)
        return found[0].seq if found else None

    def _older(self, query: Query, than: int | None, limit: int, stop: Callable[[], bool]) -> list[Row]:
        return self._rows(
            lambda at, size: self._reader.older(
                query.words, than=at, limit=size, states=query.states, stop=stop
            ),
            than,
            limit,
        )

    def _newer(self, query: Query, than: int, limit: int, stop: Callable[[], bool]) -> list[Row]:
        return self._rows(
            lambda at, size: self._reader.newer(
                query.words, than=at or 0, limit=size, states=query.states, stop=stop
            ),
            than,
            limit,
        )

    @staticmethod
    def _rows(read: Callable[[int | None, int], list[Entry]], at: int | None, limit: int) -> list[Row]:
        rows: list[Row] = []
        while len(rows) < limit:
            size = min(_CHUNK, limit - len(rows))
            page = read(at, size)
            rows += map(row_of, page)
            if len(page) < size:
                break
            at = page[-1].seq
        return rows

    # --- one entry

    def entry(self, seq: int) -> Entry | None:
        """An entry whole."""
        return self._reader.entry(seq)

    def entry_facts(self, seq: int) -> EntryFacts | None:
        """An entry, its attempts, and what holds it back; None where there is none of that number."""
        entry = self._reader.entry(seq)
        if entry is None:
            return None
        return EntryFacts(
            now=self.now(),
            entry=entry,
            attempts=tuple(self._reader.attempts(seq)),
            hold=self._reader.hold(entry),
            shipper=self._reader.shipping(),
        )

    def effect(self, entry: Entry) -> Effect | None:
        """What an entry does to its profile, by the simulator; None for events and imports.

        Looks through all entries for those of the profile.
        """
        if entry.lane not in {Lane.PEOPLE, Lane.GROUPS} or entry.profile is None:
            return None
        start, history = self._profile(entry.profile, entry.group_key)
        return effect_of(entry, history, start)

    def _profile(self, profile: str, group_key: str | None) -> tuple[Start | None, list[tuple[int, str]]]:
        """A profile's history: what its pruned entries made of it, and those that are kept."""
        slow = self._slow
        return slow.unpruned(
            lambda: (start_of(slow.baseline_of(profile, group_key)), slow.history_of(profile, group_key))
        )

    def text_of(self, seq: int, text: Callable[[Entry], str]) -> str:
        """An entry as text; empty where there is none of that number."""
        entry = self._reader.entry(seq)
        return text(entry) if entry is not None else ""

    def test_of(self, seq: int) -> str:
        """The history of an entry's profile up to it, as a runnable test; empty where it has no profile."""
        entry = self._reader.entry(seq)
        if entry is None or entry.lane not in {Lane.PEOPLE, Lane.GROUPS} or entry.profile is None:
            return ""
        start, history = self._profile(entry.profile, entry.group_key)
        messages = [*opening(entry.profile, entry.group_key, start), *map(json.loads, _until(entry, history))]
        return to_test(messages, name=f"test_entry_{seq}", note=note_of(start))


def _until(entry: Entry, history: Sequence[tuple[int, str]]) -> list[str]:
    """The messages of its profile as JSON, in the order of the prediction, it the last one."""
    numbers = [seq for seq, _ in history]
    if entry.seq in numbers:
        return [text for _, text in history[: numbers.index(entry.seq) + 1]]
    return [*(text for seq, text in history if seq < entry.seq), json.dumps(entry.message)]


def _identity(path: Path) -> tuple[int, int] | None:
    """The file at a path, whatever it is called; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
