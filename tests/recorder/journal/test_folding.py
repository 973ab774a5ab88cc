"""Folding: two updates leave the same profile as their fold, from any start and under any dialect."""

import itertools
import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.journal.folding import joined, passing
from recorder.journal.packing import pack
from recorder.model.json_value import compact
from recorder.model.operations import Lane, Operator, operators_of
from simulator import Dialect, apply_operation
from simulator.testing import strategies

# Each field of a dialect, at every value.
POLICIES = {
    "add_to_other": ["ignore", "replace"],
    "add_beyond_doubles": ["ignore", "clamp"],
    "remove_occurrences": ["all", "first"],
    "remove_list": ["each", "whole"],
    "emptied_list": ["keep", "unset"],
    "union_duplicates": ["keep", "collapse"],
    "null_counts_as_set": [True, False],
}
CREATING = [
    Dialect().creating,
    frozenset(),
    *(frozenset({operator.value}) for operator in Operator),
    *(Dialect().creating - {operator.value} for operator in Operator),
]
DIALECTS = [
    Dialect(creating=creating, **dict(zip(POLICIES, chosen, strict=True)))
    for creating in CREATING
    for chosen in itertools.product(*POLICIES.values())
]

# Start states and payloads that collide: absent, null, numbers of both kinds, text like a number, lists with
# duplicates, objects.
VALUES = [None, 0, 1, 1.0, -0.0, True, False, "", "1", 2**53, 1.5, [], [1], [1, 1], [1, 1.0, True], {"a": 1}]
STARTS = [None, {}, *({"a": value} for value in VALUES), {"a": [1, 2], "b": 3}]
INTEGERS = [0, 1, -1, 2, 2**53, -(2**53), 10**308]
PAYLOADS = {
    "$set": [{}, *({"a": value} for value in VALUES), {"b": 1}, {"a": 1, "b": 2}],
    "$set_once": [{}, *({"a": value} for value in VALUES), {"b": 1}, {"a": 1, "b": 2}],
    "$add": [{}, *({"a": number} for number in INTEGERS), {"b": 1}, {"a": 1, "b": 2}],
    "$union": [
        *({"a": value} for value in VALUES if value != []),
        {"a": [1.0, True, 1, "1"]},
        {"a": [[1]]},
        {"b": [1]},
        {"a": [2], "b": [1]},
    ],
    "$unset": [["a"], ["b"], ["a", "b"], ["c"]],
    "$append": [{"a": 1}, {"a": [1]}],
    "$remove": [{"a": 1}, {"a": [1]}],
    "$delete": ["", None],
}


def message(operator, payload, **more):
    return {"$distinct_id": "ada", operator: payload, **more}


def applied(state, updates, dialect):
    for update in updates:
        (operator,) = operators_of(update)
        state, _ = apply_operation(state, operator, update[operator], dialect)
    return state


def spelled(state):
    return json.dumps(state, sort_keys=True)


def pairs(first, then):
    for one, other in itertools.product(PAYLOADS[first], PAYLOADS[then]):
        yield message(first, one), message(then, other)


@pytest.mark.parametrize("every", [50, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("operator", [*PAYLOADS])
def test_one_operator_folds_under_every_dialect(operator, every):
    """Two updates leave the same profile as their fold."""
    folded = 0
    # Half the policies matter to removes only, which do not fold.
    bearing = list(dict.fromkeys(relevant(dialect, operator) for dialect in DIALECTS))
    for earlier, later in itertools.islice(pairs(operator, operator), 0, None, every):
        one = joined(earlier, later)
        if one is None:
            continue
        folded += 1
        for start, dialect in itertools.product(STARTS, bearing):
            if operator == "$add" and isinstance((start or {}).get("a"), float):
                continue  # rounding: below
            assert spelled(applied(start, [one], dialect)) == spelled(
                applied(start, [earlier, later], dialect)
            ), (start, earlier, later, dialect)
    assert (folded > 0) == (operator not in {"$append", "$remove"})


def relevant(dialect, operator):
    """Return a dialect, with the policies that cannot matter to an operator set back."""
    bears = {
        "$add": {"add_to_other", "add_beyond_doubles"},
        "$union": {"union_duplicates"},
        "$set_once": {"null_counts_as_set"},
    }.get(operator, set())
    kept = {name: getattr(dialect, name) for name in bears}
    return Dialect(creating=dialect.creating, **kept)


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("first", [operator for operator in PAYLOADS if operator != "$delete"])
def test_delete_absorbs_earlier_updates(first, every):
    for earlier, later in itertools.islice(pairs(first, "$delete"), 0, None, every):
        one = joined(earlier, later)
        assert one == later
        for start, creating in itertools.product(STARTS, CREATING):
            dialect = Dialect(creating=creating)
            assert applied(start, [one], dialect) == applied(start, [earlier, later], dialect) is None


@pytest.mark.parametrize(("first", "then"), list(itertools.permutations(PAYLOADS, 2)))
def test_different_operators_never_fold(first, then):
    """Updates of different operators never fold, except into a delete."""
    assert all((joined(*pair) is not None) == (then == "$delete") for pair in pairs(first, then))


@given(
    strategies.states(),
    strategies.operations(),
    strategies.operations(),
    st.sampled_from(DIALECTS),
)
def test_drawn_updates_fold_exactly(start, first, then, dialect):
    """Any two drawn updates leave the same profile as their fold."""
    earlier, later = first.on("ada"), then.on("ada")
    one = joined(earlier, later)
    if one is None:
        return
    left, right = applied(start, [one], dialect), applied(start, [earlier, later], dialect)
    if first.operator == "$add":
        assert near(left, right, start, first.payload, then.payload)
    else:
        assert spelled(left) == spelled(right)


def near(left, right, start, first, then):
    """Return True if profiles are equal; sums of floats may differ by two units in the last place."""
    if left is None or right is None:
        return left is right
    for name in left.keys() | right.keys():
        one, other = left[name], right[name]
        if spelled(one) == spelled(other):
            continue
        assert type(one) is type(other) is float
        present = (start or {}).get(name, 0)
        present = present if type(present) in {int, float} else 0
        added, more = first.get(name, 0), then.get(name, 0)
        largest = max(
            abs(float(sum_)) for sum_ in (present + added, added + more, present + added + more, present)
        )
        assert abs(one - other) <= 2 * math.ulp(largest)
    return left.keys() == right.keys()


# Operations that collide or not: those of a profile with two properties, and a third one.
SMALL = [
    *(message("$add", {name: 1}) for name in "ab"),
    *(message("$set", payload) for payload in ({"a": 2}, {"b": 2}, {"a": 3, "b": 3}, {})),
    *(message("$append", {name: 1}) for name in "ab"),
    message("$union", {"c": [1]}),
    message("$unset", ["b"]),
    message("$delete", ""),
]
SMALL_STARTS = [None, {}, {"a": 1, "b": [0]}]


@pytest.mark.parametrize("every", [16, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("later", [one for one in SMALL if not {"$append", "$delete"} & one.keys()], ids=str)
def test_passing_keeps_every_small_run(later, every):
    """A run of five leaves the same profile if an update goes behind others, and the next one joins it."""
    passed = 0
    for run in itertools.islice(itertools.product(SMALL, repeat=4), 0, None, every):
        place = passing(run, later)
        if place is None:
            continue
        passed += 1
        moved = [*run[:place], *run[place + 1 :], run[place]]
        one = joined(run[place], later)
        for start, creating in itertools.product(SMALL_STARTS, CREATING):
            dialect = Dialect(creating=creating)
            expected = applied(start, [*run, later], dialect)
            assert spelled(applied(start, [*moved, later], dialect)) == spelled(expected), (
                start,
                run,
                creating,
            )
            if one is not None:
                assert spelled(applied(start, [*moved[:-1], one], dialect)) == spelled(expected)
    assert passed


@given(
    strategies.states(),
    st.lists(strategies.operations(), min_size=3, max_size=9),
    st.sampled_from(DIALECTS),
)
def test_drawn_runs_pass_exactly(start, operations, dialect):
    *run, later = (operation.on("ada") for operation in operations)
    place = passing(run, later)
    if place is not None:
        moved = [*run[:place], *run[place + 1 :], run[place], later]
        assert spelled(applied(start, moved, dialect)) == spelled(applied(start, [*run, later], dialect))


VISIT, VIEW = message("$add", {"n": 1}), message("$append", {"seen": "x"})


@pytest.mark.parametrize(
    ("between", "place"),
    [
        (VIEW, 2),
        (message("$append", {"n": "x"}), None),
        (message("$remove", {"seen": "x"}), None),
        (message("$delete", None), None),
        (VIEW | {"$ip": 0}, None),
        (VIEW | {"$ignore_time": True}, None),
        (VIEW | {"$time": 9}, 2),
        (VIEW | {"$set": {}}, None),
    ],
)
def test_passing_needs_a_tried_operation(between, place):
    """Only known operators that stand earlier in the run, on other properties, with equal modifiers are passed."""
    assert passing([VISIT, VIEW, VISIT, between], VISIT) == place


def test_nothing_passes_out_of_need():
    """A neighbour needs not pass; what joins nothing does not; and before a delete nothing was tried."""
    assert passing([VISIT, VIEW, VISIT, VIEW, VISIT], VISIT) is None
    assert passing([VIEW, VISIT, VIEW, VISIT], VIEW) is None
    assert passing([VISIT, VIEW, message("$delete", ""), VISIT, VIEW], VISIT) is None
    assert passing([], VISIT) is passing([VIEW], VISIT) is None


def test_nothing_passes_unknown_operators():
    unknown = message("$merge", {})
    assert passing([VISIT, VIEW, unknown, VISIT, VIEW], VISIT) == 3
    assert passing([VISIT, unknown, VIEW, VISIT, unknown], VISIT) is None


@pytest.mark.parametrize("length", [6, 12, 60])
def test_long_runs_fold_exactly(length):
    """Requests of random runs leave the same profile, from any start and whatever creates one."""
    dice, folded = random.Random(length), 0
    for _ in range(480 // length):
        chosen = dice.sample(SMALL, dice.randint(2, 5))
        run = dice.choices(chosen, k=length)
        one = pack(
            enumerate(map(compact, run), 1),
            lane=Lane.PEOPLE, token="T", most_updates=length, most_bytes=10**6, now=0.0, fold=True,
        )  # fmt: skip
        sent = json.loads(one.body)
        folded += len(run) - len(sent)
        for start, creating in itertools.product(SMALL_STARTS, dice.sample(CREATING, 4)):
            dialect = Dialect(creating=creating)
            assert spelled(applied(start, sent, dialect)) == spelled(applied(start, run, dialect)), (
                run,
                sent,
            )
    assert folded > 40


def test_adds_beyond_doubles_stay_apart():
    """Additions whose sum might leave the exact range of doubles do not fold."""
    assert joined(message("$add", {"a": 2**53}), message("$add", {"a": 1})) is None
    assert joined(message("$add", {"a": 1e308}), message("$add", {"a": 1e308})) is None
    assert joined(message("$add", {"a": 2**53 - 1}), message("$add", {"a": 1})) is not None


def test_null_set_once_stays_apart():
    """A `$set_once` of null does not fold with a later one of the same property."""
    assert joined(message("$set_once", {"a": None}), message("$set_once", {"a": 1})) is None
    assert joined(message("$set_once", {"a": None}), message("$set_once", {"b": 1})) is not None


def test_fold_needs_equal_modifiers():
    """Updates fold only if their modifiers are equal; the later `$time` counts."""
    earlier = message("$set", {"a": 1}, **{"$time": 1, "$ip": 0})
    assert joined(earlier, message("$set", {"a": 2}, **{"$time": 2})) is None
    assert joined(earlier, message("$set", {"a": 2}, **{"$time": 2, "$ip": False})) is None
    assert joined(earlier, message("$set", {"a": 2}, **{"$ip": 0, "$time": 2})) == {
        "$distinct_id": "ada",
        "$set": {"a": 2},
        "$ip": 0,
        "$time": 2,
    }


def test_client_sdk_envelopes_must_be_equal():
    one, two = (
        message("$set", {"a": n}, **{"$device_id": "dev-1", "$mp_metadata": {"$mp_session_seq_id": n}})
        for n in (1, 2)
    )
    assert joined(one, two) is None
    assert joined(one, two | {"$mp_metadata": one["$mp_metadata"]}) == one | {"$set": {"a": 2}}


def test_recorded_envelope_alone_never_folds():
    """Journals may have such entries from when `$device_id` counted as an operator."""
    alone, whole = message("$device_id", "dev-1"), message("$set", {"a": 1})
    assert joined(alone, whole) is joined(whole, alone) is joined(alone, alone) is None


def test_unknown_operators_never_fold():
    unknown = message("$merge", {"$into": "bob"})
    assert joined(unknown, unknown) is None
    assert joined(unknown, message("$delete", "")) is None


def test_fold_leaves_its_arguments_unchanged():
    earlier, later = message("$union", {"a": [1]}), message("$union", {"a": [2]})
    before = json.dumps([earlier, later])
    one = joined(earlier, later)
    one["$union"]["a"].append(3)
    assert json.dumps([earlier, later]) == before
