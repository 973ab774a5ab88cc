"""`restante token`: make a journal another project's."""

from pathlib import Path

import click

from recorder import Journal, JournalReader
from tui.cli import options
from tui.text.format import count

__all__ = ["token_command"]


@click.command("token")
@click.argument("new", metavar="NEW")
@options.journal
@options.yes
@options.json_flag
@click.pass_context
def token_command(context: click.Context, new: str, path: Path, yes: bool, for_programs: bool) -> None:
    """Give the journal another project's token: what is still to be sent goes there.

    Says first how many entries that are, then asks. Lanes that are paused are due at once. Apps that
    have it open go on recording, for the new project; one that opens it with the old token is refused. Exits 1 when
    nothing was changed.

    \b
    Example:
      restante token NEW_PROJECT -j kiosk.db
    """
    with JournalReader(path) as reader:
        unsent, same = reader.counts().unsent, reader.token() == new
    if same:
        options.narrate("That is the journal's token already. Nothing was done.")
        context.exit(1)
    if not yes:
        go = "entry that is still to be sent goes", "entries that are still to be sent go"
        options.narrate(f"{count(unsent, *go)} to the new project.")
    if not options.go_ahead("Change the token?", yes=yes):
        context.exit(1)
    with Journal(path) as journal:
        journal.change_token(new)
    if for_programs:
        click.echo(options.as_json({"entries": unsent}))
    else:
        options.narrate(f"Changed: {count(unsent, 'entry', 'entries')} to be sent to the new project.")
