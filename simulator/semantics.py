"""What each operation does to a profile: one small function per operator, in a table.

A function of the table changes `properties`, which it owns, and says whether anything is stored otherwise; it
copies what it keeps of `payload`, and adds to `reasons` what stood in its way. `apply_operation` is the pure
door: nothing it is given is changed, nothing it returns shares anything mutable with what it was given.
`apply_message` is the same for a whole message and for properties the caller owns, which spares a copy of the
profile for each operation.

Sources: the service's documentation, the official SDKs' documentation and code; the points neither settles
are fields of `Dialect`.
"""

import sys
from collections.abc import Callable, Hashable, Iterator
from math import inf, isfinite
from typing import Any

from recorder.model.errors import InvalidOperation
from recorder.model.json_value import copy_json, json_key, kind_of, same_spelling
from recorder.model.normalise import Message
from recorder.model.operations import Operator, examine, operators_of
from simulator.dialect import Dialect
from simulator.outcomes import Outcome, Verdict

__all__ = ["Members", "Properties", "apply_message", "apply_operation", "operate", "own"]

Properties = dict[str, Any]

_LARGEST = sys.float_info.max
_CONTAINERS = (dict, list)  # what must be copied; the rest, nearly all, is not worth a call


def own(properties: Properties) -> Properties:
    """A copy that no operation on the other changes: they change properties and lists, never what stands in one.

    >>> properties = {"tags": ["a"]}
    >>> before = own(properties)
    >>> apply_message(properties, {"$distinct_id": "ada", "$append": {"tags": "b"}}, Dialect())[0], before
    ({'tags': ['a', 'b']}, {'tags': ['a']})
    """
    return {name: value.copy() if isinstance(value, list) else value for name, value in properties.items()}


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


_Reasons = list[tuple[str, str]]
"""Pairs of a property and what stood in an operation's way there."""


def _set(properties: Properties, payload: Any, dialect: Dialect, reasons: _Reasons) -> bool:  # noqa: ARG001
    changed = False
    for name, value in payload.items():
        # Python's == first: it is quick, and what differs by it is spelled otherwise.
        if name not in properties or properties[name] != value or not same_spelling(properties[name], value):
            properties[name] = copy_json(value) if isinstance(value, _CONTAINERS) else value
            changed = True
    return changed


def _set_once(properties: Properties, payload: Any, dialect: Dialect, reasons: _Reasons) -> bool:  # noqa: ARG001
    changed = False
    for name, value in payload.items():
        absent = name not in properties
        if absent or (properties[name] is None and value is not None and not dialect.null_counts_as_set):
            properties[name] = copy_json(value) if isinstance(value, _CONTAINERS) else value
            changed = True
    return changed


def _add(properties: Properties, payload: Any, dialect: Dialect, reasons: _Reasons) -> bool:
    changed = False
    for name, number in payload.items():
        present = properties.get(name, 0)
        if type(present) is not int and (isinstance(present, bool) or not isinstance(present, int | float)):
            if dialect.add_to_other == "ignore":
                reasons.append((name, f"{kind_of(present)} cannot be added to"))
                continue
            present = 0
        try:
            total = present + number  # exact for integers, IEEE's as soon as one is a float
        except OverflowError:
            total = inf
        if not -_LARGEST <= total <= _LARGEST and not _is_held_by_doubles(total):
            if dialect.add_beyond_doubles == "ignore":
                reasons.append((name, "the sum is beyond what a double can hold"))
                continue
            total = _LARGEST if number > 0 else -_LARGEST
        if total != present or name not in properties or not same_spelling(properties[name], total):
            properties[name] = total
            changed = True
    return changed


def _is_held_by_doubles(number: float) -> bool:
    """Whether some double is nearest to a number: the largest is so to some integers beyond it, too."""
    try:
        return isfinite(float(number))
    except OverflowError:
        return False


def _append(properties: Properties, payload: Any, dialect: Dialect, reasons: _Reasons) -> bool:  # noqa: ARG001
    changed = False
    for name, value in payload.items():
        if name not in properties:
            properties[name] = [copy_json(value)]
            changed = True
        elif isinstance(present := properties[name], list):
            present.append(copy_json(value))
            changed = True
        else:
            reasons.append((name, f"{kind_of(present)} cannot be appended to"))
    return changed


def _union(
    properties: Properties,
    payload: Any,
    dialect: Dialect,
    reasons: _Reasons,
    members: Members | None = None,
) -> bool:
    changed = False
    collapses = dialect.union_duplicates == "collapse"
    for name, wanted in payload.items():
        if name not in properties:
            properties[name] = []
            changed = True
        present = properties[name]
        if not isinstance(present, list):
            reasons.append((name, f"{kind_of(present)} cannot be united with a list"))
            continue
        if collapses:
            before = len(present)
            present[:] = _without_duplicates(present)
            changed |= len(present) < before
        several = wanted if isinstance(wanted, list) else [wanted]
        if members is not None and not collapses:
            known = members.of(name, present)
        elif len(several) == 1:  # Python finds one by itself more quickly than all could be given keys
            changed |= _united(present, several[0])
            continue
        else:
            known = set(map(json_key, present))
        for value in several:
            key = json_key(value)
            if key not in known:
                known.add(key)
                present.append(copy_json(value))
                changed = True
    return changed


def _united(values: list[Any], value: Any) -> bool:
    """Add one value to a list that has none like it; whether it was added."""
    if value in values and next(_places(values, value), None) is not None:
        return False
    values.append(copy_json(value))
    return True


def _without_duplicates(values: list[Any]) -> list[Any]:
    first: dict[Any, Any] = {}
    for value in values:
        first.setdefault(json_key(value), value)
    return list(first.values())


def _remove(properties: Properties, payload: Any, dialect: Dialect, reasons: _Reasons) -> bool:
    changed = False
    for name, unwanted in payload.items():
        if name not in properties:
            continue
        present = properties[name]
        if not isinstance(present, list):
            reasons.append((name, f"{kind_of(present)} cannot be removed from"))
            continue
        each = isinstance(unwanted, list) and dialect.remove_list == "each"
        kept = _without(
            present, unwanted if each else [unwanted], first_only=dialect.remove_occurrences == "first"
        )
        if len(kept) == len(present):
            continue
        changed = True
        if kept or dialect.emptied_list == "keep":
            properties[name] = kept
        else:
            del properties[name]
    return changed


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
    """The same for one value."""
    if unwanted not in values:
        return values
    kept: list[Any] = []
    start = 0
    for place in _places(values, unwanted):
        kept += values[start:place]
        start = place + 1
        if first_only:
            break
    return kept + values[start:]


def _places(values: list[Any], wanted: Any) -> Iterator[int]:
    """Where a list has a value. Python looks first, which is quick: what is equal as JSON is so to Python, too."""
    key, place = json_key(wanted), -1
    while True:
        try:
            place = values.index(wanted, place + 1)
        except ValueError:
            return
        if json_key(values[place]) == key:
            yield place


def _unset(properties: Properties, payload: Any, dialect: Dialect, reasons: _Reasons) -> bool:  # noqa: ARG001
    changed = False
    for name in payload:
        if name in properties:
            del properties[name]
            changed = True
    return changed


_Operation = Callable[[Properties, Any, Dialect, _Reasons], bool]
_OPERATORS: dict[str, _Operation] = {
    Operator.SET: _set,
    Operator.SET_ONCE: _set_once,
    Operator.ADD: _add,
    Operator.APPEND: _append,
    Operator.UNION: _union,
    Operator.REMOVE: _remove,
    Operator.UNSET: _unset,
}


# What nearly all operations come to: made once. (A member of an enum takes Python 3.11 as long to find as a call.)
_APPLIED, _NO_CHANGE = (
    {operator.value: Outcome(operator.value, verdict) for operator in Operator}
    for verdict in (Verdict.APPLIED, Verdict.NO_CHANGE)
)
_DELETE = Operator.DELETE.value


def operate(
    properties: Properties | None,
    operator: str,
    payload: Any,
    dialect: Dialect,
    members: Members | None = None,
) -> tuple[Properties | None, Outcome]:
    """Apply one well-formed operation to properties that may be changed; see `apply_message`."""
    operation = _OPERATORS.get(operator)
    if operation is None:
        if operator == _DELETE:
            return None, (_NO_CHANGE if properties is None else _APPLIED)[operator]
        return properties, Outcome(operator, Verdict.NOT_SIMULATED)
    came = properties is None
    if properties is None:
        if operator not in dialect.creating:
            return None, _NO_CHANGE[operator]
        properties = {}
    reasons: _Reasons = []
    if members is not None and operation is _union:
        changed = _union(properties, payload, dialect, reasons, members) or came
    else:
        changed = operation(properties, payload, dialect, reasons) or came
    if reasons:
        return properties, Outcome(operator, Verdict.APPLIED if changed else Verdict.IGNORED, tuple(reasons))
    return properties, (_APPLIED if changed else _NO_CHANGE)[operator]


def apply_message(
    properties: Properties | None,
    message: Message,
    dialect: Dialect,
    members: Members | None = None,
) -> tuple[Properties | None, list[Outcome]]:
    """Apply a plain message to a profile's properties, which it may change (None: no such profile).

    Args:
        properties: The profile's.
        message: The message.
        dialect: Policies for what the service does not document.
        members: Of whoever applies one message after another to the same properties.

    Returns:
        The properties afterwards (None: no such profile), and one outcome per operator in written order;
        a message rejected for having no identity or no operator has one.
    """
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
        properties, outcome = operate(properties, operator, message[operator], dialect, members)
        outcomes.append(outcome)
    return properties, outcomes


def _alone(message: Message, operator: str, written: list[str]) -> Message:
    return {name: value for name, value in message.items() if name == operator or name not in written}


def _fault(message: Message) -> InvalidOperation | None:
    try:
        examine(message)
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
    copy = None if properties is None else {name: copy_json(value) for name, value in properties.items()}
    after, outcomes = apply_message(copy, {"$distinct_id": "-", operator: payload}, dialect or Dialect())
    return after, outcomes[0]
