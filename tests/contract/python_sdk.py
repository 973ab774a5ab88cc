"""The official Python SDK's own consumers: every call, against any base URL, and what its calls mean."""

from contextlib import closing
from copy import deepcopy
from datetime import datetime

import mixpanel

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
    ("track", "ada", "opened", {"page": 1}),
    ("track", 12, "paid", {"amount": 2.5, "when": WHEN}, {"extra": True}),
    # Last: a BufferedConsumer sends imports with the credentials of its latest call, whatever that was.
    ("import_data", None, "ada", "old", 1_000_000_000, {"page": 2}, None, "secret"),
    ("merge", None, "ada", "bob", None, "secret"),
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
EVENTS = ["opened", "paid", "old", "$merge"]


def make_calls(url, token, kind="Consumer", **options):
    """Make every call through one of the SDK's own consumers.

    Args:
        url: Base URL of a service, or of what stands for one.
        token: The project's.
        kind: ``"Consumer"`` or ``"BufferedConsumer"``.
        options: More of the consumer's.
    """
    scheme, _, host = url.partition("://")
    routes = {"events": "track", "people": "engage", "groups": "groups", "import": "import"}
    addresses = {
        f"{name}_url": f"{url}/{path}" for name, path in routes.items()
    }  # the SDK's default is HTTPS
    where = {"api_host": host} if scheme == "https" else addresses
    consumer = getattr(mixpanel, kind)(**where, request_timeout=TIMEOUT, **options)
    with closing(getattr(consumer, "_consumer", consumer)._session):
        make_every_call(mixpanel.Mixpanel(token, consumer), CALLS)
        if kind == "BufferedConsumer":
            consumer.flush()


def make_every_call(sdk, calls):
    for verb, *args in calls:
        assert getattr(sdk, verb)(*deepcopy(args)) is None
