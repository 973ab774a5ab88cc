"""Profiles before and after a decision about some of their entries, as a table for its question. Pure.

Where nobody knows if a request arrived, there are two states before, and two after: if it was lost, and if it arrived.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rich.cells import cell_len

from recorder import Entry, State
from recorder.journal.decisions import Verb
from recorder.model.hazards import Update
from recorder.model.operations import Operator, operators_of
from simulator import ABSENT
from tui.text.cells import fitted, middle_cut
from tui.text.format import clipped, escaped_json, printable
from tui.text.history import History, applied_to
from tui.text.standpoint import charges_of, owner_of, sum_of

__all__ = ["LOOKING", "Column", "WhatIf", "if_decided", "if_edited", "table"]

LOOKING = "… simulating its profiles"
"""Words in place of the table until it is there."""
_MOST_LINES = 12
_MOST_ROWS = 6  # of one profile
_LEAST_LINES = 3  # of one profile
_LONGEST_VALUE = 200  # characters; no terminal shows more
_LONGEST_CELL = 40
_LEAST_CELL = 5
_LEAST_VALUE = 6
_GAP = 2
_IF = "service holds now, if the request"

Properties = Mapping[str, Any] | None


class Column(NamedTuple):
    """A profile at one moment.

    Attributes:
        head: The moment, in words.
        states: Its properties, None for no profile; two where it is not known if a request arrived.
        twice: The second is what entries make that apply twice.
    """

    head: str
    states: tuple[Properties, ...]
    twice: bool = False


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A profile now, and after each answer.

    Attributes:
        owner: The profile's name, safe to print.
        columns: The moments.
        names: Properties that the entries touch.
        harmless: Those of them that are the same after a retry, whether the request arrived or not.
        simulated: Whether what the entries do is known.
    """

    owner: str
    columns: tuple[Column, ...]
    names: tuple[str, ...]
    harmless: frozenset[str] = field(default_factory=frozenset)
    simulated: bool = True


def if_decided(
    history: History, numbers: Collection[int], verbs: Sequence[Verb], harmless: Collection[int] = ()
) -> WhatIf:
    """Return what decisions about some of a profile's entries would make of it.

    Args:
        history: The profile's entries.
        numbers: Those that the decision takes.
        verbs: The decisions to choose from.
        harmless: Those of them that may be sent again without a change; see `Decision.harmless`.
    """
    chosen = {row.seq: row for row in history.rows if row.seq in numbers}
    texts = {seq: row.message for seq, row in chosen.items()}
    doubtful = [row.message for row in chosen.values() if row.state == State.IN_DOUBT]
    shipped, unsent = _parts(history)
    if doubtful:
        lost, arrived = shipped, _after(history, shipped, doubtful)
        again = tuple(_after(history, state, [*texts.values()]) for state in (lost, arrived))
        columns = [Column("was lost", (lost,)), Column("arrived", (arrived,))]
        after = {Verb.RETRY: again, Verb.DISCARD: (lost, arrived)}
    else:
        columns = [Column("as predicted", (_after(history, shipped, [*unsent.values()]),))]
        sent = dict(sorted({**unsent, **texts}.items()))
        left = [text for seq, text in unsent.items() if seq not in texts]
        after = {
            Verb.RETRY: (_after(history, shipped, [*sent.values()]),),
            Verb.DISCARD: (_after(history, shipped, left),),
        }
    columns += [Column(f"after {verb}", after[verb], verb is Verb.RETRY) for verb in verbs]
    updates = {seq: Update.read(row.operator, row.message) for seq, row in chosen.items()}
    risky = {name for seq, update in updates.items() if seq not in harmless for name in update.properties}
    if any(update.operator == Operator.DELETE and seq not in harmless for seq, update in updates.items()):
        risky.update(name for column in columns for state in column.states for name in state or ())
    return _what_if(history, columns, [*updates.values()], risky if doubtful else None)


def if_edited(history: History, entry: Entry, message: str) -> WhatIf:
    """Return what another message of an entry would make of its profile, beside what the old one makes."""
    shipped, unsent = _parts(history)
    old = {row.seq: row.message for row in history.rows}[entry.seq]
    if entry.sends:
        lost, arrived = shipped, _after(history, shipped, [old])
        new = tuple(_after(history, state, [message]) for state in (lost, arrived))
        columns = [Column("was lost", (lost,)), Column("arrived", (arrived,)), Column("after edit", new)]
    else:
        unsent.pop(entry.seq, None)
        columns = [Column("without it", (_after(history, shipped, [*unsent.values()]),))]
        for head, text in (("as it is", old), ("as edited", message)):
            sent = dict(sorted({**unsent, entry.seq: text}.items()))
            columns.append(Column(head, (_after(history, shipped, [*sent.values()]),)))
    plain = [json.loads(text) for text in (old, message)]
    updates = [Update.of(operator, each) for each in plain for operator in operators_of(each)]
    return _what_if(history, columns, updates, None)


def _parts(history: History) -> tuple[Properties, dict[int, str]]:
    """Return the profile as it was shipped, and the messages that are still to be sent, by number."""
    passages, texts = history.passages[history.shipped :], history.texts[history.shipped :]
    return history.held(history.shipped)[0], {
        each.seq: text for each, text in zip(passages, texts, strict=True)
    }


def _after(history: History, state: Properties, texts: Sequence[str]) -> Properties:
    return applied_to(history.profile, history.group_key, state, texts).properties(len(texts))[0]


def _what_if(
    history: History, columns: Sequence[Column], updates: Sequence[Update], risky: Collection[str] | None
) -> WhatIf:
    touched = dict.fromkeys(name for update in updates for name in sorted(update.properties))
    if any(update.operator == Operator.DELETE for update in updates):
        touched = dict.fromkeys(name for column in columns for state in column.states for name in state or ())
    return WhatIf(
        owner=owner_of(history.profile, history.group_key),
        columns=tuple(columns),
        names=tuple(sorted(touched, key=lambda name: name not in (risky or ()))),
        harmless=frozenset(touched) - frozenset(risky) if risky is not None else frozenset(),
        simulated=all(update.operator in set(Operator) for update in updates),
    )


# --- as lines


class _Value(NamedTuple):
    """A value's text, safe to print; of a list also its length."""

    text: str
    length: int | None = None

    def cut(self, width: int) -> str:
        """Return its beginning and its end; a list that is cut begins with its length, or two could look alike."""
        if self.length is None or cell_len(self.text) <= width:
            return middle_cut(self.text, width)
        return middle_cut(f"({self.length:,}) {self.text}", width)


class _Cell(NamedTuple):
    """Values of a property at one moment, words behind them, and a shorter text for where they would be cut."""

    values: tuple[_Value, ...]
    suffix: str = ""
    short: str = ""

    def drawn(self, width: int) -> str:
        """Return it in at most so many cells: of each value the beginning and the end."""
        text = f"{' or '.join(value.text for value in self.values)}{self.suffix}"
        if cell_len(text) <= width:
            return text
        if self.short:
            return self.short
        for suffix in (self.suffix, ""):
            each = (width - len(suffix) - 4 * (len(self.values) - 1)) // len(self.values)
            if each >= _LEAST_VALUE:
                return f"{' or '.join(value.cut(each) for value in self.values)}{suffix}"
        return middle_cut(text, width)


def table(profiles: Sequence[WhatIf], others: int, width: int) -> Iterator[str]:
    """Yield tables of profiles as lines of at most so many cells, safe to print; what is too much is counted.

    Args:
        profiles: The first profiles.
        others: How many more there are.
        width: Cells.
    """
    rows: list[list[list[_Cell]]] = []
    left = _MOST_LINES
    for profile in profiles:
        if rows and left < _LEAST_LINES:
            break
        rows.append(_rows(profile, most=min(max(left - _LEAST_LINES, 1), _MOST_ROWS)))
        left -= len(rows[-1]) + 1
    shown = list(zip(profiles, rows, strict=False))
    heads: tuple[str, ...] = ()
    for profile, cells in shown:
        before, heads = heads, tuple(column.head for column in profile.columns)
        # Profiles of the same columns stand in one table.
        alike = [row for other, each in shown for row in each if len(other.columns) == len(heads)]
        yield from _lines(profile, cells, _widths(alike, width), width, captioned=heads != before)
    others += len(profiles) - len(shown)
    if others:
        yield f"and {others:,} more {'profile' if others == 1 else 'profiles'}"


def _rows(profile: WhatIf, *, most: int) -> list[list[_Cell]]:
    heads = [
        _Cell((_Value(profile.owner),)),
        *(_Cell((_Value(column.head),), short=column.head.split()[-1]) for column in profile.columns),
    ]
    return [heads] + [
        [_Cell((_Value(printable(name)),)), *(_cell(profile, name, column) for column in profile.columns)]
        for name in profile.names[:most]
    ]


def _lines(
    profile: WhatIf, rows: list[list[_Cell]], widths: list[int], width: int, *, captioned: bool
) -> Iterator[str]:
    if captioned and profile.columns and profile.columns[0].head == "was lost":
        yield fitted(" " * (widths[0] + _GAP) + _IF, width).rstrip()
    for cells in rows:
        drawn = (fitted(cell.drawn(each), each) for cell, each in zip(cells, widths, strict=True))
        yield (" " * _GAP).join(drawn).rstrip()
    more = len(profile.names) - len(rows) + 1
    if more:
        yield f"and {more:,} more {'property' if more == 1 else 'properties'}"
    if not profile.names:
        yield "No property changes." if profile.simulated else "Not simulated: what changes is not known."
    elif not profile.simulated:
        yield "Partly known: an operator is not simulated."


def _widths(rows: Sequence[Sequence[_Cell]], width: int) -> list[int]:
    """Return the widths of columns: as their widest cells, then the widest ones less, until all fit."""
    widths = [
        max(cell_len(cell.drawn(_LONGEST_CELL)) for cell in column) for column in zip(*rows, strict=True)
    ]
    while sum(widths) + _GAP * (len(widths) - 1) > width and max(widths) > _LEAST_CELL:
        widths[widths.index(max(widths))] -= 1
    return widths


def _cell(profile: WhatIf, name: str, column: Column) -> _Cell:
    values = tuple(_value(name, state) for state in column.states)
    if len(set(values)) > 1:
        return _Cell(values, " (twice)" * column.twice)
    return _Cell(values[:1], "  harmless" * (column.twice and name in profile.harmless))


def _value(name: str, state: Properties) -> _Value:
    value = ABSENT if state is None else state.get(name, ABSENT)
    if value is ABSENT:
        return _Value("-")
    if charges := charges_of(name, value):
        return _Value(f"{sum_of(charges):,.2f}")
    text = printable(clipped(escaped_json(value), _LONGEST_VALUE))
    return _Value(text, len(value) if isinstance(value, list) else None)
