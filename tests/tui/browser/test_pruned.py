"""A journal of which most was pruned: what the browser says is what the command line says, and every row is reached."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from recorder import Journal, JournalReader, ShippingPolicy
from recorder.model.entries import NewEntry
from simulator import Simulator
from simulator.testing import strategies
from tests.doubles import ACCEPTED, REFUSED, RESET
from tests.profiles import costly
from tests.tui.browser import shops
from tests.tui.browser.harness import NOW, browsing, press, screen_text, settled, text_of
from tui.browser import gateway as gateway_module
from tui.browser import gateway_profiles as room
from tui.browser.gateway_profiles import ProfilesGateway
from tui.browser.messages import ShowProfile
from tui.browser.widgets import entry_table as table_room
from tui.browser.widgets.entry_table import EntryTable
from tui.browser.widgets.passage_table import PassageTable
from tui.browser.widgets.profile_list import ProfileList
from tui.browser.widgets.property_table import PropertyTable
from tui.text.detail import LOOKING, detail_lines
from tui.text.history import Stopped
from tui.text.rows import Query
from tui.text.standpoint import standpoint
from tui.text.writers import written

pytestmark = pytest.mark.long  # half a minute of screens

BACK = "left_square_bracket"


@pytest.fixture
def shop(stage):
    shops.pruned(stage.path)
    return stage


@pytest.fixture
def gateway(shop):
    opened = ProfilesGateway(shop.path, clock=lambda: NOW)
    yield opened
    opened.close()


def listed(pilot):
    return {
        (row.group_key, row.profile): row.entries for row in pilot.app.query_one(ProfileList).page_now.rows
    }


def shown(pilot):
    return pilot.app.query_one(PropertyTable).shown


def values(pilot):
    return {row.name: (row.left, row.right) for row in shown(pilot).rows}


def said(pilot):
    return [notification.message for notification in pilot.app._notifications]


async def show(pilot, *whose):
    pilot.app.post_message(ShowProfile(*whose))
    await settled(pilot)


def ran(text):
    """A copied test, run as a person would."""
    names = {}
    exec(text, names)  # noqa: S102
    for name, function in list(names.items()):
        if name.startswith("test_"):
            function()
    return text


# --- profiles


async def test_pruned_counter_equals_command_line(stage):
    shops.record(stage.path, *({"$distinct_id": "hot", "$add": {"n": 1}} for _ in range(60)))
    shops.ship(stage.path, policy=ShippingPolicy(batch_updates=20))
    assert shops.prune(stage.path).entries == 40
    shops.record(stage.path, {"$distinct_id": "hot", "$add": {"n": 5}})
    async with browsing(stage) as pilot:
        await show(pilot, "hot")
        assert values(pilot) == {"n": ("60", "65")}
        assert shown(pilot).title == "hot  now, after 21 entries and 40 pruned"
        await press(pilot, "Y")
        assert "assert_profile(simulator, 'hot', {'n': 65})" in ran(pilot.app.clipboard)
        assert "# The first message stands for 40 entries that were pruned." in pilot.app.clipboard


async def test_pruned_profiles_come_last_and_open(shop):
    async with browsing(shop) as pilot:
        await press(pilot, "2")
        names = list(listed(pilot))
        assert names[:3] == [(None, "new"), (None, "hot"), (None, "u-1042")]
        assert set(names[3:]) == {(None, "old"), (None, "gone"), (None, "odd"), ("company", "acme")}
        assert listed(pilot)[(None, "hot")] == 2 + 30 + 2
        assert (listed(pilot)[(None, "old")], listed(pilot)[(None, "odd")]) == (1, 2)
        await press(pilot, "G", "k", "enter")
        await show(pilot, "old")
        assert values(pilot) == {"plan": ('"free"', '"free"')}
        assert [row.pruned for row in shown(pilot).rows] == [True]
        await show(pilot, "acme", "company")
        assert values(pilot) == {"seats": ("12", "12")}
        await show(pilot, "gone")
        assert shown(pilot).nothing == "No such profile: 2 entries that were pruned left none."


async def test_unsimulated_past_is_partly_known(shop):
    async with browsing(shop) as pilot:
        await show(pilot, "odd")
        assert "partly known: not simulated: some that were pruned" in shown(pilot).notes


async def test_steps_end_at_pruned_entries(shop):
    async with browsing(shop, (120, 36)) as pilot:
        await show(pilot, "hot")
        rows = {row.name: row for row in shown(pilot).rows}
        assert {name for name, row in rows.items() if row.pruned} == {"plan", "$transactions"}
        assert rows["n"].by.seq == 40
        assert rows["$transactions"].right == "1 charge, 12.50"
        history = len(pilot.app.query_one(PassageTable).history)
        await press(pilot, *[BACK] * history)
        before = JournalReader(shop.path)
        first = before.baseline_of("hot")
        before.close()
        await press(pilot, BACK)
        assert shown(pilot).title == f"hot  at 0 of {history}: as pruned: {first.entries} entries folded"
        assert dict(shown(pilot).state) == first.properties
        assert all(row.pruned for row in shown(pilot).rows)
        await press(pilot, "Y")
        assert repr(first.properties["n"]) in ran(pilot.app.clipboard)
        pilot.app.query_one(PropertyTable).focus()
        await press(pilot, "b")
        assert said(pilot)[-1].endswith("was written before what is kept: no entry can be shown.")
        await press(pilot, "enter")
        assert any("before what is kept: " in line for line in screen_text(pilot.app))


async def test_detail_continues_pruned_profile(shop):
    with shop.gateway() as gateway:
        for seq, expected in ((40, "n: 30 → 35"), (41, '+ tags[1]: "b"')):
            effect = gateway.effect(gateway.entry(seq))
            assert (effect.lines, effect.would) == ((expected,), False)
            ran(gateway.test_of(seq))
        rejected = gateway.effect(gateway.entry(3))
        assert rejected.would
        with pytest.raises(Stopped):
            gateway.effect(gateway.entry(3), stop=lambda: True)


async def test_detail_says_that_it_looks(stage):
    """An effect that is not known yet is looked for, of an entry that has one."""
    shops.record(stage.path, {"$distinct_id": "ada", "$set": {"a": 1}})
    with Journal(stage.path) as journal:
        journal.append([NewEntry("events", None, "ada", None, "{}", NOW)])
    with stage.gateway() as gateway:
        lines = [
            [line.text for line in detail_lines(gateway.entry_facts(seq), None, effect_known=known, key=str)]
            for seq, known in ((1, False), (1, True), (2, False))
        ]
    assert [LOOKING in each for each in lines] == [True, False, False]


async def test_entry_pruned_under_cursor_gives_way(stage):
    shops.record(stage.path, *({"$distinct_id": "ada", "$add": {"n": 1}} for _ in range(4)))
    shops.ship(stage.path)
    async with browsing(stage) as pilot:
        await show(pilot, "ada", None, 2)
        assert pilot.app.query_one(PassageTable).at == 2
        shops.prune(stage.path)
        pilot.app.look()
        await settled(pilot)
        assert said(pilot) == ["#2 is not kept any more: the profile is shown as pruned."]
        assert shown(pilot).title.startswith("ada  at 0 of 1: as pruned: 3 entries folded")
        assert dict(shown(pilot).state) == {"n": 3}
        assert listed(pilot) == {(None, "ada"): 4}


ACTS = some.lists(
    some.one_of(
        some.lists(strategies.messages(ids=some.sampled_from(["a", "b"])), min_size=1, max_size=5),
        some.lists(some.sampled_from([ACCEPTED, ACCEPTED, REFUSED, RESET]), max_size=4),
        some.none(),
    ),
    max_size=8,
)


def one_by_one(messages):
    """As recording splits them."""
    for message in messages:
        names = [name for name in message if name.startswith("$") and name not in shops._NAMING]
        for name in names:
            yield {key: value for key, value in message.items() if key == name or key not in names}


def act(path, acts):
    """Record, ship or prune; what is done to a journal in years."""
    ages = itertools.count(1_000_000, -10_000)
    for each in acts:
        if each is None:
            shops.prune(path)
        elif each and isinstance(each[0], dict):
            shops.record(path, *one_by_one(each), ago=next(ages))
        else:
            shops.ship(path, *each, ago=next(ages), limit=len(each) or 2)


def check(path):
    door = ProfilesGateway(path, clock=lambda: NOW)
    try:
        while not door.collect().complete:
            pass
        listed = {(row.profile, row.group_key) for row in door.page(None, limit=100).rows}
        predicted, shipped = (Simulator.from_journal(path, shipped_only=only) for only in (False, True))
        made = {(id_, None) for one in (predicted, shipped) for id_ in one.profiles}
        made |= {(id_, key) for one in (predicted, shipped) for key, id_ in one.groups}
        assert made <= listed
        for whose in listed:
            history = door.history(*whose)
            for simulator, n in ((predicted, len(history)), (shipped, history.shipped)):
                held = simulator.groups.get(whose[::-1]) if whose[1] else simulator.profiles.get(whose[0])
                assert history.at(n) == held
                assert history.at(n) is None or history.at(n).partly_known == held.partly_known
            now = standpoint(history, written(history), None, NOW)
            assert (None if now.state is None else dict(now.state)) == (
                None if history.at(len(history)) is None else dict(history.at(len(history)))
            )
            timeline = (
                predicted.timeline(whose[0], group_key=whose[1]) if len(history) or history.pruned else None
            )
            for row in now.rows:
                if row.name in (now.state or ()):
                    by = timeline.blame(row.name).by
                    assert (row.by.seq if row.by else None, row.pruned) == (by.seq, by.pruned)
    finally:
        door.close()


@costly(6)
@given(acts=ACTS)
def test_pruned_profiles_equal_the_simulator(acts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kiosk.db"
        Journal(path, token="T").close()
        act(path, acts)
        check(path)


@pytest.mark.parametrize("again", [False, True], ids=["before", "in-between"])
def test_pruning_while_collecting_loses_none(stage, monkeypatch, again):
    monkeypatch.setattr(room, "_SLICE", 4)
    shops.record(stage.path, *({"$distinct_id": f"p{n:02}", "$add": {"n": n}} for n in range(20)))
    shops.ship(stage.path)
    door = ProfilesGateway(stage.path, clock=lambda: NOW)
    if not again:
        shops.prune(stage.path)
    door.collect()
    shops.prune(stage.path)
    while not door.collect().complete:
        pass
    page = door.page(None, limit=100)
    assert {row.profile: row.entries for row in page.rows} == {f"p{n:02}": 1 for n in range(20)}
    assert door.page(None, limit=3, last=True).rows == page.rows[-4:][1:]
    assert door.collect().complete
    door.close()


# --- the table of entries


@pytest.fixture
def gaps(stage, monkeypatch):
    """A hundred entries, of which those stay that were refused, and the last ones."""
    monkeypatch.setattr(table_room, "PAGE", 8)
    monkeypatch.setattr(gateway_module, "PAGE", 8)
    refused = {3, 4, 17, 40, 41, 42, 60}
    shops.record(stage.path, *({"$distinct_id": f"p{n}", "$add": {"n": n}} for n in range(1, 71)))
    shops.ship(stage.path, *(REFUSED if n in refused else ACCEPTED for n in range(1, 71)))
    shops.prune(stage.path)
    shops.record(stage.path, *({"$distinct_id": f"p{n}", "$add": {"n": n}} for n in range(71, 101)))
    with JournalReader(stage.path) as reader:
        kept = [entry.seq for entry in reader.entries(limit=1_000)]
    assert set(kept) == refused | {70, *range(71, 101)}
    return stage, kept


async def test_keys_reach_each_row_once(gaps):
    stage, kept = gaps
    async with browsing(stage) as pilot:
        table = pilot.app.query_one(EntryTable)
        assert table.window.height == table.virtual_size.height == len(kept)
        seen = [table.cursor]
        while table.cursor != kept[-1]:
            await press(pilot, "j")
            seen.append(table.cursor)
            assert table.window.place(table.cursor) == kept.index(table.cursor)
        assert seen == kept
        await press(pilot, "g")
        assert (table.cursor, table.window.place(table.cursor)) == (kept[0], 0)
        await press(pilot, "G")
        assert (table.cursor, table.window.place(table.cursor)) == (kept[-1], len(kept) - 1)
        pages = [table.cursor]
        while table.cursor != kept[0]:
            await press(pilot, "ctrl+u")
            pages.append(table.cursor)
        height = table.size.height - 1
        assert pages == [*kept[::-1][::height], *([kept[0]] if (len(kept) - 1) % height else [])]


async def test_scroll_bar_reaches_pruned_rows(gaps):
    stage, kept = gaps
    async with browsing(stage) as pilot:
        table = pilot.app.query_one(EntryTable)
        last = len(kept) - table.size.height
        for top in (last, 0, last // 2, last - 1, 3):
            table.scroll_to(y=top, animate=False, force=True)
            await settled(pilot)
            rows = range(table.scroll_offset.y, table.scroll_offset.y + table.size.height)
            assert [table.window[row].seq for row in rows] == [kept[row] for row in rows]
            assert table.scroll_offset.y == top


def test_window_near_row_is_exact(gaps):
    stage, kept = gaps
    with stage.gateway() as gateway:
        assert gateway.total(Query()) == len(kept)
        for row in range(len(kept)):
            window = gateway.near(Query(), row, len(kept), 3, 4)
            assert window[row].seq == kept[row]
            assert [kept[window.first + at] for at in range(len(window.rows))] == [r.seq for r in window.rows]


async def test_tabs_and_filter_count_kept(gaps):
    stage, kept = gaps
    async with browsing(stage, (120, 36)) as pilot:
        assert f"▌all {len(kept)} kept of 100▐" in screen_text(pilot.app)[1]
        assert "shipped 1 kept of 63" in screen_text(pilot.app)[1]
        assert "pending 30 " in screen_text(pilot.app)[1]
        await press(pilot, "slash", *"op=add", "enter")
        assert f"{len(kept)} of {len(kept)} match" in "\n".join(screen_text(pilot.app))
    async with browsing(stage, (80, 24)) as pilot:
        assert f"▌all {len(kept)} of 100▐" in screen_text(pilot.app)[1]


async def test_pruned_tab_says_so(gaps):
    stage, _ = gaps
    stage.change("UPDATE counters SET entries = entries + 5, pruned = pruned + 5 WHERE account = 'discarded'")
    async with browsing(stage, (120, 36), words=["state=discarded"]) as pilot:
        assert any("None is kept: 5 discarded were pruned." in line for line in screen_text(pilot.app))


# --- in words


async def test_pruned_journal_in_words(shop):
    """Tabs, list, profile, its beginning, a value, and a profile of which nothing is kept."""
    async with browsing(shop) as pilot:
        assert "▌all 5 of 42▐ pend 3  doubt 0  rej 1  ship 1 of 38" in text_of(pilot)
        await press(pilot, "2", "j", "enter")
        assert "hot  now, after 3 entries and 31 pruned" in text_of(pilot)
        assert "revenue 12.50 (1 charge); 31 pruned, 1 shipped, 2 still to go" in text_of(pilot)
        assert "before what is kept" in text_of(pilot)
        await press(pilot, "enter")
        assert "AS SHIPPED" in text_of(pilot)
        await press(pilot, "escape", "tab", "G")
        assert "hot  at 0 of 3: as pruned: 31 entries folded" in text_of(pilot)
        await press(pilot, "escape", "G", "enter")
        assert "old  now, after 0 entries and 1 pruned" in text_of(pilot)
