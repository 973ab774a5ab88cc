"""State of a lane: back-off, waits and pauses that outlast the process, and the probe while offline."""

import sqlite3
import time
from contextlib import closing

import pytest

from recorder import Journal, JournalReader, Lane, Recorder, Shipper, ShippingPolicy
from recorder.model.entries import AttemptOutcome
from tests.doubles import FORBIDDEN, PATIENCE, UNREACHABLE, Boot, Scripted


class Walled(Scripted):
    """Transport without a connection for the first `walls` tries; then it answers as `Scripted`."""

    def __init__(self, walls, *answers):
        super().__init__(*answers)
        self.walls = walls
        self.probes = 0
        self.looking = lambda: None

    def reach(self, lane):  # noqa: ARG002  # as a transport
        self.probes += 1
        self.looking()
        return "no route to the service" if self.probes <= self.walls else None


@pytest.fixture
def boot():
    return Boot()


def lane(path):
    with JournalReader(path) as reader:
        (status,) = reader.shipping().lanes
        return status


def rounds(path, boot, transport, wall=lambda: 1_000.0):
    """Run one round as `run` does it, in a new shipper: no back-off is skipped."""
    from recorder.shipping.drain import Call

    with Journal(path) as journal:
        shipper = Shipper(journal, transport, uptime=boot, clock=wall, chance=lambda: 1.0)
        assert shipper._enter()
        try:
            return shipper._drain(Call())
        finally:
            shipper._leave()


def test_offline_probe_claims_nothing(recorder, journal, path):
    """While offline, a try opens the connection first, and claims nothing before it is open."""
    recorder.people_set("ada", {"n": 1})
    transport = Walled(100, UNREACHABLE)
    seen = []

    def look():
        with JournalReader(path) as reader:
            seen.append(
                (reader.counts().pending, [attempt.ended_at is None for attempt in reader.attempts()])
            )

    transport.looking = look
    shipper = Shipper(journal, transport)
    assert shipper.ship().requests == 1  # the first failure is a request that did not leave
    for _ in range(99):
        assert shipper.ship().requests == 0
    assert len(transport.sent) == 1
    assert {pending for pending, _ in seen} == {1}
    assert not any(any(under_way) for _, under_way in seen)
    with JournalReader(path) as reader:
        rows = [(attempt.updates, attempt.times, attempt.words) for attempt in reader.attempts()]
        assert rows == [(0, 99, "no route to the service"), (1, 1, "connection refused")]
        assert reader.shipping().lanes[0].failures == 100
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("SELECT count(*) FROM attempts").fetchone() == (2,)
    assert shipper.ship().requests == 0
    assert shipper.ship().shipped == 1


def test_restart_keeps_the_back_off(path, boot):
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"n": 1})
    transport = Walled(0, *[UNREACHABLE] * 3)
    assert rounds(path, boot, transport).stopped_by == "offline"
    for _ in range(5):
        assert rounds(path, boot, transport).requests == 0
    boot.passes(1.1)
    assert rounds(path, boot, transport).requests == 1
    boot.passes(1.9)
    assert rounds(path, boot, transport).requests == 0  # 2 s now
    boot.passes(0.2)
    assert rounds(path, boot, transport).requests == 1
    assert lane(path).failures == 3


@pytest.mark.parametrize("hours", [-5, 5])
def test_clock_jump_keeps_the_wait(path, boot, hours):
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"n": 1})
    transport = Scripted(PATIENCE)
    rounds(path, boot, transport)
    jumped = lambda: 1_000.0 + hours * 3_600  # noqa: E731
    boot.passes(3_599)
    assert rounds(path, boot, transport, jumped).requests == 0
    boot.passes(2)
    assert rounds(path, boot, transport, jumped).shipped == 1


def test_reboot_counts_from_the_boot(path, boot):
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"n": 1})
    rounds(path, boot, Scripted(PATIENCE))
    boot.again("another", 3_599)
    assert rounds(path, boot, Scripted()).requests == 0
    boot.passes(2)
    assert rounds(path, boot, Scripted()).shipped == 1


def test_explicit_call_skips_the_back_off(path, boot):
    """An explicit call skips a back-off, and never a wait that the service asked for."""
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"n": 1})
    with Journal(path) as journal:
        assert Shipper(journal, Scripted(UNREACHABLE), uptime=boot).ship().requests == 1
        assert Shipper(journal, Scripted(PATIENCE), uptime=boot).ship().requests == 1
        report = Shipper(journal, Scripted(), uptime=boot).ship()
        assert (report.stopped_by, report.requests, report.message) == ("waiting", 0, "HTTP 429")
        assert report.retry_at - time.time() == pytest.approx(3_600, abs=30)


def test_paused_lane_waits_longest_back_off(path, boot):
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"n": 1})
    rounds(path, boot, Scripted(FORBIDDEN))
    assert lane(path).outcome is AttemptOutcome.PAUSED
    boot.passes(299)
    assert rounds(path, boot, Scripted()).requests == 0
    boot.passes(2)
    assert rounds(path, boot, Scripted()).shipped == 1


def test_new_configuration_retries_paused_lane(path, boot):
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"n": 1})
    wrong, right = Scripted(FORBIDDEN), Scripted()
    wrong.base, right.base = "https://api.mixpanel.com", "https://api-eu.mixpanel.com"
    rounds(path, boot, wrong)
    assert rounds(path, boot, wrong).requests == 0
    assert rounds(path, boot, right).shipped == 1


def test_paused_lane_stops_no_other(path, boot):
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"n": 1})
        recorder.group_set("company", "acme", {"n": 1})
    report = rounds(path, boot, Scripted(FORBIDDEN))
    assert (report.stopped_by, report.shipped) == ("paused", 1)
    with JournalReader(path) as reader:
        assert [(s.lane, s.outcome) for s in reader.shipping().lanes] == [
            (Lane.PEOPLE, AttemptOutcome.PAUSED),
            (Lane.GROUPS, AttemptOutcome.SHIPPED),
        ]


def test_drain_keeps_the_update_rate(recorder, journal):
    with recorder.batch() as batch:
        for n in range(60):
            batch.people_set("ada", {"n": n})
    transport = Scripted()
    begun = time.monotonic()
    report = Shipper(journal, transport, ShippingPolicy(updates_per_second=100, batch_updates=20)).ship()
    assert report.shipped == 60
    assert (
        time.monotonic() - begun >= 0.4
    )  # the first twenty at once, then a fifth of a second for each twenty


def test_throttled_drain_keeps_its_timeout(recorder, journal):
    with recorder.batch() as batch:
        for n in range(10):
            batch.people_set("ada", {"n": n})
    report = Shipper(journal, Scripted(), ShippingPolicy(updates_per_second=1)).ship(timeout=0.2)
    assert (report.stopped_by, report.shipped, report.pending) == ("timeout", 1, 9)
