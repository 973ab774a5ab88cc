"""`PeopleApi`: the verbs, shared by `Recorder` and `Simulator`, so that an app under test swaps one for the other.

Each verb builds one message and hands it to one hook. Names, parameters and messages are those of the
official Python SDK's `Mixpanel`, so that an app moves over by changing what it constructs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from recorder.model.errors import InvalidOperation, RestanteError
from recorder.model.json_value import kind_of
from recorder.model.normalise import Message
from recorder.model.operations import Lane, Operator

if TYPE_CHECKING:
    from recorder.model.shipping import ShipReport

__all__ = ["Batch", "PeopleApi"]

Meta = dict[str, Any] | None
Check = Callable[[Message], None]
"""A rule of one verb for its plain message; raises InvalidOperation."""
Item = TypeVar("Item")


class PeopleApi(ABC):
    """The operations on user and group profiles.

    Every verb takes ``meta``: special properties such as ``{"$ip": 0, "$ignore_time": True}`` that join the
    message last. Every verb returns None, and raises InvalidOperation, with nothing recorded, when the
    operation could never be accepted.

    >>> from restante import Simulator
    >>> people = Simulator()
    >>> people.people_set("ada", {"plan": "free"})
    >>> people.people_increment("ada", {"visits": 1})
    >>> people.group_union("company", "acme", {"sites": ["Oslo"]})
    >>> dict(people.profile("ada"))
    {'plan': 'free', 'visits': 1}
    """

    __slots__ = ()

    # --- the hooks

    @abstractmethod
    def _update(self, lane: Lane, message: Any, meta: Meta, check: Check | None = None) -> None:
        """Take one message: record it, apply it, or keep it for the end of a batch.

        Args:
            lane: People or groups.
            message: What a verb made, or the caller gave to an ``_update`` verb.
            meta: The caller's.
            check: The verb's own rule, applied once the message is plain JSON.
        """

    @abstractmethod
    def _now(self) -> float:
        """Seconds since the epoch."""

    @abstractmethod
    def batch(self) -> "Batch[Any]":
        """Begin a batch: all of its operations are recorded when the block ends, none if it raises.

        >>> from restante import Simulator
        >>> people = Simulator()
        >>> with people.batch() as batch:
        ...     batch.people_set("ada", {"plan": "pro"})
        ...     batch.people_unset("ada", ["trial"])
        """

    @abstractmethod
    def flush(self, timeout: float | None = 10.0) -> "ShipReport":
        """Ship what can be sent now; `timeout` in seconds."""

    @abstractmethod
    def close(self, timeout: float = 2.0) -> None:
        """Close it; `timeout` in seconds. Nothing recorded is lost."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- users

    def people_set(self, distinct_id: str | int, properties: dict[str, Any], meta: Meta = None) -> None:
        """Set properties, whatever they were."""
        self._update(Lane.PEOPLE, {"$distinct_id": distinct_id, "$set": properties}, meta)

    def people_set_once(self, distinct_id: str | int, properties: dict[str, Any], meta: Meta = None) -> None:
        """Set the properties that are not set yet."""
        self._update(Lane.PEOPLE, {"$distinct_id": distinct_id, "$set_once": properties}, meta)

    def people_increment(self, distinct_id: str | int, properties: dict[str, Any], meta: Meta = None) -> None:
        """Add numbers to properties; an absent one counts as 0, a negative number subtracts."""
        self._update(Lane.PEOPLE, {"$distinct_id": distinct_id, "$add": properties}, meta)

    def people_append(self, distinct_id: str | int, properties: dict[str, Any], meta: Meta = None) -> None:
        """Put a value at the end of each property's list, whether it is there already or not."""
        self._update(Lane.PEOPLE, {"$distinct_id": distinct_id, "$append": properties}, meta)

    def people_union(self, distinct_id: str | int, properties: dict[str, Any], meta: Meta = None) -> None:
        """Put the values that are missing at the end of each property's list."""
        self._update(Lane.PEOPLE, {"$distinct_id": distinct_id, "$union": properties}, meta)

    def people_remove(self, distinct_id: str | int, properties: dict[str, Any], meta: Meta = None) -> None:
        """Take a value out of each property's list."""
        self._update(Lane.PEOPLE, {"$distinct_id": distinct_id, "$remove": properties}, meta)

    def people_unset(self, distinct_id: str | int, properties: list[str], meta: Meta = None) -> None:
        """Remove the properties of these names."""
        self._update(Lane.PEOPLE, {"$distinct_id": distinct_id, "$unset": properties}, meta)

    def people_track_charge(
        self,
        distinct_id: str | int,
        amount: float,
        properties: dict[str, Any] | None = None,
        meta: Meta = None,
    ) -> None:
        """Record a charge: an append to ``$transactions`` of ``{"$amount": amount, …}``.

        A negative amount is a refund. Without a ``$time`` of its own the charge gets the time of this call,
        because it may ship days later. `amount` wins over an ``$amount`` in `properties`, which is not changed.
        """
        if properties is not None and not isinstance(properties, dict):
            raise InvalidOperation(
                "$append.$transactions", f"must be an object of names and values, not {kind_of(properties)}"
            )
        charge = {**(properties or {}), "$amount": amount}
        if "$time" not in charge:
            charge["$time"] = datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%S")
        message = {"$distinct_id": distinct_id, "$append": {"$transactions": charge}}
        self._update(Lane.PEOPLE, message, meta, _check_amount)

    def people_clear_charges(self, distinct_id: str | int, meta: Meta = None) -> None:
        """Remove all charges."""
        self.people_unset(distinct_id, ["$transactions"], meta)

    def people_delete(self, distinct_id: str | int, meta: Meta = None) -> None:
        """Delete the profile; later operations start a fresh one."""
        self._update(Lane.PEOPLE, {"$distinct_id": distinct_id, "$delete": ""}, meta)

    def people_update(self, message: dict[str, Any], meta: Meta = None) -> None:
        """Record an update message of a user, with one operator or several."""
        self._update(Lane.PEOPLE, message, meta)

    # --- groups

    def group_set(
        self, group_key: str, group_id: str | int, properties: dict[str, Any], meta: Meta = None
    ) -> None:
        """Set properties of a group, whatever they were."""
        self._group(Operator.SET, group_key, group_id, properties, meta)

    def group_set_once(
        self, group_key: str, group_id: str | int, properties: dict[str, Any], meta: Meta = None
    ) -> None:
        """Set the properties of a group that are not set yet."""
        self._group(Operator.SET_ONCE, group_key, group_id, properties, meta)

    def group_union(
        self, group_key: str, group_id: str | int, properties: dict[str, Any], meta: Meta = None
    ) -> None:
        """Put the values that are missing at the end of each property's list."""
        self._group(Operator.UNION, group_key, group_id, properties, meta)

    def group_unset(
        self, group_key: str, group_id: str | int, properties: list[str], meta: Meta = None
    ) -> None:
        """Remove the properties of these names."""
        self._group(Operator.UNSET, group_key, group_id, properties, meta)

    def group_remove(
        self, group_key: str, group_id: str | int, properties: dict[str, Any], meta: Meta = None
    ) -> None:
        """Take a value out of each property's list."""
        self._group(Operator.REMOVE, group_key, group_id, properties, meta)

    def group_delete(self, group_key: str, group_id: str | int, meta: Meta = None) -> None:
        """Delete the group's profile."""
        self._group(Operator.DELETE, group_key, group_id, "", meta)

    def group_update(self, message: dict[str, Any], meta: Meta = None) -> None:
        """Record an update message of a group, with one operator or several."""
        self._update(Lane.GROUPS, message, meta)

    def _group(
        self, operator: Operator, group_key: str, group_id: str | int, payload: Any, meta: Meta
    ) -> None:
        message = {"$group_key": group_key, "$group_id": group_id, operator.value: payload}
        self._update(Lane.GROUPS, message, meta)


def _check_amount(message: Message) -> None:
    # Not before the message is plain: a serializer may know an amount that is no number yet, such as a Decimal.
    match message:
        case {"$append": {"$transactions": {"$amount": bool() | str() | None | list() | dict() as amount}}}:
            raise InvalidOperation(
                "$append.$transactions.$amount", f"must be a number, not {kind_of(amount)}"
            )


def stamped(message: Any, meta: Meta, now: float) -> Message:
    """Return a message as the official SDK would build it: ``$time`` first, the message, the caller's meta last.

    Raises:
        InvalidOperation: The message or the meta is not an object.

    >>> stamped({"$distinct_id": "u1", "$set": {}}, {"$ip": 0}, 1.5)
    {'$time': 1.5, '$distinct_id': 'u1', '$set': {}, '$ip': 0}
    """
    if not isinstance(message, dict):
        raise InvalidOperation("message", f"must be an object, not {kind_of(message)}")
    if meta is None:
        return {"$time": now, **message}
    if not isinstance(meta, dict):
        raise InvalidOperation("meta", f"must be an object, not {kind_of(meta)}")
    return {"$time": now, **message, **meta}


class Batch(PeopleApi, Generic[Item]):
    """Operations that are taken together when the ``with`` block ends, or not at all if it raises.

    Each call validates and returns at once. Nothing is locked meanwhile, and calls on the batch's owner
    inside the block are not part of it: threads and tasks cannot commit each other's operations.
    """

    __slots__ = ("_accept", "_commit", "_items", "_owner")

    def __init__(
        self,
        owner: PeopleApi,
        accept: Callable[[Lane, Any, Meta, Check | None], list[Item]],
        commit: Callable[[list[Item]], None],
    ) -> None:
        self._owner = owner
        self._accept = accept
        self._commit = commit
        self._items: list[Item] | None = None

    def __enter__(self) -> Self:
        if self._items is not None:
            raise RestanteError("the batch is open already", hint="Begin another with recorder.batch().")
        self._items = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._items = None
        self.close()

    def __len__(self) -> int:
        """Return the number of entries in it."""
        return len(self._items or ())

    def __bool__(self) -> bool:
        """Return True, also for an empty batch."""
        return True

    def _update(self, lane: Lane, message: Any, meta: Meta, check: Check | None = None) -> None:
        if self._items is None:
            raise RestanteError(
                "the batch is not open", hint="Use it inside `with recorder.batch() as batch:`."
            )
        self._items.extend(self._accept(lane, message, meta, check))

    def _now(self) -> float:
        return self._owner._now()  # noqa: SLF001  # the owner's clock is the batch's

    def batch(self) -> "Batch[Item]":
        """Begin a batch inside the batch: its operations join this one when its block ends."""

        def join(items: list[Item]) -> None:
            if self._items is None:
                raise RestanteError("the outer batch is not open", hint="End the inner block first.")
            self._items.extend(items)

        return Batch(self, self._accept, join)

    def flush(self, timeout: float | None = 10.0) -> "ShipReport":
        """Ship the entries of its owner; the batch's own operations are not among them yet."""
        return self._owner.flush(timeout)

    def close(self, timeout: float = 2.0) -> None:  # noqa: ARG002  # a commit takes the time it takes
        """Commit its operations, as leaving the block does."""
        items, self._items = self._items, None
        if items:
            self._commit(items)
