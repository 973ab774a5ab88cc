"""`restante snapshot`: a copy that every command that looks takes, and no other."""

import shutil

import pytest

UPDATES = [{"$distinct_id": f"u{number}", "$set": {"n": number}} for number in range(3)]


@pytest.fixture
def copy(restante, journal, append, tmp_path):
    append(*UPDATES)
    copy = tmp_path / "copy.db"
    ran = restante("snapshot", "-j", journal, copy)
    assert (ran.code, ran.out) == (0, "")
    assert "for inspection only" in ran.err
    return copy


def test_commands_that_look_take_a_snapshot(restante, copy):
    assert restante("status", "--json", "-j", copy).json["accounts"]["pending"] == 3
    assert restante("audit", "-j", copy).code == 0
    assert restante("profiles", "--json", "-j", copy).json["u1"] == {"n": 1}


@pytest.mark.parametrize(
    "arguments",
    [["ship", "--url", "http://127.0.0.1:9"], ["discard", "--all", "--yes"], ["token", "NEW", "--yes"]],
    ids=lambda arguments: arguments[0],
)
def test_writing_commands_refuse_a_snapshot(restante, copy, arguments):
    ran = restante(*arguments, "-j", copy)
    assert (ran.code, ran.out) == (2, "")
    assert "is a snapshot of a journal" in ran.err
    assert "restante salvage" in ran.err


def test_json_says_where_it_is(restante, journal, append, tmp_path):
    append(*UPDATES)
    ran = restante("snapshot", "--json", "-j", journal, tmp_path / "copy.db")
    assert ran.json == {"file": str(tmp_path / "copy.db"), "bytes": (tmp_path / "copy.db").stat().st_size}


def test_existing_file_is_kept(restante, journal, append, tmp_path):
    append(*UPDATES)
    (tmp_path / "copy.db").write_text("mine", encoding="utf-8")
    ran = restante("snapshot", "-j", journal, tmp_path / "copy.db")
    assert (ran.code, ran.out) == (2, "")
    assert (tmp_path / "copy.db").read_text(encoding="utf-8") == "mine"


def test_missing_journal_makes_no_snapshot(restante, journal, tmp_path):
    assert restante("snapshot", "-j", journal, "copy.db").code == 2
    assert list(tmp_path.iterdir()) == []


def test_copied_journal_warns_once(restante, journal, append, service, tmp_path):
    append(*UPDATES)
    assert restante("ship", "-j", journal, "--url", service.url).err.count("copy") == 0
    clone = tmp_path / "clone.db"
    shutil.copy(journal, clone)
    line = '{"$distinct_id": "eve", "$set": {"n": 1}}'
    assert restante("record", "-j", clone, stdin=line).code == 0
    ran = restante("ship", "-j", clone, "--url", service.url)
    assert ran.code == 0
    assert "may be a copy of another journal" in ran.err
    assert "copy" not in restante("ship", "-j", clone, "--url", service.url).err
    assert "eve" in service.profiles("T")
