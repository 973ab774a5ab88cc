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
from enum import StrEnum
from itertools import zip_longest
from typing import Any, NamedTuple

from recorder.errors import InvalidOperation
from recorder.operations import (
    Identity,
    Message,
    examined,
    normalise,
    operators_of,
    same_spelling,
    spelled,
    split,
)
from simulator.dialect import Dialect
from simulator.outcomes import Verdict
from simulator.semantics import Properties, apply_message

__all__ = ["Comparison", "Divergence", "DivergenceKind", "Operation", "compare"]

_LONGEST = 160
"""How much of an operation, or of an id, a report shows, in characters."""
_LEAD = 40
"""How much of what two clipped operations share is shown before they differ."""


class DivergenceKind(StrEnum):
    """How what arrived differs from what was predicted; the module says which is named where several fit."""

    LOST = "lost"
    """Predicted, and did not arrive, or not as often as predicted."""
    DUPLICATED = "duplicated"
    """Arrived more often than predicted."""
    REORDERED = "reordered"
    """Arrives after others that were predicted to follow it."""
    CHANGED = "changed"
    """Arrived, and nothing like it was predicted: in place of what was due, or as one too many."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a history.

    Attributes:
        number: Which message of its history it stands in, counting all of them from 1.
        operator: Such as ``$set``.
        message: What was compared: the message without its token and identity, with this operator alone, and
            with ``$time`` where that counts.
    """

    number: int
    operator: str
    message: Mapping[str, Any]

    def __str__(self) -> str:
        r"""The message as JSON, fit for a terminal.

        >>> print(Operation(1, "$set", {"$set": {"name": "\x1b[31mred"}}))
        {"$set":{"name":"\u001b[31mred"}}
        """
        return _clipped(spelled(self.message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Where a profile's history first differs from what was predicted.

    Attributes:
        kind: See `DivergenceKind`.
        profile: The profile's or group's id.
        group_key: A group's key; None for a user's profile.
        place: Which of the profile's operations it is, from 1.
        predicted: The predicted operation that is lost, duplicated, out of order or changed; of several alike the
            one that was due, or the first. None where what arrived was not predicted at all.
        received: What arrived at that place: lost, what came next; duplicated, the one too many; reordered, what
            came before its turn; changed, what it became. None where nothing more arrived.
        elsewhere: Duplicated: the first of its other arrivals. Reordered: where the predicted one arrives. None
            otherwise.
        alike: How many operations like `predicted` the profile's prediction has, itself among them.
        missing: How many predicted operations of the profile did not arrive.
        surplus: How many operations of the profile arrived beyond the predicted ones.
        harmless: Whether the profile comes out as predicted all the same, as `Simulator` applies the operations: a
            set that arrived twice in a row, say. False where an operator outside the vocabulary is among them.
    """

    kind: DivergenceKind
    profile: str
    group_key: str | None
    place: int
    predicted: Operation | None
    received: Operation | None
    elsewhere: Operation | None
    alike: int
    missing: int
    surplus: int
    harmless: bool

    @property
    def owner(self) -> str:
        """The profile as a report names it: clipped, and fit for a terminal."""
        return _clipped(self.profile if self.group_key is None else f"{self.group_key}:{self.profile}")

    def told(self, name: "Callable[[Operation], str] | None" = None) -> str:
        """A few lines for a person.

        Args:
            name: What to call a predicted operation, such as a journal's number; its message's number by default.
        """
        name = name or _message_of
        predicted, received = _shown(self.predicted, self.received)
        harmless = "; the profile comes out as predicted" if self.harmless else ""
        lines = [f"{self.owner}: {self.kind} at operation {self.place:,}{harmless}"]
        if self.predicted is None:
            lines.append("  predicted  nothing like it")
        else:
            alike = f", one of {self.alike:,} alike" if self.alike > 1 else ""
            lines.append(f"  predicted  {name(self.predicted)}{alike}: {predicted}")
        here = _message_of(self.received) if self.received else ""
        there = _message_of(self.elsewhere) if self.elsewhere else ""
        match self.kind:
            case DivergenceKind.DUPLICATED:
                first, again = sorted(
                    (self.elsewhere, self.received), key=lambda one: one.number if one else 0
                )
                lines.append(f"  received   {_message_of(first)}, and again {_message_of(again)}")
            case DivergenceKind.REORDERED:
                lines += [f"  received   {here} before it: {received}", f"             {there}: itself"]
            case DivergenceKind.LOST:
                lines.append(f"  received   {here} next: {received}" if here else "  received   nothing more")
            case DivergenceKind.CHANGED:
                lines.append(f"  received   {here}: {received}")
        if self.missing + self.surplus > 1:
            lines.append(f"  in all     {self.missing:,} missing, {self.surplus:,} too many")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of `compare`.

    Attributes:
        divergences: The first divergence of each profile that has one, in the order the profiles were predicted,
            then in that of their arrival.
        agreeing: How many profiles agree.
        predicted: How many operations were predicted, those that arrived early among them.
        received: How many operations arrived.
        to_send: How many of the operations still to be sent did not arrive.
        arrived_early: How many of them arrived all the same.
        malformed_predicted: How many predicted messages no service would take; they are left out.
        malformed_received: How many received messages are malformed; they are left out.
    """

    divergences: tuple[Divergence, ...]
    agreeing: int
    predicted: int
    received: int
    to_send: int = 0
    arrived_early: int = 0
    malformed_predicted: int = 0
    malformed_received: int = 0

    @property
    def agrees(self) -> bool:
        """Whether no profile diverges."""
        return not self.divergences

    @property
    def summary(self) -> str:
        """One paragraph for a person."""
        kinds = Counter(one.kind for one in self.divergences)
        which = ", ".join(f"{kinds[kind]:,} {kind}" for kind in DivergenceKind if kinds[kind])
        differing = len(self.divergences)
        harmless = sum(one.harmless for one in self.divergences)
        if harmless:
            which += f", {harmless:,} of them with the profile as predicted"
        of_all = (
            f"of {_count(self.agreeing + differing, 'profile')} {'differs' if differing == 1 else 'differ'}"
        )
        parts = [
            f"{differing:,} {of_all}: {which}."
            if which
            else f"{_count(self.agreeing, 'profile')}: all agree.",
            f"Predicted {_count(self.predicted, 'operation')}, received {self.received:,}.",
        ]
        if self.arrived_early:
            parts.append(f"{self.arrived_early:,} arrived though not known as sent yet.")
        if self.to_send:
            parts.append(f"{self.to_send:,} still to be sent.")
        malformed = self.malformed_predicted + self.malformed_received
        if malformed:
            parts.append(f"Left out {_count(malformed, 'malformed message')}.")
        return " ".join(parts)

    def __str__(self) -> str:
        """The summary, then some lines for each profile that differs.

        >>> predicted = [{"$distinct_id": "ada", "$add": {"visits": 1}}, {"$distinct_id": "bob", "$set": {"a": 1}}]
        >>> print(compare(predicted, [*predicted, predicted[0]]))
        1 of 2 profiles differs: 1 duplicated. Predicted 2 operations, received 3.
        <BLANKLINE>
        ada: duplicated at operation 2
          predicted  message 1: {"$add":{"visits":1}}
          received   message 1, and again message 3
        """
        return "\n\n".join([self.summary, *map(str, self.divergences)])


def compare(predicted: Iterable[Any], received: Iterable[Any], *, to_send: Iterable[Any] = ()) -> Comparison:
    """Hold what arrived against what was predicted, profile by profile.

    Messages that are malformed, and so would be refused whole, are counted and left out; nothing is raised for
    them. The three are read in this order: predicted, received, to_send.

    Args:
        predicted: Update messages in the order predicted, as the official SDK makes them; with or without token.
        received: Update messages in the order of arrival.
        to_send: What the prediction goes on with, and may have arrived or not: it is compared as far as it has.
            Where one like it arrives too often, that counts as the arrival of this one.

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
    early = sum(history.foresee_what_arrived() for history in histories.values())
    # A profile of which nothing was to arrive, and nothing has, says nothing.
    known = {owner: history for owner, history in histories.items() if history.predicted or history.received}
    compared = [_divergence(owner, history) for owner, history in known.items()]
    divergences = tuple(one for one in compared if one is not None)
    return Comparison(
        divergences=divergences,
        agreeing=len(compared) - len(divergences),
        predicted=foreseen.operations + early,
        received=arrived.operations,
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

    def key(self, step: _Step) -> _Key:
        return step.says, step.time if self.timed else None

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
                identity, operators = examined(plain)
            except InvalidOperation:
                self.malformed += 1
                continue
            steps = self.steps(self.histories.setdefault(identity, _History()))
            for single in split(plain, operators):
                steps.append(self._step(single))
                self.operations += 1
        return self

    def _step(self, single: Message) -> _Step:
        says = spelled({name: value for name, value in single.items() if name not in _NOT_COMPARED})
        time = spelled(single["$time"]) if "$time" in single else None
        return _Step(self.messages, self.texts.setdefault(says, says), time)


# --- Comparing ----------------------------------------------------------------------------------


def _divergence(owner: Identity, history: _History) -> Divergence | None:
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
        harmless=_same_outcome(history),
    )


def _same_outcome(history: _History) -> bool:
    """Whether both sides make the same profile."""
    dialect, made = Dialect(), []
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


def _operation(history: _History, steps: list[_Step], place: int | None) -> Operation | None:
    if place is None or place >= len(steps):
        return None
    step = steps[place]
    message = json.loads(step.says)
    if history.timed and step.time is not None:
        message["$time"] = json.loads(step.time)
    return Operation(step.number, operators_of(message)[0], message)


# --- In words -----------------------------------------------------------------------------------


def _message_of(operation: Operation | None) -> str:
    return f"message {operation.number:,}" if operation is not None else "nothing"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _clipped(text: str, start: int = 0) -> str:
    """At most so much of a text, from a place on, with nothing in it that could style a terminal."""
    part = (
        ("…" if start else "")
        + text[start : start + _LONGEST]
        + ("…" if len(text) > start + _LONGEST else "")
    )
    if part.isprintable():
        return part
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in part)


def _shown(one: Operation | None, other: Operation | None) -> tuple[str, str]:
    """Two operations, each clipped so that it can be seen where they begin to differ."""
    texts = [spelled(operation.message) if operation is not None else "" for operation in (one, other)]
    start = 0
    if all(texts) and max(map(len, texts)) > _LONGEST:
        pairs = enumerate(zip_longest(*texts))
        start = max(0, next((place for place, pair in pairs if pair[0] != pair[1]), 0) - _LEAD)
    return _clipped(texts[0], start), _clipped(texts[1], start)
