"""Whatever is recorded is text on the screen: it crashes nothing, styles nothing, and breaks no line."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.widgets import Input

from recorder.model.text import printable
from tests.profiles import costly
from tests.tui.browser.harness import Stage, browsing, press, settled
from tui.browser.widgets.entry_table import EntryTable

pytestmark = pytest.mark.long  # half a minute of screens

MARKUP = [
    "[red]",
    "[/red]",
    "[/]",
    "[@click=app.quit]x[/]",
    "[link=file:///etc]",
    "[[",
    "\\[",
    "$text-error",
    ":smile:",
]
CONTROLS = ["\x1b[31m", "\x1b]0;t\x07", "\x9b2J", "\x00", "\x7f", "\r", "\n", "\t", "\b", "\x0e"]
TURNING = ["\u202e", "\u2066", "\u200f", "\u061c", "\u200d", "\ufeff", "\ufe0f", "\ud800"]
WIDE = ["漢字", "👩‍👩‍👧", "e\u0301\u0301\u0301", "שלום", "🇳🇴", "\uff57", "\u1100\u1161", "\u3000"]
PIECES = st.one_of(st.sampled_from(MARKUP + CONTROLS + TURNING + WIDE), st.text(max_size=8))
TEXTS = st.lists(PIECES, max_size=6).map("".join)
LONG = "x[bold]\x1b[7m漢\u202e" * 60_000
"""A megabyte, in UTF-8."""

ENTRY = st.tuples(TEXTS, TEXTS, TEXTS, TEXTS)


def messages(entries):
    for id_, name, value, reason in entries:
        yield {"$distinct_id": id_, "$set": {name: value}}, reason
        yield {"$distinct_id": id_, "$append": {name: [value, {name: value}]}}, reason
        yield {"$group_key": name, "$group_id": id_, "$unset": [name, value]}, reason
        yield {"$distinct_id": id_, f"${name}": {value: None}}, reason


def stage_of(folder, entries):
    stage = Stage(Path(folder) / "kiosk.db")
    for message, reason in messages(entries):
        seq = stage.record(message)
        attempt = stage.attempt(
            seq, seq, "refused", reason.encode("utf-8", "replace").decode(), 400, ago=60.0
        )
        stage.become("rejected", seq, attempt=attempt, reason=reason.encode("utf-8", "replace").decode())
    return stage


def styles_of(app, width):
    """What the screen's text is styled with; each line has been seen to be whole."""
    found = set()
    for strip in app.screen._compositor.render_strips():
        assert strip.text == printable(strip.text), ascii(strip.text)
        assert cell_len(strip.text) == width, ascii(strip.text)
        for segment in strip:
            if segment.style is not None:
                assert not segment.style.meta.get("@click"), segment
                assert segment.style.link is None, segment
                found.add((segment.style.without_color, segment.style.color, segment.style.bgcolor))
    return found


async def tour(entries, typed):
    """Every screen of the journal view, wide and narrow; the styles that were seen. Toasts come and go: without."""
    seen = set()
    with tempfile.TemporaryDirectory() as folder:
        stage = stage_of(folder, entries)
        for width in (120, 60):
            async with browsing(stage, (width, 24), write=True, toasts=False) as pilot:
                app = pilot.app
                seen |= styles_of(app, width)
                for keys in (
                    ("j", "k"),
                    ("enter",),
                    ("escape", "m", "R"),
                    ("n",),
                    ("y", "Y"),
                    ("ctrl+e",),
                    ("escape",),
                ):
                    await press(pilot, *keys)
                    seen |= styles_of(app, width)
                for purpose in ("slash", "f"):
                    await press(pilot, purpose)
                    app.query_one(Input).value = typed
                    await settled(pilot)
                    styles_of(app, width)
                    await press(pilot, "enter")
                    styles_of(app, width)
                assert app.query_one(EntryTable).loaded
                await press(pilot, "escape", "escape", "escape", "G", "e", "E", "g")
                styles_of(app, width)
    return seen


PLAIN = [("ada", "plan", "pro", "no"), ("plan " * 400, "plan " * 400, "pro " * 2_000, "no")] * 4
"""Short and long, so that scroll bars have been seen, too."""
PLAIN_LONG = "plain words " * 80_000
"""As much as LONG has: screens show large values in their own way."""


@pytest.fixture(scope="module")
def plain_styles():
    entry = (PLAIN_LONG, PLAIN_LONG, PLAIN_LONG, PLAIN_LONG[:2_000])
    return asyncio.run(tour(PLAIN, "plan")) | asyncio.run(tour([entry], PLAIN_LONG[:500]))


def test_hostile_text_styles_nothing(plain_styles):
    """Nor does it crash a screen or break a line."""
    entries = [
        ("".join(MARKUP), "".join(CONTROLS), "".join(TURNING[:-1]), "".join(WIDE)),
        ("\ud800", "a\udfffb", "\ud83d", "no"),
    ]
    assert asyncio.run(tour(entries, "".join(MARKUP) + "\udc00")) - plain_styles == set()


def test_long_text_styles_nothing(plain_styles):
    entries = [(LONG, LONG, LONG, LONG[:2_000])]
    assert asyncio.run(tour(entries, LONG[:500])) - plain_styles == set()


@settings(
    costly(100),  # a tour of half a hundred screens each, and shrinking one takes longer than reading it
    suppress_health_check=list(HealthCheck),
    phases=set(Phase) - {Phase.shrink},
)
@given(entries=st.lists(ENTRY, min_size=1, max_size=5), typed=TEXTS)
def test_drawn_text_styles_nothing(plain_styles, entries, typed):
    assert asyncio.run(tour(entries, typed)) - plain_styles == set()
