"""What goes next, and who ships: a journal's side for the shipper.

A claim is written down before its request is sent, and what came of it after, in one transaction each; the latter may
be in one with the next claim. A row's state changes once, when its attempt settles; what an open attempt carries
reads as ``sending``.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recorder.journal.accounts import SET_ASIDE, count
from recorder.journal.connection import Connection
from recorder.journal.copies import note_home
from recorder.journal.doubt import FREE, end_waits, let_policy_decide
from recorder.journal.packing import Packed, pack
from recorder.journal.settle import (
    Carried,
    Settled,
    Settlement,
    Standing,
    settle,
    settle_late,
    standing_of,
    unreachable,
)
from recorder.journal.uptime import Due, Uptime
from recorder.model.entries import AttemptOutcome, State
from recorder.model.errors import JournalError
from recorder.model.operations import Lane
from recorder.model.policy import ShippingPolicy

__all__ = ["Claim", "Claims", "Limits", "Overtaken"]

_WORTH_MOVING = 1000  # entries of other lanes to pass before a cursor is moved for nothing else
_LOOK_AHEAD = 2_000  # entries of waiting profiles that one transaction passes
# While profiles settle, so many entries may be passed for the sake of others. More would only turn a long
# backlog into single numbers to pick, to spare others half a minute.
_MOST_PASSED = 10_000
_ROW_BYTES = 100  # a small row, roughly; of large ones the body says more

_GIVEN_UP = "the request was given up before its answer was settled"

# --- SQL, a named constant each -------------------------------------------------------------------------

# Two walks along the index, merged by number: no further than a request needs, however many wait.
_AGAIN = " UNION ALL ".join(
    f"SELECT seq, message FROM entries WHERE state = '{state}' AND {SET_ASIDE} "
    f"AND lane = :lane AND seq <= :upto AND {FREE}"
    for state in (State.WAITING, State.IN_DOUBT)
)
_AGAIN += " ORDER BY seq"
_FRESH = f"""
SELECT seq, message, NOT {FREE} FROM entries
 WHERE lane = :lane AND seq > :cursor AND seq <= :upto AND state = 'pending' ORDER BY seq
"""
_FRESH_WITHOUT_WAITS = """
SELECT seq, message FROM entries
 WHERE lane = :lane AND seq > :cursor AND seq <= :upto AND state = 'pending' ORDER BY seq
"""
_SET_WAITING = "UPDATE entries SET state = 'waiting' WHERE seq IN (SELECT value FROM json_each(?))"
_WAITING = "SELECT entries FROM counters WHERE account = 'waiting'"

_TOKEN = "SELECT token FROM project"  # noqa: S105  # SQL, no secret
_LANE_CURSOR = "SELECT cursor, request_size FROM lanes WHERE lane = ?"
_MOVE_CURSOR = "UPDATE lanes SET cursor = ? WHERE lane = ?"
_HIGHEST = "SELECT coalesce(max(seq), 0) FROM entries"

_EPOCH = "SELECT epoch FROM shipper"
_TAKE_OVER = "UPDATE shipper SET epoch = epoch + 1, pid = ?, running = 1, seen_at = ?"
_NEXT_EPOCH = "UPDATE shipper SET epoch = epoch + 1 RETURNING coalesce(settle_after, ?)"
_HAND_OVER = "UPDATE shipper SET running = 0, seen_at = ? WHERE epoch = ?"
_SERVICE = "SELECT service FROM shipper"
_KEEP_SETUP = "UPDATE shipper SET service = ?, in_doubt = ?, settle_after = ?"
_TRY_PAUSED = "UPDATE lanes SET backoff_at = 0, backoff_span = 0, retry_at = NULL WHERE outcome = 'paused'"
_TRY_PAUSED_LANE = _TRY_PAUSED + " AND lane = ?"

_OPEN_ATTEMPT = """
INSERT INTO attempts (lane, epoch, first, last, picked, entries, updates, bytes, digest, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_OPEN_ATTEMPTS = """
SELECT id, lane, epoch, first, last, picked, entries, updates FROM attempts WHERE outcome IS NULL ORDER BY id
"""


_ANY_WAITS = "SELECT EXISTS (SELECT 1 FROM waits WHERE lane = ?)"
_ANY_SETTLING = "SELECT EXISTS (SELECT 1 FROM waits WHERE cause = 'settle_after' AND lane = ?)"
_ALL_SETTLING = "SELECT boot, at, span FROM waits WHERE cause = 'settle_after'"


class Overtaken(JournalError):
    """Another shipper took over: this one may neither claim nor settle."""


class Limits(NamedTuple):
    """How large a claim may be.

    Attributes:
        updates: At most so many; after an outcome nobody knows, the lane's own limit may be lower.
        bytes: Of its body, at most.
        fresh_upto: No fresh entry above this number; None for no limit.
        again_upto: The same for entries to be sent again.
        entries: At most so many entries, which may be more than updates where they are folded; None for no limit.
        fold: Whether fresh entries may be folded. What is sent again, or being isolated, never is.
    """

    updates: int
    bytes: int
    fresh_upto: int | None = None
    again_upto: int | None = None
    entries: int | None = None
    fold: bool = False


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
        updates: How many updates that is: fewer than entries where they are folded.
    """

    attempt: int
    epoch: int
    lane: Lane
    numbers: tuple[int, ...]
    picked: bool
    body: bytes
    updates: int


class Claims:
    """A journal's side for the shipper; see `recorder.shipping.shipper`.

    Everything is written durably, whatever the journal's durability for recording: what may have been applied
    must be known after a power loss, too.
    """

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    # --- who ships

    def take_over(self, now: float, uptime: Uptime, *, service: str, policy: ShippingPolicy) -> int:
        """Become the shipper: a new epoch. Attempts that were open are settled as unknown.

        The caller holds the lock of `recorder.journal.locks.ShipLock`. Paused lanes are due when the service is
        another one than before: the configuration has changed.
        """
        with self._connection.transaction(full=True) as connection:
            connection.execute(_TAKE_OVER, (os.getpid(), now))
            (epoch,) = connection.execute(_EPOCH).fetchone()
            if connection.execute(_SERVICE).fetchone() != (service,):
                connection.execute(_TRY_PAUSED)
            connection.execute(_KEEP_SETUP, (service, policy.in_doubt, policy.settle_after))
            note_home(connection, self._path, now)
            self._settle_left_open(connection, now, Due.after(uptime, policy.settle_after))
            for lane in Lane:  # what was due to be sent again under another policy
                let_policy_decide(connection, lane)
        return int(epoch)

    def _settle_left_open(self, connection: sqlite3.Connection, now: float, until: Due) -> None:
        """Attempts that nobody will settle any more: their process died, or their call was cut off."""
        for id_, lane, epoch, *what in connection.execute(_OPEN_ATTEMPTS).fetchall():
            carried = Carried(id_, epoch, Lane(lane), *what)
            failures = standing_of(connection, carried.lane).failures
            left = Settlement(
                outcome=AttemptOutcome.UNKNOWN, words=_GIVEN_UP, now=now, settle=until, failures=failures
            )
            settle(connection, carried, left)

    def settle_abandoned(self, now: float, uptime: Uptime) -> None:
        """Settle as unknown what nobody waits for any more.

        The caller holds the lock of `recorder.journal.locks.ShipLock`, so that nobody ships: who carried it has died.
        """
        with self._connection.transaction(full=True) as connection:
            (settle_after,) = connection.execute(_NEXT_EPOCH, (ShippingPolicy().settle_after,)).fetchone()
            self._settle_left_open(connection, now, Due.after(uptime, settle_after))

    def hand_over(self, epoch: int, now: float) -> None:
        """Stop being the shipper."""
        with self._connection.transaction() as connection:
            connection.execute(_HAND_OVER, (now, epoch))

    def try_paused(self, lane: Lane) -> None:
        """What paused a lane may be mended: it is due at once."""
        if self.standing(lane).outcome is AttemptOutcome.PAUSED:
            with self._connection.transaction() as connection:
                connection.execute(_TRY_PAUSED_LANE, (lane,))

    # --- how things stand

    def standing(self, lane: Lane) -> Standing:
        """How a lane stands."""
        with self._connection.reading() as connection:
            return standing_of(connection, lane)

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
                claim, passed = self._next(
                    connection, lane, limits, epoch=epoch, now=now, uptime=uptime, policy=policy
                )
            if claim is not None or not passed:
                return claim

    def _next(
        self,
        connection: sqlite3.Connection,
        lane: Lane,
        limits: Limits,
        *,
        epoch: int,
        now: float,
        uptime: Uptime,
        policy: ShippingPolicy,
    ) -> tuple[Claim | None, bool]:
        """The next claim, if there is one, and whether all that was looked at was passed, so that there is more."""
        if connection.execute(_EPOCH).fetchone() != (epoch,):
            raise Overtaken(f"{self._path.name}: another process ships now")
        self._settle_left_open(connection, now, Due.after(uptime, policy.settle_after))
        end_waits(connection, lane, uptime, policy.in_doubt)
        row = connection.execute(_LANE_CURSOR, (lane,)).fetchone()
        if row is None:
            return None, False
        cursor, size = row
        if size is not None:
            limits = limits._replace(updates=min(limits.updates, size))
        packed = self._again(connection, lane, cursor, limits)
        if packed is not None:
            return self._open(connection, lane, epoch, packed, picked=True, now=now), False
        if limits.again_upto is not None:
            # A part that is being isolated came to nothing: somebody decided about its entries. Others
            # beyond it are still to be sent again, and nothing fresh may go before them.
            return None, False
        fresh = _Fresh(connection, lane, cursor, limits.fresh_upto)
        fold = limits.fold and limits.fresh_upto is None
        packed = self._pack(connection, lane, fresh.rows(), limits, fold=fold)
        passed = fresh.settle(packed)
        if packed is not None:
            return self._open(connection, lane, epoch, packed, picked=False, now=now), False
        if fresh.ended and not passed:
            self._pass_others(connection, lane, cursor)
        return None, passed

    def _again(
        self, connection: sqlite3.Connection, lane: Lane, cursor: int, limits: Limits
    ) -> Packed | None:
        # Not above the cursor: what waits there would overtake what is pending below it.
        upto = cursor if limits.again_upto is None else min(cursor, limits.again_upto)
        with contextlib.closing(connection.execute(_AGAIN, {"lane": lane, "upto": upto})) as rows:
            return self._pack(connection, lane, rows, limits)

    @staticmethod
    def _pack(
        connection: sqlite3.Connection,
        lane: Lane,
        rows: Iterable[tuple[int, str]],
        limits: Limits,
        *,
        fold: bool = False,
    ) -> Packed | None:
        (token,) = connection.execute(_TOKEN).fetchone()
        return pack(
            rows,
            lane=lane,
            token=token or "",
            most_updates=limits.updates,
            most_bytes=limits.bytes,
            most_entries=limits.entries,
            fold=fold,
        )

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
                packed.updates,
                len(body),
                hashlib.sha256(body).hexdigest()[:16],
                now,
            ),
        ).lastrowid
        return Claim(attempt or 0, epoch, lane, numbers, picked, body, packed.updates)

    @staticmethod
    def _pass_others(connection: sqlite3.Connection, lane: Lane, cursor: int) -> None:
        """Nothing of this lane is pending: spare the next look all that other lanes recorded since."""
        (highest,) = connection.execute(_HIGHEST).fetchone()
        if highest - cursor > _WORTH_MOVING:
            connection.execute(_MOVE_CURSOR, (highest, lane))

    # --- settle

    def settle(self, claim: Claim, settlement: Settlement) -> Settled | None:
        """Write down what came of a claim; None, and nothing written, where another shipper settled it.

        A late acceptance is the exception: it settles what is in doubt from that very attempt. After a refusal
        of several entries, or where nothing left, they are as before the claim.
        """
        with self._connection.transaction(full=True) as connection:
            return self._settle(connection, claim, settlement)

    def settle_and_claim(
        self, claim: Claim, settlement: Settlement, limits: Limits, *, uptime: Uptime, policy: ShippingPolicy
    ) -> tuple[Settled | None, Claim | None]:
        """Write down what came of a claim and what its lane sends next, in one transaction: half as many to sync.

        Where there is no next claim, there may still be one after what was passed.
        """
        with self._connection.transaction(full=True) as connection:
            settled = self._settle(connection, claim, settlement)
            if settled is None:
                return None, None
            following, _ = self._next(
                connection,
                claim.lane,
                limits,
                epoch=claim.epoch,
                now=settlement.now,
                uptime=uptime,
                policy=policy,
            )
            return settled, following

    def _settle(self, connection: sqlite3.Connection, claim: Claim, settlement: Settlement) -> Settled | None:
        carried = _carried(claim)
        settled = settle(connection, carried, settlement)
        if settled is None and settlement.outcome is AttemptOutcome.SHIPPED:
            settle_late(connection, carried, claim.numbers, settlement)
        self._connection.note_written(max(len(claim.body), len(claim.numbers) * _ROW_BYTES))
        return settled

    def unreachable(self, lane: Lane, epoch: int, settlement: Settlement) -> None:
        """Write down that there is still no connection: one row that grows, and nothing was claimed."""
        with self._connection.transaction() as connection:
            if connection.execute(_EPOCH).fetchone() != (epoch,):
                raise Overtaken(f"{self._path.name}: another process ships now")
            unreachable(connection, lane, epoch, settlement)


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
        if not waits:  # as they come: looking at each takes a third longer
            with contextlib.closing(self._connection.execute(_FRESH_WITHOUT_WAITS, self._where)) as free:
                yield from free
            self.ended = self._upto is None
            return
        most = self._most()
        with contextlib.closing(self._connection.execute(_FRESH, self._where)) as rows:
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
        (settling,) = self._connection.execute(_ANY_SETTLING, (self._lane,)).fetchone()
        return 0 if settling and waiting >= _MOST_PASSED else _LOOK_AHEAD

    def settle(self, packed: Packed | None) -> bool:
        """What was passed on the way waits from now on; whether that is all there was."""
        last = packed.numbers[-1] if packed is not None else 2**62
        passed = [seq for seq in self._passed if seq < last]
        if not passed:
            return False
        self._connection.execute(_SET_WAITING, (json.dumps(passed),))
        count(self._connection, State.WAITING, len(passed))
        if packed is None:
            self._connection.execute(_MOVE_CURSOR, (passed[-1], self._lane))
        return True


def _carried(claim: Claim) -> Carried:
    numbers = claim.numbers
    picked = json.dumps(numbers) if claim.picked else None
    return Carried(
        claim.attempt, claim.epoch, claim.lane, numbers[0], numbers[-1], picked, len(numbers), claim.updates
    )
