"""What a window shows that is too small for anything else."""

from rich.text import Text
from textual.widget import Widget

from tui.browser.gateway import Facts
from tui.browser.widgets.top_line import accounts_line
from tui.text.states import plain

__all__ = ["LEAST_HEIGHT", "LEAST_WIDTH", "TooSmall"]

LEAST_WIDTH = 40
LEAST_HEIGHT = 10


class TooSmall(Widget):
    """One line that says so, with the counts."""

    DEFAULT_CSS = "TooSmall { height: 1fr; display: none; }"

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__(id="too-small")
        self._ascii = ascii_only
        self._facts: Facts | None = None

    def show(self, facts: Facts) -> None:
        """Show how the journal stands."""
        self._facts = facts
        self.refresh()

    def render(self) -> Text:
        """The line; it wraps where even that is too long."""
        counts = f": {accounts_line(self._facts, short=True)}" if self._facts is not None else ""
        text = f"Needs {LEAST_WIDTH}x{LEAST_HEIGHT}{counts}"
        return Text(plain(text) if self._ascii else text)
