"""`restante status` and `restante entries`: looking into a journal."""

import sys
import time
from pathlib import Path

import click

from recorder import Entry, JournalReader, State, Statistics
from tui.cli import options
from tui.format import age, clipped, printable, size, summary
from tui.sentence import Shipping, shipping_of

__all__ = ["entries_command", "status_command"]

_ALWAYS_SHOWN = (State.PENDING, State.IN_DOUBT, State.REJECTED, State.SHIPPED)


class Span(click.ParamType[float]):
    """A span of time such as 90s, 5m, 1h, 7d; in seconds."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The span in seconds."""
        if isinstance(value, int | float):
            return float(value)
        text = str(value).strip()
        unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:])
        try:
            if unit is None:
                raise ValueError
            return float(text[:-1]) * unit
        except ValueError:
            self.fail(f"{text!r} is no span of time; write 90s, 5m, 1h or 7d", param, ctx)


@click.command("status")
@options.journal
@click.option(
    "--max-age", type=Span(), help="Exit 1 when something unsent is older than this: 90s, 5m, 1h, 7d."
)
@options.json_flag
@click.pass_context
def status_command(context: click.Context, path: Path, max_age: float | None, for_programs: bool) -> None:
    """How shipping stands, and the accounts.

    Exits 1 when something is rejected, in doubt or paused, or older than --max-age.

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
    return bool(statistics.rejected or statistics.in_doubt or shipping.state == "paused" or too_old)


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
    if statistics.oldest_pending_seconds is not None:
        lines.append(f"oldest unsent: {age(statistics.oldest_pending_seconds)}")
    lines.append(f"journal: {size(statistics.bytes)}")
    return "\n".join(lines)


@click.command("entries")
@click.argument("filter_words", metavar="[FILTER]...", nargs=-1)
@options.journal
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@options.json_flag
def entries_command(filter_words: tuple[str, ...], path: Path, limit: int, for_programs: bool) -> None:
    """Entries of the journal, newest first.

    Filters: state=, op=, profile=, group=, lane=, error=, seq=, since=; != negates; a bare word looks in ids,
    property names and error texts.

    \b
    Examples:
      restante entries state=pending
      restante entries op=add profile=ada since=2h
      restante entries seq=100..200 --json
    """
    expression = " ".join(filter_words)
    with JournalReader(path) as reader:
        entries = reader.entries(expression, limit=limit)
        total = reader.count(expression) if len(entries) == limit else len(entries)
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
        options.narrate("No entry matches." if expression else "Nothing is recorded yet.")


def _cells(entry: Entry, now: float, length: int) -> tuple[str, ...]:
    owner = f"{entry.group_key}:{entry.profile}" if entry.group_key is not None else entry.profile or "-"
    reason = f" ({printable(entry.reason)})" if entry.reason else ""
    return (
        str(entry.seq),
        age(max(0.0, now - entry.recorded_at)),
        clipped(printable(owner), length),
        printable(entry.operator or entry.lane.value),
        summary(entry, length),
        entry.state.value.replace("_", " ") + reason,
    )


def _table(entries: list[Entry], now: float) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("SEQ", "AGE"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("PROFILE", "OP", "SUMMARY", "STATE"):
        table.add_column(name, overflow="ellipsis", no_wrap=name != "STATE")
    for entry in entries:
        table.add_row(*(Text(cell) for cell in _cells(entry, now, length=60)))  # Text: data is never markup
    Console().print(table)
