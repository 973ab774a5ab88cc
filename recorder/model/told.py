"""Evidence of a profile about a counted run in doubt: how many of its entries were applied. Pure.

One request carried the run, and some first part of it was applied, or all, or nothing; what the profile holds now tells
which. `tests/recorder/model/test_told.py` tries every small run and every part of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from recorder.model.counting import MARK, Counting
from recorder.model.entries import State
from recorder.model.hazards import Update, repeatable
from recorder.model.operations import Operator

__all__ = ["Past", "Run", "as_shown", "known_count", "told", "untold"]

_OPERATORS = frozenset(Operator)
_KEEPS = frozenset({Operator.APPEND, Operator.UNION, Operator.SET_ONCE, Operator.ADD})
"""Operators that take nothing out of a list."""


@dataclass(frozen=True, slots=True)
class Run:
    """Entries in doubt that one counted request carried for a profile.

    Attributes:
        counting: How it was counted.
        entries: Number and update of each, in the order of sending.
    """

    counting: Counting
    entries: Sequence[tuple[int, Update]]

    @property
    def deletion(self) -> int | None:
        """The place of its last deletion; None if it has none."""
        places = [at for at, (_, update) in enumerate(self.entries) if update.operator == Operator.DELETE]
        return places[-1] if places else None

    @property
    def shown(self) -> frozenset[str]:
        """The properties that tell of the run; none are needed where it deletes the profile."""
        if self.deletion is not None:
            return frozenset()
        names = {name for _, update in self.entries for name in self.counting.marked(update)}
        counted = any(self.counting.counts(update) for _, update in self.entries)
        return frozenset({*names, self.counting.counter} if counted else names)


def as_shown(result: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return id and properties of a profile as the service's query API shows it.

    Raises:
        LookupError, TypeError: It is something else.

    >>> as_shown({"$distinct_id": 7, "$properties": {"plan": "pro"}})
    ('7', {'plan': 'pro'})
    """
    properties = result["$properties"]
    if not isinstance(properties, Mapping):
        raise TypeError(f"$properties is {type(properties).__name__}, not an object")
    return str(result["$distinct_id"]), properties


def told(run: Run, known: int, profile: Mapping[str, Any]) -> int | None:
    """Return how many entries of a run need not be sent again, from the first on; None if the profile does not tell.

    The rest, sent again in its order, makes the profile what the whole run makes of it.

    Args:
        run: In doubt.
        known: What the counter was before the run, by the journal.
        profile: Properties of the profile, read after any of the run could still be applied.

    >>> add, free = Update("$add", {"visits": 1}), Update("$set", {"plan": "free"})
    >>> run = Run(Counting("restante_3af6e1c3", "3af6"), [(1, add), (2, free), (3, add)])
    >>> told(run, 4, {"visits": 9, "restante_3af6e1c3": 5}), told(run, 4, {"visits": 9})
    (1, None)
    """
    if run.deletion is not None:
        return run.deletion  # from there on it makes the same of any profile
    fitting = _fitting(run, known, profile)
    if not fitting:
        return None
    first = fitting[0]
    again = list(repeatable(update for _, update in run.entries[first:]))
    return first if all(again[applied - first] for applied in fitting) else None


def untold(run: Run, known: int, profile: Mapping[str, Any]) -> str:
    """Return why a profile does not tell of a run; as `told`, of one that it does not tell of.

    >>> run = Run(Counting("restante_3af6e1c3", "3af6"), [(1, Update("$add", {"visits": 1}))])
    >>> untold(run, 4, {"restante_3af6e1c3": 0})
    'another program wrote restante_3af6e1c3, or deleted the profile?'
    """
    counter = run.counting.counter
    if _fitting(run, known, profile):
        return "an entry of it is neither counted nor marked"
    names = " or ".join(sorted(run.shown))
    if counter not in run.shown:
        return f"another program wrote {names}?"
    fewer = profile.get(counter, 0) in range(known)
    return f"another program wrote {names}, or {'deleted the profile' if fewer else 'a request came late'}?"


def _fitting(run: Run, known: int, profile: Mapping[str, Any]) -> list[int]:
    """Return the numbers of entries after which the profile may look like this."""
    counting, counted = run.counting, run.counting.counter in run.shown
    least, excluded = _shown_by_marks(run, profile)
    count, found = known, []
    for applied in range(len(run.entries) + 1):
        fits = applied >= least and not excluded[applied]
        if fits and (not counted or profile.get(counting.counter, 0) == count):
            found.append(applied)
        count += applied < len(run.entries) and counting.counts(run.entries[applied][1])
    return found


def _shown_by_marks(run: Run, profile: Mapping[str, Any]) -> tuple[int, list[int]]:
    """Return how many entries were applied at least; and for each number of them, above 0 if it cannot be that."""
    end = len(run.entries)
    held = {name: _marks(profile.get(name, [])) for name in run.shown}
    least, steps = 0, [0] * (end + 2)
    gone: dict[str, int] = {}  # the next place that takes something out of a list
    gone_of_all = end
    for place in reversed(range(end)):
        seq, update = run.entries[place]
        for name in run.counting.marked(update):
            marks = held[name]
            if marks is None:
                continue  # no list: it took no append, and shows none
            if run.counting.mark(seq) in marks:
                least = max(least, place + 1)
            else:
                steps[place + 1] += 1
                steps[min(gone.get(name, end), gone_of_all) + 1] -= 1
        if update.operator not in _OPERATORS:
            gone_of_all = place
        elif update.operator not in _KEEPS:
            gone |= dict.fromkeys(update.properties, place)
    return least, list(accumulate(steps))


def _marks(value: Any) -> frozenset[str] | None:
    """Return the marks in a list; None for another value."""
    if not isinstance(value, list):
        return None
    found = (each.get(MARK) for each in value if isinstance(each, Mapping))
    return frozenset(mark for mark in found if isinstance(mark, str))


class Past(NamedTuple):
    """An entry of a profile that a request carried before the run, as far as the count depends on it.

    Attributes:
        operator: Such as ``$add``.
        state: Its state.
        sends: Requests that carried it and may have been applied.
        possibly_twice: It was sent again although an earlier request may have applied it.
        counted: How the request that settled it last was counted, if it was.
    """

    operator: str | None
    state: str
    sends: int
    possibly_twice: int
    counted: str | None


def known_count(before: int | None, counter: str, past: Iterable[Past]) -> int | None:
    """Return how often a counter was added to since the profile's last deletion; None if that is not known.

    It is not where a person decided about an entry in doubt: nobody knows whether that was applied.

    Args:
        before: The same before these entries.
        counter: Its name.
        past: In the order in which they were sent.

    >>> sent = Past("$add", "shipped", 1, 0, "restante_3af6e1c3")
    >>> known_count(0, "restante_3af6e1c3", [sent, sent]), known_count(4, "restante_3af6e1c3", [sent._replace(sends=2)])
    (2, None)
    """
    count = before
    for entry in past:
        if entry.counted is None or entry.counted.partition(" ")[0] != counter:
            continue
        shipped = entry.state == State.SHIPPED
        if entry.operator == Operator.DELETE and shipped:
            count = 0
        elif entry.possibly_twice or (entry.sends and not shipped):
            count = None
        elif entry.operator == Operator.ADD and shipped:
            count = None if count is None or entry.sends > 1 else count + 1
    return count
