"""The read-only connection that all parts of a `JournalReader` share.

No read transaction stays open: every read is fetched whole, so that the write-ahead log can be moved into the file
however many look on.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Self

from recorder.journal.files import file_identity
from recorder.journal.forks import at_forks, opening
from recorder.journal.opening import connect_reader, making_sense, never_written, resolved
from recorder.journal.uptime import now
from recorder.model.errors import JournalClosed, JournalError

__all__ = ["Read", "Source", "file_identity", "never"]

Read = Callable[..., list[Any]]
"""Run one statement with its parameters, and fetch all rows."""

_Parameters = Sequence[str | float | None] | Mapping[str, str | float | None]


def never() -> bool:
    """Return False: the default of `stop`, for reads that run to their end."""
    return False


class Source:
    """A connection to a journal that only reads. Safe for threads, and survives forks.

    Args:
        path: The journal's file. It is never created.
        clock: Seconds since the epoch, for ages and for filters such as ``since=2h``.
    """

    _connection: sqlite3.Connection | None = None

    def __init__(self, path: str | PathLike[str], *, clock: Callable[[], float] = now) -> None:
        self._clock = clock
        self.path = resolved(path)
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._reading = 0  # the thread that is in the middle of a read
        self._torn = False
        self._closed = False
        self._seen: tuple[int, ...] = ()
        with self._lock:
            self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice does nothing. A read under way in another thread ends with `JournalClosed`."""
        self._closed = True
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # closed meanwhile
                connection.interrupt()
        with self._lock:
            self._disconnect()

    def __del__(self) -> None:
        """Close the file of a reader that was dropped without `close`."""
        self._disconnect()

    # --- forks: see recorder.journal.forks

    def before_fork(self) -> None:
        """Close the connection, unless this very thread is in the middle of a read: a signal handler forks."""
        self._lock.acquire()
        self._torn = self._reading == threading.get_ident()
        if not self._torn:
            self._disconnect()

    def after_fork_in_parent(self) -> None:
        """Go on; the next read opens the file again."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Replace the lock: its holder does not exist here. After a torn read every other is refused."""
        self._lock = threading.RLock()
        self._reading = 0
        if not self._torn:
            self._process = os.getpid()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        """Return the connection, opened if it is not yet, or not since a fork; under the lock."""
        if self._closed:
            raise JournalClosed(f"{self.path.name} is closed")
        if self._process != os.getpid():
            raise JournalError(
                f"{self.path.name} was being read while this process was forked",
                hint="Open it again in the child.",
            )
        here = self._look()
        if self._connection is not None and here != self._seen and not self._connection.in_transaction:
            self._disconnect()
        if self._connection is None:
            with opening:
                with making_sense(self.path):
                    self._connection = connect_reader(self.path)
                self._seen = here
                at_forks(self)
        return self._connection

    def _look(self) -> tuple[int, ...]:
        """Return marks of the file: it may be replaced, or written though it was opened as one that is not."""
        try:
            status = self.path.stat()
        except OSError:
            return ()
        marks = (status.st_dev, status.st_ino)
        return (*marks, status.st_size, status.st_mtime_ns) if never_written(self.path) else marks

    # --- reads

    def _all(self, sql: str, parameters: _Parameters = ()) -> list[Any]:
        with self._connected() as connection:
            return connection.execute(sql, parameters).fetchall()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone."""
        with self._lock:
            outermost, self._reading = self._reading == 0, threading.get_ident()
            try:
                with making_sense(self.path):
                    yield self._connect()
            finally:
                if outermost:
                    self._reading = 0

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """Several reads of one moment; for reads that take no time."""
        with self._connected() as connection:
            nested = connection.in_transaction
            if nested:
                yield connection  # of the moment that `unpruned` reads at
                return
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
