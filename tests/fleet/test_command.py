"""`restante fleet`, and its decisions on the devices."""

import errno
import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from recorder import JournalReader
from simulator.service import Service
from tests.fleet.site import UNCOUNTED
from tests.tui.conftest import Restante


@pytest.fixture
def restante(tmp_path):
    return Restante(tmp_path)


def visit(number):
    return b'{"$distinct_id": "ada", "$add": {"visits": 1}}\n' * number


def export_of(service, file):
    lines = [
        json.dumps({"$distinct_id": id_, "$properties": dict(profile)})
        for id_, profile in service.profiles().items()
    ]
    file.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize("applied", [0, 2, 3])
def test_decisions_reach_the_device(restante, tmp_path, applied):
    """Fence, snapshot, export, decide: each entry is applied once, and no decision counts twice."""
    journal, snapshots, export = tmp_path / "till.db", tmp_path / "fleet", tmp_path / "export.jsonl"
    snapshots.mkdir()
    with Service() as service:
        service.set_faults([{"at": 1, "fault": "part", "updates": applied}])
        restante("record", "-j", journal, "--token", "T", stdin=visit(3))
        ship = ["ship", "-j", journal, "--url", service.url]
        assert restante(*ship, "--counted", "--settle-after", "0s").code == 1
        restante(*ship)
        fenced = restante("settle", "-j", journal, "--fence")
        assert (fenced.code, fenced.err) == (0, "Wrote fences to 1 profile.\n")
        restante("snapshot", "-j", journal, snapshots / "till.db")
        export_of(service, export)
        look = ["fleet", snapshots, "--profiles", export, "--decide"]
        looked = restante(*look, "decisions.jsonl", "--json")
        assert looked.code == 1  # something is in doubt
        (decision,) = looked.json["decisions"]
        assert (decision["profile"], decision["applied"]) == ("ada", applied)
        assert json.loads((tmp_path / "decisions.jsonl").read_text()) == decision
        assert looked.json["profiles"] == []
        foreign = json.dumps({**decision, "journal": "0"})
        with (tmp_path / "decisions.jsonl").open("a") as file:
            file.write(foreign + "\n")
        settle = ["settle", "-j", journal, "--decisions", "decisions.jsonl"]
        assert restante(*settle).code == 0
        again = restante(*settle)
        assert (
            again.code,
            "1 could not be settled (not in doubt any more from that request)" in again.err,
        ) == (
            1,
            True,
        )
        assert restante(*ship).code == 0
        assert service.profiles()["ada"]["visits"] == 3
        export_of(service, export)
        assert restante("fleet", journal, "--profiles", export).code == 0
    with JournalReader(journal) as reader:
        assert (reader.counts().shipped, reader.counts().possibly_twice) == (3, 0)


def test_without_fence_only_presence_is_believed(restante, site):
    """The export may be older than the request: what it lacks says nothing, and what it has says all."""
    site.visits("none", 2, answers=[0])
    site.visits("some", 2, answers=[1])
    site.visits("all", 2, answers=[2])
    site.write_export()
    looked = restante("fleet", site.folder, "--profiles", site.export, "--json")
    assert [(one["profile"], one["applied"]) for one in looked.json["decisions"]] == [("of all", 2)]
    assert len(looked.json["undecided"]) == 2
    assert {one["reason"].partition(":")[0] for one in looked.json["undecided"]} == {
        "the export may be older than the request"
    }


def test_presence_says_nothing_after_a_deletion(restante, site):
    """An export from before the deletion may show the count that the run in doubt would make."""
    site.visits("till", 2)
    site.write_export()
    with site.device("till") as recorder:
        recorder.people_delete("of till")
        site.ship(recorder)
    site.visits("till", 2, answers=[0])
    looked = restante("fleet", site.folder, "--profiles", site.export, "--json")
    assert looked.json["decisions"] == []


def test_hidden_counter_decides_nothing(restante, site):
    """The fence is there, and the counter is not: that this account may not see it is as likely as that it is 0."""
    site.visits("till", 2, answers=[2])
    site.fence("till")
    (counter,) = {row.counter for row in site.rows("till").profiles}
    site.write_export(hidden=[counter])
    looked = restante("fleet", site.folder, "--profiles", site.export, "--json")
    assert looked.json["decisions"] == []
    assert looked.json["undecided"][0]["reason"] == f"the export shows {counter} nowhere"


def test_merged_profile_decides_nothing(restante, site):
    """Two ids of one person: the export shows one profile, which counts the other's additions, too."""
    site.visits("till", 1, "ada@home")
    site.visits("till", 1, "ada", answers=[0])
    site.fence("till")
    (counter,) = {row.counter for row in site.rows("till").profiles}
    site.service.other_program("ada", add={counter: 1, "visits": 1})
    site.service.other_program("ada@home", delete="")
    site.write_export()
    looked = restante("fleet", site.folder, "--profiles", site.export, "--json")
    assert looked.json["decisions"] == []
    assert "merged" in looked.json["undecided"][0]["reason"]


def test_copies_decide_nothing(restante, site):
    site.visits("till", 2, answers=[1])
    site.fence("till")
    shutil.copy(site.path("till"), site.path("copy"))
    for name in ("till", "copy"):
        site.visits(name, 1, "bob")
    site.write_export()
    assert restante("fleet", site.folder, "--profiles", site.export, "--json").json["decisions"] == []


def test_lines_begin_with_profile_and_say_what(restante, site):
    site.visits("loses", 3, "ada\n\x1b[31m", answers=[site.service.loses(1)])
    site.visits("doubles", 1, "bob", answers=[site.service.doubles])
    site.visits("till", 1, "cleo", policy=UNCOUNTED, answers=[site.service.doubles])
    site.write_export()
    looked = restante("fleet", "fleet", "--profiles", "export.jsonl")
    assert looked.code == 1
    assert "\x1b" not in looked.out
    lines = looked.out.splitlines()
    assert lines[0] == "3 devices need no attention."
    assert [line.partition(" (")[0] for line in lines[1:4]] == [
        r"ada\n\x1b[31m: lost 2 by fleet/loses.db",
        "bob: doubled 1 by fleet/doubles.db",
        "cleo: differs in visits by fleet/till.db",
    ]
    assert lines[4:] == ["3 journals, 3 profiles, 3 in the export: 3 findings."]


def test_json_has_the_designed_keys(restante, site):
    site.visits("loses", 3, "ada", answers=[site.service.loses(1)])
    site.write_export()
    looked = restante("fleet", "fleet/loses.db", "--profiles", site.export, "--json").json
    assert {"devices", "profiles", "decisions", "order_decides"} <= looked.keys()
    (found,) = looked["profiles"]
    assert {name: found[name] for name in ("profile", "journal", "finding", "by", "property")} == {
        "profile": "ada",
        "journal": "fleet/loses.db",
        "finding": "lost",
        "by": 2,
        "property": None,
    }


def test_export_lines_of_journals_are_read(restante, site):
    """They know neither identity nor counters: what differs, the fold alone says."""
    site.visits("till", 2, "ada", policy=UNCOUNTED, answers=[site.service.doubles])
    lines = restante("export", "--all", "-j", site.path("till")).out
    site.path("till").unlink()
    (site.folder / "till.jsonl").write_text(lines, encoding="utf-8")
    site.write_export()
    looked = restante("fleet", "fleet", "--profiles", site.export, "--json")
    (found,) = looked.json["profiles"]
    assert (found["journal"], found["finding"], found["told_by"]) == ("fleet/till.jsonl", "differs", "fold")
    assert (found["expected"], found["shown"]) == (2, 4)


def test_tables_are_made(restante, site):
    site.visits("loses", 3, "ada", answers=[site.service.loses(1)])
    site.write_export()
    assert restante("fleet", "fleet", "--profiles", site.export, "--to", "report.db").code == 1
    with closing(sqlite3.connect(site.folder.parent / "report.db")) as database:
        assert database.execute("SELECT profile, finding, by FROM profiles").fetchall() == [
            ("ada", "lost", 2)
        ]
        assert database.execute("SELECT count(*) FROM devices").fetchall() == [(1,)]
    assert restante("fleet", "fleet", "--to", "report.db").code == 2


def test_several_projects_are_never_mixed(restante, site):
    site.visits("one", 2, "ada")
    site.visits("two", 1, "ada", token="T2", answers=[site.service.loses(0)])
    site.write_export()
    refused = restante("fleet", "fleet", "--profiles", site.export)
    assert (refused.code, "belong to 2 projects" in refused.err, "--token" in refused.err) == (2, True, True)
    assert restante("fleet", "fleet", "--profiles", site.export, "--token", "T").code == 0
    assert restante("fleet", "fleet").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fleet", "--decide", "out.jsonl"], "--decide needs --profiles"),
        (["empty"], "There is no file whose name ends with .db"),
        (["fleet", "--profiles", "nowhere.jsonl"], "nowhere.jsonl"),
        (["fleet", "--profiles", "bad.jsonl"], "bad.jsonl, line 2, is not a profile"),
        (["fleet", "--profiles", "nowhere.jsonl", "--exported-at", "3026-01-31"], "in the future"),
        (["fleet", "--profiles", "nan.jsonl"], "nan.jsonl, line 1, is not a profile"),
        (["fleet", "--profiles", "twice.jsonl"], "the export shows 'of till' twice"),
        (["fleet", "--profiles", "twice.jsonl", "--token", "t"], "no journal belongs to the project t"),
        (["fleet", "--profiles", "bad.jsonl", "--decide", "a.db", "--to", "a.db"], "name the same file"),
    ],
)
def test_wrong_input_is_refused(restante, site, arguments, words):
    site.visits("till")
    (site.folder.parent / "empty").mkdir()
    good = '{"$distinct_id": "ada", "$properties": {}}\n'
    (site.folder.parent / "bad.jsonl").write_text(good + "{}\n", encoding="utf-8")
    (site.folder.parent / "nan.jsonl").write_text(good.replace("{}", '{"visits": NaN}'), encoding="utf-8")
    (site.folder.parent / "twice.jsonl").write_text(good.replace("ada", "of till") * 2, encoding="utf-8")
    refused = restante("fleet", *arguments)
    assert (refused.code, words in refused.err, refused.out) == (2, True, "")


def test_what_cannot_be_read_is_named(restante, site):
    site.visits("till")
    (site.folder / "broken.db").write_bytes(b"nonsense")
    site.write_export()
    (site.folder / "export.jsonl").write_bytes(site.export.read_bytes())
    looked = restante("fleet", "fleet", "fleet/missing.db")
    assert looked.code == 1
    assert [line.partition(": cannot be read")[0] for line in looked.out.splitlines()[:3]] == [
        *("fleet/broken.db", "fleet/export.jsonl", "fleet/missing.db")
    ]
    assert "1 device needs no attention." in looked.out
    assert "attention" not in restante("fleet", "fleet/missing.db").out
    missing = restante("fleet", "http://127.0.0.1:9/a.db").out
    assert missing.count("cannot be read") == 1


@pytest.mark.parametrize("number", ["NaN", "1e999", "1" + "0" * 400])
def test_lines_with_impossible_numbers_are_named(restante, tmp_path, number):
    line = '{"state": "shipped", "message": {"$distinct_id": "ada", "$set": {"plan": %s}}}\n'
    (tmp_path / "till.jsonl").write_text(line % number, encoding="utf-8")
    assert "till.jsonl, line 1: neither a journal nor" in restante("fleet", "till.jsonl").out


def test_pipe_is_not_waited_for(restante, site):
    site.visits("till")
    os.mkfifo(site.folder / "pipe.jsonl")
    looked = restante("fleet", "fleet")
    assert (
        looked.code,
        "fleet/pipe.jsonl: cannot be read: fleet/pipe.jsonl is not a file" in looked.out,
    ) == (1, True)


def test_folder_that_cannot_be_listed_is_named(restante, site, monkeypatch):
    site.visits("till")
    (site.folder / "closed").mkdir()
    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, _closed(getattr(os, name)))
    looked = restante("fleet", "fleet")
    assert (looked.code, "1 device needs no attention." in looked.out) == (1, True)
    assert looked.out.startswith("fleet/closed: cannot be read: [Errno 13] Permission denied")


def _closed(read):
    def refuse(path="."):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return read(path)

    return refuse
