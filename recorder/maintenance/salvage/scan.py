"""The rows of a damaged journal, found page by page in the file and its log.

The file is read as a file: for a journal that no process has open, which the caller makes sure of.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Self

from recorder.journal.locks import beside
from recorder.maintenance.salvage.sqlite_format import (
    FRAME_HEADER,
    LOG_HEADER,
    Frame,
    Header,
    LogHeader,
    checksum,
    frame,
    header,
    index_rows,
    log_header,
    rows,
)
from recorder.maintenance.shapes import Row, as_index_row, as_table_row

__all__ = ["Remains"]

Progress = Callable[[int, int], None]

_USUAL_SIZES = (2_048, 4_096, 1_024, 8_192, 16_384, 32_768, 65_536, 512)
_REPORT_EVERY = 256  # pages


class Remains:
    """A damaged journal's file and log, open for reading; use it in a ``with`` block.

    Args:
        path: The file, which may be missing or empty if its log exists.
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
        """The size of both files."""
        self.header: Header | None = None
        """The header in the first page; None if it cannot be read."""
        self.torn = False
        """True if the log is damaged before its end: pages may be older than others that were written with them."""

    def __enter__(self) -> Self:
        self._file = self._open(self._path)
        self._log = self._open(beside(self._path, "-wal"))
        self._find_pages()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self, path: Path) -> BinaryIO | None:
        try:
            file = self._stack.enter_context(path.open("rb"))
        except FileNotFoundError:
            return None
        self.bytes += _length(file)
        return file

    def _find_pages(self) -> None:
        """Find out the size of pages, and which of them are in the log."""
        self.header = header(_read(self._file, 0, 65_536))
        of_log = log_header(_read(self._log, 0, LOG_HEADER.size))
        known = [each.page_size for each in (self.header, of_log) if each is not None]
        for size in known[:1] or _USUAL_SIZES:
            self._size = self._usable = size
            self._frames, in_log, self.torn = _committed(self._log, of_log, size)
            self.header = header(self._page(1) or b"") or self.header
            if self.header is not None:
                self._usable = self.header.usable
            self._pages = in_log or _length(self._file) // size
            if known or self.any_rows():
                return

    def any_rows(self) -> bool:
        """Return True if there is a row of any of a journal's tables."""
        return any(True for _ in self._scan(None, indexes=False))

    def rows(self, progress: Progress | None = None) -> Iterator[Row]:
        """Yield every row that can be read, in no order; one that was found in two places comes twice.

        Args:
            progress: Called with how many pages are done, and how many there are.
        """
        return self._scan(progress, indexes=True)

    def _scan(self, progress: Progress | None, *, indexes: bool) -> Iterator[Row]:
        for number in range(1, self._pages + 1):
            if progress is not None and number % _REPORT_EVERY == 0:
                progress(number, self._pages)
            page = self._page(number) or b""
            found = [as_table_row(*row) for row in rows(page, self._usable, self._page, first=number == 1)]
            if indexes:
                found += [as_index_row(values) for values in index_rows(page, self._usable, self._page)]
            yield from (row for row in found if row is not None)
        if progress is not None:
            progress(self._pages, self._pages)

    def _page(self, number: int) -> bytes | None:
        at = self._frames.get(number)
        if at is not None:
            return _read(self._log, at, self._size)
        page = _read(self._file, (number - 1) * self._size, self._size)
        return page if len(page) == self._size else None


def _read(file: BinaryIO | None, at: int, size: int) -> bytes:
    if file is None:
        return b""
    file.seek(at)
    return file.read(size)


def _length(file: BinaryIO | None) -> int:
    return 0 if file is None else os.fstat(file.fileno()).st_size


def _committed(log: BinaryIO | None, start: LogHeader | None, size: int) -> tuple[dict[int, int], int, bool]:
    """Return the place in the log of each page's latest committed copy; the number of pages; True if some are missing.

    SQLite stops at the first damaged frame. But transactions after it were acknowledged, too, and each frame's
    checksum continues that of the frame before: a sound one behind a damaged one is known by what that one says.
    """
    head = _read(log, LOG_HEADER.size, FRAME_HEADER.size)
    if len(head) < FRAME_HEADER.size:
        return {}, 0, False
    if start is not None:
        return _committed_frames(log, start, size)
    salts = frame(head).salts
    for big in (False, True):
        found = _committed_frames(log, LogHeader(size, salts, big, (0, 0)), size)
        if found[0]:
            return found
    return {}, 0, False


def _committed_frames(log: BinaryIO | None, start: LogHeader, size: int) -> tuple[dict[int, int], int, bool]:
    found: dict[int, int] = {}
    within: dict[int, int] = {}
    pages, damaged, torn = 0, False, False
    for at, this, sound in _frames(log, start, size):
        if this.salts != start.salts:
            continue
        damaged |= not sound
        if sound:
            within[this.page] = at
        if sound and this.pages:
            found |= within
            within, pages, torn = {}, this.pages, damaged
    return found, pages, torn


def _frames(log: BinaryIO | None, start: LogHeader, size: int) -> Iterator[tuple[int, Frame, bool]]:
    """Yield the place of each frame's page, the frame, and True if its checksum is right."""
    at, before = LOG_HEADER.size, start.checksum
    while len(data := _read(log, at, FRAME_HEADER.size + size)) == FRAME_HEADER.size + size:
        this = frame(data)
        content = data[:8] + data[FRAME_HEADER.size :]
        yield at + FRAME_HEADER.size, this, checksum(content, before, big=start.big) == this.checksum
        at, before = at + FRAME_HEADER.size + size, this.checksum
