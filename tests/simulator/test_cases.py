"""Our own conformance cases, in the format of the shared ones: a grid of classes, and what it leaves out.

The grid is each operator by each class of present value by each class of payload. Its expectations were put down
from the rules, not taken from the simulator.
"""

from itertools import product

import pytest

from simulator import Simulator
from tests.simulator.vectors import HERE, SHARED, by_key, cases, expected, ids, spelled

GRID = cases(HERE / "grid.json")
CASES = cases(HERE / "cases.json")
OWN = [*CASES, *GRID]


def outcome(case):
    """Return the profiles after a case's messages, and the verdicts."""
    simulator = Simulator()
    for profile, properties in case["given"].items():
        simulator.people_set(profile, properties)
    verdicts = [[one.verdict for one in simulator.apply(message)] for message in case["messages"]]
    users = {name: dict(profile) for name, profile in simulator.profiles.items()}
    return spelled(users, by_key(simulator.groups)), verdicts


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_case(case):
    """Given these profiles, these messages leave these, with these verdicts."""
    assert outcome(case) == (expected(case), case["verdicts"])


def operator_of(case):
    (message,) = case["messages"]
    (operator,) = message.keys() - {"$distinct_id"}
    return operator


@pytest.mark.parametrize("operator", sorted(set(map(operator_of, GRID))))
def test_grid(operator):
    cases = [case for case in GRID if operator_of(case) == operator]
    assert [case["id"] for case in cases if outcome(case) != (expected(case), case["verdicts"])] == []


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
        operator = operator_of(case)
        covered.append((operator, present_in(case), payload_of(operator, case["messages"][0][operator])))
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
