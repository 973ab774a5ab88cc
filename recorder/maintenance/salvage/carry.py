"""From what is left of a damaged journal to a journal whose accounts add up.

It is as though one last request had carried all that was not settled, and nobody knows what came of it: the damage may
hide that it was sent. Numbers that have no entry any more: see `gaps`.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby, islice

from recorder.journal import project
from recorder.journal.entries import SET_ASIDE
from recorder.journal.uptime import Due, Uptime
from recorder.maintenance.salvage.gaps import Found, Gaps, count_accounts, settle_gaps
from recorder.maintenance.salvage.scan import Row
from recorder.model.hazards import Update, hazardous

__all__ = ["carry_over", "settle_accounts"]

_SEVERAL = 5_000  # rows a transaction
_SETTLE_AFTER = 30.0  # seconds, where the last shipper's own is not known

_WORDS = "salvaged: the damage may hide that a request carried these"
_STAND_IN_WORDS = "salvaged: what was written down about this request cannot be read"
_LEFT_OPEN = "salvaged: its outcome was not written down"

# --- SQL, a named constant each -------------------------------------------------------------------------

# Of two rows with one number, as a page and an older copy of it have them, the one that is further on its way; and what
# was forgotten stays so.
_RANK = """
CASE {0}state WHEN 'pending' THEN 0 WHEN 'waiting' THEN 1 WHEN 'in_doubt' THEN 2 WHEN 'lost' THEN -1 ELSE 3 END
"""
# An older copy must not bring back what was forgotten.
_FURTHER = f"({{0}}state = 'forgotten', {{0}}sends, {_RANK})"
_ENTRY = f"""
INSERT INTO entries (seq, lane, group_key, profile, operator, message, recorded_at, state, attempt, sends, reason,
                     possibly_twice, out_of_order, hazardous, ends_forgotten)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (seq) DO UPDATE SET
  lane = excluded.lane, group_key = excluded.group_key, profile = excluded.profile, operator = excluded.operator,
  message = excluded.message, recorded_at = excluded.recorded_at, state = excluded.state, attempt = excluded.attempt,
  sends = excluded.sends, reason = excluded.reason, possibly_twice = excluded.possibly_twice,
  out_of_order = excluded.out_of_order, hazardous = excluded.hazardous, ends_forgotten = excluded.ends_forgotten
 WHERE {_FURTHER.format("excluded.")} > {_FURTHER.format("entries.")}
"""
_ATTEMPT = """
INSERT INTO attempts (id, lane, epoch, first, last, picked, updates, bytes, digest, started_at, ended_at, outcome,
                      status, words, times, entries)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, outcome = excluded.outcome, status = excluded.status,
                               words = excluded.words, times = excluded.times
 WHERE coalesce(excluded.ended_at, 0) > coalesce(attempts.ended_at, 0)
"""
_LANE = """
INSERT OR REPLACE INTO lanes (lane, cursor, outcome, cause, since, failures, retry_at, request_size, boot, backoff_at,
                              backoff_span, asked_at, asked_span)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_LANE_DEFAULTS = (None, "", 0.0, 0.0, 0.0, 0.0)
_HELD = """
INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span) VALUES (?, ?, ?, 'hold', ?, '', 0, 0)
"""
_PROJECT = "UPDATE project SET token = ?, created_at = coalesce(?, created_at)"
_SHIPPER = "UPDATE shipper SET epoch = ?, seen_at = ?, service = ?, in_doubt = ?, settle_after = ?"

_BASELINE = """
INSERT INTO baseline (id, lane, group_key, profile, properties, partly_known, entries, sends, gone)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  lane = excluded.lane, group_key = excluded.group_key, profile = excluded.profile, properties = excluded.properties,
  partly_known = excluded.partly_known, entries = excluded.entries, sends = excluded.sends, gone = excluded.gone
 WHERE (excluded.entries, excluded.sends) > (baseline.entries, baseline.sends)
"""
# What indexes name: profiles of the baseline, and entries that were set aside.
_KEEP_NAMES = (
    "CREATE TEMP TABLE baseline_names (id INTEGER PRIMARY KEY, profile TEXT, lane TEXT)",
    "CREATE TEMP TABLE set_aside (seq INTEGER PRIMARY KEY)",
)
_BASELINE_NAME = "INSERT OR REPLACE INTO temp.baseline_names (profile, lane, id) VALUES (?, ?, ?)"
_SET_ASIDE_NUMBER = "INSERT OR IGNORE INTO temp.set_aside (seq) VALUES (?)"
_END_NAMES = ("DROP TABLE temp.baseline_names", "DROP TABLE temp.set_aside")

_UNSETTLED = "state IN ('pending', 'waiting', 'in_doubt')"
_CLOSE_ATTEMPTS = "UPDATE attempts SET outcome = 'unknown', words = ?, ended_at = ? WHERE outcome IS NULL"
_LATEST_ATTEMPT = "SELECT coalesce(max(id), 0) FROM attempts"
_LAST_ATTEMPTS = f"""
INSERT INTO attempts (lane, epoch, first, last, entries, updates, bytes, digest, started_at, ended_at,
                      outcome, words)
SELECT lane, ?, min(seq), max(seq), count(*), count(*),
      0, '', ?, ?, 'unknown', ? FROM entries WHERE {_UNSETTLED} GROUP BY lane
"""
_INTO_DOUBT = f"""
UPDATE entries SET state = 'in_doubt', reason = NULL, sends = sends + 1,
                   possibly_twice = possibly_twice OR (sends > 0 AND hazardous),
                   attempt = (SELECT id FROM attempts WHERE id > ? AND attempts.lane = entries.lane)
 WHERE {_UNSETTLED}
"""
_RUNS = f"""
SELECT lane, group_key, profile, seq, operator, message FROM entries WHERE state = 'in_doubt' AND {SET_ASIDE}
 ORDER BY lane, group_key, profile, seq
"""
_MARK_HAZARDOUS = "UPDATE entries SET hazardous = 1 WHERE seq IN (SELECT value FROM json_each(?))"
# What was held stays held. Where the last shipper's policy is not known, what may be applied twice is held, too.
_WAITS = f"""
INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)
SELECT lane, group_key, profile,
       CASE WHEN EXISTS (SELECT 1 FROM temp.held WHERE held.lane = entries.lane AND held.profile IS entries.profile
                                                   AND held.group_key IS entries.group_key)
              OR (? AND max(hazardous))
            THEN 'hold' ELSE 'settle_after' END,
       min(seq), ?, ?, ?
  FROM entries WHERE state = 'in_doubt' AND {SET_ASIDE} GROUP BY lane, group_key, profile
"""
_KEEP_HELD = "CREATE TEMP TABLE held AS SELECT lane, group_key, profile FROM waits"
_CLEAR_WAITS = "DELETE FROM waits"
_END_HELD = "DROP TABLE temp.held"

_MENDED_MARKS = "UPDATE entries SET sends = max(sends, 2) WHERE possibly_twice AND sends < 2"
_MENDED_SENDS = "UPDATE entries SET sends = 1 WHERE state = 'shipped' AND sends < 1"
# A shipped entry, and no request that is known to have shipped it.
_ORPHAN = """
state = 'shipped' AND NOT EXISTS (
  SELECT 1 FROM attempts WHERE attempts.id = entries.attempt AND attempts.lane = entries.lane
     AND attempts.outcome = 'shipped' AND entries.seq BETWEEN attempts.first AND attempts.last
     AND (attempts.picked IS NULL OR entries.seq IN (SELECT value FROM json_each(attempts.picked))))
"""
_FORGET_PICKED = "UPDATE attempts SET picked = NULL WHERE picked IS NOT NULL AND NOT json_valid(picked)"
# Under its own number where that is free, so that what was shipped keeps its order.
_STAND_INS = f"""
INSERT INTO attempts (id, lane, epoch, first, last, entries, updates, bytes, digest, started_at, ended_at,
                      outcome, words)
SELECT attempt, min(lane), 0, min(seq), max(seq), count(*), count(*),
      0, '', min(recorded_at), max(recorded_at), 'shipped', ?
  FROM entries WHERE {_ORPHAN} AND attempt > 0 AND attempt NOT IN (SELECT id FROM attempts)
 GROUP BY attempt HAVING min(lane) = max(lane)
"""
_STAND_INS_OF_LANES = f"""
INSERT INTO attempts (lane, epoch, first, last, entries, updates, bytes, digest, started_at, ended_at,
                      outcome, words)
SELECT lane, 0, min(seq), max(seq), count(*), count(*), 0, '', min(recorded_at), max(recorded_at), 'shipped', ?
  FROM entries WHERE {_ORPHAN} GROUP BY lane
"""
_BY_STAND_INS_OF_LANES = f"""
UPDATE entries SET attempt = (SELECT id FROM attempts WHERE id > ? AND attempts.lane = entries.lane) WHERE {_ORPHAN}
"""

_MISSING_LANES = """
INSERT INTO lanes (lane, cursor) SELECT DISTINCT lane, 0 FROM entries WHERE true ON CONFLICT (lane) DO NOTHING
"""
_CURSORS = "UPDATE lanes SET cursor = ?, alike = 0, alike_since = NULL"
_EPOCH = "UPDATE shipper SET epoch = max(epoch, (SELECT coalesce(max(epoch), 0) FROM attempts)) + 1"
_SETTLE_AFTER_THEN = "SELECT settle_after FROM shipper"


def carry_over(connection: sqlite3.Connection, rows: Iterable[Row]) -> Found:
    """Write what was found into a new, empty journal, several rows a transaction.

    Returns:
        What is no row of it, and is told from the rest by `settle_accounts`.
    """
    found = Found()
    remaining = iter(rows)
    shippers = []
    for sql in _KEEP_NAMES:
        connection.execute(sql)
    while several := list(islice(remaining, _SEVERAL)):
        connection.execute("BEGIN IMMEDIATE")
        for row in several:
            if row.table == "shipper":
                shippers.append(row.values)
            else:
                _carry(connection, row, found)
        connection.execute("COMMIT")
    project.keep_limits(connection, found.limits)
    if not shippers:
        return found
    _, epoch, _, _, seen_at, *setup = max(
        shippers, key=lambda values: float(str(values[1]))
    )  # the later copy
    service, in_doubt, settle_after = [*setup[:3], None, None, None][:3]
    policy = in_doubt if in_doubt in {"resend", "hold", "drop"} else None
    connection.execute(_SHIPPER, (epoch, seen_at, service, policy, settle_after))
    found.policy_known = True
    return found


def _carry(connection: sqlite3.Connection, row: Row, found: Found) -> None:
    values = row.values
    match row.table:
        case "entries":
            marks = [*values[13:15], 0, 0][:2]  # an older one has fewer
            message = values[5] or "{}"  # of one that was forgotten
            connection.execute(_ENTRY, (row.number, *values[1:5], message, *values[6:13], *marks))
        case "attempts":
            entries = values[15] if len(values) > 15 else values[6]  # noqa: PLR2004  # an older one has as many as updates
            connection.execute(_ATTEMPT, (row.number, *values[1:15], entries))
        case "lanes":
            more = [*values[7:13], *_LANE_DEFAULTS[len(values[7:13]) :]]
            connection.execute(_LANE, (*values[:7], *more))
        case "waits" if values[4] == "hold":
            connection.execute(_HELD, (*values[1:4], values[5]))
        case "project":
            connection.execute(_PROJECT, (values[1], values[3]))
        case "baseline":
            connection.execute(_BASELINE, (row.number, *values[1:9]))
        case "baseline names":
            connection.execute(_BASELINE_NAME, values)
        case "set aside":
            connection.execute(_SET_ASIDE_NUMBER, (values[2],))
        case _:
            found.note(row)


def settle_accounts(
    connection: sqlite3.Connection, found: Found, *, size: int, now: float, uptime: Uptime
) -> Gaps:
    """Make what was carried over a whole journal again, in one transaction.

    Args:
        connection: To the new journal.
        found: What `carry_over` found. Where the last shipper's policy is not in it, what may be applied twice waits
            for a person.
        size: Of the damaged file and its log, in bytes: no more entries than that fit into them.
        now: Seconds since the epoch.
        uptime: Since the boot: what is in doubt settles from now on.
    """
    connection.execute("BEGIN IMMEDIATE")
    gaps = settle_gaps(connection, found, most=size // 16, now=now)  # a row takes more
    connection.execute(_FORGET_PICKED)
    connection.execute(_MENDED_MARKS)
    connection.execute(_MENDED_SENDS)
    _mend_attempts(connection)
    _doubt(connection, now, uptime, hold=not found.policy_known)
    connection.execute(_MISSING_LANES)
    connection.execute(_CURSORS, (gaps.highest,))
    count_accounts(connection, gaps)
    connection.execute("COMMIT")
    for sql in _END_NAMES:
        connection.execute(sql)
    return gaps


def _mend_attempts(connection: sqlite3.Connection) -> None:
    """Each shipped entry has a request that shipped it, if only one that stands in for it."""
    connection.execute(_STAND_INS, (_STAND_IN_WORDS,))
    (latest,) = connection.execute(_LATEST_ATTEMPT).fetchone()
    connection.execute(_STAND_INS_OF_LANES, (_STAND_IN_WORDS,))
    connection.execute(_BY_STAND_INS_OF_LANES, (latest,))


def _doubt(connection: sqlite3.Connection, now: float, uptime: Uptime, *, hold: bool) -> None:
    (settle_after,) = connection.execute(_SETTLE_AFTER_THEN).fetchone()
    connection.execute(_CLOSE_ATTEMPTS, (_LEFT_OPEN, now))
    connection.execute(_EPOCH)
    (latest,) = connection.execute(_LATEST_ATTEMPT).fetchone()
    connection.execute(_LAST_ATTEMPTS, (0, now, now, _WORDS))
    connection.execute(_INTO_DOUBT, (latest,))
    runs = connection.execute(_RUNS).fetchall()
    risky = [seq for run in _by_owner(runs) for seq in run]
    connection.execute(_MARK_HAZARDOUS, (json.dumps(risky),))
    connection.execute(_KEEP_HELD)
    connection.execute(_CLEAR_WAITS)
    until = Due.after(uptime, _SETTLE_AFTER if settle_after is None else settle_after)
    connection.execute(_WAITS, (hold, *until))
    connection.execute(_END_HELD)


def _by_owner(rows: Iterable[tuple[str, str, str, int, str, str]]) -> Iterator[list[int]]:
    """Of each profile's run: the numbers of what may be applied twice when it is sent again."""
    for _, run in groupby(rows, key=lambda row: row[:3]):
        entries = list(run)
        updates = [Update.of(operator, json.loads(message)) for *_, operator, message in entries]
        yield [entries[place][3] for place in hazardous(updates)]
