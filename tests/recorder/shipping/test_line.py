"""Requests follow the line: on a slow one they are small, on a fast one they grow."""

import pytest

from recorder import Recorder, Shipper, ShippingPolicy
from recorder.shipping.line import Line
from recorder.shipping.verdicts import Answer
from tests.doubles import ACCEPTED, URL, Boot
from tests.profiles import sampled

TIMEOUT = 30.0  # for an answer; what is sent may wait for it in a buffer
RESET = Answer(left=True, url=URL, error="reset")
TOO_LARGE = Answer(left=True, url=URL, status=413, body=b"Payload Too Large")
BAD_GATEWAY = Answer(left=True, url=URL, status=502, body=b"Bad Gateway")


class SlowLine:
    """A transport over a line of so many bytes a second, to a service so many seconds away.

    Attributes:
        failure: The answer to requests of more than `most` bytes.
    """

    def __init__(self, rate, away=0.0, most=10_000_000, failure=RESET):
        self.boot = Boot()
        self.rate = rate
        self.away = away
        self.most = most
        self.failure = failure
        self.sizes = []
        self.unanswered = 0

    def send(self, lane, body, *, timeout=None):  # noqa: ARG002  # as a transport
        self.sizes.append(len(body))
        seconds = self.away + len(body) / self.rate
        if len(body) > self.most:
            self.unanswered += 1
            return self.failure
        self.boot.passes(min(seconds, TIMEOUT))
        if seconds < TIMEOUT:
            return ACCEPTED
        self.unanswered += 1
        return Answer(left=True, url=URL, error="no answer in 30 s")

    def reach(self, lane):  # noqa: ARG002
        return None

    def close(self):
        pass


@pytest.fixture
def recorder(tmp_path):
    with Recorder("T", tmp_path / "kiosk.db") as recorder:
        yield recorder


def shipper(recorder, line):
    return Shipper(recorder.journal, line, ShippingPolicy(), uptime=line.boot)


def fill(recorder, entries, size):
    with recorder.batch() as batch:
        for number in range(entries):
            batch.people_append("ada", {"notes": f"{number} {'x' * size}"})


@pytest.mark.parametrize("away", [0.05, 2.0])
@pytest.mark.parametrize("bits", [9_600, 64_000, 1_000_000])
def test_slow_line_leaves_nothing_in_doubt(recorder, bits, away):
    fill(recorder, entries=200, size=5_000)
    report = shipper(recorder, SlowLine(bits / 8, away)).ship()
    assert (report.shipped, report.in_doubt, report.pending) == (200, 0, 0)


def test_fast_line_fills_requests(recorder):
    fill(recorder, entries=6_500, size=20)
    report = shipper(recorder, SlowLine(10_000_000, away=0.05)).ship()
    assert report.requests == 5  # of 200, some 800, and then the 2,000 that are allowed


def test_slowed_line_costs_one_request(recorder):
    line = SlowLine(10_000_000)
    ship = shipper(recorder, line)
    fill(recorder, entries=1_000, size=500)
    ship.ship()
    line.rate = 5_000
    fill(recorder, entries=1_000, size=500)
    while ship.ship().pending:
        line.boot.passes(40)
    assert line.unanswered == 1


def test_small_request_keeps_the_next_large(recorder):
    """A single entry takes as long as the way there; that says nothing about a full request."""
    ship = shipper(recorder, SlowLine(10_000_000, away=2.0))
    for entries, size in ((4_000, 400), (1, 10)):
        fill(recorder, entries, size)
        assert ship.ship().stopped_by == "done"
    fill(recorder, entries=200, size=2_000)
    assert ship.ship().requests == 1


@pytest.mark.parametrize("failure", sampled([RESET, BAD_GATEWAY, TOO_LARGE], 3), ids=["reset", "502", "413"])
def test_limit_on_the_way_is_found(recorder, failure):
    line = SlowLine(10_000_000, most=100_000, failure=failure)
    ship = shipper(recorder, line)
    fill(recorder, entries=1_000, size=5_000)
    while ship.ship().pending:
        line.boot.passes(40)
    assert line.unanswered < 5
    assert max(line.sizes[-20:]) > 50_000  # and requests are no smaller than need be


def test_new_line_begins_small(recorder):
    line = SlowLine(10_000_000)
    ship = shipper(recorder, line)
    fill(recorder, entries=1_000, size=500)
    ship.ship()
    line.most, line.failure = 0, Answer(left=False, url=URL, error="no route")
    fill(recorder, entries=1_000, size=500)
    ship.ship()
    line.most, line.rate = 10_000_000, 4_000
    assert ship.ship().stopped_by == "done"
    assert line.unanswered == 1


def test_quick_small_request_proves_little():
    line = Line()
    line.answered(updates=1, size=5_000, seconds=0.001)
    assert line.bytes == 24_576


def test_size_recovers_after_a_failure():
    line = Line()
    for unanswered in range(4):
        for _ in range(60):
            line.answered(updates=1, size=line.bytes, seconds=line.bytes / 200_000)
        assert line.bytes == 1_000_000, unanswered
        line.unanswered(line.bytes + 1)
        line.unanswered(line.bytes)
        assert line.bytes < 100_000


def test_unanswered_probes_leave_the_size():
    line = Line()
    for _ in range(100):
        line.unanswered(300)
    assert line.bytes == 24_576
