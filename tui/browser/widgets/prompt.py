"""The prompt below the tabs: a filter, or what to find."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from tui.browser.keys import bindings
from tui.text.format import printable

__all__ = ["Prompt"]


class _Line(Input):
    """An input that spells out what a terminal would take as a command: text may be pasted, or come from data."""

    def validate_value(self, value: str) -> str:
        """What may be shown."""
        return printable(value)


class Prompt(Horizontal):
    """One line to type in; hidden until it is asked for."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("prompt")]

    class Entered(Message):
        """Enter was pressed."""

        def __init__(self, purpose: str, text: str) -> None:
            self.purpose = purpose
            self.text = text
            super().__init__()

    class Refused(Message):
        """Enter was pressed, and what was typed is not understood; in words. It stays open."""

        def __init__(self, words: str) -> None:
            self.words = words
            super().__init__()

    class Closed(Message):
        """It was closed without a word."""

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.display = False
        self._purpose = ""
        self._check: Callable[[str], str] | None = None

    def compose(self) -> ComposeResult:
        """A sign, and the line."""
        yield Static("/", id="prompt-sign", markup=False)
        yield _Line(id="prompt-input", compact=True, select_on_focus=False)

    @property
    def is_open(self) -> bool:
        """Whether it shows."""
        return bool(self.display)

    @property
    def field(self) -> Input:
        """Where one types."""
        return self.query_one(Input)

    def open(
        self, purpose: str, sign: str, text: str, hint: str, check: Callable[[str], str] | None = None
    ) -> None:
        """Show it, with this text to begin with.

        Args:
            purpose: What `Entered` says it is for.
            sign: What stands before the line.
            text: What is typed already.
            hint: What is shown while there is none.
            check: Says why a text cannot be taken; empty where it can. Until then the prompt stays open.
        """
        self._purpose, self._check = purpose, check
        text = printable(text)
        self.display = True
        self.query_one("#prompt-sign", Static).update(sign)
        field = self.field
        field.value = text
        field.placeholder = hint
        field.cursor_position = len(text)
        # At once, not with the next refresh as focus() does: what is typed right after the key is text already.
        self.screen.set_focus(field)

    def close(self) -> None:
        """Hide it."""
        self.display = False

    def action_stay(self) -> None:
        """Tab has nothing to go to in one line; what is behind the prompt is not to have it."""

    def action_close(self) -> None:
        """Escape."""
        self.close()
        self.post_message(self.Closed())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        if self._check is not None and (words := self._check(event.value)):
            self.post_message(self.Refused(words))
            return
        self.close()
        self.post_message(self.Entered(self._purpose, event.value))
