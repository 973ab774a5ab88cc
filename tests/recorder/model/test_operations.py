"""Validation: what is refused when recorded, at which path, and what plain JSON becomes of the rest."""

import json
import math
import pickle
import sys
import time
from collections import Counter, OrderedDict, defaultdict, namedtuple
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.model import operations
from recorder.model.errors import InvalidOperation, RestanteError
from recorder.model.json_value import compact, json_equal, json_key, parse_json, same_spelling, spell
from recorder.model.normalise import MAX_DEPTH, normalise
from recorder.model.operations import (
    ENVELOPE,
    Identity,
    Lane,
    Operator,
    examine,
    identity_of,
    lane_of,
    operators_of,
    split,
)
from simulator import Simulator
from tests.profiles import sampled

MOST = int(sys.float_info.max)
EAST, WEST = timezone(timedelta(hours=2)), timezone(timedelta(hours=-1, minutes=-30))


class Plan(StrEnum):
    PRO = "pro"


class Level(IntEnum):
    TWO = 2


class Size(Enum):
    BIG = "big"


class OldPlan(str, Enum):  # noqa: UP042  # what apps wrote before StrEnum
    PRO = "pro"


class Loud(str):
    __slots__ = ()

    def __str__(self):
        return self.upper()


class Metres(float):
    def __repr__(self):
        return f"{float(self)} m"


Pair = namedtuple("Pair", "left right")  # noqa: PYI024  # the plainest tuple subclass there is


def refused(message, **options):
    with pytest.raises(InvalidOperation) as caught:
        examine(normalise(message), **options)
    return caught.value


def of(value):
    """A message that sets one property to the value."""
    return {"$distinct_id": "u1", "$set": {"a": value}}


def plain(value):
    """What the value of a property becomes."""
    return normalise(of(value))["$set"]["a"]


# --- what is not JSON -----------------------------------------------------------------------------

NOT_JSON = {
    "nan": math.nan,
    "inf": math.inf,
    "minus-inf": -math.inf,
    "float-subclass-nan": Metres("nan"),
    "huge-integer": 10**400,
    "huge-negative-integer": -(10**400),
    "integer-of-5000-digits": 10**5000,
    "barely-too-large": 18 * 10**307,
    "surrogate": "a\ud800",
    "low-surrogate": "\udfff",
    "surrogate-pair-as-two": "\ud83d\ude00",
    "bytes": b"x",
    "bytearray": bytearray(b"x"),
    "set": {1},
    "frozenset": frozenset({1}),
    "decimal": Decimal("1.5"),
    "fraction": Fraction(1, 2),
    "complex": 1j,
    "object": object(),
    "class": int,
    "enum": Size.BIG,
    "timedelta": timedelta(1),
    "time": datetime(2026, 1, 2, tzinfo=UTC).time(),
    "range": range(3),
    "generator": (n for n in ()),
    "mapping-view": {}.keys(),
}


@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON)
def test_non_json_is_refused_with_path(value):
    assert refused(of(value)).path == "$set.a"
    assert refused(of([0, [value]])).path == "$set.a[1][0]"
    assert refused(of((0, value))).path == "$set.a[1]"
    assert refused(of({"lines": [1, {"x": value}]})).path == "$set.a.lines[1].x"
    assert refused({"$distinct_id": "u1", "$append": {"$transactions": {"$amount": value}}}).path == (
        "$append.$transactions.$amount"
    )
    assert refused({"$distinct_id": "u1", "$unset": ["a", value]}).path == "$unset[1]"
    assert refused({"$distinct_id": "u1", "$time": value, "$set": {}}).path == "$time"
    assert refused({"$distinct_id": "u1", "note": value, "$set": {}}).path == "note"
    assert refused({"$distinct_id": "u1", "$merge": value}).path == "$merge"
    assert refused({"$distinct_id": value, "$set": {}}).path == "$distinct_id"
    assert refused({"$group_key": value, "$group_id": "g", "$set": {}}).path == "$group_key"
    assert refused({"$group_key": "k", "$group_id": value, "$set": {}}).path == "$group_id"


@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON)
def test_error_is_always_printable(value):
    for message in (of(value), of({"x": [value]}), {"$distinct_id": value, "$set": {}}, value):
        error = refused(message)
        str(error).encode()
        assert str(error) == f"{error.path}: {error.reason}"
        assert error.path
        assert error.hint


@pytest.mark.parametrize("value", [None, [], (), "x", 1, True, {1}, b"x"])
def test_a_message_is_an_object(value):
    assert refused(value).path == "message"


def test_first_of_several_errors_is_named():
    assert refused(of([1, b"x", math.nan])).path == "$set.a[1]"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("city", "city"),
        ("$name", "$name"),
        ("größe", "größe"),
        ("a b", '"a b"'),
        ("a.b", '"a.b"'),
        ("a[0]", '"a[0]"'),
        ("", '""'),
        ("$", '"$"'),
        ('a"b', r'"a\"b"'),
        ("1st", '"1st"'),
    ],
)
def test_ambiguous_name_is_quoted_in_path(name, shown):
    assert refused({"$distinct_id": "u1", "$set": {name: math.nan}}).path == f"$set.{shown}"
    assert refused({"$distinct_id": "u1", "$set": {"o": {name: [math.nan]}}}).path == f"$set.o.{shown}[0]"


NOT_NAMES = [None, True, 1, 1.5, (1, 2), b"a", Level.TWO, frozenset(), 10**5000]


@pytest.mark.parametrize("name", NOT_NAMES, ids=lambda name: type(name).__name__)
def test_non_string_name_is_refused(name):
    assert refused({"$distinct_id": "u1", "$set": {"b": 1, name: 1}}).path == "$set"
    assert refused(of({"b": {name: 1}})).path == "$set.a.b"
    assert refused(of([{name: 1}])).path == "$set.a[0]"


@pytest.mark.parametrize("name", NOT_NAMES, ids=lambda name: type(name).__name__)
def test_top_level_name_must_be_string(name):
    error = refused({"$distinct_id": "u1", name: 1, "$set": {}})
    assert error.path == "message"
    assert "name must be a string" in error.reason


def test_failing_repr_cannot_hide_the_error():
    class Stranger:
        def __repr__(self):
            raise RuntimeError

    assert refused(of({Stranger(): 1})).path == "$set.a"


@pytest.mark.parametrize("name", ["\ud800", "plan\udc00"])
def test_lone_surrogate_in_name_is_refused(name):
    for message, within in [
        ({"$distinct_id": "u1", "$set": {name: 1}}, "$set."),
        (of({name: 1}), "$set.a."),
        (of([{"b": {name: 1}}]), "$set.a[0].b."),
        ({"$distinct_id": "u1", name: 1, "$set": {}}, ""),
        ({"$distinct_id": "u1", f"${name}": {}}, ""),
    ]:
        error = refused(message)
        assert error.path.startswith(within)
        assert len(error.path) > len(within)
        assert "surrogate" in error.reason
        str(error).encode()


def test_sets_bytes_decimals_get_a_hint():
    assert "list" in refused(of({1})).hint
    assert "list" in refused(of(frozenset())).hint
    assert "base64" in refused(of(b"")).hint
    assert "float" in refused(of(Decimal(1))).hint
    assert "serializer" in refused(of(object())).hint


def test_an_error_crosses_process_borders_whole():
    error = refused(of({1}))
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert isinstance(copy, InvalidOperation)
    assert isinstance(copy, ValueError)
    assert isinstance(copy, RestanteError)
    assert (copy.path, copy.reason, str(copy)) == (error.path, error.reason, str(error))
    assert copy.hint == error.hint


# --- cycles, sharing, depth -----------------------------------------------------------------------


def test_list_in_itself_is_refused():
    cycle = [1]
    cycle.append(cycle)
    error = refused(of(cycle))
    assert (error.path, error.reason) == ("$set.a[1]", "the value contains itself")


def test_dict_in_itself_is_refused():
    cycle = {"n": 1}
    cycle["me"] = cycle
    assert refused(of(cycle)).path == "$set.a.me"


def test_indirect_cycle_is_refused():
    outer, middle = [], {}
    inner = (middle, outer)
    middle["x"] = [1]
    outer.append({"back": inner})
    error = refused(of(outer))
    assert (error.path, error.reason) == ("$set.a[0].back[1]", "the value contains itself")


def test_message_in_itself_is_refused():
    message = of(None)
    message["$set"]["a"] = message
    assert refused(message).path == "$set.a"


def test_payload_in_itself_is_refused():
    message = {"$distinct_id": "u1", "$append": {}}
    message["$append"]["l"] = message["$append"]
    assert refused(message).path == "$append.l"


def test_wide_cycle_is_refused_quickly():
    cycle = []
    cycle.extend([cycle] * 50)
    assert refused(of(cycle)).path == "$set.a[0]"


@pytest.mark.parametrize("extra", [1, (1,)], ids=["quick-look", "closer-look"])
def test_shared_value_without_cycle_is_fine(extra):
    shared = [1, {"x": 2}]
    taken = plain({"one": shared, "two": [shared, shared], "extra": extra})
    assert taken == {"one": shared, "two": [shared, shared], "extra": [1] if extra == (1,) else 1}


def nested(wraps, levels):
    value = "x"
    for level in range(levels):
        value = wraps[level % len(wraps)](value)
    return value


def in_list(value):
    return [value]


def in_dict(value):
    return {"d": value}


def in_tuple(value):
    return (value,)


WRAPS = {
    "lists": ([in_list], "[0]"),
    "dicts": ([in_dict], ".d"),
    "tuples": ([in_tuple], "[0]"),
    "mixed": ([in_list, in_dict], None),
    "all": ([in_list, in_dict, in_tuple], None),
}


@pytest.mark.parametrize("closer", [False, True], ids=["as-it-is", "beside-a-tuple"])
@pytest.mark.parametrize(("wraps", "step"), WRAPS.values(), ids=WRAPS)
@pytest.mark.parametrize("operator", sampled(["$set", "$append", "$union", "$remove", "$set_once"], 5))
def test_value_may_nest_100_deep(operator, wraps, step, closer):
    beside = {"beside": ("t",)} if closer else {}
    fits = {"$distinct_id": "u1", operator: {"a": nested(wraps, MAX_DEPTH), **beside}}
    assert MAX_DEPTH == 100
    assert json.loads(compact(normalise(fits))) == json.loads(json.dumps(fits))
    too_deep = {"$distinct_id": "u1", operator: {"a": nested(wraps, MAX_DEPTH + 1), **beside}}
    error = refused(too_deep)
    assert "100" in error.reason
    if step:
        assert error.path == f"{operator}.a" + step * MAX_DEPTH


def test_empty_container_is_a_level():
    error = refused(of(json.loads("[" * 101 + "]" * 101)))
    assert error.path == "$set.a" + "[0]" * 100
    assert plain(json.loads("[" * 100 + "]" * 100))


@pytest.mark.parametrize("wraps", [[in_list], [in_dict], [in_tuple]])
def test_very_deep_value_is_refused_safely(wraps):
    assert "deeper" in refused(of(nested(wraps, 20_000))).reason


# --- what becomes plain ---------------------------------------------------------------------------


def test_tuples_become_lists_at_any_depth():
    assert plain(("a", (1, {"x": (2,)}), Pair(3, 4))) == ["a", [1, {"x": [2]}], [3, 4]]
    assert type(plain((1,))) is list
    assert type(plain(Pair(1, 2))) is list


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),  # noqa: DTZ001  # naive is what is tested
        (datetime(2026, 1, 2, 3, 4, 5, 999_999), "2026-01-02T03:04:05"),  # noqa: DTZ001
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05"),
        (datetime(2026, 1, 2, 1, 4, 5, tzinfo=EAST), "2026-01-01T23:04:05"),
        (datetime(2025, 12, 31, 23, 0, 0, tzinfo=WEST), "2026-01-01T00:30:00"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=EAST), "2026-01-02T01:04:05"),
        (date(2026, 1, 2), "2026-01-02"),
        (date(99, 1, 2), "0099-01-02"),
        (date.max, "9999-12-31"),
        (datetime.max, "9999-12-31T23:59:59"),  # noqa: DTZ901
    ],
)
def test_dates_become_utc_text(given, expected):
    assert plain(given) == expected
    assert plain([given]) == [expected]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (datetime(99, 1, 2, 3, 4, 5, tzinfo=UTC), "0099-01-02T03:04:05"),
        (datetime.min, "0001-01-01T00:00:00"),  # noqa: DTZ901
        (datetime(1000, 1, 1, 1, 0, 0, tzinfo=EAST), "0999-12-31T23:00:00"),
    ],
)
def test_early_year_has_four_digits(given, expected):
    assert plain(given) == expected


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=EAST),
        datetime.max.replace(tzinfo=WEST),
    ],
    ids=["before-year-1", "after-year-9999"],
)
def test_datetime_outside_utc_is_refused(moment):
    assert refused(of([moment])).path == "$set.a[0]"


class Nanoseconds(datetime):
    """A datetime that writes more than a datetime has, as pandas.Timestamp does."""

    def isoformat(self, *args, **options):
        return super().isoformat(*args, **options) + ".000000789"


class NoTime(datetime):
    """A datetime that is no time, as pandas.NaT."""

    year = month = day = hour = minute = second = math.nan


class BeyondYears(datetime):
    """A datetime of a year that Python has not, as pandas.Timestamp may be."""

    def replace(self, **_options):
        raise ValueError("year -500 is out of range")


def test_datetime_subclass_becomes_usual_text():
    moment = Nanoseconds(2026, 1, 2, 3, 4, 5, 6)
    assert plain(moment) == "2026-01-02T03:04:05"
    assert plain(moment.replace(tzinfo=EAST)) == "2026-01-02T01:04:05"


@pytest.mark.parametrize("value", [NoTime(2026, 1, 2), math.nan])
def test_missing_value_is_told_apart(value):
    error = refused(of([value]))
    assert (error.path, "None" in error.hint) == ("$set.a[0]", True)


def test_year_beyond_python_is_refused():
    assert "before year 1" in refused(of(BeyondYears(2026, 1, 2))).reason


@pytest.mark.parametrize(("name", "advice"), [("int64", "tolist()"), ("datetime64", "astype")])
def test_numpy_scalar_is_named(name, advice):
    scalar = type(name, (), {"__module__": "numpy"})()
    for error in (refused(of(scalar)), refused({"$distinct_id": scalar, "$set": {}})):
        assert f"numpy.{name}" in error.reason
        assert advice in error.hint


class Vague(tzinfo):
    """A time zone that does not know its offset: Python calls such a datetime naive."""

    def utcoffset(self, moment):  # noqa: ARG002
        return None

    def dst(self, moment):  # noqa: ARG002
        return None

    def tzname(self, moment):  # noqa: ARG002
        return None


@pytest.fixture
def machine_east_of_utc(monkeypatch):
    monkeypatch.setenv("TZ", "XST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("machine_east_of_utc")
@pytest.mark.parametrize("zone", [None, Vague()], ids=["no-zone", "zone-without-offset"])
def test_naive_datetime_is_always_utc(zone):
    assert plain(datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone)) == "2026-01-02T03:04:05"


@pytest.mark.parametrize(
    ("given", "expected", "kind"),
    [
        (Plan.PRO, "pro", str),
        (OldPlan.PRO, "pro", str),
        (Loud("hush"), "hush", str),
        (Level.TWO, 2, int),
        (Metres(1.5), 1.5, float),
        (True, True, bool),
        (None, None, type(None)),
        (MOST, MOST, int),
        (-MOST, -MOST, int),
        (sys.float_info.max, sys.float_info.max, float),
        (5e-324, 5e-324, float),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}, dict),
        (defaultdict(list, {"a": (1,)}), {"a": [1]}, dict),
        (Counter("aab"), {"a": 2, "b": 1}, dict),
        ("\U0001f600\x00\u2028", "\U0001f600\x00\u2028", str),
    ],
)
def test_a_subclass_becomes_its_plain_kin(given, expected, kind):
    taken = plain(given)
    assert type(taken) is kind
    assert taken == expected
    assert same_spelling(json.loads(compact(taken)), taken)


def test_name_subclass_becomes_plain_string():
    message = normalise({"$distinct_id": Plan.PRO, Operator.SET: {Plan.PRO: 1, Loud("b"): {OldPlan.PRO: 2}}})
    assert message == {"$distinct_id": "pro", "$set": {"pro": 1, "b": {"pro": 2}}}
    assert {type(name) for name in (*message, *message["$set"], *message["$set"]["b"])} == {str}
    assert type(message["$distinct_id"]) is str


def test_minus_zero_keeps_its_sign():
    assert compact(plain(-0.0)) == "-0.0"
    assert compact(plain((-0.0, Metres(-0.0)))) == "[-0.0,-0.0]"


def test_the_order_of_names_stays():
    message = OrderedDict(
        [("$time", 1), ("z", 1), ("$distinct_id", "u1"), ("$set", OrderedDict(b=1, a=(2,)))]
    )
    assert compact(normalise(message)) == '{"$time":1,"z":1,"$distinct_id":"u1","$set":{"b":1,"a":[2]}}'


def test_text_is_compact_utf8():
    assert compact({"a": ["é", {"b": None}], "c": True}) == '{"a":["é",{"b":null}],"c":true}'


# --- who, and with which operator -----------------------------------------------------------------


def test_forms_remember_few_known_names():
    forms = operations._forms
    for n in range(10):
        made_up = {f"somebody's {n}": n, "$distinct_id": "u1", "$set": {}, f"$made_up_{n}": 1}
        examine(made_up, unknown_operators="ship")
    for names in permutations(sorted(ENVELOPE - {"$group_key", "$group_id"}), 5):
        assert examine(dict.fromkeys((*names, "$distinct_id"), "u1") | {"$set": {}, "$unset": ["a"]}) == (
            (None, "u1"),
            ("$set", "$unset"),
        )
    assert len(forms) <= 256
    assert all(set(names) <= ENVELOPE | set(Operator) for names in forms)


IDENTITIES = {
    "$distinct_id": lambda value: {"$distinct_id": value, "$set": {}},
    "$group_key": lambda value: {"$group_key": value, "$group_id": "g", "$set": {}},
    "$group_id": lambda value: {"$group_key": "k", "$group_id": value, "$set": {}},
}


@pytest.mark.parametrize("name", IDENTITIES)
@pytest.mark.parametrize(
    "value",
    ["", "x" * 256, "é" * 256, 10**255, -(10**254), True, False, 1.0, 1.5, None, [], ["u1"], {}, ("u", 1)],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:4]}",
)
def test_malformed_identity_is_refused(name, value):
    assert refused(IDENTITIES[name](value)).path == name


@pytest.mark.parametrize("name", IDENTITIES)
@pytest.mark.parametrize(
    ("value", "id_"),
    [
        ("x" * 255, "x" * 255),
        ("\U0001f600" * 255, "\U0001f600" * 255),
        (" ", " "),
        ("0", "0"),
        (0, "0"),
        (12, "12"),
        (-5, "-5"),
        (10**254, "1" + "0" * 254),
        (Level.TWO, "2"),
        (Plan.PRO, "pro"),
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:4]}",
)
def test_identity_is_text_or_integer(name, value, id_):
    message = normalise(IDENTITIES[name](value))
    identity, _ = examine(message)
    assert identity == identity_of(message)
    assert id_ in identity
    assert all(part is None or type(part) is str for part in identity)


def test_message_without_identity_is_refused():
    assert refused({"$set": {}}).path == "$distinct_id"
    assert refused({"distinct_id": "u1", "$set": {}}).path == "$distinct_id"
    assert refused({"$group_key": "k", "$set": {}}).path == "$group_id"
    assert refused({"$group_id": "g", "$set": {}}).path == "$group_key"
    assert refused({}).path == "$distinct_id"


@pytest.mark.parametrize(
    "group", [{"$group_key": "k"}, {"$group_id": "g"}, {"$group_key": "k", "$group_id": "g"}]
)
def test_message_with_two_identities_is_refused(group):
    assert refused({"$distinct_id": "u1", **group, "$set": {}}).path == "$distinct_id"
    assert refused({**group, "$distinct_id": None, "$set": {}}).path == "$distinct_id"


def test_user_and_group_are_two_identities():
    assert identity_of({"$distinct_id": "x"}) == Identity(None, "x")
    assert identity_of({"$group_key": "k", "$group_id": "x"}) == Identity("k", "x")


@pytest.mark.parametrize(
    "message",
    [
        {"$distinct_id": "u1"},
        {"$distinct_id": "u1", "set": {"a": 1}},
        {"$distinct_id": "u1", "$time": 1, "$ip": 0, "note": "x"},
        {"$group_key": "k", "$group_id": "g"},
    ],
)
def test_message_without_operator_is_refused(message):
    error = refused(message)
    assert error.path == "message"
    assert "operator" in error.reason


def test_dollar_name_outside_envelope_is_operator():
    others = {"$merge": 1, "$": 1, "$email": 1, "$Set": 1, "set": 1, "": 1, "x$set": 1}
    message = dict.fromkeys(sorted(ENVELOPE), 1) | {"$set": {}} | others
    assert operators_of(message) == ["$set", "$merge", "$", "$email", "$Set"]


@pytest.mark.parametrize("more", [{}, {"$set": {"plan": "pro"}}])
def test_exported_profile_is_no_update(more):
    """The service exports profiles as ``$properties``, which no service takes back."""
    message = {"$distinct_id": "ada", "$properties": {"plan": "pro"}, **more}
    with pytest.raises(InvalidOperation, match=r'write "\$set" in place of "\$properties"') as caught:
        examine(message)
    assert caught.value.path == "$properties"
    simulator = Simulator()
    assert {outcome.verdict for outcome in simulator.apply(message)} == {"rejected"}
    with pytest.raises(InvalidOperation):
        simulator.people_update(message)
    assert not simulator.profiles


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', '[{"$set":{"x":{"a":1,"b":2,"a":1}}}]'])
def test_repeated_name_is_refused(text):
    with pytest.raises(ValueError, match='the name "a" appears twice'):
        parse_json(text)


def test_lane_follows_the_identity():
    assert lane_of({"$distinct_id": "u1"}) is Lane.PEOPLE
    assert lane_of({"$group_key": "k", "$group_id": "g"}) is Lane.GROUPS
    assert lane_of({"$group_id": "g"}) is Lane.GROUPS


# --- the shape of each payload --------------------------------------------------------------------

NO_OBJECTS = [None, True, 1, 1.5, "a", "", [], ["a"], [["a", 1]]]
WRONG_SHAPES = [
    *((operator, payload, operator) for operator in list(Operator)[:6] for payload in NO_OBJECTS),
    *(("$add", {"a": 1, "b": value}, "$add.b") for value in ["2", "", True, False, None, [], [1], {}]),
    ("$union", {"a": [1], "b": []}, "$union.b"),
    ("$union", {"a": ()}, "$union.a"),
    *(("$unset", payload, "$unset") for payload in [None, True, 1, "a", "", {}, {"a": 1}, [], ()]),
    *(("$unset", ["a", value], "$unset[1]") for value in [None, True, 1, 1.5, [], ["b"], {}]),
]


@pytest.mark.parametrize(
    ("operator", "payload", "path"), WRONG_SHAPES, ids=[f"{o}-{json.dumps(p)}" for o, p, _ in WRONG_SHAPES]
)
def test_malformed_payload_is_refused(operator, payload, path):
    for identity in ({"$distinct_id": "u1"}, {"$group_key": "k", "$group_id": "g"}):
        error = refused({**identity, operator: payload})
        assert error.path == path
        assert refused({**identity, "$set": {}, operator: payload, "$delete": ""}).path == path


ANYTHING = [None, True, 0, 1.5, "", "x", [], [1], {}, {"a": [None]}]
RIGHT_SHAPES = [
    *((operator, {}) for operator in list(Operator)[:6]),
    *(
        (operator, {"a": value})
        for operator in ("$set", "$set_once", "$append", "$remove")
        for value in ANYTHING
    ),
    *(("$union", {"a": value}) for value in ANYTHING if value != []),
    ("$union", {"a": [[]]}),
    ("$add", {"a": 0, "b": -1.5, "c": MOST, "": 1}),
    ("$unset", ["a", "a", "", "$b"]),
    ("$unset", ("a",)),
    *(("$delete", value) for value in ANYTHING),
]


@pytest.mark.parametrize(
    ("operator", "payload"), RIGHT_SHAPES, ids=[f"{o}-{json.dumps(p)}" for o, p in RIGHT_SHAPES]
)
def test_well_formed_payload_is_taken(operator, payload):
    assert examine(normalise({"$distinct_id": "u1", operator: payload}))[0] == Identity(None, "u1")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("$increment", "$add"),  # the methods' names
        ("$track_charge", "$append"),
        ("$clearCharges", "$unset"),
        ("$delete_user", "$delete"),
        ("$setOnce", "$set_once"),  # the operators', otherwise spelled
        ("$Set", "$set"),
        ("$SET_ONCE", "$set_once"),
        ("$addd", "$add"),
        ("$apend", "$append"),
        ("$unsset", "$unset"),
        ("$union ", "$union"),
        ("$ignoreTime", "$ignore_time"),  # the envelope's
    ],
)
def test_refusal_names_meant_operator(name, expected):
    error = refused({"$distinct_id": "u1", name: {"n": 1}})
    assert error.reason == f"is not an operator; did you mean {expected}?"
    assert "unknown_operators" in error.hint


@pytest.mark.parametrize("name", ["$merge", "$email", "$name", "$", "$created", "$ü", "$" + "x" * 500_000])
def test_refusal_guesses_only_near_names(name):
    error = refused({"$distinct_id": "u1", name: {"n": 1}})
    assert error.reason == "is not an operator; a property of that name belongs inside $set"
    assert len(error.path) < 80


@pytest.mark.parametrize("value", ANYTHING)
def test_unknown_operators_can_be_shipped(value):
    message = {"$distinct_id": "u1", "$increment": value, "$": value}
    assert examine(message, unknown_operators="ship")[1] == ("$increment", "$")
    assert refused({**message, "$unset": []}, unknown_operators="ship").path == "$unset"
    assert refused({**message, "$properties": {}}, unknown_operators="ship").path == "$properties"


def test_split_keeps_everything_else():
    message = {"$time": 1, "$set": {"a": 1}, "$distinct_id": "u1", "$merge": 2, "note": "x", "$ip": 0}
    one, two = split(message, operators_of(message))
    assert list(one.items()) == [
        ("$time", 1),
        ("$set", {"a": 1}),
        ("$distinct_id", "u1"),
        ("note", "x"),
        ("$ip", 0),
    ]
    assert list(two.items()) == [
        ("$time", 1),
        ("$distinct_id", "u1"),
        ("$merge", 2),
        ("note", "x"),
        ("$ip", 0),
    ]


# --- JSON equality --------------------------------------------------------------------------------

# A small pool, so that equal and nearly equal values meet often.
SCALARS = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        0.0,
        -0.0,
        1,
        1.0,
        -1,
        "",
        "0",
        "1",
        "true",
        "é",
        "e\u0301",
        2**53,
        2.0**53,
        2**53 + 1,
    ]
) | st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3))
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)


def respelled(value, draw):
    """The value, equal as JSON, with some numbers spelled otherwise and some names in another order."""
    match value:
        case bool() | None | str():
            return value
        case list():
            return [respelled(item, draw) for item in value]
        case dict():
            names = draw(st.permutations(list(value)))
            return {name: respelled(value[name], draw) for name in names}
        case int() if abs(value) < 10**300 and value == int(float(value)):
            return draw(st.sampled_from([value, float(value)]))
        case float() if value.is_integer():
            return draw(st.sampled_from([value, int(value), value or -value]))
    return value


@st.composite
def pairs(draw):
    left = draw(VALUES)
    return left, respelled(left, draw) if draw(st.booleans()) else draw(VALUES)


def content(value):
    """An independent notion of equality: two values are equal as JSON when these texts are."""
    match value:
        case bool() | None:
            return json.dumps(value)
        case int() | float():
            return str(Fraction(value))
        case str():
            return json.dumps(value)
        case list():
            return "[" + ",".join(map(content, value)) + "]"
    return "{" + ",".join(f"{json.dumps(name)}:{content(value[name])}" for name in sorted(value)) + "}"


def spelling(value):
    """An independent notion of spelling: what json itself writes, with names sorted."""
    return json.dumps(value, sort_keys=True)


@given(pairs())
def test_equality_agrees_with_an_independent_definition(pair):
    left, right = pair
    assert json_equal(left, right) == (content(left) == content(right))
    assert same_spelling(left, right) == (spelling(left) == spelling(right))


@given(pairs(), st.data())
def test_spelling_refines_equality(pair, data):
    left, right = pair
    third = respelled(right, data.draw)
    for alike in (json_equal, same_spelling):
        assert alike(left, left)
        assert alike(left, right) == alike(right, left)
        assert not (alike(left, right) and alike(right, third)) or alike(left, third)
    assert json_equal(right, third)
    assert not same_spelling(left, right) or json_equal(left, right)


@given(pairs())
def test_json_key_agrees_with_equality(pair):
    left, right = pair
    assert (json_key(left) == json_key(right)) == json_equal(left, right)
    assert len({json_key(left), json_key(right)}) == (1 if json_equal(left, right) else 2)


@given(pairs())
def test_spell_agrees_with_same_spelling(pair):
    left, right = pair
    assert (spell(left) == spell(right)) == same_spelling(left, right)
    assert same_spelling(json.loads(spell(left)), left)


@pytest.mark.parametrize(
    ("left", "right", "equal", "alike"),
    [
        (True, 1, False, False),
        (False, 0, False, False),
        (True, 1.0, False, False),
        (1, 1.0, True, False),
        (0, -0.0, True, False),
        (0.0, -0.0, True, False),
        (-0.0, -0.0, True, True),
        (2**53, 2.0**53, True, False),
        (2**53 + 1, 2.0**53, False, False),
        (10**308, 1e308, False, False),
        ("1", 1, False, False),
        ("é", "e\u0301", False, False),
        (None, False, False, False),
        (None, 0, False, False),
        ([], {}, False, False),
        ([], None, False, False),
        ([True], [1], False, False),
        ([1, 2], [2, 1], False, False),
        ([[1]], [1], False, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True, True),
        ({"a": 1}, {"a": 1.0}, True, False),
        ({"a": None}, {}, False, False),
        ({"a": True}, {"a": 1}, False, False),
        ([{"a": [1.0]}], [{"a": [1]}], True, False),
    ],
)
def test_equality_of_values_python_confuses(left, right, equal, alike):
    for one, other in ((left, right), (right, left)):
        assert json_equal(one, other) is equal
        assert same_spelling(one, other) is alike


# --- any Python object at all ---------------------------------------------------------------------

ODD_TEXT = st.text(st.characters(exclude_categories=()), max_size=4)
ODD_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**300, 10**308, MOST, -MOST, 10**309, -(10**400)]),
    st.floats(),
    ODD_TEXT,
    st.sampled_from([Plan.PRO, Level.TWO, OldPlan.PRO, Size.BIG, Loud("x"), Metres(2), Metres("inf")]),
    st.binary(max_size=2),
    st.decimals(),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, UTC, EAST, WEST])),
    st.just(object()),
    st.sampled_from([{1}, frozenset(), b"", 1j, ...]),
)
ODD_NAMES = st.one_of(
    ODD_TEXT, st.text(max_size=3), st.text(max_size=3), st.sampled_from([1, None, (1,), Plan.PRO, True])
)
ODD_VALUES = st.recursive(
    ODD_SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(ODD_NAMES, inner, max_size=3),
        st.dictionaries(st.text(max_size=2), inner, max_size=3).map(OrderedDict),
    ),
    max_leaves=8,
)


def is_recordable(value):
    """An independent account of what may be recorded."""
    match value:
        case None | bool():
            return True
        case str():
            return not any("\ud800" <= character <= "\udfff" for character in value)
        case int():
            return abs(value) <= MOST
        case float():
            return math.isfinite(value)
        case datetime():
            since = value.replace(tzinfo=None) - datetime.min - (value.utcoffset() or timedelta())  # noqa: DTZ901
            return timedelta() <= since <= datetime.max - datetime.min  # noqa: DTZ901
        case date():
            return True
        case list() | tuple():
            return all(map(is_recordable, value))
        case dict():
            return all(isinstance(name, str) and is_recordable(name) for name in value) and all(
                map(is_recordable, value.values())
            )
    return False


def is_plain(value):
    kind = type(value)
    if kind is list:
        return all(map(is_plain, value))
    if kind is dict:
        return all(type(name) is str for name in value) and all(map(is_plain, value.values()))
    return kind in (str, int, float, bool, type(None))


@given(ODD_VALUES)
@example(datetime.min.replace(tzinfo=EAST))
@example(datetime.max.replace(tzinfo=WEST))
@example({"\ud800": 1})
@example([math.nan])
@example({1: {"a": b""}})
def test_any_object_is_json_or_refused(value):
    for message in (of(value), {"$distinct_id": "u1", "$append": {"a": 1}, "note": value}):
        before = repr(message)
        try:
            taken = normalise(message)
        except InvalidOperation as error:
            taken, path, text = None, error.path, str(error)
        assert (taken is not None) == is_recordable(value)
        if taken is None:
            assert path.startswith(("$set.a", "note"))
            text.encode()
        else:
            assert is_plain(taken)
            text = compact(taken)
            assert same_spelling(json.loads(text), taken)
            assert json.loads(text.encode()) == taken
            assert normalise(taken) == taken
        assert repr(message) == before


@given(ODD_VALUES)
def test_any_message_is_identified_or_refused(value):
    for message in (value, {"$distinct_id": value, "$set": {}}, {"$distinct_id": "u1", "$unset": value}):
        before = repr(message)
        try:
            name = examine(normalise(message))[0].id
        except InvalidOperation as error:
            name = error.path
        assert name
        assert repr(message) == before


def test_what_came_in_is_never_changed():
    inner = {"t": (1, (2,)), "when": datetime(2026, 1, 2, tzinfo=EAST), "plan": Plan.PRO}
    message = OrderedDict([("$distinct_id", 12), ("$set", inner), ("$union", {"l": ("a",)})])
    before = repr(message)
    taken = normalise(message)
    examine(taken)
    taken["$set"]["t"].append(3)
    assert repr(message) == before
