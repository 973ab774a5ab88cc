"""Going around in the journal view, what stays where it is, and what may be changed."""

import asyncio
import functools
import json
import runpy

import pytest
from textual.events import Key

from recorder import HttpTransport, JournalReader, Recorder, State
from simulator.service.server import Service
from tests.profiles import sampled
from tests.tui.browser.harness import browsing, press, screen_text, settled, text_of, type_in
from tui.browser.actions import Actions
from tui.browser.gateway import PAGE, Gateway
from tui.browser.keys import BINDINGS, KEY_IDS, WRITES
from tui.browser.messages import FilterEntries, ShowEntry, Worked
from tui.browser.views.journal import JournalView
from tui.browser.widgets.entry_detail import EntryDetail
from tui.browser.widgets.entry_table import EntryTable
from tui.browser.widgets.prompt import Prompt
from tui.state import Remembered
from tui.text.rows import Query


def table(pilot):
    return pilot.app.query_one(EntryTable)


def shown(pilot):
    """The numbers that show, from the top."""
    view = table(pilot)
    rows = (view.window[view.scroll_offset.y + line] for line in range(view.size.height))
    return [row.seq for row in rows if row is not None]


def said(pilot):
    return [notification.message for notification in pilot.app._notifications]


def many(stage, number, start=0):
    stage.record(
        *({"$distinct_id": f"p{n % 50}", "$add": {"n": n}} for n in range(start, start + number)), step=0.001
    )


# --- moving


async def test_cursor_moves_by_rows_and_pages(stage):
    """And to either end by one key; with the scroll bar it stays: it is an entry, wherever one looks."""
    many(stage, 2_000)
    async with browsing(stage) as pilot:
        view = table(pilot)
        assert view.cursor == 2_000
        await press(pilot, "j", "down", "k")
        assert view.cursor == 1_999
        await press(pilot, "ctrl+d")
        assert view.cursor == 1_999 - (view.size.height - 1)
        await press(pilot, "ctrl+u", "up")
        assert (view.cursor, shown(pilot)[0]) == (2_000, 2_000)
        await press(pilot, "G")
        assert (view.cursor, shown(pilot)[-1]) == (1, 1)
        assert view.scroll_offset.y + view.size.height == 2_000
        await press(pilot, "g")
        assert (view.cursor, shown(pilot)[0]) == (2_000, 2_000)
        view.scroll_to(y=1_500, animate=False)
        await settled(pilot)
        assert (view.cursor, shown(pilot)[0]) == (2_000, 500)


@pytest.mark.long
async def test_pages_have_no_gap(stage):
    many(stage, 4 * PAGE + 7)
    async with browsing(stage, (80, 90)) as pilot:
        seen = []
        while table(pilot).cursor > 1:
            seen += shown(pilot)
            await press(pilot, "ctrl+d")
        assert set(seen + shown(pilot)) == set(range(1, 4 * PAGE + 8))
        while table(pilot).cursor < 4 * PAGE + 7:
            await press(pilot, "ctrl+u")
            numbers = shown(pilot)
            assert numbers == list(range(numbers[0], numbers[0] - len(numbers), -1))


async def test_detail_scrolls_with_same_keys(stage):
    many(stage, 100)
    stage.record({"$distinct_id": "ada", "$set": {f"p{n}": n for n in range(60)}})
    async with browsing(stage) as pilot:
        detail = pilot.app.query_one(EntryDetail)
        await press(pilot, "enter", "G")
        assert detail.scroll_offset.y == detail.max_scroll_y > 20
        await press(pilot, "pageup")
        assert 0 < detail.scroll_offset.y < detail.max_scroll_y
        await press(pilot, "g")
        assert detail.scroll_offset.y == 0
        assert table(pilot).cursor == 101


@pytest.mark.long
async def test_grown_list_scrolls_to_entry(stage):
    """There is no scroll bar yet: what a person types at once after leaving a filter found nothing to scroll."""
    many(stage, 100)
    async with browsing(stage, words=["seq=100"]) as pilot:
        view = table(pilot)
        view.show(Query(), at=5)
        await settled(pilot)
        assert 5 in shown(pilot)


async def test_scroll_bar_covers_no_text(stage):
    stage.record(*({"$distinct_id": "ada", "$set": {"note": "long " * 20}} for _ in range(60)))
    async with browsing(stage) as pilot:
        await press(pilot, "1")
        assert all(line[78] == "…" for line in screen_text(pilot.app)[3:20])


@pytest.mark.long
async def test_scroll_bar_agrees_with_count(stage):
    many(stage, 3_000)
    stage.become("rejected", *range(5, 3_000, 10), reason="no")
    async with browsing(stage, words=["state=rejected", "seq=..2000"]) as pilot:
        view = table(pilot)
        assert (view.window.total, view.cursor, view.query_now.state) == (200, 1995, State.REJECTED)
        await press(pilot, "G")
        assert (view.cursor, view.window.height) == (5, 200)


# --- filter, tabs, find, problems


async def test_invalid_filter_changes_nothing(kiosk):
    async with browsing(kiosk) as pilot:
        await press(pilot, "slash")
        await type_in(pilot, "colour=red")
        assert any("not a filter key" in line for line in screen_text(pilot.app))
        assert len(shown(pilot)) > 10


async def test_escape_closes_from_the_inside(kiosk):
    async with browsing(kiosk, words=["op=add"]) as pilot:
        app, view = pilot.app, pilot.app.view
        await press(pilot, "enter", "slash")
        assert app.query_one(Prompt).is_open
        await press(pilot, "escape")
        assert (app.query_one(Prompt).is_open, view.body.entered) == (False, True)
        await press(pilot, "escape")
        assert (view.body.entered, table(pilot).query_now.words) == (False, ("op=add",))
        await press(pilot, "escape")
        assert table(pilot).query_now.words == ()
        assert app.is_running


@pytest.mark.long
async def test_prompt_takes_focus_at_once(kiosk):
    """A fast hand, or a script: nothing waits for the prompt to be drawn."""
    async with browsing(kiosk) as pilot:
        pilot.app.view.action_filter()
        assert pilot.app.focused is pilot.app.query_one("#prompt-input")
        pilot.app.action_close()
        assert pilot.app.focused is table(pilot)


@pytest.mark.long
@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_key_after_enter_reaches_detail(kiosk, size):
    async with browsing(kiosk, size, words=["seq=12"], write=True) as pilot:
        for key in ("enter", "R"):
            pilot.app.simulate_key(key)
        await settled(pilot, lambda: any("Retry 1 entry, #12?" in line for line in screen_text(pilot.app)))


@pytest.mark.parametrize("ahead", sampled([3, 5], 2))
async def test_letters_typed_fast_stay_in_order(kiosk, ahead):
    """The key that opens the prompt is a few widgets ahead of the first letter, the others come when it is open."""
    async with browsing(kiosk) as pilot:
        field = pilot.app.query_one(Prompt).field
        opened = asyncio.Event()
        pilot.app.watch(field, "has_focus", lambda focused: opened.set() if focused else None, init=False)
        pilot.app.simulate_key("slash")
        for _ in range(ahead):
            await asyncio.sleep(0)
        pilot.app.simulate_key("a")
        await opened.wait()
        for key in ("d", "m", "i", "n", "enter"):
            pilot.app.simulate_key(key)
        await settled(pilot)
        assert pilot.app.query_one(JournalView).place[0].words == ("admin",)


async def test_key_after_a_closed_question_acts(kiosk):
    """The screen goes before it has told that the key which closed it has acted."""
    async with browsing(kiosk, words=["seq=12"], write=True) as pilot:
        await press(pilot, "D")
        question = pilot.app._acting = pilot.app.screen
        question.dismiss(None)
        assert question.is_attached
        await pilot.app.on_event(Key("j", "j"))
        assert not pilot.app._keys


async def test_find_goes_both_ways(kiosk):
    async with browsing(kiosk) as pilot:
        await press(pilot, "f")
        await type_in(pilot, "op=add")
        found = [table(pilot).cursor]
        for key in ("n", "n", "N"):
            await press(pilot, key)
            found.append(table(pilot).cursor)
        assert found == [36, 31, 26, 31]
        await press(pilot, "G", "n")
        assert "There is no older entry that matches op=add." in said(pilot)


async def test_problem_key_finds_problems(kiosk):
    async with browsing(kiosk) as pilot:
        found = []
        for key in ("e", "e", "e", "e", "e", "E"):
            await press(pilot, key)
            found.append(table(pilot).cursor)
        assert found == [25, 23, 21, 17, 12, 17]


async def test_views_can_show_entry_or_filter(kiosk):
    async with browsing(kiosk, words=["op=add"]) as pilot:
        await press(pilot, "3")
        pilot.app.post_message(ShowEntry(17))
        await settled(pilot, lambda: table(pilot).cursor == 17)
        assert pilot.app.view.where == "journal"
        pilot.app.post_message(FilterEntries(["state=rejected", "error=list"]))
        await settled(pilot, lambda: table(pilot).cursor == 12)
        assert shown(pilot) == [12]


# --- live


async def test_cursor_stays_on_its_entry(stage):
    many(stage, 100)
    async with browsing(stage) as pilot:
        await press(pilot, "j", "j", "j")
        for start in range(100, 1_300, 300):
            many(stage, 300, start)
            pilot.app.look()
            await settled(pilot)
            assert table(pilot).cursor == 97
        assert shown(pilot)[0] == 1_300, "it follows"


@pytest.mark.long
async def test_rows_stay_unless_following(stage):
    many(stage, 500)
    async with browsing(stage) as pilot:
        await press(pilot, "ctrl+d", "ctrl+d")
        before = shown(pilot)
        many(stage, 400, 500)
        pilot.app.look()
        await settled(pilot)
        assert shown(pilot) == before
        await press(pilot, "F")
        assert shown(pilot)[0] == 900
        await press(pilot, "F")
        many(stage, 50, 900)
        pilot.app.look()
        await settled(pilot)
        assert shown(pilot)[0] == 900


async def test_changed_states_show(kiosk):
    async with browsing(kiosk) as pilot:
        assert not any("↻ sending" in line for line in screen_text(pilot.app))
        kiosk.change(
            "INSERT INTO attempts (lane, epoch, first, last, updates, bytes, digest, started_at, words, times)"
            " VALUES ('people', 2, 31, 35, 5, 1, '', 0, '', 1)"
        )
        pilot.app.look()
        await settled(pilot)
        assert sum("↻ sending" in line for line in screen_text(pilot.app)) == 5


async def test_cursor_moves_off_a_lost_match(kiosk):
    async with browsing(kiosk, words=["state=rejected"], write=True) as pilot:
        assert table(pilot).cursor == 23
        kiosk.change("UPDATE entries SET state = 'discarded' WHERE seq = 23")
        pilot.app.look()
        await settled(pilot)
        assert (table(pilot).cursor, shown(pilot)) == (12, [12])


@pytest.mark.long
async def test_writer_can_truncate_its_log(stage):
    many(stage, 1_000)
    async with browsing(stage) as pilot:
        await press(pilot, "ctrl+d", "e", "enter", "f")
        await type_in(pilot, "nobody")
        many(stage, 10, 1_000)
        pilot.app.look()
        await settled(pilot)
        ((busy, *_),) = stage.change("PRAGMA wal_checkpoint(TRUNCATE)")
        assert busy == 0
        assert stage.path.with_name("kiosk.db-wal").stat().st_size == 0


# --- what may be changed


async def test_read_only_changes_nothing(kiosk):
    before = kiosk.path.read_bytes()
    async with browsing(kiosk, words=["seq=12"]) as pilot:
        for key in (key for key in KEY_IDS.values() if key.action in WRITES):
            pilot.app.clear_notifications()
            await press(pilot, key.key.split(",")[0])
            assert any("needs --write" in text for text in said(pilot)), key.id
            assert len(pilot.app.screen_stack) == 1
    assert kiosk.path.read_bytes() == before


def state_of(stage, seq):
    with JournalReader(stage.path) as reader:
        return reader.entry(seq).state


async def test_rejected_entry_is_retried(kiosk):
    """One that is malformed is not, and it is said why."""
    async with browsing(kiosk, words=["seq=12,23"], write=True) as pilot:
        await press(pilot, "R")
        assert any("malformed" in text for text in said(pilot))
        assert len(pilot.app.screen_stack) == 1
        await press(pilot, "j", "R", "n")
        assert state_of(kiosk, 12) is State.REJECTED
        await press(pilot, "R", "y")
        assert state_of(kiosk, 12) is State.WAITING
        assert "1 entry will be sent again." in said(pilot)


@pytest.mark.long
@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_detail_acts_while_entries_come(stage, size):
    many(stage, 300)
    attempt = stage.attempt(5, 5, "refused", "not numeric", 400, ago=60.0)
    stage.become("rejected", 5, attempt=attempt, reason="not numeric")
    async with browsing(stage, size, write=True) as pilot:
        await press(pilot, "e", "enter")
        for start in (300, 600):
            many(stage, 300, start)
            pilot.app.look()
            await settled(pilot)
        assert table(pilot).cursor == 5
        await press(pilot, "R")
        assert "Retry 1 entry, #5?" in "\n".join(screen_text(pilot.app))
        await press(pilot, "escape", "escape")
        assert 5 in shown(pilot)


async def test_marked_entries_are_discarded_together(kiosk):
    async with browsing(kiosk, write=True) as pilot:
        await press(pilot, "m", "m", "j", "m", "D")
        assert any("Discard 3 entries, #40, #39, #37?" in line for line in screen_text(pilot.app))
        await press(pilot, "y")
        assert [state_of(kiosk, seq) for seq in (40, 39, 38, 37)] == [
            State.DISCARDED,
            State.DISCARDED,
            State.PENDING,
            State.DISCARDED,
        ]
        assert not table(pilot).marks


async def test_all_matches_are_marked_and_exported(kiosk, tmp_path):
    file, taken = tmp_path / "out.jsonl", tmp_path / "taken"
    taken.touch()
    async with browsing(kiosk, words=["op=add"]) as pilot:
        await press(pilot, "a", "j", "m")
        assert "7 marked" in "\n".join(screen_text(pilot.app))
        await press(pilot, "y")
        assert len(pilot.app.clipboard.splitlines()) == 7
        await press(pilot, "x")
        field = pilot.app.query_one(Prompt).field
        assert field.value == "kiosk-entries.jsonl"
        field.value = str(taken)
        await press(pilot, "enter")
        assert any("that file exists already" in line for line in screen_text(pilot.app))
        field.value = str(file)
        await press(pilot, "enter")
        assert f"Exported 7 entries to {file}." in said(pilot)
        await press(pilot, "escape")
        assert not table(pilot).marks
        assert table(pilot).query_now.words == ("op=add",)
    assert file.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(line.get("message") or line)["$add"]["credits"] for line in lines] == [1, 6, 11, 16, 21, 26, 36]


def test_ship_now_names_another_destination(tmp_path):
    """The question says where the journal was shipped until now, if it is about to go elsewhere."""
    path = tmp_path / "kiosk.db"
    with Service() as service, Recorder("T", path, url=service.url) as recorder:
        recorder.people_set("ada", {"n": 1})
        recorder.flush()
        recorder.people_set("ada", {"n": 2})
        for url, told in ((service.url, False), ("http://127.0.0.1:9", True)):
            with Gateway(path, write=True, transport=functools.partial(HttpTransport, url=url)) as gateway:
                question = Actions(gateway).to_ship()
                assert f"to {url} now?" in question
                assert (f"So far the journal was shipped to {service.url}." in question) is told


async def test_ship_now_sends_and_reports(stage):
    with Recorder("T", stage.path) as recorder:
        for n in range(5):
            recorder.people_set("ada", {"n": n})
    with Service() as service:
        async with browsing(stage, write=True, transport=lambda: HttpTransport(url=service.url)) as pilot:
            await press(pilot, "s")
            assert any(
                f"Ship to {service.url} now? 5 entries unsent." in line for line in screen_text(pilot.app)
            )
            await press(pilot, "y")
            await settled(pilot, lambda: len(pilot.app.screen_stack) == 1)
            assert f"Shipped 5 entries in 1 request to {service.url}. Nothing is left." in said(pilot)
            await press(pilot, "s")
            assert any("nothing to send" in text for text in said(pilot))


# --- copying


@pytest.mark.long
async def test_copied_history_is_a_test(kiosk, tmp_path):
    async with browsing(kiosk, words=["seq=36"]) as pilot:
        await press(pilot, "Y")
        text = pilot.app.clipboard
    file = tmp_path / "test_copied.py"
    file.write_text(text, encoding="utf-8")
    runpy.run_path(str(file))["test_entry_36"]()
    assert "'credits': 36" in text


# --- keys


def test_keys_have_ids_and_no_clash():
    assert len(KEY_IDS) == sum(map(len, BINDINGS.values()))
    never = {f"ctrl+{letter}" for letter in "hijmszabo"}
    assert not never & {name for key in KEY_IDS.values() for name in key.key.split(",")}
    for place, bindings in BINDINGS.items():
        names = [name for key in bindings for name in key.key.split(",")]
        assert len(names) == len(set(names)), place


async def test_palette_offers_allowed_keys(kiosk):
    async with browsing(kiosk) as pilot:
        titles = [command.title for command in pilot.app.get_system_commands(pilot.app.screen)]
        assert "Next problem (e)" in titles
        assert not any(title.startswith("Retry") for title in titles)


async def test_colon_goes_to_entry_profile_or_action(kiosk):
    """Typed at once, as a hand does that knows where to go."""
    async with browsing(kiosk) as pilot:
        for typed, condition in (
            ("12", lambda: table(pilot).cursor == 12),
            ("zoë", lambda: pilot.app.view.where == "profiles" and "zoë" in screen_text(pilot.app)[1]),
            ("journal", lambda: pilot.app.view.where == "journal"),
            ("oldest", lambda: table(pilot).cursor == 1),
            ("99", lambda: "There is no entry #99: it is not recorded yet, or was pruned." in said(pilot)),
        ):
            pilot.app.simulate_key("colon")
            await type_in(pilot, typed)
            await settled(pilot, condition)
        await press(pilot, "colon", "enter", "colon", "escape", "g")
        for key in ("colon", "1", "2", "enter", "k"):
            pilot.app.simulate_key(key)
        await settled(pilot, lambda: table(pilot).cursor == 13)


async def test_keymap_replaces_a_key(kiosk):
    from tui.browser.app import Browser

    with kiosk.gateway() as gateway:
        app = Browser(gateway, live=False, keymap={"journal.problem": "f5"}, first="journal")
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            await press(pilot, "e")
            assert table(pilot).cursor == 40
            await press(pilot, "f5")
            assert table(pilot).cursor == 25


async def test_browser_tells_local_times(kiosk):
    async with browsing(kiosk) as pilot:
        await press(pilot, "enter")
        await settled(pilot, lambda: "Z, " in text_of(pilot))
        await press(pilot, "u")
        await settled(pilot, lambda: "Z, " not in text_of(pilot))
        assert "recorded" in text_of(pilot)


async def test_end_notes_view_and_filter(kiosk):
    async with browsing(kiosk, words=["state=rejected", "op=add"]) as pilot:
        await press(pilot, "2")
        pilot.app.exit()
    assert pilot.app.remembered == Remembered("profiles", ("state=rejected", "op=add"))


@pytest.mark.parametrize("theme", sampled(["textual-light", "ansi-dark", "solarized-dark", "tokyo-night"], 4))
async def test_themes_show_cursor_and_states(kiosk, theme):
    async with browsing(kiosk) as pilot:
        if theme not in pilot.app.available_themes:
            pytest.skip(f"there is no {theme} in this version of textual")
        pilot.app.theme = theme
        await settled(pilot)
        lines = screen_text(pilot.app)
        assert any(line.startswith("►") and "○ pending" in line for line in lines)
        text, muted = (contrast(pilot, words) for words in ("zoë  ", "✓ shipped"))
        assert muted < text


async def test_no_color_leaves_problems_bright(kiosk, monkeypatch):
    """The grey of a red is darker than that of muted text."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with browsing(kiosk, words=["seq=11..23"]) as pilot:
        await press(pilot, "1", "j", "j")
        shipped, *others = (
            contrast(pilot, words) for words in ("✓ shipped", "✗ rejected", "? in doubt", "zoë  ")
        )
        assert shipped < min(others)
        assert len(set(others)) == 1


def contrast(pilot, words):
    """The distance of some words' colour from the one behind them; what has the attribute for dim is half as far."""
    strips = pilot.app.screen._compositor.render_strips()
    style = next(part.style for strip in strips for part in strip if words in part.text)
    if style.color is None or style.color.is_default:
        return 0.5 if style.dim else 1.0
    text, behind = (sum(color.get_truecolor()) for color in (style.color, style.bgcolor))
    return abs(text - behind) / 765


async def test_click_enters_and_leaves_the_detail(kiosk):
    """Escape knows it, and keys move in what was clicked."""
    async with browsing(kiosk, (120, 36)) as pilot:
        await press(pilot, "1")
        for leave in ("click", "escape"):
            await pilot.click("#detail", offset=(5, 3))
            await settled(pilot)
            assert pilot.app.view.body.entered
            cursor = table(pilot).cursor
            await press(pilot, "j")
            assert table(pilot).cursor == cursor
            await (press(pilot, "escape") if leave == "escape" else pilot.click("#entries", offset=(5, 2)))
            await settled(pilot)
            assert table(pilot).has_focus
            assert not pilot.app.view.body.entered


async def test_tabs_are_clicked(kiosk):
    async with browsing(kiosk) as pilot:
        await pilot.click("#tabs", offset=(screen_text(pilot.app)[1].index("rej"), 0))
        await settled(pilot)
        assert shown(pilot) == [23, 12]


async def test_answer_after_the_end_is_dropped(stage):
    """A read may end while the app closes: there are no widgets then to show its result."""
    shown = []
    many(stage, 1)
    async with browsing(stage) as pilot:
        app = pilot.app
        app.ask(lambda: None, lambda _: shown.append("open"), group="last")
        question = app._unanswered["last"]
        await settled(pilot)
    app._unanswered["last"] = question
    app._answered(question, Worked("last"), lambda: shown.append("closed"))
    assert shown == ["open"]
