"""Every command, where its output cannot be written or shown, and where the data would steer a terminal."""

import json
import os
from pathlib import Path

import click
import pytest

from tests.profiles import sampled
from tests.tui.terminal import Terminal
from tui.cli import restante as group
from tui.cli.options import as_json, narrate

FULL = Path("/dev/full")
HOSTILE = (
    "\x1b]0;pwned\x07 \x9b31m \x9d52;c;x\x9c \x7f \u202etxt.exe\u2069 \u2028\u2029 \x85 \u200f \U000e0041 Zoë"
)
DATA = {
    "help": ("--help",),
    "version": ("--version",),
    "help of a command": ("ship", "--help"),
    "status": ("status",),
    "entries": ("entries",),
    "profiles": ("profiles",),
    "groups": ("profiles", "--groups"),
    "export": ("export",),
    "export --all": ("export", "--all"),
    "audit": ("audit",),
    "doctor": ("doctor",),
    "tui": ("tui",),
}
"""Commands that write to standard output."""
JSON = {
    "record": ("record", "in.jsonl"),
    "status": ("status",),
    "entries": ("entries",),
    "profiles": ("profiles",),
    "groups": ("profiles", "--groups"),
    "retry": ("retry", "--all", "--yes"),
    "discard": ("discard", "seq=1", "--yes"),
    "forget": ("forget", "ada", "--yes"),
    "export": ("export", "--to", "tables.db"),
    "token": ("token", "NEW", "--yes"),
    "settle": ("settle", "--decisions", os.devnull),
    "prune": ("prune",),
    "audit": ("audit",),
    "doctor": ("doctor",),
    "salvage": ("salvage",),
    "snapshot": ("snapshot", "copy.db"),
    "ship": ("ship",),
    "compare": ("compare",),
    "conform": ("conform", "--drawn", "--seconds", "0", "cat"),
}
"""Commands that have --json."""
WRITING = {**DATA, **{f"{name} --json": (*given, "--json") for name, given in JSON.items()}}


@pytest.fixture
def recorded(restante, append, journal, tmp_path):
    append(
        {"$distinct_id": HOSTILE, "$set": {HOSTILE: [HOSTILE]}},
        {"$distinct_id": "ada", "$add": {"visits": 1}},
        {"$group_key": HOSTILE, "$group_id": HOSTILE, "$set": {"plan": HOSTILE}},
    )
    (tmp_path / "in.jsonl").write_text(json.dumps({"$distinct_id": "ada", "$set": {"plan": "pro"}}))

    def run(*arguments, **options):
        environment = {"RESTANTE_JOURNAL": str(journal)} | options.pop("environment", {})
        return restante(*arguments, environment=environment, **options)

    return run


@pytest.fixture
def here(service):
    return {"RESTANTE_URL": service.url}


def test_every_json_flag_is_covered():
    context = click.Context(group)
    takes_json = {
        name
        for name in group.list_commands(context)
        if any("--json" in parameter.opts for parameter in group.get_command(context, name).params)
    }
    takes_json -= {
        "probe",
        "fleet",
    }  # one asks for an account, one for a folder: they have tests of their own
    assert takes_json == {given[0] for given in JSON.values()}


@pytest.mark.parametrize("name", sampled(list(WRITING), 3))
def test_unwritable_output_is_one_error(recorded, here, name):
    with FULL.open("w", encoding="utf-8") as full:
        ran = recorded(*WRITING[name], stdout=full, environment=here)
    assert ran.code == 1
    assert ran.err.splitlines()[-1] == "Error: standard output: No space left on device"
    assert ran.err.count("Error") == 1


@pytest.mark.parametrize("name", sampled(list(WRITING), 3))
def test_closed_pipe_is_silent(recorded, here, name):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as pipe:
        ran = recorded(*WRITING[name], stdout=pipe, environment=here)
    assert ran.code in {0, 1}
    assert "Error" not in ran.err


@pytest.mark.parametrize("name", sampled(list(WRITING), 3))
def test_closed_output_is_an_error(recorded, here, name):
    ran = recorded(*WRITING[name], stdout=None, environment=here)
    assert ran.code == 1
    assert ran.err.splitlines()[-1] == "Error: standard output: Bad file descriptor"


@pytest.mark.parametrize("name", ["record", "ship", "forget", "token", "prune", "snapshot"])
def test_unwritable_errors_do_not_stop_work(recorded, here, name):
    code = recorded(*JSON[name], environment=here).code
    with FULL.open("w", encoding="utf-8") as full:
        again = {"token": ("token", "OTHER", "--yes"), "snapshot": ("snapshot", "another.db")}
        given = again.get(name, JSON[name])
        ran = recorded(*given, stderr=full, environment=here)
    assert ran.code == code


@pytest.mark.parametrize("encoding", sampled(["ascii:strict", "utf-8", "latin-1", "utf-16"], 4))
@pytest.mark.parametrize("name", WRITING)
def test_output_cannot_steer_a_terminal(recorded, here, restante, name, encoding):
    wanted = restante.folder / "out"
    with wanted.open("w", encoding=encoding.partition(":")[0]) as out:
        ran = recorded(*WRITING[name], stdout=out, environment=here)
    assert ran.code in {0, 1}
    written = wanted.read_bytes()
    data = "--json" in WRITING[name] or name.startswith("export")
    text = written.decode("utf-8" if data else encoding.partition(":")[0])
    assert text.replace("\n", "").replace("\t", "").isprintable()
    assert len(text.splitlines()) == text.count("\n")
    if data:
        assert all(json.loads(line) is not ... for line in text.splitlines())


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_keeps_the_value(recorded, encoding):
    environment = {"PYTHONIOENCODING": encoding}
    assert recorded("profiles", "--json", environment=environment).json[HOSTILE] == {HOSTILE: [HOSTILE]}
    (last, *_) = recorded("entries", "--json", environment=environment).json
    assert last["message"]["$set"]["plan"] == last["group_key"] == HOSTILE
    exported = recorded("export", environment=environment).out.splitlines()
    assert json.loads(exported[0])["$set"] == {HOSTILE: [HOSTILE]}


def test_terminal_shows_what_its_locale_has(restante, journal, append):
    append({"$distinct_id": "Zoë", "$set": {"plan": "pro"}})
    for environment, shown in (
        ({"LC_ALL": "C"}, ("o pending", r"Zo\xeb")),
        ({"LANG": "POSIX", "LC_CTYPE": "C.UTF-8"}, ("o pending", r"Zo\xeb")),
        ({"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, ("○ pending", "Zoë")),
        ({"LANG": ""}, ("○ pending", "Zoë")),
    ):
        out = restante.on_terminal("entries", "-j", journal, environment=environment).out
        assert all(words in out for words in shown), (environment, out)


def test_json_escapes_what_styles_terminals():
    for code in [
        *range(0x20),
        *range(0x7F, 0xA0),
        0xAD,
        0x200B,
        0x202E,
        0x2066,
        0x2028,
        0xFEFF,
        0xD83D,
        0xE0041,
    ]:
        written = as_json([chr(code)])
        assert written.isprintable(), hex(code)
        assert json.loads(written) == [chr(code)]


def test_errors_cannot_steer_a_terminal(restante):
    for arguments in (
        ("status", "-j", HOSTILE),
        (HOSTILE,),
        ("entries", f"--{HOSTILE}"),
        ("snapshot", "-j", HOSTILE, "copy"),
    ):
        ran = restante(*arguments)
        assert ran.code == 2
        assert ran.err.replace("\n", "").isprintable()
        assert ran.err.splitlines()[-1].startswith(("Error: ", "Check the path"))


def test_arguments_are_utf8_in_any_locale(recorded):
    """Python hands over bytes that the locale does not have as lone surrogates."""
    raw = HOSTILE.encode().decode("ascii", "surrogateescape")
    assert recorded("profiles", raw).code == 0
    assert len(recorded("entries", f"profile={raw}").out.splitlines()) == 2
    assert recorded("forget", raw, "--group", raw, "--yes").code == 0
    assert recorded("token", raw, "--yes").code in {0, 2}


READING = {
    "record": ("record",),
    "profiles": ("profiles", "--from", "-"),
    "edit": ("edit", "1", "--message", "-"),
    "simulator": ("simulator", "--port", "0", "--faults", "-"),
}


@pytest.mark.parametrize("name", READING)
def test_closed_input_is_named(recorded, name):
    ran = recorded(*READING[name], stdin=None)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Error: standard input cannot be read: Bad file descriptor\n")


def test_interrupted_import_is_silent(restante):
    """Ctrl-C before the command itself runs."""
    finder = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
    )
    ran = restante.process("status", program=f"{finder}from tui.cli import main\nmain()")
    assert (ran.code, ran.out, ran.err) == (130, "", "")


def test_long_error_breaks_between_words(restante, journal, recorded):
    bad = ("entries", "-j", journal, "since=" + "x" * 30)
    broken, whole = restante.on_terminal(*bad).out, recorded(*bad).err
    assert max(map(len, broken.splitlines())) <= 80 < max(map(len, whole.splitlines()))
    assert broken.split() == whole.split()


def test_commands_to_copy_stay_whole(monkeypatch):
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setenv("COLUMNS", "40")
    path = "/" + "folder/" * 9
    narrate(("Error:", "$text-error"), f" it is kept in {path} until you run\n  restante ship -j {path}")
    narrate("Nothing can be sent until you run `restante token NEW`; see `restante help token`.")
    assert shown.plain == (
        f"Error: it is kept in\n{path}\nuntil you run\n  restante ship -j {path}\n"
        "Nothing can be sent until you run\n`restante token NEW`; see\n`restante help token`.\n"
    )
