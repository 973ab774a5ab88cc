"""The latest attempts, newest first."""

from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar

from rich.cells import cell_len

from recorder import Attempt, State
from recorder.model.entries import AttemptOutcome
from tui.browser.gateway_shipping import Standing
from tui.browser.widgets.lines import Cell, Lines, Order
from tui.text.cells import fitted
from tui.text.format import age, clipped, printable, size
from tui.text.states import LOOKS, MUTED, Look

__all__ = ["AttemptTable"]

_LOOKS: dict[AttemptOutcome | None, tuple[Look, str]] = {
    AttemptOutcome.SHIPPED: (LOOKS[State.SHIPPED], "accepted"),
    AttemptOutcome.REFUSED: (LOOKS[State.REJECTED], "refused"),
    AttemptOutcome.UNKNOWN: (LOOKS[State.IN_DOUBT], "no answer"),
    AttemptOutcome.OFFLINE: (LOOKS[State.PENDING], "offline"),
    AttemptOutcome.WAIT: (LOOKS[State.WAITING], "patience"),
    AttemptOutcome.PAUSED: (LOOKS[State.WAITING], "paused"),
    None: (LOOKS[State.SENDING], "under way"),
}
_AGE, _OUTCOME, _LANE, _UPDATES, _NUMBERS, _SIZE = 5, 11, 7, 8, 17, 8
_LEAST_WORDS = 16
_GAP = "  "
_LONGEST = 300  # characters of the words


class AttemptTable(Lines[Attempt]):
    """One line for each request, or for several that failed alike."""

    orders: ClassVar[Sequence[Order]] = (
        Order("AGE"),
        Order("ATTEMPT", lambda row: _LOOKS[row.outcome][1]),
        Order("LANE", lambda row: row.lane.value),
        Order("UPDATES", lambda row: -row.updates),
        Order("ENTRIES", lambda row: -row.first),
        Order("SIZE", lambda row: -row.bytes),
        Order("WORDS", lambda row: row.words),
    )

    def __init__(self) -> None:
        super().__init__("attempts")
        self.now = 0.0

    def show(self, standing: Standing) -> None:
        """Show the attempts; the cursor stays on its own, or on the latest."""
        self.empty = " Nothing was sent yet."
        here = self.current.id if self.current is not None and self.cursor else None
        self.take(standing.attempts)
        self.now = standing.facts.now
        places = (place for place, row in enumerate(self.rows) if row.id == here)
        self.put(next(places, 0 if here is None else self.cursor))

    def heads(self, width: int) -> str:
        """Return the heads of the columns."""
        return " " + "".join(self._heads(width))

    def _heads(self, width: int) -> tuple[str, ...]:
        return _fit(tuple(order.name + self.sign_of(order.name) for order in self.orders), width - 1)

    def order_at(self, x: int) -> int | None:
        """Return the order of the column at a cell."""
        heads = self._heads(self.size.width)
        shown = [
            head.strip(" ▲▼")
            for head, end in zip(heads, accumulate(map(cell_len, heads)), strict=True)
            if x <= end
        ]
        return [order.name for order in self.orders].index(shown[0]) if shown else None

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        """Return age, outcome, entries and the service's words."""
        row = self.rows[place]
        look, word = _LOOKS[row.outcome]
        numbers = f"{row.first:,}..{row.last:,}" if row.first != row.last else f"{row.first:,}"
        status = f"{row.status} " if row.status is not None else ""
        times = f" ({row.times:,} times)" if row.times > 1 else ""
        when, outcome, *rest = _fit(
            (
                age(max(self.now - (row.ended_at or row.started_at), 0.0), short=True),
                f"{look.glyph} {word}",
                row.lane.value,
                f"{row.updates:,}",
                numbers if row.updates else "",
                size(row.bytes),
                status + printable(clipped(row.words, _LONGEST)) + times,
            ),
            width,
        )
        return (when, MUTED), (outcome, look.style), *((cell, "") for cell in rest)


def _fit(cells: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Leave out columns until the words have space: the size first, then the numbers, then the updates."""
    widths = [_AGE, _OUTCOME, _LANE, _UPDATES, _NUMBERS, _SIZE]
    for gone in (5, 4, 3, 2):
        if width - _taken(widths) >= _LEAST_WORDS:
            break
        widths[gone] = 0
    widths.append(max(width - _taken(widths), 0))
    right = {0, 3, 4, 5}
    made = [
        (_GAP if place else "") + fitted(cell, space, right=place in right)
        for place, (cell, space) in enumerate(zip(cells, widths, strict=True))
        if space
    ]
    return tuple(made)


def _taken(widths: list[int]) -> int:
    return sum(space + len(_GAP) for space in widths if space)
