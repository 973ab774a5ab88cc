"""A disk that another program fills: recording is refused, settling goes on, and nothing is damaged.

The disk is a small file system in memory, which only some accounts may mount.
"""

import contextlib
import os
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest

from recorder import Journal, JournalFull, JournalReader, Recorder, Shipper, audit, snapshot
from recorder.journal.locks import beside
from recorder.journal.reserve import RESERVE_BYTES, ReserveFile
from recorder.reading.sentence import shipping_of
from simulator import Simulator
from tests.doubles import AT_ONCE, Scripted
from tests.recorder.remnants import ID, VALUE, everywhere, places


def mount(folder, size):
    return subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )


def unmount(folder):
    subprocess.run(["/bin/umount", "--lazy", folder], check=True)


def why_not():
    if not Path("/bin/mount").exists():
        return "there is no /bin/mount"
    with tempfile.TemporaryDirectory() as folder:
        tried = mount(folder, "1m")
        if tried.returncode:
            return f"this account may not mount: {tried.stderr.strip()}"
        unmount(folder)
    return ""


WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    assert mount(folder, "24m").returncode == 0
    yield folder
    unmount(folder)


def free(disk):
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def fill_up(disk, leave=0):
    """Fill the disk, as another program would."""
    with (disk / "others").open("ab") as others, contextlib.suppress(OSError):
        while free(disk) > leave:
            others.write(bytes(min(65_536, free(disk) - leave)))
            others.flush()


def record(recorder, most=50_000, profiles=40):
    for n in range(most):
        try:
            recorder.people_set(f"visitor-{n % profiles}", {"n": n, "text": "x" * 400})
        except JournalFull as full:
            return n, full
    return most, None


def test_full_disk_of_a_copy_is_named(disk, tmp_path):
    path = tmp_path / "kiosk.db"
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"a": 1})
    fill_up(disk, 20_000)
    with pytest.raises(JournalFull, match=rf"the disk of {disk} is full; no copy was made"):
        snapshot(path, disk / "monday.db")
    assert [file.name for file in disk.iterdir()] == ["others"]


def test_full_disk_refuses_only_recording(disk):
    """A full disk refuses recording while settling goes on; recording resumes with free space."""
    path = disk / "kiosk.db"
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        recorded, _ = record(recorder, 300)
        Shipper(journal, Scripted(), AT_ONCE).ship(limit=1)
        assert path.with_name("kiosk.db.ballast").stat().st_blocks * 512 >= RESERVE_BYTES
        fill_up(disk)
        more, full = record(recorder)
        assert full is not None
        assert full.hint
        assert free(disk) < RESERVE_BYTES
        report = Shipper(journal, Scripted(), AT_ONCE).ship()
        assert (report.stopped_by, report.pending) == ("done", 0)
        assert ReserveFile(path).released
        with JournalReader(path) as reader:
            assert reader.shipping().full
            assert reader.counts().recorded == recorder.statistics().shipped == recorded + more
        with pytest.raises(JournalFull, match="disk") as refused:
            for _ in range(200):  # a recorder does not look at the disk each time
                recorder.people_set("ada", {"a": "x" * 400})
        assert refused.value.hint
        with Recorder("T", path) as other, pytest.raises(JournalFull, match="disk"):
            other.people_set("ada", {"a": 1})
        assert audit(path).agrees

        (disk / "others").unlink()
        recorder.people_set("ada", {"a": 1})
        assert not ReserveFile(path).released
        assert path.with_name("kiosk.db.ballast").stat().st_size == RESERVE_BYTES
        with JournalReader(path) as reader:
            assert not reader.shipping().full
        Shipper(journal, Scripted(), AT_ONCE).ship()
    assert audit(path).agrees
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert dict(Simulator.from_journal(path).profile("ada"))["a"] in {1, "x" * 400}


def test_disk_full_from_start_damages_nothing(disk):
    path = disk / "kiosk.db"
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        fill_up(disk)
        recorded, full = record(recorder)
        assert full is not None
        assert audit(path).agrees
        (disk / "others").unlink()
        recorder.people_set("ada", {"a": 1})
        assert Shipper(journal, Scripted(), AT_ONCE).ship().shipped == recorded + 1


def test_reserve_file_needs_free_space(disk):
    """A reserve file is not created where it would itself fill the disk."""
    fill_up(disk, leave=2 * RESERVE_BYTES)
    ReserveFile(disk / "kiosk.db").restore()
    assert not (disk / "kiosk.db.ballast").exists()


def test_forget_finishes_after_full_disk(disk):
    """Forgetting that a full disk stopped is finished by the next call."""
    path = everywhere(disk / "kiosk.db")
    with Journal(path) as journal, Recorder("T", journal) as recorder:
        for n in range(60):
            recorder.people_set("bob", {"n": n, "long": "x" * 50_000})
        with (disk / "filler").open("wb") as filler:
            filler.write(b"x" * max(0, free(disk) - 1_000_000))
        with pytest.raises(JournalFull):  # at whichever step the disk was full
            journal.forget(ID)
        assert audit(path).agrees
        (disk / "filler").unlink()
        journal.forget(ID)
        assert places(path, ID, VALUE) == set()
    assert audit(path).agrees


def test_recording_alone_makes_the_reserve(disk):
    """A disk that recording filled before anybody shipped can ship all the same."""
    path = disk / "kiosk.db"
    with Recorder("T", path) as recorder:
        assert ReserveFile(path)._size() == RESERVE_BYTES
        fill_up(disk, leave=400_000)
        recorded, full = record(recorder)
        assert full is not None
    fill_up(disk)
    with Journal(path) as journal:
        report = Shipper(journal, Scripted(), AT_ONCE).ship()
        assert (report.stopped_by, report.shipped) == ("done", recorded)
    assert audit(path).agrees


@pytest.mark.parametrize(
    ("most", "profiles"),
    [
        (4_000, 40),
        pytest.param(50_000, 40, marks=pytest.mark.long),
        pytest.param(50_000, 50_000, marks=pytest.mark.long),
    ],
)
def test_shipped_entries_make_room(disk, most, profiles):
    """A disk full of shipped entries is pruned, however recent, also where the profiles are as large as they."""
    path = disk / "kiosk.db"
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        recorded, _ = record(recorder, most, profiles)
        shipper = Shipper(journal, Scripted(), AT_ONCE)
        if most == 4_000:  # shipped before others filled the disk
            shipper.ship()
            fill_up(disk)
            more, full = record(recorder, most, profiles)
            assert full is not None
            recorded += more
        assert shipper.ship().stopped_by == "done"
        assert recorder.statistics().pruned > recorded - 2_000  # all but the newest requests
        assert recorder.statistics().pending == 0
        recorder.people_set("ada", {"a": 1})
        with JournalReader(path) as reader:
            assert not reader.shipping().full
    assert audit(path).agrees
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("profiles", [pytest.param(40, marks=pytest.mark.long), 50_000])
def test_pruning_works_without_reserve(disk, profiles):
    """Pruning takes little and makes room if no reserve file ever was and little is free."""
    path = disk / "kiosk.db"
    fill_up(disk, leave=9_000_000)
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        recorded, _ = record(recorder, 4_000, profiles)
        Shipper(journal, Scripted(), AT_ONCE).ship()
        assert not beside(path, ".ballast").exists()
        assert recorder.statistics().pruned == 0
    fill_up(disk, leave=500_000)  # the log, which could be written over, is gone
    with Journal(path) as journal, Recorder("T", journal) as recorder:
        assert Shipper(journal, Scripted(), AT_ONCE).ship().stopped_by == "done"
        assert recorder.statistics().pruned > recorded - 2_000
        recorder.people_set("ada", {"a": 1})
    assert free(disk) > 500_000
    assert audit(path).agrees


def test_full_disk_without_prunable_is_told(disk):
    """The status says that the disk is full, and the shipper does not toil, if nothing is left to prune."""
    path = disk / "kiosk.db"
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        recorder.people_set("ada", {"a": 1})
        shipper = Shipper(journal, Scripted(), AT_ONCE)
        shipper.ship()
        fill_up(disk)
        with JournalReader(path) as reader:
            assert reader.shipping().full
        for _ in range(3):
            assert shipper.ship().stopped_by == "done"
        with JournalReader(path) as reader:
            shipping = shipping_of(reader.counts(), reader.shipping(), now=0.0)
    assert shipping.state == "full"
    assert "nothing more is recorded until space is freed on its disk. All shipped." in shipping.sentence
