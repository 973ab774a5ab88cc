"""From rows of the journal to the frozen data of `recorder.model.reports`.

Columns are read in the order of the fields, so a row and the names of the fields make the keyword arguments.
"""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from recorder.model.entries import AttemptOutcome, State
from recorder.model.operations import Lane
from recorder.model.reports import Attempt, Baseline, Entry

__all__ = ["as_attempt", "as_baseline", "as_entry", "as_message", "as_outcome", "columns", "make"]

Kind = TypeVar("Kind")

_decode = json.JSONDecoder().raw_decode


def columns(kind: type[Any]) -> str:
    """Return the names of a dataclass's fields, as columns of a statement."""
    return ", ".join(kind.__dataclass_fields__)


def make(kind: type[Kind], row: Sequence[Any], **converted: Any) -> Kind:
    """Make a dataclass of a row whose columns are its first fields; `converted` values replace some."""
    return kind(**dict(zip(kind.__dataclass_fields__, row, strict=False)) | converted)  # type: ignore[attr-defined]


def as_message(text: str) -> Any:
    """Parse JSON as json.loads does, in half the time for text without white space around it, as the journal's is."""
    try:
        value, end = _decode(text)
    except (ValueError, TypeError):
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


def as_entry(row: Sequence[Any]) -> Entry:
    """Make an entry of a row."""
    _, lane, _, _, _, message, _, state, _, _, _, *marks = row
    twice, hazardous, out_of_order = map(bool, marks)
    return make(
        Entry,
        row,
        lane=Lane(lane),
        message=as_message(message),
        state=State(state),
        possibly_twice=twice,
        hazardous=hazardous,
        out_of_order=out_of_order,
    )


def as_attempt(row: Sequence[Any]) -> Attempt:
    """Make an attempt of a row."""
    return make(Attempt, row, lane=Lane(row[1]), outcome=as_outcome(row[10]))


def as_outcome(value: str | None) -> AttemptOutcome | None:
    """Return the outcome of that name; None if it is not settled."""
    return AttemptOutcome(value) if value else None


def as_baseline(row: Sequence[Any]) -> Baseline:
    """Make a baseline of a row."""
    _, _, properties, partly_known, _, _ = row
    known = None if properties is None else json.loads(properties)
    return make(Baseline, row, properties=known, partly_known=bool(partly_known))
