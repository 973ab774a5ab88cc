"""What one call of `Shipper.ship` may do and has done: its limits, its pace, and the halves of refused batches."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from recorder.journal.claims import Claim
from recorder.model.operations import Lane
from recorder.model.reports import LaneStatus, ShipReport, StoppedBy

__all__ = ["Call", "Drain", "Halves", "Pace"]

# Of several lanes that stopped, the report names the one a person should hear of first.
_URGENCY: tuple[StoppedBy, ...] = ("offline", "paused", "waiting")


@dataclass(slots=True)
class Drain:
    """What a drain has done so far."""

    left: int | None
    shipped: int = 0
    rejected: int = 0
    in_doubt: int = 0
    requests: int = 0
    ended: StoppedBy | None = None
    worst: StoppedBy | None = None
    message: str = ""
    retry_at: float | None = None
    events: list[int | LaneStatus] = field(default_factory=list)
    """What is to be told before the next request: numbers of rejected entries, and lanes that are paused."""

    @property
    def over(self) -> bool:
        """Whether nothing more goes in this drain."""
        return self.ended is not None

    def count_shipped(self, entries: int) -> None:
        """So many more were accepted."""
        self.shipped += entries
        self._count(entries)

    def count_rejected(self) -> None:
        """One more was refused."""
        self.rejected += 1
        self._count(1)

    def count_in_doubt(self, entries: int) -> None:
        """So many more are in doubt."""
        self.in_doubt += entries
        self._count(entries)

    def _count(self, entries: int) -> None:
        if self.left is not None:
            self.left -= entries

    def stopped(self, by: StoppedBy, message: str, retry_at: float) -> None:
        """A lane stopped; the most urgent one is what the report names."""
        if self.worst is None or _URGENCY.index(by) < _URGENCY.index(self.worst):
            self.worst, self.message = by, message
        self.retry_at = retry_at if self.retry_at is None else min(self.retry_at, retry_at)

    def end(self, by: StoppedBy, message: str) -> None:
        """Nothing more goes in this drain, in any lane."""
        self.ended, self.message = by, self.message or message


@dataclass(slots=True, eq=False)
class Call:
    """One call of `ship`, or one round of `run`: what it may do, and what came of it.

    Attributes:
        explicit: Whether a person or the app asked for it: a back-off standing from before is skipped.
        deadline: No request begins after it; monotonic seconds.
    """

    explicit: bool = False
    deadline: float | None = None
    limit: int | None = None
    progress: Callable[[ShipReport], None] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    report: ShipReport | None = None
    error: BaseException | None = None
    drain: Drain = field(init=False)

    def __post_init__(self) -> None:
        self.drain = Drain(left=self.limit)

    @property
    def out_of_time(self) -> bool:
        """Whether no further request may begin."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the deadline, nor when it is to stop."""
        left = seconds if self.deadline is None else min(seconds, self.deadline - time.monotonic())
        if left > 0:
            self.stop.wait(left)


class Pace:
    """No more than so many updates a second, over all drains of one shipper."""

    def __init__(self, updates_per_second: float | None) -> None:
        self._rate = updates_per_second
        self._free_at = 0.0

    def most(self, updates: int) -> int:
        """At most so many in one request: a second's worth, rather than a burst and a long silence."""
        return updates if self._rate is None else min(updates, max(1, int(self._rate)))

    def ahead(self) -> float:
        """How long the next request has to wait, in seconds."""
        return max(0.0, self._free_at - time.monotonic())

    def sent(self, updates: int) -> None:
        """So many went."""
        if self._rate is not None:
            self._free_at = max(self._free_at, time.monotonic()) + updates / self._rate


class Halves:
    """Refused batches, cut in halves until the bad entry stands alone.

    Kept as the numbers where the parts end, the nearest on top. In memory: a kill begins the halving anew.
    """

    def __init__(self) -> None:
        self._ends: dict[tuple[Lane, bool], list[int]] = {}

    def end(self, lane: Lane, *, picked: bool) -> int | None:
        """The number that a lane's next request may not go beyond; None for no limit."""
        ends = self._ends.get((lane, picked))
        return ends[-1] if ends else None

    def any(self, lane: Lane) -> bool:
        """Whether anything is being isolated in a lane."""
        return any(self._ends.get((lane, picked)) for picked in (False, True))

    def split(self, claim: Claim) -> None:
        """A batch was refused: its first half goes next."""
        ends = self._ends.setdefault((claim.lane, claim.picked), [])
        if not ends or claim.numbers[-1] < ends[-1]:
            ends.append(claim.numbers[-1])
        ends.append(claim.numbers[len(claim.numbers) // 2 - 1])

    def passed(self, claim: Claim) -> None:
        """A part is done with."""
        ends = self._ends.get((claim.lane, claim.picked), [])
        while ends and ends[-1] <= claim.numbers[-1]:
            ends.pop()

    def forget(self, lane: Lane) -> bool:
        """Nothing more is to be isolated in a lane; whether something was."""
        fresh, again = (self._ends.pop((lane, picked), None) for picked in (False, True))
        return bool(fresh or again)
