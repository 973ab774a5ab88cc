"""Recording and shipping of the last day, found by the times of a few entries and requests."""

import itertools

import pytest

from recorder import Journal, JournalReader, Shipper, ShippingPolicy
from recorder.model.entries import NewEntry
from tests.doubles import ACCEPTED, REFUSED, Boot, Scripted

NOW = 1_000_000.0
HALF_HOUR = 1_800.0


def record(path, *ages):
    rows = [NewEntry("people", None, "ada", "$set", '{"$set":{"a":1}}', NOW - age) for age in ages]
    with Journal(path, token="T") as journal:
        journal.append(rows)


def ship(path, age, *answers):
    clock = itertools.repeat(NOW - age)
    with Journal(path) as journal:
        shipper = Shipper(
            journal,
            Scripted(*answers),
            ShippingPolicy(batch_updates=1),
            clock=lambda: next(clock),
            uptime=Boot(),
        )
        shipper.ship(limit=len(answers))


def flow(path, now=NOW):
    with JournalReader(path, clock=lambda: now) as reader:
        return reader.flow()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kiosk.db"


def test_empty_journal_has_no_flow(path):
    Journal(path, token="T").close()
    found = flow(path)
    assert (sum(found.recorded), sum(found.shipped), found.lately) == (0, 0, (0, 0))
    assert found.backlog(0) == [0] * 48


def test_slices_have_what_was_recorded_and_shipped(path):
    record(path, 90_000, 86_400, HALF_HOUR * 2, HALF_HOUR + 1, 400, 300, 1)
    ship(path, HALF_HOUR * 1.5, ACCEPTED, REFUSED, ACCEPTED)
    ship(path, 30, ACCEPTED)
    found = flow(path)
    assert found.recorded == (1, *[0] * 45, 2, 3)
    assert found.shipped == (*[0] * 46, 2, 1)
    assert found.lately == (2, 1)
    assert found.backlog(3) == [*[1] * 47, 3]


def test_pruned_entries_are_counted(path):
    record(path, 5_000, 4_000, 3_000)
    ship(path, 2_900, ACCEPTED, ACCEPTED)
    with Journal(path) as journal:
        assert journal.prune(all_shipped=True, now=NOW).entries
    assert sum(flow(path).recorded) == 3


def test_clock_that_was_set_loses_no_slice(path):
    """Entries recorded in the future are of the latest slice."""
    record(path, 5_000, -86_400)
    ship(path, -86_400, ACCEPTED)
    found = flow(path)
    assert (len(found.recorded), found.recorded[-1], found.shipped[-1]) == (48, 1, 1)
