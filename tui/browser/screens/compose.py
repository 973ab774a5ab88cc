"""A line to record an operation on a profile, with its effect while it is typed."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from tui.browser.keys import BINDINGS
from tui.browser.screens.dialog import Dialog
from tui.browser.widgets.key_footer import KeyFooter
from tui.browser.widgets.notice import Notice
from tui.browser.widgets.prompt import Line
from tui.browser.work import Asking, stopped
from tui.text.cells import folded
from tui.text.compose import VERBS, Composed, composed, effect_lines
from tui.text.format import owner_name, printable

__all__ = ["ComposeScreen"]

_MOST_LINES = 8
_HINT = 'increment visits 1, or set plan "pro"'

State = Mapping[str, Any] | None


class ComposeScreen(Dialog[str | None], Asking):
    """A line that stays until its operation is recorded, or given up; its result is what `record` returned.

    Args:
        profile: The profile's or group's id.
        group_key: A group's key; None for a user's profile.
        now: The clock, for the time of a charge.
        read: Returns the profile as predicted, in a thread, until it is told to stop.
        record: Records the operation, and returns the result in words.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["compose"]]
    AUTO_FOCUS = "Line"

    def __init__(
        self,
        profile: str,
        group_key: str | None,
        now: Callable[[], float],
        read: Callable[[Callable[[], bool]], State],
        record: Callable[[Composed], Awaitable[str]],
    ) -> None:
        super().__init__()
        self._profile, self._group_key = profile, group_key
        self._now = now
        self._read = read
        self._record = record
        self._state: State = None
        self._known = False
        self._recording = False

    def compose(self) -> ComposeResult:
        """The profile, the line, its effect."""
        with Vertical(classes="box wide"):
            owner = printable(owner_name(self._profile, self._group_key))
            yield Static(f"An operation on {owner}; enter records it:", markup=False)
            yield Line(placeholder=_HINT, compact=True, select_on_focus=False)
            yield Notice("effect")
            yield KeyFooter(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read the profile."""
        self._say([VERBS])
        self.ask(lambda: self._read(stopped), self._show_state, group="consequences")

    def _show_state(self, state: State) -> None:
        self._state, self._known = state, True
        self._preview(self.query_one(Input).value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the effect of what is typed."""
        self._preview(event.value)

    def _preview(self, line: str) -> None:
        try:
            lines = self._effect(composed(line)) if line.strip() else [VERBS]
        except ValueError as error:
            lines = [str(error)]
        self._say(lines)

    def _effect(self, operation: Composed) -> list[str]:
        lines = effect_lines(operation, self._profile, self._group_key, self._state, self._now())
        return lines if self._known else ["… reading the profile"]

    def _say(self, lines: list[str]) -> None:
        width = max(self.query_one(Line).size.width, 20)
        shown = [part for line in lines for part in folded(printable(line), width)]
        more = [f"and {len(shown) - _MOST_LINES:,} more lines"] if len(shown) > _MOST_LINES else []
        self.query_one("#effect", Notice).say("\n".join([*shown[:_MOST_LINES], *more]))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Record it; a line that is refused stays, with the reason."""
        event.stop()
        if event.value.strip() and not self._recording:
            self._recording = True  # once, however often enter is pressed
            self.run_worker(self._finish(event.value), group="act", exit_on_error=False)

    async def _finish(self, line: str) -> None:
        try:
            words = await self._record(composed(line))
        except Exception as error:  # noqa: BLE001  # shown to the person; what was typed stays
            self._recording = False
            self._say([str(error)])
        else:
            self.dismiss(words)

    def action_close(self) -> None:
        """Record nothing; what is being recorded already cannot be left."""
        if not self._recording:
            self.dismiss(None)
