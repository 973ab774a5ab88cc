"""The service's rules for events: the five days of /track, and the validation of /import with ``strict=1``. Pure.

Source: the service's reference, pages "Import Events" and "Track Events", of August 2026.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["DISALLOWED_IDS", "FIVE_DAYS", "FailedRecord", "check_event", "insert_id_of", "is_old"]

Fault = tuple[str, str]
"""The path of what is wrong, such as ``properties.time``, and the service's error text."""

FIVE_DAYS = 5 * 86_400
"""Age in seconds beyond which /track does not ingest an event."""

DISALLOWED_IDS = frozenset(
    {
        "00000000-0000-0000-0000-000000000000",
        "anon",
        "anonymous",
        "nil",
        "none",
        "null",
        "n/a",
        "na",
        "undefined",
        "unknown",
        "<nil>",
        "0",
        "-1",
        "true",
        "false",
        "[]",
        "{}",
    }
)
"""Values that the service refuses as ``distinct_id`` and ``$insert_id``; capitals are our reading."""

_EARLIEST = 31_536_000  # 1971-01-01
_LATEST_AHEAD = 3_600
_FIRST_MILLISECONDS = 10_000_000_000  # as seconds in the year 2286, as milliseconds before 1971
_INSERT_ID = re.compile(r"[A-Za-z0-9-]{1,36}")
_MOST_ITEMS = 255  # of properties, keys of an object and elements of a list there must be fewer
_MOST_LEVELS = 3


@dataclass(frozen=True, slots=True)
class FailedRecord:
    """An event that failed the validation of /import.

    Attributes:
        index: Its place in the request, from 0.
        insert_id: Its ``$insert_id``; None if it has none.
        field: The path of what is wrong, such as ``properties.time``.
        message: The service's error text.
    """

    index: int
    insert_id: Any
    field: str
    message: str


def is_old(event: dict[str, Any], now: float) -> bool:
    """Return True if an event's ``time`` is more than five days before `now`.

    >>> is_old({"event": "opened", "properties": {"time": 1_700_000_000_000}}, 1_700_000_000 + FIVE_DAYS + 1)
    True
    """
    properties = event.get("properties")
    time = _seconds(properties.get("time")) if isinstance(properties, dict) else None
    return time is not None and time < now - FIVE_DAYS


def check_event(event: Any, now: float) -> Fault | None:
    """Return the first reason why /import refuses an event with ``strict=1``; None for a valid one.

    >>> check_event({"event": "opened", "properties": {"time": 5, "$insert_id": "a1"}}, 1_700_000_000)
    ('properties.time', "'properties.time' is invalid: must be after 1971-01-01")
    """
    if not isinstance(event, dict):
        return "event", "must be an object"
    if not _is_name(event.get("event")):
        return "event", "'event' must not be missing or blank"
    properties = event.get("properties")
    if not isinstance(properties, dict):
        return "properties", "'properties' must be an object"
    if event["event"] == "$merge":  # documented with no more than these
        return (
            None
            if _is_pair(properties.get("$distinct_ids"))
            else _fault("$distinct_ids", "must be two distinct_ids")
        )
    return (
        _check_time(properties.get("time"), now)
        or _check_insert_id(properties.get("$insert_id"))
        or _check_distinct_id(properties)
        or _check_size(properties)
    )


def insert_id_of(event: Any) -> Any:
    """Return an event's ``$insert_id``, whatever it is; None if it has none."""
    properties = event.get("properties") if isinstance(event, dict) else None
    return properties.get("$insert_id") if isinstance(properties, dict) else None


def _fault(name: str, reason: str) -> Fault:
    return f"properties.{name}", f"'properties.{name}' is invalid: {reason}"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_name, value))  # noqa: PLR2004


def _seconds(time: Any) -> float | None:
    """Return a time in seconds, which may be given in milliseconds; None if it is no number."""
    if isinstance(time, bool) or not isinstance(time, int | float):
        return None
    if time < _FIRST_MILLISECONDS:
        return time
    return (
        time / 1000 if isinstance(time, float) else time // 1000
    )  # an integer may be beyond what a double holds


def _check_time(time: Any, now: float) -> Fault | None:
    seconds = _seconds(time)
    if seconds is None:
        return _fault("time", "must be specified as seconds since epoch")
    if seconds < _EARLIEST:
        return _fault("time", "must be after 1971-01-01")
    if seconds > now + _LATEST_AHEAD:
        return _fault("time", "must be less than an hour in the future")
    return None


def _check_insert_id(id_: Any) -> Fault | None:
    if id_ is None or id_ == "":
        return _fault("$insert_id", "must not be missing or blank")
    if not isinstance(id_, str) or not _INSERT_ID.fullmatch(id_):
        return _fault("$insert_id", "must be at most 36 alphanumeric or hyphen '-' characters")
    return _fault("$insert_id", "is a disallowed value") if _is_disallowed(id_) else None


def _check_distinct_id(properties: dict[str, Any]) -> Fault | None:
    """Refuse a disallowed value; a missing one is the service's to make up, and an empty one is nobody's."""
    if "distinct_id" in properties and _is_disallowed(properties["distinct_id"]):
        return _fault("distinct_id", "is a disallowed value")
    return None


def _is_disallowed(id_: Any) -> bool:
    text = id_ if isinstance(id_, str) else json.dumps(id_)
    return text.strip().casefold() in DISALLOWED_IDS


def _check_size(properties: dict[str, Any]) -> Fault | None:
    for name, value in properties.items():
        if fault := _oversize(value, _MOST_LEVELS):
            return _fault(name, fault)
    if len(properties) >= _MOST_ITEMS:
        return "properties", f"'properties' is invalid: must be fewer than {_MOST_ITEMS}"
    return None


def _oversize(value: Any, levels: int) -> str | None:
    if not isinstance(value, list | dict):
        return None
    if len(value) >= _MOST_ITEMS:
        return f"must have fewer than {_MOST_ITEMS} keys or elements"
    if isinstance(value, dict):
        if levels == 0:
            return f"must not nest objects deeper than {_MOST_LEVELS}"
        levels -= 1
        value = list(value.values())
    return next(filter(None, (_oversize(item, levels) for item in value)), None)
