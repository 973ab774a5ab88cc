"""Files by URL: what is found, fetched and streamed, and what is said where that cannot be."""

import functools
import gzip
import http.server
import shutil
import sys
import threading

import pytest

from fleet.files import FileUnavailable, blocks_of, files_at, is_url, lines_of, lines_of_block, local_copy
from fleet.read import continues, read_or_say_why
from fleet.rows import Unreadable
from recorder import Recorder
from recorder.maintenance.snapshot import snapshot

fsspec = pytest.importorskip("fsspec", reason="needs the extra restante[fleet]")
ENDINGS = (".db", ".jsonl", ".jsonl.gz")


@pytest.fixture
def store():
    """An object store in this process."""
    system = fsspec.filesystem("memory")
    system.pipe({"/site/a.db": b"a", "/site/deep/b.db": b"b", "/site/c.jsonl.gz": gzip.compress(b"1\n2\n")})
    system.pipe("/site/notes.txt", b"not a journal")
    yield system
    system.rm("/site", recursive=True)


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ("memory://site", ["a.db", "c.jsonl.gz", "deep/b.db"]),
        ("memory://site/", ["a.db", "c.jsonl.gz", "deep/b.db"]),
        ("memory://site/*.db", ["a.db"]),
        ("memory://site/**/*.db", ["a.db", "deep/b.db"]),
    ],
)
@pytest.mark.usefixtures("store")
def test_folder_and_pattern_are_listed(location, found):
    assert files_at(location, ENDINGS) == [f"memory:///site/{name}" for name in found]


def test_named_file_is_not_asked_for():
    assert files_at("memory://site/none.db", ENDINGS) == ["memory://site/none.db"]


@pytest.mark.usefixtures("store")
def test_copy_is_deleted_afterwards():
    with local_copy("memory://site/deep/b.db") as path:
        assert (path.name, path.read_bytes()) == ("b.db", b"b")
    assert not path.parent.exists()


def test_plain_path_is_not_copied(tmp_path):
    with local_copy(str(tmp_path / "kiosk.db")) as path:
        assert path == tmp_path / "kiosk.db"


@pytest.mark.usefixtures("store")
def test_lines_are_unpacked(tmp_path):
    plain = tmp_path / "c.jsonl"
    plain.write_bytes(b"1\n2\n")
    assert [*lines_of("memory://site/c.jsonl.gz")] == [*lines_of(str(plain))] == [b"1\n", b"2\n"]


def test_missing_file_is_named_once(tmp_path):
    with pytest.raises(FileUnavailable, match=r"export\.jsonl cannot be read: No such file or directory$"):
        list(lines_of(str(tmp_path / "export.jsonl")))


def test_cut_lines_are_an_error(tmp_path):
    file = tmp_path / "c.jsonl.gz"
    file.write_bytes(gzip.compress(b"1\n" * 1_000)[:-9])
    with pytest.raises(FileUnavailable, match=r"c\.jsonl\.gz cannot be read \(EOFError\)"):
        list(lines_of(str(file)))


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("memory://nothing/", "has no file that ends with .db or .jsonl or .jsonl.gz"),
        ("memory://nothing/*.db", "has no file"),
        ("memory://nothing/a.db", r"memory://nothing/a\.db cannot be read \(FileNotFoundError\)"),
        ("nope://site/a.db", "cannot be opened: Protocol not known: nope"),
    ],
)
def test_what_is_missing_is_named(location, words):
    with pytest.raises(FileUnavailable, match=words):
        for file in files_at(location, ENDINGS):
            local_copy(file).__enter__()


@pytest.mark.usefixtures("store")
def test_copy_larger_than_disk_is_refused(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
    with (
        pytest.raises(FileUnavailable, match=r"has 1 bytes, and .* has space for 0"),
        local_copy("memory://site/a.db"),
    ):
        pass


def test_url_without_fsspec_names_extra(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "fsspec"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FileUnavailable, match="which needs fsspec") as raised:
        files_at("s3://site/", ENDINGS)
    assert "restante[fleet]" in raised.value.hint


def test_files_come_over_http(tmp_path):
    (tmp_path / "a.db").write_bytes(b"a" * 1_000)
    lines = [b"%08000d\n" % number for number in range(1_600)]  # more than fsspec takes at once
    (tmp_path / "export.json").write_bytes(b"".join(lines))
    serve = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}/"
        try:
            assert files_at(base, ENDINGS) == [f"{base}a.db"]
            with local_copy(f"{base}a.db") as path:
                assert path.stat().st_size == 1_000
            (block,) = blocks_of(f"{base}export.json", 1_000)  # this server knows no ranges
            assert [*lines_of_block(block)] == lines
        finally:
            server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_drive_is_no_url():
    assert not is_url("C://kiosk.db")


def test_journals_are_read_by_url(tmp_path, store):
    path, copy = tmp_path / "till.db", tmp_path / "copy.db"
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"plan": "pro"})
    snapshot(path, copy)
    store.pipe("/site/a.db", copy.read_bytes())
    lines = b'{"state": "shipped", "message": {"$distinct_id": "bob", "$set": {"plan": "pro"}}}\n'
    store.pipe("/site/c.jsonl.gz", gzip.compress(lines))
    found = [read_or_say_why(file, 0.0) for file in files_at("memory://site/", ENDINGS)]
    assert [one.device.file for one in found[:2]] == ["memory:///site/a.db", "memory:///site/c.jsonl.gz"]
    assert [[row.profile for row in one.profiles] for one in found[:2]] == [["ada"], ["bob"]]
    assert found[2] == Unreadable("memory:///site/deep/b.db", found[2].reason)
    assert "memory:///site/deep/b.db" in found[2].reason


def test_blocks_are_read_by_url(store):
    store.pipe("/site/export.json", b"1\n22\n333\n")
    blocks = blocks_of("memory://site/export.json", 2)
    assert [[*lines_of_block(block)] for block in blocks] == [[b"1\n", b"22\n"], [], [b"333\n"], [], []]


def test_continuation_is_told_by_url(tmp_path, store):
    path = tmp_path / "till.db"
    for name in ("older", "newer"):
        with Recorder("T", path) as recorder:
            recorder.people_set("ada", {"plan": name})
        snapshot(path, tmp_path / f"{name}.db")
        store.pipe(f"/site/{name}.db", (tmp_path / f"{name}.db").read_bytes())
    older = read_or_say_why("memory://site/older.db", 0.0)
    assert continues("memory://site/newer.db", older.device.place)
