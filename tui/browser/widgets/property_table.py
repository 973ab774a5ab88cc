"""The properties of the open profile: two states side by side, marked where they differ, and who wrote what."""

from collections.abc import Sequence

from tui.browser.widgets.lines import Cell, Lines
from tui.text.cells import fitted
from tui.text.format import clipped, printable
from tui.text.standpoint import PropertyRow, Standpoint
from tui.text.states import LOOKS

__all__ = ["PropertyTable", "match_of"]

_WRITER = 30  # cells of the entry that wrote a property, with its operator and state
_SHORT_WRITER = 12  # with its number and state's glyph only
_WIDE, _NARROW = 76, 44  # cells from which the long, and any, is shown
_STYLES = {"~": "$text-warning", "+": "$text-success", "-": "$text-error", " ": ""}
_GAP = "  "
_PRUNED, _PRUNED_SHORT = "before what is kept", "pruned"
_ABSENT = "\u2013"  # a dash: no JSON value looks like it


class PropertyTable(Lines[PropertyRow]):
    """The table. The cursor stays on its property when another moment is shown."""

    def __init__(self) -> None:
        super().__init__("properties")
        self.shown: Standpoint | None = None

    def show(self, standpoint: Standpoint | None) -> None:
        """Show a profile at a moment."""
        row = self.current
        self.shown = standpoint
        self.rows = standpoint.rows if standpoint is not None else ()
        self.empty = " …" if standpoint is None else f" {standpoint.nothing or 'It has no properties.'}"
        self.put(standpoint.row(row.name if row is not None else None) if standpoint is not None else 0)

    def find(self, text: str, *, start: int, way: int = 1) -> bool:
        """Put the cursor on the next property that shows a text, from a place on; return False if none does."""
        place = match_of(self.rows, text, start, way)
        if place is not None:
            self.put(place)
        return place is not None

    def heads(self, width: int) -> str:
        """Return the heads of the columns."""
        if self.shown is None or not self.shown.rows:
            return ""
        left, right = self.shown.heads
        return " " + "".join(_fit((" ", "PROPERTY", left, right, "WRITTEN BY"), width - 1))

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        """Return mark, name, both values, and the entry that wrote it."""
        row = self.rows[place]
        style = _STYLES[row.mark]
        writer = _writer(row, short=width < _WIDE)
        left, right = (_ABSENT if value is None else value for value in (row.left, row.right))
        mark, name, left, right, by = _fit((row.mark, row.shown, left, right, writer), width)
        by_style = LOOKS[row.by.state].style if row.by is not None else ""
        return (mark, f"bold {style}"), (name, ""), (left, ""), (right, style), (by, by_style)


def match_of(rows: Sequence[PropertyRow], text: str, start: int, way: int = 1) -> int | None:
    """Return the place of the next row with a text in its name or a value, whatever its case; None if there is none.

    Args:
        rows: The rows.
        text: The text.
        start: The first place that is looked at; behind the last row the first one follows.
        way: 1 for down, -1 for up.

    >>> rows = [PropertyRow(name, name, None, value, " ") for name, value in [("plan", '"pro"'), ("visits", "3")]]
    >>> match_of(rows, "PRO", 1), match_of(rows, "i", 0), match_of(rows, "x", 0)
    (0, 1, None)
    """
    wanted = text.casefold()
    places = ((start + way * step) % len(rows) for step in range(len(rows)))
    shown = ((place, (rows[place].shown, rows[place].left, rows[place].right)) for place in places)
    return next(
        (place for place, cells in shown if any(wanted in (cell or "").casefold() for cell in cells)), None
    )


def _fit(cells: tuple[str, str, str, str, str], width: int) -> tuple[str, str, str, str, str]:
    """Return each cell as wide as its column, with the gap before it."""
    mark, name, left, right, writer = cells
    last = _WRITER if width >= _WIDE else _SHORT_WRITER if width >= _NARROW else 0
    space = max(width - 2 - last - len(_GAP) * (2 + bool(last)), 6)
    names = min(max(space * 3 // 10, 8), 30)
    values = (space - names) // 2
    return (
        f"{mark} ",
        fitted(name, names),
        _GAP + fitted(left, values),
        _GAP + fitted(right, space - names - values),
        _GAP + fitted(writer, last) if last else "",
    )


def _writer(row: PropertyRow, *, short: bool) -> str:
    if row.by is None:
        return (_PRUNED_SHORT if short else _PRUNED) if row.pruned else ""
    look = LOOKS[row.by.state]
    others = f" +{row.others:,}" if row.others else ""
    if short:
        return f"#{row.by.seq:,} {look.glyph}{others}"
    operator = printable(clipped(row.by.operator, 20))
    return f"#{row.by.seq:,} {operator} {look.mark}{others}"
