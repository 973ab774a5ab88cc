"""The prompt that goes to an entry or a profile, or finds an action by words."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input

from tui.browser.keys import BINDINGS
from tui.browser.widgets.lines import Cell, Lines
from tui.browser.widgets.prompt import Line
from tui.text.cells import fitted
from tui.text.jump import Jump, jumps

__all__ = ["JumpPrompt"]


class _Jumps(Lines[Jump], can_focus=False):
    """Places and actions that the text may mean, the likeliest first."""

    def heads(self, width: int) -> str:
        del width
        return ""

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        return ((fitted(self.rows[place].words, width), ""),)


class _Field(Line):
    """The line. Enter acts at once, not by a message: a key right behind it acts upon the place to which it leads."""

    def __init__(self, enter: Callable[[str], object], **options: Any) -> None:
        super().__init__(**options)
        self._enter = enter

    async def action_submit(self) -> None:
        self._enter(self.value)


class JumpPrompt(Vertical):
    """A line to type in over the view, and below it what the text may mean. It closes when another widget has the keys.

    It is no screen of its own: what is typed at once after the key that opens it would be lost.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["jump"]]
    DEFAULT_CSS = """
    JumpPrompt {
        layer: over; dock: top; width: 88; max-width: 100%; height: 16; max-height: 90%; margin-top: 1;
        background: $surface; border: round $primary; display: none;
    }
    """

    def __init__(self) -> None:
        super().__init__(id="jump")
        self.border_title = "Go to an entry, a profile or an action"
        self._actions: list[SystemCommand] = []
        self._leave: Callable[[], object] = bool
        self._go_to: Callable[[Jump], object] = bool

    def compose(self) -> ComposeResult:
        """The line, and what it may mean."""
        yield _Field(
            self._enter, placeholder="812   visitor-070   next problem", compact=True, select_on_focus=False
        )
        yield _Jumps("jumps")

    @property
    def _table(self) -> _Jumps:
        return self.query_one(_Jumps)

    def open(
        self, actions: Sequence[SystemCommand], go: Callable[[Jump], object], leave: Callable[[], object]
    ) -> None:
        """Show the prompt.

        Args:
            actions: The actions that are offered.
            go: Goes to what was chosen, but for an action, which is called.
            leave: Gives the keys back.
        """
        self._actions, self._go_to, self._leave = list(actions), go, leave
        field = self.query_one(Input)
        field.value = ""
        self.display = True
        self._show("")
        self.screen.set_focus(field)

    def close(self) -> None:
        """Hide the prompt."""
        if self.display:
            self.display = False
            self._leave()

    def on_descendant_blur(self) -> None:
        """Close: the keys go elsewhere."""
        self.display = False

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what the text may mean."""
        event.stop()
        self._show(event.value)

    def _show(self, text: str) -> None:
        self._table.rows = jumps(text, [(action.title, action.help) for action in self._actions])
        self._table.put(0)

    def _enter(self, text: str) -> None:
        """Go there. The text may be newer than what shows; an empty one goes nowhere, unless a line was chosen."""
        if not self._table.cursor:
            self._show(text)
        if text.strip() or self._table.cursor:
            self._go()
        else:
            self.close()

    def on_lines_opened(self) -> None:
        """A second click on a line."""
        self._go()

    def _go(self) -> None:
        jump = self._table.current
        self.close()
        if jump is not None and jump.action is not None:
            self.app.call_later(self._actions[jump.action].callback)
        elif jump is not None:
            self._go_to(jump)

    def action_move(self, by: int) -> None:
        """To another meaning."""
        self._table.move(by)

    def action_close(self) -> None:
        """Close it, and go nowhere."""
        self.close()
