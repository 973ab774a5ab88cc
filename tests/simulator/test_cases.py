"""Our own conformance cases, in the format of the shared ones, for what those leave out."""

import json
from pathlib import Path

import pytest

from simulator import Simulator

CASES = json.loads((Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))


def spelled(users, groups):
    return json.dumps([users, groups], sort_keys=True)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case):
    """Given these profiles, these messages leave these, with these verdicts."""
    simulator = Simulator()
    for profile, properties in case["given"].items():
        simulator.people_set(profile, properties)
    verdicts = [[outcome.verdict for outcome in simulator.apply(message)] for message in case["messages"]]
    groups = {}
    for (key, group), profile in simulator.groups.items():
        groups.setdefault(key, {})[group] = dict(profile)
    users = {name: dict(profile) for name, profile in simulator.profiles.items()}
    assert spelled(users, groups) == spelled(case["expect"], case["expect_groups"])
    assert verdicts == case["verdicts"]
