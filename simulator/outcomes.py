"""What came of an operation: frozen results."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Outcome", "Verdict"]


class Verdict(StrEnum):
    """What an operation did to its profile."""

    APPLIED = "applied"
    """What is stored differs afterwards, or a profile came or went."""
    NO_CHANGE = "no_change"
    """It fits, and the profile was already as it says."""
    IGNORED = "ignored"
    """Nothing changed, and some property's present value cannot take the operation."""
    REJECTED = "rejected"
    """Malformed: the whole message has no effect."""
    NOT_SIMULATED = "not_simulated"
    """An operator outside the vocabulary: what the service makes of it is not known."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one operator of a message did.

    Attributes:
        operator: As written in the message, such as ``$set``; empty for a message without one.
        verdict: See `Verdict`.
        reasons: Pairs of a property name (or the place of what is malformed) and what stood in its way.

    >>> from simulator import Simulator
    >>> simulator = Simulator()
    >>> simulator.people_set("u1", {"plan": "free"})
    >>> simulator.apply({"$distinct_id": "u1", "$add": {"plan": 1}})
    [Outcome(operator='$add', verdict=<Verdict.IGNORED: 'ignored'>, reasons=(('plan', 'a string cannot be added to'),))]
    """

    operator: str
    verdict: Verdict
    reasons: tuple[tuple[str, str], ...] = ()
