"""An accepted range is settled by its attempt and its lane's cursor: its rows are not written."""

import sqlite3
from contextlib import closing

import pytest

from recorder import Journal, JournalReader, Lane, Recorder, Shipper, ShippingPolicy, audit, salvage
from recorder.journal.lanes import Failure
from recorder.journal.uptime import AT_ONCE
from recorder.model.entries import AttemptOutcome
from simulator import Simulator
from tests.doubles import BOOTED, RESET, Scripted, claim, take_over


def states(path):
    """State, attempt and sends of each entry, as they are read."""
    with JournalReader(path) as reader:
        return {entry.seq: (entry.state.value, entry.attempt, entry.sends) for entry in reader.stream()}


def written(path):
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT seq, state FROM entries WHERE state <> 'pending'").fetchall())


def change(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def profiles(path):
    shipped = Simulator.from_journal(path, shipped_only=True).profiles
    return {name: dict(profile) for name, profile in shipped.items()}


def disagreements(path):
    return [str(each) for each in audit(path).disagreements]


@pytest.fixture
def shipped(path):
    """Entries 1 to 12 shipped by three ranges of four, and 13 to 15 pending; each appends to a list."""
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        for n in range(1, 16):
            recorder.people_append(f"p{n % 3}", {"n": n})
        Shipper(journal, Scripted(), ShippingPolicy(batch_updates=4)).ship(limit=12)
    return path


def test_accepted_range_writes_its_last_row(shipped):
    assert written(shipped) == {4: "shipped", 8: "shipped", 12: "shipped"}
    ranges = {n: ("shipped", 1 + (n - 1) // 4, 1) for n in range(1, 13)}
    assert states(shipped) == ranges | dict.fromkeys((13, 14, 15), ("pending", None, 0))
    assert disagreements(shipped) == []


def test_reading_finds_unwritten_rows(shipped):
    with JournalReader(shipped) as reader:
        assert [entry.seq for entry in reader.entries("state=shipped")] == list(range(12, 0, -1))
        assert [entry.seq for entry in reader.entries("state=pending")] == [15, 14, 13]
        assert (reader.carried_by(2), reader.count("state=shipped")) == ([5, 6, 7, 8], 12)
        assert [attempt.id for attempt in reader.attempts(6)] == [2]
        assert [seq for seq, _ in reader.history_of("p0", shipped_only=True)[1]] == [3, 6, 9, 12]


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        (
            "DELETE FROM attempts WHERE id = 2",
            "entries that their lane has passed, in no accepted range: counted 3, noted 0 (first: entry 5)",
        ),
        (
            "UPDATE attempts SET first = 6 WHERE id = 2",
            "entries that their lane has passed, in no accepted range: counted 1, noted 0 (first: entry 5)",
        ),
        (
            "UPDATE attempts SET outcome = 'offline' WHERE id = 2",
            "entries that their lane has passed, in no accepted range: counted 3, noted 0 (first: entry 5)",
        ),
        (
            "UPDATE attempts SET first = 3 WHERE id = 2",
            "entries in two accepted ranges: counted 1, noted 0 (first: entry 3)",
        ),
        (
            "UPDATE attempts SET last = 6 WHERE id = 1",
            "entries in two accepted ranges: counted 2, noted 0 (first: entry 5)",
        ),
    ],
)
def test_audit_names_wrong_ranges(shipped, statement, wrong):
    change(shipped, statement)
    assert wrong in disagreements(shipped)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE lanes SET cursor = 3",
        "UPDATE lanes SET cursor = 14",
        "DELETE FROM lanes",
        "DELETE FROM attempts WHERE id >= 2",
        "UPDATE attempts SET last = 15 WHERE id = 3",
        "UPDATE entries SET state = 'pending', attempt = NULL, sends = 0 WHERE seq = 12",
        "UPDATE entries SET state = 'shipped', attempt = 3, sends = 1 WHERE seq = 14",
    ],
)
def test_salvage_believes_two_of_three(shipped, statement):
    """The cursor, the ranges, or the rows that were written: one of them is damaged."""
    before = profiles(shipped)
    change(shipped, statement, "UPDATE counters SET entries = 99 WHERE account = 'shipped'")
    unsent = {13, 15} if "seq = 14" in statement else {13, 14, 15}
    assert salvage(shipped).states["in_doubt"] == len(unsent)
    assert {seq for seq, (state, _, _) in states(shipped).items() if state == "in_doubt"} == unsent
    assert disagreements(shipped) == []
    if unsent == {13, 14, 15}:
        assert profiles(shipped) == before


def test_forgotten_row_keeps_its_figures(shipped):
    with Journal(shipped) as journal:
        journal.forget("p2")  # among them 2 and 5, of the first two ranges, and 8, a last row
        assert journal.statistics(0.0).adds_up
    found = states(shipped)
    assert [found[seq] for seq in (2, 5, 8)] == [
        ("forgotten", 1, 1),
        ("forgotten", 2, 1),
        ("forgotten", 2, 1),
    ]
    assert disagreements(shipped) == []


def test_deletion_in_range_is_erased(path):
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        recorder.people_set("ada", {"a": 1})
        journal.forget("ada", delete_remote=True)
        recorder.people_set("bob", {"a": 1})
        Shipper(journal, Scripted()).ship()
    assert [state for state, *_ in states(path).values()] == ["forgotten", "forgotten", "shipped"]
    assert disagreements(path) == []


def test_pruning_writes_what_stays(path):
    """Of a range whose last row goes, the highest one that stays tells how far its lane came."""
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        for n in range(1, 9):
            recorder.people_append("held" if n in {2, 3} else "ada", {"n": n})
        policy = ShippingPolicy(batch_updates=4, in_doubt="hold", settle_after=0)
        Shipper(journal, Scripted(), policy).ship()
        recorder.people_append("held", {"n": 9})
        recorder.people_set("bob", {"n": 10})
        Shipper(journal, Scripted(RESET), policy).ship()
        Shipper(journal, Scripted(), policy).ship()
        before = profiles(path)
    with Journal(path, keep_shipped_entries=0) as journal:
        journal.prune()
    assert [seq for seq, state in written(path).items() if state == "shipped"] == [3, 10]
    assert states(path)[2] == ("shipped", 1, 1)
    assert (profiles(path), disagreements(path)) == (before, [])
    change(path, "DELETE FROM attempts WHERE id = 1", "DELETE FROM lanes")
    salvage(path)
    assert profiles(path)["held"] == before["held"]


def test_open_range_is_not_shipped(shipped):
    with Journal(shipped) as journal:
        claim(journal, take_over(journal), updates=2)
        found = states(shipped)
        assert [found[seq][0] for seq in (12, 13, 14, 15)] == ["shipped", "sending", "sending", "pending"]
        assert disagreements(shipped) == []
        journal.claims.settle_abandoned(2.0, BOOTED)
    found = states(shipped)
    assert [found[seq][0] for seq in (12, 13, 14, 15)] == ["shipped", "in_doubt", "in_doubt", "pending"]
    assert written(shipped).keys() == {4, 8, 12, 13, 14}
    assert disagreements(shipped) == []


def test_damaged_shipped_row_stays_shipped(shipped):
    change(shipped, "UPDATE entries SET message = '{' WHERE seq IN (6, 13)")
    with Journal(shipped) as journal:
        Shipper(journal, Scripted()).ship()
    assert (written(shipped).get(6), written(shipped)[13]) == (None, "rejected")


def test_open_range_stays_the_newest(shipped):
    """A request that could not be settled is not hidden by a later try that found no connection."""
    with Journal(shipped) as journal:
        epoch = take_over(journal)
        claim(journal, epoch, updates=2)
        failure = Failure(AttemptOutcome.OFFLINE, "no route", 1, 2.0, AT_ONCE)
        journal.claims.unreachable(Lane.PEOPLE, epoch, failure)
        claim(journal, epoch, policy=ShippingPolicy(settle_after=60))
    found = states(shipped)
    assert [found[seq][0] for seq in (13, 14, 15)] == ["in_doubt", "in_doubt", "sending"]
    assert disagreements(shipped) == []
