"""Folding while shipping: fewer updates in requests, and the same counts."""

import json

import pytest

from recorder import JournalReader, Shipper, ShippingPolicy, State, audit
from recorder.journal.claims import ClaimSize, Shipping
from recorder.journal.packing import MOST_FOLDED
from recorder.model.operations import Lane
from simulator import Simulator
from tests.doubles import ACCEPTED, BOOTED, REFUSED, RESET, UNREACHABLE, Boot, Scripted, take_over

FOLD = ShippingPolicy(fold=True)


def ship(journal, *answers, boot=None, limit=None, **policy):
    transport = Scripted(*answers)
    policy = ShippingPolicy(fold=True, **policy)
    report = Shipper(journal, transport, policy, uptime=boot or Boot()).ship(limit=limit)
    return report, [json.loads(body) for _, body in transport.sent]


def bump(recorder, times, profile="ada"):
    with recorder.batch() as batch:
        for _ in range(times):
            batch.people_increment(profile, {"visits": 1})


def test_folded_entries_are_each_shipped(recorder, journal, path):
    bump(recorder, 500)
    report, ((update,),) = ship(journal)
    assert update["$add"] == {"visits": 500}
    assert (report.shipped, report.requests, report.stopped_by) == (500, 1, "done")
    with JournalReader(path) as reader:
        (attempt,) = reader.attempts(250)
        assert (attempt.entries, attempt.updates) == (500, 1)
        assert {entry.message["$add"]["visits"] for entry in reader.stream()} == {1}
    assert audit(path).agrees


def test_small_request_folds_limited_entries(recorder, journal):
    """A request of one update takes many entries, but not without end."""
    bump(recorder, MOST_FOLDED + 5)
    report, requests = ship(journal, batch_updates=1)
    assert [update["$add"]["visits"] for (update,) in requests] == [MOST_FOLDED, 5]
    assert report.shipped == MOST_FOLDED + 5


def test_limit_counts_entries_not_updates(recorder, journal):
    bump(recorder, 10)
    report, requests = ship(journal, limit=4)
    assert [update["$add"]["visits"] for (update,) in requests] == [4]
    assert (report.shipped, report.pending) == (4, 6)


def test_folding_needs_the_policy(recorder, journal):
    bump(recorder, 3)
    transport = Scripted()
    Shipper(journal, transport, ShippingPolicy()).ship()
    assert len(json.loads(transport.sent[0][1])) == 3


def test_refused_fold_is_unfolded_and_halved(recorder, journal, path):
    bump(recorder, 8)

    def refuses_the_fifth(lane, body, timeout):  # noqa: ARG001
        # The fifth entry is bad: each batch with it is refused.
        held = sum(update["$add"]["visits"] for update in json.loads(body))
        place = seen[0]
        bad = place < 5 <= place + held
        if not bad or held == 1:
            seen[0] += held
        return REFUSED if bad else ACCEPTED

    seen = [0]
    report, requests = ship(journal, *[refuses_the_fifth] * 20)
    assert [len(updates) for updates in requests] == [1, 4, 4, 2, 1, 1, 2][: len(requests)]
    assert (report.shipped, report.rejected) == (7, 1)
    with JournalReader(path) as reader:
        assert [entry.seq for entry in reader.entries("state=rejected")] == [5]
    assert audit(path).agrees


def test_resend_is_unfolded(recorder, journal, path):
    """Entries in doubt are sent again unfolded, and each one is counted."""
    bump(recorder, 3)
    boot = Boot()
    report, _ = ship(journal, RESET, boot=boot)
    assert report.in_doubt == 3
    boot.passes(31)
    report, requests = ship(journal, boot=boot)
    assert [len(updates) for updates in requests] == [1, 2]  # a smaller request first
    with JournalReader(path) as reader:
        counts = reader.counts()
        assert {entry.sends for entry in reader.stream()} == {2}
    assert (counts.shipped, counts.possibly_twice) == (3, 3)
    assert audit(path).agrees


def test_doubt_never_folds_with_pending(recorder, journal):
    """Entries in doubt never fold with pending ones."""
    bump(recorder, 2)
    boot = Boot()
    ship(journal, RESET, boot=boot)
    bump(recorder, 2)
    boot.passes(31)
    _, requests = ship(journal, boot=boot)
    assert sorted(update["$add"]["visits"] for updates in requests for update in updates) == [1, 1, 1, 1]


def test_accounts_hold_after_a_crash(recorder, journal, path):
    bump(recorder, 5)
    epoch = take_over(journal, policy=FOLD)
    lost = journal.claims.claim(
        Lane.PEOPLE, ClaimSize(10, 10_000, fold=True), Shipping(epoch, 1.0, BOOTED, FOLD)
    )
    assert (len(lost.numbers), lost.updates) == (5, 1)
    assert audit(path).agrees
    with JournalReader(path) as reader:
        assert reader.counts().sending == 5
        take_over(journal, policy=FOLD)  # the next shipper cannot know the outcome
        assert reader.counts().in_doubt == 5
    assert audit(path).agrees


@pytest.mark.parametrize("answer", [UNREACHABLE], ids=["unreachable"])
def test_unsent_fold_grows(recorder, journal, answer):
    """Entries that did not leave are folded again with more."""
    bump(recorder, 2)
    ship(journal, answer)
    bump(recorder, 2)
    _, requests = ship(journal)
    assert [update["$add"]["visits"] for (update,) in requests] == [4]


def test_prediction_holds_for_folded_updates(recorder, journal, path):
    for number in range(30):
        recorder.people_union("ada", {"kiosks": [number % 4]})
        recorder.people_set("bob", {"last": number})
        recorder.people_set_once("bob", {"first": number})
    predicted = Simulator.from_journal(path)
    _, requests = ship(journal)
    served = Simulator.from_messages(update for updates in requests for update in updates)
    assert repr(served.profiles) == repr(predicted.profiles)
    assert sum(map(len, requests)) < 90
    with JournalReader(path) as reader:
        assert reader.counts().shipped == 90
        assert {entry.state for entry in reader.stream()} == {State.SHIPPED}
