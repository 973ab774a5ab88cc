"""How large a journal may grow, and how long what was shipped stays: limits that are kept in the journal itself.

Whoever opens it follows them, so that `restante ship` beside an app prunes nothing that the app wants to keep. What
is given when a journal is opened is written down; what was never given has a default.
"""

import sqlite3
from collections.abc import Mapping
from math import inf
from typing import NamedTuple

__all__ = ["Keeping", "check", "keep", "keeping_of"]

_LIMITS = "SELECT name, value FROM limits"
_KEEP = (
    "INSERT INTO limits (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)

# The tables, the log and the shipper's reserve need some of it.
_LEAST = {"max_bytes": 2_000_000}
_MOST = 2**53


class Keeping(NamedTuple):
    """The limits of a journal; None is no limit.

    Attributes:
        max_bytes: How large it may grow, its write-ahead log included.
        keep_shipped_days: How long what was shipped stays for inspection.
        keep_shipped_entries: How many shipped entries stay at most.

    >>> Keeping().keep_shipped_days
    7
    """

    max_bytes: float | None = None
    keep_shipped_days: float | None = 7
    keep_shipped_entries: float | None = 100_000


def keeping_of(connection: sqlite3.Connection) -> Keeping:
    """The limits as the journal has them."""
    kept = {name: value for name, value in connection.execute(_LIMITS).fetchall() if name in Keeping._fields}
    return Keeping(**kept)


def keep(connection: sqlite3.Connection, given: Mapping[str, float | None]) -> None:
    """Store the limits that are given, inside the caller's transaction."""
    connection.executemany(_KEEP, list(given.items()))


def check(limits: Mapping[str, object]) -> None:
    """See that limits can be kept.

    Raises:
        ValueError: One cannot.
    """
    for name, value in limits.items():
        least = _LEAST.get(name, 0)
        if value is None or value == inf:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < _MOST:
            raise ValueError(f"{name} is at least {least:,}, or math.inf for no limit; not {value!r}")
