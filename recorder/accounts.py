"""The accounts: one counter for each state but pending, changed in the transaction that changes the states."""

import sqlite3
from collections.abc import Mapping

from recorder.entries import State

__all__ = ["SET_ASIDE", "SET_STATE", "count", "moved"]

SET_ASIDE = "state NOT IN ('pending', 'shipped')"
"""The partial index on exceptional states serves a query only when it says the index's condition word for word."""

SET_STATE = """
UPDATE entries SET state = ?, reason = coalesce(?, reason) WHERE seq IN (SELECT value FROM json_each(?))
"""
"""A state, a reason or None to leave it, and the numbers as JSON."""

_COUNT = "UPDATE counters SET entries = entries + ? WHERE account = ?"


def count(connection: sqlite3.Connection, account: str, entries: int) -> None:
    """So many more in an account, or fewer."""
    connection.execute(_COUNT, (entries, account))


def moved(connection: sqlite3.Connection, counts: Mapping[State, int]) -> None:
    """Entries changed their state: so many more or fewer of each."""
    for state, entries in counts.items():
        if entries and state != State.PENDING:  # what is pending is what is left of all that was recorded
            count(connection, state, entries)
