"""What each operation does to a profile: one small function per operator, in a table.

A function of the table changes `properties`, which it owns, and says what it did as a `Change`; it copies
what it keeps of `payload`. `apply_operation` is the pure door: nothing it is given is changed, nothing it
returns shares anything mutable with what it was given. `apply_message` is the same for a whole message and
for properties the caller owns, which spares a copy of the profile for each operation.

Sources: the service's documentation, the official SDKs' documentation and code; the points neither settles
are fields of `Dialect`.
"""

import sys
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

from recorder.errors import InvalidOperation
from recorder.operations import Message, Operator, check, json_key, kind_of, operators_of, same_spelling
from simulator.dialect import Dialect
from simulator.outcomes import Outcome, Verdict

__all__ = ["Members", "Properties", "apply_message", "apply_operation"]

Properties = dict[str, Any]

_LARGEST = sys.float_info.max


class Members:
    """What a profile's lists hold, remembered from one union to the next: a list is not gone through for each.

    Operations change a list in place only by adding to its end, so what was seen of the same list still stands. (But
    for a union that collapses duplicates, which does not ask here.)

    >>> members, tags = Members(), ["a"]
    >>> sorted(members.of("tags", tags))
    ['a']
    >>> tags.append("b")
    >>> sorted(members.of("tags", tags))
    ['a', 'b']
    """

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, tuple[list[Any], int, set[Hashable]]] = {}

    def of(self, name: str, values: list[Any]) -> set[Hashable]:
        """The keys of a property's elements; see `json_key`. Whoever adds an element may add its key."""
        held, length, keys = self._seen.get(name, (None, 0, set()))
        if held is not values:
            length, keys = 0, set()
        keys.update(map(json_key, values[length:]))
        self._seen[name] = (values, len(values), keys)
        return keys

    def copy(self, properties: Properties) -> "Members":
        """The same of a copy of the properties."""
        other = Members()
        for name, (_, length, keys) in self._seen.items():
            if isinstance(values := properties.get(name), list):
                other._seen[name] = (values, length, set(keys))  # its own kind
        return other


class _Change:
    """What one operation did: whether anything is stored otherwise, and what stood in its way."""

    __slots__ = ("changed", "members", "reasons")

    def __init__(self, *, changed: bool, members: Members | None = None) -> None:
        self.changed = changed
        self.members = members
        self.reasons: tuple[tuple[str, str], ...] = ()

    def ignore(self, name: str, reason: str) -> None:
        self.reasons += ((name, reason),)

    def outcome(self, operator: str) -> Outcome:
        if self.reasons:
            return Outcome(operator, Verdict.APPLIED if self.changed else Verdict.IGNORED, self.reasons)
        return _plain(operator, Verdict.APPLIED if self.changed else Verdict.NO_CHANGE)


@lru_cache(maxsize=256)
def _plain(operator: str, verdict: Verdict) -> Outcome:
    """An outcome without reasons, as nearly all are: made once."""
    return Outcome(operator, verdict)


def _copy(value: Any) -> Any:
    """A copy of a JSON value, which shares nothing that can change."""
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


def _store(properties: Properties, name: str, value: Any, change: _Change) -> None:
    if name not in properties or not same_spelling(properties[name], value):
        properties[name] = _copy(value)
        change.changed = True


def _set(properties: Properties, payload: Any, dialect: Dialect, change: _Change) -> None:  # noqa: ARG001
    for name, value in payload.items():
        _store(properties, name, value, change)


def _set_once(properties: Properties, payload: Any, dialect: Dialect, change: _Change) -> None:
    for name, value in payload.items():
        absent = name not in properties or (properties[name] is None and not dialect.null_counts_as_set)
        if absent:
            _store(properties, name, value, change)


def _add(properties: Properties, payload: Any, dialect: Dialect, change: _Change) -> None:
    for name, number in payload.items():
        present = properties.get(name, 0)
        if isinstance(present, bool) or not isinstance(present, int | float):
            if dialect.add_to_other == "ignore":
                change.ignore(name, f"{kind_of(present)} cannot be added to")
                continue
            present = 0
        total = _sum(present, number)
        if total is None:
            if dialect.add_beyond_doubles == "ignore":
                change.ignore(name, "the sum is beyond what a double can hold")
                continue
            total = _LARGEST if number > 0 else -_LARGEST
        _store(properties, name, total, change)


def _sum(left: float, right: float) -> float | None:
    """The sum, exact for integers, IEEE's as soon as one is a float; None where no double can hold it."""
    try:
        total = left + right
        return total if abs(float(total)) <= _LARGEST else None
    except OverflowError:
        return None


def _append(properties: Properties, payload: Any, dialect: Dialect, change: _Change) -> None:  # noqa: ARG001
    for name, value in payload.items():
        present = properties.setdefault(name, [])
        if isinstance(present, list):
            present.append(_copy(value))
            change.changed = True
        else:
            change.ignore(name, f"{kind_of(present)} cannot be appended to")


def _union(properties: Properties, payload: Any, dialect: Dialect, change: _Change) -> None:
    collapses = dialect.union_duplicates == "collapse"
    for name, members in payload.items():
        absent = name not in properties
        present = properties.setdefault(name, [])
        if not isinstance(present, list):
            change.ignore(name, f"{kind_of(present)} cannot be united with a list")
            continue
        if collapses:
            before = len(present)
            present[:] = _without_duplicates(present)
            change.changed |= len(present) < before
        change.changed |= absent
        remembered = None if collapses else change.members
        known = set(map(json_key, present)) if remembered is None else remembered.of(name, present)
        for member in members if isinstance(members, list) else [members]:
            key = json_key(member)
            if key not in known:
                known.add(key)
                present.append(_copy(member))
                change.changed = True


def _without_duplicates(values: list[Any]) -> list[Any]:
    first: dict[Any, Any] = {}
    for value in values:
        first.setdefault(json_key(value), value)
    return list(first.values())


def _remove(properties: Properties, payload: Any, dialect: Dialect, change: _Change) -> None:
    for name, unwanted in payload.items():
        if name not in properties:
            continue
        present = properties[name]
        if not isinstance(present, list):
            change.ignore(name, f"{kind_of(present)} cannot be removed from")
            continue
        each = isinstance(unwanted, list) and dialect.remove_list == "each"
        kept = _without(
            present, unwanted if each else [unwanted], first_only=dialect.remove_occurrences == "first"
        )
        if len(kept) == len(present):
            continue
        change.changed = True
        if kept or dialect.emptied_list == "keep":
            properties[name] = kept
        else:
            del properties[name]


def _without(values: list[Any], unwanted: list[Any], *, first_only: bool) -> list[Any]:
    if len(unwanted) == 1:
        return _without_one(values, unwanted[0], first_only=first_only)
    keys = set(map(json_key, unwanted))
    kept = []
    for value in values:
        key = json_key(value)
        if key not in keys:
            kept.append(value)
        elif first_only:
            keys.discard(key)
    return kept


def _without_one(values: list[Any], unwanted: Any, *, first_only: bool) -> list[Any]:
    """The same for one value. Python looks for it first, which is quick: what is equal as JSON is so to Python, too."""
    keys = {json_key(unwanted)}
    kept: list[Any] = []
    start, place = 0, -1
    while True:
        try:
            place = values.index(unwanted, place + 1)
        except ValueError:
            break
        if json_key(values[place]) in keys:
            kept += values[start:place]
            start = place + 1
            if first_only:
                break
    return kept + values[start:]


def _unset(properties: Properties, payload: Any, dialect: Dialect, change: _Change) -> None:  # noqa: ARG001
    for name in payload:
        if name in properties:
            del properties[name]
            change.changed = True


_OPERATORS: dict[str, Callable[[Properties, Any, Dialect, _Change], None]] = {
    Operator.SET: _set,
    Operator.SET_ONCE: _set_once,
    Operator.ADD: _add,
    Operator.APPEND: _append,
    Operator.UNION: _union,
    Operator.REMOVE: _remove,
    Operator.UNSET: _unset,
}


def _operate(
    properties: Properties | None, operator: str, payload: Any, dialect: Dialect, members: Members | None
) -> tuple[Properties | None, Outcome]:
    """Apply one well-formed operation to properties that may be changed."""
    if operator == Operator.DELETE:
        return None, _plain(operator, Verdict.NO_CHANGE if properties is None else Verdict.APPLIED)
    if operator not in _OPERATORS:
        return properties, _plain(operator, Verdict.NOT_SIMULATED)
    if properties is None and operator not in dialect.creating:
        return None, _plain(operator, Verdict.NO_CHANGE)
    change = _Change(changed=properties is None, members=members)
    result: Properties = {} if properties is None else properties
    _OPERATORS[operator](result, payload, dialect, change)
    return result, change.outcome(operator)


def apply_message(
    properties: Properties | None,
    message: Message,
    dialect: Dialect,
    members: Members | None = None,
    *,
    operators: list[str] | None = None,
) -> tuple[Properties | None, list[Outcome]]:
    """Apply a plain message to a profile's properties, which it may change (None: no such profile).

    Args:
        properties: The profile's.
        message: The message.
        dialect: Policies for what the service does not document.
        members: Of whoever applies one message after another to the same properties.
        operators: Its operators, where `examined` found it well-formed; None to examine it here.

    Returns:
        The properties afterwards (None: no such profile), and one outcome per operator in written order;
        a message rejected for having no identity or no operator has one.
    """
    if operators is not None and len(operators) == 1:
        properties, outcome = _operate(properties, operators[0], message[operators[0]], dialect, members)
        return properties, [outcome]
    written = operators_of(message)
    if dialect.several_operators == "reject" and len(written) > 1:
        return properties, [_rejected(operator, "message", "has several operators") for operator in written]
    if dialect.malformed_operator == "operator" and len(written) > 1:
        rejections = [_fault(_alone(message, operator, written)) for operator in written]
    else:
        rejections = [_fault(message)] * max(len(written), 1)
    outcomes = []
    for operator, fault in zip(written or [""], rejections, strict=True):
        if fault is not None:
            outcomes.append(_rejected(operator, fault.path, fault.reason))
            continue
        properties, outcome = _operate(properties, operator, message[operator], dialect, members)
        outcomes.append(outcome)
    return properties, outcomes


def _alone(message: Message, operator: str, written: list[str]) -> Message:
    return {name: value for name, value in message.items() if name == operator or name not in written}


def _fault(message: Message) -> InvalidOperation | None:
    try:
        check(message)
    except InvalidOperation as error:
        return error
    return None


def _rejected(operator: str, path: str, reason: str) -> Outcome:
    return Outcome(operator, Verdict.REJECTED, ((path, reason),))


def apply_operation(
    properties: Properties | None, operator: str, payload: Any, dialect: Dialect | None = None
) -> tuple[Properties | None, Outcome]:
    """Apply one operator to a profile's properties; a pure function.

    Args:
        properties: The profile before, as JSON values; None where there is no such profile.
        operator: Such as ``"$add"``.
        payload: The operator's payload, as JSON values.
        dialect: Policies for what the service does not document.

    Returns:
        The profile afterwards (None: no such profile) and what came of it. Nothing given is changed, and
        nothing returned shares anything mutable with what was given.

    >>> apply_operation({"n": 1}, "$add", {"n": 2})
    ({'n': 3}, Outcome(operator='$add', verdict=<Verdict.APPLIED: 'applied'>, reasons=()))
    >>> apply_operation({"n": 1}, "$delete", "")[0] is None
    True
    """
    # A copy of each value: properties that share a list must not change together. Any identity will do:
    # whose profile this is, is the caller's business.
    own = None if properties is None else {name: _copy(value) for name, value in properties.items()}
    after, outcomes = apply_message(own, {"$distinct_id": "-", operator: payload}, dialect or Dialect())
    return after, outcomes[0]
