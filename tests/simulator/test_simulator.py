"""`Simulator` as a whole: what it shows, keeps, rejects and reads from elsewhere."""

import gzip
import json
from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal
from math import nan
from pathlib import Path

import pytest

from recorder.model.json_value import compact
from recorder.model.shipping import ShipReport
from simulator import Dialect, Profile, Rejected, Simulator, Verdict

CDNOW = Path(__file__).parents[3] / "shared" / "data" / "cdnow_sample.ops.jsonl.gz"


@pytest.fixture
def simulator():
    return Simulator(Dialect(unknown_operators="ship"), lambda: 1_767_323_045)


def held(simulator):
    return {id_: dict(profile) for id_, profile in simulator.profiles.items()}


# --- profiles and groups --------------------------------------------------------------------------


def test_profiles_come_in_creation_order(simulator):
    for id_ in ("b", "a", 12):
        simulator.people_set(id_, {"id": id_})
    simulator.people_set("b", {"id": "again"})
    assert list(simulator.profiles) == ["b", "a", "12"]
    assert simulator.profile("12") == simulator.profile(12) == {"id": 12}
    assert {id_: profile.id for id_, profile in simulator.profiles.items()} == {
        "b": "b",
        "a": "a",
        "12": "12",
    }


def test_groups_are_apart_from_users(simulator):
    simulator.people_set("x", {"kind": "user"})
    simulator.group_set("k", "x", {"kind": "group"})
    simulator.group_set("j", "x", {"kind": "other"})
    simulator.group_set(1, 2, {"kind": "numbers"})
    assert {key: dict(profile) for key, profile in simulator.groups.items()} == {
        ("k", "x"): {"kind": "group"},
        ("j", "x"): {"kind": "other"},
        ("1", "2"): {"kind": "numbers"},
    }
    assert held(simulator) == {"x": {"kind": "user"}}
    group = simulator.profile("x", group_key="k")
    assert (group.id, group.group_key, group["kind"]) == ("x", "k", "group")
    assert simulator.profile("x").group_key is None


def test_missing_profile_is_key_error(simulator):
    simulator.people_set("x", {})
    simulator.people_delete("x")
    simulator.group_set("k", "g", {})
    for missing in ({"id": "x"}, {"id": "g"}, {"id": "g", "group_key": "j"}, {"id": "none"}):
        with pytest.raises(KeyError):
            simulator.profile(**missing)


def test_the_mappings_of_profiles_are_snapshots(simulator):
    simulator.people_set("a", {"n": 1})
    profiles, groups = simulator.profiles, simulator.groups
    profiles.clear()
    simulator.group_set("k", "g", {})
    assert groups == {}
    assert held(simulator) == {"a": {"n": 1}}


# --- one profile ----------------------------------------------------------------------------------


def test_profile_is_read_only(simulator):
    simulator.people_set("u1", {"a": 1, "l": [1, {"x": [2]}]})
    profile = simulator.profile("u1")
    assert isinstance(profile, Mapping)
    assert list(profile) == ["a", "l"]
    assert len(profile) == 2
    assert "a" in profile
    assert profile.get("z") is None
    with pytest.raises(KeyError):
        profile["z"]
    with pytest.raises(TypeError):
        profile["a"] = 2
    with pytest.raises(TypeError):
        del profile["a"]
    assert not hasattr(profile, "update")


def test_profile_values_are_copies(simulator):
    simulator.people_set("u1", {"l": [1, {"x": [2]}]})
    simulator.people_track_charge("u1", 1, {"lines": ["a"]})
    profile = simulator.profile("u1")
    before = repr(profile)
    profile["l"].append("late")
    profile["l"][1]["x"].append("late")
    dict(profile)["l"].append("late")
    next(iter(profile.values())).append("late")
    profile.transactions[0]["lines"].append("late")
    assert repr(profile) == before
    assert "late" not in repr(simulator.profile("u1"))


def test_a_profile_is_a_snapshot(simulator):
    simulator.people_append("u1", {"l": 1})
    profile = simulator.profile("u1")
    simulator.people_append("u1", {"l": 2})
    simulator.people_delete("u1")
    assert profile == {"l": [1]}


def test_profile_copies_its_arguments():
    properties = {"l": [1]}
    profile = Profile("u1", properties)
    properties["l"].append(2)
    properties["z"] = 1
    assert profile == {"l": [1]}


@pytest.mark.parametrize(
    ("transactions", "shown", "revenue"),
    [
        ([], (), 0),
        ("x", (), 0),
        (None, (), 0),
        ({"$amount": 5}, (), 0),
        ([{"$amount": 5}], ({"$amount": 5},), 5),
        ([{"$amount": 5}, 7, "x", None, [1]], ({"$amount": 5},), 5),
        ([{"$amount": 5.25}, {"$amount": -1.25}], ({"$amount": 5.25}, {"$amount": -1.25}), 4.0),
        (
            [{"$amount": True}, {"$amount": "9"}, {"x": 1}, {"$amount": None}],
            ({"$amount": True}, {"$amount": "9"}, {"x": 1}, {"$amount": None}),
            0,
        ),
    ],
)
def test_revenue_sums_transactions(simulator, transactions, shown, revenue):
    simulator.people_set("u1", {"$transactions": transactions})
    profile = simulator.profile("u1")
    assert profile.transactions == shown
    assert profile.revenue == revenue


def test_profile_without_charges(simulator):
    simulator.people_set("u1", {})
    assert (simulator.profile("u1").transactions, simulator.profile("u1").revenue) == ((), 0)


def test_charges_and_refunds_keep_order(simulator):
    for amount in (10, -2.5, 10):
        simulator.people_track_charge("u1", amount)
    profile = simulator.profile("u1")
    assert [charge["$amount"] for charge in profile.transactions] == [10, -2.5, 10]
    assert {charge["$time"] for charge in profile.transactions} == {"2026-01-02T03:04:05"}
    assert profile.revenue == 17.5


# --- what is malformed ----------------------------------------------------------------------------

MALFORMED = [
    (None, [""]),
    ("x", [""]),
    ([{"$distinct_id": "u1", "$set": {}}], [""]),
    ({}, [""]),
    ({"$distinct_id": "u1"}, [""]),
    ({"$set": {"a": 2}, "$unset": ["a"]}, ["$set", "$unset"]),
    ({"$distinct_id": "", "$set": {"a": 2}}, ["$set"]),
    ({"$distinct_id": "x" * 256, "$set": {"a": 2}}, ["$set"]),
    ({"$distinct_id": "u1", "$set": {"a": 2}, "$unset": "a"}, ["$set", "$unset"]),
    ({"$distinct_id": "u1", "$set": {"a": nan}, "$unset": ["a"]}, ["$set", "$unset"]),
    ({"$distinct_id": "u1", "$set": {"a": {1}}}, ["$set"]),
    ({"$distinct_id": "u1", "$set": {"a": Decimal(1)}}, ["$set"]),
    ({"$distinct_id": "u1", "$set": {"a": "\ud800"}}, ["$set"]),
    ({"$distinct_id": "u1", "$set": {1: 2}}, ["$set"]),
    ({"$distinct_id": "u1", 1: 2, "$set": {}}, [""]),
    ({"$distinct_id": "u1", "$group_key": "k", "$group_id": "g", "$set": {"a": 2}}, ["$set"]),
]


@pytest.mark.parametrize(("message", "operators"), MALFORMED, ids=[str(n) for n in range(len(MALFORMED))])
def test_malformed_message_raises_nothing(simulator, message, operators):
    simulator.people_set("u1", {"a": 1})
    before = repr(message)
    outcomes = simulator.apply(message)
    assert [(outcome.operator, outcome.verdict) for outcome in outcomes] == [
        (operator, Verdict.REJECTED) for operator in operators
    ]
    for outcome in outcomes:
        ((path, reason),) = outcome.reasons
        assert simulator.rejected[0].reason == f"{path}: {reason}"
        assert path
    (rejected,) = simulator.rejected
    assert isinstance(rejected, Rejected)
    assert repr(rejected.message) == before == repr(message)
    assert held(simulator) == {"u1": {"a": 1}}


def test_rejected_messages_are_kept_in_order(simulator):
    first, second = {"$distinct_id": "u1"}, {"$distinct_id": "u1", "$add": {"n": True}}
    for message in (first, {"$distinct_id": "u1", "$set": {}}, second):
        simulator.apply(message)
    assert [rejected.message for rejected in simulator.rejected] == [first, second]
    assert isinstance(simulator.rejected, tuple)


def test_rejected_message_is_a_copy(simulator):
    message = {"$distinct_id": "u1", "$add": {"n": [1]}}
    simulator.apply(message)
    message["$add"]["n"].append(2)
    assert simulator.rejected[0].message == {"$distinct_id": "u1", "$add": {"n": [1]}}


def test_refused_call_is_not_rejected_message(simulator):
    with pytest.raises(ValueError, match=r"\$add\.n"):
        simulator.people_increment("u1", {"n": "1"})
    assert simulator.rejected == ()


def test_too_large_call_is_refused(simulator):
    for operators in ({"$set": {"a": "x" * 1_000_000}}, {"$set": {"a": 1}, "$append": {"a": "é" * 500_000}}):
        with pytest.raises(ValueError, match="the service's limit is 1,000,000"):
            simulator.people_update({"$distinct_id": "u1", **operators})
    assert simulator.profiles == {}
    assert (
        simulator.apply({"$distinct_id": "u1", "$set": {"a": "x" * 1_000_000}})[0].verdict is Verdict.APPLIED
    )


def test_later_changes_have_no_effect(simulator):
    message = {"$distinct_id": "u1", "$set": {"l": [1, {"x": []}]}, "$append": {"m": {"y": [1]}}}
    simulator.apply(message)
    message["$set"]["l"][1]["x"].append("late")
    message["$append"]["m"]["y"].append("late")
    assert held(simulator) == {"u1": {"l": [1, {"x": []}], "m": [{"y": [1]}]}}


def test_message_is_normalised(simulator):
    (outcome,) = simulator.apply({"$distinct_id": "u1", "$set": {"l": (1, (2,))}})
    assert outcome.verdict is Verdict.APPLIED
    assert held(simulator) == {"u1": {"l": [1, [2]]}}


def test_deep_values_are_supported(simulator):
    def lists(levels):
        return json.loads("[" * levels + "]" * levels)

    simulator.people_set("u1", {"l": lists(100)})
    simulator.people_append("u1", {"l": lists(100)})
    simulator.people_union("u1", {"l": [lists(99), lists(98)]})
    assert simulator.profile("u1") == {"l": [lists(99), lists(100), lists(98)]}
    simulator.people_remove("u1", {"l": [lists(99)]})
    simulator.restore(simulator.snapshot())
    assert simulator.profile("u1") == {"l": [lists(100), lists(98)]}
    simulator.apply({"$distinct_id": "u1", "$add": {"l": lists(100)}})
    assert len(simulator.rejected) == 1


# --- keeping --------------------------------------------------------------------------------------


def full(simulator):
    simulator.people_set("u1", {"l": [1]})
    simulator.group_set("k", "g", {"a": 1})
    simulator.people_update({"$distinct_id": "u1", "$merge": 1})
    simulator.apply({"$distinct_id": ""})


def state(simulator):
    return (
        held(simulator),
        {key: dict(profile) for key, profile in simulator.groups.items()},
        {id_: profile.partly_known for id_, profile in simulator.profiles.items()},
        simulator.rejected,
    )


def test_a_reset_forgets_everything(simulator):
    full(simulator)
    simulator.reset()
    assert state(simulator) == ({}, {}, {}, ())
    simulator.people_set("u1", {})
    assert not simulator.profile("u1").partly_known


def test_snapshot_restores_everything_twice(simulator):
    full(simulator)
    before, snapshot = state(simulator), simulator.snapshot()
    for _ in range(2):
        simulator.people_append("u1", {"l": 2})
        simulator.people_update({"$distinct_id": "u2", "$merge": 1, "$set": {}})
        simulator.group_delete("k", "g")
        simulator.apply(None)
        assert state(simulator) != before
        simulator.restore(snapshot)
        assert state(simulator) == before


def test_snapshot_restores_another_simulator(simulator):
    full(simulator)
    other = Simulator()
    other.restore(simulator.snapshot())
    before = state(simulator)
    other.people_append("u1", {"l": 2})
    assert state(simulator) == before
    assert other.profile("u1")["l"] == [1, 2]


def test_flush_is_done_at_once(simulator):
    simulator.people_set("u1", {"a": 1})
    assert simulator.flush() == simulator.flush(timeout=1) == ShipReport()
    assert simulator.flush().stopped_by == "done"
    assert simulator.close() is None
    assert held(simulator) == {"u1": {"a": 1}}


# --- from messages --------------------------------------------------------------------------------


def test_from_messages_takes_any_iterable():
    messages = [
        {"$token": "T", "$distinct_id": "u1", "$time": 5, "$set": {"l": [1]}},
        {"$distinct_id": 12, "$add": {"n": 1}},
        {"$distinct_id": "u1", "$append": {"l": [2]}, "$set": {"b": 1}},
        "not a message",
        {"$group_key": "k", "$group_id": 7, "$set": {"a": 1}},
    ]
    before = deepcopy(messages)
    one, other = Simulator.from_messages(iter(messages)), Simulator.from_messages(messages)
    assert state(one) == state(other)
    assert messages == before
    assert held(one) == {"u1": {"l": [1, [2]], "b": 1}, "12": {"n": 1}}
    assert dict(one.groups["k", "7"]) == {"a": 1}
    assert [rejected.message for rejected in one.rejected] == ["not a message"]


def test_from_messages_of_nothing_is_empty():
    assert state(Simulator.from_messages([])) == ({}, {}, {}, ())


@pytest.mark.skipif(not CDNOW.exists(), reason="this checkout has no CDNOW input")
def test_cdnow_gives_known_sums():
    with gzip.open(CDNOW, "rt", encoding="utf-8") as lines:
        messages = [json.loads(line) for line in lines]
    simulator = Simulator.from_messages(messages)
    profiles = simulator.profiles.values()
    assert simulator.rejected == ()
    assert len(messages) == 34_595
    assert len(profiles) == 2_357
    assert sum(profile["orders"] for profile in profiles) == 6_919
    assert sum(profile["cds"] for profile in profiles) == 16_479
    assert sum(len(profile["months"]) for profile in profiles) == 5_460
    amounts = [charge["$amount"] for profile in profiles for charge in profile.transactions]
    assert len(amounts) == 6_919
    assert sum(round(amount * 100) for amount in amounts) == 24_409_194
    assert round(sum(profile.revenue for profile in profiles) * 100) == 24_409_194
    assert all(not profile.partly_known for profile in profiles)


# --- what a history keeps ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "é",
        "\ud7a3\ue000",
        "\U0001f600",
        0xED,
        237.0,
        -0.0,
        1.0,
        10**299,
        -(10**299),
        True,
        None,
        [],
        {},
    ],
)
def test_history_keeps_message_spelling(value):
    simulator = Simulator()
    message = {"$distinct_id": "ada", "$time": 1.5, "note": value, "$set": {"a": [value, {"b": value}]}}
    text = compact(message)
    simulator.apply(message)
    message["$set"]["a"].append("later")
    message["$set"]["a"][1].clear()
    simulator.restore(simulator.snapshot())
    (step,) = simulator.timeline("ada").steps
    assert compact(step.message) == text


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("lone", ["\ud800", "a\udfff", "\ud7a3\udbff"])
def test_lone_surrogate_is_rejected_anywhere(lone, history):
    simulator = Simulator(history=history)
    for message in (
        {"$distinct_id": lone, "$set": {}},
        {"$distinct_id": "ada", "$set": {lone: 1}},
        {"$distinct_id": "ada", "$append": {"a": [{"b": [lone]}]}},
        {"$distinct_id": "ada", "$unset": [lone]},
        {"$distinct_id": "ada", "$set": {}, lone: 1},
    ):
        assert simulator.apply(message)[0].verdict is Verdict.REJECTED
    assert len(simulator.rejected) == 5
    assert simulator.profiles == {}
    assert all("lone surrogate" in rejected.reason for rejected in simulator.rejected)


def test_subclasses_of_json_types_are_normalised(simulator):
    class Word(str):
        __slots__ = ()

    simulator.apply({Word("$distinct_id"): Word("ada"), "$set": {"a": (1, Word("b"))}})
    simulator.apply({"$distinct_id": "ada", "$set": {1: 2}})
    assert held(simulator) == {"ada": {"a": [1, "b"]}}
    assert type(simulator.profile("ada")["a"][1]) is str
    assert len(simulator.rejected) == 1


def test_profiles_and_snapshots_share_nothing(simulator):
    simulator.people_set("ada", {"a": [{"b": [1]}], "o": {"p": [1]}})
    first, before = simulator.profile("ada"), simulator.snapshot()
    first["a"][0]["b"].append(2)
    first["o"]["p"].append(2)
    simulator.people_append("ada", {"a": 2})
    simulator.people_union("ada", {"a": [2, 3]})
    simulator.people_remove("ada", {"a": {"b": [1]}})
    assert first == {"a": [{"b": [1]}], "o": {"p": [1]}}
    assert held(simulator) == {"ada": {"a": [2, 3], "o": {"p": [1]}}}
    for _ in range(2):
        simulator.restore(before)
        assert held(simulator) == {"ada": first}
        simulator.people_append("ada", {"a": 9})
