"""An editor for an entry's message."""

import json
import re
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from recorder import Entry
from tui.browser.keys import BINDINGS
from tui.browser.widgets.key_footer import KeyFooter
from tui.browser.widgets.notice import Notice
from tui.text.cells import folded
from tui.text.format import printable

__all__ = ["EditScreen"]

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_HIGH = 16  # lines from which there is space for margins
_TWICE = "\nIt may have been applied as it is; what you make of it would come on top of that."


class EditScreen(ModalScreen[str | None]):
    """A text area; its result is the text as it was left, or None.

    Args:
        entry: The entry.
        text: Its message as JSON.
        check: Returns why a text could never be accepted, or nothing.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["edit"]]
    AUTO_FOCUS = "TextArea"

    def __init__(self, entry: Entry, text: str, check: Callable[[str], str]) -> None:
        super().__init__()
        self.VERTICAL_BREAKPOINTS = [(0, "low"), (_HIGH, "high")]  # Textual reads them from the instance
        self._entry = entry
        self._text = text
        self._check = check

    def compose(self) -> ComposeResult:
        """A warning, the text, and the keys."""
        twice = _TWICE if self._entry.sends else ""
        text = self._text
        if self.app.has_class("ascii"):  # JSON has an escape for each letter that a terminal might not have
            text = _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)
        with Vertical(classes="box wide tall"):
            yield Static(
                f"Entry {self._entry.seq:,}: another message, sent at its number.{twice}", markup=False
            )
            yield TextArea(text, id="message", soft_wrap=True)
            yield Notice("refusal")
            yield KeyFooter(compact=True, show_command_palette=False)

    def action_save(self) -> None:
        """Give the text back; one that could never be accepted stays, with the reason."""
        area = self.query_one(TextArea)
        refusal = self._check(area.text)
        if refusal:
            lines = folded(printable(refusal), max(area.size.width, 20))
            self.query_one("#refusal", Notice).say("\n".join(lines))
        else:
            self.dismiss(area.text)

    def action_close(self) -> None:
        """Leave the message as it is."""
        self.dismiss(None)
