"""`restante token`: change the project that a journal belongs to."""

from pathlib import Path

import click

from recorder import Journal, JournalReader
from recorder.model.tokens import check_token
from tui.cli import options
from tui.text.format import count

__all__ = ["token_command"]


@click.command("token")
@click.argument("new", metavar="NEW", type=options.text)
@options.journal
@options.yes
@options.json_flag
@click.pass_context
def token_command(context: click.Context, new: str, path: Path, yes: bool, for_programs: bool) -> None:
    """Give the journal another project's token; unsent entries go to that project.

    Shows how many entries that is, then asks. Paused lanes are tried at once. Apps that have the journal open
    keep recording, for the new project; an app that opens it with the old token is refused. Exits 1 if nothing was
    changed.

    \b
    Example:
      restante token NEW_PROJECT -j kiosk.db
    """
    check_token(new)
    with JournalReader(path) as reader:
        unsent, same = reader.counts().unsent, reader.token() == new
    if same:
        options.narrate("The journal has that token already. Nothing was changed.")
        context.exit(1)
    if not yes:
        go = "unsent entry would go", "unsent entries would go"
        options.narrate(f"{count(unsent, *go)} to the new project.")
    if not options.go_ahead("Change the token?", yes=yes):
        context.exit(1)
    with Journal(path) as journal:
        journal.change_token(new)
    if for_programs:
        options.write_json({"entries": unsent})
    else:
        options.narrate(f"Changed: {count(unsent, 'entry', 'entries')} to be sent to the new project.")
