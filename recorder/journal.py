"""`Journal`: the only room that writes SQL."""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from threading import get_ident
from typing import Self

from recorder.batches import pack
from recorder.connection import BEGIN, COMMIT, ROLLBACK, Connection, Durability
from recorder.entries import NewEntry, Outcome, State, Statistics
from recorder.errors import JournalError, WrongToken
from recorder.operations import Lane, is_text
from recorder.reader import read_statistics
from recorder.schema import primary_code, resolved, translated

__all__ = ["Claim", "Journal", "Settlement"]

_ROW_BYTES = 100  # beside its message, roughly
_WORTH_MOVING = 1000  # entries of other lanes to pass before a cursor is moved for nothing else

# --- SQL, a named constant each -------------------------------------------------------------------------

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
_LANE_CURSOR = "SELECT cursor FROM lanes WHERE lane = ?"
_MOVE_CURSOR = "UPDATE lanes SET cursor = ? WHERE lane = ?"
_HIGHEST = "SELECT coalesce(max(seq), 0) FROM entries"

_TOKEN = "SELECT token FROM project"  # noqa: S105  # SQL, no secret
_KEEP_TOKEN = "UPDATE project SET token = ? WHERE token IS NULL"  # noqa: S105  # SQL, no secret

# The partial index on exceptional states serves a query only when it says the index's condition word for word.
_AGAIN = """
SELECT seq, message FROM entries
 WHERE state IN ('waiting', 'in_doubt') AND state NOT IN ('pending', 'shipped') AND lane = ? ORDER BY seq
"""
_FRESH = "SELECT seq, message FROM entries WHERE lane = ? AND seq > ? AND state = 'pending' ORDER BY seq"

_EPOCH = "SELECT epoch FROM shipper"
_TAKE_OVER = "UPDATE shipper SET epoch = epoch + 1, pid = ?, running = 1, seen_at = ?"
_HAND_OVER = "UPDATE shipper SET running = 0, seen_at = ? WHERE epoch = ?"

_OPEN_ATTEMPT = """
INSERT INTO attempts (lane, epoch, first, last, picked, updates, bytes, digest, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_OPEN_ATTEMPTS = (
    "SELECT id, lane, epoch, first, last, picked, updates FROM attempts WHERE outcome IS NULL ORDER BY id"
)
_SETTLE_ATTEMPT = """
UPDATE attempts SET outcome = ?, status = ?, words = ?, ended_at = ? WHERE id = ? AND epoch = ? AND outcome IS NULL
"""
_ALIKE = """
SELECT previous.id FROM attempts AS this JOIN attempts AS previous
    ON previous.id = (SELECT max(id) FROM attempts WHERE id < this.id AND lane = this.lane)
 WHERE this.id = ? AND previous.outcome = this.outcome
   AND previous.words = this.words AND previous.status IS this.status
   AND previous.first = this.first AND previous.last = this.last AND previous.picked IS this.picked
"""
_ONE_MORE_TIME = "UPDATE attempts SET times = times + 1, ended_at = ? WHERE id = ?"
_DROP_ATTEMPT = "DELETE FROM attempts WHERE id = ?"

_CARRIED_FRESH = "lane = :lane AND seq BETWEEN :first AND :last AND state = 'pending'"
_CARRIED_AGAIN = (
    "seq IN (SELECT value FROM json_each(:picked)) AND state IN ('waiting', 'in_doubt') "
    "AND state NOT IN ('pending', 'shipped')"
)
_CARRIED_STATES = "SELECT state, count(*), sum(possibly_twice) FROM entries WHERE {carried} GROUP BY state"
# Only a request that may have been applied changes its entries: a second one makes possibly two.
_SETTLE_ENTRIES = """
UPDATE entries SET state = :state, attempt = :attempt, sends = sends + 1,
                   possibly_twice = max(possibly_twice, state = 'in_doubt')
 WHERE {carried}
"""

_LANE_WELL = """
UPDATE lanes SET outcome = 'shipped', cause = '', failures = 0, retry_at = NULL,
                 since = CASE WHEN outcome = 'shipped' THEN since ELSE :now END
 WHERE lane = :lane
"""
_LANE_FAILED = """
UPDATE lanes SET outcome = :outcome, cause = :cause, failures = :failures, retry_at = :retry_at,
                 since = CASE WHEN outcome = :outcome THEN since ELSE :now END
 WHERE lane = :lane
"""
_LANE_FAILURES = "SELECT failures FROM lanes WHERE lane = ?"

_SPOOLED = "SELECT rows_done FROM spools WHERE name = ?"
_SPOOL_DONE = """
INSERT INTO spools (name, rows_done) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET rows_done = excluded.rows_done
"""
_SPOOL_ENDED = "DELETE FROM spools WHERE name = ?"


@dataclass(frozen=True, slots=True)
class Claim:
    """Entries written down as being sent, and the request that carries them.

    Attributes:
        attempt: The attempt's number.
        epoch: Of the shipper that made it.
        lane: Whose entries these are.
        numbers: Their numbers, ascending.
        picked: Whether they were picked one by one (to be sent again) rather than the next in their lane.
        body: The request's body.
    """

    attempt: int
    epoch: int
    lane: Lane
    numbers: tuple[int, ...]
    picked: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class Settlement:
    """What came of a claim.

    Attributes:
        outcome: See `Outcome`.
        status: The HTTP status of the answer, if one came.
        words: The service's words, or what went wrong on the way.
        now: Seconds since the epoch.
        retry_at: When another try is due, for a failure.
        failures: How many tries in a row did not go through, this one among them.
    """

    outcome: Outcome
    status: int | None
    words: str
    now: float
    retry_at: float | None = None
    failures: int = 0


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

    __slots__ = ("group", "last", "rows", "spool")

    def __init__(self, rows: Sequence[NewEntry], spool: tuple[str, int] | None) -> None:
        self.rows = rows
        self.spool = spool
        self.group = _WAITING
        self.last = 0


class Journal:
    """The journal of one project's operations in one file.

    Safe for any number of threads; any number of processes may have it open. A forked child must open its own.

    Args:
        path: The file; created, with its schema, where there is none.
        token: The project's token. The first one given is kept; the journal belongs to that project.
        durability: What a recording call waits for. ``"power"``: the entry survives a power loss.
            ``"process"``: it survives the death of the process, and the last ones may be lost with the power.

    Raises:
        NotAJournal, JournalTooNew: The file is something else; it was not touched.
        JournalDamaged, JournalBusy, JournalError: It cannot be used.
        WrongToken: It belongs to another project.

    >>> import tempfile, pathlib
    >>> journal = Journal(pathlib.Path(tempfile.mkdtemp()) / "kiosk.db", token="PROJECT")
    >>> journal.token
    'PROJECT'
    >>> journal.close()
    """

    def __init__(
        self, path: str | PathLike[str], *, token: str | None = None, durability: Durability = "power"
    ) -> None:
        if durability not in ("power", "process"):
            raise ValueError(f"durability is 'power' or 'process', not {durability!r}")
        self.path = resolved(path)
        self.durability = durability
        self._queue: deque[_Ticket] = deque()
        self._lanes: set[str] = set()
        self._token: str | None = None
        self._connection = Connection(self.path, durability)
        try:
            with self._connection.reading() as connection:
                (self._token,) = connection.execute(_TOKEN).fetchone()
            if token is not None:
                self.bind(token)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"Journal({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, timeout: float | None = None) -> None:
        """Close the file. Calls after this raise JournalClosed; closing twice does nothing.

        Args:
            timeout: How long to wait for a call under way, in seconds; None for as long as it takes.
        """
        self._connection.close(timeout)

    @property
    def token(self) -> str | None:
        """The token of the project this journal belongs to; None before the first was given."""
        return self._token

    def bind(self, token: str) -> None:
        """Make this the journal of a project, or see that it is.

        Raises:
            WrongToken: It belongs to another project.
        """
        if not isinstance(token, str) or not token or not is_text(token):
            raise WrongToken(
                "the project's token must be a non-empty string", hint="Take it from the project's settings."
            )
        if self._token is None:
            with self._connection.transaction() as connection:
                connection.execute(_KEEP_TOKEN, (token,))
                (self._token,) = connection.execute(_TOKEN).fetchone()
        if token != self._token:
            raise WrongToken(f"{self.path.name} belongs to another project than the token given")

    # --- recording

    def append(self, rows: Sequence[NewEntry], *, spool: tuple[str, int] | None = None) -> int:
        """Write rows, in order and in one commit; when this returns, they are in the journal.

        Threads share commits: whoever comes first commits what all have queued, and each returns or raises
        on its own.

        Args:
            rows: At least one.
            spool: The name of the file they come from, and how many of its rows are done with them.

        Returns:
            The number of the last one; they are numbered without a gap.

        Raises:
            JournalError: Nothing of this call was written.
        """
        ticket = _Ticket(rows, spool)
        shared = self._connection
        shared.check_caller()
        self._queue.append(ticket)
        try:
            with shared.lock:
                shared.owner = get_ident()
                try:
                    if not ticket.group.over:
                        self._commit_queue()
                finally:
                    shared.owner = 0
        except BaseException:
            # Ctrl-C belongs to the thread it hits: its call records nothing, where that is still ours to say,
            # and what others queued stays queued for the next one who holds the lock.
            ticket.rows = ()
            ticket.group = _ENDED
            self._leave_queue([ticket])
            raise
        if ticket.group.error is not None:
            raise ticket.group.error
        if not ticket.group.over:
            raise JournalError(f"{self.path.name}: the call was interrupted before it was recorded")
        return ticket.last

    def _commit_queue(self) -> None:
        """Commit all that is queued, for the threads that wait; a ticket leaves the queue when it is over."""
        tickets = [ticket for ticket in list(self._queue) if not ticket.group.over]
        try:
            self._commit_together(tickets)
        except sqlite3.Error as error:
            self._commit_apart(tickets, error)
        finally:
            self._leave_queue(tickets)
        self._connection.look_at_log()

    def _leave_queue(self, tickets: list[_Ticket]) -> None:
        """Take out what is over; the rest stays for the next one who holds the lock."""
        for ticket in tickets:
            if ticket.group.over:
                try:  # noqa: SIM105  # suppress() takes longer than all the rest of this
                    self._queue.remove(ticket)
                except ValueError:
                    pass

    def _commit_apart(self, tickets: list[_Ticket], error: sqlite3.Error) -> None:
        """Somebody's rows cannot be written: each ticket on its own, so that nobody fails for another."""
        busy = primary_code(error) == sqlite3.SQLITE_BUSY
        for ticket in tickets:
            failure = error
            if len(tickets) > 1 and not busy:
                try:
                    self._commit_together([ticket])
                except sqlite3.Error as own:
                    failure = own
                else:
                    continue
            ticket.group = _Group()  # of its own: an exception is raised in one thread
            ticket.group.end(translated(failure, self.path))

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
        if len(rows) == 1:
            row = rows[0]
            if row.lane not in self._lanes:
                self._begin_lane(connection, row.lane)
            ticket.last = connection.execute(_INSERT_ENTRY, row).lastrowid or 0
            self._connection.note_written(len(row.message) + _ROW_BYTES)
            rejected = int(row.state == "rejected")
        else:
            for lane in {row.lane for row in rows} - self._lanes:
                self._begin_lane(connection, lane)
            connection.executemany(_INSERT_ENTRY, rows)
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

    # --- files that `restante record` reads through

    def spooled(self, name: str) -> int:
        """How many rows of a spool file are in the journal."""
        with self._connection.reading() as connection:
            row = connection.execute(_SPOOLED, (name,)).fetchone()
        return int(row[0]) if row else 0

    def forget_spool(self, name: str) -> None:
        """A spool file is done, or given up."""
        with self._connection.transaction() as connection:
            connection.execute(_SPOOL_ENDED, (name,))

    # --- shipping

    def take_over(self, now: float) -> int:
        """Become the shipper: a new epoch. Attempts that were open are settled as unknown.

        The caller holds the lock of `recorder.locks.ship_lock`.
        """
        with self._connection.transaction(full=True) as connection:
            connection.execute(_TAKE_OVER, (os.getpid(), now))
            (epoch,) = connection.execute(_EPOCH).fetchone()
            self._settle_left_open(connection, now)
        return int(epoch)

    def _settle_left_open(self, connection: sqlite3.Connection, now: float) -> None:
        """Attempts that nobody will settle any more: their process died, or their call was cut off."""
        for id_, lane, epoch, first, last, picked, updates in connection.execute(_OPEN_ATTEMPTS).fetchall():
            left = Settlement(
                Outcome.UNKNOWN, None, "the request was given up before its answer was settled", now
            )
            self._settle(connection, _Carried(id_, epoch, Lane(lane), first, last, picked, updates), left)

    def hand_over(self, epoch: int, now: float) -> None:
        """Stop being the shipper."""
        with self._connection.transaction() as connection:
            connection.execute(_HAND_OVER, (now, epoch))

    def claim(
        self, lane: Lane, *, epoch: int, most_updates: int, most_bytes: int, now: float
    ) -> Claim | None:
        """Write down which entries go next, before they are sent; None where none may go.

        Entries to be sent again go first, and never together with fresh ones.

        Raises:
            JournalError: Another shipper took over.
        """
        with self._connection.transaction(full=True) as connection:
            if connection.execute(_EPOCH).fetchone() != (epoch,):
                raise JournalError(f"{self.path.name}: another process ships now")
            self._settle_left_open(connection, now)
            token = self._token or ""
            limits = {"lane": lane, "token": token, "most_updates": most_updates, "most_bytes": most_bytes}
            with contextlib.closing(connection.execute(_AGAIN, (lane,))) as rows:
                packed = pack(rows, **limits)  # type: ignore[arg-type]
            picked = packed is not None
            if packed is None:
                row = connection.execute(_LANE_CURSOR, (lane,)).fetchone()
                if row is None:
                    return None
                with contextlib.closing(connection.execute(_FRESH, (lane, row[0]))) as rows:
                    packed = pack(rows, **limits)  # type: ignore[arg-type]
            if packed is None:
                self._pass_others(connection, lane, row[0])
                return None
            numbers, body = packed.numbers, packed.body
            attempt = connection.execute(
                _OPEN_ATTEMPT,
                (
                    lane,
                    epoch,
                    numbers[0],
                    numbers[-1],
                    json.dumps(numbers) if picked else None,
                    len(numbers),
                    len(body),
                    hashlib.sha256(body).hexdigest()[:16],
                    now,
                ),
            ).lastrowid
        return Claim(attempt or 0, epoch, lane, numbers, picked, body)

    def _pass_others(self, connection: sqlite3.Connection, lane: Lane, cursor: int) -> None:
        """Nothing of this lane is left: spare the next look all that other lanes recorded since."""
        (highest,) = connection.execute(_HIGHEST).fetchone()
        if highest - cursor > _WORTH_MOVING:
            connection.execute(_MOVE_CURSOR, (highest, lane))

    def settle(self, claim: Claim, settlement: Settlement) -> bool:
        """Write down what came of a claim; False, and nothing written, where another shipper settled it.

        ``shipped`` and ``unknown`` change the entries. After any other outcome they are as before the claim.
        """
        carried = _Carried(
            claim.attempt,
            claim.epoch,
            claim.lane,
            claim.numbers[0],
            claim.numbers[-1],
            json.dumps(claim.numbers) if claim.picked else None,
            len(claim.numbers),
        )
        with self._connection.transaction(full=True) as connection:
            return self._settle(connection, carried, settlement)

    def _settle(self, connection: sqlite3.Connection, carried: "_Carried", settlement: Settlement) -> bool:
        now, outcome = settlement.now, settlement.outcome
        settled = connection.execute(
            _SETTLE_ATTEMPT,
            (outcome, settlement.status, settlement.words, now, carried.attempt, carried.epoch),
        ).rowcount
        if not settled:
            return False
        match outcome:
            case Outcome.SHIPPED | Outcome.UNKNOWN:
                state = State.SHIPPED if outcome is Outcome.SHIPPED else State.IN_DOUBT
                self._move(connection, carried, state)
            case _:
                self._merge_alike(connection, carried.attempt, now)
        if outcome is Outcome.SHIPPED:
            connection.execute(_LANE_WELL, {"lane": carried.lane, "now": now})
        else:
            connection.execute(
                _LANE_FAILED,
                {
                    "lane": carried.lane,
                    "outcome": outcome,
                    "cause": settlement.words,
                    "failures": settlement.failures,
                    "retry_at": settlement.retry_at,
                    "now": now,
                },
            )
        return True

    @staticmethod
    def _move(connection: sqlite3.Connection, carried: "_Carried", state: State) -> None:
        """The entries of an attempt that may have been applied, to their next state."""
        where = _CARRIED_FRESH if carried.picked is None else _CARRIED_AGAIN
        parameters = {
            "lane": carried.lane,
            "first": carried.first,
            "last": carried.last,
            "picked": carried.picked,
            "state": state,
            "attempt": carried.attempt,
        }
        before = connection.execute(_CARRIED_STATES.format(carried=where), parameters).fetchall()
        moved = connection.execute(_SETTLE_ENTRIES.format(carried=where), parameters).rowcount
        connection.execute(_COUNT, (moved, state))
        for was, count, marked in before:
            if was != State.PENDING:
                connection.execute(_COUNT, (-count, was))
            if was == State.IN_DOUBT:
                connection.execute(_COUNT, (count - marked, "possibly_twice"))
        if carried.picked is None:
            connection.execute(_MOVE_CURSOR, (carried.last, carried.lane))

    @staticmethod
    def _merge_alike(connection: sqlite3.Connection, attempt: int, now: float) -> None:
        """Equal failures in a row are one row with a count: an outage of months stays small."""
        previous = connection.execute(_ALIKE, (attempt,)).fetchone()
        if previous is not None:
            connection.execute(_DROP_ATTEMPT, (attempt,))
            connection.execute(_ONE_MORE_TIME, (now, previous[0]))

    def statistics(self, now: float) -> Statistics:
        """The accounts at this moment; `now` in seconds since the epoch, for the age of the oldest."""
        with self._connection.reading() as connection:
            return read_statistics(connection, self.path, now=now)

    def failures(self, lane: Lane) -> int:
        """How many tries in a row did not go through in this lane."""
        with self._connection.reading() as connection:
            row = connection.execute(_LANE_FAILURES, (lane,)).fetchone()
        return int(row[0]) if row else 0


@dataclass(frozen=True, slots=True)
class _Carried:
    """What an attempt carries, as its row says."""

    attempt: int
    epoch: int
    lane: Lane
    first: int
    last: int
    picked: str | None
    updates: int
