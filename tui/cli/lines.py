"""Update messages as JSON Lines: read, validated, and turned into rows for the journal."""

import codecs
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedWriter
from typing import IO, Any

from recorder import InvalidOperation, State, WrongToken
from recorder.model.entries import NewEntry
from recorder.model.intake import Intake
from recorder.model.json_value import parse_json as parse_text
from tui.cli.options import BadInput
from tui.text.format import printable

__all__ = ["Lines", "parse_json", "parse_object", "whole_lines", "whole_text"]

_LONGEST_LINE = 64_000_000  # bytes; an update has one million, which JSON's escapes can make six
_CHUNK = 65_536
_REASONS_KEPT = 5

_EXPORTED = {"state", "message"}
_BYTE_ORDER_MARK = "\ufeff"


def parse_json(text: bytes) -> Any:
    """Return the JSON value in a line, or in a text of several.

    Raises:
        ValueError: It holds none; the message says why and where.
    """
    try:
        return parse_text(text.decode().strip().removeprefix(_BYTE_ORDER_MARK))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"is not UTF-8: byte 0x{text[error.start]:02x} at position {error.start + 1}"
        ) from None
    except RecursionError:
        raise ValueError("is nested too deeply to be read") from None
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None


def parse_object(text: bytes) -> dict[str, Any]:
    """Return the JSON object in a line, or in a text of several.

    Raises:
        InvalidOperation: It holds none.
    """
    try:
        message = parse_json(text)
    except ValueError as error:
        raise InvalidOperation("message", str(error)) from None
    if not isinstance(message, dict):
        raise InvalidOperation("message", "is not a JSON object")
    return message


def whole_lines(source: IO[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines of an input, as many at a time as one read brings.

    Raises:
        BadInput: It cannot be read, or a line is longer than any line may be.
    """
    begun: list[bytes] = []  # pieces of a line whose end has not arrived
    ended = 0
    while chunk := _chunk(source):
        first, newline, more = chunk.partition(b"\n")
        begun.append(first)
        if newline:
            *others, rest = more.split(b"\n")
            yield [b"".join(begun), *others]
            ended += 1 + len(others)
            begun = [rest]
        elif sum(map(len, begun)) > _LONGEST_LINE:
            raise BadInput(f"line {ended + 1:,} is longer than {_LONGEST_LINE:,} bytes: not JSON Lines.")
    if last := b"".join(begun):
        yield [last]


def whole_text(source: IO[bytes]) -> bytes:
    """Return all of an input.

    Raises:
        BadInput: It cannot be read.
    """
    return b"".join(iter(lambda: _chunk(source), b""))


def _chunk(source: IO[bytes]) -> bytes:
    try:
        return getattr(source, "read1", source.read)(_CHUNK)
    except OSError as error:
        name = source.name if source.name != "<stdin>" and isinstance(source.name, str) else "standard input"
        raise BadInput(f"{name} cannot be read: {error.strerror}") from error


@dataclass(slots=True)
class Lines:
    """Lines of update messages, validated and counted as they are read.

    Attributes:
        source: The input.
        intake: Turns a message into rows.
        aside: Takes bad lines, byte for byte; None: the first bad line is an error.
        again: Take what `restante export` wrote of entries that are not pending.
        read: The number of lines read.
        entries: The number of rows they became.
        skipped: The number of lines set aside.
        reasons: Why the first few of them were.
    """

    source: IO[bytes]
    intake: Intake
    aside: BufferedWriter | None
    again: bool = False
    read: int = 0
    entries: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)

    def batches(self) -> Iterator[list[NewEntry]]:
        """Yield rows as they arrive, as many at a time as one read brings.

        Raises:
            BadInput: A line is invalid and bad lines are not set aside, or it is longer than any line may be.
        """
        for lines in whole_lines(self.source):
            yield [row for line in lines for row in self._rows(line)]

    def _rows(self, line: bytes) -> list[NewEntry]:
        self.read += 1
        if line.strip() in {b"", codecs.BOM_UTF8}:
            return []
        try:
            rows = self.intake.update(self._message(line), time.time())
        except (InvalidOperation, WrongToken) as error:
            self._set_aside(line, str(error))
            return []
        self.entries += len(rows)
        return rows

    def _message(self, line: bytes) -> dict[str, Any]:
        message = parse_object(line)
        if message.keys() != _EXPORTED:
            return message
        state, exported = message["state"], message["message"]
        if state not in list(State) or not isinstance(exported, dict):
            raise InvalidOperation("message", "is neither an update nor a line of `restante export`")
        if not self.again:
            words = state.replace("_", " ")
            raise InvalidOperation(
                "message", f"is of an entry that is {words}; `record --again` records it again"
            )
        return exported

    def _set_aside(self, line: bytes, reason: str) -> None:
        words = printable(f"line {self.read}: {reason}")
        if self.aside is None:
            raise BadInput(f"{words}\nCorrect the line, or use --skip-invalid FILE.")
        self.skipped += 1
        if len(self.reasons) < _REASONS_KEPT:
            self.reasons.append(words)
        try:
            self.aside.write(line + b"\n")
            self.aside.flush()
        except OSError as error:
            self.aside.raw.close()  # or closing it would try again
            raise BadInput(f"{self.aside.name} cannot be written: {error.strerror}") from error
