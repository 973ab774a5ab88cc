"""Our own conformance cases, in the format of the shared ones: a grid of classes, and what it leaves out.

The grid is each operator by each class of present value by each class of payload. Its expectations were put down
from the rules, not taken from the simulator.
"""

from itertools import product

import pytest

from simulator import Simulator
from tests.simulator.vectors import HERE, SHARED, by_key, cases, expected, ids, spelled

GRID = cases(HERE / "grid.json")
OWN = [*cases(HERE / "cases.json"), *GRID]


@pytest.mark.parametrize("case", OWN, ids=ids(OWN))
def test_case(case):
    """Given these profiles, these messages leave these, with these verdicts."""
    simulator = Simulator()
    for profile, properties in case["given"].items():
        simulator.people_set(profile, properties)
    verdicts = [[outcome.verdict for outcome in simulator.apply(message)] for message in case["messages"]]
    users = {name: dict(profile) for name, profile in simulator.profiles.items()}
    assert spelled(users, by_key(simulator.groups)) == expected(case)
    assert verdicts == case["verdicts"]


VALUES = {"null", "boolean", "integer", "float", "string", "empty list", "list", "object"}
PRESENT = {"profile missing", "property missing", *VALUES}
NAMES = {"its name", "another name", "both names", "no name", "no list"}
PAYLOADS = {
    "$set": VALUES,
    "$set_once": VALUES,
    "$add": VALUES,
    "$append": VALUES,
    "$union": VALUES,
    "$remove": VALUES,
    "$unset": NAMES,
    "$delete": VALUES,
}


def class_of(value):
    if isinstance(value, list):
        return "list" if value else "empty list"
    kinds = {
        type(None): "null",
        bool: "boolean",
        int: "integer",
        float: "float",
        str: "string",
        dict: "object",
    }
    return kinds[type(value)]


def present_in(case):
    if not case["given"]:
        return "profile missing"
    properties = case["given"]["u1"]
    assert "q" in properties, "a property that no message names, to see it stay"
    return class_of(properties["p"]) if "p" in properties else "property missing"


def payload_of(operator, payload):
    if operator == "$delete":
        return class_of(payload)
    if operator != "$unset":
        (value,) = payload.values()
        return class_of(value)
    if not isinstance(payload, list):
        return "no list"
    kinds = {(): "no name", ("p",): "its name", ("x",): "another name", ("x", "p"): "both names"}
    return kinds[tuple(payload)]


def test_grid_is_complete():
    """Every operator with every class of payload, on every class of present value, once."""
    covered = []
    for case in GRID:
        (message,) = case["messages"]
        (operator,) = message.keys() - {"$distinct_id"}
        covered.append((operator, present_in(case), payload_of(operator, message[operator])))
    wanted = {
        cell for operator, payloads in PAYLOADS.items() for cell in product([operator], PRESENT, payloads)
    }
    assert len(covered) == len(wanted) == 610
    assert set(covered) == wanted


def test_cases_have_names_and_sources():
    every = [*cases(SHARED), *OWN]
    assert len(set(ids(every))) == len(every)
    assert {case["source"] for case in every} <= {"documented", "sdk", "third-party", "policy"}
    assert all(case["about"] for case in every)
    assert {frozenset(case) for case in every} == {
        frozenset({"id", "about", "source", "given", "messages", "expect", "expect_groups", "verdicts"})
    }
