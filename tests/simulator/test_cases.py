"""The published vectors: a grid of classes, and what it leaves out.

The grid is each operator by each class of present value by each class of payload. Its expectations were put down
from the rules, not taken from the simulator.
"""

import json
from dataclasses import fields
from importlib.resources import files
from itertools import product
from pathlib import Path

import jsonschema
import pytest
from hatchling.builders.wheel import WheelBuilder

from recorder.model.json_value import same_spelling
from simulator import Dialect, Simulator
from simulator.conformance import predict, read_vectors
from simulator.conformance.policies import _dialects
from tests.simulator.vectors import (
    GRID,
    OWN,
    PUBLISHED,
    SHARED,
    by_key,
    cases,
    dialect_of,
    expected,
    ids,
    spelled,
)

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads(files("simulator.conformance").joinpath("schema.json").read_text(encoding="utf-8"))

CASES = [case for case in OWN if case not in GRID]


def outcome(case):
    """Return the profiles after a case's messages, and the verdicts."""
    simulator = Simulator(dialect_of(case))
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


def test_vectors_follow_the_schema():
    """The shared ones, too, which have the same keys."""
    every = [*cases(SHARED), *OWN]
    assert len(set(ids(every))) == len(every)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate({**PUBLISHED, "vectors": every}, SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"source": "somebody"},
        {"about": ""},
        {"messages": []},
        {"given": {"u1": 1}},
        {"expect_groups": {"k": {"g": 1}}},
        {"source": "sdk", "dialect": ["creating"]},
        {"note": "a key of no meaning"},
    ],
    ids=str,
)
def test_schema_refuses(change):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**PUBLISHED, "vectors": [{**OWN[0], **change}]}, SCHEMA)


def test_vectors_name_their_policies():
    """Those whose profiles another value of a field of `Dialect` changes, and no others."""
    vectors = read_vectors()
    dialects = [(names[0].partition("=")[0], dialect) for names, dialect in _dialects() if len(names) == 1]
    for vector in vectors:
        found = (
            name
            for name, dialect in dialects
            if not same_spelling(vector.expected, predict(vector.given, vector.messages, dialect)[0])
        )
        assert vector.dialect == (*found,), vector.id
    named = {name for vector in vectors for name in vector.dialect}
    assert named == {field.name for field in fields(Dialect)}


def test_vectors_are_read_whole():
    assert [vector.as_json() for vector in read_vectors()] == OWN


def test_wheel_has_the_vectors():
    """An installed package has what a checkout has."""
    built = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {f"simulator/conformance/{name}.json" for name in ("vectors", "schema", "order")} <= built
