"""`restante prune`: give back the room of what was shipped long ago."""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from recorder import Journal, JournalReader
from recorder.model.reports import Pruned
from tui.cli import options
from tui.text.format import count, size

__all__ = ["prune_command"]


@click.command("prune", short_help="Give back the room of what was shipped long ago.")
@options.journal
@click.option("--all-shipped", is_flag=True, help="Whatever was shipped, however recently.")
@click.option("--dry-run", is_flag=True, help="Only say how many entries would go.")
@options.json_flag
def prune_command(path: Path, all_shipped: bool, dry_run: bool, for_programs: bool) -> None:
    """Fold what was shipped into a row for each profile, and give its room back.

    Shipped entries stay for inspection, 7 days and 100,000 of them unless the app said otherwise; shippers
    prune the older ones by themselves. This does so at once, while others record and ship. Profiles and
    accounts stay as they are; what is unsent, in doubt or rejected stays whole. Discarded entries below the
    newest that goes, go with it.

    \b
    Examples:
      restante prune --dry-run
      restante prune -j kiosk.db --all-shipped
    """
    JournalReader(path).close()  # pruning never makes a journal
    with Journal(path) as journal:
        pruned = _pruned(journal, all_shipped=all_shipped, dry_run=dry_run)
    if for_programs:
        click.echo(options.as_json(pruned))
    elif dry_run:
        options.narrate(f"{count(pruned.entries, 'entry', 'entries')} would go.")
    else:
        options.narrate(
            f"Pruned {count(pruned.entries, 'entry', 'entries')} and {count(pruned.attempts, 'attempt')}; "
            f"the journal is {size(pruned.freed)} smaller."
        )


def _pruned(journal: Journal, *, all_shipped: bool, dry_run: bool) -> Pruned:
    """Prune with a bar on a terminal, silently elsewhere."""
    if not sys.stderr.isatty():
        return journal.prune(all_shipped=all_shipped, dry_run=dry_run)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("pruning", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("pruning", total=None)
        return journal.prune(all_shipped=all_shipped, dry_run=dry_run, progress=_mover(bar.update, task))


def _mover(update: Callable[..., None], task: object) -> Callable[[int, int], None]:
    return lambda done, total: update(task, completed=done, total=total)
