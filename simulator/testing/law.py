"""What a law is: an equation between histories, held against any implementation of the operations.

An implementation is anything with ``apply(message)`` and ``profiles``, as `Simulator` has them: a wrapper of
yours around `Recorder`, another SDK's queue with a service behind it, a function that folds a history. Laws
speak of what it holds once it is asked; a queue sends what it has when its profiles are looked at.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from recorder.model.json_value import json_key, same_spelling
from recorder.model.normalise import Message
from simulator.difference import describe, difference
from simulator.testing.operation import Operation

__all__ = ["LOOK", "Equality", "Expected", "Fold", "Implementation", "Law", "Side", "held", "held_groups"]

ID = "u1"
"""The profile that laws are about."""


class Implementation(Protocol):
    """What can be held against the laws, and against the simulator."""

    def apply(self, message: Message, /) -> object:
        """Take one well-formed update message; what it returns does not matter."""

    @property
    def profiles(self) -> Mapping[str, Mapping[str, Any]]:
        """The users' profiles as they stand, id to properties; a method of this name will do."""


def held(implementation: Any) -> dict[str, dict[str, Any]]:
    """The profiles that an implementation holds, copied.

    >>> from simulator import Simulator
    >>> held(Simulator.from_messages([{"$distinct_id": "ada", "$set": {"plan": "pro"}}]))
    {'ada': {'plan': 'pro'}}
    """
    return {id_: deepcopy(dict(properties)) for id_, properties in _shown(implementation.profiles).items()}


def held_groups(implementation: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """The groups' profiles that an implementation holds, by group key and id, copied.

    They may be nested, as the local service's are.

    Raises:
        TypeError: It has no ``groups``.

    >>> from simulator import Simulator
    >>> held_groups(Simulator.from_messages([{"$group_key": "company", "$group_id": "acme", "$set": {}}]))
    {('company', 'acme'): {}}
    """
    if not hasattr(implementation, "groups"):
        raise TypeError(f"{type(implementation).__name__} has no groups: give messages of users only")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for key, value in _shown(implementation.groups).items():
        if isinstance(key, tuple):
            found[key[0], key[1]] = deepcopy(dict(value))
        else:
            found.update({(key, id_): deepcopy(dict(properties)) for id_, properties in value.items()})
    return found


def _shown(profiles: Any) -> Any:
    return profiles() if callable(profiles) else profiles


class Equality(StrEnum):
    """When two results count as the same."""

    EXACT = "exactly"
    """As they are stored: 1 and 1.0 differ, and the sign of zero counts."""
    UNORDERED = "as JSON, up to the order of lists"
    """The same elements as often."""


_Profiles = Mapping[str, Mapping[str, Any]]


def _unordered(value: Any, other: Any) -> bool:
    if isinstance(value, list) and isinstance(other, list):
        return Counter(map(json_key, value)) == Counter(map(json_key, other))
    return json_key(value) == json_key(other)


_ALIKE: dict[Equality, Callable[[Any, Any], bool]] = {
    Equality.EXACT: same_spelling,
    Equality.UNORDERED: _unordered,
}


def _same(left: _Profiles, right: _Profiles, equality: Equality) -> bool:
    alike = _ALIKE[equality]
    return left.keys() == right.keys() and all(
        properties.keys() == right[id_].keys()
        and all(alike(value, right[id_][name]) for name, value in properties.items())
        for id_, properties in left.items()
    )


class _Look:
    """Among the operations of a history: the profiles are looked at here, and it goes on."""

    def __repr__(self) -> str:
        return "LOOK"


LOOK = _Look()


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an equation.

    Attributes:
        profiles: What is held at the end, id to properties.
        history: The messages that led there, in order; empty where the side is what must come out.
    """

    profiles: dict[str, dict[str, Any]]
    history: tuple[Any, ...] = ()

    @property
    def properties(self) -> dict[str, Any] | None:
        """Those of the law's profile; None for no such profile."""
        return self.profiles.get(ID)

    def without(self, names: Iterable[str]) -> "Side":
        """The same with these properties of the law's profile left aside."""
        left_aside = set(names)
        profiles = {
            id_: {name: value for name, value in properties.items() if id_ != ID or name not in left_aside}
            for id_, properties in self.profiles.items()
        }
        return Side(profiles, self.history)


class Fold:
    """Runs histories through fresh implementations.

    Args:
        make: Makes one that holds nothing. Its ``close()``, if it has one, is called when it has been looked at.
    """

    def __init__(self, make: Callable[[], Implementation]) -> None:
        self._make = make

    def __call__(
        self,
        start: Mapping[str, Any] | None,
        *operations: "Operation | _Look",
        beside: Mapping[str, Any] | None = None,
    ) -> Side:
        """What comes of these operations, one after the other.

        Args:
            start: The properties of the law's profile before, brought about by one ``$set``; None for no
                such profile.
            operations: On that profile.
            beside: The same as `start` for another profile.
        """
        history: list[Any] = list(_starting(start, beside))
        history += [one if isinstance(one, _Look) else one.on(ID) for one in operations]
        return self.of(history)

    def of(self, history: Iterable[Any]) -> Side:
        """What comes of these messages, of whichever profiles."""
        messages = tuple(history)
        with self._made() as implementation:
            for message in messages:
                if isinstance(message, _Look):
                    held(implementation)
                else:
                    implementation.apply(deepcopy(message))
            return Side(held(implementation), messages)

    def spoilt(self, start: Mapping[str, Any] | None, *operations: Operation) -> Side:
        """The same where whoever gave the messages empties them before anybody looks."""
        history = [*_starting(start, None), *(operation.on(ID) for operation in operations)]
        given = deepcopy(history)
        with self._made() as implementation:
            for message, before in zip(given, history, strict=True):
                implementation.apply(message)
                if list(message) != list(before) or not same_spelling(message, before):
                    raise _Changed(f"it changed the message it was given: {before!r} became {message!r}")
            for message in given:
                _empty(message)
            return Side(held(implementation), tuple(history))

    @contextmanager
    def _made(self) -> Iterator[Any]:
        implementation = self._make()
        try:
            yield implementation
        finally:
            close = getattr(implementation, "close", None)
            if close is not None:
                close()


def _starting(start: Mapping[str, Any] | None, beside: Mapping[str, Any] | None) -> Iterator[Message]:
    for id_, properties in (("u2", beside), (ID, start)):
        if properties is not None:
            yield {"$distinct_id": id_, "$set": deepcopy(dict(properties))}


class _Changed(Exception):
    """A message was changed by whom it was given to."""


def _empty(value: Any) -> None:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _empty(item)
        value.clear()


Expected = Mapping[str, Any] | None
"""The properties of the law's profile that must come out; None for no such profile."""


@dataclass(frozen=True, slots=True)
class Law:
    """An equation that every implementation of the operations must satisfy.

    Attributes:
        name: Its name.
        statement: What it says.
        equality: When its sides count as the same.
        given: A Hypothesis strategy for each thing it speaks of.
        equation: From a `Fold` and those things to both sides.

    >>> from simulator import Simulator
    >>> from simulator.testing import Operation, laws
    >>> laws.set_absorbs(Simulator, start=None, earlier=Operation("$add", {"a": 1}), value=True)
    """

    name: str
    statement: str
    equality: Equality
    given: Mapping[str, Any]
    equation: Callable[..., tuple[Side, Side | Expected]]

    def __call__(self, make: Callable[[], Implementation], **things: Any) -> None:
        """Hold an implementation to it.

        Args:
            make: Makes an implementation that holds nothing.
            things: What `given` names.

        Raises:
            AssertionError: It is broken; names the law, both histories, and what differs.
        """
        __tracebackhide__ = True
        try:
            left, other = self.equation(Fold(make), **things)
        except _Changed as error:
            raise AssertionError(f"{self._title}\n{error}") from None
        right = other if isinstance(other, Side) else _side(other)
        if not _same(left.profiles, right.profiles, self.equality):
            raise AssertionError(f"{self._title}\n{_told(left, right)}")

    @property
    def _title(self) -> str:
        return f"law {self.name}, {self.equality}: {self.statement}"


def _side(properties: Expected) -> Side:
    return Side({} if properties is None else {ID: dict(properties)})


def _told(left: Side, right: Side) -> str:
    """Both sides, and what differs from the right one to the left one."""
    lines = ["this history"]
    lines += [f"    {message!r}" for message in left.history]
    if right.history:
        lines += ["and this one", *(f"    {message!r}" for message in right.history)]
        lines.append("must leave the same; from the second to the first:")
    else:
        lines.append("leaves something else than it must:")
    for id_ in sorted(left.profiles.keys() | right.profiles.keys()):
        changes = difference(right.profiles.get(id_), left.profiles.get(id_))
        if changes:
            lines += [f"  profile {id_!r}", *(f"    {line}" for line in describe(changes).splitlines())]
    return "\n".join(lines)
