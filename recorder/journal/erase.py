"""Erasing the content of entries; their rows stay, with number, lane and time, so that the accounts add up.

SQLite may leave overwritten bytes elsewhere in the file, and in the log: the journal notes that there may be
remnants until `recorder.journal.forget` has removed them.
"""

import sqlite3
from collections.abc import Collection, Sequence

from recorder.journal import attempts, entries, project

__all__ = ["erase", "erase_settled"]


def erase(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Erase entries, whatever their state; no open attempt may carry one of them."""
    entries.erase(connection, numbers)
    project.note_remnants(connection)


def erase_settled(connection: sqlite3.Connection) -> None:
    """Erase deletions asked for by `forget` that were shipped or discarded, in the transaction that settled them."""
    rows = entries.forgotten_when_settled(connection)
    if rows:
        erase(connection, [seq for seq, _ in rows])
        lanes: Collection[str] = {lane for _, lane in rows}
        attempts.erase_words(connection, lanes)
