"""The question before anything is changed."""

from collections.abc import Callable, Collection
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from tui.browser.keys import BINDINGS
from tui.browser.screens.dialog import Dialog
from tui.browser.widgets.key_footer import KeyFooter
from tui.browser.widgets.notice import Notice
from tui.browser.widgets.prompt import Line
from tui.browser.work import Asking, stopped
from tui.consequences import Consequences
from tui.text.whatif import LOOKING, table

__all__ = ["Answer", "ConfirmScreen"]

Answer = Literal["yes", "no", "retry", "discard", "harmless", "settle"]
_YES: tuple[Answer, ...] = ("yes",)


class ConfirmScreen(Dialog[Answer], Asking):
    """Asks a question; its result is the answer. Enter alone never agrees.

    Args:
        question: In words.
        answers: The answers that are offered, besides no.
        typed: A text to be typed, and entered, to agree; empty where a key is enough.
        look: Reads in a thread, until it is told to stop, what the answers would do, and which others there are:
            that may take a second, and the question can be answered before.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["confirm"]]

    def __init__(
        self,
        question: str,
        *,
        answers: Collection[Answer] = _YES,
        typed: str = "",
        look: Callable[[Callable[[], bool]], tuple[Consequences, Collection[Answer]]] | None = None,
    ) -> None:
        super().__init__()
        self._question = question
        self._answers = frozenset(() if typed else answers)
        self._typed = typed
        self._look = look
        self._consequences = Consequences([])

    def compose(self) -> ComposeResult:
        """The question, and the answers."""
        with VerticalScroll(classes="box wide" if self._look else "box"):
            yield Static(self._question, markup=False)
            yield Notice("consequences")
            if self._typed:
                yield Line(placeholder=self._typed, compact=True, select_on_focus=False)
                yield Notice("refusal")
            yield KeyFooter(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Give the keys to the line, whose letters are no answers; without one they scroll. Begin to look."""
        self.set_focus(self.query_one(Input if self._typed else VerticalScroll))
        if look := self._look:
            self.query_one("#consequences", Notice).say(LOOKING)
            self.ask(lambda: look(stopped), self._show, group="consequences")

    def _show(self, found: tuple[Consequences, Collection[Answer]]) -> None:
        self._consequences, more = found
        self._answers |= frozenset(more)
        self.refresh_bindings()
        self._draw()

    def _draw(self) -> None:
        width = self.query_one(".box").content_size.width
        self.query_one("#consequences", Notice).say("\n".join(table(*self._consequences, width)))

    def on_resize(self) -> None:
        """Draw what the answers would do as wide as the window allows."""
        if self._consequences.profiles:
            self.call_after_refresh(self._draw)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the answers unbound that are not offered."""
        return action != "answer" or parameters[0] == "no" or parameters[0] in self._answers

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
        if event.value and event.value.strip() == self._typed.strip():
            self.dismiss("yes")
        elif event.value:
            self.query_one("#refusal", Notice).say("That is not the id. Escape leaves everything as it is.")
