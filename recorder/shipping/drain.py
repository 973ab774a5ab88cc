"""State of one drain: limits and results of a call, the pace of requests, and the halves of refused batches."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from recorder.journal.claims import Claim
from recorder.journal.lanes import Standing
from recorder.journal.uptime import Uptime, uptime
from recorder.model.operations import Lane
from recorder.model.shipping import LaneStatus, ShipReport, StoppedBy

__all__ = ["Call", "Drain", "Halves", "Pace"]

# Of several lanes that stopped, the report names the one a person should hear of first.
_URGENCY: tuple[StoppedBy, ...] = ("offline", "paused", "waiting")


@dataclass(slots=True)
class Drain:
    """Results of a drain so far.

    Attributes:
        left: Most entries that it may still send; None for no limit.
        began: The moment when it began.
        upto: The newest entry then, if the drain ends there; None for no limit.
    """

    left: int | None
    began: Uptime | None = None
    upto: int | None = None
    shipped: int = 0
    rejected: int = 0
    in_doubt: int = 0
    requests: int = 0
    ended: StoppedBy | None = None
    worst: StoppedBy | None = None
    message: str = ""
    retry_at: float | None = None
    events: list[int | LaneStatus] = field(default_factory=list)
    """For `on_event`, before the next request: numbers of rejected entries, and lanes that are paused."""
    standings: dict[Lane, Standing] = field(default_factory=dict)
    """Standing of each lane, read at the beginning; only this shipper changes it."""

    @property
    def over(self) -> bool:
        """True if nothing more goes in this drain."""
        return self.ended is not None

    def count_shipped(self, entries: int) -> None:
        """Count accepted entries."""
        self.shipped += entries
        self._count(entries)

    def count_rejected(self, entries: int) -> None:
        """Count rejected entries."""
        self.rejected += entries
        self._count(entries)

    def count_in_doubt(self, entries: int) -> None:
        """Count entries in doubt."""
        self.in_doubt += entries
        self._count(entries)

    def _count(self, entries: int) -> None:
        if self.left is not None:
            self.left -= entries

    def stopped(self, by: StoppedBy, message: str, retry_at: float) -> None:
        """Note that a lane stopped; the report names the most urgent one."""
        if self.worst is None or _URGENCY.index(by) < _URGENCY.index(self.worst):
            self.worst, self.message = by, message
        self.retry_at = retry_at if self.retry_at is None else min(self.retry_at, retry_at)

    def report(self, *, pending: int) -> ShipReport:
        """Return the results as a report; `pending` is how many entries are left to send."""
        return ShipReport(
            shipped=self.shipped,
            rejected=self.rejected,
            in_doubt=self.in_doubt,
            requests=self.requests,
            pending=pending,
            message=self.message,
            retry_at=self.retry_at,
            stopped_by=self.ended or self.worst or "done",
        )

    def end(self, by: StoppedBy, message: str) -> None:
        """End the drain, in all lanes."""
        self.ended, self.message = by, self.message or message


@dataclass(slots=True, eq=False)
class Call:
    """One call of `ship`, or one round of `run`: its limits and its result.

    Attributes:
        explicit: A person or the app asked for it: a back-off from before is skipped.
        now: A Retry-After from before is skipped, too.
        deadline: No request begins after it; monotonic seconds.
    """

    explicit: bool = False
    now: bool = False
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
        """True if no further request may begin."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the deadline or a stop."""
        left = seconds if self.deadline is None else min(seconds, self.deadline - time.monotonic())
        if left > 0:
            self.stop.wait(left)


class Pace:
    """Limit of the updates per second, over all drains of one shipper."""

    def __init__(self, updates_per_second: float | None) -> None:
        self._rate = updates_per_second
        self._free_at = 0.0

    def most(self, updates: int) -> int:
        """Return the most updates for one request: a second's worth, rather than a burst and a long silence."""
        return updates if self._rate is None else min(updates, max(1, int(self._rate)))

    def ahead(self) -> float:
        """Return how long the next request has to wait, in seconds."""
        return max(0.0, self._free_at - uptime().seconds)

    def sent(self, updates: int) -> None:
        """Note that updates were sent."""
        if self._rate is not None:
            self._free_at = max(self._free_at, uptime().seconds) + updates / self._rate


class Halves:
    """Refused batches, cut in halves until the bad entry stands alone.

    Kept as the numbers where the parts end, the nearest on top. In memory: a kill begins the halving anew.
    """

    def __init__(self) -> None:
        self._ends: dict[tuple[Lane, bool], list[int]] = {}

    def end(self, lane: Lane, *, picked: bool) -> int | None:
        """Return the number that a lane's next request may not go beyond; None for no limit."""
        ends = self._ends.get((lane, picked))
        return ends[-1] if ends else None

    def any(self, lane: Lane) -> bool:
        """Return True if a batch of the lane is being halved."""
        return any(self._ends.get((lane, picked)) for picked in (False, True))

    def split(self, claim: Claim) -> None:
        """Halve a refused batch: its first half goes next."""
        ends = self._ends.setdefault((claim.lane, claim.picked), [])
        if not ends or claim.numbers[-1] < ends[-1]:
            ends.append(claim.numbers[-1])
        ends.append(claim.numbers[len(claim.numbers) // 2 - 1])

    def passed(self, claim: Claim) -> None:
        """Note that a part is done."""
        ends = self._ends.get((claim.lane, claim.picked), [])
        while ends and ends[-1] <= claim.numbers[-1]:
            ends.pop()

    def forget(self, lane: Lane) -> bool:
        """Stop halving in a lane; return True if a batch was being halved."""
        fresh, again = (self._ends.pop((lane, picked), None) for picked in (False, True))
        return bool(fresh or again)
