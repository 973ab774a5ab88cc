"""`snapshot`: a read-only copy of a journal, made while others record and ship."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path

from recorder.journal.locks import beside
from recorder.journal.opening import connect_reader, primary_code, resolved, sync_folder, translated
from recorder.journal.uptime import now
from recorder.maintenance import statements as sql
from recorder.model.errors import JournalError, JournalFull

__all__ = ["new_file", "snapshot"]

_OWNER_ONLY = 0o600


def snapshot(
    path: str | PathLike[str], target: str | PathLike[str], *, clock: Callable[[], float] = now
) -> Path:
    """Copy a journal as it stands at one moment, while others record and ship.

    The copy is marked: it can be read, and nothing is recorded into it or shipped from it. It is readable by its
    owner only. If it is killed, an empty file and one that ends in ``.part`` stay behind.

    Args:
        path: The journal's file.
        target: The copy's file; nothing may be there.
        clock: Seconds since the epoch, for the mark.

    Returns:
        The copy's file.

    Raises:
        JournalMissing, NotAJournal, JournalTooNew, JournalDamaged: There is nothing to copy.
        JournalFull: There is no space for the copy.
        JournalError: Something is at `target`, or it cannot be written.

    >>> import pathlib, tempfile
    >>> from restante import JournalReader, Recorder
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with Recorder("PROJECT", folder / "kiosk.db") as recorder:
    ...     recorder.people_set("ada", {"plan": "pro"})
    >>> with JournalReader(snapshot(folder / "kiosk.db", folder / "copy.db")) as reader:
    ...     reader.counts().pending
    1
    """
    source, copy = resolved(path), resolved(target)
    with closing(_source(source)) as connection, new_file(copy) as part:
        _copy(connection, source, part)
        _mark(part, clock())
    return copy


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield an empty file for its owner only, to make a database in; at the end it gets its name, whole.

    Its name ends in ``.part``. After an exception nothing is left. Killed in the middle, an empty file and the other
    stay behind.

    Raises:
        JournalError: Something is at `path`, or it cannot be written.
    """
    part = beside(path, ".part")
    _reserve(path)
    try:
        part.unlink(missing_ok=True)
        _reserve(part)
        yield part
        part.replace(path)
    except BaseException:
        for file in (part, beside(part, "-journal"), path):
            file.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _source(path: Path) -> sqlite3.Connection:
    try:
        connection = connect_reader(path)
        connection.execute("PRAGMA query_only = OFF")  # it forbids writing the copy; the source is mode=ro
    except sqlite3.Error as error:
        raise translated(error, path) from error
    return connection


def _reserve(file: Path) -> None:
    """Make an empty file, for its owner only."""
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
    except FileExistsError:
        raise JournalError(
            f"{file} exists already", hint="Give the name of a file that does not exist yet."
        ) from None
    except OSError as error:
        raise JournalError(
            f"{file} cannot be created: {error.strerror}", hint="Its folder must exist and be writable."
        ) from error


def _copy(connection: sqlite3.Connection, source: Path, part: Path) -> None:
    try:
        connection.execute(sql.COPY, (str(part),))
    except sqlite3.Error as error:
        if primary_code(error) == sqlite3.SQLITE_FULL:
            raise JournalFull(
                f"the disk of {part.parent} is full; no copy was made",
                hint="Free space there, or copy elsewhere.",
            ) from error
        raise translated(error, source) from error


def _mark(part: Path, now: float) -> None:
    """Mark the file as a copy, durably, before it gets its name."""
    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(sql.MARK_SNAPSHOT, (now,))
    except sqlite3.Error as error:
        raise translated(error, part) from error
