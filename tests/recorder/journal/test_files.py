"""The journal's files: shared without their folder, removed, another account's, linked, and their names."""

import contextlib
import gc
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from recorder import (
    Journal,
    JournalError,
    JournalFull,
    JournalReader,
    Recorder,
    Shipper,
    audit,
    diagnose,
    salvage,
    snapshot,
)
from recorder.journal.environment import is_mount
from recorder.journal.files import obstacle, private_file
from recorder.journal.locks import OpenLock, beside
from recorder.journal.reserve import ReserveFile
from recorder.model.entries import NewEntry
from recorder.model.errors import JournalMissing
from tests.doubles import Scripted

OTHER = 12345

as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root becomes another account"
)


def row(number=0):
    return NewEntry("people", None, "ada", "$set", f'{{"$distinct_id":"ada","$set":{{"n":{number}}}}}', 1.0)


@pytest.fixture
def filled(path):
    with Journal(path, token="T") as journal:
        journal.append([row()])
    return path


@pytest.fixture
def others():
    """The path of a journal in a folder of another account, for that account to make."""
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, OTHER, OTHER)
    yield folder / "kiosk.db"
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


@contextlib.contextmanager
def account(uid=OTHER):
    """Be another account for a while."""
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def owners(folder):
    return {file.stat().st_uid for file in folder.iterdir()}


# --- shared without its folder


@pytest.mark.parametrize("opened", [Journal, JournalReader])
def test_second_hard_link_is_refused(filled, opened):
    other = filled.with_name("other.db")
    other.hardlink_to(filled)
    for name in (filled, other):
        with pytest.raises(JournalError, match="2 names") as refused:
            opened(name)
        assert "-samefile" in refused.value.hint
    (finding,) = [found for found in diagnose(filled) if found.name == "file"]
    assert "2 names" in finding.text
    other.unlink()
    opened(filled).close()
    assert not [found for found in diagnose(filled) if found.name == "file"]


def test_file_mounted_alone_is_refused(filled, tmp_path):
    mounted = tmp_path / "container" / "kiosk.db"
    mounted.parent.mkdir()
    mounted.touch()
    done = subprocess.run(["/bin/mount", "--bind", filled, mounted], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"this account may not mount: {done.stderr.decode().strip()}")
    try:
        for opened in (Journal, JournalReader):
            with pytest.raises(JournalError, match="mounted by itself") as refused:
                opened(mounted)
            assert "folder" in refused.value.hint
        assert [found.text for found in diagnose(mounted) if found.name == "file"]
        Journal(filled).close()
    finally:
        subprocess.run(["/bin/umount", "--lazy", mounted], check=True)


def test_mount_with_odd_name_is_recognised(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text("35 1 8:1 /a\\040b.db /data/a\\040b\\134.db rw - ext4 /dev/sda rw\n", encoding="utf-8")
    assert is_mount(Path("/data/a b\\.db"), mounts)
    assert not is_mount(Path("/data/a b"), mounts)
    assert not is_mount(Path("/a b.db"), mounts)  # the root of the mount, in its own file system


# --- removed while it is open


def remove(path):
    path.unlink()


def remove_all(path):
    for file in path.parent.glob("kiosk.db*"):
        file.unlink()


def move_folder(path):
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.mkdir()


def replace(path):
    Journal(path.with_name("new.db"), token="T").close()
    path.with_name("new.db").replace(path)


@pytest.mark.parametrize("change", [remove, remove_all, move_folder, replace])
def test_removed_journal_refuses_at_once(tmp_path, change):
    path = tmp_path / "folder" / "kiosk.db"
    path.parent.mkdir()
    with Journal(path, token="T") as journal:
        journal.append([row()])
        change(path)
        for _ in range(2):
            with pytest.raises(JournalError, match="removed, moved or replaced") as refused:
                journal.append([row()])
            assert "-wal" in refused.value.hint
        with pytest.raises(JournalError, match="removed, moved or replaced"):
            Shipper(journal, Scripted()).ship()


def test_journal_put_back_goes_on(path):
    with Journal(path, token="T") as journal:
        journal.append([row()])
        path.rename(path.with_name("away"))
        with pytest.raises(JournalError, match="removed"):
            journal.append([row()])
        path.with_name("away").rename(path)
        journal.append([row()])
    with JournalReader(path) as reader:
        assert reader.counts().recorded == 2


@pytest.mark.parametrize("again", [False, True])
def test_removed_log_is_noticed(path, again):
    """A log that was removed, or that another process made anew, is noticed within some dozens of calls."""
    with Journal(path, token="T") as journal:
        for n in range(40):
            journal.append([row(n)])
        log = beside(path, "-wal")
        log.unlink()
        if again:
            log.touch()
        with pytest.raises(JournalError, match="removed, moved or replaced"):
            for n in range(40):
                journal.append([row(n)])


# --- names


@pytest.mark.parametrize("opened", [Journal, JournalReader, salvage, diagnose])
def test_path_must_be_utf8(tmp_path, opened):
    with pytest.raises(JournalError, match="not UTF-8"):
        opened(os.fsdecode(os.fsencode(tmp_path) + b"/K\xfcche.db"))
    assert list(tmp_path.iterdir()) == []


def test_longest_name_works_whole(tmp_path):
    def name(size):
        return tmp_path / ("ü" * 60 + "x" * (size - 120))

    for size in (224, 246, 255, 300):
        with pytest.raises(JournalError, match="its name has"):
            Journal(name(size), token="T")
    assert list(tmp_path.iterdir()) == []
    path = name(223)
    with Journal(path, token="T") as journal:
        journal.append([row()])
        assert Shipper(journal, Scripted()).ship().shipped == 1
    path.write_bytes(path.read_bytes()[:8192])  # damaged
    salvage(path)


def test_longest_path_works_whole(tmp_path):
    folder = tmp_path
    while len(str(folder)) < 420:
        folder /= "x" * 40
    folder.mkdir(parents=True)
    left = 479 - len(str(folder)) - 1
    with pytest.raises(JournalError, match="its path has"):
        Journal(folder / ("k" * (left + 1)), token="T")
    with Journal(folder / ("k" * left), token="T") as journal:
        journal.append([row()])
        assert Shipper(journal, Scripted()).ship().shipped == 1


def test_folder_is_no_journal():
    with pytest.raises(JournalError, match="folder"):
        Journal("/")


# --- descriptors


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list descriptors")
def test_dropped_recorder_returns_its_files(path):
    def opened():
        links = list(Path("/proc/self/fd").iterdir())
        return [link for link in links if link.is_symlink() and "kiosk.db" in str(link.readlink())]

    for number in range(3):
        recorder = Recorder("T", path, url="http://127.0.0.1:9")
        recorder.people_set("ada", {"n": number})
        assert recorder.flush().stopped_by == "offline"
        reader = JournalReader(path)
        assert reader.counts().recorded == number + 1
        del recorder, reader
    gc.collect()
    assert opened() == []
    assert salvage(path) is None


def test_too_many_files_are_told(filled):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(JournalError, match="Too many open files") as refused:
            OpenLock(filled).share(0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert "ulimit -n" in refused.value.hint


# --- other accounts


@as_root
def test_root_ships_for_another_account(others):
    """Files that root makes next to another account's journal belong to that account."""
    with account(), Journal(others, token="T") as journal:
        journal.append([row()])
    beside(others, ".open").unlink()
    with Journal(others) as journal:
        assert Shipper(journal, Scripted()).ship().shipped == 1
    private = private_file(beside(others, ".ballast"), owner_of=others)
    os.close(private)
    beside(others, ".ballast").unlink()
    assert owners(others.parent) == {OTHER}
    with account(), Recorder("T", others) as recorder:
        recorder.people_set("ada", {"n": 2})
        assert Shipper(recorder.journal, Scripted()).ship().shipped == 1


@as_root
@pytest.mark.parametrize("part", ["", ".open", "-wal", "-shm"])
def test_roots_file_is_named_when_opening(others, part):
    with account():
        Journal(others, token="T").close()
    beside(others, part).touch(mode=0o600)
    os.chown(beside(others, part), 0, 0)
    with account():
        with pytest.raises(JournalError, match=f"kiosk.db{part} belongs to root") as refused:
            Journal(others).append([row()])  # SQLite opens an index that it may only read
        assert (f"chown {OTHER}" if part else "root") in refused.value.hint


@as_root
def test_roots_lock_fails_only_shipping(others, caplog):
    """An app that cannot lock for shipping records, is told by whom the lock was made, and ends well."""
    with account():
        Journal(others, token="T").close()
    beside(others, ".lock").touch(mode=0o600)
    with account():
        with Recorder("T", others, background=True, url="http://127.0.0.1:9") as recorder:
            recorder.people_set("ada", {"n": 1})
            with pytest.raises(JournalError, match=r"kiosk\.db\.lock belongs to root") as refused:
                recorder.flush()
            assert "chown" in refused.value.hint
        with JournalReader(others) as reader:
            assert reader.counts().pending == 1
    assert "belongs to root" in caplog.text


@as_root
def test_closed_folder_is_named(others):
    others.parent.chmod(0o755)
    os.chown(others.parent, 0, 0)
    with account():
        with pytest.raises(JournalError, match="belongs to root") as refused:
            Journal(others, token="T")
        assert "cannot write into" in str(refused.value)
        assert "root" in refused.value.hint
    others.parent.chmod(0o700)
    with account():
        assert "may not enter" in obstacle(others)[0]


def test_nothing_hinders_the_owner(filled):
    assert obstacle(filled) is None


# --- looking without writing


LOOKS = {
    "status": lambda path: JournalReader(path).counts().recorded,
    "entries": lambda path: len(list(JournalReader(path).entries())),
    "audit": lambda path: audit(path).entries,
    "snapshot": lambda path: JournalReader(snapshot(path, copy_of(path))).counts().recorded,
    "doctor": lambda path: [one.text for one in diagnose(path)].count("1 entry: every account agrees"),
}


def copy_of(path):
    return Path(tempfile.mkdtemp()) / path.name


def state(folder):
    return {file.name: (file.stat().st_uid, file.stat().st_mtime_ns) for file in folder.iterdir()}


@as_root
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_other_account_looks_without_writing(others, look):
    """An account that may read a journal makes no log in its folder, not even where it could."""
    with account(), Journal(others, token="T") as journal:
        journal.append([row()])
    others.chmod(0o644)
    for mode in (0o755, 0o777):
        others.parent.chmod(mode)
        before = state(others.parent)
        with account(OTHER + 1):
            assert look(others) == 1
        assert state(others.parent) == before


@as_root
def test_other_account_leaves_a_log_alone(others):
    """An index of its making would keep the owner from recording."""
    with account(), Journal(others, token="T") as journal:
        journal.append([row()])
        for part in ("", "-wal"):
            shutil.copy(beside(others, part), beside(others.with_name("left.db"), part))
    left = others.with_name("left.db")
    for part in ("", "-wal"):
        beside(left, part).chmod(0o644)
    others.parent.chmod(0o777)
    before = state(others.parent)
    with account(OTHER + 1), pytest.raises(JournalError, match="was not closed properly") as refused:
        JournalReader(left)
    assert "copy left.db and its -wal" in refused.value.hint
    assert state(others.parent) == before
    with account(), JournalReader(left) as reader:
        assert reader.counts().recorded == 1


@as_root
def test_other_account_sees_later_entries(others):
    """A reader that began without a log sees what is recorded afterwards."""
    with account(), Journal(others, token="T") as journal:
        journal.append([row()])
    others.chmod(0o644)
    others.parent.chmod(0o755)
    with account(OTHER + 1):
        reader = JournalReader(others)
        assert reader.counts().recorded == 1
    with account(), Journal(others) as journal:
        journal.append([row()])
    with account(OTHER + 1):
        assert reader.counts().recorded == 2
        reader.close()


def test_reader_follows_a_replaced_file(path):
    with Journal(path, token="T") as journal:
        journal.append([row()])
    with JournalReader(path) as reader:
        assert reader.counts().recorded == 1
        path.unlink()
        with pytest.raises(JournalMissing):
            reader.counts()
        Journal(path, token="T").close()
        assert reader.counts().recorded == 0


@pytest.fixture
def read_only(tmp_path):
    """A folder, and the same mounted read-only elsewhere."""
    card, mounted = tmp_path / "card", tmp_path / "mounted"
    card.mkdir()
    mounted.mkdir()
    for arguments in (["--bind", card, mounted], ["-o", "remount,ro,bind", mounted]):
        done = subprocess.run(["/bin/mount", *arguments], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"this account may not mount: {done.stderr.decode().strip()}")
    yield card, mounted
    subprocess.run(["/bin/umount", "--lazy", mounted], check=True)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("opened", [False, True])
def test_read_only_medium_can_be_read(read_only, look, opened):
    """A journal on a medium that is mounted read-only is read; also while its app records elsewhere."""
    card, mounted = read_only
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(Journal(card / "kiosk.db", token="T"))
        journal.append([row()])
        if not opened:
            stack.close()
        assert look(mounted / "kiosk.db") == 1


def test_log_on_read_only_medium_advises_copying(read_only):
    card, mounted = read_only
    with Journal(card / "kiosk.db", token="T") as journal:
        journal.append([row()])
        for part in ("", "-wal"):
            shutil.copy(beside(card / "kiosk.db", part), beside(card / "left.db", part))
    for look in (Journal, JournalReader, salvage):
        with pytest.raises(JournalError, match="read-only") as refused:
            look(mounted / "left.db")
        assert "copy left.db and its -wal" in refused.value.hint
    (finding,) = [one for one in diagnose(mounted / "left.db") if one.name == "journal"]
    assert "copy left.db and its -wal" in finding.advice


@as_root
def test_doctor_says_whose_file_it_is(others):
    with account():
        Journal(others, token="T").close()
    others.parent.chmod(0o755)
    with account(OTHER + 1):
        with pytest.raises(JournalError) as refused:
            JournalReader(others)
        (finding,) = [one for one in diagnose(others) if one.name == "journal"]
    for text in (finding.text, str(refused.value)):
        assert f"kiosk.db belongs to account {OTHER}, and this is account {OTHER + 1}" in text
    for mode, name in ((0o711, "journal"), (0o700, "permissions")):
        others.parent.chmod(mode)
        with account(OTHER + 1):
            (finding,) = [one for one in diagnose(others) if one.name == name and one.advice][:1]
        assert f"account {OTHER}" in finding.text


# --- links and modes


@pytest.mark.parametrize("suffix", [".open", ".lock"])
def test_lock_through_a_link_is_refused(filled, tmp_path, suffix):
    target = tmp_path / "precious"
    file = beside(filled, suffix)
    file.unlink(missing_ok=True)
    file.symlink_to(target)
    with pytest.raises(JournalError, match="is a link") as refused, Journal(filled) as journal:
        Shipper(journal, Scripted()).ship()
    assert "Delete" in refused.value.hint
    assert not target.exists()


def test_reserve_file_follows_no_link(filled, tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious", encoding="utf-8")
    beside(filled, ".ballast").unlink(missing_ok=True)
    beside(filled, ".ballast").symlink_to(target)
    reserve = ReserveFile(filled)
    assert not reserve.release()
    reserve.restore()
    assert target.read_text(encoding="utf-8") == "precious"


def test_umask_does_not_lock_out(path):
    old = os.umask(0o777)
    try:
        with Journal(path, token="T") as journal:
            journal.append([row()])
            Shipper(journal, Scripted()).ship()
            modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert modes == {0o600}


# --- a limit on the size of files


def test_size_limit_is_a_full_journal(filled):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(filled) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        try:
            with pytest.raises(JournalFull, match="200,000 bytes") as refused:
                for n in range(2_000):
                    journal.append([row(n)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "RLIMIT_FSIZE" in refused.value.hint
        journal.append([row()])
