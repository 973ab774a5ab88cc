"""Every command, on a file that is no journal, a newer one, or a damaged one: told in words, and never wiped.

The commands run inside this process, so that an exception none of them expects fails the test.
"""

import contextlib
import io
import os
import re
import shutil
import sqlite3
import sys

import click
import pytest

from recorder import Journal, Recorder, Shipper
from recorder.journal.locks import beside
from recorder.journal.opening import PAGE_SIZE
from tests.doubles import AT_ONCE, REFUSED, Scripted
from tests.profiles import sampled
from tests.recorder.damage import put
from tui.cli import main, restante

NOBODY = "http://127.0.0.1:1"
LOOKING = {
    "status": (),
    "entries": (),
    "profiles": (),
    "export": (),
    "audit": (),
    "doctor": ("--deep",),
    "compare": ("--url", NOBODY),
    "snapshot": ("copy.db",),
    "tui": (),
}
WRITING = {
    "record": ("--token", "T"),
    "ship": ("--url", NOBODY),
    "retry": ("--all", "--yes"),
    "discard": ("--all", "--yes"),
    "edit": ("350", "--message", '{"$distinct_id": "visitor-3", "$append": {"n": 1}}'),
    "settle": ("--decisions", os.devnull),
    "token": ("NEW", "--yes"),
    "prune": ("--all-shipped",),
    "forget": ("visitor-3", "--yes"),
}
COMMANDS = {**LOOKING, **WRITING, "salvage": ()}


def test_every_journal_command_is_covered():
    context = click.Context(restante)
    opens = {
        name
        for name in restante.list_commands(context)
        if any("--journal" in parameter.opts for parameter in restante.get_command(context, name).params)
    }
    assert opens - {"relay"} == set(COMMANDS)  # that one serves until it is ended: test_relay.py


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Some of it pruned, shipped, rejected and pending; larger than a few pages."""
    path = tmp_path_factory.mktemp("original") / "kiosk.db"
    with Journal(path, token="T", durability="process") as journal, Recorder("T", journal) as recorder:
        recorder.people_append("eve", {"n": "bad"})
        Shipper(journal, Scripted(REFUSED), AT_ONCE).ship()
        for _ in range(2):
            with recorder.batch() as batch:
                for n in range(150):
                    batch.people_append(f"visitor-{n % 9}", {"n": n, "text": "x" * 90})
            Shipper(journal, Scripted(), AT_ONCE).ship(limit=200)
        journal.prune(all_shipped=True)
        with recorder.batch() as batch:
            for n in range(60):
                batch.people_append(f"visitor-{n % 9}", {"n": n, "text": "y" * 90})
    return path


@pytest.fixture
def path(original, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("RESTANTE_JOURNAL", "RESTANTE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return shutil.copy(original, tmp_path / "kiosk.db")


def run(name, path, monkeypatch):
    """The command's exit code, and all it wrote."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    monkeypatch.setattr(sys, "argv", ["restante", name, "-j", str(path), *COMMANDS[name]])
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"$distinct_id": "ada", "$set": {"a": 1}}\n'))
    )
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main()
    written = [stream.buffer.getvalue().decode() for stream in (out, err)]
    assert "Traceback" not in written[1]
    return ended.value.code, "".join(written)


def overwrite(path, page, content=b"\xa5" * PAGE_SIZE):
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_SIZE)
        file.write(content)


def query(path, sql):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql).fetchone()


def foreign_text(path):
    path.write_text("milk, bread, tickets\n" * 300, encoding="utf-8")


def foreign_database(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, lane TEXT)")


def newer(path):
    query(path, "PRAGMA user_version = 99")


def first_page(path):
    overwrite(path, 1)
    beside(path, ".open").touch()


def no_file(path):
    """Its log is there, and no more."""
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"a": 1})
        log = beside(path, "-wal").read_bytes()
    path.write_bytes(b"")
    beside(path, "-wal").write_bytes(log)


NOT_OURS = {
    foreign_text: "not a journal",
    foreign_database: "another program|is a journal's",
    newer: "newer restante",
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("make", NOT_OURS)
def test_foreign_or_newer_is_untouched(path, monkeypatch, make, name):
    make(path)
    content = path.read_bytes()
    code, said = run(name, path, monkeypatch)
    if name == "doctor":
        assert code in {1, 2}
    else:
        assert code == 2
    assert re.search(f"{NOT_OURS[make]}|not a journal|is a journal's", said), said
    assert path.read_bytes() == content
    beside(path, "-shm").unlink(missing_ok=True)  # SQLite makes it, and an empty log, to read the version
    for file in set(path.parent.iterdir()) - {path}:
        assert file.stat().st_size == 0, file.name


@pytest.mark.parametrize("name", [*LOOKING, *WRITING])
@pytest.mark.parametrize("damage", [first_page, no_file])
def test_damaged_journal_is_untouched(path, monkeypatch, damage, name):
    damage(path)
    content, log = path.read_bytes(), beside(path, "-wal")
    logged = log.read_bytes() if log.exists() else None
    code, said = run(name, path, monkeypatch)
    assert code in {1, 2}
    assert "restante salvage" in said
    assert (path.read_bytes(), log.read_bytes() if log.exists() else None) == (content, logged)
    assert not beside(path, ".damaged-").exists()


def leaf_pages(path):
    """Pages with entries on them, found by what is written there."""
    content = path.read_bytes()
    return [
        1 + at // PAGE_SIZE
        for at in range(0, len(content), PAGE_SIZE)
        if b"yyyy" in content[at : at + PAGE_SIZE]
    ]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("cut", [False, True])
def test_damage_in_the_middle_is_reported(path, monkeypatch, name, cut):
    """Reading commands change nothing. Writing ones may have done what it was asked for, or says what to do."""
    page = leaf_pages(path)[1]
    if cut:
        with path.open("r+b") as file:
            file.truncate((page - 1) * PAGE_SIZE)
    else:
        overwrite(path, page)
    content = path.read_bytes()
    code, said = run(name, path, monkeypatch)
    assert code in {0, 1}
    if name in LOOKING:
        assert path.read_bytes() == content
    elif name != "salvage":
        assert code == 0 or said
    else:
        assert any(file.read_bytes() == content for file in path.parent.glob("*.damaged-*"))
        assert run("audit", path, monkeypatch)[0] == 0


DAMAGED_VALUES = (
    ("entries", 340, "message", "'{'"),
    ("entries", 340, "state", "'posted'"),
    ("lanes", 1, "outcome", "'posted'"),
    ("counters", 1, "pruned", "'many'"),
    ("project", 1, "identity", "7"),
    ("shipper", 1, "settle_after", "'long'"),
)


@pytest.mark.parametrize("name", sorted({*COMMANDS} - {"tui", "salvage"}))
@pytest.mark.parametrize("where", sampled([(where,) for where in DAMAGED_VALUES], 6))
def test_damaged_value_is_told_in_words(path, monkeypatch, where, name):
    put(path, *where)
    code, said = run(name, path, monkeypatch)
    assert code in {0, 1, 2}
    if "makes no sense" in said:
        assert code == 1
        assert "restante salvage" in said


def test_salvage_mends_damaged_values(path, monkeypatch):
    for where in DAMAGED_VALUES[1:]:
        put(path, *where)
    assert run("doctor", path, monkeypatch)[0] == 1
    assert run("salvage", path, monkeypatch)[0] in {0, 1}
    assert run("audit", path, monkeypatch)[0] == 0


@pytest.mark.parametrize("name", LOOKING)
def test_journal_without_log_is_older(path, monkeypatch, name):
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"a": 1})
        older = path.read_bytes()
        shutil.copy(path, path.with_name("older.db"))
    older_path = path.with_name("older.db")
    code, _ = run(name, older_path, monkeypatch)
    assert code in {0, 1}
    assert older_path.read_bytes() == older


@pytest.mark.parametrize("name", [*LOOKING, *WRITING])
def test_unfinished_salvage_is_named(path, monkeypatch, name):
    beside(path, ".salvaging").write_text('{"aside": "kiosk.db.damaged-then"}', encoding="utf-8")
    path.rename(path.with_name("kiosk.db.damaged-then"))
    code, said = run(name, path, monkeypatch)
    assert code in {1, 2}
    assert "salvage" in said
    assert not path.exists()
