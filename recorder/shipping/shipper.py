"""The loop: claim, send, settle. It has no rule of its own; the rules are in batches.py, hazards.py, verdicts.py."""

import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from recorder.journal.ballast import Ballast
from recorder.journal.claims import Claim, Limits, Overtaken
from recorder.journal.journal import Journal
from recorder.journal.locks import ShipLock
from recorder.journal.settle import WELL, Settled, Settlement, Standing
from recorder.journal.uptime import Due, Uptime, uptime
from recorder.model.entries import AttemptOutcome
from recorder.model.errors import JournalFull
from recorder.model.operations import Lane
from recorder.model.policy import ShippingPolicy
from recorder.model.reports import Entry, LaneStatus, ShipReport, StoppedBy
from recorder.reading.reader import JournalReader
from recorder.shipping.drain import Call, Drain, Halves, Pace
from recorder.shipping.logs import log
from recorder.shipping.transport import Transport
from recorder.shipping.verdicts import Answer, Verdict, backoff, judge

__all__ = ["Shipper"]

Written = TypeVar("Written")

_LOOK = 1.0  # seconds between looks for what other processes recorded
_STEPS_IN_BETWEEN = 5  # transactions of pruning, of some 20 ms each
_STEPS_OF_A_CALL = 25
_BUSY_AGAIN = 5.0  # seconds before the lock is tried again: a take-over takes at most 10

_STOPS: dict[AttemptOutcome, StoppedBy] = {
    AttemptOutcome.OFFLINE: "offline",
    AttemptOutcome.PAUSED: "paused",
    AttemptOutcome.WAIT: "waiting",
    AttemptOutcome.UNKNOWN: "waiting",
}
_SETTLING = "what is in doubt may still arrive; its profiles wait"
_OVERTAKEN = "another process took over"


class Shipper:
    """Sends a journal's entries in order, one request at a time.

    One shipper ships at a time, in all processes; threads may share one. Entries are sent lane by lane in
    turn, each lane in the order of recording.

    Args:
        journal: Where the entries are.
        transport: Where they go.
        policy: Sizes, pace, and what becomes of entries in doubt.
        on_event: Called by `run`, from its thread, with a `ShipReport` whenever something was sent or its end
            changed; from whichever thread ships, with an `Entry` that was rejected, and with a `LaneStatus`
            when a lane is paused. It may ship in its turn. What it raises is logged.
        clock: Seconds since the epoch, for what people read.
        uptime: Seconds since the boot, for waits; no change of the clock moves them.
        chance: A random number from 0 to 1, for the jitter of the back-off.
    """

    def __init__(
        self,
        journal: Journal,
        transport: Transport,
        policy: ShippingPolicy | None = None,
        *,
        on_event: Callable[[Any], None] | None = None,
        clock: Callable[[], float] = time.time,
        uptime: Callable[[], Uptime] = uptime,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._journal = journal
        self._claims = journal.claims
        self._housekeeping = journal.housekeeping
        self._transport = transport
        self._policy = policy or ShippingPolicy()
        self._on_event = on_event
        self._clock = clock
        self._uptime = uptime
        self._chance = chance
        self._begin()

    def _begin(self) -> None:
        """What belongs to one process: a forked child ships for itself, or not at all."""
        self._process = os.getpid()
        self._lock = ShipLock(self._journal.path)
        self._ballast = Ballast(self._journal.path)
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self._calls: set[Call] = set()
        self._door = threading.Lock()
        self._holds = 0  # threads of this process that are in: `run`, and callers of `ship`
        self._epoch = 0
        self._halves = Halves()
        self._unsettled: tuple[Claim, Settlement] | None = None
        self._pace = Pace(self._policy.updates_per_second)
        self._last_state: dict[Lane, AttemptOutcome] = {}

    def ship(
        self,
        timeout: float | None = None,
        *,
        limit: int | None = None,
        progress: Callable[[ShipReport], None] | None = None,
        stop: threading.Event | None = None,
    ) -> ShipReport:
        """Send all that may go now; does not sleep, but to keep the policy's pace.

        A back-off standing from before is skipped, what the service asked for with Retry-After never. The
        first failure ends its lane for this call.

        Args:
            timeout: Seconds in all; None for no limit. No request begins after it; one that is under way then
                goes on behind the scenes, and is settled when it is answered.
            limit: At most so many entries.
            progress: Called with the report so far after every request, from a thread of the shipper's.
            stop: Set by another thread: no further request begins, and the call returns once the one under way is
                answered. A call that is interrupted, or out of time, sets it, too.

        Raises:
            JournalError: The journal cannot be read or written.
            ValueError: The limit is less than 1.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit is at least 1, not {limit!r}")
        if self._process != os.getpid():
            self._begin()
        deadline = None if timeout is None else time.monotonic() + timeout
        call = Call(
            explicit=True, deadline=deadline, limit=limit, progress=progress, stop=stop or threading.Event()
        )
        # In a thread of its own: a call that is out of time, or interrupted (Ctrl-C), returns at once, and the
        # request that is under way is still answered and settled. Cutting it off would leave it in doubt.
        worker = threading.Thread(target=self._answer, args=(call,), name="restante-call", daemon=True)
        self._calls.add(call)
        try:
            worker.start()
            call.ended.wait(timeout)  # not join(): until Python 3.13 an interrupted one forgets its thread
        except RuntimeError:  # no thread starts: so Python 3.12.0 to 3.12.2 as the interpreter ends
            self._answer(call)
        except BaseException:
            call.stop.set()
            raise
        if call.error is not None:
            raise call.error
        if call.report is not None:
            return call.report
        call.stop.set()
        return self._overtime(call)

    def wait(self, timeout: float) -> None:
        """Let calls of `ship` that ran out of time settle their last request; `timeout` in seconds."""
        if self._process != os.getpid():
            return  # they are the parent's
        deadline = time.monotonic() + timeout
        for call in list(self._calls):
            call.ended.wait(max(0.0, deadline - time.monotonic()))

    def _answer(self, call: Call) -> None:
        try:
            call.report = self._ship(call)
        except BaseException as error:  # noqa: BLE001  # it is raised where the call was made
            call.error = error
        finally:
            self._calls.discard(call)
            call.ended.set()

    def _ship(self, call: Call) -> ShipReport:
        left = -1.0 if call.deadline is None else max(call.deadline - time.monotonic(), 0.0)
        if not self._turn.acquire(timeout=left):
            return self._report(stopped_by="timeout", message="a request was still under way")
        try:
            if self._nothing_unsent():
                return ShipReport()
            if not self._enter():
                return self._report(stopped_by="busy", message="another process ships this journal")
            try:
                report = self._drain(call)
                if not (call.out_of_time or call.stop.is_set()):
                    self._keep_house(_STEPS_OF_A_CALL)
                return report
            finally:
                self._leave()
        finally:
            self._turn.release()

    def _overtime(self, call: Call) -> ShipReport:
        """The report of a call whose time was up in the middle of something; read without waiting for it."""
        with JournalReader(self._journal.path) as reader:
            counts = reader.counts()
        return ShipReport(
            shipped=call.drain.shipped,
            rejected=call.drain.rejected,
            in_doubt=call.drain.in_doubt,
            requests=call.drain.requests,
            pending=counts.to_send,
            stopped_by="timeout",
            message=call.drain.message or "the time given was up; a request is still under way",
        )

    def run(self, stop: threading.Event) -> None:
        """Ship whatever is recorded, and wait in between, until `stop` is set.

        Whoever sets it may call `wake`, so that it is seen at once rather than within a second. Where another
        process ships, this one takes over within 10 s of its end.
        """
        if self._process != os.getpid():
            self._begin()
        while not stop.is_set():
            try:
                self._run(stop)
            except Exception as error:  # noqa: BLE001  # whatever it was, entries recorded later are to go
                if not stop.is_set():
                    log.warning("shipping: %s: %s", type(error).__name__, error)
                    self._tell(error)
                    stop.wait(_BUSY_AGAIN)

    def wake(self) -> None:
        """Let `run` look at once: something was recorded, or it is to stop."""
        self._wake.set()

    def _run(self, stop: threading.Event) -> None:
        if not self._enter():
            stop.wait(_BUSY_AGAIN)
            return
        try:
            said: ShipReport | None = None
            while not stop.is_set():
                with self._turn:
                    report = ShipReport() if self._nothing_unsent() else self._drain(Call(stop=stop))
                    more = self._keep_house(_STEPS_IN_BETWEEN)
                if report.requests or said is None or report.stopped_by != said.stopped_by:
                    self._tell(report)
                    said = report
                if report.stopped_by == "busy":
                    return  # somebody took over, lock or no lock
                if more:
                    continue
                self._housekeeping.rest(self._uptime().seconds)
                if report.stopped_by == "done":
                    self._wake.wait(_LOOK)
                    self._wake.clear()
                else:
                    stop.wait(_LOOK)  # backing off: recording more is no reason to look again
        finally:
            self._leave()

    def _in_its_room(self, write: Callable[[], Written]) -> Written:
        """Write, where the disk is full in the room of the ballast."""
        try:
            return write()
        except JournalFull:
            if not self._ballast.give_up():
                raise
            log.warning("the disk is full: recording is refused, what was sent is still settled")
            return write()

    def _keep_house(self, steps: int) -> bool:
        """Prune a little, where that is due; whether more of it is. What it fails of keeps nothing from being sent."""
        try:
            self._ballast.make()
            return self._housekeeping.keep(self._clock(), self._uptime().seconds, steps=steps)
        except Exception as error:  # noqa: BLE001  # a fold is another's code
            log.warning("pruning: %s: %s", type(error).__name__, error)
            return False

    def _nothing_unsent(self) -> bool:
        return self._journal.statistics(self._clock()).unsent == 0

    def _enter(self) -> bool:
        """Become the one shipper; False where another process, or another Shipper, is."""
        with self._door:
            if self._holds == 0:
                if not self._lock.acquire():
                    return False
                try:
                    self._ballast.make()
                    self._epoch = self._in_its_room(
                        lambda: self._claims.take_over(
                            self._clock(), self._uptime(), service=self._service(), policy=self._policy
                        )
                    )
                except BaseException:
                    self._lock.release()
                    raise
                self._halves = Halves()
            self._holds += 1
        return True

    def _service(self) -> str:
        """Where this shipper sends to, as far as its transport says."""
        return str(getattr(self._transport, "base", ""))

    def _leave(self) -> None:
        with self._door:
            self._holds -= 1
            if self._holds == 0:
                try:
                    self._in_its_room(lambda: self._claims.hand_over(self._epoch, self._clock()))
                finally:
                    self._lock.release()

    # --- a drain: requests of all lanes in turn, until nothing may go

    def _drain(self, call: Call) -> ShipReport:
        drain = call.drain
        turns = deque(lane for lane in Lane if self._may_go(lane, call))
        while turns and not drain.over and not call.stop.is_set():
            if drain.left == 0:
                drain.end("waiting", f"the limit of {call.limit:,} entries was reached")
            elif call.out_of_time:
                drain.end("timeout", "the time given was up")
            elif ahead := self._pace.ahead():
                call.pause(ahead)
            elif self._step(lane := turns.popleft(), call, alone=not turns):
                turns.append(lane)
                if call.progress is not None:
                    call.progress(self._report(drain))
            if drain.events:
                self._tell_events(drain)
        if turns and not drain.over:
            drain.end("timeout", "it was asked to stop")
        return self._report(drain)

    def _may_go(self, lane: Lane, call: Call) -> bool:
        """Whether no back-off of a lane stands, nor what the service asked for."""
        standing, now = self._claims.standing(lane), self._uptime()
        wait = standing.asked.left(now)
        if not call.explicit:
            wait = max(wait, standing.backoff.left(now))
        if wait <= 0:
            return True
        stop = _STOPS.get(standing.outcome or AttemptOutcome.WAIT, "waiting")
        call.drain.stopped(stop, standing.cause, self._clock() + wait)
        return False

    def _step(self, lane: Lane, call: Call, *, alone: bool) -> bool:
        """One request of a lane, or several where it is alone; False when the lane is done with for this drain."""
        self._settle_again()
        drain, standing = call.drain, self._claims.standing(lane)
        try:
            if standing.outcome is AttemptOutcome.OFFLINE and not self._reaches(lane, standing, drain):
                return False
            claim = self._claim(lane, drain)
            if claim is None:
                return self._halves.forget(lane)
            goes_on, following = self._send(claim, standing, call, alone=alone)
            while following is not None:
                goes_on, following = self._send(following, WELL, call, alone=alone)
        except Overtaken:
            drain.end("busy", _OVERTAKEN)
            return False
        return goes_on

    def _reaches(self, lane: Lane, standing: Standing, drain: Drain) -> bool:
        """Offline: the connection first, so that an outage claims nothing and writes next to nothing."""
        cause = self._transport.reach(lane)
        if cause is None:
            return True
        verdict = judge(Answer(left=False, url=self._service(), error=cause))
        settlement = self._settlement(verdict, standing)
        self._in_its_room(lambda: self._claims.unreachable(lane, self._epoch, settlement))
        self._stop(lane, settlement, drain)
        return False

    def _limits(self, lane: Lane, left: int | None) -> Limits:
        return Limits(
            updates=self._pace.most(self._policy.batch_updates),
            bytes=self._policy.batch_bytes,
            fresh_upto=self._halves.end(lane, picked=False),
            again_upto=self._halves.end(lane, picked=True),
            entries=left,
            fold=self._policy.fold,
        )

    def _claim(self, lane: Lane, drain: Drain) -> Claim | None:
        return self._in_its_room(
            lambda: self._claims.claim(
                lane,
                self._limits(lane, drain.left),
                epoch=self._epoch,
                now=self._clock(),
                uptime=self._uptime(),
                policy=self._policy,
            )
        )

    def _send(
        self, claim: Claim, standing: Standing, call: Call, *, alone: bool
    ) -> tuple[bool, Claim | None]:
        """Send a claim and settle it; whether its lane goes on, and its next claim where that was written down, too."""
        drain = call.drain
        try:
            verdict = judge(self._transport.send(claim.lane, claim.body))
        except BaseException:  # a transport that raises: nobody knows what became of the request
            verdict = Verdict(outcome=AttemptOutcome.UNKNOWN, words="given up before the answer", status=None)
            self._claims.settle(claim, self._settlement(verdict, standing))
            raise
        drain.requests += 1
        self._pace.sent(claim.updates)
        settlement = self._settlement(verdict, standing)
        self._unsettled = claim, settlement
        at_once = (
            alone and settlement.outcome is AttemptOutcome.SHIPPED and self._nothing_between(claim, call)
        )
        settled, following = self._settle(claim, settlement, drain, at_once=at_once)
        self._unsettled = None
        if settled is None:
            drain.end("busy", _OVERTAKEN)
            return False, None
        return self._go_on(claim, settlement, settled, drain), following

    def _nothing_between(self, claim: Claim, call: Call) -> bool:
        """Whether nothing is to be done or looked at between an accepted request and its lane's next one."""
        left = call.drain.left
        return not (
            call.progress is not None  # it may set `stop`
            or call.stop.is_set()
            or call.out_of_time
            or self._pace.ahead()
            or self._halves.any(claim.lane)
            or (left is not None and left <= len(claim.numbers))
        )

    def _settle(
        self, claim: Claim, settlement: Settlement, drain: Drain, *, at_once: bool
    ) -> tuple[Settled | None, Claim | None]:
        """Write down what came of a claim; with the lane's next one in the same transaction, where that may be."""
        if at_once:
            left = None if drain.left is None else drain.left - len(claim.numbers)
            try:
                return self._claims.settle_and_claim(
                    claim,
                    settlement,
                    self._limits(claim.lane, left),
                    uptime=self._uptime(),
                    policy=self._policy,
                )
            except Exception as error:  # noqa: BLE001  # what keeps the next from being claimed is met when it is
                log.debug("shipping: settled by itself: %s: %s", type(error).__name__, error)
        return self._in_its_room(lambda: self._claims.settle(claim, settlement)), None

    def _settle_again(self) -> None:
        """What came of a request and could not be written down, on a full disk: before it is settled as unknown.

        Where it was already, by taking over anew, what was accepted is settled all the same.
        """
        if self._unsettled is not None:
            claim, settlement = self._unsettled
            self._in_its_room(lambda: self._claims.settle(claim, settlement))
            self._unsettled = None

    def _go_on(self, claim: Claim, settlement: Settlement, settled: Settled, drain: Drain) -> bool:
        """What a settled request means for the drain; False when its lane is done with for this drain."""
        match settlement.outcome:
            case AttemptOutcome.SHIPPED:
                self._halves.passed(claim)
                drain.count_shipped(len(claim.numbers))
                self._note(claim.lane, AttemptOutcome.SHIPPED, "")
                return True
            case AttemptOutcome.REFUSED if settled.paused:
                self._halves.forget(claim.lane)
                drain.rejected = max(0, drain.rejected - settled.taken_back)
                settlement = replace(settlement, outcome=AttemptOutcome.PAUSED)
            case AttemptOutcome.REFUSED if settled.rejected is not None:
                self._halves.passed(claim)
                drain.count_rejected()
                log.warning("shipping: the service rejected entry %d", settled.rejected)
                drain.events.append(settled.rejected)
                return True
            case AttemptOutcome.REFUSED:
                self._halves.split(claim)
                return True
            case AttemptOutcome.UNKNOWN:
                self._halves.passed(claim)
                drain.count_in_doubt(len(claim.numbers))
        self._stop(claim.lane, settlement, drain)
        return False

    def _settlement(self, verdict: Verdict, standing: Standing) -> Settlement:
        if verdict.outcome is AttemptOutcome.SHIPPED:
            return Settlement(
                outcome=verdict.outcome, status=verdict.status, words=verdict.words, now=self._clock()
            )
        now, failures = self._uptime(), standing.failures + 1
        return Settlement(
            outcome=verdict.outcome,
            status=verdict.status,
            words=verdict.words,
            now=self._clock(),
            failures=failures,
            backoff=Due.after(now, backoff(verdict.outcome, failures, self._chance())),
            asked=Due.after(now, verdict.retry_after or 0.0),
            settle=Due.after(now, self._policy.settle_after),
        )

    def _stop(self, lane: Lane, settlement: Settlement, drain: Drain) -> None:
        """A lane is done with for this drain, and says why."""
        outcome, words = settlement.outcome, settlement.words
        retry_at = settlement.now + max(settlement.backoff.span, settlement.asked.span)
        drain.stopped(_STOPS[outcome], words, retry_at)
        if outcome is AttemptOutcome.OFFLINE:
            drain.end("offline", words)  # the other lanes go to the same host
        if self._note(lane, outcome, words) and outcome is AttemptOutcome.PAUSED:
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

    def _report(
        self, drain: Drain | None = None, *, stopped_by: StoppedBy | None = None, message: str = ""
    ) -> ShipReport:
        drain = drain or Drain(left=None)
        statistics = self._journal.statistics(self._clock())
        report = ShipReport(
            shipped=drain.shipped,
            rejected=drain.rejected,
            in_doubt=drain.in_doubt,
            requests=drain.requests,
            pending=statistics.to_send,
            message=drain.message,
            retry_at=drain.retry_at,
            stopped_by=drain.ended or drain.worst or "done",
        )
        if stopped_by:
            return replace(report, stopped_by=stopped_by, message=message)
        if not statistics.unsent and report.stopped_by in {"waiting", "timeout"}:
            return replace(report, stopped_by="done", message="")  # the limit, or the time, was just enough
        settling = self._claims.settling(self._uptime()) if statistics.unsent else None
        if report.stopped_by == "done" and settling is not None:
            retry_at = self._clock() + settling
            return replace(report, stopped_by="waiting", message=_SETTLING, retry_at=retry_at)
        return report

    # --- telling

    def _note(self, lane: Lane, outcome: AttemptOutcome, words: str) -> bool:
        """One line in the log for each change of a lane's state; whether it changed."""
        if self._last_state.get(lane, AttemptOutcome.SHIPPED) == outcome:
            self._last_state[lane] = outcome
            return False
        self._last_state[lane] = outcome
        if outcome is AttemptOutcome.SHIPPED:
            log.info("shipping %s: going through again", lane)
        else:
            log.warning("shipping %s: %s (%s)", lane, outcome, words)
        return True

    def _tell_events(self, drain: Drain) -> None:
        """Between two requests, and out of turn: what it is told to may ship, which would wait for the turn."""
        events, drain.events = drain.events, []
        if self._on_event is None:
            return
        self._turn.release()
        try:
            for event in events:
                self._tell(self._entry(event) if isinstance(event, int) else event)
        finally:
            self._turn.acquire()

    def _entry(self, seq: int) -> Entry | None:
        with JournalReader(self._journal.path) as reader:
            return reader.entry(seq)

    def _tell(self, event: object) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001  # it is another's code, and it is logged
            log.exception("on_event raised; shipping goes on")
