"""From a caller's Python objects to plain JSON, or an error with the place of the first offending value. Pure."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from math import isfinite
from typing import Any, TypeGuard

from recorder.model.errors import InvalidOperation
from recorder.model.json_value import compact, is_text, kind_of, type_name

__all__ = [
    "MAX_DEPTH",
    "MESSAGE_DEPTH",
    "Message",
    "Serializer",
    "is_plain",
    "member_path",
    "normalise",
    "normalise_with_text",
]

Message = dict[str, Any]
"""An update as the service takes it; JSON values only once it has passed `normalise`."""

Serializer = type[json.JSONEncoder] | Callable[[Any], Any]
"""An app's way to turn its own objects into JSON: a JSONEncoder class, as the official SDK takes, or a function
from an object to something JSON knows, as ``json.dumps(default=...)`` takes."""

MAX_DEPTH = 100
"""The most levels of lists and objects inside one property's value. Ours: deeper ones break JSON readers."""

MESSAGE_DEPTH = MAX_DEPTH + 2
"""The same for a message: an object around a payload around a property's value."""

_SCALARS = frozenset({str, bool, type(None)})
_SURE_INTEGER = 10**300
_SHOWN = 60  # characters of a value in an error

_SERIALIZER_HINT = "Give the value as JSON types, or a serializer= that turns it into them."
_LIST_HINT = "Sets have no order: give a list, sorted if order matters."
_NUMPY_HINT = "Give value.tolist(), which makes Python's own numbers and lists, or a serializer= that does."
_MISSING_HINT = "Give None for a value that is missing, or leave the property out."
_HINTS = {
    "set": _LIST_HINT,
    "frozenset": _LIST_HINT,
    "bytes": "Decode it, or give its base64 text.",
    "Decimal": "Give float(value), or a string where every digit counts; a serializer= can do it.",
    "NAType": _MISSING_HINT,
    "datetime64": "Give value.astype('datetime64[s]').tolist(), which is a datetime.",
}


def normalise(message: Any, serializer: Serializer | None = None) -> Message:
    """Return a plain JSON copy of a message.

    Tuples become lists, a datetime ``YYYY-MM-DDTHH:MM:SS`` in UTC (a naive one is taken as UTC), a date
    ``YYYY-MM-DD``, subclasses of str, int and float the plain type. A message that is plain already may be
    returned as it is.

    Args:
        message: As an app made it.
        serializer: Converts objects that JSON does not have. If it raises TypeError, as ``json`` expects of one
            that does not know an object, dates and datetimes become text all the same.

    Raises:
        InvalidOperation: The serializer failed, or something in it is not JSON: NaN, infinities, integers no double
            can represent, lone surrogates, names that are not strings, bytes, sets, Decimals, other objects, cycles,
            or values nested deeper than 100.

    >>> normalise({"$distinct_id": "u1", "$set": {"tags": ("a", "b")}})
    {'$distinct_id': 'u1', '$set': {'tags': ['a', 'b']}}
    """
    return normalise_with_text(message, serializer)[0]


def normalise_with_text(message: Any, serializer: Serializer | None = None) -> tuple[Message, str]:
    """Return the result of `normalise`, and its text as `compact` writes it, which validation needs anyway.

    Raises:
        InvalidOperation: As `normalise`.

    >>> normalise_with_text({"$distinct_id": "u1", "$set": {"tags": ("a", "b")}})[1]
    '{"$distinct_id":"u1","$set":{"tags":["a","b"]}}'
    """
    if _is_encoder(serializer) and _encodes_whole(serializer):
        message = _encoded(message, serializer)
    if not isinstance(message, dict):
        raise InvalidOperation("message", f"must be an object, not {kind_of(message)}")
    if is_plain(message, MESSAGE_DEPTH) and ((text := compact(message)).isascii() or is_text(text)):
        return message, text
    plain: Message = _Normaliser(serializer).value(message, "", MESSAGE_DEPTH)
    return plain, compact(plain)


def is_plain(value: Any, depth: int) -> bool:  # noqa: C901  # in one piece: every recorded value passes here
    """Return True if a value certainly is JSON and nests at most `depth` levels; a quick look.

    False means: look closer, with `normalise`. True leaves one thing open: lone surrogates, which writing
    the text finds.
    """
    kind = type(value)
    if kind is dict:
        if depth == 0:
            return False
        for name, item in value.items():
            if type(name) is not str:
                return False
            kind = type(item)  # scalars are looked at here: a call takes longer than the look
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


def member_path(path: str, name: str) -> str:
    """Return the path of an object's member; a name that could be misread is quoted.

    >>> member_path("$set", "plan"), member_path("$set", "a.b")
    ('$set.plan', '$set."a.b"')
    """
    simple = name.lstrip("$").isidentifier() and len(name) <= _SHOWN
    shown = name if simple else json.dumps(_short(name))
    return f"{path}.{shown}" if path else shown


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


class _Normaliser:
    """A closer look at one message: a plain copy of a value, or InvalidOperation with the place."""

    def __init__(self, serializer: Serializer | None = None) -> None:
        self._default: Callable[[Any], Any] | None = (
            serializer().default if _is_encoder(serializer) else serializer
        )
        self._open: set[int] = set()

    def value(self, value: Any, path: str, depth: int) -> Any:
        match value:
            case None | bool():
                return value
            case str():
                return _text(value, path)
            case int():
                return _integer(value, path)
            case float():
                return _float(value, path)
            case dict() | list() | tuple():
                return self._container(value, path, depth)
        if self._default is None:
            return _time_or_refused(value, path)
        try:
            made = self._default(value)
        except TypeError as error:  # json's way to say that it does not know the object
            return _time_or_refused(value, path, error)
        except Exception as error:
            raise InvalidOperation(path, f"the serializer failed: {error}") from error
        if depth <= -MAX_DEPTH:
            raise InvalidOperation(path, "the serializer makes objects without end")
        return self.value(made, path, depth - 1)

    def _container(self, value: dict[Any, Any] | list[Any] | tuple[Any, ...], path: str, depth: int) -> Any:
        if depth <= 0:
            raise InvalidOperation(path, f"nested deeper than {MAX_DEPTH}")
        if id(value) in self._open:
            raise InvalidOperation(path, "the value contains itself")
        self._open.add(id(value))
        try:
            if isinstance(value, dict):
                return {
                    (key := _name(name, path)): self.value(item, member_path(path, key), depth - 1)
                    for name, item in value.items()
                }
            return [self.value(item, f"{path}[{place}]", depth - 1) for place, item in enumerate(value)]
        finally:
            self._open.discard(id(value))


def _is_encoder(serializer: Serializer | None) -> TypeGuard[type[json.JSONEncoder]]:
    return isinstance(serializer, type) and issubclass(serializer, json.JSONEncoder)


def _encodes_whole(encoder: type[json.JSONEncoder]) -> bool:
    """Return True if an encoder overrides more than `default`, such as one that writes NaN as null."""
    usual = json.JSONEncoder
    return encoder.encode is not usual.encode or encoder.iterencode is not usual.iterencode


def _encoded(message: Any, serializer: type[json.JSONEncoder]) -> Any:
    encoder = serializer()
    normaliser = _Normaliser(serializer)
    encoder.default = lambda o: normaliser.value(o, "message", MAX_DEPTH)  # type: ignore[method-assign]
    try:
        return json.loads(encoder.encode(message))
    except InvalidOperation:
        raise
    except Exception as error:
        raise InvalidOperation("message", f"the serializer failed: {error}") from error


def _time_or_refused(value: Any, path: str, refusal: TypeError | None = None) -> str:
    match value:
        case datetime():
            return _moment(value, path)
        case date():
            return date.isoformat(value)
    kind = type_name(value)
    reason = f"a value of type {kind} is not JSON"
    if refusal is not None:
        reason += ", and the serializer does not know it"
    package, _, name = kind.rpartition(".")
    hint = _HINTS.get(name) or (_NUMPY_HINT if package == "numpy" else _SERIALIZER_HINT)
    raise InvalidOperation(path, reason, hint=hint) from refusal


def _name(name: Any, path: str) -> str:
    if not isinstance(name, str):
        kind = type_name(name)
        raise InvalidOperation(path or "message", f"a name must be a string, not {kind} ({_shown(name)})")
    return _text(name, member_path(path, "?"))


def _shown(value: Any) -> str:
    try:
        return _short(repr(value))
    except Exception:  # noqa: BLE001  # a stranger's __repr__ must not hide the error
        return "…"


def _text(value: str, path: str) -> str:
    if not is_text(value):
        raise InvalidOperation(path, "the text has a lone surrogate, which UTF-8 cannot encode")
    return str.__str__(value)  # a plain str, also of a subclass such as an enum's member


def _integer(value: int, path: str) -> int:
    try:
        float(value)
    except OverflowError:
        raise InvalidOperation(
            path, "the integer is beyond ±1.797e308, which no double can represent"
        ) from None
    return int(value)


def _float(value: float, path: str) -> float:
    if not isfinite(value):
        raise InvalidOperation(path, f"{value} is not JSON", hint=_MISSING_HINT)
    return float(value)


def _moment(value: datetime, path: str) -> str:
    if not isfinite(value.year):  # pandas.NaT is a datetime whose fields are NaN
        raise InvalidOperation(path, f"{value} is not JSON", hint=_MISSING_HINT)
    try:
        # A naive one is taken as UTC; astimezone() would take it as the machine's own time.
        moment = value.replace(tzinfo=UTC) if value.utcoffset() is None else value.astimezone(UTC)
    except (OverflowError, ValueError):
        raise InvalidOperation(path, "the time in UTC is before year 1 or after 9999") from None
    # Not isoformat(): a pandas.Timestamp writes its nanoseconds, too.
    day = f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
    return f"{day}T{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
