"""Entries as lines that `restante record` reads. Pure."""

from typing import Any

from recorder import Entry, Lane, State

__all__ = ["PROFILES", "exported"]

PROFILES = frozenset({Lane.PEOPLE, Lane.GROUPS})
"""Lanes whose messages `restante record` takes."""


def exported(entry: Entry) -> dict[str, Any]:
    """Return what `restante export` writes of an entry: a pending one as its message, others with their state."""
    if entry.lane not in PROFILES:
        return {"lane": entry.lane, "state": entry.state, "message": entry.message}
    if entry.state is State.PENDING:
        return dict(entry.message)
    return {"state": entry.state, "message": entry.message}
