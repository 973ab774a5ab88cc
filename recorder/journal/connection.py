"""The one connection of a process to a journal: who may use it, transactions, and the size of the log."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from recorder.journal.ballast import Ballast
from recorder.journal.forks import at_forks, opening
from recorder.journal.locks import OpenLock, beside
from recorder.journal.opening import BUSY_SECONDS, open_journal, primary_code, translated
from recorder.model.errors import JournalClosed, JournalError

__all__ = ["BEGIN", "COMMIT", "ROLLBACK", "Connection", "Durability"]

Durability = Literal["power", "process"]

BEGIN = "BEGIN IMMEDIATE"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"

_LARGE_LOG = 2 * 1024 * 1024
_FRAME_HEADER = 24  # bytes, before each page in the log
_BESIDE_ROWS = 8_000  # bytes: what a transaction writes beside rows, roughly
_LOOK_AFTER = 32  # pages
_FEW = _LOOK_AFTER + 1  # pages: small commits come to no more from look to look
_MOST_AHEAD = 131_072  # bytes
_ZEROS = bytes(4_096)


class Connection:
    """An SQLite connection that threads share by holding `lock`, for as long as they use it.

    Every write is one transaction that begins with ``BEGIN IMMEDIATE``: one that reads first and writes later
    would fail at once with "database is locked" when another process wrote in between, whatever the busy
    time-out.
    """

    def __init__(
        self, path: Path, durability: Durability, in_child: Callable[[], None] = lambda: None
    ) -> None:
        self._path = path
        self._synchronous = "FULL" if durability == "power" else "NORMAL"
        self._log = str(beside(path, "-wal"))
        self._written = 0  # bytes of rows since the last look
        self._pages = 0  # of the log, since the last checkpoint, roughly
        self._looked_at = 0
        self._log_size = 0  # at the last checkpoint
        self._log_seen = 0  # at the last look
        self._log_ahead = 0  # what it was lengthened by then
        self._large_log = _LARGE_LOG
        self._ballast = Ballast(path)
        self._looks_at_disk = self._ballast.given_up
        self._process = os.getpid()
        self._gone = False
        self._closed = False
        self._torn = False  # this process forks in the middle of a call
        self._begin_anew = in_child
        self.lock = threading.Lock()
        self.owner = 0  # the thread that holds it
        self._held = OpenLock(path)
        self._sqlite: sqlite3.Connection | None = None
        with opening:
            self._sqlite = open_journal(path, self._held, synchronous=self._synchronous)
            at_forks(self)
        (page,) = self._sqlite.execute("PRAGMA page_size").fetchone()
        self._frame = page + _FRAME_HEADER
        self._page_holds = page * 3 // 4  # roughly

    def close(self, timeout: float | None = None) -> None:
        """Close it; closing twice does nothing.

        Args:
            timeout: How long to wait for a call under way, in seconds; None for as long as it takes.
        """
        if self._process != os.getpid():
            return
        held = self.lock.acquire(timeout=-1 if timeout is None else max(timeout, 0.0))
        connection, self._sqlite = self._sqlite, None
        self._closed = True
        if not held:
            return  # whoever holds it is in the middle of a call, and the end of the process closes it
        try:
            if connection is not None:
                connection.close()
            self._held.release()
        finally:
            self.lock.release()

    # --- forks: see recorder.journal.forks

    def before_fork(self) -> None:
        """Let go of the file, unless this very thread is in the middle of a call: a signal handler forks."""
        self._torn = self.owner == threading.get_ident() and self.lock.locked()
        if self._torn:
            return
        self.lock.acquire()
        self.owner = (
            threading.get_ident()
        )  # a signal handler that records meanwhile is told, rather than waits
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None

    def after_fork_in_parent(self) -> None:
        """Go on; the next call opens the file again."""
        if not self._torn:
            self.owner = 0
            self.lock.release()
        self._torn = False

    def after_fork_in_child(self) -> None:
        """Begin anew, with a hold of its own; after a torn call `check_caller` refuses every other."""
        if self._torn:
            return
        self.lock = threading.Lock()
        self.owner = 0
        self._process = os.getpid()
        self._held.release()  # the parent's own is another descriptor of the same hold, and stays
        self._written = self._pages = self._looked_at = self._log_size = 0
        self._log_seen = self._log_ahead = 0
        self._begin_anew()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold `lock`, where that can be waited for.

        Raises:
            JournalError: This process was forked from the one that opened it, or this thread is at it
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
        """See that this thread may wait for `lock`; see `alone`."""
        if self._process != os.getpid():
            # Forked in the middle of a call, or past Python's own hooks: SQLite's locks and a connection do not
            # survive that, and using them would damage the file.
            raise JournalError(
                f"{self._path.name} was open while this process was forked",
                hint="Open it again in the child.",
            )
        if self.owner == threading.get_ident() and self.lock.locked():
            raise JournalError(
                f"{self._path.name}: a signal handler called while this thread was recording",
                hint="Set a flag in the handler, and record outside it.",
            )

    def use(self) -> sqlite3.Connection:
        """The connection beneath; the caller holds `lock`.

        Raises:
            JournalClosed: It was closed.
            JournalError: Its file was taken away.
        """
        if self._closed:
            raise JournalClosed(f"{self._path.name} is closed")
        if self._gone:
            raise JournalError(
                f"{self._path} was removed or moved while it was open",
                hint="What was recorded since is lost; put the file back before opening it again.",
            )
        if self._sqlite is None:  # after a fork
            with opening:
                self._sqlite = open_journal(self._path, self._held, synchronous=self._synchronous)
        return self._sqlite

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For reads; each statement sees a moment of its own."""
        with self.alone():
            try:
                yield self.use()
            except sqlite3.Error as error:
                raise translated(error, self._path) from error

    @contextlib.contextmanager
    def transaction(self, *, full: bool = False) -> Iterator[sqlite3.Connection]:
        """One write transaction; `full`: durable across a power loss whatever the journal's durability."""
        with self.alone():
            connection = self.use()
            raised = full and self._synchronous != "FULL"
            try:
                if raised:
                    connection.execute("PRAGMA synchronous = FULL")
                connection.execute(BEGIN)
                yield connection
                connection.execute(COMMIT)
            except sqlite3.Error as error:
                raise translated(error, self._path) from error
            finally:
                if connection.in_transaction:
                    connection.execute(ROLLBACK)
                if raised:
                    connection.execute("PRAGMA synchronous = NORMAL")
            self.note_written(_BESIDE_ROWS)
            self.look_at_log()

    def note_written(self, size: int) -> None:
        """So many bytes of rows go into the log, roughly."""
        self._written += size

    def look_at_log(self) -> None:
        """Move the write-ahead log into the file where it has grown large. After a commit, under `lock`.

        A log that is moved is written over from its start, in place: a commit to a file that does not grow
        takes about half the time. So its size alone does not say how much is in it; what this connection
        wrote since is counted, roughly, and growth shows what others did.
        """
        self._pages += 1 + self._written // self._page_holds
        self._written = 0
        since = self._pages - self._looked_at
        if since < _LOOK_AFTER:
            return
        self._looked_at = self._pages
        self._looks_at_disk = self._ballast.given_up
        try:
            size = os.stat(self._log).st_size  # noqa: PTH116  # a third of the time of Path.stat
        except FileNotFoundError:
            self._gone = True  # the log is there for as long as the journal is open, unless somebody took it
            return
        except OSError:  # the commit before this is one all the same
            return
        large = self._large_log
        if size >= large and (self._pages >= large // self._frame or size >= self._log_size + large // 4):
            self._checkpoint("TRUNCATE" if size >= 2 * large else "FULL")
            self._pages = self._looked_at = 0
            self._log_size = size
        elif since <= _FEW and self._synchronous == "FULL":
            # Most of what was needed since the last look: so each look sees whether it still grows. Others that
            # record lengthen it, too, and that is no growth of ours.
            grown = min(size - self._log_seen, since * self._frame)
            self._log_ahead = min((self._log_ahead + grown) * 7 // 8, _MOST_AHEAD) if grown > 0 else 0
            size += self._lengthen_log(self._log_ahead)
        self._log_seen = size

    def _lengthen_log(self, more: int) -> int:
        """Put zeros at the log's end, for the next commits to write over; by how many bytes it is longer now.

        To sync a file that has grown takes half as long again as one that was written over in place, and the file
        system writes down where the new blocks are. That is paid once for many small commits this way.

        Appended, and written at no place of our choosing: another process may be about to write at the end, and
        what it has written before us stays before us. To SQLite zeros are what no commit left.
        """
        if more <= 0 or os.name != "posix":  # elsewhere appending is to look for the end, and then to write
            return 0
        try:
            log = os.open(self._log, os.O_WRONLY | os.O_APPEND)
        except OSError:
            return 0
        longer = 0
        try:
            # Block by block: what is written in one piece, Linux may keep and count as one piece from then on.
            with contextlib.suppress(OSError):  # the disk is full: whoever records next is told
                while longer < more:
                    longer += os.write(log, _ZEROS)
        finally:
            os.close(log)
        return longer

    @property
    def disk_full(self) -> bool:
        """Whether the disk was full, and what room there is now is the shipper's; looked for now and then."""
        if self._looks_at_disk:
            self._ballast.make()
            self._looks_at_disk = self._ballast.given_up
        return self._looks_at_disk

    def keep_log_below(self, size: int) -> None:
        """Move the log into the file whenever it is as large as this, in bytes; where it is not less than usual."""
        self._large_log = min(_LARGE_LOG, size)

    def empty_log(self, patience: float = 0.0) -> bool:
        """Move the whole log into the file and cut it to nothing, where that can be done. Under `lock`.

        Args:
            patience: How long to wait for those who write or read just now, in seconds; others wait meanwhile.

        Returns:
            Whether it was done.

        Raises:
            sqlite3.Error: It cannot be done for another reason than that somebody is at it; only where one is patient.
        """
        emptied = self._checkpoint("TRUNCATE", patience)
        self._pages = self._looked_at = self._log_size = 0
        return emptied

    def _checkpoint(self, mode: str, patience: float = 0.0) -> bool:
        connection = self.use()
        # FULL and TRUNCATE take the write lock from the start, so nobody writes meanwhile (see
        # schema.set_up). They would wait for readers as long as the busy time-out says; recording does not.
        try:
            connection.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
            ((busy, _, _),) = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
        except sqlite3.Error as error:
            if patience and primary_code(error) != sqlite3.SQLITE_BUSY:
                raise
            return False  # somebody writes: at the next look, then. Damage is told by the next call that meets it
        else:
            return not busy
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
