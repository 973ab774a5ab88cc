"""Quick look at a message: nearly all are plain, valid, and of one operator, and need no closer one. Pure."""

import marshal
from collections.abc import Callable
from math import inf
from typing import Any

from recorder.model.normalise import MESSAGE_DEPTH, Message, is_plain
from recorder.model.operations import ENVELOPE, MAX_IDENTITY, Operator

__all__ = ["is_json", "marshalled", "user_and_operator"]

_Fits = Callable[[Any], bool]
_Form = tuple[str, _Fits, tuple[str, ...]]
"""An operator, the check of its payload, and the other names of a message but the user's; no operator: no form."""

_USER = "$distinct_id"
_MOST_FORMS = 256
_SURE_INTEGER = 10**300


def user_and_operator(message: Any) -> tuple[str, str] | None:
    """Return a user's id and the operator, of a message that `normalise` leaves as it is and `examine` finds valid.

    None means: they must look. Two things are left open: subclasses of str, and lone surrogates.

    >>> user_and_operator({"$distinct_id": "ada", "$add": {"visits": 1}})
    ('ada', '$add')
    >>> user_and_operator({"$distinct_id": "ada", "$add": {"visits": "1"}}) is None
    True
    """
    if type(message) is not dict:
        return None
    names = tuple(message)
    operator, fits, others = _forms.get(names) or _form(names)
    if not operator:
        return None
    user = message[_USER]
    if type(user) is not str or not 0 < len(user) <= MAX_IDENTITY or not fits(message[operator]):
        return None
    for name in others:
        value = message[name]
        if (type(value) is not float or not -inf < value < inf) and not is_plain(value, MESSAGE_DEPTH - 1):
            return None
    return user, operator


def _form(names: tuple[str, ...]) -> _Form:
    """Return the form of a user's message of one operator and nothing unknown; of another one, none.

    Names that an app made up are not remembered: there may be many.
    """
    operators = [name for name in names if name in _FITS]
    form: _Form = "", _plain, ()
    if len(operators) == 1 and _USER in names and _OF_A_USER.union(operators).issuperset(names):
        others = tuple(name for name in names if name not in {_USER, *operators})
        form = operators[0], _FITS[operators[0]], others
    if len(_forms) < _MOST_FORMS and _KNOWN.issuperset(names):
        _forms[names] = form
    return form


_forms: dict[tuple[str, ...], _Form] = {}
"""The forms of messages, by their names; those of an app are few."""
_OF_A_USER = ENVELOPE - {"$group_key", "$group_id"}


# marshal takes a third of JSON's time; its format does not matter, as no other process reads it.
_MARSHAL_VERSION = 2  # does not search for repeated objects
_SURROGATE = 0xED
"""The first byte of a lone surrogate in marshal's format (also of some letters, and in numbers)."""


def marshalled(message: Message) -> bytes | None:
    """Return a copy of a plain message in marshal's format; None if it may be no JSON.

    It may not if it has a lone surrogate, or a subclass of str.

    >>> marshal.loads(marshalled({"$distinct_id": "ada"}))
    {'$distinct_id': 'ada'}
    """
    try:
        kept = marshal.dumps(message, _MARSHAL_VERSION)
    except ValueError:
        return None
    return None if _SURROGATE in kept else kept


def is_json(message: Any) -> bool:
    """Return True if a message certainly is what `normalise` makes of it.

    >>> is_json({"$set": {"tags": ["a"]}}), is_json({"$set": {"tags": ("a",)}})
    (True, False)
    """
    plain = type(message) is dict and is_plain(message, MESSAGE_DEPTH)
    return plain and marshalled(message) is not None


def _object(payload: Any) -> bool:
    if type(payload) is not dict:
        return False
    for name, value in payload.items():
        if type(name) is not str or (type(value) is not str and not is_plain(value, MESSAGE_DEPTH - 2)):
            return False
    return True


def _numbers(payload: Any) -> bool:
    if type(payload) is not dict:
        return False
    for name, value in payload.items():
        kind = type(value)
        sure = -_SURE_INTEGER < value < _SURE_INTEGER if kind is int else kind is float and -inf < value < inf
        if not sure or type(name) is not str:
            return False
    return True


def _members(payload: Any) -> bool:
    return _object(payload) and [] not in payload.values()


def _names(payload: Any) -> bool:
    return type(payload) is list and {*map(type, payload)} == {str}


def _plain(payload: Any) -> bool:
    return is_plain(payload, MESSAGE_DEPTH - 1)


_FITS: dict[str, _Fits] = {
    Operator.SET.value: _object,
    Operator.SET_ONCE.value: _object,
    Operator.ADD.value: _numbers,
    Operator.APPEND.value: _object,
    Operator.UNION.value: _members,
    Operator.REMOVE.value: _object,
    Operator.UNSET.value: _names,
    Operator.DELETE.value: _plain,
}
_KNOWN = ENVELOPE.union(_FITS)
