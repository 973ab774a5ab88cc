"""Filter language: from words such as ``state=rejected op=add error!=413`` to an SQL condition. Pure.

Words are safe in shells unquoted. ``key=value`` and ``key!=value`` take the keys of `KEYS`; a bare word looks
in the profile's id, the group key, names and values of properties, and the error text. All words must be true.

``state=``, ``op=`` and ``lane=`` take several, with commas. ``state=unsent`` is all that is to be sent, or in doubt.
``op=`` takes operators, with or without ``$``, and the methods' names: ``op=increment``, ``op=charge``.

``error=`` looks for a text in the reason; ``error==`` takes exactly this text, which is the request's if the entry has
no reason of its own, and ``error==`` alone takes entries without any. ``status=400`` is the
status of the answer to the request that carried an entry last, ``status=none`` that there was none.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from string import ascii_lowercase, ascii_uppercase

from recorder.model.entries import UNSENT, State
from recorder.model.errors import InvalidFilter
from recorder.model.json_value import is_text
from recorder.model.operations import Lane, Operator

__all__ = ["KEYS", "MOST_RANGES", "VALUES", "WORDS", "Where", "moment", "seconds", "where"]

Clause = tuple[str, list[str | float]]


@dataclass(frozen=True, slots=True)
class Where:
    """Condition over the view ``entries_with_state``.

    Attributes:
        sql: The condition; user data is never in it.
        parameters: The values of its question marks.
        state: The state of every entry that it takes, if it names one.
        first: No entry with a lower number is taken.
        last: No entry with a higher number is taken.
    """

    sql: str
    parameters: tuple[str | float, ...]
    state: State | None = None
    first: int = 0
    last: int = 2**62


_WORD = re.compile(r"(?P<key>[A-Za-z_]+)(?P<negated>!?)=(?P<value>.*)", re.DOTALL)
_SPAN = re.compile(r"(?P<amount>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>[smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

# The operator's object or list: an event has no operator, but properties.
_PARTS = """EXISTS (SELECT 1 FROM json_each(message) AS top,
                          json_tree(CASE WHEN top.key = coalesce(operator, 'properties')
                                          AND top.type IN ('object', 'array')
                                         THEN top.value ELSE '[]' END) AS part
             WHERE {found})"""
_VALUE = "instr(lower(CASE WHEN part.type IN ('true', 'false') THEN part.type ELSE part.atom END), ?)"
_IN_VALUES = _PARTS.format(found=_VALUE)
_IN_PARTS = _PARTS.format(found=f"(typeof(part.key) = 'text' AND instr(lower(part.key), ?)) OR {_VALUE}")
_ANYWHERE = f"""(instr(lower(coalesce(profile, '')), ?) OR instr(lower(coalesce(group_key, '')), ?)
 OR instr(lower(coalesce(reason, '')), ?) OR {_IN_PARTS})"""

# The methods' names beside the operators'.
_METHODS = {"increment": Operator.ADD.value, "track_charge": "charge"}
_CHARGE = "operator = '$append' AND json_type(message, '$.\"$append\".\"$transactions\"') IS NOT NULL"
_CLEAR = "operator = '$set' AND json_type(message, '$.\"$set\".\"$transactions\"') = 'array'"
_CHARGES = {"charge": _CHARGE, "clear_charges": _CLEAR}
_UNSENT = "unsent"

VALUES = {
    "state": (*(state.value for state in State), _UNSENT),
    "op": (*(operator.value.removeprefix("$") for operator in Operator), "increment", *_CHARGES),
    "lane": tuple(lane.value for lane in Lane),
}
"""Values of the keys that take no others, but for ``op=``, which takes any operator with its $."""

# Why an entry stands as it does: what was refused carries its reason; of what is in doubt its attempt knows.
WORDS = "coalesce(reason, (SELECT words FROM attempts WHERE attempts.id = attempt), '')"
_STATUS = "(SELECT status FROM attempts WHERE attempts.id = attempt)"

MOST_RANGES = 500
"""Of one ``seq=``: SQLite takes no condition that is much deeper."""
_LONGEST = 60  # characters
_STATUS_DIGITS = 3
_SEQ_DIGITS = 18  # more do not fit into SQLite's integers
_HIGHEST = 10**_SEQ_DIGITS
# SQLite would rather try each of 500 ranges on each of a million entries than look each one up: 8.6 s, not 5 ms.
# It collects all their numbers first, in each page: of more than these that takes longer.
_FEW_RANGES, _MANY_NUMBERS = 8, 100_000
_IN_RANGES = """seq IN (SELECT chosen.seq FROM json_each(?) AS run CROSS JOIN entries AS chosen
                         ON chosen.seq BETWEEN json_extract(run.value, '$[0]') AND json_extract(run.value, '$[1]'))"""

# SQLite's lower() folds ASCII only: what is looked for is folded alike, or it would not find itself.
_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def where(expression: str | Sequence[str], *, now: float) -> Where:
    """Return the condition of a filter expression; an empty one is true for every entry.

    Args:
        expression: Words separated by white space, or a list of words, which may contain some.
        now: Seconds since the epoch, for ``since=2h``.

    Raises:
        InvalidFilter: A word is not understood.

    >>> where("op=add profile=ada", now=0.0).parameters
    ('$add', 'ada')
    """
    clauses: list[str] = []
    parameters: list[str | float] = []
    state: State | None = None
    first, last = 0, 2**62
    for word in expression.split() if isinstance(expression, str) else expression:
        if not is_text(word):
            raise InvalidFilter(f"{word!a} is not text")
        clause, values = _word(word, now)
        clauses.append(clause)
        parameters.extend(values)
        if word.startswith("state=") and len(values) == 1:
            state = State(str(values[0]))
        if word.startswith("seq="):
            lows, highs = zip(*_ranges(word.removeprefix("seq=")), strict=True)
            first, last = max(first, min(lows)), min(last, max(highs))
    return Where(" AND ".join(clauses) or "1", tuple(parameters), state, first, last)


def _word(word: str, now: float) -> Clause:
    match = _WORD.fullmatch(word)
    if match is None:
        return _ANYWHERE, [word.translate(_ASCII_LOWER)] * 5
    key, value = match["key"], match["value"]
    if key not in KEYS:
        raise InvalidFilter(f"{key!r} is not a filter key; the keys are {', '.join(KEYS)}")
    if not value:
        reason = (
            "has no value; in a shell, $add unquoted becomes nothing: write op=add"
            if key == "op"
            else "has no value"
        )
        raise InvalidFilter(f"{word!r} {reason}")
    clause, values = _time(key, value, now) if key in _TIMES else _CLAUSES[key](value)
    return (f"NOT ({clause})" if match["negated"] else clause), values


def seconds(text: str) -> float | None:
    """Return a span of time such as 90s, 5m, 2h, 7d in seconds; None if the text is none.

    >>> seconds("1.5h"), seconds("soon")
    (5400.0, None)
    """
    span = _SPAN.fullmatch(text)
    return float(span["amount"]) * _SECONDS[span["unit"]] if span is not None else None


def _one_of(column: str, value: str) -> Clause:
    """Return the condition that a column is one of some values, with commas between them."""
    wanted: dict[str, None] = {}
    for each in value.split(","):
        if each not in VALUES[column]:
            raise InvalidFilter(
                f"{_clipped(each)!r} is not a {column}; the {column}s are {', '.join(VALUES[column])}"
            )
        wanted |= dict.fromkeys(sorted(UNSENT) if each == _UNSENT else [each])
    if len(wanted) == 1:
        return f"{column} = ?", [*wanted]
    return f"{column} IN ({', '.join('?' * len(wanted))})", [*wanted]


def _operator(value: str) -> Clause:
    clauses: list[str] = []
    values: list[str | float] = []
    for each in value.split(","):
        name = _METHODS.get(each, each)
        if name in _CHARGES:
            clauses.append(f"coalesce({_CHARGES[name]}, 0)")
        elif name.startswith("$") or name in VALUES["op"]:
            clauses.append("coalesce(operator, '') = ?")
            values.append(name if name.startswith("$") else f"${name}")
        else:
            raise InvalidFilter(
                f"{_clipped(each)!r} is not an operator; the operators are {', '.join(VALUES['op'])},"
                " and others with their $, quoted"
            )
    return (clauses[0] if len(clauses) == 1 else f"({' OR '.join(clauses)})"), values


def _error(value: str) -> Clause:
    if value.startswith("="):
        return f"{WORDS} = ?", [value[1:]]
    return "instr(lower(coalesce(reason, '')), ?)", [value.translate(_ASCII_LOWER)]


def _status(value: str) -> Clause:
    if value == "none":
        return f"{_STATUS} IS NULL", []
    if not (value.isascii() and value.isdigit() and len(value) <= _STATUS_DIGITS):
        raise InvalidFilter(f"status={value}: must be an HTTP status such as 400, or none")
    return f"coalesce({_STATUS}, 0) = ?", [int(value)]


def _seq(value: str) -> Clause:
    ranges = _ranges(value)
    numbers = sum(high - low + 1 for low, high in ranges)
    if len(ranges) <= _FEW_RANGES or numbers > _MANY_NUMBERS:
        return f"({' OR '.join(['seq BETWEEN ? AND ?'] * len(ranges))})", [
            end for one in ranges for end in one
        ]
    return _IN_RANGES, [json.dumps(ranges)]


def _ranges(value: str) -> list[tuple[int, int]]:
    parts = value.split(",")
    if len(parts) > MOST_RANGES:
        raise InvalidFilter(f"seq= takes at most {MOST_RANGES} numbers and ranges, not {len(parts):,}")
    return [_range(part, value) for part in parts]


def _range(part: str, value: str) -> tuple[int, int]:
    first, separator, last = part.partition("..")
    bounds = [first, last] if separator else [first, first]
    if not any(bounds) or not all(
        not bound or (bound.isascii() and bound.isdigit() and len(bound) <= _SEQ_DIGITS) for bound in bounds
    ):
        raise InvalidFilter(
            f"seq={_clipped(value)}: must be a number, a range such as 100..200, 100.. or ..200, or several with commas"
        )
    return int(bounds[0] or 0), int(bounds[1] or _HIGHEST)


def _clipped(value: str) -> str:
    """Shorten a value for an error: a list may be long."""
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..."


def moment(text: str, now: float) -> float | None:
    """Return an age such as 2h, or a time such as 2026-01-31T12:00 (in UTC unless it says otherwise), as time.

    Args:
        text: The age or time.
        now: Seconds since the epoch, as the result; None if the text is neither.

    >>> moment("2h", 10_000.0), moment("1970-01-01T01:00", 0.0), moment("soon", 0.0)
    (2800.0, 3600.0, None)
    """
    age = seconds(text)
    if age is not None:
        return now - age
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _time(key: str, value: str, now: float) -> Clause:
    time = moment(value, now)
    if time is None:
        raise InvalidFilter(
            f"{key}={value}: must be an age such as 90s, 5m, 2h, 7d, or a time such as 2026-01-31T12:00"
        )
    return f"recorded_at {_TIMES[key]} ?", [time]


_TIMES = {"since": ">=", "until": "<"}
_CLAUSES: dict[str, Callable[[str], Clause]] = {
    "state": lambda value: _one_of("state", value),
    "op": _operator,
    "profile": lambda value: ("coalesce(profile, '') = ?", [value]),
    "group": lambda value: ("coalesce(group_key, '') = ?", [value]),
    "lane": lambda value: _one_of("lane", value),
    "value": lambda value: (_IN_VALUES, [value.translate(_ASCII_LOWER)]),
    "error": _error,
    "status": _status,
    "seq": _seq,
}
KEYS = (*_CLAUSES, *_TIMES)
