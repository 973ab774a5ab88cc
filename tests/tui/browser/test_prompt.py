"""The prompt of a filter: what completes a word, what is wrong with one, and what was entered before."""

import pytest

from tests.tui.browser.harness import browsing, press, settled, text_of
from tests.tui.browser.test_browsing import table
from tui.browser.app import Browser
from tui.browser.widgets.prompt import Prompt
from tui.browser.widgets.state_tabs import StateTabs
from tui.state import Remembered


async def test_tab_completes_words(kiosk):
    """As far as all that fits agrees, then one after another; with counts, and ids by their beginning."""
    async with browsing(kiosk) as pilot:
        field = pilot.app.query_one(Prompt).field
        await press(pilot, "slash", "s")
        assert " state=  status=  seq=  since=" in text_of(pilot)
        for keys, value in (
            ("t tab", "stat"),
            ("tab", "state="),
            ("tab", "status="),
            ("more shift+tab", "state="),
            ("r tab", "state=rejected "),
            ("p r tab", "state=rejected profile="),
            ("tab", "state=rejected profile=ada@ex.org"),
            ("backspace tab", "state=rejected profile=ada@ex.org "),
        ):
            if keys.startswith("more"):  # of the words may be known by now: the turn goes on
                pilot.app.query_one(Prompt).offer_again()
            await press(pilot, *keys.removeprefix("more ").split())
            assert field.value == value
        await press(pilot, *"state=")
        assert "rejected 2" in text_of(pilot)
        assert pilot.app.query_one(StateTabs).tab is None


@pytest.mark.long
async def test_wrong_words_are_told_as_typed(kiosk):
    async with browsing(kiosk) as pilot:
        await press(pilot, "slash", *"state=re")
        assert "!" not in text_of(pilot)
        await press(pilot, "x")
        assert " ! 'rex' is not a state; the states are pending" in text_of(pilot)
        await press(pilot, "backspace", "backspace", "backspace")
        assert "!" not in text_of(pilot)


@pytest.mark.long
async def test_typed_filters_come_back(kiosk):
    with kiosk.gateway() as gateway:
        app = Browser(gateway, live=False, first="journal", remembered=Remembered(history=("op=add", "zoë")))
        async with app.run_test() as pilot:
            await settled(pilot)
            field = app.query_one(Prompt).field
            await press(pilot, "slash", "x", "up", "up", "up")
            assert field.value == "op=add"
            await press(pilot, "down", "down", "down")
            assert field.value == "x"
            await press(pilot, "up", "up", "enter")
            assert table(pilot).query_now.words == ("op=add",)
            app.exit()
        assert app.remembered.history == ("zoë", "op=add")
