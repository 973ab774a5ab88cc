"""`on_event`: the events an app gets, and the calls it may make in its handler."""

import threading

import pytest

from recorder import Entry, Lane, Recorder, ShippingPolicy, ShipReport, State
from recorder.model.entries import AttemptOutcome
from recorder.model.shipping import LaneStatus
from simulator.service.server import Service

LONG = 20  # seconds; the expected events come long before
REFUSED = {"at": 1, "fault": "status", "code": 400}
FORBIDDEN = {"at": 1, "fault": "status", "code": 403}


class Heard:
    """List of events, which lets a test wait for one kind."""

    def __init__(self, then=None):
        self.events = []
        self._then = then
        self._news = threading.Condition()

    def __call__(self, event):
        with self._news:
            self.events.append(event)
            self._news.notify_all()
        if self._then is not None:
            self._then(event)

    def first(self, kind, fits=lambda _: True):
        def found():
            return next((event for event in self.events if isinstance(event, kind) and fits(event)), None)

        with self._news:
            assert self._news.wait_for(found, LONG), self.events
            return found()


def test_on_event_gets_entry_then_report(path):
    heard = Heard()
    with (
        Service(faults=[REFUSED]) as service,
        Recorder("T", path, background=True, url=service.url, on_event=heard) as recorder,
    ):
        recorder.people_set("ada", {"plan": "pro"})
        entry = heard.first(Entry)
        report = heard.first(ShipReport, lambda report: report.requests)
    assert (entry.seq, entry.profile, entry.state) == (1, "ada", State.REJECTED)
    assert entry.reason == "Bad Request"
    assert (report.rejected, report.shipped, report.stopped_by) == (1, 0, "done")
    assert heard.events.index(entry) < heard.events.index(report)


def test_on_event_gets_a_pause_once(path):
    heard = Heard()
    with (
        Service(faults=[FORBIDDEN, {**FORBIDDEN, "at": 2}]) as service,
        Recorder("T", path, background=True, url=service.url, on_event=heard) as recorder,
    ):
        recorder.people_set("ada", {"plan": "pro"})
        status = heard.first(LaneStatus)
        report = heard.first(ShipReport, lambda report: report.stopped_by == "paused")
        assert recorder.flush().stopped_by == "paused"  # the second answer: no news
        assert recorder.flush().stopped_by == "done"
    assert (status.lane, status.outcome, status.cause) == (
        Lane.PEOPLE,
        AttemptOutcome.PAUSED,
        "HTTP 403: Forbidden",
    )
    assert status.failures == 1
    assert status.retry_at > status.since
    assert report.message == status.cause
    assert [event for event in heard.events if isinstance(event, LaneStatus)] == [status]


def test_on_event_precedes_the_next_request(path):
    """Events arrive during a long or throttled backlog."""
    arrived = []
    with Service(faults=[REFUSED]) as service:
        heard = Heard(
            lambda event: arrived.append(len(service.messages())) if isinstance(event, Entry) else None
        )
        policy = ShippingPolicy(batch_updates=1)
        with Recorder("T", path, background=True, url=service.url, policy=policy, on_event=heard) as recorder:
            with recorder.batch() as batch:
                for n in range(3):
                    batch.people_set("ada", {"n": n})
            heard.first(ShipReport, lambda report: report.shipped == 2)
    assert arrived == [0]


def test_on_event_runs_in_flush(path):
    heard = Heard()
    with (
        Service(faults=[REFUSED, {**FORBIDDEN, "at": 2}]) as service,
        Recorder(
            "T", path, url=service.url, policy=ShippingPolicy(batch_updates=1), on_event=heard
        ) as recorder,
    ):
        recorder.people_set("ada", {"plan": "pro"})
        recorder.people_set("ada", {"plan": "free"})
        report = recorder.flush()
    assert (report.rejected, report.stopped_by, report.pending) == (1, "paused", 1)
    assert [type(event) for event in heard.events] == [Entry, LaneStatus]  # its caller has the report


def test_on_event_that_raises_is_logged(path, caplog):
    def broken(event):
        raise ZeroDivisionError(type(event).__name__)

    heard = Heard(broken)
    with (
        Service(faults=[REFUSED, {**FORBIDDEN, "at": 2}]) as service,
        Recorder("T", path, background=True, url=service.url, on_event=heard) as recorder,
    ):
        recorder.people_set("ada", {"plan": "pro"})
        heard.first(Entry)
        recorder.people_set("bob", {"plan": "pro"})
        heard.first(LaneStatus)
        assert recorder.flush().stopped_by == "done"
        recorder.people_set("eve", {"plan": "pro"})
        heard.first(ShipReport, lambda report: report.shipped)
        assert service.profiles() == {"bob": {"plan": "pro"}, "eve": {"plan": "pro"}}
    raised = {str(record.exc_info[1]) for record in caplog.records if record.exc_info}
    assert raised == {"Entry", "LaneStatus", "ShipReport"}


@pytest.mark.parametrize("background", [True, False], ids=["background", "on request"])
@pytest.mark.parametrize(
    ("fault", "kind"), [(REFUSED, Entry), (FORBIDDEN, LaneStatus)], ids=["rejected", "paused"]
)
def test_on_event_may_record_and_ship(path, background, fault, kind):
    made = []
    done = threading.Event()

    def act(event):
        if isinstance(event, kind) and not made:
            recorder.people_set("bob", {"told": True})
            made.append(recorder.statistics().recorded)
            made.append(recorder.flush(timeout=None).stopped_by)
            done.set()

    with Service(faults=[fault]) as service:
        recorder = Recorder("T", path, background=background, url=service.url, on_event=act)
        recorder.people_set("ada", {"plan": "pro"})
        if not background:
            asked = threading.Thread(target=recorder.flush, args=(None,), daemon=True)
            asked.start()
        assert done.wait(LONG)
        if not background:
            asked.join(LONG)
            assert not asked.is_alive()
        recorder.close()
        expected = {"bob": {"told": True}} | ({"ada": {"plan": "pro"}} if kind is LaneStatus else {})
        assert service.profiles() == expected
    assert made == [2, "done"]


def test_on_event_may_flush_again(path):
    made = []
    done = threading.Event()

    def act(event):
        if isinstance(event, ShipReport) and event.shipped and not made:
            made.append(event.shipped)
            recorder.people_set("bob", {"told": True})
            made.append(recorder.flush(timeout=None).stopped_by)
            done.set()

    with Service() as service:
        recorder = Recorder("T", path, background=True, url=service.url, on_event=act)
        recorder.people_set("ada", {"plan": "pro"})
        assert done.wait(LONG)
        recorder.close()
        assert service.profiles() == {"ada": {"plan": "pro"}, "bob": {"told": True}}
    assert made == [1, "done"]
