"""The quick look at a message finds nothing that the closer one does not."""

import json
from collections import OrderedDict
from random import Random

import pytest

from recorder.model.errors import InvalidOperation
from recorder.model.normalise import MESSAGE_DEPTH, normalise
from recorder.model.operations import ENVELOPE, Operator, examine
from simulator import Simulator, Verdict
from simulator.quick import user_and_operator
from tests.simulator.service.scribbler import message

LONG = 10**400
ODD = [
    *(
        None,
        True,
        0,
        1.5,
        float("nan"),
        float("inf"),
        10**299,
        -LONG,
        LONG,
        "",
        "a",
        "x" * 255,
        "x" * 256,
        "\ud800",
    ),
    *(
        b"a",
        (1,),
        {1},
        {1: 2},
        {None: 1},
        [],
        [1],
        ["a", 1],
        [[]],
        {},
        {"a": {}},
        {"a": {1: 2}},
        Operator.SET,
    ),
]
PAYLOADS = [
    *ODD,
    *([odd] for odd in ODD),
    *(["a", odd] for odd in ODD),
    *({"a": odd} for odd in ODD),
    *({"a": 1, "b": odd} for odd in ODD),
    *({odd: 1} for odd in ODD if odd.__hash__ is not None),
]
OPERATORS = [operator.value for operator in Operator]


def looked_at(one):
    """Assert that a quick look finds what a closer one does, or nothing; return True if it found something."""
    found = user_and_operator(one)
    try:
        plain = normalise(one)
        identity, operators = examine(plain)
    except InvalidOperation:
        if found is not None:  # what it leaves open
            with pytest.raises(UnicodeEncodeError):
                json.dumps(one, ensure_ascii=False).encode()
        return False
    if found is not None:
        assert (found, identity.group_key) == ((identity.id, operators[0]), None)
        assert len(operators) == 1
        assert json.dumps(plain) == json.dumps(one)
    return found is not None


@pytest.mark.parametrize("operator", [*OPERATORS, "$merge", "note"])
def test_quick_look_agrees_with_closer(operator):
    """It finds what a closer look does, or nothing, whatever a message has in each of its places."""
    for payload in PAYLOADS:
        looked_at({"$distinct_id": "ada", operator: payload})
        looked_at({"$distinct_id": "ada", "$set": {"a": 1}, operator: payload})


@pytest.mark.parametrize("name", sorted(ENVELOPE))
def test_quick_look_examines_envelope(name):
    for odd in PAYLOADS:
        looked_at({"$distinct_id": "ada", "$set": {"a": 1}, name: odd})
        looked_at({"$set": {"a": 1}, name: odd})


@pytest.mark.parametrize("one", [None, [], "$distinct_id", OrderedDict({"$distinct_id": "ada", "$set": {}})])
def test_quick_look_passes_no_dict(one):
    assert user_and_operator(one) is None


def test_quick_look_finds_nearly_all():
    random = Random(1)
    of_users = [
        one
        for one in (message(random) for _ in range(5_000))
        if type(one.get("$distinct_id")) is str and len(set(one) - ENVELOPE) == 1
    ]
    assert sum(map(looked_at, of_users)) > len(of_users) * 0.85


@pytest.mark.parametrize("deep", [MESSAGE_DEPTH - 3, MESSAGE_DEPTH - 2, MESSAGE_DEPTH - 1])
@pytest.mark.parametrize("operator", ["$set", "$union", "$append", "$delete"])
def test_quick_look_bounds_depth(operator, deep):
    value = json.loads("[" * deep + "1" + "]" * deep)
    for one in ({operator: {"a": value}}, {operator: value}, {"$delete": "", "$ip": value}):
        looked_at({"$distinct_id": "ada", **one})


def test_operator_as_enum_applies():
    simulator = Simulator()
    (outcome,) = simulator.apply({"$distinct_id": "ada", Operator.SET: {"plan": "pro"}})
    assert outcome.verdict is Verdict.APPLIED
    assert simulator.timeline("ada").steps[0].message == {"$distinct_id": "ada", "$set": {"plan": "pro"}}


@pytest.mark.parametrize("place", ["$distinct_id", "$ip", "$set"])
def test_lone_surrogate_is_rejected(place):
    one = {"$distinct_id": "ada", "$ip": "", "$set": {"a": 1}}
    one[place] = {"a": ["\ud800"]} if place == "$set" else "\ud800"
    simulator = Simulator()
    assert [outcome.verdict for outcome in simulator.apply(one)] == [Verdict.REJECTED]
    assert simulator.profiles == {}
