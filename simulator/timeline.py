"""A profile through time: how it stood after each message, what each one changed, and who wrote what is there.

Pure: messages come in as the JSON they were kept as, and are applied again when somebody looks.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from operator import index
from typing import Any, overload

from recorder.model.operations import Operator, operators_of
from simulator.dialect import Dialect
from simulator.difference import ABSENT, Change, difference
from simulator.outcomes import Outcome, Verdict
from simulator.profile import Profile
from simulator.semantics import Members, Properties, apply_message, own
from simulator.writers import Writers

__all__ = ["Blame", "Start", "Step", "Timeline", "Unreadable"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message of a profile that is no JSON, and so can be shown but not applied.

    Attributes:
        message: As it was given.
        outcomes: Its rejection.
    """

    message: Any
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """What a timeline begins with: what messages that are not kept any more made of the profile.

    Attributes:
        properties: The profile's; None where there was none.
        partly_known: Whether the service may hold more than that.
        entries: How many messages those were.
    """

    properties: Properties | None
    partly_known: bool
    entries: int


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a profile, and what it did.

    Attributes:
        n: Its number among the profile's messages: 1, 2, 3 … 0 stands for all that came before those that are kept.
        outcomes: What each of its operators did; see `Outcome`.
        seq: The journal's number for it; None where it comes from no journal.

    >>> from simulator import Simulator
    >>> simulator = Simulator()
    >>> _ = simulator.apply({"$distinct_id": "ada", "$add": {"visits": 1}})
    >>> step = simulator.timeline("ada").steps[0]
    >>> step.n, step.message["$add"], step.before, dict(step.after)
    (1, {'visits': 1}, None, {'visits': 1})
    """

    n: int
    outcomes: tuple[Outcome, ...]
    seq: int | None
    _kept: str | Unreadable = field(repr=False)
    _timeline: "Timeline" = field(repr=False, compare=False)

    @property
    def message(self) -> Any:
        """The message; a copy, but for one that is no JSON, which is what was given; None where it was pruned."""
        if self.n == 0:
            return None
        return self._kept.message if isinstance(self._kept, Unreadable) else json.loads(self._kept)

    @property
    def pruned(self) -> bool:
        """Whether it stands for messages before the journal's kept entries: which of them is not known."""
        return self.n == 0

    @property
    def before(self) -> Profile | None:
        """The profile before it; None where there was none, or that is not known any more."""
        return None if self.n == 0 else self._timeline.at(self.n - 1)

    @property
    def after(self) -> Profile | None:
        """The profile after it; None where there is none."""
        return self._timeline.at(self.n)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is stored otherwise after it than before; nothing where that is not known any more."""
        return () if self.n == 0 else self._timeline._changes(self.n)  # noqa: SLF001  # a step is its timeline's


@dataclass(frozen=True, slots=True)
class Blame:
    """Who wrote a property. Operations without effect on it are not named.

    What stems from before a journal's kept entries is put down to a step of the number 0, whose `pruned` is true.

    Attributes:
        value: The property's value.
        by: The step that last changed it.
        elements: Where it is a list, for each element the step that wrote it; None where it is none.
        since: The steps that made it what it is since it was last overwritten whole, oldest first: a counter's
            first value and what was added, those who put elements into a list and took some out.

    >>> from simulator import Simulator
    >>> simulator = Simulator()
    >>> for visits in (1, 0, 2):
    ...     simulator.people_increment("ada", {"visits": visits})
    >>> blame = simulator.timeline("ada").blame("visits")
    >>> blame.value, blame.by.n, [step.n for step in blame.since]
    (3, 3, [1, 3])
    """

    value: Any
    by: Step
    elements: tuple[Step, ...] | None
    since: tuple[Step, ...]


@dataclass(slots=True)
class _State:
    """A profile after so many messages."""

    number: int = 0
    properties: Properties | None = None
    partly_known: bool = False
    members: Members = field(default_factory=Members)

    def copy(self, *, remembering: bool = False) -> "_State":
        properties = _own(self.properties)
        members = self.members.copy(properties or {}) if remembering else Members()
        return _State(self.number, properties, self.partly_known, members)


def _own(properties: Properties | None) -> Properties | None:
    return None if properties is None else own(properties)


def _common(left: Sequence[str | Unreadable], right: Sequence[str | Unreadable]) -> int:
    """With how many alike both begin."""
    if left == right[: len(left)]:
        return len(left)
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(left), len(right)))


def _named(message: Any) -> set[str] | None:
    """The properties that a message may change; None where that may be all of them."""
    names: set[str] = set()
    for operator in operators_of(message) if isinstance(message, dict) else ():
        payload = message[operator]
        if operator == Operator.DELETE:
            return None
        if isinstance(payload, dict | list):
            names.update(name for name in payload if isinstance(name, str))
    return names


def _in_order(named: set[str], properties: Properties) -> list[str]:
    """Those of them that are there, in the order of the properties."""
    if len(named) > 1:
        return [name for name in properties if name in named]
    return [name for name in named if name in properties]


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _changed(name: str, before: Any, length: int, after: Any) -> Sequence[Change]:
    """What became of a property; of a list that is still the same one, how long it was."""
    if isinstance(before, list):
        if after is before:
            added = enumerate(after[length:], length)
            return [Change((name, place), ABSENT, deepcopy(value)) for place, value in added]
        before = before[:length]
    return difference({name: before}, {} if after is ABSENT else {name: after})


_EVERY = 256
_MOST_CHECKPOINTS = 64


class Timeline:
    """One profile through time; a snapshot of what was applied to it, made by `Simulator.timeline`.

    Messages are kept as JSON and applied again when somebody looks, from a checkpoint at most a few hundred
    messages back (of very long timelines 1/32 of their length). Not for several threads at a time.

    Attributes:
        id: The profile's id.
        group_key: The group key of a group's profile, None for a user's.
        pruned: How many messages came before the first that is kept: ``at(0)`` is the profile as they made it.

    >>> from simulator import Simulator, describe
    >>> simulator = Simulator()
    >>> simulator.people_append("ada", {"tags": "a"})
    >>> simulator.people_union("ada", {"tags": ["a", "b"]})
    >>> timeline = simulator.timeline("ada")
    >>> timeline.at(1)
    Profile('ada', {'tags': ['a']})
    >>> for step in timeline.steps:
    ...     print(step.n, describe(step.changes).replace(chr(10), "; "))
    1 the profile came; + tags: ["a"]
    2 + tags[1]: "b"
    >>> [step.n for step in timeline.blame("tags").elements]
    [1, 2]
    """

    __slots__ = (
        "_checkpoints",
        "_dialect",
        "_every",
        "_history",
        "_seqs",
        "_start",
        "_states",
        "group_key",
        "id",
        "pruned",
    )

    def __init__(
        self,
        id: str,  # noqa: A002  # the service's own word
        history: Sequence[str | Unreadable],
        dialect: Dialect | None = None,
        *,
        group_key: str | None = None,
        seqs: Sequence[int] = (),
        start: Start | None = None,
    ) -> None:
        """`history`: messages as JSON, in order, after `start`; `seqs`: the journal's numbers of the first ones."""
        self.id = id
        self.group_key = group_key
        self._history = tuple(history)
        self._seqs = tuple(seqs)
        self._dialect = dialect or Dialect()
        self._every = _EVERY
        self._start = start or Start(None, partly_known=False, entries=0)
        self.pruned = self._start.entries
        first = _State(0, self._start.properties, self._start.partly_known)
        self._checkpoints = {0: first}
        # The two states used last: a walk that looks at before and after goes forward with both.
        self._states = [first.copy(), first.copy()]

    def __len__(self) -> int:
        """How many messages were applied to the profile, or rejected."""
        return len(self._history)

    def __repr__(self) -> str:
        group = f", group_key={self.group_key!r}" if self.group_key is not None else ""
        before = f" after {self.pruned:,} that were pruned" if self.pruned else ""
        return f"Timeline({self.id!r}{group}, {len(self):,} messages{before})"

    def at(self, n: int) -> Profile | None:
        """The profile after its first `n` messages (of those that are kept); None where there is none then.

        Raises:
            IndexError: `n` is not between 0 (before any message) and the number of messages.
        """
        if not 0 <= index(n) <= len(self):
            raise IndexError(
                f"at({n}): the profile {self.id!r} has {len(self):,} messages, so 0 to {len(self)}"
            )
        state = self._reach(n)
        if state.properties is None:
            return None
        return Profile._of(  # noqa: SLF001
            self.id, own(state.properties), group_key=self.group_key, partly_known=state.partly_known
        )

    def held(self, n: int) -> tuple[Mapping[str, Any] | None, bool]:
        """What `at` tells, uncopied: properties that are not to be changed, and whether they are partly known.

        For whoever looks at a large profile again and again.

        >>> Timeline("ada", ['{"$distinct_id":"ada","$add":{"n":1}}']).held(1)
        ({'n': 1}, False)
        """
        state = self._reach(index(n))
        return _own(state.properties), state.partly_known

    @property
    def steps(self) -> Sequence[Step]:
        """The profile's messages in order, as a sequence that applies them when it is looked at."""
        return _Steps(self)

    def blame(self, name: str) -> Blame:
        """Who wrote a property: as a whole, and each element of a list.

        Raises:
            KeyError: The property is not there now; the text says what took it away.
        """
        writers = Writers(name, self._dialect, _own(self._start.properties))
        outcomes: dict[int, tuple[Outcome, ...]] = {0: ()}
        for n, kept in enumerate(self._history, 1):
            if isinstance(kept, Unreadable):
                continue
            made = writers.take(n, json.loads(kept))
            if writers.since[-1:] == [n]:
                if len(writers.since) == 1:  # whoever wrote it before is of no interest now
                    outcomes.clear()
                outcomes[n] = tuple(made)
        if (value := writers.value) is ABSENT:
            raise KeyError(self._missing(name, writers))
        steps = {n: self._step_of(n, outcomes[n]) for n in writers.since}
        return Blame(
            value=value,
            by=steps[writers.since[-1]],
            elements=None if writers.elements is None else tuple(steps[n] for n in writers.elements),
            since=tuple(steps.values()),
        )

    def removed_by(self, name: str) -> Step | None:
        """The step that last took a property away, alone or with the profile; None where none did, or it is there.

        >>> from simulator import Simulator
        >>> simulator = Simulator()
        >>> simulator.people_set("ada", {"trial": True})
        >>> simulator.people_unset("ada", ["trial"])
        >>> simulator.timeline("ada").removed_by("trial").n
        2
        """
        writers = Writers(name, self._dialect, _own(self._start.properties))
        for n, kept in enumerate(self._history, 1):
            if not isinstance(kept, Unreadable):
                writers.take(n, json.loads(kept))
        if writers.gone is None or writers.value is not ABSENT:
            return None
        return self._step(writers.gone[0])

    def _missing(self, name: str, writers: Writers) -> str:
        if writers.gone is None and self.pruned:
            return f"the profile {self.id!r} had no property {name!r} since before the journal's kept entries"
        if writers.gone is None:
            return f"the profile {self.id!r} never had a property {name!r}"
        n, operator = writers.gone
        entry = f", entry {self._seq(n)} of the journal" if self._seq(n) is not None else ""
        return f"the profile {self.id!r} has no property {name!r} now: message {n} ({operator}{entry}) took it away"

    def continued(self, history: Sequence[str | Unreadable], *, seqs: Sequence[int] = ()) -> "Timeline":
        """The timeline of another history of the same profile, mostly a longer one.

        What this one has applied of the messages that both begin with is not applied again.

        Args:
            history: Messages as JSON, in order, after what this timeline begins with.
            seqs: The journal's numbers of the first ones.

        >>> import json
        >>> texts = [json.dumps({"$distinct_id": "ada", "$add": {"n": n}}) for n in (1, 2, 3)]
        >>> Timeline("ada", texts[:2]).continued(texts).at(3)
        Profile('ada', {'n': 6})
        """
        other = Timeline(
            self.id, history, self._dialect, group_key=self.group_key, seqs=seqs, start=self._start
        )
        common = _common(self._history, other._history)
        other._every = self._every
        other._checkpoints = {number: kept for number, kept in self._checkpoints.items() if number <= common}
        for place, state in enumerate(self._states):
            if state.number <= common:
                other._states[place] = state.copy(remembering=True)
        return other

    # --- applying again

    def _step(self, n: int) -> Step:
        return self._step_of(n, self._advance(self._reach(n - 1)))

    def _step_of(self, n: int, outcomes: tuple[Outcome, ...]) -> Step:
        if n == 0:
            return Step(0, (), None, "", self)
        return Step(n, outcomes, self._seq(n), self._history[n - 1], self)

    def _seq(self, n: int) -> int | None:
        return self._seqs[n - 1] if n <= len(self._seqs) else None

    def _changes(self, n: int) -> tuple[Change, ...]:
        state, kept = self._reach(n - 1), self._history[n - 1]
        if isinstance(kept, Unreadable):
            self._advance(state)
            return ()
        message = json.loads(kept)
        named = _named(message)
        if state.properties is None or named is None or self._dialect.union_duplicates == "collapse":
            before = _own(state.properties)
            # The same state: the elements that stay are the same objects, which is quick to see.
            self._advance(state, message)
            return difference(before, state.properties)
        # Only what the message names can change, and of a list that grew only its end is new: the rest is not looked
        # at, or a profile's past would take the square of its length.
        held = {
            name: (state.properties[name], _length(state.properties[name]))
            for name in _in_order(named, state.properties)
        }
        self._advance(state, message)
        after = state.properties or {}
        found: list[Change] = []
        for name, (value, length) in held.items():
            found.extend(_changed(name, value, length, after.get(name, ABSENT)))
        for name in _in_order(named, after):
            if name not in held:
                found.extend(difference({}, {name: after[name]}))
        return tuple(found)

    def _reach(self, n: int) -> _State:
        """The state after `n` messages, which the caller may advance."""
        start = max(number for number in self._checkpoints if number <= n)
        near = [state for state in self._states if start <= state.number <= n]
        if near:
            state = max(near, key=lambda state: state.number)
            other = next(another for another in self._states if another is not state)
        else:
            state, other = self._checkpoints[start].copy(), self._states[0]
        self._states = [state, other]
        while state.number < n:
            self._advance(state)
        return state

    def _advance(self, state: _State, message: Any = None) -> tuple[Outcome, ...]:
        """Apply the next message; where it was read already, as that."""
        kept = self._history[state.number]
        state.number += 1
        if isinstance(kept, Unreadable):
            outcomes = kept.outcomes
        else:
            state.properties, made = apply_message(
                state.properties,
                json.loads(kept) if message is None else message,
                self._dialect,
                state.members,
            )
            outcomes = tuple(made)
        state.partly_known |= any(outcome.verdict is Verdict.NOT_SIMULATED for outcome in outcomes)
        if state.number % self._every == 0 and state.number not in self._checkpoints:
            self._keep(state)
        return outcomes

    def _keep(self, state: _State) -> None:
        self._checkpoints[state.number] = state.copy()
        if len(self._checkpoints) > _MOST_CHECKPOINTS:
            self._every *= 2
            self._checkpoints = {
                number: kept for number, kept in self._checkpoints.items() if number % self._every == 0
            }


class _Steps(Sequence[Step]):
    """A timeline's steps, made when they are looked at."""

    __slots__ = ("_timeline",)

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def __len__(self) -> int:
        return len(self._timeline)

    @overload
    def __getitem__(self, place: int) -> Step: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Step]: ...
    def __getitem__(self, place: int | slice) -> Step | Sequence[Step]:
        if isinstance(place, slice):
            return [self._timeline._step(at + 1) for at in range(len(self))[place]]  # noqa: SLF001
        try:
            at = range(len(self))[place]
        except IndexError:
            raise IndexError(
                f"steps[{place}]: the profile {self._timeline.id!r} has {len(self):,} messages"
            ) from None
        return self._timeline._step(at + 1)  # noqa: SLF001

    def __iter__(self) -> Iterator[Step]:
        return (self._timeline._step(n) for n in range(1, len(self) + 1))  # noqa: SLF001

    def __reversed__(self) -> Iterator[Step]:
        # Block by block, each forwards: a step backwards would apply a block's messages again for each.
        for end in range(len(self), 0, -_EVERY):
            yield from reversed([self._timeline._step(n) for n in range(max(end - _EVERY, 0) + 1, end + 1)])  # noqa: SLF001
