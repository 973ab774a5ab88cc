"""Opening a journal: safe creation, migration, refusing what is foreign, and how a connection is set up."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from recorder.journal.locks import OpenLock, beside
from recorder.journal.schema import APPLICATION_ID, SCHEMA_VERSION, migrate
from recorder.model.errors import (
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalFull,
    JournalMissing,
    JournalSnapshot,
    JournalTooNew,
    NotAJournal,
    RestanteError,
)

__all__ = [
    "BUSY_SECONDS",
    "PAGE_SIZE",
    "SALVAGING",
    "connect_reader",
    "making_sense",
    "new_journal",
    "open_journal",
    "primary_code",
    "resolved",
    "set_up",
    "sync_folder",
    "translated",
]

BUSY_SECONDS = 60.0

PAGE_SIZE = 2_048
"""Of a new journal, in bytes; one that was made with another keeps it.

A commit writes whole pages, and half of SQLite's usual 4,096 is what wears flash out least: an entry that is committed
alone writes a quarter less of it, at process durability less than 60 %, and neither batches nor the file grow, as
they do with smaller ones. See docs/performance.md.
"""

SALVAGING = ".salvaging"
"""Beside a journal while a damaged one is being exchanged for what could be salvaged of it."""

_WAIT_FOR_CREATOR = 0.1

_SNAPSHOT_AT = "SELECT snapshot_at FROM project"


def resolved(path: str | PathLike[str]) -> Path:
    """The journal's own place: side files and locks are beside it, through whichever link it is reached.

    Raises:
        JournalError: It is no path.
    """
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise JournalError(f"{path!s} is no path of a journal: {error}") from error


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for the driver's own errors."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def translated(error: sqlite3.Error, path: Path) -> JournalError:
    """SQLite's error as one of ours, by its primary result code."""
    match primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return JournalBusy(f"{path.name}: another process held it for {BUSY_SECONDS:.0f} s")
        case sqlite3.SQLITE_FULL:
            return JournalFull(f"{path.name}: the disk is full; nothing was recorded by this call")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return JournalDamaged(f"{path.name}: SQLite cannot read it ({error})")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            return JournalError(
                f"{path.name} cannot be opened or written ({error})",
                hint="Its file and its folder must be readable and writable by this account.",
            )
    if primary_code(error) == 0 and "decode" in str(error):  # Python's own: bytes that are no text
        return JournalDamaged(f"{path.name}: what is written in it makes no sense ({error})")
    return JournalError(
        f"{path.name}: {error}", hint="`restante doctor` looks at the journal, and where it is."
    )


@contextlib.contextmanager
def making_sense(path: Path) -> Iterator[None]:
    """What SQLite could read may be damaged all the same: a state or a message that is none.

    Raises:
        JournalDamaged: In place of what trips over it in the block.
    """
    try:
        yield
    except RestanteError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise JournalDamaged(f"{path.name}: what is written in it makes no sense ({error})") from error


def open_journal(path: Path, held: OpenLock, *, synchronous: str) -> sqlite3.Connection:
    """A connection to the journal, which is created or migrated where it must be.

    Args:
        path: The journal's file.
        held: This process's hold on it; taken where it is not held yet.
        synchronous: ``FULL`` or ``NORMAL``.

    Raises:
        NotAJournal, JournalTooNew, JournalDamaged, JournalBusy, JournalError: It cannot be used; a foreign or
            newer file is not touched.
    """
    if not path.parent.is_dir():
        raise JournalError(f"the folder {path.parent} does not exist", hint="Make it, or give another path.")
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        _refuse_foreign(path)
        if not held.held:
            held.share()
        try:
            connection = _ready(path, synchronous)
        except BaseException:
            held.release()
            raise
        if connection is not None:
            return connection
        held.release()
        try:
            with held.alone(_WAIT_FOR_CREATOR):
                _create_or_migrate(path)
        except JournalBusy:  # others are at it, and one of them creates it
            if time.monotonic() > deadline:
                raise


def _size(path: Path) -> int | None:
    """The size of a regular file, None where there is nothing."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # a name too long, a NUL in it, a folder that may not be entered
        raise JournalError(f"{path!s} cannot be looked at: {error}") from error
    if not path.is_file():
        raise NotAJournal(f"{path} is not a file")
    return status.st_size


def _refuse_foreign(path: Path) -> None:
    # Through SQLite, never by reading the file: closing any other descriptor of a database that this process
    # has open cancels SQLite's POSIX locks. `immutable` neither locks nor makes side files, so a stranger's
    # database is not touched; but it does not see the log either, and in the middle of a checkpoint the file
    # alone may look damaged. Only what is no database at all, or another's, is refused here: the rest is for
    # the connection that sees the log.
    if not _size(path):
        return
    try:
        found = _header(path, "immutable=1")
    except sqlite3.DatabaseError as error:
        if primary_code(error) == sqlite3.SQLITE_NOTADB and not _size(beside(path, "-wal")):
            raise NotAJournal(f"{path} is not a journal: {error}", hint=_perhaps(path)) from None
        return
    _check_owner(path, found)


def _perhaps(path: Path) -> str | None:
    """What to do about a file that is no database, where a journal's side file says that it was one."""
    if beside(path, ".open").exists():
        return "If this was a journal, it is damaged: `restante salvage` carries over what can still be read."
    return None


def _header(path: Path, mode: str) -> tuple[int, int]:
    """The application id and the schema's version of a database, through a connection that only reads."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&{mode}", uri=True, timeout=BUSY_SECONDS)
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    finally:
        connection.close()
    return int(application), int(version)


def _check_owner(path: Path, header: tuple[int, int]) -> None:
    if header[0] != APPLICATION_ID:
        raise NotAJournal(f"{path} is a database of something else")


def _ready(path: Path, synchronous: str) -> sqlite3.Connection | None:
    """A connection to a journal of our version; None where it is still to be created or migrated."""
    _refuse_remains(path)
    if not _size(path):
        return None
    if _version(path) < SCHEMA_VERSION:
        return None
    try:
        connection = _connect(path)
        try:
            _refuse_snapshot(connection, path)
            set_up(connection, synchronous)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise translated(error, path) from error
    return connection


def _refuse_remains(path: Path) -> None:
    """Refuse what would be taken for a journal that is not there yet, and is one that is damaged.

    A new file beside an old log would be read through that log, and ruined by it.
    """
    size = _size(path)  # first: it says what is no path
    if beside(path, SALVAGING).exists():
        raise JournalDamaged(
            f"{path}: a salvage was begun and not ended", hint="Run `restante salvage` again: it goes on."
        )
    if not size and _size(beside(path, "-wal")):
        raise JournalDamaged(f"{path}: its log is there, and the file is gone or empty")


def _refuse_snapshot(connection: sqlite3.Connection, path: Path) -> None:
    (snapshot_at,) = connection.execute(_SNAPSHOT_AT).fetchone() or (None,)
    if snapshot_at is not None:
        day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(snapshot_at))
        raise JournalSnapshot(f"{path} is a snapshot of a journal, made {day} UTC")


def _version(path: Path) -> int:
    """The schema's version.

    Raises:
        NotAJournal, JournalTooNew, JournalDamaged, JournalError: It is none of ours, or cannot be read.
    """
    # Read-only, so that closing does not checkpoint into a file that may be newer than we are.
    try:
        header = _header(path, "cache=private")
    except sqlite3.Error as error:
        raise translated(error, path) from error
    _check_owner(path, header)
    version = header[1]
    if version > SCHEMA_VERSION:
        raise JournalTooNew(
            f"{path} was written by a newer restante (schema {version}; this one knows {SCHEMA_VERSION})"
        )
    return version


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,  # BEGIN IMMEDIATE and COMMIT are ours to say
        check_same_thread=False,  # one connection, used under a lock
    )


def set_up(connection: sqlite3.Connection, synchronous: str) -> None:
    """What every writing connection needs; nothing of it is kept in the file."""
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the disk there
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA secure_delete = ON")
    # Checkpoints are ours, outside transactions: SQLite before 3.51.3 can corrupt a journal when one
    # connection checkpoints, as it would by itself, while another writes.
    connection.execute("PRAGMA wal_autocheckpoint = 0")


def _create_or_migrate(path: Path) -> None:
    """Under the exclusive lock; a kill at any moment leaves what was there before, or a whole journal."""
    _refuse_remains(path)
    if _size(path):
        _migrate(path)
        return
    draft = beside(path, ".draft")
    new_journal(draft)
    draft.replace(path)
    sync_folder(path.parent)


def new_journal(draft: Path) -> None:
    """A new, empty journal, in place of what was left of one by a process that died.

    Raises:
        JournalError: It cannot be written.
    """
    for suffix in ("", "-wal", "-shm", "-journal"):
        beside(draft, suffix).unlink(missing_ok=True)  # of a process that died while it made one
    try:
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise JournalError(
            f"{draft} cannot be created: {error.strerror}",
            hint="Its folder must be writable by this account.",
        ) from error
    _migrate(draft)


def _migrate(path: Path) -> None:
    try:
        connection = _connect(path)
    except sqlite3.Error as error:
        raise translated(error, path) from error
    try:
        # Before the first page is written: neither can be chosen later.
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode = WAL")
        set_up(connection, "FULL")
        migrate(connection)
    except sqlite3.Error as error:
        raise translated(error, path) from error
    finally:
        connection.close()


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power loss, where the system can say so."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # Windows opens no folders, and needs none of this
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads.

    Raises:
        JournalMissing, NotAJournal, JournalTooNew, JournalDamaged: There is nothing to read.
    """
    _refuse_remains(path)
    if _size(path) is None:
        raise JournalMissing(f"there is no journal at {path}")
    _refuse_foreign(path)
    version = _version(path) if _size(path) else 0
    if version == 0:
        raise JournalMissing(f"{path} is empty: nothing was recorded into it yet")
    if version < SCHEMA_VERSION:
        raise JournalError(
            f"{path} was written by an older restante (schema {version}; this one reads {SCHEMA_VERSION})",
            hint="Recording, or `restante ship`, brings it up to date.",
        )
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA query_only = ON")
    return connection
