"""What an entry is on its way into the journal, and the words for where entries and attempts stand."""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["AttemptOutcome", "NewEntry", "State"]


class State(StrEnum):
    """Where an entry stands on its way to the service."""

    PENDING = "pending"
    """Recorded, and to be sent."""
    SENDING = "sending"
    """Carried by a request whose outcome is not settled yet."""
    WAITING = "waiting"
    """To be sent, but not before something else of its profile is settled."""
    IN_DOUBT = "in_doubt"
    """Sent, and no answer says whether it was applied."""
    SHIPPED = "shipped"
    """The service accepted the request that carried it."""
    REJECTED = "rejected"
    """Malformed, or refused by the service; kept, with the reason."""
    DISCARDED = "discarded"
    """Given up by a person, or by a policy a person chose."""
    FORGOTTEN = "forgotten"
    """Its content was erased; its number stays."""
    LOST = "lost"
    """Unreadable after damage; only counted."""


class AttemptOutcome(StrEnum):
    """What came of an attempt, and so what happens next."""

    SHIPPED = "shipped"
    """Accepted."""
    REFUSED = "refused"
    """Nothing was applied: the service says that something in it is bad."""
    UNKNOWN = "unknown"
    """It left, and no answer says what came of it."""
    OFFLINE = "offline"
    """Nothing left, or something stands between us and the service."""
    WAIT = "wait"
    """Nothing was applied: the service asks for patience."""
    PAUSED = "paused"
    """Nothing was applied: the configuration is wrong, and a person must mend it."""


class NewEntry(NamedTuple):
    """A row for the journal, as an accepted call leaves it.

    Attributes:
        lane: What it travels with.
        group_key: A group's key; None for a user's profile.
        profile: The profile's or group's id; None where a rejected message has none.
        operator: Such as ``$set``; None for events, imports and rejected messages without exactly one.
        message: Compact JSON without the project's token.
        recorded_at: Seconds since the epoch.
        state: ``pending``, or ``rejected`` with a reason.
        reason: Why it was rejected.
    """

    lane: str
    group_key: str | None
    profile: str | None
    operator: str | None
    message: str
    recorded_at: float
    state: str = State.PENDING.value
    reason: str | None = None
