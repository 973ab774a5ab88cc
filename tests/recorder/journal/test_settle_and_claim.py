"""Settling a request and claiming the next one of its lane in one transaction."""

import threading

import pytest

from recorder import JournalError, JournalReader, Shipper, ShippingPolicy
from recorder.journal import claims as claiming
from recorder.journal.claims import Claims
from tests.doubles import ACCEPTED, REFUSED, RESET, Scripted


def fill(recorder, number):
    with recorder.batch() as batch:
        for n in range(number):
            batch.people_append(f"u-{n}", {"n": n})


def by_one(**more):
    return ShippingPolicy(batch_updates=1, settle_after=0, **more)


class Watching(Scripted):
    """Transport that notes the counts and the number of commits whenever a request leaves."""

    def __init__(self, journal, path, *answers):
        super().__init__(*answers)
        self.stood = []
        self._path = path
        self._commits = 0
        self.commits = []  # since the request before
        with journal._connection.reading() as connection:
            connection.set_trace_callback(self._trace)

    def _trace(self, statement):
        self._commits += statement == "COMMIT"

    def send(self, lane, body, *, timeout=None):
        self.commits.append(self._commits)
        self._commits = 0
        with JournalReader(self._path) as reader:
            counts = reader.counts()
        assert counts.adds_up
        self.stood.append((counts.shipped, counts.sending, counts.pending))
        return super().send(lane, body, timeout=timeout)


def test_settlement_and_claim_share_a_commit(recorder, journal, path):
    """A request leaves after one commit that settles the one before and claims this one."""
    fill(recorder, 4)
    transport = Watching(journal, path)
    assert Shipper(journal, transport, by_one()).ship().shipped == 4
    assert transport.stood == [(0, 1, 3), (1, 1, 2), (2, 1, 1), (3, 1, 0)]
    assert transport.commits[2:] == [1, 1]  # before the second the other lanes have their turn, and are empty


def test_progress_prevents_claiming_ahead(recorder, journal, path):
    """Nothing is claimed ahead if progress is reported or another lane has its turn."""
    fill(recorder, 3)
    stop = threading.Event()
    between = []

    def look(report):
        with JournalReader(path) as reader:
            between.append((report.shipped, reader.counts().sending))
        if report.shipped == 2:
            stop.set()

    report = Shipper(journal, Watching(journal, path), by_one()).ship(progress=look, stop=stop)
    assert (report.shipped, report.pending, between) == (2, 1, [(1, 0), (2, 0)])
    recorder.group_set("company", "acme", {"a": 1})
    recorder.group_set("company", "acme", {"a": 2})
    transport = Watching(journal, path)
    assert Shipper(journal, transport, by_one()).ship().stopped_by == "done"
    assert [lane for lane, _ in transport.sent] == ["people", "groups", "groups"]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_claims_stop_at_the_limit(recorder, journal, path, limit):
    fill(recorder, 6)
    policy = ShippingPolicy(batch_updates=2, settle_after=0)
    report = Shipper(journal, Scripted(), policy).ship(limit=limit)
    with JournalReader(path) as reader:
        counts = reader.counts()
    assert (report.shipped, counts.shipped, counts.sending, counts.pending) == (limit, limit, 0, 6 - limit)


@pytest.mark.parametrize("answer", [REFUSED, RESET])
def test_failures_prevent_claiming_ahead(recorder, journal, path, answer, monkeypatch):
    fill(recorder, 4)
    between = []
    real = Claims.settle

    def settle(claims, claim, settlement):
        settled = real(claims, claim, settlement)
        with JournalReader(path) as reader:
            between.append((settlement.outcome.value, reader.counts().sending))
        return settled

    monkeypatch.setattr(Claims, "settle", settle)
    policy = ShippingPolicy(batch_updates=2, settle_after=0)
    Shipper(journal, Scripted(ACCEPTED, answer), policy).ship()
    assert {sending for _, sending in between} == {0}
    assert {outcome for outcome, _ in between} - {"shipped"}


def test_failing_claim_keeps_the_acceptance(recorder, journal, path, monkeypatch):
    """An accepted request is settled even if the next one cannot be claimed."""
    fill(recorder, 3)
    real, calls = claiming._open, []

    def damaged(*arguments, **named):
        calls.append(1)
        if len(calls) > 2:
            raise JournalError("damaged from here on")
        return real(*arguments, **named)

    monkeypatch.setattr(claiming, "_open", damaged)
    with pytest.raises(JournalError, match="damaged"):
        Shipper(journal, Scripted(), by_one()).ship()
    with JournalReader(path) as reader:
        counts = reader.counts()
    assert (counts.shipped, counts.in_doubt, counts.pending, counts.adds_up) == (2, 0, 1, True)
    monkeypatch.setattr(claiming, "_open", real)
    assert Shipper(journal, Scripted(), by_one()).ship().shipped == 1


def test_overtaken_shipper_claims_nothing_ahead(recorder, journal, path):
    fill(recorder, 3)
    claims = journal.claims

    def overtake(*_):
        claims.take_over(1.0, shipper._uptime(), service="", policy=by_one())
        return ACCEPTED

    shipper = Shipper(journal, Scripted(ACCEPTED, ACCEPTED, overtake), by_one())
    report = shipper.ship()
    assert report.stopped_by == "busy"
    with JournalReader(path) as reader:
        counts = reader.counts()
    # Entries in doubt from that very attempt are accepted after all.
    assert (counts.shipped, counts.sending, counts.in_doubt, counts.adds_up) == (3, 0, 0, True)
