"""`Simulator.timeline`: a profile at each moment, its steps, and who wrote what is there."""

import json
from copy import deepcopy
from decimal import Decimal
from enum import StrEnum
from math import nan

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder import Journal, JournalConsumer, JournalReader, Recorder, RestanteError, Shipper, ShippingPolicy
from recorder.model import semantics as semantics_module
from recorder.model.json_value import json_key, same_spelling
from recorder.model.operations import Operator
from recorder.reading import entries as entries_module
from simulator import (
    ABSENT,
    Blame,
    Change,
    Dialect,
    Profile,
    Simulator,
    Step,
    Timeline,
    Verdict,
    describe,
    difference,
)
from simulator import replay as replay_module
from simulator.testing import assert_profile
from simulator.writers import Writers
from tests.doubles import REFUSED, Scripted

# --- what is tried: one property that much happens to, and another ---------------------------------

SCALARS = st.sampled_from([1, 1.0, True, 0, -0.0, "x", "1", None])
VALUES = SCALARS | st.lists(SCALARS, max_size=4) | st.just({"y": 1}) | st.just([[1], [1.0]])
NAMES = st.sampled_from(["a", "a", "a", "b"])


def payloads(values):
    return st.dictionaries(NAMES, values, max_size=2)


PAYLOADS = {
    "$set": payloads(VALUES),
    "$set_once": payloads(VALUES),
    "$add": payloads(st.sampled_from([0, 1, -1.0, 0.1, 10**308, -(10**308), 1e308])),
    "$append": payloads(VALUES),
    "$union": payloads(VALUES.filter(lambda value: value != [])),
    "$remove": payloads(VALUES),
    "$unset": st.lists(NAMES, min_size=1, max_size=2),
    "$delete": st.just(""),
    "$merge": st.just(1),
}
MALFORMED = st.sampled_from([("$add", {"a": "1"}), ("$unset", "a"), ("$union", {"a": []})])
# Lists grow and shrink more often than all else happens.
LISTS = st.sampled_from(["$append", "$union", "$remove"] * 3 + sorted(PAYLOADS))
OPERATIONS = st.one_of(
    *[LISTS.flatmap(lambda operator: st.tuples(st.just(operator), PAYLOADS[operator]))] * 9, MALFORMED
)
MESSAGES = st.lists(OPERATIONS, min_size=1, max_size=3) | OPERATIONS.map(lambda operation: [operation])
HISTORIES = st.lists(
    MESSAGES.map(lambda operations: {"$distinct_id": "ada", **dict(operations)}), min_size=1, max_size=14
)
DIALECTS = st.just(Dialect()) | st.builds(
    Dialect,
    add_to_other=st.sampled_from(["ignore", "replace"]),
    add_beyond_doubles=st.sampled_from(["ignore", "clamp"]),
    remove_occurrences=st.sampled_from(["all", "first"]),
    remove_list=st.sampled_from(["each", "whole"]),
    emptied_list=st.sampled_from(["keep", "unset"]),
    union_duplicates=st.sampled_from(["keep", "collapse"]),
    null_counts_as_set=st.booleans(),
    several_operators=st.sampled_from(["in_order", "in_order", "reject"]),
    malformed_operator=st.sampled_from(["message", "operator"]),
    unknown_operators=st.sampled_from(["refuse", "ship"]),
    creating=st.frozensets(st.sampled_from(sorted(set(Operator) - {Operator.DELETE})), min_size=5),
)


def of(messages, dialect=None):
    return Simulator.from_messages(messages, dialect).timeline("ada")


def ada(*operations):
    """The timeline of operations, each a message."""
    return of([{"$distinct_id": "ada", **operation} for operation in operations])


def shown(profile):
    if profile is None:
        return None
    return json.dumps(dict(profile), sort_keys=True), profile.id, profile.group_key, profile.partly_known


def numbers(steps):
    return [step.n for step in steps]


# --- at ---------------------------------------------------------------------------------------------


@given(HISTORIES, DIALECTS)
def test_at_equals_prefix_applied(messages, dialect):
    timeline = of(messages, dialect)
    assert len(timeline) == len(messages)
    for n in [*range(len(messages) + 1), *reversed(range(len(messages) + 1))]:
        fresh = Simulator.from_messages(messages[:n], dialect)
        assert shown(timeline.at(n)) == shown(fresh.profiles.get("ada"))


def test_at_is_none_without_profile():
    timeline = ada({"$set": {"a": 1}}, {"$delete": ""}, {"$append": {"a": 2}})
    assert [timeline.at(n) for n in range(4)] == [None, {"a": 1}, None, {"a": [2]}]
    assert isinstance(timeline.at(1), Profile)


@pytest.mark.parametrize("n", [-1, 3, 100])
def test_at_refuses_unknown_moments(n):
    timeline = ada({"$set": {"a": 1}}, {"$set": {"a": 2}})
    with pytest.raises(IndexError, match=rf"at\({n}\): the profile 'ada' has 2 messages"):
        timeline.at(n)


def test_at_knows_partly_known():
    messages = [{"$set": {"a": 1}}, {"$merge": 1}, {"$delete": ""}, {"$set": {"a": 2}}]
    timeline = of([{"$distinct_id": "ada", **one} for one in messages], Dialect(unknown_operators="ship"))
    assert [timeline.at(n).partly_known for n in (1, 2, 4)] == [False, True, True]


def test_at_works_in_any_order():
    simulator = Simulator()
    for n in range(20_000):
        simulator.people_increment("ada", {"n": 1})
        if n % 50 == 0:
            simulator.people_append("ada", {"l": n})
    timeline = simulator.timeline("ada")
    total = len(timeline)
    assert total == 20_400
    for n in [20_400, 3, 16_000, 15_999, 16_001, 256, 255, 257, 0, 20_399, 9_000, 8_192, 1, 20_400, 512]:
        profile = timeline.at(n)
        assert (profile or {}).get("n", 0) == n - n // 51 - (n % 51 > 1)
        assert len((profile or {}).get("l", [])) == n // 51 + (n % 51 > 1)
    assert timeline.steps[10_000].n == 10_001
    assert timeline.steps[10_000].changes == (Change(("n",), 9803, 9804),)


def test_checkpoints_are_bounded():
    simulator = Simulator()
    for n in range(20_000):
        simulator.people_append("ada", {"l": n})
    timeline = simulator.timeline("ada")
    for n in (20_000, 10_000, 20_000, 5_000):
        assert timeline.at(n)["l"][-1] == n - 1
    assert len(timeline._replay._checkpoints) <= 65
    assert len(timeline._replay._states) == 2


def test_shown_profiles_are_copies():
    timeline = ada({"$set": {"a": [1, {"x": [1]}]}}, {"$append": {"a": 2}})
    for n in (1, 2):
        timeline.at(n)["a"].append("late")
        timeline.at(n)["a"][1]["x"].append("late")
    timeline.blame("a").value[1]["x"].append("late")
    timeline.steps[0].changes[0].after["a"][1]["x"].append("late")
    assert (timeline.at(1), timeline.at(2)) == ({"a": [1, {"x": [1]}]}, {"a": [1, {"x": [1]}, 2]})


# --- what is remembered -----------------------------------------------------------------------------


def test_timeline_is_a_snapshot():
    simulator = Simulator()
    simulator.people_set("ada", {"a": 1})
    timeline = simulator.timeline("ada")
    simulator.people_set("ada", {"a": 2})
    assert (len(timeline), len(simulator.timeline("ada"))) == (1, 2)


def test_later_changes_have_no_effect():
    message = {"$distinct_id": "ada", "$set": {"l": [1, {"x": []}]}}
    simulator = Simulator()
    simulator.apply(message)
    with simulator.batch() as batch:
        batch.people_update(message)
        message["$set"]["l"][1]["x"].append("late")
    message["$set"]["l"].append("late")
    timeline = simulator.timeline("ada")
    timeline.steps[0].message["$set"]["l"].append("late")
    for step in timeline.steps:
        assert step.message["$set"] == {"l": [1, {"x": []}]}
    assert timeline.at(2) == {"l": [1, {"x": []}]} == simulator.profile("ada")


def test_each_profile_has_its_own_timeline():
    simulator = Simulator()
    simulator.people_set("x", {"a": 1})
    simulator.group_set("k", "x", {"a": 2})
    simulator.group_set("j", "x", {"a": 3})
    simulator.people_set(12, {"a": 4})
    for name, value in (({"id": "x"}, 1), ({"id": "x", "group_key": "k"}, 2), ({"id": 12}, 4)):
        timeline = simulator.timeline(**name)
        assert [dict(step.after) for step in timeline.steps] == [{"a": value}]
        assert (timeline.id, timeline.group_key) == (str(name["id"]), name.get("group_key"))
    assert simulator.timeline("x", group_key="j").at(1).group_key == "j"
    assert repr(simulator.timeline("x", group_key="j")) == "Timeline('x', group_key='j', 1 messages)"


def test_deleted_profile_has_timeline():
    simulator = Simulator()
    simulator.people_set("ada", {"a": 1})
    simulator.people_delete("ada")
    assert len(simulator.timeline("ada")) == 2
    with pytest.raises(KeyError, match="no message ever named the profile 'bob'"):
        simulator.timeline("bob")
    with pytest.raises(KeyError, match="no message ever named the profile 'ada' of the group key 'k'"):
        simulator.timeline("ada", group_key="k")


def test_snapshot_carries_history():
    simulator = Simulator()
    simulator.people_set("ada", {"a": 1})
    snapshot = simulator.snapshot()
    for _ in range(2):
        simulator.people_set("ada", {"a": 2})
        simulator.people_set("bob", {"a": 2})
        assert len(simulator.timeline("ada")) == 2
        simulator.restore(snapshot)
        assert len(simulator.timeline("ada")) == 1
        with pytest.raises(KeyError):
            simulator.timeline("bob")
    other = Simulator()
    other.restore(snapshot)
    other.people_set("ada", {"a": 3})
    assert (len(other.timeline("ada")), len(simulator.timeline("ada"))) == (2, 1)
    simulator.reset()
    with pytest.raises(KeyError):
        simulator.timeline("ada")
    simulator.people_set("ada", {"a": 4})
    assert simulator.timeline("ada").at(1) == {"a": 4}


def test_failed_batch_leaves_no_step():
    simulator = Simulator()
    with pytest.raises(ZeroDivisionError), simulator.batch() as batch:
        batch.people_set("ada", {"a": 1})
        batch.people_set("ada", {"a": 1 / 0})
    with pytest.raises(ValueError, match=r"\$add"):
        simulator.people_increment("ada", {"a": "1"})
    with pytest.raises(KeyError):
        simulator.timeline("ada")


def test_a_simulator_without_history_says_so():
    simulator = Simulator(history=False)
    simulator.people_set("ada", {"a": 1})
    full = Simulator()
    full.people_set("ada", {"a": 2})
    kept = full.snapshot()
    for one in (simulator, Simulator.from_messages([], history=False)):
        with pytest.raises(RestanteError, match="keeps no history"):
            one.timeline("ada")
    full.restore(simulator.snapshot())  # which knows no history either
    simulator.restore(kept)
    for one in (simulator, full):
        with pytest.raises(RestanteError, match="keeps no history"):
            one.timeline("ada")
    full.reset()
    full.people_set("ada", {"a": 3})
    assert full.timeline("ada").at(1) == {"a": 3}


# --- steps ------------------------------------------------------------------------------------------


def applied(before, changes):
    """The state that a step's changes make of the one before."""
    state = deepcopy(before)
    gone = [change for change in changes if change.path and change.after is ABSENT]
    rest = [change for change in changes if not any(change is one for one in gone)]
    for change in [*gone[::-1], *rest]:  # an element removed goes by its place before
        if not change.path:
            state = None if change.after is ABSENT else deepcopy(change.after)
            continue
        *way, last = change.path
        holder = state
        for part in way:
            holder = holder[part]
        if change.after is ABSENT:
            del holder[last]
        elif change.before is ABSENT and isinstance(last, int):
            holder.insert(last, change.after)
        else:
            holder[last] = change.after
    return state


@given(HISTORIES, DIALECTS)
def test_step_changes_lead_to_after(messages, dialect):
    timeline = of(messages, dialect)
    simulator = Simulator(dialect)
    for n, (step, message) in enumerate(zip(timeline.steps, messages, strict=True), 1):
        assert (step.n, step.message, step.seq) == (n, message, None)
        assert list(step.outcomes) == simulator.apply(message)
        assert shown(step.before) == shown(timeline.at(n - 1))
        assert shown(step.after) == shown(timeline.at(n)) == shown(simulator.profiles.get("ada"))
        before, after = (None if one is None else dict(one) for one in (step.before, step.after))
        assert same_spelling(applied(before, step.changes), after)
        # Found without a look at what the message does not name, and in the same order.
        assert repr(step.changes) == repr(difference(before, after))
        changed = any(outcome.verdict is Verdict.APPLIED for outcome in step.outcomes)
        assert changed or step.changes == ()


@given(HISTORIES, HISTORIES, st.integers(0, 14), st.lists(st.integers(0, 14), max_size=4), DIALECTS)
def test_continued_equals_new_timeline(messages, others, common, looked, dialect):
    before = [json.dumps(message) for message in messages]
    after = [*before[:common], *map(json.dumps, others)]
    timeline, anew = Timeline("ada", before, dialect), Timeline("ada", after, dialect)
    timeline._replay._every = 2
    for n in looked:
        timeline.at(min(n, len(before)))
    then = [shown(timeline.at(n)) for n in range(len(before) + 1)]
    continued = timeline.continued(after, seqs=range(100, 100 + len(after)))
    for n in [*reversed(range(len(after) + 1)), *range(len(after) + 1)]:
        assert shown(continued.at(n)) == shown(anew.at(n))
    assert [repr(step.changes) for step in continued.steps] == [repr(step.changes) for step in anew.steps]
    assert [step.seq for step in continued.steps] == list(range(100, 100 + len(after)))
    assert [shown(timeline.at(n)) for n in range(len(before) + 1)] == then


@pytest.mark.parametrize(
    "operation",
    [
        lambda n: {"$union": {"l": [n, 0]}},
        lambda n: {"$append": {"l": {"n": n}}},
        lambda n: {"$remove": {"l": -n}} if n % 2 else {"$append": {"l": n}},
    ],
    ids=["union", "append", "append-and-remove"],
)
def test_steps_of_growing_list_are_linear(monkeypatch, operation):
    """Not quadratic: a step neither makes keys of all elements nor compares them."""
    seen = [0]

    def counting(function):
        def counted(*arguments):
            seen[0] += 1
            return function(*arguments)

        return counted

    monkeypatch.setattr(semantics_module, "json_key", counting(semantics_module.json_key))
    timeline = ada(*map(operation, range(1, 401)))
    assert len(timeline.blame("l").elements) >= 200
    compared = []
    monkeypatch.setattr(
        replay_module,
        "difference",
        lambda *states: compared.append(len(json.dumps(states))) or difference(*states),
    )
    seen[0] = 0
    assert sum(len(step.changes) for step in timeline.steps) >= 200
    assert seen[0] < 400 * 10
    assert sum(compared) < 400 * 100


def test_steps_are_a_sequence():
    timeline = ada(*[{"$append": {"l": n}} for n in range(5)])
    steps = timeline.steps
    assert len(steps) == 5
    assert numbers(steps) == [1, 2, 3, 4, 5]
    assert numbers(reversed(steps)) == [5, 4, 3, 2, 1]
    assert (steps[0].n, steps[-1].n, numbers(steps[1:3]), numbers(steps[::-2])) == (1, 5, [2, 3], [5, 3, 1])
    assert steps[2] == timeline.steps[2]
    assert steps[2] != steps[1]
    assert len({*steps, *steps}) == 5
    assert steps[3] in steps
    for place in (5, -6):
        with pytest.raises(IndexError):
            steps[place]


def test_step_equality_includes_message():
    """Two profiles' second steps are not the same step."""
    first, second = ada({"$set": {"a": 1}}), ada({"$set": {"a": 2}})
    assert first.steps[0] != second.steps[0]
    assert isinstance(first.steps[0], Step)
    assert repr(first.steps[0]) == "Step(n=1, seq=None)"


def test_several_operators_are_one_step():
    timeline = ada({"$set": {"a": 1}, "$add": {"a": 2}, "$append": {"l": 1}})
    (step,) = timeline.steps
    assert [outcome.operator for outcome in step.outcomes] == ["$set", "$add", "$append"]
    assert describe(step.changes) == "profile created\n+ a: 3\n+ l: [1]"
    assert (timeline.blame("a").by, numbers(timeline.blame("a").since)) == (step, [1])


def test_changes_work_in_any_order():
    timeline = ada(*[{"$append": {"l": n}} for n in range(600)])
    steps = list(timeline.steps)
    for n in [600, 1, 300, 299, 301, 300, 2]:
        expected = Change((), ABSENT, {"l": [0]}) if n == 1 else Change(("l", n - 1), ABSENT, n - 1)
        assert steps[n - 1].changes == (expected,)


# --- what is malformed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        {"$distinct_id": "ada"},
        {"$distinct_id": "ada", "$add": {"a": "1"}},
        {"$distinct_id": "ada", "$set": {"b": 1}, "$unset": "a"},
        {"$distinct_id": "ada", "$set": {"a": nan}},
        {"$distinct_id": "ada", "$set": {"a": Decimal(1)}, "$unset": ["a"]},
        {"$distinct_id": "ada", "$set": {"a": "\ud800"}},
        {"$distinct_id": "ada", "$set": {1: 2}},
    ],
    ids=range(7),
)
def test_rejected_message_is_a_step(message):
    simulator = Simulator()
    simulator.people_set("ada", {"a": 1})
    outcomes = simulator.apply(message)
    simulator.people_increment("ada", {"a": 1})
    timeline = simulator.timeline("ada")
    step = timeline.steps[1]
    assert list(step.outcomes) == outcomes
    assert {outcome.verdict for outcome in step.outcomes} == {Verdict.REJECTED}
    assert repr(step.message) == repr(message)
    assert step.changes == ()
    assert step.before == step.after == {"a": 1}
    assert numbers(timeline.blame("a").since) == [1, 3]


@pytest.mark.parametrize(
    "message",
    [None, "ada", {}, {"$set": {"a": nan}}, {"$distinct_id": "", "$set": {}}, {"$distinct_id": [nan]}],
    ids=range(6),
)
def test_nameless_rejected_message_is_no_step(message):
    simulator = Simulator()
    simulator.people_set("ada", {"a": 1})
    simulator.apply(message)
    assert len(simulator.timeline("ada")) == 1
    assert len(simulator.rejected) == 1


def test_rejected_message_id_is_normalised():
    class Kind(StrEnum):
        ADA = "ada"

    simulator = Simulator()
    simulator.apply({"$distinct_id": Kind.ADA, "$set": {"a": nan}})
    assert len(simulator.timeline("ada")) == 1


def test_rejected_messages_only_have_timeline():
    simulator = Simulator()
    simulator.apply({"$distinct_id": 7, "$set": {"a": nan}})
    timeline = simulator.timeline("7")
    assert (len(timeline), timeline.at(1)) == (1, None)
    with pytest.raises(KeyError, match="never had a property 'a'"):
        timeline.blame("a")


# --- blame ------------------------------------------------------------------------------------------


class ByHand:
    """The property `a` under the operations: an element is a pair with its writer, so nothing is aligned."""

    def __init__(self, dialect):
        self.dialect = dialect
        self.exists = False
        self.since = []
        self.held = ABSENT  # for a list: pairs of a value and its writer

    @property
    def value(self):
        return [value for value, _ in self.held] if isinstance(self.held, list) else self.held

    def take(self, n, operator, payload):
        if operator == "$delete":
            self.exists, self.held, self.since = False, ABSENT, []
        elif operator != "$merge" and (self.exists or operator in self.dialect.creating):
            self.exists = True
            if operator == "$unset":
                if "a" in payload:
                    self.held, self.since = ABSENT, []
            elif "a" in payload:
                getattr(self, operator[1:])(n, payload["a"])

    def write(self, n, value):
        if not same_spelling(self.value, value):
            self.held = [(item, n) for item in value] if isinstance(value, list) else value
            self.since = [n]

    set = write

    def set_once(self, n, value):
        if self.held is ABSENT or (self.held is None and not self.dialect.null_counts_as_set):
            self.write(n, value)

    def add(self, n, number):
        counts = type(self.held) in {int, float}
        if not counts and self.held is not ABSENT and self.dialect.add_to_other == "ignore":
            return
        total = (self.held if counts else 0) + number
        if abs(total) > 1.7976931348623157e308:
            if self.dialect.add_beyond_doubles == "ignore":
                return
            total = 1.7976931348623157e308 if number > 0 else -1.7976931348623157e308
        if not same_spelling(self.held if not isinstance(self.held, list) else [], total):
            before, self.held = self.since, total
            self.since = [*before, n] if counts else [n]

    def extend(self, n, items):
        if items or self.held is ABSENT:
            self.since = [*self.since, n]
        self.held = [*([] if self.held is ABSENT else self.held), *((item, n) for item in items)]

    def append(self, n, value):
        if self.held is ABSENT or isinstance(self.held, list):
            self.extend(n, [value])

    def union(self, n, members):
        if self.held is not ABSENT and not isinstance(self.held, list):
            return
        if self.dialect.union_duplicates == "collapse" and self.held is not ABSENT:
            first = {}
            for value, writer in self.held:
                first.setdefault(json_key(value), (value, writer))
            if len(first) < len(self.held):
                self.since = [*self.since, n]
            self.held = list(first.values())
        new = {}
        known = [json_key(value) for value, _ in self.held] if self.held is not ABSENT else []
        for member in members if isinstance(members, list) else [members]:
            if json_key(member) not in known:
                new.setdefault(json_key(member), member)
        self.extend(n, list(new.values()))

    def remove(self, n, unwanted):
        if not isinstance(self.held, list):
            return
        each = isinstance(unwanted, list) and self.dialect.remove_list == "each"
        kept = list(self.held)
        for key in {json_key(item) for item in (unwanted if each else [unwanted])}:
            found = [pair for pair in kept if json_key(pair[0]) == key]
            for pair in found[:1] if self.dialect.remove_occurrences == "first" else found:
                kept.pop(next(place for place, one in enumerate(kept) if one is pair))
        if len(kept) < len(self.held):
            self.since = [*self.since, n]
            self.held = kept
            if not kept and self.dialect.emptied_list == "unset":
                self.held, self.since = ABSENT, []


# Few values, so that equal ones meet, and many operations that move them.
FEW = st.sampled_from([1, 1.0, "x"])
MOVES = st.one_of(
    st.tuples(st.just("$append"), st.builds(dict, a=FEW)),
    st.tuples(st.just("$union"), st.builds(dict, a=st.lists(FEW, min_size=1, max_size=3))),
    st.tuples(st.just("$remove"), st.builds(dict, a=FEW | st.lists(FEW, max_size=2))),
    st.tuples(st.just("$set"), st.builds(dict, a=st.lists(FEW, max_size=4))),
)
MUCH_MOVED = st.lists(
    st.lists(MOVES, min_size=1, max_size=2).map(
        lambda operations: {"$distinct_id": "ada", **dict(operations)}
    ),
    min_size=2,
    max_size=14,
)


@given(HISTORIES | MUCH_MOVED | MUCH_MOVED, DIALECTS)
@example(
    [
        {"$distinct_id": "ada", "$append": {"a": 1}},
        {"$distinct_id": "ada", "$append": {"a": 1}},
        {"$distinct_id": "ada", "$append": {"a": 1.0}},
        {"$distinct_id": "ada", "$remove": {"a": 1}},
    ],
    Dialect(remove_occurrences="first"),
)
@example(
    [{"$distinct_id": "ada", "$set": {"a": True}}, {"$distinct_id": "ada", "$add": {"a": 1}}],
    Dialect(add_to_other="replace"),
)
@example(
    [
        {"$distinct_id": "ada", "$append": {"a": "x"}},
        {"$distinct_id": "ada", "$append": {"a": "y"}},
        {"$distinct_id": "ada", "$append": {"a": "x"}},
        {"$distinct_id": "ada", "$union": {"a": ["y", "z"]}},
    ],
    Dialect(union_duplicates="collapse"),
)
def test_blame_agrees_with_marked_values(messages, dialect):
    timeline = of(messages, dialect)
    model, simulator = ByHand(dialect), Simulator(dialect)
    for n, message in enumerate(messages, 1):
        for outcome in simulator.apply(message):
            if outcome.verdict is not Verdict.REJECTED:
                model.take(n, outcome.operator, message[outcome.operator])
    if model.held is ABSENT:
        with pytest.raises(KeyError):
            timeline.blame("a")
        return
    blame = timeline.blame("a")
    assert same_spelling(blame.value, model.value)
    assert same_spelling(blame.value, simulator.profile("ada")["a"])
    since = sorted(set(model.since))
    assert (numbers(blame.since), blame.by.n) == (since, since[-1])
    if isinstance(model.held, list):
        assert numbers(blame.elements) == [writer for _, writer in model.held]
    else:
        assert blame.elements is None
    for step in blame.since:
        assert step == timeline.steps[step.n - 1]


def blamed(timeline, name="a"):
    blame = timeline.blame(name)
    elements = None if blame.elements is None else numbers(blame.elements)
    assert isinstance(blame, Blame)
    assert blame.by == blame.since[-1]
    return blame.value, blame.by.n, elements, numbers(blame.since)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"$set": {"a": 1}}, {"$set": {"a": 2}}], (2, 2, None, [2])),
        ([{"$set": {"a": 1}}, {"$set": {"b": 2}}, {"$set": {"a": 1}}], (1, 1, None, [1])),
        ([{"$set": {"a": 1}}, {"$set": {"a": 1.0}}], (1.0, 2, None, [2])),
        ([{"$set": {"a": 1}}, {"$set_once": {"a": 2}}], (1, 1, None, [1])),
        ([{"$add": {"a": 1}}, {"$add": {"a": 0}}, {"$add": {"a": 2}}], (3, 3, None, [1, 3])),
        ([{"$add": {"a": 1}}, {"$set": {"a": 5}}, {"$add": {"a": 2}}], (7, 3, None, [2, 3])),
        ([{"$set": {"a": "x"}}, {"$add": {"a": 1}}], ("x", 1, None, [1])),
        ([{"$append": {"a": 1}}, {"$append": {"a": 1}}, {"$remove": {"a": 2}}], ([1, 1], 2, [1, 2], [1, 2])),
        (
            [{"$append": {"a": 1}}, {"$union": {"a": [1, 2, 3]}}, {"$remove": {"a": 2}}],
            ([1, 3], 3, [1, 2], [1, 2, 3]),
        ),
        ([{"$set": {"a": [1, 2]}}, {"$append": {"a": 3}}], ([1, 2, 3], 2, [1, 1, 2], [1, 2])),
        ([{"$append": {"a": 1}}, {"$set": {"a": [1]}}], ([1], 1, [1], [1])),
        ([{"$append": {"a": 1}}, {"$remove": {"a": 1}}], ([], 2, [], [1, 2])),
        ([{"$append": {"a": 1}}, {"$unset": ["a"]}, {"$append": {"a": 2}}], ([2], 3, [3], [3])),
        ([{"$append": {"a": 1}}, {"$delete": ""}, {"$append": {"a": 2}}], ([2], 3, [3], [3])),
        ([{"$set": {"a": {"x": 1}}}, {"$append": {"a": 1}}], ({"x": 1}, 1, None, [1])),
        ([{"$set": {"a": 1}}, {"$set": {"a": 2}, "$unset": "b"}], (1, 1, None, [1])),
    ],
)
def test_who_is_blamed(operations, expected):
    assert repr(blamed(ada(*operations))) == repr(expected)


def test_charges_are_blamed_one_by_one():
    simulator = Simulator(clock=lambda: 0)
    for amount in (10, 20, 30):
        simulator.people_track_charge("ada", amount)
        simulator.people_increment("ada", {"charges": 1})
    blame = simulator.timeline("ada").blame("$transactions")
    assert [step.message["$append"]["$transactions"]["$amount"] for step in blame.elements] == [10, 20, 30]


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ([{"$set": {"b": 1}}], "the profile 'ada' never had a property 'a'"),
        ([{"$set": {"a": 1}}, {"$unset": ["a"]}], r"no property 'a' now: message 2 \(\$unset\) removed it"),
        ([{"$set": {"a": 1}}, {"$delete": ""}, {"$set": {"b": 1}}], r"message 2 \(\$delete\) removed it"),
        (
            [{"$set": {"a": 1}}, {"$unset": ["a"]}, {"$unset": ["a"]}, {"$delete": ""}],
            r"message 2 \(\$unset\)",
        ),
    ],
)
def test_blame_of_missing_property_explains(operations, words):
    with pytest.raises(KeyError, match=words):
        ada(*operations).blame("a")


def test_writers_name_each_message_once():
    writers = Writers("a", Dialect())
    writers.take(1, {"$distinct_id": "ada", "$append": {"a": 1}, "$union": {"a": [2]}})
    assert (writers.value, writers.since, writers.elements, writers.gone) == ([1, 2], [1], [1, 1], None)
    writers.take(2, {"$distinct_id": "ada", "$unset": ["a"]})
    assert (writers.value, writers.since, writers.elements, writers.gone) == (ABSENT, [], None, (2, "$unset"))


def test_long_list_is_blamed_by_element():
    """Searching for moved elements at each append would take minutes."""
    simulator = Simulator()
    for n in range(10_000):
        simulator.people_append("ada", {"l": n % 7})
    assert numbers(simulator.timeline("ada").blame("l").elements) == list(range(1, 10_001))


# --- of a journal -----------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kiosk.db"


def ship(path, *answers, updates=200):
    with Journal(path) as journal:
        Shipper(journal, Scripted(*answers), ShippingPolicy(settle_after=0, batch_updates=updates)).ship()


def steps(timeline):
    return [(step.seq, step.message["$append"]["l"]) for step in timeline.steps]


def test_journal_timeline_has_shipped_then_pending(path):
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        for n in range(6):
            recorder.people_append("ada" if n % 2 else "bob", {"l": n})
        ship(path)
        recorder.people_append("ada", {"l": 6})
        recorder.group_update({"$group_key": "k", "$group_id": "ada", "$append": {"l": "group"}})
    simulator = Simulator.from_journal(path)
    timeline = simulator.timeline("ada")
    assert steps(timeline) == [(2, 1), (4, 3), (6, 5), (7, 6)]
    assert timeline.at(len(timeline)) == simulator.profile("ada")
    assert [step.seq for step in timeline.blame("l").elements] == [2, 4, 6, 7]
    assert steps(Simulator.from_journal(path, shipped_only=True).timeline("ada")) == [(2, 1), (4, 3), (6, 5)]
    assert steps(simulator.timeline("ada", group_key="k")) == [(8, "group")]
    with pytest.raises(KeyError, match="'carol'"):
        simulator.timeline("carol")


def test_journal_timeline_follows_shipping_order(path):
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        for n in range(3):
            recorder.people_append("ada", {"l": n})
    # All three are refused, then the first alone; the others go, and the first follows when a person says so.
    ship(path, REFUSED, REFUSED)
    with Journal(path) as journal:
        journal.retry("state=rejected")
    ship(path)
    simulator = Simulator.from_journal(path)
    timeline = simulator.timeline("ada")
    assert [seq for seq, _ in steps(timeline)] == [2, 3, 1]
    assert timeline.at(3) == simulator.profile("ada") == {"l": [1, 2, 0]}


def test_journal_timeline_omits_unpredicted_entries(path):
    with Recorder("T", path, url="http://127.0.0.1:9", on_invalid="reject") as recorder:
        for n in range(3):
            recorder.people_append("ada", {"l": n})
        recorder.people_increment("ada", {"l": "x"})
    with Journal(path) as journal:
        journal.discard("seq=2")
    consumer = JournalConsumer(path)
    consumer.send("events", json.dumps({"event": "x", "properties": {"token": "T", "distinct_id": "ada"}}))
    consumer.close()
    simulator = Simulator.from_journal(path)
    assert steps(simulator.timeline("ada")) == [(1, 0), (3, 2)]
    assert simulator.timeline("ada").at(2) == simulator.profile("ada")


def test_journal_timeline_has_later_entries(path):
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        recorder.people_append("ada", {"l": 0})
        simulator = Simulator.from_journal(path)
        simulator.people_append("ada", {"l": "by hand"})
        recorder.people_append("ada", {"l": 1})
    timeline = simulator.timeline("ada")
    assert steps(timeline) == [(1, 0), (2, 1), (None, "by hand")]
    assert timeline.at(2) == {"l": [0, 1]}
    assert simulator.profile("ada") == {"l": [0, "by hand"]}
    simulator.people_set("bob", {"a": 1})
    assert simulator.timeline("bob").steps[0].seq is None


def test_blame_names_removing_entry(path):
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        recorder.people_set("bob", {"a": 1})
        recorder.people_set("ada", {"a": 1})
        recorder.people_unset("ada", ["a"])
    with pytest.raises(KeyError, match=r"message 2 \(\$unset, entry 3 of the journal\) removed it"):
        Simulator.from_journal(path).timeline("ada").blame("a")


def test_snapshot_carries_the_journal(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        recorder.people_append("ada", {"l": 0})
    predicted = Simulator.from_journal(path.name)
    monkeypatch.chdir("/")
    other = Simulator()
    other.restore(predicted.snapshot())
    other.people_append("ada", {"l": 1})
    assert steps(other.timeline("ada")) == [(1, 0), (None, 1)]
    assert steps(predicted.timeline("ada")) == [(1, 0)]
    other.reset()
    with pytest.raises(KeyError):
        other.timeline("ada")


def test_history_of_one_profile(path):
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        for n in range(5):
            recorder.people_append("ada" if n % 2 else "bob", {"l": n})
        ship(path, updates=2)
        recorder.people_append("ada", {"l": 5})
    with JournalReader(path) as reader:
        for shipped_only in (False, True):
            whole = list(reader.history(shipped_only=shipped_only))
            for profile in ("ada", "bob"):
                kept, part = reader.history_of(profile, shipped_only=shipped_only)
                assert kept is None
                assert [json.loads(text) for _, text in part] == [
                    message for message in whole if message["$distinct_id"] == profile
                ]
        assert reader.history_of("carol") == (None, [])
        assert reader.history_of("ada", "k") == (None, [])


def test_history_is_of_one_moment(path, monkeypatch):
    """Entries shipped while a history is read do not come before older ones that were read as unsent."""
    monkeypatch.setattr(entries_module, "_PAGE", 1)
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        for n in range(4):
            recorder.people_append("ada", {"l": n})
        reads = []

        def stop():
            reads.append(len(reads))
            if len(reads) == 3:  # one looked for the numbers, one read the first entry
                ship(path)
            return False

        with JournalReader(path) as reader:
            _, entries = reader.history_of("ada", stop=stop)
            assert reader.entry(4).state == "shipped"
    assert [seq for seq, _ in entries] == [1, 2, 3, 4]
    assert len(reads) == 5


@pytest.mark.parametrize(("reads", "found"), [(0, []), (2, []), (4, [2]), (5, [2, 4]), (9, [2, 4, 6])])
def test_history_stops_between_reads(path, monkeypatch, reads, found):
    monkeypatch.setattr(entries_module, "_NUMBERS", 2)
    monkeypatch.setattr(entries_module, "_PAGE", 1)
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        for n in range(6):
            recorder.people_append("ada" if n % 2 else "bob", {"l": n})
    left = iter(range(reads))
    with JournalReader(path) as reader:
        _, entries = reader.history_of("ada", stop=lambda: next(left, None) is None)
    assert [seq for seq, _ in entries] == found


def test_journal_separates_groups_from_users(path):
    with Recorder("T", path, url="http://127.0.0.1:9") as recorder:
        for key in ("j", "k"):
            recorder.group_update({"$group_key": key, "$group_id": "x", "$append": {"l": key}})
    simulator = Simulator.from_journal(path)
    assert steps(simulator.timeline("x", group_key="k")) == [(2, "k")]
    with pytest.raises(KeyError):
        simulator.timeline("x")


def test_timeline_from_messages_alone():
    messages = ['{"$distinct_id":"ada","$set":{"a":1}}']
    timeline = Timeline("ada", messages, seqs=[7])
    messages.append("more")
    assert len(timeline) == 1
    assert (timeline.steps[0].seq, timeline.at(1)) == (7, {"a": 1})


# --- what was pruned


@pytest.fixture
def pruned(path):
    """Six entries of ada's, four of them pruned."""
    with Recorder("T", path, unknown_operators="ship") as recorder:
        recorder.people_set("ada", {"plan": "free", "l": ["a"], "old": 1})
        recorder.people_append("ada", {"l": "b"})
        recorder.people_increment("ada", {"n": 1})
        recorder.people_update({"$distinct_id": "ada", "$merge": {}})
        Shipper(recorder.journal, Scripted()).ship()
        recorder.people_append("ada", {"l": "c"})
        recorder.people_unset("ada", ["old"])
        assert recorder.journal.prune(all_shipped=True).entries == 4
    return path


def test_timeline_begins_with_pruned_state(pruned):
    timeline = Simulator.from_journal(pruned).timeline("ada")
    assert (len(timeline), timeline.pruned) == (2, 4)
    assert dict(timeline.at(0)) == {"plan": "free", "l": ["a", "b"], "old": 1, "n": 1}
    assert timeline.at(0).partly_known
    assert [step.seq for step in timeline.steps] == [5, 6]
    assert describe(timeline.steps[0].changes) == '+ l[2]: "c"'
    assert dict(timeline.at(2)) == {"plan": "free", "l": ["a", "b", "c"], "n": 1}
    assert "4 pruned ones" in repr(timeline)


def test_blame_names_pruned_step(pruned):
    timeline = Simulator.from_journal(pruned).timeline("ada")
    blame = timeline.blame("plan")
    assert (blame.by.pruned, blame.by.n, blame.by.seq, blame.by.message) == (True, 0, None, None)
    assert (blame.by.before, dict(blame.by.after), blame.by.changes) == (None, dict(timeline.at(0)), ())
    blame = timeline.blame("l")
    assert [step.n for step in blame.elements] == [0, 0, 1]
    assert [step.pruned for step in blame.since] == [True, False]
    assert blame.by.seq == 5


def test_blame_of_property_pruned_away(pruned):
    timeline = Simulator.from_journal(pruned).timeline("ada")
    with pytest.raises(KeyError, match="no entry that was not pruned wrote it"):
        timeline.blame("nothing")
    with pytest.raises(KeyError, match=r"message 2 .*entry 6"):
        timeline.blame("old")


def test_fully_pruned_profile_has_timeline(path):
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"plan": "free"})
        recorder.people_set("bob", {"plan": "free"})
        recorder.people_delete("bob")
        Shipper(recorder.journal, Scripted()).ship()
        recorder.people_set("cal", {"plan": "free"})
        recorder.journal.prune(all_shipped=True)
    simulator = Simulator.from_journal(path)
    timeline = simulator.timeline("ada")
    assert (len(timeline), timeline.pruned, dict(timeline.at(0))) == (0, 1, {"plan": "free"})
    assert simulator.timeline("bob").at(0) is None
    assert simulator.timeline("cal").pruned == 0
    with pytest.raises(KeyError):
        simulator.timeline("dan")


def test_an_assertion_names_what_was_pruned(pruned):
    with pytest.raises(AssertionError, match="by a pruned entry"):
        assert_profile(Simulator.from_journal(pruned), "ada", {"plan": "pro"}, partial=True)
