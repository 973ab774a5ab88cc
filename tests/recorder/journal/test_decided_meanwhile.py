"""Decisions, take-overs and new policies in the middle of shipping: order, holds and marks stay true."""

import json
import threading

import pytest

from recorder import Journal, JournalError, JournalFull, JournalReader, Shipper, ShippingPolicy
from recorder.journal.claims import Claims
from recorder.journal.settle import Settlement
from recorder.model.entries import AttemptOutcome
from recorder.shipping.verdicts import Answer
from simulator import Simulator
from tests.doubles import ACCEPTED, BOOTED, REFUSED, RESET, UNREACHABLE, URL, Boot, Scripted, claim, take_over


def sent(transport):
    return [
        [
            (update["$distinct_id"], next(iter(update[op].values())))
            for update in json.loads(body)
            for op in OPS & set(update)
        ]
        for _, body in transport.sent
    ]


OPS = {"$set", "$append", "$add"}
SHIPPED = Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=3.0)


def states(path):
    with JournalReader(path) as reader:
        assert reader.counts().adds_up
        return [entry.state.value for entry in reader.stream()]


def test_partial_decision_keeps_profile_order(recorder, journal):
    """Deciding about a part of an isolated run lets no fresh entry overtake the rest of it."""
    boot = Boot()

    def decide(*_):
        journal.discard("seq=3..4")
        return ACCEPTED

    # All eight are in doubt. One profile is accepted; four are resent, refused and halved; meanwhile 3 and 4 are
    # discarded.
    transport = Scripted(RESET, ACCEPTED, ACCEPTED, REFUSED, REFUSED, REFUSED, decide)
    shipper = Shipper(journal, transport, uptime=boot)
    with recorder.batch() as batch:
        for n in range(8):
            batch.people_set(f"u{n}", {"is": "old"})
    shipper.ship()
    with recorder.batch() as batch:
        for n in range(8):
            batch.people_set(f"u{n}", {"is": "new"})
    boot.passes(1_000)
    assert shipper.ship().stopped_by == "done"
    arrived = [update for request in sent(transport)[1:3] + sent(transport)[7:] for update in request]
    for n in range(4, 8):
        assert arrived.index((f"u{n}", "old")) < arrived.index((f"u{n}", "new"))


def test_late_acceptance_splits_no_run(recorder, journal, path):
    """The set was sent again since then: without the increment the counter would be one too low."""
    recorder.people_set("ada", {"n": 0})
    recorder.people_increment("ada", {"n": 1})
    first = claim(journal, take_over(journal), 2)
    epoch = take_over(journal)
    again = claim(journal, epoch)
    journal.claims.settle(again, SHIPPED)
    assert journal.claims.settle(first, SHIPPED) is None
    assert states(path) == ["shipped", "in_doubt"]
    rest = claim(journal, epoch)
    journal.claims.settle(rest, SHIPPED)
    service = Simulator()
    for request in (first, again, rest):
        for update in json.loads(request.body):
            del update["$token"]
            service.people_update(update)
    assert service.profile("ada") == Simulator.from_journal(path).profile("ada") == {"n": 1}


def test_late_acceptance_keeps_needed_wait(recorder, journal, path):
    """A late acceptance ends no wait that a later attempt still needs."""
    recorder.people_increment("ada", {"n": 1})
    recorder.people_increment("ada", {"n": 2})
    patient = ShippingPolicy(settle_after=3_600)
    first = claim(journal, take_over(journal), 2)
    again = claim(journal, take_over(journal))
    assert (first.numbers, again.numbers) == ((1, 2), (1,))
    epoch = take_over(journal, policy=patient)
    journal.claims.settle(first, SHIPPED)
    assert states(path) == ["in_doubt", "in_doubt"]
    assert journal.claims.settling(BOOTED) == (3_600, False)
    assert claim(journal, epoch, policy=patient) is None


@pytest.mark.parametrize(("policy", "state"), [("hold", "in_doubt"), ("drop", "discarded")])
def test_due_entry_follows_shipping_policy(recorder, journal, path, policy, state):
    """An entry that became due under another policy follows the policy of the shipper that sends it."""
    recorder.people_increment("ada", {"n": 1})
    boot, transport = Boot(), Scripted(RESET, UNREACHABLE)
    Shipper(journal, transport, uptime=boot).ship()
    boot.passes(31)
    assert Shipper(journal, transport, uptime=boot).ship().stopped_by == "offline"  # due, and did not leave
    Shipper(journal, transport, ShippingPolicy(in_doubt=policy), uptime=boot).ship()
    assert len(transport.sent) == 2
    assert states(path) == [state]


def test_retry_is_out_of_order(recorder, journal, path):
    """A retry is out of order if a later entry was discarded but may have arrived."""
    recorder.people_set("ada", {"n": 1})
    recorder.people_set("ada", {"n": 2})
    shipper = Shipper(journal, Scripted(REFUSED, RESET), ShippingPolicy(batch_updates=1))
    shipper.ship()
    journal.discard("seq=2")
    assert journal.retry("seq=1").out_of_order == 1
    with JournalReader(path) as reader:
        assert reader.entry(1).out_of_order


def test_unwritten_acceptance_is_settled_later(recorder, journal, path, monkeypatch):
    """An acceptance that could not be written is settled by the next call, without another request."""
    recorder.people_increment("ada", {"n": 1})
    transport = Scripted()
    shipper = Shipper(journal, transport)
    real = Claims._settle

    def full(*_):
        raise JournalFull("disk full")

    monkeypatch.setattr(Claims, "_settle", full)
    with pytest.raises(JournalFull):
        shipper.ship()
    monkeypatch.setattr(Claims, "_settle", real)
    assert shipper.ship().stopped_by == "done"
    assert len(transport.sent) == 1
    with JournalReader(path) as reader:
        assert (reader.entry(1).state, reader.entry(1).sends, reader.entry(1).possibly_twice) == (
            "shipped",
            1,
            False,
        )


def test_stopped_run_reports_timeout(recorder, journal):
    """A stopped drain reports `timeout`, not `done`."""
    for n in range(4):
        recorder.people_set("ada", {"n": n})
    stop, reports = threading.Event(), []

    def last(*_):
        stop.set()
        return ACCEPTED

    shipper = Shipper(journal, Scripted(last), ShippingPolicy(batch_updates=1), on_event=reports.append)
    shipper.run(stop)
    assert [(report.stopped_by, report.pending) for report in reports] == [("timeout", 3)]


def test_limit_counts_rejected_entries(recorder, journal):
    for n in range(6):
        recorder.people_set("ada", {"n": n})
    transport = Scripted(*[REFUSED] * 6)
    report = Shipper(journal, transport).ship(limit=2)
    assert report.rejected <= 2
    assert report.requests <= 3


def refusing(words):
    return Answer(left=True, url=URL, status=400, body=json.dumps({"status": 0, "error": words}).encode())


class Refuses(Scripted):
    """Transport that refuses each request with bad data in it, always with the same words."""

    def send(self, lane, body, *, timeout=None):  # noqa: ARG002  # as a transport
        self.sent.append((lane.value, body))
        return refusing("bad") if b'"bad"' in body else ACCEPTED


def test_retry_isolates_all_bad_entries(recorder, journal, path):
    """After a person has retried the paused entries, any amount of bad data is isolated."""
    with recorder.batch() as batch:
        for n in range(25):
            batch.people_set("ada", {"bad": n})
        for n in range(100):
            batch.people_set("ada", {"good": n})
    reports = []
    shipper = Shipper(journal, Refuses(), on_event=reports.append)
    report = shipper.ship()
    assert (report.stopped_by, report.rejected) == ("paused", 0)  # entries that wait again are not rejected
    assert journal.retry("state=waiting").entries == 20
    report = shipper.ship()
    assert (report.stopped_by, report.rejected, report.shipped) == ("done", 25, 100)
    with JournalReader(path) as reader:
        assert reader.count("state=rejected error=bad") == 25


def test_rejection_guard_returns_after_success(recorder, journal):
    with recorder.batch() as batch:
        for n in range(60):
            batch.people_set("ada", {"good" if n == 25 else "bad": n})
    shipper = Shipper(journal, Refuses())
    shipper.ship()
    journal.retry("state=waiting")
    report = shipper.ship()
    assert (report.stopped_by, report.rejected, report.shipped) == ("paused", 25, 1)


def test_many_held_profiles_are_decided_fast(path):
    """A decision looks at each held profile once; a quadratic one would block recorders for minutes."""
    from recorder import Recorder

    with Recorder("T", path, durability="process") as recorder, Journal(path) as journal:
        with recorder.batch() as batch:
            for n in range(3_000):
                batch.people_increment(f"u{n}", {"n": 1})
        boot = Boot()
        policy = ShippingPolicy(in_doubt="hold", settle_after=0)
        transport = Scripted(ACCEPTED, ACCEPTED, RESET)  # after 200 and some 800, one of 2,000
        shipper = Shipper(journal, transport, policy, uptime=boot)
        for _ in range(2):
            shipper.ship()
        steps = 0

        def step():
            nonlocal steps
            steps += 1
            return 0

        with JournalReader(path) as reader:
            held = reader.shipping().held
            assert held >= 2_000
        connection = journal._connection.use()
        connection.set_progress_handler(step, 1_000)
        journal.discard("state=in_doubt profile!=u1000")
        connection.set_progress_handler(None, 0)
        assert steps < 4_000
        with JournalReader(path) as reader:
            assert reader.shipping().held == 1


def test_fork_during_read_is_refused(path):
    """A child forked in the middle of a read may not read on, and its parent may."""
    import os

    with Journal(path, token="T") as journal, JournalReader(path) as reader:
        codes = []

        def fork_now(*_):
            if not codes:
                codes.append(None)
                child = os.fork()
                if child == 0:
                    try:
                        reader.counts()
                    except JournalError:
                        os._exit(0)
                    os._exit(1)
                codes[0] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        reader._connect().set_trace_callback(fork_now)
        assert reader.counts().recorded == 0
        reader._connect().set_trace_callback(None)
        assert codes == [0]
        assert reader.counts().recorded == journal.statistics(0.0).recorded
