"""`restante status` and `restante entries`: looking into a journal."""

import sys
import time
from pathlib import Path

import click

from recorder import Entry, JournalReader, State, Statistics
from tui.cli import options
from tui.text.format import age, clipped, count, printable, size, summary
from tui.text.sentence import Shipping, shipping_of

__all__ = ["entries_command", "status_command"]

_COLUMNS = ("SEQ", "AGE", "PROFILE", "OP", "SUMMARY", "STATE")
_ALWAYS_SHOWN = (State.PENDING, State.IN_DOUBT, State.REJECTED, State.SHIPPED)


@click.command("status")
@options.journal
@click.option(
    "--max-age", type=options.Span(), help="Exit 1 when something unsent is older than this: 90s, 5m, 1h, 7d."
)
@options.json_flag
@click.pass_context
def status_command(context: click.Context, path: Path, max_age: float | None, for_programs: bool) -> None:
    """How shipping stands, and the accounts.

    Exits 1 when something is rejected, in doubt or paused, or older than --max-age,
    or when the journal is full.

    \b
    Examples:
      restante status -j kiosk.db
      restante status --json | jq .accounts.pending
    """
    with JournalReader(path) as reader:
        statistics, shipper = reader.counts(), reader.shipping()
    shipping = shipping_of(statistics, shipper, now=time.time())
    if for_programs:
        told = {
            "state": shipping.state,
            "since": shipping.since,
            "retry_at": shipping.retry_at,
            "cause": shipping.cause,
        }
        click.echo(options.as_json({"sentence": shipping.sentence, "shipping": told, "accounts": statistics}))
    else:
        click.echo(f"{shipping.sentence}\n{_accounts(statistics)}")
    context.exit(int(_needs_attention(statistics, shipping, max_age)))


def _needs_attention(statistics: Statistics, shipping: Shipping, max_age: float | None) -> bool:
    too_old = max_age is not None and (statistics.oldest_pending_seconds or 0.0) > max_age
    return bool(statistics.rejected or statistics.in_doubt or shipping.state in {"paused", "full"} or too_old)


def _accounts(statistics: Statistics) -> str:
    parts = []
    for state in State:
        number = getattr(statistics, state.value)
        if number or state in _ALWAYS_SHOWN:
            parts.append(f"{state.value.replace('_', ' ')} {number:,}")
    balance = "" if statistics.adds_up else "  DOES NOT ADD UP"
    lines = [f"recorded {statistics.recorded:,} = {' + '.join(parts)}{balance}"]
    if statistics.possibly_twice:
        lines.append(f"possibly applied twice: {statistics.possibly_twice:,}")
    if statistics.out_of_order:
        lines.append(f"out of order: {statistics.out_of_order:,}")
    if statistics.oldest_pending_seconds is not None:
        lines.append(f"oldest unsent: {age(statistics.oldest_pending_seconds)}")
    kept = f", {statistics.kept:,} of {statistics.recorded:,} entries kept" if statistics.pruned else ""
    lines.append(f"journal: {size(statistics.bytes)}{kept}")
    return "\n".join(lines)


@click.command("entries")
@options.filter_words
@options.journal
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="At most so many."
)
@options.json_flag
def entries_command(words: list[str], path: Path, limit: int, for_programs: bool) -> None:
    """Entries of the journal, newest first.

    Filters: state=, op=, profile=, group=, lane=, error=, status=, seq=, since=; != negates; a bare word looks in
    ids, property names and error texts. error==WORDS takes exactly these words; seq= several, as in 3,7,20..30.

    \b
    Examples:
      restante entries state=pending
      restante entries op=add profile=ada since=2h
      restante entries seq=100..200 --json
    """
    with JournalReader(path) as reader:
        entries = reader.entries(words, limit=limit)
        total = reader.count(words) if len(entries) == limit else len(entries)
        counts = reader.counts()
    if for_programs:
        click.echo(options.as_json(entries))
        return
    now = time.time()
    if sys.stdout.isatty():
        _table(entries, now)
    else:
        for entry in entries:
            click.echo("\t".join(_cells(entry, now, length=2_000)))
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
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

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


def _widths(rows: list[tuple[str, ...]], room: int) -> list[int]:
    """How wide each column is: the long ones give way, not the short ones that say which entry this is."""
    from rich.cells import cell_len

    widest = [max(map(cell_len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    most = {"SEQ": 12, "AGE": 6, "OP": 10, "STATE": max(room // 4, 9)}
    widths = [min(wide, most.get(name, 0)) for name, wide in zip(_COLUMNS, widest, strict=True)]
    left = max(room - sum(widths), 16)
    profile, summary = _COLUMNS.index("PROFILE"), _COLUMNS.index("SUMMARY")
    widths[profile] = min(widest[profile], max(left * 2 // 5, left - widest[summary]))
    widths[summary] = min(widest[summary], left - widths[profile])
    return widths
