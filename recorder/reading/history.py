"""The history of profiles: the baseline of pruned entries, shipped entries in shipped order, then the rest."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from recorder.journal import baseline, lanes
from recorder.journal.opening import making_sense, onward
from recorder.journal.packing import as_folded
from recorder.model.counting import Counting
from recorder.model.entries import UNSENT, State
from recorder.model.operations import Lane
from recorder.model.reports import Baseline, Entry, ProfileCount
from recorder.reading import statements as sql
from recorder.reading.entries import EntryReader
from recorder.reading.rows import as_baseline, as_message, make
from recorder.reading.source import never

__all__ = ["HistoryReader"]

Made = TypeVar("Made")

_PAGE = 200  # a message may take a megabyte
_TRIES = 3


class HistoryReader(EntryReader):
    """The history of a journal's profiles."""

    def history(self, *, shipped_only: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the messages of profiles: shipped ones in shipped order, then those to be sent by number.

        Rejected, discarded and forgotten entries are left out. Each entry comes once, also while a shipper
        is at work. It continues from `baseline`, which stands for what was pruned; see `unpruned`.
        """
        attempts = self._shipped_attempts()
        after = dict.fromkeys(Lane, 0)  # ranges overlap in a damaged journal
        for attempt in attempts:
            lane = attempt["lane"]
            values = {**attempt, "after": after[lane]}
            yield from self._messages(self._all(sql.MESSAGES_SHIPPED_BY, values))
            if attempt["is_range"]:
                after[lane] = max(after[lane], attempt["last"])
        if shipped_only:
            return
        known = [attempt["attempt"] for attempt in attempts]
        for rows in self._not_shipped_by(sql.MESSAGES_NOT_SHIPPED_BY, known):
            yield from self._messages(rows)

    def shipped_entries(self) -> Iterator[Entry]:
        """Yield the entries of profiles that were shipped, in shipped order: the beginning of `history`.

        Entries shipped while it is read are left to `unshipped_entries`.
        """
        for attempt in self._shipped_attempts():
            yield from self._entries(self._all(sql.ENTRIES_SHIPPED_BY, attempt))

    def unshipped_entries(self, known: Collection[int] = ()) -> Iterator[Entry]:
        """Yield the entries of profiles that are to be sent or in doubt, by number: the end of `history`.

        Between the two another source may be read, such as what a service received.

        Args:
            known: The attempts of the entries of `shipped_entries`. Entries that others shipped since are among
                these, so that each comes once, also while a shipper is at work; by default all shipped ones are.
        """
        for rows in self._not_shipped_by(sql.ENTRIES_NOT_SHIPPED_BY, known):
            yield from self._entries(rows)

    def folded(self, entries: Sequence[Entry], token: str) -> list[tuple[int, Mapping[str, Any]]]:
        """Return the updates that a folded request made of its entries, each with the number of the first in it.

        Args:
            entries: All that one attempt carried with `ShippingPolicy.fold`, by number.
            token: The project's.
        """
        counted = any(kept is not None for (kept,) in self._all(sql.COUNTED, (entries[0].attempt,)))
        rows = [(entry.seq, dict(entry.message)) for entry in entries]
        return list(as_folded(rows, token, in_order=counted))

    def counting(self) -> list[Counting]:
        """Return the ways in which requests were counted so far."""
        ((identity,),) = self._all(sql.IDENTITY)
        return [Counting.read(kept, identity) for (kept,) in self._all(sql.ALL_COUNTED)]

    def _shipped_attempts(self) -> list[dict[str, Any]]:
        """Return the accepted attempts by id, as parameters of statements."""
        names = ("attempt", "lane", "first", "last", "is_range")
        return [dict(zip(names, row, strict=True)) for row in self._all(sql.SHIPPED_ATTEMPTS)]

    def _not_shipped_by(self, statement: str, known: Collection[int]) -> Iterator[list[Any]]:
        """Pages of rows, each beginning with its number, of entries that no known attempt shipped."""
        latest, last = max(known, default=0), 0
        others = json.dumps([id_ for (id_,) in self._all(sql.OTHER_ATTEMPTS, (latest, json.dumps([*known])))])
        with self._snapshot() as connection:
            reached, cursors = baseline.reached_by_ranges(connection, latest), lanes.cursors(connection)
        values: dict[str, Any] = {"latest": latest, "others": others, "most": _PAGE}
        values |= {lane: min(reached.get(lane, 0), cursors.get(lane, 0)) for lane in Lane}
        while rows := self._all(statement, {**values, "last": last}):
            yield rows
            last = onward(last, rows[-1][0])

    def _messages(self, rows: list[tuple[int, str]]) -> list[dict[str, Any]]:
        # A page at a time: a guard around each message would take as long as parsing it.
        with making_sense(self.path):
            return [as_message(message) for _, message in rows]

    def history_of(
        self,
        profile: str,
        group_key: str | None = None,
        *,
        shipped_only: bool = False,
        stop: Callable[[], bool] = never,
    ) -> tuple[Baseline | None, list[tuple[int, str]]]:
        """Return one profile's parts of `baseline` and of `history`: the latter's numbers, and messages as JSON.

        All entries are looked through for those of the profile, in short reads: a tenth of a second for a million.
        What they are is then read at one moment.

        Args:
            profile: The profile's or group's id.
            group_key: A group's key; None for a user's profile.
            shipped_only: Leave out what is still to be sent.
            stop: Asked between reads; once it returns True, some of the history is returned.
        """
        numbers = self.numbers_of(profile, group_key, stop=stop)
        with self._snapshot():
            kept, rows = self.baseline_of(profile, group_key), self.rows_of(numbers, stop)
        shipped = [row for row in rows if row.state == State.SHIPPED]
        shipped.sort(key=lambda row: (row.attempt or 0, row.seq))
        unsent = [row for row in rows if row.state in UNSENT and not shipped_only]
        return kept, [(row.seq, row.message) for row in (*shipped, *unsent)]

    # --- pruned entries

    def pruned(self) -> dict[State, int]:
        """Return how many entries of each state were pruned and are still counted; states without any are left out."""
        states = {state.value for state in State}
        with making_sense(self.path):
            return {
                State(account): int(n) for account, n in self._all(sql.PRUNED_BY_STATE) if account in states
            }

    def baseline(self) -> Iterator[Baseline]:
        """Yield profiles as their pruned entries left them, in the order in which they were created.

        `history` continues from there.
        """
        last = 0
        while rows := self._all(sql.BASELINE, (last, _PAGE)):
            with making_sense(self.path):
                several = [as_baseline(row) for _, *row in rows]
            yield from several
            last = onward(last, rows[-1][0])

    def baseline_counts(
        self, before: int | None = None, limit: int = 10_000
    ) -> list[tuple[int, ProfileCount]]:
        """Return a page of the profiles of which entries were pruned, with how many: the last created first.

        Args:
            before: Read on from the row of this place, the last one of a page.
            limit: The most profiles.
        """
        rows = self._all(sql.BASELINE_COUNTS, (2**62 if before is None else before, limit))
        return [(id_, make(ProfileCount, row, latest=0)) for id_, *row in rows]

    def baseline_of(self, profile: str, group_key: str | None = None) -> Baseline | None:
        """Return one profile's part of `baseline`; None if nothing of it was pruned."""
        rows = self._all(sql.BASELINE_OF_PROFILE, (profile, _lane_of_profile(group_key), group_key))
        with making_sense(self.path):
            return as_baseline(rows[0]) if rows else None

    def unpruned(self, read: Callable[[], Made]) -> Made:
        """Return the result of several reads between which nothing is pruned or forgotten.

        `read` is called again if something was, and at last with all of its reads at one moment: for that long, the
        write-ahead log cannot be moved into the file. So it must not keep results of an earlier call.

        >>> import pathlib, tempfile
        >>> from restante import JournalReader, Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     recorder.people_set("ada", {"plan": "pro"})
        >>> with JournalReader(path) as reader:
        ...     reader.unpruned(lambda: (list(reader.baseline()), len(list(reader.history()))))
        ([], 1)
        """
        for _ in range(_TRIES):
            before = self._all(sql.PRUNED_OR_FORGOTTEN)
            made = read()
            if self._all(sql.PRUNED_OR_FORGOTTEN) == before:
                return made
        with self._snapshot():
            return read()


def _lane_of_profile(group_key: str | None) -> Lane:
    return Lane.PEOPLE if group_key is None else Lane.GROUPS
