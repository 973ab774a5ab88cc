"""Going around in the shipping view: failures to their entries, and retries."""

import pytest

from recorder import JournalReader
from recorder.shipping.verdicts import Answer
from tests.doubles import ACCEPTED, RESET, URL
from tests.tui.browser import shops
from tests.tui.browser.harness import browsing, press, screen_text, settled
from tui.browser.views.shipping import ShippingView, words_for
from tui.browser.widgets.attempt_table import AttemptTable
from tui.browser.widgets.entry_table import EntryTable
from tui.browser.widgets.failure_table import FailureTable


@pytest.fixture
def trouble(stage):
    shops.trouble(stage.path)
    return stage


def said(pilot):
    return [notification.message for notification in pilot.app._notifications]


def words(pilot):
    return " ".join(" ".join(screen_text(pilot.app)).split())


@pytest.mark.long
async def test_enter_shows_entries_of_failure(trouble):
    async with browsing(trouble) as pilot:
        await press(pilot, "3")
        groups = pilot.app.query_one(FailureTable).rows[:3]
        for place, group in enumerate(groups):
            await press(pilot, "3", "g", *["j"] * place, "enter")
            table = pilot.app.query_one(EntryTable)
            assert {row.state for row in table.window.rows} == {group.state}
            assert len(table.window.rows) == group.entries


def test_entries_in_doubt_have_numbers(stage):
    """They have no words of their own; their attempts have."""
    for number in range(4):
        shops.record(stage.path, {"$distinct_id": f"p{number}", "$add": {"n": 1}})
    broken = Answer(left=True, url=URL, error="the connection broke")
    shops.ship(stage.path, RESET, limit=1)
    shops.ship(stage.path, broken, limit=1)
    with JournalReader(stage.path) as reader:
        groups = reader.failures()
        found = [[entry.seq for entry in reader.entries(words_for(group))] for group in groups]
    assert [group.words for group in groups] == ["the connection was reset", "the connection broke"]
    assert found == [[1], [2]]


async def test_enter_shows_entries_of_attempt(trouble):
    async with browsing(trouble) as pilot:
        await press(pilot, "3", "G", "enter")
        assert pilot.app.view.where == "shipping"
        assert said(pilot) == [
            "No entry was set aside after these tries; the attempts below name their entries."
        ]
        await press(pilot, "tab", "j")
        attempt = pilot.app.query_one(AttemptTable).current
        await press(pilot, "enter")
        assert [row.seq for row in pilot.app.query_one(EntryTable).window.rows] == [attempt.first]


async def test_failure_is_retried_after_yes(trouble):
    async with browsing(trouble, write=True) as pilot:
        await press(pilot, "3", "R", "n")
        assert pilot.app.query_one(FailureTable).current.entries == 2
        await press(pilot, "R", "y")
        pilot.app.look()
        await settled(pilot)
        with JournalReader(trouble.path) as reader:
            assert reader.counts().rejected == 1
        assert pilot.app.query_one(FailureTable).rows[0].entries == 1


async def test_shipping_elsewhere_shows(trouble):
    async with browsing(trouble) as pilot:
        await press(pilot, "3", "j", "tab", "j", "j")
        failure, attempt = (
            pilot.app.query_one(FailureTable).current,
            pilot.app.query_one(AttemptTable).current,
        )
        shops.ship(trouble.path, ACCEPTED, ACCEPTED, ACCEPTED, ago=10.0)
        pilot.app.look()
        await settled(pilot)
        assert pilot.app.query_one(FailureTable).current.words == failure.words
        assert pilot.app.query_one(AttemptTable).current.id == attempt.id
        assert "all sent" not in words(pilot)
        assert "3 pending" not in words(pilot)


async def test_reading_copies_and_changes_nothing(trouble):
    """Read-only it changes nothing, and failures are read again only after a change."""
    async with browsing(trouble) as pilot:
        await press(pilot, "3", "y")
        assert pilot.app.clipboard == "$add: value is not numeric"
        assert "R: retry" not in words(pilot)
        await press(pilot, "R", "D", "s", "tab", "y")
        assert pilot.app.clipboard == "connection refused"
        view = pilot.app.query_one(ShippingView)
        known = view._standing
        view.refresh_view()
        await settled(pilot)
        assert view._standing.failures is known.failures
        with JournalReader(trouble.path) as reader:
            assert reader.counts().rejected == 3
        shops.record(trouble.path, {"$distinct_id": "ada", "$set": {"a": 1}})
        view.refresh_view()
        await settled(pilot)
        assert view._standing.failures is not known.failures


async def test_tables_are_sorted_by_key_and_click(trouble):
    async with browsing(trouble, (120, 36)) as pilot:
        await pilot.click("#top", offset=(screen_text(pilot.app)[0].index("3"), 0))
        await settled(pilot)
        failures, attempts = pilot.app.query_one(FailureTable), pilot.app.query_one(AttemptTable)
        before = [row.words for row in failures.rows]
        await press(pilot, *"oooo")
        assert [row.words for row in failures.rows] == sorted(before)
        await press(pilot, "O", "tab")
        assert [row.words for row in failures.rows] == sorted(before)[::-1]
        await press(pilot, "j")
        current = attempts.current
        for words in (sorted, lambda rows: sorted(rows)[::-1]):
            heads = attempts.heads(attempts.size.width)
            await pilot.click("#attempts", offset=(heads.index("WORDS"), 1))
            assert [row.words for row in attempts.rows] == words(row.words for row in attempts.rows)
        assert attempts.current is current
        assert "WORDS▲" in attempts.heads(attempts.size.width)


@pytest.mark.long
async def test_failed_read_shows_banner(trouble):
    async with browsing(trouble) as pilot:
        await press(pilot, "3")
        view = pilot.app.query_one(ShippingView)
        working = view._gateway._reader
        view._gateway._reader = closed = JournalReader(trouble.path)
        closed.close()
        view.refresh_view()
        await settled(pilot)
        assert "is closed" in words(pilot)
        view._gateway._reader = working
        view.refresh_view()
        await settled(pilot)
        assert view.settled
