"""`salvage`: make a new journal of the rows that a damaged one still has.

The damaged file is kept until a person deletes it. It is read in place; only when the new journal is whole is the
damaged one renamed and the new one put in its place. Meanwhile the side file `<journal>.salvaging` exists: no process
opens the journal then, and a salvage that was killed continues from there.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from recorder.journal import project
from recorder.journal.files import private_file
from recorder.journal.locks import OpenLock, ShipLock, beside
from recorder.journal.opening import (
    SALVAGING,
    new_journal,
    refuse_old_sqlite,
    resolved,
    set_up,
    sync_folder,
    translated,
)
from recorder.journal.schema import APPLICATION_ID, SCHEMA_VERSION
from recorder.journal.uptime import now, uptime
from recorder.maintenance.audit import Disagreement, recount
from recorder.maintenance.doctor import Severity, inspect_journal
from recorder.maintenance.salvage import statements as sql
from recorder.maintenance.salvage.carry import carry_over, settle_accounts
from recorder.maintenance.salvage.gaps import Found, Gaps
from recorder.maintenance.salvage.scan import Remains
from recorder.model.entries import State
from recorder.model.errors import JournalMissing, JournalTooNew, NotAJournal

__all__ = ["Salvaged", "salvage"]

Progress = Callable[[int, int], None]

_DRAFT = ".salvaged"
_ASIDE = ".damaged-"
_PARTS = ("", "-wal", "-shm")
_OF_THE_JOURNAL = frozenset({"journal", "accounts", "pages"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """The result of a salvage, or of a dry run.

    Attributes:
        kept: The damaged file's new place; None if nothing was moved.
        recorded: How many entries are known to have been recorded: the highest number that is left. Entries after it
            are not known, and so not counted.
        lost: How many of them cannot be read.
        perhaps_pruned: How many of the lost ones may have been pruned before: the counters cannot be read.
        states: How many entries are in each state now, pruned ones included.
        pruned: How many of them were pruned before, and are only counted.
        profiles_lost: How many profiles lost the result of their pruned entries; None if it is not known how many,
            or if any. They are partly known from now on.
        limits_lost: Limits that were set and cannot be read: the defaults apply until they are set again.
        token_known: True if the project's token could be read; if not, the next one given is taken.
        disagreements: Accounts that do not add up; empty unless this version has a bug.
    """

    kept: str | None
    recorded: int
    lost: int
    perhaps_pruned: int
    states: dict[str, int]
    pruned: int
    profiles_lost: int | None
    limits_lost: tuple[str, ...]
    token_known: bool
    disagreements: tuple[Disagreement, ...]


def salvage(
    path: str | PathLike[str],
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    clock: Callable[[], float] = now,
) -> Salvaged | None:
    """Make a new journal of a damaged one, or of a snapshot.

    Every entry that can be read is carried over with its number, its state and its marks. Unsent entries are *in
    doubt* afterwards: the damage may hide that they were sent. Entries that cannot be read are counted as lost. Pruned
    entries stay pruned, and their result in profiles is carried over, as far as it can be read. The damaged file is
    kept as ``<journal>.damaged-<time>``, with its log. Killed at any moment, nothing is lost: the next salvage
    continues or begins again.

    Args:
        path: The journal's file.
        dry_run: Only find out what would be carried over. Takes the disk space of a new journal meanwhile.
        progress: Called with how many pages are read, and how many there are.
        clock: Seconds since the epoch.

    Returns:
        The result; None if nothing is damaged, and nothing was done.

    Raises:
        JournalBusy: A process has it open, or ships it.
        JournalMissing, NotAJournal, JournalTooNew: There is nothing to salvage; nothing was touched.
        JournalError: The new journal cannot be written, or SQLite is too old; nothing was moved.

    >>> import pathlib, tempfile
    >>> from restante import Recorder
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
    >>> with Recorder("PROJECT", path) as recorder:
    ...     recorder.people_set("ada", {"plan": "pro"})
    >>> salvage(path) is None
    True
    """
    refuse_old_sqlite()
    place = resolved(path)
    if not any(beside(place, part).exists() for part in ("", "-wal", SALVAGING)):
        raise JournalMissing(f"there is no journal at {place}")
    if place.exists() and not place.is_file():
        raise NotAJournal(f"{place} is not a file")
    with _alone(place):
        return _salvage(place, dry_run=dry_run, progress=progress, now=clock())


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep every other process from opening or shipping it."""
    with ShipLock(path), OpenLock(path).alone(0):
        yield


def _salvage(path: Path, *, dry_run: bool, progress: Progress | None, now: float) -> Salvaged | None:
    begun = _begun(path)
    aside = (
        begun if begun is not None and begun.exists() else None
    )  # the damaged file, if it was moved already
    if aside is None:
        if begun is not None and not dry_run:
            _end(path)  # killed before anything was moved
        if not _needed(path, now):
            return None
    elif not dry_run:
        if path.exists():  # only an earlier salvage can have put it there: report what it did
            _end(path)
            with _made(path, aside, None, now) as gaps:
                return _result(path, aside, *gaps)
        _move(path, aside)  # its log may still be in its old place
    draft = beside(path, _DRAFT)
    with _made(path, aside or path, progress, now) as gaps:
        if dry_run:
            return _result(draft, None, *gaps)
        if aside is None:
            aside = _free_name(path, now)
            _begin(path, aside)
            _move(path, aside)
        draft.replace(path)
    sync_folder(path.parent)
    _end(path)
    return _result(path, aside, *gaps)


# --- the decision


def _needed(path: Path, now: float) -> bool:
    """Return True if there is damage, or a snapshot that is to become a journal.

    Raises:
        NotAJournal, JournalTooNew: It is not a journal of this version; it was not touched.
    """
    with Remains(path) as remains:
        header = remains.header
        if header is not None and header.application == APPLICATION_ID:
            if header.version > SCHEMA_VERSION:
                raise JournalTooNew(
                    f"{path} was written by a newer restante (schema {header.version}; this one knows {SCHEMA_VERSION})"
                )
        elif not remains.any_rows():
            raise NotAJournal(f"{path} is not a journal: it has no rows of one")
    try:
        findings = inspect_journal(path, now, deep=True)
    except NotAJournal:
        return True  # it has a journal's rows, and SQLite does not recognise it any more
    wrong = {finding.name for finding in findings if finding.severity is Severity.ATTENTION}
    return bool(wrong & _OF_THE_JOURNAL) or (
        any(finding.name == "copy" for finding in findings) and _is_snapshot(path)
    )


def _is_snapshot(path: Path) -> bool:
    how = "cache=private" if beside(path, "-wal").exists() else "immutable=1"  # no process has it open
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&{how}", uri=True)) as connection:
        return project.snapshot_at(connection) is not None


@contextlib.contextmanager
def _made(path: Path, source: Path, progress: Progress | None, now: float) -> Iterator[tuple[Found, Gaps]]:
    """Make a draft of the new journal; a draft that is still there in the end is deleted."""
    draft = beside(path, _DRAFT)
    try:
        yield _fill(draft, source, progress, now)
    finally:
        for part in (*_PARTS, "-journal"):
            beside(draft, part).unlink(missing_ok=True)


def _fill(draft: Path, source: Path, progress: Progress | None, now: float) -> tuple[Found, Gaps]:
    """Make a whole journal of the source's rows, on disk when this returns."""
    new_journal(draft)
    try:
        with Remains(source) as remains, closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            set_up(connection, "OFF")  # it is of no use before it is whole, and synced as a whole
            connection.execute("PRAGMA wal_autocheckpoint = 1000")  # no other process has it open
            found = carry_over(connection, remains.rows(progress))
            found.torn = remains.torn
            gaps = settle_accounts(connection, found, size=remains.bytes, now=now, uptime=uptime())
    except sqlite3.Error as error:
        raise translated(error, draft) from error
    _sync(draft)
    return found, gaps


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- moving


def _free_name(path: Path, now: float) -> Path:
    day = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    place, number = beside(path, _ASIDE + day), 1
    while place.exists():
        number += 1
        place = beside(path, f"{_ASIDE}{day}-{number}")
    return place


def _begin(path: Path, aside: Path) -> None:
    """Note, durably, where the damaged file goes: from here on no process opens the journal."""
    descriptor = private_file(beside(path, SALVAGING), flags=os.O_WRONLY | os.O_TRUNC, owner_of=path)
    try:
        os.write(descriptor, json.dumps({"aside": aside.name}).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def _begun(path: Path) -> Path | None:
    """Return where an earlier, killed salvage was moving the damaged file to; None if there was none."""
    try:
        noted = json.loads(beside(path, SALVAGING).read_bytes())
        name = noted["aside"]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):  # the power went before it was written, and nothing was moved
        name = f"{path.name}{_ASIDE}never"
    return path.with_name(Path(str(name)).name)


def _move(path: Path, aside: Path) -> None:
    """Move the damaged file, then its log: while the file is in place, nothing was moved."""
    for part in _PARTS:
        if beside(path, part).exists():
            beside(path, part).replace(beside(aside, part))
    sync_folder(path.parent)


def _end(path: Path) -> None:
    beside(path, SALVAGING).unlink(missing_ok=True)
    sync_folder(path.parent)


# --- the result


def _result(journal: Path, aside: Path | None, found: Found, gaps: Gaps) -> Salvaged:
    try:
        with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            audited = recount(connection)
            accounts = dict(connection.execute(sql.ACCOUNTS).fetchall())
            (token,) = connection.execute(sql.TOKEN).fetchone()
    except sqlite3.Error as error:
        raise translated(error, journal) from error
    return Salvaged(
        kept=None if aside is None else str(aside),
        recorded=accounts["recorded"],
        lost=accounts[State.LOST],
        perhaps_pruned=gaps.perhaps_pruned,
        states={state.value: accounts[state] for state in State if accounts.get(state)},
        pruned=accounts["pruned"] - gaps.pruned[State.LOST],
        profiles_lost=gaps.profiles_lost,
        limits_lost=tuple(sorted(found.limits_named - found.limits)),
        token_known=token is not None,
        disagreements=audited.disagreements,
    )
