"""`restante entries`: the entries of a journal, newest first."""

import time
from collections.abc import Iterator
from pathlib import Path

import click

from recorder import Entry, JournalReader
from tui import config
from tui.cli import options
from tui.text.cells import folded
from tui.text.columns import columns_for
from tui.text.format import age, clipped, count, owner_name, printable
from tui.text.rows import row_of
from tui.text.states import LOOKS, MUTED
from tui.text.summary import summary

__all__ = ["entries_command"]

_NARROWEST_TABLE = 40
_GAP = 2  # cells between columns
_LONGEST = 2_000  # characters of a field
_LONGEST_REASON = 300


@click.command("entries")
@options.filter_words
@options.journal
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=100,
    show_default=True,
    help="Show at most this many entries.",
)
@click.option("--until", metavar="TIME", help="The same as until=TIME: entries recorded before it.")
@options.json_flag
def entries_command(words: list[str], path: Path, limit: int, until: str | None, for_programs: bool) -> None:
    """List entries, newest first.

    Filters: state=, op=, profile=, group=, lane=, value=, error=, status=, seq=, since=, until=; != negates. A word
    alone searches ids, names and values of properties, and error texts. state=, op= and lane= take several, as
    state=rejected,in_doubt; state=unsent is all that is to be sent, or in doubt. op= also takes increment and
    charge. error==WORDS matches the whole text. seq= takes a list such as 3,7,20..30.

    \b
    Examples:
      restante entries state=pending
      restante entries op=add profile=ada since=2h
      restante entries seq=100..200 --json
    """
    words = words if until is None else [*words, f"until={until}"]
    with JournalReader(path) as reader:
        entries = reader.entries(words, limit=limit)
        total = reader.count(words) if len(entries) == limit else len(entries)
        counts = reader.counts()
    if for_programs:
        options.write_json(entries)
        return
    now = time.time()
    width = options.table_width()
    if width >= _NARROWEST_TABLE:
        for line in _table(entries, now, width) if entries else ():
            options.say(*line)
    else:
        for entry in entries:
            *cells, state = _cells(entry, now)
            options.say("\t".join([*cells, ""]), (state, LOOKS[entry.state].style))
    if total > len(entries):
        options.narrate(f"{len(entries):,} of {total:,}; --limit shows more.")
    elif not entries:
        options.narrate("No entry matches." if words else "Nothing is recorded yet.")
    if counts.pruned:
        how = "shipped earlier, or lost," if counts.lost else "shipped earlier"
        options.narrate(
            f"{count(counts.pruned, 'entry', 'entries')} {how} {'is' if counts.pruned == 1 else 'are'} no longer kept."
        )


def _cells(entry: Entry, now: float) -> tuple[str, ...]:
    marks = "".join(f", {mark}" for mark in _marks(entry))
    reason = f" ({printable(entry.reason)})" if entry.reason else ""
    return (
        str(entry.seq),
        age(max(0.0, now - entry.recorded_at)),
        clipped(printable(owner_name(entry.profile, entry.group_key)), _LONGEST),
        printable(entry.operator or entry.lane.value),
        summary(entry, _LONGEST),
        entry.state.value.replace("_", " ") + marks + reason,
    )


def _table(entries: list[Entry], now: float, width: int) -> Iterator[list[options.Part]]:
    """Yield the lines of the browser's table, and below an entry why it stands as it does."""
    columns = columns_for(width, max((entry.seq for entry in entries), default=0), config.load().columns)
    yield [(columns.heads().rstrip(), "bold")]
    for entry in entries:
        line, state, rest = columns.cells(row_of(entry), now, mark=" ")
        yield [line, (state, LOOKS[entry.state].style), rest.rstrip()]
        if words := "; ".join(filter(None, (*_marks(entry), entry.reason))):
            indent = len(line) + _GAP
            for more in folded(printable(clipped(words, _LONGEST_REASON)), width - indent):
                yield [" " * indent, (more, MUTED)]


def _marks(entry: Entry) -> list[str]:
    return ["possibly twice"] * entry.possibly_twice + ["out of order"] * entry.out_of_order
