"""What is drawn is well-formed, collides, is code again when it is printed, and shrinks to the simplest."""

import ast
import json
import unicodedata

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from recorder.model.json_value import json_equal, same_spelling
from recorder.model.normalise import normalise
from recorder.model.operations import Operator, examine
from simulator import Simulator
from simulator.service.faults import FAULTS, parse_schedule
from simulator.testing import Operation, strategies

FOUND = settings(max_examples=2_000, database=None, derandomize=True, phases=[Phase.generate])
SHRUNK = settings(FOUND, phases=[Phase.generate, Phase.shrink])


@given(
    strategies.messages(max_operators=3, groups=True),
    strategies.operations(),
    strategies.states(),
    st.integers(),
)
def test_recorder_accepts_drawn_messages(message, operation, state, id_):
    examine(normalise(message))
    examine(normalise(operation.on(id_)))
    if state is not None:
        examine(normalise({"$distinct_id": "u1", "$set": state}))


@given(strategies.operations())
def test_operation_repr_is_code(operation):
    again = eval(repr(operation))  # noqa: S307
    assert again == operation
    assert same_spelling(again.payload, operation.payload)


@given(strategies.messages())
def test_a_message_is_fresh_each_time(message):
    (operator,) = (name for name in message if name in set(Operator))
    operation = Operation(operator, message[operator])
    one, other = operation.on("u1"), operation.on("u1")
    assert one == other
    if isinstance(one[operator], dict | list):
        assert one[operator] is not other[operator]
        assert one[operator] is not operation.payload


@pytest.mark.parametrize("operator", Operator)
def test_every_operator_is_drawn(operator):
    found = find(strategies.operations(), lambda operation: operation.operator == operator, settings=FOUND)
    assert type(found.operator) is str


COLLISIONS = [
    ("a number and its float", lambda one, other: one == other and type(one) is int and type(other) is float),
    ("a number and a boolean", lambda one, other: one is True and one == other and other is not True),
    ("zero and false", lambda one, other: other is False and type(one) is int and one == 0),
    ("the signs of zero", lambda one, other: (repr(one), repr(other)) == ("-0.0", "0")),
    ("a number and its digits", lambda one, other: type(one) is int and str(one) == other),
    ("nothing and an empty string", lambda one, other: (one, other) == (None, "")),
    ("a list and what it holds", lambda one, other: isinstance(one, list) and one == [other]),
    (
        "two spellings of one letter",
        lambda one, other: (
            isinstance(one, str)
            and isinstance(other, str)
            and one != other
            and unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
        ),
    ),
]


@pytest.mark.parametrize("collide", [pytest.param(collide, id=what) for what, collide in COLLISIONS])
def test_values_collide(collide):
    pairs = st.tuples(strategies.colliding_values(), strategies.colliding_values())
    find(pairs, lambda pair: collide(*pair), settings=FOUND)


def test_a_list_holds_a_value_twice():
    find(
        strategies.states(missing=False),
        lambda state: any(
            isinstance(value, list) and any(json_equal(value[0], other) for other in value[1:])
            for value in state.values()
        ),
        settings=FOUND,
    )


@given(st.data())
def test_drawn_objects_are_new(data):
    one, other = (data.draw(strategies.states(missing=False)) for _ in range(2))
    assert not containers(one) & containers(other)


def containers(value):
    found = {id(value)} if isinstance(value, list | dict) else set()
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        found |= containers(item)
    return found


def test_drawn_values_shrink():
    assert find(strategies.states(), lambda _: True, settings=SHRUNK) is None
    assert find(strategies.colliding_values(), lambda _: True, settings=SHRUNK) == 0
    assert find(strategies.histories(), lambda _: True, settings=SHRUNK) == []
    assert find(strategies.messages(), lambda message: "$set" in message, settings=SHRUNK) == {
        "$distinct_id": "u1",
        "$set": {},
    }
    assert find(strategies.fault_schedules(), lambda _: True, settings=SHRUNK) == []


@given(strategies.fault_schedules())
def test_schedules_are_schedules(schedule):
    faults = parse_schedule(schedule)
    assert [fault.at for fault in faults] == sorted({fault.at for fault in faults})
    assert json.loads(json.dumps(schedule)) == schedule


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_is_drawn(kind):
    find(
        strategies.fault_schedules(),
        lambda faults: any(one["fault"] == kind for one in faults),
        settings=FOUND,
    )


def test_pools_can_be_chosen():
    ids, names = st.just("x"), st.just("y")
    chosen = strategies.operations(names=names, values=st.just(7), operators=["$set"], min_properties=1)
    message = find(strategies.messages(ids=ids, operations=chosen), lambda _: True)
    assert message == {"$distinct_id": "x", "$set": {"y": 7}}
    with pytest.raises(ValueError, match="merge"):
        strategies.operations(operators=["$merge"])


@given(strategies.histories(max_size=5))
def test_a_history_meets_itself(history):
    simulator = Simulator.from_messages(history)
    assert len(history) <= 5
    assert not simulator.rejected
    ast.literal_eval(repr(history))
