"""Going around in the profiles view: search, steps through time, blame and back, copies, and what stays."""

import json

import pytest

from recorder import JournalReader
from simulator import Simulator
from simulator.testing import to_test
from tests.tui.browser import shops
from tests.tui.browser.harness import browsing, press, resize, screen_text, settled, text_of, type_fast
from tui.browser import gateway_profiles as room
from tui.browser.messages import ShowProfile
from tui.browser.views.profiles import ProfilesView
from tui.browser.widgets import profile_list as list_room
from tui.browser.widgets.entry_table import EntryTable
from tui.browser.widgets.passage_table import PassageTable
from tui.browser.widgets.profile_list import ProfileList
from tui.browser.widgets.property_table import PropertyTable

BACK, ON, SAME_BACK, SAME_ON = (
    "left_square_bracket",
    "right_square_bracket",
    "left_curly_bracket",
    "right_curly_bracket",
)


@pytest.fixture
def ada(stage):
    shops.ada(stage.path)
    return stage


def listed(pilot):
    return [row.profile for row in pilot.app.query_one(ProfileList).page_now.rows]


def chosen(pilot):
    row = pilot.app.query_one(ProfileList).current
    return row.profile if row is not None else None


def shown(pilot):
    return pilot.app.query_one(PropertyTable).shown


def values(pilot):
    return {row.name: (row.left, row.right) for row in shown(pilot).rows}


def at(pilot):
    return pilot.app.query_one(PassageTable).at


def copied(pilot):
    return pilot.app.clipboard


def said(pilot):
    return [notification.message for notification in pilot.app._notifications]


async def show(pilot, *whose):
    pilot.app.post_message(ShowProfile(*whose))
    await settled(pilot)


# --- the list


async def test_search_narrows_while_typed(ada):
    async with browsing(ada) as pilot:
        await press(pilot, "2", "slash", "A", "D")
        assert listed(pilot) == ["ada@ex.org"]
        await press(pilot, "enter")
        assert pilot.app.query_one(ProfileList).has_focus
        await press(pilot, "escape")
        assert listed(pilot) == ["u-1042", "ada@ex.org", "gone", "acme"]
        await press(pilot, "slash", "g", "escape")
        assert len(listed(pilot)) == 4
        assert pilot.app.query_one(ProfileList).has_focus


async def test_cursor_stays_on_its_profile(ada):
    async with browsing(ada) as pilot:
        await press(pilot, "2", "j", "j")
        assert chosen(pilot) == "gone"
        shops.record(
            ada.path, {"$distinct_id": "new", "$set": {"a": 1}}, {"$distinct_id": "acme", "$set": {"a": 1}}
        )
        pilot.app.look()
        await settled(pilot)
        assert listed(pilot)[:2] == ["acme", "new"]
        assert chosen(pilot) == "gone"


async def test_list_sorts_and_shows_states(ada):
    """The cursor stays on its profile, or on the first row."""
    async with browsing(ada) as pilot:
        await press(pilot, "2", "j")
        assert "deleted" in text_of(pilot)
        assert "1 rejected  1 pending" in text_of(pilot)
        for name in ("unsent ▼", "entries ▼", "id ▲"):
            if name.startswith("unsent"):
                await pilot.click(ProfileList, offset=(40, 0))
                await settled(pilot)
            else:
                await press(pilot, "o")
            assert screen_text(pilot.app)[1].endswith(name)
        assert listed(pilot) == ["acme", "ada@ex.org", "gone", "u-1042"]
        await press(pilot, "j", "j", "O")
        assert (listed(pilot), chosen(pilot)) == (["u-1042", "gone", "ada@ex.org", "acme"], "gone")
        await press(pilot, "slash")
        await type_fast(pilot, *"state=shipped")
        assert "'shipped' is not a state to list profiles by; the states are unsent" in text_of(pilot)
        await type_fast(pilot, *["backspace"] * 7, *"rej")
        await press(pilot, "tab", "enter")
        assert listed(pilot) == ["u-1042"]


@pytest.mark.long
async def test_long_list_loads_around_cursor(stage, monkeypatch):
    monkeypatch.setattr(list_room, "_AROUND", 60)
    monkeypatch.setattr(list_room, "_NEAR", 30)
    monkeypatch.setattr(room, "_SLICE", 64)
    shops.record(
        stage.path, *({"$distinct_id": f"p{n:03}", "$set": {"n": n}} for n in range(300)), ago=1_000.0
    )
    async with browsing(stage) as pilot:
        await press(pilot, "2")
        assert pilot.app.query_one(ProfileList).page_now.known == 300
        for _ in range(6):
            await press(pilot, "ctrl+d")
        assert chosen(pilot) == f"p{299 - 6 * 20:03}"
        assert len(listed(pilot)) <= 121
        await press(pilot, "G")
        assert chosen(pilot) == "p000"
        await press(pilot, "k")
        assert chosen(pilot) == "p001"
        for _ in range(3):
            await press(pilot, "ctrl+u")
        assert chosen(pilot) == f"p{1 + 3 * 20:03}"
        await press(pilot, "g")
        assert chosen(pilot) == "p299"


async def test_collecting_ids_shows_progress(stage, monkeypatch):
    shops.record(stage.path, *({"$distinct_id": f"p{n}", "$set": {"n": n}} for n in range(100)))
    monkeypatch.setattr(room, "_SLICE", 40)
    async with browsing(stage) as pilot:
        profiles = pilot.app.query_one(ProfileList)
        assert (profiles.collected.looked_at, "…40 %" in profiles.heads(40)) == (0, False)
        profiles.collected = room.Collected(40, 100)
        assert "…40 %" in profiles.heads(40)
        await press(pilot, "2")
        assert "%" not in profiles.heads(40)


# --- one profile


@pytest.mark.long
async def test_search_goes_to_properties(ada):
    """As typed; escape goes back, n and N go round, and a list at the side stays as it is."""
    async with browsing(ada, (120, 36)) as pilot:
        await press(pilot, "2", "j", "enter")
        names = [row.name for row in shown(pilot).rows]
        values = [f"{row.name} {row.left or ''} {row.right or ''}" for row in shown(pilot).rows]
        places = [place for place, text in enumerate(values) if "r" in text]

        def here():
            return names.index(pilot.app.query_one(PropertyTable).current.name)

        await press(pilot, "slash", "R")
        assert here() == places[0]
        await press(pilot, "escape")
        assert here() == 0
        await press(pilot, "slash", "enter")
        seen = [here()]
        for key in ("n", "N", "N"):
            await press(pilot, key)
            seen.append(here())
        assert seen == [places[0], places[1], places[0], places[-1]]
        await press(pilot, "slash", *"zzz")
        assert "No property shows Rzzz." in text_of(pilot)
        await press(pilot, "enter", "n")
        assert said(pilot) == ["No property shows Rzzz."]
        assert len(listed(pilot)) == 4


async def test_steps_show_before_and_after(ada):
    """At first, what was shipped and what is predicted, where they differ with a mark."""
    async with browsing(ada) as pilot:
        await show(pilot, "ada@ex.org", None, None)
        shipped = Simulator.from_journal(ada.path, shipped_only=True).profile("ada@ex.org")
        predicted = Simulator.from_journal(ada.path).profile("ada@ex.org")
        assert values(pilot)["plan"] == (json.dumps(shipped["plan"]), json.dumps(predicted["plan"]))
        differ = {name for name in {*shipped, *predicted} if shipped.get(name) != predicted.get(name)}
        assert {row.name for row in shown(pilot).rows if row.mark != " "} == differ
        timeline = Simulator.from_journal(ada.path).timeline("ada@ex.org")
        for n in range(len(timeline), 0, -1):
            await press(pilot, BACK)
            assert at(pilot) == n
            before, after = timeline.at(n - 1), timeline.at(n)
            assert set(values(pilot)) == {*(before or ()), *(after or ())}
            assert shown(pilot).state == after
        await press(pilot, BACK)
        assert (at(pilot), shown(pilot).nothing) == (0, "No such profile yet.")
        await press(pilot, "l", "right")
        assert at(pilot) == 2


@pytest.mark.long
async def test_same_property_is_followed(ada):
    async with browsing(ada) as pilot:
        await show(pilot, "ada@ex.org", None, None)
        assert pilot.app.query_one(PropertyTable).current.name == "plan"
        seen = []
        for key in (SAME_BACK, SAME_BACK, SAME_BACK, SAME_BACK, SAME_ON):
            await press(pilot, key)
            seen.append(shown(pilot).title.split("#")[1].split()[0])
        assert seen == ["14", "9", "1", "1", "9"]
        assert said(pilot) == ["No earlier entry changed plan."]
        assert pilot.app.query_one(PropertyTable).current.name == "plan"


async def test_blame_goes_to_entry_and_back(ada):
    async with browsing(ada) as pilot:
        await show(pilot, "ada@ex.org", None, None)
        await press(pilot, "j", "b")
        assert pilot.app.view.where == "journal"
        assert pilot.app.query_one(EntryTable).cursor == 13
        await press(pilot, "p")
        assert pilot.app.view.where == "profiles"
        assert shown(pilot).title.startswith("ada@ex.org  at 9 of 10: #13 $add")
        await show(pilot, "ada@ex.org", None, 11)
        await press(pilot, "tab", "enter")
        assert pilot.app.query_one(EntryTable).cursor == 11


async def test_entry_outside_prediction_says_so(ada):
    with JournalReader(ada.path) as reader:
        (rejected,) = reader.entries("state=rejected")
    async with browsing(ada) as pilot:
        await show(pilot, rejected.profile, None, rejected.seq)
        assert said(pilot) == [
            f"#{rejected.seq} is no part of the prediction: the profile is shown without it."
        ]
        assert at(pilot) == 0
        await show(pilot, "nobody", None, None)
        assert "No such profile: no entry names it." in text_of(pilot)


async def test_open_profile_follows_the_journal(ada):
    async with browsing(ada) as pilot:
        await show(pilot, "ada@ex.org", None, None)
        shops.record(ada.path, {"$distinct_id": "ada@ex.org", "$set": {"plan": "gold"}})
        pilot.app.look()
        await settled(pilot)
        assert values(pilot)["plan"] == ('"free"', '"gold"')
        await press(pilot, BACK, BACK)
        before = shown(pilot).title.split(": ")[1]
        shops.ship(ada.path)
        pilot.app.look()
        await settled(pilot)
        assert shown(pilot).title.split(": ")[1] == before.replace("○ pending", "✓ shipped")
        await press(pilot, "tab", "g")
        assert values(pilot)["plan"] == ('"gold"', '"gold"')


@pytest.mark.long
async def test_group_and_user_are_two_profiles(stage):
    shops.record(
        stage.path,
        {"$distinct_id": "acme", "$set": {"who": "user"}},
        {"$group_key": "company", "$group_id": "acme", "$set": {"who": "group"}},
    )
    async with browsing(stage) as pilot:
        await show(pilot, "acme", "company", None)
        assert values(pilot) == {"who": (None, '"group"')}
        await show(pilot, "acme", None, None)
        assert values(pilot) == {"who": (None, '"user"')}


@pytest.mark.long
async def test_long_id_shows_both_ends(stage):
    """And the title still says when."""
    stage.record({"$distinct_id": "visitor-" + "0" * 240 + "-070", "$set": {"plan": "pro"}})
    async with browsing(stage, (120, 36)) as pilot:
        await press(pilot, "2", "enter")
        line = screen_text(pilot.app)[2]
        assert line.startswith("·visitor-0")
        assert "-070  1 pending     1" in line
        assert screen_text(pilot.app)[1].endswith("-070  now, after 1 entry")


# --- list and profile in turns


@pytest.mark.long
@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_narrow_screen_shows_list_or_profile(ada, size):
    async with browsing(ada, size) as pilot:
        await press(pilot, "2", "j", "enter")
        assert not pilot.app.query_one(ProfileList).is_on_screen
        assert pilot.app.query_one(PropertyTable).has_focus
        await press(pilot, "enter")
        assert pilot.app.query_one("#value").has_focus
        await press(pilot, "escape")
        assert pilot.app.query_one(PropertyTable).has_focus
        await press(pilot, "escape")
        assert pilot.app.query_one(ProfileList).has_focus
        assert chosen(pilot) == "ada@ex.org"
        await press(pilot, "q")
    assert not pilot.app.is_running


@pytest.mark.long
async def test_wide_screen_shows_both(ada):
    async with browsing(ada, (120, 36)) as pilot:
        await press(pilot, "2", "j", "enter")
        assert pilot.app.query_one(ProfileList).is_on_screen
        for table in (PassageTable, ProfileList, PropertyTable):
            await press(pilot, "tab")
            assert pilot.app.query_one(table).has_focus
        await press(pilot, "shift+tab", "escape")
        await press(pilot, "1", "2")
        assert pilot.app.query_one(ProfileList).has_focus


@pytest.mark.long
async def test_narrowed_window_keeps_the_profile(ada):
    async with browsing(ada, (120, 36)) as pilot:
        await press(pilot, "2", "j", "enter")
        await resize(pilot, 60, 20)
        assert pilot.app.query_one(PropertyTable).is_on_screen
        assert screen_text(pilot.app)[2:4] == [
            " revenue 12.50 → 41.50 (1 → 2 charges); 4 shipped, 6 still",
            " to go",
        ]
        await resize(pilot, 38, 9)
        assert screen_text(pilot.app)[0].startswith("Needs 40x10")
        await resize(pilot, 120, 36)
        assert shown(pilot).title.startswith("ada@ex.org")


@pytest.mark.long
async def test_second_click_opens(ada):
    async with browsing(ada) as pilot:
        await press(pilot, "2")
        for expected in (False, True):
            await pilot.click(ProfileList, offset=(5, 2))
            await settled(pilot)
            assert pilot.app.query_one(ProfilesView).has_class("open") is expected
        assert shown(pilot).title.startswith("ada@ex.org")


# --- copies


async def test_copy_takes_state_entry_or_value(ada):
    """And the history up to where one stands, as a test."""
    predicted = Simulator.from_journal(ada.path).profile("ada@ex.org")
    async with browsing(ada) as pilot:
        await press(pilot, "2", "y")
        assert said(pilot) == ["Nothing is open to copy: enter opens a profile."]
        await show(pilot, "ada@ex.org", None, None)
        await press(pilot, "y")
        assert json.loads(copied(pilot)) == dict(predicted)
        await press(pilot, "enter", "y")
        assert json.loads(copied(pilot)) == predicted["plan"]
        await press(pilot, "escape", "tab", "j", "y")
        assert json.loads(copied(pilot)) == {"$distinct_id": "ada@ex.org", "$set": {"plan": "team"}}
        await press(pilot, "j", "Y")
        with JournalReader(ada.path) as reader:
            history = [json.loads(text) for _, text in reader.history_of("ada@ex.org")[1]]
        assert at(pilot) < len(history)
        assert copied(pilot) == to_test(history[: at(pilot)])


async def test_open_value_is_that_of_the_moment(ada):
    """The title says "at 5 of 7": so does the value below it."""
    async with browsing(ada) as pilot:
        await show(pilot, "ada@ex.org", None, None)
        await press(pilot, "enter")
        assert '"team"' in text_of(pilot)
        await press(pilot, BACK, BACK)
        assert pilot.app.query_one("#value").has_focus
        assert shown(pilot).state["plan"] == "pro"
        assert '"pro"' in text_of(pilot)
        assert '"team"' not in text_of(pilot)


@pytest.mark.long
async def test_megabyte_value_is_copied_whole(stage):
    shops.huge(stage.path)
    async with browsing(stage) as pilot:
        await press(pilot, "2", "enter", "enter", "y")
        assert json.loads(copied(pilot)) == "x" * 1_000_000


# --- what fails


async def test_failed_read_shows_banner(ada):
    async with browsing(ada) as pilot:
        await press(pilot, "2", "j", "enter")
        view = pilot.app.query_one(ProfilesView)
        working = view._gateway._reader
        view._gateway._reader = closed = JournalReader(ada.path)
        closed.close()
        view.refresh_view()
        await settled(pilot)
        assert any("is closed" in line for line in screen_text(pilot.app))
        view._gateway._reader = working
        shops.record(
            ada.path,
            {"$distinct_id": "ada@ex.org", "$set": {"plan": "gold"}},
            {"$distinct_id": "new", "$set": {"plan": "gold"}},
        )
        pilot.app.look()
        await settled(pilot)
        assert values(pilot)["plan"] == ('"free"', '"gold"')
        assert listed(pilot)[:2] == ["new", "ada@ex.org"]
