"""A fleet on a Dask cluster, whose report is that of one process, whatever becomes of its workers."""

import gzip
import json
import shutil
import sqlite3

import pytest

from fleet.export import BadExport, profiles_of, profiles_of_block
from fleet.files import Block, blocks_of
from fleet.one_process import inspect
from recorder import Journal, JournalReader, Recorder, Shipper, ShippingPolicy
from recorder.maintenance.snapshot import snapshot
from tests.doubles import Scripted

distributed = pytest.importorskip("distributed", reason="needs the extra restante[fleet]")
cluster = pytest.importorskip("fleet.cluster")
POLICY = ShippingPolicy(in_doubt="hold", counted=True)


@pytest.fixture(scope="module")
def scheduler():
    """Two workers, as threads of this process."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        protocol="tcp",
        dashboard_address="127.0.0.1:0",
    ) as local:
        yield local.scheduler_address


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Files of tills with all that a report may name, and the export of their profiles."""
    folder = tmp_path_factory.mktemp("site")
    live = folder.parent / "live.db"
    counters = []
    for till in range(6):
        with Journal(live, token="T", durability="process") as journal:
            recorder = Recorder("T", journal)
            recorder.people_increment("all", {"sales": till})
            recorder.people_set("all", {"last": till})
            recorder.people_increment(f"visitor-{till}", {"visits": 1})
            Shipper(journal, Scripted(), POLICY).ship()
            snapshot(live, folder / f"till-{till}.db")
            recorder.people_set("all", {"closed": True})
        with JournalReader(live) as reader:
            counters.append(reader.counting()[0].counter)
        if till < 2:
            snapshot(live, folder / f"till-{till}-later.db")
        for file in live.parent.glob("live.db*"):
            file.unlink()
    restored_elsewhere(folder / "till-5.db", folder / "till-5-copy.db")
    (folder / "broken.db").write_bytes(b"no journal")
    lines = b'{"state": "shipped", "message": {"$distinct_id": "visitor-9", "$set": {"a": 1}}}\n'
    (folder / "till-9.jsonl.gz").write_bytes(gzip.compress(lines))
    export = folder.parent / "export.jsonl"
    profiles = {f"visitor-{till}": {"visits": 1, counter: 1} for till, counter in enumerate(counters)}
    profiles |= {"visitor-2": {}, "visitor-9": {"a": 2}, "all": dict.fromkeys(counters, 1) | {"sales": 15}}
    write_export(export, profiles)
    return sorted(str(file) for file in folder.iterdir()), str(export)


def restored_elsewhere(path, copy):
    """Make a copy of a snapshot whose journal has gone on by itself."""
    shutil.copy(path, copy)
    with sqlite3.connect(copy) as connection:
        connection.execute("UPDATE entries SET recorded_at = recorded_at + 1")
    connection.close()


def write_export(path, profiles):
    lines = [json.dumps({"$distinct_id": id_, "$properties": found}) for id_, found in profiles.items()]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_report_is_that_of_one_process(scheduler, site):
    files, export = site
    alone = inspect(files, profiles_of(export))
    assert cluster.inspect_by(scheduler, files, export) == alone
    assert {one.finding for one in alone.findings} == {"lost", "differs"}
    assert alone.order
    assert alone.unreadable
    assert alone.versions.superseded
    assert alone.versions.copies


def test_report_without_export_is_the_same(scheduler, site):
    files, _ = site
    assert cluster.inspect_by(scheduler, files) == inspect(files)


def test_export_is_read_in_blocks(scheduler, site, monkeypatch):
    files, export = site
    monkeypatch.setattr(cluster, "_BLOCK", 100)
    assert len(blocks_of(export, 100)) > 5
    assert cluster.inspect_by(scheduler, files, export) == inspect(files, profiles_of(export))


def test_blocks_have_each_line_once(tmp_path):
    export = tmp_path / "export.jsonl"
    write_export(export, {name: {} for name in ("a", "bb", "ccc", "ä" * 9)})
    for size in range(1, 60):
        blocks = blocks_of(str(export), size)
        assert [one for block in blocks for one in profiles_of_block(block)] == [*profiles_of(str(export))]


def test_packed_export_is_one_block(tmp_path):
    export = tmp_path / "export.jsonl.gz"
    export.write_bytes(gzip.compress(b'{"$distinct_id": "a", "$properties": {}}\n'))
    (block,) = blocks_of(str(export), 1)
    assert [*profiles_of_block(block)] == [("a", {})]


@pytest.mark.parametrize("line", [b"{}", b"[7]", b"no JSON", b'{"$distinct_id": "a", "$properties": 7}'])
def test_bad_line_is_named_in_any_block(tmp_path, line):
    export = tmp_path / "export.jsonl"
    good = b'{"$distinct_id": "a", "$properties": {}}\n'
    export.write_bytes(good * 5 + line + b"\n" + good)
    for begin in (0, 1, len(good), 3 * len(good) + 7):
        with pytest.raises(BadExport, match=r"export\.jsonl, line 6, is no profile"):
            list(profiles_of_block(Block(str(export), begin, 1_000)))
    with pytest.raises(BadExport, match="line 6"):
        list(profiles_of(str(export)))


def test_bad_export_is_told_by_workers(scheduler, site, tmp_path):
    export = tmp_path / "export.jsonl"
    export.write_text("no JSON\n", encoding="utf-8")
    with pytest.raises(BadExport, match="line 1,") as raised:
        cluster.inspect_by(scheduler, site[0], str(export))
    assert "$properties" in raised.value.hint


def test_progress_counts_files(scheduler, site):
    seen = []
    cluster.inspect_by(
        scheduler, site[0], progress=lambda files: (seen.append(file) or file for file in files)
    )
    assert sorted(seen) == site[0]


def test_missing_scheduler_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "_TIMEOUT", 0.2)
    with pytest.raises(
        cluster.ClusterUnavailable, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"
    ):
        cluster.inspect_by("tcp://127.0.0.1:9", ["a.db"])


def test_cluster_without_workers_is_refused():
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, host="127.0.0.1", protocol="tcp", dashboard_address="127.0.0.1:0"
        ) as local,
        pytest.raises(cluster.ClusterUnavailable, match="has no workers"),
    ):
        cluster.inspect_by(local.scheduler_address, ["a.db"])


@pytest.mark.parametrize(
    ("package", "words"), [("restante", r"has another \(.*\) restante"), ("nonesuch", "has no nonesuch")]
)
def test_worker_without_this_restante_is_refused(scheduler, monkeypatch, package, words):
    monkeypatch.setattr(cluster, "_PACKAGE", package)
    monkeypatch.setattr(cluster, "version", lambda _: "9")
    with pytest.raises(cluster.ClusterUnavailable, match=words) as raised:
        cluster.inspect_by(scheduler, ["a.db"])
    assert f"{package}[fleet]==9" in raised.value.hint
