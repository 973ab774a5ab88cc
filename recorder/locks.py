"""The two files beside a journal that say who is at it.

``<journal>.open`` is held shared by each process that has the journal open, and exclusively by the one that
creates or migrates it. ``<journal>.lock`` is held by the one that ships. The operating system releases both
when their holder dies. They hold nothing, stay where they are, and are readable by their owner only.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from recorder.errors import JournalBusy, JournalError

try:
    import fcntl
except ImportError:  # pragma: no cover  # Windows: creation is guarded all the same, by the exclusive lock
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["OpenLock", "beside", "ship_lock"]

_OWNER_ONLY = 0o600
_PATIENCE = 60.0  # seconds
_POLL = 0.01


def beside(path: Path, suffix: str) -> Path:
    """The side file of a journal.

    >>> beside(Path("kiosk.db"), ".lock").name
    'kiosk.db.lock'
    """
    return path.with_name(path.name + suffix)


def ship_lock(path: Path) -> "BaseFileLock":
    """The lock of the one process, and the one `Shipper` in it, that ships."""
    from filelock import FileLock

    return FileLock(beside(path, ".lock"), mode=_OWNER_ONLY, thread_local=False)


class OpenLock:
    """This process's hold on ``<journal>.open``."""

    def __init__(self, path: Path) -> None:
        self._file = beside(path, ".open")
        self._descriptor: int | None = None

    def share(self) -> None:
        """Hold it together with all others that have the journal open; waits while one creates or migrates."""
        if fcntl is None:
            return  # type: ignore[unreachable]
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
        except OSError as error:
            raise JournalError(
                f"{self._file} cannot be opened: {error.strerror}",
                hint="The journal's folder must be writable.",
            ) from error
        try:
            self._wait_to_share(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _wait_to_share(self, descriptor: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise JournalBusy(f"{self._file.name}: another process holds the journal alone") from None
                time.sleep(_POLL)
            else:
                return

    def release(self) -> None:
        """Let go."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    @property
    def held(self) -> bool:
        """Whether it is held now."""
        return self._descriptor is not None

    @contextlib.contextmanager
    def alone(self, timeout: float) -> Iterator[None]:
        """Hold it alone, so that nobody has the journal open.

        Raises:
            JournalBusy: Others still had it open after `timeout` seconds.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self._file, mode=_OWNER_ONLY, thread_local=False)
        try:
            lock.acquire(timeout=timeout, poll_interval=_POLL)
        except Timeout:
            raise JournalBusy(f"{self._file.name}: other processes have the journal open") from None
        try:
            yield
        finally:
            lock.release()
