"""The accounts of a journal as one report."""

import sqlite3
from pathlib import Path

from recorder.journal import accounts
from recorder.journal.locks import beside
from recorder.model.reports import Statistics

__all__ = ["statistics"]


def statistics(connection: sqlite3.Connection, path: Path, *, now: float) -> Statistics:
    """Return the accounts, read through a connection to the journal at `path`; `now` in seconds since the epoch."""
    oldest = accounts.oldest_unsent(connection)
    return Statistics(
        **accounts.read_all(connection),
        bytes=_size(path) + _size(beside(path, "-wal")),
        oldest_pending_seconds=None if oldest is None else max(0.0, now - oldest),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
