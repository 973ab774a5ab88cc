"""Assertions about profiles. A failure names the property, the types, and the operation that wrote the value.

They take a `Simulator`, the local `Service`, or any implementation with ``profiles``, and compare by spelling: 1, 1.0
and True differ, which Python's ``==`` would hide. The writer of a value is named only if known for certain: by a
simulator with history, and by the local service.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from recorder.model.errors import RestanteError
from recorder.model.json_value import same_spelling
from recorder.model.limits import beyond_limits
from recorder.model.operations import Identity
from simulator.difference import ABSENT, Change, describe, difference
from simulator.simulator import Simulator
from simulator.testing.law import Implementation, groups_of, profiles_of
from simulator.timeline import Step, Timeline

if TYPE_CHECKING:
    from simulator.service.server import Service

__all__ = [
    "assert_absent",
    "assert_nothing_rejected",
    "assert_profile",
    "assert_within_limits",
    "differing",
    "unordered",
]

__tracebackhide__ = __unittest = True

Source: TypeAlias = "Simulator | Service | Implementation"

_MOST = 20  # lines; thousands would say no more
_LONGEST = 300  # characters of a message


class unordered:  # noqa: N801  # reads as what it says: {"tags": unordered(["a", "b"])}
    """A list in any order, as the whole value of a property that `assert_profile` expects.

    Elements are compared by spelling, each as often as it occurs.

    Args:
        elements: The list's elements.

    >>> from restante import Simulator
    >>> simulator = Simulator()
    >>> simulator.people_union("ada", {"kiosks": ["station", "harbour"]})
    >>> assert_profile(simulator, "ada", {"kiosks": unordered(["harbour", "station"])})
    """

    __slots__ = ("elements",)

    def __init__(self, elements: Iterable[Any]) -> None:
        self.elements = [_plain(element) for element in elements]

    def __repr__(self) -> str:
        return f"unordered({self.elements!r})"

    def arranged_like(self, found: Any) -> list[Any]:
        """Return the elements in the order of `found`, then the missing ones."""
        left = Counter(map(_spelling, self.elements))
        order = []
        for element in [*(found if isinstance(found, list) else ()), *self.elements]:
            if left[spelling := _spelling(element)] > 0:
                left[spelling] -= 1
                order.append(element)
        return order


def _spelling(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _plain(value: Any) -> Any:
    """Return an expected value as JSON: tuples become lists."""
    if isinstance(value, unordered):
        raise TypeError(f"{value!r} can stand for a property's whole value only")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value


def assert_profile(
    source: Source,
    id: str | int,
    expected: Mapping[str, Any],
    *,
    group_key: str | None = None,
    partial: bool = False,
    token: str | None = None,
) -> None:
    """Assert that a profile exists and has these properties.

    Args:
        source: A simulator, the local service, or any implementation with ``profiles`` (and ``groups``).
        id: The profile's id.
        expected: Its properties; a value may be `unordered`.
        group_key: A group's key; None for a user's profile.
        partial: True if it may have other properties.
        token: The project, if the local service has several.

    Raises:
        AssertionError: It does not exist or differs. Names each property, types that would not show, and the operation
            that wrote the actual value.

    >>> from restante import Simulator
    >>> simulator = Simulator()
    >>> simulator.apply({"$distinct_id": "ada", "$add": {"visits": 1.0}})[0].verdict
    <Verdict.APPLIED: 'applied'>
    >>> assert_profile(simulator, "ada", {"visits": 1})
    Traceback (most recent call last):
    AssertionError: profile 'ada', from expected to actual:
      visits: 1 (integer) → 1.0 (float)
        by message 1: {'$distinct_id': 'ada', '$add': {'visits': 1.0}}
    """
    subject = _Subject(source, Identity(group_key, str(id)), token)
    found = subject.profile()
    if found is None:
        raise AssertionError(f"{subject} does not exist{subject.last()}")
    looked_at = {name: found[name] for name in found if name in expected} if partial else found
    wanted = {
        name: value.arranged_like(looked_at.get(name)) if isinstance(value, unordered) else _plain(value)
        for name, value in expected.items()
    }
    if changes := difference(wanted, looked_at):
        lines = differing(changes, subject.writer(found))
        raise AssertionError(f"{subject}, from expected to actual:\n{lines}")


def assert_absent(
    source: Source,
    id: str | int,
    *,
    group_key: str | None = None,
    token: str | None = None,
) -> None:
    """Assert that a profile does not exist.

    Args:
        source: A simulator, the local service, or any implementation with ``profiles`` (and ``groups``).
        id: The profile's id.
        group_key: A group's key; None for a user's profile.
        token: The project, if the local service has several.

    Raises:
        AssertionError: It exists; shows its properties, and the last operation on it.

    >>> from restante import Simulator
    >>> assert_absent(Simulator(), "ada")
    """
    subject = _Subject(source, Identity(group_key, str(id)), token)
    found = subject.profile()
    if found is not None:
        raise AssertionError(f"{subject} exists: {_clipped(found)}{subject.last()}")


def assert_nothing_rejected(source: "Simulator | Service") -> None:
    """Assert that no message was rejected as malformed.

    Args:
        source: A simulator, or the local service.

    Raises:
        AssertionError: Some were; gives the reason for each.

    >>> from restante import Simulator
    >>> assert_nothing_rejected(Simulator.from_messages([{"$distinct_id": "ada", "$unset": "plan"}]))
    Traceback (most recent call last):
    AssertionError: 1 message was rejected:
      $unset: must be a list of property names, not a string
        {'$distinct_id': 'ada', '$unset': 'plan'}
    """
    rejected = source.rejected if isinstance(source, Simulator) else source.messages("rejected")
    if rejected:
        count = f"{len(rejected):,} messages were" if len(rejected) > 1 else "1 message was"
        lines = [f"  {one.reason}\n    {_clipped(one.message)}" for one in rejected[:_MOST]]
        raise AssertionError(f"{count} rejected:\n" + "\n".join(_cut(lines, len(rejected))))


def assert_within_limits(source: Source) -> None:
    """Assert that no property is larger than the service documents: it may cut or drop one that is.

    Args:
        source: A simulator, the local service, or any implementation with ``profiles`` (and ``groups``).

    Raises:
        AssertionError: Some are; names each, its size and the limit.

    >>> from restante import Simulator
    >>> simulator = Simulator()
    >>> simulator.people_set("ada", {"bio": "a" * 300})
    >>> assert_within_limits(simulator)
    Traceback (most recent call last):
    AssertionError: 1 value is beyond the limits of the service:
      profile 'ada' bio: 300 bytes in a string; the limit is 255
    """
    users = {Identity(None, id_): found for id_, found in profiles_of(source).items()}
    groups = groups_of(source) if hasattr(source, "groups") else {}
    lines = [
        f"  {_Subject(source, Identity(*whose), None)} {excess}"
        for whose, found in (*users.items(), *groups.items())
        for excess in beyond_limits(found)
    ]
    if lines:
        number = f"{len(lines):,} values are" if len(lines) > 1 else "1 value is"
        shown = _cut(lines[:_MOST], len(lines))
        raise AssertionError(f"{number} beyond the limits of the service:\n" + "\n".join(shown))


def _cut(lines: list[str], all_of_them: int) -> list[str]:
    more = all_of_them - len(lines)
    return [*lines, f"  … and {more:,} more"] if more else lines


def _clipped(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def differing(changes: Iterable[Change], writer: Callable[[Change], Step | None] = lambda _: None) -> str:
    """Return a line for each change from expected to actual, with the step that wrote the actual value, if known."""
    all_of_them = list(changes)
    lines = []
    for change in all_of_them[:_MOST]:
        line = "\n".join(f"  {text}" for text in describe([change]).splitlines())
        step = writer(change)
        lines.append(line if step is None else f"{line}\n    by {_called(step)}")
    return "\n".join(_cut(lines, len(all_of_them)))


def _called(step: Step) -> str:
    if step.pruned:
        return "a pruned entry"
    name = f"entry {step.seq}" if step.seq is not None else f"message {step.n}"
    return f"{name}: {_clipped(step.message)}"


class _Subject:
    """One profile of a source, and its history if known."""

    def __init__(self, source: Source, identity: Identity, token: str | None) -> None:
        if not hasattr(source, "profiles"):
            raise TypeError(
                f"a {type(source).__name__} has no profiles: give a simulator, or the local service"
            )
        self._source = source
        self._identity = identity
        self._token = token

    def __str__(self) -> str:
        key, id_ = self._identity
        return f"profile {id_!r}" if key is None else f"group {key!r}: {id_!r}"

    def profile(self) -> dict[str, Any] | None:
        """Return its properties; None if it does not exist."""
        key, id_ = self._identity
        if self._token is not None:
            service: Any = self._source
            found = service.profiles(self._token) if key is None else service.groups(self._token).get(key, {})
            return dict(found[id_]) if id_ in found else None
        return profiles_of(self._source).get(id_) if key is None else groups_of(self._source).get((key, id_))

    def writer(self, found: Mapping[str, Any]) -> Callable[[Change], Step | None]:
        """Return a function that finds the step which wrote the actual property or list element.

        It finds none for a value that the timeline does not confirm.
        """
        timeline = self._timeline()
        if timeline is None:
            return lambda _: None
        blame_of = cache(timeline.blame)

        def writer(change: Change) -> Step | None:
            name = str(change.path[0])  # paths begin with a property
            if name not in found:
                return timeline.removed_by(name)
            with suppress(KeyError):
                blame = blame_of(name)
                if same_spelling(blame.value, found[name]):
                    place = change.path[1] if len(change.path) > 1 and change.after is not ABSENT else None
                    if isinstance(place, int) and blame.elements is not None:
                        return blame.elements[place]
                    return blame.by
            return None

        return writer

    def last(self) -> str:
        """Return the last operation, as the end of a sentence."""
        timeline = self._timeline()
        if timeline is None:
            return ""
        step = timeline.steps[-1]
        return f"; the last operation was {_called(step)}"

    def _timeline(self) -> Timeline | None:
        # No message named it, there is no history, or its journal is gone.
        with suppress(KeyError, RestanteError):
            simulator = self._simulator()
            if simulator is not None:
                timeline = simulator.timeline(self._identity.id, group_key=self._identity.group_key)
                return timeline if len(timeline) else None
        return None

    def _simulator(self) -> Simulator | None:
        if isinstance(self._source, Simulator):
            return self._source
        messages = getattr(self._source, "messages", None)
        if not callable(messages):
            return None
        accepted = messages("accepted", self._token)
        if len({one.token for one in accepted}) > 1:
            return None  # of several projects: only `token` would tell them apart
        return Simulator.from_messages(
            (one.message for one in accepted), getattr(self._source, "dialect", None)
        )
