"""Packing entries into requests: how many, how large, in which order. Pure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from recorder.folding import joined
from recorder.intake import token_prefix
from recorder.operations import MAX_UPDATE_BYTES, Identity, Lane, Message, compact, identity_of

__all__ = ["Packed", "pack"]


@dataclass(frozen=True, slots=True)
class Packed:
    """Entries that travel in one request.

    Attributes:
        numbers: Their numbers, ascending.
        body: The request's body: a JSON array of updates.
        updates: How many updates that are: one for each entry, or fewer where they are folded.
    """

    numbers: tuple[int, ...]
    body: bytes
    updates: int


MOST_FOLDED = 10_000
"""The most entries that are folded into one request: what one claim writes down, and holds in memory."""


def pack(
    rows: Iterable[tuple[int, str]],
    *,
    lane: Lane,
    token: str,
    most_updates: int,
    most_bytes: int,
    fold: bool = False,
) -> Packed | None:
    """The first rows that fit one request, in the order given; None where there is no row.

    Args:
        rows: Entry numbers and messages; read no further than needed, so that a long backlog of large
            messages is never in memory at once.
        lane: People and groups updates get the project's token; events and imports travel as they are.
        token: The project's token.
        most_updates: At least 1.
        most_bytes: Of the body. An update that fills it alone travels alone, rather than not at all.
        fold: Whether a profile's updates may travel as fewer ones with the same result; see `recorder.folding`.

    >>> pack([(1, '{"$distinct_id":"u1","$set":{}}')], lane=Lane.PEOPLE, token="T", most_updates=200,
    ...      most_bytes=1_000_000)
    Packed(numbers=(1,), body=b'[{"$token":"T","$distinct_id":"u1","$set":{}}]', updates=1)
    """
    prefix = token_prefix(token).encode()
    profiles = lane in {Lane.PEOPLE, Lane.GROUPS}
    if fold and profiles:
        return _pack_folded(rows, prefix, most_updates, most_bytes)
    numbers: list[int] = []
    updates: list[bytes] = []
    size = 1  # the bracket that opens; each update brings a comma or the bracket that closes
    for number, message in rows:
        text = message.encode()
        update = prefix + text[1:] if profiles else text
        if updates and size + len(update) + 1 > most_bytes:
            break
        numbers.append(number)
        updates.append(update)
        size += len(update) + 1
        if len(updates) == most_updates:
            break
    return Packed(tuple(numbers), _array(updates), len(updates)) if updates else None


def _array(updates: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(updates) + b"]"


def _pack_folded(
    rows: Iterable[tuple[int, str]], prefix: bytes, most_updates: int, most_bytes: int
) -> Packed | None:
    folded = _Folded(prefix)
    numbers: list[int] = []
    for number, text in rows:
        if not folded.take(json.loads(text), len(text.encode()), most_updates, most_bytes):
            break
        numbers.append(number)
        if len(numbers) == MOST_FOLDED:
            break
    return Packed(tuple(numbers), _array(folded.encoded()), folded.updates) if numbers else None


class _Folded:
    """The updates of one request, each profile's run folded as it comes.

    Sizes are upper bounds until they would exceed the limit: a counter's updates are not written out ten thousand
    times to learn that the sum is no longer than they were.
    """

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix
        self._messages: dict[int, Message] = {}  # by place, in the order in which they go
        self._sizes: dict[int, int] = {}
        self._runs: dict[Identity, list[int]] = {}
        self._next = 0
        self._total = 1

    @property
    def updates(self) -> int:
        return len(self._messages)

    def encoded(self) -> Iterator[bytes]:
        return (self._prefix + compact(message).encode()[1:] for message in self._messages.values())

    def _size(self, message: Message) -> int:
        return len(self._prefix) + len(compact(message).encode())

    def take(self, message: Message, size: int, most_updates: int, most_bytes: int) -> bool:
        """Take the next message; False, and nothing taken, where it does not fit."""
        run = self._runs.setdefault(identity_of(message), [])
        size += len(self._prefix)
        absorbed: list[int] = []
        for place in reversed(run):
            one = joined(self._messages[place], message)
            both = size + self._sizes[place]
            if one is not None and both > min(MAX_UPDATE_BYTES, most_bytes):
                both = self._size(one)
            if one is None or both > MAX_UPDATE_BYTES:
                break
            message, size = one, both
            absorbed.append(place)
        total = self._total - sum(self._sizes[place] for place in absorbed)
        others = self.updates - len(absorbed)
        if total + size > most_bytes and absorbed:
            size = self._size(message)
        if others and (total + size > most_bytes or others >= most_updates):
            return False
        for place in absorbed:
            del self._messages[place], self._sizes[place]
        del run[len(run) - len(absorbed) :]
        self._messages[self._next], self._sizes[self._next] = message, size
        run.append(self._next)
        self._next += 1
        self._total = total + size
        return True
