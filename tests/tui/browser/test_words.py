"""What the browser says: which entries, how the file stands, what failed, which keys, in which words."""

import threading

import pytest

from recorder import JournalReader, ShippingPolicy, Statistics
from recorder.model.entries import AttemptOutcome
from recorder.model.operations import Lane
from recorder.model.shipping import LaneStatus, ShipperStatus
from recorder.reading.sentence import shipping_of, standing_of
from recorder.shipping.verdicts import Answer
from tests.doubles import ACCEPTED, RESET, UNREACHABLE, URL
from tests.tui.browser import shops
from tests.tui.browser.harness import NOW, Stage, browsing, press, screen_text, settled, text_of
from tests.tui.browser.test_browsing import many, said, table
from tui.browser.actions import Step
from tui.browser.app import Browser
from tui.browser.widgets.failure_table import FailureTable
from tui.text.cells import folded
from tui.text.format import copied_words

pytestmark = pytest.mark.long  # half a minute of screens


def flat(pilot):
    return " ".join(text_of(pilot).split())


def states(stage, *numbers):
    with JournalReader(stage.path) as reader:
        return [reader.entry(seq).state.value for seq in numbers]


# --- a failure's keys take exactly its entries


def answer(status, words):
    body = b'{"status": 0, "error": "%s"}' % words.encode()
    return Answer(left=True, url=URL, status=status, body=body)


@pytest.fixture
def alike(stage):
    """Groups that a text, a range or a state alone would take for one another."""
    for number in range(1, 7):
        shops.record(stage.path, {"$distinct_id": f"p{number}", "$add": {"n": 1}})
    broken = Answer(left=True, url=URL, error="the connection broke")
    shops.ship(stage.path, answer(400, "no"), answer(400, "no more"), answer(400, "no"), limit=3)
    shops.ship(stage.path, answer(400, "no"), limit=1)
    shops.ship(stage.path, RESET, limit=1)
    shops.ship(stage.path, broken, limit=1)
    stage.change("UPDATE attempts SET status = 413 WHERE last = 3")
    return stage


async def test_failure_filters_are_exact(alike):
    async with browsing(alike) as pilot:
        await press(pilot, "3")
        found = {}
        for place, group in enumerate(pilot.app.query_one(FailureTable).rows[:5]):
            await press(pilot, "3", "g", *["j"] * place, "enter")
            found[group.words, group.status] = [row.seq for row in table(pilot).window.rows]
    assert found == {
        ("no", 400): [4, 1],
        ("no more", 400): [2],
        ("no", 413): [3],
        ("the connection was reset", None): [5],
        ("the connection broke", None): [6],
    }


async def test_retry_names_entries_of_failure(alike):
    async with browsing(alike, write=True) as pilot:
        await press(pilot, "3", "R")
        assert "Retry 2 entries, #4, #1?" in text_of(pilot)
        await press(pilot, "y")
    assert states(alike, 1, 2, 3, 4) == ["waiting", "rejected", "rejected", "waiting"]


async def test_retry_takes_named_entries_only(alike):
    async with browsing(alike, write=True) as pilot:
        await press(pilot, "3", "R")
        alike.change("UPDATE entries SET attempt = (SELECT attempt FROM entries WHERE seq = 1) WHERE seq = 3")
        await press(pilot, "y")
    assert states(alike, 1, 3, 4) == ["waiting", "rejected", "waiting"]


async def test_keys_without_failure_say_why(alike):
    async with browsing(alike, write=True) as pilot:
        await press(pilot, "3", "G", "R", "tab", "D")
        assert said(pilot) == [
            "No entry was set aside after these tries. There is nothing to retry.",
            "Discard is for a failure: tab goes to them.",
        ]


@pytest.mark.parametrize(
    ("answered", "numbers", "told"),
    [
        (ACCEPTED, [4, 2], []),
        (UNREACHABLE, [4, 3, 2], ["It carried 2 of these; which ones is not recorded."]),
    ],
    ids=["accepted", "offline"],
)
async def test_attempt_filter_says_if_inexact(stage, answered, numbers, told):
    for name in ("ada", "bob", "ada", "eve"):
        shops.record(stage.path, {"$distinct_id": name, "$add": {"n": 1}})
    shops.ship(stage.path, RESET, limit=1)  # 3 waits behind 1, and is passed over
    shops.ship(stage.path, answered, limit=1, policy=ShippingPolicy(settle_after=600))
    # As of a request for all of them: after one that failed they begin small.
    stage.change("UPDATE attempts SET first = 2, last = 4, entries = 2 WHERE first = 2")
    stage.change(
        "UPDATE entries SET state = 'shipped', attempt = 2 WHERE seq IN (2, 4) AND ?", answered is ACCEPTED
    )
    async with browsing(stage) as pilot:
        await press(pilot, "3", "tab", "g", "enter")
        assert [row.seq for row in table(pilot).window.rows] == numbers
        assert said(pilot) == told


async def test_question_counts_hidden_marks(kiosk):
    async with browsing(kiosk, write=True) as pilot:
        await press(pilot, "m", "m", "slash", *"seq=40", "enter", "D")
        assert "Discard 2 entries, #40, #39?" in text_of(pilot)
        assert "2 marked, 1 of them not shown here." in text_of(pilot)


async def test_many_are_named_by_their_ends(kiosk):
    async with browsing(kiosk, write=True) as pilot:
        await press(pilot, *["m"] * 5, "D")
        assert "Discard 5 entries, #36..#40?" in text_of(pilot)


async def test_cursor_out_of_sight_is_named(stage):
    many(stage, 50)
    async with browsing(stage) as pilot:
        many(stage, 100, 50)
        pilot.app.look()
        await settled(pilot)
        assert "cursor #50 below" in text_of(pilot)
        await press(pilot, "g")
        assert "below" not in text_of(pilot)


# --- the file


async def test_deleted_file_shows_banner(kiosk):
    async with browsing(kiosk) as pilot:
        kiosk.path.rename(kiosk.path.with_name("away.db"))
        pilot.app.look()
        await settled(pilot)
        assert "The file was deleted or moved." in text_of(pilot)
        kiosk.path.with_name("away.db").rename(kiosk.path)
        pilot.app.look()
        await settled(pilot)
        assert "deleted" not in text_of(pilot)


async def test_replaced_file_is_opened_again(kiosk, tmp_path):
    (tmp_path / "other").mkdir()
    other = Stage(tmp_path / "other" / "kiosk.db")
    many(other, 30)
    async with browsing(kiosk, words=["op=add"]) as pilot:
        await press(pilot, "j")
        cursor = table(pilot).cursor
        other.path.replace(kiosk.path)
        pilot.app.look()
        for _ in range(200):
            if pilot.app.return_value is not None:
                break
            await pilot.pause(0.02)
        place = pilot.app.return_value
    assert (place.view, place.query.words, place.seq) == ("journal", ("op=add",), cursor)
    for name in ("-wal", "-shm"):
        kiosk.path.with_name("kiosk.db" + name).unlink(missing_ok=True)
    with kiosk.gateway() as gateway:
        app = Browser(gateway, live=False, place=place)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await settled(pilot)
            assert table(pilot).query_now.words == ("op=add",)
            assert any("was replaced" in text for text in said(pilot))


async def test_replacement_must_be_a_journal(kiosk):
    async with browsing(kiosk) as pilot:
        new = kiosk.path.with_name("new")
        new.write_text("a letter", encoding="utf-8")
        new.replace(kiosk.path)
        pilot.app.look()
        await settled(pilot)
        assert "The file was replaced." in text_of(pilot)
        assert "not a journal" in text_of(pilot)


# --- errors of reads


async def test_error_banner_goes_with_success(kiosk):
    async with browsing(kiosk) as pilot:
        gateway = pilot.app.gateway
        read, gateway.newest = gateway.newest, lambda *_: 1 / 0
        for _ in range(3):
            pilot.app.view.refresh_view()
            await settled(pilot)
        assert (text_of(pilot).count("ZeroDivisionError"), said(pilot)) == (1, [])
        pilot.app.look()
        await settled(pilot)
        assert "ZeroDivisionError" in text_of(pilot), "a look that succeeds is not the read that failed"
        gateway.newest = read
        pilot.app.view.refresh_view()
        await settled(pilot)
        assert "ZeroDivisionError" not in text_of(pilot)


async def test_unread_failures_are_not_none(kiosk):
    async with browsing(kiosk) as pilot:
        failures = pilot.app.query_one(FailureTable)
        assert (failures.heads(80), failures.nothing()) == (" FAILURES …", " …")
        view = pilot.app.query_one("#shipping")
        view._gateway.standing = lambda *_: 1 / 0
        await pilot.press("3")
        await settled(pilot, lambda: "could not be read" in text_of(pilot))
        assert "Nothing failed" not in text_of(pilot)


# --- how shipping stands


@pytest.mark.parametrize(
    ("statistics", "shipper", "words"),
    [
        (Statistics(), ShipperStatus(), "○ nothing yet"),
        (Statistics(recorded=2, shipped=2), ShipperStatus(seen_at=1.0), "✓ all shipped"),
        (Statistics(recorded=2, shipped=1, rejected=1), ShipperStatus(seen_at=1.0), "✓ all shipped but 1"),
        (Statistics(recorded=2, shipped=2), ShipperStatus(pid=1, running=True), "▲ online"),
        (Statistics(recorded=2, pending=2), ShipperStatus(pid=1, running=True), "▲ online"),
        (Statistics(recorded=2, pending=2), ShipperStatus(seen_at=1.0), "○ no shipper"),
    ],
)
def test_online_needs_a_shipper(statistics, shipper, words):
    assert standing_of(shipping_of(statistics, shipper, now=NOW), statistics, shipper) == words


def test_try_due_soon_is_now():
    lane = LaneStatus(
        lane=Lane.PEOPLE, outcome=AttemptOutcome.OFFLINE, cause="x", since=1.0, failures=3, retry_at=NOW + 0.4
    )
    shipper = ShipperStatus(pid=1, running=True, lanes=(lane,))
    assert "Next try now" in shipping_of(Statistics(recorded=1, pending=1), shipper, now=NOW).sentence


async def test_tries_name_their_lane(stage):
    shops.trouble(stage.path)
    async with browsing(stage, (60, 20)) as pilot:
        await press(pilot, "3")
        assert "FAILURES 3 entries, 5 tries" in flat(pilot) or "tries" in flat(pilot)
        rows = pilot.app.query_one(FailureTable).rows
        assert f"1 of {len(rows)}" in flat(pilot)
        await press(pilot, "G")
        assert "people: " in flat(pilot)


# --- what is shown of data


def test_indentation_outlasts_folding():
    assert folded('  "a": 1', 20) == ['  "a": 1']
    assert folded("    one two", 9) == ["    one", "    two"]
    assert folded(" " * 30 + "x", 8) == ["    x"]


async def test_detail_indents_the_payload(stage):
    stage.record({"$distinct_id": "ada", "$set": {f"property {n}": {"deep": n} for n in range(9)}})
    async with browsing(stage, (80, 40)) as pilot:
        await press(pilot, "enter")
        assert " " * 14 + '"property 1": {' in text_of(pilot)


def test_long_copy_warns():
    assert copied_words("it", "x" * 75_000, "elsewhere") == "Copied it, 75.0 kB."
    assert copied_words("it", "x" * 75_001, "elsewhere").endswith(
        "many terminals refuse that much: elsewhere"
    )


# --- the editor


async def test_invalid_edit_stays_with_reason(kiosk):
    async with browsing(kiosk, words=["seq=12"], write=True) as pilot:
        await press(pilot, "ctrl+e")
        for text, words in (
            ("{", "is not JSON"),
            ("[1]", "is not a JSON object"),
            ('{"$distinct_id": "eve", "$set": {"a": 1}}', "another profile"),
        ):
            pilot.app.screen.query_one("#message").text = text
            await press(pilot, "f2")
            assert words in flat(pilot)
            assert pilot.app.screen.query_one("#message").text == text
        await press(pilot, "escape", "y")
        assert len(pilot.app.screen_stack) == 1


async def test_small_window_can_edit(kiosk):
    async with browsing(kiosk, (44, 11), words=["seq=12"], write=True) as pilot:
        await press(pilot, "ctrl+e")
        assert pilot.app.screen.query_one("#message").content_size.height >= 3
        assert '"$distinct_id"' in text_of(pilot)


# --- keys


async def test_keymap_changes_key_names(kiosk):
    keymap = {
        "journal.retry": "f6",
        "journal.follow": "f7",
        "journal.filter": "f8",
        "confirm.yes": "f9",
        "edit.save": "f10",
        "journal.enter": "f4",
        "shipping.enter": "f5",
    }
    with kiosk.gateway(write=True) as gateway:
        app = Browser(gateway, live=False, keymap=keymap, words=["seq=12"], first="journal")
        async with app.run_test(size=(200, 40), notifications=True) as pilot:
            await settled(pilot)
            text = text_of(pilot)
            for words in ("f8 filter", "following (f7)", "f6 retry", "f4 detail", "retries (f6)"):
                assert words in text
            assert "Retry (f6)" in [command.title for command in app.get_system_commands(app.screen)]
            await press(pilot, "question_mark")
            assert "f6" in text_of(pilot)
            await press(pilot, "escape", "f6")
            assert "f9 yes" in text_of(pilot)
            await press(pilot, "escape", "ctrl+e")
            assert "f10 send" in text_of(pilot)
            await press(pilot, "escape", "3")
            assert "f5: entries" in text_of(pilot)


async def test_footer_of_detail_names_escape(kiosk):
    async with browsing(kiosk) as pilot:

        def footer():
            return screen_text(pilot.app)[-1]

        await settled(pilot, lambda: "enter detail" in footer())
        await press(pilot, "enter")
        await settled(pilot, lambda: "esc back" in footer() and "enter detail" not in footer())
        await press(pilot, "escape")
        await settled(pilot, lambda: "enter detail" in footer())


# --- ASCII only, also in what lies over the browser


async def test_editor_can_be_ascii(kiosk):
    async with browsing(kiosk, words=["seq=39"], write=True, ascii_only=True) as pilot:
        await press(pilot, "ctrl+e")
        assert "\\u540d" in text_of(pilot)
        assert text_of(pilot).isascii()


async def test_progress_can_be_ascii(kiosk):
    answered, reports = threading.Event(), []

    def ship(progress, _stop):
        reports.append(progress)
        answered.wait(30)
        return "shipped"

    async with browsing(kiosk, write=True, ascii_only=True) as pilot:
        pilot.app.changes.actions.ship = ship
        await press(pilot, "s", "y")
        assert "Shipping ..." in text_of(pilot)
        reports[0](Step("Shipped 3 in 1 request, 2 to go.", 3, 5))
        await settled(pilot, lambda: "in 1 request, 2 to go" in flat(pilot))
        await press(pilot, "escape")
        assert "Stopping once the current request is answered ..." in text_of(pilot)
        assert text_of(pilot).isascii()
        answered.set()
        await settled(pilot, lambda: len(pilot.app.screen_stack) == 1)


async def test_attempt_counts_folded_entries(kiosk):
    kiosk.change("UPDATE attempts SET entries = 11, updates = 2 WHERE first = 1")
    async with browsing(kiosk, words=["seq=3"]) as pilot:
        await press(pilot, "enter")
        assert "with 10 more" in flat(pilot)
