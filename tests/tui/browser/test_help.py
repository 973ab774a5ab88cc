"""The help: every key and filter word, in lines that fit, under the keys of the app."""

import pytest
from rich.cells import cell_len

from recorder.model.filters import KEYS
from tests.tui.browser.harness import browsing, press, screen_text
from tui.browser.keys import KEY_IDS
from tui.browser.screens.help import HelpScreen, help_lines
from tui.text.filter_words import FILTER_WORDS


def test_help_names_every_filter_key():
    assert {word.rstrip("=") for word, _ in FILTER_WORDS if word != "!="} == {*KEYS, "coffee"}


@pytest.mark.parametrize("width", [36, 76, 116])
def test_help_lines_fit_the_width(width):
    groups = [("Keys", [("l → ] tab", "next tab: " + "long words " * 20), ("名前", "x")])]
    lines = [line for line, _ in help_lines(groups, width)]
    assert max(map(cell_len, lines)) <= width
    assert [line.split("  ")[1] for line in lines if "next tab" in line or line.endswith(" x")] == [
        "l → ] tab",
        "名前",
    ]


async def test_help_scrolls_by_the_app_keys(kiosk):
    """At 80x24: the view that shows comes first, every named key is there, and three keys close it."""
    async with browsing(kiosk) as pilot:
        await press(pilot, "question_mark")
        seen = screen_text(pilot.app)
        assert [line.strip() for line in seen[:2]] == ["Help   esc, ?, q, ^c: close", "Journal view"]
        await press(pilot, "j")
        assert screen_text(pilot.app)[1][:45] == seen[2][:45]
        await press(pilot, "k")
        pages = seen
        for _ in range(8):
            await press(pilot, "ctrl+d")
            pages = pages + screen_text(pilot.app)
        text = "\n".join(pages)
        assert not [id for id, key in KEY_IDS.items() if key.description and key.description not in text]
        assert "(needs --write)" in text
        assert "state=waiting,in_doubt" in text
        await press(pilot, "g")
        assert [line[:45] for line in screen_text(pilot.app)] == [line[:45] for line in seen]
        for key in ("escape", "q", "question_mark"):
            assert isinstance(pilot.app.screen, HelpScreen)
            await press(pilot, key)
            assert len(pilot.app.screen_stack) == 1
            await press(pilot, "question_mark")
