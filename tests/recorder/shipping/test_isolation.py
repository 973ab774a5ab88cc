"""Bad entries in refused batches: found by halving, and rejected alone with the service's words."""

import json

import pytest

from recorder import Journal, JournalError, JournalReader, Shipper, ShippingPolicy
from recorder.journal.settle import MOST_ALIKE
from recorder.model.entries import AttemptOutcome
from recorder.shipping.verdicts import Answer
from tests.doubles import ACCEPTED, FORBIDDEN, REFUSED, RESET, URL, Boot, Scripted


def refuses(*bad, words=None):
    """Return a rule that refuses every batch with one of these numbers in it."""

    def answer(body):
        found = [update["$append"]["n"] for update in json.loads(body) if update["$append"]["n"] in bad]
        if not found:
            return ACCEPTED
        error = words or f"number {found[0]} is bad"
        return Answer(left=True, url=URL, status=400, body=json.dumps({"status": 0, "error": error}).encode())

    return answer


class Service(Scripted):
    """Transport that answers every request by one rule."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def send(self, lane, body, *, timeout=None):  # noqa: ARG002  # as a transport
        self.sent.append((lane.value, body))
        return self.rule(body)


def fill(recorder, number):
    with recorder.batch() as batch:
        for n in range(number):
            batch.people_append(f"user-{n % 7}", {"n": n})


def counts(path):
    with JournalReader(path) as reader:
        counted = reader.counts()
        assert counted.adds_up
        return counted


@pytest.mark.parametrize("bad", [0, 1, 999, 1_000, 1_001, 1_998, 1_999])
def test_bad_entry_is_found_by_halving(recorder, journal, path, bad):
    """One bad entry among two thousand is found in at most 24 requests."""
    fill(recorder, 2_000)
    service = Service(refuses(bad))
    report = Shipper(journal, service, ShippingPolicy(batch_updates=2_000)).ship()
    assert (report.shipped, report.rejected, report.stopped_by) == (1_999, 1, "done")
    assert report.requests <= 24
    with JournalReader(path) as reader:
        (entry,) = reader.entries("state=rejected")
    assert (entry.seq, entry.reason) == (bad + 1, f"number {bad} is bad")


def test_several_bad_entries_keep_order(recorder, journal):
    """Each of several bad entries is found, and the others are accepted in order."""
    fill(recorder, 300)
    bad = {3, 4, 77, 150, 299}
    service = Service(refuses(*bad))
    report = Shipper(journal, service, ShippingPolicy(batch_updates=100)).ship()
    assert (report.shipped, report.rejected) == (295, 5)
    accepted = [
        update["$append"]["n"]
        for _, body in service.sent
        for update in json.loads(body)
        if refuses(*bad)(body) is ACCEPTED
    ]
    assert accepted == [n for n in range(300) if n not in bad]


def test_refusal_keeps_the_request_size(recorder, journal):
    fill(recorder, 20)
    service = Service(refuses(3))
    Shipper(journal, service, ShippingPolicy(batch_updates=8)).ship()
    assert len(json.loads(service.sent[-2][1])) == 8


def test_halving_restarts_with_the_shipper(recorder, journal):
    fill(recorder, 8)
    answers = Scripted(REFUSED, REFUSED, FORBIDDEN)
    Shipper(journal, answers, ShippingPolicy(batch_updates=8)).ship()
    service = Service(refuses(5))
    report = Shipper(journal, service, ShippingPolicy(batch_updates=8)).ship()
    assert len(json.loads(service.sent[0][1])) == 8
    assert (report.shipped, report.rejected) == (7, 1)


def test_oversized_request_is_halved(recorder, journal, path):
    """A request that is too large is halved, and a single entry that is too large rejected."""
    fill(recorder, 4)

    def too_large(body):
        said = b'{"status": 0, "error": "too large"}'
        return Answer(left=True, url=URL, status=413, body=said) if b'"n":2}' in body else ACCEPTED

    report = Shipper(journal, Service(too_large)).ship()
    assert (report.shipped, report.rejected) == (3, 1)
    with JournalReader(path) as reader:
        assert reader.entry(3).reason == "too large"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_proxys_page_rejects_no_entry(recorder, journal, path, status):
    """The entries stay while a proxy refuses in its own words, and go when it is gone."""
    fill(recorder, 5)
    page = Answer(left=True, url=URL, status=status, body=b"<html>nginx</html>")
    service = Scripted(*[page] * 3)
    first = Shipper(journal, service).ship()
    assert (first.stopped_by, first.rejected, counts(path).rejected) == ("waiting", 0, 0)
    assert f"HTTP {status}" in first.message
    service.answers.clear()
    assert Shipper(journal, service).ship().shipped == 5


def test_repeated_rejections_pause_the_lane(recorder, journal, path):
    """Rejections with equal words in a row are a matter of configuration: no entry is lost."""
    fill(recorder, 100)
    service = Service(refuses(*range(100), words="project is closed"))
    shipper = Shipper(journal, service, ShippingPolicy(batch_updates=16))
    report = shipper.ship()
    assert (report.stopped_by, report.message) == ("paused", "project is closed")
    counted = counts(path)
    assert (counted.rejected, counted.waiting, counted.pending) == (0, MOST_ALIKE, 80)
    with JournalReader(path) as reader:
        assert {entry.reason for entry in reader.entries("state=waiting")} == {"project is closed"}
        (lane,) = reader.shipping().lanes
    assert (lane.outcome, lane.cause) == (AttemptOutcome.PAUSED, "project is closed")
    before = len(service.sent)
    assert shipper.ship().stopped_by == "paused"
    assert len(service.sent) == before + 1  # one request shows that the words are still the same
    service.rule = refuses()
    assert shipper.ship().stopped_by == "done"
    sent = [update["$append"]["n"] for _, body in service.sent[before + 1 :] for update in json.loads(body)]
    assert sent == list(range(100))
    assert counts(path).shipped == 100


def test_success_ends_the_rejection_series(recorder, journal, path):
    fill(recorder, 60)
    bad = [n for n in range(60) if n != 19]
    report = Shipper(journal, Service(refuses(*bad, words="bad")), ShippingPolicy(batch_updates=1)).ship()
    assert (report.stopped_by, report.shipped) == ("paused", 1)
    assert counts(path).rejected == 19  # those before the one that was accepted
    recorder.journal.discard("state=pending")
    recorder.journal.discard("state=waiting")


def test_discarding_bad_entries_resumes_the_lane(recorder, journal):
    fill(recorder, 40)
    service = Service(refuses(*range(25), words="bad"))
    shipper = Shipper(journal, service, ShippingPolicy(batch_updates=1))
    assert shipper.ship().stopped_by == "paused"
    assert journal.discard("state=waiting error=bad").entries == MOST_ALIKE
    report = shipper.ship()
    assert (report.stopped_by, report.shipped, report.rejected) == ("done", 15, 5)


def test_rejection_in_doubt_says_so(recorder, journal, path):
    """A rejected entry that an earlier request may have applied says so, and counts on a retry."""
    recorder.people_append("ada", {"n": 0})
    boot = Boot()
    shipper = Shipper(journal, Scripted(RESET, REFUSED), uptime=boot)
    shipper.ship()
    boot.passes(31)
    assert shipper.ship().rejected == 1
    with JournalReader(path) as reader:
        entry = reader.entry(1)
        assert entry.reason.startswith("$add: value is not numeric (an earlier request")
        assert not entry.possibly_twice
    assert journal.retry("state=rejected").possibly_twice == 1
    assert shipper.ship().shipped == 1
    with JournalReader(path) as reader:
        assert reader.entry(1).possibly_twice


# --- decisions of a person


def test_retried_entry_keeps_its_number(recorder, journal, path):
    """A retried entry goes at its number, and is out of order if later ones went before."""
    fill(recorder, 16)
    service = Service(refuses(3))
    shipper = Shipper(journal, service, ShippingPolicy(batch_updates=8))
    shipper.ship()
    service.rule = refuses()
    decided = journal.retry("state=rejected")
    assert (decided.entries, decided.out_of_order, decided.possibly_twice) == (1, 1, 0)
    assert shipper.ship().shipped == 1
    with JournalReader(path) as reader:
        assert [entry.seq for entry in reader.entries() if entry.out_of_order] == [4]
        assert reader.counts().out_of_order == 1


def test_retried_entry_keeps_its_place(recorder, journal, path):
    """A retried entry goes before later ones that are still to be sent."""
    fill(recorder, 10)
    assert journal.discard("seq=3..4").entries == 2
    assert journal.retry("state=discarded").out_of_order == 0
    assert counts(path).pending == 10
    transport = Scripted()
    Shipper(journal, transport).ship()
    assert [update["$append"]["n"] for update in json.loads(transport.sent[0][1])] == list(range(10))


def test_decision_during_request_waits(recorder, journal, path):
    """An entry decided about while its range is being sent goes in the next request."""
    fill(recorder, 10)
    journal.discard("seq=5")

    def decide(*_):
        decided.append(journal.retry("seq=5"))
        return ACCEPTED

    decided = []
    transport = Scripted(decide)
    shipper = Shipper(journal, transport)
    assert shipper.ship().stopped_by == "done"
    assert [update["$append"]["n"] for update in json.loads(transport.sent[0][1])] == [
        0,
        1,
        2,
        3,
        *range(5, 10),
    ]
    assert [update["$append"]["n"] for update in json.loads(transport.sent[1][1])] == [4]
    assert decided[0].out_of_order == 0  # user-4 recorded nothing later
    assert counts(path).shipped == 10


def test_undecidable_entries_have_a_reason(recorder, journal, path):
    fill(recorder, 3)
    Shipper(journal, Scripted(), ShippingPolicy(batch_updates=2)).ship(limit=2)
    decided = journal.retry("")
    assert decided.entries == 0
    assert decided.refused == {"it was shipped": 2, "it is to be sent anyway": 1}
    with JournalReader(path) as reader:
        from recorder.journal.decisions import Verb

        assert reader.weigh(Verb.DISCARD, "").entries == 1
    assert journal.discard("").entries == 1


def test_edited_entry_keeps_its_identity(recorder, journal, path):
    """An edited entry keeps its number, its time and its profile."""
    recorder.people_append("ada", {"n": 0})
    shipper = Shipper(journal, Scripted(REFUSED))
    shipper.ship()
    with JournalReader(path) as reader:
        time = reader.entry(1).message["$time"]
    for wrong in (
        {"$distinct_id": "bob", "$add": {"n": 1}},
        {"$distinct_id": "ada", "$add": {"n": "x"}},
        {"$distinct_id": "ada", "$add": {"n": 1}, "$set": {"m": 1}},
        {"$distinct_id": "ada"},
        [],
    ):
        with pytest.raises(ValueError, match=":"):
            journal.edit(1, wrong)
    journal.edit(1, {"$distinct_id": "ada", "$add": {"n": 1}})
    with JournalReader(path) as reader:
        entry = reader.entry(1)
    assert (entry.operator, entry.message["$time"], entry.state.value) == ("$add", time, "waiting")
    assert shipper.ship().shipped == 1
    with pytest.raises(JournalError, match="it was shipped"):
        journal.edit(1, {"$distinct_id": "ada", "$add": {"n": 1}})
    with pytest.raises(JournalError, match="no entry 7"):
        journal.edit(7, {"$distinct_id": "ada", "$add": {"n": 1}})


def test_malformed_entry_can_be_edited(path):
    """A malformed entry cannot be retried as it is, but edited."""
    from recorder import Recorder

    with Recorder("T", path, on_invalid="reject") as recorder:
        recorder.people_increment("ada", {"n": "two"})
        recorder.people_set("ada", {"m": 1})
        assert list(recorder.journal.retry("").refused) == [
            "malformed when it was recorded; `restante edit` can mend it",
            "it is to be sent anyway",
        ]
        recorder.journal.edit(1, {"$distinct_id": "ada", "$add": {"n": 2}})
        transport = Scripted()
        Shipper(recorder.journal, transport).ship()
    assert [list(update)[-1] for update in json.loads(transport.sent[0][1])] == ["$add", "$set"]
    assert counts(path).shipped == 2


def test_unsent_entries_take_the_new_token(recorder, journal, path):
    fill(recorder, 1)
    wrong = Answer(left=True, url=URL, status=200, body=b'{"status": 0, "error": "$token, missing or empty"}')
    transport = Scripted(wrong)
    assert Shipper(journal, transport).ship().stopped_by == "paused"
    journal.change_token("U")
    with Journal(path) as again:
        assert again.token == "U"
        assert Shipper(again, transport).ship().stopped_by == "done"
    assert json.loads(transport.sent[1][1])[0]["$token"] == "U"
