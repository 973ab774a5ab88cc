"""`Recorder`: its calls, as an app makes them."""

import json
import sqlite3
import subprocess
import sys
import threading
import time
from decimal import Decimal

import pytest

from recorder import (
    InvalidOperation,
    Journal,
    JournalConsumer,
    JournalError,
    JournalReader,
    Recorder,
    Shipper,
    ShippingPolicy,
    ShipReport,
    State,
    WrongToken,
)
from recorder.model.errors import JournalClosed, ShippingError
from simulator import Dialect, Simulator
from simulator.service.server import Service
from tests.services import eventually


def entries(path):
    with JournalReader(path) as reader:
        return list(reversed(reader.entries(limit=10_000)))


def test_call_returns_with_its_operation_journaled(path):
    with Recorder("T", path, clock=lambda: 1.5) as recorder:
        assert recorder.people_set("ada", {"plan": "pro"}) is None
        (entry,) = entries(path)
    assert (entry.seq, entry.profile, entry.operator, entry.state) == (1, "ada", "$set", State.PENDING)
    assert entry.message == {"$time": 1.5, "$distinct_id": "ada", "$set": {"plan": "pro"}}
    assert entry.recorded_at == 1.5


def test_message_of_operators_is_one_commit(recorder, path):
    recorder.people_update({"$distinct_id": "ada", "$unset": ["a"], "note": "x", "$set": {"b": 1}})
    assert [(entry.operator, sorted(entry.message)) for entry in entries(path)] == [
        ("$unset", ["$distinct_id", "$time", "$unset", "note"]),
        ("$set", ["$distinct_id", "$set", "$time", "note"]),
    ]


def test_batch_is_one_commit(recorder, path):
    commits = []
    recorder.journal._connection._sqlite.set_trace_callback(
        lambda sql: commits.append(sql) if sql == "COMMIT" else None
    )
    with recorder.batch() as batch:
        for n in range(100):
            batch.people_increment("ada", {"n": n})
        assert entries(path) == []
    assert len(entries(path)) == 100
    assert commits == ["COMMIT"]


def test_batch_that_raises_records_nothing(recorder, path):
    with pytest.raises(ZeroDivisionError), recorder.batch() as batch:
        batch.people_set("ada", {"in": "batch"})
        recorder.people_set("ada", {"beside": True})
        raise ZeroDivisionError
    assert [entry.message["$set"] for entry in entries(path)] == [{"beside": True}]


def test_batch_takes_no_other_threads_operations(recorder, path):
    inside, beside_done = threading.Event(), threading.Event()

    def beside():
        inside.wait(10)
        recorder.people_set("bob", {"a": 1})
        beside_done.set()

    thread = threading.Thread(target=beside)
    thread.start()
    with pytest.raises(ZeroDivisionError), recorder.batch() as batch:
        batch.people_set("ada", {"a": 1})
        inside.set()
        assert beside_done.wait(10)
        raise ZeroDivisionError
    thread.join()
    assert [entry.profile for entry in entries(path)] == ["bob"]


CYCLE = {}
CYCLE["self"] = CYCLE
DEEP = 1
for _ in range(101):
    DEEP = [DEEP]

BAD = {
    "nan": (lambda r: r.people_set("u", {"a": float("nan")}), "$set.a"),
    "infinity": (lambda r: r.people_increment("u", {"a": float("-inf")}), "$add.a"),
    "huge": (lambda r: r.people_increment("u", {"a": 10**400}), "$add.a"),
    "surrogate": (lambda r: r.people_set("u", {"a": ["\ud800"]}), "$set.a[0]"),
    "surrogate-id": (lambda r: r.people_set("\ud800", {"a": 1}), "$distinct_id"),
    "cycle": (lambda r: r.people_set("u", {"a": CYCLE}), "$set.a.self"),
    "bytes": (lambda r: r.people_set("u", {"a": b"x"}), "$set.a"),
    "charge": (lambda r: r.people_track_charge("u", "9.99"), "$append.$transactions.$amount"),
    "set": (lambda r: r.people_union("u", {"a": {1}}), "$union.a"),
    "decimal": (lambda r: r.people_track_charge("u", Decimal(1)), "$append.$transactions.$amount"),
    "name": (lambda r: r.people_set("u", {1: "a"}), "$set"),
    "deep": (lambda r: r.people_set("u", {"a": DEEP}), "$set.a" + "[0]" * 100),
    "large": (lambda r: r.people_set("u", {"a": "x" * 1_000_001}), "$set"),
    "empty-id": (lambda r: r.people_set("", {"a": 1}), "$distinct_id"),
    "no-group": (lambda r: r.group_set("k", "", {"a": 1}), "$group_id"),
    "list": (lambda r: r.people_set("u", [1]), "$set"),
    "string": (lambda r: r.people_unset("u", "plan"), "$unset"),
    "meta": (lambda r: r.people_set("u", {}, meta=[1]), "meta"),
    "message": (lambda r: r.people_update("u"), "message"),
}


@pytest.mark.parametrize(("call", "place"), BAD.values(), ids=BAD)
def test_bad_input_raises_at_the_call(recorder, path, call, place):
    with pytest.raises(InvalidOperation) as caught:
        call(recorder)
    assert caught.value.path == place
    assert str(caught.value).startswith(place)
    assert caught.value.hint
    assert entries(path) == []


IS_JSON = ["charge", "large", "empty-id", "no-group", "list", "string"]


@pytest.mark.parametrize("name", IS_JSON)
def test_malformed_json_becomes_a_rejected_entry(path, name):
    call, place = BAD[name]
    with Recorder("T", path, on_invalid="reject") as recorder:
        call(recorder)
        recorder.people_set("ada", {"a": 1})
        counted = recorder.statistics()
    first, second = entries(path)
    assert (first.state, second.state) == (State.REJECTED, State.PENDING)
    assert first.reason.startswith(place)
    assert (counted.recorded, counted.rejected, counted.pending, counted.adds_up) == (2, 1, 1, True)


INCREMENT = {"$distinct_id": "ada", "$increment": {"visits": 1}}


def test_unknown_operator_records_nothing(recorder, path):
    for record in (recorder.people_update, recorder.batch().__enter__().people_update):
        with pytest.raises(InvalidOperation, match=r"\$increment: .* did you mean \$add\?") as caught:
            record(INCREMENT)
        assert 'unknown_operators="ship"' in caught.value.hint
    assert entries(path) == []


def test_unknown_operator_may_be_rejected(path):
    with Recorder("T", path, on_invalid="reject") as recorder:
        recorder.people_update(INCREMENT)
    (entry,) = entries(path)
    assert (entry.state, entry.operator) == (State.REJECTED, "$increment")
    assert entry.reason == "$increment: is not an operator; did you mean $add?"


def test_unknown_operator_may_be_shipped(path):
    """Whoever ships it: a journal's entries are sent as they were recorded."""
    with Recorder("T", path, unknown_operators="ship") as recorder:
        recorder.people_update(INCREMENT)
        recorder.people_set("ada", {"plan": "pro"})
    with Service(mixed="reject-all") as service, Recorder("T", path, url=service.url) as recorder:
        assert recorder.flush().rejected == 1
    assert Simulator.from_journal(path).profiles["ada"] == {"plan": "pro"}
    with Recorder("T", path, unknown_operators="ship") as recorder:
        recorder.people_update(INCREMENT)
    simulator = Simulator.from_journal(path, dialect=Dialect())
    assert (simulator.rejected, simulator.profile("ada").partly_known) == ((), True)


@pytest.mark.parametrize("name", ["nan", "huge", "surrogate", "cycle", "bytes", "set", "name", "deep"])
def test_input_that_is_no_json_raises(path, name):
    with Recorder("T", path, on_invalid="reject") as recorder, pytest.raises(InvalidOperation):
        BAD[name][0](recorder)
    assert entries(path) == []


def test_serializer_of_the_sdk_is_taken(path):
    class Encoder(json.JSONEncoder):
        def default(self, value):
            return float(value) if isinstance(value, Decimal) else super().default(value)

    with Recorder("T", path, serializer=Encoder) as recorder:
        recorder.people_increment("ada", {"n": Decimal("1.5")})
    with Recorder("T", path, serializer=str) as recorder:
        recorder.people_set("ada", {"n": Decimal("1.50")})
    assert [entry.message[entry.operator] for entry in entries(path)] == [{"n": 1.5}, {"n": "1.50"}]


def test_callers_dicts_are_never_changed(recorder):
    properties, meta = {"item": "coffee"}, {"$ip": 0}
    recorder.people_track_charge("ada", 2.5, properties, meta)
    recorder.people_update(message := {"$distinct_id": 5, "$set": {"a": 1}})
    assert (properties, meta, message) == (
        {"item": "coffee"},
        {"$ip": 0},
        {"$distinct_id": 5, "$set": {"a": 1}},
    )


def test_journal_options_need_a_path(path):
    with Journal(path) as journal, pytest.raises(TypeError, match="durability"):
        Recorder("T", journal, durability="process")
    with pytest.raises(TypeError):
        Recorder("T", path, colour="red")


def test_close_leaves_a_given_journal_open(path):
    with Journal(path) as journal:
        Recorder("T", journal).close()
        with Recorder("T", journal) as recorder:
            recorder.people_set("ada", {})
        assert journal.statistics(0.0).recorded == 1
    recorder = Recorder("T", path)
    recorder.close()
    recorder.close()
    with pytest.raises(JournalClosed):
        recorder.people_set("ada", {})


@pytest.mark.parametrize("token", [None, "", 5])
def test_recorder_needs_a_token(path, token):
    with pytest.raises(WrongToken):
        Recorder(token, path)


def test_another_project_is_refused(path):
    Recorder("T", path).close()
    with pytest.raises(WrongToken):
        Recorder("U", path)
    with Recorder("T", path) as recorder, pytest.raises(WrongToken):
        recorder.people_update({"$token": "U", "$distinct_id": "ada", "$set": {}})


def test_threads_share_the_first_shipper(path, monkeypatch):
    """Two shippers would each take the other for another program that ships."""
    barrier, found = threading.Barrier(8), []
    with Recorder("T", path) as recorder:

        def first():
            barrier.wait()
            found.append(recorder._delivery._ready())

        monkeypatch.setattr(Shipper, "__init__", slowly(Shipper.__init__))
        threads = [threading.Thread(target=first) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8
    assert all(len({id(each[place]) for each in found}) == 1 for place in range(2))


def slowly(begin):
    def begun(*arguments, **options):
        time.sleep(0.01)  # the others come meanwhile
        begin(*arguments, **options)

    return begun


def test_close_makes_no_shipper(path):
    recorder = Recorder("T", path)
    recorder.people_set("ada", {"plan": "pro"})
    recorder.close()
    recorder.close()
    assert not recorder._delivery._shipping
    assert len(entries(path)) == 1


@pytest.mark.parametrize(
    "name", ["", ":memory:", "file::memory:?cache=shared", "file:kiosk.db", "sqlite:///kiosk.db"]
)
@pytest.mark.parametrize("make", [lambda name: Recorder("T", name), JournalConsumer, Journal, JournalReader])
def test_journal_in_memory_is_refused(tmp_path, monkeypatch, make, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JournalError, match="is not the path of a file") as caught:
        make(name)
    assert "Simulator" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_bad_address_leaves_no_file(path):
    with pytest.raises(ShippingError):
        Recorder("T", path, url="nowhere")
    assert not path.exists()


def test_bad_choice_is_refused(path):
    with pytest.raises(ValueError, match="on_invalid"):
        Recorder("T", path, on_invalid="ignore")
    with pytest.raises(ValueError, match="unknown_operators"):
        Recorder("T", path, unknown_operators="send")
    with pytest.raises(ValueError, match="durability"):
        Recorder("T", path, durability="hope")


def test_flush_ships_and_reports(path):
    with (
        Service() as service,
        Recorder("T", path, url=service.url, policy=ShippingPolicy(batch_updates=2)) as recorder,
    ):
        for _ in range(5):
            recorder.people_increment("ada", {"n": 1})
        assert recorder.flush() == ShipReport(shipped=5, requests=3)
        assert recorder.flush() == ShipReport()
        assert service.profiles() == {"ada": {"n": 5}}


def test_flush_offline_keeps_all(path):
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        recorder.people_set("ada", {"a": 1})
        report = recorder.flush()
        assert (report.stopped_by, report.message, report.pending) == ("offline", "connection refused", 1)
        assert recorder.statistics().pending == 1


def test_flush_out_of_time_cuts_nothing(path):
    """The request under way is answered and settled later: nothing is in doubt, or sent twice."""
    with (
        Service(faults=[{"at": 1, "fault": "slow", "seconds": 1.5}]) as service,
        Recorder("T", path, url=service.url) as recorder,
    ):
        recorder.people_increment("ada", {"n": 1})
        begun = time.monotonic()
        report = recorder.flush(timeout=0.3)
        assert time.monotonic() - begun < 1.4
        assert (report.stopped_by, report.shipped, report.in_doubt, report.pending) == ("timeout", 0, 0, 1)
        assert recorder.flush(timeout=20).stopped_by == "done"
        assert service.profiles() == {"ada": {"n": 1}}
        counted = recorder.statistics()
        assert (counted.shipped, counted.possibly_twice) == (1, 0)


def test_close_waits_for_a_flush(path):
    with Service(faults=[{"at": 1, "fault": "slow", "seconds": 30}]) as service:
        recorder = Recorder("T", path, url=service.url)
        recorder.people_set("ada", {"a": 1})
        begun = time.monotonic()
        recorder.flush(timeout=0.2)
        recorder.close(timeout=0.5)
        assert time.monotonic() - begun < 5
    assert [entry.state for entry in entries(path)] == [State.SENDING]
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        eventually(lambda: recorder.flush().stopped_by != "busy")  # the thread that was left ends by itself
    assert [entry.state for entry in entries(path)] == [State.IN_DOUBT]


def test_flush_ends_beside_a_busy_writer(path):
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        recorder.people_set("ada", {"a": 1})
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        report = recorder.flush(timeout=0.3)
        took = time.monotonic() - begun
        other.execute("ROLLBACK")
        other.close()
    assert (report.stopped_by, report.pending) == ("timeout", 1)
    assert took < 5


def test_close_with_backlog_sends_nothing_twice(path):
    """The thread is stopped between two requests, never in the middle of one."""
    with Service() as service:
        service.set_faults([{"at": at, "fault": "slow", "seconds": 0.05} for at in range(1, 200)])
        for _ in range(4):
            recorder = Recorder(
                "T", path, background=True, url=service.url, policy=ShippingPolicy(batch_updates=5)
            )
            with recorder.batch() as batch:
                for _ in range(50):
                    batch.people_increment("ada", {"n": 1})
            recorder.close(timeout=0.4)
        with Recorder("T", path, url=service.url) as recorder:
            ended, deadline = "busy", time.monotonic() + 60
            while ended == "busy":  # on a slow machine, the last thread may still have its request under way
                assert time.monotonic() < deadline
                ended = recorder.flush(timeout=60).stopped_by
            assert ended == "done"
            counted = recorder.statistics()
        assert (counted.shipped, counted.possibly_twice, counted.adds_up) == (200, 0, True)
        assert service.profiles() == {"ada": {"n": 200}}


def test_on_event_may_close(path):
    closed = threading.Event()
    recorder = None

    def heard(event):
        if recorder is not None and event.shipped:
            recorder.close()
            closed.set()

    with Service() as service:
        recorder = Recorder("T", path, background=True, url=service.url, on_event=heard)
        recorder.people_set("ada", {"a": 1})
        assert closed.wait(20)
    with pytest.raises(JournalClosed):
        recorder.people_set("ada", {"a": 2})


def test_background_ships_by_itself(path):
    arrived = threading.Event()

    def heard(event):
        if isinstance(event, ShipReport) and event.shipped:
            arrived.set()

    with Service() as service:
        with Recorder("T", path, background=True, url=service.url, on_event=heard) as recorder:
            recorder.people_set("ada", {"a": 1})
            assert arrived.wait(20)
            recorder.people_set("ada", {"b": 2})
        assert service.profiles() == {"ada": {"a": 1, "b": 2}}  # closing ships what is left


def test_background_lingers_for_more(path):
    """Entries recorded one by one share a request; neither a flush nor the end waits for more of them."""
    reports = []
    policy = ShippingPolicy(linger=60)
    with Service() as service:
        recorder = Recorder(
            "T", path, background=True, url=service.url, policy=policy, on_event=reports.append
        )
        for _ in range(200):
            recorder.people_increment("ada", {"n": 1})
        assert recorder.flush(timeout=20).stopped_by == "done"
        for number in range(200):
            recorder.people_set("ada", {"last": number})
        recorder.close(timeout=20)
        assert service.profiles() == {"ada": {"n": 200, "last": 199}}
    assert (
        sum(report.requests for report in reports) <= 2
    )  # what was there as it began; the flush reports itself


@pytest.fixture
def frozen(monkeypatch):
    """Time as freezegun stops it: what `time` gives out stands still, locks and the boot's clock go on."""
    moment = 1_580_644_800.25
    monkeypatch.setattr(time, "time", lambda: moment)
    monkeypatch.setattr(time, "monotonic", lambda: 1_000.0)
    return moment


def test_frozen_time_is_recorded(path, frozen):
    consumer = JournalConsumer(path, token="T")
    consumer.send("people", '{"$token":"T","$distinct_id":"ada","$set":{}}')
    consumer.close()
    with Recorder("T", path) as recorder, JournalReader(path) as reader:
        for people in (recorder, simulator := Simulator()):
            people.people_track_charge("ada", 1)
        assert {entry.recorded_at for entry in reader.entries(limit=9)} == {frozen}
        assert {message["$time"] for message in reader.history()} == {frozen}
        charge = reader.entries(limit=1)[0].message["$append"]["$transactions"]
    assert simulator.profile("ada")["$transactions"] == [charge]
    assert charge["$time"] == "2020-02-02T12:00:00"


@pytest.mark.usefixtures("frozen")
def test_frozen_time_keeps_nothing_from_shipping(path):
    """Back-off, the wait of entries in doubt, pace and time-outs go by the time that passes."""
    policy = ShippingPolicy(settle_after=0.05, updates_per_second=50, batch_updates=2)
    with Service(faults=[{"at": 1, "fault": "ack_lost"}]) as service:
        with Recorder("T", path, background=True, url=service.url, policy=policy) as recorder:
            recorder.people_set("ada", {"a": 1})
            ended = threading.Event()
            for _ in range(400):
                if recorder.statistics().shipped:
                    break
                ended.wait(0.05)
            for n in range(4):
                recorder.people_set("ada", {"b": n})
            assert recorder.flush().stopped_by == "done"
        assert service.profiles() == {"ada": {"a": 1, "b": 3}}


def test_close_while_offline_is_timely(path):
    recorder = Recorder("T", path, background=True, url="http://127.0.0.1:9")
    recorder.people_set("ada", {"a": 1})
    begun = time.monotonic()
    recorder.close(timeout=1.0)
    assert time.monotonic() - begun < 5
    assert [entry.state for entry in entries(path)] == [State.PENDING]


FORGETS_TO_CLOSE = """
import sys
from recorder import Recorder
recorder = Recorder("T", sys.argv[1], background=True, url=sys.argv[2])
for n in range(5):
    recorder.people_append("ada", {"n": n})
"""


def test_program_without_close_ships_at_exit(path):
    """Python 3.12.0 to 3.12.2 start no thread as the interpreter ends."""
    with Service(faults=[{"at": 1, "fault": "slow", "seconds": 0.3}]) as service:
        command = [sys.executable, "-c", FORGETS_TO_CLOSE, path, service.url]
        done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
        assert service.profiles() == {"ada": {"n": [0, 1, 2, 3, 4]}}
    assert (done.stdout, done.stderr) == ("", "")
    assert {entry.state for entry in entries(path)} == {State.SHIPPED}


def test_exit_waits_once(path):
    """A recorder whose close ran out of time is not closed anew as the interpreter ends."""
    with Service(faults=[{"at": 1, "fault": "slow", "seconds": 30}]) as service:
        recorder = Recorder("T", path, background=True, url=service.url)
        recorder.people_set("ada", {"a": 1})
        recorder.close(timeout=0.2)
        begun = time.monotonic()
        recorder._delivery.close_at_exit()
        assert time.monotonic() - begun < 1.9  # of the two seconds that it may take
