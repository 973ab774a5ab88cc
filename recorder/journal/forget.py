"""`Forgetting`: a profile's entries are erased, and what SQLite leaves of them in the file and its log.

Bounded steps, each whole, from the newest entry to the oldest: killed in between, what is left of the profile is the
beginning of its history, and the next forgetting finishes. SQLite overwrites what is deleted or replaced
(``secure_delete``), but not what it moved from one page to another before: so in the end the file is written anew
(VACUUM), and the log cut to nothing.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from recorder.journal.claims import Claims
from recorder.journal.connection import Connection
from recorder.journal.doubt import break_runs, end_waits_of
from recorder.journal.erase import erase, erase_words, note_remnants, remnants
from recorder.journal.locks import ShipLock, beside
from recorder.journal.mentions import (
    Named,
    Whose,
    copies_beside,
    deletion_of,
    folded,
    named,
    numbers_naming,
    ranges,
    spools_naming,
)
from recorder.journal.uptime import uptime
from recorder.model.entries import NewEntry, State
from recorder.model.errors import JournalBusy, JournalError, JournalFull
from recorder.model.reports import Forgotten

__all__ = ["Forgetting", "Progress"]

Progress = Callable[[int, int], None]

_AT_ONCE = 1_000  # entries a transaction: some 20 ms, in which others wait
_BYTES_AT_ONCE = 2_000_000  # of messages
_POLL = 0.05  # seconds
_PATIENCE = 5.0  # seconds, for readers: a screen that is drawn takes some milliseconds
_AT_A_TIME = 0.2  # seconds of it in which writers wait, too

_VACUUM = "VACUUM"
_HIGHEST = "SELECT coalesce(max(seq), 0) FROM entries"
_CARRIED = """
SELECT count(*) FROM entries_with_state WHERE state = 'sending' AND seq IN (SELECT value FROM json_each(?))
"""
_END_WAITS = "DELETE FROM waits WHERE lane = :lane AND profile IS :id AND group_key IS :group_key"
_ERASE_BASELINE = "DELETE FROM baseline WHERE lane = :lane AND profile = :id AND group_key IS :group_key"
_BEGIN_LANE = """
INSERT INTO lanes (lane, cursor) SELECT ?, coalesce(max(seq), 0) FROM entries WHERE true
ON CONFLICT (lane) DO NOTHING
"""
_DELETE_REMOTE = """
INSERT INTO entries (lane, group_key, profile, operator, message, recorded_at, state, reason, ends_forgotten)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)
"""


class Forgetting:
    """A journal's side for those who forget a profile; see `Journal.forget`."""

    def __init__(self, connection: Connection, claims: Claims, path: Path) -> None:
        self._connection = connection
        self._claims = claims
        self._path = path

    def forget(
        self,
        whose: Whose,
        *,
        deletion: NewEntry | None,
        timeout: float,
        progress: Progress | None = None,
    ) -> Forgotten:
        """See `Journal.forget`; `deletion` is what is to be sent to the service, if anything."""
        for spool in spools_naming(self._path, whose):
            raise JournalError(
                f"{spool.name} names it: a `restante record` is at work, or was killed. Nothing was forgotten",
                hint="Let it end, or finish it with `restante record --resume`, or remove that file; then try again.",
            )
        done = self._erase_all(whose, deletion, time.monotonic() + timeout, progress)
        self._sweep()
        return done

    # --- entries

    def _erase_all(
        self, whose: Whose, deletion: NewEntry | None, deadline: float, progress: Progress | None
    ) -> Forgotten:
        with self._connection.reading() as connection:
            done = Forgotten(remnants=remnants(connection), copies=copies_beside(self._path))
        left = self._find(whose)
        total = len(left)
        while True:
            on_their_way: list[tuple[int, int]] = []
            for chunk, last in _chunks(left):
                began = time.monotonic()
                with self._connection.transaction() as connection:
                    rows = named(connection, whose, [seq for seq, _ in chunk])
                    free = [row for row in rows if row.state is not State.SENDING]
                    _erase_some(connection, free)
                    carried = {row.seq for row in rows} - {row.seq for row in free}
                    on_their_way += [(seq, size) for seq, size in chunk if seq in carried]
                    done = done.counting(row.state for row in free)
                    over = last and not on_their_way
                    if over:
                        done = _finish(connection, whose, deletion, done)
                    self._connection.note_written(2 * sum(size + 100 for _, size in chunk))
                if progress is not None:
                    progress(done.entries, total)
                if over:
                    return done
                time.sleep(min(time.monotonic() - began, 0.5))
            self._wait([seq for seq, _ in on_their_way], deadline)
            left = on_their_way

    def _find(self, whose: Whose) -> list[tuple[int, int]]:
        with self._connection.reading() as connection:
            (highest,) = connection.execute(_HIGHEST).fetchone()
        found: list[tuple[int, int]] = []
        for first, last in ranges(highest):
            with self._connection.reading() as connection:
                found += numbers_naming(connection, whose, first, last)
        return found

    def _wait(self, numbers: list[int], deadline: float) -> None:
        """Wait until none of these is on its way."""
        self._settle_abandoned()
        while carried := self._on_their_way(numbers):
            if time.monotonic() >= deadline:
                raise JournalBusy(
                    f"{self._path.name}: {carried:,} of its entries are being sent, and the answer has not come yet",
                    hint="Run it again when it has: what could be erased is, and the rest will be.",
                )
            time.sleep(_POLL)
            self._settle_abandoned()

    def _on_their_way(self, numbers: list[int]) -> int:
        with self._connection.reading() as connection:
            return int(connection.execute(_CARRIED, (json.dumps(numbers),)).fetchone()[0])

    def _settle_abandoned(self) -> None:
        """Where nobody ships, who carried them has died: nobody knows what came of it."""
        lock = ShipLock(self._path)
        if lock.acquire():
            try:
                self._claims.settle_abandoned(time.time(), uptime())
            finally:
                lock.release()

    # --- what SQLite leaves of them

    def _sweep(self) -> None:
        """Write the file anew and cut the log to nothing; what was erased stands nowhere then."""
        try:
            self._cut_log()  # first: with a reader in the way the file would be written in vain
            with self._connection.reading() as connection:
                connection.execute(_VACUUM)
            self._cut_log()
        except JournalFull as error:
            raise JournalFull(
                f"{self._path.name}: what it said is erased, but there is no room to write the file anew, and "
                "remnants may stand in it",
                hint="Make as much room as the journal takes, and run it again: it finishes.",
            ) from error
        with self._connection.transaction() as connection:
            note_remnants(connection, left=False)

    def _cut_log(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            with self._connection.reading():
                if self._connection.empty_log(_AT_A_TIME):
                    return
            if time.monotonic() >= deadline:
                raise JournalBusy(
                    f"{self._path.name}: what it said is erased, but {self._reader()} keeps the log from being cut, "
                    "and remnants stand in it",
                    hint="End what reads the journal (sqlite3, Datasette, a backup), and run it again: it finishes.",
                )
            time.sleep(_POLL)

    def _reader(self) -> str:
        from recorder.journal.environment import readers  # it brings what looks for packages

        pids = [pid for pid in readers(beside(self._path, "-shm")) or () if pid > 0]
        if not pids:
            return "something that reads it"
        return f"process {', '.join(map(str, pids))}, which reads it,"


def _chunks(numbers: list[tuple[int, int]]) -> Iterator[tuple[list[tuple[int, int]], bool]]:
    """Some at a time, the newest first, and whether they are the last; at least one, which may be empty."""
    left = sorted(numbers)
    while True:
        chunk: list[tuple[int, int]] = []
        size = 0
        while left and len(chunk) < _AT_ONCE and (not chunk or size + left[-1][1] <= _BYTES_AT_ONCE):
            size += left[-1][1]
            chunk.append(left.pop())
        yield chunk, not left
        if not left:
            return


def _erase_some(connection: sqlite3.Connection, rows: list[Named]) -> None:
    if not rows:
        return
    erase(connection, [row.seq for row in rows])
    note_remnants(connection)
    owners = {(row.lane, row.group_key, row.profile) for row in rows}
    doubtful = {(row.lane, row.group_key, row.profile) for row in rows if row.state is State.IN_DOUBT}
    for lane, *owner in doubtful:  # their runs are not whole any more
        break_runs(connection, lane, {(owner[0], owner[1])})
    for lane, *owner in owners:
        end_waits_of(connection, lane, {(owner[0], owner[1])}, holds_only=True)


def _finish(
    connection: sqlite3.Connection, whose: Whose, deletion: NewEntry | None, done: Forgotten
) -> Forgotten:
    """With the last of its entries goes what else names it; what deletes it at the service comes."""
    done = replace(done, folded=folded(connection, whose), deletion=deletion_of(connection, whose))
    if deletion is not None and done.deletion is None:
        connection.execute(_BEGIN_LANE, (deletion.lane,))
        done = replace(done, deletion=connection.execute(_DELETE_REMOTE, deletion).lastrowid)
    for lane in whose.lanes:
        connection.execute(_ERASE_BASELINE, whose.parameters(lane=lane))
        # A deletion must not overtake a late copy of what was in doubt; without one, nothing is left that could wait.
        if lane is not whose.lane or done.deletion is None:
            connection.execute(_END_WAITS, whose.parameters(lane=lane))
    erase_words(connection, whose.lanes)
    note_remnants(connection)
    return done
