"""Requests follow the line: on a slow one they are small, on a fast one they grow."""

import pytest

from recorder import Recorder, Shipper, ShippingPolicy
from recorder.shipping.verdicts import Answer
from tests.doubles import ACCEPTED, URL, Boot

TIMEOUT = 60.0


class SlowLine:
    """A transport over a line of so many bytes a second, to a service so many seconds away."""

    def __init__(self, rate, away=0.0):
        self.boot = Boot()
        self.rate = rate
        self.away = away
        self.unanswered = 0

    def send(self, lane, body, *, timeout=None):  # noqa: ARG002  # as a transport
        seconds = self.away + len(body) / self.rate
        self.boot.passes(min(seconds, TIMEOUT))
        if seconds < TIMEOUT:
            return ACCEPTED
        self.unanswered += 1
        return Answer(left=True, url=URL, error="no answer in 60 s")

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
    fill(recorder, entries=7_000, size=20)
    report = shipper(recorder, SlowLine(10_000_000, away=0.05)).ship()
    assert report.requests == 5  # of 200, 800, and then the 2,000 that are allowed


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
    for entries, size in ((2_000, 400), (1, 10)):
        fill(recorder, entries, size)
        assert ship.ship().stopped_by == "done"
    fill(recorder, entries=200, size=2_000)
    assert ship.ship().requests == 1
