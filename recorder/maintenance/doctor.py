"""`diagnose`: look at a journal and its surroundings. Each finding says what to do.

Nothing is written. The file is opened through SQLite alone, in a way that leaves nothing beside it: without a log
nobody has the journal open, and it is read as a file that does not change; if it did change, it is read once more,
with locks.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from os import PathLike
from pathlib import Path

from recorder.journal import accounts, project, shipper
from recorder.journal.copies import copy_reason, current_home
from recorder.journal.environment import enterable, ships
from recorder.journal.files import obstacle
from recorder.journal.locks import beside
from recorder.journal.opening import BUSY_SECONDS, SALVAGING, SENSELESS, primary_code, resolved
from recorder.journal.schema import APPLICATION_ID, SCHEMA_VERSION
from recorder.journal.statistics import statistics
from recorder.journal.status import shipper_status
from recorder.journal.uptime import now
from recorder.maintenance import statements as sql
from recorder.maintenance.audit import recount
from recorder.maintenance.findings import Finding, Severity, attention, notice, ok
from recorder.maintenance.surroundings import file_size, inspect_surroundings, sqlite_too_old
from recorder.model.attention import advice_of, needs
from recorder.model.errors import JournalDamaged, JournalMissing, JournalTooNew, NotAJournal
from recorder.model.hazards import Update
from recorder.model.limits import updates_beyond_limits
from recorder.model.routes import OLD_AFTER

__all__ = ["Finding", "Severity", "diagnose", "inspect_journal"]

Progress = Callable[[str], None]

_BEFORE_US = 1_577_836_800.0  # 2020-01-01: no device recorded anything with this before
_SKEW = 60.0  # seconds
_MOST_ENTRIES, _MOST_BYTES = 10_000, 16_000_000  # of the newest: what a second is enough for
_ERRORS = (sqlite3.Error, JournalDamaged, *SENSELESS)


def diagnose(
    path: str | PathLike[str],
    *,
    deep: bool = False,
    progress: Progress | None = None,
    clock: Callable[[], float] = now,
) -> list[Finding]:
    """Look at a journal and its surroundings.

    Args:
        path: The journal's file.
        deep: Check every page and every row's place in the indexes, which may take minutes.
        progress: Called with what is looked at next.
        clock: Seconds since the epoch.

    Raises:
        JournalMissing: There is no journal at that path.
        NotAJournal: The file is something else.

    >>> import pathlib, tempfile
    >>> from restante import Recorder
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
    >>> with Recorder("PROJECT", path) as recorder:
    ...     recorder.people_set("ada", {"plan": "pro"})
    >>> [finding.text for finding in diagnose(path) if finding.name == "accounts"]
    ['1 entry: every account agrees']
    """
    place = resolved(path)
    if not enterable(place.parent) and (found := obstacle(place)):
        return [attention("permissions", *found)]
    if not place.exists():
        if not file_size(beside(place, "-wal")) and not beside(place, SALVAGING).exists():
            raise JournalMissing(f"there is no journal at {place}")
    elif not place.is_file():
        raise NotAJournal(f"{place} is not a file")
    tell = progress or (lambda _: None)
    tell("the surroundings")
    findings = inspect_surroundings(place)
    if not sqlite_too_old():
        findings += inspect_journal(place, clock(), deep=deep, tell=tell)
    return findings


def inspect_journal(path: Path, now: float, *, deep: bool, tell: Progress = lambda _: None) -> list[Finding]:
    """Look at the journal itself, without its surroundings; see `diagnose`."""
    log = beside(path, "-wal")
    if not file_size(path):  # SQLite would delete the log of an empty file
        if file_size(log):
            return [_damaged("its log exists, and the file is missing or empty")]
        return [] if beside(path, SALVAGING).exists() else [_empty()]
    if not log.exists():
        before = _stamp(path)
        findings = _read(path, "immutable=1", now, deep=deep, tell=tell)
        if _stamp(path) == before and not log.exists():
            return findings
    return _read(path, "cache=private", now, deep=deep, tell=tell)  # others use it: with locks


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read(path: Path, how: str, now: float, *, deep: bool, tell: Progress) -> list[Finding]:
    try:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=ro&{how}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
    except sqlite3.Error as error:
        return [_unreadable(error, path)]
    with closing(connection):
        try:
            application, version = (connection.execute(each).fetchone()[0] for each in sql.VERSIONS)
        except _ERRORS as error:
            if primary_code(error) == sqlite3.SQLITE_NOTADB and not beside(path, ".open").exists():
                raise NotAJournal(f"{path} is not a journal: {error}") from None
            return [_unreadable(error, path)]
        if application != APPLICATION_ID:
            if file_size(path):
                raise NotAJournal(f"{path} is a database of another program")
            return [_empty()]
        findings = [_schema(version)]
        if version <= SCHEMA_VERSION:
            findings += [
                finding
                for look in (
                    _clock,
                    _copy,
                    _shipper,
                    _old_events,
                    _needs,
                    _forgotten,
                    _accounts,
                    _largest,
                    _limits,
                )
                for finding in _guarded(look, connection, path, now, tell)
            ]
        findings += _pages(connection, path, deep=deep, tell=tell)
        return list(dict.fromkeys(findings))  # damage stops several of them with the same words


def _guarded(
    look: Callable[..., Iterator[Finding]],
    connection: sqlite3.Connection,
    path: Path,
    now: float,
    tell: Progress,
) -> list[Finding]:
    tell(look.__name__.removeprefix("_"))
    try:
        return list(look(connection, path, now))
    except _ERRORS as error:
        return [_unreadable(error, path)]


def _unreadable(error: Exception, path: Path) -> Finding:
    match primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return attention(
                "journal",
                f"another process has locked it for longer than {BUSY_SECONDS:.0f} s",
                "Look for a process that was stopped while it had the journal locked.",
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_READONLY:
            cause, advice = obstacle(path) or (str(error), "Run this as the account that it belongs to.")
            return attention("journal", f"it cannot be opened: {cause}", advice)
    text = "SQLite cannot read it" if primary_code(error) else "a value in it makes no sense"
    return _damaged(f"{text} ({error})")


def _damaged(text: str, name: str = "journal") -> Finding:
    return attention(name, text, JournalDamaged.hint)


def _empty() -> Finding:
    return notice(
        "journal",
        "it is empty: nothing was recorded into it yet",
        "Record into it. If entries are missing, restore a copy first.",
    )


def _schema(version: int) -> Finding:
    if version <= SCHEMA_VERSION:
        return ok("schema", f"schema {version}")
    return attention(
        "schema",
        f"it was written by a newer restante (schema {version}; this one knows {SCHEMA_VERSION})",
        JournalTooNew.hint,
    )


def _clock(connection: sqlite3.Connection, _: Path, now: float) -> Iterator[Finding]:
    (newest,) = connection.execute(sql.NEWEST).fetchone() or (None,)
    if now < _BEFORE_US:
        text = f"it says {time.strftime('%Y-%m-%d', time.gmtime(now))}, as a clock without a battery does"
    elif newest is not None and newest > now + _SKEW:
        text = f"it was set back: the newest entry was recorded {newest - now:,.0f} s in the future"
    else:
        yield ok("clock", _minute(now))
        return
    yield attention(
        "clock",
        text,
        "Set it (with NTP where there is a network). Order and waits do not depend on it; the times of entries and "
        "charges do.",
    )


def _minute(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def _copy(connection: sqlite3.Connection, path: Path, _: float) -> Iterator[Finding]:
    snapshot_at = project.snapshot_at(connection)
    if snapshot_at is not None:
        yield notice(
            "copy",
            f"a snapshot of {_minute(snapshot_at)}, for inspection only",
            "Record and ship with the journal itself; if that is lost, run `restante salvage` on this.",
        )
        return
    identity, before = shipper.home(connection)
    reason = copy_reason(before, current_home(path, identity))
    (_, _, moved_at) = connection.execute(sql.SHIPPER).fetchone()
    if reason is not None:
        yield attention(
            "copy",
            f"this may be a copy of another journal: {reason}",
            "If both ship, shared entries arrive twice: stop one of them. If it was moved, ship it once.",
        )
    elif moved_at is not None:
        yield notice(
            "copy",
            f"it came from another place ({_minute(moved_at)})",
            "If it was copied rather than moved, make sure that only one of the two ships.",
        )
    else:
        yield ok("copy", "no sign of a copy")


def _shipper(connection: sqlite3.Connection, path: Path, _: float) -> Iterator[Finding]:
    pid, left_open, _ = connection.execute(sql.SHIPPER).fetchone()
    if ships(beside(path, ".lock"), pid):
        yield ok("shipper", f"process {pid} is shipping")
    elif left_open:
        yield notice(
            "shipper",
            f"no shipper is running: process {pid} was killed in the middle of a request",
            "Nothing to do: the next shipper settles the request it left open.",
        )
    else:
        yield notice(
            "shipper",
            "no shipper is running",
            "Ship with `restante ship`, or `restante ship --watch` as a service, unless the app does.",
        )


def _old_events(connection: sqlite3.Connection, _: Path, now: float) -> Iterator[Finding]:
    events = accounts.old_events(connection, now - OLD_AFTER)
    if events:
        yield notice(
            "events",
            f"{events:,}{' or more' * (events == accounts.MOST_COUNTED)} unsent event{'s' * (events > 1)} recorded over"
            " four days ago: the service would drop them at /track, so they go to /import",
            "Ship them. If the service refuses the project's token there, give it RESTANTE_IMPORT_CREDENTIALS.",
        )


def _needs(connection: sqlite3.Connection, path: Path, now: float) -> Iterator[Finding]:
    connection.execute("BEGIN")
    try:
        counts, status = statistics(connection, path, now=now), shipper_status(connection, path, now=now)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    for need in needs(counts, status, now=now):
        yield attention(need.name, need.text, advice_of(need))


def _forgotten(connection: sqlite3.Connection, _: Path, __: float) -> Iterator[Finding]:
    if project.remnants(connection):
        yield attention(
            "forgotten",
            "remnants of forgotten entries may be left in free space of the file, or in its log",
            "Run `restante forget` with the same id again: it finishes, and erases all remnants.",
        )


def _accounts(connection: sqlite3.Connection, _: Path, __: float) -> Iterator[Finding]:
    connection.execute("BEGIN")
    try:
        audited = recount(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    for disagreement in audited.disagreements:
        yield _damaged(str(disagreement), "accounts")
    if audited.agrees:
        entries = f"{audited.entries:,} {'entry' if audited.entries == 1 else 'entries'}"
        yield ok("accounts", f"{entries}: every account agrees")


def _largest(connection: sqlite3.Connection, _: Path, __: float) -> Iterator[Finding]:
    most = project.limits(connection).max_bytes
    if most is not None:
        yield ok("largest size", f"{most / 1_000_000:,.1f} MB (max_bytes)")


def _limits(connection: sqlite3.Connection, _: Path, __: float) -> Iterator[Finding]:
    updates, size, values, newest = 0, 0, 0, ""
    for seq, operator, message in connection.execute(sql.NEWEST_UPDATES, [_MOST_ENTRIES]):
        updates += 1
        size += len(message)
        for excess in updates_beyond_limits(operator, Update.read(operator, message).payload):
            values += 1
            newest = newest or f"entry {seq}, {operator} {excess}"
        if size > _MOST_BYTES:
            break
    looked_at = f"of the newest {updates:,} update{'s' * (updates != 1)}"
    if values:
        number = f"{values:,} values {looked_at} are" if values > 1 else f"1 value {looked_at} is"
        yield notice(
            "limits",
            f"{number} beyond the limits of the service, such as {newest}",
            "The service may cut or drop them: record less where that matters.",
        )
    else:
        yield ok("limits", f"no value {looked_at} is beyond the limits of the service")


def _pages(connection: sqlite3.Connection, path: Path, *, deep: bool, tell: Progress) -> list[Finding]:
    try:
        errors = []
        if deep:
            tables = [name for (name,) in connection.execute(sql.TABLES).fetchall()]
            for place, name in enumerate(tables, 1):
                tell(f"table {name}, {place} of {len(tables)}")
                errors += connection.execute(sql.integrity_check(name)).fetchall()
        tell("all pages")
        errors += connection.execute("PRAGMA quick_check").fetchall()
    except _ERRORS as error:
        return [_unreadable(error, path)]
    lines = sorted({line for (text,) in errors if text != "ok" for line in text.splitlines()} - {""})
    if lines:
        more = f" (and {len(lines) - 1:,} more)" if len(lines) > 1 else ""
        return [_damaged(f"{lines[0]}{more}", "pages")]
    return [
        ok("pages", "every page and row checked" if deep else "checked quickly; --deep looks at every row")
    ]
