"""Attempts: the requests that carried entries; failed entries and attempts, grouped by their error texts.

All reads stay short. Entries that are set aside have an index by state and lane: their numbers come from it a slice at
a time, and shipped entries are never looked at.
"""

import json
from collections.abc import Callable
from typing import Any

from recorder.journal.opening import making_sense, onward
from recorder.model.entries import AttemptOutcome, State
from recorder.model.operations import Lane
from recorder.model.reports import Attempt, AttemptGroup, FailureGroup
from recorder.reading import statements as sql
from recorder.reading.entries import EntryReader
from recorder.reading.rows import as_attempt, make
from recorder.reading.source import Read, never

__all__ = ["AttemptReader"]

_SLICE = 20_000  # rows a read looks through: some milliseconds
_MOST_GROUPS = 1_000  # texts may have a number of their own each time; the rest is one group

_FAILED = (State.REJECTED, State.IN_DOUBT, State.LOST)
_REST = "other words"


class AttemptReader(EntryReader):
    """The attempts of a journal."""

    def attempts(
        self, seq: int | None = None, *, before: int | None = None, limit: int = 100
    ) -> list[Attempt]:
        """Return the attempts that carried an entry, oldest first; without a number the latest, newest first.

        Args:
            seq: The entry's number.
            before: Of the latest, only those below this id, to read on from the last one of a page.
            limit: The most of the latest.
        """
        if seq is None:
            rows = self._all(sql.LATEST_ATTEMPTS, (2**62 if before is None else before, limit))
        else:
            entry = self.entry(seq)
            if entry is None:
                return []
            known: dict[str, Any] = {
                "lane": entry.lane,
                "seq": seq,
                "attempt": entry.attempt,
                "sends": entry.sends,
            }
            rows = self._all(sql.ATTEMPTS_OF_ENTRY, known)
        with making_sense(self.path):
            return [as_attempt(row) for row in rows]

    def carried_by(self, attempt: int) -> list[int] | None:
        """Return the numbers of the entries that an attempt carried; None if that is no longer known.

        Picked entries are noted, and accepted ones know their attempt. Of a range that failed it is known if
        nothing in it was passed over.
        """
        rows = self._all(sql.CARRIED_BY, (attempt,))
        if not rows:
            return None
        lane, first, last, entries, picked, outcome = rows[0]
        if picked is not None:
            with making_sense(self.path):
                return [int(seq) for seq in json.loads(picked)]
        whole = outcome != AttemptOutcome.SHIPPED
        numbers = [seq for (seq,) in self._all(sql.NUMBERS_CARRIED, (first, last, lane, whole, attempt))]
        return numbers if len(numbers) == entries else None

    def failures(self, *, stop: Callable[[], bool] = never) -> list[FailureGroup]:
        """Return rejected, in-doubt and lost entries, grouped by state and error text; the largest group first.

        Several short reads; beyond a thousand different texts the rest is counted together.

        Args:
            stop: Asked between reads; once it returns True, the groups found so far are returned.
        """
        with making_sense(self.path):
            return _failure_groups(self._all, stop)

    def failed_attempts(self, *, stop: Callable[[], bool] = never) -> list[AttemptGroup]:
        """Return failed attempts, grouped by error text; the latest group first. See `failures`."""
        with making_sense(self.path):
            return _attempt_groups(self._all, stop)


def _failure_groups(read: Read, stop: Callable[[], bool]) -> list[FailureGroup]:
    """Return entries that failed, by state and text, the largest group first."""
    found: dict[tuple[State, str, int | None], list[Any]] = {}
    for state in _FAILED:
        for lane in Lane:
            at = 0
            while not stop():
                rows = read(sql.FAILURES, (state, lane, at, _SLICE))
                for words, status, *sums in rows:
                    _merge(found, (state, words, status), (state, _REST, None), sums)
                if sum(row[2] for row in rows) < _SLICE:
                    break
                at = onward(at, max(row[6] for row in rows))
    full = len(found) >= _MOST_GROUPS
    groups = [
        make(FailureGroup, (*key, *sums), rest=full and key[1:] == (_REST, None))
        for key, sums in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.entries, group.first))


def _attempt_groups(read: Read, stop: Callable[[], bool]) -> list[AttemptGroup]:
    """Return attempts that failed, by outcome and text, the latest group first."""
    found: dict[tuple[str, str, str, int | None], list[Any]] = {}
    ((lowest, highest),) = read(sql.ATTEMPT_ENDS)
    for first in range(lowest, highest + 1, _SLICE):
        if stop():
            break
        for lane, outcome, words, status, *sums in read(sql.FAILED_ATTEMPTS, (first, first + _SLICE - 1)):
            _merge(found, (lane, outcome, words, status), (lane, outcome, _REST, None), sums)
    groups = [
        make(AttemptGroup, (*key, *sums), lane=Lane(key[0]), outcome=AttemptOutcome(key[1]))
        for key, sums in found.items()
    ]
    return sorted(groups, key=lambda group: -group.last_at)


def _merge(found: dict[Any, list[Any]], key: Any, rest: Any, sums: list[Any]) -> None:
    """Add a count, then pairs of a lowest and a highest value, to the group of a key."""
    if key not in found and len(found) >= _MOST_GROUPS:
        key = rest
    before = found.setdefault(key, sums)
    if before is not sums:
        pairs = enumerate(zip(before[1:], sums[1:], strict=True))
        ends = [max(pair) if place % 2 else min(pair) for place, pair in pairs]
        found[key] = [before[0] + sums[0], *ends]
