"""Opening a journal: creating it safely, refusing foreign files, and setting up connections."""

import contextlib
import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from recorder.journal import project
from recorder.journal.environment import writable
from recorder.journal.files import foreign, obstacle, private_file, shared, unfinished
from recorder.journal.locks import OpenLock, beside
from recorder.journal.schema import APPLICATION_ID, OLDEST_SQLITE, SCHEMA_VERSION, create_schema
from recorder.model.errors import (
    JournalBusy,
    JournalClosed,
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
    "LOG_BYTES",
    "PAGE_SIZE",
    "SALVAGING",
    "SENSELESS",
    "connect_reader",
    "making_sense",
    "never_written",
    "new_journal",
    "onward",
    "open_journal",
    "primary_code",
    "refuse_old_sqlite",
    "resolved",
    "set_up",
    "sync_folder",
    "translated",
]

BUSY_SECONDS = 60.0

PAGE_SIZE = 2_048
"""Bytes in a page of a new journal.

A commit writes whole pages. Half of SQLite's usual 4,096 wears flash out least: an entry committed alone writes a
quarter less, at process durability less than 60 %. Smaller pages make batches and the file grow. See
docs/performance-details.md.
"""

LOG_BYTES = 2 * 1024 * 1024
"""Size at which the write-ahead log is checkpointed; it stays that large, and is written over in place."""

SALVAGING = ".salvaging"
"""Suffix of the side file that exists while salvage exchanges a damaged journal for a new one."""

SENSELESS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""Errors that Python raises for a value that its column cannot have."""

_WAIT_FOR_CREATOR = 0.1
_WRITE_AT_ONCE = 65_536  # bytes, the largest page
_LONGEST_SUFFIX = len(".damaged-20260101T000000Z-10-wal")
_LONGEST_NAME = 255 - _LONGEST_SUFFIX  # bytes: nearly every file system takes 255
_LONGEST_PATH = 511 - _LONGEST_SUFFIX  # bytes: SQLite takes 511
# Values, not SQL, cause these: text that is not UTF-8 or JSON, sums beyond 64 bits, a row that is there twice.
_CAUSED_BY_VALUES = ("decode", "malformed JSON", "overflow", "mismatch", "constraint failed", "no such")


def resolved(path: str | PathLike[str]) -> Path:
    """Return the journal's real path: its side files and locks live there, whichever link leads to it.

    Raises:
        JournalError: It is no path, or too long for the names of side files.
    """
    name = os.fspath(path)
    if name in {"", ":memory:"} or str(name).startswith(("file:", "sqlite:")):
        raise JournalError(
            f"{name!r} is not the path of a file",
            hint="A journal is a file. For profiles in memory, as in tests, use restante.Simulator.",
        )
    try:
        place = Path(path).resolve()
        sizes = (len(place.name.encode()), len(str(place).encode()))
    except UnicodeEncodeError:
        raise JournalError(
            f"{name!a} cannot be the path of a journal: it is not UTF-8",
            hint="Rename the file, or its folder.",
        ) from None
    except (OSError, RuntimeError, ValueError) as error:
        raise JournalError(f"{path!s} cannot be the path of a journal: {error}") from error
    if not place.name:
        raise JournalError(f"{path!s} cannot be the path of a journal: it is a folder")
    for what, size, most in zip(("name", "path"), sizes, (_LONGEST_NAME, _LONGEST_PATH), strict=True):
        if size > most:
            raise JournalError(
                f"{path!s} cannot be the path of a journal: its {what} has {size} bytes, and the limit is {most}",
                hint="Give it a shorter one: its side files have longer names.",
            )
    return place


def primary_code(error: Exception) -> int:
    """Return SQLite's primary result code; 0 for other errors, the driver's own among them."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def translated(error: sqlite3.Error, path: Path) -> JournalError:
    """Return the JournalError for an SQLite error, by its primary result code."""
    match primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return JournalBusy(f"{path.name}: another process kept it locked for too long")
        case sqlite3.SQLITE_INTERRUPT:
            return JournalClosed(f"{path.name} was closed while it was read")
        case sqlite3.SQLITE_FULL:
            return JournalFull(f"{path.name}: the disk is full; nothing was written")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return JournalDamaged(f"{path.name}: SQLite cannot read it ({error})")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            cause, advice = obstacle(path) or (
                str(error),
                "Its file and its folder must be readable and writable by this account.",
            )
            return JournalError(f"{path.name} cannot be opened or written: {cause}", hint=advice)
        case sqlite3.SQLITE_IOERR if limit := _at_size_limit(path):
            return JournalFull(
                f"{path.name}: this process may not write files larger than {limit:,} bytes; nothing was recorded",
                hint="Raise its limit on the size of files (ulimit -f, RLIMIT_FSIZE, LimitFSIZE=).",
            )
    if any(word in str(error) for word in _CAUSED_BY_VALUES):
        return JournalDamaged(f"{path.name}: a value in it makes no sense ({error})")
    return JournalError(
        f"{path.name}: {error}", hint="Run `restante doctor`: it examines the journal and its folder."
    )


def _at_size_limit(path: Path) -> int | None:
    """Return this process's limit on the size of files in bytes if the journal has come close to it."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    except ImportError:  # Windows has none
        return None
    if limit == resource.RLIM_INFINITY:
        return None
    largest = max(_size(path) or 0, _size(beside(path, "-wal")) or 0)
    return limit if largest + _WRITE_AT_ONCE > limit else None


@contextlib.contextmanager
def making_sense(path: Path) -> Iterator[None]:
    """Raise a JournalError for what SQLite reports, and for values that make no sense, such as an unknown state.

    Raises:
        JournalError: In place of SQLite's error; see `translated`.
        JournalDamaged: In place of the ValueError, TypeError, … that the block raised.
    """
    try:
        yield
    except (RestanteError, UnicodeEncodeError):  # what a caller gave cannot be encoded
        raise
    except sqlite3.Error as error:
        raise translated(error, path) from error
    except SENSELESS as error:
        raise JournalDamaged(f"{path.name}: a value in it makes no sense ({error})") from error


def onward(before: int, number: int) -> int:
    """Return the number up to which rows were read; in a damaged table they may go in circles.

    Raises:
        JournalDamaged: It is no higher than the one before.
    """
    if number <= before:
        raise JournalDamaged(f"its rows are out of order: {abs(number):,} comes after {abs(before):,}")
    return number


def open_journal(
    path: Path, held: OpenLock, *, synchronous: str, busy_timeout: float = BUSY_SECONDS
) -> sqlite3.Connection:
    """Return a connection to the journal, which is created where nothing is.

    Args:
        path: The journal's file.
        held: This process's lock on it; taken if it is not held yet.
        synchronous: ``FULL`` or ``NORMAL``.
        busy_timeout: Seconds to wait for other processes, here and in each transaction.

    Raises:
        NotAJournal, JournalTooNew, JournalDamaged, JournalBusy, JournalError: It cannot be used; a foreign or
            newer file is not touched.
    """
    refuse_old_sqlite()
    if not path.parent.is_dir():
        raise JournalError(
            f"the folder {path.parent} does not exist", hint="Create it, or give another path."
        )
    deadline = time.monotonic() + busy_timeout
    while True:
        _refuse_foreign(path)
        if not held.held:
            held.share(busy_timeout)
        try:
            connection = _connect_existing(path, synchronous, busy_timeout)
        except BaseException:
            held.release()
            raise
        if connection is not None:
            return connection
        held.release()
        try:
            with held.alone(_WAIT_FOR_CREATOR):
                _create(path)
        except JournalBusy:  # other processes are opening it, too, and one of them creates it
            if time.monotonic() > deadline:
                raise


def refuse_old_sqlite() -> None:
    """Raise JournalError if this SQLite lacks SQL that journals need."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise JournalError(
            f"SQLite {sqlite3.sqlite_version} is too old: restante needs {needed} or newer",
            hint="Use a Python that is built with a newer SQLite. Nothing was touched.",
        )


def _size(path: Path) -> int | None:
    """Return the size of a regular file; None if there is no file."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        cause, advice = obstacle(path) or (error.strerror, "Run this as the account that it belongs to.")
        raise JournalError(f"{path!s} cannot be examined: {cause}", hint=advice) from error
    except (OSError, ValueError) as error:  # a name too long, a NUL in it
        raise JournalError(f"{path!s} cannot be examined: {error}") from error
    if not path.is_file():
        raise NotAJournal(f"{path} is not a file")
    return status.st_size


def _refuse_foreign(path: Path) -> None:
    # Through SQLite, never by reading the file: closing any other descriptor of a database that this process
    # has open cancels SQLite's POSIX locks. `immutable` neither locks nor makes side files, so a foreign
    # database is not touched. But it does not see the log, and in the middle of a checkpoint the file alone may
    # look damaged: only a file that is no database, or a foreign one, is refused here.
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
    """Return a hint for a file that is no database but has the side file of a journal."""
    if beside(path, ".open").exists():
        return "If this was a journal, it is damaged: `restante salvage` recovers what can still be read."
    return None


def _header(path: Path, mode: str, busy_timeout: float = BUSY_SECONDS) -> tuple[int, int]:
    """Return application id and schema version of a database, through a read-only connection."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&{mode}", uri=True, timeout=busy_timeout)
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    finally:
        connection.close()
    return int(application), int(version)


def _check_owner(path: Path, header: tuple[int, int]) -> None:
    if header[0] != APPLICATION_ID:
        raise NotAJournal(f"{path} is a database of another program")


def _connect_existing(path: Path, synchronous: str, busy_timeout: float) -> sqlite3.Connection | None:
    """Return a connection to a journal; None if it is still to be created."""
    _refuse_remains(path)
    if not _size(path):
        return None
    _refuse_shared(path)
    _check_version(path, busy_timeout)
    with making_sense(path):
        connection = _connect(path, busy_timeout)
        try:
            _refuse_snapshot(connection, path)
            set_up(connection, synchronous)
        except BaseException:
            connection.close()
            raise
    return connection


def _refuse_remains(path: Path) -> None:
    """Refuse a damaged journal that looks like one that does not exist yet.

    SQLite would read a new file through the old log, and ruin it.
    """
    size = _size(path)  # first: it says what is no path
    if beside(path, SALVAGING).exists():
        raise JournalDamaged(
            f"{path}: a salvage was interrupted", hint="Run `restante salvage` again: it continues."
        )
    if not size and _size(beside(path, "-wal")):
        raise JournalDamaged(f"{path} is missing or empty, but its log exists")


def _refuse_shared(path: Path) -> None:
    """Refuse a file that others may use under another path: they would have another log, and other locks.

    Raises:
        JournalError: It has a second name, or was mounted without its folder.
    """
    if found := shared(path):
        raise JournalError(f"{path}: {found[0]}", hint=found[1])


def _refuse_snapshot(connection: sqlite3.Connection, path: Path) -> None:
    snapshot_at = project.snapshot_at(connection)
    if snapshot_at is not None:
        day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(snapshot_at))
        raise JournalSnapshot(f"{path} is a snapshot of a journal, made {day} UTC")


def _check_version(path: Path, busy_timeout: float = BUSY_SECONDS, *, mode: str = "cache=private") -> None:
    # Read-only, so that closing does not checkpoint into a file that may be newer than this program.
    try:
        header = _header(path, mode, busy_timeout)
    except sqlite3.Error as error:
        raise translated(error, path) from error
    _check_owner(path, header)
    version = header[1]
    if version > SCHEMA_VERSION:
        raise JournalTooNew(
            f"{path} was written by a newer restante (schema {version}; this one knows {SCHEMA_VERSION})"
        )


def _connect(path: Path, busy_timeout: float = BUSY_SECONDS) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,  # BEGIN IMMEDIATE and COMMIT are ours to say
        check_same_thread=False,  # one connection, used under a lock
    )


def set_up(connection: sqlite3.Connection, synchronous: str) -> None:
    """Apply the settings that every writing connection needs; none of them is stored in the file."""
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the disk there
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA secure_delete = ON")
    # Checkpoints are ours, outside transactions: SQLite before 3.51.3 can corrupt a journal when one
    # connection checkpoints, as it would by itself, while another writes.
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    # A log that outgrew this, because a reader pinned it, is cut back when it is next written over from its start.
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES * 2}")


def _create(path: Path) -> None:
    """Create the journal, under the exclusive lock; a kill at any moment leaves nothing or a whole journal."""
    _refuse_remains(path)
    if not _size(path):
        draft = beside(path, ".draft")
        new_journal(draft)
        draft.replace(path)
        sync_folder(path.parent)


def new_journal(draft: Path) -> None:
    """Make a new, empty journal, in place of an unfinished one that a killed process left.

    Raises:
        JournalError: It cannot be written.
    """
    for suffix in ("", "-wal", "-shm", "-journal"):
        beside(draft, suffix).unlink(missing_ok=True)
    try:
        os.close(private_file(draft, flags=os.O_RDWR | os.O_EXCL))
    except OSError as error:
        cause, advice = obstacle(draft) or (error.strerror, "Its folder must be writable by this account.")
        raise JournalError(f"{draft} cannot be created: {cause}", hint=advice) from error
    try:
        connection = _connect(draft)
        try:
            # Page size and auto_vacuum are fixed by the first page that is written.
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            set_up(connection, "FULL")
            create_schema(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise translated(error, draft) from error


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power loss, where the system supports it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # Windows opens no folders, and needs none of this
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # this file system keeps no folders in memory to flush
            raise
    finally:
        os.close(descriptor)


def never_written(path: Path) -> bool:
    """Return True if the journal is to be read as a file that does not change, for SQLite would have to make a log.

    That is so where this account cannot make one, or where the log would be of another account than the journal's
    and keep that from recording. Without a log nobody has the journal open.
    """
    log = beside(path, "-wal")
    if _size(log) or (log.exists() and beside(path, "-shm").exists()):
        return False
    return foreign(path) or not writable(path.parent)


def connect_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads.

    Raises:
        JournalMissing, NotAJournal, JournalTooNew, JournalDamaged: There is nothing to read.
    """
    refuse_old_sqlite()
    _refuse_remains(path)
    if _size(path) is None:
        raise JournalMissing(f"there is no journal at {path}")
    if not _size(path):
        raise JournalMissing(f"{path} is empty: nothing was recorded into it yet")
    _refuse_foreign(path)
    _refuse_shared(path)
    if refusal := unfinished(path):
        cause, advice = refusal
        raise JournalError(f"{path.name} cannot be read: {cause}", hint=advice)
    mode = "immutable=1" if never_written(path) else "cache=private"
    _check_version(path, mode=mode)
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=ro&{mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA query_only = ON")
    return connection
