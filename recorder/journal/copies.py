"""Detection of copied journals: one that ships from another machine or place is reported, never stopped.

Two copies of one journal, both shipping, send everything twice, and nothing in either shows it. But a copy is not
where the journal was shipped last. Each shipper stores that place when it takes over, so `restante ship` reports a
move once, and `restante doctor` remembers it.
"""

import hashlib
import hmac
from pathlib import Path
from typing import NamedTuple

__all__ = ["Home", "copy_reason", "current_home"]

_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


class Home(NamedTuple):
    """Place of a journal.

    Attributes:
        machine: A name for the machine that means nothing elsewhere; empty if the system has none.
        path: The journal's file.
        inode: That file's number on its disk; 0 if the system has none.
    """

    machine: str
    path: str
    inode: int


def current_home(path: Path, identity: str) -> Home:
    """Return where the journal of this identity is now."""
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


def copy_reason(before: Home | None, now: Home) -> str | None:
    """Return why this looks like a copied journal, or None.

    A renamed file keeps its inode, and a restored one its path: on the same machine only a change of both suggests a
    copy.

    >>> copy_reason(Home("a", "/k.db", 7), Home("b", "/k.db", 7))
    'it was shipped from another machine before'
    >>> copy_reason(Home("a", "/k.db", 7), Home("a", "/moved/k.db", 7)) is None
    True
    """
    if before is None:
        return None
    if before.machine and now.machine and before.machine != now.machine:
        return "it was shipped from another machine before"
    if before.path != now.path and before.inode and now.inode and before.inode != now.inode:
        return f"it was shipped from {before.path} before, and is another file now"
    return None
