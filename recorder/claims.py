"""Claim and settle: what a shipper writes into the journal. SQL of shipping stands here and nowhere else.

A claim is written down before its request is sent, and what came of it after, in one transaction each. A row's
state changes once, when its attempt settles; what an open attempt carries reads as ``sending``.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recorder.batches import Packed, pack
from recorder.connection import Connection
from recorder.entries import InDoubt, Outcome, State
from recorder.errors import JournalError
from recorder.hazards import Update, dropped, hazardous
from recorder.operations import Lane
from recorder.policy import ShippingPolicy
from recorder.uptime import AT_ONCE, Due, Uptime

__all__ = [
    "DECIDE_ANEW",
    "MOST_ALIKE",
    "Claim",
    "Claims",
    "Limits",
    "Overtaken",
    "Settled",
    "Settlement",
    "Standing",
]

MOST_ALIKE = 20
"""So many single rejections in a row with the same words, and no success between, are no matter of data."""

_WORTH_MOVING = 1000  # entries of other lanes to pass before a cursor is moved for nothing else
_LOOK_AHEAD = 2_000  # entries of waiting profiles that one transaction passes
# While profiles settle, so many entries may be passed for the sake of others. More would only turn a long
# backlog into single numbers to pick, to spare others half a minute.
_MOST_PASSED = 10_000

_DROPPED = "given up: it may have been applied, and in_doubt='drop' sends nothing twice"
_GIVEN_UP = "the request was given up before its answer was settled"
_PERHAPS = " (an earlier request that carried it may have been applied)"

# --- SQL, a named constant each -------------------------------------------------------------------------

# The partial index on exceptional states serves a query only when it says the index's condition word for word.
_INDEXED = "state NOT IN ('pending', 'shipped')"
_FREE = """
NOT EXISTS (SELECT 1 FROM waits WHERE waits.lane = entries.lane
                                  AND waits.profile IS entries.profile AND waits.group_key IS entries.group_key)
"""
# Two walks along the index, merged by number: no further than a request needs, however many wait.
_AGAIN = " UNION ALL ".join(
    f"SELECT seq, message FROM entries WHERE state = '{state}' AND {_INDEXED} "
    f"AND lane = :lane AND seq <= :upto AND {_FREE}"
    for state in (State.WAITING, State.IN_DOUBT)
)
_AGAIN += " ORDER BY seq"
_FRESH = f"""
SELECT seq, message, NOT {_FREE} FROM entries
 WHERE lane = :lane AND seq > :cursor AND seq <= :upto AND state = 'pending' ORDER BY seq
"""
_FRESH_WITHOUT_WAITS = """
SELECT seq, message, 0 FROM entries
 WHERE lane = :lane AND seq > :cursor AND seq <= :upto AND state = 'pending' ORDER BY seq
"""
_SET_WAITING = "UPDATE entries SET state = 'waiting' WHERE seq IN (SELECT value FROM json_each(?))"
_WAITING = "SELECT entries FROM counters WHERE account = 'waiting'"
_COUNT = "UPDATE counters SET entries = entries + ? WHERE account = ?"

_TOKEN = "SELECT token FROM project"  # noqa: S105  # SQL, no secret
_LANE_CURSOR = "SELECT cursor FROM lanes WHERE lane = ?"
_MOVE_CURSOR = "UPDATE lanes SET cursor = ? WHERE lane = ?"
_HIGHEST = "SELECT coalesce(max(seq), 0) FROM entries"
_WAITING_ABOVE = f"SELECT 1 FROM entries WHERE state = 'waiting' AND {_INDEXED} AND lane = ? AND seq > ?"

_EPOCH = "SELECT epoch FROM shipper"
_TAKE_OVER = "UPDATE shipper SET epoch = epoch + 1, pid = ?, running = 1, seen_at = ?"
_HAND_OVER = "UPDATE shipper SET running = 0, seen_at = ? WHERE epoch = ?"
_SERVICE = "SELECT service FROM shipper"
_KEEP_SETUP = "UPDATE shipper SET service = ?, in_doubt = ?, settle_after = ?"
_TRY_PAUSED = "UPDATE lanes SET backoff_at = 0, backoff_span = 0, retry_at = NULL WHERE outcome = 'paused'"

_OPEN_ATTEMPT = """
INSERT INTO attempts (lane, epoch, first, last, picked, updates, bytes, digest, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_OPEN_ATTEMPTS = (
    "SELECT id, lane, epoch, first, last, picked, updates FROM attempts WHERE outcome IS NULL ORDER BY id"
)
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
INSERT INTO attempts (lane, epoch, first, last, updates, bytes, digest, started_at, ended_at, outcome, words)
VALUES (?, ?, 0, 0, 0, 0, '', ?, ?, 'offline', ?)
"""

_CARRIED_FRESH = "lane = :lane AND seq BETWEEN :first AND :last AND state = 'pending'"
_CARRIED_AGAIN = (
    f"seq IN (SELECT value FROM json_each(:picked)) AND state IN ('waiting', 'in_doubt') AND {_INDEXED}"
)
# What an earlier request may have applied, and sending it again may apply twice.
_TWICE = "sends > 0 AND hazardous AND NOT possibly_twice"
_CARRIED_STATES = (
    f"SELECT state, count(*), coalesce(sum({_TWICE}), 0) FROM entries WHERE {{carried}} GROUP BY state"
)
# Only a request that may have been applied changes its entries.
_SETTLE_ENTRIES = f"""
UPDATE entries SET state = :state, attempt = :attempt, sends = sends + 1, reason = NULL,
                   possibly_twice = possibly_twice OR ({_TWICE})
 WHERE {{carried}}
"""
_CARRIED_ROWS = "SELECT seq, group_key, profile, operator, message FROM entries WHERE {carried} ORDER BY seq"
_MARK_HAZARDOUS = "UPDATE entries SET hazardous = 1 WHERE seq IN (SELECT value FROM json_each(?))"

_CARRIED_ONE = "SELECT seq, state, sends, group_key, profile FROM entries WHERE {carried}"
_REJECT = "UPDATE entries SET state = 'rejected', attempt = ?, reason = ? WHERE seq = ?"
_REST_HAZARDOUS = f"""
UPDATE entries SET hazardous = 1
 WHERE state = 'in_doubt' AND {_INDEXED} AND lane = ? AND profile IS ? AND group_key IS ?
"""
DECIDE_ANEW = f"""
INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)
SELECT lane, group_key, profile, 'settle_after', min(seq), '', 0, 0 FROM entries
 WHERE state = 'in_doubt' AND {_INDEXED} AND hazardous AND lane = ? AND {_FREE} GROUP BY group_key, profile
"""
"""What became hazardous after it had settled: a wait that is over lets the policy decide at the next claim."""
_REJECTIONS = "SELECT alike, alike_since FROM lanes WHERE lane = ?"
_WORDS = "SELECT words FROM attempts WHERE id = ?"
_KEEP_REJECTIONS = "UPDATE lanes SET alike = ?, alike_since = ? WHERE lane = ?"
_REJECTED_SINCE = (
    f"SELECT seq, sends FROM entries WHERE state = 'rejected' AND {_INDEXED} AND lane = ? AND attempt >= ?"
)
_SET_STATE = (
    "UPDATE entries SET state = ?, reason = coalesce(?, reason) WHERE seq IN (SELECT value FROM json_each(?))"
)

_LATE = """
SELECT seq, group_key, profile FROM entries
 WHERE attempt = :attempt AND state = 'in_doubt' AND state NOT IN ('pending', 'shipped')
   AND seq NOT IN (SELECT value FROM attempts, json_each(attempts.picked) WHERE outcome IS NULL)
"""
_ATTEMPT_OUTCOME = "SELECT outcome FROM attempts WHERE id = ? AND epoch = ?"
_SETTLE_LATE = "UPDATE attempts SET outcome = 'shipped', status = ?, words = ?, ended_at = ? WHERE id = ?"

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
SELECT outcome, cause, failures, request_size, boot, backoff_at, backoff_span, asked_at, asked_span
  FROM lanes WHERE lane = ?
"""

_ANY_WAITS = "SELECT EXISTS (SELECT 1 FROM waits WHERE lane = ?)"
_SETTLING = (
    "SELECT id, group_key, profile, boot, at, span FROM waits WHERE cause = 'settle_after' AND lane = ?"
)
_ALL_SETTLING = "SELECT boot, at, span FROM waits WHERE cause = 'settle_after'"
_WAIT = """
INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)
VALUES (?, ?, ?, 'settle_after', ?, ?, ?, ?)
"""
_END_WAIT = "DELETE FROM waits WHERE id = ?"
_END_WAITS_OF = "DELETE FROM waits WHERE lane = ? AND profile IS ? AND group_key IS ?"
_HOLD = "UPDATE waits SET cause = 'hold', behind = ? WHERE id = ?"
_IN_DOUBT = f"""
SELECT seq, group_key, profile, hazardous FROM entries
 WHERE state = 'in_doubt' AND {_INDEXED} AND lane = ? ORDER BY seq
"""
_ROWS_BY_NUMBER = (
    "SELECT operator, message FROM entries WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
)


class Overtaken(JournalError):
    """Another shipper took over: this one may neither claim nor settle."""


class Limits(NamedTuple):
    """How large a claim may be.

    Attributes:
        updates: At most so many.
        bytes: Of its body, at most.
        fresh_upto: No fresh entry above this number; None for no limit.
        again_upto: The same for entries to be sent again.
    """

    updates: int
    bytes: int
    fresh_upto: int | None = None
    again_upto: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Entries written down as being sent, and the request that carries them.

    Attributes:
        attempt: The attempt's number.
        epoch: Of the shipper that made it.
        lane: Whose entries these are.
        numbers: Their numbers, ascending.
        picked: Whether they were picked one by one (to be sent again) rather than the next in their lane.
        body: The request's body.
    """

    attempt: int
    epoch: int
    lane: Lane
    numbers: tuple[int, ...]
    picked: bool
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What came of a claim.

    Attributes:
        outcome: See `Outcome`. A request of one entry that is refused ends as a rejected entry.
        status: The HTTP status of the answer, if one came.
        words: The service's words, or what went wrong on the way.
        now: Seconds since the epoch.
        failures: How many tries in a row did not go through, this one among them.
        backoff: When the lane may be tried again.
        asked: Until when the service asked for patience.
        settle: After an unknown outcome: when its profiles may go on.
    """

    outcome: Outcome
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
    """

    rejected: int | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How a lane stands, for its next request.

    Attributes:
        outcome: What came of its last request; None before the first.
        cause: The service's words, or what went wrong on the way.
        failures: How many tries in a row did not go through.
        request_size: At most so many updates, since an outcome nobody knows; None for no such limit.
        backoff: When it may be tried again.
        asked: Until when the service asked for patience.
    """

    outcome: Outcome | None
    cause: str
    failures: int
    request_size: int | None
    backoff: Due
    asked: Due


_Owner = tuple[str | None, str | None]  # group key, and profile


@dataclass(frozen=True, slots=True)
class _Carried:
    """What an attempt carries, as its row says."""

    attempt: int
    epoch: int
    lane: Lane
    first: int
    last: int
    picked: str | None
    updates: int

    @classmethod
    def by(cls, claim: Claim) -> "_Carried":
        picked = json.dumps(claim.numbers) if claim.picked else None
        numbers = claim.numbers
        return cls(claim.attempt, claim.epoch, claim.lane, numbers[0], numbers[-1], picked, len(numbers))

    def rows(self, sql: str) -> str:
        return sql.format(carried=_CARRIED_FRESH if self.picked is None else _CARRIED_AGAIN)

    def parameters(self, **others: object) -> dict[str, object]:
        own = {"lane": self.lane, "first": self.first, "last": self.last, "picked": self.picked}
        return {**own, "attempt": self.attempt, **others}


class Claims:
    """A journal's side for the shipper; see `recorder.shipper`.

    Everything is written durably, whatever the journal's durability for recording: what may have been applied
    must be known after a power loss, too.
    """

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    # --- who ships

    def take_over(self, now: float, uptime: Uptime, *, service: str, policy: ShippingPolicy) -> int:
        """Become the shipper: a new epoch. Attempts that were open are settled as unknown.

        The caller holds the lock of `recorder.locks.ship_lock`. Paused lanes are due when the service is
        another one than before: the configuration has changed.
        """
        with self._connection.transaction(full=True) as connection:
            connection.execute(_TAKE_OVER, (os.getpid(), now))
            (epoch,) = connection.execute(_EPOCH).fetchone()
            if connection.execute(_SERVICE).fetchone() != (service,):
                connection.execute(_TRY_PAUSED)
            connection.execute(_KEEP_SETUP, (service, policy.in_doubt, policy.settle_after))
            self._settle_left_open(connection, now, Due.after(uptime, policy.settle_after))
        return int(epoch)

    def _settle_left_open(self, connection: sqlite3.Connection, now: float, settle: Due) -> None:
        """Attempts that nobody will settle any more: their process died, or their call was cut off."""
        for id_, lane, epoch, first, last, picked, updates in connection.execute(_OPEN_ATTEMPTS).fetchall():
            carried = _Carried(id_, epoch, Lane(lane), first, last, picked, updates)
            failures = self._standing(connection, carried.lane).failures
            left = Settlement(
                outcome=Outcome.UNKNOWN, words=_GIVEN_UP, now=now, settle=settle, failures=failures
            )
            self._settle(connection, carried, left)

    def hand_over(self, epoch: int, now: float) -> None:
        """Stop being the shipper."""
        with self._connection.transaction() as connection:
            connection.execute(_HAND_OVER, (now, epoch))

    # --- how things stand

    def standing(self, lane: Lane) -> Standing:
        """How a lane stands."""
        with self._connection.reading() as connection:
            return self._standing(connection, lane)

    @staticmethod
    def _standing(connection: sqlite3.Connection, lane: Lane) -> Standing:
        row = connection.execute(_LANE, (lane,)).fetchone()
        if row is None:
            return Standing(None, "", 0, None, AT_ONCE, AT_ONCE)
        outcome, cause, failures, size, boot, backoff_at, backoff_span, asked_at, asked_span = row
        return Standing(
            Outcome(outcome) if outcome else None,
            cause,
            failures,
            size,
            Due(boot, backoff_at, backoff_span),
            Due(boot, asked_at, asked_span),
        )

    def settling(self, uptime: Uptime) -> float | None:
        """How long, in seconds, the first of the profiles that settle still waits; None where none does."""
        with self._connection.reading() as connection:
            return min(
                (Due(*row).left(uptime) for row in connection.execute(_ALL_SETTLING).fetchall()), default=None
            )

    # --- claim

    def claim(
        self, lane: Lane, limits: Limits, *, epoch: int, now: float, uptime: Uptime, policy: ShippingPolicy
    ) -> Claim | None:
        """Write down which entries go next, before they are sent; None where none may go.

        Entries to be sent again go first, and never together with fresh ones. Entries of a profile that waits
        are passed, and wait with it.

        Raises:
            Overtaken: Another shipper took over.
        """
        while True:
            with self._connection.transaction(full=True) as connection:
                if connection.execute(_EPOCH).fetchone() != (epoch,):
                    raise Overtaken(f"{self._path.name}: another process ships now")
                self._settle_left_open(connection, now, Due.after(uptime, policy.settle_after))
                self._end_waits(connection, lane, uptime, policy.in_doubt)
                row = connection.execute(_LANE_CURSOR, (lane,)).fetchone()
                if row is None:
                    return None
                cursor = int(row[0])
                packed = self._again(connection, lane, cursor, limits)
                picked = packed is not None
                if packed is None:
                    fresh = _Fresh(connection, lane, cursor, limits.fresh_upto)
                    packed = self._pack(connection, lane, fresh.rows(), limits)
                    passed = fresh.settle(packed)
                if packed is not None:
                    return self._open(connection, lane, epoch, packed, picked=picked, now=now)
                if not passed and not (fresh.ended and self._pass_others(connection, lane, cursor)):
                    return None

    def _again(
        self, connection: sqlite3.Connection, lane: Lane, cursor: int, limits: Limits
    ) -> Packed | None:
        # Not above the cursor: what waits there would overtake what is pending below it.
        upto = cursor if limits.again_upto is None else min(cursor, limits.again_upto)
        with contextlib.closing(connection.execute(_AGAIN, {"lane": lane, "upto": upto})) as rows:
            return self._pack(connection, lane, rows, limits)

    @staticmethod
    def _pack(
        connection: sqlite3.Connection, lane: Lane, rows: Iterable[tuple[int, str]], limits: Limits
    ) -> Packed | None:
        (token,) = connection.execute(_TOKEN).fetchone()
        return pack(rows, lane=lane, token=token or "", most_updates=limits.updates, most_bytes=limits.bytes)

    @staticmethod
    def _open(
        connection: sqlite3.Connection, lane: Lane, epoch: int, packed: Packed, *, picked: bool, now: float
    ) -> Claim:
        numbers, body = packed.numbers, packed.body
        attempt = connection.execute(
            _OPEN_ATTEMPT,
            (
                lane,
                epoch,
                numbers[0],
                numbers[-1],
                json.dumps(numbers) if picked else None,
                len(numbers),
                len(body),
                hashlib.sha256(body).hexdigest()[:16],
                now,
            ),
        ).lastrowid
        return Claim(attempt or 0, epoch, lane, numbers, picked, body)

    @staticmethod
    def _pass_others(connection: sqlite3.Connection, lane: Lane, cursor: int) -> bool:
        """Nothing of this lane is pending: spare the next look all that other lanes recorded since.

        Whether something waits above the cursor, and may go once that is passed.
        """
        (highest,) = connection.execute(_HIGHEST).fetchone()
        waiting = connection.execute(_WAITING_ABOVE, (lane, cursor)).fetchone() is not None
        if highest - cursor > _WORTH_MOVING or waiting:
            connection.execute(_MOVE_CURSOR, (highest, lane))
        return waiting

    def _end_waits(
        self, connection: sqlite3.Connection, lane: Lane, uptime: Uptime, in_doubt: InDoubt
    ) -> None:
        """Profiles that have settled go on, as the policy says."""
        over = [
            (id_, (group_key, profile))
            for id_, group_key, profile, *due in connection.execute(_SETTLING, (lane,)).fetchall()
            if Due(*due).left(uptime) <= 0
        ]
        if not over:
            return
        runs = self._doubtful(connection, lane)
        for id_, owner in over:
            numbers, risky = runs.get(owner, ([], []))
            if risky and in_doubt == "hold":
                connection.execute(_HOLD, (numbers[0], id_))
                continue
            if risky and in_doubt == "drop":
                self._give_up(connection, numbers, risky)
            connection.execute(_END_WAIT, (id_,))

    @staticmethod
    def _doubtful(connection: sqlite3.Connection, lane: Lane) -> dict[_Owner, tuple[list[int], list[int]]]:
        """By profile: the numbers of its entries in doubt, and those of the hazardous ones among them."""
        runs: dict[_Owner, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for seq, group_key, profile, risky in connection.execute(_IN_DOUBT, (lane,)).fetchall():
            numbers, hazards = runs[group_key, profile]
            numbers.append(seq)
            if risky:
                hazards.append(seq)
        return runs

    @staticmethod
    def _give_up(connection: sqlite3.Connection, numbers: list[int], risky: list[int]) -> None:
        rows = connection.execute(_ROWS_BY_NUMBER, (json.dumps(numbers),)).fetchall()
        run = [Update.of(operator, json.loads(message)) for operator, message in rows]
        places = dropped(run, frozenset(numbers.index(seq) for seq in risky))
        gone = [numbers[place] for place in sorted(places)]
        connection.execute(_SET_STATE, (State.DISCARDED, _DROPPED, json.dumps(gone)))
        _moved(connection, {State.IN_DOUBT: -len(gone), State.DISCARDED: len(gone)})

    # --- settle

    def settle(self, claim: Claim, settlement: Settlement) -> Settled | None:
        """Write down what came of a claim; None, and nothing written, where another shipper settled it.

        A late acceptance is the exception: it settles what is in doubt from that very attempt. After a refusal
        of several entries, or where nothing left, they are as before the claim.
        """
        with self._connection.transaction(full=True) as connection:
            carried = _Carried.by(claim)
            settled = self._settle(connection, carried, settlement)
            if settled is None and settlement.outcome is Outcome.SHIPPED:
                self._settle_late(connection, carried, settlement)
            return settled

    def _settle(
        self, connection: sqlite3.Connection, carried: _Carried, settlement: Settlement
    ) -> Settled | None:
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
            case Outcome.SHIPPED:
                self._move(connection, carried, State.SHIPPED)
                connection.execute(_LANE_WELL, {"lane": carried.lane, "now": settlement.now})
                connection.execute(_LARGER, (carried.lane,))
            case Outcome.UNKNOWN:
                self._doubt(connection, carried, settlement)
                self._fail(connection, carried.lane, settlement)
            case Outcome.REFUSED:
                return self._refuse(connection, carried, settlement)
            case _:
                self._merge_alike(connection, carried.attempt, settlement.now)
                self._fail(connection, carried.lane, settlement)
        return Settled()

    @staticmethod
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

    @staticmethod
    def _move(connection: sqlite3.Connection, carried: _Carried, state: State) -> None:
        """The entries of an attempt that may have been applied, to their next state."""
        parameters = carried.parameters(state=state)
        before = connection.execute(carried.rows(_CARRIED_STATES), parameters).fetchall()
        moved = connection.execute(carried.rows(_SETTLE_ENTRIES), parameters).rowcount
        connection.execute(_COUNT, (moved, state))
        for was, count, twice in before:
            if was != State.PENDING:
                connection.execute(_COUNT, (-count, was))
            if twice:
                connection.execute(_COUNT, (twice, "possibly_twice"))
        _move_cursor(connection, carried)

    def _doubt(self, connection: sqlite3.Connection, carried: _Carried, settlement: Settlement) -> None:
        runs: dict[_Owner, list[tuple[int, Update]]] = defaultdict(list)
        rows = connection.execute(carried.rows(_CARRIED_ROWS), carried.parameters()).fetchall()
        for seq, group_key, profile, operator, message in rows:
            runs[group_key, profile].append((seq, Update.of(operator, json.loads(message))))
        self._move(connection, carried, State.IN_DOUBT)
        risky: list[int] = []
        for (group_key, profile), run in runs.items():
            risky += [run[place][0] for place in hazardous([update for _, update in run])]
            connection.execute(_END_WAITS_OF, (carried.lane, profile, group_key))
            connection.execute(_WAIT, (carried.lane, group_key, profile, run[0][0], *settlement.settle))
        if risky:
            connection.execute(_MARK_HAZARDOUS, (json.dumps(risky),))
        # A batch that always outlasts the time-out must not be applied on every try.
        connection.execute(_SMALLER, (carried.updates, carried.lane))

    def _refuse(self, connection: sqlite3.Connection, carried: _Carried, settlement: Settlement) -> Settled:
        standing = self._standing(connection, carried.lane)
        if standing.outcome is Outcome.PAUSED and standing.cause == settlement.words:
            self._pause(connection, carried.lane, settlement)  # still the same, and no matter of data
            return Settled(paused=True)
        # It answers, and goes on with what is left: refusing data is no failure of the lane.
        connection.execute(_LANE_WELL, {"lane": carried.lane, "now": settlement.now})
        if carried.updates > 1:
            return Settled()
        seq = self._reject(connection, carried, settlement)
        alike, since = connection.execute(_REJECTIONS, (carried.lane,)).fetchone()
        words = connection.execute(_WORDS, (since,)).fetchone() if since is not None else None
        if words == (settlement.words,):
            alike += 1
        else:
            alike, since = 1, carried.attempt
        if alike < MOST_ALIKE:
            connection.execute(_KEEP_REJECTIONS, (alike, since, carried.lane))
            return Settled(rejected=seq)
        self._take_back(connection, carried.lane, since)
        self._pause(connection, carried.lane, settlement)
        return Settled(paused=True)

    def _pause(self, connection: sqlite3.Connection, lane: Lane, settlement: Settlement) -> None:
        paused = Settlement(
            outcome=Outcome.PAUSED,
            words=settlement.words,
            now=settlement.now,
            failures=settlement.failures,
            backoff=settlement.backoff,
        )
        self._fail(connection, lane, paused)

    @staticmethod
    def _reject(connection: sqlite3.Connection, carried: _Carried, settlement: Settlement) -> int:
        row = connection.execute(carried.rows(_CARRIED_ONE), carried.parameters()).fetchone()
        seq, state, sends, group_key, profile = row
        reason = settlement.words + (_PERHAPS if sends else "")
        connection.execute(_REJECT, (carried.attempt, reason, seq))
        _moved(connection, {state: -1, State.REJECTED: 1})
        if sends:  # its run is not whole any more
            connection.execute(_REST_HAZARDOUS, (carried.lane, profile, group_key))
            connection.execute(DECIDE_ANEW, (carried.lane,))
        _move_cursor(connection, carried)
        return int(seq)

    @staticmethod
    def _take_back(connection: sqlite3.Connection, lane: Lane, since: int) -> None:
        """Rejections that are a matter of configuration: their entries are to be sent again."""
        rows = connection.execute(_REJECTED_SINCE, (lane, since)).fetchall()
        doubtful = [seq for seq, sends in rows if sends]
        waiting = [seq for seq, sends in rows if not sends]
        for state, numbers in ((State.IN_DOUBT, doubtful), (State.WAITING, waiting)):
            connection.execute(_SET_STATE, (state, None, json.dumps(numbers)))
        connection.execute(_MARK_HAZARDOUS, (json.dumps(doubtful),))
        connection.execute(DECIDE_ANEW, (lane,))
        _moved(
            connection,
            {
                State.REJECTED: -len(rows),
                State.IN_DOUBT: len(doubtful),
                State.WAITING: len(waiting),
            },
        )
        connection.execute(_KEEP_REJECTIONS, (0, None, lane))

    @staticmethod
    def _settle_late(connection: sqlite3.Connection, carried: _Carried, settlement: Settlement) -> None:
        """The service accepted a request after all, while others had settled it as unknown."""
        outcome = connection.execute(_ATTEMPT_OUTCOME, (carried.attempt, carried.epoch)).fetchone()
        if outcome != (Outcome.UNKNOWN,):
            return
        rows = connection.execute(_LATE, carried.parameters()).fetchall()
        numbers = [seq for seq, _, _ in rows]
        connection.execute(_SET_STATE, (State.SHIPPED, None, json.dumps(numbers)))
        _moved(connection, {State.IN_DOUBT: -len(rows), State.SHIPPED: len(rows)})
        for group_key, profile in {row[1:] for row in rows}:
            connection.execute(_END_WAITS_OF, (carried.lane, profile, group_key))
        connection.execute(
            _SETTLE_LATE, (settlement.status, settlement.words, settlement.now, carried.attempt)
        )

    @staticmethod
    def _merge_alike(connection: sqlite3.Connection, attempt: int, now: float) -> None:
        """Equal failures in a row are one row with a count: an outage of months stays small."""
        previous = connection.execute(_ALIKE, (attempt,)).fetchone()
        if previous is not None:
            connection.execute(_DROP_ATTEMPT, (attempt,))
            connection.execute(_ONE_MORE_TIME, (now, previous[0]))

    def unreachable(self, lane: Lane, epoch: int, settlement: Settlement) -> None:
        """Write down that there is still no connection: one row that grows, and nothing was claimed."""
        with self._connection.transaction() as connection:
            if connection.execute(_EPOCH).fetchone() != (epoch,):
                raise Overtaken(f"{self._path.name}: another process ships now")
            latest = connection.execute(_LATEST_ATTEMPT, (lane,)).fetchone()
            if latest is not None and latest[1:] == (Outcome.OFFLINE, settlement.words):
                connection.execute(_ONE_MORE_TIME, (settlement.now, latest[0]))
            else:
                connection.execute(
                    _UNREACHED, (lane, epoch, settlement.now, settlement.now, settlement.words)
                )
            self._fail(connection, lane, settlement)


class _Fresh:
    """The pending entries of a lane from its cursor on, without those of profiles that wait."""

    def __init__(self, connection: sqlite3.Connection, lane: Lane, cursor: int, upto: int | None) -> None:
        self._connection = connection
        self._lane = lane
        self._upto = upto
        self._where = {"lane": lane, "cursor": cursor, "upto": 2**62 if upto is None else upto}
        self._passed: list[int] = []
        self.ended = False
        """Whether the rows were read to the lane's end: where a limit cut them, more may be pending beyond."""

    def rows(self) -> Iterator[tuple[int, str]]:
        (waits,) = self._connection.execute(_ANY_WAITS, (self._lane,)).fetchone()
        most = self._most() if waits else 0
        sql = _FRESH if waits else _FRESH_WITHOUT_WAITS
        with contextlib.closing(self._connection.execute(sql, self._where)) as rows:
            for seq, message, waiting in rows:
                if not waiting:
                    yield seq, message
                elif len(self._passed) < most:
                    self._passed.append(seq)
                else:
                    return
        self.ended = self._upto is None

    def _most(self) -> int:
        (waiting,) = self._connection.execute(_WAITING).fetchone()
        settling = self._connection.execute(_SETTLING, (self._lane,)).fetchone() is not None
        return 0 if settling and waiting >= _MOST_PASSED else _LOOK_AHEAD

    def settle(self, packed: Packed | None) -> bool:
        """What was passed on the way waits from now on; whether that is all there was."""
        last = packed.numbers[-1] if packed is not None else 2**62
        passed = [seq for seq in self._passed if seq < last]
        if not passed:
            return False
        self._connection.execute(_SET_WAITING, (json.dumps(passed),))
        self._connection.execute(_COUNT, (len(passed), State.WAITING))
        if packed is None:
            self._connection.execute(_MOVE_CURSOR, (passed[-1], self._lane))
        return True


def _moved(connection: sqlite3.Connection, counts: dict[State, int]) -> None:
    for state, count in counts.items():
        if count and state != State.PENDING:  # what is pending is what is left of all that was recorded
            connection.execute(_COUNT, (count, state))


def _move_cursor(connection: sqlite3.Connection, carried: _Carried) -> None:
    if carried.picked is None:
        connection.execute(_MOVE_CURSOR, (carried.last, carried.lane))
