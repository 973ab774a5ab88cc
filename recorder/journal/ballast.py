"""The ballast: some of the disk held back, so that what was sent can be settled when the disk is full.

``<journal>.ballast`` is 4 MB, really allocated. A shipper that meets a full disk cuts it to nothing and goes on in
its room; an empty file is the mark that recording is refused meanwhile, for it would use up that room. Whoever comes
next when there is room again makes it anew. On a disk with plenty of room there is none.
"""

import errno
import os
from pathlib import Path

from recorder.journal.locks import beside

__all__ = ["Ballast"]

SIZE = 4 * 1024 * 1024
_SPARE = 2 * SIZE  # that must be free beside it, or it would be what fills the disk
_PLENTY = 16 * 1024**3
_OWNER_ONLY = 0o600


class Ballast:
    """The ballast of a journal.

    Args:
        path: The journal's file.
    """

    def __init__(self, path: Path) -> None:
        self._file = beside(path, ".ballast")

    @property
    def given_up(self) -> bool:
        """Whether the disk was full, and its room is the shipper's until there is more."""
        return self._size() == 0

    def make(self) -> None:
        """See that there is one, where that makes sense and there is room for it."""
        size = self._size()
        if size == SIZE:
            return
        free = self._free()
        if free < SIZE + _SPARE or (size is None and free > _PLENTY):
            return
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
        except OSError:
            return  # a folder that may not be written any more: nothing is worse than before
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, SIZE)
            else:
                os.pwrite(descriptor, bytes(SIZE), 0)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def give_up(self) -> bool:
        """The disk is full: give its room back; whether there was any."""
        if not self._size():
            return False
        os.truncate(self._file, 0)
        return True

    def _size(self) -> int | None:
        try:
            return os.stat(self._file).st_size  # noqa: PTH116  # a third of the time of Path.stat
        except OSError:
            return None

    def _free(self) -> int:
        try:
            found = os.statvfs(self._file.parent)
        except (OSError, AttributeError):
            return 0
        return found.f_bavail * found.f_frsize
