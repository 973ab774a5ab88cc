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

Two that are no neighbours join if the earlier one may go behind all between them; see `passing`. It names other
properties than they, so it commutes with them where there is a profile. Where there is none, some of them might create
one and others not, which is not documented. So each of their operators must stand earlier in the run, behind its last
delete: if there is no profile even so, none of them creates one, and all of them change nothing.

These never join: appends and charges, which stay single and in order; removes, because it is not known whether the
service removes one or all, and a list as a whole or by its elements; operators outside the vocabulary; updates that
differ in anything else than ``$time``. The joined update has the time of its last.

`tests/recorder/journal/test_folding.py` proves each rule against the simulator, over colliding start states and all
policies.
"""

from collections.abc import Callable, Sequence
from typing import Any

from recorder.model.json_value import same_spelling
from recorder.model.normalise import Message
from recorder.model.operations import Operator, operators_of

__all__ = ["joined", "passing"]

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
    first, then = _operator(earlier), _operator(later)
    if not first or not then or not same_spelling(_rest(earlier, first), _rest(later, then)):
        return None
    if then == Operator.DELETE:
        return later if first in _KNOWN else None
    rule = _RULES.get(then) if first == then else None
    payload = rule(earlier[first], later[then]) if rule is not None else None
    return None if payload is None else {**later, then: payload}


_KNOWN = frozenset(Operator)


def passing(run: Sequence[Message], later: Message) -> int | None:
    """Return the place of an update that may go behind the rest of its run, where the next one joins it; None if none.

    Args:
        run: Neighbouring updates of one profile.
        later: The next one.

    >>> visit, view = {"$distinct_id": "ada", "$add": {"n": 1}}, {"$distinct_id": "ada", "$append": {"seen": "x"}}
    >>> passing([visit, view, visit, view], visit), passing([visit, view], visit)
    (2, None)
    """
    operator = _operator(later)
    if operator not in _RULES:
        return None
    rest = _rest(later, operator)
    untried: set[str] = set()
    properties: set[str] = set()
    for place in range(len(run) - 1, -1, -1):
        earlier = run[place]
        other = _operator(earlier)
        if other not in _KEEPING or not same_spelling(_rest(earlier, other), rest):
            return None
        untried.add(other)
        if other == operator:
            passes = place < len(run) - 1 and properties.isdisjoint(earlier[other])
            return place if passes and _tried(untried, run[:place]) else None
        properties.update(earlier[other])
    return None


_KEEPING = _KNOWN - {Operator.DELETE}
"""Operators that may create a profile, and never delete one."""


def _tried(operators: set[str], run: Sequence[Message]) -> bool:
    """Return True if all operators are in a run, behind its last delete; they are removed from the set."""
    for message in reversed(run):
        operator = _operator(message)
        if operator == Operator.DELETE:
            break
        operators.discard(operator)
        if not operators:
            return True
    return False


def _operator(message: Message) -> str:
    """Return an update's operator; none for one recorded when another key counted as an operator."""
    operators = operators_of(message)
    return operators[0] if len(operators) == 1 else ""


def _rest(message: Message, operator: str) -> Message:
    """Return what must be equal in updates that join or pass each other: all but the operation and its time."""
    return {name: value for name, value in message.items() if name not in {operator, "$time"}}
