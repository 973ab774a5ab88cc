"""`restante forget`: what is asked, what is erased, what is said, and what the exit code says."""

import sqlite3
from contextlib import closing
from unittest import mock

import pytest

from recorder import JournalReader, audit
from tests.profiles import sampled
from tests.recorder.remnants import places
from tui import state
from tui.state import Remembered

ADA = "ada@example.org"
LINES = [
    {"$distinct_id": ADA, "$set": {"street": "Elm Street 7"}},
    {"$distinct_id": "bob", "$set": {"plan": "pro"}},
    {"$distinct_id": ADA, "$append": {"visits": "Elm Street 7"}},
]


@pytest.fixture
def shipped(append, journal, restante, service):
    append(*LINES)
    assert restante("ship", "-j", journal, "--url", service.url).code == 0
    append({"$distinct_id": ADA, "$set": {"street": "Elm Street 8"}})
    return journal


def states(journal):
    with JournalReader(journal) as reader:
        return {entry.seq: entry.state.value for entry in reader.entries()}


BEFORE = {1: "shipped", 2: "shipped", 3: "shipped", 4: "pending"}
AFTER = {1: "forgotten", 2: "shipped", 3: "forgotten", 4: "forgotten"}


def test_yes_is_required_without_terminal(restante, shipped):
    ran = restante("forget", ADA, "-j", shipped)
    assert (ran.code, ran.out) == (2, "")
    assert "3 entries name it; they are erased for ever: 1 is not sent yet, and never will be.\n" in ran.err
    assert "restante forget --delete-remote" in ran.err
    assert "give --yes" in ran.err
    assert states(shipped) == BEFORE


@pytest.mark.parametrize(
    ("answer", "code", "then"), sampled([("y\n", 0, AFTER), ("n\n", 1, BEFORE), ("\x04", 1, BEFORE)], 2)
)
def test_a_person_is_asked(*, restante, shipped, answer, code, then):
    ran = restante.on_terminal("forget", ADA, "-j", shipped, typed=answer)
    assert ran.code == code
    assert f"Forget {ADA} for ever? [y/N]" in ran.out
    assert states(shipped) == then


def test_no_byte_is_left(restante, shipped, tmp_path):
    assert places(shipped, ADA, "Elm Street")
    ran = restante("forget", ADA, "-j", shipped, "--yes")
    assert (ran.code, ran.out, ran.err) == (
        0,
        "",
        "Forgot 3 entries. No byte of it is left in the journal.\n",
    )
    assert places(shipped, ADA, "Elm Street") == set()
    assert "forgotten" in restante("entries", "-j", shipped, "state=forgotten").out
    assert "forgotten" in restante("status", "-j", shipped).out
    assert restante("status", "-j", shipped, "--json").json["accounts"]["forgotten"] == 3
    assert restante("profiles", "-j", shipped, "--json").json == {"bob": {"plan": "pro"}}
    assert restante("audit", "-j", shipped).code == 0
    assert "restante forget" not in restante("doctor", "-j", shipped).out
    exported = restante("export", "-j", shipped, "state!=shipped")
    assert (exported.out, exported.err) == (
        "",
        "Exported 0 entries.\nLeft out 3 entries whose content is gone.\n",
    )
    assert restante("retry", "-j", shipped, "state=forgotten", "--yes").code == 1
    copy = tmp_path / "copies" / "monday.db"
    copy.parent.mkdir()
    assert restante("snapshot", "-j", shipped, copy).code == 0
    assert places(copy, ADA, "Elm Street") == set()


def test_programs_are_told_in_json(restante, shipped):
    ran = restante("forget", ADA, "-j", shipped, "--yes", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json == {
        "entries": 3, "unsent": 1, "in_doubt": 0, "folded": 0, "deletion": None, "remnants": False, "copies": [],
    }  # fmt: skip


def test_nothing_left_exits_0(restante, shipped):
    """A script that repeats a killed command cannot tell what the first one did, and need not."""
    ran = restante("forget", "adda", "-j", shipped, "--yes")
    assert (ran.code, ran.err) == (
        0,
        "Nothing in the journal named it. No byte of it is left in the journal.\n",
    )
    assert states(shipped) == BEFORE


def test_remembered_filters_are_dropped(restante, shipped):
    kept = restante.folder / ".local" / "state"
    with JournalReader(shipped) as reader, mock.patch.dict("os.environ", XDG_STATE_HOME=str(kept)):
        state.remember(shipped, reader.identity(), Remembered(words=("profile=ada",)))
    (file,) = (kept / "restante").iterdir()
    assert restante("forget", "ada", "-j", shipped, "--yes").code == 0
    assert not file.exists()


def test_missing_journal_is_refused(restante, journal, tmp_path):
    assert restante("forget", ADA, "--yes", "-j", journal).code == 2
    assert list(tmp_path.iterdir()) == []


def test_group_is_forgotten_by_key(restante, journal, append):
    append({"$group_key": "company", "$group_id": "acme", "$set": {}}, {"$distinct_id": "acme", "$set": {}})
    assert restante("forget", "acme", "--group", "company", "-j", journal, "--yes").code == 0
    assert states(journal) == {1: "forgotten", 2: "pending"}


@pytest.mark.parametrize("policy", sampled(["resend", "hold", "drop"], 3))
def test_remote_deletion_is_forgotten_when_shipped(restante, shipped, service, policy):
    assert ADA in service.profiles("T")
    ran = restante("forget", ADA, "--delete-remote", "-j", shipped, "--yes")
    assert ran.code == 0
    assert ran.err == "Forgot 3 entries. Its $delete is entry #5, which names it until it has been sent.\n"
    service.set_faults([{"at": 1, "fault": "ack_lost"}])
    ship = ("ship", "-j", shipped, "--url", service.url, "--in-doubt", policy, "--settle-after", "0s")
    restante(*ship)
    restante(*ship)
    assert states(shipped) == {**AFTER, 5: "forgotten"}
    assert set(service.profiles("T")) == {"bob"}
    assert audit(shipped).agrees
    doctor = restante("doctor", "-j", shipped)
    assert "restante forget" in doctor.out
    again = restante("forget", ADA, "-j", shipped, "--yes")
    assert again.code == 0
    assert places(shipped, ADA, "Elm Street") == set()
    assert "restante forget" not in restante("doctor", "-j", shipped).out


@pytest.mark.long
def test_open_reader_exits_1_until_gone(restante, shipped):
    with closing(sqlite3.connect(f"file:{shipped}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchall()
        ran = restante("forget", ADA, "-j", shipped, "--yes")
        assert ran.code == 1
        assert "keeps the log from being truncated" in ran.err
        assert "run it again: it finishes" in ran.err
        assert states(shipped) == AFTER
    ran = restante("forget", ADA, "-j", shipped, "--yes")
    assert ran.code == 0
    assert places(shipped, ADA, "Elm Street") == set()


def test_salvaged_original_is_named_until_deleted(restante, shipped):
    left = shipped.with_name(f"{shipped.name}.damaged-20260101T000000Z")
    left.write_text("x")
    ran = restante("forget", ADA, "-j", shipped, "--yes")
    assert ran.code == 1
    assert f"A damaged file that a salvage kept may still name it: {left}." in ran.err
    assert states(shipped) == AFTER
