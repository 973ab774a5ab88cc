"""A profile as it stands at one moment, as lines of a table: two states side by side, and who wrote what. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from simulator import ABSENT, difference
from tui.text.format import age, clipped, count, owner_name, printable
from tui.text.history import History, Passage
from tui.text.states import LOOKS
from tui.text.writers import Written

__all__ = ["PropertyRow", "Standpoint", "aged", "beginning", "charges_of", "owner_of", "standpoint", "sum_of"]

_Sides = tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]
_LONGEST = 200  # characters of a cell; no terminal shows more
_LONGEST_ID = 600  # the service takes 255 of an id and of a group key, and ids often differ at their end
_CHARGES = "$transactions"


@dataclass(frozen=True, slots=True)
class PropertyRow:
    """One property, on both sides.

    Attributes:
        name: As it is.
        shown: Its name, safe to print.
        left: Its value on the left, safe to print; None where it is not there.
        right: The same on the right.
        mark: ``~`` where they differ, ``+`` or ``-`` where it is on one side only.
        by: The entry that wrote it; None where nobody did, or it is not known yet.
        others: How many more entries that are still to be sent wrote it.
        pruned: Whether it was written before the entries that are kept.
    """

    name: str
    shown: str
    left: str | None
    right: str | None
    mark: str
    by: Passage | None = None
    others: int = 0
    pruned: bool = False


@dataclass(frozen=True, slots=True)
class Standpoint:
    """A profile at one moment of its history.

    Attributes:
        n: After so many entries; None for now, when what was shipped stands beside what is predicted.
        of: How many there are.
        title: Whose profile, and when; safe to print.
        heads: What the two states are.
        rows: The properties, those that differ first.
        notes: What else is to be known, safe to print.
        nothing: Why there is no profile; empty where there is one.
        state: The state on the right, for copying; None where there is no profile.
    """

    n: int | None
    of: int
    title: str
    heads: tuple[str, str]
    rows: tuple[PropertyRow, ...]
    notes: tuple[str, ...]
    nothing: str
    state: Mapping[str, Any] | None = field(repr=False)

    def row(self, name: str | None) -> int:
        """Return the place of a property; 0 if there is none."""
        return next((place for place, row in enumerate(self.rows) if row.name == name), 0)


def standpoint(
    history: History,
    written: Written,
    n: int | None,
    now: float,
    stop: Callable[[], bool] = lambda: False,
) -> Standpoint:
    """Return a profile at one moment.

    Args:
        history: Its entries.
        written: What each did, as far as that is known.
        n: After so many of them; None for now.
        now: Seconds since the epoch.
        stop: See `History.held`.
    """
    upto = len(history) if n is None else n
    left, _ = history.held(history.shipped if n is None else max(n - 1, 0), stop)
    right, partly_known = history.held(upto, stop)
    return Standpoint(
        n=n,
        of=len(history),
        title=_title(history, n, now),
        heads=("AS SHIPPED", "PREDICTED") if n is None else ("BEFORE", "AFTER"),
        rows=tuple(_rows(history, written, (left, right), n)),
        notes=tuple(_notes(history, written, (left, right), upto, partly_known=partly_known)),
        nothing=_nothing(history, upto) if left is None and right is None else "",
        state=right,
    )


def aged(shown: Standpoint, history: History, now: float) -> Standpoint:
    """Return the same with a new title, when only time has passed."""
    return replace(shown, title=_title(history, shown.n, now))


def _title(history: History, n: int | None, now: float) -> str:
    return f"{owner_of(history.profile, history.group_key)}  {_when(history, n, now)}"


def owner_of(profile: str, group_key: str | None) -> str:
    """Return the name of a profile, safe to print.

    >>> owner_of("acme", "company"), owner_of("ada", None)
    ('company:acme', 'ada')
    """
    return printable(clipped(owner_name(profile, group_key), _LONGEST_ID))


def _when(history: History, n: int | None, now: float) -> str:
    of = len(history)
    if n is None:
        before = f" and {history.pruned:,} pruned" if history.pruned else ""
        return f"now, after {count(of, 'entry', 'entries')}{before}"
    if n == 0:
        return f"at 0 of {of:,}: {beginning(history)}"
    passage = history.passages[n - 1]
    when = age(max(now - passage.recorded_at, 0.0))
    return f"at {n:,} of {of:,}: {_entry(passage)}, {when} ago"


def beginning(history: History) -> str:
    """Return words for the moment before the first entry.

    >>> from tui.text.history import history_of
    >>> beginning(history_of("ada", None, [], looked_at=0))
    'before any entry'
    """
    if not history.pruned:
        return "before any entry"
    return f"as pruned: {count(history.pruned, 'entry', 'entries')} folded"


def _entry(passage: Passage) -> str:
    operator = printable(clipped(passage.operator, 40))
    return f"#{passage.seq:,} {operator} {LOOKS[passage.state].mark}"


# --- the rows


def _rows(history: History, written: Written, sides: _Sides, n: int | None) -> Iterator[PropertyRow]:
    left, right = ({} if side is None else side for side in sides)
    differ = {
        name
        for name in {*left, *right}
        if name not in left or name not in right or difference({name: left[name]}, {name: right[name]})
    }
    names = [*right, *(name for name in left if name not in right)]
    upto = len(history) if n is None else n
    first: Mapping[str, Any] = (history.start.properties if history.start is not None else None) or {}
    walked = len(written.changes) >= upto
    for name in sorted(names, key=lambda name: name not in differ):
        place = written.last(name, upto)
        unsent = written.number(name, history.shipped + 1, upto) if n is None else 0
        yield PropertyRow(
            name=name,
            shown=printable(clipped(name, _LONGEST)),
            left=_text(name, left.get(name, ABSENT)),
            right=_text(name, right.get(name, ABSENT)),
            mark=_mark(name, left, right) if name in differ else " ",
            by=history.passages[place - 1] if place is not None else None,
            others=max(unsent - 1, 0),
            pruned=walked and place is None and name in first,
        )


def _mark(name: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> str:
    return "~" if name in left and name in right else "+" if name in right else "-"


def _text(name: str, value: Any) -> str | None:
    if value is ABSENT:
        return None
    charges = charges_of(name, value)
    if charges:
        return f"{count(len(charges), 'charge')}, {sum_of(charges):,.2f}"
    if isinstance(value, list | dict) and value:
        return _collection(value)
    return printable(clipped(json.dumps(value, ensure_ascii=False), _LONGEST))


def _collection(value: list[Any] | dict[str, Any]) -> str:
    """Return a list or an object as text; a large one begins with its size, or all large ones would look alike."""
    # Of a long one the beginning, which is more than shows: it is put together anew with each new entry.
    begun = value[:_LONGEST] if isinstance(value, list) else dict(islice(value.items(), _LONGEST))
    text = json.dumps(begun, ensure_ascii=False, separators=(",", ":"))
    many = f"({count(len(value), 'element' if isinstance(value, list) else 'key')}) " * (len(text) > 60)  # noqa: PLR2004
    return many + printable(clipped(text, _LONGEST))


def charges_of(name: str, value: Any) -> list[dict[str, Any]]:
    if name != _CHARGES or not isinstance(value, list):
        return []
    return [charge for charge in value if isinstance(charge, dict)]


def sum_of(charges: list[dict[str, Any]]) -> float:
    amounts = (charge.get("$amount") for charge in charges)
    return sum(each for each in amounts if isinstance(each, int | float) and not isinstance(each, bool))


# --- what else is to be known


def _notes(
    history: History, written: Written, sides: _Sides, upto: int, *, partly_known: bool
) -> Iterator[str]:
    if (money := _revenue(sides)) != "":
        yield money
    unsent = len(history) - history.shipped
    if unsent or history.pruned:
        folded = f"{history.pruned:,} pruned, " if history.pruned else ""
        yield f"{folded}{history.shipped:,} shipped, {unsent:,} still to go"
    aside = ", ".join(f"{number:,} {LOOKS[state].word}" for state, number in sorted(history.aside.items()))
    if aside:
        yield f"no part of it: {aside}"
    if sides[1] is not None and partly_known:
        unknown = [history.passages[place - 1] for place in written.unknown if place <= upto]
        which = ", ".join(
            f"#{passage.seq:,} {printable(clipped(passage.operator, 20))}" for passage in unknown[:3]
        )
        more = f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else ""  # noqa: PLR2004
        if history.start is not None and history.start.partly_known:
            which = f"some that were pruned{', ' if which else ''}{which}"
        yield f"partly known: not simulated{': ' if which else ''}{which}{more}"


def _revenue(sides: _Sides) -> str:
    found = [charges_of(_CHARGES, side.get(_CHARGES)) if side is not None else [] for side in sides]
    charges, sums = [len(each) for each in found], [sum_of(each) for each in found]
    if not any(charges):
        return ""
    before, after = (f"{amount:,.2f}" for amount in sums)
    many = (
        count(charges[1], "charge")
        if charges[0] == charges[1]
        else f"{charges[0]:,} → {count(charges[1], 'charge')}"
    )
    return f"revenue {after if before == after else f'{before} → {after}'} ({many})"


def _nothing(history: History, upto: int) -> str:
    gone = history.start is not None and f"{count(history.pruned, 'entry', 'entries')} that were pruned"
    if gone and not upto:
        return f"No such profile: {gone} left none."
    if not len(history):
        if sum(history.aside.values()):
            return "No such profile: none of its entries is part of the prediction."
        return "No such profile: no entry names it."
    if upto == 0:
        return "No such profile yet."
    for passage in reversed(history.passages[:upto]):
        if passage.operator == "$delete":
            return f"No such profile: {_entry(passage)} deleted it."
    return "No such profile: its entries made none."
