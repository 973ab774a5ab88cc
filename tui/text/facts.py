"""Readings of a journal at one moment, as frozen data for lines of text. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from recorder import Attempt, Entry, State, Statistics
from recorder.model.reports import Hold
from recorder.model.shipping import ShipperStatus
from recorder.reading.sentence import Shipping

__all__ = ["EntryFacts", "Facts", "counted", "kept"]


def counted(statistics: Statistics, state: State | None) -> int:
    """Return how many entries of a state were ever recorded; None for all states."""
    return statistics.recorded if state is None else int(getattr(statistics, state.value))


def kept(statistics: Statistics, pruned: Mapping[State, int], state: State | None) -> int:
    """Return how many of them the journal still has."""
    gone = sum(pruned.values()) if state is None else pruned.get(state, 0)
    return max(counted(statistics, state) - gone, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The state of a journal.

    Attributes:
        now: The moment, in seconds since the epoch.
        statistics: Its accounts.
        shipper: The state of its shipper.
        shipping: The same in words.
        pruned: How many entries of each state are counted and not kept any more.
    """

    now: float
    statistics: Statistics
    shipper: ShipperStatus
    shipping: Shipping
    pruned: Mapping[State, int] = field(default_factory=dict)

    def counted(self, state: State | None) -> int:
        """Return how many entries of a state were ever recorded; None for all states."""
        return counted(self.statistics, state)

    def kept(self, state: State | None) -> int:
        """Return how many of them the journal still has."""
        return kept(self.statistics, self.pruned, state)

    @property
    def by_state(self) -> dict[str, int]:
        """The same by the words of a filter, the sum of what is unsent among them."""
        numbers = {state.value: self.kept(state) for state in State}
        return {**numbers, "unsent": self.statistics.unsent}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFacts:
    """One entry, and what is known about it.

    Attributes:
        now: The moment, in seconds since the epoch.
        entry: The entry.
        attempts: The requests that carried it, oldest first.
        hold: The reason why its profile is not sent.
        shipper: The state of the shipper, with the entry's lane.
        local: Times are told in the local zone, not in UTC.
    """

    now: float
    entry: Entry
    attempts: tuple[Attempt, ...]
    hold: Hold | None
    shipper: ShipperStatus
    local: bool = False
