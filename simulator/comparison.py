"""`compare`: received messages against predicted ones, and the first divergence of each profile. Pure.

Messages are split into operations, one operator each, and grouped by profile: only the order within a profile counts.
The whole message is compared except its token and the spelling of its id: numbers by spelling (1, 1.0 and true differ),
objects without regard to the order of keys. ``$time`` counts in a profile whose predicted messages all have one, which
tells equal increments apart.

The first rule that fits classifies a divergence. *Due* is the operation predicted at that place, *found* the received
one; one is missing if its side has ended. Operations are counted over the whole profile.

1. Found was predicted, and was received more often than predicted: *duplicated*.
2. Due was received less often than predicted: *changed* if found was never predicted, else *lost*.
3. Found was never predicted: *unexpected*.
4. Otherwise due is received later: *reordered*.

One cause may look like another: if an operation is lost and a later one is duplicated in its place, the duplicate is
reported. `Divergence.missing` and `Divergence.surplus` count over the whole profile.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any, NamedTuple

from recorder.model.dialect import of_recorded
from recorder.model.errors import InvalidOperation
from recorder.model.json_value import same_spelling, spell
from recorder.model.normalise import Message, normalise
from recorder.model.operations import Identity, examine, operators_of, split
from recorder.model.outcomes import Verdict
from recorder.model.semantics import Properties, apply_message
from simulator.divergences import Comparison, Divergence, DivergenceKind, Occurrence
from simulator.quick import is_json

__all__ = ["compare"]


def compare(
    predicted: Iterable[Any],
    received: Iterable[Any],
    *,
    to_send: Iterable[Any] = (),
    pruned: Mapping[tuple[str | None, str], range] | None = None,
) -> Comparison:
    """Compare received messages with predicted ones, profile by profile.

    Malformed messages are counted and left out. The arguments are read in this order: predicted, received, to_send.

    Args:
        predicted: Update messages in predicted order, as the official SDK makes them; with or without token.
        received: Update messages in order of arrival.
        to_send: Messages after the predicted ones that may have arrived or not. If an equal one was received too
            often, that counts as the arrival of this one.
        pruned: By group key (None for a user) and id: the possible numbers of operations received before the
            prediction begins. The number that makes the profile agree is left out (a smaller one if none does: folding
            sends fewer), or else the smallest.

    >>> from restante import compare
    >>> predicted = [{"$distinct_id": "ada", "$set": {"n": n}} for n in range(3)]
    >>> divergence = compare(predicted, [predicted[0], predicted[2]]).divergences[0]
    >>> divergence.kind, divergence.place, divergence.predicted.message
    (<DivergenceKind.LOST: 'lost'>, 2, {'$set': {'n': 1}})
    """
    histories: dict[Identity, _History] = {}
    texts: dict[str, str] = {}
    expected = _Side(histories, texts, lambda history: history.predicted).read(predicted)
    arrived = _Side(histories, texts, lambda history: history.received).read(received)
    rest = _Side(histories, texts, lambda history: history.to_send, expected.messages).read(to_send)
    before = sum(
        histories[Identity(*owner)].drop_pruned(counts)
        for owner, counts in (pruned or {}).items()
        if owner in histories
    )
    early = sum(history.move_arrived() for history in histories.values())
    # Profiles that only `to_send` names are not compared.
    known = {owner: history for owner, history in histories.items() if history.predicted or history.received}
    compared = [_divergence(owner, history) for owner, history in known.items()]
    divergences = tuple(one for one in compared if one is not None)
    return Comparison(
        divergences=divergences,
        agreeing=len(compared) - len(divergences),
        predicted=expected.operations + early,
        received=arrived.operations - before,
        pruned=before,
        to_send=rest.operations - early,
        arrived_early=early,
        malformed_predicted=expected.malformed + rest.malformed,
        malformed_received=arrived.malformed,
    )


# --- Reading ------------------------------------------------------------------------------------

_NOT_COMPARED = frozenset({"$token", "$distinct_id", "$group_key", "$group_id", "$time"})


class _Step(NamedTuple):
    """An operation as text, as histories are long: message number, content, and ``$time``."""

    number: int
    content: str
    time: str | None


_Key = tuple[str, str | None]


@dataclass(slots=True)
class _History:
    """The operations of one profile."""

    predicted: list[_Step] = field(default_factory=list)
    received: list[_Step] = field(default_factory=list)
    to_send: list[_Step] = field(default_factory=list)
    timed: bool = True
    """True if ``$time`` counts."""
    pruned: bool = False
    """True if earlier operations are not compared."""

    def key(self, step: _Step) -> _Key:
        return step.content, step.time if self.timed else None

    def drop_pruned(self, counts: range) -> int:
        """Drop operations received before the prediction begins; return their number."""
        self.pruned = True
        self.timed = all(step.time is not None for step in (*self.predicted, *self.to_send))
        due, found, sent = (
            list(map(self.key, side)) for side in (self.predicted, self.received, self.to_send)
        )
        # Folding sent fewer: what cannot be told from the journal is left out as it agrees.
        fewer = range(counts.start - 1, -1, -1) if due else ()
        agreeing = (
            count
            for count in chain(counts, fewer)
            if (not due or found[count : count + 1] == due[:1])
            and found[count : count + len(due)] == due
            and not Counter(found[count + len(due) :]) - Counter(sent)
        )
        before = min(next(agreeing, counts.start), len(found))
        del self.received[:before]
        return before

    def move_arrived(self) -> int:
        """Move operations to be sent that arrived into the prediction; return their number."""
        self.timed = all(step.time is not None for step in (*self.predicted, *self.to_send))
        if not self.to_send:
            return 0
        unexplained = Counter(map(self.key, self.received))
        unexplained.subtract(map(self.key, self.predicted))
        before = len(self.predicted)
        for step in self.to_send:
            key = self.key(step)
            if unexplained[key] > 0:
                unexplained[key] -= 1
                self.predicted.append(step)
        return len(self.predicted) - before


@dataclass(slots=True)
class _Side:
    """Adds one side's messages to the histories of their profiles."""

    histories: dict[Identity, _History]
    texts: dict[str, str]
    """Each text once, as nearly all received texts were predicted."""
    steps: Callable[[_History], list[_Step]]
    messages: int = 0
    operations: int = 0
    malformed: int = 0

    def read(self, messages: Iterable[Any]) -> "_Side":
        for message in messages:
            self.messages += 1
            try:
                plain = message if is_json(message) else normalise(message)
                identity, operators = examine(plain, unknown_operators="ship")
            except InvalidOperation:
                self.malformed += 1
                continue
            steps = self.steps(self.histories.setdefault(identity, _History()))
            for single in split(plain, operators):
                steps.append(self._step(single))
                self.operations += 1
        return self

    def _step(self, single: Message) -> _Step:
        content = spell({name: value for name, value in single.items() if name not in _NOT_COMPARED})
        return _Step(self.messages, self.texts.setdefault(content, content), _time(single))


def _time(single: Message) -> str | None:
    if "$time" not in single:
        return None
    time = single["$time"]
    return repr(time) if type(time) is float else spell(time)  # as an encoder writes it, without making one


# --- Comparing ----------------------------------------------------------------------------------


def _divergence(owner: Identity, history: _History) -> Divergence | None:
    due, found = ([history.key(step) for step in side] for side in (history.predicted, history.received))
    if due == found:
        return None
    place = next(place for place, (one, other) in enumerate(zip_longest(due, found)) if one != other)
    predicted, received = Counter(due), Counter(found)
    here = (_at(due, place), _at(found, place))
    kind, key = _classify(*here, predicted, received)
    # The operation that was due; of a duplicate, the first predicted one equal to it.
    expected = None if key is None else place if key == here[0] else due.index(key)
    elsewhere = None
    if kind in (DivergenceKind.DUPLICATED, DivergenceKind.REORDERED):
        start = 0 if kind is DivergenceKind.DUPLICATED else place + 1
        elsewhere = next(
            other for other in range(start, len(found)) if found[other] == key and other != place
        )
    return Divergence(
        kind=kind,
        profile=owner.id,
        group_key=owner.group_key,
        place=place + 1,
        predicted=_operation(history, history.predicted, expected),
        received=_operation(history, history.received, place),
        elsewhere=_operation(history, history.received, elsewhere),
        alike=0 if key is None else predicted[key],
        missing=(predicted - received).total(),
        surplus=(received - predicted).total(),
        harmless=_same_result(history),
    )


_DIALECT = of_recorded()
_MOST_APPLIED = 2_000
"""Longer histories are not applied for `Divergence.harmless`."""


def _same_result(history: _History) -> bool | None:
    """True if both sides make the same profile; None if that would take long to find out."""
    if history.pruned:
        return False
    if max(len(history.predicted), len(history.received)) > _MOST_APPLIED:
        return None
    made = []
    for side in (history.predicted, history.received):
        properties: Properties | None = None
        for step in side:
            message = {"$distinct_id": "-", **json.loads(step.content)}
            properties, outcomes = apply_message(properties, message, _DIALECT)
            if any(outcome.verdict is Verdict.NOT_SIMULATED for outcome in outcomes):
                return False
        made.append(properties)
    return same_spelling(*made)


def _classify(
    due: _Key | None, found: _Key | None, predicted: Counter[_Key], received: Counter[_Key]
) -> tuple[DivergenceKind, _Key | None]:
    """Return the kind, and the predicted operation it is about, by the rules in the module's docstring."""
    unknown = found is not None and not predicted[found]
    if found is not None and not unknown and received[found] > predicted[found]:
        return DivergenceKind.DUPLICATED, found
    if due is not None and received[due] < predicted[due]:
        return DivergenceKind.CHANGED if unknown else DivergenceKind.LOST, due
    if unknown:
        return DivergenceKind.UNEXPECTED, None
    # Both exist: if one side had ended, the other would have an operation too often, which the rules above catch.
    return DivergenceKind.REORDERED, due


def _at(keys: list[_Key], place: int) -> _Key | None:
    return keys[place] if place < len(keys) else None


def _operation(history: _History, steps: list[_Step], place: int | None) -> Occurrence | None:
    if place is None or place >= len(steps):
        return None
    step = steps[place]
    message = json.loads(step.content)
    if history.timed and step.time is not None:
        message["$time"] = json.loads(step.time)
    return Occurrence(step.number, operators_of(message)[0], message)
