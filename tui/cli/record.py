"""`restante record`: journal update messages from a file or a pipe."""

from contextlib import nullcontext
from io import BufferedWriter
from pathlib import Path
from typing import IO

import click

from recorder import Journal, JournalError
from recorder.model.entries import NewEntry
from recorder.model.intake import Intake
from recorder.model.operations import UnknownOperators
from recorder.model.tokens import check_token
from tui.cli import options
from tui.cli.lines import Lines
from tui.cli.progress import progress_bar
from tui.cli.stopping import interrupt_after
from tui.text.format import count

__all__ = ["record_command"]


@click.command("record")
@click.argument("source", metavar="[FILE]", type=click.File("rb"), default="-")
@options.journal
@options.token
@click.option(
    "--skip-invalid",
    "aside",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write invalid lines to FILE, unchanged, and continue.",
)
@click.option("--again", is_flag=True, help="Also record exported lines of entries that are not pending.")
@options.unknown_operators
@click.option("--follow", is_flag=True, help="Commit lines as they arrive; requires --skip-invalid.")
@click.option(
    "--max-bytes",
    type=options.byte_count,
    help="Largest size of the journal: 64M, 2G.  [default: the journal's own, or no limit]",
)
@options.json_flag
@click.pass_context
def record_command(
    context: click.Context,
    source: IO[bytes],
    path: Path,
    token: str | None,
    aside: Path | None,
    again: bool,
    unknown_operators: UnknownOperators,
    follow: bool,
    max_bytes: int | None,
    for_programs: bool,
) -> None:
    """Record update messages, one JSON object per line, from FILE or standard input (-).

    All lines are committed in one transaction. If a line is invalid, its number and the reason are shown and
    nothing is recorded; the same holds if the command is killed. Until the commit, the input is held in memory.
    Use --follow for a stream that does not end.

    \b
    Examples:
      restante record --token PROJECT updates.jsonl
      gunzip -c updates.jsonl.gz | restante record --token PROJECT
      tail -f updates.jsonl | restante record --follow --skip-invalid bad.jsonl
    """
    if follow and aside is None:
        raise click.UsageError("--follow requires --skip-invalid FILE: committed lines cannot be taken back.")
    token = token or options.kept_token(path)
    if not token:
        raise click.UsageError("Which project? Give --token, or set RESTANTE_TOKEN.")
    check_token(token)
    with _opened(aside, source, follow) as bad, _journal(path, token, max_bytes) as journal:
        if source.isatty():
            options.narrate("Reading update messages from the terminal; Ctrl-D ends them.")
        lines = Lines(source, Intake(token, unknown_operators=unknown_operators), bad, again)
        if follow:
            _follow(journal, lines)
        else:
            _record(journal, lines)
    _tell(lines, for_programs)
    context.exit(int(lines.skipped > 0))


def _journal(path: Path, token: str, max_bytes: int | None) -> Journal:
    try:
        return Journal(path, token=token, max_bytes=max_bytes)
    except ValueError as error:
        raise options.BadInput(str(error).replace("max_bytes", "--max-bytes")) from error


def _opened(aside: Path | None, source: IO[bytes], follow: bool) -> "nullcontext[None] | BufferedWriter":
    """Open the file for invalid lines before anything is read; never the input itself."""
    if aside is None:
        return nullcontext()
    name = getattr(source, "name", None)
    if isinstance(name, str) and aside.exists() and Path(name).exists() and aside.samefile(name):
        raise options.BadInput(f"{aside} is the input itself; give --skip-invalid another file.")
    try:
        # A follower that is started again continues its file; a whole file is read afresh.
        return options.make_private(aside).open("ab" if follow else "wb")
    except OSError as error:
        raise options.BadInput(f"{aside} cannot be written: {error.strerror}") from error


def _record(journal: Journal, lines: Lines) -> None:
    rows = _all_rows(lines)
    if not rows:
        return
    try:
        journal.append(rows)
    except KeyboardInterrupt:
        options.narrate(
            "Interrupted during the commit: `restante status` shows whether the entries were recorded."
        )
        raise


def _all_rows(lines: Lines) -> list[NewEntry]:
    rows: list[NewEntry] = []
    try:
        with progress_bar("validating lines") as show:
            for batch in lines.batches():
                rows += batch
                if show is not None:
                    show(lines.read, None)
    except options.BadInput as error:
        raise options.BadInput(f"{error.message}\nNothing was recorded.") from error
    except KeyboardInterrupt:
        options.narrate("Interrupted: nothing was recorded.")
        raise
    return rows


def _follow(journal: Journal, lines: Lines) -> None:
    committed = 0
    try:
        for batch in lines.batches():
            with interrupt_after():  # a commit counts as soon as others can see it
                if batch:
                    journal.append(batch)
                committed = lines.entries
    except (click.ClickException, JournalError, KeyboardInterrupt):
        options.narrate(f"Recorded {count(committed, 'entry', 'entries')} before this; they stay.")
        raise


def _tell(lines: Lines, for_programs: bool) -> None:
    if for_programs:
        options.write_json({"lines": lines.read, "entries": lines.entries, "skipped": lines.skipped})
        return
    options.narrate(f"Recorded {count(lines.entries, 'entry', 'entries')} from {count(lines.read, 'line')}.")
    if lines.skipped:
        options.narrate(f"Set {count(lines.skipped, 'bad line')} aside:")
        for reason in lines.reasons:
            options.narrate(f"  {reason}")
        if lines.skipped > len(lines.reasons):
            options.narrate(f"  and {lines.skipped - len(lines.reasons):,} more")
