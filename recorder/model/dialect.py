"""Policies for what the service leaves undocumented, so that a measured fact can replace one."""

from dataclasses import dataclass, replace
from typing import Literal

from recorder.model.operations import Operator, UnknownOperators

__all__ = ["Dialect", "of_recorded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Policies for points that the real service does not document, one a field.

    >>> from restante import Simulator
    >>> simulator = Simulator(Dialect(emptied_list="unset"))
    >>> simulator.people_append("u1", {"tags": "a"})
    >>> simulator.people_remove("u1", {"tags": "a"})
    >>> dict(simulator.profile("u1"))
    {}
    """

    add_to_other: Literal["ignore", "replace"] = "ignore"
    """`$add` to a value that is not a number (a string of digits, true, null) is ignored, or counts it as 0."""

    add_beyond_doubles: Literal["ignore", "clamp"] = "ignore"
    """`$add` whose sum is not finite, or an integer no double can hold, is ignored, or gives the largest double."""

    remove_occurrences: Literal["all", "first"] = "all"
    """`$remove` takes every equal element, or the first."""

    remove_list: Literal["each", "whole"] = "each"
    """`$remove` with a list takes each of its elements, or looks for the list itself as one element."""

    emptied_list: Literal["keep", "unset"] = "keep"
    """A list emptied by `$remove` stays as ``[]``, or its property is unset."""

    union_duplicates: Literal["keep", "collapse"] = "keep"
    """Duplicates in a list before `$union` stay, or collapse to the first."""

    null_counts_as_set: bool = True
    """True if `$set_once` leaves a property that is null."""

    several_operators: Literal["in_order", "reject"] = "in_order"
    """A message of several operators applies in written order, or is rejected (one is documented)."""

    malformed_operator: Literal["message", "operator"] = "message"
    """A malformed operator rejects its whole message, or itself alone."""

    unknown_operators: UnknownOperators = "refuse"
    """A message of an operator that is not documented is rejected, or taken to an effect that is not known."""

    creating: frozenset[str] = frozenset(set(Operator) - {Operator.DELETE})
    """Operators that create a missing profile. The others change nothing then."""


def of_recorded(dialect: Dialect | None = None) -> Dialect:
    """Return the policies for what a journal holds: whatever its operators are, they were taken when it was recorded.

    >>> of_recorded().unknown_operators
    'ship'
    """
    return replace(dialect or Dialect(), unknown_operators="ship")
