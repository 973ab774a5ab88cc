"""The loop: claim, send, settle. It has no rule of its own; the rules are in batches.py and verdicts.py."""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from recorder.entries import LaneStatus, Outcome, ShipReport, StoppedBy
from recorder.errors import JournalError
from recorder.journal import Claim, Journal, Settlement
from recorder.locks import ship_lock
from recorder.operations import MAX_UPDATE_BYTES, Lane
from recorder.reader import JournalReader
from recorder.transport import Transport
from recorder.verdicts import Verdict, backoff, judge

__all__ = ["Shipper", "ShippingPolicy"]

log = logging.getLogger("restante")

MOST_UPDATES = 2_000  # the service's documented limit of a request

_LOOK = 1.0  # seconds between looks for what other processes recorded
_BUSY_AGAIN = 5.0  # seconds before the lock is tried again: a take-over takes at most 10

_STOPS: dict[Outcome, StoppedBy] = {
    Outcome.OFFLINE: "offline",
    Outcome.PAUSED: "paused",
    Outcome.REFUSED: "paused",
    Outcome.WAIT: "waiting",
    Outcome.UNKNOWN: "waiting",
}
# Of several lanes that stopped, the report names the one a person should hear of first.
_URGENCY: tuple[StoppedBy, ...] = ("offline", "paused", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingPolicy:
    """How entries are sent.

    Attributes:
        batch_updates: Updates in a request, from 1 to 2,000, which is the service's limit.
        batch_bytes: Bytes in a request; an update that fills it alone travels alone.

    >>> ShippingPolicy(batch_updates=50).batch_updates
    50
    """

    batch_updates: int = 200
    batch_bytes: int = MAX_UPDATE_BYTES

    def __post_init__(self) -> None:
        if not 1 <= self.batch_updates <= MOST_UPDATES:
            raise ValueError(f"batch_updates is from 1 to {MOST_UPDATES:,}, not {self.batch_updates!r}")
        if self.batch_bytes < 1:
            raise ValueError(f"batch_bytes is at least 1, not {self.batch_bytes!r}")


class Shipper:
    """Sends a journal's entries in order, one request at a time.

    One shipper ships at a time, in all processes; threads may share one. Entries are sent lane by lane in
    turn, each lane in the order of recording. Until a lane's request is accepted, nothing after it is sent.

    Args:
        journal: Where the entries are.
        transport: Where they go.
        policy: How large requests may be.
        on_event: Called by `run`, from its thread, with a `ShipReport` whenever something was sent or its end
            changed, and with a `LaneStatus` when a lane is paused. What it raises is logged.
        clock: Seconds since the epoch.
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
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._journal = journal
        self._transport = transport
        self._policy = policy or ShippingPolicy()
        self._on_event = on_event
        self._clock = clock
        self._chance = chance
        self._lock = ship_lock(journal.path)
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self._calls: set[_Call] = set()
        self._door = threading.Lock()
        self._holds = 0  # threads of this process that are in: `run`, and callers of `ship`
        self._epoch = 0
        # By lane, in monotonic seconds: the end of the back-off, and what the service asked for.
        self._backoff_until: dict[Lane, float] = {}
        self._asked_until: dict[Lane, float] = {}
        self._last_state: dict[Lane, Outcome] = {}

    def ship(
        self,
        timeout: float | None = None,
        *,
        limit: int | None = None,
        progress: Callable[[ShipReport], None] | None = None,
    ) -> ShipReport:
        """Send all that may go now; does not sleep.

        A back-off standing from before is skipped, what the service asked for with Retry-After never. The
        first failure ends its lane for this call.

        Args:
            timeout: Seconds in all; None for no limit. No request begins after it; one that is under way then
                goes on behind the scenes, and is settled when it is answered.
            limit: At most so many entries.
            progress: Called with the report so far after every request, from a thread of the shipper's.

        Raises:
            JournalError: The journal cannot be read or written.
            ValueError: The limit is less than 1.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit is at least 1, not {limit!r}")
        call = _Call(None if timeout is None else time.monotonic() + timeout, limit, progress)
        # In a thread of its own: a call that is out of time, or interrupted (Ctrl-C), returns at once, and the
        # request that is under way is still answered and settled. Cutting it off would leave it in doubt.
        worker = threading.Thread(target=self._answer, args=(call,), name="restante-call", daemon=True)
        self._calls.add(call)
        worker.start()
        try:
            call.ended.wait(timeout)  # not join(): until Python 3.13 an interrupted one forgets its thread
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
        deadline = time.monotonic() + timeout
        for call in list(self._calls):
            call.ended.wait(max(0.0, deadline - time.monotonic()))

    def _answer(self, call: "_Call") -> None:
        try:
            call.report = self._ship(call)
        except BaseException as error:  # noqa: BLE001  # it is raised where the call was made
            call.error = error
        finally:
            self._calls.discard(call)
            call.ended.set()

    def _ship(self, call: "_Call") -> ShipReport:
        left = -1.0 if call.deadline is None else max(call.deadline - time.monotonic(), 0.0)
        if not self._turn.acquire(timeout=left):
            return self._report(stopped_by="timeout", message="a request was still under way")
        try:
            if self._nothing_unsent():
                return ShipReport()
            if not self._enter():
                return self._report(stopped_by="busy", message="another process ships this journal")
            try:
                self._backoff_until.clear()
                return self._drain(call)
            finally:
                self._leave()
        finally:
            self._turn.release()

    def _overtime(self, call: "_Call") -> ShipReport:
        """The report of a call whose time was up in the middle of something; read without waiting for it."""
        with JournalReader(self._journal.path) as reader:
            counts = reader.counts()
        return ShipReport(
            shipped=call.drain.shipped,
            in_doubt=call.drain.in_doubt,
            requests=call.drain.requests,
            pending=counts.to_send,
            stopped_by="timeout",
            message=call.drain.message or "the time given was up; a request is still under way",
        )

    def run(self, stop: threading.Event) -> None:
        """Ship whatever is recorded, and wait in between, until `stop` is set.

        Whoever sets it may call `wake`, so that it is seen at once rather than within a second.
        """
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
                    report = ShipReport() if self._nothing_unsent() else self._drain(_Call(stop=stop))
                if report.requests or said is None or report.stopped_by != said.stopped_by:
                    self._tell(report)
                    said = report
                if report.stopped_by == "done":
                    self._wake.wait(_LOOK)
                    self._wake.clear()
                else:
                    stop.wait(_LOOK)  # backing off: recording more is no reason to look again
        finally:
            self._leave()

    def _nothing_unsent(self) -> bool:
        return self._journal.statistics(self._clock()).unsent == 0

    def _enter(self) -> bool:
        """Become the one shipper; False where another process, or another Shipper, is."""
        from filelock import Timeout

        with self._door:
            if self._holds == 0:
                try:
                    self._lock.acquire(timeout=0)
                except Timeout:
                    return False
                except OSError as error:
                    raise JournalError(
                        f"{self._lock.lock_file} cannot be locked: {error.strerror}"
                    ) from error
                try:
                    self._epoch = self._journal.take_over(self._clock())
                except BaseException:
                    self._lock.release()
                    raise
            self._holds += 1
        return True

    def _leave(self) -> None:
        with self._door:
            self._holds -= 1
            if self._holds == 0:
                try:
                    self._journal.hand_over(self._epoch, self._clock())
                finally:
                    self._lock.release()

    # --- a drain: requests of all lanes in turn, until nothing may go

    def _drain(self, call: "_Call") -> ShipReport:
        drain = call.drain
        turns = deque(lane for lane in Lane if not self._held_back(lane, drain))
        while turns and not drain.over and not call.stop.is_set():
            if drain.left == 0:
                drain.end("waiting", f"the limit of {call.limit:,} entries was reached")
            elif call.out_of_time:
                drain.end("timeout", "the time given was up")
            elif self._step(lane := turns.popleft(), drain):
                turns.append(lane)
                if call.progress is not None:
                    call.progress(self._report(drain))
        return self._report(drain)

    def _held_back(self, lane: Lane, drain: "_Drain") -> bool:
        """Whether a lane's back-off still stands."""
        until = max(self._backoff_until.get(lane, 0.0), self._asked_until.get(lane, 0.0))
        wait = until - time.monotonic()
        if wait <= 0:
            return False
        drain.stopped(
            _STOPS.get(self._last_state.get(lane, Outcome.WAIT), "waiting"), "", self._clock() + wait
        )
        return True

    def _step(self, lane: Lane, drain: "_Drain") -> bool:
        """One request of a lane; False when the lane is done with for this drain."""
        updates = (
            self._policy.batch_updates if drain.left is None else min(drain.left, self._policy.batch_updates)
        )
        claim = self._journal.claim(
            lane,
            epoch=self._epoch,
            most_updates=updates,
            most_bytes=self._policy.batch_bytes,
            now=self._clock(),
        )
        if claim is None:
            return False
        try:
            verdict = judge(self._transport.send(lane, claim.body))
        except BaseException:  # a transport that raises: nobody knows what became of the request
            unknown = Settlement(Outcome.UNKNOWN, None, "given up before the answer", self._clock())
            self._journal.settle(claim, unknown)
            raise
        drain.requests += 1
        if verdict.outcome is Outcome.SHIPPED:
            return self._succeed(claim, verdict, drain)
        self._fail(claim, verdict, drain)
        return False

    def _succeed(self, claim: Claim, verdict: Verdict, drain: "_Drain") -> bool:
        settlement = Settlement(Outcome.SHIPPED, verdict.status, verdict.words, self._clock())
        if not self._journal.settle(claim, settlement):
            drain.end("busy", "another process took over")
            return False
        drain.count_shipped(len(claim.numbers))
        self._note(claim.lane, Outcome.SHIPPED, "")
        return True

    def _fail(self, claim: Claim, verdict: Verdict, drain: "_Drain") -> None:
        failures = self._journal.failures(claim.lane) + 1
        wait = backoff(failures, self._chance(), verdict.retry_after)
        now = self._clock()
        settlement = Settlement(verdict.outcome, verdict.status, verdict.words, now, now + wait, failures)
        if not self._journal.settle(claim, settlement):
            drain.end("busy", "another process took over")
            return
        self._backoff_until[claim.lane] = time.monotonic() + wait
        if verdict.retry_after:
            self._asked_until[claim.lane] = time.monotonic() + verdict.retry_after
        if verdict.outcome is Outcome.UNKNOWN:
            drain.in_doubt += len(claim.numbers)
        drain.stopped(_STOPS[verdict.outcome], verdict.words, now + wait)
        if verdict.outcome is Outcome.OFFLINE:
            drain.end("offline", verdict.words)  # the other lanes go to the same host
        if self._note(claim.lane, verdict.outcome, verdict.words) and verdict.outcome is Outcome.PAUSED:
            self._tell(
                LaneStatus(
                    lane=claim.lane,
                    outcome=verdict.outcome,
                    cause=verdict.words,
                    since=now,
                    failures=failures,
                    retry_at=now + wait,
                )
            )

    def _report(
        self, drain: "_Drain | None" = None, *, stopped_by: StoppedBy | None = None, message: str = ""
    ) -> ShipReport:
        drain = drain or _Drain(left=None)
        statistics = self._journal.statistics(self._clock())
        report = ShipReport(
            shipped=drain.shipped,
            in_doubt=drain.in_doubt,
            requests=drain.requests,
            pending=statistics.to_send,
            message=drain.message,
            retry_at=drain.retry_at,
            stopped_by=drain.ended or drain.worst or "done",
        )
        if not statistics.unsent and report.stopped_by in {"waiting", "timeout"}:
            return replace(report, stopped_by="done", message="")  # the limit, or the time, was just enough
        return replace(report, stopped_by=stopped_by, message=message) if stopped_by else report

    # --- telling

    def _note(self, lane: Lane, outcome: Outcome, words: str) -> bool:
        """One line in the log for each change of a lane's state; whether it changed."""
        if self._last_state.get(lane, Outcome.SHIPPED) == outcome:
            self._last_state[lane] = outcome
            return False
        self._last_state[lane] = outcome
        if outcome is Outcome.SHIPPED:
            log.info("shipping %s: going through again", lane)
        else:
            log.warning("shipping %s: %s (%s)", lane, outcome, words)
        return True

    def _tell(self, event: object) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            log.exception("on_event raised; shipping goes on")


@dataclass(slots=True, eq=False)
class _Call:
    """One call of `ship`, or one round of `run`: what it may do, and what came of it."""

    deadline: float | None = None
    limit: int | None = None
    progress: Callable[[ShipReport], None] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    report: ShipReport | None = None
    error: BaseException | None = None
    drain: "_Drain" = field(init=False)

    def __post_init__(self) -> None:
        self.drain = _Drain(left=self.limit)

    @property
    def out_of_time(self) -> bool:
        """Whether no further request may begin."""
        return self.deadline is not None and time.monotonic() >= self.deadline


@dataclass(slots=True)
class _Drain:
    """What a drain has done so far."""

    left: int | None
    shipped: int = 0
    in_doubt: int = 0
    requests: int = 0
    ended: StoppedBy | None = None
    worst: StoppedBy | None = None
    message: str = ""
    retry_at: float | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more goes in this drain."""
        return self.ended is not None

    def count_shipped(self, entries: int) -> None:
        self.shipped += entries
        if self.left is not None:
            self.left -= entries

    def stopped(self, by: StoppedBy, message: str, retry_at: float) -> None:
        """A lane stopped; the most urgent one is what the report names."""
        if self.worst is None or _URGENCY.index(by) < _URGENCY.index(self.worst):
            self.worst, self.message = by, message
        self.retry_at = retry_at if self.retry_at is None else min(self.retry_at, retry_at)

    def end(self, by: StoppedBy, message: str) -> None:
        """Nothing more goes in this drain, in any lane."""
        self.ended, self.message = by, self.message or message
