"""`Law`: an equation between histories, checked against any implementation of the operations.

An implementation is anything with ``apply(message)`` and ``profiles``, as `Simulator` has them: your wrapper around
`Recorder`, another SDK's queue in front of a service, a function that folds a history. A queue sends its content when
``profiles`` is read.
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

__all__ = [
    "LOOK",
    "Equality",
    "Expected",
    "Fold",
    "Implementation",
    "Law",
    "Side",
    "groups_of",
    "profiles_of",
]

__tracebackhide__ = __unittest = True

ID = "u1"
"""The id of the profile that laws are about."""


class Implementation(Protocol):
    """An implementation of the operations: what laws and `machine` check."""

    def apply(self, message: Message, /) -> object:
        """Take one valid update message; the return value is ignored."""

    @property
    def profiles(self) -> Mapping[str, Mapping[str, Any]]:
        """Users' profiles, id to properties; may also be a method."""


def profiles_of(implementation: Any) -> dict[str, dict[str, Any]]:
    """Return copies of an implementation's profiles.

    >>> from restante import Simulator
    >>> profiles_of(Simulator.from_messages([{"$distinct_id": "ada", "$set": {"plan": "pro"}}]))
    {'ada': {'plan': 'pro'}}
    """
    return {id_: deepcopy(dict(properties)) for id_, properties in _read(implementation.profiles).items()}


def groups_of(implementation: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Return copies of an implementation's group profiles, by group key and id.

    ``groups`` may be nested, as the local service's are.

    Raises:
        TypeError: It has no ``groups``.

    >>> from restante import Simulator
    >>> groups_of(Simulator.from_messages([{"$group_key": "company", "$group_id": "acme", "$set": {}}]))
    {('company', 'acme'): {}}
    """
    if not hasattr(implementation, "groups"):
        raise TypeError(f"{type(implementation).__name__} has no groups: give messages of users only")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for key, value in _read(implementation.groups).items():
        if isinstance(key, tuple):
            found[key[0], key[1]] = deepcopy(dict(value))
        else:
            found.update({(key, id_): deepcopy(dict(properties)) for id_, properties in value.items()})
    return found


def _read(profiles: Any) -> Any:
    return profiles() if callable(profiles) else profiles


class Equality(StrEnum):
    """Equality of two results."""

    EXACT = "exactly"
    """By spelling: 1 and 1.0 differ, and the sign of zero counts."""
    UNORDERED = "as JSON, up to the order of lists"
    """Lists have the same elements, each as often."""


_Profiles = Mapping[str, Mapping[str, Any]]


def _unordered(value: Any, other: Any) -> bool:
    if isinstance(value, list) and isinstance(other, list):
        return Counter(map(json_key, value)) == Counter(map(json_key, other))
    return json_key(value) == json_key(other)


def _same(left: _Profiles, right: _Profiles, equality: Equality) -> bool:
    alike = same_spelling if equality is Equality.EXACT else _unordered
    return left.keys() == right.keys() and all(
        properties.keys() == right[id_].keys()
        and all(alike(value, right[id_][name]) for name, value in properties.items())
        for id_, properties in left.items()
    )


class _Look:
    """A place in a history at which the profiles are read."""

    def __repr__(self) -> str:
        return "LOOK"


LOOK = _Look()


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an equation.

    Attributes:
        profiles: The profiles at the end, id to properties.
        history: The messages that led there, in order; empty if the side is a fixed expectation.
    """

    profiles: dict[str, dict[str, Any]]
    history: tuple[Any, ...] = ()

    @property
    def properties(self) -> dict[str, Any] | None:
        """The properties of the law's profile; None for no such profile."""
        return self.profiles.get(ID)

    def without(self, names: Iterable[str]) -> "Side":
        """Return the side without these properties of the law's profile."""
        ignored = set(names)
        profiles = {
            id_: {name: value for name, value in properties.items() if id_ != ID or name not in ignored}
            for id_, properties in self.profiles.items()
        }
        return Side(profiles, self.history)


class Fold:
    """Runs histories through new implementations.

    Args:
        make: Makes an empty implementation. Its ``close()``, if it has one, is called at the end.
    """

    def __init__(self, make: Callable[[], Implementation]) -> None:
        self._make = make

    def __call__(
        self,
        start: Mapping[str, Any] | None,
        *operations: "Operation | _Look",
        other: Mapping[str, Any] | None = None,
    ) -> Side:
        """Return the result of these operations, one after the other.

        Args:
            start: The properties of the law's profile before, made by one ``$set``; None for no such profile.
            operations: Operations on that profile.
            other: The same as `start` for another profile.
        """
        history: list[Any] = list(_starting(start, other))
        history += [one if isinstance(one, _Look) else one.on(ID) for one in operations]
        return self.of(history)

    def of(self, history: Iterable[Any]) -> Side:
        """Return the result of these messages, of any profiles."""
        messages = tuple(history)
        with self._made() as implementation:
            for message in messages:
                if isinstance(message, _Look):
                    profiles_of(implementation)
                else:
                    implementation.apply(deepcopy(message))
            return Side(profiles_of(implementation), messages)

    def spoilt(self, start: Mapping[str, Any] | None, *operations: Operation) -> Side:
        """Return the result if the owner of the messages empties them before the profiles are read."""
        history = [*_starting(start, None), *(operation.on(ID) for operation in operations)]
        given = deepcopy(history)
        with self._made() as implementation:
            for message, before in zip(given, history, strict=True):
                implementation.apply(message)
                if list(message) != list(before) or not same_spelling(message, before):
                    raise _Changed(f"it changed the message it was given: {before!r} became {message!r}")
            for message in given:
                _empty(message)
            return Side(profiles_of(implementation), tuple(history))

    @contextmanager
    def _made(self) -> Iterator[Any]:
        implementation = self._make()
        try:
            yield implementation
        finally:
            close = getattr(implementation, "close", None)
            if close is not None:
                close()


def _starting(start: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Iterator[Message]:
    for id_, properties in (("u2", other), (ID, start)):
        if properties is not None:
            yield {"$distinct_id": id_, "$set": deepcopy(dict(properties))}


class _Changed(Exception):
    """The implementation changed a message it was given."""


def _empty(value: Any) -> None:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _empty(item)
        value.clear()


Expected = Mapping[str, Any] | None
"""The expected properties of the law's profile; None for no such profile."""


@dataclass(frozen=True, slots=True)
class Law:
    """An equation that every implementation of the operations must satisfy.

    Attributes:
        name: Its name.
        statement: The equation in words.
        equality: The equality of its sides.
        given: A Hypothesis strategy for each variable.
        equation: A function from a `Fold` and the variables to both sides.

    >>> from restante import Simulator
    >>> from simulator.testing import Operation, laws
    >>> laws.set_absorbs(Simulator, start=None, earlier=Operation("$add", {"a": 1}), value=True)
    """

    name: str
    statement: str
    equality: Equality
    given: Mapping[str, Any]
    equation: Callable[..., tuple[Side, Side | Expected]]

    def __call__(self, make: Callable[[], Implementation], **variables: Any) -> None:
        """Check an implementation.

        Args:
            make: Makes an empty implementation.
            variables: Values for the names in `given`.

        Raises:
            AssertionError: The law is broken; names the law, both histories, and the difference.
        """
        try:
            left, other = self.equation(Fold(make), **variables)
        except _Changed as error:
            raise AssertionError(f"{self._title}\n{error}") from None
        right = other if isinstance(other, Side) else _side(other)
        if not _same(left.profiles, right.profiles, self.equality):
            raise AssertionError(f"{self._title}\n{_explanation(left, right)}")

    @property
    def _title(self) -> str:
        return f"law {self.name}, {self.equality}: {self.statement}"


def _side(properties: Expected) -> Side:
    return Side({} if properties is None else {ID: dict(properties)})


def _explanation(left: Side, right: Side) -> str:
    lines = ["this history"]
    lines += [f"    {message!r}" for message in left.history]
    if right.history:
        lines += ["and this one", *(f"    {message!r}" for message in right.history)]
        lines.append("must leave the same; from the second to the first:")
    else:
        lines.append("does not leave what it must; from expected to actual:")
    for id_ in sorted(left.profiles.keys() | right.profiles.keys()):
        changes = difference(right.profiles.get(id_), left.profiles.get(id_))
        if changes:
            lines += [f"  profile {id_!r}", *(f"    {line}" for line in describe(changes).splitlines())]
    return "\n".join(lines)
