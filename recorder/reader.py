"""`JournalReader`: pages, counts and attempts for commands and screens.

Reads only, never blocks a writer, and never holds a read transaction open: every read is fetched whole, so
that the write-ahead log can be moved into the file whoever looks on.
"""

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

from recorder.decisions import Decision, Verb, matching, weigh
from recorder.entries import Attempt, Entry, LaneStatus, Outcome, ShipperStatus, State, Statistics
from recorder.errors import JournalClosed, JournalError
from recorder.filters import where
from recorder.forks import at_forks, opening
from recorder.locks import beside
from recorder.opening import connect_reader, resolved, translated
from recorder.operations import Lane
from recorder.uptime import Due, uptime

__all__ = ["JournalReader"]

_PAGE = 200  # a message may take a megabyte
_MOST_ENTRIES = 1_000_000

_COLUMNS = """
seq, lane, group_key, profile, operator, message, recorded_at, state, attempt, sends, reason, possibly_twice, hazardous,
out_of_order
"""
_ENTRIES = f"SELECT {_COLUMNS} FROM entries_with_state WHERE {{where}} AND seq < ? ORDER BY seq DESC LIMIT ?"
_OLDEST_FIRST = f"SELECT {_COLUMNS} FROM entries_with_state WHERE {{where}} AND seq > ? ORDER BY seq LIMIT ?"
_ENTRY = f"SELECT {_COLUMNS} FROM entries_with_state WHERE seq = ?"
_MATCHING = "SELECT count(*) FROM entries_with_state WHERE {where}"
_ATTEMPT_COLUMNS = """
id, lane, first, last, entries, updates, bytes, digest, started_at, ended_at, outcome, status, words, times
"""
_ATTEMPTS = f"""
SELECT {_ATTEMPT_COLUMNS} FROM attempts
 WHERE lane = ? AND ? BETWEEN first AND last
   AND (picked IS NULL OR ? IN (SELECT value FROM json_each(picked))) ORDER BY id
"""
_LATEST_ATTEMPTS = f"SELECT {_ATTEMPT_COLUMNS} FROM attempts ORDER BY id DESC LIMIT ?"
_ACCOUNTS = "SELECT account, entries FROM accounts"
_OLDEST_SET_ASIDE = """
SELECT min(recorded_at) FROM entries
 WHERE state IN ('waiting', 'in_doubt') AND state NOT IN ('pending', 'shipped')
"""
_CURSORS = "SELECT lane, cursor FROM lanes"
_OLDEST_PENDING = """
SELECT recorded_at FROM entries WHERE lane = ? AND seq > ? AND state = 'pending' ORDER BY seq LIMIT 1
"""
_DATA_VERSION = "PRAGMA data_version"
_TOKEN = "SELECT token FROM project"  # noqa: S105  # SQL, no secret
_LANES = "SELECT lane, outcome, cause, since, failures, retry_at FROM lanes ORDER BY rowid"
_SHIPPER = "SELECT pid, running, seen_at, in_doubt, settle_after FROM shipper"
_SETTLING = "SELECT boot, at, span FROM waits WHERE cause = 'settle_after'"
_HELD = "SELECT count(*) FROM waits WHERE cause = 'hold'"

_SHIPPED_ATTEMPTS = """
SELECT id, first, last FROM attempts WHERE outcome = 'shipped' AND lane IN ('people', 'groups') ORDER BY id
"""
# Those, and what may turn out to be shipped yet: what is under way, and what is in doubt.
_ATTEMPTS_OF_HISTORY = """
SELECT id, first, last, outcome IS 'shipped' FROM attempts
 WHERE (outcome IS NULL OR outcome IN ('shipped', 'unknown')) AND lane IN ('people', 'groups') ORDER BY id
"""
_SHIPPED_BY = """
SELECT seq, message FROM entries WHERE seq BETWEEN ? AND ? AND attempt = ? AND state = 'shipped' ORDER BY seq
"""
# What is still to be sent, and what was shipped since the attempts were read: by later ones, or by these.
_NOT_SHIPPED_YET = """
SELECT seq, message FROM entries
 WHERE seq > ? AND lane IN ('people', 'groups')
   AND (state IN ('pending', 'waiting', 'in_doubt')
        OR (state = 'shipped' AND (attempt > ? OR attempt IN (SELECT value FROM json_each(?)))))
 ORDER BY seq LIMIT ?
"""

# The same for whoever asks for whole entries. Of what was shipped, all that none of the attempts known carried: one
# that was in doubt may be settled late, by an attempt older than the latest.
_ENTRIES_SHIPPED_BY = f"""
SELECT {_COLUMNS} FROM entries_with_state
 WHERE seq BETWEEN ? AND ? AND attempt = ? AND state = 'shipped' ORDER BY seq
"""
_ENTRIES_NOT_SHIPPED_BY = f"""
SELECT {_COLUMNS} FROM entries_with_state
 WHERE seq > ? AND lane IN ('people', 'groups')
   AND (state IN ('pending', 'sending', 'waiting', 'in_doubt')
        OR (state = 'shipped' AND attempt NOT IN (SELECT value FROM json_each(?))))
 ORDER BY seq LIMIT ?
"""
# One profile's entries in the same order. No index knows profiles: recording would pay for it with each entry.
_OF_PROFILE = """
SELECT seq, message FROM entries
 WHERE profile = ? AND group_key IS ? AND lane = ?
   AND (state = 'shipped' OR (? AND state IN ('pending', 'waiting', 'in_doubt')))
 ORDER BY state != 'shipped', CASE state WHEN 'shipped' THEN attempt END, seq
"""


class JournalReader:
    """A journal's entries, attempts and accounts, without a way to change them.

    Args:
        path: The journal's file. It is never created.
        clock: Seconds since the epoch, for ages and for filters such as ``since=2h``.

    Raises:
        JournalMissing, NotAJournal, JournalTooNew, JournalDamaged: There is nothing to read.

    >>> import pathlib, tempfile
    >>> from recorder import Recorder
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
    >>> with Recorder("PROJECT", path) as recorder:
    ...     recorder.people_set("ada", {"plan": "pro"})
    >>> with JournalReader(path) as reader:
    ...     [(entry.seq, entry.profile, entry.operator, entry.state.value) for entry in reader.entries()]
    [(1, 'ada', '$set', 'pending')]
    """

    def __init__(self, path: str | PathLike[str], *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.path = resolved(path)
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._reading = 0  # the thread that is in the middle of a read
        self._torn = False
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        with self._lock:
            self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        with self._lock:
            self._closed = True
            self._let_go()

    # --- forks: see recorder.forks

    def before_fork(self) -> None:
        """Let go of the file, unless this very thread is in the middle of a read: a signal handler forks."""
        self._lock.acquire()
        self._torn = self._reading == threading.get_ident()
        if not self._torn:
            self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def after_fork_in_parent(self) -> None:
        """Go on; the next read opens the file again."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: whoever held the lock is not here any more. After a torn read every other is refused."""
        self._lock = threading.RLock()
        self._reading = 0
        if not self._torn:
            self._process = os.getpid()

    def _connect(self) -> sqlite3.Connection:
        """The connection, opened where it is not yet, or not since a fork; under the lock."""
        if self._closed:
            raise JournalClosed(f"{self.path.name} is closed")
        if self._process != os.getpid():
            raise JournalError(
                f"{self.path.name} was being read while this process was forked",
                hint="Open it again in the child.",
            )
        if self._connection is None:
            with opening:
                try:
                    self._connection = connect_reader(self.path)
                except sqlite3.Error as error:
                    raise translated(error, self.path) from error
                at_forks(self)
        return self._connection

    def entries(
        self,
        filter: str | Sequence[str] = "",  # noqa: A002  # the language's own name
        after: int | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """A page of entries, newest first.

        Args:
            filter: See `recorder.filters`, as in ``"state=rejected op=add"``.
            after: Entries older than this number, to read on from the last one of a page.
            limit: At most so many; up to a million.

        Raises:
            InvalidFilter: The filter is not understood.
        """
        condition = where(filter, now=self._clock())
        before = after if after is not None else 2**62
        rows = self._all(
            _ENTRIES.format(where=condition.sql), (*condition.parameters, before, min(limit, _MOST_ENTRIES))
        )
        return [_entry(row) for row in rows]

    def stream(self, filter: str | Sequence[str] = "") -> Iterator[Entry]:  # noqa: A002
        """All entries that match, oldest first, however many: they are read a page at a time.

        While others record and ship, each page shows its own moment; no entry comes twice.

        Args:
            filter: See `entries`.

        Raises:
            InvalidFilter: The filter is not understood.
        """
        condition = where(filter, now=self._clock())
        sql = _OLDEST_FIRST.format(where=condition.sql)
        seq = 0
        while rows := self._all(sql, (*condition.parameters, seq, _PAGE)):
            for row in rows:
                yield _entry(row)
            seq = rows[-1][0]

    def count(self, filter: str | Sequence[str] = "") -> int:  # noqa: A002
        """How many entries match a filter."""
        condition = where(filter, now=self._clock())
        return int(self._all(_MATCHING.format(where=condition.sql), condition.parameters)[0][0])

    def entry(self, seq: int) -> Entry | None:
        """One entry, None where there is none of that number."""
        rows = self._all(_ENTRY, (seq,))
        return _entry(rows[0]) if rows else None

    def attempts(self, seq: int | None = None, *, limit: int = 100) -> list[Attempt]:
        """The attempts that carried an entry, oldest first; without a number the latest ones, newest first."""
        if seq is None:
            return [_attempt(row) for row in self._all(_LATEST_ATTEMPTS, (limit,))]
        entry = self.entry(seq)
        return [_attempt(row) for row in self._all(_ATTEMPTS, (entry.lane, seq, seq))] if entry else []

    def counts(self) -> Statistics:
        """The accounts as they stand, from counters and the highest number: nothing is scanned."""
        with self._snapshot() as connection:
            return read_statistics(connection, self.path, now=self._clock())

    def version(self) -> int:
        """A number that changes when another connection has changed the journal: cheap to ask for."""
        return int(self._all(_DATA_VERSION)[0][0])

    def weigh(self, verb: Verb, filter: str | Sequence[str]) -> Decision:  # noqa: A002
        """What `Journal.retry` or `Journal.discard` would do; nothing is written.

        Raises:
            InvalidFilter: The filter is not understood.
        """
        condition = where(filter, now=self._clock())
        with self._snapshot() as connection:
            return Decision.sum(
                weigh(connection, verb, several) for several in matching(connection, condition)
            )

    def token(self) -> str | None:
        """The project's token, None before the first was given."""
        token = self._all(_TOKEN)[0][0]
        return str(token) if token is not None else None

    def shipping(self) -> ShipperStatus:
        """Who ships, and how each lane stands."""
        ((pid, running, seen_at, in_doubt, settle_after),) = self._all(_SHIPPER)
        now = uptime()
        settling = min((Due(*row).left(now) for row in self._all(_SETTLING)), default=None)
        lanes = tuple(
            LaneStatus(
                lane=Lane(lane),
                outcome=Outcome(outcome) if outcome else None,
                cause=cause,
                since=since,
                failures=failures,
                retry_at=retry_at,
            )
            for lane, outcome, cause, since, failures, retry_at in self._all(_LANES)
        )
        return ShipperStatus(
            pid=pid,
            running=bool(running) and _alive(pid),
            seen_at=seen_at,
            in_doubt=in_doubt,
            settle_after=settle_after,
            settling_until=None if settling is None else self._clock() + settling,
            held=self._all(_HELD)[0][0],
            lanes=lanes,
        )

    def history(self, *, shipped_only: bool = False) -> Iterator[dict[str, Any]]:
        """The messages of profiles: those shipped in shipped order, then those to be sent by number.

        Rejected, discarded and forgotten entries are left out. Each entry comes once, also while a shipper
        is at work.
        """
        return (message for _, message in self.numbered_history(shipped_only=shipped_only))

    def numbered_history(self, *, shipped_only: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
        """What `history` gives, each message with its entry's number."""
        attempts = self._all(_ATTEMPTS_OF_HISTORY)
        for attempt, first, last, shipped in attempts:
            for number, message in self._all(_SHIPPED_BY, (first, last, attempt)) if shipped else ():
                yield number, json.loads(message)
        if shipped_only:
            return
        latest = attempts[-1][0] if attempts else 0
        open_then = json.dumps([attempt for attempt, _, _, shipped in attempts if not shipped])
        seq = 0
        while page := self._all(_NOT_SHIPPED_YET, (seq, latest, open_then, _PAGE)):
            for number, message in page:
                yield number, json.loads(message)
            seq = page[-1][0]

    def shipped_entries(self) -> Iterator[Entry]:
        """The entries of profiles that were shipped, in shipped order: the beginning of `history`.

        What is shipped while it is read is left to `unshipped_entries`.
        """
        for attempt, first, last in self._all(_SHIPPED_ATTEMPTS):
            for row in self._all(_ENTRIES_SHIPPED_BY, (first, last, attempt)):
                yield _entry(row)

    def unshipped_entries(self, known: Collection[int] = ()) -> Iterator[Entry]:
        """The entries of profiles that are still to be sent or in doubt, by number: the end of `history`.

        Between the two another place may be looked at, such as what a service received.

        Args:
            known: The attempts that `shipped_entries` told of. What others shipped since is among these entries, so
                that each comes once, also while a shipper is at work; without any, all that was shipped is.

        >>> import pathlib, tempfile
        >>> from recorder import Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     recorder.people_set("ada", {"plan": "pro"})
        >>> with JournalReader(path) as reader:
        ...     known = {entry.attempt for entry in reader.shipped_entries()}
        ...     [entry.seq for entry in reader.unshipped_entries(known)]
        [1]
        """
        attempts = json.dumps(sorted(known))
        seq = 0
        while rows := self._all(_ENTRIES_NOT_SHIPPED_BY, (seq, attempts, _PAGE)):
            for row in rows:
                yield _entry(row)
            seq = rows[-1][0]

    def history_of(
        self, profile: str, group_key: str | None = None, *, shipped_only: bool = False
    ) -> list[tuple[int, str]]:
        """One profile's part of `history`, read at one moment: the entries' numbers and their messages as JSON.

        All entries are looked through, which takes a fraction of a second for a million.

        Args:
            profile: The profile's or group's id.
            group_key: A group's key; None for a user's profile.
            shipped_only: Without what is still to be sent.
        """
        lane = Lane.PEOPLE if group_key is None else Lane.GROUPS
        return self._all(_OF_PROFILE, (profile, group_key, lane, not shipped_only))

    def _all(self, sql: str, parameters: Sequence[str | float | None] = ()) -> list[Any]:
        with self._held():
            connection = self._connect()
            try:
                return connection.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise translated(error, self.path) from error

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        with self._lock:
            outermost, self._reading = self._reading == 0, threading.get_ident()
            try:
                yield
            finally:
                if outermost:
                    self._reading = 0

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """Several reads of one moment; for reads that take no time."""
        with self._held():
            connection = self._connect()
            try:
                connection.execute("BEGIN")
                yield connection
            except sqlite3.Error as error:
                raise translated(error, self.path) from error
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")


def read_statistics(connection: sqlite3.Connection, path: Path, *, now: float) -> Statistics:
    """The accounts, read through a connection to the journal at `path`."""
    accounts = dict(connection.execute(_ACCOUNTS).fetchall())
    oldest = [connection.execute(_OLDEST_SET_ASIDE).fetchone()]
    for lane, cursor in connection.execute(_CURSORS).fetchall():
        oldest.append(connection.execute(_OLDEST_PENDING, (lane, cursor)).fetchone())
    times = [row[0] for row in oldest if row and row[0] is not None]
    return Statistics(
        **accounts,
        bytes=_size(path) + _size(beside(path, "-wal")),
        oldest_pending_seconds=max(0.0, now - min(times)) if times else None,
    )


def _entry(row: tuple[Any, ...]) -> Entry:
    (seq, lane, group_key, profile, operator, message, recorded_at, state, attempt, sends, reason, *marks) = (
        row
    )
    twice, hazardous, out_of_order = map(bool, marks)
    return Entry(
        seq=seq,
        lane=Lane(lane),
        group_key=group_key,
        profile=profile,
        operator=operator,
        message=json.loads(message),
        recorded_at=recorded_at,
        state=State(state),
        attempt=attempt,
        sends=sends,
        reason=reason,
        possibly_twice=twice,
        hazardous=hazardous,
        out_of_order=out_of_order,
    )


def _attempt(row: tuple[Any, ...]) -> Attempt:
    (
        id_,
        lane,
        first,
        last,
        entries,
        updates,
        size,
        digest,
        started_at,
        ended_at,
        outcome,
        status,
        words,
        times,
    ) = row
    return Attempt(
        id=id_,
        lane=Lane(lane),
        first=first,
        last=last,
        entries=entries,
        updates=updates,
        bytes=size,
        digest=digest,
        started_at=started_at,
        ended_at=ended_at,
        outcome=Outcome(outcome) if outcome else None,
        status=status,
        words=words,
        times=times,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
