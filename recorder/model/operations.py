"""Operators, the shape of each one's payload, and validation of messages. Pure.

A *message* is the JSON object that the official SDK would post, such as
``{"$distinct_id": "u1", "$time": 1.5, "$set": {"plan": "pro"}}``: an envelope (identity, time, flags) and
one or more operators. Values come in, values or InvalidOperation come out, and nothing given is changed.

Sources: the service's documentation of /engage and /groups, and the official Python SDK 5.4.1. Where both
are silent the rule is ours.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from recorder.model.errors import InvalidOperation
from recorder.model.json_value import kind_of
from recorder.model.normalise import Message, member_path

__all__ = [
    "ENVELOPE",
    "MAX_IDENTITY",
    "Identity",
    "Lane",
    "Operator",
    "UnknownOperators",
    "examine",
    "identity_of",
    "lane_of",
    "operators_of",
    "split",
]

MAX_IDENTITY = 255
"""The longest profile id, group key or group id, in characters."""


class Operator(StrEnum):
    """The operators that the service documents.

    >>> Operator("$add") is Operator.ADD
    True
    """

    SET = "$set"
    SET_ONCE = "$set_once"
    ADD = "$add"
    APPEND = "$append"
    UNION = "$union"
    REMOVE = "$remove"
    UNSET = "$unset"
    DELETE = "$delete"


UnknownOperators = Literal["refuse", "ship"]
"""Treatment of an update with another operator: it is refused, or shipped as it is. Its effect is not known then."""


class Lane(StrEnum):
    """A queue of entries that are sent in one order to one endpoint of the service."""

    PEOPLE = "people"
    GROUPS = "groups"
    EVENTS = "events"
    IMPORTS = "imports"


ENVELOPE = frozenset(
    {
        *("$token", "$distinct_id", "$group_key", "$group_id"),
        *("$time", "$ip", "$ignore_time", "$ignore_alias", "$latitude", "$longitude"),
        # The official client SDKs add these to each update: JavaScript two of them, the others up to four.
        *("$device_id", "$user_id", "$had_persisted_distinct_id", "$mp_metadata"),
    }
)
"""Keys that begin with ``$`` and are no operators. Any other such key counts as one, documented or not."""


class Identity(NamedTuple):
    """The profile a message is about: a user's (no group key) or a group's."""

    group_key: str | None
    id: str


def operators_of(message: Iterable[str]) -> list[str]:
    """List the operators of a message in written order, documented or not.

    >>> operators_of({"$distinct_id": "u1", "$time": 1, "note": "x", "$set": {}, "$merge": {}})
    ['$set', '$merge']
    """
    return [name for name in message if name not in ENVELOPE and name[:1] == "$"]


def lane_of(message: Message) -> Lane:
    """Return the lane of a profile update: groups if it names a group, people otherwise."""
    return Lane.GROUPS if "$group_key" in message or "$group_id" in message else Lane.PEOPLE


def identity_of(message: Message) -> Identity:
    """Return the profile a message is about; an integer id becomes the string of its digits.

    Raises:
        InvalidOperation: No identity, a malformed one, or both a user's and a group's.

    >>> identity_of({"$distinct_id": 12, "$set": {}})
    Identity(group_key=None, id='12')
    """
    if "$group_key" not in message and "$group_id" not in message:
        return Identity(None, _identifier(message, "$distinct_id"))
    if "$distinct_id" in message:
        raise InvalidOperation("$distinct_id", "a message names a user or a group, not both")
    return Identity(_identifier(message, "$group_key"), _identifier(message, "$group_id"))


def _identifier(message: Message, name: str) -> str:
    value = message.get(name)
    if type(value) is str:
        text = value
    elif type(value) is int:
        text = _digits(value)
    elif name not in message:
        raise InvalidOperation(name, "is missing")
    else:
        raise InvalidOperation(name, f"must be a non-empty string or an integer, not {kind_of(value)}")
    if not text:
        raise InvalidOperation(name, "must not be empty")
    if len(text) > MAX_IDENTITY:
        raise InvalidOperation(name, f"is {len(text):,} characters long; the limit is {MAX_IDENTITY}")
    return text


def _digits(value: int) -> str:
    # str() of an integer of thousands of digits raises; any beyond the limit is refused all the same.
    return str(value) if abs(value) < 10**MAX_IDENTITY else "9" * (MAX_IDENTITY + 1)


# --- Payloads -----------------------------------------------------------------------------------


def _needs_object(operator: str, payload: Any) -> None:
    if not isinstance(payload, dict):
        raise InvalidOperation(
            operator, f"must be an object of property names and values, not {kind_of(payload)}"
        )


def _needs_numbers(operator: str, payload: Any) -> None:
    _needs_object(operator, payload)
    for name, value in payload.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidOperation(member_path(operator, name), f"must be a number, not {kind_of(value)}")


def _needs_members(operator: str, payload: Any) -> None:
    _needs_object(operator, payload)
    for name, value in payload.items():
        if isinstance(value, list) and not value:
            raise InvalidOperation(member_path(operator, name), "must not be an empty list")


def _needs_names(operator: str, payload: Any) -> None:
    if not isinstance(payload, list):
        raise InvalidOperation(operator, f"must be a list of property names, not {kind_of(payload)}")
    if not payload:
        raise InvalidOperation(operator, "must name at least one property")
    for place, name in enumerate(payload):
        if not isinstance(name, str):
            raise InvalidOperation(f"{operator}[{place}]", f"must be a property's name, not {kind_of(name)}")


def _refuse_export(operator: str, _payload: Any) -> None:
    raise InvalidOperation(
        operator,
        'is how the service exports a profile; to import one, write "$set" in place of "$properties"',
    )


def _takes_anything(_operator: str, _payload: Any) -> None:
    pass


_SHAPES: dict[str, Callable[[str, Any], None]] = {
    Operator.SET: _needs_object,
    Operator.SET_ONCE: _needs_object,
    Operator.ADD: _needs_numbers,
    Operator.APPEND: _needs_object,
    Operator.UNION: _needs_members,
    Operator.REMOVE: _needs_object,
    Operator.UNSET: _needs_names,
    Operator.DELETE: _takes_anything,
    "$properties": _refuse_export,
}


# --- Messages -----------------------------------------------------------------------------------

_Form = tuple[tuple[str, ...], Lane | None]
_forms: dict[tuple[str, ...], _Form] = {}
_MOST_FORMS = 256
_KNOWN = ENVELOPE | set(Operator)


def examine(
    message: Message, lane: Lane | None = None, unknown_operators: UnknownOperators = "refuse"
) -> tuple[Identity, tuple[str, ...]]:
    """Validate a plain message; return its identity and its operators in written order.

    Args:
        message: Plain JSON; see `recorder.model.normalise`.
        lane: People, for a user's message only; groups, for a group's only; None for either.
        unknown_operators: ``"ship"`` lets operators pass that the service does not document.

    Raises:
        InvalidOperation: No identity, no operator, one that does not exist, or one whose payload has the wrong shape.

    >>> examine({"$distinct_id": "u1", "$set": {"plan": "pro"}})
    (Identity(group_key=None, id='u1'), ('$set',))
    """
    names = tuple(message)
    operators, of_users = _forms.get(names) or _form(names)
    profile = message["$distinct_id"] if of_users is not None else None
    if type(profile) is str and 0 < len(profile) <= MAX_IDENTITY:  # nearly all
        identity = Identity(None, profile)
    else:
        identity = identity_of(message)
    if lane is not of_users and lane is not None:
        _check_lane(identity, lane)
    if not operators:
        raise InvalidOperation("message", "has no operator such as $set")
    for operator in operators:
        check_shape = _SHAPES.get(operator)
        if check_shape is not None:
            check_shape(operator, message[operator])
        elif unknown_operators != "ship":
            from recorder.model.suggestions import no_operator  # noqa: PLC0415  # needed for this error alone

            raise no_operator(operator)
    return identity, operators


def _form(names: tuple[str, ...]) -> _Form:
    """Return the operators among a message's names, and the lane of users if they name nothing but a user.

    Messages of an app have few different sets of names, so each is worked out once. Names that an app made up are
    not remembered: they may be long, or personal data.
    """
    of_users = "$distinct_id" in names and "$group_key" not in names and "$group_id" not in names
    form = tuple(operators_of(names)), Lane.PEOPLE if of_users else None
    if len(_forms) < _MOST_FORMS and _KNOWN.issuperset(names):
        _forms[names] = form
    return form


def _check_lane(identity: Identity, lane: Lane) -> None:
    if lane is Lane.PEOPLE and identity.group_key is not None:
        raise InvalidOperation("$group_key", "this is a group's message", hint="Use group_update for groups.")
    if lane is Lane.GROUPS and identity.group_key is None:
        raise InvalidOperation(
            "$distinct_id", "this is a user's message", hint="Use people_update for users."
        )


def split(message: Message, operators: Sequence[str]) -> list[Message]:
    """Return one message for each of its operators, in written order; all else travels with each.

    The service documents one operation an update, so that is how they are journaled and sent.

    >>> message = {"$distinct_id": "u1", "$set": {"a": 1}, "note": "x", "$unset": ["b"]}
    >>> split(message, ["$set", "$unset"])[1]
    {'$distinct_id': 'u1', 'note': 'x', '$unset': ['b']}
    """
    if len(operators) == 1:
        return [message]
    return [
        {name: value for name, value in message.items() if name == operator or name not in operators}
        for operator in operators
    ]
