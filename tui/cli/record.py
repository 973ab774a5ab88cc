"""`restante record`: journal update messages from a file or a pipe."""

import shlex
import sys
from collections.abc import Generator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import IO

import click

from recorder import Journal, JournalReader
from recorder.model.entries import NewEntry
from recorder.model.errors import JournalMissing
from recorder.model.intake import Intake
from tui.cli import options
from tui.cli.lines import Lines
from tui.cli.spool import journal_spool, left_behind, resume, side_files, written_spool
from tui.text.format import count, printable

__all__ = ["record_command"]

_SHOW_EVERY = 10_000


@click.command("record", short_help="Journal update messages from a file or a pipe.")
@click.argument("source", metavar="[FILE]", type=click.File("rb"), default="-")
@options.journal
@options.token
@click.option(
    "--resume", "resuming", is_flag=True, help="Finish what a killed `record` left; reads no input."
)
@click.option(
    "--skip-invalid",
    "aside",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Set bad lines aside in FILE, as they are, and go on.",
)
@click.option(
    "--again", is_flag=True, help="Take exported lines of entries that are not pending, too: as new ones."
)
@click.option("--follow", is_flag=True, help="Commit lines as they arrive; needs --skip-invalid.")
@click.option(
    "--max-bytes",
    type=options.Bytes(),
    help="How large the journal may grow: 64M, 2G.  [default: as it has it, or no limit]",
)
@options.json_flag
@click.pass_context
def record_command(
    context: click.Context,
    source: IO[bytes],
    path: Path,
    token: str | None,
    resuming: bool,
    aside: Path | None,
    again: bool,
    follow: bool,
    max_bytes: int | None,
    for_programs: bool,
) -> None:
    """Journal update messages, one JSON object a line, from FILE or stdin (-).

    All lines are validated before the first is journaled: a bad line stops it,
    with its number and the reason, and nothing is journaled. A killed `record`
    is finished by `restante record --resume`.

    \b
    Examples:
      restante record --token PROJECT updates.jsonl
      gunzip -c updates.jsonl.gz | restante record --token PROJECT
      tail -f updates.jsonl | restante record --follow --skip-invalid bad.jsonl
    """
    if follow and aside is None:
        raise click.UsageError("--follow needs --skip-invalid FILE: what is committed cannot be taken back.")
    if resuming:
        _resume(path, max_bytes, for_programs)
        return
    token = token or _kept_token(path)
    if not token:
        raise click.UsageError("Which project? Give --token, or set RESTANTE_TOKEN.")
    with _opened(aside, source, follow) as bad, _journal(path, token, max_bytes) as journal:
        _refuse_leftovers(journal.path)
        if source.isatty():
            options.narrate("Reading update messages from the terminal; Ctrl-D ends them.")
        lines = Lines(source, Intake(token), bad, again)
        entries = _follow(journal, lines) if follow else _record(journal, lines)
    _tell(lines, entries, for_programs)
    context.exit(int(lines.skipped > 0))


def _journal(path: Path, token: str | None, max_bytes: int | None) -> Journal:
    try:
        return Journal(path, token=token, max_bytes=max_bytes)
    except ValueError as error:
        raise options.BadInput(str(error).replace("max_bytes", "--max-bytes")) from error


def _kept_token(path: Path) -> str | None:
    try:
        with JournalReader(path) as reader:
            return reader.token()
    except JournalMissing:
        return None


def _opened(aside: Path | None, source: IO[bytes], follow: bool) -> "nullcontext[None] | IO[bytes]":
    """The file for bad lines: known to be writable before anything is read, and never the input itself."""
    if aside is None:
        return nullcontext()
    name = getattr(source, "name", None)
    if isinstance(name, str) and aside.exists() and Path(name).exists() and aside.samefile(name):
        raise options.BadInput(f"{aside} is the input itself; give --skip-invalid another file.")
    try:
        # A follower that is started again goes on where it was; a whole file is read afresh.
        return aside.open("ab" if follow else "wb")
    except OSError as error:
        raise options.BadInput(f"{aside} cannot be written: {error.strerror}") from error


def _refuse_leftovers(path: Path) -> None:
    for spool in left_behind(path):
        raise click.ClickException(
            f"An earlier `restante record` was killed before all its lines were journaled.\n"
            f"Finish it:   restante record --resume {options.journal_hint(path)}\n"
            f"Give it up:  rm {shlex.join(map(str, side_files(spool)))}"
        )


def _resume(path: Path, max_bytes: int | None, for_programs: bool) -> None:
    JournalReader(path).close()  # resuming never makes a journal
    entries = 0
    with _journal(path, None, max_bytes) as journal:
        spools = left_behind(journal.path)
        for spool in spools:
            before = journal.spooled(spool.name)
            done = before
            for done in resume(journal, spool):  # noqa: B007  # the last one counts
                pass
            entries += done - before
    if for_programs:
        click.echo(options.as_json({"entries": entries}))
    elif spools:
        options.narrate(f"Journaled the remaining {count(entries, 'entry', 'entries')}.")
    else:
        options.narrate("Nothing to resume.")


def _record(journal: Journal, lines: Lines) -> int:
    entries = 0
    with closing(_whole(lines)) as rows, written_spool(journal.path, rows) as spool:
        for entries in journal_spool(journal, spool):
            _progress(f"journaled {entries:,} of {lines.entries:,} entries")
    _progress("")
    return entries


def _whole(lines: Lines) -> Generator[NewEntry, None, None]:
    shown = 0
    for rows in lines.rows(as_they_arrive=False):
        yield from rows
        if lines.read - shown >= _SHOW_EVERY:
            shown = lines.read
            _progress(f"validated {shown:,} lines")


def _follow(journal: Journal, lines: Lines) -> int:
    for rows in lines.rows(as_they_arrive=True):
        if rows:
            journal.append(rows)
    return lines.entries


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)


def _tell(lines: Lines, entries: int, for_programs: bool) -> None:
    if for_programs:
        click.echo(options.as_json({"lines": lines.read, "entries": entries, "skipped": lines.skipped}))
        return
    options.narrate(f"Journaled {count(entries, 'entry', 'entries')} from {count(lines.read, 'line')}.")
    if lines.unknown:
        names = printable(", ".join(sorted(lines.unknown)))
        options.narrate(f"Not among the operators restante knows, recorded all the same: {names}")
    if lines.skipped:
        options.narrate(f"Set {count(lines.skipped, 'bad line')} aside:")
        for reason in lines.reasons:
            options.narrate(f"  {reason}")
        if lines.skipped > len(lines.reasons):
            options.narrate(f"  and {lines.skipped - len(lines.reasons):,} more")
