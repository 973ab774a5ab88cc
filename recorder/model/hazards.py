"""Hazards: entries of a run that may be applied twice when they are sent again. Pure.

A *run* is the entries that one request carried for one profile, in order. After an unknown outcome some first part of
it may have been applied, or all. Sending it again whole is *harmless* when the profile ends the same in either case;
every other run is *hazardous*. `tests/recorder/model/test_hazards.py` tries every small run on every small state.
Sources: the service documents what set, set once, union, unset and delete do; whether ``$remove`` takes one equal
element or all is not known, and of other operators nothing is.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recorder.model.operations import Operator

__all__ = ["Update", "dropped", "hazardous", "repeatable"]

_OVERWRITE = frozenset({Operator.SET, Operator.UNSET})
_FILLS = ({Operator.SET_ONCE}, {Operator.UNION})
_KNOWN = frozenset(Operator)
_INSERT_ID = "$insert_id"


@dataclass(frozen=True, slots=True)
class Update:
    """Entry of a run.

    Attributes:
        operator: Such as ``$set``; None for an event or an import.
        payload: The operator's payload; an event's properties.
    """

    operator: str | None
    payload: Any

    @classmethod
    def of(cls, operator: str | None, message: Mapping[str, Any]) -> "Update":
        """Return the update in an entry's message.

        >>> Update.of("$set", {"$distinct_id": "ada", "$set": {"plan": "pro"}})
        Update(operator='$set', payload={'plan': 'pro'})
        """
        return cls(operator, message.get("properties" if operator is None else operator))

    @classmethod
    def read(cls, operator: str | None, text: str | bytes) -> "Update":
        """Return the update in a message's JSON; one of an unknown operator if damage made it unreadable.

        >>> Update.read("$set", '{"$distinct_id": "ada", "$s')
        Update(operator='', payload=None)
        """
        try:
            return cls.of(operator, json.loads(text))
        except (ValueError, TypeError, AttributeError, RecursionError):
            return cls("", None)

    @property
    def properties(self) -> frozenset[str]:
        """Names of the properties it touches; none for a delete, which removes the whole profile."""
        named = isinstance(self.payload, Mapping | list)  # a list of names to unset
        return frozenset(name for name in self.payload if isinstance(name, str)) if named else frozenset()


def hazardous(run: Sequence[Update], evident: Callable[[Update], bool] | None = None) -> frozenset[int]:
    """Return the places in a run whose repetition may change the profile; empty for a harmless run.

    For each property a run touches, it is harmless when the first operation on it is a set or an unset, which
    overwrite whatever came before, or when all are set once, or all union, which do nothing the second time
    (both together may, where a service takes null for not set). A later set would not do: a person may give it up
    when the add before it was sent again already. A run that ends in its only delete is
    harmless, whatever came before it; any other delete is not. An event is harmless when it has an
    ``$insert_id``, by which the service knows it again.

    Args:
        run: In the order of sending.
        evident: Tells of an update whether its profile shows that it was applied. A run with such a one is hazardous
            as a whole, even if it begins with a set or ends in a delete: sent again, it would be counted twice.

    >>> add, fill = Update("$add", {"visits": 1}), Update("$set_once", {"first": "harbour"})
    >>> sorted(hazardous([fill, add]))
    [1]
    >>> sorted(hazardous([Update("$set", {"visits": 0}), add]))
    []
    """
    everything = frozenset(range(len(run)))
    if evident is not None and any(map(evident, run)):
        return everything
    if any(update.operator is None for update in run):
        return frozenset(place for place in everything if not _known_again(run[place]))
    if any(update.operator not in _KNOWN for update in run):
        return everything
    deletes = [place for place, update in enumerate(run) if update.operator == Operator.DELETE]
    if deletes:
        return frozenset() if deletes == [len(run) - 1] else everything
    risky = _risky_properties(run)
    return frozenset(place for place, update in enumerate(run) if update.properties & risky)


def _known_again(event: Update) -> bool:
    return isinstance(event.payload, Mapping) and bool(event.payload.get(_INSERT_ID))


def repeatable(run: Iterable[Update]) -> Iterator[bool]:
    """Yield for each first part of a run, none of it first, if it may be sent again where all of that part was applied.

    Then what an operation on a property did is gone if any later one overwrote it.

    >>> charge, cleared = Update("$append", {"$transactions": {"$amount": 5}}), Update("$unset", ["$transactions"])
    >>> list(repeatable([charge, cleared])), sorted(hazardous([charge, cleared]))
    ([True, False, True], [0, 1])
    """
    used: dict[str, set[str | None]] = defaultdict(set)
    risky: set[str] = set()
    known = True
    yield True
    for update in run:
        known &= update.operator in _KNOWN and update.operator != Operator.DELETE
        for name in update.properties:
            used[name].add(update.operator)
            harmless = used[name] & _OVERWRITE or used[name] in _FILLS
            (risky.discard if harmless else risky.add)(name)
        yield known and not risky


def _risky_properties(run: Iterable[Update]) -> frozenset[str]:
    operators: dict[str, list[str | None]] = {}
    for update in run:
        for name in update.properties:
            operators.setdefault(name, []).append(update.operator)
    return frozenset(
        name for name, used in operators.items() if used[0] not in _OVERWRITE and set(used) not in _FILLS
    )


def dropped(run: Sequence[Update], marked: frozenset[int] = frozenset()) -> frozenset[int]:
    """Return the places to give up so that the rest of a run may be sent again: those given up apply at most once.

    The hazardous ones, and those that share a property with one that is given up: no property
    gets one half of its changes without the other. Repeated until the rest is harmless.

    Args:
        run: In the order of sending.
        marked: Places that are hazardous for a reason the run does not show.

    >>> add, set_ = Update("$add", {"visits": 1}), Update("$set", {"plan": "pro"})
    >>> sorted(dropped([add, set_]))
    [0]
    """
    gone: set[int] = set()
    risky = marked | hazardous(run)
    while risky:
        gone |= risky
        left = [place for place in range(len(run)) if place not in gone]
        touched = frozenset(name for place in gone for name in run[place].properties)
        shared = frozenset(place for place in left if run[place].properties & touched)
        risky = shared or frozenset(left[place] for place in hazardous([run[place] for place in left]))
    return frozenset(gone)
