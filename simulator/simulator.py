"""`Simulator`: the operations applied to profiles in memory."""

import marshal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from recorder.model.dialect import Dialect, of_recorded
from recorder.model.errors import InvalidOperation, RestanteError
from recorder.model.json_value import check_size, compact
from recorder.model.normalise import (
    MESSAGE_DEPTH,
    Message,
    Serializer,
    is_plain,
    normalise,
    normalise_with_text,
)
from recorder.model.operations import Identity, Lane, examine, identity_of, operators_of, split
from recorder.model.outcomes import Outcome, Verdict
from recorder.model.people import Batch, Check, Meta, PeopleApi, stamped
from recorder.model.reports import Baseline
from recorder.model.semantics import Properties, apply_message, copy_properties, operate
from recorder.model.shipping import ShipReport
from simulator.profile import Profile
from simulator.quick import marshalled, user_and_operator
from simulator.replay import Start, Unreadable
from simulator.timeline import Timeline

if TYPE_CHECKING:
    from recorder.reading.reader import JournalReader

__all__ = ["Rejected", "Simulator", "Snapshot"]

_Key = str | tuple[str, str]
"""A user's id alone, which is found fastest, or a group's key and id."""

_Accepted = tuple[Message, str]
"""A valid message, and its JSON."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that had no effect because it is malformed.

    Attributes:
        message: As given.
        reason: The place in it, and the error there.
    """

    message: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a simulator, for `Simulator.restore`."""

    _profiles: dict[_Key, Properties]
    _partly_known: frozenset[_Key]
    _rejected: tuple[Rejected, ...]
    _history: "_History | None"
    _journal: "_Journal | None"


_History = defaultdict[_Key, list[str | bytes | Unreadable]]
"""The messages applied to each profile: as JSON, or in `marshal`'s format."""

# Needed for each operation, and on Python 3.11 a member of an enum takes a call to find.
_NOT_SIMULATED = Verdict.NOT_SIMULATED


def _system_time() -> float:
    return time.time()  # looked up at each call: a test may replace it (freezegun)


@dataclass(frozen=True, slots=True)
class _Journal:
    """The journal of a prediction, read again for timelines."""

    path: Path
    shipped_only: bool


class Simulator(PeopleApi):
    """Profiles in memory, and the documented operations on them.

    A `PeopleApi` like `Recorder`; operations apply at once. Not thread-safe.

    Args:
        dialect: Policies for what the service does not document.
        clock: Seconds since the epoch, for ``$time`` and for charges without one.
        serializer: As for `Recorder`.
        history: True to keep messages for `timeline`.

    >>> simulator = Simulator()
    >>> simulator.people_increment("ada", {"visits": 2})
    >>> simulator.apply({"$distinct_id": "ada", "$add": {"visits": 1}})[0].verdict
    <Verdict.APPLIED: 'applied'>
    >>> dict(simulator.profile("ada"))
    {'visits': 3}
    """

    __slots__ = (
        "_clock",
        "_dialect",
        "_history",
        "_journal",
        "_keeps_history",
        "_partly_known",
        "_properties",
        "_rejected",
        "_serializer",
    )

    def __init__(
        self,
        dialect: Dialect | None = None,
        clock: Callable[[], float] = _system_time,
        *,
        serializer: Serializer | None = None,
        history: bool = True,
    ) -> None:
        self._serializer = serializer
        self._dialect = dialect or Dialect()
        self._clock = clock
        self._properties: dict[_Key, Properties] = {}
        self._partly_known: set[_Key] = set()
        self._rejected: list[Rejected] = []
        self._keeps_history = history
        self._history: _History | None = defaultdict(list) if history else None
        self._journal: _Journal | None = None

    # --- applying

    def apply(self, message: Any) -> list[Outcome]:
        """Apply one update message, of a user or a group.

        A malformed message raises nothing: its outcomes are ``rejected``, and it is added to `rejected`.

        Returns:
            One outcome per operator in written order; one for a message without identity or operator.
        """
        found = user_and_operator(message)
        plain = found is not None or (type(message) is dict and is_plain(message, MESSAGE_DEPTH))
        if plain and (kept := marshalled(message)) is not None:
            if found is None:
                return self._apply(message, kept)
            user, operator = found
            return [self._operate(user, operator, message[operator], kept)]
        try:
            normal, text = normalise_with_text(message)
        except InvalidOperation as error:
            return self._unreadable(message, error)
        return self._apply(normal, text)

    def _apply(self, message: Message, kept: str | bytes | None) -> list[Outcome]:
        """Apply a plain message, and add it to the history as `kept` unless None."""
        operators: tuple[str, ...]
        try:
            identity, operators = examine(message, None, self._dialect.unknown_operators)
        except InvalidOperation:
            operators = ()
            try:
                identity = identity_of(message)
            except InvalidOperation as error:
                self._rejected.append(Rejected(deepcopy(message), str(error)))
                rejection = ((error.path, error.reason),)
                return [Outcome(name, Verdict.REJECTED, rejection) for name in operators_of(message) or [""]]
        key = _key(identity)
        if len(operators) == 1:  # nearly all messages; it cannot be rejected any more
            return [self._operate(key, operators[0], message[operators[0]], kept)]
        if kept is not None and self._history is not None:
            self._history[key].append(kept)
        before = self._properties.get(key)
        after, outcomes = apply_message(before, message, self._dialect)
        self._note(key, message, outcomes)
        if after is None:
            self._properties.pop(key, None)
        elif after is not before:
            self._properties[key] = after
        return outcomes

    def _operate(self, key: _Key, operator: str, payload: Any, kept: str | bytes | None) -> Outcome:
        """Apply one valid operation, and add its message to the history as `kept` unless None."""
        if kept is not None and self._history is not None:
            self._history[key].append(kept)
        before = self._properties.get(key)
        after, outcome = operate(before, operator, payload, self._dialect)
        if after is None:
            self._properties.pop(key, None)
        elif before is None:
            self._properties[key] = after
        if outcome.verdict is _NOT_SIMULATED:
            self._partly_known.add(key)
        return outcome

    def _note(self, key: _Key, message: Message, outcomes: list[Outcome]) -> None:
        """Note operators of unknown effect, and rejections."""
        refusal = None
        for outcome in outcomes:
            if outcome.verdict is Verdict.NOT_SIMULATED:
                self._partly_known.add(key)
            elif outcome.verdict is Verdict.REJECTED and refusal is None:
                refusal = outcome
        if refusal is not None:
            self._rejected.append(Rejected(deepcopy(message), ": ".join(refusal.reasons[0])))

    def _unreadable(self, message: Any, error: InvalidOperation) -> list[Outcome]:
        """Reject a message that is not JSON."""
        operators = (
            operators_of(message)
            if isinstance(message, dict) and all(isinstance(name, str) for name in message)
            else []
        )
        self._rejected.append(Rejected(message, str(error)))
        outcomes = [
            Outcome(name, Verdict.REJECTED, ((error.path, error.reason),)) for name in operators or [""]
        ]
        if self._history is not None and (identity := _named(message)) is not None:
            self._history[_key(identity)].append(Unreadable(message, tuple(outcomes)))
        return outcomes

    def _accept(self, lane: Lane, message: Any, meta: Meta, check: Check | None = None) -> list[_Accepted]:
        plain, text = normalise_with_text(stamped(message, meta, self._clock()), self._serializer)
        if check is not None:
            check(plain)
        _, operators = examine(plain, lane, self._dialect.unknown_operators)
        # A recorder would refuse what is too large.
        if len(operators) == 1:
            check_size(text, operators[0])
        else:
            for operator, single in zip(operators, split(plain, operators), strict=True):
                check_size(compact(single), operator)
        return [(plain, text)]

    def _update(self, lane: Lane, message: Any, meta: Meta, check: Check | None = None) -> None:
        self._commit(self._accept(lane, message, meta, check))

    def _commit(self, accepted: list[_Accepted]) -> None:
        for message, text in accepted:
            self._apply(message, text)

    def _now(self) -> float:
        return self._clock()

    def batch(self) -> Batch[_Accepted]:
        """Return a batch: operations applied together when its block ends, none if it raises."""

        def keep(lane: Lane, message: Any, meta: Meta, check: Check | None = None) -> list[_Accepted]:
            return deepcopy(self._accept(lane, message, meta, check))

        return Batch(self, keep, self._commit)

    def flush(self, timeout: float | None = 10.0) -> ShipReport:  # noqa: ARG002
        """Return an empty report: nothing waits to be sent."""
        return ShipReport()

    def close(self, timeout: float = 2.0) -> None:
        """Do nothing; profiles stay readable."""

    # --- reading

    @property
    def profiles(self) -> dict[str, Profile]:
        """Users' profiles by id, in order of creation; a snapshot."""
        return {key: self._profile(key) for key in self._properties if isinstance(key, str)}

    @property
    def groups(self) -> dict[tuple[str, str], Profile]:
        """Groups' profiles by (group key, group id); a snapshot."""
        return {key: self._profile(key) for key in self._properties if not isinstance(key, str)}

    def profile(self, id: str | int, *, group_key: str | None = None) -> Profile:
        """Return one profile; a snapshot.

        Raises:
            KeyError: No such profile.
        """
        return self._profile(_key(Identity(group_key, str(id))))

    def _profile(self, key: _Key) -> Profile:
        group_key, id_ = (None, key) if isinstance(key, str) else key
        return Profile.owning(
            id_,
            copy_properties(self._properties[key]),
            group_key=group_key,
            partly_known=key in self._partly_known,
        )

    def timeline(self, id: str | int, *, group_key: str | None = None) -> Timeline:
        """Return the history of one profile: its state after each message, changes, and writers.

        A snapshot of the messages so far, malformed ones and those of deleted profiles included. After `from_journal`
        it has the profile's entries that the journal has now, in predicted order and with their sequence numbers, and
        then messages applied to this simulator since. Entries outside the prediction, such as rejected ones, are left
        out. It begins with the state that pruned entries left; see `Timeline.pruned`.

        Raises:
            KeyError: No message ever named that profile.
            RestanteError: This simulator keeps no history.
            JournalError: The journal cannot be read any more.

        >>> simulator = Simulator()
        >>> simulator.people_set("ada", {"plan": "free"})
        >>> simulator.people_set("ada", {"plan": "pro"})
        >>> timeline = simulator.timeline("ada")
        >>> timeline.at(1)["plan"], timeline.blame("plan").by.n
        ('free', 2)
        """
        if self._history is None:
            raise RestanteError("this simulator keeps no history", hint="Make it with history=True.")
        identity = Identity(group_key, str(id))
        start, journaled = self._journaled(identity)
        history = [*(text for _, text in journaled), *map(_as_json, self._history.get(_key(identity), ()))]
        if not history and start is None:
            owner = "" if group_key is None else f" of the group key {group_key!r}"
            raise KeyError(f"no message ever named the profile {identity.id!r}{owner}")
        seqs = [seq for seq, _ in journaled]
        return Timeline(identity.id, history, self._dialect, group_key=group_key, seqs=seqs, start=start)

    def _journaled(self, identity: Identity) -> tuple[Start | None, list[tuple[int, str]]]:
        """Return a profile's state after its pruned entries, and its other entries: sequence number and JSON.

        In the order in which `from_journal` applies them.
        """
        journal = self._journal
        if journal is None:
            return None, []
        from recorder.reading.reader import JournalReader

        with JournalReader(journal.path) as reader:
            kept, entries = reader.history_of(
                identity.id, identity.group_key, shipped_only=journal.shipped_only
            )
        return _start(kept), entries

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """Malformed messages, which had no effect, in order."""
        return tuple(self._rejected)

    # --- saving and restoring

    def reset(self) -> None:
        """Forget all profiles, messages and history."""
        self.restore(Snapshot({}, frozenset(), (), defaultdict(list), None))

    def snapshot(self) -> Snapshot:
        """Return the present state, for `restore`.

        >>> simulator = Simulator()
        >>> before = simulator.snapshot()
        >>> simulator.people_set("ada", {"plan": "pro"})
        >>> simulator.restore(before)
        >>> simulator.profiles
        {}
        """
        return Snapshot(
            _copied(self._properties),
            frozenset(self._partly_known),
            tuple(self._rejected),
            _copied_history(self._history),
            self._journal,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a snapshot, which can be used again."""
        self._properties = _copied(snapshot._profiles)
        self._partly_known = set(snapshot._partly_known)
        self._rejected = list(snapshot._rejected)
        self._history = _copied_history(snapshot._history) if self._keeps_history else None
        self._journal = snapshot._journal

    # --- making one

    @classmethod
    def from_messages(
        cls, messages: Iterable[Any], dialect: Dialect | None = None, *, history: bool = True
    ) -> Self:
        """Return a simulator with these messages applied; malformed ones are in `rejected`.

        Args:
            messages: Update messages; they are not changed.
            dialect: Policies for what the service does not document.
            history: True to keep them for `timeline`.

        >>> Simulator.from_messages([{"$distinct_id": "ada", "$set": {"plan": "pro"}}]).profiles
        {'ada': Profile('ada', {'plan': 'pro'})}
        """
        simulator = cls(dialect, history=history)
        for message in messages:
            simulator.apply(message)
        return simulator

    @classmethod
    def from_journal(
        cls, path: str | PathLike[str], *, shipped_only: bool = False, dialect: Dialect | None = None
    ) -> Self:
        """Return a simulator with a journal's entries applied.

        Pruned entries come first, as the profiles that they made by the default dialect. Entries are not kept in
        memory: `timeline` reads those of its profile again.

        Args:
            path: The journal's file, which is only read.
            shipped_only: True for shipped entries only, in shipped order. Otherwise the prediction: these, then all
                entries still to be sent, by sequence number.
            dialect: Policies for what the service does not document. No entry is rejected for its operator: whoever
                recorded it wanted that shipped.

        Raises:
            JournalError: The file is missing or not a journal.
        """
        from recorder.reading.reader import JournalReader

        with JournalReader(path) as reader:
            return reader.unpruned(lambda: cls._read(reader, _Journal(reader.path, shipped_only), dialect))

    @classmethod
    def _read(cls, reader: "JournalReader", journal: _Journal, dialect: Dialect | None) -> Self:
        simulator = cls(of_recorded(dialect))
        simulator._journal = journal
        for kept in reader.baseline():
            key = _key(Identity(kept.group_key, kept.profile))
            if (properties := _plain(kept.properties)) is not None:
                simulator._properties[key] = properties
            if kept.partly_known:
                simulator._partly_known.add(key)
        for message in reader.history(shipped_only=journal.shipped_only):
            simulator._apply(message, None)
        return simulator


def _start(kept: Baseline | None) -> Start | None:
    """Return a profile's state after its pruned entries; None if none were pruned."""
    if kept is None or not (kept.entries or kept.partly_known):  # discarded entries only
        return None
    return Start(_plain(kept.properties), kept.partly_known, kept.entries)


def _plain(properties: Mapping[str, Any] | None) -> Properties | None:
    return None if properties is None else dict(properties)


def _as_json(kept: str | bytes | Unreadable) -> str | Unreadable:
    return compact(marshal.loads(kept)) if isinstance(kept, bytes) else kept  # noqa: S302  # made by `marshalled`


def _key(identity: Identity) -> _Key:
    return identity.id if identity.group_key is None else (identity.group_key, identity.id)


def _copied(profiles: dict[_Key, Properties]) -> dict[_Key, Properties]:
    return {key: copy_properties(properties) for key, properties in profiles.items()}


def _copied_history(history: _History | None) -> _History | None:
    if history is None:
        return None
    return defaultdict(list, {key: list(kept) for key, kept in history.items()})


def _named(message: Any) -> Identity | None:
    """Return the profile that a message names, even if it is not JSON; None if it names none."""
    if not isinstance(message, dict):
        return None
    try:
        return identity_of(normalise({name: message[name] for name in _NAMING if name in message}))
    except InvalidOperation:
        return None


_NAMING = ("$distinct_id", "$group_key", "$group_id")
