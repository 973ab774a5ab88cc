"""Requests as they come in: the lines of the head, the announced length of the body, and its bytes.

A body whose end is unclear is refused, as its rest would be taken for the next request.
"""

import re
from collections.abc import Iterator
from email.message import Message
from http import HTTPStatus
from io import BufferedIOBase

__all__ = ["CutShort", "HeadLines", "UnclearBody", "announced_length", "body_parts"]

_PIECE = 64 * 1024
_LONGEST_LINE = 1_000
_LONGEST_SHOWN = 60
_MOST_TRAILERS = 100

# As many digits as any length needs; int() would take signs and underscores, too.
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?\r\n")
_FIELD = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\0-\x08\x0a-\x1f\x7f]*)?\r?\n")


class UnclearBody(ValueError):
    """The request does not say where its body ends.

    Attributes:
        status: The HTTP status to answer.
    """

    def __init__(self, reason: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(reason)
        self.status = status


class CutShort(ConnectionError):
    """The connection ends before the request.

    No answer is due: a status would be taken for a verdict on the messages.
    """


class HeadLines(BufferedIOBase):
    """The header lines of a request; a malformed one raises `UnclearBody`, and a missing end `CutShort`.

    Python's parser is one for e-mail: it joins a line that begins with a space to the one before, divides one at a
    lone CR, and takes what it cannot read for the end of the head, with Content-Length unread behind it.
    """

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line."""
        line = _line(self._stream, size)
        if len(line) != size and not _FIELD.fullmatch(line):  # the caller says what is too long
            raise UnclearBody(f"a header line is malformed: {line[:_LONGEST_SHOWN]!r}")
        return line


def announced_length(headers: Message, version: str = "HTTP/1.1") -> int | None:
    """Return the length of the body in bytes, 0 for none, None for chunks.

    Raises:
        UnclearBody: The length is no number or given twice, the transfer coding is unknown, or HTTP/1.0 has one.

    >>> from email import message_from_string
    >>> announced_length(message_from_string("Content-Length: 12"))
    12
    >>> announced_length(message_from_string("Content-Length: -1"))
    Traceback (most recent call last):
    simulator.service.bodies.UnclearBody: Content-Length, must be a number of bytes
    """
    lengths = [length.strip(" \t") for length in headers.get_all("Content-Length", ())]
    codings = [coding.strip(" \t").lower() for coding in headers.get_all("Transfer-Encoding", ())]
    if codings and codings != ["chunked"]:
        raise UnclearBody("Transfer-Encoding, must be chunked or missing", HTTPStatus.NOT_IMPLEMENTED)
    if codings and lengths:
        raise UnclearBody("Content-Length, must be missing with Transfer-Encoding")
    if len(lengths) > 1:
        raise UnclearBody("Content-Length, given twice")
    if codings and version < "HTTP/1.1":
        raise UnclearBody(f"Transfer-Encoding, unknown in {version}")
    if codings:
        return None
    length = lengths[0] if lengths else "0"
    if not _LENGTH.fullmatch(length):
        raise UnclearBody("Content-Length, must be a number of bytes")
    return int(length)


def body_parts(stream: BufferedIOBase, length: int | None, *, piece: int = _PIECE) -> Iterator[bytes]:
    """Yield the body in pieces.

    Args:
        stream: A stream at the beginning of the body; it is read up to its end.
        length: As announced; None for chunks.
        piece: Largest piece, in bytes.

    Raises:
        CutShort: The stream ends before the body.
        UnclearBody: A chunk is malformed.

    >>> from io import BytesIO
    >>> list(body_parts(BytesIO(b"[1, 2] and more"), 6, piece=4))
    [b'[1, ', b'2]']
    """
    return _chunked(stream, piece) if length is None else _exactly(stream, length, piece)


def _exactly(stream: BufferedIOBase, length: int, piece: int) -> Iterator[bytes]:
    left = length
    while left:
        part = stream.read(min(left, piece))
        if not part:
            raise CutShort(f"{left:,} bytes of the body are missing")
        left -= len(part)
        yield part


def _chunked(stream: BufferedIOBase, piece: int) -> Iterator[bytes]:
    while size := _chunk_size(stream):
        yield from _exactly(stream, size, piece)
        if b"".join(_exactly(stream, 2, 2)) != b"\r\n":
            raise UnclearBody("a chunk is longer than it says")
    for _ in range(_MOST_TRAILERS):
        line = _line(stream)
        if line == b"\r\n":
            return
        if not line.endswith(b"\r\n"):
            break
    raise UnclearBody("no end after the last chunk")


def _chunk_size(stream: BufferedIOBase) -> int:
    line = _CHUNK_SIZE.fullmatch(_line(stream))
    if line is None:
        raise UnclearBody("a chunk does not say how long it is")
    return int(line[1], 16)


def _line(stream: BufferedIOBase, size: int | None = _LONGEST_LINE) -> bytes:
    line = stream.readline(size)
    if not line.endswith(b"\n") and len(line) != size:
        raise CutShort("a line has no end")
    return line
