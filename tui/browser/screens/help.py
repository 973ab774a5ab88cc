"""All keys and filter words on one screen that scrolls, made from the table of bindings."""

from collections.abc import Iterator
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from tui.browser.keys import BINDINGS, WRITES, keys_shown
from tui.browser.screens.dialog import Dialog
from tui.text.cells import fitted, folded
from tui.text.filter_words import FILTER_WORDS

__all__ = ["HelpScreen", "help_lines"]

Group = tuple[str, list[tuple[str, str]]]
"""A title, and under it keys or words, each with what it does."""

_TITLES = {
    "app": "Everywhere",
    "prompt": "While you type",
    "jump": "While you choose where to go",
    "confirm": "In a question",
    "edit": "In the editor",
    "progress": "While requests are under way",
}
_OVER = 2  # cells before a key


class _Scroll(VerticalScroll, inherit_bindings=False):
    """The lines; the keys are the screen's."""


class HelpScreen(Dialog[None]):
    """The keys of the view that shows, then all others.

    Args:
        place: The view's place in `tui.browser.keys.BINDINGS`.
        write: Whether keys that need ``--write`` act.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS["help"]]
    DEFAULT_CSS = """
    HelpScreen Vertical { width: 88; max-width: 100%; height: 100%; padding: 0 1; background: $surface; }
    HelpScreen #help-title { color: $text-primary; text-style: bold; height: 1; }
    HelpScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    """

    def __init__(self, place: str, *, write: bool) -> None:
        super().__init__()
        self._place = place
        self._write = write

    def compose(self) -> ComposeResult:
        """A title, and the lines."""
        close = ", ".join(keys_shown(self.app, BINDINGS["help"][0]))
        with Vertical():
            yield Static(f"Help   {close}: close", id="help-title", markup=False)
            with _Scroll():
                yield Static(id="help", markup=False)

    def on_mount(self) -> None:
        """Give the keys to the lines."""
        self.query_one(_Scroll).focus()

    def on_resize(self, event: Resize) -> None:
        """Fold the lines to another width."""
        width = min(event.size.width, 88) - 4
        groups = list(_groups(self.app, self._place, write=self._write))
        lines = (Content.styled(text, style) for text, style in help_lines(groups, width))
        self.query_one("#help", Static).update(Content("\n").join(lines))

    def action_move(self, by: int) -> None:
        """Down or up."""
        self.query_one(_Scroll).scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        """Pages down or up."""
        self.action_move(by * self.query_one(_Scroll).size.height)

    def action_first(self) -> None:
        """To the first line."""
        self.query_one(_Scroll).scroll_home(animate=False)

    def action_last(self) -> None:
        """To the last line."""
        self.query_one(_Scroll).scroll_end(animate=False)

    def action_close(self) -> None:
        """Go back to the view."""
        self.dismiss(None)


def _groups(app: App[Any], place: str, *, write: bool) -> Iterator[Group]:
    """Yield the keys of the view that shows and of all views, the words of a filter, then all other keys."""
    for name in dict.fromkeys([place, "app", *BINDINGS]):
        if name != "help":
            title = _TITLES.get(name) or f"{name.capitalize()} view"
            shown = [binding for binding in BINDINGS[name] if binding.description]
            yield title, [(" ".join(keys_shown(app, each)), _meaning(each, write=write)) for each in shown]
        if name == "app":
            yield "Words of a filter: all must match", FILTER_WORDS


def _meaning(binding: Binding, *, write: bool) -> str:
    needs = "" if write or binding.action not in WRITES else " (needs --write)"
    sentence = f": {binding.tooltip}" if binding.tooltip else ""
    return f"{binding.description}{sentence}{needs}"


def help_lines(groups: list[Group], width: int) -> Iterator[tuple[str, str]]:
    """Yield lines of at most so many cells, each with its style.

    >>> for line, _ in help_lines([("Journal view", [("j ↓", "down: one entry down")])], 20):
    ...     print(line)
    Journal view
      j ↓  down: one
           entry down
    """
    for place, (title, rows) in enumerate(groups):
        if place:
            yield "", ""
        yield title, "bold $text-primary"
        keys = min(max((len(key) for key, _ in rows), default=0), width // 2)
        for key, meaning in rows:
            for number, part in enumerate(folded(meaning, max(width - keys - 2 * _OVER, 8))):
                yield f"{'':{_OVER}}{fitted(key if not number else '', keys)}{'':{_OVER}}{part}", ""
