"""SQLite's file format, as much as it takes to read rows from single pages. Pure.

A page of a table's rows can be read by itself, whatever became of the pages above it. So the rows that a damaged file
still has are found page by page, without the tree; and a page of the log counts only if its checksum is right.
The format is described at https://sqlite.org/fileformat2.html.
"""

import struct
from array import array
from collections.abc import Callable, Iterator
from sys import byteorder
from typing import NamedTuple

__all__ = [
    "FRAME_HEADER",
    "LOG_HEADER",
    "Frame",
    "Header",
    "LogHeader",
    "Value",
    "checksum",
    "frame",
    "header",
    "index_rows",
    "log_header",
    "rows",
]

Value = int | float | str | bytes | None
Fetch = Callable[[int], bytes | None]

_MAGIC = b"SQLite format 3\0"
_LEAF = 0x0D
_INDEX_LEAF, _INDEX_BRANCH = 0x0A, 0x02
_SIZES = frozenset(2**power for power in range(9, 17))
_LOG_MAGIC = 0x377F0682
LOG_HEADER = struct.Struct(">8I")
FRAME_HEADER = struct.Struct(">6I")
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_LONGEST_VARINT = 9


class _Unreadable(Exception):  # caught in this module
    """The bytes are no row."""


_UNREADABLE = (_Unreadable, IndexError, struct.error, UnicodeDecodeError)


class Header(NamedTuple):
    """Header of a database, in its first page.

    Attributes:
        page_size: In bytes.
        usable: Bytes of each page that SQLite uses.
        version: The schema's version.
        application: The application id.
    """

    page_size: int
    usable: int
    version: int
    application: int


def header(page: bytes) -> Header | None:
    """Return the header in a file's first page; None if there is none.

    >>> header(b"a shopping list") is None
    True
    """
    if not page.startswith(_MAGIC) or len(page) < 100:  # the header's own length
        return None
    (size,) = struct.unpack_from(">H", page, 16)
    size = 65_536 if size == 1 else size
    usable = size - page[20]
    if size not in _SIZES or usable < 480:  # SQLite's own minimum
        return None
    (version,) = struct.unpack_from(">I", page, 60)
    (application,) = struct.unpack_from(">I", page, 68)
    return Header(size, usable, version, application)


# --- rows


def rows(page: bytes, usable: int, fetch: Fetch, *, first: bool = False) -> Iterator[tuple[int, list[Value]]]:
    """Yield the rows of a page, each as its number and its values; nothing if it is no page of a table's rows.

    Args:
        page: Its bytes.
        usable: See `Header`.
        fetch: Returns a page by its number, for rows that do not fit into one; None if there is none.
        first: True for the file's first page, which begins with the header.
    """
    start = 100 if first else 0
    for at in _cells(page, start, 8) if page[start : start + 1] == bytes([_LEAF]) else ():
        try:
            yield _cell(page, at, usable, fetch)
        except _UNREADABLE:
            continue  # this row; the others stand on their own


def index_rows(page: bytes, usable: int, fetch: Fetch) -> Iterator[list[Value]]:
    """Yield the rows of a page of an index, each as its columns and the number of the table's row; see `rows`."""
    leaf = page[:1] == bytes([_INDEX_LEAF])
    if not leaf and page[:1] != bytes([_INDEX_BRANCH]):
        return
    for at in _cells(page, 0, 8 if leaf else 12):
        try:
            size, start = _varint(page, at if leaf else at + 4)  # a branch has the page below it first
            most = (usable - 12) * 64 // 255 - 23
            yield _record(_payload(page, start, size, usable=usable, most=most, fetch=fetch))
        except _UNREADABLE:
            continue


def _cells(page: bytes, start: int, head: int) -> Iterator[int]:
    """Yield the places of a page's rows."""
    if len(page) < start + head:
        return
    (cells,) = struct.unpack_from(">H", page, start + 3)
    for place in range(cells):
        pointer = start + head + 2 * place
        if pointer + 2 > len(page):
            return
        (at,) = struct.unpack_from(">H", page, pointer)
        yield at


def _cell(page: bytes, at: int, usable: int, fetch: Fetch) -> tuple[int, list[Value]]:
    size, at = _varint(page, at)
    number, at = _varint(page, at)
    payload = _payload(page, at, size, usable=usable, most=usable - 35, fetch=fetch)
    return number - 2**64 if number >= 2**63 else number, _record(payload)


def _payload(page: bytes, at: int, size: int, *, usable: int, most: int, fetch: Fetch) -> bytes:
    local = _local(size, usable, most)
    payload = page[at : at + local]
    if len(payload) != local or at + local > usable:
        raise _Unreadable
    if local < size:
        (following,) = struct.unpack_from(">I", page, at + local)
        payload = _whole(payload, size, following, usable, fetch)
    return payload


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        byte = data[at + place]
        if place == _LONGEST_VARINT - 1:
            return value << 8 | byte, at + _LONGEST_VARINT
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # the last one of a varint
            return value, at + place + 1
    raise _Unreadable


def _local(size: int, usable: int, most: int) -> int:
    """Return how many bytes of a row are in its page, at most `most`; the rest is in pages of its own."""
    if size <= most:
        return size
    least = (usable - 12) * 32 // 255 - 23
    local = least + (size - least) % (usable - 4)
    return local if local <= most else least


def _whole(payload: bytes, size: int, following: int, usable: int, fetch: Fetch) -> bytes:
    parts, have = [payload], len(payload)
    while have < size:
        page = fetch(following) if following else None
        if page is None or len(page) < usable:
            raise _Unreadable
        part = page[4 : min(usable, 4 + size - have)]
        parts.append(part)
        have += len(part)
        (following,) = struct.unpack_from(">I", page)
    if following:  # a chain that goes on is another row's
        raise _Unreadable
    return b"".join(parts)


def _record(payload: bytes) -> list[Value]:
    length, at = _varint(payload, 0)
    kinds = []
    while at < length:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if at != length:
        raise _Unreadable
    values = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise _Unreadable
    return values


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in {8, 9}:
        return kind - 8, at
    size = _INTEGERS.get(kind) or (8 if kind == 7 else (kind - 12) // 2)  # a double
    data = payload[at : at + size]
    if kind in {10, 11} or len(data) != size:
        raise _Unreadable
    if kind in _INTEGERS:
        return int.from_bytes(data, "big", signed=True), at + size
    if kind == 7:
        return float(struct.unpack(">d", data)[0]), at + size
    return (data.decode() if kind % 2 else data), at + size


# --- the log


class LogHeader(NamedTuple):
    """Header of a log.

    Attributes:
        page_size: In bytes.
        salts: The same in all of its frames; older frames have others.
        big: True if checksums are over big-endian words.
        checksum: The checksum that those of the frames continue.
    """

    page_size: int
    salts: tuple[int, int]
    big: bool
    checksum: tuple[int, int]


class Frame(NamedTuple):
    """Header of a frame, which is one page in the log.

    Attributes:
        page: The page's number.
        pages: Pages of the file, at the end of a transaction; 0 within one.
        salts: See `LogHeader`.
        checksum: Of this frame and all before it.
    """

    page: int
    pages: int
    salts: tuple[int, int]
    checksum: tuple[int, int]


def log_header(data: bytes) -> LogHeader | None:
    """Return the header of a log; None if these bytes are none.

    >>> log_header(b"") is None
    True
    """
    if len(data) < LOG_HEADER.size:
        return None
    magic, _, size, _, *rest = LOG_HEADER.unpack_from(data)
    found = LogHeader(size, (rest[0], rest[1]), bool(magic & 1), (rest[2], rest[3]))
    whole = magic & ~1 == _LOG_MAGIC and size in _SIZES
    return found if whole and checksum(data[:24], (0, 0), big=found.big) == found.checksum else None


def frame(data: bytes) -> Frame:
    """Return the header of a frame."""
    page, pages, *rest = FRAME_HEADER.unpack_from(data)
    return Frame(page, pages, (rest[0], rest[1]), (rest[2], rest[3]))


def checksum(data: bytes, seed: tuple[int, int], *, big: bool) -> tuple[int, int]:
    """Return the log's checksum over whole pairs of words, continuing from an earlier checksum.

    >>> checksum(bytes([0, 0, 0, 1, 0, 0, 0, 2]), (0, 0), big=True)
    (1, 3)
    """
    words = array("I", data)
    if big != (byteorder == "big"):
        words.byteswap()
    one, two = seed
    pairs = iter(words)
    for word, other in zip(pairs, pairs, strict=True):
        one = one + word + two & 0xFFFFFFFF
        two = two + other + one & 0xFFFFFFFF
    return one, two
