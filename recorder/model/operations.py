"""The vocabulary: operators, the shape each payload must have, validation, JSON equality.

A *message* is what the official SDK would post, a JSON object such as
``{"$distinct_id": "u1", "$time": 1.5, "$set": {"plan": "pro"}}``: an envelope (identity, time, flags) and
one or more operators. Everything here is pure: values come in, values or InvalidOperation come out, and
what came in is never changed.

Sources: the service's documentation of /engage and /groups, and the official Python SDK 5.4.1. Where both
are silent the rule is ours.
"""

import json
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, date, datetime
from enum import StrEnum
from math import isfinite
from typing import Any, NamedTuple

from recorder.model.errors import InvalidOperation

__all__ = [
    "ENVELOPE",
    "MAX_DEPTH",
    "MAX_IDENTITY",
    "MAX_UPDATE_BYTES",
    "MESSAGE_DEPTH",
    "Identity",
    "Lane",
    "Message",
    "Operator",
    "Serializer",
    "check",
    "compact",
    "copied",
    "examined",
    "fitting",
    "identity_of",
    "is_plain",
    "is_text",
    "json_equal",
    "json_key",
    "kind_of",
    "lane_of",
    "normalise",
    "normalised",
    "operators_of",
    "same_spelling",
    "serialised",
    "spelled",
    "split",
    "written",
]

Message = dict[str, Any]
"""An update as the service takes it; JSON values only once it has passed `normalise`."""

MAX_DEPTH = 100
"""How deep lists and objects may nest inside one property's value. Ours: deeper ones break JSON readers."""

MESSAGE_DEPTH = MAX_DEPTH + 2
"""The same for a message: an object around a payload around a property's value."""

MAX_UPDATE_BYTES = 1_000_000
"""The largest update the service documents, in bytes of compact UTF-8 with its token."""

MAX_IDENTITY = 255
"""The longest profile id, group key or group id, in characters."""


class Operator(StrEnum):
    """The operators whose effect on a profile is known.

    >>> Operator("$add") is Operator.ADD
    True
    """

    SET = "$set"
    SET_ONCE = "$set_once"
    ADD = "$add"
    APPEND = "$append"
    UNION = "$union"
    REMOVE = "$remove"
    UNSET = "$unset"
    DELETE = "$delete"


class Lane(StrEnum):
    """What travels together, in one order and to one endpoint of the service."""

    PEOPLE = "people"
    GROUPS = "groups"
    EVENTS = "events"
    IMPORTS = "imports"


ENVELOPE = frozenset(
    {
        "$token",
        "$distinct_id",
        "$group_key",
        "$group_id",
        "$time",
        "$ip",
        "$ignore_time",
        "$ignore_alias",
        "$latitude",
        "$longitude",
    }
)
"""Keys that begin with ``$`` and are no operators. Any other such key is one, known or not."""


class Identity(NamedTuple):
    """Whose profile a message is about: a user's (no group key) or a group's."""

    group_key: str | None
    id: str


# --- JSON equality ------------------------------------------------------------------------------


def json_key(value: Any) -> Hashable:
    """A hashable stand-in for a JSON value: two values have equal keys when they are equal as JSON.

    1 equals 1.0, true is not 1, ``"1"`` is not 1, objects compare by content, strings by code point.
    Python's own ``==``, ``in`` and sets cannot be used on raw values: ``True == 1`` there.

    >>> json_key([1, {"a": True}]) == json_key([1.0, {"a": True}])
    True
    >>> json_key(True) == json_key(1)
    False
    """
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, list):
        return (list, tuple(map(json_key, value)))
    if isinstance(value, dict):
        return (dict, frozenset((name, json_key(item)) for name, item in value.items()))
    return value  # type: ignore[no-any-return]  # a str, int, float or None


def json_equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal; see `json_key`.

    >>> json_equal(1, 1.0), json_equal(1, True), json_equal("1", 1)
    (True, False, False)
    """
    return json_key(left) == json_key(right)


def same_spelling(left: Any, right: Any) -> bool:
    """Whether two JSON values are stored alike: equal, and spelled alike at every depth.

    Stricter than `json_equal`: a number's spelling as integer or float and the sign of zero count; the
    order of an object's keys does not.

    >>> same_spelling(1, 1.0), same_spelling(0.0, -0.0), same_spelling({"a": 1, "b": 2}, {"b": 2, "a": 1})
    (False, False, True)
    """
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same_spelling, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(
            same_spelling(item, right[name]) for name, item in left.items()
        )
    if isinstance(left, float):
        return repr(left) == repr(right)
    return bool(left == right)


def copied(value: Any) -> Any:
    """A copy of a JSON value, which shares nothing that can change.

    >>> value = {"a": [1]}
    >>> copied(value) == value, copied(value)["a"] is value["a"]
    (True, False)
    """
    if isinstance(value, dict):
        copy = dict(value)  # all at once: most hold no containers
        for name, item in value.items():
            if isinstance(item, _CONTAINERS):
                copy[name] = copied(item)
        return copy
    if isinstance(value, list):
        return [copied(item) if isinstance(item, _CONTAINERS) else item for item in value]
    return value


_CONTAINERS = (dict, list)


_spell = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=True
).encode


def spelled(value: Any) -> str:
    """One text for all JSON values of one spelling: two have equal texts when `same_spelling` says so.

    Hashable, so that many values can be told apart in one pass. For plain values; see `normalise`.

    >>> spelled({"b": [1, 1.0, True], "a": "é"})
    '{"a":"é","b":[1,1.0,true]}'
    """
    return _spell(value)


# --- From whatever the caller holds to plain JSON -----------------------------------------------

Serializer = type[json.JSONEncoder] | Callable[[Any], Any]
"""What turns an app's own objects into JSON: a JSONEncoder class, as the official SDK takes, or a function
from an object to something JSON knows, as ``json.dumps(default=...)`` takes."""

# Only ever given plain values, which hold no cycles.
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))


def _make_encode() -> Callable[[Any], str]:
    """`_encoder.encode`, made once: it builds the encoder beneath anew for each value, which takes as long as using it.

    That one is json's own and undocumented, so whatever it does not do as expected leaves the documented way.
    """
    try:
        beneath = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            markers=None,
            default=_encoder.default,
            encoder=json.encoder.encode_basestring,
            indent=None,
            key_separator=":",
            item_separator=",",
            sort_keys=False,
            skipkeys=False,
            allow_nan=False,
        )
        if "".join(beneath({"é": [1, 1.5, None, True]}, 0)) != '{"é":[1,1.5,null,true]}':
            return _encoder.encode
    except (AttributeError, TypeError):
        return _encoder.encode

    def encode(value: Any) -> str:
        return "".join(beneath(value, 0))

    return encode


_encode = _make_encode()
_SCALARS = frozenset({str, bool, type(None)})
_SURE_INTEGER = 10**300


def is_plain(value: Any, depth: int) -> bool:  # noqa: C901  # in one piece: every recorded value passes here
    """Whether a value is JSON as it stands and nests at most so deep, by a quick look.

    False means: look closer, with `normalise`. True leaves one thing to see: whether its text has a UTF-8
    form, which writing it shows.
    """
    kind = type(value)
    if kind is dict:
        if depth == 0:
            return False
        for name, item in value.items():
            if type(name) is not str:
                return False
            kind = type(item)  # what is no container is looked at here: a call takes longer than the look
            if (
                kind is str
                or (kind is int and -_SURE_INTEGER < item < _SURE_INTEGER)
                or (kind is float and isfinite(item))
                or kind in _SCALARS
            ):
                continue
            if not is_plain(item, depth - 1):
                return False
        return True
    if kind in _SCALARS:
        return True
    if kind is int:
        return bool(-_SURE_INTEGER < value < _SURE_INTEGER)
    if kind is float:
        return isfinite(value)
    if kind is list and depth > 0:
        for item in value:  # noqa: SIM110  # all() of a generator takes longer than most lists
            if type(item) is not str and not is_plain(item, depth - 1):
                return False
        return True
    return False


_SHOWN = 60


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _at(path: str, name: str) -> str:
    """The path of a member; a name that could be misread is quoted."""
    simple = name.lstrip("$").isidentifier() and len(name) <= _SHOWN
    shown = name if simple else json.dumps(_short(name))
    return f"{path}.{shown}" if path else shown


def is_text(value: str) -> bool:
    """Whether a string has a UTF-8 form: no lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Normaliser:
    """The closer look at one message: a plain copy of a value, or InvalidOperation with the place."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def value(self, value: Any, path: str, depth: int) -> Any:
        match value:
            case None | bool():
                return value
            case str():
                return self._text(value, path)
            case int():
                return self._integer(value, path)
            case float():
                return self._float(value, path)
            case dict() | list() | tuple():
                return self._container(value, path, depth)
            case datetime():
                return self._moment(value, path)
            case date():
                return value.isoformat()
        kind = type(value).__name__
        raise InvalidOperation(path, f"a {kind} is not JSON", hint=_HINTS.get(kind, _SERIALIZER_HINT))

    def name(self, name: Any, path: str) -> str:
        if not isinstance(name, str):
            kind = type(name).__name__
            raise InvalidOperation(
                path or "message", f"a name must be a string, not {kind} ({_clipped(name)})"
            )
        return self._text(name, _at(path, "?"))

    def _text(self, value: str, path: str) -> str:
        if not is_text(value):
            raise InvalidOperation(path, "the text holds a lone surrogate, which UTF-8 cannot carry")
        return str.__str__(value)  # a plain str, also of a subclass such as an enum's member

    def _integer(self, value: int, path: str) -> int:
        try:
            float(value)
        except OverflowError:
            raise InvalidOperation(
                path, "the integer is beyond ±1.797e308, which no double can hold"
            ) from None
        return int(value)

    def _float(self, value: float, path: str) -> float:
        if not isfinite(value):
            raise InvalidOperation(path, f"{value} is not JSON")
        return float(value)

    def _moment(self, value: datetime, path: str) -> str:
        try:
            # A naive one is taken as UTC; astimezone() would take it as the machine's own time.
            moment = value.replace(tzinfo=UTC) if value.utcoffset() is None else value.astimezone(UTC)
        except OverflowError:
            raise InvalidOperation(
                path, "the time has no name in UTC: it lies before year 1 or after 9999"
            ) from None
        return moment.replace(tzinfo=None, microsecond=0).isoformat()

    def _container(self, value: dict[Any, Any] | list[Any] | tuple[Any, ...], path: str, depth: int) -> Any:
        if depth == 0:
            raise InvalidOperation(path, f"nested deeper than {MAX_DEPTH}")
        if id(value) in self._open:
            raise InvalidOperation(path, "the value contains itself")
        self._open.add(id(value))
        try:
            if isinstance(value, dict):
                return {
                    (key := self.name(name, path)): self.value(item, _at(path, key), depth - 1)
                    for name, item in value.items()
                }
            return [self.value(item, f"{path}[{place}]", depth - 1) for place, item in enumerate(value)]
        finally:
            self._open.discard(id(value))


_SERIALIZER_HINT = "Give the value as JSON types, or a serializer= that turns it into them."
_HINTS = {
    "set": "Sets have no order: give a list, sorted if order matters.",
    "frozenset": "Sets have no order: give a list, sorted if order matters.",
    "bytes": "Decode it, or give its base64 text.",
    "Decimal": "Give float(value), or a string where every digit counts; a serializer= can do it.",
}


def _clipped(value: Any) -> str:
    try:
        shown = repr(value)
    except Exception:  # noqa: BLE001  # a stranger's __repr__ must not hide what is wrong
        shown = "…"
    return _short(shown)


def serialised(message: Any, serializer: Serializer) -> Any:
    """The message after the app's own serializer has run over it; still to be validated.

    Raises:
        InvalidOperation: The serializer raised, or met an object it does not know.
    """
    try:
        if isinstance(serializer, type) and issubclass(serializer, json.JSONEncoder):
            return json.loads(json.dumps(message, cls=serializer))
        return json.loads(json.dumps(message, default=serializer))
    except Exception as error:
        raise InvalidOperation("message", f"the serializer failed: {error}") from error


def normalise(message: Any) -> Message:
    """A plain JSON copy of a message, or of nothing.

    Tuples become lists, a datetime ``YYYY-MM-DDTHH:MM:SS`` in UTC (a naive one is taken as UTC), a date
    ``YYYY-MM-DD``, subclasses of str, int, float their plain kin. A message that is plain already may be
    returned as it is.

    Raises:
        InvalidOperation: Something in it is not JSON: NaN, infinities, integers no double can hold, lone
            surrogates, names that are not strings, bytes, sets, Decimals, other objects, cycles, or values
            nested deeper than 100.

    >>> normalise({"$distinct_id": "u1", "$set": {"tags": ("a", "b")}})
    {'$distinct_id': 'u1', '$set': {'tags': ['a', 'b']}}
    """
    return normalised(message)[0]


def normalised(message: Any) -> tuple[Message, str]:
    """What `normalise` returns, and its text as `compact` writes it: finding out takes that text anyway.

    Raises:
        InvalidOperation: As `normalise`.

    >>> normalised({"$distinct_id": "u1", "$set": {"tags": ("a", "b")}})[1]
    '{"$distinct_id":"u1","$set":{"tags":["a","b"]}}'
    """
    if not isinstance(message, dict):
        raise InvalidOperation("message", f"must be an object, not {kind_of(message)}")
    if is_plain(message, MESSAGE_DEPTH) and ((text := compact(message)).isascii() or is_text(text)):
        return message, text
    plain = _Normaliser().value(message, "", MESSAGE_DEPTH)  # finds the place of what is wrong
    assert isinstance(plain, dict)  # noqa: S101  # for the type checker
    return plain, compact(plain)


def compact(value: Any) -> str:
    """A JSON value as the service is sent it: no white space, text as UTF-8 rather than escapes.

    >>> compact({"a": [1, "é"]})
    '{"a":[1,"é"]}'
    """
    return _encode(value)


# --- What a message says ------------------------------------------------------------------------


def operators_of(message: Message) -> list[str]:
    """The operators of a message in written order, known or not.

    >>> operators_of({"$distinct_id": "u1", "$time": 1, "note": "x", "$set": {}, "$merge": {}})
    ['$set', '$merge']
    """
    return [name for name in message if name not in ENVELOPE and name[:1] == "$"]


def lane_of(message: Message) -> Lane:
    """The lane of a profile update: groups where it names a group, people otherwise."""
    return Lane.GROUPS if "$group_key" in message or "$group_id" in message else Lane.PEOPLE


def _identifier(message: Message, name: str) -> str:
    value = message.get(name)
    if type(value) is str:
        text = value
    elif type(value) is int:
        text = _digits(value)
    elif name not in message:
        raise InvalidOperation(name, "is missing")
    else:
        raise InvalidOperation(name, f"must be a non-empty string or an integer, not {kind_of(value)}")
    if not text:
        raise InvalidOperation(name, "must not be empty")
    if len(text) > MAX_IDENTITY:
        raise InvalidOperation(name, f"is {len(text):,} characters long; the limit is {MAX_IDENTITY}")
    return text


def _digits(value: int) -> str:
    # str() of an integer of thousands of digits raises; any beyond the limit is refused all the same.
    return str(value) if abs(value) < 10**MAX_IDENTITY else "9" * (MAX_IDENTITY + 1)


def identity_of(message: Message) -> Identity:
    """Whose profile the message is about; an integer id becomes the string of its digits.

    Raises:
        InvalidOperation: No identity, a malformed one, or both a user's and a group's.

    >>> identity_of({"$distinct_id": 12, "$set": {}})
    Identity(group_key=None, id='12')
    """
    if "$group_key" not in message and "$group_id" not in message:
        return Identity(None, _identifier(message, "$distinct_id"))
    if "$distinct_id" in message:
        raise InvalidOperation("$distinct_id", "a message names a user or a group, not both")
    return Identity(_identifier(message, "$group_key"), _identifier(message, "$group_id"))


def kind_of(value: Any) -> str:
    """What a value is, in JSON's words, for a sentence.

    >>> kind_of(None), kind_of([1]), kind_of(True)
    ('null', 'a list', 'a boolean')
    """
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
    return f"a {type(value).__name__}"


def _needs_object(operator: str, payload: Any) -> None:
    if not isinstance(payload, dict):
        raise InvalidOperation(
            operator, f"must be an object of property names and values, not {kind_of(payload)}"
        )


def _needs_numbers(operator: str, payload: Any) -> None:
    if type(payload) is not dict:
        _needs_object(operator, payload)
    for name, value in payload.items():
        if type(value) is not int and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InvalidOperation(_at(operator, name), f"must be a number, not {kind_of(value)}")


def _needs_members(operator: str, payload: Any) -> None:
    _needs_object(operator, payload)
    for name, value in payload.items():
        if isinstance(value, list) and not value:
            raise InvalidOperation(_at(operator, name), "must not be an empty list")


def _needs_names(operator: str, payload: Any) -> None:
    if not isinstance(payload, list):
        raise InvalidOperation(operator, f"must be a list of property names, not {kind_of(payload)}")
    if not payload:
        raise InvalidOperation(operator, "must name at least one property")
    for place, name in enumerate(payload):
        if not isinstance(name, str):
            raise InvalidOperation(f"{operator}[{place}]", f"must be a property's name, not {kind_of(name)}")


def _takes_anything(operator: str, payload: Any) -> None:
    """A delete ignores its value, and nothing is known of operators outside the vocabulary."""


_SHAPES: dict[str, Callable[[str, Any], None]] = {
    Operator.SET: _needs_object,
    Operator.SET_ONCE: _needs_object,
    Operator.ADD: _needs_numbers,
    Operator.APPEND: _needs_object,
    Operator.UNION: _needs_members,
    Operator.REMOVE: _needs_object,
    Operator.UNSET: _needs_names,
    Operator.DELETE: _takes_anything,
}


def check(message: Message, lane: Lane | None = None) -> Identity:
    """The identity of a well-formed plain message; see `normalise` for how a message becomes plain.

    Args:
        message: The message.
        lane: People, for a user's message only; groups, for a group's only; None for either.

    Raises:
        InvalidOperation: No identity, no operator, or an operator whose payload has the wrong shape.

    >>> check({"$distinct_id": "u1", "$unset": "plan"})
    Traceback (most recent call last):
    recorder.model.errors.InvalidOperation: $unset: must be a list of property names, not a string
    """
    return examined(message, lane)[0]


def examined(message: Message, lane: Lane | None = None) -> tuple[Identity, tuple[str, ...]]:
    """What `check` checks: the identity, and the operators in written order."""
    names = tuple(message)
    operators, of_a_user = _forms.get(names) or _form(names)
    profile = message["$distinct_id"] if of_a_user else None
    if type(profile) is str and 0 < len(profile) <= MAX_IDENTITY:  # nearly all
        identity = _new(Identity, (None, profile))
    else:
        identity = identity_of(message)
    if lane is not None:
        _check_lane(identity, lane)
    if not operators:
        raise InvalidOperation("message", "has no operator such as $set")
    for operator in operators:
        _SHAPES.get(operator, _takes_anything)(operator, message[operator])
    return identity, operators


_new = tuple.__new__  # as a NamedTuple makes itself, without the call that takes its fields by name
_Form = tuple[tuple[str, ...], bool]
_forms: dict[tuple[str, ...], _Form] = {}
_MOST_FORMS = 256
_KNOWN = ENVELOPE | set(Operator)


def _form(names: tuple[str, ...]) -> _Form:
    """What a message's names alone say: its operators, and whether it is a user's for sure.

    Few different ones come, so it is worked out once for each. Names that an app made up are not remembered: they
    may be long, or somebody's.
    """
    operators = tuple(name for name in names if name not in ENVELOPE and name[:1] == "$")
    form = operators, "$distinct_id" in names and "$group_key" not in names and "$group_id" not in names
    if len(_forms) < _MOST_FORMS and _KNOWN.issuperset(names):
        _forms[names] = form
    return form


def _check_lane(identity: Identity, lane: Lane) -> None:
    if lane is Lane.PEOPLE and identity.group_key is not None:
        raise InvalidOperation("$group_key", "this is a group's message", hint="Use group_update for groups.")
    if lane is Lane.GROUPS and identity.group_key is None:
        raise InvalidOperation(
            "$distinct_id", "this is a user's message", hint="Use people_update for users."
        )


def written(message: Message, place: str, *, beside: int = 0) -> str:
    """A message as compact JSON that fits the service's limit.

    Args:
        message: Plain JSON, one operator.
        place: What to name when it is too large: its operator.
        beside: Bytes that join it when it is sent.

    Raises:
        InvalidOperation: It takes more than 1,000,000 bytes.
        UnicodeEncodeError: It holds a lone surrogate; `normalise` says where.
    """
    return fitting(compact(message), place, beside=beside)


def fitting(text: str, place: str, *, beside: int = 0) -> str:
    """A message's compact JSON, which fits the service's limit; see `written`.

    Raises:
        InvalidOperation, UnicodeEncodeError: As `written`.

    >>> fitting('{"$distinct_id":"u1","$set":{}}', "$set", beside=1_000_000)
    Traceback (most recent call last):
    recorder.model.errors.InvalidOperation: $set: the update takes 1,000,031 bytes; the service's limit is 1,000,000
    """
    size = (len(text) if text.isascii() else len(text.encode())) + beside
    if size > MAX_UPDATE_BYTES:
        raise InvalidOperation(
            place, f"the update takes {size:,} bytes; the service's limit is {MAX_UPDATE_BYTES:,}"
        )
    return text


def split(message: Message, operators: Iterable[str]) -> list[Message]:
    """One message for each of its operators, in written order; all else travels with each.

    The service documents one operation an update, so that is how they are journaled and sent.

    >>> message = {"$distinct_id": "u1", "$set": {"a": 1}, "note": "x", "$unset": ["b"]}
    >>> split(message, ["$set", "$unset"])[1]
    {'$distinct_id': 'u1', 'note': 'x', '$unset': ['b']}
    """
    several = list(operators)
    if len(several) == 1:
        return [message]
    return [
        {name: value for name, value in message.items() if name == operator or name not in several}
        for operator in several
    ]
