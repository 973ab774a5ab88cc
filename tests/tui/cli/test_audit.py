"""`restante audit`: a line for each account that disagrees, and an exit code for monitors."""

import sqlite3
from contextlib import closing

import pytest

UPDATES = [{"$distinct_id": f"u{number}", "$set": {"n": number}} for number in range(3)]


@pytest.fixture
def shipped(restante, journal, append, service):
    append(*UPDATES)
    restante("ship", "-j", journal, "--url", service.url, "--limit", 2)
    return journal


def put_wrong(journal):
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("UPDATE counters SET entries = 5 WHERE account = 'shipped'")
        connection.execute("UPDATE entries SET attempt = NULL WHERE seq = 2")
    connection.close()


def test_agreeing_accounts_are_counted(restante, shipped):
    ran = restante("audit", "-j", shipped)
    assert (ran.code, ran.out, ran.err) == (0, "Counted 3 entries and 1 attempt: every account agrees.\n", "")


def test_disagreements_are_listed(restante, shipped):
    put_wrong(shipped)
    ran = restante("audit", "-j", shipped)
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.splitlines() == [
        "pending: counted 1, noted -2",
        "shipped: counted 2, noted 5",
        "shipped entries without a request that shipped them: counted 1, noted 0 (first: entry 2)",
        "Counted 3 entries and 1 attempt: 3 disagreements.",
    ]


def test_json_has_the_figures(restante, shipped):
    ran = restante("audit", "--json", "-j", shipped)
    assert (ran.code, ran.json) == (0, {"entries": 3, "attempts": 1, "disagreements": []})
    put_wrong(shipped)
    ran = restante("audit", "--json", "-j", shipped)
    assert ran.code == 1
    assert ran.json["disagreements"][1] == {"account": "shipped", "counted": 2, "noted": 5, "first": None}


def test_missing_journal_is_refused(restante, journal, tmp_path):
    assert restante("audit", "-j", journal).code == 2
    assert list(tmp_path.iterdir()) == []
