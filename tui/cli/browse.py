"""`restante tui`: the full-screen browser. The only command that needs textual."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from recorder import JournalReader
from recorder.model.filters import where
from tui.cli import options
from tui.cli.status import status_command

__all__ = ["VIEWS", "tui_command"]

VIEWS = ("home", "journal", "profiles", "shipping")
"""The browser's views, by the names of their classes' `where`."""


def _size(value: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,3})x(\d{1,3})", value)
    if match is None or not all(map(int, match.groups())):
        raise click.BadParameter(f"{value!r} is not a size in columns and rows, such as 120x36")
    return int(match[1]), int(match[2])


@click.command("tui")
@options.filter_words
@options.journal
@options.connection
@click.option("--write", is_flag=True, help="Allow retry, discard, edit and ship; each asks first.")
@click.option(
    "--view", type=click.Choice(VIEWS), help="The view to open with.  [default: the one used last, or home]"
)
@click.option(
    "--ascii",
    "ascii_only",
    is_flag=True,
    help="Draw with ASCII characters only; the default where the locale is not UTF-8.",
)
@click.option(
    "--screenshot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save the screen as SVG and exit; needs no terminal.",
)
@click.option(
    "--size",
    type=_size,
    metavar="SIZE",
    default="120x36",
    show_default=True,
    help="The size of the picture, in columns and rows.",
)
@click.pass_context
def tui_command(
    context: click.Context,
    /,
    words: list[str],
    path: Path,
    url: str | None,
    api_host: str | None,
    write: bool,
    view: str | None,
    ascii_only: bool,
    screenshot: Path | None,
    size: tuple[int, int],
) -> None:
    """Browse a journal full-screen: entries, profiles through time, the state of shipping.

    The browser follows what other processes record, and changes nothing unless started with --write. Without a
    terminal it prints `restante status`. It opens with the view and filter you used last. It respects NO_COLOR.
    ? shows the keys; ~/.config/restante/config.toml can change them, the theme and how times are shown.
    SIGTERM and SIGHUP end it with 143 and 129, and restore the terminal.

    With --write and RESTANTE_QUERY_CREDENTIALS, the question about counted entries in doubt offers to settle them; see
    `restante settle`.

    \b
    Examples:
      restante tui -j kiosk.db
      restante tui state=rejected --write
      restante tui --view shipping --screenshot shipping.svg --size 100x30
    """
    JournalReader(path).close()  # report what is not a journal before anything is drawn
    where(words, now=0.0)
    if screenshot is None and not _has_terminal():
        options.narrate("There is no terminal for the browser. This is what `restante status` shows:")
        context.invoke(status_command, path=path, max_age=None, for_programs=False)
        return

    from recorder import HttpTransport  # help and completion come without requests

    def transport() -> HttpTransport:
        return HttpTransport(url=options.destination(path, url, api_host))

    transport().close()  # report a bad address now
    picture = None if screenshot is None else (screenshot, size)
    context.exit(
        _browse(
            path, words, write=write, transport=transport, view=view, ascii_only=ascii_only, picture=picture
        )
    )


def _browse(*what: Any, **how: Any) -> int:
    """Run the browser, which is imported no sooner: help and completion take a fifth of the time without."""
    try:
        from tui.cli.browsing import browse
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise click.ClickException("The browser needs textual: pip install 'restante[tui]'") from error
    return browse(*what, **how)


def _has_terminal() -> bool:
    streams = (sys.stdin, sys.stdout)
    return (
        all(stream is not None and stream.isatty() for stream in streams) and os.environ.get("TERM") != "dumb"
    )
