"""One property whole: its value on both sides, and the entries that made it what it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from simulator import ABSENT
from tui.text.cells import folded
from tui.text.format import count, printable
from tui.text.history import History
from tui.text.standpoint import Standpoint, value_lines
from tui.text.states import LOOKS, plain
from tui.text.writers import Written

__all__ = ["ValuePane", "property_lines"]

_MOST_WRITERS = 20


class ValuePane(VerticalScroll):
    """Lines of text to scroll through."""

    DEFAULT_CSS = "ValuePane { display: none; height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }"

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__(id="value")
        self._ascii = ascii_only
        self._lines: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", id="value-text", markup=False)

    def show(self, lines: tuple[str, ...]) -> None:
        """Show these, from the beginning."""
        self._lines = lines
        self.scroll_to(y=0, animate=False)
        self._draw()

    def on_resize(self, event: Resize) -> None:
        """Fold the lines anew."""
        del event
        self._draw()

    def _draw(self) -> None:
        width = max(self.scrollable_content_region.width - 1, 20)
        lines = (plain(line) if self._ascii else line for line in self._lines)
        text = "\n".join(part for line in lines for part in folded(line, width))
        # Content, never markup: nothing that is recorded can style it.
        self.query_one("#value-text", Static).update(Content(text))


def property_lines(
    name: str, history: History, written: Written, shown: Standpoint, left: Mapping[str, Any] | None
) -> Iterator[str]:
    """All that is known about a property at a moment, as lines that are safe to print."""
    yield printable(name)
    right = shown.state
    sides = [ABSENT if side is None else side.get(name, ABSENT) for side in (left, right)]
    row = next((row for row in shown.rows if row.name == name), None)
    if row is None or row.mark == " ":
        yield from ("", *value_lines(name, sides[1]))
    else:
        for head, value in zip(shown.heads, sides, strict=True):
            yield from ("", head, *value_lines(name, value))
    yield from ("", "CHANGED BY")
    upto = shown.of if shown.n is None else shown.n
    places = [place for place in written.by.get(name, ()) if place <= upto][::-1]
    for place in places[:_MOST_WRITERS]:
        passage = history.passages[place - 1]
        yield f"#{passage.seq:,} {LOOKS[passage.state].mark()}  {written.changes[place - 1]}"
    if len(places) > _MOST_WRITERS:
        yield f"… and {len(places) - _MOST_WRITERS:,} before them"
    before = history.start.properties if history.start is not None else None
    if before is not None and name in before:
        pruned = count(history.pruned, "entry", "entries")
        yield f"before what is kept: {pruned} that {'was' if history.pruned == 1 else 'were'} pruned"
    elif not places:
        yield "…" if len(written.changes) < upto else "nobody"
