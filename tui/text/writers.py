"""The entries that wrote each property, and what each entry changed: one walk through a history. Pure."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from simulator import ABSENT, Change, Step, Timeline, Verdict, describe
from tui.text.format import clipped, printable
from tui.text.history import History

__all__ = ["NOBODY", "Written", "written"]

_LONGEST = 160  # characters of what an entry changed; no terminal shows more


@dataclass(frozen=True, slots=True)
class Written:
    """Effects of the entries of a history.

    Attributes:
        changes: For each entry what it changed, in a few words that are safe to print.
        by: For each property the places of the entries that changed it, ascending: 1 is the first entry.
        unknown: The places of entries with an operator that is not simulated.

    Of a history that went on since, it knows the first entries.
    """

    changes: tuple[str, ...] = ()
    by: Mapping[str, tuple[int, ...]] = field(default_factory=dict, repr=False)
    unknown: tuple[int, ...] = ()
    _of: History | None = field(default=None, repr=False, compare=False)
    _timeline: Timeline | None = field(default=None, repr=False, compare=False)

    def known_of(self, history: History) -> "Written":
        """Return the part that is true for another reading: as far as both begin alike."""
        if self._of is None or self._of.start != history.start:
            return NOBODY
        n = self._of.common(history)
        if n >= len(self.changes):
            return self
        by = {name: places[: bisect_right(places, n)] for name, places in self.by.items()}
        return replace(
            self,
            changes=self.changes[:n],
            by={name: places for name, places in by.items() if places},
            unknown=self.unknown[: bisect_right(self.unknown, n)],
        )

    def last(self, name: str, upto: int) -> int | None:
        """Return the place of the last of the first so many entries that changed a property; None if none did."""
        places = self.by.get(name, ())
        at = bisect_right(places, upto)
        return places[at - 1] if at else None

    def next(self, name: str, after: int, way: int) -> int | None:
        """Return the next place where a property was changed; a way of -1 looks back."""
        places = self.by.get(name, ())
        at = bisect_right(places, after) if way > 0 else bisect_left(places, after) - 1
        return places[at] if 0 <= at < len(places) else None

    def number(self, name: str, first: int, last: int) -> int:
        """Return how many entries from one place to another changed a property."""
        places = self.by.get(name, ())
        return bisect_right(places, last) - bisect_left(places, first)


NOBODY = Written()


def written(
    history: History, stop: Callable[[], bool] = lambda: False, *, known: Written = NOBODY
) -> Written | None:
    """Walk through a history; None if it was stopped.

    Args:
        history: It.
        stop: Asked at each entry.
        known: What is known of an earlier reading: only what came since is walked through.
    """
    known = known.known_of(history)
    changes: list[str] = []
    by: dict[str, list[int]] = {}
    unknown: list[int] = []
    timeline = history.timeline(known._timeline)  # noqa: SLF001  # made by this module
    for place in range(len(known.changes), len(history)):
        if stop():
            return None
        step = timeline.steps[place]
        changed = step.changes
        for name in _names(changed):
            by.setdefault(name, []).append(step.n)
        if any(outcome.verdict is Verdict.NOT_SIMULATED for outcome in step.outcomes):
            unknown.append(step.n)
        changes.append(_told(step, changed))
    more = {name: (*known.by.get(name, ()), *places) for name, places in by.items()}
    return Written(
        (*known.changes, *changes), {**known.by, **more}, (*known.unknown, *unknown), history, timeline
    )


def _names(changes: tuple[Change, ...]) -> dict[str, None]:
    """Return the properties that changed, each once."""
    names: dict[str, None] = {}
    for change in changes:
        if change.path:
            names[str(change.path[0])] = None
        else:  # the profile was created or deleted, with its properties
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
