"""What arrived, held against what was predicted: the first divergence of each profile. Pure.

Messages are taken apart into operations, one operator each, and put together by profile: only the order inside
a profile counts. Compared is all that a message says but for its token and the spelling of its id: numbers by
their spelling (1, 1.0 and true differ), objects without regard to the order of their keys. ``$time`` counts in a
profile whose predicted messages all have one; with it, increments alike are told apart.

What differs first is classed by these rules, the first that fits. *Due* is the operation predicted at that place,
*came* the one that arrived there; either may be missing, where one side has ended. How often an operation is
predicted and arrives is counted over the whole profile.

1. Came is predicted, and arrives more often than predicted: *duplicated*.
2. Due arrives less often than predicted: *changed* where came was never predicted, *lost* otherwise.
3. Came was never predicted: *changed*, from nothing.
4. Else due arrives later: *reordered*.

One cause may show as another: where an operation is lost and a later one duplicated right there, the duplicate is
named. `Divergence.missing` and `Divergence.surplus` count what the whole profile lacks and has too many.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, NamedTuple

from recorder.model.errors import InvalidOperation
from recorder.model.json_value import same_spelling, spell
from recorder.model.normalise import Message, normalise
from recorder.model.operations import Identity, examine, operators_of, split
from simulator.dialect import Dialect
from simulator.divergences import Comparison, Divergence, DivergenceKind, Occurrence
from simulator.outcomes import Verdict
from simulator.semantics import Properties, apply_message

__all__ = ["compare"]


def compare(
    predicted: Iterable[Any],
    received: Iterable[Any],
    *,
    to_send: Iterable[Any] = (),
    pruned: Mapping[tuple[str | None, str], range] | None = None,
    dialect: Dialect | None = None,
) -> Comparison:
    """Hold what arrived against what was predicted, profile by profile.

    Messages that are malformed, and so would be refused whole, are counted and left out; nothing is raised for
    them. The three are read in this order: predicted, received, to_send.

    Args:
        predicted: Update messages in the order predicted, as the official SDK makes them; with or without token.
        received: Update messages in the order of arrival.
        to_send: What the prediction goes on with, and may have arrived or not: it is compared as far as it has.
            Where one like it arrives too often, that counts as the arrival of this one.
        pruned: By group key (None for a user) and id: how many operations of a profile may have arrived before the
            prediction begins. So many of the first that came are left out: what makes the profile agree, else the
            least.
        dialect: How the service decides what is not documented, for whether a profile comes out as predicted.

    >>> from simulator import compare
    >>> predicted = [{"$distinct_id": "ada", "$set": {"n": n}} for n in range(3)]
    >>> divergence = compare(predicted, [predicted[0], predicted[2]]).divergences[0]
    >>> divergence.kind, divergence.place, divergence.predicted.message
    (<DivergenceKind.LOST: 'lost'>, 2, {'$set': {'n': 1}})
    """
    histories: dict[Identity, _History] = {}
    texts: dict[str, str] = {}
    foreseen = _Side(histories, texts, lambda history: history.predicted).read(predicted)
    arrived = _Side(histories, texts, lambda history: history.received).read(received)
    rest = _Side(histories, texts, lambda history: history.to_send, foreseen.messages).read(to_send)
    before = sum(
        histories[Identity(*owner)].leave_out(counts)
        for owner, counts in (pruned or {}).items()
        if owner in histories
    )
    early = sum(history.foresee_what_arrived() for history in histories.values())
    # A profile of which nothing was to arrive, and nothing has, says nothing.
    known = {owner: history for owner, history in histories.items() if history.predicted or history.received}
    compared = [_divergence(owner, history, dialect or Dialect()) for owner, history in known.items()]
    divergences = tuple(one for one in compared if one is not None)
    return Comparison(
        divergences=divergences,
        agreeing=len(compared) - len(divergences),
        predicted=foreseen.operations + early,
        received=arrived.operations - before,
        pruned=before,
        to_send=rest.operations - early,
        arrived_early=early,
        malformed_predicted=foreseen.malformed + rest.malformed,
        malformed_received=arrived.malformed,
    )


# --- Reading ------------------------------------------------------------------------------------

_NOT_COMPARED = frozenset({"$token", "$distinct_id", "$group_key", "$group_id", "$time"})


class _Step(NamedTuple):
    """An operation as text, for histories are long: the number of its message, what it says, and its ``$time``."""

    number: int
    says: str
    time: str | None


_Key = tuple[str, str | None]


@dataclass(slots=True)
class _History:
    """What is known of one profile."""

    predicted: list[_Step] = field(default_factory=list)
    received: list[_Step] = field(default_factory=list)
    to_send: list[_Step] = field(default_factory=list)
    timed: bool = True
    """Whether ``$time`` counts."""
    pruned: bool = False
    """Whether more came before than is compared."""

    def key(self, step: _Step) -> _Key:
        return step.says, step.time if self.timed else None

    def leave_out(self, counts: range) -> int:
        """What arrived before the prediction begins is not compared: how many operations that is."""
        self.pruned = True
        self.timed = all(step.time is not None for step in (*self.predicted, *self.to_send))
        due, came, sent = (
            list(map(self.key, side)) for side in (self.predicted, self.received, self.to_send)
        )
        agreeing = (
            count
            for count in counts
            if (not due or came[count : count + 1] == due[:1])
            and came[count : count + len(due)] == due
            and not Counter(came[count + len(due) :]) - Counter(sent)
        )
        before = min(next(agreeing, counts.start), len(came))
        del self.received[:before]
        return before

    def foresee_what_arrived(self) -> int:
        """Of what is to be sent, the prediction gets what arrived: how many operations that is."""
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
    """Reads one side's messages into the histories of their profiles."""

    histories: dict[Identity, _History]
    texts: dict[str, str]
    """Each text once: what arrived is what was predicted, nearly always."""
    steps: Callable[[_History], list[_Step]]
    messages: int = 0
    operations: int = 0
    malformed: int = 0

    def read(self, messages: Iterable[Any]) -> "_Side":
        for message in messages:
            self.messages += 1
            try:
                plain = normalise(message)
                identity, operators = examine(plain)
            except InvalidOperation:
                self.malformed += 1
                continue
            steps = self.steps(self.histories.setdefault(identity, _History()))
            for single in split(plain, operators):
                steps.append(self._step(single))
                self.operations += 1
        return self

    def _step(self, single: Message) -> _Step:
        says = spell({name: value for name, value in single.items() if name not in _NOT_COMPARED})
        time = spell(single["$time"]) if "$time" in single else None
        return _Step(self.messages, self.texts.setdefault(says, says), time)


# --- Comparing ----------------------------------------------------------------------------------


def _divergence(owner: Identity, history: _History, dialect: Dialect) -> Divergence | None:
    due, came = ([history.key(step) for step in side] for side in (history.predicted, history.received))
    if due == came:
        return None
    place = next(place for place, (one, other) in enumerate(zip_longest(due, came)) if one != other)
    predicted, arrived = Counter(due), Counter(came)
    here = (_at(due, place), _at(came, place))
    kind, what = _classed(*here, predicted, arrived)
    # What was due is named itself; what is there twice, by the first that was predicted like it.
    foreseen = None if what is None else place if what == here[0] else due.index(what)
    elsewhere = None
    if kind is DivergenceKind.DUPLICATED:
        elsewhere = next(other for other, key in enumerate(came) if key == what and other != place)
    elif kind is DivergenceKind.REORDERED:
        elsewhere = next(other for other, key in enumerate(came) if key == what and other > place)
    return Divergence(
        kind=kind,
        profile=owner.id,
        group_key=owner.group_key,
        place=place + 1,
        predicted=_operation(history, history.predicted, foreseen),
        received=_operation(history, history.received, place),
        elsewhere=_operation(history, history.received, elsewhere),
        alike=0 if what is None else predicted[what],
        missing=(predicted - arrived).total(),
        surplus=(arrived - predicted).total(),
        harmless=_same_outcome(history, dialect),
    )


_MOST_APPLIED = 2_000
"""Of so many operations a profile is made to see how it comes out; a long list grows by whole copies."""


def _same_outcome(history: _History, dialect: Dialect) -> bool | None:
    """Whether both sides make the same profile; None where that would take long to say."""
    if history.pruned:
        return False
    if max(len(history.predicted), len(history.received)) > _MOST_APPLIED:
        return None
    made = []
    for side in (history.predicted, history.received):
        properties: Properties | None = None
        for step in side:
            message = {"$distinct_id": "whoever", **json.loads(step.says)}
            properties, outcomes = apply_message(properties, message, dialect)
            if any(outcome.verdict is Verdict.NOT_SIMULATED for outcome in outcomes):
                return False
        made.append(properties)
    return same_spelling(*made)


def _classed(
    due: _Key | None, came: _Key | None, predicted: Counter[_Key], arrived: Counter[_Key]
) -> tuple[DivergenceKind, _Key | None]:
    """The kind, and which predicted operation it is about; the rules are the module's."""
    unforeseen = came is not None and not predicted[came]
    if came is not None and not unforeseen and arrived[came] > predicted[came]:
        return DivergenceKind.DUPLICATED, came
    if due is not None and arrived[due] < predicted[due]:
        return DivergenceKind.CHANGED if unforeseen else DivergenceKind.LOST, due
    if unforeseen:
        return DivergenceKind.CHANGED, None
    # Both are there: where one side has ended, the other has more of something, which the rules above name.
    return DivergenceKind.REORDERED, due


def _at(keys: list[_Key], place: int) -> _Key | None:
    return keys[place] if place < len(keys) else None


def _operation(history: _History, steps: list[_Step], place: int | None) -> Occurrence | None:
    if place is None or place >= len(steps):
        return None
    step = steps[place]
    message = json.loads(step.says)
    if history.timed and step.time is not None:
        message["$time"] = json.loads(step.time)
    return Occurrence(step.number, operators_of(message)[0], message)
