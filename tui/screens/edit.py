"""An entry's message, to be written anew."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from recorder import Entry
from tui.keys import bindings, name_of

__all__ = ["EditScreen"]


class EditScreen(ModalScreen[str | None]):
    """A text area; gives back what was written, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("edit")]
    AUTO_FOCUS = "TextArea"

    def __init__(self, entry: Entry, text: str) -> None:
        super().__init__()
        self._entry = entry
        self._text = text

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
            yield Static(
                f"{name_of('edit.save')} send as edited   {name_of('edit.close')} leave as it is",
                markup=False,
                classes="hint",
            )

    def action_save(self) -> None:
        """Give the text back."""
        self.dismiss(self.query_one(TextArea).text)

    def action_close(self) -> None:
        """Leave it as it is."""
        self.dismiss(None)
