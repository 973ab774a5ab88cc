"""The SQL of salvage: rows into a new journal, then the new journal's accounts made to agree.

Apart from `recorder.journal`, only salvage writes tables, and only those of a journal that no process uses yet.
"""

from recorder.journal.entries import SET_ASIDE, UNIT

# --- Rows into the new journal


# Damage may leave a page and an older copy of it: of two rows with one number the later one is kept, and a forgotten
# entry stays forgotten.
def _progress(row: str) -> str:
    return f"""
({row}.state = 'forgotten', {row}.sends,
 CASE {row}.state WHEN 'pending' THEN 0 WHEN 'waiting' THEN 1 WHEN 'in_doubt' THEN 2 WHEN 'lost' THEN -1 ELSE 3 END)
"""


_LATER = {
    "entries": f"{_progress('excluded')} > {_progress('entries')}",
    "attempts": "coalesce(excluded.ended_at, 0) > coalesce(attempts.ended_at, 0)",
    "lanes": "excluded.cursor >= lanes.cursor",
    "waits": "false",
    "baseline": "(excluded.entries, excluded.sends) > (baseline.entries, baseline.sends)",
    "limits": "true",
}


def carry(table: str, columns: tuple[str, ...]) -> str:
    """Insert a row by its columns, unless a later row with its number exists."""
    values = ", ".join(f":{column}" for column in columns)
    changes = ", ".join(f"{column} = excluded.{column}" for column in columns)
    return f"""
INSERT INTO {table} ({", ".join(columns)}) VALUES ({values})
ON CONFLICT DO UPDATE SET {changes} WHERE {_LATER[table]}
"""


CARRY_PROJECT = """
UPDATE project SET token = :token, created_at = coalesce(:created_at, created_at),
                   earlier_tokens = iif(json_valid(:earlier_tokens), :earlier_tokens, '[]')
"""
CARRY_SHIPPER = """
UPDATE shipper SET epoch = :epoch, seen_at = :seen_at, service = :service, in_doubt = :in_doubt,
                   settle_after = :settle_after, counted = :counted
 WHERE epoch <= :epoch
"""
# Numbers and profiles that indexes name.
KEEP_NAMES = (
    "CREATE TEMP TABLE baseline_names (id INTEGER PRIMARY KEY, profile TEXT, lane TEXT)",
    "CREATE TEMP TABLE set_aside (seq INTEGER PRIMARY KEY)",
)
CARRY_BASELINE_NAME = """
INSERT OR REPLACE INTO temp.baseline_names (profile, lane, id) VALUES (:profile, :lane, :id)
"""
CARRY_SET_ASIDE = "INSERT OR IGNORE INTO temp.set_aside (seq) VALUES (:seq)"
END_NAMES = ("DROP TABLE temp.baseline_names", "DROP TABLE temp.set_aside")

# --- Gaps: numbers without an entry

_PROFILES = "('people', 'groups')"

LATER_OF_TWO = """
DELETE FROM baseline WHERE EXISTS (
  SELECT 1 FROM baseline AS other WHERE other.profile IS baseline.profile AND other.lane = baseline.lane
     AND other.group_key IS baseline.group_key
     AND (other.entries, other.sends, other.id) > (baseline.entries, baseline.sends, baseline.id))
"""
FOLDED = "SELECT coalesce(sum(entries), 0), coalesce(max(gone), 0) FROM baseline"
REACHED = """
SELECT (SELECT coalesce(max(last), 0) FROM attempts), (SELECT coalesce(max(seq), 0) FROM temp.set_aside)
"""
CURSORS = "SELECT lane, cursor FROM lanes"
LANES = "SELECT DISTINCT lane FROM entries WHERE state <> 'lost'"

# A number far above all others, and alone there, is damage: each that was ever given had a row in the file.
DELETE_ABSURD = """
DELETE FROM entries WHERE seq IN (
  SELECT seq FROM (SELECT seq, lag(seq, 1, 0) OVER byNumber AS before, lead(seq) OVER byNumber AS after
                     FROM entries WINDOW byNumber AS (ORDER BY seq))
   WHERE seq - max(before, :reached) > :most AND (after IS NULL OR after - seq > :most))
"""
DELETE_ABSURD_ATTEMPTS = "DELETE FROM attempts WHERE last > ? OR first > last OR last < 0"
HIGHEST_LEFT = "SELECT coalesce(max(seq), 0), count(*) FROM entries"

# A page of entries may be older than the baseline, where the log is damaged: folded entries are there again. Of a
# profile the beginning is folded, in shipped order, which is that of the numbers unless an entry is marked.
DELETE_FOLDED = f"""
DELETE FROM entries WHERE seq IN (
  SELECT seq FROM entries JOIN baseline ON baseline.profile IS entries.profile AND baseline.lane = entries.lane
                                       AND baseline.group_key IS entries.group_key
   WHERE entries.state = 'shipped' AND entries.lane IN {_PROFILES} AND entries.seq <= baseline.gone
     AND NOT entries.out_of_order
   ORDER BY entries.attempt, entries.seq LIMIT ?)
"""

ROWS_ABOVE = "SELECT seq FROM entries WHERE seq > ?"
NAMED_NUMBERS = """
SELECT seq FROM temp.set_aside WHERE seq <= ? AND seq NOT IN (SELECT seq FROM entries) ORDER BY seq
"""
LOSE = """
INSERT INTO entries (seq, lane, message, recorded_at, state, reason)
VALUES (:seq, 'people', '{}',
        coalesce((SELECT recorded_at FROM entries WHERE seq < :seq ORDER BY seq DESC LIMIT 1),
                 (SELECT recorded_at FROM entries WHERE seq > :seq ORDER BY seq LIMIT 1), :now), 'lost', :reason)
"""

LIMIT_GONE = "UPDATE baseline SET gone = :highest WHERE gone > :highest"
NAMED_PROFILES = f"""
SELECT count(*), count(baseline.id) FROM temp.baseline_names AS named LEFT JOIN baseline ON baseline.id = named.id
 WHERE named.lane IN {_PROFILES}
"""
PROFILES_LEFT = f"SELECT count(*) FROM baseline WHERE lane IN {_PROFILES}"
# A profile is known from after its folded entries on: it is partly known. The index has no group's key.
PLACE_NAMED = """
INSERT INTO baseline (id, lane, profile, partly_known, gone)
SELECT id, lane, profile, 1, :upto FROM temp.baseline_names AS named
 WHERE lane = 'people' AND id NOT IN (SELECT id FROM baseline)
   AND NOT EXISTS (SELECT 1 FROM baseline WHERE baseline.profile IS named.profile AND baseline.lane = named.lane)
"""
PLACE_OTHERS = f"""
INSERT INTO baseline (lane, group_key, profile, partly_known, gone)
SELECT lane, group_key, profile, 1, :upto FROM entries
 WHERE lane IN {_PROFILES} AND profile IS NOT NULL AND state <> 'lost'
   AND (:all OR (profile, lane) IN (SELECT profile, lane FROM temp.baseline_names
                                   WHERE id NOT IN (SELECT id FROM baseline)))
   AND NOT EXISTS (SELECT 1 FROM baseline WHERE baseline.profile IS entries.profile AND baseline.lane = entries.lane
                                            AND baseline.group_key IS entries.group_key)
 GROUP BY lane, group_key, profile ORDER BY min(seq)
"""
MARK_PARTLY_KNOWN = "UPDATE baseline SET partly_known = 1"

# --- Entries that their lane passed: they were shipped, and are written out

REACHED_BY_LANE = """
SELECT lane, coalesce((SELECT cursor FROM lanes WHERE lanes.lane = named.lane), 0),
       coalesce((SELECT max(last) FROM attempts WHERE attempts.lane = named.lane AND picked IS NULL
                                                  AND outcome IN ('shipped', 'unknown')), 0),
       coalesce((SELECT max(seq) FROM entries WHERE entries.lane = named.lane AND attempt IS NOT NULL), 0)
  FROM (SELECT DISTINCT lane FROM entries) AS named
"""
# By the range that they lie in. If that cannot be read: what settled an entry above came later, but for the last entry
# of the range itself, so the lowest is that one. If that cannot be read either: after what came before in its profile.
#
# Not those of an *unsure* range: more are there than its request carried, so some were set aside, and their page is
# older than the range. A torn log leaves such pages: then none is certain if a number is missing, unless the request
# carried each. What is folded into the baseline was shipped in any case.
WRITE_OUT_PASSED = """
WITH unsure AS MATERIALIZED (
  SELECT id FROM (
    SELECT id, status, entries, last - first + 1 AS numbers,
           (SELECT count(*) FROM entries WHERE seq BETWEEN first AND last) AS found,
           (SELECT count(*) FROM entries
             WHERE seq BETWEEN first AND last AND entries.lane = attempts.lane
               AND ((state = 'pending' AND seq <= :reached) OR attempt = attempts.id)) AS carried
      FROM attempts WHERE outcome = 'shipped' AND picked IS NULL AND lane = :lane)
   WHERE carried > entries
      OR (:torn AND (status >= 400 OR (entries < numbers AND found < numbers))))
UPDATE entries SET state = 'shipped', sends = 1, attempt = coalesce(accepted, above, below)
  FROM (SELECT seq, min(attempt) OVER (ORDER BY seq DESC) AS above,
               max(attempt) OVER (PARTITION BY group_key, profile ORDER BY seq) AS below,
               (SELECT CASE WHEN first <= entries.seq THEN id END FROM attempts
                 WHERE outcome = 'shipped' AND picked IS NULL AND attempts.lane = entries.lane
                   AND last >= entries.seq ORDER BY last LIMIT 1) AS accepted
          FROM entries WHERE lane = :lane) AS settled
 WHERE settled.seq = entries.seq AND state = 'pending' AND lane = :lane AND entries.seq <= :reached
   AND (CASE WHEN accepted IS NULL THEN NOT :torn ELSE accepted NOT IN (SELECT id FROM unsure) END
        OR EXISTS (SELECT 1 FROM baseline WHERE baseline.profile IS entries.profile AND baseline.lane = entries.lane
                                            AND baseline.group_key IS entries.group_key AND gone >= entries.seq))
"""

# --- Accounts that agree: each shipped entry has an attempt, and what was unsettled is in doubt

FORGET_PICKED = "UPDATE attempts SET picked = NULL WHERE picked IS NOT NULL AND NOT json_valid(picked)"
MEND_MARKS = "UPDATE entries SET sends = max(sends, 2) WHERE possibly_twice AND sends < 2"
MEND_SENDS = "UPDATE entries SET sends = 1 WHERE state = 'shipped' AND sends < 1"
# A shipped entry without an attempt that is known to have shipped it.
_ORPHAN = """
state = 'shipped' AND NOT EXISTS (
  SELECT 1 FROM attempts WHERE attempts.id = entries.attempt AND attempts.lane = entries.lane
     AND attempts.outcome = 'shipped' AND entries.seq BETWEEN attempts.first AND attempts.last
     AND (attempts.picked IS NULL OR entries.seq IN (SELECT value FROM json_each(attempts.picked))))
"""
_NEW_ATTEMPT = """
INSERT INTO attempts (id, lane, epoch, first, last, entries, updates, bytes, digest, started_at, ended_at,
                      outcome, words)
"""
# Under its own number if that is free, so that shipped entries keep their order.
STAND_INS = f"""
{_NEW_ATTEMPT}
SELECT attempt, min(lane), 0, min(seq), max(seq), count(*), count(*), 0, '', min(recorded_at), max(recorded_at),
       'shipped', ?
  FROM entries WHERE {_ORPHAN} AND attempt > 0 AND attempt NOT IN (SELECT id FROM attempts)
 GROUP BY attempt HAVING min(lane) = max(lane)
"""
STAND_INS_OF_LANES = f"""
{_NEW_ATTEMPT}
SELECT NULL, lane, 0, min(seq), max(seq), count(*), count(*), 0, '', min(recorded_at), max(recorded_at), 'shipped', ?
  FROM entries WHERE {_ORPHAN} GROUP BY lane
"""
LATEST_ATTEMPT = "SELECT coalesce(max(id), 0) FROM attempts"
USE_STAND_INS_OF_LANES = f"""
UPDATE entries SET attempt = (SELECT id FROM attempts WHERE id > ? AND attempts.lane = entries.lane) WHERE {_ORPHAN}
"""

_UNSETTLED = "state IN ('pending', 'waiting', 'in_doubt')"
CLOSE_ATTEMPTS = "UPDATE attempts SET outcome = 'unknown', words = ?, ended_at = ? WHERE outcome IS NULL"
LAST_ATTEMPTS = f"""
{_NEW_ATTEMPT}
SELECT NULL, lane, 0, min(seq), max(seq), count(*), count(*), 0, '', :now, :now, 'unknown', :words
  FROM entries WHERE {_UNSETTLED} GROUP BY lane
"""
PUT_IN_DOUBT = f"""
UPDATE entries SET state = 'in_doubt', reason = NULL, sends = max(sends, 0) + 1,
                   possibly_twice = possibly_twice OR (sends > 0 AND hazardous),
                   attempt = (SELECT id FROM attempts WHERE id > ? AND attempts.lane = entries.lane)
 WHERE {_UNSETTLED}
"""
RUNS = f"""
SELECT lane, group_key, profile, seq, operator, message FROM entries WHERE state = 'in_doubt' AND {SET_ASIDE}
 ORDER BY lane, group_key, profile, seq
"""
MARK_HAZARDOUS = "UPDATE entries SET hazardous = 1 WHERE seq IN (SELECT value FROM json_each(?))"
KEEP_HELD = "CREATE TEMP TABLE held AS SELECT lane, group_key, profile FROM waits"
CLEAR_WAITS = "DELETE FROM waits"
# A held profile stays held. If the last shipper's policy is not known, hazardous ones are held, too.
WAITS = f"""
INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)
SELECT lane, group_key, {UNIT},
       CASE WHEN EXISTS (SELECT 1 FROM temp.held WHERE held.lane = entries.lane AND held.profile IS {UNIT}
                                                   AND held.group_key IS entries.group_key)
              OR (? AND max(hazardous))
            THEN 'hold' ELSE 'settle_after' END,
       min(seq), ?, ?, ?
  FROM entries WHERE state = 'in_doubt' AND {SET_ASIDE} GROUP BY lane, group_key, {UNIT}
"""
END_HELD = "DROP TABLE temp.held"

MISSING_LANES = """
INSERT INTO lanes (lane, cursor) SELECT DISTINCT lane, 0 FROM entries WHERE true ON CONFLICT (lane) DO NOTHING
"""
MOVE_CURSORS = "UPDATE lanes SET cursor = ?, alike = 0, alike_since = NULL"
NEXT_EPOCH = """
UPDATE shipper SET epoch = min(max(epoch, (SELECT coalesce(max(epoch), 0) FROM attempts)), 1 << 62) + 1
RETURNING coalesce(settle_after, ?)
"""
COUNTED = "SELECT account FROM counters"
COUNT = """
UPDATE counters SET entries = :pruned + CASE account
  WHEN 'possibly_twice' THEN (SELECT count(*) FROM entries WHERE possibly_twice)
  WHEN 'out_of_order' THEN (SELECT count(*) FROM entries WHERE out_of_order)
  ELSE (SELECT count(*) FROM entries WHERE state = counters.account) END, pruned = :pruned
 WHERE account = :account
"""

# --- The result

ACCOUNTS = "SELECT account, entries FROM accounts"
TOKEN = "SELECT token FROM project"  # noqa: S105  # SQL, no secret
