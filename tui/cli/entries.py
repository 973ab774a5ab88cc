"""`restante entries`: the entries of a journal, newest first."""

import sys
import time
from pathlib import Path

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recorder import Entry, JournalReader
from tui.cli import options
from tui.text.format import age, clipped, count, printable
from tui.text.summary import summary

__all__ = ["entries_command"]

_NARROWEST_TABLE = 40
_COLUMNS = ("SEQ", "AGE", "PROFILE", "OP", "SUMMARY", "STATE")


@click.command("entries")
@options.filter_words
@options.journal
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=100,
    show_default=True,
    help="Largest number of entries.",
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
    if sys.stdout.isatty() and Console().width >= _NARROWEST_TABLE:
        _table(entries, now)
    else:
        for entry in entries:
            options.say("\t".join(_cells(entry, now, length=2_000)))
    if total > len(entries):
        options.narrate(f"{len(entries):,} of {total:,}; --limit shows more.")
    elif not entries:
        options.narrate("No entry matches." if words else "Nothing is recorded yet.")
    if counts.pruned:
        how = "shipped earlier, or lost," if counts.lost else "shipped earlier"
        options.narrate(f"{count(counts.pruned, 'entry', 'entries')} {how} are not kept any more.")


def _cells(entry: Entry, now: float, length: int) -> tuple[str, ...]:
    owner = f"{entry.group_key}:{entry.profile}" if entry.group_key is not None else entry.profile or "-"
    marks = ", possibly twice" * entry.possibly_twice + ", out of order" * entry.out_of_order
    reason = f" ({printable(entry.reason)})" if entry.reason else ""
    return (
        str(entry.seq),
        age(max(0.0, now - entry.recorded_at)),
        clipped(printable(owner), length),
        printable(entry.operator or entry.lane.value),
        summary(entry, length),
        entry.state.value.replace("_", " ") + marks + reason,
    )


def _table(entries: list[Entry], now: float) -> None:
    console = Console()
    rows = [_cells(entry, now, length=120) for entry in entries]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for name, width in zip(_COLUMNS, _widths(rows, console.width - len(_COLUMNS) + 1), strict=True):
        table.add_column(
            name,
            justify="right" if name in {"SEQ", "AGE"} else "left",
            overflow="fold" if name == "STATE" else "ellipsis",
            no_wrap=name != "STATE",
            width=width,
        )
    for row in rows:
        table.add_row(*map(Text, row))  # Text: data is never markup
    console.print(table)


def _widths(rows: list[tuple[str, ...]], available: int) -> list[int]:
    """Return the widths: long columns shrink, not the short ones that tell entries apart."""
    widest = [max(map(cell_len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    most = {"SEQ": 12, "AGE": 6, "OP": 10, "STATE": max(available // 4, 9)}
    widths = [min(wide, most.get(name, 0)) for name, wide in zip(_COLUMNS, widest, strict=True)]
    rest = max(available - sum(widths), 16)
    profile, summary = _COLUMNS.index("PROFILE"), _COLUMNS.index("SUMMARY")
    widths[profile] = min(widest[profile], max(rest * 2 // 5, rest - widest[summary]))
    widths[summary] = min(widest[summary], rest - widths[profile])
    return widths
