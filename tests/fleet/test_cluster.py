"""A fleet on a Dask cluster, whose report is that of one process, whatever becomes of its workers."""

import gzip
import json
import os
import pickle
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from fleet.export import BadExport, profiles_of, profiles_of_block
from fleet.files import Block, blocks_of
from fleet.one_process import inspect
from tests.fleet.site import COUNTED, Site
from tests.profiles import sampled
from tui.cli.command import restante

distributed = pytest.importorskip("distributed", reason="needs the extra restante[fleet]")
cluster = pytest.importorskip("fleet.cluster")


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
    """Files with all that a report may name, and the export of their profiles."""
    folder = tmp_path_factory.mktemp("site")
    made = Site(folder)
    for till in range(4):
        with made.device(f"till-{till}") as recorder:
            recorder.people_increment("all", {"sales": till})
            recorder.people_set("all", {"last": till})
            recorder.people_increment(f"visitor-{till}", {"visits": 1})
            made.ship(recorder)
    made.snapshot("till-0", "till-0-older")
    with made.device("till-0") as recorder:
        recorder.people_increment("visitor-0", {"visits": 1})
        made.ship(recorder)
    with made.device("doubt") as recorder:
        recorder.people_increment("visitor-5", {"visits": 1})
        made.ship(recorder, COUNTED, 1)
    restored_elsewhere(made.snapshot("till-3", "till-3-restored"))
    made.service.other_program("visitor-2", delete="")
    made.service.other_program("visitor-9", set={"a": 2})
    made.write_export()
    (made.folder / "broken.db").write_bytes(b"no journal")
    lines = b'{"state": "shipped", "message": {"$distinct_id": "visitor-9", "$set": {"a": 1}}}\n'
    (made.folder / "till-9.jsonl.gz").write_bytes(gzip.compress(lines))
    return sorted(str(file) for file in made.folder.iterdir() if FILES(file.name)), str(made.export)


FILES = re.compile(r".*\.(db|jsonl\.gz)$").fullmatch


def restored_elsewhere(path):
    """Make a snapshot one of a journal that has gone on by itself."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE entries SET recorded_at = recorded_at + 1")


def write_export(path, profiles):
    lines = [json.dumps({"$distinct_id": id_, "$properties": found}) for id_, found in profiles.items()]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.mark.parametrize("options", sampled([["--json"], [], ["--exported-at", "1d"]], 3))
def test_output_is_that_of_one_process(scheduler, site, tmp_path, monkeypatch, options):
    """Byte by byte, with paths that begin at this folder; so are the decisions."""
    monkeypatch.chdir(tmp_path)
    folder = os.path.relpath(Path(site[0][0]).parent)
    outputs = []
    for name, more in (("alone", []), ("together", ["--scheduler", scheduler])):
        arguments = ["fleet", folder, "--profiles", site[1], "--decide", name, *options, *more]
        done = CliRunner().invoke(restante, arguments)
        assert done.exit_code == 1
        assert done.stderr.startswith(f"Wrote 1 decision to {name}.\n")
        outputs.append((done.stdout_bytes, Path(name).read_bytes()))
    assert outputs[0] == outputs[1]
    assert f"{folder}/broken.db".encode() in outputs[0][0]


def test_report_is_that_of_one_process(scheduler, site):
    files, export = site
    alone = inspect(files, profiles_of(export))
    assert cluster.inspect_by(scheduler, files, export) == alone
    assert {one.finding for one in alone.findings} == {"lost", "differs"}
    assert alone.decisions
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
        with pytest.raises(BadExport, match=r"export\.jsonl, line 6, is not a profile"):
            list(profiles_of_block(Block(str(export), begin, 1_000)))
    with pytest.raises(BadExport, match="line 6"):
        list(profiles_of(str(export)))


def test_bad_export_is_told_by_workers(scheduler, site, tmp_path):
    export = tmp_path / "export.jsonl"
    export.write_text("no JSON\n", encoding="utf-8")
    with pytest.raises(BadExport, match="line 1,") as raised:
        cluster.inspect_by(scheduler, site[0], str(export))
    assert "$properties" in raised.value.hint


def test_profile_has_one_bucket_everywhere():
    """Python's own hash of a text is another one in each process."""
    dealt = cluster._dealt([(one, one) for one in ("ada", "bob", "cleo", "\ud800")], 3)
    assert [pickle.loads(bucket) for bucket in dealt] == [["ada"], ["cleo", "\ud800"], ["bob"]]  # noqa: S301


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


@pytest.mark.parametrize("address", ["", "nonsense", "nonsense://10.0.0.5:8786", "tcp://10.0.0.5"])
def test_wrong_address_is_refused(address):
    with pytest.raises(cluster.ClusterUnavailable, match=r"is not the address of a Dask scheduler"):
        cluster.inspect_by(address, ["a.db"])


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


@pytest.mark.long
def test_killed_worker_changes_nothing(monkeypatch):
    """Its tasks are done again by the other one, and by the one that is started in its place."""
    from benchmarks import fleet

    with (
        fleet.site(200 * fleet.OPERATIONS) as (tills, export, _),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        monkeypatch.chdir(tills)  # which is not where the workers are
        files = sorted(file.name for file in tills.iterdir())
        alone = inspect(files, profiles_of(str(export)))
        workers = [*client.run(os.getpid).values()]

        def killing(names):
            for number, name in enumerate(names):
                if number == len(files) // 2:
                    os.kill(workers[0], signal.SIGKILL)
                yield name

        report = cluster.inspect_by(local.scheduler_address, files, str(export), progress=killing)
        assert report == alone
        assert workers[0] not in client.run(os.getpid).values()
