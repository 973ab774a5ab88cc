"""The timeline of the open profile, newest first. Its cursor is the time."""

from collections.abc import Sequence

from tui.browser.widgets.lines import Cell, Lines
from tui.text.cells import fitted
from tui.text.format import age, clipped, printable
from tui.text.history import History
from tui.text.standpoint import beginning
from tui.text.states import LOOKS, MUTED
from tui.text.writers import NOBODY, Written

__all__ = ["PassageTable"]

_AGE, _OPERATOR, _STATE, _GLYPH = 5, 9, 12, 1
_LEAST_CHANGE = 16  # cells
_GAP = "  "


class PassageTable(Lines[None]):
    """The present first, then the entries, the last one first, then the moment before any."""

    def __init__(self) -> None:
        super().__init__("passages")
        self.history: History | None = None
        self.written: Written = NOBODY
        self.now = 0.0

    def show(self, history: History | None, written: Written, now: float) -> None:
        """Show a profile's entries."""
        self.history, self.written, self.now = history, written, now
        self.put(self.cursor)

    @property
    def at(self) -> int | None:
        """The moment under the cursor, as a number of entries; None for now."""
        if self.history is None or self.cursor == 0:
            return None
        return len(self.history) + 1 - self.cursor

    def go_to(self, n: int | None) -> None:
        """Put the cursor on a moment."""
        self.put(self._place(n))

    def stay_on(self, n: int | None) -> None:
        """Put the cursor on its moment among other entries; it keeps its line of the screen."""
        self._top += self._place(n) - self.cursor
        self.go_to(n)

    def _place(self, n: int | None) -> int:
        return 0 if n is None or self.history is None else len(self.history) + 1 - n

    def number(self) -> int:
        """Return the number of entries, and two for the present and the beginning."""
        history = self.history
        return len(history) + 2 if history is not None and (len(history) or history.pruned) else 0

    def heads(self, width: int) -> str:
        """Return the heads of the columns."""
        if not self.number():
            return ""
        return " " + "".join(self._fit(("SEQ", "AGE", "OP", "WHAT IT CHANGED", "STATE"), width - 1))

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        """Return number, age, operator, change and state."""
        assert self.history is not None  # noqa: S101  # for the type checker: there is a row
        n = len(self.history) + 1 - place
        if place == 0:
            return ((fitted("now: as shipped beside as predicted", width), "bold"),)
        if n == 0:
            return ((fitted(beginning(self.history), width), MUTED),)
        passage = self.history.passages[n - 1]
        look = LOOKS[passage.state]
        when = age(max(self.now - passage.recorded_at, 0.0), short=True)
        change = self.written.changes[n - 1] if n <= len(self.written.changes) else "…"
        operator = printable(clipped(passage.operator, 40))
        state = look.mark
        *first, last = self._fit((f"{passage.seq:,}", when, operator, change, state), width)
        return *((cell, "") for cell in first), (last, look.style)

    def _fit(self, cells: tuple[str, str, str, str, str], width: int) -> tuple[str, ...]:
        seq, when, operator, change, state = cells
        assert self.history is not None  # noqa: S101  # for the type checker: there is a row
        numbers = max(len(f"{max((self.history.numbers or (0,))[-1], 0):,}"), 3)
        space = width - numbers - _OPERATOR - _STATE - 3 * len(_GAP)
        ages = _AGE if space >= _LEAST_CHANGE + _AGE + len(_GAP) else 0
        space -= ages + len(_GAP) * bool(ages)
        return (
            fitted(seq, numbers, right=True),
            _GAP + fitted(when, ages, right=True) if ages else "",
            _GAP + fitted(operator, _OPERATOR),
            _GAP + fitted(change, space) if space > 0 else "",
            _GAP + fitted(state, _STATE),
        )
