"""The main screens as pictures of text in two sizes, and the edge states in words. Golden files: see harness.py."""

import json

import pytest

from recorder import JournalBusy
from recorder.model.errors import JournalMissing
from tests.profiles import sampled
from tests.tui.browser import shops
from tests.tui.browser.harness import Stage, browsing, press, screen_text, settled, text_of
from tui.browser.messages import Failed

SIZES = pytest.mark.parametrize(
    "size",
    [pytest.param((120, 36), id="120x36", marks=pytest.mark.long), pytest.param((80, 24), id="80x24")],
)


@SIZES
async def test_journal_screens_look_as_before(kiosk, golden, size):
    """Table, detail and question of one browser, one after another."""
    async with browsing(kiosk, size, words=["seq=12..40"], write=True) as pilot:
        golden(pilot.app, "journal")
        await press(pilot, "e", "enter")
        golden(pilot.app, "detail")
        await press(pilot, "escape", "g", "m", "m", "D")
        golden(pilot.app, "question")


@SIZES
async def test_profile_screens_look_as_before(stage, golden, size):
    """List, profile, a step back, and a value whole."""
    shops.ada(stage.path)
    async with browsing(stage, size) as pilot:
        await press(pilot, "2")
        golden(pilot.app, "profiles")
        await press(pilot, "j", "enter")
        golden(pilot.app, "profile")
        await press(pilot, *["left_square_bracket"] * 3)
        golden(pilot.app, "profile-step")


@SIZES
async def test_home_and_shipping_look_as_before(stage, golden, size):
    shops.trouble(stage.path)
    async with browsing(stage, size, first="home", write=True) as pilot:
        golden(pilot.app, "home")
        await press(pilot, "3")
        golden(pilot.app, "shipping")


@pytest.mark.parametrize(
    "key", ["enter", *(pytest.param(key, marks=pytest.mark.long) for key in ("2", "3", "question_mark"))]
)
async def test_ascii_screens_are_ascii(stage, key):
    """Hostile ids, names and values, and what the service says, at 120x36."""
    shops.hostile(stage.path)
    async with browsing(stage, (120, 36), ascii_only=True) as pilot:
        await press(pilot, key, "j", "enter")
        assert text_of(pilot).isascii()


@pytest.mark.long
async def test_ascii_screen_spells_letters_out(kiosk, golden):
    async with browsing(kiosk, (120, 36), ascii_only=True) as pilot:
        await press(pilot, "j", "enter")
        golden(pilot.app, "ascii")


# --- the journal


async def test_entry_behind_another_says_so(kiosk):
    async with browsing(kiosk, words=["seq=25"]) as pilot:
        await press(pilot, "enter")
        assert "waits behind #17, in doubt: a person decides" in text_of(pilot)


async def test_filter_without_match_says_so(kiosk):
    async with browsing(kiosk, words=["op=delete", "nobody"]) as pilot:
        assert "0 of 40 match op=delete nobody, esc clears" in text_of(pilot)


async def test_empty_tab_says_so(stage):
    stage.record({"$distinct_id": "ada", "$set": {"a": 1}})
    async with browsing(stage) as pilot:
        await press(pilot, "l", "l", "l")
        assert "No entry is rejected." in text_of(pilot)


async def test_empty_journal_says_so(stage):
    stage.record()
    async with browsing(stage) as pilot:
        assert 'recorder.people_set("ada", {"plan": "pro"})' in text_of(pilot)
        await press(pilot, "2")
        assert "No profile yet." in text_of(pilot)
        await press(pilot, "3")
        assert "Nothing failed." in text_of(pilot)
        assert "Nothing was sent yet." in text_of(pilot)


async def test_megabyte_shows_four_kilobytes(stage):
    message = {"$distinct_id": "ada", "$set": {"text": "long " * 200_000}}
    stage.record(message)
    async with browsing(stage) as pilot:
        await press(pilot, "enter", "G")
        assert "the first 4.1 kB of 1.0 MB; y copies all of it" in text_of(pilot)
        await press(pilot, "y")
        assert json.loads(pilot.app.clipboard) == message


async def test_data_cannot_style_a_line(stage, golden):
    stage.record(
        {"$distinct_id": "[red]x[/red]", "$set": {"[@click=app.quit]": "[bold]"}},
        {"$distinct_id": "\x1b[31mred\x07", "$set": {"a\nb": "\u202eabc"}},
        {"$distinct_id": "שלום", "$set": {"名前": "漢字" * 20}},
        {"$distinct_id": "e\u0301\u0301", "$append": {"[/]": "]["}},
    )
    async with browsing(stage) as pilot:
        golden(pilot.app, "hostile")


async def test_markup_in_journal_name_is_text(tmp_path):
    stage = Stage(tmp_path / "[red]k[red].db")
    stage.record({"$distinct_id": "ada", "$set": {"a": 1}})
    async with browsing(stage, (120, 20)) as pilot:
        assert "[red]k[red].db" in screen_text(pilot.app)[0], json.dumps(screen_text(pilot.app)[0])


async def test_least_window_shows_counts_only(kiosk):
    async with browsing(kiosk, (38, 9)) as pilot:
        assert text_of(pilot).strip() == "Needs 40x10: 13 unsent 1 doubt 2 rej"


# --- errors


async def test_failures_show_and_app_stays(kiosk):
    async with browsing(kiosk) as pilot:
        pilot.app.post_message(Failed(JournalBusy("kiosk.db is busy"), "look"))
        await settled(pilot)
        assert "! The writer is busy; the screen shows the last state that was read." in text_of(pilot)
        assert "► 40" in text_of(pilot)
        pilot.app.look()
        await settled(pilot)
        assert "busy" not in text_of(pilot)
        pilot.app.post_message(Failed(ZeroDivisionError("division by [zero]")))
        await settled(pilot, lambda: "ZeroDivisionError: division" in text_of(pilot))
        assert "[zero]" in text_of(pilot)
        pilot.app.post_message(Failed(JournalMissing("no journal at x")))
        await settled(pilot, lambda: "no journal at x. Check the path" in text_of(pilot))
        await press(pilot, "j")
        assert "► 39" in text_of(pilot)


# --- profiles and shipping


@pytest.mark.parametrize(
    ("make", "keys", "words"),
    sampled(
        [
            (shops.ada, "2 slash a d enter", "PROFILES 1 of 4"),
            (shops.ada, "2 slash x y z enter", "0 of 4 profiles match,"),
            (shops.ada, "2 j enter { {", "WRITTEN BY"),
            (shops.ada, "2 j enter tab G", "before any entry"),
            (shops.ada, "2 j enter j j enter", "CHANGED BY"),
            (shops.ada, "2 j j enter", "No such profile: #8 $delete"),
            (shops.ada, "2 G enter", "company:acme  now, after 1 entry"),
            (shops.unknown, "2 enter", "partly known: not simulated: #2 $frobnicate"),
            (shops.huge, "2 enter enter G", "the first 4.1 kB of 1.0 MB; y copies all of it"),
            (shops.hostile, "2 j enter enter", "CHANGED BY"),
            (shops.trouble, "3 tab j", "► 19h  ? no answer"),
            (shops.ada, "3", "○ no shipper"),
            (shops.hostile, "3", "[bold red]not bold[/]"),
        ],
        13,
    ),
    ids=lambda value: value.replace(" ", "-")[:24] if isinstance(value, str) else value.__name__,
)
async def test_state_is_shown_in_words(stage, make, keys, words):
    make(stage.path)
    named = {"{": "left_curly_bracket"}
    async with browsing(stage) as pilot:
        await press(pilot, *(named.get(key, key) for key in keys.split()))
        assert words in text_of(pilot).replace("►  19h", "► 19h"), text_of(pilot)
