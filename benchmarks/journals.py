"""Journals of any size, made by SQL in seconds, and plain connections to them."""

import functools
import math
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from recorder import Journal, Recorder, Shipper, ShippingPolicy
from recorder.shipping.verdicts import Answer

__all__ = ["INSERT", "PROPERTIES", "ROW", "Accepting", "kept", "make", "raw"]

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
INSERT INTO entries (lane, group_key, profile, operator, message, recorded_at, state)
SELECT 'people', NULL, 'u-' || (n % 20000), '$add',
       '{"$time":' || (1700000000 + n) || ',"$distinct_id":"u-' || (n % 20000)
       || '","$add":{"credits":' || (n % 9) || '}}',
       1700000000 + n, 'pending'
  FROM numbers
"""


class Accepting:
    """A transport that accepts everything, in this process."""

    def send(self, lane, body, *, timeout=None):  # noqa: ARG002  # as a transport
        return Answer(left=True, url="https://service.test/engage", status=200, body=b"1")

    def reach(self, lane):  # noqa: ARG002
        return None

    def close(self):
        pass


def make(path: Path, entries: int, *, shipped: bool = False) -> None:
    """A journal of so many increments of 20,000 profiles, pending or shipped."""
    with Recorder("T", path) as recorder:
        recorder.people_increment("u-1", {"credits": 1})
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_FILL, (entries,))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if shipped:
        with Journal(path, keep_shipped_days=math.inf, keep_shipped_entries=math.inf) as journal:
            Shipper(journal, Accepting(), ShippingPolicy(batch_updates=2_000)).ship()


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="restante-bench-")


@functools.cache
def kept(entries: int, *, shipped: bool = False) -> Path:
    """The same for as long as this process lives, for all that read it or copy it."""
    path = Path(_folder().name) / f"{entries}-{shipped}.db"
    make(path, entries, shipped=shipped)
    return path


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
