"""A table whose rows are lines of text, with a cursor."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from textual.content import Content
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.widget import Widget

from tui.text.cells import fitted
from tui.text.states import MUTED

__all__ = ["Cell", "Lines", "Order"]

Cell = tuple[str, str]
"""Text that is safe to print, and a style of the theme for it."""

Row = TypeVar("Row")

_WHEEL = 3  # rows


class Order(NamedTuple):
    """An order of rows.

    Attributes:
        name: The head of its column.
        key: Returns what rows are sorted by; None for the order in which they were read.
    """

    name: str
    key: Callable[[Any], Any] | None = None


class Lines(Widget, Generic[Row], can_focus=True):
    """Rows of text, of which those around the cursor show; subclasses make their cells.

    Only lines that show are made, each time anew, however many rows there are.
    """

    DEFAULT_CSS = "Lines { height: 1fr; }"

    orders: ClassVar[Sequence[Order]] = ()
    """Orders that the table offers, the first one to begin with."""

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, table: "Lines[Any]") -> None:
            self.table = table
            super().__init__()

    class Opened(Message):
        """The row under the cursor was clicked."""

        def __init__(self, table: "Lines[Any]") -> None:
            self.table = table
            super().__init__()

    def __init__(self, id: str) -> None:  # Textual's word
        super().__init__(id=id)
        self.rows: Sequence[Row] = ()
        self.empty = " …"
        """Drawn in place of rows, as long as nothing was read."""
        self.cursor = 0
        self._top = 0
        self._read: Sequence[Row] = ()
        self._order = 0
        self._turned = False

    # --- made by subclasses

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        """Return the cells of a row; together they take at most `width` cells of the terminal."""
        raise NotImplementedError

    def heads(self, width: int) -> str:
        """Return the line above the rows; empty for none."""
        raise NotImplementedError

    def number(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def nothing(self) -> str:
        """Return what is drawn in place of rows."""
        return self.empty

    def order_at(self, x: int) -> int | None:
        """Return the order of the head at a cell, or None for the next one."""
        del x
        return None

    # --- the order

    def take(self, rows: Sequence[Row]) -> None:
        """Take over rows that were read, in the order that the person chose."""
        self._read = rows
        key = self.orders[self._order].key
        rows = rows if key is None else sorted(rows, key=key)
        self.rows = rows[::-1] if self._turned else rows

    def sort(self, by: int = 0) -> None:
        """Take an order so many further on, or with 0 turn this one round."""
        if self.orders:
            self.sort_by((self._order + by) % len(self.orders))

    def sort_by(self, order: int) -> None:
        """Take an order, or turn it round if it is taken already; the cursor stays on its row."""
        self._turned = order == self._order and not self._turned
        self._order = order
        current = self.current
        self.take(self._read)
        self.put(next((place for place, row in enumerate(self.rows) if row is current), 0))

    def sign_of(self, name: str) -> str:
        """Return the sign at a column's head: of the order that was chosen, else nothing."""
        order = self.orders[self._order]
        chosen = order.name == name and (order.key is not None or self._turned)
        return ("▲" if self._turned else "▼") if chosen else ""

    # --- the cursor

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def put(self, place: int) -> None:
        """Put the cursor on a row, without a message."""
        self.cursor = max(0, min(place, self.number() - 1))
        self.refresh()

    def move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        before = self.cursor
        self.put(before + by)
        if self.cursor != before:
            self.post_message(self.Moved(self))

    def page(self, by: int) -> None:
        """Move the cursor by so many pages."""
        self.move(by * max(self.rows_that_fit - 1, 1))

    def first(self) -> None:
        """Put the cursor on the first row."""
        self.move(-self.cursor)

    def last(self) -> None:
        """Put the cursor on the last row."""
        self.move(self.number())

    @property
    def rows_that_fit(self) -> int:
        """The number of rows that fit."""
        return max(self.size.height - bool(self.heads(self.size.width)), 1)

    # --- drawing

    def render(self) -> Content:
        """Draw the rows around the cursor."""
        width, rows = self.size.width, self.number()
        head = self.heads(width)
        lines = [Content.styled(fitted(head, width), f"bold {MUTED}")] if head else []
        if not rows:
            lines.append(Content(self.nothing()))
        space = self.rows_that_fit
        self._top = max(0, min(self._top, self.cursor, rows - space), self.cursor - space + 1)
        lines += [self._line(place, width) for place in range(self._top, min(self._top + space, rows))]
        return Content("\n").join(lines)

    def _line(self, place: int, width: int) -> Content:
        here = place == self.cursor
        mark = ("►" if self.has_focus else "·") if here else " "
        # Content, never markup: nothing that is recorded can style it.
        line = Content.assemble((mark, "bold $text-primary"), *self.cells(place, width - 1))
        line = line.pad_right(max(width - line.cell_length, 0))
        if here:
            line = line.stylize("on $primary-muted" if self.has_focus else "on $boost")
        return line

    # --- events

    def on_click(self, event: Click) -> None:
        """Put the cursor on the row; a second click opens it. A click on the heads sorts."""
        inside = event.get_content_offset(self)  # a border counts as the widget's
        if inside is None:
            return
        heads = bool(self.heads(self.size.width))
        if heads and inside.y == 0:
            order = self.order_at(inside.x)
            self.sort(1) if order is None else self.sort_by(order)
            return
        place = self._top + inside.y - heads
        if not 0 <= place < self.number():
            return
        if place == self.cursor:
            self.post_message(self.Opened(self))
        else:
            self.move(place - self.cursor)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Move the cursor down."""
        event.stop()
        self.move(_WHEEL)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Move the cursor up."""
        event.stop()
        self.move(-_WHEEL)
