"""Numbers without an entry, lost or pruned, told from rows that are given: see also test_salvage_pruned."""

import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from recorder import Journal, JournalDamaged, JournalReader, Recorder, State, audit, salvage
from recorder.journal.opening import new_journal
from recorder.maintenance.salvage.carry import carry_over, settle_accounts
from recorder.maintenance.salvage.scan import Remains
from recorder.maintenance.salvage.sqlite_format import index_rows
from recorder.maintenance.shapes import as_index_row, as_table_row, tables
from simulator import Simulator
from tests.doubles import BOOTED, take_over


def row(table, number, *values):
    """A row of a table as it is found in a page."""
    found = as_table_row(number, [None, *values] if tables()[table].key else list(values))
    assert found.table == table
    return found


def entry(seq, state="shipped", profile="ada", *, lane="people", attempt=1, sends=1, late=0):
    text = f'{{"$distinct_id":"{profile}","$append":{{"n":{seq}}}}}' if profile else "{}"
    return row(
        "entries", seq, lane, None, profile, "$append", text, 1.0, state, attempt, sends, None, 0, late, 0, 0
    )


def folded(number, profile, entries, gone, properties="{}"):
    return row("baseline", number, "people", None, profile, properties, 0, entries, entries, gone, None, None)


def name(number, profile):
    return as_index_row([profile, "people", number])


def cursor(number, lane="people"):
    return row("lanes", 1, lane, number, None, "", None, 0, None, None, "", 0, 0, 0, 0, 0, None)


def attempt(number, first, last, outcome="shipped", *, carried=1, status=200):
    numbers = ("people", 1, first, last, None, carried, 1)
    return row("attempts", number, *numbers, "", 1.0, 2.0, outcome, status, "", 1, carried, None)


def counters(shipped=0, pruned=0):
    both = {state.value: (0, 0) for state in State} | {"shipped": (shipped, pruned)}
    return [row("counters", 1, account, *numbers) for account, numbers in both.items()]


@pytest.fixture
def made(path):
    """Make a journal of rows; its gaps, and what is asked of it."""

    def make(*rows, size=16_000, torn=False):
        new_journal(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            found = carry_over(connection, rows)
            found.torn = torn
            gaps = settle_accounts(connection, found, size=size, now=9.0, uptime=BOOTED)
        audited = audit(path)
        assert audited.agrees, audited.disagreements
        return gaps

    return make


def states(path):
    with JournalReader(path) as reader:
        return {each.seq: each.state.value for each in reversed(reader.entries(limit=10_000))}


def baseline(path):
    with JournalReader(path) as reader:
        return {
            each.profile: (each.properties, each.entries, each.partly_known) for each in reader.baseline()
        }


def test_later_row_of_a_profile_wins(made, path):
    rows = [
        folded(1, "ada", 2, 2, '{"n":2}'),
        folded(4, "ada", 3, 3, '{"n":3}'),
        folded(9, "ada", 1, 1, '{"n":1}'),
    ]
    made(*rows, entry(4), cursor(4), *counters(4, 3))
    assert baseline(path) == {"ada": ({"n": 3}, 3, False)}


@pytest.mark.parametrize("turned", [False, True])
def test_later_row_of_a_number_wins(made, path, turned):
    rows = [folded(1, "ada", 2, 2, '{"n":2}'), folded(1, "ada", 3, 3, '{"n":3}')]
    made(*(reversed(rows) if turned else rows), entry(4), cursor(4), *counters(4, 3))
    assert baseline(path) == {"ada": ({"n": 3}, 3, False)}


@pytest.mark.parametrize("turned", [False, True])
def test_forgotten_entry_stays_forgotten(made, path, turned):
    rows = [entry(1, sends=2), entry(1, "forgotten", None, sends=0)]
    made(*(reversed(rows) if turned else rows))
    with JournalReader(path) as reader:
        (only,) = reader.entries()
    assert (only.state, only.profile, only.message) == (State.FORGOTTEN, None, {})


def test_folded_entry_is_not_kept_twice(made, path):
    """Three were pruned, and one of them is there: its page is older than the baseline."""
    gaps = made(
        *[folded(1, "ada", 3, 3, '{"n":[1,2,3]}'), cursor(5), *counters(5, 3), attempt(1, 1, 5)],
        *[entry(2), entry(4), entry(5)],
    )
    assert (gaps.lost, states(path)) == (0, {4: "shipped", 5: "shipped"})


def test_retried_entry_is_no_folded_copy(made, path):
    gaps = made(
        *[folded(1, "ada", 3, 3), cursor(4), *counters(4, 3), attempt(1, 1, 4)],
        *[entry(1, late=1, attempt=2), entry(4), attempt(2, 1, 4)],
    )
    assert states(path)[1] == "shipped"
    assert (gaps.highest, gaps.lost) == (6, 1)  # the newest is never pruned


def test_number_above_all_lanes_is_lost(made, path):
    gaps = made(folded(1, "ada", 5, 5), cursor(6), *counters(6, 5), entry(6), entry(9, "pending", sends=0))
    assert (gaps.lost, states(path)) == (2, {6: "shipped", 7: "lost", 8: "lost", 9: "in_doubt"})


def test_far_number_reached_is_kept(made, path):
    rows = [folded(1, "ada", 899_999, 899_999), cursor(900_000), *counters(900_000, 899_999), entry(900_000)]
    gaps = made(*rows, size=1_600)
    assert (gaps.lost, states(path)) == (0, {900_000: "shipped"})


def test_lane_alone_keeps_the_next_number(made, path):
    gaps = made(cursor(900_000), attempt(1, 899_900, 900_000), size=1_600)
    assert (gaps.highest, gaps.lost, gaps.perhaps_pruned) == (900_000, 900_000, 899_999)
    assert states(path) == {900_000: "lost"}


def test_missing_lane_leaves_lost_numbers_unnamed(made, path):
    rows = [folded(1, "ada", 5, 5), *counters(6, 5), entry(6), entry(9, "pending", sends=0)]
    other = entry(10, "pending", lane="events", sends=0)
    gaps = made(*rows, cursor(6), other)
    assert (gaps.lost, states(path)) == (2, {6: "shipped", 9: "in_doubt", 10: "in_doubt"})
    with JournalReader(path) as reader:
        assert (reader.counts().lost, reader.counts().pruned) == (2, 7)


def test_number_named_by_index_is_lost(made, path):
    named = as_index_row(["rejected", "people", 3, 3])
    gaps = made(folded(1, "ada", 5, 7), cursor(8), *counters(6, 5), named, entry(8))
    assert (gaps.lost, states(path)) == (2, {3: "lost", 8: "shipped"})


def test_impossible_counters_are_ignored(made, path):
    gaps = made(folded(1, "ada", 2, 2), cursor(5), *counters(900_000, 800_000), entry(5), size=1_600)
    assert (gaps.highest, gaps.lost, gaps.perhaps_pruned, states(path)) == (5, 2, 2, {5: "shipped"})


def test_partial_counters_are_ignored(made, path):
    gaps = made(folded(1, "ada", 2, 2), cursor(5), *counters(5, 2)[:2], entry(5))
    assert (gaps.lost, gaps.perhaps_pruned, states(path)) == (2, 2, {5: "shipped"})


def test_baseline_ends_at_the_highest_number(made, path):
    made(folded(1, "ada", 2, 10**12), cursor(3), *counters(3, 2), entry(3))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT gone FROM baseline").fetchall() == [(3,)]


def test_attempt_far_above_is_deleted(made, path):
    made(cursor(3), *counters(3), *[entry(n) for n in (1, 2, 3)], attempt(1, 1, 3), attempt(2, 4, 10**12))
    with JournalReader(path) as reader:
        assert [each.id for each in reader.attempts()] == [1]


def test_index_without_all_profiles_proves_nothing(made, path):
    gaps = made(folded(1, "ada", 2, 2), folded(2, "bob", 1, 3), name(1, "ada"), name(3, "cal"), cursor(9),
                *counters(9, 5), entry(9, profile="dan"), attempt(1, 1, 9))  # fmt: skip
    assert gaps.profiles_lost is None
    assert baseline(path) == {
        "ada": ({}, 2, False),
        "bob": ({}, 1, False),
        "cal": (None, 0, True),
        "dan": (None, 0, True),
    }


def test_index_without_missing_profiles_proves_nothing(made, path):
    gaps = made(folded(1, "ada", 2, 2), name(1, "ada"), cursor(9), *counters(9, 5), entry(9, profile="dan"))
    assert gaps.profiles_lost is None
    assert baseline(path)["dan"] == (None, 0, True)


def test_complete_index_names_lost_profiles(made, path):
    gaps = made(folded(1, "ada", 2, 2), name(1, "ada"), name(3, "cal"), cursor(9), *counters(9, 5),
                entry(9, profile="dan"), entry(8, "in_doubt", "cal"))  # fmt: skip
    assert gaps.profiles_lost == 1
    assert baseline(path) == {"ada": ({}, 2, False), "cal": (None, 0, True)}
    with closing(sqlite3.connect(path)) as connection:  # it may have gone as far as any
        assert connection.execute("SELECT gone FROM baseline WHERE profile = 'cal'").fetchone() == (8,)
    timeline = Simulator.from_journal(path).timeline("cal")
    assert (timeline.pruned, timeline.at(1).partly_known) == (0, True)
    assert Simulator.from_journal(path).profile("cal").partly_known


def test_index_proves_no_profile_missing(made, path):
    rows = [folded(1, "ada", 2, 2), name(1, "ada"), cursor(9), cursor(9, "events"), *counters(9, 5)]
    gaps = made(*rows, entry(9, profile="dan"))
    assert gaps.profiles_lost == 0
    assert baseline(path) == {"ada": ({}, 2, False)}


def test_torn_log_leaves_profiles_partly_known(made, path):
    gaps = made(folded(1, "ada", 2, 2), name(1, "ada"), name(3, "cal"), cursor(9), *counters(9, 5),
                entry(9, profile="dan"), torn=True)  # fmt: skip
    assert gaps.profiles_lost is None
    assert all(partly for *_, partly in baseline(path).values())


# --- entries that their lane has passed, where a page with entries may be older than the rest


def passed(*numbers, **columns):
    """Entries as they were recorded."""
    return [entry(seq, "pending", attempt=None, sends=0, **columns) for seq in numbers]


WHOLE = [*passed(1, 2, 3, 4), entry(5)]
GAP = [*passed(1, 2), entry(3, "waiting", attempt=None, sends=0), *passed(4), entry(5)]


@pytest.mark.parametrize(
    ("rows", "shipped"),
    [
        ([*WHOLE, attempt(1, 1, 5, carried=5)], (5, 5)),
        ([*passed(1, 2, 4), entry(5), attempt(1, 1, 5, carried=5)], (4, 4)),
        ([*GAP, attempt(1, 1, 5, carried=4)], (4, 4)),
        ([*WHOLE, attempt(1, 1, 5, carried=4)], (1, 1)),  # one of them was set aside
        ([*passed(1, 2, 4), entry(5), attempt(1, 1, 5, carried=4)], (4, 1)),  # one of them may have been
        ([*WHOLE, attempt(1, 1, 5, carried=5, status=400)], (5, 1)),  # it refused some
        ([*WHOLE, attempt(1, 3, 5, carried=3)], (5, 3)),
        ([*WHOLE, attempt(1, 1, 4, "unknown", carried=4)], (5, 1)),
    ],
)
@pytest.mark.parametrize("torn", [False, True])
def test_stale_entry_is_not_shipped(made, path, rows, shipped, torn):
    """If the log was torn, fewer entries are certain to have been shipped."""
    made(*rows, attempt(2, 5, 5), cursor(5), *counters(5), torn=torn)
    found = Counter(states(path).values())
    assert (found["shipped"], found["in_doubt"]) == (shipped[torn], len(rows) - 1 - shipped[torn])


def test_stale_entry_was_folded(made, path):
    """Its page is older than the baseline: it is not sent again."""
    rows = [folded(1, "ada", 3, 3, '{"n":[1,2,3]}'), cursor(5), *counters(5, 3)]
    gaps = made(*rows, *passed(2, 4), entry(5), torn=True)
    assert (gaps.lost, states(path)) == (0, {4: "in_doubt", 5: "shipped"})


def test_negative_sends_count_as_none(made, path):
    made(entry(1, "pending", attempt=None, sends=-1))
    with JournalReader(path) as reader:
        assert reader.entry(1).sends == 1


def test_absurd_epoch_can_be_counted_on(made, path):
    made(entry(1), row("shipper", 1, 2**63 - 1, None, None, None, "hold", *[None] * 6))
    with Journal(path) as journal:
        assert take_over(journal) == 2**62 + 2


# --- what the pages say


def test_long_index_names_span_pages(path):
    names = ["x" * length for length in (900, 1_000, 1_020, 1_100, 4_060, 4_090, 9_000)]
    with Recorder("T", path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for each in names:
            connection.execute("INSERT INTO baseline (lane, profile) VALUES ('people', ?)", (each,))
        for each in range(400):  # the index has branches
            connection.execute(
                "INSERT INTO baseline (lane, profile) VALUES ('people', ?)", (f"visitor-{each:030}",)
            )
    with Remains(path) as remains:
        found = [row.values["profile"] for row in remains.rows() if row.table == "baseline names"]
    assert len(found) == len(names) + 400
    assert set(found) >= set(names)
    assert list(index_rows(b"", 4_096, lambda _: None)) == []


def test_senseless_counters_are_not_read(path):
    """More pruned than there were: the others of the page are there, and the whole of them is not believed."""
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"a": 1})
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE counters SET entries = 1, pruned = 7 WHERE account = 'shipped'")
    with Remains(path) as remains:
        found = {row.values["account"] for row in remains.rows() if row.table == "counters"}
    assert "shipped" not in found
    assert "discarded" in found


def test_senseless_baseline_is_damage(path):
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"a": 1})
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO baseline (lane, profile, properties) VALUES ('people', 'bob', '{')")
    with JournalReader(path) as reader:
        for read in (lambda: list(reader.baseline()), lambda: reader.baseline_of("bob")):
            with pytest.raises(JournalDamaged):
                read()
    assert salvage(path).recorded == 1
    assert audit(path).agrees
