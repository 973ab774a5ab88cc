"""The prompt below the tabs: a filter, or what to find."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from tui.browser.keys import BINDINGS
from tui.browser.widgets.notice import Notice
from tui.text.filter_words import Completion, agreed, begun
from tui.text.format import printable

__all__ = ["Line", "Prompt"]

_NOTHING: tuple[Completion, ...] = ()


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

    class Closed(Message):
        """The prompt was closed without entering anything."""

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.display = False
        self.purpose = ""
        self._check: Callable[[str], str] | None = None
        self._complete: Callable[[str], Sequence[Completion]] | None = None
        self._texts: list[str] = []  # entered before, the last one being what is typed now
        self._place = 0  # among them
        self._seen: str | None = None  # the text to which the offered words belong
        self._offered: Sequence[Completion] = _NOTHING
        self._turn = -1  # the offered word that stands in the line; -1 for what was typed

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
        self,
        purpose: str,
        sign: str,
        text: str,
        hint: str,
        *,
        check: Callable[[str], str] | None = None,
        complete: Callable[[str], Sequence[Completion]] | None = None,
        history: Sequence[str] = (),
    ) -> None:
        """Show the prompt, with this text to begin with.

        Args:
            purpose: Handed on by `Entered`.
            sign: Shown before the line.
            text: The text to begin with.
            hint: Shown while the line is empty.
            check: Returns why a text is refused, or nothing. It is said as soon as the word can become no other, and a
                refused text stays.
            complete: Returns what the word that is being typed may become.
            history: Texts entered before, oldest first.
        """
        self.purpose, self._check, self._complete = purpose, check, complete
        self._texts, self._place = [*history, ""], len(history)
        self.display = True
        self.query_one("#prompt-sign", Static).update(sign)
        self.field.placeholder = hint
        self._put(text)
        # At once, not with the next refresh as focus() does: what is typed right after the key is text already.
        self.screen.set_focus(self.field)

    def close(self) -> None:
        """Hide the prompt."""
        self.display = False

    def say(self, words: str, *, wrong: bool = False) -> None:
        """Show words below the line, until others or none are shown; they are safe to print."""
        notice = self.query_one("#prompt-words", Notice)
        notice.set_class(wrong, "wrong")
        notice.say(f" {'! ' * wrong}{words}" if words else "")

    # --- what is typed

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look at what was typed."""
        if event.value != self._seen:
            self._look()

    def offer_again(self) -> None:
        """Offer words as more of them are known by now, unless a person goes through them."""
        if self._turn < 0:
            self._look()

    def _look(self) -> None:
        """Offer words that complete the last one, or say what is wrong."""
        text = self._seen = self.field.value
        before, word = begun(text)
        self._offered, self._turn = self._complete(word) if self._complete is not None else _NOTHING, -1
        unfinished = self._offered or word.endswith("=")
        if wrong := self._check(before if unfinished else text) if self._check is not None else "":
            self.say(wrong, wrong=True)
        else:
            self.say("  ".join(each.shown for each in self._offered))

    def _put(self, text: str, *, offer: bool = True) -> None:
        self.field.value = text
        self.field.cursor_position = len(self.field.value)
        self._seen = self.field.value
        if offer:
            self._look()

    def action_complete(self, by: int) -> None:
        """Complete the word as far as all that is offered agrees; then put one of these after another in its place."""
        if self.field.value != self._seen:
            self._look()
        words = [each.word for each in self._offered]
        before, word = begun(self._seen or "")
        common = agreed(words)
        if self._turn < 0 and (len(common) > len(word) or [word] == words):
            self._put(before + common + " " * (len(words) == 1 and not common.endswith("=")))
        elif words:
            self._turn = (self._turn + by) % len(words) if self._turn >= 0 else min(by, 0) % len(words)
            self._put(before + words[self._turn], offer=False)

    def action_recall(self, by: int) -> None:
        """Put a text in the line that was entered before, or after that one."""
        if 0 <= self._place + by < len(self._texts):
            self._texts[self._place] = self.field.value
            self._place += by
            self._put(self._texts[self._place])

    # --- the end

    def action_close(self) -> None:
        """Close at escape."""
        self.close()
        self.post_message(self.Closed())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Check and hand over the text at enter."""
        event.stop()
        if self._check is not None and (wrong := self._check(event.value)):
            self.say(wrong, wrong=True)
            return
        self.close()
        self.post_message(self.Entered(self.purpose, event.value))
