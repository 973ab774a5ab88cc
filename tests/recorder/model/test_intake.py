"""From a caller's message to rows for the journal."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from math import nan
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.model.entries import State
from recorder.model.errors import InvalidOperation, WrongToken
from recorder.model.intake import Intake, token_prefix
from recorder.model.json_value import MAX_UPDATE_BYTES
from recorder.model.operations import Lane

NOW = 1_767_323_045.25


def rows(message, lane=Lane.PEOPLE, **options):
    return Intake("T", **options).rows(lane, message, NOW)


def refused(message, lane=Lane.PEOPLE, **options):
    with pytest.raises(InvalidOperation) as caught:
        rows(message, lane, **options)
    return caught.value


def rejected(message, lane=Lane.PEOPLE):
    (row,) = rows(message, lane, on_invalid="reject")
    assert row.state == State.REJECTED
    assert row.recorded_at == NOW
    return row


# --- rows -----------------------------------------------------------------------------------------


def test_a_message_becomes_a_pending_row():
    (row,) = rows({"$time": 1.5, "$distinct_id": "u1", "$set": {"name": "Zoë"}})
    assert row == (
        "people",
        None,
        "u1",
        "$set",
        '{"$time":1.5,"$distinct_id":"u1","$set":{"name":"Zoë"}}',
        NOW,
        "pending",
        None,
    )


def test_group_message_becomes_a_group_row():
    (row,) = rows({"$group_key": "company", "$group_id": 7, "$set": {}}, Lane.GROUPS)
    assert (row.lane, row.group_key, row.profile, row.operator) == ("groups", "company", "7", "$set")
    assert row.message == '{"$group_key":"company","$group_id":"7","$set":{}}'


def test_operators_become_rows_in_written_order():
    message = {
        "$time": 1,
        "$unset": ["a"],
        "$distinct_id": "u1",
        "$merge": [1],
        "note": "x",
        "$add": {"n": 1},
        "$set": {"a": 1},
        "$ip": 0,
    }
    taken = rows(message, unknown_operators="ship")
    assert [row.operator for row in taken] == ["$unset", "$merge", "$add", "$set"]
    assert [row.message for row in taken] == [
        '{"$time":1,"$unset":["a"],"$distinct_id":"u1","note":"x","$ip":0}',
        '{"$time":1,"$distinct_id":"u1","$merge":[1],"note":"x","$ip":0}',
        '{"$time":1,"$distinct_id":"u1","note":"x","$add":{"n":1},"$ip":0}',
        '{"$time":1,"$distinct_id":"u1","note":"x","$set":{"a":1},"$ip":0}',
    ]
    assert {(row.profile, row.state, row.recorded_at) for row in taken} == {("u1", "pending", NOW)}


CLIENT = {
    "$device_id": "dev-1",
    "$user_id": "ada",
    "$had_persisted_distinct_id": False,
    "$mp_metadata": {"$mp_session_id": "91be", "$mp_session_seq_id": 0},
}


def test_client_sdk_envelope_travels_whole():
    """The official client SDKs add these keys to each update."""
    message = {"$set": {"plan": "pro"}, "$time": 1767323045123, "$distinct_id": "ada", **CLIENT}
    (row,) = rows(message)
    assert (row.operator, json.loads(row.message)) == ("$set", message)
    one, two = rows(message | {"$unset": ["trial"]})
    assert json.loads(one.message) == message
    del message["$set"]
    assert json.loads(two.message) == message | {"$unset": ["trial"]}
    del message["$time"]
    assert refused(message).path == "message"


@given(st.permutations(["$time", "$distinct_id", "$set", "$set_once", "$append", "$union", "note", "$token"]))
def test_rows_keep_any_written_order(names):
    values = {"$time": 1, "$distinct_id": 5, "note": None, "$token": "T"}
    message = {name: values.get(name, {"a": name}) for name in names}
    operators = [name for name in names if name not in values]
    taken = rows(message)
    assert [row.operator for row in taken] == operators
    for row in taken:
        left_out = {"$token", *operators} - {row.operator}
        assert list(json.loads(row.message)) == [name for name in names if name not in left_out]


def test_one_malformed_operator_refuses_all():
    message = {"$distinct_id": "u1", "$set": {"a": 1}, "$unset": "a"}
    assert refused(message).path == "$unset"
    assert rejected(message).message == '{"$distinct_id":"u1","$set":{"a":1},"$unset":"a"}'


def test_message_in_wrong_lane_is_refused():
    assert refused({"$group_key": "k", "$group_id": "g", "$set": {}}, Lane.PEOPLE).path == "$group_key"
    assert refused({"$distinct_id": "u1", "$set": {}}, Lane.GROUPS).path == "$distinct_id"


@pytest.mark.parametrize(
    ("lane", "message"),
    [
        (Lane.PEOPLE, {"$distinct_id": 12, "$set": {"a": [1]}}),
        (Lane.PEOPLE, {"$token": "T", "$distinct_id": "u1", "$set": {"a": [1]}, "$unset": ["b"]}),
        (Lane.GROUPS, {"$group_key": 1, "$group_id": 2, "$set": {"a": [1]}}),
        (Lane.PEOPLE, {"$distinct_id": 12, "$set": {"a": (1,)}}),
    ],
    ids=["integer-id", "token-and-two-operators", "integer-group", "closer-look"],
)
def test_the_message_given_is_never_changed(lane, message):
    before = repr(message)
    rows(message, lane)
    assert repr(message) == before


def test_rejected_message_is_never_changed():
    message = {"$distinct_id": 12, "$set": {"a": "x" * MAX_UPDATE_BYTES}}
    rejected(message)
    assert message["$distinct_id"] == 12


# --- the token ------------------------------------------------------------------------------------


def test_own_token_is_dropped():
    (row,) = rows({"$token": "T", "$distinct_id": "u1", "$set": {}})
    assert row.message == '{"$distinct_id":"u1","$set":{}}'


@pytest.mark.parametrize("token", ["other", "", "t", None, 1, True, ["T"]])
def test_another_token_is_refused(token):
    message = {"$token": token, "$distinct_id": "u1", "$set": {}}
    with pytest.raises(WrongToken) as caught:
        rows(message)
    assert caught.value.hint
    row = rejected(message)
    assert json.loads(row.message) == message
    assert "token" in row.reason


def test_rejected_row_has_no_own_token():
    """NewEntry.message is JSON without the project's token, so that a retry does not send it twice."""
    row = rejected({"$token": "T", "$distinct_id": "u1", "$set": 1})
    assert row.message == '{"$distinct_id":"u1","$set":1}'


@pytest.mark.parametrize("token", ["T", 'a"b', "größe", "x" * 1000])
def test_token_joins_message_at_front(token):
    (row,) = Intake(token).rows(Lane.PEOPLE, {"$distinct_id": "u1", "$set": {}}, NOW)
    sent = token_prefix(token) + row.message[1:]
    assert list(json.loads(sent).items()) == [("$token", token), ("$distinct_id", "u1"), ("$set", {})]


# --- the size -------------------------------------------------------------------------------------


def sent_bytes(token, message):
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    return len((token_prefix(token) + text[1:]).encode())


def sized(token, size, character="x", message=None):
    """A message that takes this many bytes as sent: mostly of one character, evened out with x."""
    message = message or {"$distinct_id": "u1", "$set": {"a": ""}}
    room = size - sent_bytes(token, message)
    width = len(character.encode())
    message["$set"]["a"] = character * (room // width) + "x" * (room % width)
    assert sent_bytes(token, message) == size
    return message


@pytest.mark.parametrize("token", ["T", "größe", "t" * 32, 'a"b'])
@pytest.mark.parametrize("character", ["x", "é", "本", "\U0001f600"])
def test_update_may_take_a_million_bytes(token, character):
    intake = Intake(token)
    (row,) = intake.rows(Lane.PEOPLE, sized(token, 1_000_000, character), NOW)
    assert len((token_prefix(token) + row.message[1:]).encode()) == 1_000_000
    with pytest.raises(InvalidOperation) as caught:
        intake.rows(Lane.PEOPLE, sized(token, 1_000_001, character), NOW)
    assert caught.value.path == "$set"
    assert "1,000,001 bytes" in caught.value.reason
    assert "1,000,000" in caught.value.reason


def test_integer_id_counts_as_its_text():
    message = {"$distinct_id": 12, "$set": {"a": ""}}
    assert refused(sized("T", 999_999, message=message)).path == "$set"
    message = {"$distinct_id": 12, "$set": {"a": ""}}
    assert len(rows(sized("T", 999_998, message=message))) == 1


def test_token_in_message_counts_once():
    assert rows({"$token": "T", **sized("T", 1_000_000)})
    assert refused({"$token": "T", **sized("T", 1_000_001)})


def test_each_operator_has_the_whole_size():
    fits = sized("T", 1_000_000)
    assert len(rows({**fits, "$set_once": {"b": "x" * 900_000}})) == 2
    over = {**fits, "$set_once": {"b": "x" * 1_000_000}}
    assert refused(over).path == "$set_once"


def test_too_large_message_is_rejected_whole():
    row = rejected(sized("T", 1_000_001))
    assert len(row.message) > 999_000
    assert "1,000,001 bytes" in row.reason
    assert row.profile == "u1"


# --- on_invalid -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({}, "$distinct_id"),
        ({"$set": {"a": 1}}, "$distinct_id"),
        ({"$distinct_id": "", "$set": {}}, "$distinct_id"),
        ({"$distinct_id": True, "$set": {}}, "$distinct_id"),
        ({"$distinct_id": "x" * 256, "$set": {}}, "$distinct_id"),
        ({"$distinct_id": "u1"}, "message"),
        ({"$distinct_id": "u1", "$set": [1]}, "$set"),
        ({"$distinct_id": "u1", "$add": {"n": "1"}}, "$add.n"),
        ({"$distinct_id": "u1", "$set": {}, "$delete": 1, "$unset": []}, "$unset"),
        ({"$distinct_id": "u1", "$set": {}, "$setOnce": {"a": 1}}, "$setOnce"),
        ({"$distinct_id": "u1", "$group_key": "k", "$group_id": "g", "$set": {}}, "$distinct_id"),
        ({"$group_key": "k", "$group_id": "g", "$set": {}}, "$group_key"),
    ],
)
def test_malformed_json_is_raised_or_rejected(message, path):
    error = refused(dict(message))
    assert error.path == path
    row = rejected(dict(message))
    assert row.reason == str(error)
    assert json.loads(row.message) == message
    assert row.lane == "people"


def test_rejected_row_names_its_profile():
    assert rejected({"$distinct_id": 12, "$set": 1}).profile == "12"
    assert rejected({"$distinct_id": 1.5, "$set": {}}).profile is None
    row = rejected({"$group_key": "k", "$group_id": "g", "$add": {"n": "x"}}, Lane.GROUPS)
    assert (row.lane, row.group_key, row.profile) == ("groups", "k", "g")


@pytest.mark.parametrize("value", [nan, "\ud800", b"x", {1}, Decimal(1), object(), {1: 2}, 10**400])
def test_non_json_raises_whatever_on_invalid(value):
    for on_invalid in ("raise", "reject"):
        error = refused({"$distinct_id": "u1", "$set": {"a": value}}, on_invalid=on_invalid)
        assert error.path == "$set.a"
        assert refused(value if not isinstance(value, dict) else [], on_invalid=on_invalid).path == "message"


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"$distinct_id": "\ud800", "$set": {}}, "$distinct_id"),
        ({"$distinct_id": "u1", "$set": {"a": ["\ud800"]}}, "$set.a[0]"),
        ({"$distinct_id": "u1", "$merge": "\udfff"}, "$merge"),
        ({"$distinct_id": "u1", "note": "\ud800", "$set": {}, "$unset": ["a"]}, "note"),
        ({"$token": "T", "$distinct_id": 12, "$append": {"l": {"x": "\ud800"}}}, "$append.l.x"),
    ],
)
def test_lone_surrogate_is_found_in_plain(message, path):
    for on_invalid in ("raise", "reject"):
        assert refused(message, on_invalid=on_invalid).path == path


@pytest.mark.parametrize(
    "spoilt", [{"$unset": "a"}, {"$distinct_id": ""}, {"$token": "other"}, {"$group_id": "g"}]
)
def test_malformed_non_json_always_raises(spoilt):
    message = {"$distinct_id": "u1", "$set": {"a": "\ud800"}} | spoilt
    with pytest.raises((InvalidOperation, WrongToken)):
        rows(message)
    assert refused(message, on_invalid="reject").path == "$set.a"


def test_error_with_lone_surrogate_is_printable():
    for message in (
        {"$distinct_id": "u1", "$add": {"\ud800": "x"}},
        {"$distinct_id": "u1", "$union": {"\ud800": []}},
        {"$distinct_id": "u1", "$\ud800": 1, "$unset": 1},
    ):
        for on_invalid in ("raise", "reject"):
            str(refused(message, on_invalid=on_invalid)).encode()


def test_valid_message_ignores_on_invalid():
    message = {"$distinct_id": "u1", "$set": {"a": 1}, "$unset": ["b"]}
    assert rows(dict(message), on_invalid="reject") == rows(dict(message))


# --- the serializer -------------------------------------------------------------------------------


class Money(json.JSONEncoder):
    def default(self, value):
        if isinstance(value, Decimal):
            return float(value)
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, bytes):
            return nan
        return super().default(value)


def money(value):
    return Money().default(value)


@pytest.fixture(params=[Money, money], ids=["encoder-class", "function"])
def serializer(request):
    return request.param


def test_the_serializer_runs_first(serializer):
    message = {
        "$distinct_id": "u1",
        "$set": {"a": Decimal("1.50"), "l": (Decimal(2), "é"), "t": datetime(1999, 1, 2, tzinfo=UTC)},
    }
    before = repr(message)
    (row,) = rows(message, serializer=serializer)
    assert row.message == (
        '{"$distinct_id":"u1","$set":{"a":1.5,"l":[2.0,"é"],"t":"1999-01-02T00:00:00+00:00"}}'
    )
    assert repr(message) == before


def test_what_the_serializer_makes_is_validated(serializer):
    assert refused({"$distinct_id": "u1", "$set": {"a": b""}}, serializer=serializer).path == "$set.a"
    assert (
        refused({"$distinct_id": "u1", "$set": {"a": ["\ud800"]}}, serializer=serializer).path == "$set.a[0]"
    )
    assert refused({"$distinct_id": Decimal(1), "$set": {}}, serializer=serializer).path == "$distinct_id"
    assert refused({"$distinct_id": "u1", "$set": Decimal(1)}, serializer=serializer).path == "$set"
    assert refused([Decimal(1)], serializer=serializer).path == "message"


def test_malformed_serializer_output_can_be_rejected(serializer):
    (row,) = rows({"$distinct_id": "u1", "$set": Decimal(1)}, serializer=serializer, on_invalid="reject")
    assert (row.state, row.message) == ("rejected", '{"$distinct_id":"u1","$set":1.0}')


def test_object_unknown_to_serializer_is_refused(serializer):
    for value in (object(), {1}):
        for on_invalid in ("raise", "reject"):
            error = refused(
                {"$distinct_id": "u1", "$set": {"a": value}}, serializer=serializer, on_invalid=on_invalid
            )
            assert "serializer" in error.reason


class DecimalsOnly(json.JSONEncoder):
    def default(self, value):
        return float(value) if isinstance(value, Decimal) else super().default(value)


class MissingAsNull(DecimalsOnly):
    """An encoder that overrides more than `default`, as pandas users write it."""

    def encode(self, value):
        return super().encode(self.cleaned(value))

    def cleaned(self, value):
        if isinstance(value, dict):
            return {name: self.cleaned(item) for name, item in value.items()}
        return None if value != value else value  # noqa: PLR0124


@pytest.mark.parametrize("encoder", [DecimalsOnly, DecimalsOnly().default, MissingAsNull])
def test_serializer_adds_to_what_works(encoder):
    """One that knows Decimals only takes away neither dates nor the place of an error."""
    values = {"paid": Decimal("2.5"), "at": datetime(2026, 1, 2, 3, tzinfo=UTC), "on": date(2026, 1, 2)}
    (row,) = rows({"$distinct_id": "u1", "$set": values}, serializer=encoder)
    assert json.loads(row.message)["$set"] == {"paid": 2.5, "at": "2026-01-02T03:00:00", "on": "2026-01-02"}
    error = refused({"$distinct_id": "u1", "$set": {"l": [Decimal(1), object()]}}, serializer=encoder)
    assert "a value of type object is not JSON" in error.reason
    assert error.path == ("message" if encoder is MissingAsNull else "$set.l[1]")


def test_encoder_may_override_encode():
    message = {"$distinct_id": "u1", "$set": {"missing": nan, "paid": Decimal("2.5")}}
    (row,) = rows(message, serializer=MissingAsNull)
    assert row.message == '{"$distinct_id":"u1","$set":{"missing":null,"paid":2.5}}'


def test_plain_type_may_be_the_serializer():
    """``json.dumps(default=str)`` is what many apps do."""
    (row,) = rows({"$distinct_id": "u1", "$set": {"id": UUID(int=1)}}, serializer=str)
    assert json.loads(row.message)["$set"] == {"id": str(UUID(int=1))}


@pytest.mark.parametrize("make", [lambda value: value, lambda _value: object()])
def test_endless_serializer_is_refused(make):
    assert "without end" in refused({"$distinct_id": "u1", "$set": {"a": object()}}, serializer=make).reason


def test_cycle_is_refused_with_a_serializer(serializer):
    cycle = []
    cycle.append(cycle)
    assert refused({"$distinct_id": "u1", "$set": {"a": cycle}}, serializer=serializer)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert refused({"$distinct_id": "u1", "$set": {"a": deep}}, serializer=serializer)


def test_failing_serializer_is_an_invalid_operation():
    def broken(value):
        raise ZeroDivisionError(value)

    error = refused({"$distinct_id": "u1", "$set": {"a": object}}, serializer=broken)
    assert isinstance(error.__cause__, ZeroDivisionError)


# --- events ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", [Lane.EVENTS, Lane.IMPORTS])
def test_an_event_travels_as_it_is(lane):
    message = {"event": "Söld", "properties": {"token": "other", "distinct_id": "u1", "n": (1, 1.0)}}
    row = Intake("T").event(lane, message, NOW)
    assert row == (
        lane.value,
        None,
        "u1",
        None,
        '{"event":"Söld","properties":{"token":"other","distinct_id":"u1","n":[1,1.0]}}',
        NOW,
        "pending",
        None,
    )


@pytest.mark.parametrize(
    "message",
    [{}, {"event": "x"}, {"properties": []}, {"properties": {}}, {"properties": {"distinct_id": None}}],
)
def test_event_needs_no_profile(message):
    assert Intake("T").event(Lane.EVENTS, message, NOW).profile is None


@pytest.mark.parametrize(
    "message", [[], "x", None, {"properties": {"n": nan}}, {"x": {1}}, {"event": "\ud800"}]
)
def test_event_must_be_an_object(message):
    for on_invalid in ("raise", "reject"):
        with pytest.raises(InvalidOperation):
            Intake("T", on_invalid).event(Lane.EVENTS, message, NOW)


@pytest.mark.parametrize("character", ["x", "é"])
def test_event_may_take_a_million_bytes(character):
    frame = len(b'{"event":""}')
    width = len(character.encode())
    fits = {"event": character * ((1_000_000 - frame) // width)}
    assert len(Intake("T").event(Lane.EVENTS, fits, NOW).message.encode()) == 1_000_000
    with pytest.raises(InvalidOperation):
        Intake("T").event(Lane.EVENTS, {"event": fits["event"] + "x"}, NOW)
