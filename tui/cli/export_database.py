"""A database of plain tables with what a journal says, for Datasette and sqlite-utils, which makes it."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import click
from sqlite_utils import Database

from recorder import Attempt, Entry, JournalReader
from recorder.maintenance.snapshot import new_file
from recorder.model.json_value import compact
from simulator import Profile, Simulator
from tui.cli import options
from tui.cli.progress import tracked

__all__ = ["export_database"]

_PAGE = 1_000  # attempts read at once

_Row = dict[str, Any]


def _columns(kind: type[Any]) -> dict[str, type]:
    """Return a column for each field of a dataclass: a number or a mark as it is, all else as text."""
    types = {field.name: get_args(field.type) or (field.type,) for field in fields(kind)}
    return {
        name: next((one for one in (bool, int, float) if one in possible), str)
        for name, possible in types.items()
    }


_TABLES: dict[str, dict[str, type]] = {
    "attempts": _columns(Attempt),
    "entries": _columns(Entry),
    "profiles": {"group_key": str, "id": str, "properties": str, "shipped": str, "partly_known": bool},
    "properties": {"group_key": str, "profile": str, "name": str, "value": str, "type": str},
}
_KEYS = {
    "attempts": "id",
    "entries": "seq",
}  # a user's profile has no group_key, and a key must have all columns
_REFERENCES = {"entries": [("attempt", "attempts", "id")]}
_INDEXES = (
    ("entries", ["state"]),
    ("entries", ["profile", "group_key"]),
    ("profiles", ["id", "group_key"]),
    ("properties", ["profile", "group_key"]),
    ("properties", ["name"]),
)
_TYPES = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}


def export_database(path: Path, file: Path, words: list[str]) -> dict[str, int]:
    """Make the database, and return the number of rows of each table.

    Args:
        path: The journal's file.
        file: The database's file; nothing may be there.
        words: The filter of the entries; attempts and profiles are written whole.

    Raises:
        JournalError: The journal cannot be read, or something is at `file`.
        InvalidFilter: The filter is not understood.
        ClickException: The database cannot be written.
    """
    with JournalReader(path) as reader, new_file(file) as part:
        try:
            # What is forgotten meanwhile must not live on in the export.
            return reader.unpruned(lambda: _make(part, reader, words))
        except sqlite3.Error as error:
            raise click.ClickException(f"{file} cannot be written: {error}") from error


def _make(part: Path, reader: JournalReader, words: list[str]) -> dict[str, int]:
    os.truncate(part, 0)  # an earlier call may have begun it
    with closing(Database(part, execute_plugins=False)) as database:
        with database.atomic():  # a commit for each batch would take most of the time
            for name, columns in _TABLES.items():
                database.table(name).create(columns, pk=_KEYS.get(name), foreign_keys=_REFERENCES.get(name))
            _fill(lambda name, rows: database.table(name).insert_all(rows), reader, words)
            for name, indexed in _INDEXES:
                database.table(name).create_index(indexed)
        return {name: database[name].count for name in sorted(_TABLES)}


def _fill(insert: Callable[[str, Iterable[_Row]], object], reader: JournalReader, words: list[str]) -> None:
    insert("entries", tracked(_entries(reader, words), "exporting entries", reader.count(words)))
    insert("attempts", _attempts(reader))  # after the entries, which refer to them
    shipped = {_owner(profile): profile for profile in _profiles(reader.path, shipped_only=True)}
    predicted = {_owner(profile): profile for profile in _profiles(reader.path)}
    insert("profiles", _profile_rows(predicted, shipped))
    insert("properties", chain.from_iterable(map(_property_rows, predicted.values())))


def _entries(reader: JournalReader, words: list[str]) -> Iterator[_Row]:
    for entry in reader.stream(words):
        yield options.as_dict(entry) | {"message": _json(entry.message)}


def _attempts(reader: JournalReader) -> Iterator[_Row]:
    before = None
    while page := reader.attempts(before=before, limit=_PAGE):
        yield from map(options.as_dict, page)
        before = page[-1].id


_Owner = tuple[str | None, str]


def _owner(profile: Profile) -> _Owner:
    return profile.group_key, profile.id


def _profiles(path: Path, *, shipped_only: bool = False) -> Iterator[Profile]:
    simulator = Simulator.from_journal(path, shipped_only=shipped_only)
    return chain(simulator.profiles.values(), simulator.groups.values())


def _profile_rows(predicted: dict[_Owner, Profile], shipped: dict[_Owner, Profile]) -> Iterator[_Row]:
    for owner in predicted | shipped:
        profile, before = predicted.get(owner), shipped.get(owner)
        yield {
            "group_key": owner[0],
            "id": owner[1],
            "properties": None if profile is None else _json(dict(profile)),
            "shipped": None if before is None else _json(dict(before)),
            "partly_known": profile is not None and profile.partly_known,
        }


def _property_rows(profile: Profile) -> Iterator[_Row]:
    for name, value in profile.items():
        yield {
            "group_key": profile.group_key,
            "profile": profile.id,
            "name": _text(name),
            "value": _json(value),
            "type": _TYPES.get(type(value), "null"),
        }


def _json(value: Any) -> str:
    return _text(compact(value))


def _text(text: str) -> str:
    """Spell out lone surrogates, which events may have and SQLite's UTF-8 cannot."""
    return text.encode(errors="backslashreplace").decode()
