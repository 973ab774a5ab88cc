"""The journal's API for the shipper: take over, claim, settle.

A claim is committed before its request is sent, and settled after, in one transaction each; a settlement may share its
transaction with the next claim. An entry's state changes once, when its attempt settles; meanwhile it reads as
``sending``.
"""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from operator import lt
from pathlib import Path
from typing import NamedTuple

from recorder.journal import accounts, attempts, doubt, entries, lanes, project, shipper, suspects
from recorder.journal.connection import Connection
from recorder.journal.entries import Carried
from recorder.journal.lanes import WORTH_MOVING, Facts, Failure, Standing
from recorder.journal.locks import ShipLock
from recorder.journal.opening import SENSELESS, onward
from recorder.journal.packing import Packed, Row, pack
from recorder.journal.settle import Settled, Settlement, set_aside_unreadable, settle, settle_late
from recorder.journal.suspects import Apart
from recorder.journal.uptime import Due, Uptime
from recorder.model.counting import Counting
from recorder.model.entries import AttemptOutcome, State
from recorder.model.errors import JournalDamaged, JournalError
from recorder.model.operations import Lane
from recorder.model.policy import ShippingPolicy
from recorder.model.routes import Import

__all__ = ["Claim", "ClaimSize", "Claims", "Overtaken", "Shipping"]

_MOST_PASSED_AT_ONCE = 2_000  # entries of waiting profiles in one transaction
# While profiles settle, at most so many entries are passed for the sake of others: more would turn a long backlog
# into single numbers to pick, to save others half a minute.
_MOST_PASSED = 10_000
_NO_LIMIT = 2**62
# Under `max_bytes`: settling writes the pages of a request's entries once more, into the space reserved for shipping.
_MOST_UPDATES_LIMITED = 200
_MOST_BYTES_LIMITED = 262_144
_ROW_BYTES = 100  # a small row, roughly; of large ones the body says more

_ABANDONED = "the request was given up before its answer was settled"


class Overtaken(JournalError):
    """Another shipper took over: this one may neither claim nor settle."""


class ClaimSize(NamedTuple):
    """Limits of one claim.

    Attributes:
        updates: Most updates; after an unknown outcome, the lane's own limit may be lower.
        bytes: Most bytes of its body.
        fresh_upto: No fresh entry above this number; None for no limit.
        again_upto: The same for entries that are sent again.
        entries: Most entries, which may be more than updates if they are folded; None for no limit.
        fold: Fold fresh entries. Entries that are sent again, or isolated, never are.
    """

    updates: int
    bytes: int
    fresh_upto: int | None = None
    again_upto: int | None = None
    entries: int | None = None
    fold: bool = False


class Shipping(NamedTuple):
    """The shipper, the moment and the policy: facts that each claim needs.

    Attributes:
        epoch: Of the shipper.
        now: Seconds since the epoch.
        uptime: The same moment, on the clock that nobody sets.
        policy: For entries in doubt.
        began: When the drain began: a suspect that was tried since then waits for the next one, so that drains end.
        upto: The newest entry then, for the same reason; None for no limit.
        counting: How the request is counted; a claim looks it up.
    """

    epoch: int
    now: float
    uptime: Uptime
    policy: ShippingPolicy
    began: Uptime | None = None
    upto: int | None = None
    counting: Counting | None = None

    @property
    def settled_at(self) -> Due:
        """When profiles may go on whose outcome is unknown now."""
        return Due.after(self.uptime, self.policy.settle_after)


@dataclass(frozen=True, slots=True)
class Claim:
    """Entries written down as being sent, and the request that carries them.

    Attributes:
        attempt: The attempt's number.
        epoch: Of the shipper that made it.
        lane: Of all its entries.
        numbers: Their numbers, ascending.
        picked: They were picked one by one, to be sent again, rather than the next in their lane.
        body: The request's body.
        updates: How many updates that is: fewer than entries if they are folded.
        apart: It is a request of suspects only, which its lane does not wait for.
        route: How it goes to ``/import``; None if it goes to its lane's own endpoint.
        counted: How its entries are counted, if they are.
    """

    attempt: int
    epoch: int
    lane: Lane
    numbers: tuple[int, ...]
    picked: bool
    body: bytes
    updates: int
    apart: Apart | None = None
    route: Import | None = None
    counted: str | None = None

    @property
    def carried(self) -> Carried:
        """The same as the attempt's row has it."""
        numbers = self.numbers
        picked = json.dumps(numbers) if self.picked else None
        return Carried(
            attempt=self.attempt,
            epoch=self.epoch,
            lane=self.lane,
            first=numbers[0],
            last=numbers[-1],
            picked=picked,
            entries=len(numbers),
            updates=self.updates,
            counted=self.counted,
        )


class Claims:
    """The journal's API for the shipper; see `recorder.shipping.shipper`.

    Every write is durable across a power loss, whatever the journal's durability for recording: entries that may
    have been applied must be known afterwards.
    """

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    # --- who ships

    def take_over(self, now: float, uptime: Uptime, *, service: str, policy: ShippingPolicy) -> int:
        """Become the shipper, and return the new epoch. Open attempts are settled as unknown.

        The caller holds the lock of `recorder.journal.locks.ShipLock`. All lanes are due if the service is
        another one than before: it asked for nothing.
        """
        with self._connection.transaction(full=True) as connection:
            new = shipper.take_over(connection, self._path, now, service=service, policy=policy)
            if new.new_service:
                lanes.due_at_once(connection)
            if new.unsettled:
                _settle_open(connection, now, Due.after(uptime, policy.settle_after))
                doubt.decide_settled(connection)
        return new.epoch

    def settle_abandoned(self, now: float, uptime: Uptime) -> None:
        """Settle open attempts as unknown: their shipper died.

        The caller holds the lock of `recorder.journal.locks.ShipLock`, so nobody ships.
        """
        with self._connection.reading() as connection:
            if not attempts.opened(connection):
                return
        with self._connection.transaction(full=True) as connection:
            _settle_open(connection, now, Due.after(uptime, shipper.next_epoch(connection)))

    def settle_if_abandoned(self, now: float, uptime: Uptime) -> None:
        """Settle open attempts as unknown if nobody ships."""
        lock = ShipLock(self._path)
        if lock.acquire():
            try:
                self.settle_abandoned(now, uptime)
            finally:
                lock.release()

    def epoch(self) -> int:
        """Return the epoch of the shipper that came last."""
        with self._connection.reading() as connection:
            return shipper.epoch(connection)

    def try_paused(self, lane: Lane) -> None:
        """Make a paused lane due at once: its cause may be mended."""
        with self._connection.reading() as connection:
            paused = lanes.standing(connection, lane).outcome is AttemptOutcome.PAUSED
        if paused:
            with self._connection.transaction() as connection:
                lanes.retry_paused(connection, lane)

    # --- how things stand

    def unsent(self) -> tuple[int, int]:
        """Return how many entries are unsent, and how many of them are in doubt."""
        with self._connection.reading() as connection:
            return accounts.unsent(connection)

    def any_unsent(self) -> bool:
        """Return True if an entry is unsent."""
        return self.unsent()[0] > 0

    def standings(self) -> dict[Lane, Standing]:
        """Return how each lane stands that has an entry."""
        with self._connection.reading() as connection:
            return lanes.standings(connection)

    def highest(self) -> int:
        """Return the number of the newest entry."""
        with self._connection.reading() as connection:
            return entries.highest(connection)

    def standing(self, lane: Lane) -> Standing:
        """Return how a lane stands."""
        with self._connection.reading() as connection:
            return lanes.standing(connection, lane)

    def settling(self, uptime: Uptime) -> tuple[float, bool] | None:
        """Return the seconds until the first waiting profile may go on, and whether it is never answered."""
        with self._connection.reading() as connection:
            return doubt.shortest_wait(connection, uptime)

    # --- claim

    def claim(self, lane: Lane, size: ClaimSize, shipping: Shipping) -> Claim | None:
        """Write down which entries go next, before they are sent; None if none may go.

        Entries to be sent again go first, and never together with fresh ones; suspects go last. Entries of a
        profile that waits are passed, and wait with it. While the service does not answer, one entry goes.

        Raises:
            Overtaken: Another shipper took over.
        """
        while True:
            with self._connection.reading() as connection:
                if lanes.idle(connection, lane):
                    return None
            with self._connection.transaction(full=True) as connection:
                claim, passed = self._next(connection, lane, size, shipping)
            if claim is not None or not passed:
                return claim

    def _next(
        self, connection: sqlite3.Connection, lane: Lane, size: ClaimSize, shipping: Shipping
    ) -> tuple[Claim | None, bool]:
        """Return the next claim, and whether entries were passed, so that there may be one after them.

        Entries that damage made unreadable are set aside, rather than keep the lane from being sent.
        """
        if lane is Lane.PEOPLE:
            shipping = shipping._replace(counting=project.counting(connection, shipping.policy.counted))
        try:
            return self._next_readable(connection, lane, size, shipping)
        except (*SENSELESS, sqlite3.OperationalError):
            if not set_aside_unreadable(connection, lane):
                raise
            return None, True

    def _next_readable(
        self, connection: sqlite3.Connection, lane: Lane, size: ClaimSize, shipping: Shipping
    ) -> tuple[Claim | None, bool]:
        facts = lanes.facts(connection, lane)
        if facts is None:
            return None, False
        self._check_epoch(facts.epoch, shipping.epoch)
        if facts.unsettled:
            _settle_open(connection, shipping.now, shipping.settled_at)
            facts = lanes.facts(connection, lane) or facts
        if facts.waits:
            doubt.end_settled_waits(connection, lane, shipping.uptime, shipping.policy.in_doubt)
        if facts.request_size is not None:
            size = size._replace(updates=min(size.updates, facts.request_size))
        if self._connection.limited_log:
            size = size._replace(
                updates=min(size.updates, _MOST_UPDATES_LIMITED), bytes=min(size.bytes, _MOST_BYTES_LIMITED)
            )
        if facts.unanswered:
            return self._probe(connection, lane, facts, size, shipping)
        packed = self._again(connection, lane, facts, size, shipping) if facts.again else None
        if packed is not None:
            return _open(connection, lane, shipping, packed, picked=True), False
        # If a part being isolated came to nothing, somebody decided about its entries. Others beyond it are still to
        # be sent again, and nothing fresh may go before them.
        if size.again_upto is None:
            claim, passed = self._fresh(connection, lane, facts, size, shipping)
            if claim is not None or passed:
                return claim, passed
        return self._suspects(connection, lane, facts, size, shipping), False

    def _probe(
        self, connection: sqlite3.Connection, lane: Lane, facts: Facts, size: ClaimSize, shipping: Shipping
    ) -> tuple[Claim | None, bool]:
        size = size._replace(updates=1, fold=False)
        upto = _again_upto(facts, size)
        found = suspects.probe(connection, lane, upto, shipping.uptime, facts.unanswered)
        if size.again_upto is None and (found is None or suspects.asks_for_fresh(facts.unanswered)):
            claim, passed = self._fresh(connection, lane, facts, size, shipping)
            if claim is not None or passed:
                return claim, passed
        packed = _pack(iter([found]), lane, facts, size, shipping, fold=False) if found else None
        if packed is None:
            return None, False
        return _open(connection, lane, shipping, packed, picked=True), False

    def _suspects(
        self, connection: sqlite3.Connection, lane: Lane, facts: Facts, size: ClaimSize, shipping: Shipping
    ) -> Claim | None:
        if not facts.waits:
            return None
        group = suspects.Group(connection, lane, shipping.uptime, shipping.began)
        size = size._replace(updates=min(size.updates, group.most))
        with contextlib.closing(group.rows(_again_upto(facts, size))) as rows:
            packed = _pack(rows, lane, facts, size, shipping, fold=False) if group.most else None
        if packed is None:
            return None
        claim = _open(connection, lane, shipping, packed, picked=True)
        return replace(claim, apart=group.apart(packed.numbers))

    def _check_epoch(self, found: int, ours: int) -> None:
        if found != ours:
            raise Overtaken(f"{self._path.name}: another process is shipping now")

    def _again(
        self, connection: sqlite3.Connection, lane: Lane, facts: Facts, size: ClaimSize, shipping: Shipping
    ) -> Packed | None:
        with contextlib.closing(entries.to_send_again(connection, lane, _again_upto(facts, size))) as rows:
            return _pack(rows, lane, facts, size, shipping, fold=False)

    def _fresh(
        self,
        connection: sqlite3.Connection,
        lane: Lane,
        facts: Facts,
        size: ClaimSize,
        shipping: Shipping,
    ) -> tuple[Claim | None, bool]:
        upto, isolating = shipping.upto, size.fresh_upto is not None
        if isolating:
            upto = size.fresh_upto
        fresh = _Fresh(connection, lane, facts, upto)
        fold = size.fold and not isolating
        with contextlib.closing(fresh.rows()) as rows:  # now, not when the garbage of an error is collected
            packed = _pack(rows, lane, facts, size, shipping, fold=fold)
        passed = fresh.pass_waiting(packed)
        if packed is not None:
            onward(facts.cursor, packed.numbers[0])
            return _open(connection, lane, shipping, packed, picked=False), False
        end = facts.highest if upto is None else min(facts.highest, upto)
        if fresh.ended and not isolating and not passed and end - facts.cursor > WORTH_MOVING:
            lanes.move_cursor(connection, lane, end)  # nothing of this lane is pending up to there
        return None, passed

    # --- settle

    def settle(self, claim: Claim, settlement: Settlement) -> Settled | None:
        """Settle a claim; None, and nothing written, if another shipper settled it.

        A late acceptance is the exception: it settles entries in doubt from that very attempt. After a refusal of
        several entries, or if nothing left, they are as before the claim.
        """
        with self._connection.transaction(full=True) as connection:
            return self._settle(connection, claim, settlement)

    def settle_and_claim(
        self, claim: Claim, settlement: Settlement, size: ClaimSize, shipping: Shipping
    ) -> tuple[Settled | None, Claim | None, bool]:
        """Settle a claim and make its lane's next one, in one transaction: half as many syncs.

        Returns:
            The settlement; the next claim; and whether entries were passed, so that there may be one after them.
        """
        with self._connection.transaction(full=True) as connection:
            settled = self._settle(connection, claim, settlement)
            if settled is None:
                return None, None, False
            return settled, *self._next(connection, claim.lane, size, shipping)

    def _settle(self, connection: sqlite3.Connection, claim: Claim, settlement: Settlement) -> Settled | None:
        settled = settle(connection, claim.carried, settlement)
        if settled is None and settlement.outcome is AttemptOutcome.SHIPPED:
            settle_late(connection, claim.carried, claim.numbers, settlement)
        self._connection.note_written(max(len(claim.body), len(claim.numbers) * _ROW_BYTES))
        return settled

    def unreachable(self, lane: Lane, epoch: int, failure: Failure) -> None:
        """Note that there is no connection, so that nothing was claimed; repeated, that is one growing row."""
        with self._connection.transaction() as connection:
            self._check_epoch(shipper.epoch(connection), epoch)
            if not attempts.opened(connection):  # one that could not be settled is found as the newest
                attempts.add_unreachable(connection, lane, epoch, failure.cause, failure.now)
            lanes.fail(connection, lane, failure)


def _settle_open(connection: sqlite3.Connection, now: float, settled_at: Due) -> None:
    """Settle attempts that nobody else will: their process died, or their call was cut off."""
    for carried in attempts.opened(connection):
        failures = lanes.standing(connection, carried.lane).failures
        abandoned = Settlement(
            outcome=AttemptOutcome.UNKNOWN, words=_ABANDONED, now=now, settle=settled_at, failures=failures
        )
        settle(connection, carried, abandoned)


def _again_upto(facts: Facts, size: ClaimSize) -> int:
    """Return the last number that may be sent again: above the cursor it would overtake pending ones below it."""
    return facts.cursor if size.again_upto is None else min(facts.cursor, size.again_upto)


def _pack(
    rows: Iterator[Row] | sqlite3.Cursor,
    lane: Lane,
    facts: Facts,
    size: ClaimSize,
    shipping: Shipping,
    *,
    fold: bool,
) -> Packed | None:
    return pack(
        rows,
        lane=lane,
        token=facts.token or "",
        most_updates=size.updates,
        most_bytes=size.bytes,
        now=shipping.now,
        most_entries=size.entries,
        fold=fold,
        counting=shipping.counting,
    )


def _open(
    connection: sqlite3.Connection, lane: Lane, shipping: Shipping, packed: Packed, *, picked: bool
) -> Claim:
    if not all(map(lt, packed.numbers, packed.numbers[1:])):  # a claim settles whole only in its order
        raise JournalDamaged(f"its rows are out of order, near entry {packed.numbers[0]:,}")
    claim = Claim(
        attempt=0,
        epoch=shipping.epoch,
        lane=lane,
        numbers=packed.numbers,
        picked=picked,
        body=packed.body,
        updates=packed.updates,
        route=packed.route,
        counted=None if shipping.counting is None else shipping.counting.kept,
    )
    digest = hashlib.sha256(packed.body).hexdigest()[:16]
    attempt = attempts.insert(connection, claim.carried, len(packed.body), digest, shipping.now)
    return replace(claim, attempt=attempt)


class _Fresh:
    """The pending entries of a lane above its cursor, without those of profiles that wait."""

    def __init__(self, connection: sqlite3.Connection, lane: Lane, facts: Facts, upto: int | None) -> None:
        self._connection = connection
        self._lane = lane
        self._facts = facts
        self._upto = upto
        self._passed: list[int] = []
        self.ended = False
        """True once all rows were read: no limit of the claim cut them."""

    def rows(self) -> Generator[Row, None, None]:
        upto = _NO_LIMIT if self._upto is None else self._upto
        waits, again = bool(self._facts.waits), bool(self._facts.unanswered)
        cursor = entries.pending(
            self._connection, self._lane, self._facts.cursor, upto, beside_waits=waits, beside_again=again
        )
        with contextlib.closing(cursor) as found:
            if not waits and not again:
                yield from found
            elif not (yield from self._beside_waits(found)):
                return
        self.ended = True

    def _beside_waits(self, found: sqlite3.Cursor) -> Generator[Row, None, bool]:
        most = self._most_passed()
        for seq, message, _, waiting in found:
            if not waiting:
                yield seq, message
            elif len(self._passed) < most:
                self._passed.append(seq)
            else:
                return False
        return True

    def _most_passed(self) -> int:
        waiting = accounts.read(self._connection, State.WAITING)
        if waiting >= _MOST_PASSED and doubt.any_settling(self._connection, self._lane):
            return 0
        return _MOST_PASSED_AT_ONCE

    def pass_waiting(self, packed: Packed | None) -> bool:
        """Make entries that were passed wait with their profile; return True if there were any."""
        last = packed.numbers[-1] if packed is not None else _NO_LIMIT
        passed = [seq for seq in self._passed if seq < last]
        if not passed:
            return False
        entries.move(self._connection, passed, State.PENDING, State.WAITING)
        if packed is None:
            lanes.move_cursor(self._connection, self._lane, passed[-1])
        return True
