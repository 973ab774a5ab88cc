"""Rows that SQLite can read, with values that make no sense: an unknown state, a message that is no JSON object.

SQLite checks neither, nor that text is UTF-8. Salvage leaves such rows out; see `recorder.maintenance.shapes`.
"""

import sqlite3
from collections import deque
from collections.abc import Iterator

from recorder.maintenance import statements as sql
from recorder.maintenance.salvage.sqlite_format import Value
from recorder.maintenance.shapes import Table, tables

__all__ = ["missing_rows", "unreadable_rows"]


def missing_rows(connection: sqlite3.Connection) -> Iterator[tuple[str, int, int]]:
    """Yield each table that has fewer rows than in a new journal, how many it has, and how many it had then."""
    for name, table in tables().items():
        (rows,) = connection.execute(sql.how_many(name)).fetchone()
        if rows < table.rows:
            yield name, rows, table.rows


def unreadable_rows(connection: sqlite3.Connection) -> Iterator[tuple[str, list[int]]]:
    """Yield each table that has unreadable rows, and their numbers."""
    for name, table in tables().items():
        if _suspicious(connection, name, table) and (numbers := _unreadable(connection, name, table)):
            yield name, numbers


def _suspicious(connection: sqlite3.Connection, name: str, table: Table) -> bool:
    """Look through the table in SQL, which takes a fraction of the time: most journals have no such rows."""
    try:
        (any_misfit,) = connection.execute(sql.any_misfit(name, table.condition)).fetchone()
        deque(connection.execute(sql.rows(name, table.texts)), maxlen=0)  # decodes all text
    except sqlite3.OperationalError:
        return True
    return bool(any_misfit)


def _unreadable(connection: sqlite3.Connection, name: str, table: Table) -> list[int]:
    columns = ("NULL" if column == table.key else column for column in table.columns)
    connection.text_factory = _text
    try:
        rows = connection.execute(sql.rows(name, columns)).fetchall()
    finally:
        connection.text_factory = str
    return [number for number, *values in rows if not table.fits(values)]


def _text(encoded: bytes) -> Value:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return encoded  # of a type that no column may have
