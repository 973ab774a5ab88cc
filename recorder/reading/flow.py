"""Recording and shipping in the last hours, from the times that the journal keeps.

No index knows times. Numbers go up with them: so the first entry of each slice is found by halving, in some twenty
reads by key, and what was pruned is counted by its number.
"""

import sqlite3
from bisect import bisect_left
from collections import Counter
from itertools import pairwise

from recorder.journal.opening import making_sense
from recorder.model.reports import Flow
from recorder.reading import statements as sql
from recorder.reading.source import Source

__all__ = ["FlowReader"]

_DAY = 86_400.0
_SLICES = 48
_LATELY = 300.0  # seconds


class FlowReader(Source):
    """The flow of entries into a journal, and to the service."""

    def flow(self) -> Flow:
        """Return recording and shipping in the last 24 hours, by the half-hour."""
        now = self._clock()
        begins = [now - _DAY + place * _DAY / _SLICES for place in range(_SLICES)]
        with self._snapshot() as connection, making_sense(self.path):
            ((highest,),) = connection.execute(sql.HIGHEST)
            *firsts, lately = _firsts(connection, sql.RECORDED_SINCE, highest, [*begins, now - _LATELY])
            shipped, shipped_lately = _shipped(connection, begins[0], now)
        return Flow(
            seconds=_DAY,
            recorded=tuple(last - first for first, last in pairwise([*firsts, highest + 1])),
            shipped=tuple(shipped[place] for place in range(_SLICES)),
            lately=(highest + 1 - lately, shipped_lately),
        )


def _firsts(connection: sqlite3.Connection, statement: str, highest: int, moments: list[float]) -> list[int]:
    """Return the lowest number at each of some moments or after it; they go up."""

    def time_of(number: int) -> float:
        ((found,),) = connection.execute(statement, (number,))
        return float(found)

    found = [1]
    for moment in moments:
        found.append(found[-1] + bisect_left(range(found[-1], highest + 1), moment, key=time_of))
    return found[1:]


def _shipped(connection: sqlite3.Connection, begin: float, now: float) -> tuple[Counter[int], int]:
    """Return how many entries were accepted in each slice since a moment, and lately."""
    ((highest,),) = connection.execute(sql.LAST_ATTEMPT)
    (first,) = _firsts(connection, sql.ATTEMPTED_SINCE, highest, [begin])
    slices: Counter[int] = Counter()
    lately = 0
    for place, entries, late in connection.execute(
        sql.SHIPPED_SINCE, (begin, _DAY / _SLICES, now - _LATELY, first, begin)
    ):
        slices[min(place, _SLICES - 1)] += entries
        lately += late
    return slices, lately
