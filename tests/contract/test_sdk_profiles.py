"""The official SDK's own consumers at the local service: what its calls mean, what is predicted, what is held."""

import json
from contextlib import closing
from copy import deepcopy
from datetime import datetime

import mixpanel
import pytest

from simulator import Simulator
from simulator.service.server import Service

WHEN = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  # the SDK drops an offset
TIMEOUT = 10

# Charges have a time of their own: a Simulator gives one to those without, as a Recorder does; the SDK does not.
CALLS = [
    ("people_set", "ada", {"plan": "free", "n": 1, "since": WHEN, "name": "Ådä 🙂"}),
    ("people_set", "ada", {"plan": "pro", "whole": 1.0, "minus": -0.0, "huge": 2**70}),
    ("people_set", "ada", {"nested": {"a": [1, None, True, {}]}}),
    ("people_set", 12, {"integer": "id"}, {"$ip": 0, "$ignore_time": True}),
    ("people_set_once", "ada", {"first": True, "plan": "late"}),
    ("people_increment", "ada", {"n": 2, "k": 1.5}),
    ("people_increment", "ada", {"n": 1.0, "plan": 1}),
    ("people_append", "ada", {"list": "a", "other": [1]}),
    ("people_append", "ada", {"list": "a"}, {"$ip": 0}),
    ("people_union", "ada", {"list": ["a", "b", 1, 1.0, True], "tags": "one"}),
    ("people_remove", "ada", {"list": "a", "other": [1]}),
    ("people_unset", "ada", ["k", "never there"]),
    ("people_track_charge", "ada", 29.99, {"$time": "2026-01-02T03:04:05"}),
    ("people_track_charge", "ada", -3, {"$time": "2026-01-02T03:04:06", "sku": "b"}, {"$ip": 0}),
    ("people_track_charge", "bob", 1, {"$time": "2026-01-02T03:04:07"}),
    ("people_clear_charges", "bob"),
    ("people_set", "gone", {"a": 1}),
    ("people_delete", "gone"),
    ("people_delete", "never there", {"$ignore_alias": True}),
    ("people_update", {"$distinct_id": "ada", "$set": {"multi": 1}, "$unset": ["first"], "$add": {"n": 1}}),
    ("group_set", "company", "acme", {"sites": 2, "größe": "L"}),
    ("group_set_once", "company", "acme", {"sites": 3, "since": 1999}),
    ("group_union", "company", "acme", {"tags": ["x", "y"]}),
    ("group_remove", "company", "acme", {"tags": "x"}),
    ("group_unset", "company", "acme", ["since"]),
    ("group_set", "ship", 7, {"a": 1}),
    ("group_set", "ship", "gone", {"a": 1}),
    ("group_delete", "ship", "gone"),
    ("group_update", {"$group_key": "company", "$group_id": "acme", "$set": {"late": True}, "$union": {"tags": ["z"]}}),
]  # fmt: skip

USERS = {
    "ada": {
        "plan": "pro",
        "n": 5.0,
        "since": "2026-01-02T03:04:05",
        "name": "Ådä 🙂",
        "whole": 1.0,
        "minus": -0.0,
        "huge": 2**70,
        "nested": {"a": [1, None, True, {}]},
        "list": ["b", 1, True],
        "other": [[1]],
        "tags": ["one"],
        "$transactions": [
            {"$time": "2026-01-02T03:04:05", "$amount": 29.99},
            {"$time": "2026-01-02T03:04:06", "sku": "b", "$amount": -3},
        ],
        "multi": 1,
    },
    "12": {"integer": "id"},
    "bob": {},
}
GROUPS = {
    "company": {"acme": {"sites": 2, "größe": "L", "tags": ["y", "z"], "late": True}},
    "ship": {"7": {"a": 1}},
}


def spelled(value):
    return json.dumps(value, sort_keys=True)


def make_every_call(people):
    for verb, *args in CALLS:
        assert getattr(people, verb)(*deepcopy(args)) is None


def held(simulator):
    groups = {}
    for (key, id_), profile in simulator.groups.items():
        groups.setdefault(key, {})[id_] = dict(profile)
    return {id_: dict(profile) for id_, profile in simulator.profiles.items()}, groups


@pytest.fixture
def service():
    with Service() as service:
        yield service


@pytest.fixture(params=["Consumer", "BufferedConsumer of 7", "BufferedConsumer of 50"])
def consumer(request, service):
    kind, _, size = request.param.partition(" of ")
    more = {"max_size": int(size)} if size else {}
    addresses = {"people_url": f"{service.url}/engage", "groups_url": f"{service.url}/groups"}
    consumer = getattr(mixpanel, kind)(**addresses, request_timeout=TIMEOUT, **more)
    with closing(getattr(consumer, "_consumer", consumer)._session):
        yield consumer


def test_every_sdk_verb_is_called():
    verbs = {name for name in vars(mixpanel.Mixpanel) if name.startswith(("people_", "group_"))}
    assert verbs == {verb for verb, *_ in CALLS}


def test_calls_mean_the_same_everywhere(service, consumer):
    make_every_call(mixpanel.Mixpanel("T", consumer))
    if isinstance(consumer, mixpanel.BufferedConsumer):
        consumer.flush()
    arrived = service.messages()
    assert [(one.verdict, one.reason) for one in arrived] == [("accepted", None)] * len(CALLS)

    called = Simulator()
    make_every_call(called)
    told = Simulator.from_messages(one.message for one in arrived)
    for users, groups in ((service.profiles("T"), service.groups("T")), held(called), held(told)):
        assert spelled(users) == spelled(USERS)
        assert spelled(groups) == spelled(GROUPS)
