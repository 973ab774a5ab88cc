"""Journals of every schema that was ever written are brought up to date, and nothing in them is lost."""

import sqlite3
from pathlib import Path

import pytest

from recorder import Journal, JournalError, JournalReader, Recorder, Shipper, ShippingPolicy, audit
from recorder.journal.schema import SCHEMA_VERSION
from simulator import Simulator
from tests.doubles import Scripted


@pytest.fixture
def first(path):
    """A journal of schema 1: one entry shipped, one in doubt, one rejected, one pending."""
    return made(path, "schema_1.sql")


def made(path, schema):
    connection = sqlite3.connect(path)
    connection.executescript(Path(__file__).with_name(schema).read_text(encoding="utf-8"))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return path


def test_a_journal_of_the_first_schema_is_brought_up_to_date_whole(first):
    with Recorder("T", first) as recorder:
        counts = recorder.statistics()
        assert (counts.shipped, counts.in_doubt, counts.rejected, counts.pending) == (1, 1, 1, 1)
        assert counts.adds_up
        recorder.people_set("bob", {"b": 2})
    with JournalReader(first) as reader:
        assert [entry.state.value for entry in reader.entries()] == [
            *("pending", "pending", "rejected", "in_doubt", "shipped")
        ]
    with sqlite3.connect(first) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert dict(Simulator.from_journal(first).profile("ada")) == {"plan": "pro", "visits": 1}


@pytest.fixture
def second(path):
    """A journal of schema 2: one shipped, one in doubt and settling, one rejected, one discarded, two pending."""
    return made(path, "schema_2.sql")


def test_a_journal_of_the_second_schema_is_brought_up_to_date_whole(second):
    with Recorder("T", second) as recorder:
        counts = recorder.statistics()
        assert (counts.shipped, counts.in_doubt, counts.rejected, counts.discarded) == (1, 1, 1, 1)
        assert (counts.pending, counts.pruned, counts.adds_up) == (2, 0, True)
        assert recorder.journal.prune(all_shipped=True).entries == 0  # ada has something in doubt
        recorder.journal.retry("state=in_doubt")
        Shipper(recorder.journal, Scripted()).ship()
        recorder.people_set("bob", {"b": 2})
        recorder.journal.prune(all_shipped=True)
        assert recorder.statistics().pruned == 5
    assert audit(second).agrees
    assert dict(Simulator.from_journal(second).profile("ada")) == {"plan": "pro", "visits": 1, "later": True}


@pytest.fixture
def third(path):
    """A journal of schema 3: three folded, one shipped, rejected, in doubt and held, discarded, two pending."""
    return made(path, "schema_3.sql")


def test_a_journal_of_the_third_schema_is_brought_up_to_date_whole(third):
    with Recorder("T", third) as recorder:
        counts = recorder.statistics()
        assert (counts.shipped, counts.in_doubt, counts.rejected, counts.discarded) == (4, 1, 1, 1)
        assert (counts.pending, counts.pruned, counts.adds_up) == (2, 3, True)
        assert dict(Simulator.from_journal(third).profile("ada")) == {
            "plan": "pro",
            "visits": 1,
            "later": True,
        }
        assert recorder.journal.forget("ada").entries == 1
        recorder.people_set("bob", {"b": 2})
    assert audit(third).agrees
    assert "ada" not in Simulator.from_journal(third).profiles


@pytest.mark.parametrize(
    ("policy", "state"), [("resend", "shipped"), ("hold", "in_doubt"), ("drop", "discarded")]
)
def test_what_it_left_in_doubt_follows_the_policy(first, policy, state):
    with Journal(first) as journal:
        Shipper(journal, Scripted(), ShippingPolicy(in_doubt=policy)).ship()
        with JournalReader(first) as reader:
            assert reader.entry(2).state == state
            assert reader.entry(2).possibly_twice is (policy == "resend")
            assert reader.counts().adds_up


def test_a_reader_migrates_nothing_and_says_so(first):
    with pytest.raises(JournalError, match="older restante") as caught:
        JournalReader(first)
    assert caught.value.hint


@pytest.mark.parametrize("schema", ["schema_1.sql", "schema_2.sql", "schema_3.sql"])
def test_a_migrated_journal_has_the_tables_of_a_new_one(path, tmp_path, schema):
    first = made(path, schema)
    Journal(first).close()
    Journal(tmp_path / "new.db").close()

    def columns(path):
        with sqlite3.connect(path) as connection:
            names = connection.execute(
                "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view', 'index')"
            )
            return {
                name: connection.execute(f"PRAGMA table_xinfo({name!r})").fetchall()
                for (name,) in names.fetchall()
            }

    assert columns(first) == columns(tmp_path / "new.db")
