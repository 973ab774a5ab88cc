"""The only line of a window that is too small for anything else."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.browser.widgets.top_line import accounts_line
from tui.text.facts import Facts
from tui.text.home import Line

__all__ = ["LEAST_HEIGHT", "LEAST_WIDTH", "TooSmall"]

LEAST_WIDTH = 40
LEAST_HEIGHT = 10


class TooSmall(Widget):
    """One line that says so, with the counts."""

    DEFAULT_CSS = "TooSmall { height: 1fr; display: none; }"

    facts: reactive[Facts | None] = reactive(None)
    """The state of the journal."""

    def __init__(self) -> None:
        super().__init__(id="too-small")

    def render(self) -> Content:
        """Draw the line; it wraps if it is too long."""
        counts: Line = accounts_line(self.facts, short=True) if self.facts else []
        return Content.assemble(f"Needs {LEAST_WIDTH}x{LEAST_HEIGHT}{': ' if counts else ''}", *counts)
