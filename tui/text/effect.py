"""Effect of one entry on its profile, as the simulator has it, in lines for a person. Pure."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from recorder import Entry, State
from simulator import Verdict, describe
from tui.text.history import History, applied_to

__all__ = ["Effect", "effect_of"]

_MOST_LINES = 12


@dataclass(frozen=True, slots=True)
class Effect:
    """Effect of one entry.

    Attributes:
        lines: What it changes, a line each; safe to print.
        would: Whether it is not part of the prediction, so that this is what it would do at its place.
        state: The entry's state for which this was worked out.
    """

    lines: tuple[str, ...]
    would: bool
    state: State


def effect_of(entry: Entry, history: History, stop: Callable[[], bool] = lambda: False) -> Effect:
    """Simulate what an entry does to its profile, or would do.

    Args:
        entry: One of a user's or a group's profile.
        history: The profile's.
        stop: See `History.held`.

    Raises:
        Stopped: `stop` returned True.

    >>> from recorder import Lane, State
    >>> from recorder.model.reports import EntryRow
    >>> from tui.text.history import history_of
    >>> message = {"$distinct_id": "ada", "$add": {"credits": 5}}
    >>> entry = Entry(seq=2, lane=Lane.PEOPLE, group_key=None, profile="ada", operator="$add", message=message,
    ...     recorded_at=0.0, state=State.PENDING, attempt=None, sends=0, reason=None, possibly_twice=False)
    >>> texts = ('{"$distinct_id":"ada","$set":{"credits":7}}', json.dumps(message))
    >>> rows = [EntryRow(seq, "", "pending", None, 0.0, text) for seq, text in enumerate(texts, 1)]
    >>> effect_of(entry, history_of("ada", None, rows, looked_at=2)).lines
    ('credits: 7 → 12',)
    """
    place = history.place(entry.seq)
    would = place is None
    if would and entry.state is State.SHIPPED:
        return Effect(("not known: it was pruned meanwhile",), would=False, state=entry.state)
    # Sent now it goes among what is still to be sent, by number: behind what was shipped, and the older ones.
    before = history.place_before(entry.seq) if place is None else place - 1
    properties, partly_known = history.held(before, stop)
    text = json.dumps(entry.message)
    timeline = applied_to(history.profile, history.group_key, properties, [text], partly_known=partly_known)
    lines = describe(timeline.changes(1)).splitlines()
    for outcome in timeline.outcomes(1):
        if outcome.verdict is Verdict.NOT_SIMULATED:
            lines.insert(0, "not simulated: what it does is not known")
        elif outcome.verdict is Verdict.REJECTED:
            lines.insert(0, "none: the simulator would reject it")
    lines = lines or ["none"]
    more = len(lines) - _MOST_LINES
    if more > 0:
        lines = [*lines[:_MOST_LINES], f"and {more:,} more"]
    return Effect(tuple(lines), would, entry.state)
