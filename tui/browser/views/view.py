"""What the app asks of each view."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

from textual.widget import Widget

__all__ = ["Table", "View"]


class Table(Protocol):
    """What has rows and a cursor."""

    def move(self, by: int) -> None:
        """Move the cursor by so many rows."""

    def page(self, by: int) -> None:
        """Move the cursor by so many pages."""

    def first(self) -> None:
        """Put the cursor on the first row."""

    def last(self) -> None:
        """Put the cursor on the last row."""


class View(Widget):
    """One of the three views."""

    where: ClassVar[str] = ""
    """The place in the table of keys whose rows are this view's."""

    DEFAULT_CSS = "View { height: 1fr; }"

    @property
    def table(self) -> Table:
        """The table that is moved in."""
        raise NotImplementedError

    @property
    def instead(self) -> Mapping[str, str]:
        """Keys of the key line that would do nothing now, by their ids, and which of the app's to show there."""
        return {}

    @property
    def text(self) -> Widget | None:
        """What is read by lines, and scrolls while it has the keys."""
        return None

    @property
    def settled(self) -> bool:
        """Whether all that there is to show shows."""
        return True

    def refresh_view(self) -> None:
        """The journal has changed, or a second has passed: look again, in a thread."""

    def close_innermost(self) -> bool:
        """Close the innermost thing that is open; whether there was one."""
        return False

    def take_focus(self) -> None:
        """The view was opened: the keys go to its table."""
        for widget in self.query("*"):
            if widget.focusable:
                widget.focus()
                return

    # --- moving: in the text that has the keys by lines, else in the table by rows

    @property
    def _reading_in(self) -> Widget | None:
        text = self.text
        return text if text is not None and text.has_focus else None

    def action_move(self, by: int) -> None:
        """Down or up."""
        if text := self._reading_in:
            text.scroll_relative(y=by, animate=False)
        else:
            self.table.move(by)

    def action_page(self, by: int) -> None:
        """Pages down or up."""
        if text := self._reading_in:
            text.scroll_relative(y=by * text.size.height, animate=False)
        else:
            self.table.page(by)

    def action_first(self) -> None:
        """The first row, or line."""
        if text := self._reading_in:
            text.scroll_home(animate=False)
        else:
            self.table.first()

    def action_last(self) -> None:
        """The last row, or line."""
        if text := self._reading_in:
            text.scroll_end(animate=False)
        else:
            self.table.last()
