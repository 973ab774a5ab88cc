"""Questions about what is in doubt show both outcomes, and take the harmless ones apart."""

import pytest

from recorder import Journal, JournalReader, Recorder, Shipper, ShippingPolicy
from tests.doubles import RESET, Boot, Scripted
from tests.tui.browser.harness import browsing, press, settled, text_of
from tests.tui.browser.test_browsing import said, state_of


def doubtful(stage):
    """Leave an add and a union of one profile in doubt, held."""
    with Journal(stage.path, token="T") as journal, Recorder("T", journal) as recorder:
        recorder.people_increment("ada", {"visits": 1})
        recorder.people_union("ada", {"tags": ["a"]})
        policy = ShippingPolicy(in_doubt="hold", settle_after=0)
        shipper = Shipper(journal, Scripted(RESET), policy, uptime=Boot())
        shipper.ship()
        shipper.ship()


async def test_harmless_entries_are_retried_alone(stage):
    doubtful(stage)
    async with browsing(stage, write=True) as pilot:
        await press(pilot, "m", "m", "D")
        for words in (
            "service holds now, if the request",
            "ada     was lost  arrived  after retry      after discard",
            "visits  -         1        1 or 2 (twice)   - or 1",
            'tags    -         ["a"]    ["a"]  harmless  - or ["a"]',
            "R retry instead",
        ):
            assert words in text_of(pilot)
        await press(pilot, "H")
        words = "1 entry will be sent again. The rest is still to be decided; until then its profiles wait."
        await settled(pilot, lambda: words in said(pilot))
        assert (state_of(stage, 1).value, state_of(stage, 2).value) == ("in_doubt", "waiting")
        await press(pilot, "j", "R")
        assert "H retry" not in text_of(pilot)
        await press(pilot, "D")
        await settled(pilot, lambda: "1 entry discarded. U undoes it." in said(pilot))
    with JournalReader(stage.path) as reader:
        assert not reader.entry(2).hazardous


@pytest.mark.long
async def test_edit_shows_what_it_changes(kiosk):
    async with browsing(kiosk, words=["seq=12"], write=True) as pilot:
        await press(pilot, "ctrl+e")
        area = pilot.app.screen.query_one("#message")
        area.text = area.text.replace("t12", "changed")
        await press(pilot, "f2")
        assert "as edited" in text_of(pilot)
        assert '"changed", "t32"]' in text_of(pilot)
