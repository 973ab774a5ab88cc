"""Recording calls of many threads, committed together: whoever comes first commits what all have queued.

A sync of the disk takes the same time for one row as for a hundred. So a thread that comes while another commits
queues its rows and sleeps; the one that commits wakes all whose rows it took, and nudges one of those that came
too late, which commits next, for all that wait by then.
"""

import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from recorder.journal.connection import BEGIN, COMMIT, ROLLBACK, Connection
from recorder.journal.opening import primary_code, translated
from recorder.journal.space import Room
from recorder.model.entries import NewEntry, State
from recorder.model.errors import JournalError, JournalFull

__all__ = ["Commits"]

_ROW_BYTES = 100  # beside its message, roughly
_PENDING = State.PENDING.value
_AT_LEAST = 0.001
"""A commit that took less, in seconds, is not waited for company: a thread takes as long to come."""
_PART = 5
"""The company of the last commit is waited for a fifth of the time that it took."""
_NAP = 0.05
"""After so many seconds a thread that sleeps looks by itself: a nudge may have met one that was interrupted."""

# Bound as plain tuples: of a subclass, sqlite3 looks up each member.
_INSERT_ENTRY = """
INSERT INTO entries (lane, group_key, profile, operator, message, recorded_at, state, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_LAST_INSERTED = "SELECT last_insert_rowid()"
_COUNT = "UPDATE counters SET entries = entries + ? WHERE account = ?"

# A lane begins at the first entry recorded into it, so that unused lanes cost nothing to look at.
_BEGIN_LANE = """
INSERT INTO lanes (lane, cursor) SELECT ?, coalesce(max(seq), 0) FROM entries WHERE true
ON CONFLICT (lane) DO NOTHING
"""
_SPOOL_DONE = """
INSERT INTO spools (name, rows_done) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET rows_done = excluded.rows_done
"""


class _Group:
    """Tickets that are committed together; one store says for all of them that it is over."""

    __slots__ = ("error", "over")

    def __init__(self) -> None:
        self.over = False
        self.error: JournalError | None = None

    def end(self, error: JournalError | None = None) -> None:
        self.error = error
        self.over = True


_WAITING = _Group()  # of tickets that nobody has taken yet
_ENDED = _Group()  # of tickets whose call was interrupted
_ENDED.end()


class _Ticket:
    """Rows that a thread wants in the journal, and what came of it."""

    __slots__ = ("_asleep", "group", "last", "rows", "spool")

    def __init__(self, rows: Sequence[NewEntry], spool: tuple[str, int] | None) -> None:
        self.rows = rows
        self.spool = spool
        self.group = _WAITING
        self.last = 0
        self._asleep: threading.Lock | None = None

    def lie_down(self) -> None:
        """From now on `wake` reaches it."""
        asleep = threading.Lock()
        asleep.acquire()
        self._asleep = asleep

    def sleep(self) -> None:
        """Until it is woken, or for a while."""
        if self._asleep is not None:
            self._asleep.acquire(timeout=_NAP)

    def wake(self) -> None:
        """Wake the thread that sleeps upon it, if it does."""
        asleep = self._asleep
        if asleep is not None:
            with contextlib.suppress(RuntimeError):  # somebody woke it already
                asleep.release()


class Commits:
    """What threads record, in shared commits.

    Args:
        connection: The journal's.
        path: Its file.
        room: How much may be written.
    """

    def __init__(self, connection: Connection, path: Path, room: Room) -> None:
        self._connection = connection
        self._path = path
        self._room = room
        self.begin_anew()

    def begin_anew(self) -> None:
        """Nothing is queued: this process was forked, and what other threads had queued is the parent's business."""
        self.queue: deque[_Ticket] = deque()
        # Whose turn it is to commit. A signal handler that records may run while its own thread waits with the turn.
        self._turn = threading.RLock()
        self._turn_of = 0  # the thread that knows that it has it
        self._lanes: set[str] = set()  # that have begun
        self._together = 1  # how many tickets the last commit took
        self._took = 0.0  # and how long, in seconds

    def append(self, rows: Sequence[NewEntry], spool: tuple[str, int] | None) -> int:
        """Write rows, in order and in one commit; see `Journal.append`."""
        self._connection.check_caller()
        if len(rows) == 1 and spool is None and self._together == 1 and not self.queue:
            number = self._append_alone(rows[0])
            if number:
                return number
        ticket = _Ticket(rows, spool)
        self.queue.append(ticket)
        try:
            while not self._commit_in_turn(ticket):
                # Lain down first, and then looked again: else the nudge could come in between, and wake nobody.
                ticket.lie_down()
                if self._commit_in_turn(ticket):
                    break
                ticket.sleep()
        except BaseException:
            # Ctrl-C belongs to the thread it hits: its call records nothing, where that is still ours to say,
            # and what others queued stays queued for the next whose turn it is.
            ticket.rows = ()
            ticket.group = _ENDED
            self._let_go()
            self._leave_queue([ticket])
            self._nudge()
            raise
        if ticket.group.error is not None:
            raise ticket.group.error
        if not ticket.group.over:
            raise JournalError(f"{self._path.name}: the call was interrupted before it was recorded")
        return ticket.last

    def _append_alone(self, row: NewEntry) -> int:
        """Write a row that needs nothing but its insert, as nearly all do, where nobody is at it; 0 where not so.

        By itself a statement is a transaction, and takes the write lock as BEGIN IMMEDIATE does.
        """
        shared, me = self._connection, threading.get_ident()
        if shared.lock.locked():
            return 0
        # Without the turn: whoever has it, or comes for it, waits for this one statement at most.
        with shared.lock:
            shared.owner = me
            try:
                if row.state != _PENDING or row.lane not in self._lanes or self._room.limited:
                    return 0
                number = shared.use().execute(_INSERT_ENTRY, tuple(row)).lastrowid
                shared.note_written(len(row.message) + _ROW_BYTES)
                shared.look_at_log()
                return number or 0
            except sqlite3.Error as error:
                raise translated(error, self._path) from error
            finally:
                shared.owner = 0

    def _commit_in_turn(self, ticket: _Ticket) -> bool:
        """Commit all that is queued, where nobody is at it; whether this ticket is over."""
        turn, me = self._turn, threading.get_ident()
        if not ticket.group.over and turn.acquire(blocking=False):
            before, self._turn_of = self._turn_of, me
            try:
                self._commit_for(ticket)
            finally:
                self._turn_of = before
                turn.release()
                self._nudge()
            return True
        return ticket.group.over

    def _nudge(self) -> None:
        """Wake one of those who came too late: it is its turn.

        Whoever queues after this look finds the turn free, or taken by somebody who will look again.
        """
        if self.queue:
            with contextlib.suppress(IndexError):  # it left meanwhile
                self.queue[0].wake()

    def _let_go(self) -> None:
        """Give the turn back that this thread was interrupted with before it could note that it has it."""
        if self._turn_of != threading.get_ident():  # else a call has it in whose middle a signal handler runs
            with contextlib.suppress(RuntimeError):  # it has none
                self._turn.release()

    def _commit_for(self, ticket: _Ticket) -> None:
        shared, me = self._connection, threading.get_ident()
        with shared.lock:
            shared.owner = me
            try:
                if not ticket.group.over:
                    self._commit_queue()
            finally:
                shared.owner = 0

    def _commit_queue(self) -> None:
        """Commit all that is queued, for the threads that sleep; a ticket leaves the queue when it is over."""
        if self._together > 1 and self._took > _AT_LEAST:
            self._wait_for_company()
        tickets = [ticket for ticket in list(self.queue) if not ticket.group.over]
        begun = time.monotonic()
        try:
            try:
                self._commit_together(tickets)
            except JournalFull:
                if not self._room.make():
                    raise
                self._commit_together(tickets)
        except (sqlite3.Error, JournalFull) as error:
            self._commit_apart(tickets, error)
        finally:
            self._leave_queue(tickets)
        self._together, self._took = len(tickets), time.monotonic() - begun
        self._connection.look_at_log()

    def _wait_for_company(self) -> None:
        """Those whose rows went together come again at about the same time; without a wait the first goes alone."""
        until = time.monotonic() + self._took / _PART
        while len(self.queue) < self._together and time.monotonic() < until:
            time.sleep(_AT_LEAST / 20)

    def _leave_queue(self, tickets: list[_Ticket]) -> None:
        """Take out what is over, and wake its threads; the rest stays for the next whose turn it is."""
        for ticket in tickets:
            if ticket.group.over:
                try:  # noqa: SIM105  # suppress() takes longer than all the rest of this
                    self.queue.remove(ticket)
                except ValueError:
                    pass
                ticket.wake()

    def _commit_apart(self, tickets: list[_Ticket], error: sqlite3.Error | JournalFull) -> None:
        """Somebody's rows cannot be written: each ticket on its own, so that nobody fails for another."""
        busy = isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_BUSY
        for ticket in tickets:
            failure = error
            if len(tickets) > 1 and not busy:
                try:
                    self._commit_together([ticket])
                except (sqlite3.Error, JournalFull) as own:
                    failure = own
                    if isinstance(own, JournalFull):
                        self._connection.empty_log()  # what spilled into it would be counted to the next one
                else:
                    continue
            ticket.group = _Group()  # of its own: an exception is raised in one thread
            told = failure if isinstance(failure, JournalFull) else translated(failure, self._path)
            ticket.group.end(type(told)(str(told), hint=told.hint))

    def _commit_together(self, tickets: list[_Ticket]) -> None:
        group = _Group()
        for ticket in tickets:
            ticket.group = group
        try:
            connection = self._connection.use()
        except JournalError as error:  # it is closed
            group.end(error)
            return
        committing = False
        try:
            connection.execute(BEGIN)
            for ticket in tickets:
                self._write(connection, ticket)
            committing = True
            connection.execute(COMMIT)
            group.over = True
        except BaseException as error:
            if connection.in_transaction:
                connection.execute(ROLLBACK)
            elif committing and not isinstance(error, sqlite3.Error):
                group.over = True  # the interrupt came after the commit
            self._lanes.clear()  # a lane that the transaction began may be gone
            raise

    def _write(self, connection: sqlite3.Connection, ticket: _Ticket) -> None:
        rows = ticket.rows
        if self._room.limited:
            self._room.check(connection, sum(len(row.message) for row in rows) + len(rows) * _ROW_BYTES)
        if len(rows) == 1:
            row = rows[0]
            if row.lane not in self._lanes:
                self._begin_lane(connection, row.lane)
            ticket.last = connection.execute(_INSERT_ENTRY, tuple(row)).lastrowid or 0
            self._connection.note_written(len(row.message) + _ROW_BYTES)
            rejected = int(row.state == "rejected")
        else:
            for lane in {row.lane for row in rows} - self._lanes:
                self._begin_lane(connection, lane)
            connection.executemany(_INSERT_ENTRY, map(tuple, rows))
            (ticket.last,) = connection.execute(_LAST_INSERTED).fetchone()
            self._connection.note_written(sum(len(row.message) for row in rows) + len(rows) * _ROW_BYTES)
            rejected = sum(row.state == "rejected" for row in rows)
        if rejected:
            connection.execute(_COUNT, (rejected, State.REJECTED.value))
        if ticket.spool is not None:
            connection.execute(_SPOOL_DONE, ticket.spool)

    def _begin_lane(self, connection: sqlite3.Connection, lane: str) -> None:
        connection.execute(_BEGIN_LANE, (lane,))
        self._lanes.add(lane)
