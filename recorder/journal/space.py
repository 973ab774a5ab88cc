"""Space for recording: the limit `max_bytes`, and how space is freed at it.

Pages in use count, those of an open transaction among them, and the file of the write-ahead log. The last megabyte is
reserved for shipping: settlements are not held against the limit, so that a full journal can be emptied. (SQLite's own
``max_page_count`` counts free pages, and a connection that sees a larger file raises it.)
"""

import os
import sqlite3
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from recorder.journal import accounts, baseline, project
from recorder.journal.connection import BEGIN, COMMIT, ROLLBACK, Connection
from recorder.journal.limits import Limits
from recorder.journal.locks import beside
from recorder.journal.reserve import ReserveFile
from recorder.model.errors import JournalFull

if TYPE_CHECKING:
    from recorder.journal.prune import Walk

__all__ = ["Space", "pages", "refuses"]

_RESERVED = 1_048_576  # bytes, for shipping
_FREED_SHARE = 16  # of so many bytes one is freed at once, so that not every call has to free some
_PAGES_A_CALL = 16  # a call hardly needs more
_SMALLEST_LOG = 262_144


def pages(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Return how many pages the file has, how many of them are free, and their size in bytes."""
    names = ("page_count", "freelist_count", "page_size")
    count, free, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
    return count, free, size


def _left(connection: sqlite3.Connection, path: Path, most: float) -> float:
    """Return how many bytes may still be recorded; negative if there are too many already."""
    count, free, size = pages(connection)
    return most - (count - free) * size - _RESERVED - _log_size(path)


def _log_size(path: Path) -> int:
    try:
        return os.stat(beside(path, "-wal")).st_size  # noqa: PTH116  # a third of the time of Path.stat
    except FileNotFoundError:
        return 0


def refuses(connection: sqlite3.Connection, path: Path, limits: Limits) -> bool:
    """Return True if the next call may well find no space, and none can be freed."""
    if ReserveFile(path).short:
        return True
    if limits.max_bytes is None:
        return False
    _, _, size = pages(connection)
    if _left(connection, path, limits.max_bytes) + _log_size(path) - _SMALLEST_LOG > _PAGES_A_CALL * size:
        return False
    cut = baseline.cut_now(connection, limits, 0.0, all_shipped=True)
    return not baseline.any_prunable(connection, cut)


class Space:
    """Space that recorders may still use. All methods are called under the connection's lock."""

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._limits = Limits()
        self._kept_in_vain = -1  # shipped entries that were left when pruning freed nothing

    def keep_limits(self, limits: Mapping[str, float | None]) -> None:
        """Store limits that are given, infinite for none, and read all of them."""
        given = {name: None if value == inf else value for name, value in limits.items() if value is not None}
        with self._connection.reading() as connection:
            kept = project.limits(connection)
        if any(getattr(kept, name) != value for name, value in given.items()):
            with self._connection.transaction() as connection:
                project.keep_limits(connection, given)
        with self._connection.reading() as connection:
            self.read_limits(connection)

    def read_limits(self, connection: sqlite3.Connection) -> None:
        """Read the limits from the journal."""
        self._limits = project.limits(connection)
        if self._limits.max_bytes is not None:
            self._connection.limit_log(
                max(_SMALLEST_LOG, int(min(self._limits.max_bytes // 8, _RESERVED // 2)))
            )

    @property
    def limited(self) -> bool:
        """True if `check` has anything to check."""
        return self._limits.max_bytes is not None or self._connection.disk_full

    def check(self, connection: sqlite3.Connection, more: int) -> None:
        """Check, before they are written, that so many bytes may be: too many would spill into the log.

        Raises:
            JournalFull: There is no space for them.
        """
        if self._connection.disk_full:
            raise JournalFull(
                f"{self._path.name}: the disk is full; nothing was recorded by this call",
                hint="Free space on the disk: the rest of it is reserved for settling sent entries.",
            )
        most = self._limits.max_bytes
        if most is not None and _left(connection, self._path, most) < more:
            raise JournalFull(
                f"{self._path.name} may not grow beyond its max_bytes, {most:,.0f}, of which shipping keeps 1 MB; "
                "nothing was recorded by this call",
                hint="Ship what is pending, record less at once, or raise the limit (`restante record --max-bytes`); "
                "recorded entries are safe.",
            )

    def free(self) -> bool:
        """Empty the log and prune shipped entries, however recent; return True if there is more space than before."""
        most = self._limits.max_bytes
        if most is None:
            return False
        connection = self._connection.use()
        before = self._short_of(connection)
        self.read_limits(connection)
        if self._limits.max_bytes is None:  # another process has removed it
            return True
        self._connection.empty_log()
        shipped = accounts.kept_shipped(connection)
        if shipped != self._kept_in_vain and self._short_of(connection) > 0:
            from recorder.journal.prune import (
                Walk,  # with all that folding needs, for a program that only records
            )

            walk = Walk(baseline.cut_now(connection, self._limits, 0.0, all_shipped=True))
            while not walk.over and self._short_of(connection) > 0:
                self._step(connection, walk)
                self._connection.empty_log()
            kept = accounts.kept_shipped(connection)
            self._kept_in_vain = kept if kept == shipped else -1
        return self._short_of(connection) < before

    def _step(self, connection: sqlite3.Connection, walk: "Walk") -> None:
        try:
            self._connection.when_free(connection.execute, BEGIN)
            walk.step(connection)
            connection.execute(COMMIT)
        finally:
            if connection.in_transaction:
                connection.execute(ROLLBACK)

    def _short_of(self, connection: sqlite3.Connection) -> float:
        """Return how many bytes are to be freed; negative if there is space."""
        most = self._limits.max_bytes or 0
        return -_left(connection, self._path, most - most / _FREED_SHARE)
