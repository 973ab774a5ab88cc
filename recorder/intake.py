"""From a caller's message to rows for the journal: normalise, check, split, write as JSON. Pure."""

from dataclasses import dataclass
from typing import Any, Literal

from recorder.entries import NewEntry, State
from recorder.errors import InvalidOperation, WrongToken
from recorder.operations import (
    MAX_UPDATE_BYTES,
    Identity,
    Lane,
    Message,
    Serializer,
    check,
    compact,
    identity_of,
    normalise,
    operators_of,
    serialised,
    split,
)

__all__ = ["Intake", "OnInvalid", "token_prefix"]

OnInvalid = Literal["raise", "reject"]


def token_prefix(token: str) -> str:
    """What joins an update when it is sent: its opening brace and the project's token.

    >>> token_prefix("T") + '{"$distinct_id":"u1","$set":{}}'[1:]
    '{"$token":"T","$distinct_id":"u1","$set":{}}'
    """
    return f'{{"$token":{compact(token)},'


@dataclass(frozen=True, slots=True)
class Intake:
    """How one project's messages are taken in.

    Attributes:
        token: The project's token. It counts towards an update's size, and a message that carries another is
            refused.
        on_invalid: ``"raise"``, or ``"reject"``: what is JSON but malformed becomes a rejected row.
        serializer: Runs over each message first, where given.
    """

    token: str
    on_invalid: OnInvalid = "raise"
    serializer: Serializer | None = None

    def rows(self, lane: Lane, message: Any, now: float) -> list[NewEntry]:
        """One row per operator of a people or groups message.

        Raises:
            InvalidOperation: It cannot be recorded.
            WrongToken: It names another project.
        """
        if self.serializer is not None:
            message = serialised(message, self.serializer)
        plain = normalise(message)
        try:
            return self._valid(lane, plain, now)
        except (InvalidOperation, WrongToken) as error:
            if self.on_invalid == "raise":
                raise
            return [_rejected(lane, plain, now, str(error))]

    def _valid(self, lane: Lane, message: Message, now: float) -> list[NewEntry]:
        if "$token" in message:
            self._check_token(message["$token"])
            message = {name: value for name, value in message.items() if name != "$token"}
        identity = _checked(lane, message)
        rows = []
        operators = operators_of(message)
        for operator, single in zip(operators, split(message, operators), strict=True):
            text = compact(single)
            self._check_size(text, operator)
            rows.append(NewEntry(lane.value, identity.group_key, identity.id, operator, text, now))
        return rows

    def _check_token(self, token: Any) -> None:
        if token != self.token:
            raise WrongToken("the message names another project's token than this journal's")

    def _check_size(self, text: str, place: str) -> None:
        most = MAX_UPDATE_BYTES - len(token_prefix(self.token).encode()) + 1
        # A character takes at most four bytes: most updates need no closer look.
        if len(text) * 4 > most and (size := len(text.encode())) > most:
            over = size - most + MAX_UPDATE_BYTES
            raise InvalidOperation(
                place, f"the update takes {over:,} bytes; the service's limit is {MAX_UPDATE_BYTES:,}"
            )

    def event(self, lane: Lane, message: Any, now: float) -> NewEntry:
        """The row of an event or an import, which travels as it is.

        Raises:
            InvalidOperation: It is no JSON object, or too large.
        """
        plain = normalise(message)
        text = compact(plain)
        if len(text) * 4 > MAX_UPDATE_BYTES and (size := len(text.encode())) > MAX_UPDATE_BYTES:
            raise InvalidOperation(
                "message", f"takes {size:,} bytes; the service's limit is {MAX_UPDATE_BYTES:,}"
            )
        properties = plain.get("properties")
        profile = properties.get("distinct_id") if isinstance(properties, dict) else None
        return NewEntry(lane.value, None, profile if isinstance(profile, str) else None, None, text, now)


def _checked(lane: Lane, message: Message) -> Identity:
    """Check a message, and write its identity into it as the string it is kept as."""
    identity = check(message)
    if lane is Lane.PEOPLE:
        if identity.group_key is not None:
            raise InvalidOperation("$group_key", "a group's message", hint="Use group_update for groups.")
        message["$distinct_id"] = identity.id
    else:
        if identity.group_key is None:
            raise InvalidOperation("$distinct_id", "a user's message", hint="Use people_update for users.")
        message["$group_key"], message["$group_id"] = identity.group_key, identity.id
    return identity


def _rejected(lane: Lane, message: Message, now: float, reason: str) -> NewEntry:
    try:
        identity = identity_of(message)
    except InvalidOperation:
        return NewEntry(lane.value, None, None, None, compact(message), now, State.REJECTED.value, reason)
    operators = operators_of(message)
    operator = operators[0] if len(operators) == 1 else None
    return NewEntry(
        lane.value,
        identity.group_key,
        identity.id,
        operator,
        compact(message),
        now,
        State.REJECTED.value,
        reason,
    )
