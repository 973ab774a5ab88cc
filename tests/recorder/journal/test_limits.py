"""`max_bytes`: a full journal refuses recording, settles on, and prunes shipped entries for space."""

import json
import math
import sqlite3
import threading

import pytest

from recorder import Journal, JournalFull, JournalReader, Recorder, Shipper, audit
from recorder.model.entries import NewEntry
from simulator import Simulator
from tests.doubles import AT_ONCE, FORBIDDEN, Scripted

MOST = 4_000_000
TEXT = "x" * 500


def size(path):
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def fill(recorder, most=100_000):
    """Record until the journal is full; return the number recorded, and the error."""
    for n in range(most):
        try:
            recorder.people_set(f"visitor-{n % 50}", {"n": n, "text": TEXT})
        except JournalFull as full:
            return n, full
    raise AssertionError("it was never full")


@pytest.fixture
def limited(path):
    with (
        Journal(path, token="T", durability="process", max_bytes=MOST) as journal,
        Recorder("T", journal) as recorder,
    ):
        yield recorder


def test_full_journal_refuses_recording(limited, path):
    """In other processes, too, until one gives another limit, or none."""
    recorded, full = fill(limited)
    assert recorded > 1_000
    assert "max_bytes" in str(full)
    assert full.hint
    counts = limited.statistics()
    assert (counts.recorded, counts.pending, counts.adds_up) == (recorded, recorded, True)
    assert size(path) <= MOST
    with pytest.raises(JournalFull):
        limited.people_set("ada", {"a": TEXT * 1_000})
    with Recorder("T", path) as other:
        assert fill(other)[0] < 100
    with Recorder("T", path, max_bytes=2 * MOST) as other:
        other.people_set("ada", {"a": 1})
    limited.people_set("ada", {"a": TEXT * 1_000})
    fill(limited)
    with Recorder("T", path, max_bytes=math.inf) as other:
        other.people_set("ada", {"a": TEXT * 100})
    limited.people_set("ada", {"a": TEXT * 1_000})


@pytest.mark.long
def test_shipping_makes_space_under_limit(limited, path):
    """Filled again and again, the journal stays within its limit and loses nothing."""
    total = 0
    for _ in range(4):
        recorded, _ = fill(limited)
        total += recorded
        assert size(path) <= MOST
        assert Shipper(limited.journal, Scripted(), AT_ONCE).ship().stopped_by == "done"
        assert size(path) <= MOST
    assert audit(path).agrees
    counts = limited.statistics()
    assert (counts.recorded, counts.shipped, counts.adds_up) == (total, total, True)
    assert counts.pruned > 0
    assert len(Simulator.from_journal(path).profiles) == 50


@pytest.mark.long
def test_failing_attempts_spare_the_reserve(limited, path):
    """Attempts at a service that cannot be reached do not use up the reserved space."""
    fill(limited)
    before = size(path)
    for _ in range(200):
        Shipper(limited.journal, Scripted(FORBIDDEN), AT_ONCE).ship()
    assert size(path) <= max(before, MOST)


def test_settling_makes_space_within_limit(limited, path):
    """And then the call that does not fit fails alone, though threads share commits: the others are recorded."""
    with JournalReader(path) as reader:
        assert not reader.shipping().full
        fill(limited)
        assert reader.shipping().full
        sizes = []
        Shipper(limited.journal, Scripted(), AT_ONCE).ship(progress=lambda _: sizes.append(size(path)))
        assert not reader.shipping().full
    assert max(sizes) <= MOST
    limited.people_set("ada", {"a": 1})
    journal, failed, recorded = limited.journal, [], []

    def record(profile, text):
        message = json.dumps({"$distinct_id": profile, "$set": {"text": text}})
        try:
            recorded.append(journal.append([NewEntry("people", None, profile, "$set", message, 1.0)]))
        except JournalFull:
            failed.append(profile)

    threads = [threading.Thread(target=record, args=("large", "x" * MOST))]
    threads += [threading.Thread(target=record, args=(f"small-{n}", "x")) for n in range(8)]
    with journal._connection.lock:  # all of them queue
        for thread in threads:
            thread.start()
        while len(journal._commits.queue) < len(threads):
            pass
    for thread in threads:
        thread.join()
    assert failed == ["large"]
    assert len(recorded) == 8
    assert audit(path).agrees


def test_held_log_counts_towards_limit(limited, path):
    """A log that a reader keeps cannot be checkpointed, and grows no further than the limit."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN")
    holder.execute("SELECT count(*) FROM entries").fetchone()
    fill(limited)
    assert size(path) <= MOST
    holder.execute("COMMIT")
    holder.close()
    assert fill(limited)[0] > 500
