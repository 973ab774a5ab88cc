"""Hypothesis strategies: colliding values, operations, messages, histories, fault schedules.

Pools are small so that operations meet on the same property, and values meet others that are equal to Python. All drawn
values are new plain JSON, and shrink to the simplest of their kind.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import fields
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from recorder.model.normalise import Message
from recorder.model.operations import Operator
from simulator.service.faults import FAULTS, Unread
from simulator.testing.operation import Operation

__all__ = [
    "colliding_values",
    "fault_schedules",
    "histories",
    "json_values",
    "messages",
    "operations",
    "profile_ids",
    "property_names",
    "states",
    "values",
]

# Each list starts with the simplest: Hypothesis shrinks in this order.
_SCALARS = [0, 1, 1.0, True, False, None, "", "1", -0.0, 2, "\u00e9", "e\u0301"]
_COLLIDING = [*_SCALARS, [], [1]]
# So few that operations meet values that others wrote, and that lists have duplicates.
_FEW = [1, True, None, "1", [1, 1], [1], 1.0, [True], {"x": 1}, {"x": True}, 2**53 + 1, 0, {"x": 1, "y": 2}]
_MEMBERS = [1, True, 1.0, "1", [1]]
_LETTERS = ["a", "b", "1", " ", "\u00e9", "\u0301", "\n", "\x1b", "\u202e", "\U0001f600"]
_NUMBERS = [1, 0, -1, 2, 1.0, 0.5, 0.1, -0.0, 2**53, -(2**53), 10**308, 1e308, -1e308]


def colliding_values() -> SearchStrategy[Any]:
    """Draw values that Python, a hurried reader or another language confuse, and JSON does not.

    1, 1.0 and true; 0, -0.0, false, "" and null; "1"; [] and [1]; é as one character and as two.

    >>> from hypothesis import find
    >>> find(colliding_values(), lambda value: value == 1 and not isinstance(value, int))
    1.0
    """
    return st.sampled_from(_COLLIDING).map(deepcopy)


def json_values() -> SearchStrategy[Any]:
    """Draw JSON values of every kind, most of them colliding, some of them nested.

    >>> from hypothesis import given
    >>> @given(json_values())
    ... def test(value):
    ...     assert value is None or isinstance(value, bool | int | float | str | list | dict)
    >>> test()
    """
    # A small alphabet: Hypothesis takes a second to build its table of all letters, in each new project.
    scalars = st.sampled_from(_SCALARS) | st.integers(-5, 5) | st.text(_LETTERS, max_size=3)
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
        max_leaves=4,
    )


def values() -> SearchStrategy[Any]:
    """Draw the same few values, alone and in lists, and now and then any other.

    >>> from hypothesis import find
    >>> len(find(values(), lambda value: isinstance(value, list) and len(value) > 1)) > 1
    True
    """
    few = st.sampled_from(_FEW).map(deepcopy)
    lists = st.lists(st.sampled_from(_MEMBERS).map(deepcopy), max_size=4)
    # Hypothesis chooses evenly among these: three times in four a value that others have, too.
    return few | few | lists | json_values()


_any_values = values  # others have a parameter of that name


def profile_ids() -> SearchStrategy[str]:
    """Draw ids of profiles from a few that are easily confused."""
    return st.sampled_from(["u1", "U1", "1", "01"])


def property_names() -> SearchStrategy[str]:
    """Draw names of properties from a few."""
    return st.sampled_from(["a", "b", "$transactions"])


def states(*, missing: bool = True) -> SearchStrategy[Any]:
    """Draw the initial properties of a profile: a dict, or None for no such profile.

    Args:
        missing: True to draw None, too.

    >>> from hypothesis import find
    >>> find(states(), lambda state: True) is None
    True
    """
    present = st.dictionaries(property_names(), values() | st.sampled_from(_NUMBERS), max_size=3)
    return st.none() | present if missing else present


def operations(
    *,
    names: SearchStrategy[str] | None = None,
    values: SearchStrategy[Any] | None = None,
    operators: Iterable[str] = tuple(Operator),
    min_properties: int = 0,
    max_properties: int = 3,
) -> SearchStrategy[Operation]:
    """Draw valid operations of every operator.

    Args:
        names: Names of properties.
        values: Values to set, append, unite, remove.
        operators: The operators; the first is the simplest.
        min_properties: Smallest number of properties that an operation names (none for delete; at least 1 for unset).
        max_properties: Largest number of properties.

    >>> from hypothesis import find
    >>> find(operations(operators=["$set"], max_properties=0), lambda _: True)
    Operation(operator='$set', payload={})
    """
    names = property_names() if names is None else names
    values = _any_values() if values is None else values

    def of(items: SearchStrategy[Any]) -> SearchStrategy[Any]:
        return st.dictionaries(names, items, min_size=min_properties, max_size=max_properties)

    members = values.filter(lambda value: value != []) | st.lists(values, min_size=1, max_size=3)
    payloads: dict[str, SearchStrategy[Any]] = {
        Operator.SET: of(values),
        Operator.SET_ONCE: of(values),
        Operator.ADD: of(st.sampled_from(_NUMBERS)),
        Operator.APPEND: of(values),
        Operator.UNION: of(members),
        Operator.REMOVE: of(values | st.lists(values, max_size=3)),
        Operator.UNSET: st.lists(
            names, min_size=max(1, min_properties), max_size=max_properties, unique=True
        ),
        Operator.DELETE: st.just(""),
    }
    chosen = [Operator(operator) for operator in operators]
    return st.one_of(*(st.builds(Operation, st.just(name.value), payloads[name]) for name in chosen))


def messages(
    *,
    ids: SearchStrategy[str] | None = None,
    operations: SearchStrategy[Operation] | None = None,
    max_operators: int = 1,
    groups: bool = False,
) -> SearchStrategy[Message]:
    """Draw valid update messages without a token.

    Args:
        ids: Ids of profiles.
        operations: Operations on them.
        max_operators: Largest number of operators in a message; the service documents one.
        groups: True to draw messages of groups, too, with the group key ``company``.

    >>> from hypothesis import find
    >>> find(messages(), lambda message: "$unset" in message)
    {'$distinct_id': 'u1', '$unset': ['a']}
    """
    ids = profile_ids() if ids is None else ids
    several = st.lists(
        _operations() if operations is None else operations, min_size=1, max_size=max_operators
    )
    keys = st.sampled_from([None, "company"]) if groups else st.none()
    return st.builds(_message, ids, several, keys)


_operations = operations  # `messages` has a parameter of that name


def _message(id_: str, several: list[Operation], group_key: str | None) -> Message:
    message: Message = {}
    for operation in several:
        message.update(operation.on(id_, group_key=group_key))
    return message


def histories(
    *, messages: SearchStrategy[Message] | None = None, min_size: int = 0, max_size: int = 8
) -> SearchStrategy[list[Message]]:
    """Draw lists of messages.

    Args:
        messages: The messages; by default valid ones, in most histories on one user, or on one property of one user.
        min_size: Smallest number.
        max_size: Largest number.

    >>> from hypothesis import given
    >>> @given(histories())
    ... def test(history):
    ...     assert all("$distinct_id" in message for message in history)
    >>> test()
    """

    def several(one: SearchStrategy[Any]) -> SearchStrategy[list[Any]]:
        return st.lists(one, min_size=min_size, max_size=max_size)

    if messages is not None:
        return several(messages)
    twins = st.sampled_from(_MEMBERS).map(deepcopy)
    on_one_property = operations(
        names=st.just("a"),
        values=twins | st.lists(twins, max_size=3) | values(),
        min_properties=1,
        max_properties=1,
    )
    on_one_user = (
        st.builds(_on_one, profile_ids(), several(what)) for what in (on_one_property, operations())
    )
    return st.one_of(*on_one_user, several(_messages()))


def _on_one(id_: str, chosen: list[Operation]) -> list[Message]:
    return [operation.on(id_) for operation in chosen]


_messages = messages  # as above


def fault_schedules(
    *,
    kinds: Sequence[str] = tuple(FAULTS),
    requests: int = 6,
    max_size: int = 3,
    max_seconds: float = 0.05,
) -> SearchStrategy[list[dict[str, Any]]]:
    """Draw fault schedules for the local service, as JSON values.

    Args:
        kinds: Names of faults.
        requests: The last request that may have a fault.
        max_size: Largest number of faults.
        max_seconds: Longest delay of a slow or late one, in seconds.

    >>> from hypothesis import find
    >>> find(fault_schedules(kinds=["ack_lost", "reset"]), bool)
    [{'fault': 'ack_lost', 'at': 1}]
    """
    seconds = st.sampled_from([0.0, max_seconds])
    rules: dict[str, SearchStrategy[Any]] = {
        "at": st.integers(1, requests),
        "applied": st.booleans(),
        "code": st.sampled_from([503, 500, 502, 429, 400, 401, 403, 413]),
        "location": st.just("http://127.0.0.1:9/login"),
        "retry_after": st.sampled_from([None, 0, max_seconds]),
        "seconds": seconds,
        "updates": st.integers(0, 3),
    }

    def fault(name: str) -> SearchStrategy[dict[str, Any]]:
        settings = {field.name: rules[field.name] for field in fields(FAULTS[name])}
        applied = settings.pop("applied")
        optional = {} if issubclass(FAULTS[name], Unread) else {"applied": applied}
        return st.fixed_dictionaries({"fault": st.just(name), **settings}, optional=optional)

    return st.lists(st.one_of(*map(fault, kinds)), max_size=max_size, unique_by=lambda one: one["at"]).map(
        lambda faults: sorted(faults, key=lambda one: int(one["at"]))
    )
