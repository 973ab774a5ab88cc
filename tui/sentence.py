"""The sentence: how shipping stands, in words, shared by `restante status` and the browser. Pure."""

from dataclasses import dataclass
from typing import Literal

from recorder import LaneStatus, Outcome, ShipperStatus, Statistics
from tui.format import age, count, printable

__all__ = ["Shipping", "shipping_of"]

ShippingState = Literal["no_shipper", "offline", "waiting", "paused", "busy", "full", "shipping", "done"]

_STATES: dict[Outcome, ShippingState] = {
    Outcome.PAUSED: "paused",
    Outcome.REFUSED: "paused",
    Outcome.OFFLINE: "offline",
    Outcome.WAIT: "waiting",
    Outcome.UNKNOWN: "waiting",
}
_WORTH_SAYING = 5.0  # seconds
_WORST: tuple[ShippingState, ...] = ("paused", "offline", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """How shipping stands.

    Attributes:
        state: The worst of the lanes, or what the shipper does.
        since: When it came to stand like this, in seconds since the epoch.
        retry_at: When another try is due, in seconds since the epoch.
        cause: The service's words, or what went wrong on the way.
        sentence: All of it for a person.
    """

    state: ShippingState
    since: float | None
    retry_at: float | None
    cause: str
    sentence: str


def shipping_of(statistics: Statistics, shipper: ShipperStatus, *, now: float) -> Shipping:
    """How shipping stands, from the accounts and what the shipper last wrote down.

    >>> shipping_of(Statistics(recorded=3, shipped=3), ShipperStatus(), now=0.0).sentence
    'All shipped.'
    """
    if statistics.unsent == 0:
        return _shipping("done", None, _done(statistics))
    lane = _worst_lane(shipper)
    left = _left(statistics)
    if lane is not None and lane.outcome is not None:
        state = _STATES[lane.outcome]
        return _shipping(state, lane, f"{_trouble(state, lane, now)} {_next(lane, shipper, now)} {left}")
    if shipper.running:
        return _shipping("shipping", None, f"Process {shipper.pid} is shipping. {left}")
    seen = (
        f"last seen {age(now - shipper.seen_at)} ago" if shipper.seen_at is not None else "none was ever seen"
    )
    return _shipping("no_shipper", None, f"No shipper is running ({seen}). {left}")


def _shipping(state: ShippingState, lane: LaneStatus | None, sentence: str) -> Shipping:
    return Shipping(
        state=state,
        since=lane.since if lane else None,
        retry_at=lane.retry_at if lane else None,
        cause=lane.cause if lane else "",
        sentence=" ".join(sentence.split()),
    )


def _worst_lane(shipper: ShipperStatus) -> LaneStatus | None:
    stuck = [lane for lane in shipper.lanes if lane.outcome in _STATES]
    return min(stuck, key=lambda lane: _WORST.index(_STATES[lane.outcome or Outcome.WAIT]), default=None)


def _trouble(state: ShippingState, lane: LaneStatus, now: float) -> str:
    cause = printable(lane.cause)
    long = now - lane.since if lane.since is not None else 0.0
    since = f" for {age(long)}" if long >= 1 else ""
    if state == "offline":
        return f"Offline{since}: {cause}."
    if lane.outcome is Outcome.REFUSED:
        return f"The service has refused the next {lane.lane.value} batch{since}: {cause}."
    if state == "paused":
        return f"Paused{since}, something must be mended: {cause}."
    if lane.outcome is Outcome.UNKNOWN:
        return f"Waiting{since}: no answer says whether the last request arrived ({cause})."
    return f"The service asks for patience{since}: {cause}."


def _next(lane: LaneStatus, shipper: ShipperStatus, now: float) -> str:
    if not shipper.running:
        due = lane.retry_at - now if lane.retry_at is not None else 0.0
        when = f"Due in {age(due)}." if due > _WORTH_SAYING else ""
        return f"{when} No shipper is running; `restante ship` tries again."
    if lane.retry_at is None or lane.retry_at <= now:
        return f"Next try now (failure {lane.failures})."
    return f"Next try in {age(lane.retry_at - now)} (failure {lane.failures})."


def _left(statistics: Statistics) -> str:
    parts = [f"{count(statistics.to_send, 'entry', 'entries')} pending"]
    if statistics.in_doubt:
        parts.append(f"{statistics.in_doubt:,} in doubt")
    return f"Nothing is lost: {', '.join(parts)}."


def _done(statistics: Statistics) -> str:
    if statistics.recorded == 0:
        return "Nothing is recorded yet."
    if statistics.rejected:
        return f"All shipped but {count(statistics.rejected, 'rejected entry', 'rejected entries')}."
    return "All shipped."
