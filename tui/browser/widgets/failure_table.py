"""What failed, grouped by what the service said: entries first, then attempts."""

from collections.abc import Sequence

from recorder import State
from recorder.model.reports import AttemptGroup, FailureGroup
from tui.browser.gateway_shipping import Standing
from tui.browser.keys import name_of
from tui.browser.widgets.lines import Cell, Lines
from tui.text.format import age, clipped, count, printable
from tui.text.states import LOOKS

__all__ = ["FailureTable"]

_STATUS, _NUMBER, _AGE = 3, 14, 11
_WIDE, _MIDDLE = 90, 60  # cells from which both ages, and one, are shown
_LONGEST = 300  # characters of the words
_TRIED = LOOKS[State.SENDING]  # attempts are no entries: their glyph is that of a request


class FailureTable(Lines):
    """The groups, and the keys that lead on from the one under the cursor."""

    def __init__(self, *, write: bool, ascii_only: bool) -> None:
        super().__init__(id="failures", ascii_only=ascii_only)
        self._write = write
        self.rows: tuple[FailureGroup | AttemptGroup, ...] = ()
        self.now = 0.0
        self.unread = " …"
        """What is shown before anything was read."""
        self._entries = self._tries = 0

    @property
    def known(self) -> bool:
        """Whether anything was read yet."""
        return self.now > 0

    def show(self, standing: Standing) -> None:
        """Show these; the cursor stays on its group."""
        here = _key(self.current) if self.current is not None else None
        self.rows = (*standing.failures, *standing.tries)
        self.now = standing.facts.now
        self._tries = sum(group.attempts for group in standing.tries)
        self._entries = sum(group.entries for group in standing.failures)
        places = (place for place, row in enumerate(self.rows) if _key(row) == here)
        self.put(next(places, self.cursor))

    @property
    def current(self) -> FailureGroup | AttemptGroup | None:
        """The group under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def number(self) -> int:
        """How many groups there are."""
        return len(self.rows)

    def heads(self, width: int) -> str:
        """What they are."""
        hint = ""
        if isinstance(self.current, FailureGroup) and width >= _MIDDLE:
            hint = f"   {name_of('shipping.enter')}: entries"
            if self._write:
                hint += f", {name_of('shipping.retry')}: retry"
        many = [count(self._entries, "entry", "entries")]
        if self._tries:
            many.append(count(self._tries, "try", "tries"))
        more = f"   {self.cursor + 1} of {len(self.rows)}" if len(self.rows) > self._room_for_rows else ""
        return f" FAILURES {', '.join(many) if self.known else '…'}{more}{hint}"

    @property
    def _room_for_rows(self) -> int:
        return max(self.size.height - 1, 1)

    def nothing(self) -> str:
        """None."""
        return " Nothing failed." if self.known else self.unread

    def cells(self, place: int, width: int) -> Sequence[Cell]:
        """State, status, words, how many, first and last."""
        row = self.rows[place]
        many, glyph, style = self._what(row)
        status = str(row.status) if row.status is not None else ""
        first, last = (age(max(self.now - at, 0.0)) for at in (row.first_at, row.last_at))
        ends = [many.rjust(_NUMBER)]
        if width >= _WIDE:
            ends.append(f"first {first}".rjust(_AGE))
        if width >= _MIDDLE:
            ends.append(f"last {last}".rjust(_AGE))
        end = "  ".join(["", *ends])
        words = printable(clipped(row.words, _LONGEST)) or "nothing says why"
        quoted = f'"{words}"' if isinstance(row, FailureGroup) and row.state is State.REJECTED else words
        if isinstance(row, AttemptGroup):
            quoted = f"{row.lane.value}: {words}"
        room = max(width - 2 - _STATUS - 1 - len(end), 4)
        return (
            (f"{glyph} ", style),
            (self.fit(status, _STATUS) + " ", "bold"),
            (self.fit(quoted, room), ""),
            (self.fit(end, len(end)), "$text-muted"),
        )

    def _what(self, row: FailureGroup | AttemptGroup) -> tuple[str, str, str]:
        if isinstance(row, AttemptGroup):
            return count(row.attempts, "try", "tries"), self.fit(_TRIED.glyph, 1), _TRIED.style
        look = LOOKS[row.state]
        return count(row.entries, "entry", "entries"), look.ascii if self._ascii else look.glyph, look.style


def _key(row: FailureGroup | AttemptGroup) -> tuple[object, ...]:
    kind = row.state if isinstance(row, FailureGroup) else (row.lane, row.outcome)
    return (kind, row.words, row.status)
