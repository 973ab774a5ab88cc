"""`Simulator`: the operations applied to profiles in memory."""

import json
import marshal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from math import isfinite
from operator import itemgetter
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from recorder.model.errors import InvalidOperation, RestanteError
from recorder.model.json_value import check_size, compact
from recorder.model.normalise import MESSAGE_DEPTH, Message, is_plain, normalise, normalise_with_text
from recorder.model.operations import Identity, Lane, examine, identity_of, operators_of, split
from recorder.model.people import Batch, Meta, PeopleApi, stamped
from recorder.model.reports import ShipReport
from simulator.dialect import Dialect
from simulator.outcomes import Outcome, Verdict
from simulator.profile import Profile
from simulator.semantics import Properties, apply_message, operate, own
from simulator.timeline import Start, Timeline, Unreadable

if TYPE_CHECKING:
    from recorder.reading.reader import JournalReader

__all__ = ["Rejected", "Simulator", "Snapshot"]

Item = TypeVar("Item")
_Accepted = tuple[Message, str]
"""A message that was found good, and its JSON."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that had no effect because it is malformed.

    Attributes:
        message: As it was given.
        reason: The place and what is wrong there.
    """

    message: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A simulator's state at one moment, for `Simulator.restore`."""

    _held: dict[Identity, Properties]
    _partly_known: frozenset[Identity]
    _rejected: tuple[Rejected, ...]
    _history: "_History | None"
    _journal: "_Journal | None"


_History = defaultdict[Identity, list[str | bytes | Unreadable]]
"""What was applied to a profile: messages as JSON, or as `marshal` wrote them; see `_told`."""

# A message is copied, as its owner may change it. No copy is made as quickly as marshal's, which takes a third of the
# time that JSON takes; for this process alone, so that its format does not matter.
_AS_IT_STANDS = 2  # marshal's version that looks for nothing that occurs twice
_SURROGATE = 0xED
"""The byte with which marshal begins a lone surrogate, which is no JSON (and some letters, and parts of numbers)."""

# Asked for with each operation, and Python 3.11 makes a call to find it in its class.
_NOT_SIMULATED = Verdict.NOT_SIMULATED


@dataclass(frozen=True, slots=True)
class _Journal:
    """Where a prediction came from, to be read anew for a timeline."""

    path: Path
    shipped_only: bool


class Simulator(PeopleApi):
    """Profiles in memory, and the operations on them as the service documents them.

    A `PeopleApi` like `Recorder`, applied at once and in the order of the calls. Not for several threads at
    a time without a lock of your own.

    Args:
        dialect: Policies for what the service does not document.
        clock: Seconds since the epoch, for ``$time`` and for charges without one.
        history: Whether to keep what is applied, as JSON, for `timeline`.

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
        "_held",
        "_history",
        "_journal",
        "_keeps_history",
        "_partly_known",
        "_rejected",
    )

    def __init__(
        self,
        dialect: Dialect | None = None,
        clock: Callable[[], float] = time.time,
        *,
        history: bool = True,
    ) -> None:
        self._dialect = dialect or Dialect()
        self._clock = clock
        self._held: dict[Identity, Properties] = {}
        self._partly_known: set[Identity] = set()
        self._rejected: list[Rejected] = []
        self._keeps_history = history
        self._history: _History | None = defaultdict(list) if history else None
        self._journal: _Journal | None = None

    # --- applying

    def apply(self, message: Any) -> list[Outcome]:
        """Apply one update message, of a user or a group.

        Never raises for a malformed message: its outcomes say ``rejected``, and it joins `rejected`.

        Returns:
            One outcome per operator in written order; one for a message without identity or operator.
        """
        if type(message) is dict and is_plain(message, MESSAGE_DEPTH):
            kept = marshal.dumps(message, _AS_IT_STANDS)
            if _SURROGATE not in kept:
                return self._apply(message, kept)
        try:
            plain, text = normalise_with_text(message)
        except InvalidOperation as error:
            return self._unreadable(message, error)
        return self._apply(plain, text)

    def _apply(self, message: Message, kept: str | bytes | None) -> list[Outcome]:
        """Apply a plain message, and remember it as it is to be kept, where that is given."""
        operators: tuple[str, ...]
        try:
            identity, operators = examine(message)
        except InvalidOperation:
            operators = ()
            try:
                identity = identity_of(message)
            except InvalidOperation as error:
                self._rejected.append(Rejected(deepcopy(message), str(error)))
                rejection = ((error.path, error.reason),)
                return [Outcome(name, Verdict.REJECTED, rejection) for name in operators_of(message) or [""]]
        if kept is not None and self._history is not None:
            self._history[identity].append(kept)
        before = self._held.get(identity)
        if len(operators) == 1:  # nearly all, and none of those can be rejected
            operator = operators[0]
            after, outcome = operate(before, operator, message[operator], self._dialect)
            if outcome.verdict is _NOT_SIMULATED:
                self._partly_known.add(identity)
            outcomes = [outcome]
        else:
            after, outcomes = apply_message(before, message, self._dialect)
            self._note(identity, message, outcomes)
        if after is None:
            self._held.pop(identity, None)
        elif after is not before:
            self._held[identity] = after
        return outcomes

    def _note(self, identity: Identity, message: Message, outcomes: list[Outcome]) -> None:
        """Remember what was not simulated, and what was rejected."""
        refusal = None
        for outcome in outcomes:
            if outcome.verdict is Verdict.NOT_SIMULATED:
                self._partly_known.add(identity)
            elif outcome.verdict is Verdict.REJECTED and refusal is None:
                refusal = outcome
        if refusal is not None:
            self._rejected.append(Rejected(deepcopy(message), ": ".join(refusal.reasons[0])))

    def _unreadable(self, message: Any, error: InvalidOperation) -> list[Outcome]:
        """What comes of a message that is no JSON."""
        operators = operators_of(message) if isinstance(message, dict) and all(map(_is_str, message)) else []
        self._rejected.append(Rejected(message, str(error)))
        outcomes = [
            Outcome(name, Verdict.REJECTED, ((error.path, error.reason),)) for name in operators or [""]
        ]
        if self._history is not None and (identity := _named(message)) is not None:
            self._history[identity].append(Unreadable(message, tuple(outcomes)))
        return outcomes

    def _accept(
        self, lane: Lane, message: Any, meta: Meta, fault: InvalidOperation | None = None
    ) -> list[_Accepted]:
        if fault is not None:
            raise fault
        plain, text = normalise_with_text(stamped(message, meta, self._clock()))
        _, operators = examine(plain, lane)
        # A recorder would refuse what is too large.
        if len(operators) == 1:
            check_size(text, operators[0])
        else:
            for operator, single in zip(operators, split(plain, operators), strict=True):
                check_size(compact(single), operator)
        return [(plain, text)]

    def _update(self, lane: Lane, message: Any, meta: Meta, fault: InvalidOperation | None = None) -> None:
        self._commit(self._accept(lane, message, meta, fault))

    def _commit(self, accepted: list[_Accepted]) -> None:
        for message, text in accepted:
            self._apply(message, text)

    def _now(self) -> float:
        return self._clock()

    def batch(self) -> Batch[_Accepted]:
        """Several operations applied together when the block ends, or not at all if it raises."""

        def keep(
            lane: Lane, message: Any, meta: Meta, fault: InvalidOperation | None = None
        ) -> list[_Accepted]:
            return deepcopy(self._accept(lane, message, meta, fault))

        return Batch(self, keep, self._commit)

    def flush(self, timeout: float | None = 10.0) -> ShipReport:  # noqa: ARG002
        """Nothing waits here: an empty report, done."""
        return ShipReport()

    def close(self, timeout: float = 2.0) -> None:
        """Nothing to close; the profiles stay readable."""

    # --- looking

    @property
    def profiles(self) -> dict[str, Profile]:
        """The users' profiles by id, in the order they came to be; a snapshot."""
        return {id_.id: self._profile(id_) for id_ in self._held if id_.group_key is None}

    @property
    def groups(self) -> dict[tuple[str, str], Profile]:
        """The groups' profiles by (group key, group id); a snapshot."""
        return {
            (id_.group_key, id_.id): self._profile(id_) for id_ in self._held if id_.group_key is not None
        }

    def profile(self, id: str | int, *, group_key: str | None = None) -> Profile:  # noqa: A002
        """One profile as it stands; a snapshot.

        Raises:
            KeyError: There is no such profile.
        """
        return self._profile(Identity(group_key, str(id)))

    def _profile(self, identity: Identity) -> Profile:
        return Profile._of(  # noqa: SLF001
            identity.id,
            own(self._held[identity]),
            group_key=identity.group_key,
            partly_known=identity in self._partly_known,
        )

    def timeline(self, id: str | int, *, group_key: str | None = None) -> Timeline:  # noqa: A002
        """One profile through time: how it stood after each message, what each changed, who wrote what.

        A snapshot of the messages so far, deleted profiles' and malformed ones included; they are applied
        again, by this simulator's dialect, when somebody looks. Of `from_journal` it is the profile's entries as
        the journal holds them now, in the order of the prediction and with their numbers (what was recorded and
        shipped since is in it), and then what was applied to this simulator by hand. Entries that are not part
        of the prediction, such as rejected ones, are not in it. Of entries that were pruned it knows what they made
        of the profile together: it begins with that; see `Timeline.pruned`.

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
        history = [*(text for _, text in journaled), *map(_told, self._history.get(identity, ()))]
        if not history and start is None:
            owner = "" if group_key is None else f" of the group key {group_key!r}"
            raise KeyError(f"no message ever named the profile {identity.id!r}{owner}")
        seqs = [seq for seq, _ in journaled]
        return Timeline(identity.id, history, self._dialect, group_key=group_key, seqs=seqs, start=start)

    def _journaled(self, identity: Identity) -> tuple[Start | None, list[tuple[int, str]]]:
        """What a profile's pruned entries made of it, and its entries: their numbers, and their JSON.

        In the order in which `from_journal` applies them.
        """
        if self._journal is None:
            return None, []
        from recorder.reading.reader import JournalReader

        shipped_only = self._journal.shipped_only
        with JournalReader(self._journal.path) as reader:

            def read() -> tuple[Start | None, list[tuple[int, str]]]:
                kept = reader.baseline_of(identity.id, identity.group_key)
                start = None
                if kept is not None and (kept.entries or kept.partly_known):  # not what was given up only
                    start = Start(_properties(kept.properties), kept.partly_known, kept.entries)
                rows = reader.history_of(identity.id, identity.group_key, shipped_only=shipped_only)
                if self._dialect.order == "sequence":
                    return start, rows
                stamps = [(_stamp(json.loads(text)), (seq, text)) for seq, text in rows]
                timed = [(stamp, row) for stamp, row in stamps if stamp is not None]
                if len(timed) < len(rows):
                    # Where the others come depends on the entries before them, whosever those are.
                    everybody = _timed(reader.numbered_history(shipped_only=shipped_only), itemgetter(1))
                    timed = [
                        (stamp, (seq, compact(message)))
                        for stamp, (seq, message) in everybody
                        if _named(message) == identity
                    ]
                return start, [row for _, row in sorted(timed, key=itemgetter(0))]

            return reader.unpruned(read)

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """The messages that had no effect because they are malformed, in order."""
        return tuple(self._rejected)

    # --- keeping

    def reset(self) -> None:
        """Forget everything."""
        self.restore(Snapshot({}, frozenset(), (), defaultdict(list), None))

    def snapshot(self) -> Snapshot:
        """The state as it is, for `restore`.

        >>> simulator = Simulator()
        >>> before = simulator.snapshot()
        >>> simulator.people_set("ada", {"plan": "pro"})
        >>> simulator.restore(before)
        >>> simulator.profiles
        {}
        """
        return Snapshot(
            _own(self._held),
            frozenset(self._partly_known),
            tuple(self._rejected),
            _copy(self._history),
            self._journal,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, which can be used again."""
        self._held = _own(snapshot._held)  # noqa: SLF001
        self._partly_known = set(snapshot._partly_known)  # noqa: SLF001
        self._rejected = list(snapshot._rejected)  # noqa: SLF001
        self._history = _copy(snapshot._history) if self._keeps_history else None  # noqa: SLF001
        self._journal = snapshot._journal  # noqa: SLF001

    # --- from elsewhere

    @classmethod
    def from_messages(
        cls, messages: Iterable[Any], dialect: Dialect | None = None, *, history: bool = True
    ) -> Self:
        """A simulator to which these messages were applied; malformed ones are in `rejected`.

        Args:
            messages: Update messages; they are not changed.
            dialect: Policies for what the service does not document.
            history: Whether to keep them, as JSON, for `timeline`.

        >>> Simulator.from_messages([{"$distinct_id": "ada", "$set": {"plan": "pro"}}]).profiles
        {'ada': Profile('ada', {'plan': 'pro'})}
        """
        simulator = cls(dialect, history=history)
        for message in _ordered(messages, simulator._dialect):
            simulator.apply(message)
        return simulator

    @classmethod
    def from_journal(
        cls, path: str | PathLike[str], *, shipped_only: bool = False, dialect: Dialect | None = None
    ) -> Self:
        """The profiles that a journal's entries make.

        The entries are not kept: `timeline` reads those of its profile anew. Entries that were pruned are in it as
        what they made of their profiles together, by the default dialect and before all others.

        Args:
            path: The journal's file, which is only read.
            shipped_only: Only what this journal shipped, in the order it was shipped; otherwise what it
                predicts: that, then all that is still to be sent, by number.
            dialect: Policies for what the service does not document.

        Raises:
            JournalError: The file is missing, or no journal.
        """
        from recorder.reading.reader import JournalReader

        with JournalReader(path) as reader:
            return reader.unpruned(lambda: cls._read(reader, _Journal(reader.path, shipped_only), dialect))

    @classmethod
    def _read(cls, reader: "JournalReader", journal: _Journal, dialect: Dialect | None) -> Self:
        simulator = cls(dialect)
        simulator._journal = journal
        for kept in reader.baseline():
            simulator._begin(
                Identity(kept.group_key, kept.profile), kept.properties, partly_known=kept.partly_known
            )
        for message in _ordered(reader.history(shipped_only=journal.shipped_only), simulator._dialect):
            simulator._apply(message, None)
        return simulator

    def _begin(self, identity: Identity, properties: Mapping[str, Any] | None, *, partly_known: bool) -> None:
        """A profile as it was when what is applied begins."""
        if (held := _properties(properties)) is not None:
            self._held[identity] = held
        if partly_known:
            self._partly_known.add(identity)


def _properties(properties: Mapping[str, Any] | None) -> Properties | None:
    return None if properties is None else dict(properties)


def _is_str(name: Any) -> bool:
    return isinstance(name, str)


def _told(kept: str | bytes | Unreadable) -> str | Unreadable:
    """What a history keeps, as a timeline takes it."""
    return compact(marshal.loads(kept)) if isinstance(kept, bytes) else kept  # noqa: S302  # ours


def _own(held: dict[Identity, Properties]) -> dict[Identity, Properties]:
    return {identity: own(properties) for identity, properties in held.items()}


def _copy(history: _History | None) -> _History | None:
    if history is None:
        return None
    return defaultdict(list, {identity: list(kept) for identity, kept in history.items()})


def _named(message: Any) -> Identity | None:
    """Whose profile a message is about, be it JSON or not; None where it does not say."""
    if not isinstance(message, dict):
        return None
    try:
        return identity_of(normalise({name: message[name] for name in _NAMING if name in message}))
    except InvalidOperation:
        return None


_NAMING = ("$distinct_id", "$group_key", "$group_id")


def _ordered(messages: Iterable[Any], dialect: Dialect) -> Iterator[Any]:
    if dialect.order == "sequence":
        yield from messages
        return
    timed = sorted(_timed(messages, lambda message: message), key=itemgetter(0))
    yield from (message for _, message in timed)


def _timed(items: Iterable[Item], message_of: Callable[[Item], Any]) -> Iterator[tuple[float, Item]]:
    """Each item with its message's time; one without a time stays behind the one before it."""
    latest = 0.0
    for item in items:
        stamp = _stamp(message_of(item))
        latest = latest if stamp is None else stamp
        yield latest, item


def _stamp(message: Any) -> float | None:
    """The time a message gives itself; None where it gives none."""
    stamp = message.get("$time") if isinstance(message, dict) else None
    if isinstance(stamp, bool) or not isinstance(stamp, int | float):
        return None
    try:
        return stamp if isfinite(stamp) else None
    except OverflowError:  # an integer that no double can hold
        return None
