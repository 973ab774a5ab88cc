"""SQLite's plans for the journal's statements."""

import importlib
import pkgutil
import re
import sqlite3

import pytest

from recorder import Journal, Lane, journal, maintenance, reading
from recorder.model.filters import where

STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


def statements():
    for package in (journal, reading, maintenance):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for name, value in vars(importlib.import_module(found.name)).items():
                if isinstance(value, str) and STATEMENT.match(value):
                    yield f"{found.name}.{name}", value


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "kiosk.db"
    Journal(path, token="T").close()
    with sqlite3.connect(path) as connection:
        yield connection
    connection.close()


def test_statement_indexes_no_entries_itself(empty):
    """An index that SQLite makes for one query reads every entry there is, however few are asked for."""
    planned = 0
    for name, statement in statements():
        names = re.findall(r"(?<![\w:]):(\w+)", statement)
        values = dict.fromkeys(names) if names else [None] * statement.count("?")
        try:
            plan = empty.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        except sqlite3.OperationalError as error:  # salvage's own temporary tables, and parts of statements
            assert re.search("no such table: temp|incomplete", str(error)), name  # noqa: PT017
            continue
        planned += 1
        assert not [step for *_, step in plan if re.search(r"\bentries USING AUTOMATIC", step)], name
    assert planned > 150


def test_state_of_entries_asks_lanes_once(empty):
    """To look a lane's cursor up for each row takes longer than all else."""
    sql = "SELECT count(*) FROM entries_with_state WHERE state = 'shipped' AND seq BETWEEN 1 AND 9"
    plan = empty.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    assert not [step for *_, step in plan if "CORRELATED" in step]


def test_listed_numbers_are_looked_up(empty):
    """Marked entries are such a list: to try each range on each of a million entries takes 8 s."""
    condition = where(f"seq={','.join(map(str, range(1, 1_000, 2)))}", now=0.0)
    sql = f"SELECT seq FROM entries_with_state WHERE {condition.sql} ORDER BY seq"
    plan = [step for *_, step in empty.execute(f"EXPLAIN QUERY PLAN {sql}", condition.parameters)]
    assert not [step for step in plan if re.search(r"SCAN (entries|chosen)", step)], plan
    assert (condition.first, condition.last) == (1, 999)


@pytest.mark.parametrize("lane", Lane)
def test_passed_entry_is_shipped(empty, lane):
    """In each lane: the view names them one by one."""
    row = (f"{lane}", "{}", 0.0, "pending")
    empty.executemany(
        "INSERT INTO entries (lane, message, recorded_at, state) VALUES (?, ?, ?, ?)", [row] * 2
    )
    empty.execute("INSERT INTO lanes (lane, cursor) SELECT ?, max(seq) - 1 FROM entries", (lane,))
    states = empty.execute(
        "SELECT state FROM entries_with_state WHERE lane = ? ORDER BY seq", (lane,)
    ).fetchall()
    assert states == [("shipped",), ("pending",)]
