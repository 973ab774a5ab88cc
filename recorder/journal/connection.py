"""The one connection of a process to a journal: locking, transactions, forks, and the size of the log."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeVar, TypeVarTuple

from recorder.journal.files import file_identity
from recorder.journal.forks import at_forks, opening
from recorder.journal.locks import OpenLock, beside
from recorder.journal.opening import BUSY_SECONDS, LOG_BYTES, making_sense, open_journal, primary_code
from recorder.journal.reserve import ReserveFile
from recorder.model.errors import JournalClosed, JournalError

__all__ = ["BEGIN", "COMMIT", "ROLLBACK", "Connection", "Durability"]

Durability = Literal["power", "process"]
Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

BEGIN = "BEGIN IMMEDIATE"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"

_FRAME_HEADER = 24  # bytes before each page in the log
_TRANSACTION_BYTES = 8_000  # written by a transaction besides rows, roughly
_LOOK_INTERVAL = 32  # pages
_SHORTEST_PAUSE = 0.0001  # seconds
_LONGEST_AT_FIRST = 0.001
_LONGEST_PAUSE = 0.005
_BACK_OFF = 200  # a pause is at most this part of the time waited
_NO_WAIT = "PRAGMA busy_timeout = 0"


class Connection:
    """An SQLite connection that threads share; each holds `lock` while it uses it.

    Every write is one transaction that begins with ``BEGIN IMMEDIATE``: one that reads first and writes later
    would fail at once with "database is locked" if another process wrote in between, whatever the busy time-out.
    """

    def __init__(
        self,
        path: Path,
        durability: Durability,
        in_child: Callable[[], None] = lambda: None,
        *,
        busy_timeout: float = BUSY_SECONDS,
    ) -> None:
        self._busy_timeout = busy_timeout
        self._process = os.getpid()
        self._closed = False
        self._sqlite: sqlite3.Connection | None = None
        self.lock = threading.Lock()
        self.owner = 0  # the thread that holds it
        self._held = OpenLock(path)
        self._path = path
        self._synchronous = "FULL" if durability == "power" else "NORMAL"
        self._name = str(path)
        self._log = str(beside(path, "-wal"))
        self._written = 0  # bytes of rows since the last look at the log
        self._pages = 0  # written to the log since the last checkpoint, roughly
        self._looked_at = 0
        self._log_size = 0  # at the last checkpoint
        self._large_log = LOG_BYTES
        self._reserve = ReserveFile(path)
        self._looks_at_disk = False
        self._removed = False
        self._torn = False  # this process forks in the middle of a call
        self._on_child = in_child
        with opening:
            connection = self._open()
            (page,) = connection.execute("PRAGMA page_size").fetchone()
            self._sqlite = connection
            at_forks(self)  # from here on a fork of another thread may close it
        self._reserve.restore()  # a disk that recording fills before anybody ships needs one, too
        self._looks_at_disk = self._reserve.released
        self._frame = page + _FRAME_HEADER
        self._page_payload = page * 3 // 4  # roughly

    def _open(self) -> sqlite3.Connection:
        connection = open_journal(
            self._path, self._held, synchronous=self._synchronous, busy_timeout=self._busy_timeout
        )
        connection.execute(_NO_WAIT)  # see `when_free`
        self._file = file_identity(self._name)
        self._log_file: tuple[int, int] | None = None
        return connection

    def close(self, timeout: float | None = None) -> None:
        """Close it; closing twice does nothing.

        Args:
            timeout: How long to wait for a call under way, in seconds; None for as long as it takes.
        """
        if self._process != os.getpid():
            return
        if self._called_within():  # its call still has the connection, and ends with it
            timeout = 0.0
        held = self.lock.acquire(timeout=-1 if timeout is None else max(timeout, 0.0))
        connection, self._sqlite = self._sqlite, None
        self._closed = True
        if not held:
            return  # another thread is in the middle of a call; the end of the process closes the file
        try:
            if connection is not None:
                connection.close()
            self._held.release()
        finally:
            self.lock.release()

    def __del__(self) -> None:
        """Release what a journal that was dropped without `close` has open."""
        self.close(0)

    # --- forks: see recorder.journal.forks

    def before_fork(self) -> None:
        """Close the file, unless this very thread is in the middle of a call: a signal handler forks."""
        self._torn = self._called_within()
        if self._torn:
            return
        self.lock.acquire()
        self.owner = threading.get_ident()  # so that a signal handler that records meanwhile gets an error
        if self._sqlite is not None:
            with contextlib.suppress(sqlite3.Error):  # the next call opens it again, and reports
                self._sqlite.close()
            self._sqlite = None

    def after_fork_in_parent(self) -> None:
        """Release the lock; the next call opens the file again."""
        if not self._torn:
            self.owner = 0
            self.lock.release()
        self._torn = False

    def after_fork_in_child(self) -> None:
        """Start over with a lock of its own; after a torn call `check_caller` refuses all others."""
        if self._torn:
            return
        self.lock = threading.Lock()
        self.owner = 0
        self._process = os.getpid()
        with contextlib.suppress(OSError):  # a descriptor that the app closed
            self._held.let_go()
        self._written = self._pages = self._looked_at = self._log_size = 0
        self._on_child()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold `lock`.

        Raises:
            JournalError: This process was forked from the one that opened it, or this thread holds the lock
                already: a signal handler ran in the middle of a call.
        """
        self.check_caller()
        me = threading.get_ident()
        with self.lock:
            self.owner = me  # at once: no signal is handled in between
            try:
                yield
            finally:
                self.owner = 0

    def check_caller(self) -> None:
        """Raise JournalError if this thread must not wait for `lock`; see `alone`."""
        if self._process != os.getpid():
            # Forked in the middle of a call, or past Python's own hooks: SQLite's locks and a connection do not
            # survive that, and using them would damage the file.
            raise JournalError(
                f"{self._path.name} was open while this process was forked",
                hint="Open it again in the child.",
            )
        if self._called_within():
            raise JournalError(
                f"{self._path.name}: a signal handler called while this thread was recording",
                hint="Set a flag in the handler, and record outside it.",
            )

    def _called_within(self) -> bool:
        """Return True in a signal handler that interrupted a call of its own thread."""
        return self.owner == threading.get_ident() and self.lock.locked()

    def use(self) -> sqlite3.Connection:
        """Return the SQLite connection; the caller holds `lock`.

        Raises:
            JournalClosed: It was closed.
            JournalError: Its file was removed, moved or replaced.
        """
        if self._closed:
            raise JournalClosed(f"{self._path.name} is closed")
        if self._sqlite is None:  # after a fork
            with opening:
                self._sqlite = self._open()
        elif self._removed or file_identity(self._name) != self._file:
            raise JournalError(
                f"{self._path} was removed, moved or replaced while it was open",
                hint="Put the file back, with its -wal; or open the journal again, which begins a new one.",
            )
        return self._sqlite

    def when_free(self, write: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        """Run the first statement of a write transaction, again and again while another process writes.

        SQLite's own wait ends in pauses of 0.1 s, and whoever records without a pause comes first each time. Here,
        too, the pauses alone count towards the busy time-out.

        Raises:
            sqlite3.OperationalError: Another process still had the journal locked after the busy time-out.
        """
        waited = 0.0
        while True:
            try:
                return write(*arguments)
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or waited >= self._busy_timeout:
                    raise
            # Random, so that no two processes keep asking at the same moments.
            longest = min(max(waited / _BACK_OFF, _LONGEST_AT_FIRST), _LONGEST_PAUSE)
            pause = _SHORTEST_PAUSE + longest * os.urandom(1)[0] / 255
            time.sleep(pause)
            waited += pause

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for reads; each statement sees the journal at its own moment."""
        with self.alone(), making_sense(self._path):
            connection = self.use()
            connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout * 1000:.0f}")
            try:
                yield connection
            finally:
                connection.execute(_NO_WAIT)

    @contextlib.contextmanager
    def transaction(self, *, full: bool = False) -> Iterator[sqlite3.Connection]:
        """Run one write transaction; `full` makes it survive a power loss whatever the journal's durability."""
        with self.alone(), making_sense(self._path):
            connection = self.use()
            raised = full and self._synchronous != "FULL"
            try:
                if raised:
                    connection.execute("PRAGMA synchronous = FULL")
                self.when_free(connection.execute, BEGIN)
                yield connection
                connection.execute(COMMIT)
            finally:
                if connection.in_transaction:
                    connection.execute(ROLLBACK)
                if raised:
                    connection.execute("PRAGMA synchronous = NORMAL")
            self.note_written(_TRANSACTION_BYTES)
            self.checkpoint_large_log()

    def note_written(self, size: int) -> None:
        """Count bytes of rows that go into the log, roughly."""
        self._written += size

    def checkpoint_large_log(self) -> None:
        """Checkpoint if the write-ahead log has grown large. After a commit, under `lock`.

        A checkpointed log is written over from its start, in place: a commit to a file that does not grow takes
        about half the time. So the log's size alone does not say how much is in it: this connection's own
        writes are counted, roughly, and growth shows what other processes wrote.
        """
        self._pages += 1 + self._written // self._page_payload
        self._written = 0
        if self._pages - self._looked_at < _LOOK_INTERVAL:
            return
        self._looked_at = self._pages
        self._looks_at_disk = self._reserve.released
        try:
            log = os.stat(self._log)  # noqa: PTH116  # a third of the time of Path.stat
        except FileNotFoundError:
            self._removed = True  # the log exists for as long as the journal is open
            return
        except OSError:  # the commit stands all the same
            return
        size = log.st_size
        self._log_file = self._log_file or (log.st_dev, log.st_ino)
        self._removed = self._log_file != (log.st_dev, log.st_ino)
        large = self._large_log
        if size >= large and (self._pages >= large // self._frame or size >= self._log_size + large // 4):
            self._checkpoint("FULL")
            self._pages = self._looked_at = 0
            self._log_size = size

    @property
    def disk_full(self) -> bool:
        """True while the disk is full and its remaining space is reserved for shipping."""
        if self._looks_at_disk:
            self._reserve.restore()
            self._looks_at_disk = self._reserve.released
        return self._looks_at_disk

    def limit_log(self, size: int) -> None:
        """Checkpoint at this size in bytes, if it is smaller than the usual one."""
        self._large_log = min(LOG_BYTES, size)

    @property
    def limited_log(self) -> bool:
        """True if the log is checkpointed earlier than usual, as in a journal with a limit."""
        return self._large_log < LOG_BYTES

    def empty_log(self, patience: float = 0.0) -> bool:
        """Checkpoint and truncate the log, if nobody prevents it. Under `lock`.

        Args:
            patience: Seconds to wait for other readers and writers; threads that record wait meanwhile.

        Returns:
            True if the log is empty now.

        Raises:
            sqlite3.Error: It failed for another reason than a reader or writer; only with some `patience`.
        """
        emptied = self._checkpoint("TRUNCATE", patience)
        self._pages = self._looked_at = self._log_size = 0
        return emptied

    def _checkpoint(self, mode: str, patience: float = 0.0) -> bool:
        connection = self.use()
        # FULL and TRUNCATE take the write lock from the start, so nobody writes meanwhile (see
        # opening.set_up). They would wait for readers for the whole busy time-out; recording must not.
        try:
            connection.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
            ((busy, _, _),) = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
        except sqlite3.Error as error:
            if patience and primary_code(error) != sqlite3.SQLITE_BUSY:
                raise
            return False  # somebody writes: the next look tries again. The next call reports damage
        else:
            return not busy
        finally:
            connection.execute(_NO_WAIT)
