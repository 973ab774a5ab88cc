"""`apply_operation`: purity, verdicts, the frame of an operation, and every policy's alternative."""

import json
import sys
from copy import deepcopy
from dataclasses import fields, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.model.errors import InvalidOperation
from recorder.model.operations import ENVELOPE, Operator
from simulator import Dialect, Outcome, Simulator, Verdict, apply_operation

LARGEST = sys.float_info.max
DEFAULT = Dialect()

# --- what is tried: few names and values, so that operations meet what is there --------------------

SCALARS = st.sampled_from(
    [None, True, False, 0, -0.0, 1, 1.0, 2, -3, 0.1, "", "a", "1", 10**308, -1e308, 2**53 + 1]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
    max_leaves=5,
)
LISTS = st.lists(st.one_of(SCALARS, VALUES), max_size=4)
NAMES = st.sampled_from(["a", "b", "c", "$transactions", ""])
PROPERTIES = st.none() | st.dictionaries(NAMES, st.one_of(SCALARS, LISTS, VALUES), max_size=4)
NUMBERS = st.sampled_from([0, 0.0, -0.0, 1, -1, 0.1, 2**53, 10**308, -(10**308), LARGEST, -1e308])


def payloads(values):
    return st.dictionaries(NAMES, values, max_size=3)


PAYLOADS = {
    "$set": payloads(VALUES),
    "$set_once": payloads(VALUES),
    "$add": payloads(NUMBERS),
    "$append": payloads(VALUES),
    "$union": payloads(st.one_of(SCALARS, VALUES.filter(lambda value: value != []), LISTS.filter(bool))),
    "$remove": payloads(st.one_of(SCALARS, VALUES, LISTS)),
    "$unset": st.lists(NAMES, min_size=1, max_size=3, unique=True),
    "$delete": VALUES,
}
WELL_FORMED = st.sampled_from(sorted(PAYLOADS)).flatmap(
    lambda operator: st.tuples(st.just(operator), PAYLOADS[operator])
)
UNKNOWN = st.tuples(st.sampled_from(["$merge", "$", "$SET", "$name"]), VALUES)
MALFORMED = st.one_of(
    st.tuples(
        st.sampled_from(["$set", "$set_once", "$append", "$remove", "$union", "$add"]), SCALARS | LISTS
    ),
    st.tuples(st.just("$add"), st.just({"a": 1, "b": "2"})),
    st.tuples(st.just("$union"), st.just({"a": []})),
    st.tuples(st.just("$unset"), st.sampled_from([[], "a", None, {"a": 1}, ["a", 1]])),
)
ANY = st.one_of(WELL_FORMED, WELL_FORMED, UNKNOWN, MALFORMED)
DIALECTS = st.builds(
    Dialect,
    add_to_other=st.sampled_from(["ignore", "replace"]),
    add_beyond_doubles=st.sampled_from(["ignore", "clamp"]),
    remove_occurrences=st.sampled_from(["all", "first"]),
    remove_list=st.sampled_from(["each", "whole"]),
    emptied_list=st.sampled_from(["keep", "unset"]),
    union_duplicates=st.sampled_from(["keep", "collapse"]),
    null_counts_as_set=st.booleans(),
    unknown_operators=st.sampled_from(["refuse", "ship"]),
    creating=st.frozensets(st.sampled_from(sorted(set(Operator) - {Operator.DELETE}))),
)
SHIP = Dialect(unknown_operators="ship")


def spelling(value):
    """What tells stored JSON apart: json's own text, with the order of names set aside."""
    return json.dumps(value, sort_keys=True)


def containers(value, found=None):
    """The ids of every list and dict in a value."""
    found = set() if found is None else found
    if isinstance(value, list | dict):
        found.add(id(value))
        for item in value.values() if isinstance(value, dict) else value:
            containers(item, found)
    return found


# --- purity ---------------------------------------------------------------------------------------


@given(PROPERTIES, ANY, DIALECTS)
def test_apply_operation_is_pure(properties, operation, dialect):
    operator, payload = operation
    before = json.dumps([properties, payload])
    after, outcome = apply_operation(properties, operator, payload, dialect)
    assert json.dumps([properties, payload]) == before
    assert not containers(after) & (containers(properties) | containers(payload))
    hash(outcome)


@given(PROPERTIES, ANY, DIALECTS)
def test_apply_operation_is_deterministic(properties, operation, dialect):
    first = apply_operation(properties, *operation, dialect)
    second = apply_operation(deepcopy(properties), *deepcopy(operation), dialect)
    assert json.dumps(first[0]) == json.dumps(second[0])
    assert first[1] == second[1]


@given(PROPERTIES, st.lists(ANY, max_size=4), st.lists(ANY, max_size=4))
def test_histories_compose(properties, one, other):
    def fold(start, operations):
        for operation in operations:
            start, _ = apply_operation(start, *operation)
        return start

    assert json.dumps(fold(properties, one + other)) == json.dumps(fold(fold(properties, one), other))


@pytest.mark.parametrize(
    ("operator", "payload"),
    [
        ("$append", {"a": 2}),
        ("$union", {"a": [2]}),
        ("$remove", {"a": 1}),
        ("$set", {"a": 2}),
        ("$unset", ["a"]),
    ],
)
@pytest.mark.parametrize("duplicates", ["keep", "collapse"])
def test_shared_list_changes_once(operator, payload, duplicates):
    shared = [1]
    after, _ = apply_operation(
        {"a": shared, "b": shared}, operator, payload, Dialect(union_duplicates=duplicates)
    )
    assert after["b"] == [1]


def test_repeated_payload_value_is_copied():
    shared = [1]
    stored, _ = apply_operation(None, "$set", {"a": shared, "b": shared})
    after, _ = apply_operation(stored, "$append", {"a": 2})
    assert after == {"a": [1, 2], "b": [1]}


def test_dialect_defaults():
    assert apply_operation({"n": "5"}, "$add", {"n": 1}) == apply_operation(
        {"n": "5"}, "$add", {"n": 1}, DEFAULT
    )


# --- verdicts -------------------------------------------------------------------------------------


@given(PROPERTIES, WELL_FORMED, DIALECTS)
@example({"a": [1, 1]}, ("$union", {"a": [2]}), Dialect(union_duplicates="collapse"))
@example({"a": [True, 1, 1.0]}, ("$union", {"a": [True, 3]}), Dialect(union_duplicates="collapse"))
@example({"a": LARGEST}, ("$add", {"a": 1e308}), Dialect(add_beyond_doubles="clamp"))
@example({"a": 0}, ("$add", {"a": 0.0}), DEFAULT)
@example({"a": -0.0}, ("$add", {"a": 0}), DEFAULT)
@example(None, ("$delete", ""), DEFAULT)
def test_applied_means_stored_difference(properties, operation, dialect):
    operator, payload = operation
    after, outcome = apply_operation(properties, operator, payload, dialect)
    assert outcome.operator == operator
    if spelling(after) != spelling(properties):
        assert outcome.verdict is Verdict.APPLIED
    elif outcome.reasons:
        assert outcome.verdict is Verdict.IGNORED
    else:
        assert outcome.verdict is Verdict.NO_CHANGE


def cannot_take(properties, operator, payload):
    """The names whose present value cannot take the operation, by the table of the default policies."""
    if operator in ("$append", "$union", "$remove"):
        return [name for name in payload if name in properties and not isinstance(properties[name], list)]
    if operator != "$add":
        return []
    names = []
    for name, number in payload.items():
        present = properties.get(name, 0)
        if type(present) not in (int, float):
            names.append(name)
            continue
        try:
            fits = abs(float(present + number)) <= LARGEST
        except OverflowError:
            fits = False
        if not fits:
            names.append(name)
    return names


@given(PROPERTIES, WELL_FORMED)
def test_reasons_name_each_property(properties, operation):
    operator, payload = operation
    after, outcome = apply_operation(properties, operator, payload)
    stuck = cannot_take(properties or {}, operator, payload)
    assert [name for name, _ in outcome.reasons] == stuck
    assert all(reason for _, reason in outcome.reasons)
    for name in stuck:
        assert spelling(after[name]) == spelling(properties[name])


@given(PROPERTIES, MALFORMED, DIALECTS)
def test_malformed_operation_changes_nothing(properties, operation, dialect):
    operator, payload = operation
    after, outcome = apply_operation(properties, operator, payload, dialect)
    assert outcome.verdict is Verdict.REJECTED
    assert json.dumps(after) == json.dumps(properties)
    ((path, reason),) = outcome.reasons
    assert path.startswith(operator)
    assert reason


@given(PROPERTIES, UNKNOWN, DIALECTS)
def test_unknown_operator_changes_nothing(properties, operation, dialect):
    after, outcome = apply_operation(properties, *operation, dialect)
    assert json.dumps(after) == json.dumps(properties)
    if dialect.unknown_operators == "ship":
        assert outcome == Outcome(operation[0], Verdict.NOT_SIMULATED)
    else:
        assert outcome.verdict is Verdict.REJECTED
        ((_, reason),) = outcome.reasons
        assert "is not an operator" in reason


@pytest.mark.parametrize("operator", ["set", "", "add", "$time", "$ip", "$token"])
def test_what_is_no_operator_is_rejected(operator):
    after, outcome = apply_operation({"a": 1}, operator, {"a": 2})
    assert outcome.verdict is Verdict.REJECTED
    assert after == {"a": 1}


# --- the frame ------------------------------------------------------------------------------------


def named(operator, payload):
    return set(payload) if operator != "$delete" else set()


def parts(operator, payload):
    """One operation a property."""
    if operator == "$unset":
        return [[name] for name in payload]
    return [{name: value} for name, value in payload.items()]


@given(PROPERTIES, WELL_FORMED.filter(lambda operation: operation[0] != "$delete"), DIALECTS)
def test_operation_changes_named_properties_only(properties, operation, dialect):
    operator, payload = operation
    after, _ = apply_operation(properties, operator, payload, dialect)
    for name in {*(properties or {}), *(after or {})} - named(operator, payload):
        assert json.dumps(after[name]) == json.dumps(properties[name])


@given(
    PROPERTIES,
    WELL_FORMED.filter(lambda operation: operation[0] != "$delete" and operation[1]),
    DIALECTS,
    st.data(),
)
def test_operation_equals_one_per_property(properties, operation, dialect, data):
    operator, payload = operation
    whole, outcome = apply_operation(properties, operator, payload, dialect)
    single, verdicts = properties, []
    for part in data.draw(st.permutations(parts(operator, payload))):
        single, one = apply_operation(single, operator, part, dialect)
        verdicts.append(one.verdict)
    assert spelling(whole) == spelling(single)
    assert (outcome.verdict is Verdict.APPLIED) == (Verdict.APPLIED in verdicts)


@given(st.dictionaries(st.sampled_from(["u1", "u2", "g1"]), PROPERTIES), ANY)
def test_an_operation_touches_only_its_profile(given_profiles, operation):
    simulator = Simulator()
    for id_, properties in given_profiles.items():
        if properties is not None:
            simulator.apply({"$distinct_id": id_, "$set": properties})
            simulator.apply({"$group_key": "k", "$group_id": id_, "$set": properties})
    users, groups = simulator.profiles, simulator.groups
    simulator.apply({"$distinct_id": "u1", operation[0]: operation[1]})
    users.pop("u1", None)
    now = simulator.profiles
    now.pop("u1", None)
    assert spelling({id_: dict(p) for id_, p in now.items()}) == spelling(
        {id_: dict(p) for id_, p in users.items()}
    )
    assert [(key, dict(p)) for key, p in groups.items()] == [
        (key, dict(p)) for key, p in simulator.groups.items()
    ]


@given(PROPERTIES, WELL_FORMED)
def test_message_equals_its_operation(properties, operation):
    simulator = Simulator()
    if properties is not None:
        simulator.people_set("u1", properties)
    outcomes = simulator.apply({"$distinct_id": "u1", operation[0]: operation[1]})
    after, outcome = apply_operation(properties, *operation)
    assert outcomes == [outcome]
    assert json.dumps({id_: dict(p) for id_, p in simulator.profiles.items()}) == json.dumps(
        {} if after is None else {"u1": after}
    )


# --- partly known ---------------------------------------------------------------------------------


def test_unknown_operator_makes_partly_known():
    simulator = Simulator(SHIP)
    simulator.people_set("u1", {"a": 1})
    simulator.people_set("u2", {"a": 1})
    assert not simulator.profile("u1").partly_known
    before = simulator.profile("u1")
    (outcome,) = simulator.apply({"$distinct_id": "u1", "$merge": {"o": 1}})
    assert outcome.verdict is Verdict.NOT_SIMULATED
    assert simulator.profile("u1").partly_known
    assert simulator.profiles["u1"].partly_known
    assert not before.partly_known
    assert not simulator.profile("u2").partly_known
    simulator.people_set("u1", {"a": 2})
    assert simulator.profile("u1").partly_known


def test_unknown_operator_is_rejected():
    """Wherever it stands, and by a simulator's verbs as by a recorder's."""
    simulator = Simulator()
    message = {"$distinct_id": "u1", "$set": {"a": 1}, "$increment": {"n": 1}}
    reason = "is not an operator; did you mean $add?"
    assert simulator.apply(message) == [
        Outcome(name, Verdict.REJECTED, (("$increment", reason),)) for name in ("$set", "$increment")
    ]
    del message["$set"]
    assert simulator.apply(message) == [Outcome("$increment", Verdict.REJECTED, (("$increment", reason),))]
    assert [rejected.reason for rejected in simulator.rejected] == [f"$increment: {reason}"] * 2
    with pytest.raises(InvalidOperation, match="did you mean"):
        simulator.people_update(message)
    assert simulator.profiles == {}
    assert [step.outcomes[0].verdict for step in simulator.timeline("u1").steps] == [Verdict.REJECTED] * 2


def test_unknown_operator_creates_no_profile():
    simulator = Simulator(SHIP)
    simulator.people_update({"$distinct_id": "u1", "$merge": {"o": 1}})
    assert simulator.profiles == {}
    simulator.people_set("u1", {"a": 1})
    assert simulator.profile("u1").partly_known


def test_partly_known_is_per_profile():
    simulator = Simulator(SHIP)
    simulator.people_set("x", {})
    simulator.group_set("k", "x", {})
    simulator.group_update({"$group_key": "k", "$group_id": "x", "$merge": 1})
    assert simulator.groups["k", "x"].partly_known
    assert simulator.profile("x", group_key="k").partly_known
    assert not simulator.profile("x").partly_known


def test_rejected_unknown_operator_is_ignored():
    simulator = Simulator(SHIP)
    simulator.people_set("u1", {})
    outcomes = simulator.apply({"$distinct_id": "u1", "$merge": 1, "$add": {"n": "x"}})
    assert [outcome.verdict for outcome in outcomes] == [Verdict.REJECTED, Verdict.REJECTED]
    assert not simulator.profile("u1").partly_known


@pytest.mark.parametrize("names", [["$add", "$merge"], ["$merge", "$add"]])
def test_unknown_beside_malformed_operator_counts(names):
    simulator = Simulator(replace(SHIP, malformed_operator="operator"))
    simulator.people_set("u1", {})
    payloads_ = {"$add": {"n": "x"}, "$merge": 1}
    simulator.apply({"$distinct_id": "u1", **{name: payloads_[name] for name in names}})
    assert simulator.profile("u1").partly_known
    assert len(simulator.rejected) == 1


# --- dialects -------------------------------------------------------------------------------------

A, I, N = Verdict.APPLIED, Verdict.IGNORED, Verdict.NO_CHANGE  # noqa: E741  # a column's width
ALTERNATIVES = [
    ("add_to_other", "ignore", {"n": "5"}, "$add", {"n": 2}, {"n": "5"}, I),
    ("add_to_other", "replace", {"n": "5"}, "$add", {"n": 2}, {"n": 2}, A),
    ("add_to_other", "ignore", {"n": True}, "$add", {"n": 0}, {"n": True}, I),
    ("add_to_other", "replace", {"n": True}, "$add", {"n": 0}, {"n": 0}, A),
    ("add_to_other", "ignore", {"n": None}, "$add", {"n": -1.5}, {"n": None}, I),
    ("add_to_other", "replace", {"n": None}, "$add", {"n": -1.5}, {"n": -1.5}, A),
    ("add_to_other", "replace", {"n": [1]}, "$add", {"n": 1}, {"n": 1}, A),
    ("add_to_other", "replace", {"n": 1}, "$add", {"n": 1}, {"n": 2}, A),
    ("add_beyond_doubles", "ignore", {"n": 1.7e308}, "$add", {"n": 1e308}, {"n": 1.7e308}, I),
    ("add_beyond_doubles", "clamp", {"n": 1.7e308}, "$add", {"n": 1e308}, {"n": LARGEST}, A),
    ("add_beyond_doubles", "ignore", {"n": -1.7e308}, "$add", {"n": -1e308}, {"n": -1.7e308}, I),
    ("add_beyond_doubles", "clamp", {"n": -1.7e308}, "$add", {"n": -1e308}, {"n": -LARGEST}, A),
    ("add_beyond_doubles", "ignore", {"n": 10**308}, "$add", {"n": 10**308}, {"n": 10**308}, I),
    ("add_beyond_doubles", "clamp", {"n": 10**308}, "$add", {"n": 10**308}, {"n": LARGEST}, A),
    ("add_beyond_doubles", "clamp", {"n": LARGEST}, "$add", {"n": 1e308}, {"n": LARGEST}, N),
    ("remove_occurrences", "all", {"l": [1, 2, 1.0]}, "$remove", {"l": 1}, {"l": [2]}, A),
    ("remove_occurrences", "first", {"l": [1, 2, 1.0]}, "$remove", {"l": 1}, {"l": [2, 1.0]}, A),
    ("remove_occurrences", "first", {"l": [1, 2]}, "$remove", {"l": 3}, {"l": [1, 2]}, N),
    ("remove_occurrences", "first", {"l": [1, 2, 1, 2]}, "$remove", {"l": [2, 1]}, {"l": [1, 2]}, A),
    ("remove_list", "each", {"l": [1, [1, 2], 2]}, "$remove", {"l": [1, 2]}, {"l": [[1, 2]]}, A),
    ("remove_list", "whole", {"l": [1, [1, 2], 2]}, "$remove", {"l": [1, 2]}, {"l": [1, 2]}, A),
    ("remove_list", "whole", {"l": [1, [], 2]}, "$remove", {"l": []}, {"l": [1, 2]}, A),
    ("remove_list", "each", {"l": [1, [], 2]}, "$remove", {"l": []}, {"l": [1, [], 2]}, N),
    ("emptied_list", "keep", {"l": [1, 1]}, "$remove", {"l": 1}, {"l": []}, A),
    ("emptied_list", "unset", {"l": [1, 1]}, "$remove", {"l": 1}, {}, A),
    ("emptied_list", "unset", {"l": []}, "$remove", {"l": 1}, {"l": []}, N),
    ("emptied_list", "unset", {"l": [1, 2]}, "$remove", {"l": 1}, {"l": [2]}, A),
    ("union_duplicates", "keep", {"l": [1, 1.0, 2]}, "$union", {"l": [3]}, {"l": [1, 1.0, 2, 3]}, A),
    ("union_duplicates", "collapse", {"l": [1, 1.0, 2]}, "$union", {"l": [3]}, {"l": [1, 2, 3]}, A),
    ("union_duplicates", "keep", {"l": [1, 1]}, "$union", {"l": [1]}, {"l": [1, 1]}, N),
    ("union_duplicates", "collapse", {"l": [1, 1]}, "$union", {"l": [1]}, {"l": [1]}, A),
    ("union_duplicates", "collapse", {"l": [1, True]}, "$union", {"l": [1]}, {"l": [1, True]}, N),
    ("null_counts_as_set", True, {"a": None}, "$set_once", {"a": 1}, {"a": None}, N),
    ("null_counts_as_set", False, {"a": None}, "$set_once", {"a": 1}, {"a": 1}, A),
    ("null_counts_as_set", False, {"a": None}, "$set_once", {"a": None}, {"a": None}, N),
    ("null_counts_as_set", False, {"a": False}, "$set_once", {"a": 1}, {"a": False}, N),
    ("creating", DEFAULT.creating, None, "$unset", ["a"], {}, A),
    ("creating", frozenset({"$set"}), None, "$unset", ["a"], None, N),
    ("creating", frozenset({"$set"}), None, "$append", {"l": 1}, None, N),
    ("creating", frozenset({"$set"}), None, "$set", {"a": 1}, {"a": 1}, A),
    ("creating", frozenset({"$set"}), {}, "$append", {"l": 1}, {"l": [1]}, A),
    ("creating", frozenset(Operator), None, "$delete", "", None, N),
]


@pytest.mark.parametrize(
    "case", ALTERNATIVES, ids=[f"{field}-{number}" for number, (field, *_) in enumerate(ALTERNATIVES)]
)
def test_dialect_policy_decides(case):
    field, value, before, operator, payload, after, verdict = case
    result, outcome = apply_operation(before, operator, payload, replace(DEFAULT, **{field: value}))
    assert json.dumps(result) == json.dumps(after)
    assert outcome.verdict is verdict


SEVERAL = {"$distinct_id": "u1", "$set": {"a": 2}, "$unset": ["b"], "$merge": 1}


def test_several_operators_apply_in_order():
    for dialect, verdicts, after in [
        (SHIP, ["applied", "applied", "not_simulated"], {"a": 2}),
        (replace(SHIP, several_operators="reject"), ["rejected"] * 3, {"a": 1, "b": 1}),
        (Dialect(), ["rejected"] * 3, {"a": 1, "b": 1}),
        (Dialect(malformed_operator="operator"), ["applied", "applied", "rejected"], {"a": 2}),
    ]:
        simulator = Simulator(dialect)
        simulator.people_set("u1", {"a": 1, "b": 1})
        assert [outcome.verdict for outcome in simulator.apply(SEVERAL)] == verdicts
        assert dict(simulator.profile("u1")) == after
        assert len(simulator.rejected) == ("rejected" in verdicts)
        assert simulator.apply({"$distinct_id": "u1", "$set": {"a": 9}})[0].verdict is Verdict.APPLIED


def test_client_sdk_envelope_is_no_operator():
    message = {"$distinct_id": "u1", "$set": {"a": 1}, "$device_id": "dev-1", "$user_id": "u1"}
    message |= {"$had_persisted_distinct_id": True, "$mp_metadata": {"$mp_session_seq_id": 0}}
    simulator = Simulator(Dialect(several_operators="reject"))
    assert [outcome.verdict for outcome in simulator.apply(message)] == [Verdict.APPLIED]
    assert not simulator.profile("u1").partly_known


def test_malformed_operator_policy():
    message = {"$distinct_id": "u1", "$set": {"a": 2}, "$unset": "b", "$append": {"l": 1}}
    for value, verdicts, after in [
        ("message", ["rejected"] * 3, {"a": 1, "b": 1}),
        ("operator", ["applied", "rejected", "applied"], {"a": 2, "b": 1, "l": [1]}),
    ]:
        simulator = Simulator(Dialect(malformed_operator=value))
        simulator.people_set("u1", {"a": 1, "b": 1})
        assert [outcome.verdict for outcome in simulator.apply(message)] == verdicts
        assert dict(simulator.profile("u1")) == after
        assert [rejected.message for rejected in simulator.rejected] == [message]


@pytest.mark.parametrize("value", ["message", "operator"])
def test_malformed_identity_rejects_all_operators(value):
    simulator = Simulator(Dialect(malformed_operator=value))
    outcomes = simulator.apply({"$distinct_id": "", "$set": {"a": 1}, "$unset": ["b"]})
    assert [outcome.verdict for outcome in outcomes] == [Verdict.REJECTED] * 2
    assert simulator.profiles == {}


def test_every_dialect_field_is_tested():
    tried = {field for field, *_ in ALTERNATIVES}
    assert {field.name for field in fields(Dialect)} == tried | {
        "several_operators",
        "malformed_operator",
        "unknown_operators",
    }
    for name in tried:
        assert len({value for field, value, *_ in ALTERNATIVES if field == name}) > 1


def test_envelope_names_are_no_operators():
    for name in ENVELOPE:
        assert apply_operation({"a": 1}, name, "x")[0] == {"a": 1}
