"""Rows of the table of entries, the query that they match, and the window of them that is loaded. Pure."""

import shlex
from bisect import bisect_left
from dataclasses import dataclass, replace

from recorder import Entry, State
from tui.text.cells import middle_cut
from tui.text.format import owner_name, printable
from tui.text.summary import summary

__all__ = ["Query", "Row", "Window", "row_of", "words_of"]

_LONGEST = 200  # characters of a cell that are kept; no terminal shows more


@dataclass(frozen=True, slots=True)
class Query:
    """Tab and filter of the table.

    Attributes:
        state: The tab; None for all.
        words: The filter, in the command line's language.
    """

    state: State | None = None
    words: tuple[str, ...] = ()

    @property
    def states(self) -> tuple[State, ...]:
        """The states of the tab; none means any."""
        return (self.state,) if self.state is not None else ()

    @property
    def expression(self) -> tuple[str, ...]:
        """The filter with the tab as a word, as `of` takes it."""
        return (*(f"state={state}" for state in self.states), *self.words)

    @property
    def everything(self) -> bool:
        """True if every entry matches."""
        return self.state is None and not self.words

    @classmethod
    def of(cls, words: list[str], state: State | None = None) -> "Query":
        """Make a query; a word that names a state becomes the tab, which has an index.

        >>> Query.of(["state=rejected", "op=add"])
        Query(state=<State.REJECTED: 'rejected'>, words=('op=add',))
        """
        named = [word for word in words if word.startswith("state=")]
        if len(named) == 1 and named[0].removeprefix("state=") in list(State):
            rest = tuple(word for word in words if word != named[0])
            return cls(State(named[0].removeprefix("state=")), rest)
        return cls(state, tuple(words))


def words_of(text: str) -> list[str]:
    """Split a typed text into words of a filter; quotes keep white space.

    >>> words_of("op=add profile='Ada Lovelace'")
    ['op=add', 'profile=Ada Lovelace']
    """
    try:
        return shlex.split(text)
    except ValueError:  # a quote that is still open
        return text.split()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; user data is safe to print and not longer than a line may show."""

    seq: int
    recorded_at: float
    owner: str
    summary: str
    state: State
    marks: str


def row_of(entry: Entry) -> Row:
    """Return the row of an entry."""
    return Row(
        seq=entry.seq,
        recorded_at=entry.recorded_at,
        owner=_owner(owner_name(entry.profile, entry.group_key)),
        summary=summary(entry, _LONGEST),
        state=entry.state,
        marks=" x2" * entry.possibly_twice + " late" * entry.out_of_order,
    )


def _owner(text: str) -> str:
    if len(text) > 2 * _LONGEST:
        text = f"{text[:_LONGEST]}{text[-_LONGEST:]}"
    return middle_cut(printable(text), _LONGEST)


@dataclass(frozen=True, slots=True)
class Window:
    """The rows that are loaded: consecutive matches, newest first.

    Attributes:
        first: The row number of the first of them, 0 for the newest match; an estimate where neither end of the
            matches is known.
        rows: They.
        at_newest: Whether nothing newer matches.
        at_oldest: Whether nothing older matches.
        total: How many match; None where that is still being counted.
    """

    first: int = 0
    rows: tuple[Row, ...] = ()
    at_newest: bool = True
    at_oldest: bool = False
    total: int | None = None

    @property
    def end(self) -> int:
        """The row number after the last one loaded."""
        return self.first + len(self.rows)

    @property
    def height(self) -> int:
        """The number of rows, as far as it is known."""
        if self.at_oldest:
            return self.end
        return max(self.end + 1, self.total or 0)

    def __getitem__(self, number: int) -> Row | None:
        """Return the row of a number; None if it is not loaded."""
        return self.rows[number - self.first] if self.first <= number < self.end else None

    def place(self, seq: int) -> int:
        """Return the row number of an entry, or of the next older one that is loaded, or of the last.

        >>> window = Window(5, tuple(Row(seq, 0.0, "", "", State.PENDING, "") for seq in (30, 20, 10)))
        >>> window.place(30), window.place(25), window.place(1)
        (5, 6, 7)
        """
        at = bisect_left(self.rows, -seq, key=lambda row: -row.seq)
        return self.first + min(at, max(len(self.rows) - 1, 0))

    def covers(self, seq: int) -> bool:
        """Return True if an entry of this number would be among the rows, or is."""
        if not self.rows:
            return False
        return (self.at_newest or seq <= self.rows[0].seq) and (self.at_oldest or seq >= self.rows[-1].seq)

    def placed(self) -> "Window":
        """Return the same window at the row number that a known end gives it."""
        if self.at_newest:
            return replace(self, first=0)
        if self.at_oldest and self.total is not None:
            return replace(self, first=max(self.total - len(self.rows), 1))
        return replace(self, first=max(self.first, 1))

    def extended(self, rows: tuple[Row, ...], *, newer: bool, reached: bool, most: int) -> "Window":
        """Return a window with more rows at one end, and fewer at the other if they become too many.

        Args:
            rows: The rows, newest first.
            newer: Add them at the newest end.
            reached: Nothing matches beyond them.
            most: As many rows are kept.
        """
        if newer:
            kept = (*rows, *self.rows)[:most]
            whole = len(kept) == len(rows) + len(self.rows)
            first, at_newest, at_oldest = self.first - len(rows), reached, self.at_oldest and whole
        else:
            both = (*self.rows, *rows)
            kept = both[-most:]
            cut = len(both) - len(kept)
            first, at_newest, at_oldest = self.first + cut, self.at_newest and not cut, reached
        return Window(0 if at_newest else max(first, 1), kept, at_newest, at_oldest, self.total)

    def grown_from(self, before: "Window", seq: int, number: int) -> "Window":
        """Return the same window, its row numbers estimated from those of an earlier reading.

        Args:
            before: The earlier reading.
            seq: An entry of both.
            number: The entry's row number then.
        """
        grown = self.total - before.total if self.total and before.total else 0
        return replace(self, first=max(number + grown - (self.place(seq) - self.first), 1))
