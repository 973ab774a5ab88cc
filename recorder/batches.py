"""Packing entries into requests: how many, how large, in which order. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from recorder.intake import token_prefix
from recorder.operations import Lane

__all__ = ["Packed", "pack"]


@dataclass(frozen=True, slots=True)
class Packed:
    """Entries that travel in one request.

    Attributes:
        numbers: Their numbers, ascending.
        body: The request's body: a JSON array of updates.
    """

    numbers: tuple[int, ...]
    body: bytes


def pack(
    rows: Iterable[tuple[int, str]], *, lane: Lane, token: str, most_updates: int, most_bytes: int
) -> Packed | None:
    """The first rows that fit one request, in the order given; None where there is no row.

    Args:
        rows: Entry numbers and messages; read no further than needed, so that a long backlog of large
            messages is never in memory at once.
        lane: People and groups updates get the project's token; events and imports travel as they are.
        token: The project's token.
        most_updates: At least 1.
        most_bytes: Of the body. An update that fills it alone travels alone, rather than not at all.

    >>> pack([(1, '{"$distinct_id":"u1","$set":{}}')], lane=Lane.PEOPLE, token="T", most_updates=200,
    ...      most_bytes=1_000_000)
    Packed(numbers=(1,), body=b'[{"$token":"T","$distinct_id":"u1","$set":{}}]')
    """
    prefix = token_prefix(token).encode()
    profiles = lane in {Lane.PEOPLE, Lane.GROUPS}
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
    return Packed(tuple(numbers), b"[" + b",".join(updates) + b"]") if updates else None
