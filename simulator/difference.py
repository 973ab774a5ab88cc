"""Differences between two states of a profile, as data and as text. Pure.

Values are compared by spelling: 1, 1.0 and true differ, though they are equal to Python.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from itertools import compress
from operator import is_not
from typing import Any, Final

from recorder.model.json_value import same_spelling
from recorder.model.text import joins

__all__ = ["ABSENT", "Change", "describe", "difference"]


class _Absent(Enum):
    """A missing value in a `Change`, where None is the null of JSON.

    >>> difference({}, {"plan": None})
    (Change(path=('plan',), before=ABSENT, after=None),)
    """

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two states.

    Attributes:
        path: The property's name, then keys of objects and indexes of lists; empty if the profile itself was created
            or deleted. The index of a removed element is its old one, of an added element its new one.
        before: The value before, or `ABSENT`.
        after: The value after, or `ABSENT`.

    >>> difference({"visits": 1}, {"visits": 1.0})
    (Change(path=('visits',), before=1, after=1.0),)
    """

    path: tuple[str | int, ...]
    before: Any
    after: Any


# --- As data ------------------------------------------------------------------------------------


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[Change, ...]:
    """Return the changes from one state of a profile to another.

    Empty exactly if both are spelled alike. Objects are compared by key. The common beginning and end of two lists are
    skipped; the rest is compared place by place if equally long, and otherwise as removed and added elements. The
    result shares nothing mutable with the arguments; time is linear in their size.

    Args:
        before: A `Profile`, or properties as JSON values; None for no such profile.
        after: The same.

    >>> difference({"tags": ["a", "b"], "n": 1}, {"tags": ["b"], "n": True})
    (Change(path=('tags', 0), before='a', after=ABSENT), Change(path=('n',), before=1, after=True))
    >>> difference(None, {})
    (Change(path=(), before=ABSENT, after={}),)
    """
    if before is None or after is None:
        whole = _change((), *(ABSENT if state is None else dict(state) for state in (before, after)))
        return () if before is after else (whole,)
    found: list[Change] = []
    _objects((), before, after, found)
    return tuple(found)


def _change(path: tuple[str | int, ...], before: Any, after: Any) -> Change:
    return Change(path, _copy(before), _copy(after))


def _copy(value: Any) -> Any:
    return deepcopy(value) if isinstance(value, dict | list) else value


def _values(path: tuple[str | int, ...], before: Any, after: Any, found: list[Change]) -> None:
    if isinstance(before, dict) and isinstance(after, dict):
        _objects(path, before, after, found)
    elif isinstance(before, list) and isinstance(after, list):
        _lists(path, before, after, found)
    elif not same_spelling(before, after):
        found.append(_change(path, before, after))


def _objects(
    path: tuple[str | int, ...], before: Mapping[str, Any], after: Mapping[str, Any], found: list[Change]
) -> None:
    for name in before:
        if name in after:
            _values((*path, name), before[name], after[name], found)
        else:
            found.append(_change((*path, name), before[name], ABSENT))
    found.extend(_change((*path, name), ABSENT, after[name]) for name in after if name not in before)


def _lists(path: tuple[str | int, ...], before: list[Any], after: list[Any], found: list[Change]) -> None:
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    if len(old) == len(new):
        for place, (left, right) in enumerate(zip(old, new, strict=True), start):
            _values((*path, place), left, right, found)
        return
    removed, added = _unpaired(old, new)
    found.extend(_change((*path, start + place), old[place], ABSENT) for place in removed)
    found.extend(_change((*path, start + place), ABSENT, new[place]) for place in added)


def _alike(left: list[Any], right: list[Any]) -> int:
    """Return the length of the common beginning; identical objects are skipped at C speed."""
    length = min(len(left), len(right))
    for place in compress(range(length), map(is_not, left, right)):
        if not same_spelling(left[place], right[place]):
            return place
    return length


def _unpaired(old: list[Any], new: list[Any]) -> tuple[Sequence[int], Sequence[int]]:
    """Return the places removed from `old` and those added in `new`.

    The shorter list is searched for in the longer one, in order. This is not the shortest edit, which would take more
    than linear time.
    """
    shorter, longer = sorted((old, new), key=len)
    paired = 0
    extra = []
    for place, value in enumerate(longer):
        if paired < len(shorter) and same_spelling(value, shorter[paired]):
            paired += 1
        else:
            extra.append(place)
    missing = range(paired, len(shorter))
    return (extra, missing) if longer is old else (missing, extra)


# --- As text ------------------------------------------------------------------------------------

_LONGEST = 80  # characters shown of a value
_LEAD = 20  # characters of these before the first difference
_LONGEST_NAME = 255
_SIMPLE = re.compile(r"\$?[A-Za-z_][A-Za-z0-9_]*")

# Printable characters that are invisible or blank.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u2800\u3164\uffa0")
_SELECTORS = re.compile("[\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # variation selectors, joiners
_TWINS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04cf\u0501\u04bb"  # Cyrillic
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405"
    "\u03bf\u03bd\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",  # Greek
    "aeopcyxijsldhABEKMHOPCTYXIJSovABEZHIKMNOPTYX",
)


def describe(changes: Iterable[Change]) -> str:
    r"""Return changes as lines of text, empty for none.

    Values that are equal to Python are shown with their types, and strings that look alike with escapes, so that the
    difference is visible. Long values are clipped around their first difference. Characters that are unprintable or
    control a terminal are escaped as in JSON, so that the lines are safe to print.

    >>> print(describe(difference({"visits": 1, "trial": True}, {"visits": 1.0, "plan": "pro"})))
    visits: 1 (integer) → 1.0 (float)
    - trial: true
    + plan: "pro"
    >>> print(describe(difference({"name": "Ada", "tags": []}, {"name": "Ada ", "tags": ["\x1b[31m"]})))
    name: "Ada" → "Ada\u0020"
    + tags[0]: "\u001b[31m"
    """
    return "\n".join(line for change in changes for line in _lines(change))


def _lines(change: Change) -> list[str]:
    path, before, after = change.path, change.before, change.after
    if not path and before is ABSENT:
        return ["profile created", *(f"+ {_name(name)}: {_one(after[name])}" for name in after)]
    if not path and after is ABSENT:
        return ["profile deleted", *(f"- {_name(name)}: {_one(before[name])}" for name in before)]
    place = _place(path)
    if before is ABSENT:
        return [f"+ {place}: {_one(after)}"]
    if after is ABSENT:
        return [f"- {place}: {_one(before)}"]
    return ["{}: {} → {}".format(place, *_two(before, after))]


def _place(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        joint = "." if text else ""
        text += f"[{part}]" if isinstance(part, int) else joint + _name(part)
    return text or "the profile"


def _name(name: str) -> str:
    return (
        name
        if _SIMPLE.fullmatch(name) and len(name) <= _LONGEST_NAME
        else _clipped(_text(name), 0, _LONGEST_NAME)
    )


def _one(value: Any) -> str:
    return _clipped(_text(value), 0, _LONGEST)


def _two(before: Any, after: Any) -> tuple[str, str]:
    """Return both sides of a change, so that their difference is visible."""
    typed = bool(before == after)
    left, right = _text(before, typed=typed), _text(after, typed=typed)
    if _outline(left) == _outline(right):
        left, right = (_text(value, typed=typed, escaped=True) for value in (before, after))
    differs = next(
        (place for place, (one, other) in enumerate(zip(left, right, strict=False)) if one != other),
        min(len(left), len(right)),
    )
    start = 0 if differs + _LEAD <= _LONGEST else differs - _LEAD
    return _clipped(left, start, _LONGEST), _clipped(right, start, _LONGEST)


def _clipped(text: str, start: int, length: int) -> str:
    end = start + length
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _text(value: Any, *, typed: bool = False, escaped: bool = False) -> str:
    """Return a JSON value as one line.

    Args:
        value: The value.
        typed: True to add the types of numbers and booleans.
        escaped: True to escape everything that may look like something else.
    """
    match value:
        case str():
            return _string(value, escaped=escaped)
        case bool() | int() | float():
            text = json.dumps(value)
            return f"{text} ({_KINDS[type(value)]})" if typed and type(value) in _KINDS else text
        case Mapping():
            items = (
                f"{_string(name, escaped=escaped)}: {_text(item, typed=typed, escaped=escaped)}"
                for name, item in value.items()
            )
            return "{" + ", ".join(items) + "}"
        case list() | tuple():
            return "[" + ", ".join(_text(item, typed=typed, escaped=escaped) for item in value) + "]"
    return "null" if value is None else _string(repr(value), escaped=escaped)


_KINDS = {bool: "boolean", int: "integer", float: "float"}


def _string(text: str, *, escaped: bool) -> str:
    if text.isascii() and text.isprintable() and not escaped:
        return json.dumps(text)
    # Another sequence of code points may look the same: show each code point.
    everything = escaped or not unicodedata.is_normalized("NFC", text)
    return '"' + "".join(_letter(text, place, everything=everything) for place in range(len(text))) + '"'


def _letter(text: str, place: int, *, everything: bool) -> str:
    letter = text[place]
    if letter.isascii():
        doubtful = (
            everything
            and letter == " "
            and (text[place - 1 : place] in ("", " ") or text[place + 1 : place + 2] in ("", " "))
        )
        return "\\u0020" if doubtful else json.dumps(letter)[1:-1]
    joins_the_quote = place == 0 and unicodedata.category(letter)[0] == "M"
    shows = letter.isprintable() or joins(text, place)
    plain = shows and letter not in _BLANK and not joins_the_quote and not everything
    return letter if plain else json.dumps(letter)[1:-1]


def _outline(text: str) -> str:
    """Return a key that is equal for texts that look alike."""
    seen = _SELECTORS.sub("", unicodedata.normalize("NFKC", text)).translate(_TWINS)
    return re.sub(' *" *', '"', re.sub(" +", " ", seen))
