"""JSON values: equality, spelling, copies, compact text and the service's size limit. Pure."""

import json
from collections.abc import Hashable
from typing import Any

from recorder.model.errors import InvalidOperation

__all__ = [
    "MAX_UPDATE_BYTES",
    "check_size",
    "compact",
    "copy_json",
    "is_text",
    "json_equal",
    "json_key",
    "kind_of",
    "object_of",
    "parse_json",
    "same_spelling",
    "spell",
    "type_name",
]

MAX_UPDATE_BYTES = 1_000_000
"""The largest update the service documents, in bytes of compact UTF-8 with its token."""

_CONTAINERS = (dict, list)
_SHOWN = 60  # characters of a name in an error

# Both are only given plain values, which have no cycles.
_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))
_sorted = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=True
)


def json_key(value: Any) -> Hashable:
    """Return a hashable stand-in for a JSON value: equal keys mean values that are equal as JSON.

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
    """Return True if two JSON values are equal; see `json_key`.

    >>> json_equal(1, 1.0), json_equal(1, True), json_equal("1", 1)
    (True, False, False)
    """
    return json_key(left) == json_key(right)


def same_spelling(left: Any, right: Any) -> bool:
    """Return True if two JSON values are stored alike: equal, and spelled alike at every depth.

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


def spell(value: Any) -> str:
    """Return one text for all JSON values of one spelling: texts are equal when `same_spelling` says so.

    Hashable, so that many values can be compared in one pass.

    >>> spell({"b": [1, 1.0, True], "a": "é"})
    '{"a":"é","b":[1,1.0,true]}'
    """
    return _sorted.encode(value)


def copy_json(value: Any) -> Any:
    """Copy a JSON value; the copy shares nothing that can change.

    >>> value = {"a": [1]}
    >>> copy_json(value) == value, copy_json(value)["a"] is value["a"]
    (True, False)
    """
    if isinstance(value, dict):
        copy = dict(value)  # all at once: most objects have no containers in them
        for name, item in value.items():
            if isinstance(item, _CONTAINERS):
                copy[name] = copy_json(item)
        return copy
    if isinstance(value, list):
        return [copy_json(item) if isinstance(item, _CONTAINERS) else item for item in value]
    return value


def compact(value: Any) -> str:
    """Write a JSON value as the service is sent it: no white space, text as UTF-8 rather than escapes.

    >>> compact({"a": [1, "é"]})
    '{"a":[1,"é"]}'
    """
    return _compact.encode(value)


def is_text(value: str) -> bool:
    """Return True if a string has a UTF-8 form: no lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_size(text: str, place: str, *, extra: int = 0) -> str:
    """Return a message's compact JSON if it fits the service's limit.

    Args:
        text: The message, with one operator.
        place: The path to name when it is too large: its operator.
        extra: Bytes that join it when it is sent.

    Raises:
        InvalidOperation: It takes more than 1,000,000 bytes.
        UnicodeEncodeError: It has a lone surrogate; `normalise` says where.

    >>> check_size('{"$distinct_id":"u1","$set":{}}', "$set")
    '{"$distinct_id":"u1","$set":{}}'
    """
    size = (len(text) if text.isascii() else len(text.encode())) + extra
    if size > MAX_UPDATE_BYTES:
        raise InvalidOperation(
            place, f"the update takes {size:,} bytes; the service's limit is {MAX_UPDATE_BYTES:,}"
        )
    return text


def kind_of(value: Any) -> str:
    """Name the JSON type of a value, for a sentence.

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
    return f"a {type_name(value)}"


def type_name(value: Any) -> str:
    """Name the type of a Python object, with its module unless Python itself defines it.

    >>> from decimal import Decimal
    >>> type_name(Decimal(1)), type_name({1})
    ('decimal.Decimal', 'set')
    """
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def parse_json(text: str) -> Any:
    """Parse JSON, and refuse an object that has a name twice: all but its last value would be lost.

    Raises:
        ValueError: It is not JSON, or has such an object.
        RecursionError: It is nested too deeply.

    >>> parse_json('{"$set":{"a":1},"$set":{"b":2}}')
    Traceback (most recent call last):
    ...
    ValueError: the name "$set" appears twice in an object
    """
    return _decoder.decode(text)


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of its names and values, for `json` to call.

    Raises:
        ValueError: A name stands twice.
    """
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in made if names.count(name) > 1)
        raise ValueError(f"the name {json.dumps(twice[:_SHOWN])} appears twice in an object")
    return made


_decoder = json.JSONDecoder(object_pairs_hook=object_of)
