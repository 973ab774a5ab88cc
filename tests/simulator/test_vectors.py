"""Conformance cases as plain data: the shared ones where they lie beside the project, and our own."""

import json
from pathlib import Path

import pytest

from simulator import Simulator

SHARED = Path(__file__).parents[3] / "shared" / "vectors" / "semantics.json"
CASES = json.loads(SHARED.read_text(encoding="utf-8")) if SHARED.exists() else []


def start(given):
    simulator = Simulator()
    for profile, properties in given.items():
        simulator.people_set(profile, properties)
    return simulator


@pytest.mark.skipif(not CASES, reason="the shared conformance vectors are not beside this checkout")
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_shared_vector(case):
    simulator = start(case["given"])
    verdicts = [[outcome.verdict for outcome in simulator.apply(message)] for message in case["messages"]]
    groups = {}
    for (key, group), profile in simulator.groups.items():
        groups.setdefault(key, {})[group] = dict(profile)
    spelled = json.dumps([{id_: dict(p) for id_, p in simulator.profiles.items()}, groups], sort_keys=True)
    assert spelled == json.dumps([case["expect"], case["expect_groups"]], sort_keys=True)
    assert verdicts == case["verdicts"]
