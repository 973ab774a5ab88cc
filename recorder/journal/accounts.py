"""The accounts: one counter for each state but pending, changed in the transaction that changes the states."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from recorder.journal.locks import beside
from recorder.model.entries import State
from recorder.model.reports import Statistics

__all__ = ["SET_ASIDE", "SET_STATE", "count", "moved", "statistics_of"]

SET_ASIDE = "state NOT IN ('pending', 'shipped')"
"""The partial index on exceptional states serves a query only when it says the index's condition word for word."""

SET_STATE = """
UPDATE entries SET state = ?, reason = coalesce(?, reason) WHERE seq IN (SELECT value FROM json_each(?))
"""
"""A state, a reason or None to leave it, and the numbers as JSON."""

_ACCOUNTS = "SELECT account, entries FROM accounts"
_OLDEST_SET_ASIDE = f"""
SELECT min(recorded_at) FROM entries WHERE state IN ('waiting', 'in_doubt') AND {SET_ASIDE}
"""
_CURSORS = "SELECT lane, cursor FROM lanes"
_OLDEST_PENDING = """
SELECT recorded_at FROM entries WHERE lane = ? AND seq > ? AND state = 'pending' ORDER BY seq LIMIT 1
"""
_COUNT = "UPDATE counters SET entries = entries + ? WHERE account = ?"


def count(connection: sqlite3.Connection, account: str, entries: int) -> None:
    """So many more in an account, or fewer."""
    connection.execute(_COUNT, (entries, account))


def moved(connection: sqlite3.Connection, counts: Mapping[State, int]) -> None:
    """Entries changed their state: so many more or fewer of each."""
    for state, entries in counts.items():
        if entries and state != State.PENDING:  # what is pending is what is left of all that was recorded
            count(connection, state, entries)


def statistics_of(connection: sqlite3.Connection, path: Path, *, now: float) -> Statistics:
    """The accounts, read through a connection to the journal at `path`."""
    accounts = dict(connection.execute(_ACCOUNTS).fetchall())
    oldest = [connection.execute(_OLDEST_SET_ASIDE).fetchone()]
    for lane, cursor in connection.execute(_CURSORS).fetchall():
        oldest.append(connection.execute(_OLDEST_PENDING, (lane, cursor)).fetchone())
    times = [row[0] for row in oldest if row and row[0] is not None]
    return Statistics(
        **accounts,
        bytes=_size(path) + _size(beside(path, "-wal")),
        oldest_pending_seconds=max(0.0, now - min(times)) if times else None,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
