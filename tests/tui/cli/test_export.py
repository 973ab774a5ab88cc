"""`restante export` as lines and as a database, and `record --again`, which takes back all of the lines."""

import json
import resource

import pytest
from sqlite_utils import Database

from recorder import Journal, JournalReader, Recorder, Shipper
from recorder.model.entries import NewEntry
from tests.doubles import RESET, Scripted

UPDATES = [
    {"$distinct_id": "ada", "$set": {"plan": "pro", "city": "Zürich"}, "$time": 1, "$device_id": "d"},
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


def test_unsent_entries_left_out_are_counted(restante, journal, append):
    append(*UPDATES)
    with Journal(journal) as opened:
        Shipper(opened, Scripted(RESET)).ship()
    left_out = "Left out 2 unsent entries: state=waiting,sending,in_doubt writes them.\n"
    assert restante("export", "-j", journal).err == f"Exported 0 entries.\n{left_out}"
    assert "Left out" not in restante("export", "-j", journal, "profile=ada").err


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


@pytest.fixture
def everything(journal, append, service, restante):
    """Shipped, discarded, forgotten and pending updates, an event and a group."""
    append(UPDATES[0])
    assert restante("ship", "-j", journal, "--url", service.url).code == 0
    append(*UPDATES, {"$distinct_id": "eve", "$set": {"a": 1}})
    event = NewEntry("events", None, "ada", None, '{"event":"opened","lone":"\\ud83d"}', 1.0)
    with Journal(journal) as opened:
        opened.append([event])
        opened.discard("seq=4")
        opened.forget("eve")
    return journal


def test_all_has_every_lane_and_state(restante, everything):
    ran = restante("export", "--all", "-j", everything)
    assert (ran.code, ran.err) == (0, "Exported 6 entries.\n")
    assert [(line.get("lane"), line.get("state")) for line in lines(ran)] == [
        (None, "shipped"),
        (None, None),
        (None, None),
        (None, "discarded"),
        (None, "forgotten"),
        ("events", "pending"),
    ]
    assert lines(ran)[1:3] == UPDATES[:2]
    assert len(lines(restante("export", "--all", "-j", everything, "profile=ada"))) == 3


def test_json_belongs_to_a_database(restante, everything):
    ran = restante("export", "--json", "-j", everything)
    assert (ran.code, ran.out) == (2, "")
    assert "--to" in ran.err


@pytest.fixture
def database(tmp_path):
    """Open an exported database, and close it in the end."""
    opened = []

    def connect(name="plain.db"):
        opened.append(Database(tmp_path / name))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


def test_tables_hold_what_journal_says(restante, everything, entries, database, tmp_path):
    ran = restante("export", "--json", "-j", everything, "--to", "plain.db")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json == {"file": "plain.db", "attempts": 1, "entries": 6, "profiles": 2, "properties": 3}
    assert (tmp_path / "plain.db").stat().st_mode & 0o777 == 0o600
    plain = database()
    columns = [field for field in entries(everything)[0].__dataclass_fields__ if field != "message"]
    for row, entry in zip(plain["entries"].rows, entries(everything), strict=True):
        assert {name: row[name] for name in columns} == {name: getattr(entry, name) for name in columns}
        assert json.loads(row["message"]) == entry.message
    (reference,) = plain["entries"].foreign_keys
    assert (reference.column, reference.other_table, reference.other_column) == ("attempt", "attempts", "id")
    with JournalReader(everything) as reader:
        (attempt,) = reader.attempts()
    assert [*plain["attempts"].rows] == [{name: getattr(attempt, name) for name in attempt.__slots__}]


def test_profiles_are_predicted_and_shipped(restante, everything, database):
    assert restante("export", "-j", everything, "--to", "plain.db").code == 0
    profiles = {(row["group_key"], row["id"]): row for row in database()["profiles"].rows}
    ada = profiles[None, "ada"]
    assert json.loads(ada["properties"]) == json.loads(ada["shipped"]) == UPDATES[0]["$set"]
    acme = profiles["company", "acme"]
    assert (json.loads(acme["properties"]), acme["shipped"]) == ({"sites": ["Oslo"]}, None)
    properties = {(row["profile"], row["name"]): row for row in database()["properties"].rows}
    assert {key: (row["value"], row["type"]) for key, row in properties.items()} == {
        ("ada", "plan"): ('"pro"', "string"),
        ("ada", "city"): ('"Zürich"', "string"),
        ("acme", "sites"): ('["Oslo"]', "array"),
    }


def test_pending_deletion_shows_what_shipped(restante, everything, append, database):
    append({"$distinct_id": "ada", "$delete": ""})
    assert restante("export", "-j", everything, "--to", "plain.db").code == 0
    (ada,) = database()["profiles"].rows_where("id = 'ada'")
    assert (ada["properties"], json.loads(ada["shipped"])) == (None, UPDATES[0]["$set"])


def test_filter_chooses_entries_only(restante, everything, database):
    ran = restante("export", "-j", everything, "--to", "plain.db", "state=pending", "lane=people")
    assert (ran.code, ran.err) == (0, "Exported 1 entry, 1 attempt and 2 profiles to plain.db.\n")
    assert [row["seq"] for row in database()["entries"].rows] == [2]


def test_attempts_of_many_pages_come(restante, journal, append, database):
    """A request each, more than are read at once."""
    append(*UPDATES)
    with Journal(journal) as opened, opened._connection.transaction() as connection:
        connection.executemany(
            "INSERT INTO attempts (id, lane, epoch, first, last, updates, bytes, digest, started_at)"
            " VALUES (?, 'people', 1, 1, 1, 1, 1, '', 1.0)",
            [(number,) for number in range(1, 2_502)],
        )
    assert restante("export", "-j", journal, "--to", "plain.db").code == 0
    assert [row["id"] for row in database()["attempts"].rows] == [*range(1, 2_502)]


@pytest.mark.parametrize(
    "name", ["a'; DROP TABLE entries; --", 'x"y]', "[seq]", "\x1b[31m\n\x00\u202e", "message", "{0} %s ?", ""]
)
def test_hostile_names_stay_data(restante, journal, append, database, name):
    append({"$distinct_id": name or "-", "$set": {name: name}})
    assert restante("export", "-j", journal, "--to", "plain.db").code == 0
    assert sorted(database().table_names()) == ["attempts", "entries", "profiles", "properties"]
    ((row,), (profile,), (one,)) = (
        [*database()[table].rows] for table in ("entries", "profiles", "properties")
    )
    assert (row["profile"], profile["id"], one["profile"], one["name"]) == (name or "-",) * 3 + (name,)
    assert json.loads(profile["properties"]) == {name: name}


def test_existing_database_is_refused(restante, journal, append, tmp_path):
    append(*UPDATES)
    (tmp_path / "plain.db").write_text("mine", encoding="utf-8")
    for name in ("plain.db", "kiosk.db"):
        ran = restante("export", "-j", journal, "--to", name)
        assert (ran.code, ran.out) == (2, "")
        assert f"{name} exists already" in ran.err
    assert (tmp_path / "plain.db").read_text(encoding="utf-8") == "mine"
    assert len(lines(restante("export", "-j", journal))) == 3


@pytest.mark.parametrize("content", [None, b"no database" * 99], ids=["missing", "stranger"])
def test_unreadable_journal_leaves_no_database(restante, journal, tmp_path, content):
    if content is not None:
        journal.write_bytes(content)
    before = {*tmp_path.iterdir()}
    ran = restante("export", "-j", journal, "--to", "plain.db")
    assert (ran.code, ran.out) == (2, "")
    assert "journal" in ran.err
    assert {*tmp_path.iterdir()} == before


def test_damaged_message_leaves_no_database(restante, journal, append, tmp_path):
    append(*UPDATES)
    with Journal(journal) as opened, opened._connection.transaction() as connection:
        connection.execute("UPDATE entries SET message = '{' WHERE seq = 2")
    ran = restante("export", "-j", journal, "--to", "plain.db")
    assert (ran.code, ran.out) == (1, "")
    assert "restante salvage" in ran.err
    assert not [*tmp_path.glob("plain.db*")]


def test_full_disk_leaves_no_database(restante, journal, append, tmp_path):
    append(*({"$distinct_id": "ada", "$set": {"text": "x" * 60_000}} for _ in range(50)))
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))  # noqa: E731
    ran = restante.process("export", "-j", journal, "--to", "plain.db", preexec_fn=limit)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Error: plain.db cannot be written: ")
    assert not [*tmp_path.glob("plain.db*")]


def test_bad_filter_makes_no_database(restante, journal, append, tmp_path):
    append(*UPDATES)
    assert restante("export", "-j", journal, "--to", "plain.db", "colour=red").code == 2
    assert not [*tmp_path.glob("plain.db*")]


def test_bad_filter_is_refused(restante, journal, append):
    append(*UPDATES)
    ran = restante("export", "-j", journal, "colour=red")
    assert (ran.code, ran.out) == (2, "")


def test_missing_journal_is_refused(restante, journal, tmp_path):
    assert restante("export", "-j", journal).code == 2
    assert list(tmp_path.iterdir()) == []
