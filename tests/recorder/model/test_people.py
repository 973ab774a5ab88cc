"""The verbs that Recorder and Simulator share, and their batches."""

from decimal import Decimal
from math import inf, nan

import pytest

from recorder import JournalReader, Recorder
from recorder.model.errors import InvalidOperation, RestanteError
from recorder.model.intake import Intake
from recorder.model.json_value import compact
from recorder.model.operations import Lane
from recorder.model.people import Batch, PeopleApi, stamped
from recorder.model.shipping import ShipReport
from simulator import Simulator

NOW = 1_767_323_045.75
THEN = "2026-01-02T03:04:05"


class Recorded(PeopleApi):
    """Keeps what a journal would."""

    def __init__(self, clock=lambda: NOW):
        self.rows = []
        self._clock = clock
        self._intake = Intake("T")

    def _update(self, lane, message, meta, check=None):
        now = self._now()
        self.rows += self._intake.rows(lane, stamped(message, meta, now), now, check)

    def _now(self):
        return self._clock()

    def batch(self):
        return Batch(
            self,
            lambda lane, message, meta, check: self._intake.rows(
                lane, stamped(message, meta, NOW), NOW, check
            ),
            self.rows.extend,
        )

    def flush(self, timeout=10.0):  # noqa: ARG002
        return ShipReport(shipped=len(self.rows))

    def close(self, timeout=2.0):
        pass

    @property
    def texts(self):
        return [row.message for row in self.rows]


@pytest.fixture
def simulator():
    return Simulator(clock=lambda: NOW)


@pytest.fixture
def recorded():
    return Recorded()


def held(simulator):
    return {id_: dict(profile) for id_, profile in simulator.profiles.items()}


# --- stamped --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "meta", "text"),
    [
        ({"$distinct_id": "u1", "$set": {}}, None, '{"$time":1.5,"$distinct_id":"u1","$set":{}}'),
        ({"$distinct_id": "u1", "$set": {}}, {}, '{"$time":1.5,"$distinct_id":"u1","$set":{}}'),
        (
            {"$distinct_id": "u1", "$set": {}},
            {"$ip": 0, "$ignore_time": True},
            '{"$time":1.5,"$distinct_id":"u1","$set":{},"$ip":0,"$ignore_time":true}',
        ),
        ({"$set": {}, "$distinct_id": "u1"}, {"$time": 9}, '{"$time":9,"$set":{},"$distinct_id":"u1"}'),
        ({"$set": {}, "$time": 7}, None, '{"$time":7,"$set":{}}'),
        ({"$set": {}, "$time": 7}, {"$time": 9}, '{"$time":9,"$set":{}}'),
        ({}, {"$distinct_id": "u2"}, '{"$time":1.5,"$distinct_id":"u2"}'),
    ],
)
def test_stamped_message_has_time_first(message, meta, text):
    before = repr((message, meta))
    assert compact(stamped(message, meta, 1.5)) == text
    assert repr((message, meta)) == before


@pytest.mark.parametrize("value", [None, [], "x", 1, [("$set", {})]])
def test_message_must_be_an_object(value, simulator):
    with pytest.raises(InvalidOperation) as caught:
        stamped(value, None, 1.5)
    assert caught.value.path == "message"
    for verb in (simulator.people_update, simulator.group_update):
        with pytest.raises(InvalidOperation):
            verb(value)


@pytest.mark.parametrize("meta", ["x", 1, [1], [("$ip", 0)]])
def test_meta_must_be_an_object(meta, simulator):
    with pytest.raises(InvalidOperation) as caught:
        simulator.people_set("u1", {}, meta)
    assert caught.value.path == "meta"
    assert held(simulator) == {}


def test_verbs_return_none_and_change_nothing(recorded, simulator):
    properties, names, meta = {"a": [1, (2,)]}, ["a"], {"$ip": 0}
    before = repr((properties, names, meta))
    for people in (recorded, simulator):
        for verb in ("set", "set_once", "append", "union", "remove"):
            assert getattr(people, f"people_{verb}")(12, properties, meta) is None
        assert people.people_increment(12, {"n": 1}, meta) is None
        assert people.people_unset(12, names, meta) is None
        assert people.people_track_charge(12, 1, properties, meta) is None
        assert people.people_clear_charges(12, meta) is None
        assert people.people_delete(12, meta) is None
        assert people.people_update({"$distinct_id": 12, "$set": properties}, meta) is None
        for verb in ("set", "set_once", "union", "remove"):
            assert getattr(people, f"group_{verb}")("k", 7, properties, meta) is None
        assert people.group_unset("k", 7, names, meta) is None
        assert people.group_delete("k", 7, meta) is None
        assert people.group_update({"$group_key": "k", "$group_id": 7, "$set": properties}, meta) is None
    assert repr((properties, names, meta)) == before


# --- charges --------------------------------------------------------------------------------------


def test_charge_gets_time_of_call(recorded):
    recorded.people_track_charge("u1", 29.5)
    recorded.people_track_charge("u1", -5, {"sku": "b"}, {"$ip": 0})
    head = f'{{"$time":{NOW},"$distinct_id":"u1","$append":{{"$transactions":'
    assert recorded.texts == [
        head + f'{{"$amount":29.5,"$time":"{THEN}"}}}}}}',
        head + f'{{"sku":"b","$amount":-5,"$time":"{THEN}"}}}},"$ip":0}}',
    ]


def test_a_charge_s_own_time_stays(simulator):
    simulator.people_track_charge("u1", 1, {"$time": "1999-12-31T00:00:00"})
    simulator.people_track_charge("u1", 2, {"$time": None})
    assert [charge["$time"] for charge in simulator.profile("u1").transactions] == [
        "1999-12-31T00:00:00",
        None,
    ]


def test_amount_wins_over_properties(simulator):
    properties = {"$amount": 1, "sku": "b"}
    simulator.people_track_charge("u1", 2, properties)
    assert simulator.profile("u1").transactions == ({"$amount": 2, "sku": "b", "$time": THEN},)
    assert properties == {"$amount": 1, "sku": "b"}


def test_charge_leaves_properties_unchanged(recorded):
    properties = {"sku": "b"}
    recorded.people_track_charge("u1", 1, properties)
    assert properties == {"sku": "b"}
    recorded.people_track_charge("u1", 2, properties)
    assert '"$amount":2' in recorded.texts[1]


@pytest.mark.parametrize(
    "amount", [Decimal("9.99"), True, False, None, "9.99", [1], 1j, nan, inf, -inf, 10**400]
)
def test_an_amount_is_a_finite_number(amount, simulator, recorded):
    for people in (simulator, recorded):
        with pytest.raises(InvalidOperation) as caught:
            people.people_track_charge("u1", amount)
        assert caught.value.path == "$append.$transactions.$amount"
    assert held(simulator) == {}
    assert recorded.rows == []


def test_serializer_makes_the_amount(tmp_path):
    """Money is often Decimal, and an amount is looked at only when it is JSON."""
    recorder = Recorder("T", tmp_path / "kiosk.db", serializer=float)
    with recorder, JournalReader(recorder.journal.path) as reader:
        for people in (recorder, simulator := Simulator(serializer=float)):
            people.people_track_charge("u1", Decimal("29.99"))
            with people.batch() as batch:
                batch.people_track_charge("u1", Decimal(2))
        messages = [message["$append"]["$transactions"] for message in reader.history()]
    for charges in (messages, simulator.profile("u1")["$transactions"]):
        assert [charge["$amount"] for charge in charges] == [29.99, 2.0]
    with pytest.raises(InvalidOperation, match="must be a number, not a string"):
        Simulator(serializer=str).people_track_charge("u1", Decimal(2))


@pytest.mark.parametrize("properties", ["x", ["$time"], 5, [("sku", "b")]])
def test_charge_properties_must_be_an_object(properties, simulator):
    with pytest.raises(InvalidOperation) as caught:
        simulator.people_track_charge("u1", 1, properties)
    assert caught.value.path == "$append.$transactions"


def test_offending_charge_property_is_named(simulator):
    with pytest.raises(InvalidOperation) as caught:
        simulator.people_track_charge("u1", 1, {"lines": [{"price": nan}]})
    assert caught.value.path == "$append.$transactions.lines[0].price"


def test_clearing_charges_unsets_them(recorded, simulator):
    recorded.people_clear_charges("u1")
    assert recorded.texts == [f'{{"$time":{NOW},"$distinct_id":"u1","$unset":["$transactions"]}}']
    simulator.people_track_charge("u1", 1)
    simulator.people_clear_charges("u1")
    assert held(simulator) == {"u1": {}}
    simulator.people_track_charge("u1", 2)
    assert simulator.profile("u1").revenue == 2


# --- batches --------------------------------------------------------------------------------------


def test_batch_takes_effect_at_block_end(simulator):
    with simulator.batch() as batch:
        batch.people_set("u1", {"a": 1})
        batch.people_increment("u1", {"a": 1})
        batch.group_set("k", "g", {"b": 1})
        assert len(batch) == 3
        assert simulator.profiles == simulator.groups == {}
    assert held(simulator) == {"u1": {"a": 2}}
    assert dict(simulator.groups["k", "g"]) == {"b": 1}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_raising_batch_records_nothing(simulator, error):
    def block():
        with simulator.batch() as batch:
            batch.people_set("u1", {"a": 1})
            raise error

    with pytest.raises(error):
        block()
    assert simulator.profiles == {}
    assert simulator.rejected == ()


def test_invalid_call_ends_the_batch(simulator):
    batch = simulator.batch()
    with pytest.raises(InvalidOperation), batch:  # the block is what is tested
        batch.people_set("u1", {"a": 1})
        batch.people_set("u1", {"a": nan})
    assert simulator.profiles == {}


def test_caught_invalid_call_keeps_the_batch(simulator):
    with simulator.batch() as batch:
        batch.people_set("u1", {"a": 1})
        with pytest.raises(InvalidOperation):
            batch.people_update({"$distinct_id": "u1", "$set": {"a": 2}, "$unset": "b"})
    assert held(simulator) == {"u1": {"a": 1}}


def test_batch_works_only_inside_block(simulator):
    batch = simulator.batch()
    with pytest.raises(RestanteError) as caught:
        batch.people_set("u1", {"a": 1})
    assert "with" in caught.value.hint
    with batch:
        batch.people_set("u1", {"b": 1})
    with pytest.raises(RestanteError):
        batch.people_set("u1", {"c": 1})
    assert held(simulator) == {"u1": {"b": 1}}


def test_owner_calls_are_not_batched(simulator):
    with pytest.raises(LookupError), simulator.batch() as batch:  # the block is what is tested
        batch.people_set("u1", {"a": "batch"})
        simulator.people_set("u1", {"a": "owner"})
        assert held(simulator) == {"u1": {"a": "owner"}}
        raise LookupError
    assert held(simulator) == {"u1": {"a": "owner"}}
    with simulator.batch() as batch:
        batch.people_set("u1", {"a": "batch"})
        simulator.people_set("u1", {"a": "again"})
    assert held(simulator) == {"u1": {"a": "batch"}}


def test_two_batches_do_not_mix(simulator):
    with simulator.batch() as one:
        with pytest.raises(LookupError), simulator.batch() as other:  # the block is what is tested
            one.people_set("u1", {"a": 1})
            other.people_set("u2", {"a": 2})
            raise LookupError
        assert simulator.profiles == {}
    assert held(simulator) == {"u1": {"a": 1}}


def test_inner_batch_joins_at_block_end(simulator):
    with simulator.batch() as outer:
        outer.people_append("u1", {"l": 1})
        with outer.batch() as inner:
            inner.people_append("u1", {"l": 3})
            outer.people_append("u1", {"l": 2})
            assert (len(outer), len(inner)) == (2, 1)
        assert len(outer) == 3
        outer.people_append("u1", {"l": 4})
        assert simulator.profiles == {}
    assert held(simulator) == {"u1": {"l": [1, 2, 3, 4]}}


def test_raising_inner_batch_loses_its_own(simulator):
    with simulator.batch() as outer:
        outer.people_set("u1", {"a": 1})
        with pytest.raises(LookupError), outer.batch() as inner:  # the block is what is tested
            inner.people_set("u1", {"a": 2})
            raise LookupError
    assert held(simulator) == {"u1": {"a": 1}}


def test_inner_batch_is_lost_with_outer(simulator):
    with pytest.raises(LookupError), simulator.batch() as outer:  # the block is what is tested
        with outer.batch() as inner:
            inner.people_set("u1", {"a": 1})
        raise LookupError
    assert simulator.profiles == {}


def test_inner_batch_after_outer_end_raises(simulator):
    with simulator.batch() as outer:
        inner = outer.batch()
    with pytest.raises(RestanteError), inner:
        inner.people_set("u1", {"a": 1})
    assert simulator.profiles == {}


def test_later_changes_are_not_in_batch(simulator, recorded):
    for people in (simulator, recorded):
        properties, names, meta = {"l": [1, {"x": [2]}]}, ["b"], {"$ip": [0]}
        charge = {"items": ["book"]}
        message = {"$distinct_id": "u2", "$set": {"a": [1]}}
        with people.batch() as batch:
            batch.people_set("u1", properties, meta)
            batch.people_unset("u1", names)
            batch.people_track_charge("u1", 5, charge)
            batch.people_update(message)
            properties["l"][1]["x"].append("late")
            properties["late"] = True
            names.append("l")
            charge["items"].append("late")
            message["$set"]["a"].append("late")
            message["$delete"] = ""
    assert held(simulator) == {
        "u1": {
            "l": [1, {"x": [2]}],
            "$transactions": [{"items": ["book"], "$amount": 5, "$time": THEN}],
        },
        "u2": {"a": [1]},
    }
    assert "late" not in str(recorded.texts)
    assert [row.operator for row in recorded.rows] == ["$set", "$unset", "$append", "$set"]


def test_later_changes_are_not_recorded(simulator):
    properties = {"l": [1, {"x": [2]}]}
    simulator.people_set("u1", properties)
    properties["l"][1]["x"].append("late")
    assert held(simulator) == {"u1": {"l": [1, {"x": [2]}]}}


def test_batched_call_has_its_own_time():
    ticks = iter(range(100, 200))
    simulator = Simulator(clock=lambda: next(ticks))
    with simulator.batch() as batch:
        batch.people_track_charge("u1", 1)
        drawn = next(ticks)
        batch.people_track_charge("u1", 2)
    first, second = (charge["$time"] for charge in simulator.profile("u1").transactions)
    assert first < f"1970-01-01T00:01:{drawn - 60:02d}" < second


def test_empty_batch_does_nothing(simulator):
    with simulator.batch() as batch:
        assert batch
        assert len(batch) == 0
    assert simulator.profiles == {}


def test_closing_a_batch_commits_once(simulator):
    with simulator.batch() as batch:
        batch.people_increment("u1", {"n": 1})
        batch.close()
        assert held(simulator) == {"u1": {"n": 1}}
    assert held(simulator) == {"u1": {"n": 1}}


def test_flushing_a_batch_flushes_its_owner(recorded):
    recorded.people_set("u1", {})
    with recorded.batch() as batch, batch.batch() as inner:
        inner.people_set("u1", {})
        assert batch.flush() == inner.flush(1) == ShipReport(shipped=1)


def test_raising_journal_batch_keeps_nothing(recorded):
    with pytest.raises(LookupError), recorded.batch() as batch:  # the block is what is tested
        batch.people_set("u1", {})
        raise LookupError
    assert recorded.rows == []


# --- Simulator in the place of Recorder -----------------------------------------------------------


def call(verb, *args):
    return lambda people: getattr(people, verb)(*args)


INVALID = {
    "nan": call("people_set", "u1", {"a": nan}),
    "empty-id": call("people_set", "", {"a": 1}),
    "long-id": call("people_set", "x" * 256, {"a": 1}),
    "boolean-id": call("people_set", True, {"a": 1}),
    "list-payload": call("people_set", "u1", [1]),
    "string-unset": call("people_unset", "u1", "a"),
    "empty-unset": call("people_unset", "u1", []),
    "string-add": call("people_increment", "u1", {"n": "1"}),
    "empty-union": call("people_union", "u1", {"l": []}),
    "decimal-charge": call("people_track_charge", "u1", Decimal(1)),
    "no-operator": call("people_update", {"$distinct_id": "u1"}),
    "no-identity": call("people_update", {"$set": {}}),
    "both-identities": call(
        "people_update", {"$distinct_id": "u1", "$group_key": "k", "$group_id": "g", "$set": {}}
    ),
    "group-among-people": call("people_update", {"$group_key": "k", "$group_id": "g", "$set": {}}),
    "user-among-groups": call("group_update", {"$distinct_id": "u1", "$set": {}}),
    "group-without-id": call("group_set", "k", None, {"a": 1}),
    "meta-with-nan": call("people_set", "u1", {"a": 1}, {"$latitude": nan}),
    "over-a-megabyte": call("people_set", "u1", {"a": "x" * 1_000_001}),
}


@pytest.mark.parametrize("attempt", INVALID.values(), ids=INVALID)
def test_simulator_refuses_as_the_recorder(attempt, simulator, recorded):
    errors = []
    for people in (simulator, recorded):
        with pytest.raises(InvalidOperation) as caught:
            attempt(people)
        errors.append(caught.value)
    assert errors[0].path == errors[1].path
    assert held(simulator) == {}
    assert simulator.groups == {}
    assert recorded.rows == []


def test_people_api_is_a_context_manager(simulator):
    with simulator as people:
        assert people is simulator
        people.people_set("u1", {"a": 1})
    assert held(simulator) == {"u1": {"a": 1}}


def test_lanes_follow_the_verb():
    lanes = []

    class Lanes(Recorded):
        def _update(self, lane, message, meta, check=None):
            lanes.append(lane)
            super()._update(lane, message, meta, check)

    people = Lanes()
    people.people_set("u1", {})
    people.group_set("k", "g", {})
    assert lanes == [Lane.PEOPLE, Lane.GROUPS]
