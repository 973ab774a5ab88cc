"""An editor for an entry's message."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from recorder import Entry
from tui.browser.keys import BINDINGS
from tui.browser.screens.confirm import Answer, ConfirmScreen
from tui.browser.screens.dialog import Dialog
from tui.browser.widgets.key_footer import KeyFooter
from tui.browser.widgets.notice import Notice
from tui.text.cells import folded
from tui.text.format import printable

__all__ = ["EditScreen"]

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_HIGH = 16  # lines from which there is space for margins
_TWICE = "\nIt may have been applied already; the edited message would be applied on top of that."


class EditScreen(Dialog[str | None]):
    """A text area that stays until its text is saved, or given up by a person; its result is what `save` returned.

    Args:
        entry: The entry.
        text: Its message as JSON.
        check: Returns why a text could never be accepted, or nothing.
        save: Asks, saves, and returns the result in words; None if the person said no.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["edit"]]
    AUTO_FOCUS = "TextArea"

    def __init__(
        self,
        entry: Entry,
        text: str,
        check: Callable[[str], str],
        save: Callable[[str], Awaitable[str | None]],
    ) -> None:
        super().__init__()
        self.VERTICAL_BREAKPOINTS = [(0, "low"), (_HIGH, "high")]  # Textual reads them from the instance
        self._entry = entry
        self._text = text
        self._check = check
        self._save = save
        self._saving = False

    def compose(self) -> ComposeResult:
        """A warning, the text, and the keys."""
        twice = _TWICE if self._entry.sends else ""
        if self.app.has_class("ascii"):  # JSON has an escape for each letter that a terminal might not have
            self._text = _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], self._text)
        with Vertical(classes="box wide tall"):
            yield Static(
                f"Entry {self._entry.seq:,}: its new message is sent in its place.{twice}", markup=False
            )
            yield TextArea(self._text, id="message", soft_wrap=True)
            yield Notice("refusal")
            yield KeyFooter(compact=True, show_command_palette=False)

    def action_save(self) -> None:
        """Ask and save; a text that is refused stays, with the reason."""
        if self._saving:
            return
        text = self.query_one(TextArea).text
        refusal = self._check(text)
        self._say(refusal)
        if not refusal:
            self._saving = True
            self.run_worker(self._finish(text), group="act", exit_on_error=False)

    async def _finish(self, text: str) -> None:
        try:
            words = await self._save(text)
        except Exception as error:  # noqa: BLE001  # shown to the person; what was written stays
            self._say(str(error))
        else:
            if words is not None:
                self.dismiss(words)
        finally:
            self._saving = False

    def _say(self, refusal: str) -> None:
        lines = folded(printable(refusal), max(self.query_one(TextArea).size.width, 20))
        self.query_one("#refusal", Notice).say("\n".join(lines))

    def action_close(self) -> None:
        """Leave the message as it is; ask before what was written is lost. What is being saved cannot be left."""
        if self._saving:
            return

        def leave(answer: Answer | None) -> None:
            if answer == "yes":
                self.dismiss(None)

        if self.query_one(TextArea).text == self._text:
            self.dismiss(None)
        else:
            self.app.push_screen(ConfirmScreen("Leave and lose what you wrote?"), leave)
