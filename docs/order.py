"""Writes the tables of order and repetition, as data and into their page: PYTHONPATH=. python docs/order.py.

Every pair of small operations on one property is applied in both orders, and with a repetition, from every small state.
Sums stay within the range of doubles, and policies are the default ones.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import combinations_with_replacement, product
from math import isclose
from pathlib import Path
from typing import Any

from recorder.model.json_value import compact, json_key, same_spelling
from recorder.model.semantics import Properties, apply_operation
from simulator.conformance import Agreement
from simulator.testing import Operation

PAGE = Path(__file__).with_name("conformance.md")
TABLES = Path(__file__).parents[1] / "simulator" / "conformance" / "order.json"

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
_BEGIN, _END = "<!-- made by docs/order.py -->\n\n", "\n<!-- until here -->"
_SHORT: dict[str, str] = {
    Agreement.EXACT: "yes",
    Agreement.ROUNDED: "rounding",
    Agreement.UNORDERED: "list order",
    Agreement.NONE: "no",
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


# --- writing


def as_json(tables: dict[str, list[_Row]]) -> str:
    """Return the text of `order.json`: a row on each line."""
    parts = (
        f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, rows)) + "\n]"
        for name, rows in tables.items()
    )
    return "{" + ",\n".join(parts) + "}\n"


def as_markdown(tables: dict[str, list[_Row]]) -> str:
    """Return the tables of the page."""
    commuting, at_once, later = tables["commute"], tables["repeat"], tables["repeat_later"]
    found = {frozenset(row["operators"]): _SHORT[row["agreement"]] for row in commuting}
    operators = [row["operators"][0] for row in at_once]
    matrix = [[_code(one), *(found[frozenset({one, other})] for other in operators)] for one in operators]
    return "\n".join(
        [
            _table(["", *map(_code, operators)], matrix),
            "A repetition changes nothing if it follows at once (*yes*), or after any operation but these:\n",
            _table(["operator", "at once", "not after"], (_repetition(row, later) for row in at_once)),
        ]
    )


def _repetition(row: dict[str, Any], later: list[_Row]) -> list[str]:
    (operator,) = row["operators"]
    unsafe = [one["operators"][1] for one in later if one["operators"][0] == operator and "witness" in one]
    return [_code(operator), _SHORT[row["agreement"]], ", ".join(map(_code, unsafe))]


def _code(text: str) -> str:
    return f"`{text}`"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


if __name__ == "__main__":
    tables = computed()
    TABLES.write_text(as_json(tables), encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_BEGIN}{as_markdown(tables)}{_END}{after}", encoding="utf-8")
