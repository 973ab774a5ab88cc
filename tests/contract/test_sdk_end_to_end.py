"""The official SDK, whole, through `JournalConsumer` and through its own `Consumer`, each to a service of its own."""

import json
from datetime import datetime

import mixpanel
import pytest

from recorder import JournalConsumer, JournalReader
from recorder.model.payloads import Endpoint
from simulator import Simulator
from simulator.service.server import Service

WHEN = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  # the SDK drops an offset

CALLS = [
    ("people_set", "ada", {"plan": "free", "n": 1, "since": WHEN}),
    ("people_set", 12, {"integer": "id"}),
    ("people_set_once", "ada", {"first": True, "plan": "late"}),
    ("people_increment", "ada", {"n": 2, "k": 1.5}),
    ("people_append", "ada", {"list": "a"}),
    ("people_append", "ada", {"list": "a"}, {"$ip": 0, "$ignore_time": True}),
    ("people_union", "ada", {"list": ["a", "b"]}),
    ("people_remove", "ada", {"list": "b"}),
    ("people_unset", "ada", ["k"]),
    ("people_track_charge", "ada", 9.99, {"$time": "2026-01-02T03:04:05"}),
    ("people_track_charge", "ada", 5),
    ("people_track_charge", "bob", 1),
    ("people_clear_charges", "bob"),
    ("people_set", "gone", {"a": 1}),
    ("people_delete", "gone"),
    ("people_update", {"$distinct_id": "ada", "$set": {"multi": 1}, "$unset": ["first"], "$add": {"n": 1}}),
    ("group_set", "company", "acme", {"sites": 2, "größe": "L"}),
    ("group_set_once", "company", "acme", {"sites": 3, "since": 1999}),
    ("group_union", "company", "acme", {"tags": ["x", "y"]}),
    ("group_remove", "company", "acme", {"tags": "x"}),
    ("group_unset", "company", "acme", ["since"]),
    ("group_set", "company", 7, {"a": 1}),
    ("group_delete", "company", 7),
    ("group_update", {"$group_key": "company", "$group_id": "acme", "$set": {"late": True}, "$union": {"tags": ["z"]}}),
    ("track", "ada", "opened the till"),
    ("track", 12, "paid", {"amount": 2.5, "when": WHEN}, {"extra": True}),
    ("import_data", "key", "ada", "old", 1_000_000_000, {"page": 2}, None, "secret"),
    ("merge", "key", "ada", "bob", None, "secret"),
]  # fmt: skip

NOT_COMPARED = {"alias"}  # it posts by itself: see below


def to(url):
    """The addresses of a service, for the SDK's own consumers."""
    return {
        "events_url": f"{url}/track",
        "people_url": f"{url}/engage",
        "groups_url": f"{url}/groups",
        "import_url": f"{url}/import",
    }


def make_every_call(sdk):
    for verb, *args in CALLS:
        assert getattr(sdk, verb)(*json_copy(args)) is None


def json_copy(args):
    """Fresh dicts: the SDK writes into those it is given."""
    return [dict(arg) if isinstance(arg, dict) else arg for arg in args]


def by_endpoint(service):
    """The messages that arrived, each without what differs from call to call."""
    kept = {endpoint: [] for endpoint in Endpoint}
    for received in service.messages():
        assert received.verdict == "accepted", received
        kept[received.endpoint].append(timeless(received.endpoint, received.message))
    return kept


def timeless(endpoint, message):
    if endpoint in {Endpoint.ENGAGE, Endpoint.GROUPS}:
        assert isinstance(message["$time"], float)
        return {**message, "$time": 0}
    properties = dict(message["properties"])
    if "$insert_id" in properties:
        assert len(properties["$insert_id"]) == 32
        properties["$insert_id"] = ""
    if endpoint is Endpoint.TRACK:
        assert isinstance(properties["time"], float)
        properties["time"] = 0
    return {**message, "properties": properties}


def as_journaled(message):
    """The SDK's message with what the journal changes: one operator each, and ids as text."""
    operators = [name for name in message if name in {"$set", "$add", "$unset", "$union"}]
    ids = {name: str(message[name]) for name in ("$distinct_id", "$group_id") if name in message}
    if len(operators) < 2:
        return [message | ids]
    return [
        {name: value for name, value in (message | ids).items() if name == operator or name not in operators}
        for operator in operators
    ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kiosk.db"


def test_every_sending_call_is_made():
    """A new verb of the SDK fails this, so that it is looked at."""
    verbs = {
        name
        for name, member in vars(mixpanel.Mixpanel).items()
        if callable(member) and not name.startswith("_")
    }
    assert verbs - NOT_COMPARED == {verb for verb, *_ in CALLS}


def test_journal_delivers_what_sdk_delivers(path):
    with Service() as theirs, Service() as ours, JournalConsumer(path, url=ours.url) as consumer:
        make_every_call(mixpanel.Mixpanel("T", mixpanel.Consumer(**to(theirs.url))))
        make_every_call(mixpanel.Mixpanel("T", consumer))
        report = consumer.flush()
        assert (report.stopped_by, report.pending) == ("done", 0)
        direct, journaled = by_endpoint(theirs), by_endpoint(ours)
        for endpoint in (Endpoint.ENGAGE, Endpoint.GROUPS):
            direct[endpoint] = [part for message in direct[endpoint] for part in as_journaled(message)]
        assert {endpoint: len(messages) for endpoint, messages in direct.items()} == {
            Endpoint.ENGAGE: 18,
            Endpoint.GROUPS: 9,
            Endpoint.TRACK: 2,
            Endpoint.IMPORT: 2,
        }
        for endpoint in Endpoint:
            assert list(map(json.dumps, journaled[endpoint])) == list(map(json.dumps, direct[endpoint]))


def test_profiles_are_those_of_the_sdk(path):
    with Service() as theirs, Service() as ours, JournalConsumer(path, url=ours.url) as consumer:
        make_every_call(mixpanel.Mixpanel("T", mixpanel.Consumer(**to(theirs.url))))
        make_every_call(mixpanel.Mixpanel("T", consumer))
        before = Simulator.from_journal(path)
        assert consumer.flush().stopped_by == "done"
        for predicted in (before, Simulator.from_journal(path, shipped_only=True)):
            assert ours.profiles() == {id_: dict(profile) for id_, profile in predicted.profiles.items()}
            groups = {}
            for (key, id_), profile in predicted.groups.items():
                groups.setdefault(key, {})[id_] = dict(profile)
            assert ours.groups() == groups
        assert ours.profiles() == theirs.profiles()
        assert ours.groups() == theirs.groups()
        assert ours.profiles()["ada"]["n"] == 4


def test_another_process_ships_what_sdk_recorded(path):
    with JournalConsumer(path) as consumer:
        make_every_call(mixpanel.Mixpanel("T", consumer))
    with Service() as service:
        with JournalConsumer(path, url=service.url, import_credentials=("secret", "")) as consumer:
            assert consumer.flush().stopped_by == "done"
        assert service.profiles() == {
            id_: dict(profile) for id_, profile in Simulator.from_journal(path).profiles.items()
        }
        assert len(service.messages()) == 31


# --- alias: what bypasses every consumer


class Kept(mixpanel.Consumer):
    """The SDK's network client with its cable pulled: it keeps what it would post."""

    posted = []  # noqa: RUF012  # of all that the SDK makes

    def _write_request(self, request_url, json_message, *_args, **_kwargs):
        self.posted.append((request_url, json.loads(json_message)))


def test_alias_bypasses_the_journal(path, monkeypatch):
    monkeypatch.setattr(Kept, "posted", [])
    monkeypatch.setattr(mixpanel, "Consumer", Kept)
    with JournalConsumer(path, url="http://127.0.0.1:9") as consumer:
        mixpanel.Mixpanel("T", consumer).alias("ada@example.com", "ada")
        assert consumer.journal.statistics(0.0).recorded == 0
    ((url, event),) = Kept.posted
    assert url == "https://api.mixpanel.com/track"  # not the address that the consumer was given
    assert event["event"] == "$create_alias"
    assert "alias()`` bypasses every consumer" in " ".join(JournalConsumer.__doc__.split())


def test_alias_may_be_journaled_as_event(path, monkeypatch):
    """The documentation names this way: the same event, beside what the SDK gives every event."""
    monkeypatch.setattr(Kept, "posted", [])
    monkeypatch.setattr(mixpanel, "Consumer", Kept)
    with JournalConsumer(path) as consumer:
        sdk = mixpanel.Mixpanel("T", consumer)
        sdk.alias("ada@example.com", "ada")
        sdk.track("ada", "$create_alias", {"alias": "ada@example.com"})
    ((_, posted),) = Kept.posted
    with JournalReader(path) as reader:
        (entry,) = reader.entries()
    assert entry.message["event"] == posted["event"]
    assert posted["properties"].items() <= entry.message["properties"].items()
    assert '``track(original, "$create_alias", {"alias": alias_id})``' in JournalConsumer.__doc__
