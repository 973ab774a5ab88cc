"""The journal of an app, what ships it, and the background thread: the part `Recorder` and `JournalConsumer` share.

What ships is imported by the first thread that ships, or by the constructor with `background`; a thread of ours imports
only under a lock that forks wait for. CPython lets a fork come in the middle of another thread's import, and the child
would wait for ever for its end.

A forked child has none of its parent's threads. With `background` it starts one of its own when it first records: the
parent may have been a program that made itself a daemon, and nobody else would ship. As long as the parent ships, its
lock keeps the child's thread waiting.
"""

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from recorder.journal.forks import at_forks, opening
from recorder.journal.journal import Journal
from recorder.model.addresses import base_of
from recorder.model.entries import NewEntry
from recorder.model.errors import JournalError, RestanteError, ShippingError
from recorder.model.operations import Lane

if TYPE_CHECKING:
    from recorder.model.policy import ShippingPolicy
    from recorder.model.shipping import ShipReport
    from recorder.shipping.shipper import Shipper
    from recorder.shipping.transport import HttpTransport, ImportCredentials

__all__ = ["Delivery"]

_AT_LEAST = 0.1  # seconds a recording call under way gets to end, however little time is left

_PARENT_FIRST = 5.0  # seconds until a forked child tries to ship: a parent that ships has its lock by then
_imports: list[int] = []  # the process, once for each thread of it that is importing what ships


class Delivery:
    """Opens the journal where a path was given, ships it, and closes what it opened.

    Raises:
        TypeError: Journal options were given with a `Journal`, which has its own.
    """

    def __init__(
        self,
        journal: str | PathLike[str] | Journal,
        *,
        token: str | None,
        background: bool,
        url: str | None,
        api_host: str,
        policy: "ShippingPolicy | None",
        on_event: Callable[[Any], None] | None,
        clock: Callable[[], float],
        journal_options: dict[str, Any],
        import_credentials: "ImportCredentials | None" = None,
    ) -> None:
        self._base = base_of(url, api_host)  # first: a bad address should leave no file behind
        self._owned = not isinstance(journal, Journal)
        if isinstance(journal, Journal):
            if journal_options:
                names = ", ".join(sorted(journal_options))
                raise TypeError(f"{names}: journal options go with a path; this Journal has its own")
            self.journal = journal
            if token is not None:
                journal.bind(token)
        else:
            self.journal = Journal(journal, token=token, **journal_options)
        self._policy = policy
        self._on_event = on_event
        self._clock = clock
        self._credentials = import_credentials
        self._background = background
        self._reset()
        with opening:
            at_forks(self)
        if background:
            self._start()
            # A request cut off by the end of the interpreter would be in doubt: let it end, for a while.
            atexit.register(_close_at_exit, weakref.ref(self))

    def _reset(self) -> None:
        """Set up all that belongs to one process."""
        self._process = os.getpid()
        self._shipping: list[tuple[Shipper, HttpTransport]] = []
        self._stop = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._last_try: float | None = None  # until when, in monotonic seconds

    def before_fork(self) -> None:
        """Do nothing: a thread that ships waits for the journal by itself."""

    def after_fork_in_parent(self) -> None:
        """Do nothing: its threads go on."""

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread, and its connection to the service."""
        self._reset()

    def _ready(self) -> "tuple[Shipper, HttpTransport]":
        """Return what ships; made at the first call, for most programs that record never ship."""
        if not self._shipping:
            with _importing():
                made = self._make()
            self._shipping.append(made)  # threads that come at once all use the first
        return self._shipping[0]

    def _make(self) -> "tuple[Shipper, HttpTransport]":
        from recorder.shipping.shipper import Shipper
        from recorder.shipping.transport import HttpTransport

        transport = HttpTransport(url=self._base, import_credentials=self._credentials)
        shipper = Shipper(self.journal, transport, self._policy, on_event=self._on_event, clock=self._clock)
        return shipper, transport

    def _start(self, after: float = 0.0) -> None:
        """Start the background thread, which ships after so many seconds."""
        if not self._starting.acquire(blocking=False):
            return  # another thread starts it, or this one does, and a signal handler records
        try:
            if self._thread is None:
                self._ready()
                thread = threading.Thread(target=self._run, args=(after,), name="restante-ship", daemon=True)
                thread.start()
                self._thread = thread
        finally:
            self._starting.release()

    def _run(self, after: float) -> None:
        shipper, _ = self._ready()
        self._stop.wait(after)
        shipper.run(self._stop)
        if self._last_try is not None:
            try:
                # Half of the time: the other half is for the last request to be answered.
                shipper.ship(max(0.0, self._last_try - time.monotonic()) / 2)
            except (JournalError, OSError) as error:
                from recorder.shipping.logs import log

                log.warning("shipping: %s", error)  # the entries stay: no reason to fail the app at its end

    def append(self, rows: Sequence[NewEntry]) -> None:
        """Write rows into the journal; when this returns, they are there."""
        self.journal.append(rows)
        if self._background:
            if self._thread is None:  # a forked child
                with contextlib.suppress(RuntimeError, ShippingError):  # neither keeps it from recording
                    self._start(_PARENT_FIRST)
            if self._thread is not None:
                self._ready()[0].wake()

    def use_import_credentials(self, credentials: "ImportCredentials") -> None:
        """Send what goes to ``/import`` with these from now on; lanes that are paused for want of them are due."""
        _, transport = self._ready()
        if transport.import_credentials != credentials:
            self._credentials = transport.import_credentials = credentials
            for lane in (Lane.EVENTS, Lane.IMPORTS):
                self.journal.claims.try_paused(lane)

    def flush(self, timeout: float | None) -> "ShipReport":
        """Send all that may go now, and report."""
        return self._ready()[0].ship(timeout)

    def close(self, timeout: float) -> None:
        """Ship what may go, where shipping was in the background, and end; `timeout` seconds in all."""
        deadline = time.monotonic() + timeout
        thread, self._thread, self._background = self._thread, None, False
        try:
            if thread is not None and self._process == os.getpid():
                self._end(thread, deadline)
            for shipper, _ in self._shipping:
                shipper.wait(_left(deadline))
        finally:
            if self._owned:
                self.journal.close(max(_left(deadline), _AT_LEAST))
            for _, transport in self._shipping:
                transport.close()

    def close_at_exit(self) -> None:
        """Close it for a program that did not; a close that ran out of time is not begun anew."""
        if self._background:
            with contextlib.suppress(RestanteError):  # the entries stay
                self.close(2.0)

    def _end(self, thread: threading.Thread, deadline: float) -> None:
        """End the background thread between two requests, after a last try.

        The thread itself makes that try: at the end of the interpreter, Python 3.12.0 to 3.12.2 start no other.
        """
        from_outside = thread is not threading.current_thread()
        if from_outside:
            self._last_try = deadline
        self._stop.set()
        self._ready()[0].wake()
        if from_outside:
            thread.join(_left(deadline))


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """Note that this process imports what ships; raise ShippingError where its parent was forked in the middle."""
    process = os.getpid()
    if any(other != process for other in _imports):
        raise ShippingError(
            "this process was forked while another thread imported the modules that ship",
            hint="Ship from the parent, or import restante.Shipper before forking.",
        )
    _imports.append(process)
    try:
        yield
    finally:
        _imports.remove(process)


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _close_at_exit(reference: "weakref.ref[Delivery]") -> None:
    delivery = reference()
    if delivery is not None:
        delivery.close_at_exit()
