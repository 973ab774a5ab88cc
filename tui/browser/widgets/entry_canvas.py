"""Draws the table of entries: a scroll view whose lines are made from a window of rows."""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style as VisualStyle

from tui.browser.gateway import Gateway
from tui.text.cells import fitted, folded
from tui.text.columns import columns_for
from tui.text.marks import Marks
from tui.text.rows import Row, Window
from tui.text.states import LOOKS

__all__ = ["EntryCanvas"]

_MARKED = Style(underline=True)
_MARGIN = 2  # cells at the side of what stands in place of rows


# Keys are the view's: a scroll view's own arrows would scroll past the cursor.
class EntryCanvas(ScrollView, can_focus=True, inherit_bindings=False):
    """The rows of a window, the cursor and the marks."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "row--cursor",
        "row--missing",
    }

    nothing: var[str] = var("")
    """Drawn if nothing matches. The table draws it: Textual takes the keys from what is hidden."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(id="entries")
        self._gateway = gateway
        self.window = Window()
        self.cursor: int | None = None
        self.marks = Marks()
        self.loaded = False
        self._columns = columns_for(80, 0)

    def watch_nothing(self) -> None:
        """Draw the new words."""
        self.refresh()

    @property
    def _width(self) -> int:
        """Cells of a row; those of the scroll bar are no part of them, whether it shows or not.

        A hidden table has none: what it shows first must not be cut to that.
        """
        return self.scrollable_content_region.width or self.app.size.width

    def heads(self) -> str:
        """Return the line above the rows."""
        return self._columns.heads()

    def put(self, window: Window) -> None:
        """Draw another window."""
        self.window = window
        highest = window.rows[0].seq if window.rows else 0
        self._columns = columns_for(
            self._width, max(highest, window.total or 0), self._gateway.choices.columns
        )
        self.virtual_size = Size(self._width, window.height if window.rows else 0)
        self.refresh()

    def scroll_to_row(self, number: int) -> None:
        """Make this row the first that shows.

        By force: a scroll bar that is new is known after the next layout only, and Textual would not scroll until then.
        """
        self.scroll_to(y=number, animate=False, force=True)

    def row_at(self, y: int) -> Row | None:
        """Return the row on a line of the screen, if it is loaded."""
        return self.window[y + self.scroll_offset.y]

    def render_line(self, y: int) -> Strip:
        """Draw one row."""
        width = self._width
        if not self.window.rows:
            return self._line_of_nothing(y, width)
        if y + self.scroll_offset.y >= self.window.height:
            return Strip.blank(width, self.rich_style)
        row = self.row_at(y)
        if row is None:
            return Strip([Segment(fitted(" …", width), self.get_component_rich_style("row--missing"))], width)
        return self._strip(row, width)

    def _line_of_nothing(self, y: int, width: int) -> Strip:
        lines = ["", *folded(self.nothing, max(width - 2 * _MARGIN, 1))]
        line = " " * _MARGIN + lines[y] if self.loaded and y < len(lines) else ""
        return Strip([Segment(fitted(line, width), self.rich_style)], width)

    def _strip(self, row: Row, width: int) -> Strip:
        here, marked = row.seq == self.cursor, row.seq in self.marks
        mark = "►" if here else "●" if marked else " "
        line, state, rest = self._columns.cells(row, self._gateway.now(), mark=mark)
        style = self._style(here=here, marked=marked)
        of_state = VisualStyle.parse(LOOKS[row.state].style).rich_style
        segments = [Segment(line, style), Segment(state, style + of_state), Segment(rest, style)]
        return Strip(segments).adjust_cell_length(width, style)

    def _style(self, *, here: bool, marked: bool) -> Style:
        style = self.get_component_rich_style("row--cursor") if here else self.rich_style
        return style + _MARKED if marked else style
