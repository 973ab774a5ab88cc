"""The line that never disappears: the views, the journal, and how it stands."""

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from recorder.reading.sentence import standing_of
from tui.text.facts import Facts
from tui.text.format import age, printable, size

__all__ = ["TopLine", "accounts_line", "standing"]

_VIEWS = (("journal", "1 Journal"), ("profiles", "2 Profiles"), ("shipping", "3 Shipping"))
_NAME = 24  # cells of the journal's name


def standing(facts: Facts) -> str:
    """Return glyph and word for the state of shipping."""
    return standing_of(facts.shipping, facts.statistics, facts.shipper)


def accounts_line(facts: Facts, *, short: bool) -> str:
    """Return the counts that need attention: ``12 pending  3 rejected``."""
    counts = facts.statistics
    words = (
        (counts.to_send, "pending", "pend"),
        (counts.in_doubt, "in doubt", "doubt"),
        (counts.rejected, "rejected", "rej"),
    )
    parts = [f"{number:,} {few if short else word}" for number, word, few in words if number]
    return (" " if short else "  ").join(parts) or "nothing to send"


@dataclass(frozen=True, slots=True)
class _Line:
    left: str
    right: str

    def fits(self, width: int) -> bool:
        return cell_len(self.left) + cell_len(self.right) + 1 <= width


class TopLine(Widget):
    """The views, the journal, its state, its unsent entries, and the mode."""

    DEFAULT_CSS = "TopLine { height: 1; dock: top; background: $panel; color: $foreground; }"

    facts: reactive[Facts | None] = reactive(None)
    """The state of the journal."""

    view: reactive[str] = reactive("journal")
    """The view that is open."""

    def __init__(self, name: str, *, write: bool) -> None:
        super().__init__(id="top")
        self._journal = printable(name)
        self._write = write

    def render(self) -> Text:
        """Draw as much of the line as fits."""
        width = self.size.width
        lines = list(self._lines())
        line = next((line for line in lines if line.fits(width)), lines[-1])
        gap = max(width - cell_len(line.left) - cell_len(line.right), 1)
        return Text(set_cell_size(line.left + " " * gap + line.right, width), no_wrap=True, end="")

    def _lines(self) -> list[_Line]:
        """Return lines from the longest to the shortest."""
        views = self._tabs(named=True)
        numbers = self._tabs(named=False)
        return [
            *(_Line(views, right) for right in (self._right(3), self._right(2), self._right(1))),
            _Line(numbers, self._right(1)),
            _Line(numbers, self._right(0)),
        ]

    def _tabs(self, *, named: bool) -> str:
        parts = []
        for view, title in _VIEWS:
            if view == self.view:
                parts.append(f"[{title}]")
            else:
                parts.append(f" {title if named else title[0]} ")
        return "".join(parts)

    def _right(self, much: int) -> str:
        """Return the right end; 3 is all of it."""
        facts = self.facts
        short = much < 2  # noqa: PLR2004
        mode = ("rw" if short else "writing") if self._write else ("ro" if short else "read-only")
        if facts is None:
            return f"…  {mode} "
        gap = " " if short else "  "
        parts = [standing(facts), accounts_line(facts, short=short), mode]
        if much == 0:
            parts = parts[1:]
        oldest = facts.statistics.oldest_pending_seconds
        if much > 1 and oldest is not None:
            parts.insert(2, f"oldest {age(oldest)}")
        if much == 3:  # noqa: PLR2004
            parts.insert(0, f"{self._journal[:_NAME]} {size(facts.statistics.bytes)}")
        return gap.join(parts) + " "
