"""What the views of profiles and shipping look like, at four sizes. How golden files are made: harness.py."""

import pytest

from tests.tui.browser import shops
from tests.tui.browser.harness import browsing, every_size, press, settled
from tui.browser.messages import ShowProfile

SCREENS = {
    # name: the journal, the keys
    "profiles": (shops.ada, "2"),
    "profiles-search": (shops.ada, "2 slash a d enter"),
    "profiles-no-match": (shops.ada, "2 slash x y z enter"),
    "profile": (shops.ada, "2 j enter"),
    "profile-step": (shops.ada, "2 j enter [ [ ["),
    "profile-same": (shops.ada, "2 j enter { {"),
    "profile-before-all": (shops.ada, "2 j enter tab G"),
    "profile-value": (shops.ada, "2 j enter enter"),
    "profile-charges": (shops.ada, "2 j enter j j enter"),
    "profile-deleted": (shops.ada, "2 j j enter"),
    "profile-group": (shops.ada, "2 G enter"),
    "profile-not-simulated": (shops.unknown, "2 enter"),
    "profile-huge": (shops.huge, "2 enter"),
    "profile-huge-value": (shops.huge, "2 enter enter G"),
    "profile-hostile": (shops.hostile, "2 j enter"),
    "profile-hostile-value": (shops.hostile, "2 j enter enter"),
    "profiles-help": (shops.ada, "2 ?"),
    "shipping": (shops.trouble, "3"),
    "shipping-attempts": (shops.trouble, "3 tab j"),
    "shipping-all-went": (shops.ada, "3"),
    "shipping-hostile": (shops.hostile, "3"),
    "shipping-help": (shops.ada, "3 ?"),
}
KEYS = {
    "[": "left_square_bracket",
    "]": "right_square_bracket",
    "{": "left_curly_bracket",
    "}": "right_curly_bracket",
    "?": "question_mark",
}


def named(keys):
    return [KEYS.get(key, key) for key in keys.split()]


@every_size
@pytest.mark.parametrize("name", SCREENS)
async def test_the_screen_looks_as_it_did(stage, golden, name, size):
    make, keys = SCREENS[name]
    make(stage.path)
    async with browsing(stage, size) as pilot:
        await press(pilot, *named(keys))
        golden(pilot.app, name)


@every_size
@pytest.mark.parametrize(("name", "key"), [("profiles-empty", "2"), ("shipping-empty", "3")])
async def test_an_empty_journal_says_so(stage, golden, name, key, size):
    stage.record()
    async with browsing(stage, size) as pilot:
        await press(pilot, key)
        golden(pilot.app, name)


@every_size
async def test_an_id_that_nobody_names_says_so(stage, golden, size):
    shops.ada(stage.path)
    async with browsing(stage, size) as pilot:
        pilot.app.post_message(ShowProfile("nobody"))
        await settled(pilot)
        golden(pilot.app, "profile-nobody")


@every_size
async def test_who_may_write_is_offered_a_retry(stage, golden, size):
    shops.trouble(stage.path)
    async with browsing(stage, size, write=True) as pilot:
        await press(pilot, "3", "R")
        golden(pilot.app, "shipping-retry")


@pytest.mark.parametrize("name", ["profile", "profile-step", "profile-hostile", "shipping"])
async def test_a_terminal_of_ascii_gets_ascii(stage, golden, name):
    make, keys = SCREENS[name]
    make(stage.path)
    async with browsing(stage, (120, 36), ascii_only=True) as pilot:
        await press(pilot, *named(keys))
        golden(pilot.app, f"{name}-ascii")
