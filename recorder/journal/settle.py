"""Settling an attempt, in one transaction: states of its entries, accounts, cursor, waits, and how its lane stands."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recorder.journal import attempts, doubt, entries, lanes
from recorder.journal.entries import Carried, Profile
from recorder.journal.erase import erase_settled
from recorder.journal.lanes import Failure
from recorder.journal.opening import SENSELESS
from recorder.journal.uptime import AT_ONCE, Due
from recorder.model.counting import Counting
from recorder.model.entries import AttemptOutcome, State
from recorder.model.errors import JournalDamaged
from recorder.model.hazards import Update, hazardous
from recorder.model.operations import Lane

__all__ = ["MOST_ALIKE", "Settled", "Settlement", "set_aside_unreadable", "settle", "settle_late"]

MOST_ALIKE = 20
"""Single rejections in a row with the same words, without a success between, from which on the lane pauses: that is
a configuration error, not bad data."""

_MAYBE_APPLIED = " (an earlier request that carried it may have been applied)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """End of an attempt, and what that means for its lane.

    Attributes:
        outcome: See `AttemptOutcome`. A request of one entry that is refused ends as a rejected entry.
        rejected: Words of the service about each entry that it refuses, by number, where it names them: all that a
            refused request carried, or some that a shipped one did.
        status: The HTTP status of the answer, if there was one.
        words: The service's words, or the error on the way.
        now: Seconds since the epoch.
        failures: Tries in a row that did not go through, with this one.
        backoff: When the lane may be tried again.
        asked: Until when the service asked to wait.
        settle: After an unknown outcome: when its profiles may go on.
        apart: It carried suspects only, and its lane stays as it is; a single profile has the back-off instead.
    """

    outcome: AttemptOutcome
    status: int | None = None
    words: str = ""
    now: float
    failures: int = 0
    backoff: Due = AT_ONCE
    asked: Due = AT_ONCE
    settle: Due = AT_ONCE
    apart: bool = False
    rejected: Mapping[int, str] = field(default_factory=dict)

    def failure(self, outcome: AttemptOutcome | None = None) -> Failure:
        """Return how the lane stands if it did not go through; `outcome` replaces the attempt's own."""
        return Failure(
            outcome=outcome or self.outcome,
            cause=self.words,
            failures=self.failures,
            now=self.now,
            backoff=self.backoff,
            asked=self.asked,
        )


@dataclass(frozen=True, slots=True)
class Settled:
    """Effects of a settlement that the shipper cannot know beforehand.

    Attributes:
        rejected: The numbers of the entries that were rejected.
        paused: The refusals look like a configuration error, and the lane was paused.
        taken_back: How many entries rejected before will be sent again therefore.
    """

    rejected: tuple[int, ...] = ()
    paused: bool = False
    taken_back: int = 0


def settle(connection: sqlite3.Connection, carried: Carried, settlement: Settlement) -> Settled | None:
    """Settle an attempt; None, and nothing written, if it was settled before."""
    lane, now = carried.lane, settlement.now
    if not attempts.end(
        connection, carried, settlement.outcome, status=settlement.status, words=settlement.words, now=now
    ):
        return None
    match settlement.outcome:
        case AttemptOutcome.SHIPPED:
            rejected = _reject(connection, carried, settlement.rejected)
            if carried.picked is None:
                entries.settle_range(connection, carried, len(rejected))
                lanes.shipped(connection, lane, now, carried.last, carried.updates)
            else:
                entries.settle(connection, carried, State.SHIPPED)
                lanes.shipped(connection, lane, now, None, carried.updates)
                doubt.clear_suspects(connection, lane)
            erase_settled(connection)
            return Settled(rejected=rejected)
        case AttemptOutcome.UNKNOWN:
            _leave_in_doubt(connection, carried, settlement)
            if not settlement.apart:
                lanes.fail(connection, lane, settlement.failure())
        case AttemptOutcome.REFUSED:
            return _refuse(connection, carried, settlement)
        case _:
            attempts.merge_repeated(connection, carried.attempt, now)
            lanes.fail(connection, lane, settlement.failure())
            entries.put_back(connection, lane)
    return Settled()


def _leave_in_doubt(connection: sqlite3.Connection, carried: Carried, settlement: Settlement) -> None:
    runs: dict[Profile, list[tuple[int, Update]]] = defaultdict(list)
    try:
        updates = entries.updates_of(connection, carried)
    except (*SENSELESS, sqlite3.OperationalError):
        if not set_aside_unreadable(connection, carried.lane):
            raise
        updates = entries.updates_of(connection, carried)
        if not updates:  # it carried nothing else
            _move_cursor(connection, carried)
            return
    for seq, group_key, profile, operator, message in updates:
        runs[group_key, profile].append((seq, Update.read(operator, message)))
    entries.settle(connection, carried, State.IN_DOUBT)
    _move_cursor(connection, carried)
    limits = doubt.limits(connection, carried.lane)
    asks = carried.updates == 1 and lanes.unanswered(connection, carried.lane)
    backoff = settlement.backoff.span if settlement.apart else 0.0
    risky: list[int] = []
    evident = None if carried.counted is None else Counting.read(carried.counted, "").shows
    for owner, run in runs.items():
        risky += [run[place][0] for place in hazardous([update for _, update in run], evident)]
        most = limits.get(owner) if asks else max(1, carried.updates // 2)
        doubt.begin_wait(
            connection, carried.lane, owner, run[0][0], settlement.settle, most=most, backoff=backoff
        )
    entries.mark_hazardous(connection, risky)
    if not asks and not settlement.apart:
        lanes.shrink_requests(connection, carried.lane, carried.updates)


def set_aside_unreadable(connection: sqlite3.Connection, lane: Lane) -> bool:
    """Reject entries of a lane that damage made unreadable, rather than let them keep it; False if there are none."""
    owners = entries.reject_unreadable(connection, lane)
    if owners:
        doubt.break_runs(connection, lane, owners)
        doubt.clear_suspects(connection, lane)
    return bool(owners)


def _refuse(connection: sqlite3.Connection, carried: Carried, settlement: Settlement) -> Settled:
    standing = lanes.standing(connection, carried.lane)
    if standing.outcome is AttemptOutcome.PAUSED and standing.cause == settlement.words:
        _pause(connection, carried.lane, settlement)  # the same configuration error as before
        entries.put_back(connection, carried.lane)
        return Settled(paused=True)
    # The service answers: refusing data is no failure of the lane.
    lanes.succeed(connection, carried.lane, settlement.now)
    if not settlement.rejected and carried.entries > 1:
        entries.put_back(connection, carried.lane)
        return Settled()
    reasons = settlement.rejected or {carried.first: settlement.words}
    rejected = _reject(connection, carried, reasons)
    _move_cursor(connection, carried)
    alike, since, words = lanes.rejections(connection, carried.lane)
    if alike == lanes.NEVER_PAUSE:
        return Settled(rejected=rejected)
    if set(reasons.values()) != {settlement.words}:
        alike, since = 0, None  # several words are about data
    elif words == settlement.words and since is not None:
        alike += len(rejected)
    else:
        alike, since = len(rejected), carried.attempt
    if alike < MOST_ALIKE or since is None:
        lanes.keep_rejections(connection, carried.lane, alike, since)
        return Settled(rejected=rejected)
    taken_back = _take_back(connection, carried.lane, since)
    _pause(connection, carried.lane, settlement)
    # Those of this request were not reported as rejected.
    return Settled(paused=True, taken_back=taken_back - len(rejected))


def _pause(connection: sqlite3.Connection, lane: Lane, settlement: Settlement) -> None:
    lanes.fail(connection, lane, settlement.failure(AttemptOutcome.PAUSED))


def _reject(connection: sqlite3.Connection, carried: Carried, reasons: Mapping[int, str]) -> tuple[int, ...]:
    """Reject entries that a request carried, and return their numbers."""
    rows = entries.unsettled(connection, list(reasons)) if reasons else []
    if len(rows) != len(reasons):
        raise JournalDamaged(f"of {len(reasons):,} entries that were refused, {len(rows):,} are found again")
    sent_before = set()
    for seq, state, sends, group_key, profile in rows:
        entries.reject(
            connection, seq, state, carried.attempt, reasons[seq] + (_MAYBE_APPLIED if sends else "")
        )
        if sends:
            sent_before.add((group_key, profile))
    if sent_before:  # their runs cannot be sent again whole
        doubt.break_runs(connection, carried.lane, sent_before)
        doubt.clear_suspects(connection, carried.lane)
    return tuple(seq for seq, *_ in rows)


def _take_back(connection: sqlite3.Connection, lane: Lane, since: int) -> int:
    """Make entries to be sent again whose rejection was a configuration error; return how many."""
    rows = entries.rejected_since(connection, lane, since)
    doubtful = [seq for seq, sends in rows if sends]
    entries.move(connection, doubtful, State.REJECTED, State.IN_DOUBT)
    entries.move(connection, [seq for seq, sends in rows if not sends], State.REJECTED, State.WAITING)
    if lane in {Lane.PEOPLE, Lane.GROUPS}:  # an event is harmless or not by itself, and marked already
        entries.mark_hazardous(connection, doubtful)
    doubt.decide_settled(connection, lane)
    lanes.keep_rejections(connection, lane, 0, None)
    return len(rows)


def settle_late(
    connection: sqlite3.Connection, carried: Carried, numbers: Sequence[int], settlement: Settlement
) -> None:
    """Settle an attempt that was accepted after another shipper had settled it as unknown.

    Whole runs only: if a part of one was sent again since, or decided about, the rest still has to follow it. Entries
    that it refuses stay in doubt: they are sent again, and refused then.
    """
    if attempts.outcome_of(connection, carried) != AttemptOutcome.UNKNOWN:
        return
    runs: dict[Profile, list[tuple[int, int]]] = defaultdict(list)
    numbers = [seq for seq in numbers if seq not in settlement.rejected]
    for seq, group_key, profile, untouched in entries.late(connection, carried.attempt, numbers):
        runs[group_key, profile].append((seq, untouched))
    whole = {owner: run for owner, run in runs.items() if all(untouched for _, untouched in run)}
    accepted = [seq for run in whole.values() for seq, _ in run]
    if not accepted:
        return
    entries.move(connection, accepted, State.IN_DOUBT, State.SHIPPED)
    doubt.end_waits(connection, carried.lane, whole)
    attempts.end_late(
        connection, carried.attempt, status=settlement.status, words=settlement.words, now=settlement.now
    )
    erase_settled(connection)


def _move_cursor(connection: sqlite3.Connection, carried: Carried) -> None:
    if carried.picked is None:
        lanes.move_cursor(connection, carried.lane, carried.last)
