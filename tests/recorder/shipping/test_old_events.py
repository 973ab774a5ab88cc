"""Events that outlive five days: where they go, and what becomes of each of them."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from recorder import (
    HttpTransport,
    Journal,
    JournalConsumer,
    JournalReader,
    Shipper,
    ShippingPolicy,
    audit,
    salvage,
    snapshot,
)
from recorder.journal.settle import MOST_ALIKE
from recorder.model.entries import AttemptOutcome
from recorder.shipping.verdicts import Answer
from tests.doubles import ACCEPTED, REFUSED, RESET, Boot, Scripted
from tests.services import RawService, answer

DAY = 86_400.0
NOW = 1_790_000_000.0
OLD = {"token": "T", "distinct_id": "ada", "time": int(NOW - 7 * DAY), "$insert_id": "i"}
IMPORT_URL = "https://service.test/import?verbose=1&ip=0&strict=1"


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def passes(self, days):
        self.now += days * DAY


class Ingestion(RawService):
    """A service that keeps the documented rules: five days at /track; at /import, credentials and a verdict on each.

    Attributes:
        held: The events that it ingested, by `$insert_id`.
        users: User names that may import.
    """

    def __init__(self, clock, *users):
        super().__init__()
        self.clock = clock
        self.users = users
        self.held = {}

    @property
    def endpoints(self):
        return [urlsplit(request.target).path for request in self.requests]

    def _take(self, wire, request):
        self.requests.append(request)
        status, said = self._judged(request)
        wire.send(answer(status, json.dumps(said).encode()))
        return True

    def _judged(self, request):
        target = urlsplit(request.target)
        if target.path.endswith("/track"):
            self._keep(event for event in request.updates if self.clock() - _time(event) <= 5 * DAY)
            return 200, {"status": 1, "error": None}
        user, _, _ = base64.b64decode(request.headers.get("authorization", "")[6:]).decode().partition(":")
        if user not in self.users:
            return 401, {"code": 401, "error": "Invalid credentials", "status": "Unauthorized"}
        assert parse_qs(target.query)["strict"] == ["1"]
        faults = {place: fault for place, event in enumerate(request.updates) if (fault := _fault(event))}
        self._keep(event for place, event in enumerate(request.updates) if place not in faults)
        code = 400 if faults else 200
        said = {"code": code, "num_records_imported": len(request.updates) - len(faults)}
        if not faults:
            return code, {**said, "status": "OK"}
        failed = [
            {"index": place, "insert_id": request.updates[place]["properties"]["$insert_id"], **fault}
            for place, fault in faults.items()
        ]
        return code, {**said, "error": "some failed", "failed_records": failed, "status": "Bad Request"}

    def _keep(self, events):
        self.held |= {event["properties"]["$insert_id"]: event for event in events}


def _time(event):
    return event["properties"]["time"]


def _fault(event):
    if not event.get("event"):
        return {"field": "event", "message": "must be specified"}
    if _time(event) < 31_536_000:
        return {"field": "properties.time", "message": "must be after 1971-01-01"}
    return None


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def service(clock):
    with Ingestion(clock, "T") as running:
        yield running


@pytest.fixture
def consumer(path, clock, service):
    with JournalConsumer(path, token="T", url=service.url, clock=clock, durability="process") as opened:
        yield opened


def record(consumer, n, name="opened", **properties):
    event = {"event": name, "properties": {"token": "T", "distinct_id": "ada", "n": n, **properties}}
    consumer.send("events", json.dumps(event))


def entries(path, condition=""):
    with JournalReader(path) as reader:
        return list(reader.stream([condition] if condition else []))


@pytest.mark.parametrize("days", [0, 4, 5, 6, 200])
def test_outage_loses_no_event(consumer, path, clock, service, days):
    """Events of an outage are all held afterwards, each on its own day."""
    recorded = []
    for n in range(91):
        record(consumer, n)
        recorded.append(int(clock()))
        clock.passes(days / 91)
    report = consumer.flush()
    assert (report.shipped, report.stopped_by) == (91, "done")
    held = sorted(service.held.values(), key=lambda event: event["properties"]["n"])
    assert [_time(event) for event in held] == recorded
    assert set(service.endpoints) == ({"/track"} if days <= 4 else {"/import", "/track"})
    assert audit(path).agrees


def test_event_keeps_its_day(consumer, clock, service):
    record(consumer, 1)
    clock.passes(7)
    consumer.flush()
    (event,) = service.held.values()
    assert _time(event) == NOW
    assert service.endpoints == ["/import"]


def test_own_events_stay_on_track(consumer, clock, service):
    record(consumer, 1, "$identify")
    clock.passes(7)
    assert consumer.flush().shipped == 1
    assert service.endpoints == ["/track"]


def test_route_change_keeps_order(consumer, service):
    """A backlog of old and young events goes in the order of recording, a request for each route in a row."""
    for n, age in enumerate([9, 8, 1, 0, 9, 0]):
        record(consumer, n, time=int(NOW - age * DAY))
    assert consumer.flush().shipped == 6
    assert service.endpoints == ["/import", "/track", "/import", "/track"]
    assert [[event["properties"]["n"] for event in each.updates] for each in service.requests] == [
        [0, 1],
        [2, 3],
        [4],
        [5],
    ]


def test_halving_keeps_order_over_routes(consumer, clock):
    """A bad young event between old ones is found by halving, and a limit ends where it should."""
    for n, age in enumerate([0, 9, 0, 0, 0, 9]):
        record(consumer, n, time=int(NOW - age * DAY))

    def refuses(_, body, __):
        return REFUSED if b'"n":3' in body else ACCEPTED

    transport = Scripted(*[refuses] * 9)
    first = shipped_by(consumer, transport, clock, limit=2)
    assert (first.shipped, first.pending) == (2, 4)
    assert shipped_by(consumer, transport, clock).rejected == 1
    sent = [[event["properties"]["n"] for event in json.loads(body)] for _, body in transport.sent]
    assert sent == [[0], [1], [2, 3, 4], [2], [3, 4], [3], [4], [5]]
    assert transport.routes == [None, (True, "T"), *[None] * 5, (True, "T")]


def test_doubtful_event_is_routed_anew(path, clock):
    """An event that may have arrived at /track goes to /import once it is old."""
    boot = Boot()
    with JournalConsumer(path, token="T", clock=clock) as consumer:
        record(consumer, 1)
        transport = Scripted(RESET)
        shipper = Shipper(consumer.journal, transport, clock=clock, uptime=boot)
        shipper.ship()
        clock.passes(5)
        boot.passes(5 * DAY)
        assert shipper.ship().shipped == 1
    assert transport.routes == [None, (True, "T")]
    assert not entries(path)[0].possibly_twice  # it has an $insert_id


# --- bad events


def record_old(consumer, number, bad=(), lane="events"):
    """Record events of last week, in one call; bad ones have no name."""
    consumer.send(
        lane,
        json.dumps(
            [
                {
                    "event": "" if n in bad else "opened",
                    "properties": {**OLD, "n": n, "$insert_id": f"e-{n}"},
                }
                for n in range(number)
            ]
        ),
    )


def shipped_by(consumer, transport, clock, updates=2_000, limit=None, **options):
    policy = ShippingPolicy(batch_updates=updates)
    return Shipper(consumer.journal, transport, policy, clock=clock, **options).ship(limit=limit)


@pytest.mark.parametrize("lane", ["events", pytest.param("imports", marks=pytest.mark.long)])
def test_one_request_finds_a_bad_event(consumer, path, clock, service, lane):
    """One bad event among two thousand ends rejected, with the service's words, and the others are held."""
    told = []
    record_old(consumer, 6_000, bad={5_234}, lane=lane)
    transport = HttpTransport(url=service.url, import_credentials=("T", ""))
    report = shipped_by(consumer, transport, clock, on_event=told.append, uptime=Boot())
    transport.close()
    sizes = [len(request.updates) for request in service.requests]
    assert (max(sizes), sum(sizes)) == (2_000, 6_000)  # each event went once
    assert (report.shipped, report.rejected, report.stopped_by) == (5_999, 1, "done")
    (rejected,) = entries(path, "state=rejected")
    assert (rejected.seq, rejected.reason) == (5_235, "event: must be specified")
    assert told == [rejected]
    assert len(service.held) == 5_999
    assert audit(path).agrees


def test_two_thousand_bad_events_are_found(consumer, clock, service):
    """An answer that names them all is longer than others may be."""
    record_old(consumer, 6_000, bad={number for number in range(6_000) if number % 100})
    transport = HttpTransport(url=service.url)
    report = shipped_by(consumer, transport, clock, uptime=Boot())
    transport.close()
    assert (report.shipped, report.rejected, report.stopped_by) == (60, 5_940, "done")
    sizes = [len(request.updates) for request in service.requests]
    assert (max(sizes), sum(sizes)) == (2_000, 6_000)


def test_bad_events_are_told_at_once(consumer, clock, service):
    """Before the next request, as other rejected entries are."""
    told = []
    record_old(consumer, 4, bad={0})
    transport = HttpTransport(url=service.url)
    report = shipped_by(consumer, transport, clock, 2, on_event=lambda _: told.append(len(service.requests)))
    transport.close()
    assert (report.requests, told) == (2, [1])


def test_bad_events_differ(consumer, path):
    """A request of which nothing is taken rejects each event with its own words."""
    record(consumer, 1, "", time=int(NOW - 7 * DAY))
    record(consumer, 2, time=86_400)
    report = consumer.flush()
    assert (report.shipped, report.rejected, report.requests) == (0, 2, 1)
    assert [entry.reason for entry in entries(path)] == [
        "event: must be specified",
        "properties.time: must be after 1971-01-01",
    ]


def test_batch_refused_in_several_ways_is_data(consumer, path, service):
    record_old(consumer, 12, bad=range(12))
    for n in range(12):
        record(consumer, n, time=86_400)
    report = consumer.flush()
    assert (report.stopped_by, report.rejected, len(service.requests)) == ("done", 24, 1)
    assert audit(path).agrees


@pytest.mark.parametrize(("number", "stopped_by"), [(MOST_ALIKE - 1, "done"), (MOST_ALIKE, "paused")])
def test_batch_refused_alike_pauses(consumer, path, number, stopped_by):
    """As many equal rejections as mean a configuration mean it in one request, too."""
    record_old(consumer, number, bad=range(number))
    report = consumer.flush()
    paused = stopped_by == "paused"
    assert (report.stopped_by, report.rejected, report.requests) == (stopped_by, 0 if paused else number, 1)
    states = {entry.state.value for entry in entries(path)}
    assert states == ({"waiting"} if paused else {"rejected"})
    assert audit(path).agrees
    if paused:
        assert consumer.flush().message == "event: must be specified"
        consumer.journal.retry("state=waiting")
        assert consumer.flush().rejected == number


def test_refused_event_in_doubt_says_so(consumer, path, clock, service):
    """Events of an unanswered request that the service refuses later may have been applied before."""
    boot = Boot()
    record_old(consumer, 1, bad={0})
    shipped_by(consumer, Scripted(RESET), clock, uptime=boot)
    boot.passes(31)
    transport = HttpTransport(url=service.url)
    assert shipped_by(consumer, transport, clock, uptime=boot).rejected == 1
    transport.close()
    assert entries(path)[0].reason.startswith("event: must be specified (an earlier request")
    assert audit(path).agrees


def test_events_taken_back_stay_harmless(consumer, path, clock):
    """Events in doubt whose refusal was a configuration go again, and count once: each has an `$insert_id`."""
    boot = Boot()
    record_old(consumer, MOST_ALIKE)
    shipped_by(consumer, Scripted(RESET), clock, uptime=boot)
    boot.passes(31)

    def refuse_all(_, body, __):
        number = len(json.loads(body))
        return failed(number, *range(number))

    refusing = Scripted(*[refuse_all] * MOST_ALIKE)
    assert shipped_by(consumer, refusing, clock, uptime=boot).stopped_by == "paused"
    assert {entry.state.value for entry in entries(path)} == {"in_doubt"}
    assert shipped_by(consumer, Scripted(), clock, uptime=boot).shipped == MOST_ALIKE
    assert not any(entry.possibly_twice for entry in entries(path))
    assert audit(path).agrees


def failed(number, *bad, imported=None):
    said = {
        "code": 400,
        "num_records_imported": number - len(bad) if imported is None else imported,
        "failed_records": [{"index": place, "field": "event", "message": "bad"} for place in bad],
        "status": "Bad Request",
    }
    return Answer(left=True, url=IMPORT_URL, status=400, body=json.dumps(said).encode())


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("bad", [(), (3,)])
def test_kill_after_the_answer_loses_nothing(path, clock, service, bad):
    """A shipper killed between answer and settlement leaves events in doubt: they go again, and are held once."""
    boot = Boot()

    class Dying(HttpTransport):
        def send(self, *arguments, **options):
            super().send(*arguments, **options)
            raise Killed

    with JournalConsumer(path, token="T", clock=clock) as consumer:
        record_old(consumer, 5, bad)
        with pytest.raises(Killed):
            shipped_by(consumer, Dying(url=service.url), clock, uptime=boot)
    assert {entry.state.value for entry in entries(path)} == {"in_doubt"}
    boot.passes(31)
    with Journal(path) as journal:
        report = Shipper(journal, HttpTransport(url=service.url), clock=clock, uptime=boot).ship()
    assert (report.shipped, report.rejected) == (5 - len(bad), len(bad))
    assert len(service.held) == 5 - len(bad)
    assert not any(entry.possibly_twice for entry in entries(path))
    assert audit(path).agrees


def test_late_partial_acceptance_ships_the_rest(consumer, path, clock):
    """An overtaken shipper settles what was accepted; what was refused stays in doubt, and is refused again."""
    record_old(consumer, 4)
    claims, boot = consumer.journal.claims, Boot()

    def overtake(*_):
        claims.take_over(clock(), boot(), service="", policy=ShippingPolicy())
        return failed(4, 2)

    assert shipped_by(consumer, Scripted(overtake), clock, uptime=boot).stopped_by == "busy"
    assert [entry.state.value for entry in entries(path)] == ["shipped", "shipped", "in_doubt", "shipped"]
    assert audit(path).agrees
    boot.passes(31)
    assert shipped_by(consumer, Scripted(failed(1, 0)), clock, uptime=boot).rejected == 1
    assert audit(path).agrees


def test_picked_events_need_no_halving(consumer, path, clock):
    """Events that a person takes up again are told apart by one answer, too."""
    record_old(consumer, 5)
    consumer.journal.discard("seq=1..4")
    shipped_by(consumer, Scripted(), clock)
    consumer.journal.retry("state=discarded")
    report = shipped_by(consumer, Scripted(failed(4, 0, 3)), clock)
    assert (report.shipped, report.rejected, report.requests) == (2, 2, 1)
    assert audit(path).agrees


def test_partial_acceptance_outlives_a_salvage(consumer, path, clock):
    """Events named as bad, and those that were taken, stay apart in audit, in the attempt, and after a salvage."""
    record_old(consumer, 4)
    shipped_by(consumer, Scripted(failed(4, 2)), clock)
    with JournalReader(path) as reader:
        (attempt,) = reader.attempts(3)
        assert (attempt.outcome, attempt.status, attempt.words) == ("shipped", 400, "all but 1 were accepted")
        assert reader.carried_by(attempt.id) == [1, 2, 3, 4]
        assert [entry.seq for entry in reader.entries("error=bad")] == [3]
    copy = path.with_name("copy.db")
    snapshot(path, copy)
    salvaged = salvage(copy)
    assert (salvaged.states["shipped"], salvaged.states["rejected"], salvaged.disagreements) == (3, 1, ())
    assert [entry.reason for entry in entries(copy, "state=rejected")] == ["event: bad"]


# --- credentials


def test_refused_credentials_pause_and_tell(path, clock):
    with (
        Ingestion(clock, "secret") as service,
        JournalConsumer(path, token="T", url=service.url, clock=clock) as consumer,
    ):
        record_old(consumer, 2)
        report = consumer.flush()
        assert report.stopped_by == "paused"
        assert "a project's secret, or a service account's" in report.message
        assert "Invalid credentials" in report.message
        with JournalReader(path) as reader:
            assert [lane.outcome for lane in reader.shipping().lanes] == [AttemptOutcome.PAUSED]
        event = {"event": "old", "properties": OLD}
        consumer.send("imports", json.dumps(event), None, "secret")
        with JournalReader(path) as reader:
            assert reader.shipping().lanes[0].retry_at is None  # it is due
        assert consumer.flush().shipped == 3


def test_apps_credentials_win(path, clock):
    with (
        Ingestion(clock, "secret") as service,
        JournalConsumer(
            path, token="T", url=service.url, clock=clock, import_credentials=("secret", "x", "47")
        ) as consumer,
    ):
        record_old(consumer, 1)
        assert consumer.flush().shipped == 1
    assert service.requests[0].target == "/import?verbose=1&ip=0&strict=1&project_id=47"


def test_own_session_keeps_its_auth(consumer, clock, service):
    """An auth for a gateway stays; without one the session sends the token."""
    session = requests.Session()
    session.auth = ("gateway", "x")
    record_old(consumer, 1)
    transport = HttpTransport(url=f"{service.url}/mp", session=session)
    assert shipped_by(consumer, transport, clock).stopped_by == "paused"
    session.auth = None
    assert shipped_by(consumer, transport, clock).shipped == 1
    session.close()
    assert {request.target for request in service.requests} == {"/mp/import?verbose=1&ip=0&strict=1"}


def test_merge_is_imported_strictly(consumer, clock):
    """Imports without a time, an id or an `$insert_id` are not: the service would refuse them."""
    for name, properties in (
        ("old", OLD),
        ("$merge", {"$distinct_ids": ["a", "b"]}),
        ("old", {"distinct_id": "ada", "time": 40_000_000}),
    ):
        consumer.send("imports", json.dumps({"event": name, "properties": {"token": "T", **properties}}))
    transport = Scripted()
    assert shipped_by(consumer, transport, clock).shipped == 3
    assert transport.routes == [(True, None), None]
