"""Packing entries into requests: how many, how large, in which order. Pure."""

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any

from recorder.journal.folding import joined, passing
from recorder.model.counting import Counting
from recorder.model.intake import token_prefix
from recorder.model.json_value import MAX_UPDATE_BYTES, compact
from recorder.model.normalise import Message
from recorder.model.operations import Identity, Lane, Operator, identity_of
from recorder.model.routes import Import, route_of

__all__ = ["Packed", "Row", "as_folded", "pack"]

Row = tuple[int, str, *tuple[Any, ...]]
"""Number and message of an entry; what follows is not used here."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Entries that travel in one request.

    Attributes:
        numbers: Their numbers, ascending.
        body: The request's body: a JSON array of updates.
        updates: How many updates that is: one for each entry, or fewer if they are folded.
        route: How it goes to ``/import``; None if it goes to its lane's own endpoint.
    """

    numbers: tuple[int, ...]
    body: bytes
    updates: int
    route: Import | None = None


_NO_LIMIT = 2**62
_MOST_AT_ONCE = 16  # rows: more gains little, and each may take a megabyte
_NEAR = 32  # updates of a run that one may pass: a bound for the time it takes to find out
MOST_FOLDED = 10_000
"""Most entries folded into one request: one claim writes them down, and keeps them in memory."""


def pack(
    rows: Iterable[Row],
    *,
    lane: Lane,
    token: str,
    most_updates: int,
    most_bytes: int,
    now: float,
    most_entries: int | None = None,
    fold: bool = False,
    counting: Counting | None = None,
) -> Packed | None:
    """Return the first rows that fit one request, in the order given; None if there is no row.

    Events of one request have one route: it ends where that changes.

    Args:
        rows: Entry numbers and messages, and whatever else; read no further than needed, so that a long backlog of
            large messages is never in memory at once.
        lane: People and groups updates get the project's token; events and imports travel as they are.
        token: The project's token.
        most_updates: At least 1.
        most_bytes: Of the body. An update that fills it alone travels alone, rather than not at all.
        now: Seconds since the epoch, for the age of events.
        most_entries: Fewer than updates, or more if entries are folded; None for no limit.
        fold: Send a profile's updates as fewer ones with the same result; see `recorder.journal.folding`.
        counting: Count the adds of people, and mark charges, so that a profile tells which of them it holds.

    >>> pack([(1, '{"$distinct_id":"u1","$set":{}}')], lane=Lane.PEOPLE, token="T", most_updates=200,
    ...      most_bytes=1_000_000, now=1.5).body
    b'[{"$token":"T","$distinct_id":"u1","$set":{}}]'
    """
    prefix = token_prefix(token)
    profiles = lane in {Lane.PEOPLE, Lane.GROUPS}
    if counting is not None and lane is Lane.PEOPLE:
        rows = ((seq, counting.written(seq, text), *rest) for seq, text, *rest in rows)
    if fold and profiles:
        folded = _Folded(prefix.encode(), in_order=counting is not None)
        return _pack_folded(
            rows, folded, most_updates, most_bytes, min(most_entries or MOST_FOLDED, MOST_FOLDED)
        )
    if most_entries is not None:
        most_updates = min(most_updates, most_entries)
    if profiles:
        return _first(rows, most_updates, most_bytes, prefix, None)
    return _first(rows, most_updates, most_bytes, "", lambda text: route_of(lane, text, token=token, now=now))


def _first(
    rows: Iterable[Row],
    most_updates: int,
    most_bytes: int,
    prefix: str,
    routed: Callable[[str], Import | None] | None,
) -> Packed | None:
    """Return the first rows that fit; a prefix replaces the first brace of each message.

    Rows are read some at a time, at first one and never more than were taken already: one after another they take
    twice as long, and large ones that do not fit are read in vain.
    """
    numbers: list[int] = []
    parts: list[bytes] = []
    route, several = None, 1
    start, between = f"[{prefix}".encode(), f",{prefix}"
    behind, size = len(prefix) and 1, len(start)
    rows = iter(rows)
    while some := list(islice(rows, min(several, most_updates - len(numbers)))):
        own, texts = list(zip(*some, strict=True))[:2]
        fits = len(texts)
        if routed is not None:
            routes = [routed(text) for text in texts]
            route = route if numbers else routes[0]
            fits = next((place for place, each in enumerate(routes) if each != route), fits)
        tails = [text[behind:] for text in texts[:fits]]
        part = between.join(tails).encode()
        if size + len(part) >= most_bytes:  # one more is the bracket that closes
            ends = accumulate(
                [len(tail.encode()) + len(between) for tail in tails], initial=size - len(between)
            )
            fits = max(bisect_left(list(ends), most_bytes) - 1, 0 if numbers else 1)
            part = between.join(tails[:fits]).encode()
        if fits:
            numbers += own[:fits]
            parts.append(part)
        if fits < len(texts):
            break
        size += len(part) + len(between)
        several = min(len(numbers), _MOST_AT_ONCE)
    body = start + between.encode().join(parts) + b"]"
    return Packed(tuple(numbers), body, len(numbers), route) if numbers else None


def _pack_folded(
    rows: Iterable[Row], folded: "_Folded", most_updates: int, most_bytes: int, most_entries: int
) -> Packed | None:
    numbers: list[int] = []
    for number, text, *_ in rows:
        if not folded.take(number, json.loads(text), len(text.encode()), most_updates, most_bytes):
            break
        numbers.append(number)
        if len(numbers) == most_entries:
            break
    return Packed(tuple(numbers), folded.encoded(), folded.updates) if numbers else None


def as_folded(
    rows: Iterable[tuple[int, Message]], token: str, *, in_order: bool = False
) -> Iterable[tuple[int, Message]]:
    """Return the updates of a folded request, each with the number of the first entry in it.

    Args:
        rows: Numbers and messages of all entries that it carried, in order.
        token: The project's token.
        in_order: It was counted: no update passed another.

    >>> one = {"$distinct_id": "ada", "$add": {"n": 1}}
    >>> list(as_folded([(4, one), (5, one)], "T"))
    [(4, {'$distinct_id': 'ada', '$add': {'n': 2}})]
    """
    folded = _Folded(token_prefix(token).encode(), in_order=in_order)
    for number, message in rows:
        folded.take(number, message, len(compact(message).encode()), _NO_LIMIT, _NO_LIMIT)
    return folded.messages.items()


class _Folded:
    """The updates of one request, each profile's run folded as it comes.

    Updates that are counted stay in order, so that a part of them is always a first part of the run.
    """

    def __init__(self, prefix: bytes, *, in_order: bool = False) -> None:
        self._prefix = prefix
        self._in_order = in_order
        self.messages: dict[int, Message] = {}  # by the first entry's number, in the order in which they go
        self._sizes: dict[int, int] = {}
        self._total = 1  # the bracket that opens
        self._runs: dict[Identity, list[int]] = {}

    @property
    def updates(self) -> int:
        return len(self.messages)

    def encoded(self) -> bytes:
        updates = (self._prefix + compact(message).encode()[1:] for message in self.messages.values())
        return b"[" + b",".join(updates) + b"]"

    def take(self, number: int, message: Message, size: int, most_updates: int, most_bytes: int) -> bool:
        """Take the next message, of so many bytes; False, and nothing taken, where it does not fit."""
        run = self._runs.setdefault(identity_of(message), [])
        size += len(self._prefix)  # and a comma or a bracket, for the brace that is the prefix's
        absorbed: list[int] = []
        order = self._order(run, message)
        for place in reversed(order):
            one = joined(self.messages[place], message)
            if one is None or (both := self._size(place, one, message)) > MAX_UPDATE_BYTES:
                break
            message, size = one, both
            absorbed.append(place)
        total = self._total + size - sum(self._sizes[place] for place in absorbed)
        others = self.updates - len(absorbed)
        if others and (total > most_bytes or others >= most_updates):
            return False
        if order is not run:
            run[:] = order
            self.messages[order[-1]] = self.messages.pop(order[-1])
        for place in absorbed:
            del self._sizes[place]
        # In the place of the first that it absorbs: profiles keep the order in which they came.
        place = absorbed.pop() if absorbed else number
        for gone in absorbed:
            del self.messages[gone]
        run[len(run) - len(absorbed) - (place in self.messages) :] = [place]
        self.messages[place], self._sizes[place] = message, size
        self._total = total
        return True

    def _order(self, run: list[int], message: Message) -> list[int]:
        """Return a run, or an equivalent one whose last update the message joins."""
        if self._in_order:
            return run
        near = run[-_NEAR:]
        passes = passing([self.messages[place] for place in near], message)
        if passes is None:
            return run
        last = near.pop(passes)
        return [*run[:-_NEAR], *near, last]

    def _size(self, place: int, one: Message, message: Message) -> int:
        """The bytes of what two became.

        Of a union a little more: writing out a list at each member that joins it takes time that grows with the
        square of its length.
        """
        if (members := message.get(Operator.UNION)) is not None:
            return self._sizes[place] + len(compact(members).encode())
        return len(self._prefix) + len(compact(one).encode())
