"""The journal's tables and views, made and migrated by sqlite-utils.

A log in which each row carries its state, and a cursor per lane, so that nothing scans what is done. Only
the exceptional states are indexed: recording and shipping pay for no index but the key.
"""

import sqlite3
import time
from typing import TYPE_CHECKING

from recorder.model.entries import State

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["APPLICATION_ID", "OLDEST_SQLITE", "SCHEMA_VERSION", "migrate"]

APPLICATION_ID = 0x72737474  # "rstt", in the header of every journal
SCHEMA_VERSION = 4
OLDEST_SQLITE = (3, 35)
"""The first SQLite with all of the SQL in use: RETURNING and MATERIALIZED."""

_COUNTED = [state.value for state in State if state not in {State.PENDING, State.SENDING}]
_MARKS = ["possibly_twice", "out_of_order"]

# What an open attempt carries: a range of its lane's pending entries, or the numbers it picked. CROSS JOIN has SQLite
# begin with the open attempts, which are few; left to itself it looks through all entries.
_CARRIED = """
  SELECT entries.seq, entries.state FROM attempts CROSS JOIN entries
      ON entries.seq BETWEEN attempts.first AND attempts.last
     AND entries.lane = attempts.lane AND entries.state = 'pending'
   WHERE attempts.outcome IS NULL AND attempts.picked IS NULL
  UNION ALL
  SELECT entries.seq, entries.state FROM attempts, json_each(attempts.picked) AS number
    JOIN entries ON entries.seq = number.value
   WHERE attempts.outcome IS NULL AND attempts.picked IS NOT NULL
"""

_ENTRIES_WITH_STATE = f"""
WITH carried AS ({_CARRIED})
SELECT seq, lane, group_key, profile, operator, message, recorded_at,
       CASE WHEN state IN ('pending', 'waiting', 'in_doubt') AND seq IN (SELECT seq FROM carried)
            THEN 'sending' ELSE state END AS state,
       attempt, sends, reason, possibly_twice, out_of_order, hazardous
  FROM entries
"""

# Recording writes no counter: what was recorded is the highest number handed out, and pending is what is left.
_ACCOUNTS = f"""
WITH carried AS ({_CARRIED}),
     recorded AS (SELECT coalesce(max(seq), 0) AS entries FROM entries)
SELECT 'recorded' AS account, entries FROM recorded
UNION ALL
SELECT 'pending', (SELECT entries FROM recorded)
                - (SELECT sum(entries) FROM counters WHERE account IN ({", ".join(map(repr, _COUNTED))}))
                - (SELECT count(*) FROM carried WHERE state = 'pending')
UNION ALL
SELECT 'sending', (SELECT count(*) FROM carried)
UNION ALL
SELECT account, entries - (SELECT count(*) FROM carried WHERE carried.state = counters.account) FROM counters
UNION ALL
SELECT 'pruned', (SELECT sum(pruned) FROM counters WHERE account IN ({", ".join(map(repr, _COUNTED))}))
"""


def _first_schema(db: "Database") -> None:
    import uuid  # a journal is made once

    db.table("project").create(
        {"id": int, "token": str, "identity": str, "created_at": float}, pk="id", not_null={"identity"}
    )
    db.table("project").insert(
        {"id": 1, "token": None, "identity": str(uuid.uuid4()), "created_at": time.time()}
    )
    db.table("entries").create(
        {
            "seq": int,
            "lane": str,
            "group_key": str,
            "profile": str,
            "operator": str,
            "message": str,
            "recorded_at": float,
            "state": str,
            "attempt": int,
            "sends": int,
            "reason": str,
            "possibly_twice": int,
            "out_of_order": int,
        },
        pk="seq",
        not_null={"lane", "message", "recorded_at", "state", "sends", "possibly_twice", "out_of_order"},
        defaults={"sends": 0, "possibly_twice": 0, "out_of_order": 0},
    )
    db.execute(
        "CREATE INDEX entries_set_aside ON entries(state, lane, seq) WHERE state NOT IN ('pending', 'shipped')"
    )
    db.table("lanes").create(
        {
            "lane": str,
            "cursor": int,
            "outcome": str,
            "cause": str,
            "since": float,
            "failures": int,
            "retry_at": float,
        },
        pk="lane",
        not_null={"cursor", "cause", "failures"},
        defaults={"cursor": 0, "cause": "", "failures": 0},
    )
    db.table("attempts").create(
        {
            "id": int,
            "lane": str,
            "epoch": int,
            "first": int,
            "last": int,
            "picked": str,
            "updates": int,
            "bytes": int,
            "digest": str,
            "started_at": float,
            "ended_at": float,
            "outcome": str,
            "status": int,
            "words": str,
            "times": int,
        },
        pk="id",
        not_null={
            "lane",
            "epoch",
            "first",
            "last",
            "updates",
            "bytes",
            "digest",
            "started_at",
            "words",
            "times",
        },
        defaults={"words": "", "times": 1},
    )
    db.execute("CREATE INDEX attempts_open ON attempts(id) WHERE outcome IS NULL")
    db.table("counters").create({"account": str, "entries": int}, pk="account", not_null={"entries"})
    db.table("counters").insert_all({"account": account, "entries": 0} for account in _COUNTED + _MARKS)
    db.table("shipper").create(
        {"id": int, "epoch": int, "pid": int, "running": int, "seen_at": float},
        pk="id",
        not_null={"epoch", "running"},
        defaults={"epoch": 0, "running": 0},
    )
    db.table("shipper").insert({"id": 1})
    db.table("spools").create({"name": str, "rows_done": int}, pk="name", not_null={"rows_done"})


def _shipping_under_fire(db: "Database") -> None:
    """Schema 2: what may not be sent yet, waits that outlast a process, and marks on entries."""
    db.execute("ALTER TABLE entries ADD COLUMN hazardous INTEGER NOT NULL DEFAULT 0")
    # Whether the entry behind a wait is a user's or a group's: group_key is NULL for the one, so no key here.
    db.table("waits").create(
        {
            "id": int,
            "lane": str,
            "group_key": str,
            "profile": str,
            "cause": str,
            "behind": int,
            "boot": str,
            "at": float,
            "span": float,
        },
        pk="id",
        not_null={"lane", "cause", "behind", "boot", "at", "span"},
    )
    db.table("waits").create_index(["lane", "profile"])
    # A request's size after an unknown outcome; the back-off, and what the service asked for, as moments of
    # recorder.journal.uptime; single rejections in a row with the same words, and the first attempt of that row.
    for column, kind in (
        ("request_size", "INTEGER"),
        ("boot", "TEXT NOT NULL DEFAULT ''"),
        ("backoff_at", "REAL NOT NULL DEFAULT 0"),
        ("backoff_span", "REAL NOT NULL DEFAULT 0"),
        ("asked_at", "REAL NOT NULL DEFAULT 0"),
        ("asked_span", "REAL NOT NULL DEFAULT 0"),
        ("alike", "INTEGER NOT NULL DEFAULT 0"),
        ("alike_since", "INTEGER"),
    ):
        db.execute(f"ALTER TABLE lanes ADD COLUMN {column} {kind}")
    # Where the last shipper sent to, and its policy for entries in doubt.
    for column, kind in (("service", "TEXT"), ("in_doubt", "TEXT"), ("settle_after", "REAL")):
        db.execute(f"ALTER TABLE shipper ADD COLUMN {column} {kind}")
    # Of what schema 1 left in doubt nobody knows what it travelled with: hazardous, and for the policy to decide.
    db.execute("UPDATE entries SET hazardous = 1 WHERE state = 'in_doubt'")
    db.execute(
        """
        INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)
        SELECT lane, group_key, profile, 'settle_after', min(seq), '', 0, 0 FROM entries
         WHERE state = 'in_doubt' GROUP BY lane, group_key, profile
        """
    )


def _folding(db: "Database") -> None:
    """Several entries may travel as one update: an attempt says how many of each."""
    db.execute("ALTER TABLE attempts ADD COLUMN entries INTEGER NOT NULL DEFAULT 0")
    db.execute("UPDATE attempts SET entries = updates")


def _pruning(db: "Database") -> None:
    """Schema 3: what is left of entries that were pruned, and the limits that hold for whoever opens the journal."""
    # Of each account, how many entries are not kept any more: they are in `entries`, too.
    db.execute("ALTER TABLE counters ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0")
    # A profile as its pruned entries made it: `properties` is NULL where there was none in the end. In the order of
    # `id` the profiles came to be. `gone` is the highest number that may have been applied: an entry that a person
    # takes up again goes after it. For its sake there are rows of lanes without profiles, too.
    db.table("baseline").create(
        {
            "id": int,
            "lane": str,
            "group_key": str,
            "profile": str,
            "properties": str,
            "partly_known": int,
            "entries": int,
            "sends": int,
            "gone": int,
        },
        pk="id",
        not_null={"lane", "partly_known", "entries", "sends", "gone"},
        defaults={"partly_known": 0, "entries": 0, "sends": 0, "gone": 0},
    )
    db.table("baseline").create_index(["profile", "lane"])
    # NULL is no limit; what has no row was never said.
    db.execute("CREATE TABLE limits (name TEXT PRIMARY KEY, value REAL)")


def _copies_told_apart(db: "Database") -> None:
    """Copies: a snapshot says that it is one, and a journal knows on which machine it was shipped last."""
    db.execute("ALTER TABLE project ADD COLUMN snapshot_at REAL")
    for column, kind in (("machine", "TEXT"), ("path", "TEXT"), ("inode", "INTEGER"), ("moved_at", "REAL")):
        db.execute(f"ALTER TABLE shipper ADD COLUMN {column} {kind}")


def _forgetting(db: "Database") -> None:
    """Schema 4: entries whose content goes when they have gone, and whether remnants of what was erased may be left."""
    db.execute("ALTER TABLE entries ADD COLUMN ends_forgotten INTEGER NOT NULL DEFAULT 0")
    db.execute("CREATE INDEX entries_ending ON entries(seq) WHERE ends_forgotten")
    db.execute("ALTER TABLE project ADD COLUMN remnants INTEGER NOT NULL DEFAULT 0")


_MIGRATIONS = (_first_schema, _shipping_under_fire, _pruning, _copies_told_apart, _folding, _forgetting)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema to our version, each step a transaction of its own; the caller holds the journal alone."""
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    migrations = Migrations("restante")
    for step in _MIGRATIONS:
        migrations(name=step.__name__.removeprefix("_"))(step)
    db = Database(connection, recursive_triggers=False, execute_plugins=False)
    migrations.apply(db)
    # Views hold nothing: each version makes its own anew.
    db.create_view("entries_with_state", _ENTRIES_WITH_STATE, replace=True)
    db.create_view("accounts", _ACCOUNTS, replace=True)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
