"""Routes: the endpoint that an event goes to, which depends on its age. Pure.

The service ingests events of the last five days at ``/track`` and drops older ones without a word; ``/import`` takes
any age since 1971, and with ``strict=1`` names each event that it refuses (both documented).
"""

import json
from typing import Any, NamedTuple

from recorder.model.operations import Lane

__all__ = ["OLD_AFTER", "Import", "route_of"]

OLD_AFTER = 4 * 86_400.0
"""Seconds after which an event is old: a day less than the service's limit, for a clock that is wrong."""

_MILLISECONDS = 1e11  # from here on; as seconds this is the year 5138
_EARLIEST = 1_577_836_800.0  # 2020-01-01: a clock that says less is not set, and shows no event's age


class Import(NamedTuple):
    """A request that goes to ``/import``, and how.

    Attributes:
        strict: The service names each event that it refuses, and ingests the others.
        token: The project's token, which is the user's name where no other credentials are given; None for imports,
            which need others.
    """

    strict: bool
    token: str | None


def route_of(lane: Lane, message: str, *, token: str, now: float) -> Import | None:
    """Return how an event is sent to ``/import``; None if it is sent to its lane's own endpoint, as it is.

    Old events are, but for those of the service's own, such as ``$identify``. Strict is for events that have what it
    demands, a time, a ``distinct_id`` and an ``$insert_id``, and for ``$merge``, of which it demands none of them
    (documented): others may be ingested without it, and would be refused.

    Args:
        lane: Events or imports.
        message: The event as JSON.
        token: The project's token.
        now: Seconds since the epoch.

    >>> properties = '{"time": 1700000000, "distinct_id": "ada", "$insert_id": "a1"}'
    >>> opened = f'{{"event": "opened", "properties": {properties}}}'
    >>> route_of(Lane.EVENTS, opened, token="T", now=1700000000.0 + 5 * 86400)
    Import(strict=True, token='T')
    >>> route_of(Lane.EVENTS, opened, token="T", now=1700000000.0 + 60) is None
    True
    """
    try:
        event = json.loads(message)
    except (ValueError, RecursionError):  # damage inside the message; the service will say so
        return None
    properties = event.get("properties") if isinstance(event, dict) else None
    if not isinstance(properties, dict):
        return None
    name, time = event.get("event"), properties.get("time")
    demanded = None not in (time, properties.get("distinct_id")) and bool(properties.get("$insert_id"))
    strict = name == "$merge" or demanded
    if lane is Lane.IMPORTS:
        return Import(strict=True, token=None) if strict else None
    own = isinstance(name, str) and name.startswith("$")
    return Import(strict=strict, token=token) if not own and _is_old(time, now) else None


def _is_old(time: Any, now: float) -> bool:
    """Return True if a time, in seconds or milliseconds, is plainly old; what is no number is not."""
    if type(time) not in {int, float}:
        return False
    limit = max(now, _EARLIEST) - OLD_AFTER
    return bool(time < (limit * 1_000 if time >= _MILLISECONDS else limit))
