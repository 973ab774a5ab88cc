"""Pages by number in both directions, counts, and what holds a profile: for screens."""

import itertools
import threading

import pytest

from recorder import JournalReader, State
from recorder.journal import accounts, entries
from recorder.model.errors import JournalClosed
from recorder.model.filters import where
from recorder.reading import pages, statements
from tests.profiles import sampled


@pytest.fixture
def reader(journal, path):  # noqa: ARG001  # there is one
    with JournalReader(path) as opened:
        yield opened


@pytest.fixture
def filled(recorder):
    """Sixty entries, of which 10, 20, 30 … are rejected, 7, 17, 27 … discarded."""
    for number in range(1, 61):
        verb = recorder.people_increment if number % 2 else recorder.people_set
        verb(f"p{number % 3}", {"visits": number})
    with recorder.journal._connection.transaction() as connection:
        connection.execute("UPDATE entries SET state = 'rejected' WHERE seq % 10 = 0")
        connection.execute("UPDATE entries SET state = 'discarded' WHERE seq % 10 = 7")


def numbers(entries):
    return [entry.seq for entry in entries]


def walked(step, start, limit):
    """All pages of a direction, one after another."""
    found, at = [], start
    while page := numbers(step(at, limit)):
        assert len(page) <= limit
        found += page
        at = page[-1]
    return found


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "words",
    sampled(
        [
            "",
            "profile=p1 op!=add",
            "op=add",
            "state=rejected op=set",
            "visits",
            "seq=20..40",
            "seq=50..90",
            "seq=61..",
            "op=$nobody",
        ],
        3,
    ),
)
@pytest.mark.parametrize(
    "states", [(), (State.REJECTED,), (State.PENDING,), (State.REJECTED, State.DISCARDED)]
)
@pytest.mark.parametrize("slices", [3, 20_000])
def test_pages_cover_matches_in_both_directions(  # fixtures and cases
    reader, monkeypatch, words, states, slices
):
    monkeypatch.setattr(pages, "_SLICE", slices)
    monkeypatch.setattr(pages, "_CHOSEN", slices)
    condition = where(words, now=0.0)
    rows = reader._all(
        f"SELECT seq, state FROM entries_with_state WHERE {condition.sql} ORDER BY seq DESC",
        condition.parameters,
    )
    expected = [seq for seq, state in rows if not states or state in states]
    older = walked(lambda at, limit: reader.older(words, than=at, limit=limit, states=states), None, 4)
    newer = walked(lambda at, limit: reader.newer(words, than=at, limit=limit, states=states), 0, 4)
    assert (older, newer) == (expected, expected[::-1])
    assert reader.tally(words, states=states) == len(expected)
    runs = list(reader.runs(words, states=states))
    assert [seq for first, last in runs for seq in range(first, last + 1)] == expected[::-1]


def test_empty_journal_has_empty_pages(reader):
    assert (reader.older(), reader.newer(than=0), reader.tally("op=add")) == ([], [], 0)


@pytest.mark.usefixtures("filled")
def test_caller_can_stop_a_search(reader, monkeypatch):
    monkeypatch.setattr(pages, "_SLICE", 10)
    asked = itertools.count()
    stop = lambda: next(asked) >= 2  # noqa: E731
    assert numbers(reader.older("op=add", stop=stop)) == [59, 57, 55, 53, 51, 49, 47, 45, 43, 41]
    assert reader.tally("op=add", stop=lambda: True) is None


@pytest.mark.usefixtures("filled")
def test_set_aside_numbers_come_from_index(reader):
    """At a million entries a scan for the next rejected one would be felt at each key."""
    one = statements.numbers_set_aside("DESC", "<")
    plan = reader._all(f"EXPLAIN QUERY PLAN {one}", ("rejected", "people", 2**62, 10))
    assert any("USING COVERING INDEX entries_set_aside" in row[-1] for row in plan), plan
    assert not any("TEMP B-TREE" in row[-1] or row[-1].startswith("SCAN entries") for row in plan), plan


@pytest.mark.usefixtures("filled")
def test_named_state_comes_from_index(reader, monkeypatch):
    monkeypatch.setattr(pages, "_SLICE", 1)
    asked = itertools.count()
    assert reader.tally("op=set state=rejected", stop=lambda: next(asked) > 1) == 6


@pytest.mark.usefixtures("filled")
def test_decisions_find_states_by_index(journal):
    run = []
    with journal._connection.reading() as connection:
        connection.set_trace_callback(run.append)
        assert entries.matching(connection, where("op=set state=rejected", now=0.0)) == [
            10,
            20,
            30,
            40,
            50,
            60,
        ]
        connection.set_trace_callback(None)
        plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {run[0]}").fetchall()]
    assert any("INDEX entries_set_aside" in step for step in plan), plan
    assert not any(step.startswith("SCAN entries") for step in plan), plan


@pytest.mark.usefixtures("filled")
def test_unfiltered_page_reads_its_own_numbers(reader):
    sql = statements.entries(statements.IN_SLICE, "DESC")
    plan = reader._all(f"EXPLAIN QUERY PLAN {sql}", (1, 60, 10))
    assert any("SEARCH entries USING INTEGER PRIMARY KEY" in row[-1] for row in plan), plan
    ends = reader._all(f"EXPLAIN QUERY PLAN {statements.ENDS}")
    assert not any(row[-1].startswith("SCAN entries") for row in ends), ends


@pytest.mark.usefixtures("filled")
def test_hold_names_its_cause(reader, recorder):
    entry = reader.entry(1)
    assert reader.hold(entry) is None
    with recorder.journal._connection.transaction() as connection:
        connection.execute(
            "INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)"
            " VALUES ('people', NULL, 'p1', 'hold', 1, '', 0, 0)"
        )
    hold = reader.hold(reader.entry(4))
    assert (hold.behind, hold.by_person, hold.until) == (1, True, None)
    assert reader.hold(reader.entry(2)) is None


@pytest.mark.usefixtures("filled")
def test_attempts_of_entry_in_ranges(reader, recorder):
    with recorder.journal._connection.transaction() as connection:
        for first, last, picked, words in (
            (1, 20, None, "first"),
            (10, 50, "[10, 50]", "picked"),
            (21, 30, None, "other"),
        ):
            connection.execute(
                "INSERT INTO attempts (lane, epoch, first, last, picked, entries, updates, bytes, digest,"
                " started_at, words, times)"
                " VALUES ('people', 1, ?, ?, ?, ?, 1, 1, '', 0, ?, 1)",
                (first, last, picked, 2 if picked else last - first + 1, words),
            )
    assert [attempt.words for attempt in reader.attempts(10)] == ["first", "picked"]
    assert [attempt.words for attempt in reader.attempts(11)] == ["first"]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM accounts",
        "SELECT entries FROM accounts WHERE account IN ('pending', 'sending')",
        accounts._UNSENT,
        "SELECT * FROM entries_with_state WHERE seq BETWEEN 1 AND 9",
    ],
)
def test_accounts_and_pages_scan_nothing(reader, sql):
    """Whoever looks four times a second would feel a tenth of a second for each million."""
    plan = reader._all(f"EXPLAIN QUERY PLAN {sql}")
    assert not any(row[-1].startswith("SCAN entries") for row in plan), plan


def test_close_interrupts_a_read(reader):
    """A screen that closes the journal waits for no search."""
    begun, ended = threading.Event(), []

    def read():
        with pytest.raises(JournalClosed) as raised:
            reader._all(
                "WITH RECURSIVE n(i) AS (SELECT begun() UNION ALL SELECT i + 1 FROM n LIMIT 500000000)"
                " SELECT count(*) FROM n"
            )
        ended.append(raised.value)

    reader._connection.create_function("begun", 0, begun.set)
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert begun.wait(30)
    reader.close()
    thread.join(30)
    assert len(ended) == 1
