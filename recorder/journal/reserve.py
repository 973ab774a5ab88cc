"""The reserve file: disk space held back so that sent entries can be settled when the disk is full.

``<journal>.ballast`` takes 4 MB, really allocated, by whoever opens the journal to record or ship. A shipper that
meets a full disk truncates it and goes on in the freed space; an empty file marks that recording is refused
meanwhile, for it would use up that space. Whoever comes next when there is space again restores it. On a disk with
plenty of space there is none.
"""

import os
from pathlib import Path

from recorder.journal.environment import free_bytes
from recorder.journal.files import private_file
from recorder.journal.locks import beside

__all__ = ["RESERVE_BYTES", "ReserveFile"]

RESERVE_BYTES = 4 * 1024 * 1024
_FREE_BESIDES = 2 * RESERVE_BYTES  # or the reserve itself would fill the disk
_FREE_BESIDES_AGAIN = (
    RESERVE_BYTES // 2
)  # more than its own release freed, and as little as lets recording go on
_PLENTY = 16 * 1024**3
_LITTLE = RESERVE_BYTES // 4


class ReserveFile:
    """The reserve file of a journal.

    Args:
        path: The journal's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = beside(path, ".ballast")

    @property
    def released(self) -> bool:
        """True if the disk was full, so that what space there is belongs to the shipper."""
        return self._size() == 0

    @property
    def short(self) -> bool:
        """True if the disk is full, or nearly: what was shipped is pruned then, however recent."""
        free = free_bytes(self._path.parent)
        return self.released or (free is not None and free < _LITTLE)

    def restore(self) -> None:
        """Allocate it, if the disk is small enough to need one and has the space."""
        size = self._size()
        if size == RESERVE_BYTES:
            return
        free = free_bytes(self._path.parent)
        besides = _FREE_BESIDES if size is None else _FREE_BESIDES_AGAIN
        if free is None or free < RESERVE_BYTES + besides or (size is None and free > _PLENTY):
            return
        try:
            descriptor = private_file(self._file, owner_of=self._path)
        except OSError:
            return  # the folder cannot be written any more: nothing is worse than before
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            else:
                os.pwrite(descriptor, bytes(RESERVE_BYTES), 0)
        except OSError:  # no space, or a limit of this account or process
            os.ftruncate(descriptor, 0)
            if size is None:
                self._file.unlink(missing_ok=True)  # an empty one would say that recording is refused
        finally:
            os.close(descriptor)

    def release(self) -> bool:
        """Free its space for settling, as the disk is full; return True if there was any."""
        if not self._size():
            return False
        try:
            os.close(private_file(self._file, flags=os.O_RDWR | os.O_TRUNC))
        except OSError:
            return False
        return True

    def _size(self) -> int | None:
        try:
            return os.lstat(self._file).st_size  # a third of the time of Path.lstat
        except OSError:
            return None
