"""A request's body as it comes over a connection: how long it says it is, and its bytes.

Stricter than a server for the world would have to be kind: a body whose end cannot be told is refused, as its
rest would be taken for the next request.
"""

import re
from collections.abc import Iterator
from email.message import Message
from http import HTTPStatus
from io import BufferedIOBase

__all__ = ["BrokenBody", "UnclearBody", "announced_length", "body_parts"]

_AT_ONCE = 64 * 1024
_LONGEST_LINE = 1_000
_MOST_TRAILERS = 100

# As many digits as any length needs; int() would take signs and underscores, too.
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")


class UnclearBody(ValueError):
    """The head does not say where its body ends.

    Attributes:
        status: The HTTP status it is answered with.
    """

    def __init__(self, reason: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(reason)
        self.status = status


class BrokenBody(ValueError):
    """The sender left in the middle of its body, or what it calls chunks are none."""


def announced_length(headers: Message) -> int | None:
    """How many bytes the body takes, 0 where there is none; None for a body in chunks.

    Raises:
        UnclearBody: The length is no number, there are two of them, or the body is coded in another way.

    >>> from email import message_from_string
    >>> announced_length(message_from_string("Content-Length: 12"))
    12
    >>> announced_length(message_from_string("Content-Length: -1"))
    Traceback (most recent call last):
    simulator.service.bodies.UnclearBody: Content-Length, must be a number of bytes
    """
    lengths = {length.strip() for length in headers.get_all("Content-Length", ())}
    codings = [coding.strip().lower() for coding in headers.get_all("Transfer-Encoding", ())]
    if codings and codings != ["chunked"]:
        raise UnclearBody("Transfer-Encoding, must be chunked or missing", HTTPStatus.NOT_IMPLEMENTED)
    if codings and lengths:
        raise UnclearBody("Content-Length, must not stand beside Transfer-Encoding")
    if len(lengths) > 1:
        raise UnclearBody("Content-Length, given twice")
    if codings:
        return None
    length = lengths.pop() if lengths else "0"
    if not _LENGTH.fullmatch(length):
        raise UnclearBody("Content-Length, must be a number of bytes")
    return int(length)


def body_parts(stream: BufferedIOBase, length: int | None, *, at_once: int = _AT_ONCE) -> Iterator[bytes]:
    """The body in pieces.

    Args:
        stream: Where the body begins; it is left where the body ends.
        length: As announced; None for chunks.
        at_once: How many bytes are read for a piece, at most.

    Raises:
        BrokenBody: The stream ends before the body does, or there are no chunks.

    >>> from io import BytesIO
    >>> list(body_parts(BytesIO(b"[1, 2] and more"), 6, at_once=4))
    [b'[1, ', b'2]']
    """
    return _chunked(stream, at_once) if length is None else _exactly(stream, length, at_once)


def _exactly(stream: BufferedIOBase, length: int, at_once: int) -> Iterator[bytes]:
    left = length
    while left:
        part = stream.read(min(left, at_once))
        if not part:
            raise BrokenBody(f"{left} bytes are missing")
        left -= len(part)
        yield part


def _chunked(stream: BufferedIOBase, at_once: int) -> Iterator[bytes]:
    while size := _chunk_size(stream):
        yield from _exactly(stream, size, at_once)
        if stream.readline(2) not in {b"\r\n", b"\n"}:
            raise BrokenBody("a chunk is longer than it says")
    for _ in range(_MOST_TRAILERS):
        if stream.readline(_LONGEST_LINE) in {b"\r\n", b"\n"}:
            return
    raise BrokenBody("no end after the last chunk")


def _chunk_size(stream: BufferedIOBase) -> int:
    line = _CHUNK_SIZE.fullmatch(stream.readline(_LONGEST_LINE))
    if line is None:
        raise BrokenBody("a chunk does not say how long it is")
    return int(line[1], 16)
