"""A snapshot is a copy of one moment that can be read, and from which nothing is ever recorded or shipped."""

import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from recorder import Journal, JournalError, JournalReader, Recorder, Shipper, audit, snapshot
from recorder.journal.copies import Home, copy_reason
from recorder.journal.locks import beside
from recorder.model.errors import JournalMissing, JournalSnapshot
from tests.doubles import Scripted


@pytest.fixture
def copy(tmp_path):
    return tmp_path / "monday.db"


def fill(path, number=5):
    with Recorder("T", path) as recorder:
        for n in range(number):
            recorder.people_append("ada", {"n": n})


def test_snapshot_is_complete_and_private(path, copy):
    fill(path)
    assert snapshot(path, copy) == copy
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with JournalReader(path) as ours, JournalReader(copy) as theirs:
        assert theirs.entries() == ours.entries()
    assert audit(copy).agrees
    assert {file.name for file in copy.parent.iterdir()} >= {"kiosk.db", "monday.db"}
    assert not beside(copy, ".part").exists()


def test_snapshot_is_read_only(path, copy):
    fill(path)
    snapshot(path, copy)
    before = copy.read_bytes()
    for attempt in (lambda: Journal(copy), lambda: Recorder("T", copy), lambda: fill(copy)):
        with pytest.raises(JournalSnapshot, match="snapshot of a journal") as caught:
            attempt()
        assert "salvage" in caught.value.hint
    assert copy.read_bytes() == before
    fill(path)  # the journal itself is as it was
    with Journal(path) as journal:
        assert Shipper(journal, Scripted()).ship().shipped == 10


def test_existing_file_is_refused_and_kept(path, copy):
    fill(path)
    copy.write_text("mine", encoding="utf-8")
    with pytest.raises(JournalError, match="exists already"):
        snapshot(path, copy)
    assert copy.read_text(encoding="utf-8") == "mine"
    assert not beside(copy, ".part").exists()


def test_a_missing_journal_makes_no_snapshot(path, copy):
    with pytest.raises(JournalMissing):
        snapshot(path, copy)
    assert not copy.exists()


def test_leftovers_of_killed_snapshot_are_replaced(path, copy):
    fill(path)
    beside(copy, ".part").write_bytes(b"half")
    snapshot(path, copy)
    assert audit(copy).entries == 5


def test_snapshots_while_others_record(path, tmp_path):
    stop = threading.Event()

    def record():
        with Recorder("T", path) as recorder:
            while not stop.is_set():
                with recorder.batch() as batch:
                    for n in range(7):
                        batch.people_append("ada", {"n": n})

    fill(path, 7)
    thread = threading.Thread(target=record)
    thread.start()
    try:
        counted = [audit(snapshot(path, tmp_path / f"{place}.db")) for place in range(5)]
    finally:
        stop.set()
        thread.join()
    assert all(each.agrees and each.entries % 7 == 0 for each in counted)


# --- copies that were made otherwise


def shipped_from(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        row = connection.execute("SELECT machine, path, inode, moved_at FROM shipper").fetchone()
    connection.close()
    return row


def ship(path):
    with Journal(path) as journal:
        Shipper(journal, Scripted()).ship()


def test_shipping_copy_is_noticed_once(path, tmp_path):
    fill(path)
    ship(path)
    machine, place, inode, moved_at = shipped_from(path)
    assert (place, inode, moved_at) == (str(path), path.stat().st_ino, None)
    clone = tmp_path / "clone.db"
    clone.write_bytes(path.read_bytes())
    with JournalReader(path) as ours, JournalReader(clone) as theirs:
        assert ours.moved() is None
        assert "before" in theirs.moved()
    fill(clone, 1)
    ship(clone)
    assert shipped_from(clone)[3] is not None
    with JournalReader(clone) as reader:
        assert reader.moved() is None
        assert reader.counts().shipped == 6
    assert len(machine) in {0, 16}


def test_renamed_journal_is_no_copy(path, tmp_path):
    fill(path)
    ship(path)
    moved = path.rename(tmp_path / "renamed.db")
    with JournalReader(moved) as reader:
        assert reader.moved() is None


@pytest.mark.parametrize(
    ("before", "now", "copied"),
    [
        (None, Home("a", "/k", 1), False),
        (Home("a", "/k", 1), Home("a", "/k", 1), False),
        (Home("a", "/k", 1), Home("b", "/k", 1), True),
        (Home("", "/k", 1), Home("b", "/k", 1), False),  # a system without a name for itself
        (Home("a", "/k", 1), Home("", "/k", 1), False),
        (Home("a", "/k", 1), Home("a", "/k", 2), False),  # restored in place
        (Home("a", "/k", 1), Home("a", "/m", 1), False),  # renamed
        (Home("a", "/k", 1), Home("a", "/m", 2), True),
        (Home("a", "/k", 0), Home("a", "/m", 2), False),  # a file system without numbers
    ],
)
def test_copy_reason_names_machine_or_file(before, now, copied):
    assert (copy_reason(before, now) is not None) is copied
