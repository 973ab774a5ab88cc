"""Recording calls of many threads, committed together.

A sync of the disk takes the same time for one row as for a hundred. So threads queue their rows, and the first that
finds nobody committing becomes the leader: it commits all that is queued, and wakes those whose rows it took.
"""

import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from recorder.journal import accounts, entries, lanes
from recorder.journal.connection import BEGIN, COMMIT, ROLLBACK, Connection
from recorder.journal.opening import primary_code, translated
from recorder.journal.space import Space
from recorder.model.entries import NewEntry, State
from recorder.model.errors import JournalError, JournalFull

__all__ = ["GroupCommit"]

_ROW_BYTES = 100  # besides its message, roughly
_PENDING = State.PENDING.value
_QUICK = 0.001
"""Seconds: a quicker commit is not worth waiting for others, for a thread takes as long to come."""
_SHARE = 5
"""The leader waits at most this share of the last commit's time for the threads of the last group."""
_WAKE_UP = 1.0
"""Seconds after which a waiting thread looks by itself: Ctrl-C may have hit the leader before it could wake others."""


class _Call:
    """The rows of one call, and its result."""

    __slots__ = ("done", "error", "last", "rejected", "rows", "size", "thread")

    def __init__(self, rows: Sequence[NewEntry], thread: int) -> None:
        self.rows = rows
        self.thread = thread
        size = rejected = 0
        for row in rows:
            size += len(row.message) + _ROW_BYTES
            rejected += row.state != _PENDING
        self.size, self.rejected = size, rejected
        self.done = False
        self.error: JournalError | None = None
        self.last = 0

    def fail(self, error: sqlite3.Error | JournalError, path: Path) -> None:
        own = error if isinstance(error, JournalError) else translated(error, path)
        self.error = type(own)(str(own), hint=own.hint)  # of its own: an exception is raised in one thread
        self.done = True


class GroupCommit:
    """Writes rows that threads record, in shared commits.

    Args:
        connection: The journal's.
        path: Its file.
        space: How much may be written.
    """

    def __init__(self, connection: Connection, path: Path, space: Space) -> None:
        self._connection = connection
        self._path = path
        self._space = space
        self.reset()

    def reset(self) -> None:
        """Empty the queue in a forked child: calls of other threads are the parent's."""
        self.queue: list[_Call] = []
        # Reentrant, as a signal handler that records may run while its own thread waits.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._leader = 0  # the thread that commits
        self._gathering = False  # the leader waits for others
        self._lanes: set[str] = set()  # that have begun
        self._together = 1  # calls in the last commit
        self._took = 0.0  # seconds of the last commit

    def append(self, rows: Sequence[NewEntry]) -> int:
        """Write rows, in order and in one commit; see `Journal.append`."""
        self._connection.check_caller()
        me = threading.get_ident()
        # True in a signal handler that interrupted this thread while it leads, but not while it commits.
        nested = self._leader == me
        call = _Call(rows, me)
        try:
            if self._must_lead(call, me):
                self._lead()
                self._stop_leading(me, nested)
        except BaseException:
            # Ctrl-C belongs to the thread it hits: its call records nothing, unless it was committed just then.
            # Rows that others queued stay queued for the next leader.
            call.rows, call.rejected, call.done = (), 0, True
            self._dequeue([call])
            self._stop_leading(me, nested)
            raise
        if call.error is not None:
            raise call.error
        return call.last

    def _must_lead(self, call: _Call, me: int) -> bool:
        """Queue a call; return True when this thread is to commit it, False when another one did."""
        with self._lock:
            self.queue.append(call)
            if self._gathering:
                self._changed.notify_all()
            while not call.done and self._leader not in {0, me}:
                self._changed.wait(_WAKE_UP)
            if call.done:
                return False
            self._leader = me
            return True

    def _stop_leading(self, me: int, nested: bool) -> None:  # noqa: FBT001
        with self._lock:
            self._gathering = False
            if self._leader == me and not nested:
                self._leader = 0
            self._changed.notify_all()

    def _dequeue(self, calls: Sequence[_Call]) -> None:
        """Take calls out of the queue that are done."""
        with self._lock:
            for call in calls:
                if call.done and call in self.queue:
                    self.queue.remove(call)

    def _lead(self) -> None:
        """Commit all that is queued."""
        if self._together > 1 and self._took > _QUICK:
            self._gather()
        shared = self._connection
        with shared.lock:
            shared.owner = self._leader
            try:
                self._commit_queue()
            finally:
                shared.owner = 0

    def _commit_queue(self) -> None:
        calls = self.queue.copy()  # not before: a signal handler may have committed them meanwhile
        begun = time.monotonic()
        try:
            self._commit_with_space(calls)
        except (sqlite3.Error, JournalError) as error:
            self._commit_apart(calls, error)
        finally:
            self._dequeue(calls)
        self._together, self._took = len(calls), time.monotonic() - begun
        self._connection.checkpoint_large_log()

    def _gather(self) -> None:
        """Wait a moment for the threads of the last group: they come again at about the same time."""
        with self._lock:
            self._gathering = True
            self._changed.wait_for(lambda: len(self.queue) >= self._together, self._took / _SHARE)
            self._gathering = False

    def _commit_with_space(self, calls: Sequence[_Call]) -> None:
        if not calls:
            return
        try:
            self._commit(calls)
        except JournalFull:
            if not self._space.free():
                raise
            self._commit(calls)

    def _commit_apart(self, calls: Sequence[_Call], error: sqlite3.Error | JournalError) -> None:
        """Commit each call by itself, so that none fails for another's rows."""
        busy = isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_BUSY
        alone = len(calls) == 1 or busy or not isinstance(error, sqlite3.Error | JournalFull)
        for call in calls:
            failure = error
            if not alone:
                try:
                    self._commit([call])
                except (sqlite3.Error, JournalError) as own:
                    failure = own
                    if isinstance(own, JournalFull):
                        self._connection.empty_log()  # or the space it took would count against the next call
                else:
                    continue
            call.fail(failure, self._path)

    def _commit(self, calls: Sequence[_Call]) -> None:
        connection = self._connection.use()
        # A statement by itself is a transaction, too, and takes the write lock as BEGIN IMMEDIATE does.
        committing = len(calls) == 1 and self._one_statement(calls[0])
        try:
            if committing:
                calls[0].last = self._connection.when_free(entries.insert, connection, calls[0].rows[0])
                self._connection.note_written(calls[0].size)
            else:
                self._connection.when_free(connection.execute, BEGIN)
                for call in calls:
                    self._write(connection, call)
                committing = True
                connection.execute(COMMIT)
        except BaseException as error:
            if connection.in_transaction:
                connection.execute(ROLLBACK)
            elif committing and not isinstance(error, sqlite3.Error):
                self._finish(calls)  # Ctrl-C came after the commit
            self._lanes.clear()  # the transaction may have begun one
            raise
        self._finish(calls)

    @staticmethod
    def _finish(calls: Sequence[_Call]) -> None:
        for call in calls:
            call.done = True

    def _one_statement(self, call: _Call) -> bool:
        """Return True if a call takes nothing but one insert.

        Only the leader's own: if Ctrl-C hits the insert, nobody knows whether it was made, and only its own caller
        may be left without an answer.
        """
        rows = call.rows
        return (
            call.thread == self._leader
            and len(rows) == 1
            and not call.rejected
            and rows[0].lane in self._lanes
            and not self._space.limited
        )

    def _write(self, connection: sqlite3.Connection, call: _Call) -> None:
        rows = call.rows
        if self._space.limited:
            self._space.check(connection, call.size)
        for row in rows:
            if row.lane not in self._lanes:
                lanes.begin(connection, row.lane)
                self._lanes.add(row.lane)
        call.last = (
            entries.insert(connection, rows[0]) if len(rows) == 1 else entries.insert_many(connection, rows)
        )
        self._connection.note_written(call.size)
        if call.rejected:
            accounts.add(connection, State.REJECTED, call.rejected)
