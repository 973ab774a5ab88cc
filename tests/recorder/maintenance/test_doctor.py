"""The doctor looks only: each thing that is wrong is found, said with what to do, and nothing is changed."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from recorder import Journal, JournalReader, Shipper, diagnose, snapshot
from recorder.journal.environment import FileSystem, file_system, free_bytes, holders
from recorder.journal.locks import beside
from recorder.journal.opening import PAGE_SIZE
from recorder.maintenance import doctor
from recorder.maintenance.doctor import Severity
from recorder.maintenance.surroundings import _file_system, _free_space, _packages, _sqlite
from recorder.model.entries import NewEntry
from recorder.model.errors import JournalMissing, NotAJournal
from tests.doubles import Scripted, claim, take_over

ATTENTION, NOTICE, OK = Severity.ATTENTION, Severity.NOTICE, Severity.OK


def row(number=0, recorded_at=1.0):
    message = f'{{"$distinct_id":"ada","$set":{{"n":{number}}}}}'
    return NewEntry("people", None, "ada", "$set", message, recorded_at)


@pytest.fixture
def path(on_disk):
    return on_disk / "kiosk.db"


@pytest.fixture
def filled(path):
    with Journal(path, token="T") as journal:
        journal.append([row(n) for n in range(500)])
    return path


def found(path, name, **options):
    """The findings of one name."""
    return [finding for finding in diagnose(path, **options) if finding.name == name]


def wrong(path, **options):
    return {finding.name for finding in diagnose(path, **options) if finding.severity is ATTENTION}


def files(folder):
    return {file.name: (file.stat().st_size, file.stat().st_mtime_ns) for file in folder.iterdir()}


def test_healthy_journal_needs_no_attention(filled):
    findings = diagnose(filled)
    assert wrong(filled) == set()
    assert all(finding.advice for finding in findings if finding.severity is not OK)
    assert {finding.name for finding in findings} >= {
        *("SQLite", "packages", "file system", "free space", "permissions", "open", "log"),
        *("schema", "clock", "copy", "shipper", "accounts", "pages"),
    }


@pytest.mark.parametrize("deep", [False, True])
def test_nothing_is_created_or_changed(filled, deep):
    before = files(filled.parent)
    diagnose(filled, deep=deep)
    assert files(filled.parent) == before


def test_killed_process_log_is_left_unchanged(filled):
    other = subprocess.Popen(
        [sys.executable, "-c", OPEN_AND_WAIT, filled],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "ready\n"
    other.kill()
    other.wait(30)
    other.stdout.close()
    other.stdin.close()
    before = files(filled.parent)
    assert before["kiosk.db-wal"][0] > 0
    assert found(filled, "accounts")[0].text == "501 entries: every account agrees"  # the log is read, too
    after = files(filled.parent)
    assert {name: after[name] for name in before if name != "kiosk.db-shm"} == {
        name: before[name] for name in before if name != "kiosk.db-shm"
    }
    assert set(after) == set(before)


def test_changed_journal_is_read_again(filled):
    """Somebody opens, records and closes, all of it between the first look and the last."""
    looked = []

    def meanwhile(what):
        looked.append(what)
        if what == "accounts" and looked.count("accounts") == 1:
            with Journal(filled) as journal:
                journal.append([row(n) for n in range(500)])

    assert found(filled, "accounts", progress=meanwhile)[0].text == "1,000 entries: every account agrees"
    assert looked.count("accounts") == 2


OPEN_AND_WAIT = """
import sys
from recorder import Journal
from recorder.model.entries import NewEntry
with Journal(sys.argv[1]) as journal:
    journal.append([NewEntry("people", None, "ada", "$set", '{"$distinct_id":"ada","$set":{"n":1}}', 1.0)])
    print("ready", flush=True)
    sys.stdin.read()
"""

OPEN_AND_CLOSE = """
import sys
from recorder import Journal, JournalReader
from recorder.model.entries import NewEntry
for _ in range(10):
    JournalReader(sys.argv[1]).close()
    with Journal(sys.argv[1]) as journal:
        journal.append([NewEntry("people", None, "bob", "$set", '{"$distinct_id":"bob","$set":{"n":1}}', 1.0)])
print("done")
"""


def test_doctor_cancels_no_locks(path):
    """A closed descriptor cancels SQLite's locks in its process: the doctor, too, opens the file by SQLite only."""
    ours = 0
    with Journal(path, token="T") as journal, JournalReader(path) as reader:
        other = subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_CLOSE, path], stdout=subprocess.PIPE, text=True
        )
        while other.poll() is None:
            diagnose(path)
            for _ in range(10):
                journal.append([row(ours)])
                ours += 1
        assert other.communicate()[0] == "done\n"
        assert beside(path, "-wal").exists()  # whoever closes last takes it away, and that was not they
        assert reader.count("profile=ada") == ours
    with JournalReader(path) as reader:
        assert (reader.count("profile=ada"), reader.count("profile=bob")) == (ours, 10)
    assert wrong(path) == set()


def test_old_events_are_told(path):
    message = '{"event":"opened","properties":{"token":"T"}}'
    with Journal(path, token="T") as journal:
        journal.append([NewEntry("events", None, None, None, message, 1_700_000_000.0)] * 2)
        journal.append([NewEntry("events", None, None, None, message, 1_700_500_000.0)])
    (finding,) = found(path, "events", clock=lambda: 1_700_500_000.0)
    assert finding.severity is NOTICE
    assert finding.text.startswith("2 unsent events recorded over four days ago")
    assert found(path, "events", clock=lambda: 1_700_000_000.0) == []


# --- what is wrong with the place


@pytest.mark.parametrize(
    ("mounted", "severity", "said"),
    [
        (FileSystem("ext4", False, "/"), OK, "ext4"),
        (FileSystem("", False, ""), OK, "does not say"),
        (FileSystem("nfs4", False, "/srv"), ATTENTION, "network"),
        (FileSystem("ext4", True, "/srv"), ATTENTION, "read-only"),
        (FileSystem("tmpfs", False, "/run"), ATTENTION, "restart"),
        (FileSystem("overlay", False, "/"), NOTICE, "container"),
        (FileSystem("vfat", False, "/boot"), NOTICE, "owners"),
    ],
)
def test_unsuitable_file_system_is_named(mounted, severity, said):
    finding = _file_system(mounted)
    assert (finding.severity, bool(finding.advice)) == (severity, severity is not OK)
    assert said in finding.text


MOUNTS = r"""22 1 0:21 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /srv rw - nfs4 host:/x rw
31 22 0:41 / /srv/with\040space ro,nosuid - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/srv/with space/deep", ("tmpfs", True)),
        ("/srv/else", ("nfs4", False)),
        ("/srvother", ("ext4", False)),
    ],
)
def test_file_system_is_the_nearest_mount(tmp_path, folder, expected):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS, encoding="utf-8")
    found = file_system(Path(folder), mounts)
    assert (found.kind, found.read_only) == expected


@pytest.mark.parametrize(
    ("version", "severity"),
    [((3, 35, 0), NOTICE), ((3, 40, 1), NOTICE), ((3, 51, 2), NOTICE), ((3, 51, 3), OK)],
)
def test_sqlite_with_reset_bug_is_named(version, severity):
    finding = _sqlite(version)
    assert finding.severity is severity
    assert severity is OK or "write lock" in finding.text


def test_old_sqlite_is_named_without_salvage(filled, monkeypatch):
    """An SQLite without the SQL in use fails in ways that look like damage; the journal is not even read."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    findings = [finding for finding in diagnose(filled) if finding.severity is ATTENTION]
    assert [finding.name for finding in findings] == ["SQLite"]
    assert "3.35" in findings[0].text
    assert not any("salvage" in finding.advice for finding in diagnose(filled))


def test_little_free_space_needs_attention(path):
    assert _free_space(free_bytes(path.parent), path.parent).severity is OK
    assert _free_space(15_000_000, path.parent).severity is ATTENTION
    assert _free_space(None, path.parent).severity is NOTICE


def test_distribution_with_our_names_is_named():
    (finding,) = _packages({"simulator": ["simulator-of-other-things"]})
    assert finding.severity is ATTENTION
    assert "simulator-of-other-things" in finding.text


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("top_level.txt", "tui\n"),
        ("RECORD", "tui/__init__.py,sha256=a,1\nrecorder/notes.txt,,\ntui.dist-info,,\n"),
    ],
)
def test_distribution_with_our_names_is_found(tmp_path, file, text):
    info = tmp_path / "tui_toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tui-toys\nVersion: 1.0\n", encoding="utf-8")
    (info / file).write_text(text, encoding="utf-8")
    code = "from recorder.journal.environment import other_owners; print(other_owners(('recorder', 'tui')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "{'tui': ['tui-toys']}\n"


@pytest.mark.parametrize("name", ["kiosk.db", "kiosk.db.open", "kiosk.db.ballast"])
def test_files_open_to_others_are_named(filled, name):
    file = filled.with_name(name)
    file.touch()
    file.chmod(0o640)
    (finding,) = found(filled, "permissions")
    assert finding.severity is ATTENTION
    assert (name in finding.text, "640" in finding.text) == (True, True)
    assert finding.advice == f"chmod 600 {file}"


def test_folder_open_to_everybody_is_named(filled):
    filled.parent.chmod(0o777)
    assert "anyone can" in found(filled, "permissions")[0].text
    filled.parent.chmod(0o1777)  # as /tmp is
    assert found(filled, "permissions")[0].severity is OK


@pytest.mark.skipif(not hasattr(os, "chown") or os.geteuid() != 0, reason="only root gives files away")
def test_files_of_another_account_are_named(filled):
    """Root works on anyone's journal, if all its files are that account's."""
    os.chown(filled, 12345, -1)
    assert "12345" in found(filled, "permissions")[0].text
    for file in filled.parent.glob(f"{filled.name}.*"):
        os.chown(file, 12345, -1)
    assert found(filled, "permissions")[0].severity is OK


def test_reserve_file_is_mentioned(filled):
    beside(filled, ".ballast").unlink(missing_ok=True)  # there is one on a small disk
    assert found(filled, "reserve file") == []
    beside(filled, ".ballast").write_bytes(b"\0" * 4_000_000)
    beside(filled, ".ballast").chmod(0o600)
    assert found(filled, "reserve file")[0].text.startswith("4.0 MB")


def test_a_large_log_is_named(filled):
    with Journal(filled):
        os.truncate(beside(filled, "-wal"), 20_000_000)
        assert found(filled, "log")[0].severity is ATTENTION


# --- who is at it


def test_holders_match_the_mounts_device(tmp_path):
    """On btrfs and overlay the kernel's list of locks has another device than `os.stat`."""
    locks, mounts = tmp_path / "locks", tmp_path / "mountinfo"
    locks.write_text(f"1: FLOCK ADVISORY WRITE 42 01:3d:{tmp_path.stat().st_ino} 0 EOF\n")
    mounts.write_text("336 315 1:61 / / rw,relatime - btrfs /dev/vda rw\n")
    assert holders(tmp_path, locks, mounts) == (42,)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="this system does not say who holds locks")
def test_processes_that_use_it_are_named(filled):
    assert "no process" in found(filled, "open")[0].text
    with Journal(filled):
        assert f"process {os.getpid()}" in found(filled, "open")[0].text
    assert holders(beside(filled, ".open")) == ()
    assert "no shipper is running" in found(filled, "shipper")[0].text
    seen = []

    class Looking(Scripted):
        def send(self, lane, body, *, timeout=None):
            seen.extend(found(filled, "shipper"))
            return super().send(lane, body, timeout=timeout)

    with Journal(filled) as journal:
        Shipper(journal, Looking()).ship()
    assert seen[0].text == f"process {os.getpid()} is shipping"


def test_killed_shipper_is_named(filled):
    with Journal(filled) as journal:
        claim(journal, take_over(journal))
    (finding,) = found(filled, "shipper")
    assert f"process {os.getpid()} was killed in the middle of a request" in finding.text


# --- what is wrong with the clock, or the journal


@pytest.mark.parametrize(
    ("now", "severity"),
    [(5.0, ATTENTION), (1.7e9 - 61, ATTENTION), (1.7e9 - 59, OK), (1.7e9 + 1e9, OK)],
)
def test_wrong_clock_is_named(path, now, severity):
    with Journal(path, token="T") as journal:
        journal.append([row(recorded_at=1.7e9)])
    assert found(path, "clock", clock=lambda: now)[0].severity is severity


def test_a_newer_schema_needs_attention(filled):
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert wrong(filled) == {"schema"}
    assert found(filled, "schema")[0].advice.startswith("Upgrade")


def test_disagreeing_accounts_are_listed(filled):
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("UPDATE counters SET entries = 5 WHERE account = 'shipped'")
    connection.close()
    assert [finding.text for finding in found(filled, "accounts")] == [
        "pending: counted 500, noted 495",
        "shipped: counted 0, noted 5",
    ]


def test_damaged_pages_advise_salvage(filled):
    content = bytearray(filled.read_bytes())
    for page in range(2, len(content) // PAGE_SIZE):  # all but the first two
        content[page * PAGE_SIZE : (page + 1) * PAGE_SIZE] = b"\xa5" * PAGE_SIZE
    filled.write_bytes(content)
    findings = [finding for finding in diagnose(filled) if finding.severity is ATTENTION]
    assert findings
    assert all("restante salvage" in finding.advice for finding in findings)
    assert len(findings) == len(set(findings)), "the same damage is named twice"


def test_what_only_a_deep_look_finds(filled):
    """An index that lacks a row: a quick check does not compare the two."""
    index = "name = 'entries_set_aside'"
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        kept = connection.execute(f"SELECT * FROM sqlite_schema WHERE {index}").fetchone()
        connection.execute(f"DELETE FROM sqlite_schema WHERE {index}")
    connection.close()
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("UPDATE entries SET state = 'discarded' WHERE seq = 7")
        connection.execute("UPDATE counters SET entries = 1 WHERE account = 'discarded'")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", kept)
    connection.close()
    assert wrong(filled) == set()
    told = []
    (finding,) = found(filled, "pages", deep=True, progress=told.append)
    assert finding.severity is ATTENTION
    assert "missing from index" in finding.text
    assert any(what.startswith("table entries") for what in told)


def test_snapshot_is_named(filled, tmp_path):
    copy = snapshot(filled, tmp_path / "copy.db", clock=lambda: 1.7e9)
    assert "snapshot of 2023-11-14" in found(copy, "copy")[0].text


def test_copy_is_named_until_it_ships(filled):
    def ship(path, n):
        with Journal(path) as journal:
            journal.append([row(n)])
            Shipper(journal, Scripted()).ship()

    ship(filled, 1)
    clone = filled.with_name("clone.db")
    clone.write_bytes(filled.read_bytes())
    clone.chmod(0o600)
    assert wrong(clone) == {"copy"}
    ship(clone, 2)
    assert found(clone, "copy")[0].severity is NOTICE
    assert found(filled, "copy")[0].severity is OK


def test_missing_or_foreign_file_is_refused(path):
    with pytest.raises(JournalMissing):
        diagnose(path)
    path.write_text("a shopping list, long enough to look at\n" * 100, encoding="utf-8")
    with pytest.raises(NotAJournal):
        diagnose(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    before = files(path.parent)
    with pytest.raises(NotAJournal):
        diagnose(path)
    assert files(path.parent) == before


def test_clock_finding_uses_the_real_clock(path):
    with Journal(path, token="T") as journal:
        journal.append([row(recorded_at=time.time() + 3600)])
    assert "clock" in wrong(path)


# --- values beyond the limits of the service


def long(number, operator="$set", lane="people"):
    message = f'{{"$distinct_id":"ada","{operator}":{{"bio":"{"a" * (300 + number)}"}}}}'
    return NewEntry(lane, None, "ada", operator, message, 1.0)


def test_largest_size_is_told(filled):
    assert not found(filled, "largest size")
    Journal(filled, max_bytes=2_500_000).close()
    assert [finding.text for finding in found(filled, "largest size")] == ["2.5 MB (max_bytes)"]


def test_limits_of_the_service_are_told(path):
    with Journal(path, token="T") as journal:
        journal.append(
            [row(), long(1), long(2, "$append"), long(3, "$remove"), long(4, lane="events"), row()]
        )
    (finding,) = found(path, "limits")
    assert finding.severity is NOTICE
    assert finding.text == (
        "2 values of the newest 5 updates are beyond the limits of the service, "
        "such as entry 3, $append bio[0]: 302 bytes in a string; the limit is 255"
    )


def test_limits_are_sought_in_newest_entries(filled, monkeypatch):
    assert (
        found(filled, "limits")[0].text
        == "no value of the newest 500 updates is beyond the limits of the service"
    )
    with Journal(filled) as journal:
        journal.append([long(0), *(row() for _ in range(7))])
    for name, most in (("_MOST_ENTRIES", 7), ("_MOST_BYTES", 200)):
        with monkeypatch.context() as patched:
            patched.setattr(doctor, name, most)
            (finding,) = found(filled, "limits")
            assert finding.severity is OK
            assert "newest 500" not in finding.text
    assert found(filled, "limits")[0].severity is NOTICE
