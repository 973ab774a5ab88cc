"""Outcomes of operations."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Outcome", "Verdict"]


class Verdict(StrEnum):
    """The effect of an operation on its profile."""

    APPLIED = "applied"
    """Something is stored differently afterwards, or a profile was created or deleted."""
    NO_CHANGE = "no_change"
    """Valid, and the profile already had this state."""
    IGNORED = "ignored"
    """Nothing changed, as some property's present value cannot take the operation."""
    REJECTED = "rejected"
    """Malformed. The whole message has no effect."""
    NOT_SIMULATED = "not_simulated"
    """An operator that is not documented, and not refused. Its effect in the service is not known."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The effect of one operator of a message.

    Attributes:
        operator: As written in the message, such as ``$set``; empty for a message without one.
        verdict: See `Verdict`.
        reasons: Pairs of a property (or the place of what is malformed) and why it could not take the operation.

    >>> from restante import Simulator
    >>> simulator = Simulator()
    >>> simulator.people_set("u1", {"plan": "free"})
    >>> simulator.apply({"$distinct_id": "u1", "$add": {"plan": 1}})
    [Outcome(operator='$add', verdict=<Verdict.IGNORED: 'ignored'>, reasons=(('plan', 'a string cannot be added to'),))]
    """

    operator: str
    verdict: Verdict
    reasons: tuple[tuple[str, str], ...] = ()
