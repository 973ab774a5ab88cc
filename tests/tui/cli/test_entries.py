"""`restante entries`: newest first, filtered, and harmless on a terminal whatever users called things."""

import dataclasses
import re
import unicodedata

import pytest

from recorder import Entry, HttpTransport, Journal, Recorder, Shipper, ShippingPolicy
from tests.profiles import sampled
from tests.tui.terminal import Terminal

OURS = {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[36m"}  # heads, reasons, rejected, pending
HOSTILE = {
    "an escape sequence": "\x1b]0;pwned\x07\x1b[2J\x1b[31mred",
    "markup": "[bold red]x[/] [link=http://x]y[/link] [/]",
    "text that turns its direction": "\u202egnp.exe\u2066\u200f",
    "a tab and line breaks": "a\tb\r\nc\u2028d\u0085e\x0bf",
    "C1 controls": "\x9b31m\x90",
    "zero-width": "pay\u200bpal\ufeff",
    "NUL and DEL": "a\x00b\x7f",
    "emoji codes": ":smile: 👩\u200d🔬",
}


def seqs(ran):
    return [int(line.split("\t")[0]) for line in ran.out.splitlines()]


def is_harmless(text):
    """Nothing in it moves the cursor, styles, or turns the direction of what follows."""
    return all(letter in "\n\u200d" or unicodedata.category(letter)[0] != "C" for letter in text)


@pytest.fixture
def story(journal):
    """Seven entries of users, groups, and one malformed message."""
    with Recorder("T", journal, on_invalid="reject") as recorder:
        recorder.people_set("ada", {"plan": "pro", "city": "Zürich"})
        recorder.people_increment("ada", {"visits": 2})
        recorder.people_increment("bob", {"visits": 1})
        recorder.people_unset("ada", ["city"])
        recorder.group_set("company", "acme", {"plan": "team"})
        recorder.people_increment("bob", {"visits": "two"})
        recorder.people_delete("bob")
    return journal


# --- which, and in which order


def test_entries_come_newest_first(restante, story):
    ran = restante("entries", "-j", story)
    assert (ran.code, ran.err) == (0, "")
    assert seqs(ran) == [7, 6, 5, 4, 3, 2, 1]
    cells = [line.split("\t") for line in ran.out.splitlines()]
    assert {len(line) for line in cells} == {6}
    by_seq = {int(line[0]): line[2:] for line in cells}
    assert by_seq[1] == ["ada", "$set", 'set plan, city  "pro", "Zürich"', "pending"]
    assert by_seq[2] == ["ada", "$add", "visits +2", "pending"]
    assert by_seq[4] == ["ada", "$unset", "unset city", "pending"]
    assert by_seq[5] == ["company:acme", "$set", 'set plan  "team"', "pending"]
    assert by_seq[6][3].startswith("rejected (")
    assert by_seq[7] == ["bob", "$delete", "delete the profile", "pending"]


def test_limit_shows_the_newest(restante, story):
    ran = restante("entries", "-j", story, "--limit", 2)
    assert seqs(ran) == [7, 6]
    assert ran.err == "2 of 7; --limit shows more.\n"
    ran = restante("entries", "-j", story, "--limit", 2, "op=add", "state=pending")
    assert seqs(ran) == [3, 2]
    assert ran.err == ""


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_limit_that_is_none_exits_2(restante, story, limit):
    assert restante("entries", "-j", story, "--limit", limit).code == 2


def test_huge_limit_is_refused(restante, story):
    ran = restante("entries", "-j", story, "--limit", "99999999999999999999")
    assert ran.code in {0, 2}
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["state=rejected"], [6]),
        (["op=add", "profile=ada"], [2]),
        (["op=add profile=ada"], [2]),
        (["lane=groups"], [5]),
        (["visits", "state!=rejected"], [3, 2]),
        (["seq=2..3"], [3, 2]),
        (["since=1h", "group=company"], [5]),
        (["zürich"], [1]),
        (["basel"], []),
    ],
)
def test_words_filter_and_all_must_hold(restante, story, words, found):
    ran = restante("entries", "-j", story, *words)
    assert ran.code == 0
    assert seqs(ran) == found
    assert ran.err == ("" if found else "No entry matches.\n")


def test_empty_journal_says_so(restante, journal):
    Recorder("T", journal).close()
    ran = restante("entries", "-j", journal)
    assert (ran.code, ran.out, ran.err) == (0, "", "Nothing is recorded yet.\n")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("state=lost_in_space", "the states are pending, sending"),
        ("colour=red", "the keys are state, op"),
        ("op=", "write op=add"),
        ("seq=a..b", "100..200"),
        ("since=yesterday", "2h"),
        ("\udcff", ""),  # a byte that is not UTF-8, as Python hands it over
    ],
)
def test_bad_filter_is_explained(restante, story, word, says):
    ran = restante("entries", "-j", story, word)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert "Traceback" not in ran.err


# --- for programs


def test_json_is_a_list_of_entries(restante, story):
    ran = restante("entries", "-j", story, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert [entry["seq"] for entry in ran.json] == [7, 6, 5, 4, 3, 2, 1]
    assert {tuple(entry) for entry in ran.json} == {tuple(field.name for field in dataclasses.fields(Entry))}
    first = ran.json[-1]
    assert first["message"]["$set"] == {"plan": "pro", "city": "Zürich"}
    assert (first["lane"], first["operator"], first["state"]) == ("people", "$set", "pending")
    assert (first["attempt"], first["sends"], first["reason"], first["possibly_twice"]) == (
        None,
        0,
        None,
        False,
    )


def test_json_without_match_is_empty(restante, story):
    ran = restante("entries", "-j", story, "--json", "profile=nobody")
    assert (ran.code, ran.out, ran.err) == (0, "[]\n", "")


# --- marks


@pytest.fixture
def marked(journal, append, service):
    """1 was rejected and goes after 2, its profile's later one; 3 was sent twice."""
    append({"$distinct_id": "ada", "$add": {"visits": "two"}}, {"$distinct_id": "ada", "$add": {"visits": 1}})
    transport = HttpTransport(url=service.url)
    with Journal(journal) as opened:
        shipper = Shipper(opened, transport, ShippingPolicy(settle_after=0))
        shipper.ship()
        opened.retry("seq=1")
        append({"$distinct_id": "eve", "$add": {"visits": 1}})
        service.set_faults([{"at": 2, "fault": "ack_lost"}])
        while shipper.ship().pending + opened.statistics(0.0).in_doubt:
            pass
    transport.close()
    return journal


def test_marks_stand_beside_the_state(restante, marked):
    states = [line.split("\t")[5] for line in restante("entries", "-j", marked).out.splitlines()]
    assert states[:2] == ["shipped, possibly twice", "shipped"]
    assert states[2].startswith("rejected, out of order (")


def test_marks_are_fields_for_programs(restante, marked):
    newest, _, oldest = restante("entries", "-j", marked, "--json").json
    assert (newest["possibly_twice"], newest["out_of_order"]) == (True, False)
    assert (oldest["possibly_twice"], oldest["out_of_order"]) == (False, True)


def test_marks_fit_a_terminal(restante, marked):
    terminal = Terminal()
    restante("entries", "-j", marked, stdout=terminal)
    lines = terminal.plain.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert [line.strip() for line in lines[2:6:3]] == [
        "possibly twice",
        "out of order; $add.visits, must be a number, not a string",
    ]


# --- what users called things never reaches the terminal raw


def hostile(journal):
    with Recorder("T", journal, on_invalid="reject") as recorder:
        for text in HOSTILE.values():
            recorder.people_set(text, {text: text})
            recorder.people_unset(text, [text])
            recorder.group_set(text, text, {text: [text]})
            recorder.people_update({"$distinct_id": text, f"${text}": {text: text}})
            recorder.people_increment(text, {text: text})
    return 5 * len(HOSTILE)


def test_hostile_text_is_escaped_in_pipes(restante, journal):
    written = hostile(journal)
    ran = restante("entries", "-j", journal)
    lines = ran.out.split("\n")
    assert lines.pop() == ""
    assert len(lines) == written
    assert {line.count("\t") for line in lines} == {5}
    assert is_harmless(ran.out.replace("\t", ""))
    assert "\\x1b[31mred" in ran.out
    assert "[bold red]x[/]" in ran.out


def test_hostile_text_is_escaped_on_terminals(restante, journal):
    hostile(journal)
    terminal = Terminal()
    restante("entries", "-j", journal, stdout=terminal)
    assert terminal.styles == OURS
    assert is_harmless(terminal.plain)
    assert "[bold red" in terminal.plain
    assert "\U0001f604" not in terminal.plain


def test_hostile_filter_is_escaped(restante, journal):
    hostile(journal)
    terminal = Terminal()
    restante("entries", "-j", journal, "state=\x1b]0;pwned\x07\u202e", stderr=terminal)
    assert "is not a state" in terminal.plain
    assert is_harmless(terminal.plain)


def test_table_fits_the_terminal(restante, story):
    id_ = "6f1c3b1e-9a1b-4c57-8a53-5cb4b4d1f2aa"
    with Recorder("T", story) as recorder:
        recorder.people_set(id_, {"email": "a.visitor.with.a.name@example.com", "plan": "pro"})
        recorder.group_set("x" * 255, "x" * 255, {"x" * 255: "x" * 255})
    terminal = Terminal()
    restante("entries", "-j", story, "state=pending", "op=set", "seq=8..", stdout=terminal)
    lines = terminal.plain.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].split() == ["SEQ", "AGE", "STATE", "PROFILE", "SUMMARY"]
    assert [line.split()[0] for line in lines[1:]] == ["9", "8"]
    assert "6f1c3b1e-9a1…d1f2aa" in lines[2]


def test_wide_terminal_shows_more(restante, story):
    terminal = Terminal()
    restante("entries", "-j", story, "seq=6", stdout=terminal, environment={"COLUMNS": "200"})
    assert 'visits +"two"' in terminal.plain
    narrow = Terminal()
    restante("entries", "-j", story, "seq=6", stdout=narrow, environment={"COLUMNS": "39"})
    assert narrow.plain.count("\t") == 5


def test_pipe_is_coloured_when_asked(restante, story):
    plain, coloured = restante("entries", "-j", story), restante("--color", "always", "entries", "-j", story)
    assert "\tvisits +2\t\x1b[36mpending\x1b[0m\n" in coloured.out
    assert re.sub(r"\x1b\[\d+m", "", coloured.out) == plain.out


def test_config_chooses_columns(restante, story):
    file = restante.folder / ".config" / "restante" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('columns = ["profile", "summary"]', encoding="utf-8")
    terminal = Terminal()
    restante("entries", "-j", story, "seq=2", stdout=terminal)
    assert [line.split() for line in terminal.plain.splitlines()] == [
        ["SEQ", "PROFILE", "SUMMARY"],
        ["2", "ada", "visits", "+2"],
    ]


def test_narrow_encoding_is_no_error(restante, journal):
    with Recorder("T", journal) as recorder:
        recorder.people_set("日本", {"名": "€"})
    ran = restante("entries", "-j", journal, environment={"PYTHONIOENCODING": "latin-1"})
    assert ran.code == 0
    assert "Traceback" not in ran.err
    assert len(ran.out.splitlines()) == 1


# --- closed pipes


@pytest.mark.parametrize(
    "options", sampled([["--limit", "3000"], ["--limit", "1"], ["--limit", "3000", "--json"]], 3)
)
def test_closed_pipe_is_silent(restante, journal, append, options):
    append(*({"$distinct_id": f"u{number}", "$set": {"text": "x" * 60}} for number in range(3_000)))
    process = restante.start("entries", "-j", journal, *options)
    process.stdout.read(1)
    process.stdout.close()
    process.stdin.close()
    err = process.stderr.read().decode()
    code = process.wait(60)
    assert "Traceback" not in err
    assert "Error" not in err
    assert code == 0
