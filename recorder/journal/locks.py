"""The two lock files of a journal.

``<journal>.open`` is locked shared by each process that has the journal open, and exclusively by the one that
creates it. ``<journal>.lock`` is locked by the one that ships. The operating system releases both when their
process ends. The files are empty, are never deleted, and only their owner can read them.
"""

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from recorder.journal.files import obstacle, private_file
from recorder.journal.forks import at_forks, opening
from recorder.model.errors import JournalBusy, JournalError

__all__ = ["OpenLock", "ShipLock", "beside"]

_POLL = 0.01

_LOOK = "Run `restante doctor`: it examines the journal and its folder."
_ADVICE = {
    errno.EMFILE: "Close files that this process has open, or raise its limit (ulimit -n).",
    errno.ENOSPC: "Free space on the disk.",
    errno.ENOLCK: "Move the journal to a disk of this machine, where files can be locked.",
}

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int, *, shared: bool = False) -> None:
        if not shared:  # Windows has no shared locks: there, only creation and shipping are guarded
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        """Leave it to the closing."""

else:
    import fcntl

    def _lock(descriptor: int, *, shared: bool = False) -> None:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def beside(path: Path, suffix: str) -> Path:
    """Return the path of a journal's side file.

    >>> beside(Path("kiosk.db"), ".lock").name
    'kiosk.db.lock'
    """
    return path.with_name(path.name + suffix)


def _locked(file: Path, path: Path, *, shared: bool = False, timeout: float = 0.0) -> int | None:
    """Return a descriptor that locks `file`, or None if others still had it locked after `timeout` seconds."""
    taken = False
    try:
        descriptor = private_file(file, owner_of=path)
        try:
            taken = _wait(descriptor, shared=shared, timeout=timeout)
        finally:
            if not taken:
                os.close(descriptor)
    except OSError as error:
        cause, advice = obstacle(path) or (error.strerror, _ADVICE.get(error.errno or 0, _LOOK))
        raise JournalError(f"{file} cannot be locked: {cause}", hint=advice) from error
    return descriptor if taken else None


def _wait(descriptor: int, *, shared: bool, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while True:
        try:
            _lock(descriptor, shared=shared)
        except (BlockingIOError, PermissionError):  # the latter on Windows
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL)
        else:
            return True


class _FileLock:
    """A lock file, locked for as long as its descriptor is open."""

    def __init__(self, path: Path, suffix: str) -> None:
        self._path = path
        self._file = beside(path, suffix)
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """True while this object has it locked."""
        return self._descriptor is not None

    def release(self) -> None:
        """Unlock the file, whatever child still has a copy of the descriptor: one that was forked a moment ago."""
        if self._descriptor is not None:
            _unlock(self._descriptor)
        self.let_go()

    def let_go(self) -> None:
        """Close the descriptor only: in a forked child the lock is the parent's."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class ShipLock(_FileLock):
    """The lock of the one process, and the one `Shipper` in it, that ships a journal.

    A forked child gives up its copy of the descriptor: the lock is its parent's alone, and ends with it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, ".lock")

    def acquire(self) -> bool:
        """Lock it, without waiting; return True if nobody else had."""
        with opening:  # no fork before the descriptor is known
            self._descriptor = _locked(self._file, self._path)
            at_forks(self)
        return self._descriptor is not None

    def __enter__(self) -> Self:
        if not self.acquire():
            raise JournalBusy(
                f"{self._file.stem}: another process is shipping it",
                hint="Stop that process, then try again.",
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def before_fork(self) -> None:
        """Keep the lock: it is the parent's."""

    def after_fork_in_parent(self) -> None:
        """Keep the lock: it is the parent's."""

    def after_fork_in_child(self) -> None:
        """Close the descriptor; the parent's keeps the lock."""
        self.let_go()


class OpenLock(_FileLock):
    """The lock of a process that has a journal open."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, ".open")

    def share(self, timeout: float) -> None:
        """Lock it together with all others that have the journal open; wait while one creates it.

        Raises:
            JournalBusy: One was still at it after `timeout` seconds.
        """
        self._descriptor = _locked(self._file, self._path, shared=True, timeout=timeout)
        if self._descriptor is None:
            raise JournalBusy(f"{self._file.name}: another process has the journal for itself")

    @contextlib.contextmanager
    def alone(self, timeout: float) -> Iterator[None]:
        """Lock it exclusively, so that nobody has the journal open.

        Raises:
            JournalBusy: Others still had it open after `timeout` seconds.
        """
        descriptor = _locked(self._file, self._path, timeout=timeout)
        if descriptor is None:
            raise JournalBusy(f"{self._file.name}: other processes have the journal open")
        try:
            yield
        finally:
            os.close(descriptor)
