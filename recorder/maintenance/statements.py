"""The SQL of audit, doctor and snapshot. Salvage has its own."""

from collections.abc import Collection, Iterable

from recorder.journal.entries import UNIT

# --- The schema, and rows that are not of their table's shape

SCHEMA_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
COLUMNS = 'SELECT name, type, "notnull", pk FROM pragma_table_info(?)'
_KINDS = {"INTEGER": "'null', 'integer'", "REAL": "'null', 'integer', 'real'", "TEXT": "'null', 'text'"}


def fits(column: str, kind: str, allowed: Collection[object] | None, *, is_json: bool) -> str:
    """Condition: the column has a value that it may have; NULL is looked for elsewhere."""
    if is_json:
        return f"CASE WHEN json_valid({column}) THEN json_type({column}) = 'object' ELSE {column} IS NULL END"
    if allowed is None:
        return f"typeof({column}) IN ({_KINDS[kind]})"
    values = ", ".join(repr(value) for value in allowed if value is not None)
    return f"({column} IS NULL OR {column} IN ({values}))"


def how_many(table: str) -> str:
    """The number of a table's rows."""
    return f"SELECT count(*) FROM {table}"


def any_misfit(table: str, condition: str) -> str:
    """True if a row of the table does not meet the condition."""
    return f"SELECT EXISTS (SELECT 1 FROM {table} WHERE NOT ({condition}))"


def rows(table: str, columns: Iterable[str]) -> str:
    """Rows of a table, with their numbers."""
    return f"SELECT {', '.join(('rowid', *columns))} FROM {table}"


# --- Audit: the accounts

COUNT_STATES = """
SELECT state, count(*), sum(possibly_twice), sum(out_of_order) FROM entries_with_state GROUP BY state
"""
ACCOUNTS = "SELECT account, entries FROM accounts"
NUMBERS = "SELECT count(*), coalesce(min(seq), 0), coalesce(max(seq), 0) FROM entries"
FIRST_MISSING = """
SELECT place FROM (SELECT seq, row_number() OVER (ORDER BY seq) AS place FROM entries)
 WHERE seq <> place ORDER BY seq LIMIT 1
"""
PRUNED = "SELECT account, pruned FROM counters"
HOW_MANY_ATTEMPTS = "SELECT coalesce(sum(times), 0) FROM attempts"

# --- Audit: rules for each entry, its lane, and the attempt that settled it last. One scan finds all that break one; an
# entry is counted under the first rule it breaks.

_CARRIED = """
attempts.lane = entries.lane AND entries.seq BETWEEN attempts.first AND attempts.last
AND (attempts.picked IS NULL OR again.seq IS NOT NULL)
"""
_BROKEN = {
    "entries of a lane that does not exist": "lanes.lane IS NULL",
    "entries that their lane has passed, in no accepted range": (
        "entries.state = 'pending' AND entries.seq <= lanes.cursor"
        " AND (SELECT attempt FROM entries_with_state AS stands WHERE stands.seq = entries.seq) IS NULL"
    ),
    "sent entries that their lane has not reached": (
        "entries.state IN ('shipped', 'in_doubt') AND entries.seq > lanes.cursor"
    ),
    "pending entries that were sent": (
        "entries.state = 'pending' AND (entries.sends > 0 OR entries.attempt IS NOT NULL)"
    ),
    "shipped entries without a request that shipped them": (
        "entries.state = 'shipped'"
        f" AND NOT (entries.sends > 0 AND coalesce({_CARRIED} AND attempts.outcome = 'shipped', 0))"
    ),
    # An entry whose rejection was taken back was refused last, and is in doubt from before. A late acceptance leaves
    # in doubt what is just being sent again.
    "entries in doubt without a request that left it open": (
        "entries.state = 'in_doubt' AND NOT (entries.sends > 0"
        f" AND coalesce({_CARRIED} AND attempts.outcome IN ('unknown', 'refused', 'shipped'), 0))"
    ),
    "entries possibly applied twice that were sent once": "entries.possibly_twice AND entries.sends < 2",
}
BROKEN_ENTRIES = f"""
WITH again AS MATERIALIZED (
  SELECT attempts.id AS attempt, CAST(number.value AS INTEGER) AS seq
    FROM attempts, json_each(attempts.picked) AS number)
SELECT rule, count(*), min(seq) FROM (
  SELECT entries.seq, CASE {" ".join(f"WHEN {broken} THEN '{rule}'" for rule, broken in _BROKEN.items())} END AS rule
    FROM entries LEFT JOIN lanes ON lanes.lane = entries.lane
                 LEFT JOIN attempts ON attempts.id = entries.attempt
                 LEFT JOIN again ON again.attempt = entries.attempt AND again.seq = entries.seq)
 WHERE rule IS NOT NULL GROUP BY rule ORDER BY min(seq)
"""

# --- Audit: rules for the other tables; each statement counts what breaks one, and names the first entry

# Of ranges that end one after another, those that begin before another's end. (Salvage makes some that stand for
# requests it knows nothing of: the entries in these are written out.)
_IN_TWO_RANGES = """
SELECT count(DISTINCT entries.seq), min(entries.seq) FROM (
  SELECT lane, first, max(last) OVER (PARTITION BY lane ORDER BY last, id
                                      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM attempts WHERE outcome = 'shipped' AND picked IS NULL) AS accepted
 CROSS JOIN lanes ON lanes.lane = accepted.lane
 CROSS JOIN entries ON entries.seq BETWEEN accepted.first AND min(accepted.reached, lanes.cursor)
                   AND +entries.lane = accepted.lane AND +entries.state = 'pending'
 WHERE accepted.reached >= accepted.first
"""
_LANES_TOO_FAR = """
SELECT count(*), NULL FROM lanes WHERE cursor > (SELECT coalesce(max(seq), 0) FROM entries)
"""
# A person may have discarded an entry whose profile settles: the profile still waits, for a late copy may arrive.
_SETTLING_WITHOUT_CAUSE = """
SELECT count(*), min(behind) FROM waits
 WHERE cause <> 'hold' AND NOT EXISTS (SELECT 1 FROM entries WHERE seq = waits.behind AND sends > 0
                                                               AND lane = waits.lane)
"""
_HELD_WITHOUT_CAUSE = f"""
SELECT count(*), min(behind) FROM waits
 WHERE cause = 'hold' AND (lane, profile, coalesce(group_key, '')) NOT IN (
   SELECT lane, {UNIT}, coalesce(group_key, '') FROM entries
    WHERE state = 'in_doubt' AND state NOT IN ('pending', 'shipped'))
"""
_WAITS_TWICE = """
SELECT coalesce(sum(several - 1), 0), min(behind) FROM (
  SELECT count(*) AS several, min(behind) AS behind FROM waits GROUP BY lane, group_key, profile HAVING several > 1)
"""
_BASELINE_TWICE = """
SELECT coalesce(sum(several - 1), 0), NULL FROM (
  SELECT count(*) AS several FROM baseline GROUP BY lane, group_key, profile HAVING several > 1)
"""
_BASELINE_TOO_LARGE = """
SELECT max(0, (SELECT coalesce(sum(entries), 0) FROM baseline)
            - (SELECT pruned FROM counters WHERE account = 'shipped')), NULL
"""
_OVERTAKEN = """
SELECT count(*), min(first) FROM attempts WHERE outcome IS NULL AND epoch <> (SELECT epoch FROM shipper)
"""
RULES = {
    "requests under way that no shipper waits for": _OVERTAKEN,
    "entries in two accepted ranges": _IN_TWO_RANGES,
    "lanes that have passed the last entry": _LANES_TOO_FAR,
    "waits for a late copy of nothing that was sent": _SETTLING_WITHOUT_CAUSE,
    "profiles held without an entry in doubt": _HELD_WITHOUT_CAUSE,
    "second waits of one profile": _WAITS_TWICE,
    "profiles twice in the baseline": _BASELINE_TWICE,
    "entries of the baseline that are not counted as pruned": _BASELINE_TOO_LARGE,
}
UNDER_WAY = """
SELECT count(*), coalesce(sum(entries), 0), (SELECT entries FROM accounts WHERE account = 'sending')
  FROM attempts WHERE outcome IS NULL
"""

# --- Doctor

VERSIONS = ("PRAGMA application_id", "PRAGMA user_version")
TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY rootpage"
NEWEST = "SELECT recorded_at FROM entries ORDER BY seq DESC LIMIT 1"
NEWEST_UPDATES = """
SELECT seq, operator, CAST(message AS BLOB)
  FROM (SELECT seq, lane, operator, message FROM entries ORDER BY seq DESC LIMIT ?)
 WHERE lane IN ('people', 'groups')
"""
SHIPPER = """
SELECT pid, EXISTS (SELECT 1 FROM open_attempt), moved_at
  FROM shipper
"""


def integrity_check(table: str) -> str:
    """Check every row of a table and its indexes; a damaged schema may have a table of any name."""
    quoted = table.replace('"', '""')
    return f'PRAGMA integrity_check("{quoted}")'


# --- Snapshot

COPY = "VACUUM INTO ?"
MARK_SNAPSHOT = "UPDATE project SET snapshot_at = ?, remnants = 0"  # the copy has the rows and nothing else
