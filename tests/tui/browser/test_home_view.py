"""Home in the browser: a key on a line goes to what decides it, or decides."""

from recorder import Journal, JournalReader, State
from tests.tui.browser import shops
from tests.tui.browser.harness import browsing, press, resize, settled, text_of
from tui.browser.gateway_shipping import ShippingGateway
from tui.browser.views.home import HomeView
from tui.browser.widgets.entry_table import EntryTable
from tui.browser.widgets.failure_table import FailureTable
from tui.browser.widgets.need_table import NeedTable
from tui.browser.widgets.notice import Notice
from tui.browser.widgets.top_line import TopLine


async def test_enter_goes_to_what_decides(stage):
    shops.trouble(stage.path)
    async with browsing(stage, first="home") as pilot:
        assert "! 2 THINGS NEED YOU" in text_of(pilot)
        assert "R: retry" not in text_of(pilot)
        assert "enter: look (to decide, start with --write)" in text_of(pilot)
        spans = pilot.app.query_one(TopLine).render().spans
        coloured = [str(span.style) for span in spans if "$text" in str(span.style)]
        assert coloured == [f"bold $text-{look} on $background" for look in ("warning", "warning", "error")]
        await resize(pilot, 52, 24)  # too narrow for all of it: the mode goes first
        narrow = pilot.app.query_one(TopLine).render().plain
        assert " ".join(narrow.split()[5:]) == "▼ OFFLINE 4 unsent 1 doubt 3 rej"
        await resize(pilot, 120, 36)
        await press(pilot, "3", "j", "j")  # to what is in doubt
        await press(pilot, "0", "enter")
        assert pilot.app.view.where == "shipping"
        assert pilot.app.query_one(FailureTable).current.state is State.REJECTED
        await press(pilot, "0", "j", "enter")
        assert pilot.app.view.where == "journal"
        assert [row.seq for row in pilot.app.query_one(EntryTable).window.rows] == [5]


async def test_decided_need_is_gone(stage):
    shops.ada(stage.path)
    async with browsing(stage, first="home", write=True) as pilot:
        await press(pilot, "R")
        assert "Retry 1 entry" in text_of(pilot)
        await press(pilot, "y")
        pilot.app.look()
        await settled(pilot)
        assert "✓ nothing needs you" in text_of(pilot)
        assert pilot.app.query_one(NeedTable).rows == []
        await press(pilot, "D", "ctrl+e")
    with JournalReader(stage.path) as reader:
        assert (reader.counts().rejected, reader.counts().discarded) == (0, 0)


def test_home_reads_failures_as_they_change(stage):
    shops.ada(stage.path)
    with stage.gateway() as gateway:
        reads = ShippingGateway(gateway)
        first = reads.home()
        stage.record({"$distinct_id": "bob", "$set": {"a": 1}})
        second = reads.home()
        assert (second.facts.statistics.recorded, second.failures is first.failures) == (16, True)
        with Journal(stage.path) as journal:
            journal.discard("state=rejected")
        assert (reads.home().needs, reads.home().failures) == ([], ())
        reads.close()


async def test_hidden_views_fit_the_window(stage):
    """Nothing is cut or folded to a width that they do not have yet."""
    shops.ada(stage.path)
    async with browsing(stage, first="shipping") as pilot:
        home = pilot.app.query_one(HomeView)
        home._show(home._gateway.home())
        assert (
            "No shipper is running: an app ships while it runs" in home.query_one("#by-itself", Notice).text
        )
        assert "SUMMARY" in pilot.app.query_one(EntryTable).heads()
