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

from recorder.journal.forks import importing
from recorder.model.errors import JournalBusy, JournalError

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
    with importing():
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
            self._wait(descriptor, fcntl.LOCK_SH, _PATIENCE, "another process holds the journal alone")
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _wait(self, descriptor: int, kind: int, timeout: float, why_not: str) -> None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise JournalBusy(f"{self._file.name}: {why_not}") from None
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

        Not through filelock where there are forks: a thread that opens a journal keeps others from forking, and
        filelock would make it wait for a fork to be over.

        Raises:
            JournalBusy: Others still had it open after `timeout` seconds.
        """
        if fcntl is None:
            from filelock import FileLock, Timeout  # type: ignore[unreachable]

            try:
                with FileLock(self._file, timeout=timeout, mode=_OWNER_ONLY):
                    yield
            except Timeout:
                raise JournalBusy(f"{self._file.name}: other processes have the journal open") from None
            return
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
        try:
            self._wait(descriptor, fcntl.LOCK_EX, timeout, "other processes have the journal open")
            yield
        finally:
            os.close(descriptor)
