"""Forgetting a profile: its entries are erased, and the remnants that SQLite leaves in the file and its log.

Bounded steps, each whole, from the newest entry to the oldest: after a kill the beginning of the profile's history
is left, and the next call finishes. SQLite overwrites deleted content (``secure_delete``), but not copies that it
left when it moved rows from page to page: so in the end the file is rewritten (VACUUM), and the log truncated.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from recorder.journal import attempts, baseline, doubt, entries, lanes, project
from recorder.journal.claims import Claims
from recorder.journal.connection import Connection
from recorder.journal.environment import readers
from recorder.journal.erase import erase
from recorder.journal.locks import beside
from recorder.journal.mentions import Named, Whose, copies_beside, named, numbers_naming, ranges
from recorder.journal.uptime import uptime
from recorder.model.entries import NewEntry, State
from recorder.model.errors import JournalBusy, JournalFull
from recorder.model.reports import Forgotten

__all__ = ["Forgetting", "Progress"]

Progress = Callable[[int, int], None]

_MOST_ENTRIES = 1_000  # in a transaction: some 20 ms, in which others wait
_MOST_BYTES = 2_000_000  # of messages in a transaction
_POLL = 0.05  # seconds
_READER_PATIENCE = 5.0  # seconds: a screen that reads takes some milliseconds
_LOCKED = 0.2  # seconds of it in which writers wait, too


_REWRITE = "VACUUM"


class Forgetting:
    """Forgets profiles of a journal; see `Journal.forget`."""

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
        """Forget a profile; see `Journal.forget`. `deletion` is to be sent to the service, if given."""
        done = self._erase_all(whose, deletion, time.monotonic() + timeout, progress)
        self._sweep()
        return done

    # --- entries

    def _erase_all(
        self, whose: Whose, deletion: NewEntry | None, deadline: float, progress: Progress | None
    ) -> Forgotten:
        with self._connection.reading() as connection:
            done = Forgotten(remnants=project.remnants(connection), copies=copies_beside(self._path))
            highest = entries.highest(connection)
        left = self._find(whose, highest)
        total = len(left)
        while True:
            sending: list[tuple[int, int]] = []
            for chunk, last in _chunks(left):
                began = time.monotonic()
                with self._connection.transaction() as connection:
                    rows = named(connection, whose, [seq for seq, _ in chunk])
                    free = [row for row in rows if row.state is not State.SENDING]
                    _erase_some(connection, free)
                    carried = {row.seq for row in rows} - {row.seq for row in free}
                    sending += [(seq, size) for seq, size in chunk if seq in carried]
                    done = done.counting(row.state for row in free)
                    over = last and not sending
                    if over:
                        done = _finish(connection, whose, deletion, done)
                    self._connection.note_written(2 * sum(size + 100 for _, size in chunk))
                if progress is not None:
                    progress(done.entries, total)
                if over:
                    return done
                time.sleep(min(time.monotonic() - began, 0.5))
            self._wait([seq for seq, _ in sending], deadline)
            left = sending

    def _find(self, whose: Whose, highest: int) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for first, last in ranges(highest):
            with self._connection.reading() as connection:
                found += numbers_naming(connection, whose, first, last)
        return found

    def _wait(self, numbers: list[int], deadline: float) -> None:
        """Wait until none of these is being sent."""
        self._settle_abandoned()
        while carried := self._still_sending(numbers):
            if time.monotonic() >= deadline:
                raise JournalBusy(
                    f"{self._path.name}: {carried:,} of its entries are being sent, and the answer has not come yet",
                    hint="Run it again when it has: what could be erased is, and the rest will be.",
                )
            time.sleep(_POLL)
            self._settle_abandoned()

    def _still_sending(self, numbers: list[int]) -> int:
        with self._connection.reading() as connection:
            return entries.sending(connection, numbers)

    def _settle_abandoned(self) -> None:
        self._claims.settle_if_abandoned(time.time(), uptime())

    # --- remnants

    def _sweep(self) -> None:
        """Rewrite the file and truncate the log: then no byte of what was erased is left."""
        try:
            self._truncate_log()  # first: if a reader prevents it, rewriting the file would be in vain
            with self._connection.reading() as connection:
                connection.execute(_REWRITE)
            self._truncate_log()
        except JournalFull as error:
            raise JournalFull(
                f"{self._path.name}: the entries are erased, but there is no space to rewrite the file, and remnants "
                "may be left in it",
                hint="Free as much space as the journal takes, and run it again: it finishes.",
            ) from error
        with self._connection.transaction() as connection:
            project.note_remnants(connection, left=False)

    def _truncate_log(self) -> None:
        deadline = time.monotonic() + _READER_PATIENCE
        while True:
            with self._connection.reading():
                if self._connection.empty_log(_LOCKED):
                    return
            if time.monotonic() >= deadline:
                raise JournalBusy(
                    f"{self._path.name}: the entries are erased, but {self._reader()} keeps the log from being "
                    "truncated, and remnants are left in it",
                    hint="Stop what reads the journal (sqlite3, Datasette, a backup), and run it again: it finishes.",
                )
            time.sleep(_POLL)

    def _reader(self) -> str:
        pids = [pid for pid in readers(beside(self._path, "-shm")) or () if pid > 0]
        if not pids:
            return "a reader"
        return f"process {', '.join(map(str, pids))}, which reads it,"


def _chunks(numbers: list[tuple[int, int]]) -> Iterator[tuple[list[tuple[int, int]], bool]]:
    """Yield chunks, the newest numbers first, and whether each is the last; at least one, which may be empty."""
    left = sorted(numbers)
    while True:
        chunk: list[tuple[int, int]] = []
        size = 0
        while left and len(chunk) < _MOST_ENTRIES and (not chunk or size + left[-1][1] <= _MOST_BYTES):
            size += left[-1][1]
            chunk.append(left.pop())
        yield chunk, not left
        if not left:
            return


def _erase_some(connection: sqlite3.Connection, rows: list[Named]) -> None:
    if not rows:
        return
    erase(connection, [row.seq for row in rows])
    for lane in {row.lane for row in rows}:
        of_lane = [row for row in rows if row.lane == lane]
        in_doubt = {row.unit for row in of_lane if row.state is State.IN_DOUBT}
        if in_doubt:  # their runs cannot be sent again whole
            doubt.break_runs(connection, lane, in_doubt)
        doubt.decided(connection, lane, {row.unit for row in of_lane})


def _finish(
    connection: sqlite3.Connection, whose: Whose, deletion: NewEntry | None, done: Forgotten
) -> Forgotten:
    """Erase with the last entries what else names the profile, and record its deletion at the service."""
    done = replace(
        done,
        folded=baseline.entries_of(connection, whose.lane, whose.group_key, whose.id),
        deletion=entries.unsent_deletion(connection, whose.parameters()),
    )
    if deletion is not None and done.deletion is None:
        lanes.begin(connection, deletion.lane)
        done = replace(done, deletion=entries.insert_deletion(connection, deletion))
    for lane in whose.lanes:
        baseline.delete_of(connection, lane, whose.group_key, whose.id)
        # A deletion must not overtake a late copy of entries in doubt; without one, nothing is left to wait.
        if lane is not whose.lane or done.deletion is None:
            doubt.end_all_waits(connection, lane, (whose.group_key, whose.id))
    attempts.erase_words(connection, whose.lanes)
    project.note_remnants(connection)
    project.renew_counter(connection)  # a profile that comes again may hold more of it than entries say
    return done
