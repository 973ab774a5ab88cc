"""`diagnose`: is a journal well, and is the place it is in? Each finding says what to do.

It looks only. The file is opened through SQLite alone, in a way that leaves nothing beside it: where there is no log,
nobody has the journal open, and it is read as a file that does not change; where that turns out wrong, it is
read once more, with locks.
"""

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from os import PathLike
from pathlib import Path

from recorder.journal.copies import home_of, known_home, move
from recorder.journal.environment import (
    FileSystem,
    file_system,
    free_bytes,
    holders,
    other_owners,
    writable,
)
from recorder.journal.erase import remnants
from recorder.journal.locks import beside
from recorder.journal.opening import BUSY_SECONDS, primary_code, resolved
from recorder.journal.schema import APPLICATION_ID, SCHEMA_VERSION
from recorder.maintenance.audit import recount
from recorder.model.errors import JournalMissing, NotAJournal

__all__ = ["Finding", "Severity", "diagnose"]

Progress = Callable[[str], None]

_NETWORK = frozenset(
    {
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
    }
    | {"ocfs2", "smb3", "smbfs", "vboxsf", "virtiofs"}
    | {"fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"}
)
_IN_MEMORY = frozenset({"ramfs", "tmpfs"})
_WITHOUT_OWNERS = frozenset({"exfat", "msdos", "vfat"})

_MB = 1_000_000
_LITTLE_ROOM = 16 * _MB  # a log of 8 MB, and as much again to move it into the file
_LARGE_LOG = 16 * _MB  # twice what a commit leaves behind: see recorder.journal.connection
_BEFORE_US = 1_577_836_800.0  # 2020-01-01: no device recorded anything with this before
_SKEW = 60.0  # seconds

_RESET_BUG = ((3, 7, 0), (3, 51, 2))

_VERSIONS = ("PRAGMA application_id", "PRAGMA user_version")
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY rootpage"
_NEWEST = "SELECT recorded_at FROM entries ORDER BY seq DESC LIMIT 1"
_SHIPPER = "SELECT pid, running, moved_at FROM shipper"
_SNAPSHOT_AT = "SELECT snapshot_at FROM project"

_SALVAGE = "End what has it open, and run `restante salvage`."


class Severity(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    """It is as it should be."""
    NOTICE = "notice"
    """Good to know."""
    ATTENTION = "attention"
    """Something is wrong, or will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What was looked at, such as ``file system``; one name may come several times.
        severity: How much it matters.
        text: What was found.
        advice: What to do; empty where there is nothing to do.
    """

    name: str
    severity: Severity
    text: str
    advice: str = ""


def diagnose(
    path: str | PathLike[str],
    *,
    deep: bool = False,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.time,
) -> list[Finding]:
    """Look at a journal and the place it is in.

    Args:
        path: The journal's file.
        deep: Check every page and every row's place in the indexes, which may take minutes.
        progress: Called with what is looked at next.
        clock: Seconds since the epoch.

    Raises:
        JournalMissing: There is no journal at that path.
        NotAJournal: The file is something else.

    >>> import pathlib, tempfile
    >>> from recorder import Recorder
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
    >>> with Recorder("PROJECT", path) as recorder:
    ...     recorder.people_set("ada", {"plan": "pro"})
    >>> [finding.text for finding in diagnose(path) if finding.name == "accounts"]
    ['1 entry: every account agrees']
    """
    place = resolved(path)
    if not place.exists():
        if not _size(beside(place, "-wal")) and not _marked(place):
            raise JournalMissing(f"there is no journal at {place}")
    elif not place.is_file():
        raise NotAJournal(f"{place} is not a file")
    tell = progress or (lambda _: None)
    tell("the surroundings")
    now = clock()
    return [
        _sqlite(sqlite3.sqlite_version_info[:3]),
        *_names(other_owners(("recorder", "simulator", "tui"))),
        _file_system(file_system(place.parent)),
        _room(free_bytes(place.parent), place.parent),
        *_permissions(place),
        _open_in(holders(beside(place, ".open"))),
        _log(place),
        *_left_behind(place),
        *_inside(place, now, deep=deep, tell=tell),
    ]


# --- the surroundings


def _sqlite(version: tuple[int, ...]) -> Finding:
    told = "SQLite " + ".".join(map(str, version))
    first, last = _RESET_BUG
    if not first <= version <= last:
        return Finding(name="SQLite", severity=Severity.OK, text=told)
    return Finding(
        name="SQLite",
        severity=Severity.NOTICE,
        text=(
            f"{told} has the WAL-reset bug (3.7.0 to 3.51.2): a checkpoint that runs while another connection writes "
            "can damage a journal. restante's own do not: none is automatic, and each holds the write lock"
        ),
        advice=(
            "Write into the journal with restante only; other tools checkpoint by themselves. Use a Python with SQLite "
            "3.51.3 or newer, or one whose distributor has mended it, when you can."
        ),
    )


def _names(others: dict[str, list[str]]) -> Iterator[Finding]:
    for name, distributions in others.items():
        yield Finding(
            name="packages",
            severity=Severity.ATTENTION,
            text=f"another distribution installs a package named {name!r}, too: {', '.join(distributions)}",
            advice=f"Install restante in an environment of its own, or remove {distributions[0]}.",
        )
    if not others:
        yield Finding(
            name="packages", severity=Severity.OK, text="nobody else installs recorder, simulator or tui"
        )


def _file_system(found: FileSystem) -> Finding:
    def finding(severity: Severity, text: str, advice: str = "") -> Finding:
        return Finding(name="file system", severity=severity, text=text, advice=advice)

    if found.read_only:
        return finding(
            Severity.ATTENTION,
            f"{found.kind or 'the file system'} is mounted read-only",
            f"Mount {found.mounted_at or 'it'} for writing; after an error of the disk, check that first.",
        )
    if found.kind in _NETWORK:
        return finding(
            Severity.ATTENTION,
            f"{found.kind} is a network file system: SQLite's locks and shared memory do not cross hosts",
            "Move the journal to a disk of this machine, with everything that has it open ended.",
        )
    if found.kind in _IN_MEMORY:
        return finding(
            Severity.ATTENTION,
            f"{found.kind} is gone after a restart, and every entry with it",
            "Move the journal to a disk, with everything that has it open ended.",
        )
    if found.kind == "overlay":
        return finding(
            Severity.NOTICE,
            "overlay: a container's own layer goes when the container goes",
            "Keep the journal in a volume.",
        )
    if found.kind in _WITHOUT_OWNERS:
        return finding(
            Severity.NOTICE,
            f"{found.kind} knows no owners: whoever may read the disk may read the journal",
            "Use a file system with owners where others have access to the machine.",
        )
    return finding(Severity.OK, found.kind or "the system does not say which")


def _room(free: int | None, folder: Path) -> Finding:
    if free is None:
        return Finding(
            name="free space", severity=Severity.NOTICE, text="the system does not say", advice="Look."
        )
    enough = free >= _LITTLE_ROOM
    return Finding(
        name="free space",
        severity=Severity.OK if enough else Severity.ATTENTION,
        text=f"{free / _MB:,.0f} MB",
        advice=""
        if enough
        else f"Make room on the disk of {folder}: recording and shipping need some 16 MB.",
    )


def _permissions(path: Path) -> Iterator[Finding]:
    if not hasattr(os, "geteuid"):
        yield Finding(name="permissions", severity=Severity.OK, text="this system has others")
        return
    found = list(_folder_permissions(path.parent))
    for file in [path, *_side_files(path)]:
        try:
            status = file.lstat()
        except FileNotFoundError:
            continue
        found += _file_permissions(file, status)
    yield from found or [
        Finding(name="permissions", severity=Severity.OK, text="readable by their owner only")
    ]


def _folder_permissions(folder: Path) -> Iterator[Finding]:
    if not writable(folder):
        yield Finding(
            name="permissions",
            severity=Severity.ATTENTION,
            text=f"this account cannot write into {folder}, where SQLite keeps the log",
            advice="Give the folder to the account that records, or run this as that account.",
        )
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        yield Finding(
            name="permissions",
            severity=Severity.ATTENTION,
            text=f"everybody may replace the files in {folder}",
            advice=f"chmod o-w {folder}",
        )


def _file_permissions(file: Path, status: os.stat_result) -> Iterator[Finding]:
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        yield Finding(
            name="permissions",
            severity=Severity.ATTENTION,
            text=f"{file.name} is open to others (mode {mode:o})",
            advice=f"chmod 600 {file}",
        )
    if status.st_uid != os.geteuid():
        yield Finding(
            name="permissions",
            severity=Severity.ATTENTION,
            text=f"{file.name} belongs to account {status.st_uid}, and this is {os.geteuid()}",
            advice="Run everything that uses the journal as one account, and give the files to that.",
        )


def _side_files(path: Path) -> list[Path]:
    named = [beside(path, suffix) for suffix in ("-wal", "-shm", ".open", ".lock", ".ballast")]
    return named + _beginning(path, ".spool-") + _beginning(path, ".damaged-")


def _beginning(path: Path, suffix: str) -> list[Path]:
    """The files beside a journal whose names go on so."""
    start = path.name + suffix
    return sorted(file for file in path.parent.iterdir() if file.name.startswith(start))


def _open_in(pids: tuple[int, ...] | None) -> Finding:
    if pids is None:
        text = "the system does not say which processes have it open"
    elif pids:
        names = (str(pid) if pid > 0 else "one outside this container" for pid in pids)
        text = f"open in process {', '.join(names)}"
    else:
        text = "no process has it open to record or to ship"
    return Finding(name="open", severity=Severity.OK, text=text)


def _log(path: Path) -> Finding:
    size = _size(beside(path, "-wal"))
    if size <= _LARGE_LOG:
        return Finding(name="log", severity=Severity.OK, text=f"{size / _MB:,.1f} MB of write-ahead log")
    return Finding(
        name="log",
        severity=Severity.ATTENTION,
        text=f"{size / _MB:,.1f} MB of write-ahead log: something keeps it from being moved into the file",
        advice="End what reads the journal for long, such as an open transaction in another tool.",
    )


def _left_behind(path: Path) -> Iterator[Finding]:
    if _marked(path):
        yield Finding(
            name="salvage",
            severity=Severity.ATTENTION,
            text="a salvage was begun and not ended",
            advice="Run `restante salvage` again: it goes on.",
        )
    damaged = [
        file.name for file in _beginning(path, ".damaged-") if not file.name.endswith(("-wal", "-shm"))
    ]
    if damaged:
        yield Finding(
            name="salvage",
            severity=Severity.NOTICE,
            text=f"what was damaged is still kept: {', '.join(damaged)}",
            advice="Delete it, with its -wal and -shm, when nobody needs it any more.",
        )
    spools = [file for file in _beginning(path, ".spool-") if file.suffix not in {".lock", ".part"}]
    if spools:
        yield Finding(
            name="spools",
            severity=Severity.ATTENTION,
            text=f"a `restante record` is under way, or was killed: {len(spools)} left",
            advice="If none is running, finish it with `restante record --resume`.",
        )
    if ballast := _size(beside(path, ".ballast")):
        yield Finding(name="ballast", severity=Severity.OK, text=f"{ballast / _MB:,.1f} MB for a full disk")


def _marked(path: Path) -> bool:
    return beside(path, ".salvaging").exists()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


# --- the journal, through SQLite


def _inside(path: Path, now: float, *, deep: bool, tell: Progress) -> list[Finding]:
    log = beside(path, "-wal")
    if not _size(path):  # SQLite would delete the log of an empty file
        if _size(log):
            return [_damaged("its log is there, and the file is gone or empty")]
        return [] if _marked(path) else [_empty()]
    if not log.exists():
        before = _stamp(path)
        findings = _read(path, "immutable=1", now, deep=deep, tell=tell)
        if _stamp(path) == before and not log.exists():
            return findings
    return _read(path, "cache=private", now, deep=deep, tell=tell)  # others are at it: with locks


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read(path: Path, how: str, now: float, *, deep: bool, tell: Progress) -> list[Finding]:
    try:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=ro&{how}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
    except sqlite3.Error as error:
        return [_unreadable(error)]
    with closing(connection):
        try:
            application, version = (connection.execute(sql).fetchone()[0] for sql in _VERSIONS)
        except sqlite3.Error as error:
            if primary_code(error) == sqlite3.SQLITE_NOTADB and not beside(path, ".open").exists():
                raise NotAJournal(f"{path} is not a journal: {error}") from None
            return [_unreadable(error)]
        if application != APPLICATION_ID:
            if path.stat().st_size:
                raise NotAJournal(f"{path} is a database of something else")
            return [_empty()]
        findings = list(_schema(version))
        if version == SCHEMA_VERSION:
            findings += [
                finding
                for look in (_clock, _copies, _shipper, _remnants, _accounts)
                for finding in _looked(look, connection, path, now, tell)
            ]
        return findings + _pages(connection, deep=deep, tell=tell)


def _looked(
    look: Callable[..., Iterator[Finding]],
    connection: sqlite3.Connection,
    path: Path,
    now: float,
    tell: Progress,
) -> list[Finding]:
    tell(look.__name__.removeprefix("_"))
    try:
        return list(look(connection, path, now))
    except sqlite3.Error as error:
        return [_unreadable(error)]


def _unreadable(error: sqlite3.Error) -> Finding:
    match primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Finding(
                name="journal",
                severity=Severity.ATTENTION,
                text=f"another process holds it for longer than {BUSY_SECONDS:.0f} s",
                advice="Look for a process that stopped while it held the journal.",
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_READONLY:
            return Finding(
                name="journal",
                severity=Severity.ATTENTION,
                text=f"it cannot be opened ({error})",
                advice="Run this as the account that the journal belongs to.",
            )
    return _damaged(f"SQLite cannot read it ({error})")


def _damaged(text: str) -> Finding:
    return Finding(name="journal", severity=Severity.ATTENTION, text=text, advice=_SALVAGE)


def _empty() -> Finding:
    return Finding(
        name="journal",
        severity=Severity.NOTICE,
        text="it is empty: nothing was recorded into it yet",
        advice="Record into it; if something was, put back a copy before.",
    )


def _schema(version: int) -> Iterator[Finding]:
    if version > SCHEMA_VERSION:
        yield Finding(
            name="schema",
            severity=Severity.ATTENTION,
            text=f"it was written by a newer restante (schema {version}; this one knows {SCHEMA_VERSION})",
            advice="Upgrade restante on this machine.",
        )
    elif version < SCHEMA_VERSION:
        yield Finding(
            name="schema",
            severity=Severity.NOTICE,
            text=f"it was written by an older restante (schema {version}; this one writes {SCHEMA_VERSION})",
            advice="Nothing: recording, or `restante ship`, brings it up to date.",
        )
    else:
        yield Finding(name="schema", severity=Severity.OK, text=f"schema {version}")


def _clock(connection: sqlite3.Connection, _: Path, now: float) -> Iterator[Finding]:
    (newest,) = connection.execute(_NEWEST).fetchone() or (None,)
    if now < _BEFORE_US:
        text = f"it says {time.strftime('%Y-%m-%d', time.gmtime(now))}, as one without a battery does"
    elif newest is not None and newest > now + _SKEW:
        text = f"it was set back: the newest entry was recorded {newest - now:,.0f} s from now"
    else:
        yield Finding(
            name="clock", severity=Severity.OK, text=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
        )
        return
    yield Finding(
        name="clock",
        severity=Severity.ATTENTION,
        text=text,
        advice="Set it (with NTP where there is a network). Order and waits do not depend on it; the times "
        "of entries and charges do.",
    )


def _copies(connection: sqlite3.Connection, path: Path, _: float) -> Iterator[Finding]:
    (snapshot_at,) = connection.execute(_SNAPSHOT_AT).fetchone() or (None,)
    if snapshot_at is not None:
        yield Finding(
            name="copy",
            severity=Severity.NOTICE,
            text=f"a snapshot of {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(snapshot_at))}, for looking only",
            advice="Record and ship with the journal itself; where that is gone for good, `restante salvage` this.",
        )
        return
    identity, before = known_home(connection)
    moved = move(before, home_of(path, identity))
    (_, _, moved_at) = connection.execute(_SHIPPER).fetchone()
    if moved is not None:
        yield Finding(
            name="copy",
            severity=Severity.ATTENTION,
            text=f"this may be a copy of another journal: {moved}",
            advice="If both ship, what is in both arrives twice: stop one of them. If it was moved, ship it once.",
        )
    elif moved_at is not None:
        yield Finding(
            name="copy",
            severity=Severity.NOTICE,
            text=f"it came from another place ({time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(moved_at))})",
            advice="If it was copied rather than moved, see that only one of the two ships.",
        )
    else:
        yield Finding(name="copy", severity=Severity.OK, text="nothing speaks for a copy")


def _shipper(connection: sqlite3.Connection, path: Path, _: float) -> Iterator[Finding]:
    pid, running, _ = connection.execute(_SHIPPER).fetchone()
    at_it = holders(beside(path, ".lock"))
    if at_it or (at_it is None and running):
        yield Finding(name="shipper", severity=Severity.OK, text=f"process {pid} ships it")
    elif running:
        yield Finding(
            name="shipper",
            severity=Severity.NOTICE,
            text=f"process {pid} shipped it, and ended without saying so",
            advice="Nothing: the next shipper settles what it left open.",
        )
    else:
        yield Finding(
            name="shipper",
            severity=Severity.NOTICE,
            text="no process ships it now",
            advice="Ship with `restante ship`, or `restante ship --watch` as a service, unless the app does.",
        )


def _remnants(connection: sqlite3.Connection, _: Path, __: float) -> Iterator[Finding]:
    if remnants(connection):
        yield Finding(
            name="forgotten",
            severity=Severity.ATTENTION,
            text="what was forgotten may still stand in free room of the file, or in its log",
            advice="Run `restante forget` with the same id again: it finishes, and clears them of all remnants.",
        )


def _accounts(connection: sqlite3.Connection, _: Path, __: float) -> Iterator[Finding]:
    connection.execute("BEGIN")
    try:
        audited = recount(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    for disagreement in audited.disagreements:
        yield Finding(name="accounts", severity=Severity.ATTENTION, text=str(disagreement), advice=_SALVAGE)
    if audited.agrees:
        entries = f"{audited.entries:,} {'entry' if audited.entries == 1 else 'entries'}"
        yield Finding(name="accounts", severity=Severity.OK, text=f"{entries}: every account agrees")


def _pages(connection: sqlite3.Connection, *, deep: bool, tell: Progress) -> list[Finding]:
    try:
        wrong = []
        if deep:
            tables = [name for (name,) in connection.execute(_TABLES).fetchall()]
            for place, name in enumerate(tables, 1):
                tell(f"table {name}, {place} of {len(tables)}")
                wrong += connection.execute(f"PRAGMA integrity_check({_quoted(name)})").fetchall()
        tell("all pages")
        wrong += connection.execute("PRAGMA quick_check").fetchall()
    except sqlite3.Error as error:
        return [_unreadable(error)]
    said = sorted({line for (text,) in wrong if text != "ok" for line in text.splitlines()} - {""})
    if said:
        more = f" (and {len(said) - 1:,} more)" if len(said) > 1 else ""
        return [
            Finding(name="pages", severity=Severity.ATTENTION, text=f"{said[0]}{more}", advice=_SALVAGE),
        ]
    how = "every page and row checked" if deep else "checked quickly; --deep looks at every row"
    return [Finding(name="pages", severity=Severity.OK, text=how)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
