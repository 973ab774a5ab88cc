"""SQLite's plans for the journal's statements."""

import importlib
import pkgutil
import re
import sqlite3

import pytest

from recorder import Journal, journal, maintenance, reading

STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


def statements():
    for package in (journal, reading, maintenance):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for name, value in vars(importlib.import_module(found.name)).items():
                if isinstance(value, str) and STATEMENT.match(value):
                    yield pytest.param(value, id=f"{found.name.rpartition('.')[2]}.{name}")


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "kiosk.db"
    Journal(path, token="T").close()
    with sqlite3.connect(path) as connection:
        yield connection
    connection.close()


@pytest.mark.parametrize("statement", list(statements()))
def test_statement_indexes_no_entries_itself(empty, statement):
    """An index that SQLite makes for one query reads every entry there is, however few are asked for."""
    names = re.findall(r"(?<![\w:]):(\w+)", statement)
    values = dict.fromkeys(names) if names else [None] * statement.count("?")
    try:
        plan = empty.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    except sqlite3.OperationalError as error:  # salvage's own temporary tables, and parts of statements
        assert re.search("no such table: temp|incomplete", str(error))  # noqa: PT017
        return
    assert not [step for *_, step in plan if re.search(r"\bentries USING AUTOMATIC", step)]
