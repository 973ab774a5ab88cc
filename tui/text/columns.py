"""Layout of the journal: the place of the detail, and the columns of the table. Pure.

A wider window never shows less: each column is at least as wide as in a narrower one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from tui.config import COLUMNS
from tui.text.cells import fitted, middle_cut
from tui.text.format import age
from tui.text.rows import Row
from tui.text.states import LOOKS

__all__ = ["Columns", "Place", "columns_for", "detail_place", "detail_size"]

Place = Literal["beside", "below", "instead", ""]
"""Place of the detail: beside the table, below it, in its place, or nowhere."""

_BESIDE = 140  # cells from which the detail stands beside the table
_BELOW = 16  # lines from which it stands below the table
_TALL = 28  # lines from which it does so unless it is hidden
_LEAST_DETAIL = 42  # cells

_AGE = 5
_STATE = 14  # "⊘ discarded x2"
_MARKS = 5  # " late"
_OWNER = 10
_MOST_OWNER = 36
_LEAST_SUMMARY = 4
_SUMMARY = 12  # before the profile gets more
_LONG_SUMMARY = 48  # before the marks of the state get their space
_GAP = 2
_MARK = 1


def detail_place(width: int, height: int, *, shown: bool | None, entered: bool) -> Place:
    """Return where the detail stands.

    Args:
        width: Cells of table and detail.
        height: Their lines.
        shown: It is to be shown, or not; None: as there is space.
        entered: The person is in it.

    >>> [detail_place(width, height, shown=None, entered=False) for width, height in ((140, 20), (120, 32), (80, 20))]
    ['beside', 'below', '']
    >>> [detail_place(80, height, shown=True, entered=True) for height in (20, 12)]
    ['below', 'instead']
    """
    if width >= _BESIDE:
        return "beside" if shown is not False or entered else ""
    if height >= _BELOW:
        return "below" if shown or entered or (shown is None and height >= _TALL) else ""
    return "instead" if entered else ""


def detail_size(place: Place, width: int, height: int, *, entered: bool) -> tuple[int, int]:
    """Return width and height of the detail in cells and lines; one that was entered has more lines."""
    if place == "beside":
        return _LEAST_DETAIL + (width - _BESIDE) * 2 // 5, height
    return width, height * (6 if entered else 4) // 10 if place == "below" else height


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns' widths in cells, in the order of their importance; 0 leaves one out."""

    seq: int
    age: int
    state: int
    owner: int
    summary: int

    def heads(self) -> str:
        """Return the line above the table."""
        return " " + "".join(self._cells("SEQ", "AGE", "STATE", "PROFILE", "SUMMARY"))

    def cells(self, row: Row, now: float, *, mark: str) -> tuple[str, str, str]:
        """Return a row's line up to its state, its state, and the rest."""
        when = age(max(0.0, now - row.recorded_at), short=True)
        state = LOOKS[row.state].mark + row.marks
        owner = middle_cut(row.owner, self.owner)
        seq, when, state, *rest = self._cells(f"{row.seq:,}", when, state, owner, row.summary)
        return mark + seq + when, state, "".join(rest)

    def _cells(self, *cells: str) -> list[str]:
        widths = (self.seq, self.age, self.state, self.owner, self.summary)
        return [
            " " * (_GAP if width and place else 0) + fitted(cell, width, right=place < 2)  # noqa: PLR2004  # numbers
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]


def columns_for(width: int, highest: int, names: Collection[str] = COLUMNS) -> Columns:
    """Return the columns of a table.

    Args:
        width: Its cells.
        highest: The highest number in it.
        names: The columns that a person wants, of `tui.config.COLUMNS`; the number is always one.
    """
    seq = max(len(f"{highest:,}"), 3)
    when, state = _AGE * ("age" in names), _STATE * ("state" in names)
    space = max(width - _MARK - seq - sum(one + _GAP for one in (when, state) if one) - _GAP, 1)
    if "profile" not in names:
        return Columns(seq, when, state, 0, space * ("summary" in names))
    owner = min(space, _OWNER)
    summary = space - owner - _GAP
    if summary < _LEAST_SUMMARY or "summary" not in names:
        return Columns(seq, when, state, owner if "summary" in names else space, 0)
    more = min(max(summary - _SUMMARY, 0) // 3, _MOST_OWNER - _OWNER)
    marks = min(max(summary - more - _LONG_SUMMARY, 0) // 2, _MARKS)
    marks *= bool(state)
    return Columns(seq, when, state + marks, owner + more, summary - more - marks)
