"""One property whole: its value on both sides, and the entries that made it what it is. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from simulator import ABSENT
from tui.text.format import clipped, count, escaped_json, printable, size
from tui.text.history import History
from tui.text.standpoint import Standpoint, charges_of, sum_of
from tui.text.states import LOOKS
from tui.text.writers import Written

__all__ = ["property_lines", "value_lines"]

_LONGEST = 200  # characters of a charge; no terminal shows more
_MOST_VALUE = 4_096  # characters that are shown of a value; copying gives all of it
_MOST_CHARGES = 200
_MOST_WRITERS = 20


def property_lines(
    name: str, history: History, written: Written, shown: Standpoint, left: Mapping[str, Any] | None
) -> Iterator[str]:
    """Yield all that is known about a property at a moment, as lines that are safe to print."""
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
        yield f"#{passage.seq:,} {LOOKS[passage.state].mark}  {written.changes[place - 1]}"
    if len(places) > _MOST_WRITERS:
        yield f"… and {len(places) - _MOST_WRITERS:,} before them"
    before = history.start.properties if history.start is not None else None
    if before is not None and name in before:
        pruned = count(history.pruned, "entry", "entries")
        yield f"before what is kept: {pruned} that {'was' if history.pruned == 1 else 'were'} pruned"
    elif not places:
        yield "…" if len(written.changes) < upto else "nobody"


def value_lines(name: str, value: Any) -> Iterator[str]:
    """Yield a whole value, or its first 4 kB, as lines that are safe to print."""
    if value is ABSENT:
        yield "not there"
        return
    charges = charges_of(name, value)
    if charges:
        yield f"{count(len(charges), 'charge')}, {sum_of(charges):,.2f} in all, the latest first"
        for charge in charges[::-1][:_MOST_CHARGES]:
            yield _charge(charge)
        if len(charges) > _MOST_CHARGES:
            yield f"… and {len(charges) - _MOST_CHARGES:,} before them; y copies all of them"
        return
    text = escaped_json(value, indent=2)
    yield from text[:_MOST_VALUE].split("\n")
    if len(text) > _MOST_VALUE:
        whole = size(len(json.dumps(value, ensure_ascii=False).encode()))
        yield f"… the first {size(_MOST_VALUE)} of {whole}; y copies all of it"


def _charge(charge: dict[str, Any]) -> str:
    rest = {name: value for name, value in charge.items() if name not in {"$time", "$amount"}}
    amount = json.dumps(charge.get("$amount"))
    if isinstance(charge.get("$amount"), int | float) and not isinstance(charge.get("$amount"), bool):
        amount = f"{charge['$amount']:,.2f}"
    more = json.dumps(rest, ensure_ascii=False) if rest else ""
    return printable(
        clipped(f"{charge.get('$time', 'no time')!s:<20} {amount:>12}  {more}", _LONGEST)
    ).rstrip()
