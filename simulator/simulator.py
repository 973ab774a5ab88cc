"""`Simulator`: the operations applied to profiles in memory."""

import time
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from math import isfinite
from os import PathLike
from typing import Any, Self

from recorder.entries import ShipReport
from recorder.errors import InvalidOperation
from recorder.operations import (
    Identity,
    Lane,
    Message,
    check,
    identity_of,
    normalise,
    operators_of,
    split,
    written,
)
from recorder.people import Batch, Meta, PeopleApi, stamped
from simulator.dialect import Dialect
from simulator.outcomes import Outcome, Verdict
from simulator.profile import Profile
from simulator.semantics import Properties, apply_message

__all__ = ["Rejected", "Simulator", "Snapshot"]


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


class Simulator(PeopleApi):
    """Profiles in memory, and the operations on them as the service documents them.

    A `PeopleApi` like `Recorder`, applied at once and in the order of the calls. Not for several threads at
    a time without a lock of your own.

    Args:
        dialect: Policies for what the service does not document.
        clock: Seconds since the epoch, for ``$time`` and for charges without one.

    >>> simulator = Simulator()
    >>> simulator.people_increment("ada", {"visits": 2})
    >>> simulator.apply({"$distinct_id": "ada", "$add": {"visits": 1}})[0].verdict
    <Verdict.APPLIED: 'applied'>
    >>> dict(simulator.profile("ada"))
    {'visits': 3}
    """

    __slots__ = ("_clock", "_dialect", "_held", "_partly_known", "_rejected")

    def __init__(self, dialect: Dialect | None = None, clock: Callable[[], float] = time.time) -> None:
        self._dialect = dialect or Dialect()
        self._clock = clock
        self._held: dict[Identity, Properties] = {}
        self._partly_known: set[Identity] = set()
        self._rejected: list[Rejected] = []

    # --- applying

    def apply(self, message: Any) -> list[Outcome]:
        """Apply one update message, of a user or a group.

        Never raises for a malformed message: its outcomes say ``rejected``, and it joins `rejected`.

        Returns:
            One outcome per operator in written order; one for a message without identity or operator.
        """
        try:
            plain = normalise(message)
        except InvalidOperation as error:
            operators = (
                operators_of(message) if isinstance(message, dict) and all(map(_is_str, message)) else []
            )
            self._rejected.append(Rejected(message, str(error)))
            return [
                Outcome(name, Verdict.REJECTED, ((error.path, error.reason),)) for name in operators or [""]
            ]
        return self._apply(plain)

    def _apply(self, message: Message) -> list[Outcome]:
        try:
            identity = identity_of(message)
        except InvalidOperation as error:
            self._rejected.append(Rejected(deepcopy(message), str(error)))
            rejection = ((error.path, error.reason),)
            return [Outcome(name, Verdict.REJECTED, rejection) for name in operators_of(message) or [""]]
        after, outcomes = apply_message(self._held.get(identity), message, self._dialect)
        if after is None:
            self._held.pop(identity, None)
        else:
            self._held[identity] = after
        if any(outcome.verdict is Verdict.NOT_SIMULATED for outcome in outcomes):
            self._partly_known.add(identity)
        rejections = [outcome for outcome in outcomes if outcome.verdict is Verdict.REJECTED]
        if rejections:
            self._rejected.append(Rejected(deepcopy(message), ": ".join(rejections[0].reasons[0])))
        return outcomes

    def _accept(
        self, lane: Lane, message: Any, meta: Meta, fault: InvalidOperation | None = None
    ) -> list[Message]:
        if fault is not None:
            raise fault
        plain = normalise(stamped(message, meta, self._clock()))
        check(plain, lane)
        operators = operators_of(plain)
        for operator, single in zip(operators, split(plain, operators), strict=True):
            written(single, operator)  # a recorder would refuse what is too large
        return [plain]

    def _update(self, lane: Lane, message: Any, meta: Meta, fault: InvalidOperation | None = None) -> None:
        self._commit(self._accept(lane, message, meta, fault))

    def _commit(self, messages: list[Message]) -> None:
        for message in messages:
            self._apply(message)

    def _now(self) -> float:
        return self._clock()

    def batch(self) -> Batch[Message]:
        """Several operations applied together when the block ends, or not at all if it raises."""

        def keep(
            lane: Lane, message: Any, meta: Meta, fault: InvalidOperation | None = None
        ) -> list[Message]:
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
        return Profile(
            identity.id,
            self._held[identity],
            group_key=identity.group_key,
            partly_known=identity in self._partly_known,
        )

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """The messages that had no effect because they are malformed, in order."""
        return tuple(self._rejected)

    # --- keeping

    def reset(self) -> None:
        """Forget everything."""
        self.restore(Snapshot({}, frozenset(), ()))

    def snapshot(self) -> Snapshot:
        """The state as it is, for `restore`.

        >>> simulator = Simulator()
        >>> before = simulator.snapshot()
        >>> simulator.people_set("ada", {"plan": "pro"})
        >>> simulator.restore(before)
        >>> simulator.profiles
        {}
        """
        return Snapshot(deepcopy(self._held), frozenset(self._partly_known), tuple(self._rejected))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, which can be used again."""
        self._held = deepcopy(snapshot._held)  # noqa: SLF001
        self._partly_known = set(snapshot._partly_known)  # noqa: SLF001
        self._rejected = list(snapshot._rejected)  # noqa: SLF001

    # --- from elsewhere

    @classmethod
    def from_messages(cls, messages: Iterable[Any], dialect: Dialect | None = None) -> Self:
        """A simulator to which these messages were applied; malformed ones are in `rejected`.

        >>> Simulator.from_messages([{"$distinct_id": "ada", "$set": {"plan": "pro"}}]).profiles
        {'ada': Profile('ada', {'plan': 'pro'})}
        """
        simulator = cls(dialect)
        for message in _ordered(messages, simulator._dialect):
            simulator.apply(message)
        return simulator

    @classmethod
    def from_journal(
        cls, path: str | PathLike[str], *, shipped_only: bool = False, dialect: Dialect | None = None
    ) -> Self:
        """The profiles that a journal's entries make.

        Args:
            path: The journal's file, which is only read.
            shipped_only: Only what this journal shipped, in the order it was shipped; otherwise what it
                predicts: that, then all that is still to be sent, by number.
            dialect: Policies for what the service does not document.

        Raises:
            JournalError: The file is missing, or no journal.
        """
        from recorder.reader import JournalReader

        simulator = cls(dialect)
        with JournalReader(path) as reader:
            for message in _ordered(reader.history(shipped_only=shipped_only), simulator._dialect):
                simulator._apply(message)
        return simulator


def _is_str(name: Any) -> bool:
    return isinstance(name, str)


def _ordered(messages: Iterable[Any], dialect: Dialect) -> Iterator[Any]:
    if dialect.order == "sequence":
        yield from messages
        return
    latest = 0.0  # a message without a time stays behind the one before it
    timed = []
    for message in messages:
        stamp = message.get("$time") if isinstance(message, dict) else None
        if isinstance(stamp, int | float) and not isinstance(stamp, bool) and isfinite(stamp):
            latest = stamp
        timed.append((latest, message))
    yield from (message for _, message in sorted(timed, key=lambda pair: pair[0]))
