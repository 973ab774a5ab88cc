"""`restante fleet --to parquet:FOLDER`: the tables of `--to FILE.db`, as Parquet."""

import os
import sqlite3
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner

from fleet import tables
from tests.fleet.site import Site
from tui.cli.command import restante


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    for till in range(2):
        with made.device(f"till-{till}") as recorder:
            recorder.people_set("all", {"last": till})
            made.ship(recorder)
    made.service.other_program("all", set={"last": [7]})
    made.write_export()
    (made.folder / os.fsdecode(b"\xff.db")).write_bytes(b"no journal, whose name is no text")
    return made


def run(site, target):
    return CliRunner().invoke(
        restante, ["fleet", str(site.folder), "--profiles", str(site.export), "--to", target]
    )


def test_tables_are_those_of_the_database(site, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra restante[fleet]")
    assert run(site, f"{tmp_path}/tables.db").exit_code == 1
    assert run(site, f"parquet:{tmp_path}/tables").exit_code == 1
    with closing(sqlite3.connect(tmp_path / "tables.db")) as database:
        database.row_factory = sqlite3.Row
        for name in tables.COLUMNS:
            ours = parquet.read_table(tmp_path / "tables" / f"{name}.parquet").to_pylist()
            theirs = [dict(row) for row in database.execute(f"SELECT * FROM {name}")]
            assert ours == theirs, name
            assert [*parquet.read_schema(tmp_path / "tables" / f"{name}.parquet").names] == [
                *tables.COLUMNS[name]
            ]
    assert len(parquet.read_table(tmp_path / "tables" / "devices.parquet")) == 2
    assert (tmp_path / "tables").stat().st_mode & 0o077 == 0


def test_folder_that_exists_is_refused(site, tmp_path):
    done = run(site, f"parquet:{tmp_path}")
    assert done.exit_code == 2
    assert "exists already" in done.stderr


@pytest.mark.parametrize(
    ("package", "arguments", "words"),
    [
        ("pyarrow", ["--to", "parquet:tables"], "--to parquet: needs pyarrow"),
        ("distributed", ["--scheduler", "tcp://127.0.0.1:9"], "--scheduler needs dask and distributed"),
    ],
)
def test_missing_package_names_extra(site, monkeypatch, package, arguments, words):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    for name in ("fleet.cluster", "tui.cli.fleet_parquet"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    done = CliRunner().invoke(restante, ["fleet", str(site.folder), *arguments])
    assert done.exit_code == 1
    assert done.stderr == f"Error: {words}: pip install 'restante[fleet]'\n"
