"""The question before anything is changed."""

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.browser.keys import BINDINGS
from tui.browser.widgets.key_footer import KeyFooter
from tui.browser.widgets.notice import Notice
from tui.browser.widgets.prompt import Line

__all__ = ["Answer", "ConfirmScreen"]

Answer = Literal["yes", "no", "settle"]


class ConfirmScreen(ModalScreen[Answer]):
    """Asks a question; its result is the answer. Enter alone never agrees.

    Args:
        question: In words.
        settle: Offer to settle instead.
        typed: A text to be typed, and entered, to agree; empty where a key is enough.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["confirm"]]

    def __init__(self, question: str, *, settle: bool = False, typed: str = "") -> None:
        super().__init__()
        self._question = question
        self._settle = settle
        self._typed = typed

    def compose(self) -> ComposeResult:
        """The question, and the answers."""
        with VerticalScroll(classes="box"):
            yield Static(self._question, markup=False)
            if self._typed:
                yield Line(placeholder=self._typed, compact=True, select_on_focus=False)
                yield Notice("refusal")
            yield KeyFooter(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Give the keys to the line, if there is one: its letters are no answers."""
        for line in self.query(Input):
            self.set_focus(line)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the answers unbound that are not offered."""
        offered = {"settle": self._settle, "yes": not self._typed}
        return action != "answer" or offered.get(str(parameters[0]), True)

    def action_answer(self, answer: Answer) -> None:  # from the binding's action
        """Give the answer back."""
        self.dismiss(answer)

    def action_copy_or_leave(self) -> None:
        """Copy what is selected; without a selection, say no."""
        if self.get_selected_text():
            self.action_copy_text()
        else:
            self.dismiss("no")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Agree if it is the text."""
        event.stop()
        if event.value.strip() == self._typed.strip():
            self.dismiss("yes")
        elif event.value:
            self.query_one("#refusal", Notice).say("That is another text. Escape leaves everything as it is.")
