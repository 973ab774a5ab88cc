"""The file shrinks after a drain, and the log stays small, also through an outage."""

import math
import sqlite3
from contextlib import closing

import pytest

from recorder import Journal, JournalReader, Recorder, Shipper, audit
from recorder.model.entries import NewEntry
from simulator import Simulator
from tests.doubles import AT_ONCE, Boot, Scripted


class Forgetful(Scripted):
    """Transport that accepts everything, and keeps no request."""

    def send(self, lane, body, *, timeout=None):
        answer = super().send(lane, body, timeout=timeout)
        self.sent.clear()
        return answer


def rows(first, number):
    return [
        NewEntry(
            "people",
            None,
            f"visitor-{n % 1_000}",
            "$add",
            f'{{"$distinct_id":"visitor-{n % 1_000}","$add":{{"visits":1}}}}',
            float(n),
        )
        for n in range(first, first + number)
    ]


def log_size(path):
    return path.with_name(path.name + "-wal").stat().st_size


def drain(number, path):
    """Record, ship and prune so many entries; return the file's size before and after."""
    # A shipper would prune some of more than 100,000 shipped entries by itself.
    with Journal(path, token="T", durability="process", keep_shipped_entries=math.inf) as journal:
        for first in range(0, number, 10_000):
            journal.append(rows(first, 10_000))
            assert log_size(path) < 12_000_000
        Shipper(journal, Forgetful(), AT_ONCE).ship()
        journal.append(rows(0, 1))
        before = path.stat().st_size
        pruned = journal.prune(all_shipped=True)
        assert pruned.entries == number
        after = path.stat().st_size
        assert log_size(path) == 0
        assert before - after == pytest.approx(pruned.freed, rel=0.2)
    assert audit(path).agrees
    profiles = Simulator.from_journal(path, shipped_only=True).profiles
    assert (len(profiles), dict(profiles["visitor-7"])) == (1_000, {"visits": number // 1_000})
    return before, after


@pytest.mark.long
def test_file_shrinks_after_drain(path):
    before, after = drain(30_000, path)
    assert after < before / 10


@pytest.mark.long
def test_file_shrinks_after_large_drain(path):
    before, after = drain(1_000_000, path)
    assert after < before / 100


@pytest.mark.long
def test_shipper_shrinks_the_file(path):
    """A shipper returns free pages a little at a time, between two drains."""
    boot = Boot()
    with Journal(path, token="T", durability="process", keep_shipped_entries=1_000) as journal:
        for first in range(0, 30_000, 10_000):
            journal.append(rows(first, 10_000))
        shipper = Shipper(journal, Forgetful(), AT_ONCE, uptime=boot)
        for _ in range(20):  # each prunes by the clock: a slow machine needs more than four
            journal.append(rows(0, 1))
            shipper.ship()
            boot.passes(120)
        with JournalReader(path) as reader:
            assert reader.counts().kept <= 1_200
        with closing(sqlite3.connect(path)) as connection, connection:
            pages, free = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count")
            )
        connection.close()
        assert free <= max(256, pages // 8)
        assert pages < 800


def test_log_stays_small_without_shipper(path):
    with Journal(path, token="T", durability="process") as journal, Recorder("T", journal) as recorder:
        largest = 0
        for n in range(6_000):
            recorder.people_set(f"visitor-{n % 100}", {"n": n, "text": "x" * 500})
            largest = max(largest, log_size(path))
        assert largest < 9_000_000
