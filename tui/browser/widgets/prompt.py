"""The prompt below the tabs: a filter, or what to find."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from tui.browser.keys import BINDINGS
from tui.browser.widgets.notice import Notice
from tui.text.format import printable

__all__ = ["Line", "Prompt"]


class Line(Input):
    """An input that spells out what a terminal would take as a command: text may be pasted, or come from data."""

    def validate_value(self, value: str) -> str:
        """Spell out what may not be shown."""
        return printable(value)


class Prompt(Vertical):
    """One line to type in, and below it what is to be said about it; hidden until it is asked for."""

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["prompt"]]

    class Entered(Message):
        """Enter was pressed."""

        def __init__(self, purpose: str, text: str) -> None:
            self.purpose = purpose
            self.text = text
            super().__init__()

    class Refused(Message):
        """Enter was pressed, and the text was refused, for a reason in words. The prompt stays open."""

        def __init__(self, words: str) -> None:
            self.words = words
            super().__init__()

    class Closed(Message):
        """The prompt was closed without entering anything."""

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.display = False
        self.purpose = ""
        self._check: Callable[[str], str] | None = None

    def compose(self) -> ComposeResult:
        """A sign, the line, and words about it."""
        with Horizontal(id="prompt-line"):
            yield Static("/", id="prompt-sign", markup=False)
            yield Line(id="prompt-input", compact=True, select_on_focus=False)
        yield Notice("prompt-words")

    @property
    def is_open(self) -> bool:
        """True if it shows."""
        return bool(self.display)

    @property
    def field(self) -> Input:
        """The line to type in."""
        return self.query_one(Input)

    def open(
        self, purpose: str, sign: str, text: str, hint: str, check: Callable[[str], str] | None = None
    ) -> None:
        """Show the prompt, with this text to begin with.

        Args:
            purpose: Handed on by `Entered`.
            sign: Shown before the line.
            text: The text to begin with.
            hint: Shown while the line is empty.
            check: Returns why a text is refused, or nothing. A refused text stays.
        """
        self.purpose, self._check = purpose, check
        text = printable(text)
        self.display = True
        self.query_one("#prompt-sign", Static).update(sign)
        self.say("")
        field = self.field
        field.value = text
        field.placeholder = hint
        field.cursor_position = len(text)
        # At once, not with the next refresh as focus() does: what is typed right after the key is text already.
        self.screen.set_focus(field)

    def say(self, words: str) -> None:
        """Show words below the line, until others or none are shown; they are safe to print."""
        self.query_one("#prompt-words", Notice).say(f" {words}" if words else "")

    def close(self) -> None:
        """Hide the prompt."""
        self.display = False

    def action_stay(self) -> None:
        """Keep tab from reaching the view behind the prompt."""

    def action_close(self) -> None:
        """Close at escape."""
        self.close()
        self.post_message(self.Closed())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Check and hand over the text at enter."""
        event.stop()
        if self._check is not None and (words := self._check(event.value)):
            self.post_message(self.Refused(words))
            return
        self.close()
        self.post_message(self.Entered(self.purpose, event.value))
