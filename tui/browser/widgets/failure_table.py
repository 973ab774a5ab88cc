"""The failures, grouped by the words of the service: entries first, then attempts."""

from collections.abc import Sequence
from typing import ClassVar

from recorder import State
from recorder.model.reports import AttemptGroup, FailureGroup
from tui.browser.gateway_shipping import Standing
from tui.browser.keys import key_name
from tui.browser.widgets.lines import Cell, Lines, Order
from tui.text.cells import fitted
from tui.text.format import age, clipped, count, printable
from tui.text.states import LOOKS, MUTED, Look

__all__ = ["FailureTable"]

_STATUS, _NUMBER, _AGE = 3, 14, 11
_WIDE, _MIDDLE = 90, 60  # cells from which both ages, and one, are shown
_LONGEST = 300  # characters of the words
_TRIED = LOOKS[State.SENDING]  # attempts are no entries: their glyph is that of a request


class FailureTable(Lines[FailureGroup | AttemptGroup]):
    """The groups, and the keys that lead on from the one under the cursor."""

    orders: ClassVar[Sequence[Order]] = (
        Order("state"),
        Order("number", lambda row: -_number(row)),
        Order("last", lambda row: -row.last_at),
        Order("first", lambda row: row.first_at),
        Order("words", lambda row: row.words),
    )

    def __init__(self, *, write: bool) -> None:
        super().__init__("failures")
        self._write = write
        self.now = 0.0
        self._total = "…"

    def show(self, standing: Standing) -> None:
        """Show the groups; the cursor stays on its own."""
        here = _key(self.current) if self.current is not None else None
        self.empty = " Nothing failed."
        self.take((*standing.failures, *standing.tries))
        self.now = standing.facts.now
        self._total = count(sum(group.entries for group in standing.failures), "entry", "entries")
        if standing.tries:
            tries = sum(group.attempts for group in standing.tries)
            self._total += f", {count(tries, 'try', 'tries')}"
        places = (place for place, row in enumerate(self.rows) if _key(row) == here)
        self.put(next(places, self.cursor))

    def heads(self, width: int) -> str:
        """Return the totals, and the keys."""
        hint = ""
        if isinstance(self.current, FailureGroup) and width >= _MIDDLE:
            hint = f"   {key_name(self.app, 'shipping.enter')}: entries"
            if self._write:
                hint += f", {key_name(self.app, 'shipping.retry')}: retry"
        hidden = len(self.rows) > max(self.size.height - 1, 1)
        more = f"   {self.cursor + 1} of {len(self.rows)}" if hidden else ""
        chosen = (f"   by {order.name} {sign}" for order in self.orders if (sign := self.sign_of(order.name)))
        return f" FAILURES {self._total}{more}{''.join(chosen)}{hint}"

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        """Return state, status, words, number, first and last."""
        row = self.rows[place]
        many, look = _kind(row)
        status = str(row.status) if row.status is not None else ""
        first, last = (age(max(self.now - at, 0.0), short=True) for at in (row.first_at, row.last_at))
        ends = [many.rjust(_NUMBER)]
        if width >= _WIDE:
            ends.append(f"first {first}".rjust(_AGE))
        if width >= _MIDDLE:
            ends.append(f"last {last}".rjust(_AGE))
        end = "  ".join(["", *ends])
        words = printable(clipped(row.words, _LONGEST)) or "no reason given"
        quoted = f'"{words}"' if isinstance(row, FailureGroup) and row.state is State.REJECTED else words
        if isinstance(row, AttemptGroup):
            quoted = f"{row.lane.value}: {words}"
        space = max(width - 2 - _STATUS - 1 - len(end), 4)
        return (
            (f"{look.glyph} ", look.style),
            (fitted(status, _STATUS) + " ", "bold"),
            (fitted(quoted, space), ""),
            (fitted(end, len(end)), MUTED),
        )


def _kind(row: FailureGroup | AttemptGroup) -> tuple[str, Look]:
    if isinstance(row, AttemptGroup):
        return count(_number(row), "try", "tries"), _TRIED
    return count(_number(row), "entry", "entries"), LOOKS[row.state]


def _number(row: FailureGroup | AttemptGroup) -> int:
    return row.attempts if isinstance(row, AttemptGroup) else row.entries


def _key(row: FailureGroup | AttemptGroup) -> tuple[object, ...]:
    kind = row.state if isinstance(row, FailureGroup) else (row.lane, row.outcome)
    return (kind, row.words, row.status)
