"""Assertions about profiles. What fails names the property, the types, and the operation that wrote it.

They ask a `Simulator`, or the local service (`simulator.server.Service`), and compare values as they are
stored: 1, 1.0 and True differ, which Python's own ``==`` would hide.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from recorder.operations import Identity
from simulator.difference import ABSENT, Change, describe, difference
from simulator.simulator import Simulator
from simulator.timeline import Step, Timeline

if TYPE_CHECKING:
    from simulator.server import Service

__all__ = ["assert_absent", "assert_nothing_rejected", "assert_profile", "differing", "unordered"]

Source: TypeAlias = "Simulator | Service"


class unordered:  # noqa: N801  # reads as what it says: {"tags": unordered(["a", "b"])}
    """A list of which the order does not matter, among what `assert_profile` expects.

    Its elements are compared as they are stored, each as often as it is there.

    Args:
        elements: The list's elements.

    >>> from simulator import Simulator
    >>> simulator = Simulator()
    >>> simulator.people_union("ada", {"kiosks": ["station", "harbour"]})
    >>> assert_profile(simulator, "ada", {"kiosks": unordered(["harbour", "station"])})
    """

    __slots__ = ("elements",)

    def __init__(self, elements: Iterable[Any]) -> None:
        self.elements = list(elements)

    def __repr__(self) -> str:
        return f"unordered({self.elements!r})"

    def matches(self, found: Any) -> bool:
        """Whether a value is a list of these elements."""
        return isinstance(found, list) and Counter(map(_spelling, found)) == Counter(
            map(_spelling, self.elements)
        )


def _spelling(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def assert_profile(
    source: Source,
    id: str | int,  # noqa: A002  # the service's own word
    expected: Mapping[str, Any],
    *,
    group_key: str | None = None,
    partial: bool = False,
) -> None:
    """Assert that there is a profile, and that it holds these properties.

    Args:
        source: A simulator, or the local service.
        id: The profile's.
        expected: Its properties; a value may be `unordered`.
        group_key: Of a group's profile.
        partial: Whether it may hold others.

    Raises:
        AssertionError: It is not there, or differs: names each property, the types where they would not show,
            and the operation that wrote what was found.

    >>> from simulator import Simulator
    >>> simulator = Simulator()
    >>> simulator.apply({"$distinct_id": "ada", "$add": {"visits": 1.0}})[0].verdict
    <Verdict.APPLIED: 'applied'>
    >>> assert_profile(simulator, "ada", {"visits": 1})
    Traceback (most recent call last):
    AssertionError: profile 'ada', from what was expected to what was found:
      visits: 1 (integer) → 1.0 (float)
        by 1: {'$distinct_id': 'ada', '$add': {'visits': 1.0}}
    """
    __tracebackhide__ = True
    identity = Identity(group_key, str(id))
    simulator = _simulator(source)
    found = _held(source, simulator, identity)
    if found is None:
        raise AssertionError(f"{_whose(identity)} is not there{_last(simulator, identity)}")
    looked_at = {name: found[name] for name in found if name in expected} if partial else found
    wanted = {
        name: looked_at[name]
        if isinstance(value, unordered) and value.matches(looked_at.get(name))
        else _plain(value)
        for name, value in expected.items()
    }
    if changes := difference(wanted, looked_at):
        told = differing(changes, _timeline(simulator, identity))
        raise AssertionError(f"{_whose(identity)}, from what was expected to what was found:\n{told}")


def _plain(value: Any) -> Any:
    return value.elements if isinstance(value, unordered) else value


def assert_absent(source: Source, id: str | int, *, group_key: str | None = None) -> None:  # noqa: A002
    """Assert that there is no such profile.

    Args:
        source: A simulator, or the local service.
        id: The profile's.
        group_key: Of a group's profile.

    Raises:
        AssertionError: It is there; says what it holds, and the last operation on it.

    >>> from simulator import Simulator
    >>> assert_absent(Simulator(), "ada")
    """
    __tracebackhide__ = True
    identity = Identity(group_key, str(id))
    simulator = _simulator(source)
    found = _held(source, simulator, identity)
    if found is not None:
        raise AssertionError(f"{_whose(identity)} is there: {found!r}{_last(simulator, identity)}")


def assert_nothing_rejected(source: Source) -> None:
    """Assert that no message was rejected as malformed.

    Args:
        source: A simulator, or the local service.

    Raises:
        AssertionError: Some were; gives the reason of each.

    >>> from simulator import Simulator
    >>> assert_nothing_rejected(Simulator.from_messages([{"$distinct_id": "ada", "$unset": "plan"}]))
    Traceback (most recent call last):
    AssertionError: 1 message was rejected:
      $unset: must be a list of property names, not a string
        {'$distinct_id': 'ada', '$unset': 'plan'}
    """
    __tracebackhide__ = True
    rejected = source.rejected if isinstance(source, Simulator) else source.messages("rejected")
    if rejected:
        count = f"{len(rejected)} messages were" if len(rejected) > 1 else "1 message was"
        told = "\n".join(f"  {one.reason}\n    {one.message!r}" for one in rejected)
        raise AssertionError(f"{count} rejected:\n{told}")


def differing(changes: Iterable[Change], timeline: Timeline | None = None) -> str:
    """What differs, line by line, each with the operation that made it as it is found.

    Args:
        changes: From what was expected to what was found.
        timeline: Of the profile that was found; None where it is not known.
    """
    lines = []
    for change in changes:
        lines += [f"  {line}" for line in describe([change]).splitlines()]
        step = None if timeline is None else _writer(timeline, change)
        if step is not None:
            lines.append(
                "    before the journal's kept entries"
                if step.pruned
                else f"    by {step.n}: {step.message!r}"
            )
    return "\n".join(lines)


def _writer(timeline: Timeline, change: Change) -> Step | None:
    """Who made a property, or an element of a list, what it is found to be; None where nobody did."""
    name, *deeper = change.path or (None,)
    if not isinstance(name, str):
        return timeline.steps[-1] if len(timeline) else None
    try:
        blame = timeline.blame(name)
    except KeyError:  # it is not there
        return _remover(timeline, name)
    place = deeper[0] if deeper else None
    if isinstance(place, int) and blame.elements is not None and change.after is not ABSENT:
        return blame.elements[place]
    return blame.by


def _remover(timeline: Timeline, name: str) -> Step | None:
    return next(
        (
            step
            for step in reversed(timeline.steps)
            if any(change.path[:1] in {(), (name,)} and _went(change, name) for change in step.changes)
        ),
        None,
    )


def _went(change: Change, name: str) -> bool:
    return change.after is ABSENT and (len(change.path) == 1 or (not change.path and name in change.before))


def _simulator(source: Source) -> Simulator:
    if isinstance(source, Simulator):
        return source
    return Simulator.from_messages(one.message for one in source.messages("accepted"))


def _held(source: Source, simulator: Simulator, identity: Identity) -> dict[str, Any] | None:
    if isinstance(source, Simulator):
        with suppress(KeyError):
            return dict(simulator.profile(identity.id, group_key=identity.group_key))
        return None
    if identity.group_key is None:
        return source.profiles().get(identity.id)
    return source.groups().get(identity.group_key, {}).get(identity.id)


def _timeline(simulator: Simulator, identity: Identity) -> Timeline | None:
    with suppress(KeyError):
        return simulator.timeline(identity.id, group_key=identity.group_key)
    return None


def _last(simulator: Simulator, identity: Identity) -> str:
    timeline = _timeline(simulator, identity)
    if timeline is None or not (len(timeline) or timeline.pruned):
        return "; nothing was ever applied to it"
    if not len(timeline):
        return "; all that was applied to it was before the journal's kept entries"
    return f"; the last of its {len(timeline)} messages was {timeline.steps[-1].message!r}"


def _whose(identity: Identity) -> str:
    return (
        f"profile {identity.id!r}"
        if identity.group_key is None
        else f"group {identity.group_key!r}: {identity.id!r}"
    )
