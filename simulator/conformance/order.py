"""Order and repetition: which operations commute, and which may be repeated.

The tables are in `order.json`, which docs/order.py computes: every pair of small operations on one property, from every
small state. Sums stay within the range of doubles, and policies are the default ones.

Operations on other properties, or on another profile, always commute; a delete is about every property.
"""

import json
from enum import StrEnum
from functools import cache
from importlib.resources import files

__all__ = ["Agreement", "commute", "repeat"]


class Agreement(StrEnum):
    """Agreement of what two histories make of every state; the later, the less."""

    EXACT = "exactly"
    """The results are the same."""
    ROUNDED = "up to rounding"
    """Sums on floats may differ in their last digits."""
    UNORDERED = "up to the order of lists"
    """Lists may have the same elements in another order."""
    NONE = "no"
    """The results may differ."""


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
