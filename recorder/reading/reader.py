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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Self, TypeVar

from recorder.journal.accounts import statistics_of
from recorder.journal.copies import home_of, known_home, move
from recorder.journal.decisions import Decision, Verb, as_edited, matching, weigh
from recorder.journal.forks import at_forks, opening
from recorder.journal.limits import keeping_of
from recorder.journal.mentions import Whose, named, numbers_naming, ranges, weigh_forgetting
from recorder.journal.opening import connect_reader, making_sense, resolved, translated
from recorder.journal.space import refuses
from recorder.journal.uptime import Due, uptime
from recorder.model.entries import AttemptOutcome, State
from recorder.model.errors import JournalClosed, JournalError
from recorder.model.filters import where
from recorder.model.operations import Lane
from recorder.model.reports import (
    Attempt,
    AttemptGroup,
    Baseline,
    Entry,
    EntryRow,
    FailureGroup,
    Forgotten,
    Hold,
    LaneStatus,
    ProfileCount,
    ShipperStatus,
    Statistics,
)
from recorder.reading.failures import attempt_groups, failure_groups
from recorder.reading.pages import COLUMNS, NEWER, OLDER, Direction, Query, count, page
from recorder.reading.places import Places

__all__ = ["JournalReader"]

Read = TypeVar("Read")

_PAGE = 200  # a message may take a megabyte
_MOST_ENTRIES = 1_000_000
_NUMBERS = 20_000  # looked through by one read: some milliseconds

_ENTRIES = f"SELECT {COLUMNS} FROM entries_with_state WHERE {{where}} AND seq < ? ORDER BY seq DESC LIMIT ?"
_OLDEST_FIRST = f"SELECT {COLUMNS} FROM entries_with_state WHERE {{where}} AND seq > ? ORDER BY seq LIMIT ?"
_ENTRY = f"SELECT {COLUMNS} FROM entries_with_state WHERE seq = ?"
_MATCHING = "SELECT count(*) FROM entries_with_state WHERE {where}"
_ATTEMPT_COLUMNS = """
id, lane, first, last, entries, updates, bytes, digest, started_at, ended_at, outcome, status, words, times
"""
_ATTEMPTS_OF = f"""
SELECT {_ATTEMPT_COLUMNS} FROM attempts
 WHERE lane = :lane AND :seq BETWEEN first AND last
   AND (id IS :attempt
        OR :seq IN (SELECT value FROM json_each(picked))
        OR (picked IS NULL AND outcome IS NOT 'shipped' AND (outcome IS NOT 'unknown' OR :sends)
            AND (:attempt IS NOT NULL OR entries = last - first + 1)))
 ORDER BY id
"""
_CARRIED_BY = "SELECT lane, first, last, entries, picked, outcome FROM attempts WHERE id = ?"
_OF_ITS_LANE = (
    "SELECT seq FROM entries WHERE seq BETWEEN ? AND ? AND lane = ? AND (? OR attempt = ?) ORDER BY seq"
)
_LATEST_ATTEMPTS = f"SELECT {_ATTEMPT_COLUMNS} FROM attempts ORDER BY id DESC LIMIT ?"
_DATA_VERSION = "PRAGMA data_version"
_TOKEN = "SELECT token FROM project"  # noqa: S105  # SQL, no secret
_LANES = "SELECT lane, outcome, cause, since, failures, retry_at FROM lanes ORDER BY rowid"
_SHIPPER = "SELECT pid, running, seen_at, in_doubt, settle_after FROM shipper"
_SETTLING = "SELECT boot, at, span FROM waits WHERE cause = 'settle_after'"
_HELD = "SELECT count(*) FROM waits WHERE cause = 'hold'"
_HOLD = """
SELECT behind, cause, boot, at, span FROM waits WHERE lane = ? AND profile IS ? AND group_key IS ? ORDER BY id LIMIT 1
"""

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
SELECT {COLUMNS} FROM entries_with_state
 WHERE seq BETWEEN ? AND ? AND attempt = ? AND state = 'shipped' ORDER BY seq
"""
_ENTRIES_NOT_SHIPPED_BY = f"""
SELECT {COLUMNS} FROM entries_with_state
 WHERE seq > ? AND lane IN ('people', 'groups')
   AND (state IN ('pending', 'sending', 'waiting', 'in_doubt')
        OR (state = 'shipped' AND attempt NOT IN (SELECT value FROM json_each(?))))
 ORDER BY seq LIMIT ?
"""
_BASELINE_COLUMNS = "group_key, profile, properties, partly_known, entries, sends"
_BASELINE = f"""
SELECT id, {_BASELINE_COLUMNS} FROM baseline
 WHERE id > ? AND lane IN ('people', 'groups') ORDER BY id LIMIT ?
"""
_BASELINE_OF = f"SELECT {_BASELINE_COLUMNS} FROM baseline WHERE profile = ? AND lane = ? AND group_key IS ?"
# Forgetting takes rows of the baseline away, too.
_PRUNED = "SELECT sum(pruned), sum(CASE account WHEN 'forgotten' THEN entries END) FROM counters"
_PRUNED_OF = "SELECT account, pruned FROM counters WHERE pruned > 0"
_BASELINE_COUNTS = """
SELECT id, profile, group_key, entries FROM baseline
 WHERE id < ? AND entries > 0 AND lane IN ('people', 'groups') ORDER BY id DESC LIMIT ?
"""
_TRIES = 3

# One profile's entries in the same order. No index knows profiles: recording would pay for it with each entry.
_OF_PROFILE = """
SELECT seq, message FROM entries
 WHERE profile = ? AND group_key IS ? AND lane = ?
   AND (state = 'shipped' OR (? AND state IN ('pending', 'waiting', 'in_doubt')))
 ORDER BY state != 'shipped', CASE state WHEN 'shipped' THEN attempt END, seq
"""
# Whose entries: a range of numbers at a time, so that each read is short.
_NAMED = """
SELECT profile, group_key, count(*), max(seq) FROM entries
 WHERE seq BETWEEN ? AND ? AND lane IN ('people', 'groups') AND profile IS NOT NULL GROUP BY group_key, profile
"""
_NUMBERS_OF = (
    "SELECT seq FROM entries WHERE seq BETWEEN ? AND ? AND profile = ? AND group_key IS ? AND lane = ?"
)
_NUMBERED = (
    f"SELECT {COLUMNS} FROM entries_with_state WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
)
# As they are kept, for whoever follows one profile of very many entries: nothing is made of what has not changed.
_ROWS = """
SELECT seq, coalesce(operator, ''), state, attempt, recorded_at, message FROM entries_with_state
 WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq
"""
_HIGHEST = "SELECT coalesce(max(seq), 0) FROM entries"


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
        self._places = Places(self._all)
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

    # --- forks: see recorder.journal.forks

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
            filter: See `recorder.model.filters`, as in ``"state=rejected op=add"``.
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
        return self._entries(rows)

    def _entries(self, rows: list[Any]) -> list[Entry]:
        with making_sense(self.path):
            return [_entry(row) for row in rows]

    def older(
        self,
        filter: str | Sequence[str] = "",  # noqa: A002
        *,
        than: int | None = None,
        limit: int = 100,
        states: Collection[State] = (),
        stop: Callable[[], bool] = lambda: False,
    ) -> list[Entry]:
        """Entries with lower numbers than one, newest first, for screens.

        What `entries` gives, but in several short reads where a filter matches few, so that no read keeps a
        writer waiting; and states that set entries aside are found through their index.

        Args:
            filter: See `entries`.
            than: The number; None for the newest.
            limit: At most so many.
            states: Only these; none means any.
            stop: Asked between reads; once it says so, what was found until then is given.

        Raises:
            InvalidFilter: The filter is not understood.

        >>> import pathlib, tempfile
        >>> from recorder import Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     for plan in ("free", "pro", "free"):
        ...         recorder.people_set("ada", {"plan": plan})
        >>> with JournalReader(path) as reader:
        ...     [entry.seq for entry in reader.older(than=3)], [entry.seq for entry in reader.newer(than=1)]
        ([2, 1], [2, 3])
        """
        return self._beyond(OLDER, filter, than=than, limit=limit, states=states, stop=stop)

    def newer(
        self,
        filter: str | Sequence[str] = "",  # noqa: A002
        *,
        than: int,
        limit: int = 100,
        states: Collection[State] = (),
        stop: Callable[[], bool] = lambda: False,
    ) -> list[Entry]:
        """Entries with higher numbers than one, the nearest first; see `older`."""
        return self._beyond(NEWER, filter, than=than, limit=limit, states=states, stop=stop)

    def _beyond(
        self,
        direction: Direction,
        words: str | Sequence[str],
        *,
        than: int | None,
        limit: int,
        states: Collection[State],
        stop: Callable[[], bool],
    ) -> list[Entry]:
        query = Query(where(words, now=self._clock()), frozenset(states))
        return [_entry(row) for row in page(self._all, query, direction, than=than, limit=limit, stop=stop)]

    def tally(
        self,
        filter: str | Sequence[str] = "",  # noqa: A002
        *,
        states: Collection[State] = (),
        stop: Callable[[], bool] = lambda: False,
    ) -> int | None:
        """How many entries match, counted in several short reads; None where it was stopped. See `older`."""
        return count(self._all, Query(where(filter, now=self._clock()), frozenset(states)), stop)

    def hold(self, entry: Entry) -> Hold | None:
        """What keeps an entry's profile from being sent now; None where nothing does."""
        rows = self._all(_HOLD, (entry.lane, entry.profile, entry.group_key))
        if not rows:
            return None
        behind, cause, *due = rows[0]
        by_person = cause == "hold"
        left = Due(*due).left(uptime())
        return Hold(behind=behind, by_person=by_person, until=None if by_person else self._clock() + left)

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
            yield from self._entries(rows)
            seq = rows[-1][0]

    def count(self, filter: str | Sequence[str] = "") -> int:  # noqa: A002
        """How many entries match a filter."""
        condition = where(filter, now=self._clock())
        return int(self._all(_MATCHING.format(where=condition.sql), condition.parameters)[0][0])

    def entry(self, seq: int) -> Entry | None:
        """One entry, None where there is none of that number."""
        rows = self._all(_ENTRY, (seq,))
        return self._entries(rows)[0] if rows else None

    def attempts(self, seq: int | None = None, *, limit: int = 100) -> list[Attempt]:
        """The attempts that carried an entry, oldest first; without a number the latest ones, newest first."""
        if seq is None:
            rows = self._all(_LATEST_ATTEMPTS, (limit,))
        else:
            entry = self.entry(seq)
            # Nothing but its range says what a request carried that came to nothing, and a range holds entries that it
            # passed over, too. One that no request has set down is counted in only where a range has no gap.
            rows = (
                self._all(
                    _ATTEMPTS_OF,
                    {"lane": entry.lane, "seq": seq, "attempt": entry.attempt, "sends": entry.sends},
                )
                if entry
                else []
            )
        with making_sense(self.path):
            return [_attempt(row) for row in rows]

    def carried_by(self, attempt: int) -> list[int] | None:
        """The numbers of the entries that an attempt carried; None where that is not known any more.

        What was picked is written down, and what was accepted knows by whom. Of a range that came to nothing it is
        known where nothing in it was passed over.
        """
        rows = self._all(_CARRIED_BY, (attempt,))
        if not rows:
            return None
        lane, first, last, entries, picked, outcome = rows[0]
        if picked is not None:
            return [int(seq) for seq in json.loads(picked)]
        whole = outcome != AttemptOutcome.SHIPPED
        numbers = [seq for (seq,) in self._all(_OF_ITS_LANE, (first, last, lane, whole, attempt))]
        return numbers if len(numbers) == entries else None

    def counts(self) -> Statistics:
        """The accounts as they stand, from counters and the highest number: nothing is scanned."""
        with self._snapshot() as connection, making_sense(self.path):
            return statistics_of(connection, self.path, now=self._clock())

    def pruned(self) -> dict[State, int]:
        """How many entries of each state are counted for ever and not kept any more; states without any are left out.

        >>> import pathlib, tempfile
        >>> from recorder import Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     recorder.people_set("ada", {"plan": "free"})
        >>> with JournalReader(path) as reader:
        ...     reader.pruned()
        {}
        """
        states = {state.value for state in State}
        return {State(account): int(n) for account, n in self._all(_PRUNED_OF) if account in states}

    def place(self, seq: int) -> int:
        """How many of the entries that are kept have this number or a lower one.

        >>> import pathlib, tempfile
        >>> from recorder import Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     for plan in ("free", "pro", "free"):
        ...         recorder.people_set("ada", {"plan": plan})
        >>> with JournalReader(path) as reader:
        ...     reader.place(2), reader.number_at(2)
        (2, 2)
        """
        return self._places.place(seq)

    def number_at(self, place: int) -> int | None:
        """The number of the entry at a place among those that are kept, 1 for the oldest; see `place`."""
        return self._places.number(place)

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

    def edit_check(self, entry: Entry) -> Callable[[Any], None]:
        """What raises `InvalidOperation` for a message that `Journal.edit` would not take; it reads nothing."""
        token, now, owner = self.token() or "", self._clock(), (entry.group_key, entry.profile)

        def check(message: Any) -> None:
            as_edited(entry.lane, owner, entry.message, message, token=token, now=now)

        return check

    def token(self) -> str | None:
        """The project's token, None before the first was given."""
        token = self._all(_TOKEN)[0][0]
        return str(token) if token is not None else None

    def weigh_forgetting(
        self, profile: str, group_key: str | None = None, *, stop: Callable[[], bool] = lambda: False
    ) -> Forgotten:
        """What `Journal.forget` would erase; nothing is written.

        All entries are looked through, in several short reads.

        Args:
            profile: The profile's or group's id.
            group_key: A group's key; None for a user's profile.
            stop: Asked between reads; once it says so, what was found until then is given.

        >>> import pathlib, tempfile
        >>> from recorder import Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     recorder.people_set("ada", {"plan": "pro"})
        >>> with JournalReader(path) as reader:
        ...     reader.weigh_forgetting("ada").unsent
        1
        """
        whose = Whose(profile, group_key)
        with self._snapshot() as connection:
            weighed = weigh_forgetting(connection, self.path, whose)
        for first, last in ranges(self.highest()):
            if stop():
                break
            with self._snapshot() as connection:
                numbers = [seq for seq, _ in numbers_naming(connection, whose, first, last)]
                weighed = weighed.counting(row.state for row in named(connection, whose, numbers))
        return weighed

    def moved(self) -> str | None:
        """What speaks for this being a copy of a journal that is shipped elsewhere, in words; None: nothing does."""
        with self._snapshot() as connection:
            identity, before = known_home(connection)
        return move(before, home_of(self.path, identity))

    def shipping(self) -> ShipperStatus:
        """Who ships, and how each lane stands."""
        with making_sense(self.path):
            return self._shipping()

    def _shipping(self) -> ShipperStatus:
        ((pid, running, seen_at, in_doubt, settle_after),) = self._all(_SHIPPER)
        now = uptime()
        settling = min((Due(*row).left(now) for row in self._all(_SETTLING)), default=None)
        lanes = tuple(
            LaneStatus(
                lane=Lane(lane),
                outcome=AttemptOutcome(outcome) if outcome else None,
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
            full=self._full(),
            lanes=lanes,
        )

    def _full(self) -> bool:
        with self._snapshot() as connection:
            return refuses(connection, self.path, keeping_of(connection))

    def history(self, *, shipped_only: bool = False) -> Iterator[dict[str, Any]]:
        """The messages of profiles: those shipped in shipped order, then those to be sent by number.

        Rejected, discarded and forgotten entries are left out. Each entry comes once, also while a shipper
        is at work. What was pruned is not in it: it goes on from `baseline`; see `unpruned`.
        """
        return (message for _, message in self.numbered_history(shipped_only=shipped_only))

    def numbered_history(self, *, shipped_only: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
        """What `history` gives, each message with its entry's number."""
        attempts = self._all(_ATTEMPTS_OF_HISTORY)
        for attempt, first, last, shipped in attempts:
            if shipped:
                yield from self._messages(self._all(_SHIPPED_BY, (first, last, attempt)))
        if shipped_only:
            return
        latest = attempts[-1][0] if attempts else 0
        open_then = json.dumps([attempt for attempt, _, _, shipped in attempts if not shipped])
        seq = 0
        while page := self._all(_NOT_SHIPPED_YET, (seq, latest, open_then, _PAGE)):
            yield from self._messages(page)
            seq = page[-1][0]

    def _messages(self, page: list[tuple[int, str]]) -> list[tuple[int, dict[str, Any]]]:
        """A page at a time: a guard around each message would take as long as reading it."""
        with making_sense(self.path):
            return [(number, _parsed(message)) for number, message in page]

    def shipped_entries(self) -> Iterator[Entry]:
        """The entries of profiles that were shipped, in shipped order: the beginning of `history`.

        What is shipped while it is read is left to `unshipped_entries`.
        """
        for attempt, first, last in self._all(_SHIPPED_ATTEMPTS):
            yield from self._entries(self._all(_ENTRIES_SHIPPED_BY, (first, last, attempt)))

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
            yield from self._entries(rows)
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

    # --- whose entries, and what went wrong

    def profile_counts(self, first: int, last: int) -> list[ProfileCount]:
        """The profiles that the entries of a range of numbers name, in no particular order.

        No index knows profiles: whoever wants them all reads the journal a range at a time, 20,000 numbers in some
        tens of milliseconds.

        >>> import pathlib, tempfile
        >>> from recorder import Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     recorder.people_set("ada", {"plan": "free"})
        ...     recorder.people_set("ada", {"plan": "pro"})
        >>> with JournalReader(path) as reader:
        ...     reader.profile_counts(1, 100)
        [ProfileCount(profile='ada', group_key=None, entries=2, latest=2)]
        """
        return [
            ProfileCount(profile=profile, group_key=group_key, entries=entries, latest=latest)
            for profile, group_key, entries, latest in self._all(_NAMED, (first, last))
        ]

    def highest(self) -> int:
        """The highest number; 0 where nothing is recorded."""
        return int(self._all(_HIGHEST)[0][0])

    def numbers_of(
        self,
        profile: str,
        group_key: str | None = None,
        *,
        after: int = 0,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[int]:
        """The numbers of one profile's entries, whatever became of them, ascending.

        All entries beyond `after` are looked through, in several short reads.

        Args:
            profile: The profile's or group's id.
            group_key: A group's key; None for a user's profile.
            after: Only higher numbers, to read on from the last one.
            stop: Asked between reads; once it says so, what was found until then is given.
        """
        lane = Lane.PEOPLE if group_key is None else Lane.GROUPS
        numbers: list[int] = []
        for first in range(after + 1, self.highest() + 1, _NUMBERS):
            if stop():
                break
            rows = self._all(_NUMBERS_OF, (first, first + _NUMBERS - 1, profile, group_key, lane))
            numbers += (seq for (seq,) in rows)
        return numbers

    def numbered(self, numbers: Sequence[int]) -> list[Entry]:
        """The entries of these numbers, ascending; those that are not there are left out.

        >>> import pathlib, tempfile
        >>> from recorder import Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     recorder.people_set("ada", {"plan": "free"})
        >>> with JournalReader(path) as reader:
        ...     [entry.seq for entry in reader.numbered([7, 1])]
        [1]
        """
        return [_entry(row) for row in self._all(_NUMBERED, (json.dumps(list(numbers)),))]

    def rows_of(self, numbers: Sequence[int]) -> list[EntryRow]:
        """The same entries as they are written down: what tells whether anything has become of them, unread.

        >>> import pathlib, tempfile
        >>> from recorder import Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     recorder.people_increment("ada", {"visits": 1})
        >>> with JournalReader(path) as reader:
        ...     [(row.seq, row.operator, row.state) for row in reader.rows_of([1])]
        [(1, '$add', 'pending')]
        """
        return list(map(EntryRow._make, self._all(_ROWS, (json.dumps(list(numbers)),))))

    def failures(self, *, stop: Callable[[], bool] = lambda: False) -> list[FailureGroup]:
        """What was rejected, is in doubt or was lost, grouped by state and words; the largest group first.

        Read in several short reads; beyond a thousand different words the rest is counted together.

        Args:
            stop: Asked between reads; once it says so, what was found until then is given.
        """
        return failure_groups(self._all, stop)

    def failed_attempts(self, *, stop: Callable[[], bool] = lambda: False) -> list[AttemptGroup]:
        """The attempts that came to nothing, grouped by what was said; the latest group first. See `failures`."""
        return attempt_groups(self._all, stop)

    def baseline(self) -> Iterator[Baseline]:
        """What pruned entries made of their profiles, in the order in which these came to be.

        `history` goes on from there.
        """
        last = 0
        while rows := self._all(_BASELINE, (last, _PAGE)):
            with making_sense(self.path):
                several = [_baseline(row) for _, *row in rows]
            yield from several
            last = rows[-1][0]

    def baseline_counts(
        self, before: int | None = None, limit: int = 10_000
    ) -> list[tuple[int, ProfileCount]]:
        """A page of the profiles of which entries were pruned, with how many: those that came last first.

        Args:
            before: Read on from the row of this place, the last one of a page.
            limit: At most so many.
        """
        rows = self._all(_BASELINE_COUNTS, (2**62 if before is None else before, limit))
        return [
            (id_, ProfileCount(profile=profile, group_key=group_key, entries=entries, latest=0))
            for id_, profile, group_key, entries in rows
        ]

    def baseline_of(self, profile: str, group_key: str | None = None) -> Baseline | None:
        """One profile's part of `baseline`; None where nothing of it was pruned."""
        lane = Lane.PEOPLE if group_key is None else Lane.GROUPS
        rows = self._all(_BASELINE_OF, (profile, lane, group_key))
        with making_sense(self.path):
            return _baseline(rows[0]) if rows else None

    def unpruned(self, read: Callable[[], Read]) -> Read:
        """What `read` makes of several reads between which nothing is pruned or forgotten.

        It is called anew where something was, and at last with all of its reads at one moment: for as long as that
        takes, the write-ahead log cannot be moved into the file. So it begins with nothing of its own.

        >>> import pathlib, tempfile
        >>> from recorder import Recorder
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
        >>> with Recorder("PROJECT", path) as recorder:
        ...     recorder.people_set("ada", {"plan": "pro"})
        >>> with JournalReader(path) as reader:
        ...     reader.unpruned(lambda: (list(reader.baseline()), len(list(reader.history()))))
        ([], 1)
        """
        for _ in range(_TRIES):
            before = self._all(_PRUNED)
            made = read()
            if self._all(_PRUNED) == before:
                return made
        with self._snapshot():
            return read()

    def _all(
        self, sql: str, parameters: Sequence[str | float | None] | Mapping[str, str | float | None] = ()
    ) -> list[Any]:
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
            nested = connection.in_transaction
            if nested:
                yield connection  # of the moment that `unpruned` reads at
                return
            try:
                connection.execute("BEGIN")
                yield connection
            except sqlite3.Error as error:
                raise translated(error, self.path) from error
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")


_decode = json.JSONDecoder().raw_decode


def _parsed(text: str) -> Any:
    """What json.loads makes of it, in half the time where no white space is around it, as the journal writes it."""
    try:
        value, end = _decode(text)
    except (ValueError, TypeError):
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


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


def _baseline(row: Sequence[Any]) -> Baseline:
    group_key, profile, properties, partly_known, entries, sends = row
    return Baseline(
        group_key=group_key,
        profile=profile,
        properties=None if properties is None else json.loads(properties),
        partly_known=bool(partly_known),
        entries=entries,
        sends=sends,
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
        outcome=AttemptOutcome(outcome) if outcome else None,
        status=status,
        words=words,
        times=times,
    )


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
