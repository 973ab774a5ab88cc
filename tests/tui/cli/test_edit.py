"""`restante edit`: in an editor or from a message, and what becomes of a text that is refused."""

import json
import re
import shlex
import stat
import sys
from pathlib import Path

import pytest

from recorder import HttpTransport, Journal, JournalReader, Recorder, Shipper, ShippingPolicy

GOOD = {"$distinct_id": "ada", "$set": {"plan": "pro", "city": "Zürich"}, "$time": 5, "$device_id": "d"}
MENDED = {"$distinct_id": "ada", "$set": {"plan": "free"}}


@pytest.fixture
def edit(restante, journal, tmp_path):
    """`restante edit`, with an editor that is a few lines of Python over `text`, the file's content."""

    def run(*arguments, editor=None, **options):
        if editor is None:
            return restante("edit", "-j", journal, *arguments, **options)
        program = tmp_path / "editor.py"
        program.write_text(
            "import pathlib, sys\n"
            "file = pathlib.Path(sys.argv[1])\n"
            f"text = file.read_text(encoding='utf-8')\n{editor}\nfile.write_bytes(text.encode())\n"
        )
        command = shlex.join([sys.executable, str(program)])
        environment = {"VISUAL": command, "TMPDIR": str(tmp_path)}
        return restante("edit", "-j", journal, *arguments, environment=environment, **options)

    return run


def entry(journal, seq=1):
    with JournalReader(journal) as reader:
        return reader.entry(seq)


def files(tmp_path):
    return sorted(tmp_path.glob("restante-*"))


# --- in an editor


def test_effect_is_shown_on_a_terminal(restante, journal, append):
    append(GOOD)
    ran = restante.on_terminal("edit", "1", "--message", json.dumps(MENDED), "-j", journal)
    assert ran.code == 0
    assert 'plan  -           "pro"     "free"' in ran.out


def test_edited_text_is_sent(edit, journal, append, tmp_path):
    append(GOOD)
    ran = edit(
        "1", editor=f"open({str(tmp_path / 'seen')!r}, 'w').write(text); text = text.replace('pro', 'free')"
    )
    assert (ran.code, ran.out, ran.err) == (0, "", "Entry 1 will be sent as edited.\n")
    assert (tmp_path / "seen").read_text() == json.dumps(GOOD, indent=2, ensure_ascii=False) + "\n"
    assert entry(journal).message == GOOD | {"$set": {"plan": "free", "city": "Zürich"}}
    assert files(tmp_path) == []


def test_visual_comes_before_editor(restante, journal, append):
    append(GOOD)
    ran = restante("edit", 1, "-j", journal, environment={"VISUAL": "true", "EDITOR": "false"})
    assert "same as before" in ran.err
    ran = restante("edit", 1, "-j", journal, environment={"EDITOR": "false"})
    assert (ran.code, "false: Editing failed; correct $VISUAL or $EDITOR" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("editor", "says"),
    [
        ("pass", "The message is the same as before. Nothing was changed.\n"),
        ("text = text.replace('  ', '')", "The message is the same as before. Nothing was changed.\n"),
        ("text = ' \\n'", "The message is empty. Nothing was changed.\n"),
        ("file.unlink(); sys.exit()", "The message is empty. Nothing was changed.\n"),
    ],
)
def test_unchanged_text_exits_1(*, edit, journal, append, tmp_path, editor, says):
    append(GOOD)
    ran = edit("1", editor=editor)
    assert (ran.code, ran.out, ran.err) == (1, "", says)
    assert entry(journal).message == GOOD
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("editor", "says"),
    [
        ("text = text.replace('}', '', 1)", "is not JSON: Expecting"),
        ("text = '[1]'", "is not a JSON object"),
        ("text = text.replace('$set', '$add')", "$add.plan: "),
        ("text = text.replace('$set', '$setOnce')", "$setOnce: is not an operator; did you mean $set_once?"),
        ("text = text.replace('ada', 'eve')", "is about another profile"),
        ("file.unlink(); file.touch(); text = '[1]'", "is not a JSON object"),  # as editors that rename
    ],
)
def test_refused_text_is_kept(*, edit, restante, journal, append, tmp_path, editor, says):
    append(GOOD)
    ran = edit("1", editor=editor)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert entry(journal).message == GOOD
    kept = re.search(r"Your text is kept in (.*)\n", ran.err)[1]
    (folder,) = files(tmp_path)
    assert kept == str(folder / "entry-1.json")
    assert stat.S_IMODE(Path(kept).stat().st_mode) == 0o600
    again = re.search(r"then run:\n  restante (.*) < ", ran.err)[1]
    assert restante(*shlex.split(again), stdin=json.dumps(MENDED)).code == 0
    assert entry(journal).message["$set"] == {"plan": "free"}


def test_failing_editor_keeps_the_text(edit, journal, append, tmp_path):
    append(GOOD)
    ran = edit("1", editor="file.write_text('{half'); sys.exit(3)")
    assert (ran.code, "Editing failed" in ran.err) == (1, True)
    assert "Your text is kept in" in ran.err
    assert entry(journal).message == GOOD
    assert edit("1", editor="sys.exit(3)").code == 1
    assert len(files(tmp_path)) == 1  # nothing was written in the second


@pytest.mark.parametrize(("command", "code"), [("no-such-editor-anywhere", 1), ("'half a quote", 2)])
def test_bad_editor_is_reported(restante, journal, append, command, code):
    append(GOOD)
    ran = restante("edit", 1, "-j", journal, environment={"VISUAL": command})
    assert ran.code == code
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) == 1


# --- from a message


@pytest.mark.parametrize("given", ["argument", "stdin"])
def test_message_is_taken_without_an_editor(edit, journal, append, given):
    append(GOOD)
    text = json.dumps(MENDED)
    ran = edit("1", "--message", text) if given == "argument" else edit("1", "--message", "-", stdin=text)
    assert ran.code == 0
    assert entry(journal).message == MENDED | {"$time": 5}  # it happened when it was recorded


@pytest.mark.parametrize(
    "message",
    ["", "{}", "nonsense", '{"$distinct_id": "ada"}', '{"$distinct_id":"ada","$set":{"a":NaN}}', "[" * 5_000],
)
def test_bad_message_is_refused(edit, journal, append, message):
    append(GOOD)
    ran = edit("1", "--message", message)
    assert ran.code == (2 if message else 1)
    assert ran.err.count("Error: ") == (1 if message else 0)
    assert len(ran.err.splitlines()) <= 2
    assert entry(journal).message == GOOD


def test_hostile_message_is_escaped(edit, append):
    append(GOOD)
    ran = edit("1", "--message", json.dumps({"$distinct_id": "ada", "$add": {"\x1b]0;pwned\x07": "two"}}))
    assert ran.code == 2
    assert "]0;pwned" in ran.err
    assert ran.err.replace("\n", "").isprintable()


# --- which entries


def test_malformed_entry_can_be_mended(edit, journal):
    with Recorder("T", journal, on_invalid="reject") as recorder:
        recorder.people_increment("ada", {"visits": "two"})
    assert edit("1", "--message", '{"$distinct_id": "ada", "$add": {"visits": 2}}').code == 0
    mended = entry(journal)
    assert (mended.state.value, mended.reason) == ("pending", None)


def test_unchanged_rejected_entry_suggests_retry(edit, journal, append, service):
    append({"$distinct_id": "ada", "$add": {"visits": "two"}})
    with Journal(journal) as opened:
        Shipper(opened, HttpTransport(url=service.url)).ship()
    ran = edit("1", "--message", json.dumps(dict(entry(journal).message)))
    assert ran.code == 1
    assert "restante retry seq=1" in ran.err


def test_possibly_applied_entry_warns(edit, journal, append, service):
    append(GOOD)
    service.set_faults([{"at": 1, "fault": "ack_lost"}])
    with Journal(journal) as opened:
        Shipper(opened, HttpTransport(url=service.url), ShippingPolicy(in_doubt="hold")).ship()
    ran = edit("1", "--message", json.dumps(MENDED))
    assert ran.code == 0
    assert "Entry 1 may have been applied already" in ran.err
    assert entry(journal).state.value == "waiting"


def test_shipped_entry_is_not_opened(edit, journal, append, service):
    append(GOOD)
    with Journal(journal) as opened:
        Shipper(opened, HttpTransport(url=service.url)).ship()
    ran = edit("1", editor="raise SystemExit('it was opened')")
    assert ran.code == 1
    assert ran.err == "Error: Entry 1 cannot be edited: it was shipped.\n"


@pytest.mark.parametrize("seq", ["2", "0", "-1", "many"])
def test_number_that_is_none_exits_2(edit, append, seq):
    append(GOOD)
    ran = edit("--message", "{}", "--", seq)
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err


def test_missing_journal_is_refused(edit, tmp_path):
    ran = edit("1", "--message", "{}")
    assert ran.code == 2
    assert list(tmp_path.iterdir()) == []
