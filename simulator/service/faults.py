"""Fault schedules as data. Pure; `simulator.service.connections` plays them.

A schedule is a JSON list such as ``[{"at": 3, "fault": "ack_lost"}]``. ``at`` counts ingestion requests from 1
since the schedule was set. Nothing is random here: draw schedules with `simulator.testing.strategies`.

To add a fault: a frozen class below, its name in `FAULTS`, a rule in `_RULES` for each new field, and a case in
`simulator.service.connections`.
"""

import json
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from recorder.model.errors import RestanteError

__all__ = [
    "FAULTS",
    "AckLost",
    "Fault",
    "Garbage",
    "InvalidSchedule",
    "Late",
    "Part",
    "PartialRead",
    "Redirect",
    "Refuse",
    "Reset",
    "Slow",
    "Status",
    "Truncate",
    "Unread",
    "parse_schedule",
    "read_schedule",
]


class InvalidSchedule(RestanteError, ValueError):
    """A malformed fault schedule; none of it is used."""

    hint = 'A schedule is a JSON list of objects such as {"at": 3, "fault": "ack_lost"}.'


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of one ingestion request.

    Attributes:
        at: Number of the request, from 1 since the schedule was set.
        applied: True if the service applies the request's messages. The sender sees the same either way.
    """

    at: int
    applied: bool = False

    @property
    def name(self) -> str:
        """Its name in a schedule."""
        return next(name for name, kind in FAULTS.items() if isinstance(self, kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread(Fault):
    """A fault that does not read the whole body, so nothing can be applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(Unread):
    """The connection is reset before the body is read; never applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialRead(Unread):
    """Half of the body is read (one byte of a chunked one), then the connection is reset; never applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Fault):
    """The request is read whole, then the connection is reset (RST)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AckLost(Fault):
    """The request is applied, then the connection is closed without an answer."""

    applied: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Late(Fault):
    """The connection is closed without an answer at once, and the request is applied later.

    Attributes:
        seconds: Delay after the request was read.
    """

    seconds: float
    applied: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Fault):
    """The first messages of the request are applied, then the connection is closed without an answer.

    Attributes:
        updates: The number of messages that are applied, as far as they are valid.
    """

    updates: int
    applied: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Fault):
    """The answer is an HTTP status.

    Attributes:
        code: The status, 200 to 599.
        retry_after: The ``Retry-After`` header: seconds, or text such as an HTTP date.
    """

    code: int
    retry_after: float | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect(Fault):
    """The answer is 302, as from a sign-in page or a proxy.

    Attributes:
        location: The ``Location`` header.
    """

    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage(Fault):
    """The answer is 200 with an HTML page, as from a captive portal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate(Fault):
    """The answer's head announces the whole body, but only half follows (rounded down) before the close."""

    applied: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Fault):
    """The request is applied and answered after a delay.

    Attributes:
        seconds: The delay.
    """

    seconds: float
    applied: bool = True


FAULTS: dict[str, type[Fault]] = {
    "refuse": Refuse,
    "partial_read": PartialRead,
    "reset": Reset,
    "ack_lost": AckLost,
    "late": Late,
    "part": Part,
    "status": Status,
    "redirect": Redirect,
    "garbage": Garbage,
    "truncate": Truncate,
    "slow": Slow,
}
"""Faults by their name in a schedule."""

_MOST_SHOWN = 60  # characters of a malformed value
_LONGEST = 86_400  # a day: beyond every time-out, and threads can wait that long


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value <= _LONGEST


def _is_header(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "at": (lambda value: _is_whole(value) and value >= 1, "a whole number from 1"),
    "applied": (lambda value: isinstance(value, bool), "true or false"),
    "code": (
        lambda value: _is_whole(value) and value in range(200, 600),  # 1xx are no answers yet
        "an HTTP status from 200 to 599",
    ),
    "location": (_is_header, "a header's text"),
    "retry_after": (
        lambda value: value is None or _is_seconds(value) or _is_header(value),
        f"seconds from 0 to {_LONGEST:,}, or a header's text",
    ),
    "seconds": (_is_seconds, f"seconds from 0 to {_LONGEST:,}"),
    "updates": (lambda value: _is_whole(value) and value >= 0, "a whole number from 0"),
}


def parse_schedule(value: Any) -> tuple[Fault, ...]:
    """Return the faults of a schedule given as JSON values, in written order.

    Args:
        value: A list; a `Fault` in it is kept.

    Raises:
        InvalidSchedule: Not a list of objects, an unknown fault or key, a value out of range, ``applied`` with a
            fault that does not read the body, or two faults for one request.

    >>> parse_schedule([{"at": 1, "fault": "status", "code": 429, "retry_after": 2}])
    (Status(at=1, applied=False, code=429, retry_after=2),)
    >>> parse_schedule([{"at": 1, "fault": "explode"}])  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    simulator.service.faults.InvalidSchedule: ...
    """
    if not isinstance(value, list):
        raise InvalidSchedule("a fault schedule must be a JSON list")
    faults = tuple(_parse(item, f"fault {place} of the schedule") for place, item in enumerate(value, 1))
    taken: set[int] = set()
    for place, fault in enumerate(faults, 1):
        if fault.at in taken:
            raise InvalidSchedule(f"fault {place} of the schedule: request {fault.at} has a fault already")
        taken.add(fault.at)
    return faults


def read_schedule(text: str | bytes) -> tuple[Fault, ...]:
    """Return the faults of a schedule given as JSON text.

    Raises:
        InvalidSchedule: As for `parse_schedule`, or the text is not JSON.

    >>> read_schedule('[{"at": 2, "fault": "slow", "seconds": 0.5}]')
    (Slow(at=2, applied=True, seconds=0.5),)
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSchedule(f"a fault schedule must be a JSON list: {error}") from error
    return parse_schedule(value)


def _parse(item: Any, place: str) -> Fault:
    fault = item if isinstance(item, Fault) else _made(item, place)
    if isinstance(fault, Unread) and fault.applied:
        raise InvalidSchedule(
            f'{place}: "applied" cannot be true with {fault.name}, which does not read the whole body'
        )
    return fault


def _made(item: Any, place: str) -> Fault:
    if not isinstance(item, dict):
        raise InvalidSchedule(f"{place}: must be an object, not {repr(item)[:_MOST_SHOWN]}")
    known = ", ".join(sorted(FAULTS))
    name = item.get("fault")
    if name is None:
        raise InvalidSchedule(f'{place}: "fault" is missing; known are {known}')
    kind = FAULTS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InvalidSchedule(f"{place}: unknown fault {_shown(name)}; known are {known}")
    settings = {key: value for key, value in item.items() if key != "fault"}
    taken = {field.name: field for field in fields(kind)}
    for key in settings:
        if key not in taken:
            raise InvalidSchedule(f"{place}: {name} does not take {_shown(key)}; it takes {', '.join(taken)}")
    for field in taken.values():
        _check(field, settings, place)
    return kind(**settings)


def _check(field: Field[Any], settings: dict[str, Any], place: str) -> None:
    fits, wanted = _RULES[field.name]
    if field.name not in settings:
        if field.default is MISSING:
            raise InvalidSchedule(f'{place}: "{field.name}" is missing; it is {wanted}')
    elif not fits(settings[field.name]):
        value = _shown(settings[field.name])
        raise InvalidSchedule(f'{place}: "{field.name}" must be {wanted}, not {value}')


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"
