"""An entry in a few words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import Entry, State
from recorder.model.operations import Lane
from tui.text.summary import summary


def entry(message, operator):
    return Entry(
        seq=1,
        lane=Lane.PEOPLE if operator else Lane.EVENTS,
        group_key=None,
        profile="ada",
        operator=operator,
        message=message,
        recorded_at=0.0,
        state=State.PENDING,
        attempt=None,
        sends=0,
        reason=None,
        possibly_twice=False,
    )


@pytest.mark.parametrize(
    ("message", "operator", "shown"),
    [
        ({"$set": {"plan": "pro"}}, "$set", 'set plan  "pro"'),
        ({"$set": {"plan": "pro", "city": "x" * 30}}, "$set", 'set plan, city  "pro", "xxxxxxxxxxxxxxxxxx…'),
        ({"$set_once": {"first": 1}}, "$set_once", "set once first  1"),
        ({"$set": {}}, "$set", "set {}"),
        ({"$set": {f"p{n}": n for n in range(1_000)}}, "$set", None),
        ({"$add": {"visits": 1, "points": -13}}, "$add", "visits +1, points -13"),
        ({"$add": {"n": 0.1}}, "$add", "n +0.1"),
        ({"$add": {"n": "x"}}, "$add", 'n +"x"'),
        ({"$union": {"tags": ["a", "b"], "seen": 3}}, "$union", '+2 to tags, +1 to seen  "a", "b", 3'),
        ({"$append": {"seen": "door"}}, "$append", 'append to seen  "door"'),
        (
            {"$append": {"$transactions": {"$amount": 24.8, "item": "coffee"}}},
            "$append",
            "charge 24.80  coffee",
        ),
        ({"$append": {"$transactions": {"$amount": -3, "$time": "2026"}}}, "$append", "charge -3.00"),
        ({"$append": {"$transactions": {"$amount": 0.125}}}, "$append", "charge 0.125"),
        ({"$append": {"$transactions": {"$amount": 10**400}}}, "$append", None),
        ({"$append": {"$transactions": {"$amount": True}}}, "$append", "charge true"),
        ({"$append": {"$transactions": 3}}, "$append", "append to $transactions  3"),
        ({"$remove": {"tags": "a"}}, "$remove", 'remove from tags  "a"'),
        ({"$unset": ["plan", "city"]}, "$unset", "unset plan, city"),
        ({"$unset": ["$transactions"]}, "$unset", "clear charges"),
        ({"$unset": "plan"}, "$unset", 'unset "plan"'),
        ({"$delete": ""}, "$delete", "delete the profile"),
        ({"$delete": None}, "$delete", "delete the profile"),
        ({"$merge": 0}, "$merge", "merge 0"),
        ({"$merge": [True, None, {"a": 1}]}, "$merge", 'merge [true, null, {"a": 1}]'),
        ({"event": "visit", "properties": {"page": 1}}, None, "event visit  page"),
        ({"event": ["visit"], "properties": None}, None, 'event ["visit"]'),
        ({}, None, "{}"),
    ],
)
def test_summary_says_what_it_does(message, operator, shown):
    found = summary(entry(message, operator))
    assert found == shown if shown is not None else len(found) == 60


def test_summary_is_short_and_printable():
    assert summary(entry({"$set": {"a": "x" * 100}}, "$set"), 12) == 'set a  "xxx…'
    assert summary(entry({"$add": {"\x1b[31m": 1}}, "$add")) == "\\x1b[31m +1"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
OPERATORS = st.sampled_from(["$set", "$add", "$union", "$append", "$unset", "$delete", "$merge", ""])


@given(OPERATORS, JSON | st.fixed_dictionaries({"$transactions": JSON}), st.integers(1, 80))
def test_summary_is_one_line(operator, payload, length):
    shown = summary(entry({"$distinct_id": "ada", operator: payload}, operator), length)
    assert len(shown) <= length
    assert shown.isprintable()
