"""`restante ship`: send what is pending."""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from recorder import HttpTransport, Journal, JournalReader, Shipper, ShipReport
from tui.cli import options
from tui.format import count, printable

__all__ = ["report_sentence", "ship_command", "ship_with_progress"]

_PATIENCE = 60.0  # seconds: a request cut off would be in doubt


@click.command("ship")
@options.journal
@options.connection
@click.option("--limit", type=click.IntRange(min=1), help="At most so many entries.")
@options.json_flag
@click.pass_context
def ship_command(
    context: click.Context, path: Path, url: str | None, api_host: str, limit: int | None, for_programs: bool
) -> None:
    """Send what is pending, in order. Exits 1 if anything is left.

    \b
    Examples:
      restante ship -j kiosk.db
      restante ship --url http://127.0.0.1:8765
    """
    transport = HttpTransport(url=url, api_host=api_host)
    JournalReader(path).close()  # shipping never makes a journal
    with Journal(path) as journal:
        shipper = Shipper(journal, transport)
        try:
            report = ship_with_progress(shipper, limit)
        except KeyboardInterrupt:
            options.narrate("Letting the request under way be answered; Ctrl-C again ends at once.")
            shipper.wait(_PATIENCE)
            raise
    transport.close()
    if for_programs:
        click.echo(options.as_json(report))
    else:
        options.narrate(report_sentence(report))
    context.exit(int(bool(report.pending or report.in_doubt) or report.stopped_by != "done"))


def ship_with_progress(shipper: Shipper, limit: int | None = None) -> ShipReport:
    """Ship with a bar on a terminal, silently elsewhere."""
    if not sys.stderr.isatty():
        return shipper.ship(limit=limit)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("shipping", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("shipping", total=limit)
        return shipper.ship(limit=limit, progress=_mover(bar.update, task, limit))


def _mover(update: Callable[..., None], task: object, limit: int | None) -> Callable[[ShipReport], None]:
    def move(report: ShipReport) -> None:
        left = report.shipped + report.pending + report.in_doubt
        update(task, completed=report.shipped, total=left if limit is None else min(limit, left))

    return move


def report_sentence(report: ShipReport) -> str:
    """What came of shipping, for a person."""
    shipped = f"Shipped {count(report.shipped, 'entry', 'entries')} in {count(report.requests, 'request')}."
    if report.stopped_by == "done":
        return f"{shipped} Nothing is left."
    left = f"{report.pending:,} pending" + (f", {report.in_doubt:,} in doubt" if report.in_doubt else "")
    cause = printable(report.message) or "not yet due"
    kept = f"All of it is kept ({left})."
    match report.stopped_by:
        case "offline":
            return f"{shipped} Offline: {cause}. {kept}"
        case "busy":
            return f"{shipped} Busy: {cause}. {kept}"
        case "paused":
            return f"{shipped} Stopped, something must be mended: {cause}. {kept}"
    return f"{shipped} Stopped: {cause}. {kept}"
