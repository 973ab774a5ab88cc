"""What came of a claim, written down in one transaction: states, accounts, cursor, waits, and how its lane stands."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from recorder.journal.accounts import SET_ASIDE, SET_STATE, count, moved
from recorder.journal.doubt import Owner, begin_wait, break_runs, end_waits_of, let_policy_decide
from recorder.journal.erase import erase_ended
from recorder.journal.uptime import AT_ONCE, Due
from recorder.model.entries import AttemptOutcome, State
from recorder.model.hazards import Update, hazardous
from recorder.model.operations import Lane

__all__ = [
    "LOOKED_AT",
    "MOST_ALIKE",
    "WELL",
    "Carried",
    "Settled",
    "Settlement",
    "Standing",
    "settle",
    "settle_late",
    "standing_of",
    "unreachable",
]

MOST_ALIKE = 20
"""So many single rejections in a row with the same words, and no success between, are no matter of data."""

LOOKED_AT = -1
"""In place of their number: a person says that they are data. No guard until the next success."""

_PERHAPS = " (an earlier request that carried it may have been applied)"

_SETTLE_ATTEMPT = """
UPDATE attempts SET outcome = ?, status = ?, words = ?, ended_at = ? WHERE id = ? AND epoch = ? AND outcome IS NULL
"""
_ALIKE = """
SELECT previous.id FROM attempts AS this JOIN attempts AS previous
    ON previous.id = (SELECT max(id) FROM attempts WHERE id < this.id AND lane = this.lane)
 WHERE this.id = ? AND previous.outcome = this.outcome
   AND previous.words = this.words AND previous.status IS this.status
   AND previous.first = this.first AND previous.last = this.last AND previous.picked IS this.picked
"""
_ONE_MORE_TIME = "UPDATE attempts SET times = times + 1, ended_at = ? WHERE id = ?"
_DROP_ATTEMPT = "DELETE FROM attempts WHERE id = ?"
_LATEST_ATTEMPT = "SELECT id, outcome, words FROM attempts WHERE lane = ? ORDER BY id DESC LIMIT 1"
_UNREACHED = """
INSERT INTO attempts (lane, epoch, first, last, entries, updates, bytes, digest, started_at, ended_at, outcome, words)
VALUES (?, ?, 0, 0, 0, 0, 0, '', ?, ?, 'offline', ?)
"""
_CARRIED_FRESH = "lane = :lane AND seq BETWEEN :first AND :last AND state = 'pending'"
_CARRIED_AGAIN = (
    f"seq IN (SELECT value FROM json_each(:picked)) AND state IN ('waiting', 'in_doubt') AND {SET_ASIDE}"
)
# What an earlier request may have applied, and sending it again may apply twice.
_TWICE = "sends > 0 AND hazardous AND NOT possibly_twice"
_AGAIN_STATES = (
    f"SELECT state, count(*), coalesce(sum({_TWICE}), 0) FROM entries WHERE {_CARRIED_AGAIN} GROUP BY state"
)
# Only a request that may have been applied changes its entries. What is fresh was in none before, and nothing counts
# what is pending: to move it, it is looked at once.
_SETTLE_FRESH = f"""
UPDATE entries SET state = :state, attempt = :attempt, sends = sends + 1, reason = NULL WHERE {_CARRIED_FRESH}
"""
_SETTLE_AGAIN = f"""
UPDATE entries SET state = :state, attempt = :attempt, sends = sends + 1, reason = NULL,
                   possibly_twice = possibly_twice OR ({_TWICE})
 WHERE {_CARRIED_AGAIN}
"""
_CARRIED_ROWS = "SELECT seq, group_key, profile, operator, message FROM entries WHERE {carried} ORDER BY seq"
_MARK_HAZARDOUS = "UPDATE entries SET hazardous = 1 WHERE seq IN (SELECT value FROM json_each(?))"
_CARRIED_ONE = "SELECT seq, state, sends, group_key, profile FROM entries WHERE {carried}"
_REJECT = "UPDATE entries SET state = 'rejected', attempt = ?, reason = ? WHERE seq = ?"
_REJECTIONS = "SELECT alike, alike_since FROM lanes WHERE lane = ?"
_WORDS = "SELECT words FROM attempts WHERE id = ?"
_KEEP_REJECTIONS = "UPDATE lanes SET alike = ?, alike_since = ? WHERE lane = ?"
_REJECTED_SINCE = (
    f"SELECT seq, sends FROM entries WHERE state = 'rejected' AND {SET_ASIDE} AND lane = ? AND attempt >= ?"
)
_LATE = """
SELECT seq, group_key, profile,
       state = 'in_doubt' AND attempt = :attempt
       AND seq NOT IN (SELECT value FROM attempts, json_each(attempts.picked) WHERE outcome IS NULL)
  FROM entries WHERE seq IN (SELECT value FROM json_each(:numbers)) AND state <> 'forgotten' ORDER BY seq
"""
_ATTEMPT_OUTCOME = "SELECT outcome FROM attempts WHERE id = ? AND epoch = ?"
_SETTLE_LATE = "UPDATE attempts SET outcome = 'shipped', status = ?, words = ?, ended_at = ? WHERE id = ?"
# Nothing waits above its lane's cursor, or what is pending there would go before it.
_PUT_BACK = f"""
UPDATE entries SET state = 'pending'
 WHERE state = 'waiting' AND {SET_ASIDE} AND lane = :lane
   AND seq > (SELECT cursor FROM lanes WHERE lane = :lane)
"""
_LANE_WELL = """
UPDATE lanes SET outcome = 'shipped', cause = '', failures = 0, retry_at = NULL,
                 boot = '', backoff_at = 0, backoff_span = 0, asked_at = 0, asked_span = 0,
                 since = CASE WHEN outcome = 'shipped' THEN since ELSE :now END
 WHERE lane = :lane
"""
_LANE_FAILED = """
UPDATE lanes SET outcome = :outcome, cause = :cause, failures = :failures, retry_at = :retry_at, boot = :boot,
                 backoff_at = :backoff_at, backoff_span = :backoff_span, asked_at = :asked_at, asked_span = :asked_span,
                 since = CASE WHEN outcome = :outcome THEN since ELSE :now END
 WHERE lane = :lane
"""
_LARGER = """
UPDATE lanes SET alike = 0, alike_since = NULL,
                 request_size = CASE WHEN request_size * 2 <= 2000 THEN request_size * 2 END
 WHERE lane = ?
"""
_SMALLER = "UPDATE lanes SET request_size = max(1, ? / 2) WHERE lane = ?"
_LANE = """
SELECT outcome, cause, failures, boot, backoff_at, backoff_span, asked_at, asked_span
  FROM lanes WHERE lane = ?
"""

_MOVE_CURSOR = "UPDATE lanes SET cursor = ? WHERE lane = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What came of a claim.

    Attributes:
        outcome: See `AttemptOutcome`. A request of one entry that is refused ends as a rejected entry.
        status: The HTTP status of the answer, if one came.
        words: The service's words, or what went wrong on the way.
        now: Seconds since the epoch.
        failures: How many tries in a row did not go through, this one among them.
        backoff: When the lane may be tried again.
        asked: Until when the service asked for patience.
        settle: After an unknown outcome: when its profiles may go on.
    """

    outcome: AttemptOutcome
    status: int | None = None
    words: str = ""
    now: float
    failures: int = 0
    backoff: Due = AT_ONCE
    asked: Due = AT_ONCE
    settle: Due = AT_ONCE


@dataclass(frozen=True, slots=True)
class Settled:
    """What a settlement did beyond what it was told.

    Attributes:
        rejected: The number of the entry that was rejected.
        paused: Whether the refusals look like configuration, so that the lane was paused.
        taken_back: How many entries rejected before are to be sent again therefore.
    """

    rejected: int | None = None
    paused: bool = False
    taken_back: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a lane stands, for its next request.

    Attributes:
        outcome: What came of its last request; None before the first.
        cause: The service's words, or what went wrong on the way.
        failures: How many tries in a row did not go through.
        backoff: When it may be tried again.
        asked: Until when the service asked for patience.
    """

    outcome: AttemptOutcome | None
    cause: str
    failures: int
    backoff: Due
    asked: Due


WELL = Standing(AttemptOutcome.SHIPPED, "", 0, AT_ONCE, AT_ONCE)
"""How a lane stands when its last request was accepted."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What an attempt carries, as its row says."""

    attempt: int
    epoch: int
    lane: Lane
    first: int
    last: int
    picked: str | None
    entries: int
    updates: int

    def rows(self, sql: str) -> str:
        return sql.format(carried=_CARRIED_FRESH if self.picked is None else _CARRIED_AGAIN)

    def parameters(self, **others: object) -> dict[str, object]:
        own = {"lane": self.lane, "first": self.first, "last": self.last, "picked": self.picked}
        return {**own, "attempt": self.attempt, **others}


def standing_of(connection: sqlite3.Connection, lane: Lane) -> Standing:
    """How a lane stands."""
    row = connection.execute(_LANE, (lane,)).fetchone()
    if row is None:
        return Standing(None, "", 0, AT_ONCE, AT_ONCE)
    outcome, cause, failures, boot, backoff_at, backoff_span, asked_at, asked_span = row
    return Standing(
        AttemptOutcome(outcome) if outcome else None,
        cause,
        failures,
        Due(boot, backoff_at, backoff_span),
        Due(boot, asked_at, asked_span),
    )


def settle(connection: sqlite3.Connection, carried: Carried, settlement: Settlement) -> Settled | None:
    """Write down what came of an attempt; None, and nothing written, where it is settled already."""
    outcome = settlement.outcome
    ours = connection.execute(
        _SETTLE_ATTEMPT,
        (
            outcome,
            settlement.status,
            settlement.words,
            settlement.now,
            carried.attempt,
            carried.epoch,
        ),
    ).rowcount
    if not ours:
        return None
    match outcome:
        case AttemptOutcome.SHIPPED:
            _move(connection, carried, State.SHIPPED)
            connection.execute(_LANE_WELL, {"lane": carried.lane, "now": settlement.now})
            connection.execute(_LARGER, (carried.lane,))
            erase_ended(connection)
        case AttemptOutcome.UNKNOWN:
            _doubt(connection, carried, settlement)
            _fail(connection, carried.lane, settlement)
        case AttemptOutcome.REFUSED:
            return _refuse(connection, carried, settlement)
        case _:
            _merge_alike(connection, carried.attempt, settlement.now)
            _fail(connection, carried.lane, settlement)
            _put_back(connection, carried.lane)
    return Settled()


def _put_back(connection: sqlite3.Connection, lane: Lane) -> None:
    """A claim ends as if it had not been: what it passed is pending again, and so keeps its place."""
    back = connection.execute(_PUT_BACK, {"lane": lane}).rowcount
    moved(connection, {State.WAITING: -back})


def _fail(connection: sqlite3.Connection, lane: Lane, settlement: Settlement) -> None:
    backoff, asked = settlement.backoff, settlement.asked
    connection.execute(
        _LANE_FAILED,
        {
            "lane": lane,
            "outcome": settlement.outcome,
            "cause": settlement.words,
            "failures": settlement.failures,
            "retry_at": settlement.now + max(backoff.span, asked.span),
            "boot": backoff.boot,
            "backoff_at": backoff.at,
            "backoff_span": backoff.span,
            "asked_at": asked.at,
            "asked_span": asked.span,
            "now": settlement.now,
        },
    )


def _move(connection: sqlite3.Connection, carried: Carried, state: State) -> None:
    """The entries of an attempt that may have been applied, to their next state."""
    parameters = carried.parameters(state=state)
    if carried.picked is None:
        count(connection, state, connection.execute(_SETTLE_FRESH, parameters).rowcount)
        connection.execute(_MOVE_CURSOR, (carried.last, carried.lane))
        return
    before = connection.execute(_AGAIN_STATES, parameters).fetchall()
    count(connection, state, connection.execute(_SETTLE_AGAIN, parameters).rowcount)
    for was, entries, twice in before:
        moved(connection, {was: -entries})
        if twice:
            count(connection, "possibly_twice", twice)


def _doubt(connection: sqlite3.Connection, carried: Carried, settlement: Settlement) -> None:
    runs: dict[Owner, list[tuple[int, Update]]] = defaultdict(list)
    rows = connection.execute(carried.rows(_CARRIED_ROWS), carried.parameters()).fetchall()
    for seq, group_key, profile, operator, message in rows:
        runs[group_key, profile].append((seq, Update.of(operator, json.loads(message))))
    _move(connection, carried, State.IN_DOUBT)
    risky: list[int] = []
    for owner, run in runs.items():
        risky += [run[place][0] for place in hazardous([update for _, update in run])]
        begin_wait(connection, carried.lane, owner, run[0][0], settlement.settle)
    if risky:
        connection.execute(_MARK_HAZARDOUS, (json.dumps(risky),))
    # A batch that always outlasts the time-out must not be applied on every try.
    connection.execute(_SMALLER, (carried.updates, carried.lane))


def _refuse(connection: sqlite3.Connection, carried: Carried, settlement: Settlement) -> Settled:
    standing = standing_of(connection, carried.lane)
    if standing.outcome is AttemptOutcome.PAUSED and standing.cause == settlement.words:
        _pause(connection, carried.lane, settlement)  # still the same, and no matter of data
        _put_back(connection, carried.lane)
        return Settled(paused=True)
    # It answers, and goes on with what is left: refusing data is no failure of the lane.
    connection.execute(_LANE_WELL, {"lane": carried.lane, "now": settlement.now})
    if carried.entries > 1:
        _put_back(connection, carried.lane)
        return Settled()
    seq = _reject(connection, carried, settlement)
    alike, since = connection.execute(_REJECTIONS, (carried.lane,)).fetchone()
    if alike == LOOKED_AT:
        return Settled(rejected=seq)
    words = connection.execute(_WORDS, (since,)).fetchone() if since is not None else None
    if words == (settlement.words,):
        alike += 1
    else:
        alike, since = 1, carried.attempt
    if alike < MOST_ALIKE:
        connection.execute(_KEEP_REJECTIONS, (alike, since, carried.lane))
        return Settled(rejected=seq)
    taken_back = _take_back(connection, carried.lane, since)
    _pause(connection, carried.lane, settlement)
    return Settled(paused=True, taken_back=taken_back - 1)  # this one was not told of as rejected


def _pause(connection: sqlite3.Connection, lane: Lane, settlement: Settlement) -> None:
    paused = Settlement(
        outcome=AttemptOutcome.PAUSED,
        words=settlement.words,
        now=settlement.now,
        failures=settlement.failures,
        backoff=settlement.backoff,
    )
    _fail(connection, lane, paused)


def _reject(connection: sqlite3.Connection, carried: Carried, settlement: Settlement) -> int:
    row = connection.execute(carried.rows(_CARRIED_ONE), carried.parameters()).fetchone()
    seq, state, sends, group_key, profile = row
    reason = settlement.words + (_PERHAPS if sends else "")
    connection.execute(_REJECT, (carried.attempt, reason, seq))
    moved(connection, {state: -1, State.REJECTED: 1})
    if sends:  # its run is not whole any more
        break_runs(connection, carried.lane, {(group_key, profile)})
    _move_cursor(connection, carried)
    return int(seq)


def _take_back(connection: sqlite3.Connection, lane: Lane, since: int) -> int:
    """Rejections that are a matter of configuration: their entries are to be sent again."""
    rows = connection.execute(_REJECTED_SINCE, (lane, since)).fetchall()
    doubtful = [seq for seq, sends in rows if sends]
    waiting = [seq for seq, sends in rows if not sends]
    for state, numbers in ((State.IN_DOUBT, doubtful), (State.WAITING, waiting)):
        connection.execute(SET_STATE, (state, None, json.dumps(numbers)))
    connection.execute(_MARK_HAZARDOUS, (json.dumps(doubtful),))
    let_policy_decide(connection, lane)
    moved(
        connection,
        {
            State.REJECTED: -len(rows),
            State.IN_DOUBT: len(doubtful),
            State.WAITING: len(waiting),
        },
    )
    connection.execute(_KEEP_REJECTIONS, (0, None, lane))
    return len(rows)


def settle_late(
    connection: sqlite3.Connection, carried: Carried, numbers: Sequence[int], settlement: Settlement
) -> None:
    """The service accepted a request after all, while others had settled it as unknown.

    Whole runs only: where part of one was sent again since, or decided about, the rest still has to follow it.
    """
    outcome = connection.execute(_ATTEMPT_OUTCOME, (carried.attempt, carried.epoch)).fetchone()
    if outcome != (AttemptOutcome.UNKNOWN,):
        return
    runs: dict[Owner, list[tuple[int, int]]] = defaultdict(list)
    parameters = {"attempt": carried.attempt, "numbers": json.dumps(numbers)}
    for seq, group_key, profile, untouched in connection.execute(_LATE, parameters).fetchall():
        runs[group_key, profile].append((seq, untouched))
    whole = {owner: run for owner, run in runs.items() if all(untouched for _, untouched in run)}
    accepted = [seq for run in whole.values() for seq, _ in run]
    if not accepted:
        return
    connection.execute(SET_STATE, (State.SHIPPED, None, json.dumps(accepted)))
    moved(connection, {State.IN_DOUBT: -len(accepted), State.SHIPPED: len(accepted)})
    end_waits_of(connection, carried.lane, whole)
    connection.execute(_SETTLE_LATE, (settlement.status, settlement.words, settlement.now, carried.attempt))
    erase_ended(connection)


def _merge_alike(connection: sqlite3.Connection, attempt: int, now: float) -> None:
    """Equal failures in a row are one row with a count: an outage of months stays small."""
    previous = connection.execute(_ALIKE, (attempt,)).fetchone()
    if previous is not None:
        connection.execute(_DROP_ATTEMPT, (attempt,))
        connection.execute(_ONE_MORE_TIME, (now, previous[0]))


def unreachable(connection: sqlite3.Connection, lane: Lane, epoch: int, settlement: Settlement) -> None:
    """There is still no connection: one row that grows, and nothing was claimed."""
    latest = connection.execute(_LATEST_ATTEMPT, (lane,)).fetchone()
    if latest is not None and latest[1:] == (AttemptOutcome.OFFLINE, settlement.words):
        connection.execute(_ONE_MORE_TIME, (settlement.now, latest[0]))
    else:
        connection.execute(_UNREACHED, (lane, epoch, settlement.now, settlement.now, settlement.words))
    _fail(connection, lane, settlement)


def _move_cursor(connection: sqlite3.Connection, carried: Carried) -> None:
    if carried.picked is None:
        connection.execute(_MOVE_CURSOR, (carried.last, carried.lane))
