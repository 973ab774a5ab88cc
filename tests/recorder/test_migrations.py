"""Journals of every schema that was ever written are brought up to date, and nothing in them is lost."""

import sqlite3
from pathlib import Path

import pytest

from recorder import Journal, JournalError, JournalReader, Recorder, Shipper, ShippingPolicy
from recorder.schema import SCHEMA_VERSION
from simulator import Simulator
from tests.doubles import Scripted


@pytest.fixture
def first(path):
    """A journal of schema 1: one entry shipped, one in doubt, one rejected, one pending."""
    connection = sqlite3.connect(path)
    connection.executescript(Path(__file__).with_name("schema_1.sql").read_text(encoding="utf-8"))
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


def test_a_migrated_journal_has_the_tables_of_a_new_one(first, tmp_path):
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
