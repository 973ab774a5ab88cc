"""Tell a journal's rows apart by their shape: the columns of each table, as the schema has them.

A row that is not of its table's shape in every value counts as unreadable.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import cache
from types import NoneType
from typing import NamedTuple, get_args

from recorder.journal.limits import Limits
from recorder.journal.schema import create_schema
from recorder.maintenance import statements as sql
from recorder.maintenance.salvage.sqlite_format import Value
from recorder.model.entries import AttemptOutcome, State
from recorder.model.operations import Lane
from recorder.model.shipping import InDoubt

__all__ = ["Row", "Table", "as_index_row", "as_table_row", "tables"]

_IDENTITY_LENGTH = 32  # hexadecimal digits: see schema.sql
_KINDS = {"INTEGER": (int,), "REAL": (int, float), "TEXT": (str,)}


class Row(NamedTuple):
    """A row that was found.

    Attributes:
        table: Its table; or its index: ``baseline names``, ``limit names``, ``set aside``.
        values: By column.
    """

    table: str
    values: Mapping[str, Value]


class Table(NamedTuple):
    """The shape of a table's rows.

    Attributes:
        columns: Their names, in order.
        key: The column that is SQLite's own row number; None if there is none.
        tests: True for a value that the column may have, one for each column.
        texts: The columns that may have any text.
        condition: The tests in SQL, but that it cannot tell text that is not UTF-8.
        rows: How many rows it has in a new journal, and so at least.
    """

    columns: tuple[str, ...]
    key: str | None
    tests: tuple[Callable[[Value], bool], ...]
    texts: tuple[str, ...]
    condition: str
    rows: int

    def fits(self, values: Sequence[Value]) -> bool:
        """Return True if each value, in the order of the columns, is one that its column may have."""
        return all(test(value) for test, value in zip(self.tests, values, strict=True))


def _is_object(text: Value) -> bool:
    try:
        return isinstance(text, str) and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_count(value: Value) -> bool:
    return isinstance(value, int) and value >= 0


_LANES = frozenset(lane.value for lane in Lane)
_STATES = frozenset(state.value for state in State if state is not State.SENDING)
_LIMITS = frozenset(Limits._fields)

# By column, or by table and column; the types are checked already.
_ALLOWED: dict[str, frozenset[Value]] = {
    "lane": _LANES,
    "state": _STATES,
    "outcome": frozenset({None, *(outcome.value for outcome in AttemptOutcome)}),
    "waits.cause": frozenset({"hold", "settle_after", "suspect"}),
    "counters.account": frozenset({*(state.value for state in State), "possibly_twice", "out_of_order"}),
    "limits.name": _LIMITS,
    "shipper.in_doubt": frozenset({None, *get_args(InDoubt)}),
    "shipper.counted": frozenset({None, 0, 1, 2}),
    **dict.fromkeys(
        (
            "possibly_twice",
            "out_of_order",
            "hazardous",
            "ends_forgotten",
            "partly_known",
            "remnants",
        ),
        frozenset({0, 1}),
    ),
}
_JSON = frozenset({"message", "properties"})
_TESTS: dict[str, Callable[[Value], bool]] = {
    "message": _is_object,
    "properties": lambda value: value is None or _is_object(value),
    "identity": lambda value: isinstance(value, str) and len(value) == _IDENTITY_LENGTH,
    "limits.value": lambda value: value is None or (isinstance(value, int | float) and value >= 0),
    **dict.fromkeys(
        ("baseline.entries", "baseline.sends", "baseline.gone", "counters.entries", "counters.pruned"),
        _is_count,
    ),
}


@cache
def tables() -> dict[str, Table]:
    """Return the shape of each table of the schema."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        create_schema(connection)
        names = [name for (name,) in connection.execute(sql.SCHEMA_TABLES).fetchall()]
        return {name: _table(connection, name) for name in names}


def _table(connection: sqlite3.Connection, table: str) -> Table:
    columns = connection.execute(sql.COLUMNS, (table,)).fetchall()
    keys = [name for name, kind, _, key in columns if key and kind == "INTEGER"]
    tests, conditions = [], []
    for name, kind, not_null, key in columns:
        tests.append(_test(table, name, kind, null=not (not_null or key), number=name in keys))
        if name not in keys:
            conditions.append(sql.fits(name, kind, _allowed(table, name), is_json=name in _JSON))
    texts = tuple(name for name, kind, *_ in columns if kind == "TEXT" and not _allowed(table, name))
    (rows,) = connection.execute(sql.how_many(table)).fetchone()
    names = tuple(name for name, *_ in columns)
    return Table(names, keys[0] if keys else None, tuple(tests), texts, " AND ".join(conditions), rows)


def _allowed(table: str, name: str) -> frozenset[Value] | None:
    return _ALLOWED.get(f"{table}.{name}") or _ALLOWED.get(name)


def _test(table: str, name: str, kind: str, *, null: bool, number: bool) -> Callable[[Value], bool]:
    if number:  # kept as the row's own number, and NULL here
        return lambda value: value is None
    kinds = (*_KINDS[kind], NoneType) if null else _KINDS[kind]
    allowed = _allowed(table, name)
    rule = _TESTS.get(f"{table}.{name}") or _TESTS.get(name)
    if allowed is not None:
        return lambda value: value in allowed
    if rule is not None:
        return rule
    return lambda value: isinstance(value, kinds)


def as_table_row(number: int, values: list[Value]) -> Row | None:
    """Return a row of the table whose shape it has; None if it has none.

    Args:
        number: The row's number in SQLite.
        values: In the order of the columns.
    """
    for name, table in tables().items():
        if len(values) != len(table.columns) or number <= 0:
            continue
        if table.fits(values):
            row = dict(zip(table.columns, values, strict=True))
            if table.key is not None:
                row[table.key] = number
            return Row(name, row) if name != "counters" or _plausible(row) else None
    return None


def _plausible(counter: Mapping[str, Value]) -> bool:
    return counter["pruned"] <= counter["entries"]  # type: ignore[operator]  # both are counts


def as_index_row(values: list[Value]) -> Row | None:
    """Return a row of an index that is of use; None if it has no such shape.

    A row of `waits_of_profile` looks alike if the profile is named as a lane is; it is taken for one of the baseline.
    """
    match values:
        case [str() | None as profile, str(lane), int(number)] if lane in _LANES and number > 0:
            return Row("baseline names", {"profile": profile, "lane": lane, "id": number})
        case [str(state), str(lane), int(number), int(same)] if state in _STATES and lane in _LANES:
            return Row("set aside", {"seq": number}) if number == same > 0 else None
        case [str(name), int()] if name in _LIMITS:
            return Row("limit names", {"name": name})
    return None
