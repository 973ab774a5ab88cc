"""Lines that a person types to record an operation."""

import pytest

from recorder import InvalidOperation
from simulator import Simulator
from tui.text.compose import composed, effect_lines


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('set plan "pro" seats 3', {"$set": {"plan": "pro", "seats": 3}}),
        ('set_once "first seen" [1, {"a": null}]', {"$set_once": {"first seen": [1, {"a": None}]}}),
        (" increment  visits  -1.5 ", {"$add": {"visits": -1.5}}),
        ('append tags "a b"', {"$append": {"tags": "a b"}}),
        ('union tags ["a"]', {"$union": {"tags": ["a"]}}),
        ('remove tags "a"', {"$remove": {"tags": "a"}}),
        ('unset trial "a b"', {"$unset": ["trial", "a b"]}),
        (
            'charge 24.80 {"item": "coffee", "$time": "2026-01-02T03:04:05"}',
            {
                "$append": {
                    "$transactions": {"item": "coffee", "$time": "2026-01-02T03:04:05", "$amount": 24.8}
                }
            },
        ),
        ("clear_charges", {"$unset": ["$transactions"]}),
        ("delete", {"$delete": ""}),
    ],
)
def test_line_is_an_operation(line, message):
    people = Simulator(clock=lambda: 1.0)
    composed(line).apply(people, "ada", None)
    assert people.timeline("ada").steps[0].message == {"$time": 1.0, "$distinct_id": "ada", **message}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sett plan 1", "begin with one of set, set_once"),
        ("set", "write set NAME VALUE"),
        ('set plan "pro" seats', "write set NAME VALUE"),
        ("set plan pro", 'pro is not a JSON value: write text as "pro"'),
        ("unset", "write unset NAME"),
        ("charge 1 {} 2", "write charge AMOUNT"),
        ("delete ada", "write delete alone"),
        ("set x " + "[" * 100_000, "is not a JSON value"),
    ],
)
def test_unfit_line_says_what_fits(line, words):
    with pytest.raises(ValueError, match=words):
        composed(line)


def test_effect_is_the_recorders():
    """It is checked as recording would, and told where a value cannot take it."""
    with pytest.raises(InvalidOperation, match="must be a number"):
        effect_lines(composed('increment visits "two"'), "ada", None, None, 0.0)
    assert effect_lines(composed("increment plan 1"), "ada", None, {"plan": "pro"}, 0.0) == [
        "plan: a string cannot be added to"
    ]
    assert effect_lines(composed("unset nothing"), "ada", None, {}, 0.0) == ["nothing changes"]


def test_group_takes_its_own_operations():
    assert effect_lines(composed("set seats 12"), "acme", "company", {}, 0.0) == ["+ seats: 12"]
    with pytest.raises(ValueError, match="a group has no increment"):
        effect_lines(composed("increment seats 1"), "acme", "company", {}, 0.0)
