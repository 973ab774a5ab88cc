"""A table whose rows are lines of text, with a cursor: what the tables of profiles and failures have in common."""

from collections.abc import Sequence

from textual.content import Content
from textual.events import Blur, Click, Focus, MouseScrollDown, MouseScrollUp, Resize
from textual.message import Message
from textual.widget import Widget

from tui.text.cells import fitted
from tui.text.states import plain

__all__ = ["Cell", "Lines"]

Cell = tuple[str, str]
"""Text that is safe to print, and a style of the theme for it."""

_WHEEL = 3  # rows


class Lines(Widget, can_focus=True):
    """Rows of text, as many as there is room for; subclasses say what is in them.

    What is shown is put together anew each time: that is a screen's worth of lines, however many rows there are.
    """

    DEFAULT_CSS = "Lines { height: 1fr; }"

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, table: "Lines") -> None:
            self.table = table
            super().__init__()

        @property
        def control(self) -> "Lines":
            """The table."""
            return self.table

    class Opened(Message):
        """The row under the cursor was clicked."""

        def __init__(self, table: "Lines") -> None:
            self.table = table
            super().__init__()

    def __init__(self, *, id: str, ascii_only: bool) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self.cursor = 0
        self._top = 0

    # --- what subclasses say

    def number(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        """The cells of a row, each made by `fit`; together they take `width` cells of the terminal at most."""
        raise NotImplementedError

    def heads(self, width: int) -> str:
        """The line above the rows; empty for none."""
        del width
        return ""

    def nothing(self) -> str:
        """What is shown where there are no rows."""
        return ""

    # --- the cursor

    def put(self, place: int) -> None:
        """Put the cursor on a row, without a word."""
        self.cursor = max(0, min(place, self.number() - 1))
        self.refresh()

    def move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        before = self.cursor
        self.put(before + by)
        if self.cursor != before:
            self.post_message(self.Moved(self))

    def page(self, by: int) -> None:
        """Move it by so many pages."""
        self.move(by * max(self._room - 1, 1))

    def first(self) -> None:
        """The first row."""
        self.move(-self.cursor)

    def last(self) -> None:
        """The last row."""
        self.move(self.number())

    @property
    def _room(self) -> int:
        return max(self.size.height - bool(self.heads(self.size.width)), 1)

    # --- drawing

    def render(self) -> Content:
        """What there is room for, the cursor among it."""
        width, rows = self.size.width, self.number()
        head = self.heads(width)
        lines = [Content.styled(self.fit(head, width), "bold $text-muted")] if head else []
        if not rows:
            lines.append(Content(plain(self.nothing()) if self._ascii else self.nothing()))
        room = self._room
        self._top = max(0, min(self._top, self.cursor, rows - room), self.cursor - room + 1)
        lines += [self._line(place, width) for place in range(self._top, min(self._top + room, rows))]
        return Content("\n").join(lines)

    def _line(self, place: int, width: int) -> Content:
        here = place == self.cursor
        mark = self.fit(("►" if self.has_focus else "·") if here else " ", 1)
        # Content, never markup: nothing that is recorded can style it.
        line = Content.assemble((mark, "bold $text-primary"), *self.cells(place, width - 1))
        line = line.pad_right(max(width - line.cell_length, 0))
        if here:
            line = line.stylize("on $primary-muted" if self.has_focus else "on $boost")
        return line

    def fit(self, text: str, width: int, *, right: bool = False) -> str:
        """Text as a cell of exactly so many cells of the terminal; spelled out first where only ASCII is drawn."""
        cell = fitted(plain(text) if self._ascii else text, width, right=right)
        return plain(cell) if self._ascii else cell  # the ellipsis

    # --- events

    def on_focus(self, event: Focus) -> None:
        """The cursor looks otherwise."""
        del event
        self.refresh()

    def on_blur(self, event: Blur) -> None:
        """The cursor looks otherwise."""
        del event
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        """Other widths."""
        del event
        self.refresh()

    def on_click(self, event: Click) -> None:
        """The cursor goes to the row; a second click opens it."""
        place = self._top + event.y - bool(self.heads(self.size.width))
        if not 0 <= place < self.number():
            return
        if place == self.cursor:
            self.post_message(self.Opened(self))
        else:
            self.move(place - self.cursor)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Down."""
        event.stop()
        self.move(_WHEEL)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Up."""
        event.stop()
        self.move(-_WHEEL)
