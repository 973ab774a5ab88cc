"""The line that never disappears: the views, the journal, and how it stands."""

from dataclasses import dataclass
from itertools import accumulate

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.reactive import reactive
from textual.widget import Widget

from recorder import State
from recorder.reading.sentence import standing_of
from tui.browser.messages import ShowView
from tui.text.cells import fitted
from tui.text.facts import Facts
from tui.text.format import age, printable, size
from tui.text.home import Line, standing_style
from tui.text.states import LOOKS

__all__ = ["TopLine", "accounts_line"]

_VIEWS = (
    ("home", "0 Home"),
    ("journal", "1 Journal"),
    ("profiles", "2 Profiles"),
    ("shipping", "3 Shipping"),
)
_NAME = 24  # cells of the journal's name


def accounts_line(facts: Facts, *, short: bool) -> Line:
    """Return the counts that need attention: ``12 unsent  3 rejected``; empty if there are none."""
    counts = facts.statistics
    words = (
        (counts.unsent, "unsent", "unsent", "bold"),
        *(
            (int(getattr(counts, state)), look.word, look.short, f"bold {look.style}")
            for state, look in LOOKS.items()
            if state in {State.IN_DOUBT, State.REJECTED}
        ),
    )
    gap = " " if short else "  "
    line: Line = []
    for number, word, few, style in words:
        if number:
            line += [(gap, "")] * bool(line) + [(f"{number:,} {few if short else word}", style)]
    return line


@dataclass(frozen=True, slots=True)
class _Line:
    left: str
    right: Line

    @property
    def cells(self) -> int:
        return cell_len(self.left) + sum(cell_len(text) for text, _ in self.right)

    def fits(self, width: int) -> bool:
        return self.cells + 1 <= width


class TopLine(Widget):
    """The views, the journal, its state, its unsent entries, and the mode."""

    DEFAULT_CSS = "TopLine { height: 1; dock: top; background: $panel; color: $foreground; }"

    facts: reactive[Facts | None] = reactive(None)
    """The state of the journal."""

    view: reactive[str] = reactive("home")
    """The view that is open."""

    def __init__(self, name: str, *, write: bool) -> None:
        super().__init__(id="top")
        self._journal = printable(name)
        self._write = write
        self._named = True  # as it was drawn

    def render(self) -> Content:
        """Draw as much of the line as fits. Colours of text are hard to read on the panel of some light themes."""
        width = self.size.width
        lines = list(self._lines())
        line = next((line for line in lines if line.fits(width)), lines[-1])
        self._named = line.left == self._tabs(named=True)
        gap = max(width - line.cells, 1)
        right = ((text, f"{style} on $background" if "$" in style else style) for text, style in line.right)
        return Content.assemble(line.left, " " * gap, *right)

    def _lines(self) -> list[_Line]:
        """Return lines from the longest to the shortest."""
        views = self._tabs(named=True)
        numbers = self._tabs(named=False)
        return [
            *(_Line(views, self._right(much)) for much in (4, 3, 2)),
            *(_Line(numbers, self._right(much)) for much in (2, 1, 0)),
        ]

    def _tabs(self, *, named: bool) -> str:
        return "".join(self._tab(view, title, named=named) for view, title in _VIEWS)

    def _tab(self, view: str, title: str, *, named: bool) -> str:
        return f"[{title}]" if view == self.view else f" {title if named else title[0]} "

    def on_click(self, event: Click) -> None:
        """Open the view under the mouse."""
        ends = accumulate(len(self._tab(view, title, named=self._named)) for view, title in _VIEWS)
        for (view, _), end in zip(_VIEWS, ends, strict=True):
            if event.x < end:
                self.post_message(ShowView(view))
                return

    def _right(self, much: int) -> Line:
        """Return the right end; 4 is all of it, 0 the counts alone: OFFLINE says more than that nothing is written."""
        facts = self.facts
        short = much < 3  # noqa: PLR2004
        mode = ("rw" if short else "writing") if self._write else ("ro" if short else "read-only")
        if facts is None:
            return [(f"…  {mode} ", "")]
        statistics = facts.statistics
        parts: list[Line] = []
        if much == 4:  # noqa: PLR2004
            name = fitted(self._journal, min(_NAME, cell_len(self._journal)))
            parts.append([(f"{name} {size(statistics.bytes)}", "")])
        if much:
            words = standing_of(facts.shipping, statistics, facts.shipper)
            parts.append([(words, standing_style(facts))])
        parts.append(accounts_line(facts, short=short))
        oldest = statistics.oldest_pending_seconds
        if not short and oldest is not None:
            parts.append([(f"oldest {age(oldest)}", "")])
        if much > 1:
            parts.append([(f"{mode} ", "")])
        line: Line = []
        for part in filter(None, parts):
            line += [(" " if short else "  ", "")] * bool(line) + part
        return line
