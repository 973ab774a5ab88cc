"""The base of the views: moving, copying, and what the app asks of each."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Protocol

from textual.widget import Widget

from tui.browser.changes import Changes
from tui.browser.keys import key_name
from tui.browser.widgets.lines import Lines
from tui.browser.work import Asking
from tui.text.format import copied_words, printable

__all__ = ["WIDE", "Table", "View"]

WIDE = 100
"""Cells from which a table and its detail stand side by side."""


class Table(Protocol):
    """Rows with a cursor."""

    def move(self, by: int) -> None:
        """Move the cursor by so many rows."""

    def page(self, by: int) -> None:
        """Move the cursor by so many pages."""

    def first(self) -> None:
        """Put the cursor on the first row."""

    def last(self) -> None:
        """Put the cursor on the last row."""

    def focus(self) -> object:
        """Take the keys."""


class View(Widget, Asking):
    """One of the views. Keys act in the order in which they were typed."""

    where: ClassVar[str] = ""
    """The view's place in `tui.browser.keys.BINDINGS`, and its id."""

    DEFAULT_CSS = "View { height: 1fr; width: 1fr; }"

    def __init__(self, changes: Changes) -> None:
        super().__init__(id=self.where)
        self._changes = changes
        self._typed: deque[Callable[[], object]] = deque()

    # --- what each view says

    @property
    def table(self) -> Table:
        """The table that the keys move in."""
        raise NotImplementedError

    @property
    def text(self) -> Widget | None:
        """The text that scrolls while it has the focus."""
        return None

    @property
    def innermost(self) -> Callable[[], object] | None:
        """The function that closes the innermost thing that is open."""
        return None

    @property
    def ready(self) -> bool:
        """True if the next key can act: the cursor is where the keys before it lead."""
        return True

    @property
    def settled(self) -> bool:
        """True if all that there is to show shows."""
        return not self._typed

    def refresh_view(self) -> None:
        """The journal has changed, or a second has passed: look again, in a thread."""

    def take_focus(self) -> None:
        """Give the keys to the innermost thing that is open."""
        self.table.focus()

    def action_enter(self) -> None:
        """Open what is under the cursor."""
        raise NotImplementedError

    def on_lines_opened(self, message: Lines.Opened) -> None:
        """A click on the row under the cursor."""
        message.table.focus()
        self.action_enter()

    def action_ship(self) -> None:
        """Send what may go now."""
        self._changes.ship()

    # --- keys typed ahead

    def in_turn(self, act: Callable[[], object]) -> None:
        """Act once all keys that were typed before have acted."""
        self._typed.append(act)
        self.go_on()

    def go_on(self) -> None:
        """Act on the keys that were typed ahead."""
        while self._typed and self.ready:
            self._typed.popleft()()

    # --- moving: in the text that has the focus by lines, else in the table by rows

    def action_move(self, by: int) -> None:
        """Down or up."""
        self._scroll_or(lambda text: text.scroll_relative(y=by, animate=False), lambda: self.table.move(by))

    def action_page(self, by: int) -> None:
        """Pages down or up."""
        self._scroll_or(
            lambda text: text.scroll_relative(y=by * text.size.height, animate=False),
            lambda: self.table.page(by),
        )

    def action_first(self) -> None:
        """To the first row, or line."""
        self._scroll_or(lambda text: text.scroll_home(animate=False), self.table.first)

    def action_last(self) -> None:
        """To the last row, or line."""
        self._scroll_or(lambda text: text.scroll_end(animate=False), self.table.last)

    def _scroll_or(self, scroll: Callable[[Widget], object], move: Callable[[], object]) -> None:
        def act() -> None:
            if (text := self.text) is not None and text.has_focus:
                scroll(text)
            else:
                move()

        self.in_turn(act)

    # --- telling

    def say(self, words: str) -> None:
        """Show a notification; the words are never markup."""
        self.notify(printable(words), markup=False)

    def key(self, id: str) -> str:  # Textual's word
        """Return the key of a binding, as the person has it."""
        return key_name(self.app, id)

    def copy(self, read: Callable[[], str], what: str, otherwise: str) -> None:
        """Read a text in a thread, and hand it to the terminal's clipboard.

        Args:
            read: Gives the text.
            what: What it is, for the notification.
            otherwise: Where to get it if it is too much for many terminals.
        """
        self.ask(read, partial(self._copied, what, otherwise), group="copy", words="Copying")

    def _copied(self, what: str, otherwise: str, text: str) -> None:
        if text:
            self.app.copy_to_clipboard(text)
        self.say(copied_words(what, text, otherwise) if text else "There is nothing to copy.")
