"""Replays the messages of a profile, from checkpoints. Pure."""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from recorder.model.dialect import Dialect
from recorder.model.operations import Operator, operators_of
from recorder.model.outcomes import Outcome, Verdict
from recorder.model.semantics import Properties, apply_message, copy_properties
from simulator.difference import ABSENT, Change, difference

__all__ = ["History", "Replay", "Start", "State", "Unreadable"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message of a profile that is not JSON, so it can be shown but not applied.

    Attributes:
        message: As it was given.
        outcomes: Its rejection.
    """

    message: Any
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """The state of a profile after pruned messages, where its timeline begins.

    Attributes:
        properties: The profile's properties; None for no profile.
        partly_known: True if the service may have more properties.
        entries: Number of pruned messages.
    """

    properties: Properties | None
    partly_known: bool
    entries: int


History = Sequence[str | Unreadable]
"""Messages of a profile, as JSON where they are JSON."""

_EVERY = 256
_MOST_CHECKPOINTS = 64


@dataclass(slots=True)
class State:
    """A profile after `number` messages."""

    number: int = 0
    properties: Properties | None = None
    partly_known: bool = False

    def copy(self) -> "State":
        return State(self.number, _copy(self.properties), self.partly_known)


def _copy(properties: Properties | None) -> Properties | None:
    return None if properties is None else copy_properties(properties)


def _common(left: Sequence[str | Unreadable], right: Sequence[str | Unreadable]) -> int:
    """Return the length of the common beginning."""
    if left == right[: len(left)]:
        return len(left)
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(left), len(right)))


def _named(message: Any) -> set[str] | None:
    """Return the properties that a message may change; None for all of them."""
    names: set[str] = set()
    for operator in operators_of(message) if isinstance(message, dict) else ():
        payload = message[operator]
        if operator == Operator.DELETE:
            return None
        if isinstance(payload, dict | list):
            names.update(name for name in payload if isinstance(name, str))
    return names


def _in_order(named: set[str], properties: Properties) -> list[str]:
    """Return the named properties that exist, in the order of the profile."""
    if len(named) > 1:
        return [name for name in properties if name in named]
    return [name for name in named if name in properties]


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _changed(name: str, before: Any, length: int, after: Any) -> Sequence[Change]:
    """Return the changes of a property; for a list changed in place, `length` is its length before."""
    if isinstance(before, list):
        if after is before:
            added = enumerate(after[length:], length)
            return [Change((name, place), ABSENT, deepcopy(value)) for place, value in added]
        before = before[:length]
    return difference({name: before}, {} if after is ABSENT else {name: after})


class Replay:
    """The states of a profile after each of its messages. Not thread-safe.

    Messages are applied again on demand, from a checkpoint at most a few hundred messages back (1/32 of the length
    of very long histories).

    Args:
        history: Messages in order, after `start`.
        dialect: Policies for what the service does not document.
        start: The state before the first message.
    """

    __slots__ = ("_checkpoints", "_dialect", "_every", "_states", "history", "start")

    def __init__(self, history: History, dialect: Dialect, start: Start) -> None:
        self.history = tuple(history)
        self.start = start
        self._dialect = dialect
        self._every = _EVERY
        first = State(0, start.properties, start.partly_known)
        self._checkpoints = {0: first}
        # The two states used last: a walk that reads both before and after a message advances both.
        self._states = [first.copy(), first.copy()]

    def continued(self, history: History) -> "Replay":
        """Return the replay of another history after the same start; checkpoints of the common beginning are reused."""
        other = Replay(history, self._dialect, self.start)
        common = _common(self.history, other.history)
        other._every = self._every
        other._checkpoints = {number: kept for number, kept in self._checkpoints.items() if number <= common}
        for place, state in enumerate(self._states):
            if state.number <= common:
                other._states[place] = state.copy()
        return other

    def state(self, n: int) -> State:
        """Return the state after `n` messages; not to be changed, and valid until the next call."""
        checkpoint = self._checkpoint(n)
        near = [state for state in self._states if checkpoint <= state.number <= n]
        if near:
            state = max(near, key=lambda state: state.number)
            other = next(another for another in self._states if another is not state)
        else:
            state, other = self._checkpoints[checkpoint].copy(), self._states[0]
        self._states = [state, other]
        while state.number < n:
            self._advance(state)
        return state

    def begins(self, n: int) -> int:
        """Return the number of messages after which `state` begins to apply further ones."""
        known = (state.number for state in self._states if state.number <= n)
        return max(self._checkpoint(n), *known, 0)

    def _checkpoint(self, n: int) -> int:
        return max(number for number in self._checkpoints if number <= n)

    def outcomes(self, n: int) -> tuple[Outcome, ...]:
        """Return the outcomes of message `n`."""
        return self._advance(self.state(n - 1))

    def changes(self, n: int) -> tuple[Change, ...]:
        """Return the changes of message `n`."""
        state, kept = self.state(n - 1), self.history[n - 1]
        if isinstance(kept, Unreadable):
            self._advance(state)
            return ()
        message = json.loads(kept)
        named = _named(message)
        if state.properties is None or named is None or self._dialect.union_duplicates == "collapse":
            before = _copy(state.properties)
            # The state is advanced in place: unchanged elements are the same objects, which `difference` sees fast.
            self._advance(state, message)
            return difference(before, state.properties)
        # Only named properties can change, and of a list that grew only its end is new. Comparing everything would
        # make a walk through a history quadratic in its length.
        earlier = {
            name: (state.properties[name], _length(state.properties[name]))
            for name in _in_order(named, state.properties)
        }
        self._advance(state, message)
        after = state.properties or {}
        found: list[Change] = []
        for name, (value, length) in earlier.items():
            found.extend(_changed(name, value, length, after.get(name, ABSENT)))
        for name in _in_order(named, after):
            if name not in earlier:
                found.extend(difference({}, {name: after[name]}))
        return tuple(found)

    def _advance(self, state: State, message: Any = None) -> tuple[Outcome, ...]:
        """Apply the next message; `message` is the same, parsed already."""
        kept = self.history[state.number]
        state.number += 1
        if isinstance(kept, Unreadable):
            outcomes = kept.outcomes
        else:
            parsed = json.loads(kept) if message is None else message
            state.properties, made = apply_message(state.properties, parsed, self._dialect)
            outcomes = tuple(made)
        state.partly_known |= any(outcome.verdict is Verdict.NOT_SIMULATED for outcome in outcomes)
        if state.number % self._every == 0 and state.number not in self._checkpoints:
            self._add_checkpoint(state)
        return outcomes

    def _add_checkpoint(self, state: State) -> None:
        self._checkpoints[state.number] = state.copy()
        if len(self._checkpoints) > _MOST_CHECKPOINTS:
            self._every *= 2
            self._checkpoints = {
                number: kept for number, kept in self._checkpoints.items() if number % self._every == 0
            }
