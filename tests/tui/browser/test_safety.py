"""Nothing is lost by one key: enter never agrees, an edit stays until it is saved, a replaced file is not changed."""

import json
import sqlite3
from contextlib import closing, contextmanager

import pytest

from recorder import JournalReader, State
from tests.profiles import sampled
from tests.tui.browser.harness import Stage, browsing, press, resize, settled, text_of
from tests.tui.browser.test_browsing import said, state_of
from tui.browser import changes
from tui.browser.screens.compose import ComposeScreen
from tui.browser.screens.confirm import ConfirmScreen
from tui.browser.screens.edit import EditScreen
from tui.browser.screens.main import MainScreen
from tui.browser.widgets.key_footer import KeyFooter

EDITED = '{"$distinct_id": "ada@ex.org", "$union": {"tags": ["b"]}}'


def written(pilot):
    return pilot.app.screen.query_one("#message").text


async def test_enter_agrees_to_nothing(kiosk):
    async with browsing(kiosk, words=["seq=12"], write=True) as pilot:
        await press(pilot, "D", "enter", "D")  # nor does its own key, pressed twice
        assert isinstance(pilot.app.screen, ConfirmScreen)
        footer = pilot.app.screen.query_one(KeyFooter)
        await press(pilot, "ctrl+e", "n")
        await footer.recompose()  # as when other answers were found just then
        await press(pilot, "ctrl+e", "space", "f2", "enter")
        assert isinstance(pilot.app.screen, ConfirmScreen)
    assert state_of(kiosk, 12) is State.REJECTED


@pytest.mark.parametrize("key", sampled(["ctrl+c", "escape", "ctrl+q"], 3))
async def test_edit_is_left_after_question(kiosk, key):
    async with browsing(kiosk, words=["seq=12"], write=True) as pilot:
        await press(pilot, "ctrl+e", "x", "q", key)
        assert "Leave and lose what you wrote?" in text_of(pilot)
        await resize(pilot, 44, 11)
        await press(pilot, "n")
        assert written(pilot).startswith("xq{")
        await press(pilot, key, "y")
        assert len(pilot.app.screen_stack) == 1


async def test_edit_that_fails_stays(kiosk):
    """The person says no; then another process takes the entry; then the file is replaced."""
    async with browsing(kiosk, words=["seq=12"], write=True) as pilot:
        await press(pilot, "ctrl+e")
        pilot.app.screen.query_one("#message").text = EDITED
        await press(pilot, "f2", "n")
        assert written(pilot) == EDITED
        kiosk.change("UPDATE entries SET state = 'discarded' WHERE seq = 12")
        await press(pilot, "f2", "y")
        await settled(pilot, lambda: "cannot be edited: it is discarded" in text_of(pilot))
        kiosk.change("UPDATE entries SET state = 'rejected' WHERE seq = 12")
        replaced(kiosk)
        pilot.app.look()
        await press(pilot, "f2", "y")
        await settled(pilot, lambda: "kiosk.db is replaced: nothing was changed." in text_of(pilot))
        assert isinstance(pilot.app.screen, EditScreen)
        assert written(pilot) == EDITED
    with JournalReader(kiosk.path) as reader:
        assert reader.entry(1).state is State.PENDING


def replaced(stage):
    """Put another journal in its place, with another entry at each number."""
    other = Stage(stage.path.with_name("other.db"))
    other.record(*({"$distinct_id": "ada@ex.org", "$set": {"n": n}} for n in range(40)))
    for suffix in ("-wal", "-shm"):
        stage.path.with_name(stage.path.name + suffix).unlink(missing_ok=True)
    other.path.replace(stage.path)


async def test_question_about_replaced_file_changes_nothing(kiosk):
    """The numbers it named are other entries in the new file."""
    async with browsing(kiosk, words=["seq=39..40"], write=True) as pilot:
        await press(pilot, "D")
        replaced(kiosk)
        await press(pilot, "y")
        await settled(pilot, lambda: "kiosk.db is replaced: nothing was changed." in said(pilot))
    assert state_of(kiosk, 40) is State.PENDING


async def test_ctrl_c_copies_then_leaves(kiosk):
    """A selection first, then the prompt or the question; it quits where nothing else is meant."""
    async with browsing(kiosk, words=["seq=12"], write=True) as pilot:
        await press(pilot, "slash", "home", "shift+end", "ctrl+c")
        assert pilot.app.clipboard == "seq=12"
        assert pilot.app.view.innermost
        await press(pilot, "end", "ctrl+c", "question_mark", "ctrl+c", "R")
        assert isinstance(pilot.app.screen, ConfirmScreen)
        pilot.app.screen.text_select_all()
        await press(pilot, "ctrl+c")
        assert "Retry 1 entry, #12?" in pilot.app.clipboard
        pilot.app.screen.clear_selection()
        await press(pilot, "ctrl+c")
        assert len(pilot.app.screen_stack) == 1
        pilot.app.simulate_key("ctrl+c")
        await settled(pilot, lambda: pilot.app._exit)


async def test_discard_is_taken_back(kiosk):
    """Each entry stands as before: rejected, in doubt and held, pending."""
    numbers = (12, 17, 40)
    with JournalReader(kiosk.path) as reader:
        before = [reader.entry(seq) for seq in numbers]
        held = reader.hold(before[1])
    async with browsing(kiosk, words=["seq=12,17,40"], write=True) as pilot:
        await press(pilot, "U")
        assert "There is no discard to undo since the browser was started" in said(pilot)
        await press(pilot, "m", "m", "m", "D", "y")
        await settled(pilot, lambda: "3 entries discarded. U undoes it." in said(pilot))
        assert state_of(kiosk, 12) is State.DISCARDED
        await press(pilot, "U")
        await settled(pilot, lambda: "3 entries are as before." in said(pilot))
        await press(pilot, "U")
        assert said(pilot).count("There is no discard to undo since the browser was started") == 2
    with JournalReader(kiosk.path) as reader:
        assert [reader.entry(seq) for seq in numbers] == before
        assert reader.hold(before[1]) == held


async def test_operation_is_composed(kiosk):
    """The effect shows as it is typed; what is refused stays; enter twice records once."""
    async with browsing(kiosk, words=["seq=37"], write=True) as pilot:
        await press(pilot, "c")
        for letter in "increment credits ":
            pilot.app.simulate_key(letter)
        await press(pilot, "x", "enter")
        assert "x is not a JSON value" in text_of(pilot)
        await press(pilot, "backspace", "5")
        assert "credits: 22 → 27" in text_of(pilot)
        pilot.app.simulate_key("enter")
        await press(pilot, "enter")
        await settled(pilot, lambda: "Recorded increment of u-1042." in said(pilot))
    with JournalReader(kiosk.path) as reader:
        assert reader.highest() == 41
        entry = reader.entry(41)
    assert (entry.profile, entry.message["$add"], entry.state) == ("u-1042", {"credits": 5}, State.PENDING)


async def test_second_click_ends_one_screen(kiosk):
    """Two clicks on an answer, the second sent before the first has acted, leave the edit below as it is."""
    async with browsing(kiosk, words=["seq=12"], write=True) as pilot:
        await press(pilot, "ctrl+e")
        pilot.app.screen.query_one("#message").text = EDITED
        await press(pilot, "f2")
        for below in (EditScreen, MainScreen):
            upper = pilot.app.screen
            for _ in range(2):
                upper.dismiss(None)
            await settled(pilot)
            assert isinstance(pilot.app.screen, below)
            await press(pilot, *["escape", "y", "ctrl+p"][: 3 * (below is EditScreen)])


async def test_change_being_written_is_told(kiosk, monkeypatch):
    """While another process holds the journal, no key leaves what is being written, or takes its result's place."""
    monkeypatch.setattr(changes, "_SOON", 0.01)
    async with browsing(kiosk, words=["seq=12"], write=True) as pilot:
        app = pilot.app
        with held(kiosk):
            await press(pilot, "c", *"delete", "enter", "escape")
            assert isinstance(app.screen, ComposeScreen)
            await settled(
                pilot, lambda: "Still being written: another process may hold the journal." in said(pilot)
            )
        await settled(pilot, lambda: "Recorded delete of ada@ex.org." in said(pilot))
        await press(pilot, "ctrl+e")
        app.screen.query_one("#message").text = EDITED
        with held(kiosk):
            await press(pilot, "f2")
            assert "Send 1 entry, #12, as edited?" in text_of(pilot)
            await press(pilot, "y", "escape", "f2")
            assert isinstance(app.screen, EditScreen)
        await settled(pilot, lambda: "Entry 12 will be sent as edited." in said(pilot))
        with JournalReader(kiosk.path) as reader:
            assert reader.entry(12).message == json.loads(EDITED)
        await press(pilot, "D")
        with held(kiosk):
            app.screen.dismiss("yes")
            await pilot.pause()
            app.simulate_key("U")
            await pilot.pause()
            assert said(pilot)[-1] == "The previous change is still being written."
            assert app.changes.sending  # so that the end of the app waits for it
        await settled(pilot, lambda: "1 entry discarded. U undoes it." in said(pilot))
        assert not app.changes.sending


@contextmanager
def held(stage):
    """Keep others from writing."""
    with closing(sqlite3.connect(stage.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
