"""State of shipping in lines: the accounts that add up, and the lanes in trouble. Pure."""

from collections.abc import Container, Iterator, Mapping

from recorder import State, Statistics
from recorder.model.entries import AttemptOutcome
from recorder.model.shipping import LaneStatus, ShipperStatus
from tui.text.facts import Facts
from tui.text.format import age, count, printable, size

__all__ = ["accounts_lines", "lane_lines", "senders_line"]

_MOST_SENDERS = 5

_UNSENT = (State.PENDING, State.SENDING, State.WAITING, State.IN_DOUBT)
_SAID = {
    AttemptOutcome.OFFLINE: "offline",
    AttemptOutcome.WAIT: "asked to wait",
    AttemptOutcome.PAUSED: "paused",
    AttemptOutcome.UNKNOWN: "no answer",
    AttemptOutcome.REFUSED: "refused",
}


def accounts_lines(statistics: Statistics, shipper: ShipperStatus, now: float) -> Iterator[str]:
    """Yield the accounts: the number recorded is the sum of all states.

    >>> next(accounts_lines(Statistics(recorded=3, pending=1, in_doubt=1, shipped=1), ShipperStatus(), 0.0))
    'recorded 3 = unsent 2 (pending 1, in doubt 1) + shipped 1  ✓ adds up'
    """
    unsent = ", ".join(_counted(statistics, state) for state in _UNSENT if getattr(statistics, state))
    parts = [
        f"unsent {statistics.unsent:,}" + (f" ({unsent})" if unsent else ""),
        *(
            _counted(statistics, state)
            for state in State
            if state not in _UNSENT and (state is State.SHIPPED or getattr(statistics, state))
        ),
    ]
    balance = "✓ adds up" if statistics.adds_up else "✗ DOES NOT ADD UP"
    yield f"recorded {statistics.recorded:,} = {' + '.join(parts)}  {balance}"
    more = [f"journal {size(statistics.bytes)}"]
    if statistics.oldest_pending_seconds is not None:
        more.append(f"oldest unsent {age(statistics.oldest_pending_seconds)}")
    if statistics.possibly_twice:
        more.append(f"possibly applied twice {statistics.possibly_twice:,}")
    if statistics.out_of_order:
        more.append(f"out of order {statistics.out_of_order:,}")
    if statistics.pruned:
        more.append(f"{statistics.kept:,} entries kept")
    if shipper.service is not None:
        more.append(f"ships to {printable(shipper.service)}")
    yield "; ".join(more)
    if shipper.senders:
        yield senders_line(shipper.senders, now)


def _counted(statistics: Statistics, state: State) -> str:
    return f"{state.value.replace('_', ' ')} {getattr(statistics, state):,}"


def senders_line(senders: Mapping[str, tuple[int, float]], now: float) -> str:
    """Return from which SDKs and programs a relay took messages, the latest first.

    >>> senders_line({"node 0.24.0": (3, 0.0), "python-requests/2.32.3": (1, 3_000.0)}, 3_600.0)
    'taken from python-requests/2.32.3 (1 message, 10 m ago), node 0.24.0 (3 messages, 1 h ago)'
    """
    latest = sorted(senders.items(), key=lambda item: -item[1][1])
    names = [
        f"{printable(name)} ({count(messages, 'message')}, {age(max(now - last, 0.0))} ago)"
        for name, (messages, last) in latest[:_MOST_SENDERS]
    ]
    others = len(latest) - len(names)
    return f"taken from {', '.join(names)}" + (f" and {count(others, 'other')}" if others else "")


def lane_lines(facts: Facts, outcomes: Container[AttemptOutcome | None] = _SAID) -> Iterator[str]:
    """Yield the lanes whose last request failed: since when, why, and when they are tried next."""
    for lane in facts.shipper.lanes:
        if lane.outcome in outcomes:
            yield _lane(lane, facts.now, running=facts.shipper.running)


def _lane(lane: LaneStatus, now: float, *, running: bool) -> str:
    said = _SAID[lane.outcome or AttemptOutcome.OFFLINE]
    since = f" for {age(max(now - lane.since, 0.0))}" if lane.since is not None else ""
    due = (lane.retry_at or 0.0) - now
    when = [f"in {age(due)}" + (" at the earliest" if not running else "")] if due >= 1 else []
    when += [] if running else ["once a shipper runs"]
    cause = f" ({printable(lane.cause)})" if lane.cause else ""
    times = "once" if lane.failures == 1 else f"{lane.failures:,} times"
    return f"{lane.lane.value}: {said}{since}{cause}; failed {times}, next try {', '.join(when) or 'now'}"
