"""`restante snapshot`: copy the journal, to look into."""

from pathlib import Path

import click

from recorder import snapshot
from tui.cli import options
from tui.text.format import size

__all__ = ["snapshot_command"]


@click.command("snapshot")
@click.argument("file", type=options.new_file)
@options.journal
@options.json_flag
def snapshot_command(file: Path, path: Path, for_programs: bool) -> None:
    """Copy the journal at one moment to FILE, while others record and ship.

    Commands that only read work on the copy. It refuses recording and shipping, since its entries would arrive
    twice. Only its owner can read it. FILE must not exist yet.

    \b
    Example:
      restante snapshot -j kiosk.db monday.db && restante status -j monday.db
    """
    copy = snapshot(path, file)
    if for_programs:
        options.write_json({"file": str(copy), "bytes": copy.stat().st_size})
    else:
        options.narrate(f"Copied to {file} ({size(copy.stat().st_size)}). It is for inspection only.")
