"""`restante ship --watch`: shipping as a service, for systemd and containers."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from recorder import (
    HttpTransport,
    Journal,
    JournalBusy,
    JournalError,
    JournalReader,
    Shipper,
    ShippingPolicy,
)
from recorder.model.errors import JournalMissing
from recorder.model.shipping import ShipperStatus
from recorder.reading.source import file_identity
from tui.cli import options
from tui.cli.narrator import Narrator
from tui.cli.stopping import stop_signals
from tui.text.format import printable

__all__ = ["warn_of_copy", "watch"]

_LOOK = 1.0  # seconds between checks of the journal's file and of who ships it
_POLL = 0.1  # seconds between checks for signals
_QUIET_POLLS = 5  # a stop that takes no longer needs no words


def watch(
    path: Path,
    transport: Callable[[], HttpTransport],
    policy: Callable[[ShipperStatus], ShippingPolicy],
    *,
    for_programs: bool,
) -> int:
    """Ship whatever is recorded until a signal; return the exit code.

    The work is done in a thread, and the main one looks for signals.
    """
    work = _Work(path, transport, policy, for_programs=for_programs)
    thread = threading.Thread(target=work.run, name="restante-watch", daemon=True)
    with stop_signals() as received:
        thread.start()
        _wait(work, thread, received)
    if work.error is not None:
        raise work.error
    return 128 + signal.SIGINT if signal.SIGINT in received else 0


def _wait(work: "_Work", thread: threading.Thread, received: list[int]) -> None:
    asked, looked_at = 0, time.monotonic()
    while thread.is_alive():
        thread.join(_POLL)
        if received:
            work.stop()
            asked += 1
            if asked == _QUIET_POLLS:
                options.narrate(
                    "Waiting for the answer to the current request; a second signal stops at once."
                )
        elif time.monotonic() - looked_at >= _LOOK:
            work.look()
            looked_at = time.monotonic()


class _Work:
    """The thread's work: wait for the journal, ship it, report changes."""

    def __init__(
        self,
        path: Path,
        transport: Callable[[], HttpTransport],
        policy: Callable[[ShipperStatus], ShippingPolicy],
        *,
        for_programs: bool,
    ) -> None:
        self.error: BaseException | None = None
        self._path = path
        self._transport = transport
        self._policy = policy
        self._for_programs = for_programs
        self._stop = threading.Event()
        self._shipper: Shipper | None = None
        self._reader: JournalReader | None = None
        self._file: tuple[int, int] | None = None
        self._other: int | None = None

    def run(self) -> None:
        try:
            self._wait_for_journal()
            if not self._stop.is_set():
                self._ship()
        except BaseException as error:  # noqa: BLE001  # raised in the main thread
            self.error = self.error or error

    def stop(self) -> None:
        self._stop.set()
        if self._shipper is not None:
            self._shipper.wake()

    def look(self) -> None:
        """Check that the journal is still the same file, and who ships it."""
        reader = self._reader
        if reader is None:
            return
        if file_identity(reader.path) != self._file:
            self._end(
                JournalError(
                    f"{self._path} was removed or replaced while it was open",
                    hint="Start the command again to ship the file that is there now.",
                )
            )
            return
        try:
            status = reader.shipping()
        except JournalBusy:
            return
        except JournalError as error:
            self._end(error)
            return
        if not status.running or status.pid == os.getpid():
            self._other = None
        elif status.pid != self._other:
            self._other = status.pid
            options.narrate(
                f"Process {status.pid} is shipping this journal; this process takes over when that one ends."
            )

    def _end(self, error: BaseException) -> None:
        self.error = self.error or error
        self.stop()

    def _wait_for_journal(self) -> None:
        waited = False
        while not self._stop.is_set():
            try:
                JournalReader(self._path).close()
            except JournalMissing:
                if not waited:
                    options.narrate(f"Waiting for a journal at {self._path}.")
                waited = True
                self._stop.wait(_LOOK)
            else:
                return

    def _ship(self) -> None:
        with Journal(self._path) as journal, JournalReader(self._path) as reader:
            self._file = file_identity(reader.path)
            warn_of_copy(reader)
            policy = self._policy(reader.shipping())
            transport = self._transport()
            narrator = Narrator(reader, self._end, for_programs=self._for_programs)
            self._shipper = Shipper(journal, transport, policy, on_event=narrator)
            self._reader = reader
            options.narrate(f"Shipping {self._path} to {transport.base} until SIGTERM or Ctrl-C.")
            self._shipper.run(self._stop)
            self._reader = None
        transport.close()


def warn_of_copy(reader: JournalReader) -> None:
    """Warn if this looks like a copy of a journal that is shipped elsewhere."""
    if moved := reader.moved():
        options.narrate(
            f"This may be a copy of another journal: {printable(moved)}. "
            "If both ship, what is in both arrives twice; stop one of them."
        )
