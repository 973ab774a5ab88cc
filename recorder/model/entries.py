"""States of entries, outcomes of attempts, and the row of a new entry."""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["UNSENT", "AttemptOutcome", "NewEntry", "ReadBack", "State"]


class State(StrEnum):
    """Stage of an entry on its way to the service."""

    PENDING = "pending"
    """Recorded, and to be sent."""
    SENDING = "sending"
    """Carried by a request whose outcome is not settled yet."""
    WAITING = "waiting"
    """To be sent once another entry of its profile is settled."""
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


UNSENT = frozenset({State.PENDING, State.SENDING, State.WAITING, State.IN_DOUBT})
"""States of entries that are still to be sent, or whose arrival is not known."""


class AttemptOutcome(StrEnum):
    """Result of an attempt, which decides what happens next."""

    SHIPPED = "shipped"
    """Accepted, but for updates that the service named as bad."""
    REFUSED = "refused"
    """Nothing was applied: the service says that something in it is bad."""
    UNKNOWN = "unknown"
    """It was sent, and no answer says if it was applied."""
    OFFLINE = "offline"
    """Nothing was sent, or something else answered in place of the service."""
    WAIT = "wait"
    """Nothing was applied: the service, or a proxy on the way, would not take it now."""
    PAUSED = "paused"
    """Nothing was applied: the configuration is wrong, and a person must fix it."""


class ReadBack(StrEnum):
    """Words about what profiles told of a request in doubt: an entry's reason, or its attempt's words."""

    APPLIED = "read back from the profile: applied"
    PARTLY = "read back from the profiles: applied in part"
    NOT_APPLIED = "read back: not applied, sent again"


class NewEntry(NamedTuple):
    """Row for the journal, made of an accepted call.

    Attributes:
        lane: Its lane.
        group_key: A group's key; None for a user's profile.
        profile: The profile's or group's id; None where a rejected message has none.
        operator: Such as ``$set``; None for events, imports and rejected messages without exactly one.
        message: Compact JSON without the project's token.
        recorded_at: Seconds since the epoch.
        state: ``pending``, or ``rejected`` with a reason.
        reason: The reason it was rejected.
    """

    lane: str
    group_key: str | None
    profile: str | None
    operator: str | None
    message: str
    recorded_at: float
    state: str = State.PENDING.value
    reason: str | None = None
