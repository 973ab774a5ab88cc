"""A journal, its shipper, and the thread that ships in the background: what `Recorder` and `JournalConsumer` share."""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from recorder.journal.first_use import OnFirstUse
from recorder.journal.forks import importing
from recorder.journal.journal import Journal
from recorder.model.addresses import base_of
from recorder.model.entries import NewEntry
from recorder.model.operations import Lane

if TYPE_CHECKING:
    from recorder.model.policy import ShippingPolicy
    from recorder.model.reports import ShipReport
    from recorder.shipping.shipper import Shipper
    from recorder.shipping.transport import HttpTransport, ImportCredentials

__all__ = ["Delivery"]

_AT_LEAST = 0.1  # seconds a recording call under way gets to end, however little time is left


class Delivery:
    """Opens the journal where a path was given, ships it, and closes what it opened.

    Raises:
        TypeError: Journal options beside a `Journal`, which has its own.
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
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if background:
            self._start()

    # What ships, made when something is to be shipped: a program that records and ends never needs it.

    @OnFirstUse
    def _transport(self) -> "HttpTransport":
        with importing():
            from recorder.shipping.transport import HttpTransport
        return HttpTransport(url=self._base, import_credentials=self._credentials)

    @OnFirstUse
    def _shipper(self) -> "Shipper":
        with importing():
            import filelock  # noqa: F401  # first: a hook that comes while a fork waits sees its end only

            from recorder.shipping.shipper import Shipper
        return Shipper(
            self.journal, self._transport, self._policy, on_event=self._on_event, clock=self._clock
        )

    def _start(self) -> None:
        self._thread = threading.Thread(
            target=self._shipper.run, args=(self._stop,), name="restante-ship", daemon=True
        )
        self._thread.start()
        # A request cut off by the end of the interpreter would be in doubt: let it end, for a while.
        atexit.register(_close_at_exit, weakref.ref(self))

    def append(self, rows: Sequence[NewEntry]) -> None:
        """Write rows into the journal; when this returns, they are there."""
        self.journal.append(rows)
        if self._thread is not None and self.process == os.getpid():
            self._shipper.wake()  # a forked child has no such thread: its parent ships what it records

    def use_import_credentials(self, credentials: "ImportCredentials") -> None:
        """Send imports with these from now on; if their lane is paused for want of them, it is due at once."""
        if self._transport.import_credentials != credentials:
            self._transport.import_credentials = credentials
            self.journal.claims.try_paused(Lane.IMPORTS)

    def flush(self, timeout: float | None) -> "ShipReport":
        """Send all that may go now."""
        return self._shipper.ship(timeout)

    def close(self, timeout: float) -> None:
        """Ship what may go, where shipping was in the background, and end; `timeout` seconds in all."""
        deadline = time.monotonic() + timeout

        def left() -> float:
            return max(0.0, deadline - time.monotonic())

        thread, self._thread = self._thread, None
        try:
            if thread is not None and self.process == os.getpid():
                # The thread first: it is stopped between two requests, never in the middle of one.
                self._stop.set()
                self._shipper.wake()
                if thread is not threading.current_thread():
                    thread.join(left())
                    self._shipper.ship(left() / 2)  # the other half is for its last request to be answered
            if (shipper := Delivery._shipper.made(self)) is not None:
                shipper.wait(left())
        finally:
            if self._owned:
                self.journal.close(max(left(), _AT_LEAST))
            if (transport := Delivery._transport.made(self)) is not None:
                transport.close()


def _close_at_exit(reference: "weakref.ref[Delivery]") -> None:
    delivery = reference()
    if delivery is not None and delivery.process == os.getpid():
        delivery.close(2.0)
