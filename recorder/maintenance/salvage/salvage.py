"""`salvage`: a new journal of what a damaged one still holds.

The damaged file is kept until a person deletes it. What is read, is read where it lies; only when the new journal is
whole, the damaged one is moved aside and the new one put in its place. `<journal>.salvaging` stands beside
them meanwhile: nobody opens the journal then, and a salvage that was killed goes on from there.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from recorder.journal.locks import OpenLock, ShipLock, beside
from recorder.journal.opening import (
    SALVAGING,
    new_journal,
    resolved,
    set_up,
    sync_folder,
    translated,
)
from recorder.journal.schema import APPLICATION_ID, SCHEMA_VERSION
from recorder.journal.uptime import uptime
from recorder.maintenance.audit import Disagreement, recount
from recorder.maintenance.doctor import Severity, diagnose
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

_ROWS = "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM baseline)"
_ROWS_OF_AN_OLDER_ONE = "SELECT count(*), 0 FROM entries"
_ACCOUNTS = "SELECT account, entries FROM accounts"
_TABLE = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
_TOKEN = "SELECT token FROM project"  # noqa: S105  # SQL, no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """What was carried over, or would be.

    Attributes:
        kept: Where the damaged file is now; None where nothing was moved.
        recorded: How many entries are known to have been recorded: the highest number that is left.
        lost: How many of them cannot be read. What was recorded after the highest number that is left is not known,
            and so not counted.
        perhaps_pruned: How many of the lost ones may just as well have been pruned before: what would tell cannot be
            read.
        states: How many entries are in which state now, those that were pruned before included.
        pruned: How many of them were pruned before, and are only counted.
        profiles_lost: Of how many profiles it cannot be read what pruned entries made of them; None where it is not
            known of how many, or whether of any. They are partly known from now on.
        limits_lost: The limits that were set and cannot be read: the usual ones hold until they are given again.
        token_known: Whether the project's token could be read; if not, the next one given is taken.
        disagreements: Accounts that do not add up; empty, unless something is wrong with this very version.
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
    clock: Callable[[], float] = time.time,
) -> Salvaged | None:
    """Make a new journal of what a damaged one, or a snapshot, still holds.

    Every entry that can be read is carried over with its number, its state and its marks. What was to be sent is *in
    doubt* afterwards: the damage may hide that it was. What cannot be read is counted as lost. What was pruned stays
    pruned, and what it made of its profiles is carried over; where that cannot be read, it is said. The damaged file
    stays beside the new one, as ``<journal>.damaged-<time>``, with its log. Killed at any moment, nothing is lost: the
    next salvage goes on or begins anew.

    Args:
        path: The journal's file.
        dry_run: Only find out what would be carried over. That takes the room of a new journal for the moment.
        progress: Called with how many pages are read, and how many there are.
        clock: Seconds since the epoch.

    Returns:
        What was carried over; None where nothing is damaged, and nothing was done.

    Raises:
        JournalBusy: A process has it open, or ships it.
        JournalMissing, NotAJournal, JournalTooNew: There is nothing to salvage; nothing was touched.
        JournalError: The new journal cannot be written; nothing was moved.

    >>> import pathlib, tempfile
    >>> from recorder import Recorder
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
    >>> with Recorder("PROJECT", path) as recorder:
    ...     recorder.people_set("ada", {"plan": "pro"})
    >>> salvage(path) is None
    True
    """
    place = resolved(path)
    if not any(beside(place, part).exists() for part in ("", "-wal", SALVAGING)):
        raise JournalMissing(f"there is no journal at {place}")
    if place.exists() and not place.is_file():
        raise NotAJournal(f"{place} is not a file")
    with _alone(place):
        return _salvage(place, dry_run=dry_run, progress=progress, now=clock())


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody has it open, and nobody ships it."""
    with ShipLock(path), OpenLock(path).alone(0):
        yield


def _salvage(path: Path, *, dry_run: bool, progress: Progress | None, now: float) -> Salvaged | None:
    aside = _begun(path)
    if aside is not None and aside.exists() and not dry_run:
        if path.exists():  # nobody but an earlier salvage can have put it there
            _end(path)
            with _made(path, aside, None, now) as gaps:  # only to tell what came of it
                return _told(path, aside, *gaps)
        _move(path, aside)  # its log may still be where it was
    elif aside is not None and not dry_run:
        _end(path)  # killed before anything was moved
    moved = aside is not None and aside.exists()
    source = aside if moved and aside is not None else path
    if not moved and not _needed(path):
        return None
    with _made(path, source, progress, now) as gaps:
        draft = beside(path, _DRAFT)
        if dry_run:
            return _told(draft, None, *gaps)
        if not moved:
            aside = _free_name(path, now)
            _begin(path, aside)
            _move(path, aside)
        draft.replace(path)
    sync_folder(path.parent)
    _end(path)
    return _told(path, aside, *gaps)


# --- what is to be done


def _needed(path: Path) -> bool:
    """Whether there is damage, or a snapshot that is to be a journal.

    Raises:
        NotAJournal, JournalTooNew: It is none of ours; it was not touched.
    """
    with Remains(path) as remains:
        known = remains.header
        if known is not None and known.application == APPLICATION_ID:
            if known.version > SCHEMA_VERSION:
                raise JournalTooNew(
                    f"{path} was written by a newer restante (schema {known.version}; this one knows {SCHEMA_VERSION})"
                )
        elif not remains.any_rows():
            raise NotAJournal(f"{path}: nothing in it is a journal's")
    try:
        findings = diagnose(path, deep=True)
    except NotAJournal:
        return True  # it holds a journal's rows, and SQLite does not know it any more
    wrong = {finding.name for finding in findings if finding.severity is Severity.ATTENTION}
    snapshot = any(finding.name == "copy" and "snapshot" in finding.text for finding in findings)
    return snapshot or bool(wrong & _OF_THE_JOURNAL) or _senseless(path)


def _senseless(path: Path) -> bool:
    """Whether there are rows that make no sense, such as a message that is none: SQLite does not mind."""
    how = "cache=private" if beside(path, "-wal").exists() else "immutable=1"  # nobody has it open
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&{how}", uri=True)) as connection:
        try:
            rows = connection.execute(
                _ROWS if _has_baseline(connection) else _ROWS_OF_AN_OLDER_ONE
            ).fetchone()
        except sqlite3.Error:  # a file in which nothing was made yet
            return False
    with Remains(path) as remains:
        found = Counter(row.table for row in remains.rows())
    return any(found[table] < number for table, number in zip(("entries", "baseline"), rows, strict=True))


def _has_baseline(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute(_TABLE, ("baseline",)).fetchone())


@contextlib.contextmanager
def _made(path: Path, source: Path, progress: Progress | None, now: float) -> Iterator[tuple[Found, Gaps]]:
    """A draft of the new journal, and what was found out; what is left of the draft in the end is taken away."""
    draft = beside(path, _DRAFT)
    try:
        yield _fill(draft, source, progress, now)
    finally:
        for part in (*_PARTS, "-journal"):
            beside(draft, part).unlink(missing_ok=True)


def _fill(draft: Path, source: Path, progress: Progress | None, now: float) -> tuple[Found, Gaps]:
    """A whole journal of what is left of the source, on disk when this returns."""
    new_journal(draft)
    try:
        with Remains(source) as remains, closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            set_up(connection, "OFF")  # it is of no use before it is whole, and synced as a whole
            connection.execute("PRAGMA wal_autocheckpoint = 1000")  # nobody else has it open
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
    """Say, durably, where the damaged file goes: from here on nobody opens the journal."""
    descriptor = os.open(beside(path, SALVAGING), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, json.dumps({"aside": aside.name}).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def _begun(path: Path) -> Path | None:
    """Where an earlier salvage was moving the damaged file to; None where none was killed in the middle of it."""
    try:
        noted = json.loads(beside(path, SALVAGING).read_bytes())
        name = noted["aside"]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):  # the power went before it was written, and nothing was moved
        name = f"{path.name}{_ASIDE}never"
    return path.with_name(Path(str(name)).name)


def _move(path: Path, aside: Path) -> None:
    """The damaged file first: while that is there, nothing was moved; then its log, by which it is whole."""
    for part in _PARTS:
        if beside(path, part).exists():
            beside(path, part).replace(beside(aside, part))
    sync_folder(path.parent)


def _end(path: Path) -> None:
    beside(path, SALVAGING).unlink(missing_ok=True)
    sync_folder(path.parent)


# --- what came of it


def _told(journal: Path, aside: Path | None, found: Found, gaps: Gaps) -> Salvaged:
    try:
        with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            audited = recount(connection)
            accounts = dict(connection.execute(_ACCOUNTS).fetchall())
            (token,) = connection.execute(_TOKEN).fetchone()
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
        limits_lost=tuple(sorted(found.limits_named - found.limits.keys())),
        token_known=token is not None,
        disagreements=audited.disagreements,
    )
