"""A database of plain tables with a report about a fleet, for Datasette and sqlite-utils, which makes it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import click
from sqlite_utils import Database

from fleet import tables
from fleet.report import Report
from recorder.maintenance.snapshot import new_file
from recorder.model.json_value import compact

__all__ = ["fleet_database", "plain"]


def fleet_database(report: Report, file: Path) -> None:
    """Make the database.

    Raises:
        JournalError: Something is at `file`.
        ClickException: The database cannot be written.
    """
    with new_file(file) as part, closing(Database(part, execute_plugins=False)) as database:
        try:
            with database.atomic():
                for name, columns in tables.COLUMNS.items():
                    database.table(name).create(columns)
                for name, rows in tables.all_rows(report).items():
                    database.table(name).insert_all(map(plain, rows))
        except sqlite3.Error as error:
            raise click.ClickException(f"{file} cannot be written: {error}") from error


def plain(row: tables.Row) -> tables.Row:
    """Return a row whose lists and values of any kind are JSON, and whose texts are UTF-8."""
    values = {name: compact(value) if name in tables.AS_JSON else value for name, value in row.items()}
    return {name: _text(value) if isinstance(value, str) else value for name, value in values.items()}


def _text(text: str) -> str:
    """Spell out lone surrogates, as of file names that are not UTF-8."""
    return text.encode(errors="backslashreplace").decode()
