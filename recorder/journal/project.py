"""The tables `project`, of one row, and `limits`."""

import json
import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING

from recorder.journal.limits import Limits
from recorder.model.json_value import compact

if TYPE_CHECKING:
    from recorder.model.counting import Counting
    from recorder.model.shipping import Counted

__all__ = [
    "bind",
    "change_token",
    "counter",
    "counting",
    "identity",
    "keep_limits",
    "limits",
    "note_remnants",
    "note_senders",
    "remnants",
    "renew_counter",
    "senders",
    "snapshot_at",
    "token",
]

_TOKEN = "SELECT token FROM project"  # noqa: S105  # SQL, no secret
_SNAPSHOT_AT = "SELECT snapshot_at FROM project"
_BIND = "UPDATE project SET token = ? WHERE token IS NULL"
_CHANGE_PROJECT = """
UPDATE project SET token = :new, earlier_tokens = (
  SELECT json_group_array(value) FROM (
    SELECT value FROM json_each(earlier_tokens) WHERE value IS NOT token UNION ALL SELECT token WHERE token IS NOT NULL
  ) WHERE value <> :new
)
"""
_REMNANTS = "SELECT remnants FROM project"
_NOTE_REMNANTS = "UPDATE project SET remnants = ?"
_COUNTER = "SELECT identity, coalesce(counter, substr(identity, 1, 8)) FROM project"
_RENEW_COUNTER = "UPDATE project SET counter = lower(hex(randomblob(4)))"
_SENDERS = "SELECT senders FROM project"
_NOTE_SENDERS = "UPDATE project SET senders = ?"
_MOST_SENDERS = 50

_LIMITS = "SELECT name, value FROM limits"
_KEEP_LIMIT = (
    "INSERT INTO limits (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


def token(connection: sqlite3.Connection) -> str | None:
    """Return the token of the journal's project; None before the first was given."""
    (kept,) = connection.execute(_TOKEN).fetchone()
    return None if kept is None else str(kept)


def snapshot_at(connection: sqlite3.Connection) -> float | None:
    """Return when this copy was made by `restante snapshot`, in seconds since the epoch; None for a journal."""
    (moment,) = connection.execute(_SNAPSHOT_AT).fetchone() or (None,)
    return None if moment is None else float(moment)


def bind(connection: sqlite3.Connection, given: str) -> str | None:
    """Store the token if the journal has none, and return the one it has."""
    connection.execute(_BIND, (given,))
    return token(connection)


def change_token(connection: sqlite3.Connection, given: str) -> None:
    """Make this the journal of another project."""
    connection.execute(_CHANGE_PROJECT, {"new": given})
    renew_counter(connection)


def counting(connection: sqlite3.Connection, counted: "Counted") -> "Counting | None":
    """Return how requests are counted now; None if they are not."""
    if not counted:
        return None
    from recorder.model.counting import Counting

    return Counting(counter(connection), identity(connection), counted == "objects")


def counter(connection: sqlite3.Connection) -> str:
    """Return the name of the property by which requests are counted now."""
    return f"restante_{connection.execute(_COUNTER).fetchone()[1]}"


def identity(connection: sqlite3.Connection) -> str:
    """Return the random name that copies of the journal share."""
    return str(connection.execute(_COUNTER).fetchone()[0])


def renew_counter(connection: sqlite3.Connection) -> None:
    """Count with another counter from now on: what profiles hold of the last one is not known any more."""
    connection.execute(_RENEW_COUNTER)


def remnants(connection: sqlite3.Connection) -> bool:
    """Return True while erased content may be left in free space of the file, or in the log."""
    (left,) = connection.execute(_REMNANTS).fetchone()
    return bool(left)


def note_remnants(connection: sqlite3.Connection, *, left: bool = True) -> None:
    """Store whether erased content may be left."""
    connection.execute(_NOTE_REMNANTS, (left,))


def senders(connection: sqlite3.Connection) -> dict[str, tuple[int, float]]:
    """Return by sender how many messages `restante relay` took, and when it took the last; nothing if damaged."""
    (text,) = connection.execute(_SENDERS).fetchone()
    try:
        return {
            str(name): (int(messages), float(last)) for name, (messages, last) in json.loads(text).items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def note_senders(connection: sqlite3.Connection, messages: Mapping[str, int], now: float) -> None:
    """Add to the messages of senders; of very many senders, the latest stay."""
    kept = senders(connection)
    for name, number in messages.items():
        before, _ = kept.pop(name, (0, now))
        kept[name] = before + number, now
    latest = [*kept.items()][-_MOST_SENDERS:]
    connection.execute(_NOTE_SENDERS, (compact(dict(latest)),))


def limits(connection: sqlite3.Connection) -> Limits:
    """Return the limits of the journal, with the default for those that were never set."""
    kept = {name: value for name, value in connection.execute(_LIMITS).fetchall() if name in Limits._fields}
    return Limits(**kept)


def keep_limits(connection: sqlite3.Connection, given: Mapping[str, float | None]) -> None:
    """Store the limits that are given; None is no limit."""
    connection.executemany(_KEEP_LIMIT, list(given.items()))
