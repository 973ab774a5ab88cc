"""Effect of one entry on its profile, as the simulator has it, in lines for a person. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from recorder import Entry, State
from recorder.model.dialect import of_recorded
from simulator import Start, Timeline, Verdict, describe

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


def effect_of(entry: Entry, history: Sequence[tuple[int, str]], start: Start | None = None) -> Effect:
    """Simulate what an entry does to its profile, or would do.

    Args:
        entry: One of a user's or a group's profile.
        history: The profile's entries as the prediction applies them: numbers, and messages as JSON.
        start: What it goes on from; None where nothing of the profile was pruned.

    >>> from recorder import Lane, State
    >>> message = {"$distinct_id": "ada", "$add": {"credits": 5}}
    >>> entry = Entry(seq=2, lane=Lane.PEOPLE, group_key=None, profile="ada", operator="$add", message=message,
    ...     recorded_at=0.0, state=State.PENDING, attempt=None, sends=0, reason=None, possibly_twice=False)
    >>> effect_of(entry, [(1, '{"$distinct_id":"ada","$set":{"credits":7}}'), (2, json.dumps(message))]).lines
    ('credits: 7 → 12',)
    """
    numbers = [seq for seq, _ in history]
    would = entry.seq not in numbers
    if would and entry.state is State.SHIPPED:
        return Effect(("not known: it was pruned meanwhile",), would=False, state=entry.state)
    if would:
        # Sent now it goes among what is still to be sent, by number: behind what was shipped, and the older ones.
        before = [(seq, text) for seq, text in history if seq < entry.seq]
        history = [*before, (entry.seq, json.dumps(entry.message))]
        place = len(before)
    else:
        place = numbers.index(entry.seq)
    messages = [text for _, text in history[: place + 1]]
    timeline = Timeline(entry.profile or "", messages, of_recorded(), group_key=entry.group_key, start=start)
    lines = describe(timeline.changes(place + 1)).splitlines()
    for outcome in timeline.outcomes(place + 1):
        if outcome.verdict is Verdict.NOT_SIMULATED:
            lines.insert(0, "not simulated: what it does is not known")
        elif outcome.verdict is Verdict.REJECTED:
            lines.insert(0, "none: the simulator would reject it")
    lines = lines or ["none"]
    more = len(lines) - _MOST_LINES
    if more > 0:
        lines = [*lines[:_MOST_LINES], f"and {more:,} more"]
    return Effect(tuple(lines), would, entry.state)
