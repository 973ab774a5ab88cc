"""Erasing what entries say: the rows stay with number, lane and time, so that numbers have no gap and accounts add up.

What is written over in SQLite may still stand elsewhere in the file, and in the log: `note_remnants` says so in
the journal itself, until `recorder.journal.forget` has seen to it.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Sequence

from recorder.journal.accounts import SET_ASIDE, moved
from recorder.model.entries import State

__all__ = ["erase", "erase_ended", "erase_words", "note_remnants", "remnants"]

_STATES = "SELECT state, count(*) FROM entries WHERE seq IN (SELECT value FROM json_each(?)) GROUP BY state"
# Marks, sends and the attempt are numbers of accounts that must still add up.
_ERASE = """
UPDATE entries SET state = 'forgotten', group_key = NULL, profile = NULL, operator = NULL, message = '{}',
                   reason = NULL, hazardous = 0, ends_forgotten = 0
 WHERE seq IN (SELECT value FROM json_each(?))
"""
_ENDED = "SELECT seq, lane FROM entries WHERE ends_forgotten AND state IN ('shipped', 'discarded')"

# What an attempt carried is known by number. One that carried what is forgotten may quote it; so may one of which
# some is pruned, for whose that was is not known any more. One too many loses its words rather than one too few.
_TOUCHED = f"""
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
_PRUNED = "SELECT coalesce(sum(pruned), 0) FROM counters"
_ERASE_CAUSE = """
UPDATE lanes SET cause = 'what was said is forgotten'
 WHERE lane = ? AND cause <> '' AND cause IN (SELECT words FROM attempts WHERE id IN (SELECT value FROM json_each(?)))
"""
_ERASE_WORDS = "UPDATE attempts SET words = '', digest = '' WHERE id IN (SELECT value FROM json_each(?))"

_NOTE_REMNANTS = "UPDATE project SET remnants = ?"
_REMNANTS = "SELECT remnants FROM project"


def erase(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Make these entries forgotten, whatever they were; nothing of them may be on its way."""
    chosen = json.dumps(numbers)
    before = Counter(dict(connection.execute(_STATES, (chosen,)).fetchall()))
    connection.execute(_ERASE, (chosen,))
    for state, entries in before.items():
        moved(connection, {State(state): -entries})
    moved(connection, {State.FORGOTTEN: before.total()})


def erase_words(connection: sqlite3.Connection, lanes: Collection[str]) -> int:
    """Attempts of these lanes that carried what is forgotten lose words and digest; how many lost them now."""
    (pruned,) = connection.execute(_PRUNED).fetchone()
    erased = 0
    for lane in sorted(lanes):
        found = connection.execute(_TOUCHED, {"lane": lane, "pruned": pruned}).fetchall()
        touched = json.dumps([attempt for (attempt,) in found])
        connection.execute(_ERASE_CAUSE, (lane, touched))  # first: it is known by their words
        connection.execute(_ERASE_WORDS, (touched,))
        erased += len(found)
    return erased


def erase_ended(connection: sqlite3.Connection) -> None:
    """What was to end as forgotten and was shipped or given up: its content goes, in this very transaction."""
    rows = connection.execute(_ENDED).fetchall()
    if rows:
        erase(connection, [seq for seq, _ in rows])
        erase_words(connection, {lane for _, lane in rows})
        note_remnants(connection)


def note_remnants(connection: sqlite3.Connection, *, left: bool = True) -> None:
    """Whether something that was erased may still stand where it was."""
    connection.execute(_NOTE_REMNANTS, (left,))


def remnants(connection: sqlite3.Connection) -> bool:
    """Whether something that was erased may still stand in free room of the file, or in the log."""
    (left,) = connection.execute(_REMNANTS).fetchone()
    return bool(left)
