"""What the journal view and its edge states look like, at four sizes. How golden files are made: harness.py."""

import json
from contextlib import asynccontextmanager

from recorder import JournalBusy as Busy
from tests.tui.browser.harness import Stage, browsing, every_size, press, screen_text, settled
from tui.browser.messages import Failed


@asynccontextmanager
async def pressed(stage, size, *keys, **options):
    async with browsing(stage, size, **options) as pilot:
        await press(pilot, *keys)
        yield pilot


async def typed(pilot, text):
    """Text into a prompt, and enter."""
    for letter in text:
        await pilot.press("space" if letter == " " else letter)
    await press(pilot, "enter")


@every_size
async def test_the_journal_newest_first(kiosk, golden, size):
    async with browsing(kiosk, size) as pilot:
        golden(pilot.app, "journal")


@every_size
async def test_a_tab_with_what_was_rejected(kiosk, golden, size):
    async with pressed(kiosk, size, "l", "l", "l", "l", "j") as pilot:
        golden(pilot.app, "rejected")


@every_size
async def test_the_detail_of_a_rejected_entry(kiosk, golden, size):
    async with pressed(kiosk, size, "h", "h", "h", "j", "enter", write=True) as pilot:
        golden(pilot.app, "detail")


@every_size
async def test_an_entry_that_waits_behind_another_says_so(kiosk, golden, size):
    async with browsing(kiosk, size, words=["seq=25"]) as pilot:
        await press(pilot, "enter")
        golden(pilot.app, "waits-behind")


@every_size
async def test_a_filter_tells_how_many_match(kiosk, golden, size):
    async with browsing(kiosk, size) as pilot:
        await press(pilot, "slash")
        await typed(pilot, "op=add profile=u-1042")
        golden(pilot.app, "filtered")


@every_size
async def test_the_prompt_takes_what_is_typed(kiosk, golden, size):
    async with browsing(kiosk, size) as pilot:
        await press(pilot, "slash", "o", "p")
        pilot.app.query_one("#prompt-input").cursor_blink = False
        await settled(pilot)
        golden(pilot.app, "prompt")


@every_size
async def test_help_for_a_reader_says_what_needs_write(kiosk, golden, size):
    async with pressed(kiosk, size, "question_mark") as pilot:
        golden(pilot.app, "help")


@every_size
async def test_the_question_names_how_many_and_what_may_apply_twice(kiosk, golden, size):
    async with browsing(kiosk, size, words=["seq=12..17"], write=True) as pilot:
        await press(pilot, "m", "G", "m", "R")
        golden(pilot.app, "confirm")


@every_size
async def test_marks_are_shown_and_counted(kiosk, golden, size):
    async with pressed(kiosk, size, "m", "m") as pilot:
        golden(pilot.app, "marked")


@every_size
async def test_a_message_to_be_edited(kiosk, golden, size):
    async with browsing(kiosk, size, words=["seq=12"], write=True) as pilot:
        await press(pilot, "ctrl+e")
        golden(pilot.app, "edit")


@every_size
async def test_ascii_only(kiosk, golden, size):
    async with pressed(kiosk, size, "enter", ascii_only=True) as pilot:
        golden(pilot.app, "ascii")
        assert all(line.isascii() for line in screen_text(pilot.app)), "something else than ASCII shows"


# --- edge states


@every_size
async def test_an_empty_journal_shows_how_to_record(stage, golden, size):
    stage.record({"$distinct_id": "ada", "$set": {"a": 1}})
    stage.change("DELETE FROM entries")
    async with browsing(stage, size) as pilot:
        golden(pilot.app, "empty")


@every_size
async def test_an_empty_tab_says_so(stage, golden, size):
    stage.record({"$distinct_id": "ada", "$set": {"a": 1}})
    async with pressed(stage, size, "l", "l", "l") as pilot:
        golden(pilot.app, "empty-tab")


@every_size
async def test_a_filter_without_a_match_says_how_to_leave_it(kiosk, golden, size):
    async with browsing(kiosk, size, words=["op=delete", "nobody"]) as pilot:
        golden(pilot.app, "no-match")


@every_size
async def test_an_unknown_operator_is_shown_raw_and_not_simulated(stage, golden, size):
    stage.record({"$distinct_id": "ada", "$multiply": {"credits": 3}})
    async with pressed(stage, size, "enter") as pilot:
        golden(pilot.app, "unknown-operator")


@every_size
async def test_a_megabyte_is_shown_to_four_kilobytes(stage, golden, size):
    stage.record({"$distinct_id": "ada", "$set": {"text": "long " * 200_000}})
    async with pressed(stage, size, "enter", "ctrl+d") as pilot:
        golden(pilot.app, "megabyte")


@every_size
async def test_data_can_neither_style_nor_turn_a_line(stage, golden, size):
    stage.record(
        {"$distinct_id": "[red]x[/red]", "$set": {"[@click=app.quit]": "[bold]"}},
        {"$distinct_id": "\x1b[31mred\x07", "$set": {"a\nb": "\u202eabc"}},
        {"$distinct_id": "שלום", "$set": {"名前": "漢字" * 20}},
        {"$distinct_id": "e\u0301\u0301", "$append": {"[/]": "]["}},
    )
    async with pressed(stage, size, "enter") as pilot:
        golden(pilot.app, "hostile")


@every_size
async def test_a_busy_writer_leaves_the_rows_under_a_banner(kiosk, golden, size):
    async with browsing(kiosk, size) as pilot:
        pilot.app.post_message(Failed(Busy("kiosk.db is busy"), "look"))
        await settled(pilot)
        golden(pilot.app, "busy")
        pilot.app.look()
        await settled(pilot)
        assert not any("busy" in line for line in screen_text(pilot.app))


@every_size
async def test_what_a_worker_raises_is_said_and_the_app_stays(kiosk, golden, size):
    async with browsing(kiosk, size) as pilot:
        pilot.app.post_message(Failed(ZeroDivisionError("division by [zero]")))
        await settled(pilot, lambda: pilot.app.screen.query("Toast"))
        golden(pilot.app, "worker-failed")
        await press(pilot, "j")


async def test_markup_in_a_journals_name_is_shown_as_text(tmp_path):
    stage = Stage(tmp_path / "[red]k[red].db")
    stage.record({"$distinct_id": "ada", "$set": {"a": 1}})
    async with browsing(stage, (120, 20)) as pilot:
        assert "[red]k[red].db" in screen_text(pilot.app)[0], json.dumps(screen_text(pilot.app)[0])
