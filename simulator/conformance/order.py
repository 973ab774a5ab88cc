"""Order and repetition: which operations commute, and which may be repeated, with the smallest witnesses.

Every pair of small operations on one property is applied in both orders, and with a repetition, from every small state.
The result is published as `order.json`, which `simulator.conformance.order_page` writes. Sums stay within the range of
doubles, and policies are the default ones.

Operations on other properties, or on another profile, always commute; a delete is about every property.
"""

import json
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import combinations_with_replacement, product
from math import isclose
from typing import Any

from recorder.model.json_value import compact, json_key, same_spelling
from recorder.model.semantics import Properties, apply_operation
from simulator.testing.operation import Operation

__all__ = ["Agreement", "commute", "computed", "repeat"]

# Values that collide, lists and what may stand in them, numbers that round.
_VALUES = [0, 1, 0.1, None, True, "1", [], [1], [1.0], [1, 1], [2, 1]]
_STARTS: list[Properties | None] = [None, {}, *({"a": value} for value in _VALUES)]
_PAYLOADS: dict[str, list[Any]] = {
    "$set": [{"a": value} for value in (1, 2, [1])],
    "$set_once": [{"a": value} for value in (1, 2, [2])],
    "$add": [{"a": value} for value in (1, -1, 0, 0.2)],
    "$append": [{"a": value} for value in (1, 2)],
    "$union": [{"a": value} for value in (1, 2, [1.0, 2])],
    "$remove": [{"a": value} for value in (1, [1, 2])],
    "$unset": [["a"]],
    "$delete": [""],
}
_NEARLY = 1e-9  # sums of few numbers of one size round much less


class Agreement(StrEnum):
    """Agreement of what two histories make of every state; the later, the less."""

    EXACT = "exactly"
    ROUNDED = "up to rounding"
    UNORDERED = "up to the order of lists"
    NONE = "no"


def commute(one: str, other: str) -> Agreement:
    """Return how the results agree if two operations on one property change places, by their operators.

    >>> commute("$union", "$append"), commute("$set", "$set_once")
    (<Agreement.NONE: 'no'>, <Agreement.EXACT: 'exactly'>)
    """
    rows = _published()["commute"]
    return rows.get((one, other)) or rows.get((other, one), Agreement.NONE)


def repeat(operator: str, *, after: str | None = None) -> Agreement:
    """Return how the results agree if an operation is repeated, at once or after another on the same property.

    >>> repeat("$set"), repeat("$set", after="$set"), repeat("$add")
    (<Agreement.EXACT: 'exactly'>, <Agreement.NONE: 'no'>, <Agreement.NONE: 'no'>)
    """
    question, operators = ("repeat", (operator,)) if after is None else ("repeat_later", (operator, after))
    return _published()[question].get(operators, Agreement.NONE)


@cache
def _published() -> dict[str, dict[tuple[str, ...], Agreement]]:
    tables = json.loads(files(__package__).joinpath("order.json").read_text(encoding="utf-8"))
    return {
        question: {tuple(row["operators"]): Agreement(row["agreement"]) for row in rows}
        for question, rows in tables.items()
    }


# --- computing

_Row = dict[str, Any]
_Histories = Callable[..., tuple[list[Operation], list[Operation]]]


def computed() -> dict[str, list[_Row]]:
    """Return the tables as JSON values: for each question, a row for each operator or pair of operators.

    A row has ``operators``, ``agreement`` and, unless that is exact, the smallest ``witness``: a ``start`` state,
    ``operations``, and the two ``ends``.
    """
    return {
        "commute": [_row(pair, _swapped) for pair in combinations_with_replacement(_PAYLOADS, 2)],
        "repeat": [_row((operator,), _repeated) for operator in _PAYLOADS],
        "repeat_later": [_row(pair, _repeated) for pair in product(_PAYLOADS, repeat=2)],
    }


def _swapped(one: Operation, other: Operation) -> tuple[list[Operation], list[Operation]]:
    return [one, other], [other, one]


def _repeated(one: Operation, *between: Operation) -> tuple[list[Operation], list[Operation]]:
    return [one, *between], [one, *between, one]


def _row(operators: tuple[str, ...], histories: _Histories) -> _Row:
    found: dict[Agreement, list[_Row]] = {agreement: [] for agreement in Agreement}
    for payloads in product(*(_PAYLOADS[operator] for operator in operators)):
        operations = list(map(Operation, operators, payloads))
        for start in _STARTS:
            ends = [_applied(start, history) for history in histories(*operations)]
            written = [{operation.operator: operation.payload} for operation in operations]
            found[_agreement(*ends)].append({"start": start, "operations": written, "ends": ends})
    worst = next(agreement for agreement in reversed(Agreement) if found[agreement])
    witness = min(found[worst], key=lambda one: len(compact(one)))
    witnessed = {} if worst is Agreement.EXACT else {"witness": witness}
    return {"operators": list(operators), "agreement": worst.value, **witnessed}


def _applied(properties: Properties | None, operations: list[Operation]) -> Properties | None:
    for operation in operations:
        properties, _ = apply_operation(properties, operation.operator, operation.payload)
    return properties


def _agreement(one: Properties | None, other: Properties | None) -> Agreement:
    if same_spelling(one, other):
        return Agreement.EXACT
    if not one or not other:  # else both have the property
        return Agreement.NONE
    left, right = one["a"], other["a"]
    if isinstance(left, list) and isinstance(right, list):
        alike = Counter(map(json_key, left)) == Counter(map(json_key, right))
        return Agreement.UNORDERED if alike else Agreement.NONE
    numbers = {type(left), type(right)} <= {int, float}
    return Agreement.ROUNDED if numbers and isclose(left, right, abs_tol=_NEARLY) else Agreement.NONE
