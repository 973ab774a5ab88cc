"""Frozen data about shipping: its results, and how it stands.

Apart from `recorder.model.reports`, because a program that records and flushes needs none of those.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from recorder.model.entries import AttemptOutcome
from recorder.model.operations import Lane

__all__ = ["Counted", "InDoubt", "LaneStatus", "ShipReport", "ShipperStatus", "StoppedBy", "Unanswered"]

InDoubt = Literal["resend", "hold", "drop"]
"""Policy for hazardous entries in doubt: send again; keep until a person decides; give up."""

Counted = bool | Literal["objects"]
"""Policy of counting: nothing; adds and charges; these and all other appended objects."""

StoppedBy = Literal["done", "offline", "paused", "waiting", "busy", "timeout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipReport:
    """Result of one call to ship.

    Attributes:
        shipped: Entries the service accepted in this call.
        rejected: Entries it refused in this call.
        in_doubt: Entries whose outcome this call could not learn.
        pending: Entries still to be sent when it ended.
        requests: Requests made by this call.
        stopped_by: ``done``: nothing is left that could go without a person; ``offline``: the service cannot
            be reached; ``paused``: a person must mend something; ``waiting``: a later call may go on;
            ``busy``: another process is shipping this journal; ``timeout``: the time given was up.
        message: The cause in words; empty when done.
        retry_at: When another try makes sense, in seconds since the epoch.
    """

    shipped: int = 0
    rejected: int = 0
    in_doubt: int = 0
    pending: int = 0
    requests: int = 0
    stopped_by: StoppedBy = "done"
    message: str = ""
    retry_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStatus:
    """State of shipping in one lane.

    Attributes:
        lane: The lane.
        outcome: Outcome of its last request; None before the first, and ``shipped`` when all is well.
        cause: The service's words, or the error on the way.
        since: Start of this state, in seconds since the epoch.
        failures: How many tries in a row did not go through.
        retry_at: When another try is due, in seconds since the epoch.
    """

    lane: Lane
    outcome: AttemptOutcome | None = None
    cause: str = ""
    since: float | None = None
    failures: int = 0
    retry_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """Profiles, and events, whose entries the service never answers, even alone in a request.

    Attributes:
        profiles: How many there are.
        tries: How many requests with entries of the most tried one were not answered.
        first: The lowest number among the entries that head them.
        retry_at: When the next of them is tried, in seconds since the epoch.
    """

    profiles: int
    tries: int
    first: int
    retry_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperStatus:
    """Last shipper of a journal, and the state of its lanes.

    Attributes:
        pid: The process that shipped last; None if none ever did.
        running: It is shipping now.
        seen_at: When it last did something, in seconds since the epoch.
        service: The base address that it sends to; None if none ever shipped.
        in_doubt: Its policy for entries in doubt; None if none ever shipped.
        settle_after: Seconds that their profiles wait before anything of theirs is sent.
        counted: How it counts adds.
        settling_until: When the first of the profiles that wait so may go on, in seconds since the epoch.
        held: How many profiles wait for a person to decide about an entry in doubt.
        held_counted: Those among them of a counted request, of which `Journal.settle` may tell.
        unanswered: Profiles that the service never answers; None if there are none.
        full: The journal has grown to its max_bytes: nothing more is recorded until something is shipped.
        lanes: State of each lane.
        senders: Messages that `restante relay` took, by SDK or program: how many, and when the last, in seconds since
            the epoch.
    """

    pid: int | None = None
    running: bool = False
    seen_at: float | None = None
    service: str | None = None
    in_doubt: InDoubt | None = None
    settle_after: float | None = None
    counted: Counted = False
    settling_until: float | None = None
    held: int = 0
    held_counted: int = 0
    unanswered: Unanswered | None = None
    full: bool = False
    lanes: tuple[LaneStatus, ...] = ()
    senders: Mapping[str, tuple[int, float]] = field(default_factory=dict)
