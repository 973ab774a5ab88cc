"""A pane of text that is folded to its width, and scrolls."""

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from tui.text.ascii import plain
from tui.text.cells import folded
from tui.text.detail import Line
from tui.text.states import MUTED

__all__ = ["TextPane"]

_LABEL = 10  # cells


# Keys are the view's, so that they act alike in each pane.
class TextPane(VerticalScroll, inherit_bindings=False):
    """Labelled lines of text. Nothing in them is markup."""

    DEFAULT_CSS = "TextPane { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }"

    def __init__(self, id: str) -> None:  # Textual's word
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()

    def compose(self) -> ComposeResult:
        """One text to scroll."""
        yield Static("", markup=False)

    def show_lines(self, lines: Iterable[Line]) -> None:
        """Show other lines."""
        self._lines = tuple(lines)
        self._draw()

    def on_resize(self, event: Resize) -> None:
        """Fold the text to another width."""
        del event
        self._draw()

    def _draw(self) -> None:
        parts = (part for line in self._lines for part in self._folded(line))
        self.query_one(Static).update(Content("\n").join(parts))

    def _folded(self, line: Line) -> Iterable[Content]:
        """Fold a line; what hangs over goes on under its beginning."""
        width = max(self.scrollable_content_region.width - 1, 20)
        indent = 0 if line.label is None else _LABEL
        # The line filter comes too late for what is folded: it could only cut.
        text = plain(line.text) if self.app.has_class("ascii") else line.text
        for place, part in enumerate(folded(text, width - indent)):
            label = (line.label or "" if place == 0 else "").ljust(indent)
            yield Content.assemble((label, MUTED), (part, line.style))
