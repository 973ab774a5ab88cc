"""What the app asks of each view."""

from typing import ClassVar

from textual.widget import Widget

__all__ = ["View"]


class View(Widget):
    """One of the three views."""

    where: ClassVar[str] = ""
    """The place in the table of keys whose rows are this view's."""

    DEFAULT_CSS = "View { height: 1fr; }"

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
