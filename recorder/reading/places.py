"""The place of an entry among those that are kept, and the entry at a place: for tables and their scroll bars.

Numbers have no gaps until something is pruned. Mostly the lowest shipped numbers go then, and rejected or waiting
entries stay between them: no sum tells a place. So the rows are counted once, a bounded number at a time, and only
every ten thousandth number is remembered.
"""

import threading
from bisect import bisect_right

from recorder.journal.opening import onward
from recorder.reading import statements as sql
from recorder.reading.source import Read

__all__ = ["Places"]

_STEP = 10_000  # rows that a read counts: about a millisecond


class Places:
    """The places of a journal's entries, 1 for the oldest that is kept. Safe for threads."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._pruned = 0
        self._marks: list[int] = []  # the numbers at the places 1, 2, 3 … times the step

    def place(self, seq: int) -> int:
        """Return how many entries that are kept have this number or a lower one."""
        marks = self._survey()
        if marks is None:
            return seq
        at = bisect_right(marks, seq)
        ((behind,),) = self._read(sql.PLACES_BETWEEN, (marks[at - 1] if at else 0, seq))
        return at * _STEP + int(behind)

    def number(self, place: int) -> int | None:
        """Return the number at a place; None if there are fewer entries."""
        marks = self._survey()
        if marks is None:
            return place
        at = min((place - 1) // _STEP, len(marks))
        rows = self._read(sql.PLACES_BEHIND, (marks[at - 1] if at else 0, place - 1 - at * _STEP))
        return int(rows[0][0]) if rows else None

    def _survey(self) -> tuple[int, ...] | None:
        """Return the marks as they are now; None if nothing was ever pruned."""
        with self._lock:
            ((pruned,),) = self._read(sql.PLACES_PRUNED)
            if not pruned:
                return None
            if pruned != self._pruned:
                self._pruned, self._marks = pruned, []
            while True:
                last = self._marks[-1] if self._marks else 0
                ((count, highest),) = self._read(sql.PLACES_STEP, (last, _STEP))
                if count < _STEP:
                    return tuple(self._marks)
                self._marks.append(onward(last, int(highest)))
