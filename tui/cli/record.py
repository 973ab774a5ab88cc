"""`restante record`: journal update messages from a file or a pipe."""

import json
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import click

from recorder import InvalidOperation, Journal, JournalReader, RestanteError, WrongToken
from recorder.entries import NewEntry
from recorder.intake import Intake
from recorder.operations import lane_of
from recorder.people import stamped
from tui.cli import options
from tui.cli.spool import journal_spool, left_behind, resume, written_spool
from tui.format import count, printable

__all__ = ["record_command"]

_LONGEST_LINE = 8_000_000  # a megabyte of text can take six times that in JSON's escapes
_CHUNK = 65_536
_REASONS_SHOWN = 5


@click.command("record")
@click.argument("source", metavar="[FILE]", type=click.File("rb"), default="-")
@options.journal
@options.token
@click.option(
    "--resume", "resuming", is_flag=True, help="Finish what a killed `record` left, and read no input."
)
@click.option(
    "--skip-invalid",
    "aside",
    type=click.File("wb"),
    metavar="FILE",
    help="Set bad lines aside in FILE and go on.",
)
@click.option("--follow", is_flag=True, help="Commit lines as they arrive; needs --skip-invalid.")
@options.json_flag
@click.pass_context
def record_command(
    context: click.Context,
    source: IO[bytes],
    path: Path,
    token: str | None,
    resuming: bool,
    aside: IO[bytes] | None,
    follow: bool,
    for_programs: bool,
) -> None:
    """Journal update messages, one JSON object a line, from FILE or standard input (-).

    All lines are validated before the first is journaled: a bad line stops it, with its number and the
    reason, and nothing is journaled. A killed `record` is finished by `restante record --resume`.

    \b
    Examples:
      restante record --token PROJECT updates.jsonl
      gunzip -c updates.jsonl.gz | restante record --token PROJECT
      tail -f updates.jsonl | restante record --follow --skip-invalid bad.jsonl
    """
    if follow and aside is None:
        raise click.UsageError("--follow needs --skip-invalid FILE: what is committed cannot be taken back.")
    token = token or _kept_token(path)
    if not token:
        raise click.UsageError("Which project? Give --token, or set RESTANTE_TOKEN.")
    with Journal(path, token=token) as journal:
        if resuming:
            _resume(journal)
            return
        _refuse_leftovers(path)
        lines = _Lines(source, Intake(token), aside)
        entries = _follow(journal, lines) if follow else _record(journal, lines)
    _tell(lines, entries, for_programs)
    context.exit(int(lines.skipped > 0))


def _kept_token(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with JournalReader(path) as reader:
            return reader.token()
    except RestanteError:
        return None  # opening the journal itself will say what is wrong


def _refuse_leftovers(path: Path) -> None:
    for spool in left_behind(path):
        raise click.ClickException(
            f"An earlier `restante record` was killed before all its lines were journaled.\n"
            f"Finish it:   restante record --resume -j {path}\n"
            f"Give it up:  rm {spool}"
        )


def _resume(journal: Journal) -> None:
    spools = left_behind(journal.path)
    if not spools:
        options.narrate("Nothing to resume.")
    for spool in spools:
        before = journal.spooled(spool.name)
        done = before
        for done in resume(journal, spool):  # noqa: B007  # the last one counts
            pass
        options.narrate(f"Journaled the remaining {count(done - before, 'entry', 'entries')}.")


def _record(journal: Journal, lines: "_Lines") -> int:
    entries = 0
    with closing(lines.rows()) as rows, written_spool(journal.path, rows) as spool:
        for entries in journal_spool(journal, spool):
            _progress(f"journaled {entries:,} of {lines.entries:,} entries")
    _progress("")
    return entries


def _follow(journal: Journal, lines: "_Lines") -> int:
    entries = 0
    for rows in lines.arriving():
        if rows:
            journal.append(rows)
            entries += len(rows)
    return entries


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)


def _tell(lines: "_Lines", entries: int, for_programs: bool) -> None:
    if for_programs:
        click.echo(options.as_json({"lines": lines.read, "entries": entries, "skipped": lines.skipped}))
        return
    options.narrate(f"Journaled {count(entries, 'entry', 'entries')} from {count(lines.read, 'line')}.")
    if lines.skipped:
        options.narrate(f"Set {count(lines.skipped, 'bad line')} aside:")
        for reason in lines.reasons:
            options.narrate(f"  {reason}")
        if lines.skipped > len(lines.reasons):
            options.narrate(f"  and {lines.skipped - len(lines.reasons):,} more")


@dataclass(slots=True)
class _Lines:
    """The input, line by line, as rows for the journal."""

    source: IO[bytes]
    intake: Intake
    aside: IO[bytes] | None
    read: int = 0
    entries: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)

    def rows(self) -> Generator[NewEntry, None, None]:
        """All rows; a bad line ends it, unless it can be set aside."""
        while line := self.source.readline(_LONGEST_LINE + 1):
            yield from self._taken(line)
            if self.read % 10_000 == 0:
                _progress(f"validated {self.read:,} lines")

    def arriving(self) -> Iterator[list[NewEntry]]:
        """Rows as they arrive: what a read returns at once is taken together."""
        rest = b""
        while chunk := self._available():
            *whole, rest = (rest + chunk).split(b"\n")
            yield [row for line in whole for row in self._taken(line + b"\n")]
            if len(rest) > _LONGEST_LINE:
                self._taken(rest)
                rest = b""
        if rest:
            yield self._taken(rest)

    def _available(self) -> bytes:
        read = getattr(self.source, "read1", self.source.read)
        chunk = read(_CHUNK)
        return bytes(chunk)

    def _taken(self, line: bytes) -> list[NewEntry]:
        if not line.strip():
            self.read += 1
            return []
        self.read += 1
        try:
            rows = self._row(line)
        except (InvalidOperation, WrongToken) as error:
            self._bad(line, str(error))
            return []
        self.entries += len(rows)
        return rows

    def _row(self, line: bytes) -> list[NewEntry]:
        if len(line) > _LONGEST_LINE:
            raise InvalidOperation("message", f"the line is longer than {_LONGEST_LINE:,} bytes")
        message = _parsed(line)
        now = time.time()
        return self.intake.rows(lane_of(message), stamped(message, None, now), now)

    def _bad(self, line: bytes, reason: str) -> None:
        words = printable(f"line {self.read:,}: {reason}")
        if self.aside is None:
            raise options.BadInput(
                f"{words}\nNothing was journaled. Mend the line, or use --skip-invalid FILE."
            )
        self.skipped += 1
        self.aside.write(line if line.endswith(b"\n") else line + b"\n")
        self.aside.flush()
        if len(self.reasons) < _REASONS_SHOWN:
            self.reasons.append(words)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidOperation("message", f"is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise InvalidOperation("message", "is no JSON object")
    return message
