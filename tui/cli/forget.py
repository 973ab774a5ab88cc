"""`restante forget`: erase a profile from the journal."""

from pathlib import Path

import click

from recorder import Journal, JournalReader
from tui.cli import options
from tui.cli.progress import progress_bar
from tui.text.forgetting import hazards, told
from tui.text.format import count

__all__ = ["forget_command"]


@click.command("forget")
@click.argument("profile", metavar="ID")
@options.journal
@click.option("--group", "group_key", metavar="KEY", help="The group's profile of this key, not the user's.")
@click.option("--delete-remote", is_flag=True, help="Also send a $delete, so that the service deletes it.")
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
    """Erase what the journal holds of a profile, whatever became of it; entries keep number, lane and time.

    Of a user, events and imports that name it go, too. Says first how many entries that are, and how many were never
    sent, then asks. What is being sent is waited for. It cannot be undone; what the service was given stays there,
    unless --delete-remote is given: that $delete names the profile until it has gone.

    Exits 1 when there was nothing, when something is still to be done (a reader keeps the log from being cut, files
    that a salvage left), or when it was not wanted; run it again to finish. docs/privacy.md says what is covered.

    \b
    Examples:
      restante forget ada@example.org
      restante forget acme --group company --delete-remote --yes
    """
    with JournalReader(path) as reader:
        weighed = reader.weigh_forgetting(profile, group_key)
    if not yes:
        for line in hazards(weighed, delete_remote=delete_remote):
            options.narrate(line)
    if not options.go_ahead(f"Forget {count(weighed.entries, 'entry', 'entries')} for ever?", yes=yes):
        context.exit(1)
    with Journal(path) as journal, progress_bar("forgetting") as show:
        done = journal.forget(profile, group_key=group_key, delete_remote=delete_remote, progress=show)
    if for_programs:
        click.echo(options.as_json(done))
    else:
        for line in told(done):
            options.narrate(line)
    context.exit(int(not (done.anything or done.deletion or done.remnants) or bool(done.copies)))
