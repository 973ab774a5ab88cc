"""Forgetting in the browser: what is asked, what is erased, and what shows afterwards."""

import pytest

from recorder import Journal, JournalReader
from tests.recorder.remnants import places
from tests.tui.browser import shops
from tests.tui.browser.harness import browsing, press, screen_text, settled, type_in
from tui.browser.views.profiles import ProfilesView
from tui.browser.widgets.entry_table import EntryTable
from tui.browser.widgets.profile_list import ProfileList

ADA = "ada@ex.org"


@pytest.fixture
def ada(stage):
    shops.ada(stage.path)
    return stage


def said(pilot):
    return [notification.message for notification in pilot.app._notifications]


def listed(pilot):
    return [row.profile for row in pilot.app.query_one(ProfileList).page_now.rows]


def forgotten(stage):
    with JournalReader(stage.path) as reader:
        return reader.counts().forgotten


def asked(pilot):
    return " ".join(" ".join(screen_text(pilot.app)).replace("│", " ").split())


async def test_forget_takes_profile_of_entry(ada):
    async with browsing(ada, size=(120, 36), write=True) as pilot:
        await press(pilot, "j", "X")
        assert "Forget ada@ex.org for ever?" in asked(pilot)
        assert pilot.app.screen._question.splitlines()[1:] == [
            "10 entries name it; they are erased for ever: 6 are not sent yet, and never will be.",
            "What the service received stays there, unless `restante forget --delete-remote` deletes it.",
            "To agree, type its id.",
        ]
        await type_in(pilot, "ynR")
        assert "That is not the id." in asked(pilot)
        await press(pilot, "escape")
        assert forgotten(ada) == 0
        await press(pilot, "X", "enter")
        await type_in(pilot, ADA)
        await settled(pilot, lambda: said(pilot))
        assert said(pilot) == ["Forgot 10 entries. No byte of it is left in the journal."]
        assert pilot.app.query_one(EntryTable).loaded
        await settled(pilot, lambda: "forgotten" in asked(pilot))
        assert ADA not in asked(pilot)
        pilot.app.exit()
    assert pilot.app.remembered is None  # a filter may name it
    assert places(ada.path, ADA) == set()


async def test_group_is_named_with_key(stage):
    stage.record({"$group_key": "company", "$group_id": "acme", "$set": {"seats": 1}})
    async with browsing(stage, write=True) as pilot:
        await press(pilot, "X")
        assert "Forget company:acme for ever?" in asked(pilot)
        await type_in(pilot, "acme")
        await settled(pilot, lambda: said(pilot))
    assert forgotten(stage) == 1


async def test_entry_without_profile_says_so(stage):
    stage.record({"event": "seen", "properties": {}}, lane="events", profile=None, operator=None)
    async with browsing(stage, write=True) as pilot:
        await press(pilot, "X")
        assert said(pilot) == ["This entry has no profile."]


@pytest.mark.long
@pytest.mark.parametrize("keys", [("2", "j", "X"), ("2", "j", "enter", "X")], ids=["in the list", "open"])
async def test_forget_takes_profile_under_cursor(ada, keys):
    async with browsing(ada, size=(120, 36), write=True) as pilot:
        await press(pilot, "2")
        before = listed(pilot)
        assert before[1] == ADA
        await press(pilot, *keys[1:])
        assert "Forget ada@ex.org for ever?" in asked(pilot)
        await type_in(pilot, ADA)
        await settled(pilot, lambda: ADA not in listed(pilot))
        assert listed(pilot) == [profile for profile in before if profile != ADA]
        assert ADA not in asked(pilot)
        assert not pilot.app.query_one(ProfilesView).has_class("open")
    assert forgotten(ada) == 10


@pytest.mark.long
async def test_profile_forgotten_elsewhere_leaves_list(ada):
    async with browsing(ada, size=(120, 36)) as pilot:
        await press(pilot, "2")
        with Journal(ada.path) as journal:
            for profile in (ADA, "u-1042", "gone"):
                journal.forget(profile)
            journal.forget("acme", group_key="company")
        pilot.app.look()
        await settled(pilot, lambda: not listed(pilot))
        assert "No profile yet" in asked(pilot)


async def test_unfinished_forgetting_says_why(ada, monkeypatch):
    monkeypatch.setattr("recorder.journal.forget._READER_PATIENCE", 0.0)
    monkeypatch.setattr("recorder.journal.connection.Connection.empty_log", lambda *_: False)
    async with browsing(ada, write=True) as pilot:
        await press(pilot, "j", "X")
        await type_in(pilot, ADA)
        await settled(pilot, lambda: said(pilot))
        assert "run it again: it finishes" in said(pilot)[0]
