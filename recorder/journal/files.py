"""The files of a journal: made for their owner only, never opened through a link, and why they cannot be used."""

import contextlib
import os
import shlex
import stat
from pathlib import Path

from recorder.journal.environment import allowed, enterable, file_system, is_mount, writable

__all__ = ["PARTS", "PRIVATE", "file_identity", "foreign", "obstacle", "private_file", "shared", "unfinished"]

PRIVATE = 0o600
"""Mode of all files with user data."""

PARTS = ("", "-wal", "-shm", ".open", ".lock", ".ballast")
"""Suffixes of a journal's files: of the database, its log and index, the lock files, and the reserve."""


def file_identity(file: str | Path) -> tuple[int, int] | None:
    """Return device and number of a file; None if there is none."""
    try:
        status = os.stat(file)  # noqa: PTH116  # a third of the time of Path.stat
    except OSError:
        return None
    return status.st_dev, status.st_ino


def private_file(file: Path, *, flags: int = os.O_RDWR, owner_of: Path | None = None) -> int:
    """Open a file that its owner alone can read, made if there is none, and return the descriptor.

    Args:
        file: Its path; a link is refused, for whoever placed it would choose what is written.
        flags: For `os.open`.
        owner_of: Root gives a file that it makes to the owner of this one, as SQLite does with its log: a lock
            file of root's would lock out the app that runs as another account.

    Raises:
        OSError: It cannot be opened.
    """
    flags |= os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(file, flags | os.O_EXCL, PRIVATE)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        return os.open(file, flags, PRIVATE)
    if hasattr(os, "fchown"):
        os.fchmod(descriptor, PRIVATE)  # whatever the umask
        if owner_of is not None and os.geteuid() == 0 and owner_of.exists():
            owner = owner_of.stat()
            with contextlib.suppress(PermissionError):  # in a container, root may lack the right
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def obstacle(path: Path) -> tuple[str, str] | None:
    """Return why this account cannot read and write a journal, and what to do about it; None if nothing is seen.

    Args:
        path: The journal's file.
    """
    folder = path.parent
    if not enterable(folder):
        return (
            f"{_me()} may not enter {folder}, which belongs to {_owner(folder)}",
            f"Run this as {_owner(folder)}.",
        )
    if file_system(folder).read_only:
        return (
            f"{folder} is mounted read-only",
            f"Mount it for writing; or, to look, copy {path.name} and its -wal into a folder that can be written.",
        )
    for part in PARTS:
        if found := _file_obstacle(path.with_name(path.name + part), path):
            return found
    if not writable(folder):
        return (
            f"{_me()} cannot write into {folder}, which belongs to {_owner(folder)}: the log and the locks are there",
            f"Run this as {_owner(folder)}, or give the folder to the account that records.",
        )
    return None


def unfinished(path: Path) -> tuple[str, str] | None:
    """Return why this account cannot read a log that was left, and what to do about it; None if it may, or none was.

    To read it SQLite makes an index beside it, and its owner could not record any more with another account's index.
    """
    log, index = (path.with_name(path.name + part) for part in ("-wal", "-shm"))
    if not foreign(path) or index.exists() or not log.exists() or not log.stat().st_size:
        return None
    return (
        f"it was not closed properly, and belongs to {_owner(path)}",
        f"Run this as {_owner(path)}; or, to look, copy {path.name} and its -wal into a folder of your own.",
    )


def foreign(path: Path) -> bool:
    """Return True if a file belongs to another account, whose files this one cannot make."""
    return hasattr(os, "geteuid") and os.geteuid() not in {0, path.stat().st_uid}


def shared(path: Path) -> tuple[str, str] | None:
    """Return how a journal's file is shared without its folder, and what to do about it; None if it is not.

    Whoever opens the file elsewhere has a log and locks of its own there, and each deletes what the other recorded.
    """
    try:
        names = path.stat().st_nlink
    except OSError:  # it is gone: what opens it says so
        return None
    if names > 1:
        return (
            f"its file has {names} names (hard links), and each would have a log and locks of its own",
            f"Find the others with: find / -xdev -samefile {shlex.quote(str(path))}; delete them, or copy the file.",
        )
    if is_mount(path):
        return (
            "its file is mounted by itself, so other mounts would not share its log and locks",
            "Mount the journal's folder, not its file.",
        )
    return None


def _file_obstacle(file: Path, path: Path) -> tuple[str, str] | None:
    if file.is_symlink():
        return f"{file} is a link", "Delete it: side files are never links."
    if not file.exists() or allowed(file, os.R_OK | os.W_OK):
        return None
    if (owner := _owner(file)) == _me():
        mode = stat.S_IMODE(file.stat().st_mode)
        return (
            f"{file.name} cannot be read and written (mode {mode:o})",
            f"chmod 600 {shlex.quote(str(file))}",
        )
    right = _owner(path)
    if file == path or right == owner:
        advice = f"Run this as {owner}, or give all files of the journal to the account that records."
    else:
        advice = f"As root: chown {right.removeprefix('account ')} {shlex.quote(str(file))}"
    return f"{file.name} belongs to {owner}, and this is {_me()}", advice


def _owner(file: Path) -> str:
    try:
        return _account(file.stat().st_uid)
    except OSError:
        return "another account"


def _me() -> str:
    return _account(os.geteuid()) if hasattr(os, "geteuid") else "this account"


def _account(uid: int) -> str:
    """Return the name of an account, or its number where it has none, as in a container."""
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return f"account {uid}"
