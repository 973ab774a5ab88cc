"""Journals of any size, made by SQL in seconds, and plain connections to them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from recorder import Recorder

__all__ = ["INSERT", "PROPERTIES", "ROW", "make", "raw"]

INSERT = """
INSERT INTO entries (lane, group_key, profile, operator, message, recorded_at, state, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
PROPERTIES = {"plan": "pro", "last_purchase": "1997-01-01"}
ROW = (
    "people",
    None,
    "cdnow-00001",
    "$set",
    '{"$time":852076800.0,"$distinct_id":"cdnow-00001","$set":{"plan":"pro","last_purchase":"1997-01-01"}}',
    852076800.0,
    "pending",
    None,
)
"""The message that `people_set` of `PROPERTIES` writes."""

_FILL = """
WITH RECURSIVE numbers(n) AS (VALUES (2) UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
INSERT INTO entries (lane, group_key, profile, operator, message, recorded_at, state, attempt, sends)
SELECT 'people', NULL, 'u-' || (n % 20000), '$add',
       '{"$time":' || (1700000000 + n) || ',"$distinct_id":"u-' || (n % 20000)
       || '","$add":{"credits":' || (n % 9) || '}}',
       1700000000 + n, ?, ?, ?
  FROM numbers
"""


def make(path: Path, entries: int, state: str = "pending") -> None:
    """A journal of so many increments of 20,000 profiles, pending or shipped."""
    shipped = state == "shipped"
    with Recorder("T", path) as recorder:
        recorder.people_increment("u-1", {"credits": 1})
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_FILL, (entries, state, 1 if shipped else None, int(shipped)))
        if shipped:
            connection.execute("UPDATE entries SET state = 'shipped', attempt = 1, sends = 1 WHERE seq = 1")
            connection.execute("UPDATE counters SET entries = ? WHERE account = 'shipped'", (entries,))
            connection.execute("UPDATE lanes SET cursor = ?", (entries,))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def raw(path: Path, synchronous: str, *, log_pages: int = 0) -> Iterator[sqlite3.Connection]:
    """The journal's table and pragmas, and a plain connection.

    Args:
        path: The journal, made where there is none.
        synchronous: ``"FULL"`` or ``"NORMAL"``.
        log_pages: After so many the log is moved into the file; 0: never, so that it grows for ever.
    """
    Recorder("T", path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {log_pages}")
        yield connection
