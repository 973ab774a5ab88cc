"""Whose entries, and what went wrong with which words: for screens."""

import itertools
from collections import Counter
from dataclasses import astuple

import pytest

from recorder import JournalReader, Lane, Shipper, ShippingPolicy, State
from recorder.model.entries import AttemptOutcome, NewEntry
from recorder.model.reports import ProfileCount
from recorder.reading import attempts, entries, statements
from recorder.shipping.verdicts import Answer
from tests.doubles import ACCEPTED, REFUSED, RESET, UNREACHABLE, URL, Boot, Scripted

NUMERIC = "$add: value is not numeric"
ONE_BY_ONE = ShippingPolicy(batch_updates=1)
GONE = Answer(left=True, url=URL, status=400, body=b'{"status": 0, "error": "gone"}')


@pytest.fixture
def reader(journal, path):  # noqa: ARG001  # there is one
    with JournalReader(path) as opened:
        yield opened


def ship(journal, *answers):
    """One by one, each request at its own second: 100, 101 …"""
    clock = itertools.count(100.0)
    return Shipper(
        journal, Scripted(*answers), ONE_BY_ONE, clock=lambda: next(clock), uptime=Boot(), chance=lambda: 0.5
    ).ship()


def test_failures_are_grouped_largest_first(recorder, journal, reader):
    for number in range(6):
        recorder.people_increment(f"p{number}", {"visits": 1})
    recorder.group_set("company", "acme", {"plan": "pro"})
    ship(journal, REFUSED, REFUSED, GONE, ACCEPTED, REFUSED, RESET)
    groups = reader.failures()
    told = [
        (group.state, group.status, group.words, group.entries, group.first, group.last) for group in groups
    ]
    assert [group[:4] for group in told] == [
        (State.REJECTED, 400, NUMERIC, 3),
        (State.REJECTED, 400, "gone", 1),
        (State.IN_DOUBT, None, "the connection was reset", 1),
    ]
    assert sum(group.entries for group in groups) == reader.counts().rejected + reader.counts().in_doubt
    assert all(group.first_at <= group.last_at for group in groups)
    assert groups[0].first < groups[0].last


def test_early_rejection_counts_from_its_recording(journal, reader):
    from recorder.model.entries import NewEntry

    row = NewEntry("people", None, None, None, "{}", 50.0, "rejected", "message: has no $distinct_id")
    journal.append([row])
    (group,) = reader.failures()
    assert (group.words, group.status, group.first_at, group.last_at) == (row.reason, None, 50.0, 50.0)


@pytest.mark.parametrize("size", [1, 2, 3, 20_000])
def test_slice_size_does_not_change_groups(recorder, journal, reader, monkeypatch, size):
    for number in range(7):
        recorder.people_increment(f"p{number}", {"visits": 1})
    ship(journal, REFUSED, GONE, REFUSED, GONE, REFUSED, UNREACHABLE)
    failures, failed = reader.failures(), reader.failed_attempts()
    monkeypatch.setattr(attempts, "_SLICE", size)
    assert (reader.failures(), reader.failed_attempts()) == (failures, failed)
    assert [group.entries for group in failures] == [3, 2]


def test_many_different_texts_become_one_group(recorder, journal, reader, monkeypatch):
    monkeypatch.setattr(attempts, "_MOST_GROUPS", 2)
    for number in range(5):
        recorder.people_increment(f"p{number}", {"visits": 1})
    ship(
        journal,
        *(
            Answer(left=True, url=URL, status=400, body=b'{"status": 0, "error": "no %d"}' % number)
            for number in range(5)
        ),
    )
    groups = reader.failures()
    assert sum(group.entries for group in groups) == 5
    assert [group.words for group in groups] == ["other words", "no 0", "no 1"]


def test_failed_attempts_are_grouped(recorder, journal, reader):
    for number in range(3):
        recorder.people_increment(f"p{number}", {"visits": 1})
    ship(journal, ACCEPTED, REFUSED, UNREACHABLE)
    groups = reader.failed_attempts()
    assert [(group.lane, group.outcome, group.words, group.attempts) for group in groups] == [
        (Lane.PEOPLE, AttemptOutcome.OFFLINE, "connection refused", 1),
        (Lane.PEOPLE, AttemptOutcome.REFUSED, NUMERIC, 1),
    ]
    ship(journal, UNREACHABLE)
    assert {group.outcome: group.attempts for group in reader.failed_attempts()}[AttemptOutcome.OFFLINE] == 2


def test_caller_can_stop_the_grouping(recorder, journal, reader):
    recorder.people_increment("ada", {"visits": 1})
    ship(journal, REFUSED)
    assert reader.failures(stop=lambda: True) == []
    assert reader.failed_attempts(stop=lambda: True) == []


def test_empty_journal_has_no_failures(reader):
    assert (reader.failures(), reader.failed_attempts(), reader.highest()) == ([], [], 0)
    assert (reader.profile_counts(1, 100), reader.numbers_of("ada"), reader.rows_of([1])) == ([], [], [])


def test_failures_come_from_the_index(recorder, reader):
    """At a million shipped entries a scan for three rejected ones would be felt at each change."""
    recorder.people_set("ada", {"a": 1})
    plan = reader._all(f"EXPLAIN QUERY PLAN {statements.FAILURES}", ("rejected", "people", 0, 100))
    assert any("USING INDEX entries_set_aside" in row[-1] for row in plan), plan
    assert not any(row[-1].startswith("SCAN entries") for row in plan), plan


# --- whose entries


def test_profile_counts_separate_users_from_groups(recorder, reader):
    recorder.people_set("acme", {"a": 1})
    recorder.group_set("company", "acme", {"a": 1})
    recorder.people_set("acme", {"a": 2})
    recorder.group_set("city", "acme", {"a": 1})
    found = {astuple(count) for count in reader.profile_counts(1, 4)}
    assert found == {("acme", None, 2, 3), ("acme", "company", 1, 2), ("acme", "city", 1, 4)}
    assert reader.profile_counts(4, 9) == [
        ProfileCount(profile="acme", group_key="city", entries=1, latest=4)
    ]


def test_events_belong_to_no_profile(journal, reader):
    journal.append(
        [
            NewEntry("events", None, "ada", None, "{}", 1.0),
            NewEntry("people", None, None, None, "{}", 1.0, "rejected", "has no $distinct_id"),
        ]
    )
    assert reader.profile_counts(1, 2) == []


@pytest.mark.parametrize("size", [1, 3, 20_000])
def test_numbers_of_profile_in_any_state(recorder, journal, reader, monkeypatch, size):
    monkeypatch.setattr(entries, "_NUMBERS", size)
    for number in range(1, 8):
        recorder.people_increment("ada" if number % 2 else "bob", {"visits": 1})
    ship(journal, REFUSED, ACCEPTED, RESET)
    recorder.group_set("company", "ada", {"a": 1})
    assert reader.numbers_of("ada") == [1, 3, 5, 7]
    assert reader.numbers_of("ada", after=3) == [5, 7]
    assert reader.numbers_of("ada", "company") == [8]
    assert reader.numbers_of("ada", stop=lambda: True) == []
    assert [row.seq for row in reader.rows_of(reader.numbers_of("ada"))] == [1, 3, 5, 7]
    assert [row.state for row in reader.rows_of([2, 1])] == [State.REJECTED, State.SHIPPED]


def states_by_profile(reader, pending):
    found = Counter()
    for page in reader.profile_states(pending):
        for one in page:
            found[one.profile, one.group_key, one.state] += one.entries
    return found


def test_states_are_counted_for_each_profile(recorder, journal, reader):
    """Of a journal that was shipped in part: as its entries stand, and what has no profile is none of it."""
    for number in range(6):
        recorder.people_increment(f"p{number % 2}", {"visits": 1})
    recorder.group_set("company", "p0", {"plan": "pro"})
    ship(journal, REFUSED, REFUSED, ACCEPTED, RESET)
    journal.append(
        [
            NewEntry("events", None, "p0", None, "{}", 1.0),
            NewEntry("people", None, None, None, "{}", 1.0, "rejected", "has no $distinct_id"),
        ]
    )
    wanted = Counter(
        (entry.profile, entry.group_key, entry.state)
        for entry in reader.entries()
        if entry.state in {State.PENDING, State.IN_DOUBT, State.REJECTED, State.WAITING}
        and entry.lane != Lane.EVENTS
        and entry.profile is not None
    )
    assert len({state for *_, state in wanted}) > 2
    assert states_by_profile(reader, reader.counts().pending) == wanted


def test_pending_search_ends_with_last(recorder, journal, reader, monkeypatch):
    """Of a million entries that were shipped, none is looked at."""
    monkeypatch.setattr(entries, "_NUMBERS", 10)
    monkeypatch.setattr(entries, "_COUNTED", 2)
    for number in range(100):
        recorder.people_set(f"p{number}", {"a": 1})
    ship(journal, *[REFUSED] * 5, *[ACCEPTED] * 92)
    recorder.people_set("new", {"a": 1})
    pages = list(reader.profile_states(reader.counts().pending))
    assert [len(page) for page in pages] == [2, 2, 1, 1]
    assert list(reader.profile_states(1, stop=lambda: True)) == pages[:3]


def test_state_counts_come_from_index(recorder, reader):
    recorder.people_set("ada", {"a": 1})
    plan = reader._all(f"EXPLAIN QUERY PLAN {statements.SET_ASIDE_COUNTS}", ("rejected", "people", 0, 100))
    assert any("USING INDEX entries_set_aside" in row[-1] for row in plan), plan
    plan = reader._all(f"EXPLAIN QUERY PLAN {statements.PENDING_COUNTS}", (1, 100))
    assert not any(row[-1] == "SCAN entries" for row in plan), plan
