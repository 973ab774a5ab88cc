"""From a caller's message to rows for the journal: normalise, check, split, write as JSON. Pure."""

from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from recorder.model.entries import NewEntry, State
from recorder.model.errors import InvalidOperation, WrongToken
from recorder.model.json_value import check_size, compact
from recorder.model.normalise import MESSAGE_DEPTH, Message, Serializer, is_plain, normalise
from recorder.model.operations import (
    Identity,
    Lane,
    UnknownOperators,
    examine,
    identity_of,
    lane_of,
    operators_of,
    split,
)
from recorder.model.people import Check, stamped
from recorder.model.tokens import check_token

__all__ = ["Intake", "OnInvalid", "other_project", "token_of", "token_prefix"]

OnInvalid = Literal["raise", "reject"]


def token_prefix(token: str) -> str:
    """Return the beginning of an update as it is sent: its opening brace and the project's token.

    >>> token_prefix("T") + '{"$distinct_id":"u1","$set":{}}'[1:]
    '{"$token":"T","$distinct_id":"u1","$set":{}}'
    """
    return f'{{"$token":{compact(token)},'


# Not a dataclass: `dataclasses` takes longer to import than SQLite, and a recording program needs no other.
class Intake:
    """Validation of one project's messages, and their rows.

    Attributes:
        token: The project's token. It counts towards an update's size, and a message that carries another is
            refused.
        on_invalid: ``"raise"``, or ``"reject"``: what is JSON but malformed becomes a rejected row.
        serializer: Converts objects that JSON does not have; see `normalise`.
        unknown_operators: ``"refuse"``, or ``"ship"``: see `examine`.
    """

    __slots__ = ("_token_bytes", "on_invalid", "serializer", "token", "unknown_operators")

    def __init__(
        self,
        token: str,
        on_invalid: OnInvalid = "raise",
        serializer: Serializer | None = None,
        unknown_operators: UnknownOperators = "refuse",
    ) -> None:
        if on_invalid not in get_args(OnInvalid):
            raise ValueError(f"on_invalid must be 'raise' or 'reject', not {on_invalid!r}")
        if unknown_operators not in get_args(UnknownOperators):
            raise ValueError(f"unknown_operators must be 'refuse' or 'ship', not {unknown_operators!r}")
        self.token = token
        self.on_invalid = on_invalid
        self.serializer = serializer
        self.unknown_operators = unknown_operators
        self._token_bytes = len(token_prefix(token).encode()) - 1  # what the token adds to an update

    def of_project(self, token: str) -> Self:
        """Return a copy for another project's messages."""
        return type(self)(token, self.on_invalid, self.serializer, self.unknown_operators)

    def rows(self, lane: Lane, message: Any, now: float, check: Check | None = None) -> list[NewEntry]:
        """Return one row per operator of a people or groups message.

        Args:
            lane: People or groups.
            message: As the caller gave it, stamped.
            now: Seconds since the epoch.
            check: A further rule for the plain message; see `PeopleApi`.

        Raises:
            InvalidOperation: It cannot be recorded.
            WrongToken: It names another project.
        """
        quick = self.serializer is None and isinstance(message, dict) and is_plain(message, MESSAGE_DEPTH)
        plain = message if quick else normalise(message, self.serializer)
        try:
            if check is not None:
                check(plain)
            return self._valid(lane, plain, now)
        except UnicodeEncodeError:
            normalise(plain)  # says where the lone surrogate stands
            raise
        except (InvalidOperation, WrongToken) as error:
            if self.on_invalid == "raise":
                raise
            return [self.set_aside(lane, normalise(plain), now, str(error))]

    def update(self, message: Any, now: float) -> list[NewEntry]:
        """Return the rows of an update message of a user or a group; it gets a ``$time`` if it has none.

        Raises:
            InvalidOperation: It cannot be recorded.
            WrongToken: It names another project.

        >>> [row.operator for row in Intake("T").update({"$distinct_id": "ada", "$set": {}, "$unset": ["a"]}, 1.5)]
        ['$set', '$unset']
        """
        stamp = stamped(message, None, now)
        return self.rows(lane_of(stamp), stamp, now)

    def received(
        self, lane: Lane, message: Any, now: float, insert_id: str, *, identify_imports: bool = False
    ) -> list[NewEntry]:
        """Return the rows of a message as an SDK sends it.

        An update without a ``$time`` gets one, an event without a ``time`` or an ``$insert_id`` too.

        Args:
            lane: Where it was sent.
            message: As the SDK made it.
            now: Seconds since the epoch.
            insert_id: A new id.
            identify_imports: An import without an ``$insert_id`` gets one, for else nothing tells a repetition.

        Raises:
            InvalidOperation: It cannot be recorded.
            WrongToken: It names another project.
        """
        if lane in {Lane.PEOPLE, Lane.GROUPS}:
            return self.rows(lane, stamped(message, None, now), now)
        token = token_of(lane, message)
        fault = other_project(token) if token is not None and token != self.token else None
        stamps: dict[str, Any] | None = None
        if lane is Lane.EVENTS:
            stamps = {"time": int(now), "$insert_id": insert_id}
        elif identify_imports and not str(message.get("event")).startswith("$"):  # $merge is harmless twice
            stamps = {"$insert_id": insert_id}
        return [self.event(lane, message, now, stamps=stamps, fault=fault)]

    def _valid(self, lane: Lane, message: Message, now: float) -> list[NewEntry]:
        if "$token" in message:
            message = self._without_token(message)
        identity, operators = examine(message, lane, self.unknown_operators)
        message = _with_identity(message, identity)
        group_key, id_ = identity
        rows = []  # a loop: before Python 3.12 a comprehension is a call of its own
        for place, single in enumerate(split(message, operators)):
            operator = operators[place]
            text = check_size(compact(single), operator, extra=self._token_bytes)
            rows.append(NewEntry(str(lane), group_key, id_, operator, text, now))
        return rows

    def _without_token(self, message: Message) -> Message:
        """Return a copy without the project's token, which is added when it is sent."""
        if message.get("$token", self.token) != self.token:
            raise other_project(message["$token"])
        return {name: value for name, value in message.items() if name != "$token"}

    def set_aside(self, lane: Lane, message: Message, now: float, reason: str) -> NewEntry:
        """Return one row for the whole of a malformed message: a rejected entry.

        Args:
            lane: Where it was sent.
            message: Plain JSON.
            now: Seconds since the epoch.
            reason: What is wrong with it.
        """
        state = State.REJECTED.value
        if lane in {Lane.EVENTS, Lane.IMPORTS}:
            return NewEntry(str(lane), None, _profile_of(message), None, compact(message), now, state, reason)
        if message.get("$token") == self.token:
            message = self._without_token(message)
        text = compact(message)
        try:
            identity = identity_of(message)
        except InvalidOperation:
            return NewEntry(str(lane), None, None, None, text, now, state, reason)
        operators = operators_of(message)
        return NewEntry(
            str(lane), *identity, operators[0] if len(operators) == 1 else None, text, now, state, reason
        )

    def event(
        self,
        lane: Lane,
        message: Any,
        now: float,
        *,
        stamps: Mapping[str, Any] | None = None,
        fault: WrongToken | None = None,
    ) -> NewEntry:
        """Return the row of an event or an import, which is sent as it is, but for its stamps.

        Args:
            lane: Events or imports.
            message: As the caller gave it.
            now: Seconds since the epoch.
            stamps: Properties of those that it has no value for, such as its ``time``; without any properties it is
                malformed, and stays as it is.
            fault: An error that the caller found already.

        Raises:
            InvalidOperation: It is no JSON object, or too large.
            WrongToken: The fault.

        >>> Intake("T").event(Lane.EVENTS, {"event": "e", "properties": {}}, 1.5, stamps={"time": 1}).message
        '{"event":"e","properties":{"time":1}}'
        """
        plain = normalise(message)
        properties = plain.get("properties")
        if stamps and isinstance(properties, dict):
            lacking = {name: value for name, value in stamps.items() if name not in properties}
            plain = {**plain, "properties": {**properties, **lacking}}
        try:
            if fault is not None:
                raise fault
            text = check_size(compact(plain), "message")
            return NewEntry(str(lane), None, _profile_of(plain), None, text, now)
        except (InvalidOperation, WrongToken) as error:
            if self.on_invalid == "raise":
                raise
            return self.set_aside(lane, plain, now, str(error))


def token_of(lane: Lane, message: Any) -> Any:
    """Return the project token that a message names, whatever it is; None if it names none.

    >>> token_of(Lane.PEOPLE, {"$token": "T"}), token_of(Lane.EVENTS, {"event": "e", "properties": {"token": "T"}})
    ('T', 'T')
    """
    if not isinstance(message, dict):
        return None
    if lane in {Lane.PEOPLE, Lane.GROUPS}:
        return message.get("$token")
    properties = message.get("properties")
    return properties.get("token") if isinstance(properties, dict) else None


def other_project(token: Any) -> WrongToken:
    """Make the error for a message that names another project's token, or what is none."""
    try:
        check_token(token)
    except WrongToken as error:
        return error
    return WrongToken("the message names another project's token than this journal's")


def _profile_of(event: Message) -> str | None:
    properties = event.get("properties")
    id_ = properties.get("distinct_id") if isinstance(properties, dict) else None
    return id_ if isinstance(id_, str) else None


def _with_identity(message: Message, identity: Identity) -> Message:
    """Return the message with its ids as strings; the same object if they are strings already."""
    group_key, id_ = identity
    if group_key is None:
        return message if message["$distinct_id"] is id_ else {**message, "$distinct_id": id_}
    if message["$group_key"] is group_key and message["$group_id"] is id_:
        return message
    return {**message, "$group_key": group_key, "$group_id": id_}
