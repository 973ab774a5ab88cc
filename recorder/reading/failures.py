"""What went wrong, grouped by the words it went wrong with, in reads that stay short however much did.

Entries that are set aside have an index by state and lane: their numbers come from it a slice at a time, and what
is shipped is never looked at.
"""

from collections.abc import Callable, Sequence
from typing import Any

from recorder.journal.accounts import SET_ASIDE
from recorder.model.entries import AttemptOutcome, State
from recorder.model.operations import Lane
from recorder.model.reports import AttemptGroup, FailureGroup

__all__ = ["attempt_groups", "failure_groups"]

Read = Callable[[str, Sequence[Any]], list[Any]]
"""One statement, fetched whole."""

_SLICE = 20_000  # rows a read looks through: some milliseconds
_MOST_GROUPS = 1_000  # words may hold a number of their own each time; the rest is one group

_FAILED = (State.REJECTED, State.IN_DOUBT, State.LOST)

# By the same words and status that the filter language takes, `error==` and `status=`.
_FAILURES = f"""
SELECT coalesce(chosen.reason, attempts.words, ''), attempts.status, count(*),
       min(coalesce(attempts.ended_at, chosen.recorded_at)), max(coalesce(attempts.ended_at, chosen.recorded_at)),
       min(chosen.seq), max(chosen.seq)
  FROM (SELECT seq, reason, attempt, recorded_at FROM entries
         WHERE state = ? AND {SET_ASIDE} AND lane = ? AND seq > ? ORDER BY seq LIMIT ?) AS chosen
  LEFT JOIN attempts ON attempts.id = chosen.attempt
 GROUP BY 1, 2
"""
_FAILED_ATTEMPTS = """
SELECT lane, outcome, words, status, sum(times), min(started_at), max(coalesce(ended_at, started_at)), max(id)
  FROM attempts WHERE outcome IS NOT NULL AND outcome != 'shipped' AND id BETWEEN ? AND ?
 GROUP BY lane, outcome, words, status
"""
_ATTEMPT_ENDS = "SELECT min(id), max(id) FROM attempts"
_REST = "other words"


def failure_groups(read: Read, stop: Callable[[], bool]) -> list[FailureGroup]:
    """Entries that failed by state and words, the largest group first."""
    found: dict[tuple[State, str, int | None], list[Any]] = {}
    for state in _FAILED:
        for lane in Lane:
            at = 0
            while not stop():
                rows = read(_FAILURES, (state, lane, at, _SLICE))
                for words, status, *sums in rows:
                    _merge(found, (state, words, status), (state, _REST, None), sums)
                if sum(row[2] for row in rows) < _SLICE:
                    break
                at = max(row[6] for row in rows)
    groups = [
        FailureGroup(
            state=state,
            words=words,
            status=status,
            entries=entries,
            first_at=first_at,
            last_at=last_at,
            first=first,
            last=last,
            rest=len(found) >= _MOST_GROUPS and (words, status) == (_REST, None),
        )
        for (state, words, status), (entries, first_at, last_at, first, last) in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.entries, group.first))


def attempt_groups(read: Read, stop: Callable[[], bool]) -> list[AttemptGroup]:
    """Attempts that did not go through by outcome and words, the latest group first."""
    found: dict[tuple[str, str, str, int | None], list[Any]] = {}
    ((lowest, highest),) = read(_ATTEMPT_ENDS, ())
    for first in range(lowest or 1, (highest or 0) + 1, _SLICE):
        if stop():
            break
        for lane, outcome, words, status, times, *sums in read(_FAILED_ATTEMPTS, (first, first + _SLICE - 1)):
            key = (lane, outcome, words, status)
            _merge(found, key, (lane, outcome, _REST, None), [times, sums[0], sums[1], sums[2], sums[2]])
    groups = [
        AttemptGroup(
            lane=Lane(lane),
            outcome=AttemptOutcome(outcome),
            words=words,
            status=status,
            attempts=attempts,
            first_at=first_at,
            last_at=last_at,
        )
        for (lane, outcome, words, status), (attempts, first_at, last_at, *_) in found.items()
    ]
    return sorted(groups, key=lambda group: -group.last_at)


def _merge(found: dict[Any, list[Any]], key: Any, rest: Any, sums: list[Any]) -> None:
    if key not in found and len(found) >= _MOST_GROUPS:
        key = rest
    if key not in found:
        found[key] = list(sums)
        return
    before = found[key]
    found[key] = [
        before[0] + sums[0],
        min(before[1], sums[1]),
        max(before[2], sums[2]),
        min(before[3], sums[3]),
        max(before[4], sums[4]),
    ]
