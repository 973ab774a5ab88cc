"""An entry's message, to be written anew."""

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
from tui.browser.keys import bindings, name_of
from tui.browser.widgets.notice import Notice
from tui.text.cells import folded
from tui.text.format import printable

__all__ = ["EditScreen"]


_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_HIGH = 16  # lines from which there is room for margins


class EditScreen(ModalScreen[str | None]):
    """A text area; gives back what was written, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("edit")]
    AUTO_FOCUS = "TextArea"

    def __init__(self, entry: Entry, text: str, check: Callable[[str], str], *, ascii_only: bool) -> None:
        super().__init__()
        self.VERTICAL_BREAKPOINTS = [(0, "low"), (_HIGH, "high")]  # Textual has it of the instance
        self._entry = entry
        # JSON has an escape for each letter that a terminal might not have.
        self._text = _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text) if ascii_only else text
        self._check = check
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        """What is to be known first, the text, and the keys."""
        warning = (
            "\nIt may have been applied as it is; what you make of it would come on top of that."
            if self._entry.sends
            else ""
        )
        with Vertical(classes="box wide tall"):
            yield Static(
                f"Entry {self._entry.seq:,}: another message, sent at its number.{warning}", markup=False
            )
            yield TextArea(self._text, id="message", soft_wrap=True)
            yield Notice("refusal", ascii_only=self._ascii)
            yield Static(
                f"{name_of('edit.save')} send as edited   {name_of('edit.close')} leave as it is",
                markup=False,
                classes="hint",
            )

    def action_save(self) -> None:
        """Give the text back; what could never be accepted stays, with the words that say why."""
        text = self.query_one(TextArea).text
        refusal = self._check(text)
        if refusal:
            self.query_one("#refusal", Notice).say("\n".join(folded(printable(refusal), self._width)))
        else:
            self.dismiss(text)

    @property
    def _width(self) -> int:
        return max(self.query_one(TextArea).size.width, 20)

    def action_close(self) -> None:
        """Leave it as it is."""
        self.dismiss(None)
