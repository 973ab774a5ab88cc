"""The sentence about shipping, its state or its result, for the commands, the browser and the relay. Pure."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from recorder.model.attention import needs, wants_token
from recorder.model.entries import AttemptOutcome
from recorder.model.reports import Statistics
from recorder.model.shipping import LaneStatus, ShipperStatus, ShipReport
from recorder.model.text import age, count, printable

__all__ = ["SHIPPING_STATES", "Shipping", "report_sentence", "shipping_of", "standing_of"]

ShippingState = Literal["no_shipper", "offline", "waiting", "paused", "busy", "full", "shipping", "done"]
SHIPPING_STATES: tuple[ShippingState, ...] = get_args(ShippingState)

_STATES: dict[AttemptOutcome, ShippingState] = {
    AttemptOutcome.PAUSED: "paused",
    AttemptOutcome.OFFLINE: "offline",
    AttemptOutcome.WAIT: "waiting",
    AttemptOutcome.UNKNOWN: "waiting",
}
_WORTH_SAYING = 5.0  # seconds
_LONGEST_BACKOFF = 301.0  # seconds; what waits longer was asked to by the service
_SETTLE = "`restante settle` reads what was applied, or "
_DECIDE = "`restante retry state=in_doubt`, or `discard`"
_WORST: tuple[ShippingState, ...] = ("paused", "offline", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """State of shipping.

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
    """Return the state of shipping, from the accounts and what the shipper last wrote down.

    A journal or disk that is full says so before all else: nothing more is recorded until there is space.

    >>> shipping_of(Statistics(recorded=3, shipped=3), ShipperStatus(), now=0.0).sentence
    'All shipped.'
    """
    if shipper.full:
        otherwise = shipping_of(statistics, replace(shipper, full=False), now=now)
        cure = "something is shipped" if statistics.unsent else "space is freed on its disk"
        sentence = f"The journal is full: nothing more is recorded until {cure}. {otherwise.sentence}"
        return replace(otherwise, state="full", sentence=sentence)
    if statistics.unsent == 0:
        return Shipping(state="done", since=None, retry_at=None, cause="", sentence=_done(statistics))
    # Where nothing else is left to go, the next try is of what settles, or is never answered.
    settling = _next_set_aside(shipper) if _all_set_aside(statistics, shipper) else None
    lane = _worst_lane(shipper)
    since, retry_at, cause = None, settling, ""
    if lane is not None and lane.outcome is not None:
        state = _STATES[lane.outcome]
        since, cause = lane.since, lane.cause
        retry_at = max(filter(None, (lane.retry_at, settling)), default=None)
        lead = f"{_trouble(state, lane, now)} {_next(lane.failures, retry_at, shipper, now)}"
    elif _all_set_aside(statistics, shipper):
        state, lead = "waiting", ""
        cause = _cause(shipper)
        if settling is not None and not shipper.running:
            lead = "No shipper is running; `restante ship` continues."
    elif shipper.running:
        state, lead = "shipping", f"Process {shipper.pid} is shipping."
    else:
        state, lead = "no_shipper", f"No shipper is running ({_seen(shipper, now)})."
    if state == "paused" and statistics.waiting:
        lead += " If the data is at fault, `restante retry state=waiting` sets bad entries aside one by one."
    parts = (
        lead,
        _settling(shipper, now),
        _unanswered(shipper, now),
        _held(statistics, shipper),
        _left(statistics),
    )
    sentence = " ".join(" ".join(parts).split())
    return Shipping(state=state, since=since, retry_at=retry_at, cause=cause, sentence=sentence)


def standing_of(shipping: Shipping, statistics: Statistics, shipper: ShipperStatus) -> str:
    """Return the sentence in a word or two, with a glyph; only a running shipper is online.

    >>> counts, nobody = Statistics(recorded=3, shipped=3), ShipperStatus()
    >>> standing_of(shipping_of(counts, nobody, now=0.0), counts, nobody)
    '✓ all shipped'
    """
    match shipping.state:
        case "offline":
            return "▼ OFFLINE"
        case "paused":
            return "‖ PAUSED"
        case "full":
            return "‖ FULL"
        case "waiting":
            return "… waiting"
        case "no_shipper":
            return "○ no shipper"
    if shipper.running:
        return "▲ online"
    if statistics.recorded == 0:
        return "○ nothing yet"
    others = statistics.rejected + statistics.discarded + statistics.lost
    return f"✓ all shipped but {others:,}" if others else "✓ all shipped"


def _all_set_aside(statistics: Statistics, shipper: ShipperStatus) -> bool:
    """Return True if nothing can go before something settles, or a person decides."""
    waits = _next_set_aside(shipper) is not None or shipper.held > 0
    return waits and statistics.pending + statistics.sending == 0


def _next_set_aside(shipper: ShipperStatus) -> float | None:
    unanswered = shipper.unanswered.retry_at if shipper.unanswered else None
    return min((due for due in (shipper.settling_until, unanswered) if due is not None), default=None)


def _cause(shipper: ShipperStatus) -> str:
    if shipper.settling_until is not None:
        return "what is in doubt may still arrive"
    return "never answered" if shipper.unanswered else "held for a person to decide"


def _unanswered(shipper: ShipperStatus, now: float) -> str:
    found = shipper.unanswered
    if found is None:
        return ""
    if found.profiles == 1:
        who = f"1 profile is never answered ({count(found.tries, 'try', 'tries')})"
        decide = f"`restante discard seq={found.first}`"
    else:
        who = f"{found.profiles:,} profiles are never answered (up to {count(found.tries, 'try', 'tries')})"
        decide = "discard those that `restante entries state=in_doubt` lists with many sends"
    left = found.retry_at - now
    return f"{who}: {decide}, or wait{f' {age(left)} for the next try' if left >= 1 else ''}."


def _seen(shipper: ShipperStatus, now: float) -> str:
    if shipper.seen_at is None:
        return "none was ever seen"
    if shipper.seen_at - now >= 1:
        return "last seen before the clock was set back"
    return f"last seen {age(now - shipper.seen_at)} ago"


def _worst_lane(shipper: ShipperStatus) -> LaneStatus | None:
    stuck = [lane for lane in shipper.lanes if lane.outcome in _STATES]
    return min(
        stuck, key=lambda lane: _WORST.index(_STATES[lane.outcome or AttemptOutcome.WAIT]), default=None
    )


def _trouble(state: ShippingState, lane: LaneStatus, now: float) -> str:
    cause = printable(lane.cause)
    long = now - lane.since if lane.since is not None else 0.0
    since = f" for {age(long)} so far" if long >= 1 else ""
    if state == "offline":
        return f"Offline{since}: {cause}."
    if state == "paused":
        return f"Paused{since}, something must be fixed: {cause}.{_mended(cause)}"
    if lane.outcome is AttemptOutcome.UNKNOWN:
        return f"Waiting{since}: no answer says whether the last request arrived ({cause})."
    ago = f" {age(long)} ago" if long >= 1 else ""
    return f"Asked to wait{ago}: {cause}."


def _mended(cause: str) -> str:
    return " `restante token` changes the project's token." if wants_token(cause) else ""


def _next(failures: int, retry_at: float | None, shipper: ShipperStatus, now: float) -> str:
    if not shipper.running:
        due = retry_at - now if retry_at is not None else 0.0
        when = f"Due in {age(due)}." if due > _WORTH_SAYING else ""
        command = "restante ship --now" if due > _LONGEST_BACKOFF else "restante ship"
        return f"{when} No shipper is running; `{command}` tries again."
    if retry_at is None or retry_at - now < 1:
        return f"Next try now (failure {failures})."
    return f"Next try in {age(retry_at - now)} (failure {failures})."


def _settling(shipper: ShipperStatus, now: float) -> str:
    if shipper.settling_until is None or shipper.settling_until - now < 1:
        return ""
    return f"What is in doubt may still arrive: its profiles wait {age(shipper.settling_until - now)} more."


def _held(statistics: Statistics, shipper: ShipperStatus) -> str:
    if not shipper.held:
        return ""
    behind = f", and {count(statistics.waiting, 'entry', 'entries')} behind" if statistics.waiting else ""
    settle = _SETTLE if shipper.held_counted else ""
    return f"Held for a person to decide: {count(shipper.held, 'profile')}{behind}; {settle}{_DECIDE}."


def _left(statistics: Statistics) -> str:
    begins = "Nothing is lost" if statistics.adds_up and not statistics.lost else "Still to be sent"
    return f"{begins}: {_unsent(statistics.unsent, statistics.in_doubt)}."


def _unsent(unsent: int, in_doubt: int) -> str:
    doubt = f", {in_doubt:,} of them in doubt" if in_doubt else ""
    return f"{count(unsent, 'entry', 'entries')} unsent{doubt}"


def _done(statistics: Statistics) -> str:
    if statistics.recorded == 0:
        return "Nothing is recorded yet."
    parts = [
        count(number, f"{what} entry", f"{what} entries")
        for what in ("rejected", "discarded", "lost")
        if (number := getattr(statistics, what))
    ]
    begins = "All shipped" if statistics.shipped else "Nothing is left to ship"
    return f"{begins} but {' and '.join(parts)}." if parts else f"{begins}."


def report_sentence(
    report: ShipReport, statistics: Statistics, shipper: ShipperStatus, *, now: float, commands: bool = True
) -> str:
    """Return the result of shipping in words.

    Args:
        report: The result.
        statistics: The accounts after it.
        shipper: The state of shipping after it.
        now: Seconds since the epoch.
        commands: Name the commands that go on from there.

    >>> report_sentence(ShipReport(shipped=3, requests=1), Statistics(), ShipperStatus(), now=0.0)
    'Shipped 3 entries in 1 request. Nothing is left.'
    """
    where = f" to {printable(shipper.service)}" if shipper.service and report.requests else ""
    parts = [
        f"Shipped {count(report.shipped, 'entry', 'entries')} in {count(report.requests, 'request')}{where}."
    ]
    if report.rejected:
        lists = ": `restante entries state=rejected`" if commands else ""
        parts.append(f"{report.rejected:,} rejected{lists}.")
    parts.append(_stopped(report, shipper, now, commands=commands))
    if commands:
        parts += [_unanswered(shipper, now), _held(statistics, shipper)]
    else:
        found = needs(statistics, shipper, now=now)
        parts += [need.text for need in found if need.name in {"held", "unanswered"}]
    if left := report.pending + statistics.in_doubt:
        parts.append(f"The rest is kept ({_unsent(left, statistics.in_doubt)}).")
    elif report.stopped_by == "done":
        parts.append("Nothing is left.")
    return " ".join(part for part in parts if part)


def _stopped(report: ShipReport, shipper: ShipperStatus, now: float, *, commands: bool) -> str:
    cause = printable(report.message) or "not yet due"
    match report.stopped_by:
        case "done":
            return ""
        case "offline":
            return f"Offline: {cause}."
        case "busy":
            return f"Busy: {cause}."
        case "paused":
            return f"Stopped, something must be fixed: {cause}.{_mended(cause)}"
    due = report.retry_at
    if report.in_doubt and not report.pending:
        due = _next_set_aside(shipper)  # before that, nothing is left to go
    when = f" Due in {age(due - now)}." if due is not None and due - now >= 1 else ""
    if commands and due is not None and due - now > _LONGEST_BACKOFF:
        when += " `restante ship --now` tries at once."
    return f"Stopped: {cause}.{when}"
