"""Messages at the relay's ingestion routes, and the entries that they become."""

import gzip
import json
from base64 import b64encode

import pytest

from recorder import JournalReader
from tests.recorder.relay.conftest import Running

SET = {"$token": "T", "$distinct_id": "ada", "$set": {"plan": "pro"}}
OPENED = {"event": "opened", "properties": {"token": "T", "distinct_id": "ada"}}


def verbose(answer):
    return json.loads(answer.text)


def test_update_is_journaled_before_answer(running):
    assert running.ask("/engage", SET | {"$ip": "192.0.2.1"}).text == "1"
    ((lane, message, state, _),) = running.entries()
    assert (lane, state) == ("people", "pending")
    assert message.pop("$time") > 0
    assert message == {"$ip": "192.0.2.1", "$distinct_id": "ada", "$set": {"plan": "pro"}}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (json.dumps([SET]).encode(), {}),
        (b"verbose=0&data=" + b64encode(json.dumps([SET]).encode()), {}),
        (b"data=" + json.dumps(SET).encode(), {"Content_Type": "application/x-www-form-urlencoded"}),
    ],
)
def test_forms_of_sdks_are_read(running, body, headers):
    assert running.ask("/engage/?ip=1", body, **headers).text == "1"
    assert len(running.entries()) == 1


def test_query_of_node_sdk_is_read(running):
    data = b64encode(json.dumps(SET).encode()).decode()
    assert running.ask(f"/engage?data={data}&ip=0&verbose=0").text == "1"


def test_event_gets_time_and_insert_id(running):
    own = OPENED | {"properties": OPENED["properties"] | {"time": 5, "$insert_id": "mine"}}
    assert (
        running.ask("/track", gzip.compress(json.dumps([OPENED, own]).encode()), Content_Encoding="gzip").text
        == "1"
    )
    (_, first, _, _), (_, second, _, _) = running.entries()
    assert first["properties"]["time"] > 5
    assert len(first["properties"]["$insert_id"]) == 32
    assert second["properties"] == own["properties"]


def test_import_gets_insert_id_only(running):
    own = {"event": "e", "properties": {"token": "T", "distinct_id": "ada"}}
    merge = {"event": "$merge", "properties": {"token": "T", "$distinct_ids": ["ada", "bob"]}}
    assert running.ask("/import", [own, merge]).status == 200
    (_, first, _, _), (_, second, _, _) = running.entries()
    assert len(first["properties"].pop("$insert_id")) == 32
    assert [first, second] == [own, merge]


def test_import_of_token_account_needs_no_token(running):
    event = {"event": "e", "properties": {"time": 86_400_000, "$insert_id": "a1", "distinct_id": "ada"}}
    basic = {"Authorization": "Basic " + b64encode(b"T:").decode()}
    answer = running.ask("/import?strict=1", [event, {"event": "e", "properties": {}}], **basic)
    assert answer.status == 400
    assert [one["index"] for one in verbose(answer)["failed_records"]] == [1]
    assert verbose(answer)["num_records_imported"] == 1
    assert running.entries() == [("imports", event, "pending", None)]


def test_group_update_is_journaled(running):
    update = {"$token": "T", "$group_key": "company", "$group_id": "acme", "$set": {"plan": "pro"}}
    assert running.ask("/groups", [update]).text == "1"
    assert [lane for lane, *_ in running.entries()] == ["groups"]


def test_bad_update_beside_good_is_set_aside(running):
    bad = SET | {"$set": {"name": "half \ud83d"}}
    answer = running.ask("/engage?verbose=1", [SET, bad, {"$token": "X", "$distinct_id": "b", "$set": {}}])
    assert verbose(answer) == {"status": 1, "error": None}
    states = [(state, reason) for _, _, state, reason in running.entries()]
    assert states[0] == ("pending", None)
    assert [state for state, _ in states[1:]] == ["rejected", "rejected"]
    assert "$set.name" in states[1][1]
    assert "not of a project" in states[2][1]


def test_batch_without_good_update_is_refused(running):
    bad = {"$token": "T", "$distinct_id": "ada", "$add": {"n": "x"}}
    answer = running.ask("/engage?verbose=1", [bad, {"$token": "T"}])
    assert verbose(answer) == {"status": 0, "error": "message 1 of 2: $add.n: must be a number, not a string"}
    assert running.ask("/engage", [bad]).text == "0"
    assert running.entries() == []


def test_other_token_is_refused_in_words(running):
    answer = running.ask("/engage?verbose=1", SET | {"$token": "OTHER"})
    assert verbose(answer) == {"status": 0, "error": "$token: is not of a project that this relay serves"}
    assert verbose(running.ask("/track?verbose=1", {"event": "e", "properties": {}}))["status"] == 0


@pytest.mark.parametrize(
    "event", [{"event": ""}, {"event": [], "properties": {}}, {"event": "e", "properties": []}], ids=str
)
def test_event_that_is_none_is_refused(running, event):
    assert running.ask("/import", [event]).text == "0"
    assert running.entries() == []


def test_name_given_twice_is_refused(running):
    """All but its last value would be lost."""
    twice = b'{"$token": "T", "$distinct_id": "ada", "$set": {"a": 1}, "$set": {"b": 2}}'
    answer = running.ask("/engage?verbose=1", twice)
    assert verbose(answer) == {
        "status": 0,
        "error": 'data, malformed JSON: the name "$set" appears twice in an object',
    }


def test_projects_have_journals_of_their_own(tmp_path):
    journals = {"T": tmp_path / "t.db", "U": tmp_path / "u.db"}
    with Running(journals["T"], journals=journals) as running:
        assert running.ask("/engage", [SET, SET | {"$token": "U"}, SET | {"$token": "U"}]).text == "1"
        assert len(running.entries()) == 1
        with JournalReader(journals["U"]) as reader:
            assert reader.counts().pending == 2
