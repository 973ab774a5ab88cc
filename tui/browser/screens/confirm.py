"""The question before anything is changed."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.browser.keys import bindings, name_of
from tui.text.states import plain

__all__ = ["ConfirmScreen"]


class ConfirmScreen(ModalScreen[bool]):
    """Asks, and gives back whether it may be done."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("confirm")]

    def __init__(self, question: str, *, ascii_only: bool) -> None:
        super().__init__()
        self._question = plain(question) if ascii_only else question

    def compose(self) -> ComposeResult:
        """The question, and the two answers."""
        with VerticalScroll(classes="box"):
            yield Static(self._question, markup=False)
            yield Static(
                f"\n{name_of('confirm.yes')} yes   {name_of('confirm.no')} no", markup=False, classes="hint"
            )

    def action_answer(self, yes: bool) -> None:  # as the table of keys says it
        """Give the answer back."""
        self.dismiss(yes)
