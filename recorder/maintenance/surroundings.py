"""The doctor's look at a journal's surroundings: SQLite, packages, disk, permissions, processes, side files.

The journal's own file is never opened here: closing any descriptor of it would cancel SQLite's locks in this process.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from recorder.journal.environment import (
    FileSystem,
    allowed,
    file_system,
    free_bytes,
    holders,
    other_owners,
    writable,
)
from recorder.journal.files import PARTS, shared
from recorder.journal.locks import beside
from recorder.journal.opening import SALVAGING
from recorder.journal.schema import OLDEST_SQLITE
from recorder.maintenance.findings import Finding, attention, notice, ok

__all__ = ["file_size", "inspect_surroundings", "sqlite_too_old"]

_PACKAGES = ("recorder", "simulator", "tui")

_NETWORK = frozenset(
    {
        *(
            "9p",
            "afpfs",
            "afs",
            "ceph",
            "cifs",
            "coda",
            "davfs",
            "glusterfs",
            "gfs2",
            "lustre",
            "ncpfs",
            "nfs",
            "nfs4",
        ),
        *("ocfs2", "smb3", "smbfs", "vboxsf", "virtiofs"),
        *("fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)
_IN_MEMORY = frozenset({"ramfs", "tmpfs"})
_WITHOUT_OWNERS = frozenset({"exfat", "msdos", "vfat"})

_MB = 1_000_000
_LITTLE_SPACE = 16 * _MB  # a log of 8 MB, and as much again to move it into the file
_LARGE_LOG = 16 * _MB  # twice what a commit leaves behind: see recorder.journal.connection

_RESET_BUG = ((3, 7, 0), (3, 51, 2))

_DAMAGED = ".damaged-"


def inspect_surroundings(path: Path) -> list[Finding]:
    """Look at everything around a journal.

    Args:
        path: The journal's file, resolved.
    """
    folder = path.parent
    return [
        _sqlite(sqlite3.sqlite_version_info[:3]),
        *_packages(other_owners(_PACKAGES)),
        _file_system(file_system(folder)),
        *_shared(path),
        _free_space(free_bytes(folder), folder),
        *_permissions(path),
        _processes(holders(beside(path, ".open"))),
        _log(path),
        *_left_behind(path),
    ]


def file_size(file: Path) -> int:
    """Return the size of a file in bytes; 0 if there is none."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def sqlite_too_old() -> bool:
    """Return True if this SQLite lacks SQL that journals need: no error of it says anything about a journal."""
    return sqlite3.sqlite_version_info < OLDEST_SQLITE


def _sqlite(version: tuple[int, ...]) -> Finding:
    text = f"SQLite {_dotted(version)}"
    if version < OLDEST_SQLITE:
        return attention(
            "SQLite",
            f"{text} is too old: restante needs {_dotted(OLDEST_SQLITE)} or newer, so the journal was not read",
            "Use a Python that is built with a newer SQLite. The journal needs no change.",
        )
    first, last = _RESET_BUG
    if not first <= version <= last:
        return ok("SQLite", text)
    return notice(
        "SQLite",
        f"{text} has the WAL-reset bug (3.7.0 to 3.51.2): a checkpoint that runs while another connection writes "
        "can damage a journal. restante's own checkpoints cannot: none is automatic, and each takes the write lock",
        "Write into the journal with restante only; other tools checkpoint by themselves. Use a Python with SQLite "
        "3.51.3 or newer, or one whose distributor has fixed the bug, when you can.",
    )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _packages(others: dict[str, list[str]]) -> Iterator[Finding]:
    for name, distributions in others.items():
        yield attention(
            "packages",
            f"another distribution also installs a package named {name!r}: {', '.join(distributions)}",
            f"Install restante in an environment of its own, or remove {distributions[0]}.",
        )
    if not others:
        yield ok("packages", "no other distribution installs recorder, simulator or tui")


def _file_system(found: FileSystem) -> Finding:
    name = "file system"
    if found.read_only:
        return attention(
            name,
            f"{found.kind or 'the file system'} is mounted read-only",
            f"Mount {found.mounted_at or 'it'} for writing; after an error of the disk, check that first.",
        )
    if found.kind in _NETWORK:
        return attention(
            name,
            f"{found.kind} is a network file system: SQLite's locks and shared memory do not cross hosts",
            "Stop everything that has the journal open, and move it to a disk of this machine.",
        )
    if found.kind in _IN_MEMORY:
        return attention(
            name,
            f"{found.kind} is lost at a restart, and every entry with it",
            "Stop everything that has the journal open, and move it to a disk.",
        )
    if found.kind == "overlay":
        return notice(
            name, "overlay: a container's own layer is deleted with it", "Keep the journal in a volume."
        )
    if found.kind in _WITHOUT_OWNERS:
        return notice(
            name,
            f"{found.kind} has no owners: anyone who can read the disk can read the journal",
            "Use a file system with owners where others have access to the machine.",
        )
    return ok(name, found.kind or "the system does not say which")


def _shared(path: Path) -> Iterator[Finding]:
    if path.exists() and (found := shared(path)):
        yield attention("file", *found)


def _free_space(free: int | None, folder: Path) -> Finding:
    name = "free space"
    if free is None:
        return notice(
            name, "the system does not say", f"Check the free space on the disk of {folder} yourself."
        )
    text = f"{free / _MB:,.0f} MB"
    if free >= _LITTLE_SPACE:
        return ok(name, text)
    return attention(name, text, f"Free space on the disk of {folder}: recording and shipping need 16 MB.")


def _permissions(path: Path) -> list[Finding]:
    if not hasattr(os, "geteuid"):
        return [ok("permissions", "this system has permissions of another kind")]
    found = list(_folder_permissions(path.parent))
    account = os.geteuid()
    if account == 0 and path.exists():  # root gives new side files to the journal's owner
        account = path.stat().st_uid
    for file in [*(beside(path, suffix) for suffix in PARTS), *_named(path, _DAMAGED)]:
        try:
            found += _file_permissions(file, file.lstat(), account)
        except FileNotFoundError:
            continue
    return found or [ok("permissions", "readable by their owner only")]


def _folder_permissions(folder: Path) -> Iterator[Finding]:
    if not writable(folder):
        yield attention(
            "permissions",
            f"this account cannot write into {folder}, where SQLite keeps the log",
            "Give the folder to the account that records, or run this as that account.",
        )
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        yield attention("permissions", f"anyone can replace the files in {folder}", f"chmod o-w {folder}")


def _file_permissions(file: Path, status: os.stat_result, account: int) -> Iterator[Finding]:
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        yield attention("permissions", f"{file.name} is open to others (mode {mode:o})", f"chmod 600 {file}")
    if status.st_uid != account:
        yield attention(
            "permissions",
            f"{file.name} belongs to account {status.st_uid}, not {account}",
            "Run everything that uses the journal as one account, and give the files to that.",
        )


def _named(path: Path, suffix: str) -> list[Path]:
    """Side files of a journal whose names begin with this suffix."""
    start = path.name + suffix
    if not allowed(path.parent, os.R_OK):
        return []
    return sorted(file for file in path.parent.iterdir() if file.name.startswith(start))


def _processes(pids: tuple[int, ...] | None) -> Finding:
    if pids is None:
        return ok("open", "the system does not say which processes have it open")
    if not pids:
        return ok("open", "no process has it open to record or to ship")
    names = (str(pid) if pid > 0 else "one outside this container" for pid in pids)
    return ok("open", f"open in process {', '.join(names)}")


def _log(path: Path) -> Finding:
    size = file_size(beside(path, "-wal"))
    text = f"{size / _MB:,.1f} MB of write-ahead log"
    if size <= _LARGE_LOG:
        return ok("log", text)
    return attention(
        "log",
        f"{text}: something keeps it from being moved into the journal",
        "End long reads of the journal, such as an open transaction in another tool.",
    )


def _left_behind(path: Path) -> Iterator[Finding]:
    if beside(path, SALVAGING).exists():
        yield attention("salvage", "a salvage was interrupted", "Run `restante salvage` again: it continues.")
    damaged = [file.name for file in _named(path, _DAMAGED) if not file.name.endswith(("-wal", "-shm"))]
    if damaged:
        yield notice(
            "salvage",
            f"damaged files are still kept: {', '.join(damaged)}",
            "Delete them, with their -wal and -shm, when they are no longer needed.",
        )
    if reserve := file_size(beside(path, ".ballast")):
        yield ok("reserve file", f"{reserve / _MB:,.1f} MB for a full disk")
