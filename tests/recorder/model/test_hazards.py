"""Hazards by brute force: no small run that is classed harmless ends otherwise when it is sent again."""

import itertools
import json

import pytest

from recorder.model.hazards import Update, dropped, hazardous
from simulator import Dialect, apply_operation
from tests.profiles import sampled

# Values that collide: equal as JSON or not, lists and what may stand in them, numbers and what is none.
STARTS = [
    None,
    {},
    *({"a": value} for value in (None, 0, 1, 1.0, True, "1", [], [1], [1, 1], [True], {"a": 1})),
    {"a": 1, "b": [1]},
]
POOL = [
    Update("$set", {"a": 1}),
    Update("$set", {"a": [1]}),
    Update("$set", {"a": 2, "b": 1}),
    Update("$set", {}),
    Update("$set_once", {"a": 2}),
    Update("$set_once", {"a": [2]}),
    Update("$add", {"a": 1}),
    Update("$add", {"a": 0}),
    Update("$append", {"a": 1}),
    Update("$union", {"a": [1, 2]}),
    Update("$union", {"a": [1.0], "b": [2]}),
    Update("$remove", {"a": 1}),
    Update("$remove", {"a": [1, 2]}),
    Update("$unset", ["a"]),
    Update("$unset", ["a", "b"]),
    Update("$delete", ""),
]
DIALECTS = [
    Dialect(),
    Dialect(remove_occurrences="first", emptied_list="unset", null_counts_as_set=False),
    Dialect(add_to_other="replace", remove_list="whole", union_duplicates="collapse"),
    Dialect(creating=frozenset({"$set", "$set_once", "$add", "$append", "$union"})),
]
UNDER_DIALECTS = pytest.mark.parametrize(
    "dialect",
    [
        pytest.param(dialect, id=name, marks=() if name == "default" else pytest.mark.long)
        for name, dialect in zip(
            ["default", "removes first", "replaces", "creates less"], DIALECTS, strict=True
        )
    ],
)
RUNS = [run for length in (1, 2, 3) for run in itertools.product(POOL, repeat=length)]


def applied(state, run, dialect):
    for update in run:
        state, _ = apply_operation(state, update.operator, update.payload, dialect)
    return state


def spelled(state):
    """A state as text: 1, 1.0 and true differ, the order of an object's keys does not count."""
    return json.dumps(state, sort_keys=True)


def differs(run, dialect):
    """Whether some start exists from which the run, sent again after a prefix of it or the whole, ends otherwise."""
    for start in STARTS:
        once = applied(start, run, dialect)
        for applied_before in range(1, len(run) + 1):
            before = applied(start, run[:applied_before], dialect)
            if spelled(applied(before, run, dialect)) != spelled(once):
                return True
    return False


@pytest.mark.parametrize(("longest", "many"), sampled([(2, 100), (3, 1_000)], 2))
@UNDER_DIALECTS
def test_harmless_run_sent_again_changes_nothing(dialect, longest, many):
    harmless = [run for run in RUNS if len(run) <= longest and not hazardous(run)]
    assert len(RUNS) == 16 + 16**2 + 16**3
    assert len(harmless) > many
    assert [run for run in harmless if differs(run, dialect)] == []


def test_some_hazardous_runs_differ():
    """The brute force can tell: many a run that the rule calls hazardous does differ from some start."""
    risky = [run for run in RUNS if len(run) < 3 and hazardous(run)]
    assert sum(differs(run, Dialect()) for run in risky) > len(risky) / 5


@pytest.mark.long
@UNDER_DIALECTS
def test_rest_after_dropping_is_harmless(dialect):
    for run in RUNS:
        gone = dropped(run)
        left = [update for place, update in enumerate(run) if place not in gone]
        assert not hazardous(left)
        kept = {name for update in left for name in update.properties}
        for start in STARTS:
            whole = shown(applied(start, run, dialect), kept)
            for applied_before in range(len(run) + 1):
                before = applied(start, run[:applied_before], dialect)
                assert shown(applied(before, left, dialect), kept) == whole, (run, left, start)


def shown(state, names):
    return spelled({name: (state or {})[name] for name in names if name in (state or {})})


def test_later_set_makes_no_add_harmless():
    """The add may have gone again when a person gives the set up."""
    assert hazardous([Update("$add", {"a": 1}), Update("$set", {"a": 1})]) == {0, 1}


def test_run_with_unknown_operator_is_hazardous():
    run = [Update("$set", {"a": 1}), Update("$merge", [["a"], ["b"]])]
    assert hazardous(run) == {0, 1}
    assert dropped(run) == {0, 1}


@pytest.mark.parametrize(
    ("properties", "expected"),
    [({"$insert_id": "x"}, set()), ({"$insert_id": ""}, {0}), ({}, {0}), (None, {0}), ("text", {0})],
)
def test_event_with_insert_id_is_harmless(properties, expected):
    assert hazardous([Update.of(None, {"event": "e", "properties": properties})]) == expected


def test_delete_is_harmless_only_at_end():
    add, delete = Update("$add", {"a": 1}), Update("$delete", "")
    assert not hazardous([add, delete])
    assert hazardous([delete, add]) == {0, 1}
    assert hazardous([delete, delete]) == {0, 1}


def test_marked_place_takes_sharing_places_along():
    run = [Update("$set", {"a": 1}), Update("$set", {"a": 2, "b": 1}), Update("$set", {"c": 1})]
    assert dropped(run) == set()
    assert dropped(run, frozenset({0})) == {0, 1}


def test_dropping_spreads_over_shared_properties():
    """Sent again alone, the first set would undo the second, which may have been applied."""
    run = [
        Update("$set", {"plan": "free"}),
        Update("$set", {"plan": "pro", "n": 1}),
        Update("$add", {"n": 1, "m": 1}),
        Update("$set", {"other": 1}),
    ]
    assert dropped(run) == {0, 1, 2}
