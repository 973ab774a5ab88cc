"""An entry in a few words, as a person would say what it does. Pure."""

import json
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from tui.text.format import clipped, printable

if TYPE_CHECKING:
    from recorder import Entry

__all__ = ["summary"]

_MOST = 12  # properties of an entry that are looked at; no line has space for more
_LONGEST_OF_SEVERAL = 20  # characters of a value that has others behind it
_LARGE = 1e15  # from which a float has no two places
_CHARGES = "$transactions"
_NOT_SAID = {"$amount", "$time", "restante"}  # of a charge: said before, or of no interest in a line


def summary(entry: "Entry", length: int = 60) -> str:
    """Return what an entry does: names first, so that a narrow column cuts values, then the values.

    >>> from recorder import Entry, Lane, State
    >>> def entry(operator, payload):
    ...     return Entry(seq=1, lane=Lane.PEOPLE, group_key=None, profile="ada", operator=operator, message={
    ...         operator: payload}, recorded_at=0.0, state=State.PENDING, attempt=None, sends=0, reason=None,
    ...         possibly_twice=False)
    >>> summary(entry("$add", {"visits": 1, "points": 13})), summary(entry("$set", {"plan": "pro", "seats": 3}))
    ('visits +1, points +13', 'set plan, seats  "pro", 3')
    >>> summary(entry("$append", {"$transactions": {"$amount": 24.8, "item": "coffee"}}))
    'charge 24.80  coffee'
    """
    # Spelling out takes its time: of a megabyte only what may be shown is.
    operator = entry.operator
    payload: Any = entry.message.get(operator or "", entry.message)
    if operator in _SENTENCES and (text := _SENTENCES[operator](payload, length)) is not None:
        pass
    elif operator is None and "event" in entry.message:
        text = _event(entry, length)
    else:
        text = f"{(operator or '').lstrip('$')} {_value(payload, length)}"
    return clipped(printable(text.strip()[: length + 1]), length)


def _is_object(payload: Any) -> bool:
    return isinstance(payload, Mapping) and bool(payload)


def _names(payload: Any, length: int) -> str | None:
    if not _is_object(payload):
        return None
    more = f" and {len(payload) - _MOST:,} more" if len(payload) > _MOST else ""
    return ", ".join(name[:length] for name in islice(payload, _MOST)) + more


def _values(payload: Mapping[str, Any], length: int) -> str:
    if len(payload) == 1:
        return _value(next(iter(payload.values())), length)
    few = islice(payload.values(), _MOST)
    return ", ".join(clipped(_value(value, _LONGEST_OF_SEVERAL), _LONGEST_OF_SEVERAL) for value in few)


def _value(value: Any, length: int) -> str:
    if isinstance(value, str) and len(value) > length:
        value = value[:length]
    return json.dumps(value, ensure_ascii=False)[: length + 1]


def _named(verb: str) -> Callable[[Any, int], str | None]:
    """Return the sentence of an operator that gives values to names."""

    def words(payload: Any, length: int) -> str | None:
        names = _names(payload, length)
        return None if names is None else f"{verb} {names}  {_values(payload, length)}"

    return words


def _add(payload: Any, length: int) -> str | None:
    if not _is_object(payload):
        return None
    parts = []
    for name, number in islice(payload.items(), _MOST):
        sign = "+" if not isinstance(number, int | float) or number >= 0 else ""
        parts.append(f"{name[:length]} {sign}{_value(number, length)}")
    return ", ".join(parts)


def _union(payload: Any, length: int) -> str | None:
    if not _is_object(payload):
        return None
    counts = (
        f"+{len(values) if isinstance(values, list) else 1:,} to {name[:length]}"
        for name, values in islice(payload.items(), _MOST)
    )
    values = ", ".join(_items(values, length) for values in islice(payload.values(), _MOST))
    return f"{', '.join(counts)}  {values}"


def _items(value: Any, length: int) -> str:
    if not isinstance(value, list):
        return _value(value, length)
    return ", ".join(_value(item, length) for item in value[:_MOST])


def _append(payload: Any, length: int) -> str | None:
    match payload:
        case {"$transactions": {"$amount": int() | float() as amount} as charge} if len(payload) == 1:
            others = (value for name, value in charge.items() if name not in _NOT_SAID)
            words = (
                value if isinstance(value, str) else _value(value, length) for value in islice(others, _MOST)
            )
            return f"charge {_money(amount)}  {', '.join(word[:length] for word in words)}"
    return _named("append to")(payload, length)


def _money(amount: float) -> str:
    """Return an amount with two places, or with all that it has."""
    if isinstance(amount, bool) or not abs(amount) < _LARGE:
        return json.dumps(amount)
    text = f"{amount:.2f}"
    return text if float(text) == amount else json.dumps(amount)


def _unset(payload: Any, length: int) -> str | None:
    if not isinstance(payload, list):
        return None
    if payload == [_CHARGES]:
        return "clear charges"
    names = (name[:length] if isinstance(name, str) else _value(name, length) for name in payload[:_MOST])
    return f"unset {', '.join(names)}"


def _event(entry: "Entry", length: int) -> str:
    name, properties = entry.message["event"], entry.message.get("properties")
    words = (
        f"{entry.lane.value.rstrip('s')} {name[:length] if isinstance(name, str) else _value(name, length)}"
    )
    names = _names(properties, length)
    return f"{words}  {names}" if names else words


_SENTENCES: Mapping[str | None, Callable[[Any, int], str | None]] = {
    "$set": _named("set"),
    "$set_once": _named("set once"),
    "$add": _add,
    "$append": _append,
    "$union": _union,
    "$remove": _named("remove from"),
    "$unset": _unset,
    "$delete": lambda payload, _: "delete the profile" if payload in ("", None) else None,
}
