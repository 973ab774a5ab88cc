"""Whether there is room to record, and how some is made: the side of recorders that meet `max_bytes`.

What counts are the pages in use, those of a transaction under way among them, and the file of the write-ahead log. The
last megabyte is the shipper's: its settlements are not held against the limit, so that what is full can be emptied.
(SQLite's own ``max_page_count`` counts pages that are free, and a connection that sees a larger file raises it.)
"""

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from recorder.journal.ballast import Ballast
from recorder.journal.connection import BEGIN, COMMIT, ROLLBACK, Connection
from recorder.journal.limits import Keeping, keeping_of
from recorder.journal.locks import beside
from recorder.model.errors import JournalFull

if TYPE_CHECKING:
    from recorder.journal.prune import Fold, Walk

__all__ = ["Room", "refuses"]

RESERVE = 1_048_576
"""Bytes that are the shipper's."""

_SPARE = 16  # of so many bytes one is made free at once, so that not every call has to make room
_ALMOST = 16  # pages: less than a call may need
_SMALLEST_LOG = 262_144

_PAGES = """
SELECT page_count - freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size
"""
_SHIPPED = "SELECT entries - pruned FROM counters WHERE account = 'shipped'"


def left(connection: sqlite3.Connection, path: Path, most: float) -> float:
    """How many bytes may still be recorded; negative where too many were."""
    pages, size = connection.execute(_PAGES).fetchone()
    return float(most - pages * size - RESERVE - _log_size(path))


def _log_size(path: Path) -> int:
    try:
        return os.stat(beside(path, "-wal")).st_size  # noqa: PTH116  # a third of the time of Path.stat
    except FileNotFoundError:
        return 0


def refuses(connection: sqlite3.Connection, path: Path, keeping: Keeping) -> bool:
    """Whether the next call may well find no room, and none can be made."""
    if Ballast(path).given_up:
        return True
    if keeping.max_bytes is None:
        return False
    _, size = connection.execute(_PAGES).fetchone()
    if left(connection, path, keeping.max_bytes) + _log_size(path) - _SMALLEST_LOG > _ALMOST * size:
        return False
    from recorder.journal.prune import (  # under a lock that forks wait for: see forks.importing
        cut_of,
        prunable,
    )

    return prunable(connection, cut_of(connection, keeping, 0.0, all_shipped=True)) == 0


class Room:
    """How much a recorder may still write. Everything here is called under the connection's lock."""

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._keeping = Keeping()
        self._in_vain = -1  # how many shipped entries were kept when no room could be made

    def read(self, connection: sqlite3.Connection) -> None:
        """Learn the limits that the journal has."""
        self._keeping = keeping_of(connection)
        if self._keeping.max_bytes is not None:
            self._connection.keep_log_below(max(_SMALLEST_LOG, int(self._keeping.max_bytes // 8)))

    @property
    def limited(self) -> bool:
        """Whether there is anything to check."""
        return self._keeping.max_bytes is not None or self._connection.disk_full

    def check(self, connection: sqlite3.Connection, more: int) -> None:
        """See that so many bytes may be written, before they are: too many would spill into the log.

        Raises:
            JournalFull: They may not.
        """
        if self._connection.disk_full:
            raise JournalFull(
                f"{self._path.name}: the disk is full; nothing was recorded by this call",
                hint="Make room on the disk: what is left of it is for settling what was sent.",
            )
        most = self._keeping.max_bytes
        if most is not None and left(connection, self._path, most) < more:
            raise JournalFull(
                f"{self._path.name} has grown to its max_bytes, {most:,.0f}; nothing was recorded by this call",
                hint="Ship what is pending, or open it with a larger max_bytes; what is journaled is safe.",
            )

    def make(self) -> bool:
        """Empty the log, and prune what was shipped, however recent; whether it is worth another try."""
        if self._keeping.max_bytes is None:
            return False
        from recorder.journal.prune import Walk, cut_of, find_fold  # as in refuses

        connection = self._connection.use()
        before = self._left(connection)
        self._connection.empty_log()
        (shipped,) = connection.execute(_SHIPPED).fetchone()
        fold = find_fold() if shipped != self._in_vain else None
        if fold is not None and self._left(connection) < 0:
            walk = Walk(cut_of(connection, self._keeping, 0.0, all_shipped=True))
            while not walk.over and self._left(connection) < 0:
                self._step(connection, walk, fold)
                self._connection.empty_log()
            (kept,) = connection.execute(_SHIPPED).fetchone()
            self._in_vain = kept if kept == shipped else -1
        return self._left(connection) > before

    @staticmethod
    def _step(connection: sqlite3.Connection, walk: "Walk", fold: "Fold") -> None:
        try:
            connection.execute(BEGIN)
            walk.step(connection, fold)
            connection.execute(COMMIT)
        finally:
            if connection.in_transaction:
                connection.execute(ROLLBACK)

    def _left(self, connection: sqlite3.Connection) -> float:
        most = self._keeping.max_bytes or 0
        return left(connection, self._path, most - most / _SPARE)
