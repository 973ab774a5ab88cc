"""`restante export`: write entries as lines that `restante record` reads, or as a database."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from recorder import Entry, JournalReader, State
from tui.cli import options
from tui.text.exported import PROFILES, exported
from tui.text.format import count, printable

__all__ = ["export_command"]

_EMPTY = {State.FORGOTTEN, State.LOST}


@click.command("export")
@options.filter_words
@options.journal
@click.option("--all", "everything", is_flag=True, help="Write every lane and state.")
@click.option(
    "--to",
    "file",
    metavar="FILE.db",
    type=options.new_file,
    help="Make a database of plain tables, for Datasette and sqlite-utils.",
)
@options.json_flag
def export_command(
    words: list[str], path: Path, everything: bool, file: Path | None, for_programs: bool
) -> None:
    """Write updates as JSON Lines, oldest first: those in the state pending, unless the filter names states.

    Other unsent entries are only counted: they may have been applied, or wait behind entries that may have
    been. A pending update is written as its message, any other as {"state": ..., "message": {...}}. `record`
    reads the latter only with --again, since it may be applied a second time. Events, imports and entries whose
    content is gone are left out. --all writes them, too, and every state; events and imports then have their
    "lane", and `record` refuses them.

    --to makes a database instead, readable by its owner only: entries (all, unless there is a filter), attempts,
    profiles (as predicted, and as shipped) and properties. A FILE.db that exists is refused. With --json, the
    number of rows of each table is printed.

    \b
    Examples:
      restante export > pending.jsonl
      restante export state=rejected error=numeric
      restante export --all -j kiosk.db | gzip > kiosk.jsonl.gz
      restante export --to kiosk-tables.db since=7d
    """
    if file is not None:
        _make_database(path, file, words, for_programs)
    elif for_programs:
        raise click.UsageError("--json needs --to: exported lines are JSON anyway.")
    else:
        _write_lines(path, words, everything)


def _make_database(path: Path, file: Path, words: list[str], for_programs: bool) -> None:
    from tui.cli.export_database import export_database  # sqlite-utils takes long to import

    rows = export_database(path, file, words)
    if for_programs:
        options.write_json({"file": str(file), **rows})
    else:
        options.narrate(
            f"Exported {count(rows['entries'], 'entry', 'entries')}, {count(rows['attempts'], 'attempt')} and "
            f"{count(rows['profiles'], 'profile')} to {printable(str(file))}."
        )


def _write_lines(path: Path, words: list[str], everything: bool) -> None:
    pending_only = not (everything or words)
    if not everything and not any(word.startswith(("state=", "state!=")) for word in words):
        words = [*words, f"state={State.PENDING}"]
    number: Counter[str] = Counter()
    with JournalReader(path) as reader:
        options.write_json_lines(_chosen(reader.stream(words), everything, number))
        counts = reader.counts()
    options.narrate(f"Exported {count(number['written'], 'entry', 'entries')}.")
    if pending_only and counts.unsent > counts.pending:
        others = count(counts.unsent - counts.pending, "unsent entry", "unsent entries")
        options.narrate(f"Left out {others}: state=waiting,sending,in_doubt writes them.")
    if number["other lanes"]:
        options.narrate(f"Left out {count(number['other lanes'], 'event or import', 'events and imports')}.")
    if number["empty"]:
        options.narrate(f"Left out {count(number['empty'], 'entry', 'entries')} whose content is gone.")


def _chosen(entries: Iterable[Entry], everything: bool, number: Counter[str]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        if everything or (entry.state not in _EMPTY and entry.lane in PROFILES):
            number["written"] += 1
            yield exported(entry)
        else:
            number["empty" if entry.state in _EMPTY else "other lanes"] += 1
