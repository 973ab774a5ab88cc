"""Folding: a profile's run as fewer updates with the same result. Pure; used when one request is packed.

Two neighbours of a run become one update if a rule below says how. A rule holds from every start state, and however
the service decides the cases that it does not document: so only operations of *one* operator join. A set and a later
add would join only if both create a missing profile, or neither does, which is not documented; so would a set and a
set with an append in between.

These join:

- ``$set``, ``$set``: the later value of each property.
- ``$set_once``, ``$set_once``: the earlier one, unless it is null, which may count as set or not.
- ``$add``, ``$add``: the sums. Exact on an integer or an absent property; on a float the result may differ by
  rounding, which `simulator.testing.laws.float_adds_fuse_but_for_rounding` bounds. Numbers that together exceed
  2⁵³ stay apart: beyond it a partial sum might leave what the service can hold.
- ``$union``, ``$union``: the members of the one, then those of the other.
- ``$unset``, ``$unset``: all their names.
- ``$delete`` after anything of a known operator: the delete alone.

These never join: appends and charges, which stay single and in order; removes, because it is not known whether the
service removes one or all, and a list as a whole or by its elements; operators outside the vocabulary; updates that
differ in anything else than ``$time``. The joined update has the time of its last.

`tests/recorder/journal/test_folding.py` proves each rule against the simulator, over colliding start states and all
policies.
"""

from collections.abc import Callable
from typing import Any

from recorder.model.json_value import same_spelling
from recorder.model.normalise import Message
from recorder.model.operations import Operator, operators_of

__all__ = ["joined"]

_MOST = 2**53
"""Most that the numbers of joined adds may come to: up to it every partial sum is exact."""


def _set(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    return {**earlier, **later}


def _set_once(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any] | None:
    if any(earlier[name] is None for name in later if name in earlier):
        return None
    return {**later, **earlier}


def _add(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any] | None:
    sums = dict(earlier)
    for name, number in later.items():
        if name not in earlier:
            sums[name] = number
        elif abs(earlier[name]) + abs(number) > _MOST:
            return None
        else:
            sums[name] = earlier[name] + number
    return sums


def _union(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    members = {name: _listed(value) for name, value in earlier.items()}
    for name, value in later.items():
        members.setdefault(name, []).extend(_listed(value))
    return members


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _unset(earlier: list[str], later: list[str]) -> list[str]:
    return list(dict.fromkeys([*earlier, *later]))


_RULES: dict[str, Callable[[Any, Any], Any]] = {
    Operator.SET: _set,
    Operator.SET_ONCE: _set_once,
    Operator.ADD: _add,
    Operator.UNION: _union,
    Operator.UNSET: _unset,
}
"""By operator: makes one payload of two, or None if they stay apart."""


def joined(earlier: Message, later: Message) -> Message | None:
    """Return two neighbouring updates of one profile as one; None if they stay apart.

    Args:
        earlier: A plain, well-formed message of one operator.
        later: The next one of the same profile.

    >>> joined({"$time": 1, "$distinct_id": "ada", "$add": {"n": 1}},
    ...        {"$time": 2, "$distinct_id": "ada", "$add": {"n": 2}})
    {'$time': 2, '$distinct_id': 'ada', '$add': {'n': 3}}
    """
    operators = operators_of(earlier), operators_of(later)
    if [len(each) for each in operators] != [1, 1]:
        return None  # recorded when another key counted as an operator
    (first,), (then,) = operators
    if not same_spelling(_without_payload(earlier, first), _without_payload(later, then)):
        return None
    if then == Operator.DELETE:
        return later if first in _KNOWN else None
    rule = _RULES.get(then) if first == then else None
    payload = rule(earlier[first], later[then]) if rule is not None else None
    return None if payload is None else {**later, then: payload}


_KNOWN = frozenset(Operator)


def _without_payload(message: Message, operator: str) -> Message:
    """Return the rest of an update that must be equal: all but its operator and its time."""
    return {name: value for name, value in message.items() if name not in {operator, "$time"}}
