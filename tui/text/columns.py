"""Widths of the table's columns: the long ones shrink first, then SUMMARY goes, then AGE. Pure."""

from dataclasses import dataclass

from tui.text.cells import fitted
from tui.text.format import age
from tui.text.rows import Row
from tui.text.states import LOOKS

__all__ = ["Columns", "columns_for"]

_AGE = 5
_OPERATOR = 9
_STATE = 12
_LEAST_PROFILE = 10
_LEAST_SUMMARY = 12
_GAP = 2
_MARK = 1


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns' widths in cells; 0 leaves one out."""

    seq: int
    age: int
    owner: int
    operator: int
    summary: int
    state: int

    def heads(self) -> str:
        """Return the line above the table."""
        return self._line(" ", "SEQ", "AGE", "PROFILE", "OP", "SUMMARY") + " " * _GAP + "STATE"

    def cells(self, row: Row, now: float, *, mark: str) -> tuple[str, str]:
        """Return a row's line up to its state, and its state."""
        look = LOOKS[row.state]
        when = age(max(0.0, now - row.recorded_at), short=True)
        line = self._line(mark, f"{row.seq:,}", when, row.owner, row.operator, row.summary)
        return line + " " * _GAP, fitted(look.mark + row.marks, self.state)

    def _line(self, mark: str, *cells: str) -> str:
        widths = (self.seq, self.age, self.owner, self.operator, self.summary)
        parts = [
            fitted(cell, width, right=place < 2)  # noqa: PLR2004  # numbers and ages
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
            if width
        ]
        return mark + (" " * _GAP).join(parts)


def columns_for(width: int, highest: int) -> Columns:
    """Return the columns of a table.

    Args:
        width: Its cells.
        highest: The highest number in it.
    """
    seq = max(len(f"{highest:,}"), 3)
    state = _STATE
    space = width - _MARK - seq - _OPERATOR - state - 3 * _GAP
    ages = _AGE
    left = space - ages - _GAP
    if left < _LEAST_PROFILE:
        return Columns(seq, 0, max(space, 1), _OPERATOR, 0, state)
    if left < _LEAST_PROFILE + _GAP + _LEAST_SUMMARY:
        return Columns(seq, ages, left, _OPERATOR, 0, state)
    owner = min(max((left - _GAP) * 2 // 5, _LEAST_PROFILE), 40)
    return Columns(seq, ages, owner, _OPERATOR, left - _GAP - owner, state)
