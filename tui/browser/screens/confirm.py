"""The question before anything is changed."""

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.browser.keys import BINDINGS
from tui.browser.widgets.key_footer import KeyFooter

__all__ = ["Answer", "ConfirmScreen"]

Answer = Literal["yes", "no", "settle"]


class ConfirmScreen(ModalScreen[Answer]):
    """Asks a question; its result is the answer.

    Args:
        question: In words.
        settle: Offer to settle instead.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["confirm"]]

    def __init__(self, question: str, *, settle: bool = False) -> None:
        super().__init__()
        self._question = question
        self._settle = settle

    def compose(self) -> ComposeResult:
        """The question, and the answers."""
        with VerticalScroll(classes="box"):
            yield Static(self._question, markup=False)
            yield KeyFooter(compact=True, show_command_palette=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the answer unbound that is not offered."""
        return self._settle or (action, parameters) != ("answer", ("settle",))

    def action_answer(self, answer: Answer) -> None:  # from the binding's action
        """Give the answer back."""
        self.dismiss(answer)
