"""The state of shipping as one report."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recorder.journal import doubt, lanes, project, shipper
from recorder.journal.environment import ships
from recorder.journal.locks import beside
from recorder.journal.space import refuses
from recorder.journal.uptime import uptime
from recorder.model.entries import AttemptOutcome
from recorder.model.operations import Lane
from recorder.model.policy import ShippingPolicy
from recorder.model.shipping import LaneStatus, ShipperStatus, Unanswered

__all__ = ["shipper_status"]

_ALL_OBJECTS = 2  # see schema.sql


def shipper_status(connection: sqlite3.Connection, path: Path, *, now: float) -> ShipperStatus:
    """Return the last shipper, and how shipping stands in each lane.

    Args:
        connection: To the journal; several reads are made, best of one moment.
        path: The journal's file.
        now: Seconds since the epoch.
    """
    pid, seen_at, service, in_doubt, settle_after, counted = shipper.last(connection)
    policy: dict[str, Any] = {"in_doubt": in_doubt, "settle_after": settle_after}
    ShippingPolicy(**{name: value for name, value in policy.items() if value is not None})  # or it is damaged
    held, held_counted = doubt.count_held(connection)
    waits = doubt.timed_waits(connection, uptime())
    settling = min((wait.left for wait in waits if not wait.never_answered), default=None)
    return ShipperStatus(
        pid=pid,
        running=ships(beside(path, ".lock"), pid),
        seen_at=seen_at,
        service=service,
        **policy,
        counted="objects" if counted == _ALL_OBJECTS else bool(counted),
        settling_until=None if settling is None else now + settling,
        held=held,
        held_counted=held_counted,
        unanswered=_unanswered([wait for wait in waits if wait.never_answered], now),
        full=refuses(connection, path, project.limits(connection)),
        lanes=_lanes(connection, now),
        senders=project.senders(connection),
    )


def _unanswered(waits: Sequence[doubt.TimedWait], now: float) -> Unanswered | None:
    if not waits:
        return None
    return Unanswered(
        profiles=len(waits),
        tries=max(wait.sends for wait in waits),
        first=min(wait.behind for wait in waits),
        retry_at=now + min(wait.left for wait in waits),
    )


def _lanes(connection: sqlite3.Connection, now: float) -> tuple[LaneStatus, ...]:
    standings, moment = lanes.standings(connection), uptime()

    def due(lane: Lane, retry_at: float | None) -> float | None:
        """Return when the next try is due by the present clock, which may have been set since the wait began."""
        if retry_at is None:
            return None
        standing = standings[lane]
        left = max(standing.backoff.left(moment), standing.asked.left(moment))
        return now + left if left else min(retry_at, now)

    return tuple(
        LaneStatus(
            lane=Lane(lane),
            outcome=AttemptOutcome(outcome) if outcome else None,
            cause=cause,
            since=since,
            failures=failures,
            retry_at=due(Lane(lane), retry_at),
        )
        for lane, outcome, cause, since, failures, retry_at in lanes.last_requests(connection)
    )
