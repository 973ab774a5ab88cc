"""The official Node SDK at the local service: every call, plain and verbose, one by one and in batches.

Profiles are held against what is written here by hand, and against what the messages predict.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from simulator import Simulator
from simulator.service.server import Service

pytestmark = pytest.mark.long  # it installs a package

PACKAGE = "mixpanel@0.24.0"
DRIVER = Path(__file__).parent / "node" / "calls.js"
TIMEOUT = 120

WHEN = "2026-01-02T03:04:05.000Z"
ADA = {
    "plan": "pro",
    "n": 2.5,
    "since": WHEN,
    "name": "Ådä 🙂",
    "huge": 1e21,  # as JavaScript writes it, and so a float from there on
    "large": 2**53,
    "nested": {"a": [1, None, True, {"b": ""}]},
    "minus": 0,  # JavaScript's JSON has no negative zero
    "nothing": None,  # nor a NaN
    "seen": False,
    "first": "harbour",
    "second": [],
    "visits": -1,
    "m": 0.1,
    "list": [[2, 3], "b", 4],
    "other": [],
    "tags": ["one", "two"],
    "$transactions": [
        {"$amount": 29.99},
        {"$time": WHEN, "sku": "b", "$amount": 5},
        {"sku": "c", "$amount": -3},
    ],
}
USERS = {
    "ada": ADA,
    "12": {"integer": "id"},
    "bob": {"$transactions": []},
    "cy": {"$transactions": []},
    "batch": {"list": ["x", "y", "x"]},
}
GROUPS = {
    "company": {
        "acme": {"sites": 2, "größe": "L", "employees": 1000, "tags": ["y"]},
        "batch": {"tags": ["+/=&%"]},
    },
    "ship": {"7": {"a": 1}},
}
REFUSED = {
    "people.increment": "$add.n, must be a number, not a string",  # the SDK lets a string of digits through
    "send_request": "$distinct_id, missing or empty",  # a batch of its own, without an identity
}
MODIFIERS = {
    "$ip": "0",
    "$ignore_time": True,
    "$ignore_alias": True,
    "$time": 5,
    "$latitude": 52.5,
    "$longitude": 13.4,
}
EVENTS = ["opened", "one", "two", "old", "older", "oldest", "$create_alias"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The environment in which Node finds the SDK, which is installed for these tests and kept nowhere."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    home = tmp_path_factory.mktemp("node")
    command = [npm, "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", PACKAGE]
    try:
        done = subprocess.run(
            command, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{PACKAGE} could not be installed in time")
    if done.returncode:
        pytest.skip(f"{PACKAGE} could not be installed: {done.stderr.decode()[-300:]}")
    direct = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**direct, "NODE_PATH": str(home / "node_modules")}


@pytest.fixture(params=["plain", "verbose"])
def played(request, environment):
    """The service after all calls, how each of them ended, and how the SDK was told."""
    with Service() as service:
        done = subprocess.run(
            [shutil.which("node"), DRIVER, service.url.removeprefix("http://"), "T", request.param],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        yield service, json.loads(done.stdout), request.param


def spelled(value):
    return json.dumps(value, sort_keys=True)


def by_key(groups):
    found = {}
    for (key, id_), profile in groups.items():
        found.setdefault(key, {})[id_] = dict(profile)
    return found


def test_node_sdk_leaves_predicted_profiles(played):
    service, said, mode = played

    # Every call that it offers was made, and ended as it should.
    assert set(said["offered"]) <= {name for name, _ in said["ended"]}
    failed = [(name, error) for name, error in said["ended"] if error is not None]
    assert failed == [
        (name, f"Mixpanel Server Error: {reason if mode == 'verbose' else 0}")
        for name, reason in REFUSED.items()
    ]

    # Each message got its verdict.
    rejected = service.messages("rejected")
    assert [(one.endpoint, one.reason) for one in rejected] == [
        ("/engage", reason) for reason in REFUSED.values()
    ]
    accepted = service.messages("accepted")
    assert {one.token for one in accepted} == {"T"}
    updates = [one.message for one in accepted if one.endpoint in {"/engage", "/groups"}]
    assert len(updates) == 50
    assert [one.message["event"] for one in accepted if one.endpoint in {"/track", "/import"}] == EVENTS

    # What is held is what was meant, to the spelling, and what is predicted.
    assert spelled(service.profiles()) == spelled(USERS)
    assert spelled(service.groups()) == spelled(GROUPS)
    predicted = Simulator.from_messages(updates)
    assert spelled({id_: dict(profile) for id_, profile in predicted.profiles.items()}) == spelled(USERS)
    assert spelled(by_key(predicted.groups)) == spelled(GROUPS)
    assert predicted.rejected == ()


def test_node_sdk_sends_modifiers_in_envelope(played):
    service, _, _ = played
    modified = [one.message for one in service.messages("accepted") if "$latitude" in one.message]
    assert len(modified) == DRIVER.read_text(encoding="utf-8").count(", modifiers]")
    for message in modified:
        assert {name: value for name, value in message.items() if name in MODIFIERS} == MODIFIERS
