"""Where a journal is shipped: a copy that ships from another machine or place is noticed, never hindered.

Two copies of one journal, both shipping, send everything twice, and nothing in either shows it. What can be seen
is that a journal is not where it was shipped last. The shipper notes that when it takes over, so each move is told
once by `restante ship`, and remembered for `restante doctor`.
"""

import hashlib
import hmac
import sqlite3
from pathlib import Path
from typing import NamedTuple

__all__ = ["Home", "home_of", "known_home", "move", "note_home"]

_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))

_IDENTITY = "SELECT identity FROM project"
_HOME = "SELECT machine, path, inode FROM shipper"
_KEEP_HOME = """
UPDATE shipper SET machine = ?, path = ?, inode = ?, moved_at = CASE WHEN ? THEN ? ELSE moved_at END
"""


class Home(NamedTuple):
    """Where a journal is.

    Attributes:
        machine: A name for the machine that means nothing elsewhere; empty where the system has none.
        path: The journal's file.
        inode: That file's number on its disk; 0 where the system has none.
    """

    machine: str
    path: str
    inode: int


def home_of(path: Path, identity: str) -> Home:
    """Where the journal of this identity is now."""
    try:
        inode = path.stat().st_ino
    except OSError:
        inode = 0
    return Home(_machine(identity), str(path), inode)


def _machine(identity: str) -> str:
    # Keyed with the journal's identity: a machine's own id is not to be told to whoever gets a copy.
    for file in _MACHINE_IDS:
        try:
            id_ = file.read_bytes().strip()
        except OSError:
            continue
        if id_:
            return hmac.new(id_, identity.encode(), hashlib.sha256).hexdigest()[:16]
    return ""


def move(before: Home | None, now: Home) -> str | None:
    """What speaks for a copy, in words; None where nothing does.

    A file that was renamed keeps its number, and one that was restored keeps its path: on the same machine only
    both together speak for a copy.

    >>> move(Home("a", "/k.db", 7), Home("b", "/k.db", 7))
    'it was shipped from another machine before'
    >>> move(Home("a", "/k.db", 7), Home("a", "/moved/k.db", 7)) is None
    True
    """
    if before is None:
        return None
    if before.machine and now.machine and before.machine != now.machine:
        return "it was shipped from another machine before"
    if before.path != now.path and before.inode and now.inode and before.inode != now.inode:
        return f"it was shipped from {before.path} before, and is another file now"
    return None


def known_home(connection: sqlite3.Connection) -> tuple[str, Home | None]:
    """The journal's identity, and where it was shipped last; None where it never was."""
    (identity,) = connection.execute(_IDENTITY).fetchone()
    machine, path, inode = connection.execute(_HOME).fetchone()
    return identity, None if path is None else Home(machine or "", path, inode or 0)


def note_home(connection: sqlite3.Connection, path: Path, now: float) -> None:
    """Note where the journal is shipped; part of becoming its shipper."""
    identity, before = known_home(connection)
    here = home_of(path, identity)
    connection.execute(_KEEP_HOME, (*here, move(before, here) is not None, now))
