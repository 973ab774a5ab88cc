"""The official SDK, mixpanel 5.4.1, recording through `JournalConsumer`."""

import json
import pickle
import re
import sqlite3
import sys
import threading

import mixpanel
import pytest

from recorder import (
    InvalidOperation,
    JournalBusy,
    JournalConsumer,
    JournalError,
    JournalReader,
    Lane,
    RestanteError,
    State,
    WrongToken,
)
from simulator import Simulator
from simulator.service.server import Service


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kiosk.db"


def entries(path):
    with JournalReader(path) as reader:
        return list(reversed(reader.entries(limit=10_000)))


def every_profile_call(people):
    people.people_set("ada", {"plan": "free", "n": 1})
    people.people_set_once("ada", {"first": True, "plan": "late"})
    people.people_increment("ada", {"n": 2, "k": 1.5})
    people.people_append("ada", {"list": "a"})
    people.people_union("ada", {"list": ["a", "b"]})
    people.people_remove("ada", {"list": "a"})
    people.people_unset("ada", ["k"])
    people.people_track_charge("ada", 9.99, {"$time": "2026-01-02T03:04:05"})
    people.people_track_charge("bob", 1)
    people.people_clear_charges("bob")
    people.people_set("gone", {"a": 1})
    people.people_delete("gone")
    people.people_update({"$distinct_id": "ada", "$set": {"multi": 1}, "$unset": ["first"]})
    people.group_set("company", "acme", {"sites": 2})
    people.group_set_once("company", "acme", {"sites": 3, "since": 1999})
    people.group_union("company", "acme", {"tags": ["x"]})
    people.group_remove("company", "acme", {"tags": "x"})
    people.group_unset("company", "acme", ["since"])
    people.group_set("company", "gone", {"a": 1})
    people.group_delete("company", "gone")
    people.group_update({"$group_key": "company", "$group_id": "acme", "$set": {"late": True}})


def test_every_call_reaches_service_as_predicted(path):
    with Service() as service, JournalConsumer(path, url=service.url) as consumer:
        every_profile_call(mixpanel.Mixpanel("T", consumer=consumer))
        assert consumer.flush().stopped_by == "done"
        simulator = Simulator.from_journal(path)
        assert service.profiles() == {id_: dict(profile) for id_, profile in simulator.profiles.items()}
        assert service.groups() == {"company": {"acme": {"sites": 2, "tags": [], "late": True}}}
        assert service.messages(verdict="rejected") == []


def test_events_and_imports_travel_unchanged(path):
    with Service() as service, JournalConsumer(path, url=service.url) as consumer:
        sdk = mixpanel.Mixpanel("T", consumer=consumer)
        sdk.track("ada", "opened", {"page": 1})
        sdk.import_data("key", "ada", "old", 1_000, {"page": 2}, api_secret="hush-hush")
        sdk.merge("key", "ada", "bob", api_secret="hush-hush")
        recorded = entries(path)
        assert consumer.flush().stopped_by == "done"
        received = service.messages()
    assert [entry.lane for entry in recorded] == [Lane.EVENTS, Lane.IMPORTS, Lane.IMPORTS]
    assert recorded[0].profile == "ada"
    assert [message["event"] for message in (entry.message for entry in recorded)] == [
        "opened",
        "old",
        "$merge",
    ]
    kept = [
        received_.message if hasattr(received_, "message") else received_["message"] for received_ in received
    ]
    assert sorted(map(json.dumps, kept)) == sorted(json.dumps(dict(entry.message)) for entry in recorded)


def test_credentials_are_never_written_down(path):
    with JournalConsumer(path) as consumer:
        sdk = mixpanel.Mixpanel("T", consumer=consumer)
        sdk.import_data("api-key-123", "ada", "old", 1_000, api_secret="hush-hush")
        sdk.merge("api-key-123", "ada", "bob", api_secret="hush-hush")
    written = b"".join(file.read_bytes() for file in path.parent.iterdir())  # nothing has it open any more
    assert b"$merge" in written
    assert b"hush-hush" not in written
    assert b"api-key-123" not in written


def test_errors_are_the_sdks_own_too(path, monkeypatch):
    """An app has handlers for those; without the SDK they are ours alone."""
    with JournalConsumer(path) as consumer:
        with pytest.raises(mixpanel.MixpanelException, match="no such endpoint 'flags'"):
            consumer.send("flags", "{}")
        with pytest.raises(mixpanel.MixpanelException) as caught:
            consumer.send("people", "[")
        assert isinstance(caught.value, InvalidOperation)
        assert isinstance(caught.value, ValueError)
        assert caught.value.__notes__ == [caught.value.hint]
        copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own bytes
        assert (type(copy), str(copy), copy.hint) == (InvalidOperation, str(caught.value), caught.value.hint)
        monkeypatch.delitem(sys.modules, "mixpanel")
        with pytest.raises(RestanteError, match="no such endpoint"):
            consumer.send("flags", "{}")


def test_journal_errors_are_the_sdks_own_too(path):
    """At every call that an app makes: the constructor, recording, flushing."""
    path.write_text("something else, and long enough to be no journal")
    with pytest.raises(mixpanel.MixpanelException, match="is not a journal") as caught:
        JournalConsumer(path)
    assert isinstance(caught.value, JournalError)
    path.unlink()
    consumer = JournalConsumer(path, token="T", busy_timeout=0.05, background=True, url="http://127.0.0.1:9")
    sdk = mixpanel.Mixpanel("T", consumer=consumer)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(mixpanel.MixpanelException, match="kept it locked") as caught:
        sdk.people_set("ada", {"a": 1})
    assert isinstance(caught.value, JournalBusy)
    other.execute("ROLLBACK")
    other.close()
    consumer.close()
    for call in (lambda: sdk.track("ada", "opened"), consumer.flush):
        with pytest.raises(mixpanel.MixpanelException, match="is closed"):
            call()


def test_a_consumer_is_never_falsy(path):
    """The SDK writes `consumer or Consumer()`: a falsy one would be replaced by a network client."""
    with JournalConsumer(path) as consumer:
        assert consumer
        assert mixpanel.Mixpanel("T", consumer=consumer)._consumer is consumer


def test_malformed_message_is_refused_at_call(path):
    with JournalConsumer(path) as consumer:
        sdk = mixpanel.Mixpanel("T", consumer=consumer)
        for call in (
            lambda: sdk.people_set("ada", {"a": float("nan")}),
            lambda: sdk.people_set("ada", [1]),
            lambda: sdk.people_unset("ada", "plan"),
            lambda: sdk.people_set("", {"a": 1}),
            lambda: sdk.track("ada", "opened", {"a": float("inf")}),
        ):
            with pytest.raises(InvalidOperation):
                call()
        with pytest.raises(InvalidOperation, match="is not JSON"):
            consumer.send("people", "{")
        with pytest.raises(InvalidOperation, match="appears twice"):
            consumer.send("people", '{"$token":"T","$distinct_id":"ada","$set":{"a":1},"$set":{"b":1}}')
    assert entries(path) == []


def test_malformed_messages_may_become_rejected_entries(path):
    with JournalConsumer(path, on_invalid="reject") as consumer:
        mixpanel.Mixpanel("T", consumer=consumer).people_unset("ada", "plan")
    assert [(entry.state, entry.profile) for entry in entries(path)] == [(State.REJECTED, "ada")]


def test_unknown_operators_are_refused_or_recorded(path):
    message = {"$distinct_id": "ada", "$setOnce": {"plan": "pro"}}
    refused = pytest.raises(mixpanel.MixpanelException, match=r"did you mean \$set_once\?")
    with JournalConsumer(path) as consumer, refused:
        mixpanel.Mixpanel("T", consumer=consumer).people_update(message)
    with JournalConsumer(path, unknown_operators="ship") as consumer:
        mixpanel.Mixpanel("T", consumer=consumer).people_update(message)
    assert [entry.operator for entry in entries(path)] == ["$setOnce"]


def test_first_token_is_kept(path):
    with JournalConsumer(path) as consumer:
        mixpanel.Mixpanel("T", consumer=consumer).people_set("ada", {"a": 1})
        assert consumer.journal.token == "T"
        with pytest.raises(WrongToken):
            mixpanel.Mixpanel("U", consumer=consumer).people_set("ada", {"a": 1})
        with pytest.raises(WrongToken):
            mixpanel.Mixpanel("U", consumer=consumer).track("ada", "opened")
    assert "$token" not in entries(path)[0].message


def test_given_token_is_kept(path):
    with JournalConsumer(path, token="T") as consumer, pytest.raises(WrongToken):
        mixpanel.Mixpanel("U", consumer=consumer).people_set("ada", {"a": 1})


def test_threads_share_a_consumer(path):
    with JournalConsumer(path) as consumer:
        sdk = mixpanel.Mixpanel("T", consumer=consumer)

        def work(place):
            for n in range(25):
                sdk.people_append(f"p{place}", {"n": n})

        threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    simulator = Simulator.from_journal(path)
    assert {id_: profile["n"] for id_, profile in simulator.profiles.items()} == {
        f"p{place}": list(range(25)) for place in range(4)
    }


def test_unwritten_token_is_not_kept(path):
    def no_commit(action, operation, *_):
        denied = action == sqlite3.SQLITE_TRANSACTION and operation == "COMMIT"
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    with JournalConsumer(path) as consumer:
        sdk = mixpanel.Mixpanel("T", consumer=consumer)
        beneath = consumer.journal._connection._sqlite
        beneath.set_authorizer(no_commit)
        with pytest.raises(JournalError):
            sdk.people_set("ada", {"a": 1})
        assert consumer.journal.token is None
        beneath.set_authorizer(None)
        sdk.people_set("ada", {"a": 2})
    with JournalConsumer(path) as consumer:
        assert consumer.journal.token == "T"
    assert [entry.message["$set"] for entry in entries(path)] == [{"a": 2}]


def at_once(work, count=8):
    """What `count` threads make of `work(place)`, all let go at the same moment."""
    barrier = threading.Barrier(count)
    results = [None] * count

    def run(place):
        barrier.wait(10)
        try:
            results[place] = work(place)
        except Exception as error:  # noqa: BLE001  # it is looked at
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


@pytest.mark.parametrize("round_", range(10))
def test_threads_may_race_for_first_message(path, round_):  # noqa: ARG001  # each round is a race
    with JournalConsumer(path) as consumer:
        sdk = mixpanel.Mixpanel("T", consumer=consumer)

        def first(place):
            sdk.people_append("ada", {"n": place})
            sdk.track("ada", "opened")

        assert at_once(first) == [None] * 8
        assert consumer.journal.token == "T"
    assert sorted(entry.lane for entry in entries(path)) == [Lane.EVENTS] * 8 + [Lane.PEOPLE] * 8
    simulator = Simulator.from_journal(path)
    assert sorted(simulator.profile("ada")["n"]) == list(range(8))


@pytest.mark.parametrize("round_", range(10))
def test_projects_racing_for_journal_are_told(path, round_):  # noqa: ARG001
    with JournalConsumer(path) as consumer:

        def first(place):
            sdk = mixpanel.Mixpanel(f"T{place}", consumer=consumer)
            (sdk.track if place % 2 else sdk.people_set)("ada", {"a": 1} if not place % 2 else "opened")

        results = at_once(first)
        (winner,) = [place for place, result in enumerate(results) if result is None]
        assert all(isinstance(result, WrongToken) for result in results if result is not None)
        assert consumer.journal.token == f"T{winner}"
    assert len(entries(path)) == 1


def test_array_of_messages_is_journaled_whole(path):
    """What the SDK's buffered consumer would hand to the one beneath it."""
    good = [{"$token": "T", "$distinct_id": "ada", "$set": {"n": n}, "$unset": ["m"]} for n in range(2)]
    bad = {"$token": "T", "$distinct_id": "ada", "$unset": "m"}
    with JournalConsumer(path) as consumer:
        with pytest.raises(InvalidOperation):
            consumer.send("people", json.dumps([*good, bad]))
        assert entries(path) == []
        consumer.send("people", "[]")
        consumer.send("people", json.dumps(good))
    assert [entry.operator for entry in entries(path)] == ["$set", "$unset"] * 2


def test_buffered_consumer_may_stand_in_front(path):
    with JournalConsumer(path) as consumer:
        buffered = mixpanel.BufferedConsumer(max_size=3)
        buffered._consumer = consumer
        sdk = mixpanel.Mixpanel("T", consumer=buffered)
        for n in range(5):
            sdk.people_increment("ada", {"n": n})
        assert len(entries(path)) == 3
        buffered.flush()
    assert len(entries(path)) == 5


def test_malformed_events_may_become_rejected_entries(path):
    with JournalConsumer(path, on_invalid="reject") as consumer:
        sdk = mixpanel.Mixpanel("T", consumer=consumer)
        sdk.track("ada", "large", {"page": "x" * 1_000_000})
        mixpanel.Mixpanel("U", consumer=consumer).track("ada", "astray")
        mixpanel.Mixpanel("U", consumer=consumer).people_set("ada", {"a": 1})
        sdk.track("ada", "opened")
    large, astray, update, opened = entries(path)
    assert [entry.state for entry in (large, astray, update, opened)] == [State.REJECTED] * 3 + [
        State.PENDING
    ]
    assert large.reason.startswith("message: the update takes 1,000,")
    assert "another project" in astray.reason
    assert astray.reason == update.reason


def test_unknown_on_invalid_is_refused(path):
    with pytest.raises(ValueError, match="'raise' or 'reject', not 'ignore'"):
        JournalConsumer(path, on_invalid="ignore")
    assert not path.exists()


def test_events_are_stamped_when_recorded(path):
    """With the call's time and an id to know them by, where they have none; imports travel as they are."""
    given = {"token": "T", "time": None, "$insert_id": "own"}
    with JournalConsumer(path, clock=lambda: 1_700_000_000.9) as consumer:
        for properties in ({"token": "T"}, {"token": "T"}, given):
            consumer.send("events", json.dumps({"event": "e", "properties": properties}))
        for malformed in ({"event": "e"}, {"event": "e", "properties": "x"}):
            consumer.send("events", json.dumps(malformed))
        consumer.send("imports", json.dumps({"event": "e", "properties": {"token": "T"}}))
    first, second, *others = (entry.message.get("properties") for entry in entries(path))
    assert first["time"] == second["time"] == 1_700_000_000
    assert len({first["$insert_id"], second["$insert_id"]}) == 2
    assert re.fullmatch("[0-9a-f]{32}", first["$insert_id"])
    assert others == [given, None, "x", {"token": "T"}]
