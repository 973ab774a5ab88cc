"""Evidence about a counted run: sent again from there on, each run gives its whole result."""

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model.counting import Counting
from recorder.model.hazards import Update
from recorder.model.told import Past, Run, known_count, told
from simulator import Simulator

COUNTING = Counting("restante_3af6e1c3", "3af6")
CHARGES = "$transactions"
OPERATIONS = [
    ("$add", {"a": 1}),
    ("$add", {"a": 2, "b": 1}),
    ("$set", {"a": 5}),
    ("$set_once", {"b": 7}),
    ("$union", {"b": ["x"]}),
    ("$append", {"b": "x"}),
    ("$append", {CHARGES: {"$amount": 5}}),
    ("$append", {CHARGES: {"$amount": 5}, "b": {"y": 1}}),
    ("$remove", {"b": "x"}),
    ("$unset", ["a"]),
    ("$unset", [CHARGES]),
    ("$set", {CHARGES: []}),
    ("$delete", ""),
]
STARTS = [
    ({}, 0),
    ({"a": 3, "b": ["x"], COUNTING.counter: 2}, 2),
    ({"a": "text", "b": 1, CHARGES: [{"$amount": 5}], COUNTING.counter: 1}, 1),
    ({CHARGES: "text"}, 0),
]


def sent(run, counting=COUNTING):
    """The run's messages as they travel."""
    return [
        json.loads(
            counting.written(seq, json.dumps({"$distinct_id": "u", operator: payload}, separators=(",", ":")))
        )
        for seq, (operator, payload) in enumerate(run, 1)
    ]


def after(start, messages):
    simulator = Simulator()
    if start:
        simulator.people_set("u", dict(start))
    for message in messages:
        simulator.people_update(message)
    return dict(simulator.profiles["u"]) if "u" in simulator.profiles else None


def answer(run, known, profile, counting=COUNTING):
    updates = [(seq, Update(operator, payload)) for seq, (operator, payload) in enumerate(run, 1)]
    return told(Run(counting, updates), known, profile or {})


def check(run, start, known, counting=COUNTING):
    """Return how many first parts of a run are told."""
    messages = sent(run, counting)
    whole, tellable = after(start, messages), 0
    for applied in range(len(run) + 1):
        profile = after(start, messages[:applied])
        from_there = answer(run, known, profile, counting)
        if from_there is not None:
            tellable += 1
            again = after(start, messages[:applied] + messages[from_there:])
            assert again == whole, (run, start, applied, from_there)
    return tellable


@pytest.mark.parametrize(
    "length", [1, 2, pytest.param(3, marks=pytest.mark.long), pytest.param(4, marks=pytest.mark.long)]
)
def test_told_makes_the_result_whole(length):
    """Every run, from every start, of which any first part was applied; of four, by half of the operations."""
    operations = OPERATIONS if length < 4 else OPERATIONS[::2]
    assert sum(check(run, *start) for run in product(operations, repeat=length) for start in STARTS) > len(
        OPERATIONS
    )


VALUES = st.sampled_from([0, 1, 2.5, "x", [1], {"y": 1}])
NAMES = st.sampled_from(["a", "b", CHARGES])
ANY = st.one_of(
    st.tuples(st.just("$add"), st.dictionaries(NAMES, st.integers(-2, 2), min_size=1, max_size=2)),
    st.tuples(
        st.sampled_from(["$set", "$set_once", "$append", "$remove"]),
        st.dictionaries(NAMES, VALUES, min_size=1, max_size=2),
    ),
    st.tuples(
        st.just("$union"), st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=2), min_size=1)
    ),
    st.tuples(st.just("$unset"), st.lists(NAMES, min_size=1)),
    st.tuples(st.just("$delete"), st.just("")),
)


@settings(max_examples=2 * settings.default.max_examples, deadline=None)
@given(st.lists(ANY, max_size=7), st.sampled_from(STARTS), st.booleans())
def test_told_holds_for_any_run(run, start, objects):
    check(run, *start, COUNTING._replace(objects=objects))


def test_counted_run_is_always_told():
    """Every first part is told, and exactly, of entries that each add or are a charge on a list."""
    for run in product([OPERATIONS[0], OPERATIONS[6]], repeat=4):
        for applied in range(5):
            assert answer(run, 0, after({}, sent(run)[:applied])) == applied


def test_no_first_part_tells_nothing():
    """Nothing is sent again or dropped if a later entry was applied, and an earlier one was not."""
    run = [OPERATIONS[0], OPERATIONS[6], OPERATIONS[0], OPERATIONS[6]]
    messages = sent(run)
    for chosen in product([False, True], repeat=4):
        subset = [message for message, applied in zip(messages, chosen, strict=True) if applied]
        got = answer(run, 0, after({}, subset))
        if got is not None:  # adds look alike: which of them was applied makes no difference
            assert after({}, subset + messages[got:]) == after({}, messages)
        elif list(chosen) == sorted(chosen, reverse=True):
            raise AssertionError(chosen)


@pytest.mark.parametrize("count", [1, 2, "2", None, True])
def test_foreign_counts_tell_nothing(count):
    assert answer([OPERATIONS[0]] * 2, 3, {COUNTING.counter: count}) is None
    assert answer([OPERATIONS[0]] * 2, 3, {COUNTING.counter: 6}) is None


def test_known_count_begins_at_a_deletion():
    add = Past("$add", "shipped", 1, 0, COUNTING.kept)
    assert known_count(5, COUNTING.counter, [add, add._replace(operator="$delete"), add]) == 1
    assert (
        known_count(5, COUNTING.counter, [add._replace(counted=None), add._replace(counted="restante_0")])
        == 5
    )
    assert known_count(5, COUNTING.counter, [add._replace(state="discarded")]) is None
    assert known_count(5, COUNTING.counter, [add._replace(possibly_twice=1), add]) is None


SPELLED = [
    {"$distinct_id": "ada", "$time": 1.5, "$add": {"visits": 1}},
    {"$distinct_id": "ada", "$add": {}},
    {"note": {"$add": {"x": 1}}, "$distinct_id": "ada", "$add": {"visits": 1}},
    {"$distinct_id": 'ada"$add":{', "$add": {'a{"': 1}},
    {"$distinct_id": "ada", "$set": {"$add": {"x": 1}, "y": [{"$add": {"x": 1}}]}},
    {"$distinct_id": "ada", "$set": {"x": '"$add":{'}},
    {"$distinct_id": "ada", "$append": {CHARGES: {"$amount": 5}}},
    {"$distinct_id": "ada", "$append": {CHARGES: {}}},
    {"$distinct_id": "ada", "$append": {"a": {"b": 1}, CHARGES: {"$amount": 5}}},
    {"$distinct_id": "ada", "$append": {CHARGES: {"$amount": 5, "restante": "mine"}}},
    {"$distinct_id": "ada", "$append": {CHARGES: 5}},
    {"$distinct_id": "ada", "$add": {COUNTING.counter: 5}},
]


@pytest.mark.parametrize("message", SPELLED, ids=json.dumps)
@pytest.mark.parametrize("objects", [False, True])
def test_writing_counts_as_parsing_does(message, objects):
    """A message that is spliced becomes what parsing and changing it gives."""
    counting = COUNTING._replace(objects=objects)
    text = json.dumps(message, separators=(",", ":"))
    written = json.loads(counting.written(7, text))
    assert written == json.loads(counting._rewritten(7, text))
    if isinstance(message.get("$add"), dict):
        assert written["$add"].pop(counting.counter) == 1 + message["$add"].get(counting.counter, 0)
        assert written["$add"] == {name: n for name, n in message["$add"].items() if name != counting.counter}
    else:
        names = counting.marked(Update.of("$append", message))
        assert all(written["$append"][name].pop("restante") == "3af6-7" for name in names)
        assert written == message


def test_long_run_is_told_at_once():
    """A request may carry 2,000 entries of one profile."""
    run = [("$append", {CHARGES: {"$amount": 1}})] * 2_000
    profile = {CHARGES: [{"restante": COUNTING.mark(seq)} for seq in range(1, 1_001)]}
    assert answer(run, 0, profile) == 1_000
