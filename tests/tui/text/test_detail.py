"""A whole entry as lines: how it was settled by reading its profile back."""

import time

import pytest

from recorder import Journal, Recorder, Shipper, ShippingPolicy
from tests.doubles import ACCEPTED
from tests.recorder.journal.test_readback import Profiles, part, ship, visits
from tui.browser.gateway import Gateway
from tui.text.detail import detail_lines, moment

APPLIED = "read back from the profile: applied"
NOT_APPLIED = "read back: not applied, sent again"


@pytest.fixture
def settled(tmp_path):
    """Make a journal of which one request in doubt was read back: so many of its first three entries were applied."""
    path = tmp_path / "kiosk.db"

    def make(applied, *, sent_again):
        profiles = Profiles(part(applied))
        with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
            visits(recorder, 3)
            ship(journal, profiles)
            journal.settle(profiles)
            if sent_again:
                ship(journal, profiles)
        return path

    return make


def lines(path, seq):
    """Words of an entry by label, of its attempts without their time."""
    found = {"attempts": []}
    with Gateway(path) as gateway:
        facts, label = gateway.entry_facts(seq), ""
        for line in detail_lines(facts, None, effect_known=True, key=str):
            label = line.label or label
            if label == "attempts":
                found[label].append(line.text.partition(" ")[2])
            elif line.label:
                found[label] = line.text
    return found


@pytest.mark.parametrize("sent_again", [False, True])
@pytest.mark.parametrize("applied", [0, 1, 3])
def test_detail_tells_what_was_read_back(settled, applied, sent_again):
    path = settled(applied, sent_again=sent_again)
    for seq in (1, 2, 3):
        shown = lines(path, seq)
        told = APPLIED if seq <= applied else NOT_APPLIED
        again = sent_again and seq > applied
        assert shown["reason"] == told
        words = [attempt.partition(", with")[0] for attempt in shown["attempts"]]
        assert words == [told, *["200 accepted"] * again]


def test_read_back_entry_is_not_retried(settled):
    """It is sent anyway; given up, it says so."""
    with Journal(settled(1, sent_again=False)) as journal:
        assert journal.retry("").refused == {"it was shipped": 1, "it is to be sent anyway": 2}
        journal.discard("seq=2")
    assert lines(journal.path, 2)["reason"] == "discarded by a person"
    assert lines(journal.path, 3)["next"] == "it goes once a shipper runs"


def test_doubt_after_reading_back_is_doubt(tmp_path):
    """What was read back once says no more than that no answer came, once it is in doubt again."""
    path, profiles = tmp_path / "kiosk.db", Profiles(part(1), ACCEPTED, part(0))
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        visits(recorder, 2)
        ship(journal, profiles)
        journal.settle(profiles)
        ship(journal, profiles)
    shown = lines(path, 2)
    assert "reason" not in shown
    assert [words.partition(":")[0] for words in shown["attempts"]] == [
        "no answer, so it may have arrived"
    ] * 2


@pytest.mark.parametrize(
    ("settle_after", "held", "following"),
    [
        (5_430, "itself, in doubt, for 1 h 30 m more", "it is sent again, which is harmless, after the wait"),
        (
            0,
            "itself, in doubt: the wait is over",
            "it is sent again, which is harmless, once a shipper runs",
        ),
    ],
)
def test_wait_of_doubt_is_told(tmp_path, settle_after, held, following):
    path = tmp_path / "kiosk.db"
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        recorder.people_set("ada", {"plan": "pro"})
        Shipper(journal, Profiles(part(0)), ShippingPolicy(settle_after=settle_after)).ship()
    shown = lines(path, 1)
    assert (shown["held"], shown["next"]) == (held, following)


@pytest.fixture
def kolkata(monkeypatch):
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("kolkata")
def test_times_are_local_or_utc():
    evening = 1_790_017_200.0  # of a day that has ended in Kolkata
    assert moment(evening, evening + 1) == "19:00:00Z"
    assert moment(evening, evening + 1, local=True) == "00:30:00"
    assert moment(evening - 86_400, evening, local=True, exact=True) == "2026-09-21 00:30:00.000"
