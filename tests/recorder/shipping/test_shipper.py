"""Shipper: claims, requests and settlements, and the counts at each moment."""

import json
import logging
import os
import signal
import sqlite3
import threading
import time

import pytest

from recorder import (
    Journal,
    JournalError,
    JournalFull,
    JournalReader,
    Lane,
    Recorder,
    Shipper,
    ShippingPolicy,
    ShipReport,
    State,
)
from recorder.journal.claims import Claims
from recorder.journal.connection import Connection
from recorder.journal.locks import ShipLock
from recorder.journal.settle import Settlement
from recorder.model.entries import AttemptOutcome, NewEntry
from recorder.model.shipping import LaneStatus
from recorder.shipping.verdicts import Answer
from tests.doubles import (
    ACCEPTED,
    AT_ONCE,
    FORBIDDEN,
    PATIENCE,
    RESET,
    UNREACHABLE,
    URL,
    Boot,
    Scripted,
    claim,
    take_over,
)


def fill(recorder, number, profile="ada"):
    with recorder.batch() as batch:
        for n in range(number):
            batch.people_append(profile, {"n": n})


def states(path):
    with JournalReader(path) as reader:
        counts = reader.counts()
        assert counts.adds_up
        return {state.value: n for state in State if (n := getattr(counts, state.value))}


def numbers(transport):
    """Return the n of each update, by request."""
    return [[update["$append"]["n"] for update in json.loads(body)] for _, body in transport.sent]


def small(size):
    """Return a policy of small requests, with entries in doubt due at once."""
    return ShippingPolicy(batch_updates=size, settle_after=0)


def test_requests_keep_order_and_size(recorder, journal, path):
    fill(recorder, 7)
    transport = Scripted()
    report = Shipper(journal, transport, small(3)).ship()
    assert numbers(transport) == [[0, 1, 2], [3, 4, 5], [6]]
    assert report == ShipReport(shipped=7, requests=3, stopped_by="done")
    assert states(path) == {"shipped": 7}


def test_update_is_sent_as_recorded(journal):
    """An update is sent as it was recorded, with the project's token before it."""
    with Recorder("T", journal, clock=lambda: 1.5) as recorder:
        recorder.people_set("ada", {"name": "Zoë"}, meta={"$ip": 0})
    transport = Scripted()
    Shipper(journal, transport).ship()
    assert transport.sent == [
        ("people", '[{"$token":"T","$time":1.5,"$distinct_id":"ada","$set":{"name":"Zoë"},"$ip":0}]'.encode())
    ]


def test_request_is_written_before_sending(recorder, journal, path):
    fill(recorder, 2)
    seen = []

    def look(*_):
        with JournalReader(path) as reader:
            seen.append((states(path), [attempt.outcome for attempt in reader.attempts()]))
            seen.append([entry.state for entry in reader.entries("state=sending")])
        return ACCEPTED

    Shipper(journal, Scripted(look)).ship()
    assert seen == [({"sending": 2}, [None]), [State.SENDING, State.SENDING]]


def test_lanes_take_turns(recorder, journal):
    for n in range(3):
        recorder.people_append("ada", {"n": n})
        recorder.group_update({"$group_key": "g", "$group_id": "x", "$append": {"n": 10 + n}})
    transport = Scripted()
    Shipper(journal, transport, small(1)).ship()
    assert [lane for lane, _ in transport.sent] == ["people", "groups"] * 3
    assert numbers(transport) == [[0], [10], [1], [11], [2], [12]]


def test_offline_attempts_share_one_row(recorder, journal, path):
    """Offline attempts change no entry, and share one row that counts them."""
    fill(recorder, 3)
    transport = Scripted(*[UNREACHABLE] * 5)
    shipper = Shipper(journal, transport)
    reports = [shipper.ship() for _ in range(5)]
    assert {report.stopped_by for report in reports} == {"offline"}
    assert reports[0].message == "connection refused"
    assert states(path) == {"pending": 3}
    with JournalReader(path) as reader:
        (attempt,) = reader.attempts()
        (lane,) = reader.shipping().lanes
    assert (attempt.outcome, attempt.times, attempt.words) == (
        AttemptOutcome.OFFLINE,
        5,
        "connection refused",
    )
    assert (lane.outcome, lane.failures, lane.cause) == (AttemptOutcome.OFFLINE, 5, "connection refused")
    assert shipper.ship().stopped_by == "done"
    with JournalReader(path) as reader:
        assert reader.shipping().lanes[0] == LaneStatus(
            lane=Lane.PEOPLE, outcome=AttemptOutcome.SHIPPED, since=reader.shipping().lanes[0].since
        )


def test_offline_ends_the_call(recorder, journal):
    recorder.people_append("ada", {"n": 1})
    recorder.group_set("g", "x", {"a": 1})
    transport = Scripted(UNREACHABLE)
    assert Shipper(journal, transport).ship().requests == 1


def test_entries_in_doubt_go_first(recorder, journal, path):
    """Entries in doubt are sent again before later ones, and count as possibly twice."""
    fill(recorder, 2)
    transport = Scripted(RESET)
    shipper = Shipper(journal, transport, small(2))
    report = shipper.ship()
    assert (report.stopped_by, report.in_doubt, report.pending) == ("waiting", 2, 0)
    assert states(path) == {"in_doubt": 2}
    recorder.people_append("ada", {"n": 2})
    assert shipper.ship().stopped_by == "done"
    assert numbers(transport) == [[0, 1], [0], [1, 2]]
    assert states(path) == {"shipped": 3}
    with JournalReader(path) as reader:
        marked = [(entry.seq, entry.sends, entry.possibly_twice) for entry in reader.entries()]
        assert marked == [(3, 1, False), (2, 2, True), (1, 2, True)]
        assert reader.counts().possibly_twice == 2


def test_failing_resend_blocks_its_profile(recorder, journal, path):
    """Nothing of a profile is sent past its entries in doubt while their resend fails."""
    fill(recorder, 4)
    transport = Scripted(RESET, RESET, UNREACHABLE, PATIENCE)
    shipper = Shipper(journal, transport, small(2), uptime=(boot := Boot()))
    for _ in range(4):
        shipper.ship()
        boot.passes(1)
    # A request after an unknown outcome is smaller.
    assert numbers(transport) == [[0, 1], [0], [0], [0]]
    assert states(path) == {"waiting": 2, "in_doubt": 2}
    with JournalReader(path) as reader:
        first = reader.entry(1)
        # Two requests may have been applied; one never left, and one was told to wait.
        assert (first.sends, first.possibly_twice) == (2, True)
    boot.passes(3_600)
    shipper.ship()
    assert states(path) == {"shipped": 4}
    assert [n for request in numbers(transport)[4:] for n in request] == [0, 1, 2, 3]


def test_possibly_twice_is_counted_once(recorder, journal, path):
    fill(recorder, 1)
    shipper = Shipper(journal, Scripted(RESET, RESET, RESET), AT_ONCE)
    for _ in range(4):
        shipper.ship()
    with JournalReader(path) as reader:
        assert reader.entry(1).sends == 4
        assert reader.counts().possibly_twice == 1


def test_resend_may_be_smaller(recorder, journal, path):
    fill(recorder, 3)
    transport = Scripted(RESET)
    Shipper(journal, transport, small(3)).ship()
    Shipper(journal, transport, small(2)).ship()
    assert numbers(transport) == [[0, 1, 2], [0], [1, 2]]
    assert states(path) == {"shipped": 3}


def test_killed_shippers_request_is_in_doubt(recorder, journal, path):
    fill(recorder, 3)
    epoch = take_over(journal, 1.0)
    assert claim(journal, epoch, 2, 10_000)
    assert states(path) == {"sending": 2, "pending": 1}
    take_over(journal, 2.0)
    assert states(path) == {"in_doubt": 2, "pending": 1}
    transport = Scripted()
    Shipper(journal, transport, AT_ONCE).ship()
    assert numbers(transport) == [[0], [1, 2]]


def test_overtaken_shipper_neither_claims_nor_settles(recorder, journal, path):
    fill(recorder, 2)
    old = take_over(journal, 1.0)
    claimed = claim(journal, old, 1, 10_000)
    take_over(journal, 2.0)
    assert (
        journal.claims.settle(claimed, Settlement(outcome=AttemptOutcome.REFUSED, status=400, now=3.0))
        is None
    )
    assert states(path) == {"in_doubt": 1, "pending": 1}
    with pytest.raises(JournalError, match="another process is shipping now"):
        claim(journal, old, 1, 10_000)


def test_late_acceptance_settles_its_attempt(recorder, journal, path):
    fill(recorder, 2)
    old = take_over(journal, 1.0)
    claimed = claim(journal, old, 2)
    take_over(journal, 2.0, ShippingPolicy())
    assert states(path) == {"in_doubt": 2}
    assert (
        journal.claims.settle(claimed, Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=3.0))
        is None
    )
    assert states(path) == {"shipped": 2}
    recorder.people_append("ada", {"n": 2})
    assert numbers(transport := Scripted()) == []
    assert Shipper(journal, transport).ship().shipped == 1  # its profile does not wait any more


def test_late_acceptance_spares_running_resend(recorder, journal, path):
    fill(recorder, 1)
    claimed = claim(journal, take_over(journal, 1.0))
    again = claim(journal, take_over(journal, 2.0))
    journal.claims.settle(claimed, Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=3.0))
    assert states(path) == {"sending": 1}
    journal.claims.settle(again, Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=4.0))
    with JournalReader(path) as reader:
        assert (reader.entry(1).sends, reader.entry(1).possibly_twice) == (2, True)


def test_claim_locks_before_it_reads(recorder, journal, path):
    """A transaction that reads first fails at once if another writes then, whatever its time-out."""
    fill(recorder, 1)
    epoch = take_over(journal, 1.0)
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    kept_out = []

    def write_in_between(sql):
        if sql.strip().startswith("SELECT shipper.epoch"):
            try:
                other.execute("UPDATE shipper SET seen_at = 2.0")
            except sqlite3.OperationalError as error:
                kept_out.append(str(error))

    journal._connection._sqlite.set_trace_callback(write_in_between)
    claimed = claim(journal, epoch, 1, 1_000)
    journal._connection._sqlite.set_trace_callback(None)
    other.close()
    assert claimed.numbers == (1,)
    assert kept_out == ["database is locked"]


def test_interrupted_request_is_in_doubt(recorder, journal, path):
    fill(recorder, 1)

    def ctrl_c(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Shipper(journal, Scripted(ctrl_c), AT_ONCE).ship()
    assert states(path) == {"in_doubt": 1}
    assert Shipper(journal, Scripted(), AT_ONCE).ship().stopped_by == "done"


def test_oversized_update_travels_alone(recorder, journal):
    for n in range(3):
        recorder.people_append("ada", {"n": n, "pad": "x" * 300})
    transport = Scripted()
    Shipper(journal, transport, ShippingPolicy(batch_bytes=200)).ship()
    assert numbers(transport) == [[0], [1], [2]]


def test_request_keeps_its_byte_limit(recorder, journal):
    fill(recorder, 50)
    transport = Scripted()
    Shipper(journal, transport, ShippingPolicy(batch_bytes=1_000)).ship()
    sizes = [len(body) for _, body in transport.sent]
    assert max(sizes) <= 1_000
    assert max(sizes) > 900
    assert [n for request in numbers(transport) for n in request] == list(range(50))


def test_exact_limit_is_done(recorder, journal):
    """A limit ends the call, and one that is just enough ends it with `done`."""
    fill(recorder, 10)
    shipper = Shipper(journal, Scripted(), small(4))
    report = shipper.ship(limit=6)
    assert (report.shipped, report.requests, report.pending, report.stopped_by) == (6, 2, 4, "waiting")
    assert shipper.ship(limit=4).stopped_by == "done"


def test_progress_follows_each_request(recorder, journal):
    fill(recorder, 5)
    steps = []
    Shipper(journal, Scripted(), small(2)).ship(
        progress=lambda report: steps.append((report.shipped, report.pending))
    )
    assert steps == [(2, 3), (4, 1), (5, 0)]


def test_timeout_ends_between_requests(recorder, journal):
    fill(recorder, 3)
    report = Shipper(journal, Scripted(), small(1)).ship(timeout=0.0)
    assert (report.stopped_by, report.requests, report.pending) == ("timeout", 0, 3)


def test_stop_waits_for_the_answer(recorder, journal):
    fill(recorder, 3)
    stop = threading.Event()
    transport = Scripted(lambda *_: stop.set() or ACCEPTED)
    report = Shipper(journal, transport, small(1)).ship(stop=stop)
    assert (report.stopped_by, report.requests, report.shipped, report.pending) == ("timeout", 1, 1, 2)
    assert Shipper(journal, transport, small(1)).ship(stop=threading.Event()).stopped_by == "done"


def test_failing_settlement_leaves_in_doubt(recorder, journal, path, monkeypatch):
    """A settlement that fails with its process leaves entries in doubt, and their resend counts."""
    fill(recorder, 2)
    transport = Scripted()

    def full(*_):
        raise JournalFull("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Claims, "_settle", full)
        with pytest.raises(JournalFull):
            Shipper(journal, transport, AT_ONCE).ship()
    assert Shipper(journal, transport, AT_ONCE).ship().stopped_by == "done"
    assert numbers(transport) == [[0, 1], [0], [1]]
    with JournalReader(path) as reader:
        counts = reader.counts()
        assert (counts.shipped, counts.possibly_twice, counts.adds_up) == (2, 2, True)


def test_ctrl_c_keeps_the_shipper_usable(recorder, journal, path):
    """The request is answered and settled all the same, and the next call ships."""
    fill(recorder, 2)
    answered = threading.Event()

    def ctrl_c(*_):
        os.kill(os.getpid(), signal.SIGINT)
        answered.wait(10)
        return ACCEPTED

    transport = Scripted(ctrl_c)
    shipper = Shipper(journal, transport, small(1))
    with pytest.raises(KeyboardInterrupt):
        shipper.ship()
    answered.set()
    shipper.wait(20)
    assert states(path) == {"pending": 1, "shipped": 1}
    assert shipper.ship().stopped_by == "done"
    assert numbers(transport) == [[0], [1]]
    assert not shipper._turn.locked()
    assert shipper._inside == 0


def test_timeout_cuts_off_no_request(recorder, journal):
    fill(recorder, 1)
    given = []

    def note(lane, body, timeout):  # noqa: ARG001
        given.append(timeout)
        return ACCEPTED

    Shipper(journal, Scripted(note)).ship(timeout=5.0)
    assert given == [None]


@pytest.mark.parametrize("limit", [0, -5])
def test_limit_is_at_least_one(journal, limit):
    with pytest.raises(ValueError, match="limit"):
        Shipper(journal, Scripted()).ship(limit=limit)


def test_paused_lane_reports_its_cause(recorder, journal, path):
    fill(recorder, 1)
    report = Shipper(journal, Scripted(FORBIDDEN)).ship()
    assert (report.stopped_by, report.message) == ("paused", "HTTP 403: no")
    assert states(path) == {"pending": 1}


def test_second_shipper_is_busy(recorder, journal, path):
    fill(recorder, 1)
    with ShipLock(path):
        report = Shipper(journal, Scripted()).ship()
    assert (report.stopped_by, report.pending, report.requests) == ("busy", 1, 0)
    assert Shipper(journal, Scripted()).ship().stopped_by == "done"


def test_shipped_journal_is_not_written(journal, path):
    """With nothing to send, nothing is written."""
    before = journal._connection._sqlite.total_changes
    assert Shipper(journal, Scripted()).ship() == ShipReport()
    assert journal._connection._sqlite.total_changes == before
    assert not (path.parent / "kiosk.db.lock").exists()


def test_malformed_entries_are_skipped(journal, path):
    with Recorder("T", journal, on_invalid="reject") as recorder:
        recorder.people_append("ada", {"n": 0})
        recorder.people_set("ada", [1])
        recorder.people_append("ada", {"n": 1})
    transport = Scripted()
    Shipper(journal, transport).ship()
    assert numbers(transport) == [[0, 1]]
    assert states(path) == {"shipped": 2, "rejected": 1}


def test_idle_lane_skips_other_lanes(journal, path):
    """The cursor of an idle lane passes other lanes' entries, or each look would read them all."""
    journal.append([NewEntry("groups", "g", "x", "$set", '{"$set":{}}', 1.0)])
    journal.append([NewEntry("people", None, "ada", "$set", '{"$set":{}}', 1.0)] * 5_000)
    Shipper(journal, Scripted(), small(2_000)).ship()
    cursors = dict(journal._connection._sqlite.execute("SELECT lane, cursor FROM lanes").fetchall())
    assert cursors == {"groups": 5_001, "people": 5_001}
    with Recorder("T", journal) as recorder:
        recorder.group_set("g", "x", {"late": True})
    assert Shipper(journal, Scripted()).ship().shipped == 1
    assert states(path) == {"shipped": 5_002}


@pytest.mark.parametrize("updates", [0, -1, 2_001])
def test_policy_refuses_an_impossible_size(updates):
    with pytest.raises(ValueError, match="batch_updates"):
        ShippingPolicy(batch_updates=updates)


# --- in the background


class Heard:
    """List of events, which lets a test wait for one."""

    def __init__(self):
        self.events = []
        self.changed = threading.Condition()

    def __call__(self, event):
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(lambda: any(map(condition, self.events)), timeout=20), self.events


class Background:
    """`Shipper.run` in a thread, for as long as a test runs."""

    def __init__(self, journal, transport, policy=None, **options):
        self.heard = Heard()
        self.shipper = Shipper(journal, transport, policy, on_event=self.heard, **options)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.shipper.run, args=(self.stop,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.shipper.wake()
        self.thread.join(20)
        assert not self.thread.is_alive()


def test_background_ships_and_reports(recorder, journal, path):
    fill(recorder, 2)
    with Background(journal, Scripted()) as background:
        background.heard.wait_for(lambda event: event.shipped == 2)
        fill(recorder, 3)
        background.shipper.wake()
        background.heard.wait_for(lambda event: event.shipped == 3)
    assert states(path) == {"shipped": 5}


def test_background_finds_other_processes_entries(journal, path):
    with Background(journal, Scripted()) as background, Journal(path) as other:
        background.heard.wait_for(lambda event: event.stopped_by == "done")
        other.append([NewEntry("people", None, "ada", "$set", '{"$set":{}}', 1.0)])
        background.heard.wait_for(lambda event: event.shipped == 1)


def test_background_retries_after_back_off(recorder, journal):
    fill(recorder, 1)
    with Background(journal, Scripted(UNREACHABLE, RESET), AT_ONCE, chance=lambda: 0.01) as background:
        background.heard.wait_for(lambda event: event.stopped_by == "offline")
        background.heard.wait_for(lambda event: event.shipped == 1)


def test_pause_is_reported_once(recorder, journal):
    fill(recorder, 1)
    answers = [FORBIDDEN, FORBIDDEN, FORBIDDEN]
    boot = Boot()
    with Background(journal, Scripted(*answers), uptime=lambda: boot.passes(400) or boot.now) as background:
        background.heard.wait_for(lambda event: isinstance(event, ShipReport) and event.shipped == 1)
    paused = [event for event in background.heard.events if isinstance(event, LaneStatus)]
    assert [(event.lane, event.outcome) for event in paused] == [(Lane.PEOPLE, AttemptOutcome.PAUSED)]


def test_raising_handler_stops_nothing(recorder, journal, path, caplog):
    fill(recorder, 1)
    shipped = threading.Event()

    def handler(event):
        if event.shipped:
            shipped.set()
        raise RuntimeError("the app's own bug")

    stop = threading.Event()
    shipper = Shipper(journal, Scripted(), on_event=handler)
    with caplog.at_level(logging.ERROR, logger="restante"):
        thread = threading.Thread(target=shipper.run, args=(stop,))
        thread.start()
        assert shipped.wait(20)
        fill(recorder, 1)
        shipper.wake()
        deadline = time.monotonic() + 20
        while states(path) != {"shipped": 2} and time.monotonic() < deadline:
            time.sleep(0.01)
        stop.set()
        shipper.wake()
        thread.join(20)
    assert states(path) == {"shipped": 2}
    assert "on_event raised" in caplog.text


def test_background_survives_an_unforeseen_error(recorder, journal, path):
    fill(recorder, 1)

    def bug(*_):
        raise RuntimeError("a bug in somebody's transport")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recorder.shipping.shipper._LOCK_INTERVAL", 0.01)
        with Background(journal, Scripted(bug), AT_ONCE) as background:
            background.heard.wait_for(lambda event: isinstance(event, RuntimeError))
            background.heard.wait_for(lambda event: isinstance(event, ShipReport) and event.shipped == 1)
    assert states(path) == {"shipped": 1}


def test_explicit_call_works_during_background(recorder, journal, path):
    with Background(journal, Scripted()) as background:
        for _ in range(20):
            fill(recorder, 1)
            report = background.shipper.ship()
            assert report.stopped_by == "done"
    assert states(path) == {"shipped": 20}


def test_log_names_changes_without_payloads(recorder, journal, caplog):
    fill(recorder, 1, profile="secret-person")
    shipper = Shipper(journal, Scripted(UNREACHABLE, UNREACHABLE, UNREACHABLE))
    with caplog.at_level(logging.INFO, logger="restante"):
        for _ in range(5):
            shipper.ship()
    assert len(caplog.records) == 2
    assert "connection refused" in caplog.text
    assert "going through again" in caplog.text
    assert "secret-person" not in caplog.text


def test_transport_may_answer_anything(recorder, journal, path):
    fill(recorder, 1)
    Shipper(journal, Scripted(Answer(left=True, url=URL, status=200, body=b"\xff\xfe"))).ship()
    assert states(path) == {"in_doubt": 1}


def test_attempts_of_an_entry_are_found(journal, path):
    with Recorder("T", journal) as recorder:
        for n in range(4):
            recorder.people_append("ada", {"n": n})
    Shipper(journal, Scripted(), ShippingPolicy(batch_updates=2)).ship()
    with JournalReader(path) as reader:
        assert [(attempt.first, attempt.last) for attempt in reader.attempts(3)] == [(3, 4)]
        assert reader.attempts(5) == []


# --- where it ships to


class Placed(Scripted):
    """A transport that says where it sends to."""

    def __init__(self, base, *answers):
        super().__init__(*answers)
        self.base = base


def test_nameless_transport_keeps_the_destination(recorder, journal, path):
    """A transport of an app's own may not say where it sends, and a person's `ship` must not end elsewhere."""
    for transport in (Placed("http://a.test"), Scripted(PATIENCE)):
        recorder.people_set("ada", {"n": 1})
        Shipper(journal, transport).ship()
        with JournalReader(path) as reader:
            assert reader.shipping().service == "http://a.test"


def test_other_service_begins_without_a_wait(recorder, journal):
    recorder.people_set("ada", {"n": 1})
    Shipper(journal, Placed("http://a.test", PATIENCE)).ship()
    assert Shipper(journal, Placed("http://a.test")).ship().requests == 0
    assert Shipper(journal, Placed("http://b.test")).ship().shipped == 1


def test_now_skips_what_the_service_asked(recorder, journal):
    recorder.people_set("ada", {"n": 1})
    shipper = Shipper(journal, Scripted(PATIENCE, PATIENCE))
    assert [shipper.ship(now=now).requests for now in (False, False, True, False, True)] == [1, 0, 1, 0, 1]


def test_further_call_writes_claim_and_settlement(recorder, journal, monkeypatch):
    """No other shipper came meanwhile, so there is nothing to take over."""
    shipper, epochs, written = Shipper(journal, Scripted()), [], []
    begin = Connection.transaction
    monkeypatch.setattr(
        Connection, "transaction", lambda *given, **named: written.append(1) or begin(*given, **named)
    )
    for other in (False, False, True):
        fill(recorder, 1)
        if other:
            take_over(journal)
        written.clear()
        shipper.ship()
        epochs.append((journal.claims.epoch(), len(written)))
    assert epochs == [(1, 3), (1, 2), (3, 3)]
