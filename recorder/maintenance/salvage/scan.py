"""What is left of a damaged journal: its rows, found page by page in the file and its log.

Rows are told apart by their shape. One that is not of a journal's shape through and through counts as unreadable.

The file is read as a file: this is for one that nobody has open, which the caller sees to.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from recorder.journal.limits import Limits
from recorder.journal.locks import beside
from recorder.maintenance.salvage.sqlite_format import (
    Header,
    Value,
    checksum,
    frame,
    header,
    index_rows,
    json_object,
    log_header,
    rows,
)
from recorder.model.entries import AttemptOutcome, State
from recorder.model.operations import Lane

__all__ = ["Remains", "Row"]

Progress = Callable[[int, int], None]

_IDENTITY_LENGTH = 32  # hex digits: see schema.sql
_USUAL_SIZES = (2_048, 4_096, 1_024, 8_192, 16_384, 32_768, 65_536, 512)
_LOG_HEADER = 32
_FRAME_HEADER = 24
_TELL_EVERY = 256  # pages

_LANES = frozenset(lane.value for lane in Lane)
_STATES = frozenset(state.value for state in State if state is not State.SENDING)
_OUTCOMES = frozenset(outcome.value for outcome in AttemptOutcome) | {None}
_ACCOUNTS = frozenset(state.value for state in State) | {"possibly_twice", "out_of_order"}
_LIMITS = frozenset(Limits._fields)


class Row(NamedTuple):
    """A row that was found.

    Attributes:
        table: Of which table; or of which index: ``baseline names``, ``limit names``, ``set aside``.
        number: Its key in SQLite; 0 in an index.
        values: By column, in the table's order; columns that were added later may be missing.
    """

    table: str
    number: int
    values: list[Value]


class Remains:
    """A damaged journal's file and log, open for reading; use it in a ``with`` block.

    Args:
        path: The file, which may be missing or empty where its log is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._file: BinaryIO | None = None
        self._log: BinaryIO | None = None
        self._frames: dict[int, int] = {}
        self._size = 0
        self._usable = 0
        self.bytes = 0
        """The size of both."""
        self.header: Header | None = None
        """What the first page says, where it can be read."""
        self.torn = False
        """Whether the log is damaged before its end: pages may be older than others that were written with them."""

    def __enter__(self) -> Self:
        self._file = self._opened(self._path)
        self._log = self._opened(beside(self._path, "-wal"))
        self._understand()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _opened(self, path: Path) -> BinaryIO | None:
        try:
            file = self._stack.enter_context(path.open("rb"))
        except FileNotFoundError:
            return None
        self.bytes += os.fstat(file.fileno()).st_size
        return file

    # --- pages

    def _understand(self) -> None:
        """How large pages are, and which of them are in the log."""
        start = _read(self._file, 0, 65_536)
        self.header = header(start)
        of_log = log_header(_read(self._log, 0, _LOG_HEADER))
        known = [each.page_size for each in (self.header, of_log) if each is not None]
        for size in known[:1] or _USUAL_SIZES:
            self._size = self._usable = size
            self._frames, in_log, self.torn = _frames(self._log, size)
            self.header = header(self._page(1) or b"") or self.header
            if self.header is not None:
                self._usable = self.header.usable
            self._pages = in_log or _length(self._file) // size
            if known or self.any_rows():
                return

    def any_rows(self) -> bool:
        """Whether there is any row of a journal's table."""
        return any(row.table in _SHAPES for row in self.rows())

    def _page(self, number: int) -> bytes | None:
        at = self._frames.get(number)
        if at is not None:
            return _read(self._log, at, self._size)
        page = _read(self._file, (number - 1) * self._size, self._size)
        return page if len(page) == self._size else None

    def rows(self, progress: Progress | None = None) -> Iterator[Row]:
        """Every row that can be read, in no order; one that was found in two places comes twice.

        Args:
            progress: Called with how many pages are done, and how many there are.
        """
        for number in range(1, self._pages + 1):
            if progress is not None and number % _TELL_EVERY == 0:
                progress(number, self._pages)
            page = self._page(number)
            for key, values in rows(page or b"", self._usable, self._page, first=number == 1):
                table = _table(key, values)
                if table is not None:
                    yield Row(table, key, values)
            for values in index_rows(page or b"", self._usable, self._page):
                index = _index(values)
                if index is not None:
                    yield Row(index, 0, values)
        if progress is not None:
            progress(self._pages, self._pages)


def _read(file: BinaryIO | None, at: int, size: int) -> bytes:
    if file is None:
        return b""
    file.seek(at)
    return file.read(size)


def _length(file: BinaryIO | None) -> int:
    return 0 if file is None else os.fstat(file.fileno()).st_size


def _frames(log: BinaryIO | None, size: int) -> tuple[dict[int, int], int, bool]:
    """Where in the log the latest of each page is that was committed; how many pages there are; if some are missing.

    SQLite ends at the first frame that is damaged. What was committed after it was acknowledged, too, and each
    frame's checksum continues that of the one before: a whole one behind a damaged one is known by what that
    one says of itself.
    """
    start = log_header(_read(log, 0, _LOG_HEADER))
    head = _read(log, _LOG_HEADER, _FRAME_HEADER)
    if len(head) < _FRAME_HEADER:
        return {}, 0, False
    salts = start.salts if start is not None else frame(head).salts
    for big in (start.big,) if start is not None else (False, True):
        before = start.checksum if start is not None else (0, 0)
        found: dict[int, int] = {}
        within: dict[int, int] = {}
        pages, at, damaged, torn = 0, _LOG_HEADER, False, False
        while True:
            data = _read(log, at, _FRAME_HEADER + size)
            if len(data) < _FRAME_HEADER + size:
                break
            this = frame(data)
            sound = checksum(data[:8] + data[_FRAME_HEADER:], big, before) == this.checksum
            if sound and this.salts == salts:
                within[this.page] = at + _FRAME_HEADER
                if this.pages:
                    found |= within
                    within, pages, torn = {}, this.pages, damaged
            damaged |= not sound and this.salts == salts
            before, at = this.checksum, at + _FRAME_HEADER + size
        if found:
            return found, pages, torn
    return {}, 0, False


# --- shapes


def _table(key: int, values: list[Value]) -> str | None:
    """Of which of a journal's tables a row is; None where it is of none."""
    for table, (fewest, shaped) in _SHAPES.items():
        if len(values) >= fewest and key > 0 and shaped(values):
            return table
    return None


def _index(values: list[Value]) -> str | None:
    """Of which index a row is, where that is of use.

    (One that waits, of a profile that is called as a lane, is taken for one of the baseline.)
    """
    match values:
        case [str() | None, str(lane), int(number)] if lane in _LANES and number > 0:
            return "baseline names"
        case [str(state), str(lane), int(number), int(same)] if state in _STATES and lane in _LANES:
            return "set aside" if number == same > 0 else None
        case [str(name), int()] if name in _LIMITS:
            return "limit names"
    return None


def _is(kinds: type | tuple[type, ...], *values: Value) -> bool:
    return all(isinstance(value, kinds) for value in values)


_NUMBER = (int, float)
_MAYBE_TEXT = (str, type(None))
_MAYBE_INT = (int, type(None))
_MAYBE_NUMBER = (int, float, type(None))


def _entry(row: list[Value]) -> bool:
    key, lane, group_key, profile, operator, message, recorded_at, state, attempt, sends, reason, *marks = row
    return (
        key is None
        and lane in _LANES
        and _is(_MAYBE_TEXT, group_key, profile, operator, reason)
        and (json_object(message) or (state == State.FORGOTTEN and message in {None, ""}))
        and _is(_NUMBER, recorded_at)
        and state in _STATES
        and _is(_MAYBE_INT, attempt)
        and _is(int, sends)
        and all(mark in {0, 1} for mark in marks[:4])
    )


def _attempt(row: list[Value]) -> bool:
    (
        key,
        lane,
        epoch,
        first,
        last,
        picked,
        updates,
        size,
        digest,
        started,
        ended,
        outcome,
        status,
        words,
        times,
    ) = row[:15]
    return (
        key is None
        and lane in _LANES
        and _is(int, epoch, first, last, updates, size, times)
        and _is(_MAYBE_TEXT, picked)
        and _is(str, digest, words)
        and _is(_NUMBER, started)
        and _is(_MAYBE_NUMBER, ended)
        and outcome in _OUTCOMES
        and _is(_MAYBE_INT, status)
    )


def _wait(row: list[Value]) -> bool:
    return (
        row[0] is None
        and row[1] in _LANES
        and _is(_MAYBE_TEXT, row[2], row[3])
        and row[4] in {"hold", "settle_after"}
        and _is(int, row[5])
    )


def _lane(row: list[Value]) -> bool:
    return (
        row[0] in _LANES
        and _is(int, row[1], row[5])
        and row[2] in _OUTCOMES
        and _is(str, row[3])
        and _is(_MAYBE_NUMBER, row[4], row[6])
    )


def _project(row: list[Value]) -> bool:
    identity = row[2]
    return (
        row[0] is None
        and _is(_MAYBE_TEXT, row[1])
        and isinstance(identity, str)
        and len(identity) == _IDENTITY_LENGTH
    )


def _shipper(row: list[Value]) -> bool:
    return row[0] is None and _is(int, row[1]) and row[3] in {0, 1} and _is(_MAYBE_NUMBER, row[4])


def _baseline(row: list[Value]) -> bool:
    return (
        row[0] is None
        and row[1] in _LANES
        and _is(_MAYBE_TEXT, row[2], row[3])
        and (row[4] is None or json_object(row[4]))
        and row[5] in {0, 1}
        and all(isinstance(number, int) and number >= 0 for number in row[6:9])
    )


def _counter(row: list[Value]) -> bool:
    counted = [number for number in row[1:3] if isinstance(number, int) and number >= 0]
    return row[0] in _ACCOUNTS and len(counted) == len(row[1:3]) and counted[-1] <= counted[0]


def _limit(row: list[Value]) -> bool:
    return row[0] in _LIMITS and (row[1] is None or (_is(_NUMBER, row[1]) and float(str(row[1])) >= 0))


# By the fewest columns that a table ever had; those with more of them first.
_SHAPES: dict[str, tuple[int, Callable[[list[Value]], bool]]] = {
    "attempts": (15, _attempt),
    "entries": (13, _entry),
    "waits": (9, _wait),
    "baseline": (9, _baseline),
    "lanes": (7, _lane),
    "shipper": (5, _shipper),
    "project": (4, _project),
    "counters": (2, _counter),
    "limits": (2, _limit),
}
