"""`restante export`, and `record --again`, which takes back all of it."""

import json

import pytest

from recorder import Journal, Recorder
from recorder.model.entries import NewEntry

UPDATES = [
    {"$distinct_id": "ada", "$set": {"plan": "pro", "city": "Zürich"}, "$time": 1},
    {"$group_key": "company", "$group_id": "acme", "$union": {"sites": ["Oslo"]}, "$time": 2},
    {"$distinct_id": "bob", "$add": {"visits": 1.0, "big": 2**80}, "$time": 3},
]


def lines(ran):
    return [json.loads(line) for line in ran.out.splitlines()]


@pytest.fixture
def other(tmp_path):
    return tmp_path / "other.db"


def test_pending_messages_come_oldest_first(restante, journal, append):
    append(*UPDATES)
    ran = restante("export", "-j", journal)
    assert (ran.code, ran.err) == (0, "Exported 3 entries.\n")
    assert ran.out.splitlines() == [json.dumps(update, ensure_ascii=False) for update in UPDATES]


def test_exported_lines_can_be_recorded(restante, journal, append, other, entries):
    append(*UPDATES)
    exported = restante("export", "-j", journal).out
    assert restante("record", "--token", "OTHER", "-j", other, stdin=exported).code == 0
    assert [entry.message for entry in entries(other)] == [entry.message for entry in entries(journal)]
    assert lines(restante("export", "-j", other)) == UPDATES


def test_narrow_encoding_still_gives_json(restante, journal, append):
    append(*UPDATES)
    ran = restante("export", "-j", journal, environment={"PYTHONIOENCODING": "latin-1"})
    assert lines(ran) == UPDATES
    assert ran.out.isascii()


def test_pages_are_joined_without_a_seam(restante, journal, append):
    append(*({"$distinct_id": f"u{number}", "$set": {"n": number}} for number in range(450)))
    ran = restante("export", "-j", journal, "seq=3..445")
    assert [line["$set"]["n"] for line in lines(ran)] == list(range(2, 445))


@pytest.fixture
def several_states(journal, append):
    append(*UPDATES)
    with Journal(journal) as opened:
        opened.discard("seq=2")
    return journal


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ([], [1, 3]),
        (["profile=ada"], [1]),
        (["op=union"], []),
        (["state=discarded"], [2]),
        (["state!=shipped"], [1, 2, 3]),
        (["op=union state!=shipped"], [2]),
    ],
)
def test_filter_without_state_means_pending(restante, several_states, words, numbers):
    ran = restante("export", "-j", several_states, *words)
    assert ran.code == 0
    assert [line.get("message", line)["$time"] for line in lines(ran)] == numbers
    assert [line.get("state") for line in lines(ran)] == [
        "discarded" if number == 2 else None for number in numbers
    ]


def test_other_states_require_again(restante, several_states, other, entries, tmp_path):
    exported = restante("export", "-j", several_states, "state!=shipped").out
    ran = restante("record", "--token", "T", "-j", other, stdin=exported)
    assert (ran.code, ran.out) == (2, "")
    assert "line 2: message: is of an entry that is discarded; `record --again`" in ran.err
    assert not other.exists() or entries(other) == []
    ran = restante("record", "--token", "T", "--skip-invalid", tmp_path / "bad", "-j", other, stdin=exported)
    assert ran.code == 1
    assert (tmp_path / "bad").read_text() == exported.splitlines(keepends=True)[1]
    ran = restante("record", "--token", "T", "--again", "-j", other, stdin=exported)
    assert ran.code == 0
    assert [entry.message for entry in entries(other)[-3:]] == UPDATES
    assert {entry.state.value for entry in entries(other)} == {"pending"}


def test_malformed_entry_stays_invalid(restante, journal, other):
    with Recorder("T", journal, on_invalid="reject") as recorder:
        recorder.people_increment("ada", {"visits": "two"})
    exported = restante("export", "-j", journal, "state=rejected").out
    assert json.loads(exported)["state"] == "rejected"
    ran = restante("record", "--token", "T", "--again", "-j", other, stdin=exported)
    assert ran.code == 2
    assert "line 1: $add.visits" in ran.err


@pytest.mark.parametrize(
    "line",
    [
        {"state": "lost_in_space", "message": UPDATES[0]},
        {"state": ["shipped"], "message": UPDATES[0]},
        {"state": "shipped", "message": [UPDATES[0]]},
        {"state": "shipped", "message": {"state": "shipped", "message": UPDATES[0]}},
    ],
)
def test_counterfeit_export_is_invalid(restante, other, line):
    ran = restante("record", "--token", "T", "--again", "-j", other, stdin=json.dumps(line))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Error: line 1: ")
    assert "Traceback" not in ran.err


def test_events_and_imports_are_omitted(restante, journal, append):
    append(UPDATES[0])
    event = NewEntry("events", None, "ada", None, '{"event":"opened","properties":{"token":"T"}}', 1.0)
    with Journal(journal) as opened:
        opened.append([event, event._replace(lane="imports")])
    ran = restante("export", "-j", journal)
    assert lines(ran) == UPDATES[:1]
    assert ran.err == "Exported 1 entry.\nLeft out 2 events and imports.\n"


def test_bad_filter_is_refused(restante, journal, append):
    append(*UPDATES)
    ran = restante("export", "-j", journal, "colour=red")
    assert (ran.code, ran.out) == (2, "")


def test_missing_journal_is_refused(restante, journal, tmp_path):
    assert restante("export", "-j", journal).code == 2
    assert list(tmp_path.iterdir()) == []


def test_closed_pipe_is_silent(restante, journal, append):
    append(*({"$distinct_id": f"u{number}", "$set": {"text": "x" * 60}} for number in range(3_000)))
    process = restante.start("export", "-j", journal)
    process.stdout.read(1)
    process.stdout.close()
    process.stdin.close()
    err = process.stderr.read().decode()
    assert (process.wait(60), err) == (0, "")
