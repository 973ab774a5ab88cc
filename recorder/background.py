"""The journal of an app, what ships it, and the background thread: the part `Recorder` and `JournalConsumer` share.

What ships is imported by the first thread that ships, or by the constructor with `background`; never by a thread of
ours. CPython lets a fork come in the middle of another thread's import, and the child would wait for ever for its end.
"""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from recorder.journal.journal import Journal
from recorder.model.addresses import base_of
from recorder.model.entries import NewEntry
from recorder.model.errors import JournalError, ShippingError
from recorder.model.operations import Lane

if TYPE_CHECKING:
    from recorder.model.policy import ShippingPolicy
    from recorder.model.reports import ShipReport
    from recorder.shipping.shipper import Shipper
    from recorder.shipping.transport import HttpTransport, ImportCredentials

__all__ = ["Delivery"]

_AT_LEAST = 0.1  # seconds a recording call under way gets to end, however little time is left

_importing: list[int] = []  # the process, once for each thread of it that is importing what ships


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
        self.process = os.getpid()
        self._policy = policy
        self._on_event = on_event
        self._clock = clock
        self._credentials = import_credentials
        self._shipping: list[tuple[Shipper, HttpTransport]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_try: float | None = None  # until when, in monotonic seconds
        self._failure: JournalError | None = None
        if background:
            self._start()

    def _ready(self) -> "tuple[Shipper, HttpTransport]":
        """Return what ships; made at the first call, for most programs that record never ship."""
        if not self._shipping:
            make_shipper, make_transport = _import_shipping()
            transport = make_transport(url=self._base, import_credentials=self._credentials)
            shipper = make_shipper(
                self.journal, transport, self._policy, on_event=self._on_event, clock=self._clock
            )
            self._shipping.append((shipper, transport))  # threads that come at once all use the first
        return self._shipping[0]

    def _start(self) -> None:
        self._ready()
        self._thread = threading.Thread(target=self._run, name="restante-ship", daemon=True)
        self._thread.start()
        # A request cut off by the end of the interpreter would be in doubt: let it end, for a while.
        atexit.register(_close_at_exit, weakref.ref(self))

    def _run(self) -> None:
        shipper, _ = self._ready()
        shipper.run(self._stop)
        if self._last_try is not None:
            try:
                # Half of the time: the other half is for the last request to be answered.
                shipper.ship(max(0.0, self._last_try - time.monotonic()) / 2)
            except JournalError as error:
                self._failure = error

    def append(self, rows: Sequence[NewEntry]) -> None:
        """Write rows into the journal; when this returns, they are there."""
        self.journal.append(rows)
        if self._thread is not None and self.process == os.getpid():
            self._ready()[0].wake()  # a forked child has no such thread: its parent ships what it records

    def use_import_credentials(self, credentials: "ImportCredentials") -> None:
        """Send imports with these from now on; if their lane is paused for want of them, it is due at once."""
        _, transport = self._ready()
        if transport.import_credentials != credentials:
            transport.import_credentials = credentials
            self.journal.claims.try_paused(Lane.IMPORTS)

    def flush(self, timeout: float | None) -> "ShipReport":
        """Send all that may go now, and report."""
        return self._ready()[0].ship(timeout)

    def close(self, timeout: float) -> None:
        """Ship what may go, where shipping was in the background, and end; `timeout` seconds in all."""
        deadline = time.monotonic() + timeout
        thread, self._thread = self._thread, None
        try:
            if thread is not None and self.process == os.getpid():
                self._end(thread, deadline)
            for shipper, _ in self._shipping:
                shipper.wait(_left(deadline))
        finally:
            if self._owned:
                self.journal.close(max(_left(deadline), _AT_LEAST))
            for _, transport in self._shipping:
                transport.close()

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
            if self._failure is not None:
                raise self._failure


def _import_shipping() -> "tuple[type[Shipper], type[HttpTransport]]":
    process = os.getpid()
    if any(other != process for other in _importing):
        raise ShippingError(
            "this process was forked while another thread imported the modules that ship",
            hint="Ship from the parent, or import recorder.Shipper before forking.",
        )
    _importing.append(process)
    try:
        from recorder.shipping.shipper import Shipper
        from recorder.shipping.transport import HttpTransport
    finally:
        _importing.remove(process)
    return Shipper, HttpTransport


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _close_at_exit(reference: "weakref.ref[Delivery]") -> None:
    delivery = reference()
    if delivery is not None and delivery.process == os.getpid():
        delivery.close(2.0)
