"""Reads of one journal for the screens: blocking calls for threads, and frozen data.

Every read is fetched whole, and no read transaction is left open, so that the writer can truncate its log
whoever looks on.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Self

from recorder import Entry, HttpTransport, JournalDamaged, JournalReader, Lane, RestanteError, State
from recorder.reading.sentence import shipping_of
from recorder.reading.source import file_identity, never
from simulator.testing import to_test
from tui.browser.gateway_histories import HistoryGateway
from tui.config import Config
from tui.text.effect import Effect, effect_of
from tui.text.exported import exported
from tui.text.facts import EntryFacts, Facts, kept
from tui.text.format import size
from tui.text.history import History, Stopped, note_of
from tui.text.marks import Run
from tui.text.rows import Query, Row, Window, row_of

__all__ = ["PAGE", "Gateway"]

_CHUNK = 64  # entries fetched at a time: a message may take a megabyte, a row takes some hundred bytes
_MOST_LINES = 1_000_000  # bytes of marked entries for the clipboard
PAGE = 256


class Gateway:
    """One journal, for the browser. Safe for threads.

    Args:
        path: The journal's file. It is never created.
        write: Whether actions may change it; see `tui.browser.actions`.
        clock: Seconds since the epoch; tests give a fixed one.
        transport: Where ``ship now`` sends to.
        account: Name, secret and project of the account that reads profiles to settle, if there is one.
        choices: The person's, of times and columns.

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
        account: tuple[str, str, str] | None = None,
        choices: Config = Config(),  # noqa: B008  # frozen
    ) -> None:
        self.write = write
        self.now = clock
        self.transport = transport
        self.account = account
        self.choices = choices
        # Compared by path, without a descriptor: closing one would cancel SQLite's locks on the file. A file that is
        # replaced between these two lines is opened once more.
        self._file = file_identity(path)
        self._reader = JournalReader(path, clock=clock)
        self.path = self._reader.path
        # What takes longer has a connection of its own, so that pages do not wait for it.
        self._slow = JournalReader(path, clock=clock)
        self._histories = HistoryGateway(path, clock=clock)
        self._history: History | None = None  # read last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._slow.close()
        self._histories.close()

    # --- the file

    def whereabouts(self) -> Literal["here", "gone", "replaced"]:
        """Compare the open file with the one at its path."""
        found = file_identity(self.path)
        if found is None:
            return "gone"
        return "here" if found == self._file else "replaced"

    def check_file(self) -> None:
        """Raise the error that keeps the file now at the path from being opened."""
        JournalReader(self.path, clock=self.now).close()

    # --- the whole journal

    def version(self) -> int:
        """Return a number that changes whenever the journal was changed."""
        return self._reader.version()

    def identity(self) -> str:
        """Return the journal's own name, which copies of it share; nothing where damage hides it."""
        try:
            return self._reader.identity()
        except JournalDamaged:
            return ""

    def facts(self) -> Facts:
        """Read the state of the journal."""
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

    def newest(self, query: Query, limit: int, stop: Callable[[], bool] = never) -> Window:
        """Read the newest matches."""
        rows = self._rows(query, None, limit, stop)
        return Window(rows=tuple(rows), at_oldest=len(rows) < limit, total=self.total(query)).placed()

    def oldest(self, query: Query, limit: int, stop: Callable[[], bool] = never) -> Window:
        """Read the oldest matches."""
        rows = tuple(self._rows(query, 0, limit, stop, newer=True))[::-1]
        short = len(rows) < limit
        return Window(rows=rows, at_newest=short, at_oldest=True, total=self.total(query)).placed()

    def further(
        self, query: Query, than: int, limit: int, *, newer: bool, stop: Callable[[], bool] = never
    ) -> tuple[Row, ...]:
        """Read the matches beyond a number, newest first."""
        if newer:
            return tuple(self._rows(query, than, limit, stop, newer=True)[::-1])
        return tuple(self._rows(query, than, limit, stop))

    def around(
        self, query: Query, seq: int, above: int, below: int, stop: Callable[[], bool] = never
    ) -> Window:
        """Read the matches around a number; the row number of the first is exact if it is known."""
        newer = self._rows(query, seq, above, stop, newer=True)
        older = self._rows(query, seq + 1, below, stop)
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
        self, query: Query, row: int, height: int, above: int, below: int, stop: Callable[[], bool] = never
    ) -> Window:
        """Read the matches around a row of a table of this height; with a filter, around an estimate."""
        entries = self._kept(None)
        newer = row if query.everything else int(entries * row / max(height, 1))
        number = self._reader.number_at(max(entries - newer, 1))
        return self.around(query, number or 1, above, below, stop)

    def total(self, query: Query) -> int | None:
        """Return how many kept entries match, or None if they must be counted."""
        if query.words:
            return None
        return self._kept(query.state)

    def _kept(self, state: State | None) -> int:
        pruned = self._reader.pruned()
        return kept(self._reader.counts(), pruned, state)

    def tally(self, query: Query, stop: Callable[[], bool] = never) -> int | None:
        """Count the matches; None if it was stopped."""
        return self._slow.tally(query.words, states=query.states, stop=stop)

    def next_match(
        self,
        query: Query,
        seq: int | None,
        *,
        newer: bool = False,
        words: Sequence[str] = (),
        states: Sequence[State] = (),
        stop: Callable[[], bool] = never,
    ) -> int | None:
        """Return the number of the next match that also matches these words, or is in one of these states."""
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

    def _rows(
        self, query: Query, than: int | None, limit: int, stop: Callable[[], bool], *, newer: bool = False
    ) -> list[Row]:
        """Read the matches beyond a number, the nearest first."""
        rows: list[Row] = []
        while len(rows) < limit:
            size = min(_CHUNK, limit - len(rows))
            if newer:
                page = self._reader.newer(
                    query.words, than=than or 0, limit=size, states=query.states, stop=stop
                )
            else:
                page = self._reader.older(query.words, than=than, limit=size, states=query.states, stop=stop)
            rows += map(row_of, page)
            if len(page) < size:
                break
            than = page[-1].seq
        return rows

    # --- marked entries

    def runs(self, query: Query, stop: Callable[[], bool] = never) -> Iterator[Run]:
        """Yield the numbers of all that match, as first and last of consecutive ones."""
        return self._slow.runs(query.words, states=query.states, stop=stop)

    def exported(self, filters: Iterable[Sequence[str]], stop: Callable[[], bool] = never) -> Iterator[str]:
        """Yield entries as `restante export --all` writes them.

        Raises:
            RestanteError: `stop` said so: half of them are no export.
        """
        for words in filters:
            for entry in self._slow.stream(words):
                if stop():
                    raise RestanteError("stopped")
                yield json.dumps(exported(entry))

    def lines_of(self, filters: Iterable[Sequence[str]], otherwise: str) -> str:
        """Return entries as JSON Lines for the clipboard.

        Raises:
            RestanteError: They are too much for any terminal.
        """
        lines, space = [], _MOST_LINES
        for line in self.exported(filters):
            space -= len(line)
            if space < 0:
                raise RestanteError(
                    f"they are more than {size(_MOST_LINES)}, too much for a clipboard: {otherwise}"
                )
            lines.append(line)
        return "\n".join(lines)

    # --- one entry

    def entry(self, seq: int) -> Entry | None:
        """Read a whole entry."""
        return self._reader.entry(seq)

    def entry_facts(self, seq: int) -> EntryFacts | None:
        """Read an entry, its attempts, and why it is not sent; None if there is no such entry."""
        entry = self._reader.entry(seq)
        if entry is None:
            return None
        return EntryFacts(
            now=self.now(),
            entry=entry,
            attempts=tuple(self._reader.attempts(seq)),
            hold=self._reader.hold(entry),
            shipper=self._reader.shipping(),
            local=self.choices.times == "local",
        )

    def effect(self, entry: Entry, stop: Callable[[], bool] = never) -> Effect | None:
        """Simulate what an entry does to its profile; None for events and imports.

        Raises:
            Stopped: `stop` returned True.
        """
        history = self._history_of(entry, stop)
        return None if history is None else effect_of(entry, history, stop)

    def _history_of(self, entry: Entry, stop: Callable[[], bool]) -> History | None:
        """Read the history of an entry's profile; None if it has none.

        All entries are looked through for a profile's, but only the first time: what was read last is read on.
        """
        if entry.lane not in {Lane.PEOPLE, Lane.GROUPS} or entry.profile is None:
            return None
        known = self._history
        if known is not None and (known.profile, known.group_key) != (entry.profile, entry.group_key):
            known = self._history = None
        history = self._histories.history(entry.profile, entry.group_key, known=known, stop=stop)
        if stop():
            raise Stopped
        self._history = history
        return history

    def text_of(self, seq: int, text: Callable[[Entry], str]) -> str:
        """Return an entry as text, or nothing if there is no such entry."""
        entry = self._reader.entry(seq)
        return text(entry) if entry is not None else ""

    def test_of(self, seq: int, stop: Callable[[], bool] = never) -> str:
        """Return the history of an entry's profile up to it, as a runnable test; nothing if it has no profile."""
        entry = self._reader.entry(seq)
        history = self._history_of(entry, stop) if entry is not None else None
        if entry is None or history is None:
            return ""
        place = history.place(seq)
        if place is not None:
            messages = history.messages(place)
        else:
            messages = [*history.messages(history.place_before(seq)), dict(entry.message)]
        return to_test(messages, name=f"test_entry_{seq}", note=note_of(history.start))
