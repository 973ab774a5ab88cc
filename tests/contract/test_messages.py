"""Our messages beside those of the official SDK, with one clock."""

import inspect
import json
from copy import deepcopy
from datetime import datetime
from math import nan

import pytest

pytest.importorskip("mixpanel", reason="the official SDK is not installed")
from mixpanel import Mixpanel

from recorder.model.errors import InvalidOperation
from recorder.model.intake import Intake, token_prefix
from recorder.model.json_value import compact
from recorder.model.people import PeopleApi, stamped
from recorder.model.shipping import ShipReport
from simulator import Simulator

NOW = 1_767_323_045.25
THEN = "2026-01-02T03:04:05"


class Capture:
    """A consumer that keeps what the official SDK would post."""

    def __init__(self):
        self.sent = []

    def send(self, endpoint, message, *_credentials):
        self.sent.append((endpoint, message))


class Ours(PeopleApi):
    """Keeps what a journal would hold."""

    def __init__(self):
        self.kept = []

    def _update(self, lane, message, meta, check=None):
        now = self._now()
        self.kept += [
            (row.lane, row.message) for row in Intake("T").rows(lane, stamped(message, meta, now), now, check)
        ]

    def _now(self):
        return NOW

    def batch(self):
        raise NotImplementedError

    def flush(self, timeout=10.0):  # noqa: ARG002
        return ShipReport()

    def close(self, timeout=2.0):
        pass


def official(verb, *args, **options):
    """What the SDK posts for one call."""
    capture = Capture()
    mixpanel = Mixpanel("T", capture)
    mixpanel._now = lambda: NOW
    assert getattr(mixpanel, verb)(*deepcopy(args), **deepcopy(options)) is None
    (sent,) = capture.sent
    return sent


def ours(verb, *args, **options):
    """What we journal for one call."""
    people = Ours()
    assert getattr(people, verb)(*deepcopy(args), **deepcopy(options)) is None
    return people.kept


def expected(text):
    """The SDK's message, with exactly the differences that the recorder is allowed."""
    message = json.loads(text)
    assert next(iter(message)) == "$token"
    assert message.pop("$token") == "T"
    for name in ("$distinct_id", "$group_key", "$group_id"):
        if type(message.get(name)) is int:
            message[name] = str(message[name])
    return message


def with_charge_time(message):
    message["$append"]["$transactions"].setdefault("$time", THEN)
    return message


def ordered(message):
    """Text that tells messages apart by value, by spelling and by the order of names."""
    return json.dumps(message)


PROPERTIES = {"plan": "pro", "größe": [1, 1.0, -0.0, None, True, {"z": 1, "a": [2]}], "": "", "big": 2**70}
NAIVE = {"since": datetime(2026, 1, 2, 3, 4, 5, 678)}  # noqa: DTZ001  # where the SDK drops no offset
CALLS = {
    **{
        f"people_{verb}": (f"people_{verb}", "ada", PROPERTIES)
        for verb in ("set", "set_once", "append", "union", "remove")
    },
    "people_set-empty": ("people_set", "ada", {}),
    "people_set-integer-id": ("people_set", 12, PROPERTIES),
    "people_set-negative-id": ("people_set", -12, PROPERTIES),
    "people_set-datetime": ("people_set", "ada", NAIVE),
    "people_set-tuple": ("people_set", "ada", {"l": (1, (2,))}),
    "people_increment": ("people_increment", "ada", {"n": 1, "m": -2.5, "k": 0}),
    "people_unset": ("people_unset", "ada", ["b", "a", "b"]),
    "people_delete": ("people_delete", "ada"),
    "people_delete-integer-id": ("people_delete", 12),
    "people_clear_charges": ("people_clear_charges", "ada"),
    "people_track_charge": ("people_track_charge", "ada", 29.5),
    "people_track_charge-refund": ("people_track_charge", 12, -3),
    "people_track_charge-properties": ("people_track_charge", "ada", 1, {"sku": "b", "n": [1]}),
    "people_track_charge-empty-properties": ("people_track_charge", "ada", 1, {}),
    "people_track_charge-amount-wins": ("people_track_charge", "ada", 1, {"$amount": 9, "sku": "b"}),
    "people_track_charge-own-time": (
        "people_track_charge",
        "ada",
        1,
        {"$time": "1999-12-31T00:00:00", "x": 1},
    ),
    "people_update": ("people_update", {"$distinct_id": "ada", "$set": PROPERTIES}),
    "people_update-own-time": (
        "people_update",
        {"$set": {"a": 1}, "$time": 7, "$distinct_id": 12, "note": None},
    ),
    "people_update-own-token": ("people_update", {"$distinct_id": "ada", "$token": "T", "$set": {}}),
    **{
        f"group_{verb}": (f"group_{verb}", "company", "acme", PROPERTIES)
        for verb in ("set", "set_once", "union", "remove")
    },
    "group_set-integer-ids": ("group_set", 1, 2, PROPERTIES),
    "group_unset": ("group_unset", "company", "acme", ["b", "a"]),
    "group_delete": ("group_delete", "company", 7),
    "group_update": ("group_update", {"$group_key": "company", "$group_id": 7, "$append": {"l": 1}}),
}
METAS = {
    "no-meta": {},
    "none": {"meta": None},
    "empty": {"meta": {}},
    "flags": {"meta": {"$ip": 0, "$ignore_time": True, "$ignore_alias": True}},
    "time": {"meta": {"$time": 5, "$latitude": 52.5, "$longitude": 13.4}},
    "identity": {"meta": {"extra": "x"}},
}


def test_every_sdk_verb_is_compared():
    verbs = {name for name in vars(Mixpanel) if name.startswith(("people_", "group_"))}
    assert verbs == {args[0] for args in CALLS.values()}


@pytest.mark.parametrize("args", CALLS.values(), ids=CALLS)
def test_message_is_official_with_recorder_additions(args):
    for name, options in METAS.items():
        endpoint, text = official(*args, **options)
        message = expected(text)
        if args[0] == "people_track_charge":
            message = with_charge_time(message)
        ((lane, kept),) = ours(*args, **options)
        assert lane == endpoint
        assert ordered(json.loads(kept)) == ordered(message), name


@pytest.mark.parametrize("args", CALLS.values(), ids=CALLS)
def test_sent_message_has_token_first(args):
    _, text = official(*args)
    message = {"$token": "T", **expected(text)}
    if args[0] == "people_track_charge":
        message = with_charge_time(message)
    ((_, kept),) = ours(*args)
    assert token_prefix("T") + kept[1:] == compact(message)


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (("people_set", "ada", {"a": 1}), ["$time", "$distinct_id", "$set"]),
        (("people_delete", "ada"), ["$time", "$distinct_id", "$delete"]),
        (("people_track_charge", "ada", 1), ["$time", "$distinct_id", "$append"]),
        (("group_union", "company", "acme", {"l": [1]}), ["$time", "$group_key", "$group_id", "$union"]),
    ],
)
def test_names_keep_official_order(args, names):
    ((_, kept),) = ours(*args)
    assert list(json.loads(kept)) == names
    ((_, kept),) = ours(*args, meta={"$ip": 0})
    assert list(json.loads(kept)) == [*names, "$ip"]
    _, text = official(*args, meta={"$ip": 0})
    assert list(json.loads(text)) == ["$token", *names, "$ip"]


def test_message_of_several_operators_is_split():
    message = {"$distinct_id": 12, "$set": {"a": 1}, "note": "x", "$unset": ["b"], "$remove": {}}
    endpoint, text = official("people_update", message, {"$ip": 0})
    whole = expected(text)
    operators = ["$set", "$unset", "$remove"]
    kept = ours("people_update", message, {"$ip": 0})
    assert [lane for lane, _ in kept] == [endpoint] * 3
    for operator, (_, single) in zip(operators, kept, strict=True):
        alone = {name: value for name, value in whole.items() if name == operator or name not in operators}
        assert ordered(json.loads(single)) == ordered(alone)


@pytest.mark.parametrize("args", CALLS.values(), ids=CALLS)
def test_simulator_takes_call_as_official_message(args):
    called = Simulator(clock=lambda: NOW)
    getattr(called, args[0])(*deepcopy(args[1:]))
    told = Simulator()
    message = json.loads(official(*args)[1])
    told.apply(with_charge_time(message) if args[0] == "people_track_charge" else message)
    for one, other in ((called.profiles, told.profiles), (called.groups, told.groups)):
        assert ordered([[*one], *map(dict, one.values())]) == ordered([[*other], *map(dict, other.values())])


def test_charge_leaves_given_properties_unchanged():
    properties = {"sku": "b"}
    Ours().people_track_charge("ada", 1, properties)
    assert properties == {"sku": "b"}
    Mixpanel("T", Capture()).people_track_charge("ada", 1, properties)
    assert properties == {"sku": "b", "$amount": 1}


def test_nan_is_refused():
    assert "NaN" in official("people_set", "ada", {"a": nan})[1]
    with pytest.raises(InvalidOperation):
        ours("people_set", "ada", {"a": nan})


VERBS = sorted(name for name in vars(Mixpanel) if name.startswith(("people_", "group_")))


@pytest.mark.parametrize("verb", VERBS)
def test_verb_has_official_parameters(verb):
    def parameters(cls):
        found = inspect.signature(getattr(cls, verb)).parameters.values()
        return [(parameter.name, parameter.kind, parameter.default) for parameter in found]

    assert parameters(PeopleApi) == parameters(Mixpanel)
    assert parameters(Simulator) == parameters(Mixpanel)


def test_no_verb_is_unofficial():
    assert sorted(name for name in dir(PeopleApi) if name.startswith(("people_", "group_"))) == VERBS
