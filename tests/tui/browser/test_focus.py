"""Who has the keys: an empty table, an open prompt, the screen on top; and keys typed ahead."""

import asyncio
import threading

import pytest

from tests.tui.browser.harness import browsing, press, resize, settled, text_of, type_in
from tests.tui.browser.test_browsing import many, said, shown, table
from tui.browser.screens.confirm import ConfirmScreen
from tui.browser.screens.edit import EditScreen
from tui.browser.widgets.prompt import Prompt
from tui.browser.widgets.state_tabs import StateTabs

pytestmark = pytest.mark.long  # half a minute of screens

# --- a table that is empty keeps the keys


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_empty_tab_keeps_the_keys(kiosk, size):
    kiosk.change("UPDATE entries SET state = 'shipped' WHERE state = 'in_doubt'")
    async with browsing(kiosk, size, words=["state=in_doubt"]) as pilot:
        assert "No entry is in doubt." in text_of(pilot)
        await press(pilot, "l", "j")
        assert (pilot.app.query_one(StateTabs).tab.value, table(pilot).cursor) == ("rejected", 12)
        await press(pilot, "h", "slash")
        assert pilot.app.query_one(Prompt).is_open


async def test_escape_leaves_filter_without_match(kiosk):
    async with browsing(kiosk) as pilot:
        await press(pilot, "slash")
        await type_in(pilot, "nobody")
        assert "0 of 40 match nobody" in text_of(pilot)
        await press(pilot, "escape", "j")
        assert table(pilot).cursor == 39


async def test_first_entries_can_be_browsed(stage):
    stage.record({"$distinct_id": "ada", "$set": {"a": 1}})
    stage.change("DELETE FROM entries")
    async with browsing(stage) as pilot:
        assert "Nothing is recorded yet." in text_of(pilot)
        many(stage, 3)
        pilot.app.look()
        await settled(pilot)
        before = table(pilot).cursor
        await press(pilot, "j")
        assert table(pilot).cursor == before - 1


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_emptied_tab_closes_its_detail(kiosk, size):
    async with browsing(kiosk, size, words=["state=in_doubt"]) as pilot:
        await press(pilot, "enter")
        kiosk.change("UPDATE entries SET state = 'shipped' WHERE state = 'in_doubt'")
        pilot.app.look()
        await settled(pilot)
        assert "No entry is in doubt." in text_of(pilot)
        await press(pilot, "h", "j")
        assert table(pilot).cursor is not None


async def test_window_grown_again_has_keys(kiosk):
    async with browsing(kiosk) as pilot:
        await resize(pilot, 30, 8)
        await resize(pilot, 80, 24)
        await settled(pilot, lambda: table(pilot).has_focus)
        await press(pilot, "j")
        assert table(pilot).cursor == 39


# --- the prompt


async def test_invalid_filter_stays_with_reason(kiosk):
    async with browsing(kiosk) as pilot:
        await press(pilot, "slash")
        await type_in(pilot, "colour=red")
        prompt = pilot.app.query_one(Prompt)
        assert (prompt.is_open, prompt.field.value) == (True, "colour=red")
        assert "not a filter key" in text_of(pilot)
        pilot.app.look()
        await settled(pilot)
        assert "not a filter key" in text_of(pilot)
        await press(pilot, "escape")
        assert "not a filter key" not in text_of(pilot)


async def test_filter_can_be_extended(kiosk):
    async with browsing(kiosk, words=["op=add"]) as pilot:
        await press(pilot, "slash")
        await type_in(pilot, " seq=..20")
        assert table(pilot).query_now.words == ("op=add", "seq=..20")


async def test_to_find_nothing_is_to_leave(kiosk):
    async with browsing(kiosk) as pilot:
        await press(pilot, "f", "enter")
        assert not pilot.app.query_one(Prompt).is_open
        assert table(pilot).has_focus


# --- keys typed ahead


async def test_keys_typed_ahead_act_in_turn(kiosk):
    async with browsing(kiosk) as pilot:
        for key in ("e", "e", "e"):
            pilot.app.simulate_key(key)
        await settled(pilot, lambda: table(pilot).cursor == 21)
        for key in ("G", "g", "e"):
            pilot.app.simulate_key(key)
        await settled(pilot, lambda: table(pilot).cursor == 25)
        for key in ("e", "j"):
            pilot.app.simulate_key(key)
        await settled(pilot, lambda: table(pilot).cursor == 22)


async def test_text_after_slash_reaches_the_prompt(kiosk):
    """In one burst, as a terminal hands over what was typed while the machine was busy."""
    async with browsing(kiosk) as pilot:
        for key in ("slash", *"op=add", "enter"):
            pilot.app.simulate_key(key)
        await settled(pilot, lambda: table(pilot).query_now.words == ("op=add",))


async def test_failed_read_drops_keys_typed_ahead(kiosk):
    typed = threading.Event()

    def fail(*_, **__):
        typed.wait(30)
        raise ZeroDivisionError

    async with browsing(kiosk) as pilot:
        read = pilot.app.gateway.next_match
        pilot.app.gateway.next_match = fail
        for key in ("e", "j"):
            pilot.app.simulate_key(key)
        async with asyncio.timeout(30):
            while not pilot.app.view._typed:  # noqa: ASYNC110  # the view says nothing when a key comes
                await asyncio.sleep(0.001)
        typed.set()
        await settled(pilot, lambda: said(pilot))
        assert table(pilot).cursor == 40
        pilot.app.gateway.next_match = read
        await press(pilot, "e")
        assert table(pilot).cursor == 25


async def test_failed_count_is_repeated(stage):
    many(stage, 1_000)  # more than are loaded: those would be counted without a question
    async with browsing(stage) as pilot:
        count = pilot.app.gateway.tally
        pilot.app.gateway.tally = lambda *_: 1 / 0
        await press(pilot, "slash")
        await type_in(pilot, "op=add")
        assert "… of 1,000 match" in text_of(pilot)
        pilot.app.gateway.tally = count
        pilot.app.look()
        pilot.app.view.refresh_view()
        await settled(pilot)
        assert "1,000 of 1,000 match" in text_of(pilot)


# --- screens over it


@pytest.mark.parametrize("key", ["n", "escape", "q"])
async def test_question_is_answered_no(kiosk, key):
    async with browsing(kiosk, words=["seq=12"], write=True) as pilot:
        await press(pilot, "R")
        assert isinstance(pilot.app.screen, ConfirmScreen)
        await press(pilot, key)
        assert len(pilot.app.screen_stack) == 1


async def test_the_editor_is_left_by_escape(kiosk):
    async with browsing(kiosk, words=["seq=12"], write=True) as pilot:
        await press(pilot, "ctrl+e")
        assert isinstance(pilot.app.screen, EditScreen)
        await press(pilot, "escape")
        assert len(pilot.app.screen_stack) == 1


async def test_resize_under_a_question_is_safe(kiosk):
    async with browsing(kiosk) as pilot:
        await press(pilot, "question_mark")
        await resize(pilot, 30, 8)
        await press(pilot, "escape")
        assert "Needs 40x10" in text_of(pilot)
        await press(pilot, "question_mark")
        await resize(pilot, 80, 24)
        await press(pilot, "escape")
        assert shown(pilot)
