"""Where entries stand among those that are kept, and which one stands at a place: for tables and their scroll bars.

Numbers have no gaps until something is pruned. What was shipped goes then, mostly the lowest numbers, and what was
rejected or waits stays between them wherever it was: no sum tells a place. So the rows are counted once, a bounded
number at a time, and only every so manyth number is remembered.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Places"]

Read = Callable[[str, Sequence[Any]], list[Any]]
"""One statement, fetched whole."""

_STEP = 10_000  # rows that a read counts: about a millisecond

_PRUNED = "SELECT coalesce(sum(pruned), 0) FROM counters"
_NEXT = "SELECT count(*), max(seq) FROM (SELECT seq FROM entries WHERE seq > ? ORDER BY seq LIMIT ?)"
_BETWEEN = "SELECT count(*) FROM entries WHERE seq > ? AND seq <= ?"
_BEHIND = "SELECT seq FROM entries WHERE seq > ? ORDER BY seq LIMIT 1 OFFSET ?"


class Places:
    """The places of a journal's entries, 1 for the oldest that is kept. Safe for threads.

    Args:
        read: A statement of the journal.
    """

    def __init__(self, read: Callable[..., list[Any]]) -> None:
        self._read = read
        self._turn = threading.Lock()
        self._pruned = 0
        self._marks: list[int] = []  # the numbers at the places 1, 2, 3 … times the step

    def place(self, seq: int) -> int:
        """How many entries that are kept have this number or a lower one."""
        marks = self._survey()
        if marks is None:
            return seq
        at = bisect_right(marks, seq)
        ((behind,),) = self._read(_BETWEEN, (marks[at - 1] if at else 0, seq))
        return at * _STEP + int(behind)

    def number(self, place: int) -> int | None:
        """The number at a place; None where there is none."""
        marks = self._survey()
        if marks is None:
            return place
        at = min((place - 1) // _STEP, len(marks))
        rows = self._read(_BEHIND, (marks[at - 1] if at else 0, place - 1 - at * _STEP))
        return int(rows[0][0]) if rows else None

    def _survey(self) -> tuple[int, ...] | None:
        """The marks as they are now; None where nothing was ever pruned."""
        with self._turn:
            ((pruned,),) = self._read(_PRUNED)
            if not pruned:
                return None
            if pruned != self._pruned:
                self._pruned, self._marks = pruned, []
            while True:
                last = self._marks[-1] if self._marks else 0
                ((count, highest),) = self._read(_NEXT, (last, _STEP))
                if count < _STEP:
                    return tuple(self._marks)
                self._marks.append(int(highest))
