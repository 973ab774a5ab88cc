"""`audit`: recount every account of a journal from its entries, and name those that disagree."""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from os import PathLike

from recorder.journal.opening import connect_reader, making_sense, resolved
from recorder.maintenance import statements as sql
from recorder.maintenance.unreadable import missing_rows, unreadable_rows

__all__ = ["Audit", "Disagreement", "audit", "recount"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """An account that differs from a recount, or a rule that entries break.

    Attributes:
        account: Such as ``shipped``; or the entries that should not exist.
        counted: The recount.
        noted: The account, kept while entries change; 0 for entries that should not exist.
        first: The lowest number in question, if there is one.
    """

    account: str
    counted: int
    noted: int
    first: int | None = None

    def __str__(self) -> str:
        first = f" (first: entry {self.first:,})" if self.first is not None else ""
        return f"{self.account}: counted {self.counted:,}, noted {self.noted:,}{first}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """A recount, and its disagreements with the accounts.

    Attributes:
        entries: Entries in the journal; pruned ones live on as counters.
        attempts: Attempts in the journal.
        disagreements: Empty if every account is right.
    """

    entries: int
    attempts: int
    disagreements: tuple[Disagreement, ...]

    @property
    def agrees(self) -> bool:
        """True if every account is right."""
        return not self.disagreements


def audit(path: str | PathLike[str]) -> Audit:
    """Recount every account of a journal from its entries.

    Everything is read at one moment, while others record and ship, and nothing is written. That takes some
    seconds for a million entries; the write-ahead log cannot be moved into the file meanwhile.

    Args:
        path: The journal's file.

    Raises:
        JournalMissing, NotAJournal, JournalTooNew, JournalDamaged: There is nothing to read.

    >>> import pathlib, tempfile
    >>> from restante import Recorder
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
    >>> with Recorder("PROJECT", path) as recorder:
    ...     recorder.people_set("ada", {"plan": "pro"})
    >>> audit(path)
    Audit(entries=1, attempts=0, disagreements=())
    """
    resolved_path = resolved(path)
    with making_sense(resolved_path), closing(connect_reader(resolved_path)) as connection:
        connection.execute("BEGIN")
        return recount(connection)


def recount(connection: sqlite3.Connection) -> Audit:
    """Run `audit` through a connection; the caller has begun a transaction.

    Rows that cannot be read are all that is told of a journal which has any: no recount holds with them.
    """
    entries, lowest, highest = connection.execute(sql.NUMBERS).fetchone()
    unreadable = [
        Disagreement(
            account=f"rows of {table} that cannot be read",
            counted=len(rows),
            noted=0,
            first=rows[0] if table == "entries" else None,
        )
        for table, rows in unreadable_rows(connection)
    ]
    if unreadable:
        (attempts,) = connection.execute(sql.how_many("attempts")).fetchone()
        return Audit(entries=entries, attempts=attempts, disagreements=tuple(unreadable))
    (attempts,) = connection.execute(sql.HOW_MANY_ATTEMPTS).fetchone()
    accounts = dict(connection.execute(sql.ACCOUNTS).fetchall())
    found = [*_accounts(connection, accounts, entries), *_open_attempts(connection)]
    found += [
        Disagreement(account=f"rows of {table}", counted=rows, noted=least)
        for table, rows, least in missing_rows(connection)
    ]
    pruned = accounts["pruned"] or 0
    if entries and (entries + pruned != highest or lowest < 1 or (not pruned and lowest > 1)):
        (missing,) = (None,) if pruned else connection.execute(sql.FIRST_MISSING).fetchone()
        found = [
            Disagreement(account="recorded", counted=entries + pruned, noted=highest, first=missing),
            *(disagreement for disagreement in found if disagreement.account != "recorded"),
        ]
    for rule, count, first in connection.execute(sql.BROKEN_ENTRIES).fetchall():
        found.append(Disagreement(account=rule, counted=count, noted=0, first=first))
    for rule, statement in sql.RULES.items():
        count, first = connection.execute(statement).fetchone()
        if count:
            found.append(Disagreement(account=rule, counted=count, noted=0, first=first))
    return Audit(entries=entries, attempts=attempts, disagreements=tuple(found))


def _accounts(
    connection: sqlite3.Connection, accounts: dict[str, int | None], entries: int
) -> list[Disagreement]:
    """Compare each account, made from its counter and the open attempts, with a count of the entries.

    Of pruned entries only their number is left to count.
    """
    pruned = dict(connection.execute(sql.PRUNED).fetchall())
    counted = Counter(
        {"recorded": entries + (accounts["pruned"] or 0), "pruned": accounts["pruned"] or 0, **pruned}
    )
    for state, number, possibly_twice, out_of_order in connection.execute(sql.COUNT_STATES).fetchall():
        counted.update({state: number, "possibly_twice": possibly_twice, "out_of_order": out_of_order})
    noted = {account: number or 0 for account, number in accounts.items()}
    return [
        Disagreement(account=account, counted=counted[account], noted=noted.get(account, 0))
        for account in {**noted, **counted}
        if counted[account] != noted.get(account, 0)
    ]


def _open_attempts(connection: sqlite3.Connection) -> list[Disagreement]:
    several, entries, carried = connection.execute(sql.UNDER_WAY).fetchone()
    found = []
    if several > 1:
        found.append(Disagreement(account="requests under way", counted=several, noted=1))
    if entries != carried:
        found.append(Disagreement(account="entries of the request under way", counted=carried, noted=entries))
    return found
