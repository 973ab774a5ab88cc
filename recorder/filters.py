"""The filter language: words such as ``state=rejected op=add error!=413`` to a WHERE clause with parameters. Pure.

Words are safe in shells unquoted. ``key=value`` and ``key!=value`` take the keys of `KEYS`; a bare word looks
in the profile's id, the group key, the names of the properties and the error text. All words must hold.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from string import ascii_lowercase, ascii_uppercase

from recorder.entries import State
from recorder.errors import InvalidFilter
from recorder.operations import Lane, is_text

__all__ = ["KEYS", "Where", "seconds", "where"]

KEYS = ("state", "op", "profile", "group", "lane", "error", "seq", "since")


@dataclass(frozen=True, slots=True)
class Where:
    """A condition over the view ``entries_with_state``.

    Attributes:
        sql: The condition; user data is never in it.
        parameters: The values of its question marks.
    """

    sql: str
    parameters: tuple[str | float, ...]


_WORD = re.compile(r"(?P<key>[A-Za-z_]+)(?P<negated>!?)=(?P<value>.*)", re.DOTALL)
_SPAN = re.compile(r"(?P<amount>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>[smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

# Property names are the keys of the operator's object, or the elements of an unset's list.
_ANYWHERE = """(instr(lower(coalesce(profile, '')), ?) OR instr(lower(coalesce(group_key, '')), ?)
 OR instr(lower(coalesce(reason, '')), ?)
 OR EXISTS (SELECT 1 FROM json_each(message) AS top,
                          json_each(CASE WHEN top.key = operator AND top.type IN ('object', 'array')
                                         THEN top.value ELSE '[]' END) AS part
             WHERE instr(lower(CASE WHEN typeof(part.key) = 'text' THEN part.key ELSE part.value END), ?)))"""

# SQLite's lower() folds ASCII only: what is looked for is folded alike, or it would not find itself.
_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def where(expression: str | Sequence[str], *, now: float) -> Where:
    """The condition that a filter expression means; an empty one holds for every entry.

    Args:
        expression: Words separated by white space, or a list of words, which may hold some.
        now: Seconds since the epoch, for ``since=2h``.

    Raises:
        InvalidFilter: A word is not understood.

    >>> where("op=add profile=ada", now=0.0).parameters
    ('$add', 'ada')
    """
    clauses: list[str] = []
    parameters: list[str | float] = []
    for word in expression.split() if isinstance(expression, str) else expression:
        if not is_text(word):
            raise InvalidFilter(f"{word!a} is no text")
        clause, values = _word(word, now)
        clauses.append(clause)
        parameters.extend(values)
    return Where(" AND ".join(clauses) or "1", tuple(parameters))


def _word(word: str, now: float) -> tuple[str, list[str | float]]:
    match = _WORD.fullmatch(word)
    if match is None:
        return _ANYWHERE, [word.translate(_ASCII_LOWER)] * 4
    key, value = match["key"], match["value"]
    if key not in _CLAUSES:
        raise InvalidFilter(f"{key!r} is no filter key; the keys are {', '.join(KEYS)}")
    if not value:
        reason = (
            "has no value; in a shell, $add unquoted becomes nothing: write op=add"
            if key == "op"
            else "has no value"
        )
        raise InvalidFilter(f"{word!r} {reason}")
    clause, values = _CLAUSES[key](value, now)
    return (f"NOT ({clause})" if match["negated"] else clause), values


def seconds(text: str) -> float | None:
    """A span of time such as 90s, 5m, 2h, 7d, in seconds; None where it is none.

    >>> seconds("1.5h"), seconds("soon")
    (5400.0, None)
    """
    span = _SPAN.fullmatch(text)
    return float(span["amount"]) * _SECONDS[span["unit"]] if span is not None else None


def _one_of(value: str, names: list[str], what: str) -> str:
    if value not in names:
        raise InvalidFilter(f"{value!r} is no {what}; there are {', '.join(names)}")
    return value


def _state(value: str, now: float) -> tuple[str, list[str | float]]:  # noqa: ARG001
    return "state = ?", [_one_of(value, [state.value for state in State], "state")]


def _lane(value: str, now: float) -> tuple[str, list[str | float]]:  # noqa: ARG001
    return "lane = ?", [_one_of(value, [lane.value for lane in Lane], "lane")]


def _operator(value: str, now: float) -> tuple[str, list[str | float]]:  # noqa: ARG001
    return "coalesce(operator, '') = ?", [value if value.startswith("$") else f"${value}"]


def _profile(value: str, now: float) -> tuple[str, list[str | float]]:  # noqa: ARG001
    return "coalesce(profile, '') = ?", [value]


def _group(value: str, now: float) -> tuple[str, list[str | float]]:  # noqa: ARG001
    return "coalesce(group_key, '') = ?", [value]


def _error(value: str, now: float) -> tuple[str, list[str | float]]:  # noqa: ARG001
    return "instr(lower(coalesce(reason, '')), ?)", [value.translate(_ASCII_LOWER)]


def _seq(value: str, now: float) -> tuple[str, list[str | float]]:  # noqa: ARG001
    first, separator, last = value.partition("..")
    bounds = [first, last] if separator else [first, first]
    if not all(bound.isascii() and bound.isdigit() and len(bound) <= 18 for bound in bounds if bound):  # noqa: PLR2004
        raise InvalidFilter(f"seq={value}: a number, or a range such as 100..200, 100.. or ..200")
    clauses = [
        (f"seq {sign} ?", int(bound)) for sign, bound in zip((">=", "<="), bounds, strict=True) if bound
    ]
    if not clauses:
        raise InvalidFilter(f"seq={value}: a number, or a range such as 100..200, 100.. or ..200")
    return " AND ".join(clause for clause, _ in clauses), [bound for _, bound in clauses]


def _since(value: str, now: float) -> tuple[str, list[str | float]]:
    age = seconds(value)
    if age is not None:
        return "recorded_at >= ?", [now - age]
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidFilter(
            f"since={value}: an age such as 90s, 5m, 2h, 7d, or a time such as 2026-01-31T12:00"
        ) from None
    return "recorded_at >= ?", [(moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()]


_CLAUSES: dict[str, Callable[[str, float], tuple[str, list[str | float]]]] = {
    "state": _state,
    "op": _operator,
    "profile": _profile,
    "group": _group,
    "lane": _lane,
    "error": _error,
    "seq": _seq,
    "since": _since,
}
