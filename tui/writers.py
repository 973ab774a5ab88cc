"""Who wrote which property, and what each entry of a profile changed: one walk through its history. Pure."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from simulator import ABSENT, Change, Step, Verdict, describe
from tui.format import clipped, printable
from tui.history import History

__all__ = ["NOBODY", "Written", "written"]

_LONGEST = 160  # characters of what an entry changed; no terminal shows more


@dataclass(frozen=True, slots=True)
class Written:
    """What each entry of a history did.

    Attributes:
        changes: For each entry what it changed, in a few words that are safe to print.
        by: For each property the places of the entries that changed it, ascending: 1 is the first entry.
        unknown: The places of entries with an operator that is not simulated.
    """

    changes: tuple[str, ...] = ()
    by: Mapping[str, tuple[int, ...]] = field(default_factory=dict, repr=False)
    unknown: tuple[int, ...] = ()

    def last(self, name: str, upto: int) -> int | None:
        """The place of the entry that last changed a property, of the first so many; None where none did."""
        places = self.by.get(name, ())
        at = bisect_right(places, upto)
        return places[at - 1] if at else None

    def next(self, name: str, after: int, way: int) -> int | None:
        """The next place beyond one where a property was changed; a way of -1 looks back."""
        places = self.by.get(name, ())
        at = bisect_right(places, after) if way > 0 else bisect_left(places, after) - 1
        return places[at] if 0 <= at < len(places) else None

    def number(self, name: str, first: int, last: int) -> int:
        """How many of the entries from one place to another changed a property."""
        places = self.by.get(name, ())
        return bisect_right(places, last) - bisect_left(places, first)


NOBODY = Written()


def written(history: History, stop: Callable[[], bool] = lambda: False) -> Written | None:
    """Walk through a history; None where it was stopped."""
    changes: list[str] = []
    by: dict[str, list[int]] = {}
    unknown: list[int] = []
    for step in history.timeline().steps:
        if stop():
            return None
        changed = step.changes
        for name in _names(changed):
            by.setdefault(name, []).append(step.n)
        if any(outcome.verdict is Verdict.NOT_SIMULATED for outcome in step.outcomes):
            unknown.append(step.n)
        changes.append(_told(step, changed))
    return Written(tuple(changes), {name: tuple(places) for name, places in by.items()}, tuple(unknown))


def _names(changes: tuple[Change, ...]) -> dict[str, None]:
    """The properties that changed, each once."""
    names: dict[str, None] = {}
    for change in changes:
        if change.path:
            names[str(change.path[0])] = None
        else:  # the profile came or went, and its properties with it
            for state in (change.before, change.after):
                names.update(dict.fromkeys(state if state is not ABSENT else ()))
    return names


def _told(step: Step, changed: tuple[Change, ...]) -> str:
    if any(outcome.verdict is Verdict.NOT_SIMULATED for outcome in step.outcomes):
        return _cell(f"not simulated: {_payload(step)}")
    if changed:
        return _cell("; ".join(describe(changed[:3]).split("\n")) + (" …" if len(changed) > 3 else ""))  # noqa: PLR2004
    for outcome in step.outcomes:
        if outcome.verdict in {Verdict.IGNORED, Verdict.REJECTED}:
            return _cell(f"{outcome.verdict.value}: {'; '.join(map(': '.join, outcome.reasons))}")
    return "no change"


def _payload(step: Step) -> str:
    message = step.message
    operator = step.outcomes[0].operator
    return f"{operator} {json.dumps(message.get(operator), ensure_ascii=False)}"


def _cell(text: str) -> str:
    return printable(clipped(text, _LONGEST))
