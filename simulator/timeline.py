"""The history of a profile: its state after each message, the changes of each, and the writers of its properties.

Pure: messages are given as JSON, and applied again on demand.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import index
from typing import Any

from recorder.model.dialect import Dialect
from recorder.model.outcomes import Outcome
from recorder.model.semantics import Properties, copy_properties
from simulator.difference import ABSENT, Change
from simulator.profile import Profile
from simulator.replay import History, Replay, Start, Unreadable
from simulator.writers import Writers

__all__ = ["Blame", "Start", "Step", "Timeline"]


@dataclass(frozen=True)
class Step:
    """One message of a profile, and its effect, which is worked out on demand.

    Attributes:
        n: Its number among the profile's messages, from 1; 0 for all pruned messages together.
        seq: Its sequence number in the journal; None if it comes from no journal.

    >>> from restante import Simulator
    >>> simulator = Simulator()
    >>> _ = simulator.apply({"$distinct_id": "ada", "$add": {"visits": 1}})
    >>> step = simulator.timeline("ada").steps[0]
    >>> step.n, step.message["$add"], step.before, dict(step.after)
    (1, {'visits': 1}, None, {'visits': 1})
    """

    n: int
    seq: int | None
    _kept: str | Unreadable = field(repr=False)
    _timeline: "Timeline" = field(repr=False, compare=False)

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcome of each operator; see `Outcome`."""
        return () if self.n == 0 else self._timeline.outcomes(self.n)

    @property
    def message(self) -> Any:
        """A copy of the message (of one that is not JSON, the object given); None for pruned messages."""
        if self.n == 0:
            return None
        return self._kept.message if isinstance(self._kept, Unreadable) else json.loads(self._kept)

    @property
    def pruned(self) -> bool:
        """True if it stands for all pruned messages."""
        return self.n == 0

    @property
    def before(self) -> Profile | None:
        """The profile before it; None if there was none or it was pruned."""
        return None if self.n == 0 else self._timeline.at(self.n - 1)

    @property
    def after(self) -> Profile | None:
        """The profile after it; None if there is none."""
        return self._timeline.at(self.n)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The difference between before and after; empty for pruned messages."""
        return () if self.n == 0 else self._timeline.changes(self.n)


@dataclass(frozen=True, slots=True)
class Blame:
    """The steps that wrote a property; steps without effect on it are left out.

    Step 0, whose `pruned` is True, stands for all pruned messages.

    Attributes:
        value: The property's value.
        by: The step that last changed it.
        elements: The step that wrote each element of a list; None for any other value.
        since: All steps that changed it since it was last overwritten whole, oldest first, such as a counter's
            first value and its increments.

    >>> from restante import Simulator
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


class Timeline:
    """The history of one profile; a snapshot, made by `Simulator.timeline`.

    Messages are stored as JSON and applied again on demand, from a checkpoint at most a few hundred messages back (1/32
    of the length of very long timelines). Not thread-safe.

    Attributes:
        id: The profile's id.
        group_key: The group key of a group's profile, None for a user's.
        pruned: Number of pruned messages before the first one; ``at(0)`` is the profile after them.

    >>> from simulator import Simulator, describe
    >>> simulator = Simulator()
    >>> simulator.people_append("ada", {"tags": "a"})
    >>> simulator.people_union("ada", {"tags": ["a", "b"]})
    >>> timeline = simulator.timeline("ada")
    >>> timeline.at(1)
    Profile('ada', {'tags': ['a']})
    >>> for step in timeline.steps:
    ...     print(step.n, describe(step.changes).replace(chr(10), "; "))
    1 profile created; + tags: ["a"]
    2 + tags[1]: "b"
    >>> [step.n for step in timeline.blame("tags").elements]
    [1, 2]
    """

    __slots__ = ("_dialect", "_replay", "_seqs", "_steps", "group_key", "id", "pruned")

    def __init__(
        self,
        id: str,
        history: History,
        dialect: Dialect | None = None,
        *,
        group_key: str | None = None,
        seqs: Sequence[int] = (),
        start: Start | None = None,
    ) -> None:
        """Take messages as JSON, in order after `start`; `seqs` are sequence numbers of the first ones."""
        self.id = id
        self.group_key = group_key
        self._seqs = tuple(seqs)
        self._steps: tuple[Step, ...] | None = None
        self._dialect = dialect or Dialect()
        self._replay = Replay(history, self._dialect, start or Start(None, partly_known=False, entries=0))
        self.pruned = self._replay.start.entries

    def __len__(self) -> int:
        """Number of messages, rejected ones included."""
        return len(self._replay.history)

    def __repr__(self) -> str:
        group = f", group_key={self.group_key!r}" if self.group_key is not None else ""
        before = f" after {self.pruned:,} pruned ones" if self.pruned else ""
        return f"Timeline({self.id!r}{group}, {len(self):,} messages{before})"

    def at(self, n: int) -> Profile | None:
        """Return the profile after its first `n` messages that were not pruned; None if there is none then.

        Raises:
            IndexError: `n` is not between 0 and the number of messages.
        """
        if not 0 <= index(n) <= len(self):
            raise IndexError(
                f"at({n}): the profile {self.id!r} has {len(self):,} messages, so 0 to {len(self)}"
            )
        properties, partly_known = self.properties(n)
        if properties is None:
            return None
        return Profile.owning(self.id, properties, group_key=self.group_key, partly_known=partly_known)

    def properties(self, n: int) -> tuple[Properties | None, bool]:
        """Return the properties that `at` has, and `Profile.partly_known`.

        Objects in them are not copied and must not be changed. Much faster than `at` for large profiles.

        >>> Timeline("ada", ['{"$distinct_id":"ada","$add":{"n":1}}']).properties(1)
        ({'n': 1}, False)
        """
        state = self._replay.state(index(n))
        return None if state.properties is None else copy_properties(state.properties), state.partly_known

    def begins(self, n: int) -> int:
        """Return the number of messages, at most `n`, that `at` need not apply again; the rest takes its time."""
        return self._replay.begins(n)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The profile's messages in order."""
        if self._steps is None:
            self._steps = tuple(map(self._step, range(1, len(self) + 1)))
        return self._steps

    def outcomes(self, n: int) -> tuple[Outcome, ...]:
        """Return the outcomes of message `n`, from 1."""
        return self._replay.outcomes(n)

    def changes(self, n: int) -> tuple[Change, ...]:
        """Return the changes of message `n`, from 1."""
        return self._replay.changes(n)

    def blame(self, name: str) -> Blame:
        """Return the steps that wrote a property, and each element of a list.

        Raises:
            KeyError: The property is absent; the message says what removed it.
        """
        writers = self._writers(name)
        if (value := writers.value) is ABSENT:
            raise KeyError(self._missing(name, writers))
        steps = {n: self._step(n) for n in writers.since}
        return Blame(
            value=value,
            by=steps[writers.since[-1]],
            elements=None if writers.elements is None else tuple(steps[n] for n in writers.elements),
            since=tuple(steps.values()),
        )

    def removed_by(self, name: str) -> Step | None:
        """Return the step that removed a property, alone or with the profile; None if none did or it exists.

        >>> from restante import Simulator
        >>> simulator = Simulator()
        >>> simulator.people_set("ada", {"trial": True})
        >>> simulator.people_unset("ada", ["trial"])
        >>> simulator.timeline("ada").removed_by("trial").n
        2
        """
        writers = self._writers(name)
        return None if writers.gone is None or writers.value is not ABSENT else self._step(writers.gone[0])

    def _writers(self, name: str) -> Writers:
        """Follow a property through all messages."""
        properties, _ = self.properties(0)
        writers = Writers(name, self._dialect, properties)
        for n, kept in enumerate(self._replay.history, 1):
            if not isinstance(kept, Unreadable):
                writers.take(n, json.loads(kept))
        return writers

    def _missing(self, name: str, writers: Writers) -> str:
        if writers.gone is None and self.pruned:
            return (
                f"the profile {self.id!r} has no property {name!r}, and no entry that was not pruned wrote it"
            )
        if writers.gone is None:
            return f"the profile {self.id!r} never had a property {name!r}"
        n, operator = writers.gone
        entry = f", entry {self._seq(n)} of the journal" if self._seq(n) is not None else ""
        return f"the profile {self.id!r} has no property {name!r} now: message {n} ({operator}{entry}) removed it"

    def continued(self, history: History, *, seqs: Sequence[int] = ()) -> "Timeline":
        """Return the timeline of another history of the same profile, usually a longer one.

        Messages of the common beginning are not applied again.

        Args:
            history: Messages as JSON, in order, after the same `Start`.
            seqs: Sequence numbers of the first ones.

        >>> import json
        >>> texts = [json.dumps({"$distinct_id": "ada", "$add": {"n": n}}) for n in (1, 2, 3)]
        >>> Timeline("ada", texts[:2]).continued(texts).at(3)
        Profile('ada', {'n': 6})
        """
        start = self._replay.start
        other = Timeline(self.id, history, self._dialect, group_key=self.group_key, seqs=seqs, start=start)
        other._replay = self._replay.continued(history)
        return other

    def _step(self, n: int) -> Step:
        return Step(0, None, "", self) if n == 0 else Step(n, self._seq(n), self._replay.history[n - 1], self)

    def _seq(self, n: int) -> int | None:
        return self._seqs[n - 1] if n <= len(self._seqs) else None
