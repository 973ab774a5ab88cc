"""The shipping loop: one shipper at a time, its threads and lock, and the turns of the lanes."""

import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from recorder.journal.forks import opening
from recorder.journal.journal import Journal
from recorder.journal.locks import ShipLock
from recorder.journal.reserve import ReserveFile
from recorder.journal.uptime import Uptime, now, uptime
from recorder.model.errors import JournalFull
from recorder.model.operations import Lane
from recorder.model.policy import ShippingPolicy
from recorder.model.shipping import ShipReport, StoppedBy
from recorder.shipping.drain import Call, Drain
from recorder.shipping.logs import log
from recorder.shipping.sender import Sender
from recorder.shipping.transport import Transport

if TYPE_CHECKING:
    from recorder.reading.reader import JournalReader

__all__ = ["Shipper"]

Written = TypeVar("Written")

_LOOK_INTERVAL = 1.0  # seconds between looks for entries of other processes
_LOCK_INTERVAL = 5.0  # seconds before the lock is tried again: a take-over takes at most 10
_STEPS_BETWEEN = 5  # transactions of pruning between two drains, of some 20 ms each
_STEPS_AFTER_CALL = 25

_UNANSWERED = "what is left is never answered; its profiles wait for their own next try"
_SETTLING = "what is in doubt may still arrive; its profiles wait"


class Shipper:
    """Sends a journal's entries in order, one request at a time.

    One shipper ships at a time, in all processes; threads may share one. Lanes take turns, and each is sent in the
    order of recording.

    Args:
        journal: Where the entries are.
        transport: Where they go.
        policy: Sizes and pace of requests, and what happens to entries in doubt.
        on_event: Called by `run`, from its thread, with a `ShipReport` whenever something was sent or the reason to
            stop changed; from whichever thread ships, with an `Entry` that was rejected, and with a `LaneStatus`
            when a lane is paused. It may ship, too. Exceptions it raises are logged.
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
        clock: Callable[[], float] = now,
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
        self._reset()

    def _reset(self) -> None:
        """Set up all that belongs to one process: a forked child ships for itself."""
        self._process = os.getpid()
        self._lock = ShipLock(self._journal.path)
        self._reserve = ReserveFile(self._journal.path)
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self._calls: set[Call] = set()
        self._entering = threading.Lock()
        self._inside = 0  # threads of this process that ship: `run`, and callers of `ship`
        self._sender = Sender(
            self._claims,
            self._transport,
            self._policy,
            write=self._write,
            clock=self._clock,
            uptime=self._uptime,
            chance=self._chance,
        )

    # --- a call

    def ship(
        self,
        timeout: float | None = None,
        *,
        now: bool = False,
        limit: int | None = None,
        progress: Callable[[ShipReport], None] | None = None,
        stop: threading.Event | None = None,
    ) -> ShipReport:
        """Send all that can be sent now. Sleeps only to keep the policy's pace.

        An earlier back-off is skipped; a Retry-After of the service only with `now`, or if this shipper's
        service is another one. The first failure ends its lane for this call.

        Args:
            timeout: Seconds in all; None for no limit. No request begins after it; one that is under way then is
                still answered and settled, after this call has returned.
            now: Ask the service, though it asked to wait.
            limit: Most entries.
            progress: Called with the report so far after every request, from a thread of the shipper's.
            stop: Set by another thread: no further request begins, and the call returns once the one under way is
                answered. A call that is interrupted, or out of time, sets it, too.

        Raises:
            JournalError: The journal cannot be read or written.
            ValueError: The limit is less than 1.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit!r}")
        if self._process != os.getpid():
            self._reset()
        deadline = None if timeout is None else time.monotonic() + timeout
        call = Call(
            explicit=True,
            now=now,
            deadline=deadline,
            limit=limit,
            progress=progress,
            stop=stop or threading.Event(),
        )
        # In a thread of its own: a call that is out of time, or interrupted (Ctrl-C), returns at once, and the
        # request under way is still answered and settled. Cutting it off would leave its entries in doubt.
        worker = threading.Thread(target=self._answer, args=(call,), name="restante-call", daemon=True)
        self._calls.add(call)
        try:
            worker.start()
            call.ended.wait(timeout)  # not join(): until Python 3.13 an interrupted one forgets its thread
        except RuntimeError:  # no thread starts: Python 3.12.0 to 3.12.2 while the interpreter ends
            self._answer(call)
        except BaseException:
            call.stop.set()
            raise
        if call.error is not None:
            raise call.error
        if call.report is not None:
            return call.report
        call.stop.set()
        return self._report_out_of_time(call)

    def wait(self, timeout: float) -> None:
        """Wait for calls of `ship` that ran out of time to settle their last request; `timeout` in seconds."""
        if self._process != os.getpid():
            return  # they are the parent's
        deadline = time.monotonic() + timeout
        for call in list(self._calls):
            call.ended.wait(max(0.0, deadline - time.monotonic()))

    def _answer(self, call: Call) -> None:
        try:
            call.report = self._ship(call)
        except BaseException as error:  # noqa: BLE001  # raised in the thread of the call
            call.error = error
        finally:
            self._calls.discard(call)
            call.ended.set()

    def _ship(self, call: Call) -> ShipReport:
        left = -1.0 if call.deadline is None else max(call.deadline - time.monotonic(), 0.0)
        if not self._turn.acquire(timeout=left):
            return self._report(stopped_by="timeout", message="a request was still under way")
        try:
            if not self._claims.any_unsent() and not self._reserve.short:
                return ShipReport()
            if not self._enter():
                return self._report(stopped_by="busy", message="another process is shipping this journal")
            try:
                report = self._drain(call)
                again, short = True, self._reserve.short
                while again and not (call.out_of_time or call.stop.is_set()):
                    again = self._keep_small(_STEPS_AFTER_CALL) and short  # on a full disk, all that may go
                return report
            finally:
                self._leave()
        finally:
            self._turn.release()

    # --- the loop

    def run(self, stop: threading.Event) -> None:
        """Ship whatever is recorded, and wait in between, until `stop` is set.

        Call `wake` after setting it, so that it is seen at once rather than within a second. If another process
        ships, this one takes over within 10 s of its end.
        """
        if self._process != os.getpid():
            self._reset()
        while not stop.is_set():
            try:
                self._run(stop)
            except Exception as error:  # noqa: BLE001  # whatever it was, entries recorded later must go
                if not stop.is_set():
                    log.warning("shipping: %s: %s", type(error).__name__, error)
                    self._tell(error)
                    stop.wait(_LOCK_INTERVAL)

    def wake(self) -> None:
        """Let `run` look at once: something was recorded, or it is to stop."""
        self._wake.set()

    def _run(self, stop: threading.Event) -> None:
        if not self._enter():
            stop.wait(_LOCK_INTERVAL)
            return
        try:
            told: ShipReport | None = None
            while not stop.is_set():
                with self._turn:
                    report = self._drain(Call(stop=stop)) if self._claims.any_unsent() else ShipReport()
                    more = self._keep_small(_STEPS_BETWEEN)
                if report.requests or told is None or report.stopped_by != told.stopped_by:
                    self._tell(report)
                    told = report
                if report.stopped_by == "busy":
                    return  # somebody took over, lock or no lock
                if not more:
                    self._rest(report, stop)
        finally:
            self._leave()

    def _rest(self, report: ShipReport, stop: threading.Event) -> None:
        """Wait for something to send, and then a moment for more: a request for each entry costs both ends dearly."""
        if report.stopped_by != "done":
            stop.wait(_LOOK_INTERVAL)  # backing off: recording more is no reason to look again
            return
        came = report.pending if report.requests else 0  # since the drain began
        if came >= self._policy.batch_updates:
            return
        if came or self._wake.wait(_LOOK_INTERVAL):
            stop.wait(self._policy.linger)
        self._wake.clear()

    # --- who ships

    def _enter(self) -> bool:
        """Become the one shipper; return False if another process, or another Shipper, is."""
        with self._entering:
            if self._inside == 0 and not self._lock.acquire():
                return False
            if self._inside == 0:
                try:
                    self._reserve.restore()
                    self._sender.take_over()
                except BaseException:
                    self._lock.release()
                    raise
            self._inside += 1
        return True

    def _leave(self) -> None:
        with self._entering:
            self._inside -= 1
            if self._inside == 0:
                self._lock.release()

    def _write(self, write: Callable[[], Written]) -> Written:
        """Run `write`; on a full disk, free the reserve file and retry once."""
        try:
            return write()
        except JournalFull:
            if not self._reserve.release():
                raise
            log.warning("the disk is full: recording is refused, sent entries are still settled")
            return write()

    def _keep_small(self, steps: int) -> bool:
        """Prune a little, if anything is due; return True if more is. A failure keeps nothing from being sent."""
        try:
            self._reserve.restore()
            short = self._reserve.short
            more = self._write(
                lambda: self._housekeeping.keep(
                    self._clock(), self._uptime().seconds, steps=steps, short=short
                )
            )
            if short:
                self._reserve.restore()  # recording goes on as soon as there is space
            return more
        except Exception as error:  # noqa: BLE001  # whatever goes wrong, shipping goes on
            log.warning("pruning: %s: %s", type(error).__name__, error)
            return False

    # --- a drain: requests of all lanes in turn, until nothing may go

    def _drain(self, call: Call) -> ShipReport:
        drain, sender = call.drain, self._sender
        drain.standings, drain.began = self._claims.standings(), self._uptime()
        # A round of `run` ends, however much comes meanwhile, or whatever waits for the next would wait for ever.
        drain.upto = None if call.explicit else self._claims.highest()
        turns = deque(lane for lane in drain.standings if sender.may_go(lane, call))
        while turns and not drain.over and not call.stop.is_set():
            if drain.left == 0:
                drain.end("waiting", f"the limit of {call.limit:,} entries was reached")
            elif call.out_of_time:
                drain.end("timeout", "the time given was up")
            elif ahead := sender.pace.ahead():
                call.pause(ahead)
            elif self._take_turn(turns, call) and call.progress is not None:
                call.progress(self._report(drain))
            if drain.events:
                self._tell_events(drain)
        if turns and not drain.over:
            drain.end("timeout", "it was asked to stop")
        return self._report(drain)

    def _take_turn(self, turns: deque[Lane], call: Call) -> bool:
        lane = turns.popleft()
        alone = not turns
        goes_on = self._sender.step(lane, call, alone=alone)
        if goes_on:
            turns.append(lane)
        return goes_on

    # --- reports

    def _report(
        self, drain: Drain | None = None, *, stopped_by: StoppedBy | None = None, message: str = ""
    ) -> ShipReport:
        drain = drain or Drain(left=None)
        unsent, in_doubt = self._claims.unsent()
        report = drain.report(pending=unsent - in_doubt)
        if stopped_by:
            return replace(report, stopped_by=stopped_by, message=message)
        if not unsent and report.stopped_by in {"waiting", "timeout"}:
            return replace(report, stopped_by="done", message="")  # the limit, or the time, was just enough
        settling = self._claims.settling(self._uptime()) if unsent else None
        if report.stopped_by == "done" and settling is not None:
            left, unanswered = settling
            message = _UNANSWERED if unanswered else _SETTLING
            return replace(report, stopped_by="waiting", message=message, retry_at=self._clock() + left)
        return report

    def _report_out_of_time(self, call: Call) -> ShipReport:
        """Return the report of a call that is out of time in the middle of a request, without waiting for it."""
        with self._reader() as reader:
            pending = reader.counts().to_send
        message = call.drain.message or "the time given was up; a request is still under way"
        return replace(
            call.drain.report(pending=pending), stopped_by="timeout", message=message, retry_at=None
        )

    def _reader(self) -> "JournalReader":
        with opening:  # forks wait for the end of the import; most programs never need it
            from recorder.reading.reader import JournalReader
        return JournalReader(self._journal.path)

    # --- events

    def _tell_events(self, drain: Drain) -> None:
        """Call `on_event`, between two requests and without the turn: it may ship, which waits for the turn."""
        events, drain.events = drain.events, []
        if self._on_event is None:
            return
        self._turn.release()
        try:
            with self._reader() as reader:
                for event in events:
                    self._tell(reader.entry(event) if isinstance(event, int) else event)
        finally:
            self._turn.acquire()

    def _tell(self, event: object) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001  # the app's code, and it is logged
            log.exception("on_event raised; shipping goes on")
