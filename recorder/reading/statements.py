"""The SQL of reading: every statement that this package runs. The tables are the journal's own.

A statement is a constant; one that takes a filter's condition, or goes in two directions, is a function. Conditions
come from `recorder.model.filters`, and never contain user data.
"""

from recorder.journal.entries import IS_OBJECT, NAMES, SET_ASIDE
from recorder.model.entries import ReadBack
from recorder.model.reports import Attempt, Baseline, Entry
from recorder.reading.rows import columns

# --- Entries

ENTRY_COLUMNS = columns(Entry)
ENTRY = f"SELECT {ENTRY_COLUMNS} FROM entries_with_state WHERE seq = ?"
RAW_ROWS = """
SELECT seq, coalesce(operator, ''), state, attempt, recorded_at, message FROM entries_with_state
 WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq
"""
HIGHEST = "SELECT coalesce(max(seq), 0) FROM entries"
# Each on its own: for both in one SELECT, SQLite looks through all entries.
ENDS = "SELECT (SELECT min(seq) FROM entries), (SELECT max(seq) FROM entries)"

STATE_IN = "state IN (SELECT value FROM json_each(?))"
IN_SLICE = "seq BETWEEN ? AND ?"
AMONG = "seq IN (SELECT value FROM json_each(?))"


def entries(condition: str, order: str) -> str:
    """Entries that match."""
    return f"SELECT {ENTRY_COLUMNS} FROM entries_with_state WHERE {condition} ORDER BY seq {order} LIMIT ?"


def number(condition: str) -> str:
    """The number of entries that match."""
    return f"SELECT count(*) FROM entries_with_state WHERE {condition}"


def runs(condition: str) -> str:
    """First and last of consecutive numbers that match."""
    return f"""
SELECT min(seq), max(seq)
  FROM (SELECT seq, seq - row_number() OVER (ORDER BY seq) AS run FROM entries_with_state WHERE {condition})
 GROUP BY run ORDER BY run
"""


def numbers_set_aside(order: str, sign: str) -> str:
    """Numbers of one state and lane: only one at a time does the index give them in order."""
    return f"""
SELECT seq FROM (SELECT seq FROM entries WHERE state = ? AND {SET_ASIDE} AND lane = ? AND seq {sign} ?
                  ORDER BY seq {order} LIMIT ?)
"""


# --- Places: the entries that are kept, counted from the oldest

PLACES_PRUNED = "SELECT coalesce(sum(pruned), 0) FROM counters"
PLACES_STEP = "SELECT count(*), max(seq) FROM (SELECT seq FROM entries WHERE seq > ? ORDER BY seq LIMIT ?)"
PLACES_BETWEEN = "SELECT count(*) FROM entries WHERE seq > ? AND seq <= ?"
PLACES_BEHIND = "SELECT seq FROM entries WHERE seq > ? ORDER BY seq LIMIT 1 OFFSET ?"

# --- Profiles: no index knows them, for recording would pay for it with each entry

PROFILE_COUNTS = """
SELECT profile, group_key, count(*), max(seq) FROM entries
 WHERE seq BETWEEN ? AND ? AND lane IN ('people', 'groups') AND profile IS NOT NULL GROUP BY group_key, profile
"""
# Those of a state that is set aside, from a number on; all that are pending of a range, events with them: their sum is
# known, and where it is reached the search ends.
SET_ASIDE_COUNTS = f"""
SELECT profile, group_key, count(*), max(seq)
  FROM (SELECT seq, profile, group_key FROM entries
         WHERE state = ? AND {SET_ASIDE} AND lane = ? AND seq > ? AND profile IS NOT NULL
         ORDER BY seq LIMIT ?)
 GROUP BY group_key, profile
"""
PENDING_COUNTS = """
SELECT CASE WHEN lane IN ('people', 'groups') THEN profile END AS whose, group_key, count(*) FROM entries
 WHERE seq BETWEEN ? AND ? AND state = 'pending'
   AND seq > CASE lane WHEN 'people' THEN (SELECT cursor FROM lanes WHERE lane = 'people')
                       WHEN 'groups' THEN (SELECT cursor FROM lanes WHERE lane = 'groups')
                       WHEN 'events' THEN (SELECT cursor FROM lanes WHERE lane = 'events')
                       WHEN 'imports' THEN (SELECT cursor FROM lanes WHERE lane = 'imports') END
 GROUP BY group_key, whose
"""
DELETIONS_AMONG = """
SELECT seq FROM entries
 WHERE seq IN (SELECT value FROM json_each(?)) AND operator = '$delete'
   AND state IN ('pending', 'waiting', 'in_doubt', 'shipped')
"""
PROFILES_OF = """
SELECT profile, group_key, count(*), max(seq) FROM entries
 WHERE seq IN (SELECT value FROM json_each(?)) AND lane IN ('people', 'groups') AND profile IS NOT NULL
 GROUP BY group_key, profile ORDER BY min(seq)
"""
NUMBERS_OF_PROFILE = """
SELECT seq FROM entries WHERE seq BETWEEN ? AND ? AND profile = ? AND group_key IS ? AND lane = ?
"""

# --- History: shipped entries by attempt, then the others by number

SHIPPED_ATTEMPTS = """
SELECT id, lane, first, last, picked IS NULL FROM attempts
 WHERE outcome = 'shipped' AND lane IN ('people', 'groups') ORDER BY id
"""
# Of a range, from the table: it shipped what is pending in it and its lane has passed. To look up the attempt of each
# entry, as the view does, takes longer than all else.
MESSAGES_SHIPPED_BY = """
SELECT seq, message FROM entries WHERE seq BETWEEN :first AND :last
   AND ((state = 'shipped' AND attempt = :attempt)
        OR (state = 'pending' AND :is_range AND lane = :lane AND seq > :after
            AND seq <= (SELECT cursor FROM lanes WHERE lanes.lane = :lane))) ORDER BY seq
"""
ENTRIES_SHIPPED_BY = f"""
SELECT {ENTRY_COLUMNS} FROM entries_with_state
 WHERE seq BETWEEN :first AND :last AND attempt = :attempt AND state = 'shipped' ORDER BY seq
"""
# Attempts that are not among those known, and may turn out to have shipped something.
OTHER_ATTEMPTS = """
SELECT id FROM attempts
 WHERE id <= ? AND (outcome IS NULL OR outcome IN ('shipped', 'unknown')) AND lane IN ('people', 'groups')
   AND id NOT IN (SELECT value FROM json_each(?))
"""
# To be sent, or shipped since: by a later attempt, or late by one of the others.
_NOT_SHIPPED_BY = """
  FROM entries WHERE seq > :last AND lane IN ('people', 'groups')
   AND (state IN ('waiting', 'in_doubt')
        OR (state = 'pending' AND seq > CASE lane WHEN 'people' THEN :people ELSE :groups END)
        OR (state = 'shipped' AND (attempt > :latest OR attempt IN (SELECT value FROM json_each(:others)))))
 ORDER BY seq LIMIT :most
"""
MESSAGES_NOT_SHIPPED_BY = f"SELECT seq, message {_NOT_SHIPPED_BY}"
ENTRIES_NOT_SHIPPED_BY = f"""
SELECT {ENTRY_COLUMNS} FROM entries_with_state WHERE seq IN (SELECT seq {_NOT_SHIPPED_BY}) ORDER BY seq
"""

_BASELINE_COLUMNS = columns(Baseline)
BASELINE = f"""
SELECT id, {_BASELINE_COLUMNS} FROM baseline WHERE id > ? AND lane IN ('people', 'groups') ORDER BY id LIMIT ?
"""
BASELINE_OF_PROFILE = f"""
SELECT {_BASELINE_COLUMNS} FROM baseline WHERE profile = ? AND lane = ? AND group_key IS ?
"""
BASELINE_COUNTS = """
SELECT id, profile, group_key, entries FROM baseline
 WHERE id < ? AND entries > 0 AND lane IN ('people', 'groups') ORDER BY id DESC LIMIT ?
"""
PRUNED_BY_STATE = "SELECT account, pruned FROM counters WHERE pruned > 0"
# Forgetting deletes rows of the baseline, too.
PRUNED_OR_FORGOTTEN = "SELECT sum(pruned), sum(CASE account WHEN 'forgotten' THEN entries END) FROM counters"

# --- Attempts

_ATTEMPT_COLUMNS = columns(Attempt)
# A range has entries in it that the request passed over. Where nothing but the range says what a failed request
# carried, an entry that no request has settled is counted only if the range has no gap.
ATTEMPTS_OF_ENTRY = f"""
SELECT {_ATTEMPT_COLUMNS} FROM attempts
 WHERE lane = :lane AND :seq BETWEEN first AND last
   AND (id IS :attempt
        OR :seq IN (SELECT value FROM json_each(picked))
        OR (picked IS NULL AND outcome IS NOT 'shipped' AND (outcome IS NOT 'unknown' OR :sends)
            AND (:attempt IS NOT NULL OR entries = last - first + 1))
        OR (picked IS NULL AND words = '{ReadBack.PARTLY}' AND entries = last - first + 1))
 ORDER BY id
"""
LATEST_ATTEMPTS = f"SELECT {_ATTEMPT_COLUMNS} FROM attempts WHERE id < ? ORDER BY id DESC LIMIT ?"
CARRIED_BY = "SELECT lane, first, last, entries, picked, outcome FROM attempts WHERE id = ?"
NUMBERS_CARRIED = """
SELECT seq FROM entries_with_state WHERE seq BETWEEN ? AND ? AND lane = ? AND (? OR attempt = ?) ORDER BY seq
"""

# By the same words and status that the filters `error==` and `status=` take.
FAILURES = f"""
SELECT coalesce(chosen.reason, attempts.words, ''), attempts.status, count(*),
       min(coalesce(attempts.ended_at, chosen.recorded_at)), max(coalesce(attempts.ended_at, chosen.recorded_at)),
       min(chosen.seq), max(chosen.seq)
  FROM (SELECT seq, reason, attempt, recorded_at FROM entries
         WHERE state = ? AND {SET_ASIDE} AND lane = ? AND seq > ? ORDER BY seq LIMIT ?) AS chosen
  LEFT JOIN attempts ON attempts.id = chosen.attempt
 GROUP BY 1, 2
"""
ATTEMPT_ENDS = "SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM attempts"
FAILED_ATTEMPTS = """
SELECT lane, outcome, words, status, sum(times), min(started_at), max(coalesce(ended_at, started_at))
  FROM attempts WHERE outcome IS NOT NULL AND outcome != 'shipped' AND id BETWEEN ? AND ?
 GROUP BY lane, outcome, words, status
"""

# --- Flow

RECORDED_SINCE = "SELECT recorded_at FROM entries WHERE seq >= ? ORDER BY seq LIMIT 1"
LAST_ATTEMPT = "SELECT coalesce(max(id), 0) FROM attempts"
ATTEMPTED_SINCE = "SELECT coalesce(ended_at, started_at) FROM attempts WHERE id >= ? ORDER BY id LIMIT 1"
SHIPPED_SINCE = """
SELECT CAST((ended_at - ?) / ? AS INTEGER), sum(entries), sum(CASE WHEN ended_at >= ? THEN entries ELSE 0 END)
  FROM attempts WHERE id >= ? AND outcome = 'shipped' AND ended_at >= ? GROUP BY 1
"""

# --- Status

KEPT = f"""
SELECT {IS_OBJECT}, {NAMES} FROM lanes CROSS JOIN entries ON +entries.lane = lanes.lane
 WHERE seq > lanes.cursor AND +entries.state = 'pending'
UNION ALL
SELECT {IS_OBJECT}, {NAMES} FROM entries WHERE state IN ('waiting', 'in_doubt', 'rejected') AND {SET_ASIDE}
 LIMIT ?
"""

DATA_VERSION = "PRAGMA data_version"
IDENTITY = "SELECT identity FROM project"
COUNTED = "SELECT counted FROM attempts WHERE id = ?"
ALL_COUNTED = """
SELECT counted FROM attempts WHERE counted IS NOT NULL UNION SELECT counter FROM baseline WHERE counter IS NOT NULL
"""
TOKEN = "SELECT token FROM project"  # noqa: S105  # SQL, no secret
EARLIER_TOKENS = "SELECT value FROM project, json_each(earlier_tokens)"
HOLD = """
SELECT behind, cause, boot, at, span, backoff FROM waits
 WHERE lane = ? AND profile IS ? AND group_key IS ? ORDER BY id LIMIT 1
"""

# --- Survey of a whole journal, for many of them

SURVEY = """
SELECT identity, coalesce(counter, substr(identity, 1, 8)), token, earlier_tokens <> '[]', snapshot_at,
       (SELECT coalesce(max(seq), 0) FROM entries), (SELECT recorded_at FROM entries ORDER BY seq DESC LIMIT 1),
       epoch, seen_at, counter IS NOT NULL, (SELECT counted FROM open_attempt)
  FROM project, shipper
"""
# Later ones may still be merged into the one before, and their numbers be given again.
LAST_SENT = (
    "SELECT id, started_at FROM attempts WHERE outcome IN ('shipped', 'unknown') ORDER BY id DESC LIMIT 1"
)
STAMPS = """
SELECT max(recorded_at), coalesce(sum(step < ?), 0)
  FROM (SELECT recorded_at, recorded_at - lag(recorded_at) OVER (ORDER BY seq) AS step FROM entries)
"""
STAMP_OF_ENTRY = "SELECT recorded_at FROM entries WHERE seq = ?"
STAMP_OF_ATTEMPT = "SELECT started_at FROM attempts WHERE id = ?"
BASELINE_COUNTED = (
    "SELECT profile, counter, counted FROM baseline WHERE lane = 'people' AND counter IS NOT NULL"
)
# What is in doubt keeps requests of its profile from being pruned.
SHIPPED_BEFORE = """
SELECT 1 FROM attempts WHERE outcome = 'shipped' AND started_at <= ?
   AND id > (SELECT coalesce(max(id), 0) FROM attempts WHERE outcome = 'unknown') LIMIT 1
"""
UPDATES = """
SELECT seq, profile, operator, message,
       CASE WHEN state = 'shipped' AND started_at > ? THEN 'in_doubt' ELSE state END, sends, possibly_twice, counted
  FROM entries_with_state AS entry LEFT JOIN attempts ON attempts.id = entry.attempt
 WHERE entry.lane = 'people' AND profile IS NOT NULL AND (state <> 'rejected' OR sends) ORDER BY attempt, seq
"""
