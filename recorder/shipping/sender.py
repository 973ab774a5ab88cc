"""One request after another: claim, send, settle, and what each outcome means for its lane.

Policy lives elsewhere: `verdicts` reads answers, `hazards` decides about repetition, `packing` fills requests.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from recorder.journal import lanes
from recorder.journal.claims import Claim, Claims, ClaimSize, Overtaken, Shipping
from recorder.journal.lanes import Standing
from recorder.journal.settle import Settled, Settlement
from recorder.journal.suspects import Apart
from recorder.journal.uptime import Due, Uptime
from recorder.model.entries import AttemptOutcome
from recorder.model.operations import Lane
from recorder.model.policy import ShippingPolicy
from recorder.model.shipping import LaneStatus, StoppedBy
from recorder.shipping.drain import Call, Drain, Halves, Pace
from recorder.shipping.line import Line
from recorder.shipping.logs import log
from recorder.shipping.transport import Transport
from recorder.shipping.verdicts import Answer, Verdict, backoff, judge, own_backoff

__all__ = ["Sender"]

Written = TypeVar("Written")


class Write(Protocol):
    """Runs a write; on a full disk it frees the reserve file and tries once more."""

    def __call__(self, write: Callable[[], Written], /) -> Written: ...


_STOPS: dict[AttemptOutcome, StoppedBy] = {
    AttemptOutcome.OFFLINE: "offline",
    AttemptOutcome.PAUSED: "paused",
    AttemptOutcome.WAIT: "waiting",
    AttemptOutcome.UNKNOWN: "waiting",
}
_TOO_LARGE = 413
_OVERTAKEN = "another process took over"


class Sender:
    """Sends requests of the lanes of a journal, for the one shipper.

    Args:
        claims: The journal's API for shippers.
        transport: Where requests go.
        policy: Sizes and pace of requests, and what happens to entries in doubt.
        write: Runs each write; see `Write`.
        clock: Seconds since the epoch.
        uptime: The clock that nobody sets.
        chance: A random number from 0 to 1, for the jitter of the back-off.
    """

    def __init__(
        self,
        claims: Claims,
        transport: Transport,
        policy: ShippingPolicy,
        *,
        write: Write,
        clock: Callable[[], float],
        uptime: Callable[[], Uptime],
        chance: Callable[[], float],
    ) -> None:
        self._claims = claims
        self._transport = transport
        self._policy = policy
        self._write = write
        self._clock = clock
        self._uptime = uptime
        self._chance = chance
        self._epoch = 0
        self.pace = Pace(policy.updates_per_second)
        self._line = Line()
        self._halves = Halves()
        self._unsettled: tuple[Claim, Settlement] | None = None
        self._last_outcome: dict[Lane, AttemptOutcome] = {}

    @property
    def service(self) -> str:
        """The address requests go to, as far as the transport names one."""
        return str(getattr(self._transport, "base", ""))

    def take_over(self) -> None:
        """Become the shipper, in a new epoch; nothing is written if no other came since the last time."""
        self._halves = Halves()
        if self._epoch and self._claims.epoch() == self._epoch:
            return
        self._epoch = self._write(
            lambda: self._claims.take_over(
                self._clock(), self._uptime(), service=self.service, policy=self._policy
            )
        )

    def may_go(self, lane: Lane, call: Call) -> bool:
        """Return True if no back-off of a lane prevents its next request, nor a Retry-After of the service."""
        standing, now = call.drain.standings[lane], self._uptime()
        wait = 0.0 if call.now else standing.asked.left(now)
        if not call.explicit:
            wait = max(wait, standing.backoff.left(now))
        if wait <= 0:
            return True
        stop = _STOPS.get(standing.outcome or AttemptOutcome.WAIT, "waiting")
        call.drain.stopped(stop, standing.cause, self._clock() + wait)
        return False

    def step(self, lane: Lane, call: Call, *, alone: bool) -> bool:
        """Send a request of a lane; several if no other lane has its turn.

        Args:
            lane: Whose turn it is.
            call: The call of `ship`, or round of `run`, that this is part of.
            alone: No other lane has its turn.

        Returns:
            False if the lane is done for this drain.
        """
        self._settle_again()
        drain = call.drain
        try:
            if drain.standings[lane].outcome is AttemptOutcome.OFFLINE and not self._reaches(lane, drain):
                return False
            claim = self._claim(lane, drain)
            if claim is None:
                return self._halves.forget(lane)
            goes_on = True
            while goes_on and claim is not None:
                goes_on, claim = self._send(claim, call, alone=alone)
        except Overtaken:
            drain.end("busy", _OVERTAKEN)
            return False
        return goes_on

    def _reaches(self, lane: Lane, drain: Drain) -> bool:
        """While offline, open the connection first, so that an outage claims nothing and writes next to nothing."""
        cause = self._transport.reach(lane)
        if cause is None:
            return True
        verdict = judge(Answer(left=False, url=self.service, error=cause))
        settlement = self._settlement(verdict, drain.standings[lane], None)
        self._write(lambda: self._claims.unreachable(lane, self._epoch, settlement.failure()))
        self._stop(lane, settlement, drain)
        return False

    # --- claim

    def _size(self, lane: Lane, left: int | None) -> ClaimSize:
        return ClaimSize(
            updates=self.pace.most(min(self._policy.batch_updates, self._line.updates)),
            bytes=min(self._policy.batch_bytes, self._line.bytes),
            fresh_upto=self._halves.end(lane, picked=False),
            again_upto=self._halves.end(lane, picked=True),
            entries=left,
            fold=self._policy.fold,
        )

    def _shipping(self, drain: Drain) -> Shipping:
        return Shipping(self._epoch, self._clock(), self._uptime(), self._policy, drain.began, drain.upto)

    def _claim(self, lane: Lane, drain: Drain) -> Claim | None:
        return self._write(
            lambda: self._claims.claim(lane, self._size(lane, drain.left), self._shipping(drain))
        )

    # --- send and settle

    def _send(self, claim: Claim, call: Call, *, alone: bool) -> tuple[bool, Claim | None]:
        """Send a claim and settle it; return whether its lane goes on, and its next claim if that was made, too."""
        drain = call.drain
        standing = drain.standings[claim.lane]
        try:
            verdict = self._verdict(claim)
        except BaseException:  # a transport that raises: nobody knows the outcome of the request
            verdict = Verdict(outcome=AttemptOutcome.UNKNOWN, words="given up before the answer", status=None)
            self._claims.settle(claim, self._settlement(verdict, standing, claim.apart))
            raise
        drain.requests += 1
        self.pace.sent(claim.updates)
        settlement = replace(
            self._settlement(verdict, standing, claim.apart),
            rejected={claim.numbers[place]: words for place, words in verdict.failed.items()},
        )
        self._unsettled = claim, settlement
        accepted = settlement.outcome is AttemptOutcome.SHIPPED and not settlement.rejected
        if alone and accepted and self._claims_at_once(claim, call):
            settled, following, more = self._settle_and_claim(claim, settlement, drain)
        else:
            settled, following, more = self._settle(claim, settlement), None, True
        self._unsettled = None
        if settled is None:
            drain.end("busy", _OVERTAKEN)
            return False, None
        goes_on = self._go_on(claim, settlement, settled, drain)
        return goes_on and (more or following is not None), following

    def _verdict(self, claim: Claim) -> Verdict:
        """Send a claim, judge the answer, and note what that says of the line."""
        began = self._uptime().seconds
        verdict = judge(self._request(claim), updates=claim.updates)
        if verdict.outcome is AttemptOutcome.OFFLINE:
            self._line = Line()  # the one that comes back may be another
        elif verdict.outcome is AttemptOutcome.UNKNOWN or verdict.status == _TOO_LARGE:
            self._line.unanswered(len(claim.body))
        else:
            self._line.answered(claim.updates, len(claim.body), self._uptime().seconds - began)
        return verdict

    def _request(self, claim: Claim) -> Answer:
        """Send a claim; what has no route may be sent by a transport that knows none."""
        if claim.route is None:
            return self._transport.send(claim.lane, claim.body)
        return self._transport.send(claim.lane, claim.body, route=claim.route)

    def _claims_at_once(self, claim: Claim, call: Call) -> bool:
        """Return True if nothing is to be done between an accepted request and its lane's next one."""
        left = call.drain.left
        return not (
            call.progress is not None  # it may set `stop`
            or call.stop.is_set()
            or call.out_of_time
            or self.pace.ahead()
            or self._halves.any(claim.lane)
            or (left is not None and left <= len(claim.numbers))
        )

    def _settle_and_claim(
        self, claim: Claim, settlement: Settlement, drain: Drain
    ) -> tuple[Settled | None, Claim | None, bool]:
        """Settle a claim and make its lane's next one in one transaction; return whether there may be more after."""
        left = None if drain.left is None else drain.left - len(claim.numbers)
        size = self._size(claim.lane, left)
        try:
            return self._claims.settle_and_claim(claim, settlement, size, self._shipping(drain))
        except Exception as error:  # noqa: BLE001  # an error of the next claim is met when it is made by itself
            log.debug("shipping: settled without the next claim: %s: %s", type(error).__name__, error)
            return self._settle(claim, settlement), None, True

    def _settle(self, claim: Claim, settlement: Settlement) -> Settled | None:
        return self._write(lambda: self._claims.settle(claim, settlement))

    def _settle_again(self) -> None:
        """Settle a request that could not be settled on a full disk, before it is settled as unknown.

        If a new take-over did that already, an accepted request is settled all the same.
        """
        if self._unsettled is not None:
            self._settle(*self._unsettled)
            self._unsettled = None

    def _go_on(self, claim: Claim, settlement: Settlement, settled: Settled, drain: Drain) -> bool:
        """Note the outcome of a settled request; return False if its lane is done for this drain."""
        match settlement.outcome:
            case AttemptOutcome.SHIPPED:
                self._halves.passed(claim)
                drain.count_shipped(len(claim.numbers) - len(settled.rejected))
                self._note_rejected(settled, drain)
                self._log_change(claim.lane, AttemptOutcome.SHIPPED, "")
                drain.standings[claim.lane] = lanes.SHIPPED
                return True
            case AttemptOutcome.REFUSED if settled.paused:
                self._halves.forget(claim.lane)
                drain.rejected = max(0, drain.rejected - settled.taken_back)
                settlement = replace(settlement, outcome=AttemptOutcome.PAUSED)
            case AttemptOutcome.REFUSED:
                if settled.rejected:
                    self._halves.passed(claim)
                    self._note_rejected(settled, drain)
                else:
                    self._halves.split(claim)
                drain.standings[claim.lane] = lanes.SHIPPED  # it answers
                return True
            case AttemptOutcome.UNKNOWN:
                self._halves.passed(claim)
                drain.count_in_doubt(len(claim.numbers))
                if settlement.apart:
                    log.info("shipping %s: no answer to what was not answered before", claim.lane)
                    return True
        self._stop(claim.lane, settlement, drain)
        return False

    def _note_rejected(self, settled: Settled, drain: Drain) -> None:
        for seq in settled.rejected:
            log.warning("shipping: the service rejected entry %d", seq)
        drain.count_rejected(len(settled.rejected))
        drain.events += settled.rejected

    def _settlement(self, verdict: Verdict, standing: Standing, apart: Apart | None) -> Settlement:
        if verdict.outcome is AttemptOutcome.SHIPPED:
            return Settlement(
                outcome=verdict.outcome, status=verdict.status, words=verdict.words, now=self._clock()
            )
        now, failures = self._uptime(), standing.failures + 1
        patience = bool(verdict.retry_after) and apart is not None and apart.tries is None
        if patience or verdict.outcome is not AttemptOutcome.UNKNOWN:
            apart = None  # the lane waits
        if apart is None:
            wait = backoff(verdict.outcome, failures, self._chance())
        elif apart.tries is None:
            wait = 0.0
        else:  # what the service asks for is about this entry: it answers others
            wait = max(own_backoff(apart.tries + 1, self._chance()), verdict.retry_after or 0.0)
        return Settlement(
            outcome=verdict.outcome,
            status=verdict.status,
            words=verdict.words,
            now=self._clock(),
            failures=failures,
            backoff=Due.after(now, wait),
            asked=Due.after(now, verdict.retry_after or 0.0),
            settle=Due.after(now, self._policy.settle_after),
            apart=apart is not None,
        )

    def _stop(self, lane: Lane, settlement: Settlement, drain: Drain) -> None:
        """End a lane for this drain, and say why."""
        outcome, words = settlement.outcome, settlement.words
        retry_at = settlement.now + max(settlement.backoff.span, settlement.asked.span)
        drain.stopped(_STOPS[outcome], words, retry_at)
        if outcome is AttemptOutcome.OFFLINE:
            drain.end("offline", words)  # the other lanes go to the same host
        if self._log_change(lane, outcome, words) and outcome is AttemptOutcome.PAUSED:
            drain.events.append(
                LaneStatus(
                    lane=lane,
                    outcome=outcome,
                    cause=words,
                    since=settlement.now,
                    failures=settlement.failures,
                    retry_at=retry_at,
                )
            )

    def _log_change(self, lane: Lane, outcome: AttemptOutcome, words: str) -> bool:
        """Log one line if a lane's state changed; return True if it did."""
        before = self._last_outcome.get(lane, AttemptOutcome.SHIPPED)
        self._last_outcome[lane] = outcome
        if before == outcome:
            return False
        if outcome is AttemptOutcome.SHIPPED:
            log.info("shipping %s: going through again", lane)
        else:
            log.warning("shipping %s: %s (%s)", lane, outcome, words)
        return True
