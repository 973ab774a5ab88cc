"""The official Node SDK: every call that sends, against any base URL, and what its calls mean."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / ".sdks" / "node_modules"
DRIVER = Path(__file__).parent / "sdks" / "node.js"
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
IMPORTED = {"old", "older", "oldest"}  # over HTTPS only


def package(name):
    """Return the folder of a package from npm; the test is skipped without it."""
    found = PACKAGES / name
    if not found.is_dir():
        pytest.skip(f"{name} is not installed: make sdks")
    return found


def make_calls(url, token, mode, authority=None):
    """Make every call, and return what the driver tells: the methods that the SDK offers, and how each call ended.

    Args:
        url: Base URL of a service, or of what stands for one.
        token: The project's.
        mode: ``"plain"`` or ``"verbose"``, the SDK's two ways to be answered.
        authority: The file with the certificate that Node is to trust, for HTTPS.
    """
    trusting = {"NODE_EXTRA_CA_CERTS": str(authority)} if authority else {}
    packages = {"NODE_PATH": str(package("mixpanel").parent)}
    return json.loads(run(DRIVER, url, token, mode, **trusting, **packages))


def run(driver, *arguments, **environment):
    """Run a program in Node, and return what it writes; the test is skipped without Node."""
    node = shutil.which("node") or pytest.skip("node is not installed")
    direct = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [node, driver, *arguments],
        env={**direct, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout
