"""Rows of the lines of `restante export --all`, which know neither identity nor counters."""

import json
from collections import Counter
from collections.abc import Iterable
from math import isfinite
from typing import Any

from fleet.rows import Device, Failures, JournalRows
from fleet.summary import Summary
from recorder.model.entries import UNSENT, State
from recorder.model.errors import InvalidOperation, NotAJournal
from recorder.model.operations import examine

__all__ = ["read_lines", "value_of"]

_EMPTY = frozenset({State.FORGOTTEN, State.LOST})
_WORDS = "words are not exported"


def read_lines(lines: Iterable[bytes | str], name: str) -> JournalRows:
    """Return the rows of lines, read one by one. Entries count as shipped in the order of the lines.

    Args:
        lines: JSON, as `restante export --all` writes it.
        name: What to call the device.

    Raises:
        NotAJournal: A line is something else.

    >>> lines = ['{"state": "shipped", "message": {"$distinct_id": "ada", "$set": {"plan": "pro"}}}']
    >>> [row.profile for row in read_lines(lines, "till").profiles]
    ['ada']
    """
    states = Counter[State]()
    profiles: dict[str, Summary] = {}
    for number, line in enumerate(lines, 1):
        try:
            state, message = _parsed(value_of(line))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise NotAJournal(
                f"{name}, line {number}: neither a journal nor a line of `export --all`"
            ) from None
        if message is not None and "$properties" in message:
            raise NotAJournal(f"{name}, line {number}: a profile of the service; give the file to --profiles")
        states[state] += 1
        if message is not None and state not in _EMPTY:
            _take(profiles, number, state, message)
    device = Device(
        name,
        unsent=sum(states[state] for state in UNSENT),
        in_doubt=states[State.IN_DOUBT],
        rejected=(Failures(_WORDS, states[State.REJECTED]),) if states[State.REJECTED] else (),
        lost=states[State.LOST],
    )
    return JournalRows(device, [one.row(name, None, None, profile) for profile, one in profiles.items()])


def value_of(line: bytes | str) -> Any:
    """Return the JSON value of a line, without the numbers that Python alone takes for JSON.

    Raises:
        ValueError: It is not JSON, or has NaN or a number that no double can represent.
        RecursionError: It is nested too deeply.

    >>> value_of('[1e308, 1e309]')
    Traceback (most recent call last):
    ...
    ValueError: 1e309 is not a number
    """
    return json.loads(line, parse_int=_integer, parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is not a number")
    return number


def _integer(text: str) -> int:
    _finite(text)
    return int(text)


def _parsed(line: Any) -> tuple[State, dict[str, Any] | None]:
    """Return state and message of a line; no message for lanes without profiles."""
    if "state" not in line or "$distinct_id" in line or "$group_id" in line:
        return State.PENDING, {**line}
    state = State(line["state"])
    return state, None if "lane" in line else {**line["message"]}


def _take(profiles: dict[str, Summary], number: int, state: State, message: dict[str, Any]) -> None:
    try:
        owner, operators = examine(message, unknown_operators="ship")
    except InvalidOperation:
        return  # rejected, or sent to be rejected
    if owner.group_key is not None:
        return
    summary = profiles.setdefault(owner.id, Summary())
    # A discarded entry may have been in doubt before, which the line does not say.
    sends = int(state is State.DISCARDED)
    for operator in operators:
        summary.entry(number, state, operator, message[operator], sends=sends, twice=False)
