"""The input of `restante record`: update messages, one JSON object a line, as rows for the journal."""

import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import IO, Any

from recorder import InvalidOperation, Operator, State, WrongToken
from recorder.model.entries import NewEntry
from recorder.model.intake import Intake
from tui.cli.options import BadInput
from tui.text.format import printable

__all__ = ["Lines", "parsed"]

_LONGEST_LINE = 8_000_000  # a megabyte of text can take six times that in JSON's escapes
_CHUNK = 65_536
_REASONS_KEPT = 5


@dataclass(slots=True)
class Lines:
    """Lines as they come, validated, counted, and the bad ones set aside where that was asked for.

    Attributes:
        source: Where they come from.
        intake: What a good line becomes.
        aside: Where bad lines go, as they are; None: the first one ends it.
        again: Whether to take what `restante export` wrote of entries that are not pending.
        read: How many lines were read.
        entries: How many rows they became.
        skipped: How many were set aside.
        reasons: What was wrong with the first few of them.
        unknown: Operators outside the vocabulary; recorded and shipped all the same.
    """

    source: IO[bytes]
    intake: Intake
    aside: IO[bytes] | None
    again: bool = False
    read: int = 0
    entries: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)

    def rows(self, *, as_they_arrive: bool) -> Generator[list[NewEntry], None, None]:
        """Rows, as many at a time as one reading brought.

        Args:
            as_they_arrive: Take what is there, rather than wait for a full chunk.

        Raises:
            BadInput: A bad line, with its number and the reason, where bad ones are not set aside.
        """
        more = _reader(self.source, as_they_arrive=as_they_arrive)
        rest = b""
        while chunk := more():
            *whole, rest = (rest + chunk).split(b"\n")
            yield self._all(whole)
            if len(rest) > _LONGEST_LINE:
                rest = self._pass_over(rest, more)
        if rest:
            yield self._all(rest.removesuffix(b"\n").split(b"\n"))

    def _all(self, lines: list[bytes]) -> list[NewEntry]:
        return [row for line in lines for row in self._one(line)]

    def _one(self, line: bytes) -> list[NewEntry]:
        self.read += 1
        if not line.strip():
            return []
        try:
            rows = self._row(line)
        except (InvalidOperation, WrongToken) as error:
            self._refuse(str(error))
            self._set_aside(line, end=b"\n")
            return []
        self.entries += len(rows)
        self.unknown.update(row.operator for row in rows if row.operator not in _KNOWN and row.operator)
        return rows

    def _row(self, line: bytes) -> list[NewEntry]:
        if len(line) > _LONGEST_LINE:
            raise InvalidOperation("message", _TOO_LONG)
        message = parsed(line)
        if message.keys() == _EXPORTED:
            message = self._exported(message)
        return self.intake.update(message, time.time())

    def _exported(self, line: dict[str, Any]) -> dict[str, Any]:
        """The message of a line that `restante export` wrote of an entry that was not pending."""
        state, message = line["state"], line["message"]
        if state not in list(State) or not isinstance(message, dict):
            raise InvalidOperation("message", "is neither an update nor a line of `restante export`")
        if not self.again:
            raise InvalidOperation(
                "message", f"is of an entry that is {_in_words(state)}; `record --again` records it anew"
            )
        return message

    def _pass_over(self, begun: bytes, more: Callable[[], bytes]) -> bytes:
        """A line that is far too long, in pieces, up to its end; what was read beyond it."""
        self.read += 1
        self._refuse(f"message: {_TOO_LONG}")
        piece, end, rest = begun, b"", b""
        while piece and not end:
            self._set_aside(piece, end=b"")
            piece, end, rest = more().partition(b"\n")
        self._set_aside(piece, end=b"\n")
        return rest

    def _refuse(self, reason: str) -> None:
        words = printable(f"line {self.read}: {reason}")
        if self.aside is None:
            raise BadInput(f"{words}\nNothing was journaled. Mend the line, or use --skip-invalid FILE.")
        self.skipped += 1
        if len(self.reasons) < _REASONS_KEPT:
            self.reasons.append(words)

    def _set_aside(self, piece: bytes, *, end: bytes) -> None:
        if self.aside is not None:
            self.aside.write(piece + end)
            self.aside.flush()


# json.loads() does the same, and takes half as long again to see what kind of text it was given.
_decode = json.JSONDecoder().raw_decode
_BYTE_ORDER_MARK = "\ufeff"

_KNOWN = frozenset(operator.value for operator in Operator)

_EXPORTED = {"state", "message"}

_TOO_LONG = f"the line is longer than {_LONGEST_LINE:,} bytes"


def _in_words(state: str) -> str:
    return state.replace("_", " ")


def _reader(source: IO[bytes], *, as_they_arrive: bool) -> Callable[[], bytes]:
    read = getattr(source, "read1", source.read) if as_they_arrive else source.read
    return lambda: read(_CHUNK)


def parsed(line: bytes) -> dict[str, Any]:
    """The object in a line, or in a text of several.

    Raises:
        InvalidOperation: It holds none.
    """
    try:
        text = line.decode().strip().removeprefix(_BYTE_ORDER_MARK)
        message, end = _decode(text)
        if end != len(text):
            raise ValueError(f"there is more after the object, at character {end + 1}")
    except UnicodeDecodeError as error:
        raise InvalidOperation(
            "message", f"is not UTF-8: byte 0x{line[error.start]:02x} at place {error.start + 1}"
        ) from None
    except RecursionError:
        raise InvalidOperation("message", "is nested too deeply to be read") from None
    except ValueError as error:
        raise InvalidOperation("message", f"is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise InvalidOperation("message", "is no JSON object")
    return message
