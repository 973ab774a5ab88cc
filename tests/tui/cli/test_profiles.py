"""`restante profiles`: what the operations make, whether folded from a journal, a file, or by the service."""

import json
import unicodedata

import pytest
import requests

from recorder import Recorder
from tests.tui.terminal import Terminal

MESSAGES = [
    {"$distinct_id": "ada", "$time": 1, "$set": {"plan": "free", "city": "Zürich"}},
    {"$distinct_id": "ada", "$time": 2, "$add": {"visits": 2, "spent": 0.1}},
    {"$distinct_id": "bob", "$time": 3, "$add": {"visits": 1}},
    {"$distinct_id": "ada", "$time": 4, "$set_once": {"plan": "trial", "first": "harbour"}},
    {"$distinct_id": "ada", "$time": 5, "$add": {"spent": 0.2}, "$unset": ["city"]},
    {"$distinct_id": "ada", "$time": 6, "$union": {"kiosks": ["harbour", "museum", "harbour"]}},
    {
        "$distinct_id": "ada",
        "$time": 7,
        "$append": {"$transactions": {"$amount": 2.5, "$time": "2026-01-02"}},
    },
    {"$distinct_id": "eve", "$time": 8, "$set": {"gone": True}},
    {"$group_key": "company", "$group_id": "acme", "$time": 9, "$set": {"plan": "team"}},
    {"$distinct_id": "eve", "$time": 10, "$delete": ""},
    {"$group_key": "company", "$group_id": "acme", "$time": 11, "$union": {"members": ["ada", "bob"]}},
    {"$group_key": "city", "$group_id": "acme", "$time": 12, "$set": {"of": "another key"}},
    {"$distinct_id": "ada", "$time": 13, "$remove": {"kiosks": "museum"}},
]
LINES = "".join(json.dumps(message) + "\n" for message in MESSAGES)
PROFILES = {
    "ada": {
        "plan": "free",
        "visits": 2,
        "spent": 0.30000000000000004,
        "first": "harbour",
        "kiosks": ["harbour"],
        "$transactions": [{"$amount": 2.5, "$time": "2026-01-02"}],
    },
    "bob": {"visits": 1},
}
GROUPS = {
    "company": {"acme": {"plan": "team", "members": ["ada", "bob"]}},
    "city": {"acme": {"of": "another key"}},
}


@pytest.fixture
def recorded(restante, journal):
    assert restante("record", "--token", "T", "-j", journal, stdin=LINES).code == 0
    return journal


# --- the same answer from everywhere


@pytest.mark.parametrize(("options", "expected"), [([], PROFILES), (["--groups"], GROUPS)])
def test_journal_file_and_pipe_agree(restante, recorded, tmp_path, options, expected):
    (tmp_path / "updates.jsonl").write_text(LINES)
    ran = restante("profiles", "-j", recorded, "--json", *options)
    assert (ran.code, ran.err) == (0, "")
    assert ran.json == expected
    assert restante("profiles", "--from", "updates.jsonl", "--json", *options) == ran
    assert restante("profiles", "--from", "-", "--json", *options, stdin=LINES) == ran


def test_shipped_profiles_equal_the_prediction(restante, recorded, service):
    assert restante("ship", "-j", recorded, "--url", service.url).code == 0
    for kind, options, expected in (("profiles", [], PROFILES), ("groups", ["--groups"], GROUPS)):
        held = requests.get(f"{service.url}/simulator/{kind}", params={"token": "T"}, timeout=20).json()
        assert held == expected
        assert restante("profiles", "-j", recorded, "--json", *options).json == held
        assert restante("profiles", "-j", recorded, "--json", "--shipped-only", *options).json == held


def test_shipped_only_shows_shipped_profiles(restante, recorded, service):
    assert restante("profiles", "-j", recorded, "--json", "--shipped-only").json == {}
    for _ in range(4):
        restante("ship", "-j", recorded, "--url", service.url, "--limit", 3)
        shipped = restante("profiles", "-j", recorded, "--json", "--shipped-only").json
        assert shipped == service.profiles("T")
        assert restante("profiles", "-j", recorded, "--json").json == PROFILES


# --- one profile


def test_one_profile_by_its_id(restante, recorded):
    assert restante("profiles", "-j", recorded, "--json", "bob").json == {"bob": {"visits": 1}}
    ran = restante("profiles", "-j", recorded, "bob")
    assert (ran.code, ran.out, ran.err) == (0, 'bob\t{"visits": 1}\n', "")


def test_group_id_matches_every_key(restante, recorded):
    assert restante("profiles", "-j", recorded, "--groups", "--json", "acme").json == GROUPS
    lines = restante("profiles", "-j", recorded, "--groups", "acme").out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["company:acme", "city:acme"]


@pytest.mark.parametrize("missing", ["nobody", "eve", "acme"])
def test_unknown_profile_exits_1(restante, recorded, missing):
    ran = restante("profiles", "-j", recorded, "--json", missing)
    assert (ran.code, ran.out) == (1, "{}\n")
    assert ran.err == f"There is no profile {missing}.\n"


# --- lines of a file


def test_malformed_messages_are_counted(restante, tmp_path):
    lines = [
        '{"$distinct_id":"ada","$add":{"n":1}}',
        '{"$distinct_id":"ada","$add":{"n":"one"}}',
        "",
        '{"$set":{}}',
        "[1]",
        '{"$distinct_id":"ada","$add":{"n":1}}\r',
    ]
    (tmp_path / "updates.jsonl").write_text("\n".join(lines), newline="")
    ran = restante("profiles", "--from", "updates.jsonl", "--json")
    assert (ran.code, ran.err) == (0, "3 malformed messages had no effect.\n")
    assert ran.json == {"ada": {"n": 2}}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"plan=pro", "is not JSON"),
        (b'{"$distinct_id":', "is not JSON"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_bad_json_names_its_line(restante, line, says):
    ran = restante("profiles", "--from", "-", "--json", stdin=LINES.encode() + b"\n" + line)
    assert (ran.code, ran.out) == (2, "")
    assert f"line {len(MESSAGES) + 2} {says}" in ran.err
    assert "Traceback" not in ran.err


def test_byte_order_mark_is_accepted(restante):
    ran = restante("profiles", "--from", "-", "--json", stdin=b"\xef\xbb\xbf" + LINES.encode())
    assert (ran.code, ran.json) == (0, PROFILES)


def test_no_lines_are_no_profiles(restante):
    ran = restante("profiles", "--from", "-", "--json")
    assert (ran.code, ran.out, ran.err) == (0, "{}\n", "")


def test_missing_files_are_refused(restante, journal, tmp_path):
    ran = restante("profiles", "--from", "nowhere.jsonl")
    assert ran.code == 2
    assert "nowhere.jsonl" in ran.err
    ran = restante("profiles", "-j", journal)
    assert (ran.code, ran.out) == (2, "")
    assert f"no journal at {journal}" in ran.err
    assert list(tmp_path.iterdir()) == []


# --- on a terminal


def test_unknown_operators_are_partly_known(restante, journal):
    line = '{"$distinct_id":"ada","$merge":{"x":1},"$set":{"plan":"pro"}}'
    ran = restante("profiles", "--from", "-", stdin=line)
    assert (ran.out, ran.err) == ("", "1 malformed message had no effect.\n")
    restante("record", "--token", "T", "-j", journal, "--unknown-operators", "ship", stdin=line)
    assert restante("profiles", "-j", journal).out == 'ada (partly known)\t{"plan": "pro"}\n'


def test_values_beyond_limits_are_told(restante):
    lines = [
        {"$distinct_id": "ada", "$set": {"bio": "a" * 300, "plan": "pro"}},
        *({"$distinct_id": f"\x1b\n{n}", "$set": {"\x1b[31m": "a" * 256}} for n in range(5)),
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    for options in ([], ["--json"]):
        ran = restante("profiles", "--from", "-", *options, stdin=text)
        assert (ran.code, ran.out.count("a" * 256)) == (0, 6)
        assert ran.err.splitlines() == [
            "6 values beyond the limits of the service, which may cut or drop them:",
            "  ada bio: 300 bytes in a string; the limit is 255",
            '  \\x1b\\n0 "\\u001b[31m": 256 bytes in a string; the limit is 255',
            '  \\x1b\\n1 "\\u001b[31m": 256 bytes in a string; the limit is 255',
            "  and 3 more",
        ]
    assert restante("profiles", "u9", "--from", "-", stdin=text).err == "There is no profile u9.\n"


def test_hostile_names_are_escaped(restante, journal):
    text = "\x1b]0;pwned\x07\u202e\r\n\t\x9b"
    line = json.dumps({"$distinct_id": text, "$set": {text: [text]}})
    group = json.dumps({"$group_key": text, "$group_id": text, "$set": {text: text}})
    restante("record", "--token", "T", "-j", journal, stdin=f"{line}\n{group}\n")
    for options in ([], ["--groups"], [text]):
        terminal = Terminal()
        restante("profiles", "-j", journal, *options, stdout=terminal)
        assert terminal.plain.count("\n") == 1 + (options == [text])
        assert all(unicodedata.category(letter)[0] != "C" for letter in terminal.plain if letter != "\n")


def test_terminal_shows_what_fits(restante, journal):
    with Recorder("T", journal) as recorder:
        recorder.people_set("visitor-0000-0000-0000-0000-070", {"plan": "pro", "note": "word " * 30})
    terminal = Terminal()
    restante("profiles", "-j", journal, stdout=terminal)
    (line,) = terminal.plain.splitlines()
    assert line.startswith('visitor-0000-0000…0000-070  plan "pro"  note "word word')
    assert len(line) <= 80
    terminal = Terminal()
    restante("profiles", "visitor-0000-0000-0000-0000-070", "-j", journal, stdout=terminal)
    head, *lines = terminal.plain.splitlines()
    assert head == "visitor-0000-0000-0000-0000-070"
    assert lines[0] == '  plan  "pro"'
    assert " ".join(line.strip() for line in lines[1:]) == f'note  "{"word " * 30}"'
