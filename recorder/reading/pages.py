"""Pages of entries by their numbers, in both directions, in reads that stay short however large the journal is.

A filter may match few of a million entries. The search reads a slice of numbers at a time, so that no read keeps a
writer from truncating its log, and the caller can stop in between. States that set entries aside have an index:
the numbers come from it, and nothing is scanned.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from recorder.journal.entries import INDEXED
from recorder.journal.opening import onward
from recorder.model.entries import State
from recorder.model.filters import Where
from recorder.model.operations import Lane
from recorder.reading import statements as sql
from recorder.reading.source import Read

__all__ = ["NEWER", "OLDER", "Direction", "Query", "count", "page", "runs"]

_SLICE = 20_000  # numbers a read looks through: some milliseconds, some tens where a word looks into messages
_CHOSEN = 1_000  # numbers from the index that a read looks at


class Direction(NamedTuple):
    """The direction of a page: `OLDER` or `NEWER`."""

    order: str
    sign: str


OLDER = Direction("DESC", "<")
NEWER = Direction("ASC", ">")


class Query(NamedTuple):
    """A filter, and the states an entry may be in.

    Attributes:
        where: The filter.
        states: Only these states; none means any.
    """

    where: Where
    states: frozenset[State]

    @property
    def indexed(self) -> frozenset[State]:
        """States of all entries that match, if an index knows their numbers."""
        named = {self.where.state} if self.where.state is not None else set()
        states = self.states or frozenset(named)
        return states if states <= INDEXED else frozenset()

    @property
    def condition(self) -> Where:
        """Filter and states as one condition."""
        if not self.states:
            return self.where
        names = json.dumps(sorted(self.states))
        return Where(f"({self.where.sql}) AND {sql.STATE_IN}", (*self.where.parameters, names))


def page(
    read: Read, query: Query, direction: Direction, *, than: int | None, limit: int, stop: Callable[[], bool]
) -> list[Any]:
    """Return rows of the entries beyond a number, nearest first; those found so far once `stop` says so."""
    rows: list[Any] = []
    for condition, values in _spans(read, query, direction, than):
        if stop():
            break
        rows += read(sql.entries(condition, direction.order), (*values, limit - len(rows)))
        if len(rows) >= limit:
            break
    return rows


def count(read: Read, query: Query, stop: Callable[[], bool]) -> int | None:
    """Count the entries that match; None if it was stopped."""
    total = 0
    for condition, values in _spans(read, query, OLDER, None, whole=False):
        if stop():
            return None
        total += read(sql.number(condition), values)[0][0]
    return total


def runs(read: Read, query: Query, stop: Callable[[], bool]) -> Iterator[tuple[int, int]]:
    """Yield first and last of consecutive numbers that match, ascending; those found so far once `stop` says so."""
    for condition, values in _spans(read, query, NEWER, None, whole=False):
        if stop():
            return
        yield from read(sql.runs(condition), values)


def _spans(
    read: Read, query: Query, direction: Direction, than: int | None, *, whole: bool = True
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield conditions, with their values, for a part of the matches each: all beyond `than`, in that direction.

    The parts are slices of numbers, or numbers from the index.
    """
    condition = query.condition
    spans: Iterator[tuple[str, tuple[Any, ...]]]
    if query.indexed:
        spans = ((sql.AMONG, (json.dumps(numbers),)) for numbers in _from_index(read, query, direction, than))
    else:
        # An empty filter fills its page from the nearest numbers, however many there are beyond.
        slices = _slices(read, query.where, direction, than, whole=whole and condition.sql == "1")
        spans = ((sql.IN_SLICE, (span[0], span[-1])) for span in slices)
    return ((f"{condition.sql} AND {span}", (*condition.parameters, *values)) for span, values in spans)


def _slices(
    read: Read, where: Where, direction: Direction, than: int | None, *, whole: bool
) -> Iterator[range]:
    ((lowest, highest),) = read(sql.ENDS)
    if lowest is None:
        return
    lowest, highest = max(lowest, where.first), min(highest, where.last)
    size = highest - lowest + 1 if whole else _SLICE
    if direction is OLDER:
        top = highest if than is None else min(than - 1, highest)
        for last in range(top, lowest - 1, -size):
            yield range(max(last - size + 1, lowest), last + 1)
    else:
        bottom = lowest if than is None else max(than + 1, lowest)
        for first in range(bottom, highest + 1, size):
            yield range(first, min(first + size, highest + 1))


def _from_index(read: Read, query: Query, direction: Direction, than: int | None) -> Iterator[list[int]]:
    one = sql.numbers_set_aside(direction.order, direction.sign)
    pairs = [(state, lane) for state in sorted(query.indexed) for lane in Lane]
    statement = f"{' UNION ALL '.join([one] * len(pairs))} ORDER BY seq {direction.order} LIMIT ?"
    at = than if than is not None else (2**62 if direction is OLDER else 0)
    while True:
        parameters = [value for state, lane in pairs for value in (state, lane, at, _CHOSEN)]
        numbers = [seq for (seq,) in read(statement, (*parameters, _CHOSEN))]
        if not numbers:
            return
        yield numbers
        way = 1 if direction is NEWER else -1
        at = way * onward(way * at, way * numbers[-1])
