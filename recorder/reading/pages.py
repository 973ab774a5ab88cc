"""Pages of entries by their numbers, in both directions, in reads that stay short however large the journal is.

A filter may match few of a million entries. What looks for them reads a slice of numbers at a time, so that no
read keeps a writer from truncating its log, and whoever asked can stop in between. States that set entries
aside have an index; it gives their numbers, and nothing is scanned.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from recorder.journal.accounts import SET_ASIDE
from recorder.model.entries import State
from recorder.model.filters import Where
from recorder.model.operations import Lane

__all__ = ["COLUMNS", "Direction", "Query", "count", "page"]

Read = Callable[[str, Sequence[Any]], list[Any]]
"""One statement, fetched whole."""

_SLICE = 20_000  # numbers a read looks through: some milliseconds, some tens where a word looks into messages
_CHOSEN = 1_000  # numbers from the index that a read looks at

COLUMNS = """
seq, lane, group_key, profile, operator, message, recorded_at, state, attempt, sends, reason, possibly_twice, hazardous,
out_of_order
"""
# Each on its own: asked for together SQLite looks through all entries.
_ENDS = "SELECT (SELECT min(seq) FROM entries), (SELECT max(seq) FROM entries)"
_FROM_SLICE = """
SELECT {columns} FROM entries_with_state WHERE {where} AND seq BETWEEN ? AND ? ORDER BY seq {order} LIMIT ?
"""
_COUNT_SLICE = "SELECT count(*) FROM entries_with_state WHERE {where} AND seq BETWEEN ? AND ?"
_FROM_NUMBERS = """
SELECT {columns} FROM entries_with_state WHERE seq IN (SELECT value FROM json_each(?)) AND {where} ORDER BY seq {order}
"""
# One state and lane at a time: only then does the index give numbers in order.
_NUMBERS_OF = f"""
SELECT seq FROM (SELECT seq FROM entries WHERE state = ? AND {SET_ASIDE} AND lane = ? AND seq {{sign}} ?
                  ORDER BY seq {{order}} LIMIT ?)
"""
_STATE_IN = "({where}) AND state IN (SELECT value FROM json_each(?))"

_INDEXED = frozenset(State) - {State.PENDING, State.SHIPPED, State.SENDING}


class Direction(NamedTuple):
    """Which way a page goes: `OLDER` or `NEWER`."""

    order: str
    sign: str


OLDER = Direction("DESC", "<")
NEWER = Direction("ASC", ">")


class Query(NamedTuple):
    """What is looked for.

    Attributes:
        where: The filter.
        states: Only these states; none means any.
    """

    where: Where
    states: frozenset[State]

    @property
    def indexed(self) -> bool:
        """Whether an index knows the numbers."""
        return bool(self.states) and self.states <= _INDEXED

    @property
    def condition(self) -> Where:
        """Filter and states as one."""
        if not self.states:
            return self.where
        names = json.dumps(sorted(self.states))
        return Where(_STATE_IN.format(where=self.where.sql), (*self.where.parameters, names))


def page(
    read: Read, query: Query, direction: Direction, *, than: int | None, limit: int, stop: Callable[[], bool]
) -> list[Any]:
    """Rows of the entries beyond a number, nearest first."""
    spans = _indexed(read, query, direction, than) if query.indexed else _slices(read, query, direction, than)
    condition = query.condition
    rows: list[Any] = []
    for span in spans:
        if stop():
            break
        sql = (_FROM_SLICE if isinstance(span, range) else _FROM_NUMBERS).format(
            columns=COLUMNS, where=condition.sql, order=direction.order
        )
        if isinstance(span, range):
            rows += read(sql, (*condition.parameters, span[0], span[-1], limit - len(rows)))
        else:
            rows += read(sql, (json.dumps(span), *condition.parameters))
        if len(rows) >= limit:
            break
    return rows[:limit]


def count(read: Read, query: Query, stop: Callable[[], bool]) -> int | None:
    """How many entries match; None where it was stopped."""
    total = 0
    condition = query.condition
    spans = (
        _indexed(read, query, OLDER, None)
        if query.indexed
        else _slices(read, query, OLDER, None, whole=False)
    )
    for span in spans:
        if stop():
            return None
        if isinstance(span, range):
            sql = _COUNT_SLICE.format(where=condition.sql)
            total += read(sql, (*condition.parameters, span[0], span[-1]))[0][0]
        else:
            sql = _FROM_NUMBERS.format(columns="seq", where=condition.sql, order="DESC")
            total += len(read(sql, (json.dumps(span), *condition.parameters)))
    return total


def _slices(
    read: Read, query: Query, direction: Direction, than: int | None, *, whole: bool = True
) -> Iterator[range]:
    """Ranges of numbers that together hold every one beyond `than`."""
    ((lowest, highest),) = read(_ENDS, ())
    if lowest is None:
        return
    # What holds for every entry fills its page from the nearest numbers, however many lie behind.
    size = highest - lowest + 1 if whole and query.condition.sql == "1" else _SLICE
    if direction is OLDER:
        top = highest if than is None else min(than - 1, highest)
        for last in range(top, lowest - 1, -size):
            yield range(max(last - size + 1, lowest), last + 1)
    else:
        bottom = lowest if than is None else max(than + 1, lowest)
        for first in range(bottom, highest + 1, size):
            yield range(first, min(first + size, highest + 1))


def _indexed(read: Read, query: Query, direction: Direction, than: int | None) -> Iterator[list[int]]:
    """Numbers beyond `than` in the order of the direction, some at a time."""
    one = _NUMBERS_OF.format(sign=direction.sign, order=direction.order)
    pairs = [(state, lane) for state in sorted(query.states) for lane in Lane]
    sql = f"{' UNION ALL '.join([one] * len(pairs))} ORDER BY seq {direction.order} LIMIT ?"
    at = than if than is not None else (2**62 if direction is OLDER else 0)
    while True:
        parameters = [value for state, lane in pairs for value in (state, lane, at, _CHOSEN)]
        numbers = [seq for (seq,) in read(sql, (*parameters, _CHOSEN))]
        if not numbers:
            return
        yield numbers
        at = numbers[-1]
