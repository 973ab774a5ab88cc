"""Carry the rows of a damaged journal into a new one, and make its accounts agree.

The result is as if one last request had carried all unsettled entries, with an unknown outcome: the damage may hide
that they were sent. For numbers without an entry see `gaps`.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby, islice

from recorder.journal.uptime import Due, Uptime
from recorder.maintenance.salvage import statements as sql
from recorder.maintenance.salvage.gaps import Found, Gaps, count_accounts, settle_gaps
from recorder.maintenance.shapes import Row, tables
from recorder.model.hazards import Update, hazardous
from recorder.model.policy import ShippingPolicy

__all__ = ["carry_over", "settle_accounts"]

_SEVERAL = 5_000  # rows a transaction

_WORDS = "salvaged: the damage may hide that a request carried these"
_STAND_IN_WORDS = "salvaged: the record of this request cannot be read"
_LEFT_OPEN = "salvaged: its outcome was not recorded"

_CARRIED_WHOLE = ("entries", "attempts", "lanes", "waits", "baseline", "limits")
_OTHERS = {
    "project": sql.CARRY_PROJECT,
    "shipper": sql.CARRY_SHIPPER,
    "baseline names": sql.CARRY_BASELINE_NAME,
    "set aside": sql.CARRY_SET_ASIDE,
}


def carry_over(connection: sqlite3.Connection, rows: Iterable[Row]) -> Found:
    """Write rows into a new, empty journal, several a transaction.

    Returns:
        The facts among them that are no rows of the new journal, for `settle_accounts`.
    """
    found = Found()
    remaining = iter(rows)
    statements = {table: sql.carry(table, tables()[table].columns) for table in _CARRIED_WHOLE} | _OTHERS
    for statement in sql.KEEP_NAMES:
        connection.execute(statement)
    while several := list(islice(remaining, _SEVERAL)):
        connection.execute("BEGIN IMMEDIATE")
        for row in several:
            found.note(row)
            if row.table in statements and row.values.get("cause") != "settle_after":
                connection.execute(statements[row.table], row.values)
        connection.execute("COMMIT")
    return found


def settle_accounts(
    connection: sqlite3.Connection, found: Found, *, size: int, now: float, uptime: Uptime
) -> Gaps:
    """Make a whole journal of the rows that were carried over, in one transaction.

    Args:
        connection: To the new journal.
        found: The result of `carry_over`. If it lacks the last shipper's policy, hazardous entries wait for a person.
        size: Of the damaged file and its log, in bytes: no more entries than fit into them were in it.
        now: Seconds since the epoch.
        uptime: Since the boot: profiles in doubt settle from now on.
    """
    connection.execute("BEGIN IMMEDIATE")
    _write_out_passed(connection, torn=found.torn)
    gaps = settle_gaps(connection, found, most=size // 16, now=now)  # a row takes more
    connection.execute(sql.FORGET_PICKED)
    connection.execute(sql.MEND_MARKS)
    connection.execute(sql.MEND_SENDS)
    _mend_attempts(connection)
    _put_in_doubt(connection, now, uptime, hold=not found.policy_known)
    connection.execute(sql.MISSING_LANES)
    connection.execute(sql.MOVE_CURSORS, (gaps.highest,))
    count_accounts(connection, gaps)
    connection.execute("COMMIT")
    for statement in sql.END_NAMES:
        connection.execute(statement)
    return gaps


def _write_out_passed(connection: sqlite3.Connection, *, torn: bool) -> None:
    """Write out what accepted ranges shipped: see schema.sql.

    How far a lane came is told by its cursor, by its ranges, and by its entries that an attempt settled, of which the
    last one of a range is always written. Two of them must agree: if one is damaged, no unsent entry is taken for
    shipped, and none that was shipped for unsent.
    """
    for lane, *reached in connection.execute(sql.REACHED_BY_LANE).fetchall():
        _, second, _ = sorted(reached)
        connection.execute(sql.WRITE_OUT_PASSED, {"lane": lane, "reached": second, "torn": torn})


def _mend_attempts(connection: sqlite3.Connection) -> None:
    """Give each shipped entry an attempt that shipped it, if only a stand-in."""
    connection.execute(sql.STAND_INS, (_STAND_IN_WORDS,))
    (latest,) = connection.execute(sql.LATEST_ATTEMPT).fetchone()
    connection.execute(sql.STAND_INS_OF_LANES, (_STAND_IN_WORDS,))
    connection.execute(sql.USE_STAND_INS_OF_LANES, (latest,))


def _put_in_doubt(connection: sqlite3.Connection, now: float, uptime: Uptime, *, hold: bool) -> None:
    """Settle all that was unsettled as an attempt with an unknown outcome."""
    connection.execute(sql.CLOSE_ATTEMPTS, (_LEFT_OPEN, now))
    (settle_after,) = connection.execute(sql.NEXT_EPOCH, (ShippingPolicy().settle_after,)).fetchone()
    (latest,) = connection.execute(sql.LATEST_ATTEMPT).fetchone()
    connection.execute(sql.LAST_ATTEMPTS, {"now": now, "words": _WORDS})
    connection.execute(sql.PUT_IN_DOUBT, (latest,))
    risky = list(_hazardous(connection.execute(sql.RUNS).fetchall()))
    connection.execute(sql.MARK_HAZARDOUS, (json.dumps(risky),))
    connection.execute(sql.KEEP_HELD)
    connection.execute(sql.CLEAR_WAITS)
    connection.execute(sql.WAITS, (hold, *Due.after(uptime, settle_after)))
    connection.execute(sql.END_HELD)


def _hazardous(rows: Iterable[tuple[str, str, str, int, str, str]]) -> Iterator[int]:
    """Yield the numbers of entries that sending their profile's run again may apply twice."""
    for _, run in groupby(rows, key=lambda row: row[:3]):
        entries = list(run)
        updates = [Update.of(operator, json.loads(message)) for *_, operator, message in entries]
        yield from (entries[place][3] for place in hazardous(updates))
