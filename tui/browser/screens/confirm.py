"""The question before anything is changed."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.browser.keys import BINDINGS
from tui.browser.widgets.key_footer import KeyFooter

__all__ = ["ConfirmScreen"]


class ConfirmScreen(ModalScreen[bool]):
    """Asks a question; its result is True for yes."""

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["confirm"]]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question, and the two answers."""
        with VerticalScroll(classes="box"):
            yield Static(self._question, markup=False)
            yield KeyFooter(compact=True, show_command_palette=False)

    def action_answer(self, yes: bool) -> None:  # from the binding's action
        """Give the answer back."""
        self.dismiss(yes)
