"""Operations on profiles: one small function for each operator, in a table.

An operator's function changes `properties`, which it owns, and returns True if anything is stored differently. It
copies what it keeps of `payload`, and adds to `reasons` why a property could not take the operation. `apply_operation`
is pure; `apply_message` and `operate` change properties of the caller, which saves a copy of the profile for each
operation.

Sources: the service's documentation, the official SDKs' documentation and code. Points that neither settles are
fields of `Dialect`.
"""

import sys
from collections.abc import Callable, Iterator
from math import inf, isfinite
from typing import Any

from recorder.model.dialect import Dialect
from recorder.model.errors import InvalidOperation
from recorder.model.json_value import copy_json, json_key, kind_of, same_spelling
from recorder.model.normalise import Message
from recorder.model.operations import Operator, examine, operators_of
from recorder.model.outcomes import Outcome, Verdict

__all__ = ["Properties", "apply_message", "apply_operation", "copy_properties", "operate"]

Properties = dict[str, Any]

_LARGEST = sys.float_info.max
_CONTAINERS = (dict, list)  # must be copied; other values, nearly all, are not worth a call
_FEW = 4  # values that `in`, which runs in C, finds in a list faster than keys could be made of its elements


def copy_properties(properties: Properties) -> Properties:
    """Return a copy that operations on the original leave alone: they change properties and lists, no deeper value.

    >>> properties = {"tags": ["a"]}
    >>> before = copy_properties(properties)
    >>> apply_message(properties, {"$distinct_id": "ada", "$append": {"tags": "b"}}, Dialect())[0], before
    ({'tags': ['a', 'b']}, {'tags': ['a']})
    """
    return {name: value.copy() if isinstance(value, list) else value for name, value in properties.items()}


_Reasons = list[tuple[str, str]]
"""Pairs of a property and the reason why it could not take an operation."""


def _set(properties: Properties, payload: Any, dialect: Dialect, reasons: _Reasons) -> bool:
    changed = False
    for name, value in payload.items():
        # Python's == first: it is fast, and values that differ by it are spelled differently.
        if name not in properties or properties[name] != value or not same_spelling(properties[name], value):
            properties[name] = copy_json(value) if isinstance(value, _CONTAINERS) else value
            changed = True
    return changed


def _set_once(properties: Properties, payload: Any, dialect: Dialect, reasons: _Reasons) -> bool:
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
        if not -_LARGEST <= total <= _LARGEST and not _rounds_to_double(total):
            if dialect.add_beyond_doubles == "ignore":
                reasons.append((name, "the sum is beyond what a double can hold"))
                continue
            total = _LARGEST if number > 0 else -_LARGEST
        if total != present or name not in properties or not same_spelling(properties[name], total):
            properties[name] = total
            changed = True
    return changed


def _rounds_to_double(number: float) -> bool:
    """True if some double is nearest to a number; the largest one is for some integers beyond it."""
    try:
        return isfinite(float(number))
    except OverflowError:
        return False


def _append(properties: Properties, payload: Any, dialect: Dialect, reasons: _Reasons) -> bool:
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


def _union(properties: Properties, payload: Any, dialect: Dialect, reasons: _Reasons) -> bool:
    changed = False
    for name, members in payload.items():
        if name not in properties:
            properties[name] = []
            changed = True
        present = properties[name]
        if not isinstance(present, list):
            reasons.append((name, f"{kind_of(present)} cannot be united with a list"))
            continue
        before = len(present)
        if dialect.union_duplicates == "collapse":
            present[:] = _without_duplicates(present)
            changed |= len(present) < before
            before = len(present)
        _add_missing(present, members if isinstance(members, list) else [members])
        changed |= len(present) > before
    return changed


def _without_duplicates(values: list[Any]) -> list[Any]:
    first: dict[Any, Any] = {}
    for value in values:
        first.setdefault(json_key(value), value)
    return list(first.values())


def _add_missing(values: list[Any], members: list[Any]) -> None:
    if len(members) < _FEW:
        for member in members:
            # A string is equal to strings only; other values may be equal to Python and not as JSON.
            if member not in values or (
                type(member) is not str and next(_places(values, member), None) is None
            ):
                values.append(copy_json(member))
        return
    keys = set(map(json_key, values))
    for member in members:
        if (key := json_key(member)) not in keys:
            keys.add(key)
            values.append(copy_json(member))


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
    """Yield the places of a value in a list; by Python's fast == first, as equal JSON values are equal to Python."""
    key, place = json_key(wanted), -1
    while True:
        try:
            place = values.index(wanted, place + 1)
        except ValueError:
            return
        if json_key(values[place]) == key:
            yield place


def _unset(properties: Properties, payload: Any, dialect: Dialect, reasons: _Reasons) -> bool:
    changed = False
    for name in payload:
        if name in properties:
            del properties[name]
            changed = True
    return changed


_OPERATORS: dict[str, Callable[[Properties, Any, Dialect, _Reasons], bool]] = {
    Operator.SET: _set,
    Operator.SET_ONCE: _set_once,
    Operator.ADD: _add,
    Operator.APPEND: _append,
    Operator.UNION: _union,
    Operator.REMOVE: _remove,
    Operator.UNSET: _unset,
}


# The outcomes of nearly all operations, made once. (On Python 3.11 a member of an enum takes a call to find.)
_APPLIED, _NO_CHANGE = (
    {operator.value: Outcome(operator.value, verdict) for operator in Operator}
    for verdict in (Verdict.APPLIED, Verdict.NO_CHANGE)
)
_DELETE = Operator.DELETE.value


def operate(
    properties: Properties | None, operator: str, payload: Any, dialect: Dialect
) -> tuple[Properties | None, Outcome]:
    """Apply one well-formed operation to properties that may be changed; see `apply_message`."""
    operation = _OPERATORS.get(operator)
    if operation is None:
        if operator == _DELETE:
            return None, (_NO_CHANGE if properties is None else _APPLIED)[operator]
        return properties, Outcome(operator, Verdict.NOT_SIMULATED)
    created = properties is None
    if properties is None:
        if operator not in dialect.creating:
            return None, _NO_CHANGE[operator]
        properties = {}
    reasons: _Reasons = []
    changed = operation(properties, payload, dialect, reasons) or created
    if reasons:
        return properties, Outcome(operator, Verdict.APPLIED if changed else Verdict.IGNORED, tuple(reasons))
    return properties, (_APPLIED if changed else _NO_CHANGE)[operator]


def apply_message(
    properties: Properties | None, message: Message, dialect: Dialect
) -> tuple[Properties | None, list[Outcome]]:
    """Apply a plain message to a profile's properties, which it may change.

    Args:
        properties: The profile's properties; None for no such profile.
        message: The message.
        dialect: Policies for what the service does not document.

    Returns:
        The properties afterwards (None: no such profile), and one outcome per operator in written order;
        a message rejected for having no identity or no operator has one.
    """
    written = operators_of(message)
    if dialect.several_operators == "reject" and len(written) > 1:
        return properties, [_rejected(operator, "message", "has several operators") for operator in written]
    if dialect.malformed_operator == "operator" and len(written) > 1:
        faults = [_fault(_alone(message, operator, written), dialect) for operator in written]
    else:
        faults = [_fault(message, dialect)] * max(len(written), 1)
    outcomes = []
    for operator, fault in zip(written or [""], faults, strict=True):
        if fault is not None:
            outcomes.append(_rejected(operator, fault.path, fault.reason))
            continue
        properties, outcome = operate(properties, operator, message[operator], dialect)
        outcomes.append(outcome)
    return properties, outcomes


def _alone(message: Message, operator: str, written: list[str]) -> Message:
    return {name: value for name, value in message.items() if name == operator or name not in written}


def _fault(message: Message, dialect: Dialect) -> InvalidOperation | None:
    try:
        examine(message, unknown_operators=dialect.unknown_operators)
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
        properties: The properties before, as JSON values; None for no such profile.
        operator: Such as ``"$add"``.
        payload: The operator's payload, as JSON values.
        dialect: Policies for what the service does not document.

    Returns:
        The properties afterwards (None if there is no such profile) and the outcome. No argument is changed, and
        nothing returned shares anything mutable with the arguments.

    >>> apply_operation({"n": 1}, "$add", {"n": 2})
    ({'n': 3}, Outcome(operator='$add', verdict=<Verdict.APPLIED: 'applied'>, reasons=()))
    >>> apply_operation({"n": 1}, "$delete", "")[0] is None
    True
    """
    # Value by value, as properties that share a list must not change together.
    copy = None if properties is None else {name: copy_json(value) for name, value in properties.items()}
    after, outcomes = apply_message(copy, {"$distinct_id": "-", operator: payload}, dialect or Dialect())
    return after, outcomes[0]
