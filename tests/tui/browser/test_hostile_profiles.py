"""Text that would like to be more than text, through every screen: nothing crashes, nothing is styled by data."""

import asyncio
import json
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as some
from rich.cells import cell_len

from recorder.shipping.verdicts import Answer
from tests.doubles import URL
from tests.profiles import costly
from tests.tui.browser import shops
from tests.tui.browser.harness import Stage, browsing, press, settled
from tui.browser.messages import ShowProfile

CONTROLS = [chr(n) for n in (*range(32), 127, *range(128, 160))]
MARKUP = [
    "[b]",
    "[/]",
    "[/b]",
    "[bold red]",
    "[@click=app.quit]",
    "[link='x']",
    "\\[",
    "[[",
    "]",
    "$text-error",
    "[#f00 on #0f0]",
]
BIDI = list("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")
WIDE = [
    "名",
    "前",
    "👩\u200d👩\u200d👧",
    "e\u0301",
    "\u0300" * 20,
    "ﷺ",
    "\ufe0f",
    "\u200b",
    "\ufeff",
    "\u2028",
    "🏴",
    "\U000e0001",
]

pieces = some.sampled_from(CONTROLS + MARKUP + BIDI + WIDE) | some.characters(codec="utf-8")
texts = some.lists(pieces, min_size=1, max_size=12).map("".join)
lengths = some.sampled_from([1, 1, 1, 300, 40_000])
values = some.recursive(
    texts | some.integers(-(10**6), 10**6) | some.none() | some.booleans(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)

KEYS = (
    "2",
    "enter",
    "enter",
    "y",
    "escape",
    "tab",
    "j",
    "tab",
    "left_curly_bracket",
    "j",
    "enter",
    "escape",
    "Y",
    "3",
    "tab",
)


def unstyled(app, words):
    """No style on the screen comes from the data: the markup drawn would have set these."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            assert not any(unicodedata.category(letter) in {"Cc", "Cf"} for letter in segment.text), segment
            style = segment.style
            assert style is None or not style.link
            assert style is None or "click" not in str(style.meta.get("@click", "")), words


async def walk(stage, profile, size, ascii_only):
    async with browsing(stage, size, ascii_only=ascii_only) as pilot:
        pilot.app.post_message(ShowProfile(profile))
        await settled(pilot)
        for key in KEYS:
            await press(pilot, key)
            unstyled(pilot.app, key)
            width = pilot.app.size.width
            for strip in pilot.app.screen._compositor.render_strips():
                assert cell_len(strip.text) == width, strip.text
                assert not ascii_only or strip.text.isascii(), strip.text
        assert pilot.app.is_running


def _goes_through(  # noqa: PLR0917  # drawn
    profile, name, value, words, length, size, ascii_only
):
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder) / "kiosk.db")
        long = value * length if isinstance(value, str) else value
        shops.record(
            stage.path,
            {"$distinct_id": profile, "$set": {name: long}},
            {"$distinct_id": profile, "$append": {name + "s": long}},
            {"$distinct_id": profile, "$unknown" + name: {name: value}},
            {"$distinct_id": profile, "$append": {"$transactions": {"$amount": value, "$time": name}}},
        )
        refusal = json.dumps({"status": 0, "error": words}).encode()
        shops.ship(stage.path, Answer(left=True, url=URL, status=400, body=refusal), limit=2)
        asyncio.run(walk(stage, profile, size, ascii_only))


ANY = given(
    profile=texts,
    name=texts,
    value=values,
    words=texts,
    length=lengths,
    size=some.sampled_from([(120, 36), (80, 24), (60, 20), (40, 10)]),
    ascii_only=some.booleans(),
)
# Each example is a walk through a dozen screens, and shrinking one takes longer than reading it.
WALK = settings(costly(60), suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.shrink})


@pytest.mark.long
@WALK
@ANY
@example(profile="[/x]", name="[b]", value="[", words="[/nothing]", length=1, size=(80, 24), ascii_only=False)
@example(
    profile="\x1b[2J",
    name="\u202e",
    value={"\x00": "\x9b"},
    words="\x1b]0;t\x07",
    length=1,
    size=(60, 20),
    ascii_only=True,
)
@example(
    profile="a" * 250,
    name="n" * 300,
    value="名" * 300_000,
    words="w" * 5_000,
    length=1,
    size=(120, 36),
    ascii_only=False,
)
def test_no_text_breaks_a_screen(**drawn):
    _goes_through(**drawn)


@pytest.mark.parametrize(
    "text",
    [
        MARKUP[0],
        *(pytest.param(text, marks=pytest.mark.long) for text in [*MARKUP[1:], "\x1b[31m", "\u202e"]),
    ],
)
async def test_any_text_can_be_searched(stage, text):
    shops.hostile(stage.path)
    async with browsing(stage) as pilot:
        await press(pilot, "2", "slash")
        pilot.app.query_one("#profiles #prompt-input").value = text
        await press(pilot, "enter")
        unstyled(pilot.app, text)
