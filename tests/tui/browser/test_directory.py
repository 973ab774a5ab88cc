"""The ids of all profiles: collected a slice at a time, paged by key, searched, and kept up with."""

import math
import random
from collections import Counter

import pytest

from recorder import JournalReader, State
from recorder.model.reports import ProfileCount, ProfileState
from tests.tui.browser.harness import NOW
from tui.browser import gateway_profiles as room
from tui.browser.directory import ORDERS, STATES, Directory
from tui.browser.gateway_profiles import ProfilesGateway


@pytest.fixture
def directory():
    opened = Directory()
    yield opened
    opened.close()


@pytest.fixture
def gateway(stage):
    stage.record()
    opened = ProfilesGateway(stage.path, clock=lambda: NOW)
    yield opened
    opened.close()


def count(profile, latest, entries=1, group_key=None):
    return ProfileCount(profile=profile, group_key=group_key, entries=entries, latest=latest)


def ids(page):
    return [row.profile for row in page.rows]


def collected(gateway):
    steps = 1
    while not gateway.collect().complete:
        steps += 1
    return steps


@pytest.mark.parametrize("size", [1, 7, 20_000])
def test_each_profile_is_listed_once(stage, gateway, monkeypatch, size):
    monkeypatch.setattr(room, "_SLICE", size)
    choose = random.Random(7)
    whose = [choose.choice(["a", "b", "c", "d"]) for _ in range(40)]
    stage.record(*({"$distinct_id": each, "$set": {"n": 1}} for each in whose))
    stage.record({"$group_key": "company", "$group_id": "a", "$set": {"n": 1}})
    collected(gateway)
    page = gateway.page(None, limit=100)
    assert {(row.profile, row.group_key): row.entries for row in page.rows} == {
        **{(each, None): whose.count(each) for each in set(whose)},
        ("a", "company"): 1,
    }
    latest = {each: 40 - whose[::-1].index(each) for each in set(whose)}
    assert ids(page) == ["a", *sorted(latest, key=latest.get, reverse=True)]
    assert (page.known, page.matching, page.more_above, page.more_below) == (len(page.rows),) * 2 + (
        False,
        False,
    )


def test_first_slice_lists_newest_profiles(stage, gateway, monkeypatch):
    monkeypatch.setattr(room, "_SLICE", 10)
    stage.record(*({"$distinct_id": f"p{n}", "$set": {"n": 1}} for n in range(100)))
    first = gateway.collect()
    assert (first.looked_at, first.recorded, first.complete) == (10, 100, False)
    assert ids(gateway.page(None, limit=3)) == ["p99", "p98", "p97"]


@pytest.mark.parametrize("size", [2, 20_000])
def test_complete_list_reads_new_entries(stage, gateway, monkeypatch, size):
    stage.record(*({"$distinct_id": f"p{n}", "$set": {"n": 1}} for n in range(20)))
    collected(gateway)
    assert gateway.collect().revision == gateway.collect().revision
    monkeypatch.setattr(room, "_SLICE", size)
    stage.record(
        {"$distinct_id": "p3", "$set": {"n": 2}},
        {"$distinct_id": "new", "$set": {"n": 2}},
        {"$distinct_id": "p3", "$set": {"n": 3}},
    )
    assert collected(gateway) == (2 if size == 2 else 1)
    page = gateway.page(None, limit=3)
    assert [(row.profile, row.entries, row.latest) for row in page.rows[:2]] == [
        ("p3", 3, 23),
        ("new", 1, 22),
    ]
    assert ids(gateway.page(("p3", None), limit=1)) == ["p3"]
    assert ids(gateway.page(("p3", "company"), limit=1)) == ["p3"]


def test_new_entries_are_collected_first(stage, gateway, monkeypatch):
    monkeypatch.setattr(room, "_SLICE", 5)
    stage.record(*({"$distinct_id": f"p{n}", "$set": {"n": 1}} for n in range(20)))
    gateway.collect()
    stage.record({"$distinct_id": "p0", "$set": {"n": 2}})
    gateway.collect()
    assert ids(gateway.page(None, limit=10))[0] == "p0"
    collected(gateway)
    assert gateway.page(None, limit=1).rows[0][2:4] == (2, 21)


def test_page_lies_around_a_profile(directory):
    directory.add([count(f"p{n:02}", n) for n in range(1, 31)], newer=False)
    page = directory.around(directory.find("p15", None), limit=3)
    assert ids(page) == ["p18", "p17", "p16", "p15", "p14", "p13"]
    assert (page.more_above, page.more_below) == (True, True)
    top = directory.around(None, limit=3)
    assert (ids(top), top.more_above, top.more_below) == (["p30", "p29", "p28"], False, True)
    end = directory.around(None, limit=3, last=True)
    assert (ids(end), end.more_above, end.more_below) == (["p03", "p02", "p01"], True, False)
    assert directory.around(directory.find("p01", None), limit=50).more_below is False


def test_search_ignores_case(directory):
    directory.add(
        [count("Ada@ex.org", 1), count("bob", 2), count("acme", 3, group_key="Company"), count("100%_a", 4)],
        newer=False,
    )
    assert ids(directory.around(None, limit=9, search="ADA")) == ["Ada@ex.org"]
    assert ids(directory.around(None, limit=9, search="compan")) == ["acme"]
    assert ids(directory.around(None, limit=9, search="%_")) == ["100%_a"]
    nothing = directory.around(None, limit=9, search="zzz")
    assert (nothing.rows, nothing.matching, nothing.known) == ((), 0, 4)


def test_group_without_key_is_no_user(directory):
    directory.add([count("a", 1), count("a", 2, group_key="")], newer=False)
    assert [row.group_key for row in directory.around(None, limit=9).rows] == ["", None]
    assert directory.find("a", "").latest == 2


def test_the_memory_it_takes_is_bounded(directory):
    (pages,) = directory._database.execute("PRAGMA cache_size").fetchone()
    assert pages == -8000  # kilobytes
    assert (
        directory._database.execute("PRAGMA database_list").fetchone()[2] == ""
    )  # a file that SQLite removes


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
@pytest.mark.parametrize("search", ["", "p"])
def test_pages_follow_each_order(directory, order, reverse, search):
    """From each profile to both ends, ties and all, the pages are the same list as one sorted in Python."""
    choose = random.Random(3)
    rows = [count(f"p{n % 20}", n + 1, choose.randint(1, 4), "g" if n >= 20 else None) for n in range(40)]
    directory.add(rows, newer=False)
    directory.show_states(
        [[ProfileState(row.profile, row.group_key, State.PENDING, choose.randint(1, 3)) for row in rows[::2]]]
    )
    found = [directory.find(row.profile, row.group_key) for row in rows]
    wanted = sorted(found, key=order.key, reverse=order.down != reverse)
    for place, at in enumerate(wanted):
        page = directory.around(at, limit=3, search=search, order=order, reverse=reverse)
        assert list(page.rows) == wanted[max(place - 3, 0) : place + 3]
    last = directory.around(None, limit=3, search=search, order=order, reverse=reverse, last=True)
    assert list(last.rows) == wanted[-3:]


def test_states_are_counted_by_profile(kiosk):
    """Each state that needs a look, of the entries as they are; a search for one finds its profiles."""
    gateway = ProfilesGateway(kiosk.path, clock=lambda: NOW)
    collected(gateway)
    assert gateway.count_states()
    with JournalReader(kiosk.path) as reader:
        by_name = Counter((entry.profile, entry.state.value) for entry in reader.stream())
    for row in gateway.page(None, limit=99).rows:
        for name in STATES:
            assert getattr(row, name) == by_name[row.profile, name], (row.profile, name)
    for word in ("rejected", "waiting", "in_doubt", "unsent", "nonsense"):
        states = ["in_doubt", "waiting", "pending"] if word == "unsent" else [word]
        wanted = {who for (who, state), number in by_name.items() if state in states and number}
        assert set(ids(gateway.page(None, limit=99, search=f"state={word}"))) == wanted
    gateway.close()


def test_states_are_counted_after_changes_only(kiosk):
    gateway = ProfilesGateway(kiosk.path, clock=lambda: NOW)
    collected(gateway)
    assert gateway.count_states()
    assert not gateway.count_states()
    gateway._counting.reset()
    assert not gateway.count_states()
    kiosk.record({"$distinct_id": "new", "$delete": ""})
    gateway._counting._again = math.inf
    assert not gateway.count_states()
    collected(gateway)
    gateway._counted = -1
    gateway._counting.reset()
    gateway.count_states()
    first = gateway.page(None, limit=1).rows[0]
    assert (first.profile, first.pending, first.deleted) == ("new", 1, True)
    kiosk.become("discarded", 41)
    gateway._counted = -1
    gateway._counting.reset()
    gateway.count_states()
    first = gateway.page(None, limit=1).rows[0]
    assert (first.profile, first.pending, first.deleted) == ("new", 0, False)
    gateway.close()


def test_ids_are_found_by_their_beginning(directory):
    """In the order of the alphabet, letters as they are; a group of the same id is counted with the user."""
    directory.add(
        [count(who, n, entries=n) for n, who in enumerate(["ada", "adam", "Ada", "bob", "ad名"], 1)],
        newer=False,
    )
    directory.add([count("ada", 9, entries=5, group_key="company")], newer=True)
    assert directory.starting("ad") == [("ada", 6), ("adam", 2), ("ad名", 5)]
    assert directory.starting("c") == []
    assert len(directory.starting("")) == 5
