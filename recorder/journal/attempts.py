"""The table `attempts`: each request before it is sent, and its outcome after."""

import json
import sqlite3
from collections.abc import Collection, Sequence
from typing import NamedTuple

from recorder.journal import accounts, lanes
from recorder.journal.entries import SET_ASIDE, Carried
from recorder.model.entries import AttemptOutcome, ReadBack
from recorder.model.operations import Lane
from recorder.model.told import Past

__all__ = [
    "InDoubt",
    "add_unreachable",
    "alike",
    "answered_lately",
    "appended_lately",
    "counted",
    "decided_in_part",
    "end",
    "end_late",
    "erase_words",
    "in_doubt",
    "insert",
    "merge_repeated",
    "open_ranges",
    "opened",
    "outcome_of",
    "past_of",
    "read_back",
]

_INSERT = """
INSERT INTO attempts (lane, epoch, first, last, picked, entries, updates, counted, bytes, digest, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_OPEN = "SELECT id, epoch, lane, first, last, picked, entries, updates, counted FROM open_attempt"
_OPEN_RANGES = "SELECT lane, first, last FROM open_attempt WHERE picked IS NULL"
_END = """
UPDATE attempts SET outcome = ?, status = ?, words = ?, ended_at = ? WHERE id = ? AND epoch = ? AND outcome IS NULL
"""
_END_LATE = "UPDATE attempts SET outcome = 'shipped', status = ?, words = ?, ended_at = ? WHERE id = ?"
_ENTRIES = "SELECT entries FROM attempts WHERE id = ?"
_NOT_APPLIED = f"UPDATE attempts SET words = '{ReadBack.NOT_APPLIED}' WHERE id = ?"
_OUTCOME = "SELECT outcome FROM attempts WHERE id = ? AND epoch = ?"
_REPEATED = """
SELECT previous.id FROM attempts AS this JOIN attempts AS previous
    ON previous.id = (SELECT max(id) FROM attempts WHERE id < this.id AND lane = this.lane)
 WHERE this.id = ? AND previous.outcome = this.outcome
   AND previous.words = this.words AND previous.status IS this.status
   AND previous.first = this.first AND previous.last = this.last AND previous.picked IS this.picked
"""
_REPEAT = "UPDATE attempts SET times = times + 1, ended_at = ? WHERE id = ?"
_ANSWERED_LATELY = """
SELECT 1 FROM (SELECT outcome FROM attempts WHERE lane = ? AND outcome IS NOT NULL ORDER BY id DESC LIMIT 32)
 WHERE outcome IN ('shipped', 'refused')
"""
_DELETE = "DELETE FROM attempts WHERE id IN (SELECT value FROM json_each(?))"
_LATEST = "SELECT id, outcome, words FROM attempts WHERE lane = ? ORDER BY id DESC LIMIT 1"
_INSERT_UNREACHABLE = """
INSERT INTO attempts (lane, epoch, first, last, entries, updates, bytes, digest, started_at, ended_at, outcome, words)
VALUES (?, ?, 0, 0, 0, 0, 0, '', ?, ?, 'offline', ?)
"""
# An attempt knows what it carried by number. It may quote what is forgotten if it carried that; or if some of it is
# pruned, for whose that was is not known. Rather one too many loses its words than one too few.
_QUOTING_FORGOTTEN = f"""
SELECT id FROM attempts
 WHERE lane = :lane AND outcome IS NOT NULL AND (words <> '' OR digest <> '')
   AND CASE WHEN picked IS NULL
            THEN EXISTS (SELECT 1 FROM entries WHERE state = 'forgotten' AND {SET_ASIDE} AND lane = attempts.lane
                                                 AND seq BETWEEN attempts.first AND attempts.last)
              OR (:pruned AND last >= first AND first > 0
                  AND (SELECT count(*) FROM entries WHERE seq BETWEEN attempts.first AND attempts.last)
                      < last - first + 1)
            ELSE EXISTS (SELECT 1 FROM json_each(picked) AS number LEFT JOIN entries ON entries.seq = number.value
                          WHERE entries.seq IS NULL OR entries.state = 'forgotten') END
"""
_ERASE_WORDS = "UPDATE attempts SET words = '', digest = '' WHERE id IN (SELECT value FROM json_each(?))"
# Of users' profiles: what is in doubt, and what was sent before, as far as a count depends on it. Rejections that were
# taken back are in doubt from an earlier request than the one that was refused.
_IN_DOUBT = f"""
SELECT entries.seq, profile, operator, CAST(message AS BLOB), sends, possibly_twice, hazardous, attempt,
       iif(outcome = 'refused', NULL, counted), attempts.epoch, digest
  FROM entries LEFT JOIN attempts ON attempts.id = entries.attempt
 WHERE state = 'in_doubt' AND {SET_ASIDE} AND entries.lane = 'people' ORDER BY entries.seq
"""
_PAST = """
SELECT profile, operator, state, sends, possibly_twice, counted
  FROM entries_with_state AS entry LEFT JOIN attempts ON attempts.id = entry.attempt
 WHERE entry.lane = 'people' AND sends > 0 AND state <> 'in_doubt'
   AND (operator IN ('$add', '$delete') OR possibly_twice OR state <> 'shipped')
   AND profile IN (SELECT value FROM json_each(?)) ORDER BY entry.attempt, seq
"""
_COUNTED = """
SELECT count(*) FROM entries JOIN attempts ON attempts.id = entries.attempt
 WHERE entries.seq IN (SELECT value FROM json_each(?)) AND state = 'in_doubt' AND hazardous AND counted IS NOT NULL
"""
_ALIKE = "SELECT count(*) FROM attempts WHERE lane = 'people' AND epoch = ? AND digest = ?"
_DECIDED_IN_PART = """
SELECT 1 FROM attempts CROSS JOIN entries ON seq BETWEEN first AND last AND entries.attempt = attempts.id
 WHERE attempts.id = ? AND entries.lane = attempts.lane AND profile = ? AND state <> 'in_doubt' LIMIT 1
"""
_APPENDED_LATELY = """
SELECT profile FROM entries_with_state WHERE lane = 'people' AND operator = '$append' AND state = 'shipped'
 ORDER BY seq DESC LIMIT ?
"""


class InDoubt(NamedTuple):
    """An entry in doubt, and the attempt that left it so."""

    seq: int
    profile: str
    operator: str | None
    message: bytes
    sends: int
    possibly_twice: int
    hazardous: int
    attempt: int
    counted: str | None
    epoch: int | None
    digest: str | None


def insert(connection: sqlite3.Connection, carried: Carried, size: int, digest: str, now: float) -> int:
    """Write an attempt down before it is sent, and return its number."""
    values = (carried.lane, carried.epoch, *carried[3:], size, digest, now)
    return connection.execute(_INSERT, values).lastrowid or 0


def opened(connection: sqlite3.Connection) -> list[Carried]:
    """Return the attempts that are not settled."""
    return [
        Carried(id_, epoch, Lane(lane), *rest)
        for id_, epoch, lane, *rest in connection.execute(_OPEN).fetchall()
    ]


def open_ranges(connection: sqlite3.Connection) -> list[tuple[str, int, int]]:
    """Return lane, first and last number of each open attempt that carries a range."""
    return connection.execute(_OPEN_RANGES).fetchall()


def end(
    connection: sqlite3.Connection,
    carried: Carried,
    outcome: AttemptOutcome,
    *,
    status: int | None,
    words: str,
    now: float,
) -> bool:
    """Note how an open attempt ended; return False, and change nothing, if it was settled before."""
    values = (outcome, status, words, now, carried.attempt, carried.epoch)
    return bool(connection.execute(_END, values).rowcount)


def end_late(
    connection: sqlite3.Connection, attempt: int, *, status: int | None, words: str, now: float
) -> None:
    """Note that an attempt whose outcome was unknown was accepted after all."""
    connection.execute(_END_LATE, (status, words, now, attempt))


def read_back(connection: sqlite3.Connection, attempt: int, applied: int, others: int, now: float) -> None:
    """Note that so many entries of an attempt in doubt were applied, and so many others were not."""
    ((carried,),) = connection.execute(_ENTRIES, (attempt,)).fetchall()
    if applied:
        words = ReadBack.APPLIED if applied == carried else ReadBack.PARTLY
        end_late(connection, attempt, status=None, words=words, now=now)
    elif others == carried:
        connection.execute(_NOT_APPLIED, (attempt,))


def outcome_of(connection: sqlite3.Connection, carried: Carried) -> str | None:
    """Return an attempt's outcome; None if it is open or not there."""
    row = connection.execute(_OUTCOME, (carried.attempt, carried.epoch)).fetchone()
    return row[0] if row else None


def merge_repeated(connection: sqlite3.Connection, attempt: int, now: float) -> None:
    """Merge an attempt into the one before it if both failed alike: months of outage are one row with a count."""
    previous = connection.execute(_REPEATED, (attempt,)).fetchone()
    if previous is not None:
        delete(connection, [attempt])
        connection.execute(_REPEAT, (now, previous[0]))


def add_unreachable(connection: sqlite3.Connection, lane: Lane, epoch: int, words: str, now: float) -> None:
    """Note that no connection could be opened; repeated, that is one row with a count."""
    latest = connection.execute(_LATEST, (lane,)).fetchone()
    if latest is not None and latest[1:] == (AttemptOutcome.OFFLINE, words):
        connection.execute(_REPEAT, (now, latest[0]))
    else:
        connection.execute(_INSERT_UNREACHABLE, (lane, epoch, now, now, words))


def answered_lately(connection: sqlite3.Connection, lane: Lane) -> bool:
    """Return True if one of the lane's last 32 requests was answered for its entries."""
    return connection.execute(_ANSWERED_LATELY, (lane,)).fetchone() is not None


def in_doubt(connection: sqlite3.Connection) -> list[InDoubt]:
    """Return the entries in doubt of users' profiles, by number."""
    return [InDoubt(*row) for row in connection.execute(_IN_DOUBT).fetchall()]


def counted(connection: sqlite3.Connection, numbers: Sequence[int]) -> int:
    """Return how many of these entries are in doubt from a request that was counted, and not harmless."""
    ((entries,),) = connection.execute(_COUNTED, (json.dumps(numbers),)).fetchall()
    return int(entries)


def past_of(connection: sqlite3.Connection, profiles: Sequence[str]) -> list[tuple[str, Past]]:
    """Return what was sent of these users' profiles, in the order of sending, as far as a count depends on it."""
    rows = connection.execute(_PAST, (json.dumps(profiles),)).fetchall()
    return [(profile, Past(*entry)) for profile, *entry in rows]


def alike(connection: sqlite3.Connection, epoch: int, digest: str) -> int:
    """Return how many requests of a shipper had the same body, users' profiles only."""
    (number,) = connection.execute(_ALIKE, (epoch, digest)).fetchone()
    return int(number)


def decided_in_part(connection: sqlite3.Connection, attempt: int, profile: str) -> bool:
    """Return True if entries of a user's profile that an attempt left in doubt are so no more."""
    return connection.execute(_DECIDED_IN_PART, (attempt, profile)).fetchone() is not None


def appended_lately(connection: sqlite3.Connection, most: int) -> list[str]:
    """Return users' profiles to whose lists something was appended, the last first."""
    return [profile for (profile,) in connection.execute(_APPENDED_LATELY, (most,)).fetchall()]


def delete(connection: sqlite3.Connection, ids: Collection[int]) -> None:
    """Delete attempts that nothing refers to any more."""
    connection.execute(_DELETE, (json.dumps(list(ids)),))


def erase_words(connection: sqlite3.Connection, lane_names: Collection[str]) -> int:
    """Erase words and digest of attempts that may quote forgotten entries; return how many had some."""
    pruned = accounts.any_pruned(connection)
    erased = 0
    for lane in sorted(lane_names):
        found = connection.execute(_QUOTING_FORGOTTEN, {"lane": lane, "pruned": pruned}).fetchall()
        quoting = json.dumps([attempt for (attempt,) in found])
        lanes.forget_cause(connection, lane, quoting)  # first: a cause is recognised by the attempt's words
        connection.execute(_ERASE_WORDS, (quoting,))
        erased += len(found)
    return erased
