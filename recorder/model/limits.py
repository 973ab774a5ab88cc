"""Limits that the service documents for profiles, and the values beyond them. Pure.

What the service does with such a value is documented for few of them: it cuts a long name, and does not add a property
too many. So nothing here is cut or refused. docs/reference.md lists the limits with their sources.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from recorder.model.json_value import compact
from recorder.model.normalise import member_path
from recorder.model.operations import Operator

__all__ = ["Excess", "Limit", "beyond_limits", "updates_beyond_limits"]

_TYPES = "https://docs.mixpanel.com/docs/data-structure/property-reference/data-type"
_PROFILES = "https://docs.mixpanel.com/docs/data-structure/user-profiles"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that the service documents.

    Attributes:
        most: The largest size.
        unit: The unit of sizes, such as ``bytes in a string``.
        source: The page that says so.
    """

    most: int
    unit: str
    source: str


_PROPERTIES = Limit(2_000, "properties", _PROFILES)
_NAME = Limit(255, "characters in its name", _PROFILES)
_STRING = Limit(255, "bytes in a string", _TYPES)
_LIST = Limit(256_000, "bytes in a list", _TYPES)  # "256KB"; the smaller reading of it
_OBJECT = Limit(256_000, "bytes in an object", _TYPES)
_KEYS = Limit(255, "keys in an object", _TYPES)
_DEPTH = Limit(3, "levels of objects", _TYPES)
_LISTED_DEPTH = Limit(1, "levels of objects in a list", _TYPES)


@dataclass(frozen=True, slots=True)
class Excess:
    """A value beyond a limit of the service.

    Attributes:
        path: Where it stands, as in ``address.lines[2]``; empty for the whole profile.
        size: Its size, in the limit's unit.
        limit: The limit.
    """

    path: str
    size: int
    limit: Limit

    def __str__(self) -> str:
        found = f"{self.size:,} {self.limit.unit}; the limit is {self.limit.most:,}"
        return f"{self.path}: {found}" if self.path else found


def beyond_limits(properties: Mapping[str, Any]) -> Iterator[Excess]:
    """Yield the values among a profile's properties that exceed a limit of the service.

    >>> [str(excess) for excess in beyond_limits({"plan": "pro", "bio": "é" * 150})]
    ['bio: 300 bytes in a string; the limit is 255']
    """
    yield from _over("", len(properties), _PROPERTIES)
    for name, value in properties.items():
        path = member_path("", name)
        yield from _over(path, len(name), _NAME)
        if isinstance(value, list | dict):
            whole, depth = (_LIST, _LISTED_DEPTH) if isinstance(value, list) else (_OBJECT, _DEPTH)
            yield from _over(path, _bytes(compact(value)), whole)
            yield from _over(path, _levels(value), depth)
        yield from _inside(path, value)


def updates_beyond_limits(operator: str | None, payload: Any) -> Iterator[Excess]:
    """Yield the values in an update that exceed a limit of the service, whatever its profile has already.

    >>> [excess.path for excess in updates_beyond_limits("$append", {"notes": "a" * 256})]
    ['notes[0]']
    """
    if not isinstance(payload, Mapping):
        return
    if operator in {Operator.SET, Operator.SET_ONCE}:
        yield from beyond_limits(payload)
    elif operator == Operator.APPEND:
        yield from beyond_limits({name: [value] for name, value in payload.items()})
    elif operator == Operator.UNION:
        lists = {name: value if isinstance(value, list) else [value] for name, value in payload.items()}
        yield from beyond_limits(lists)


def _over(path: str, size: int, limit: Limit) -> Iterator[Excess]:
    if size > limit.most:
        yield Excess(path, size, limit)


_LIMITED = (str, list, dict)


def _inside(path: str, value: Any) -> Iterator[Excess]:
    """Yield long strings and large objects at any depth."""
    if isinstance(value, str):
        yield from _over(path, _bytes(value), _STRING)
    elif isinstance(value, dict):
        yield from _over(path, len(value), _KEYS)
        for name, item in value.items():
            yield from _inside(member_path(path, name), item)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            if isinstance(item, _LIMITED):  # lists may have very many numbers
                yield from _inside(f"{path}[{place}]", item)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _levels(value: Any) -> int:
    """Return how many objects stand in each other."""
    if isinstance(value, dict):
        return 1 + max(map(_levels, value.values()), default=0)
    return max(map(_levels, value), default=0) if isinstance(value, list) else 0
