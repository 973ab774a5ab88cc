"""`restante help`: the same as ``--help``, for those who type it so."""

import click

__all__ = ["help_command"]


@click.command("help")
@click.argument("name", metavar="[COMMAND]", required=False)
@click.pass_context
def help_command(context: click.Context, name: str | None) -> None:
    """Show the help of a command, or the list of commands.

    \b
    Examples:
      restante help
      restante help ship
    """
    everything = context.find_root()
    if name is None or not isinstance(everything.command, click.Group):
        click.echo(everything.get_help())
        return
    _, command, _ = everything.command.resolve_command(everything, [name])
    if command is not None:
        command.make_context(name, ["--help"], parent=everything)
