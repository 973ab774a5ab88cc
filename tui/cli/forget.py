"""`restante forget`: erase a profile from the journal."""

from pathlib import Path

import click

from recorder import Journal, JournalReader
from tui import state
from tui.cli import options
from tui.cli.progress import progress_bar
from tui.text.forgetting import hazards, told
from tui.text.format import owner_name, printable

__all__ = ["forget_command"]


@click.command("forget")
@options.profile("profile")
@options.journal
@click.option(
    "--group",
    "group_key",
    metavar="KEY",
    type=options.text,
    help="Forget the group of this key instead of a user.",
)
@click.option("--delete-remote", is_flag=True, help="Also record a $delete for the service.")
@options.yes
@options.json_flag
@click.pass_context
def forget_command(
    context: click.Context,
    profile: str,
    path: Path,
    group_key: str | None,
    delete_remote: bool,
    yes: bool,
    for_programs: bool,
) -> None:
    """Erase a profile from the journal; its entries keep their number, lane and time.

    A user's events and imports are erased, too. Shows how many entries name it and how many were never sent,
    then asks. Waits for the current request. This cannot be undone. The service keeps what it received, unless
    you add --delete-remote: that records a $delete, which names the profile until it is shipped.

    Exits 0 when nothing of the profile is left, even if nothing was there: after a kill, run it again. Exits 1
    if you did not agree, or if something remains to be done (a reader keeps the log from being truncated, or a
    salvage left files).

    \b
    Examples:
      restante forget ada@example.org
      restante forget acme --group company --delete-remote --yes
    """
    with JournalReader(path) as reader:
        weighed, identity = reader.weigh_forgetting(profile, group_key), reader.identity()
    if not yes:
        for line in hazards(weighed, delete_remote=delete_remote):
            options.narrate(line)
    if not options.go_ahead(f"Forget {printable(owner_name(profile, group_key))} for ever?", yes=yes):
        context.exit(1)
    with Journal(path) as journal, progress_bar("forgetting") as show:
        done = journal.forget(profile, group_key=group_key, delete_remote=delete_remote, progress=show)
    state.forget(path, identity)  # a filter of the browser may name the profile
    if for_programs:
        options.write_json(done)
    else:
        for line in told(done):
            options.narrate(line)
    context.exit(int(bool(done.copies)))
