"""A discard that is taken back: each entry has its earlier state, and profiles that were held are held again."""

import json

import pytest

from recorder import Journal, JournalReader, Shipper, ShippingPolicy, audit
from recorder.model.entries import NewEntry
from tests.doubles import ACCEPTED, REFUSED, RESET, Boot, Scripted

HOLD = ShippingPolicy(in_doubt="hold", settle_after=0, batch_updates=1)


def row(profile, **add):
    message = json.dumps({"$distinct_id": profile, "$add": add})
    return NewEntry("people", None, profile, "$add", message, 1.0)


@pytest.fixture
def path(tmp_path):
    """1 is rejected, 2 in doubt and held, 3 waits behind it, 4 is shipped, 5 is pending."""
    path = tmp_path / "kiosk.db"
    with Journal(path, token="T", durability="process") as journal:
        journal.append([row("eve", n=1), row("ada", n=1), row("ada", n=2), row("bob", n=1)])
        shipper = Shipper(journal, Scripted(REFUSED, RESET, ACCEPTED), HOLD, uptime=Boot())
        for _ in range(3):
            shipper.ship()
        journal.append([row("bob", n=2)])
    return path


def standing(path):
    with JournalReader(path) as reader:
        entries = reader.entries("", limit=100)
        return [(each.seq, each.state, each.reason, each.hazardous, reader.hold(each)) for each in entries]


def discarded(path):
    """Discard, and return what undoes it."""
    with JournalReader(path) as reader, Journal(path) as journal:
        undo = reader.before_discard([1, 2, 3, 5])
        assert journal.discard(["seq=1..3,5"]).entries == 4
        return undo


def test_each_state_is_restored(path):
    before = standing(path)
    assert [state.value for _, state, *_ in before] == [
        "pending",
        "shipped",
        "waiting",
        "in_doubt",
        "rejected",
    ]
    undo = discarded(path)
    with Journal(path) as journal:
        done = journal.take_back(undo)
        assert (done.entries, done.out_of_order, done.refused) == (4, 0, {})
        assert standing(path) == before
        assert audit(path).agrees
        Shipper(journal, Scripted(), ShippingPolicy(settle_after=0), uptime=Boot()).ship()
    assert [state.value for _, state, *_ in standing(path)] == [
        "shipped", "shipped", "waiting", "in_doubt", "rejected",
    ]  # fmt: skip


def test_changed_entries_are_refused(path):
    """One was retried, is in doubt again, and discarded again; one was erased; one goes out of order."""
    undo = discarded(path)
    with Journal(path) as journal:
        shipper = Shipper(journal, Scripted(ACCEPTED, RESET), HOLD, uptime=Boot())
        journal.append([row("bob", n=3)])
        shipper.ship()
        journal.retry("seq=2")
        shipper.ship()
        journal.discard("seq=2")
        journal.forget("eve")
        done = journal.take_back(undo)
    assert (done.entries, done.out_of_order, done.numbers) == (2, 1, (3, 5))
    assert list(done.refused.values()) == [2]
    assert audit(path).agrees
