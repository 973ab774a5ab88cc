"""The table of order and repetition: what is published is what is computed, and what random values show, too."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.order import PAGE, TABLES, _agreement, as_json, as_markdown, computed
from recorder.model.operations import Operator
from simulator import Simulator
from simulator.conformance import Agreement, commute, repeat
from simulator.testing import Operation
from simulator.testing.strategies import operations, values

RANK = list(Agreement)


@pytest.fixture(scope="module")
def tables():
    return computed()


def ends(start, *histories):
    """Return the profiles that the simulator makes of each history."""
    given = [] if start is None else [Operation("$set", start)]
    for history in histories:
        simulator = Simulator.from_messages(operation.on("ada") for operation in [*given, *history])
        yield dict(simulator.profiles["ada"]) if "ada" in simulator.profiles else None


def test_published_table_is_computed(tables):
    """docs/order.py writes both."""
    assert TABLES.read_text(encoding="utf-8") == as_json(tables)
    assert as_markdown(tables) in PAGE.read_text(encoding="utf-8")


def test_table_is_complete(tables):
    every = set(Operator)
    assert {row["operators"][0] for row in tables["repeat"]} == every
    assert {frozenset(row["operators"]) for row in tables["commute"]} == set(
        map(frozenset, product(every, repeat=2))
    )
    assert {tuple(row["operators"]) for row in tables["repeat_later"]} == set(product(every, repeat=2))


def test_witnesses_end_as_they_say(tables):
    witnesses = 0
    for question, rows in tables.items():
        for row in rows:
            if row["agreement"] == Agreement.EXACT:
                continue
            witness = row["witness"]
            done = [Operation(*update.popitem()) for update in map(dict, witness["operations"])]
            other = [done[1], done[0]] if question == "commute" else [*done, done[0]]
            assert list(ends(witness["start"], done, other)) == witness["ends"]
            witnesses += 1
    assert witnesses > 60


@pytest.mark.parametrize(
    ("pair", "agreement"),
    [
        ("$add $add", Agreement.ROUNDED),
        ("$union $union", Agreement.UNORDERED),
        ("$append $append", Agreement.UNORDERED),
        ("$remove $remove", Agreement.EXACT),
        ("$remove $unset", Agreement.EXACT),
        ("$set $set_once", Agreement.EXACT),
        ("$delete $delete", Agreement.EXACT),
        ("$append $union", Agreement.NONE),
        ("$set $merge", Agreement.NONE),
    ],
)
def test_commuting_as_the_laws_say(pair, agreement):
    one, other = pair.split()
    assert commute(one, other) is commute(other, one) is agreement


def test_repetition_by_operator():
    harmless = {"$set", "$set_once", "$union", "$remove", "$unset", "$delete"}
    assert {operator for operator in Operator if repeat(operator) is Agreement.EXACT} == harmless
    assert repeat("$set", after="$set") is Agreement.NONE
    assert repeat("$set_once", after="$remove") is Agreement.EXACT
    assert repeat("$merge") is repeat("$set", after="$merge") is Agreement.NONE


NAME = st.just("a")
OTHERS = [operator for operator in Operator if operator != Operator.ADD]
# Sums beyond the doubles are left out of the table.
ADDS = st.builds(
    lambda number: Operation("$add", {"a": number}), st.integers(-5, 5) | st.sampled_from([0.1, -0.2, 1.5])
)
# Few, so that operations meet on equal ones.
MEETING = st.sampled_from([1, 1.0, [1], [1, True], []]) | values()
ON_A = ADDS | operations(names=NAME, values=MEETING, operators=OTHERS, min_properties=1, max_properties=1)
PRESENT = st.fixed_dictionaries({"a": MEETING})


@given(PRESENT, ON_A, ON_A)
def test_table_agrees_with_drawn_values(present, one, other):
    """No drawn pair agrees less than the table says."""
    first, then = one.operator, other.operator
    for start in (None, {}, present):
        for said, *histories in (
            (commute(first, then), [one, other], [other, one]),
            (repeat(first), [one], [one, one]),
            (repeat(first, after=then), [one, other], [one, other, one]),
        ):
            assert RANK.index(_agreement(*ends(start, *histories))) <= RANK.index(said)
