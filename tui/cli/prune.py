"""`restante prune`: free the space of entries shipped long ago."""

from pathlib import Path

import click

from recorder import Journal, JournalReader
from tui.cli import options
from tui.cli.progress import progress_bar
from tui.text.format import count, size

__all__ = ["prune_command"]


@click.command("prune")
@options.journal
@click.option("--all-shipped", is_flag=True, help="Prune every shipped entry, however recent.")
@click.option("--dry-run", is_flag=True, help="Only show how many entries would be pruned.")
@options.json_flag
def prune_command(path: Path, all_shipped: bool, dry_run: bool, for_programs: bool) -> None:
    """Replace shipped entries by one row for each profile, and free their space.

    Shipped entries are kept for inspection: 7 days, and at most 100,000, unless the app chose otherwise. Shippers
    prune older ones by themselves; this command does so at once, while others record and ship. Profiles and
    accounts do not change. Unsent and rejected entries are kept. Discarded entries older than the
    newest pruned one are pruned, too.

    \b
    Examples:
      restante prune --dry-run
      restante prune -j kiosk.db --all-shipped
    """
    JournalReader(path).close()  # pruning never makes a journal
    with Journal(path) as journal, progress_bar("pruning") as show:
        pruned = journal.prune(all_shipped=all_shipped, dry_run=dry_run, progress=show)
    if for_programs:
        options.write_json(pruned)
    elif dry_run:
        options.narrate(f"{count(pruned.entries, 'entry', 'entries')} would be pruned.")
    else:
        options.narrate(
            f"Pruned {count(pruned.entries, 'entry', 'entries')} and {count(pruned.attempts, 'attempt')}; "
            f"the journal is {size(pruned.freed)} smaller."
        )
