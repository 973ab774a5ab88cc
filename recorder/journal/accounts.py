"""The table `counters`: one per state but pending and sending, changed in the transaction that changes the states."""

import sqlite3
from collections.abc import Mapping

from recorder.model.entries import State

__all__ = [
    "MOST_COUNTED",
    "add",
    "add_pruned",
    "any_pruned",
    "change",
    "kept_shipped",
    "old_events",
    "oldest_unsent",
    "read",
    "read_all",
    "unsent",
]

MOST_COUNTED = 10_000
"""Most old events that are counted; a backlog may be a hundred times as long."""

_ADD = "UPDATE counters SET entries = entries + ? WHERE account = ?"
_ADD_PRUNED = "UPDATE counters SET pruned = pruned + ? WHERE account = ?"
_ANY_PRUNED = "SELECT sum(pruned) > 0 FROM counters"
_KEPT_SHIPPED = "SELECT entries - pruned FROM counters WHERE account = 'shipped'"
_READ = "SELECT entries FROM counters WHERE account = ?"
_ACCOUNTS = "SELECT account, entries FROM accounts"
_OLDEST = """
SELECT min(recorded_at) FROM (
  SELECT min(recorded_at) AS recorded_at FROM entries
   WHERE state IN ('waiting', 'in_doubt') AND state NOT IN ('pending', 'shipped')
  UNION ALL
  SELECT (SELECT recorded_at FROM entries
           WHERE entries.lane = lanes.lane AND seq > lanes.cursor AND state = 'pending' ORDER BY seq LIMIT 1)
    FROM lanes)
"""
# The events that are recorded first come first: what is counted is at the beginning of the backlog.
_OLD_EVENTS = f"""
SELECT count(*) FROM (
  SELECT 1 FROM lanes CROSS JOIN entries ON +entries.lane = lanes.lane
   WHERE lanes.lane = 'events' AND seq > lanes.cursor AND +entries.state = 'pending' AND recorded_at < :before
  UNION ALL
  SELECT 1 FROM entries
   WHERE state IN ('waiting', 'in_doubt') AND state NOT IN ('pending', 'shipped') AND lane = 'events'
     AND recorded_at < :before
   LIMIT {MOST_COUNTED})
"""
# Not by the view, which takes ten times as long: every drain begins and ends with this.
_UNSENT = """
SELECT (SELECT coalesce(max(seq), 0) FROM entries)
       - sum(CASE WHEN account IN ('waiting', 'in_doubt') THEN 0 ELSE entries END),
       sum(CASE account WHEN 'in_doubt' THEN entries ELSE 0 END)
       - (SELECT count(*) FROM carried WHERE state = 'in_doubt')
  FROM counters WHERE account NOT IN ('possibly_twice', 'out_of_order')
"""


def add(connection: sqlite3.Connection, account: str, entries: int) -> None:
    """Add to one account; pending has none, for it is what is left of all that was recorded."""
    if entries and account != State.PENDING:
        connection.execute(_ADD, (entries, account))


def change(connection: sqlite3.Connection, changes: Mapping[str, int]) -> None:
    """Add to several accounts."""
    for account, entries in changes.items():
        add(connection, account, entries)


def add_pruned(connection: sqlite3.Connection, pruned: Mapping[str, int]) -> None:
    """Count entries of each account that have no row any more."""
    connection.executemany(
        _ADD_PRUNED, [(entries, account) for account, entries in pruned.items() if entries]
    )


def any_pruned(connection: sqlite3.Connection) -> bool:
    """Return True if any entry has no row any more."""
    (pruned,) = connection.execute(_ANY_PRUNED).fetchone()
    return bool(pruned)


def kept_shipped(connection: sqlite3.Connection) -> int:
    """Return how many shipped entries still have a row."""
    (entries,) = connection.execute(_KEPT_SHIPPED).fetchone()
    return int(entries)


def read(connection: sqlite3.Connection, account: str) -> int:
    """Return one counter."""
    (entries,) = connection.execute(_READ, (account,)).fetchone()
    return int(entries)


def unsent(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return how many entries are pending, sending, waiting or in doubt, and how many of them are in doubt."""
    entries, in_doubt = connection.execute(_UNSENT).fetchone()
    return int(entries), int(in_doubt)


def read_all(connection: sqlite3.Connection) -> dict[str, int]:
    """Return all accounts by name; see the view of that name in schema.sql."""
    return dict(connection.execute(_ACCOUNTS).fetchall())


def oldest_unsent(connection: sqlite3.Connection) -> float | None:
    """Return when the oldest unsent entry was recorded, in seconds since the epoch; None if all are sent."""
    (recorded_at,) = connection.execute(_OLDEST).fetchone()
    return None if recorded_at is None else float(recorded_at)


def old_events(connection: sqlite3.Connection, before: float) -> int:
    """Return how many unsent events were recorded before a moment, up to 10,000; nothing is read if none may be."""
    oldest = oldest_unsent(connection)
    if oldest is None or oldest >= before:
        return 0
    (events,) = connection.execute(_OLD_EVENTS, {"before": before}).fetchone()
    return int(events)
