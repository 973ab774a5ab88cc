"""The ids of all profiles: collected a slice at a time, paged by key, searched, and kept up with."""

import random

import pytest

from recorder.model.reports import ProfileCount
from tests.tui.browser.harness import NOW
from tui.browser import gateway_profiles as room
from tui.browser.directory import Directory
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
    assert not gateway.collect().found
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
    assert gateway.latest("p3", None) == 23
    assert gateway.latest("p3", "company") is None


def test_new_entries_are_collected_first(stage, gateway, monkeypatch):
    monkeypatch.setattr(room, "_SLICE", 5)
    stage.record(*({"$distinct_id": f"p{n}", "$set": {"n": 1}} for n in range(20)))
    gateway.collect()
    stage.record({"$distinct_id": "p0", "$set": {"n": 2}})
    gateway.collect()
    assert ids(gateway.page(None, limit=10))[0] == "p0"
    collected(gateway)
    assert (gateway.latest("p0", None), gateway.page(None, limit=1).rows[0].entries) == (21, 2)


def test_page_lies_around_a_profile(directory):
    directory.add([count(f"p{n:02}", n) for n in range(1, 31)], newer=False)
    page = directory.around(15, limit=3)
    assert ids(page) == ["p18", "p17", "p16", "p15", "p14", "p13"]
    assert (page.more_above, page.more_below) == (True, True)
    top = directory.around(None, limit=3)
    assert (ids(top), top.more_above, top.more_below) == (["p30", "p29", "p28"], False, True)
    end = directory.around(None, limit=3, last=True)
    assert (ids(end), end.more_above, end.more_below) == (["p03", "p02", "p01"], True, False)
    assert directory.around(1, limit=50).more_below is False


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
