"""Policies: points that no document settles, and which of them explains a result other than the expected one."""

from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import Any, get_args, get_type_hints

from recorder.model.dialect import Dialect
from recorder.model.json_value import json_equal, same_spelling
from recorder.model.operations import ENVELOPE, Operator
from simulator.conformance.vectors import Profiles, Vector, predict

__all__ = ["NUMBERS", "explain"]

NUMBERS = "numbers"
"""The policy that integers are exact, and differ from floats in spelling."""

_MOST = 2  # fields of one case that differ from the default
_CREATING_LESS = Dialect().creating - {Operator.UNSET, Operator.REMOVE}


def explain(vector: Vector, found: Profiles) -> tuple[str, ...] | None:
    """Return the policies under which the simulator makes these profiles, too; None if there are none.

    They are fields of `Dialect` with another value than the default, and ``numbers``: values are equal to the
    expected ones and spelled otherwise (1 and 1.0), or right if all numbers are doubles. Each explains the profiles
    alone, unless it takes two: ``a and b``. Empty for what is expected.

    >>> given, messages = {"ada": {"l": [1]}}, [{"$distinct_id": "ada", "$remove": {"l": 1}}]
    >>> vector = Vector.of(given, messages, id="emptied", about="a list is emptied", source="policy")
    >>> explain(vector, predict({"ada": {}}, [])[0])
    ("emptied_list='unset'",)
    """
    if same_spelling(found, vector.expected):
        return ()
    explanations = list(_explanations(vector, found))
    if (NUMBERS,) in explanations:  # whatever the other policies are
        return (NUMBERS,)
    fewest = min(map(len, explanations), default=0)
    return tuple(" and ".join(one) for one in explanations if len(one) == fewest) or None


def _explanations(vector: Vector, found: Profiles) -> Iterator[tuple[str, ...]]:
    doubled = _in_doubles(found)
    messages = [_message_in_doubles(message) for message in vector.messages]
    for policies, dialect in _dialects():
        if json_equal(found, predict(vector.given, vector.messages, dialect)[0]):
            yield policies or (NUMBERS,)
        elif json_equal(doubled, predict(_in_doubles(vector.given), messages, dialect)[0]):
            yield (NUMBERS, *policies)


@cache
def _dialects() -> list[tuple[tuple[str, ...], Dialect]]:
    """Return the default, then dialects of one and of two other values, with these values as text."""
    changes = [(name, value) for name, values in _alternatives().items() for value in values]
    return [
        (tuple(f"{name}={_shown(value)}" for name, value in chosen), Dialect(**dict(chosen)))
        for number in range(_MOST + 1)
        for chosen in combinations(changes, number)
        if len({name for name, _ in chosen}) == number
    ]


def _alternatives() -> dict[str, list[Any]]:
    """Return the values of each field that are not its default."""
    default = Dialect()
    found: dict[str, list[Any]] = {}
    for name, kind in get_type_hints(Dialect).items():
        known: dict[Any, list[Any]] = {bool: [True, False], frozenset[str]: [_CREATING_LESS]}
        values = known.get(kind) or get_args(kind)
        found[name] = [value for value in values if value != getattr(default, name)]
    return found


def _shown(value: Any) -> str:
    return repr(sorted(map(str, value)) if isinstance(value, frozenset) else value)


def _message_in_doubles(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value if name in ENVELOPE else _in_doubles(value) for name, value in message.items()}


def _in_doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _in_doubles(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_in_doubles(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
