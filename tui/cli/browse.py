"""`restante tui`: the full-screen browser. The only command that needs textual."""

import gc
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from recorder import HttpTransport, InvalidFilter, JournalReader
from recorder.model.filters import where
from tui import config
from tui.browser.app import Browser
from tui.browser.gateway import Gateway
from tui.browser.keys import KEY_IDS, key_names
from tui.browser.messages import Place
from tui.cli import options
from tui.cli.status import status_command
from tui.state import Remembered, forget, recall, remember

__all__ = ["tui_command"]

_VIEWS = ("home", "journal", "profiles", "shipping")
_TIMEOUT = 60.0  # seconds for a picture, and for a request: one that is cut off would be in doubt


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
    "--view", type=click.Choice(_VIEWS), help="The first view.  [default: the last one, at first home]"
)
@click.option(
    "--ascii", "ascii_only", is_flag=True, help="Draw with ASCII only, as where the locale is not UTF-8."
)
@click.option(
    "--screenshot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save the screen as SVG, and end; needs no terminal.",
)
@click.option(
    "--size",
    type=_size,
    metavar="SIZE",
    default="120x36",
    show_default=True,
    help="The picture's columns and rows.",
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
    terminal it prints `restante status`. It begins with the view and filter of the last time. It respects NO_COLOR; ?
    shows the keys, and config.toml may change them, the theme and the times (see docs/settings.md). SIGTERM and
    SIGHUP end it with 143 and 129, and restore the terminal.

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
        options.narrate("There is no terminal for the browser; this is `restante status`.")
        context.invoke(status_command, path=path, max_age=None, for_programs=False)
        return

    def transport() -> HttpTransport:
        return HttpTransport(url=options.destination(path, url, api_host))

    transport().close()  # report a bad address now
    account = options.query_account() if write and options.QUERY_CREDENTIALS in os.environ else None
    choices = config.load()
    keymap = _keymap(choices.keys)
    remembers = choices.remember and screenshot is None
    place: Place | None = None
    while True:  # anew for each file that is put in the place of the one before
        with Gateway(path, write=write, transport=transport, account=account, choices=choices) as gateway:
            identity = gateway.identity()
            known = _recalled(path, identity) if remembers else Remembered()
            app = Browser(
                gateway,
                ascii_only=ascii_only or (screenshot is None and not _speaks_utf8()),
                keymap=keymap,
                first=view or ("journal" if words else known.view or "home"),
                words=words or known.words,
                place=place,
                remembered=known,
            )
            _choose_theme(app, choices.theme)
            place = _show(app, screenshot, size)
        if app.remembered is None:
            forget(path, identity)
        elif remembers:
            remember(path, identity, app.remembered)
        if place is None:
            break
    # Else Python looks once more for cycles among all objects before it ends, which takes 0.2 s of CPU.
    gc.freeze()
    context.exit(app.return_code or 0)


def _recalled(path: Path, identity: str) -> Remembered:
    """Return the state of the last run, as far as this version knows its view and its filter."""
    known = recall(path, identity)
    try:
        where(known.words, now=0.0)
    except InvalidFilter:
        known = replace(known, words=())
    return known if known.view in _VIEWS else replace(known, view="")


def _show(app: Browser, screenshot: Path | None, size: tuple[int, int]) -> Place | None:
    """Run a browser to its end; where to go on, if it ended for another file."""
    if screenshot is not None:
        if not screenshot.absolute().parent.is_dir():
            raise options.BadInput(f"--screenshot: there is no folder {screenshot.absolute().parent}")
        _picture(app, screenshot, size)
        options.narrate(f"Saved {screenshot}.")
        return None
    place = app.run()
    signal.alarm(0)  # it has ended in time: see _bound_the_end
    if app.changes.sending:
        options.narrate("Letting the request under way be answered; Ctrl-C again ends at once.")
        app.changes.let_end(_TIMEOUT)
    return place


def _has_terminal() -> bool:
    streams = (sys.stdin, sys.stdout)
    return (
        all(stream is not None and stream.isatty() for stream in streams) and os.environ.get("TERM") != "dumb"
    )


def _speaks_utf8() -> bool:
    """Return True if the terminal can show what is drawn; elsewhere each escape would take several cells."""
    return all(map(options.speaks_utf8, (sys.stdout, sys.stderr)))


def _keymap(keys: Mapping[str, str]) -> Mapping[str, str]:
    for unknown in sorted(keys.keys() - KEY_IDS.keys()):
        raise options.BadInput(
            f"{config.config_file()}: keys: {unknown!r} is no id; there are {', '.join(sorted(KEY_IDS))}"
        )
    try:
        return {name: key_names(given) for name, given in keys.items()}
    except ValueError as error:
        raise options.BadInput(f"{config.config_file()}: keys: {error}") from None


def _choose_theme(app: Browser, theme: str) -> None:
    if theme and theme not in app.available_themes:
        themes = ", ".join(sorted(app.available_themes))
        raise options.BadInput(f"{config.config_file()}: there is no theme {theme!r}; there are {themes}")
    app.theme = theme or app.theme


def _picture(app: Browser, file: Path, size: tuple[int, int]) -> None:
    """Draw without a terminal, and save what is drawn once nothing is under way."""
    drawn: list[str] = []

    async def shoot(pilot: Any) -> None:
        await pilot.pause()
        deadline = time.monotonic() + _TIMEOUT
        while not app.settled and time.monotonic() < deadline:
            await pilot.pause(0.02)
        await pilot.pause()
        drawn.append(app.export_screenshot())
        app.exit()

    app.run(headless=True, size=size, auto_pilot=shoot)
    if drawn:
        try:
            options.make_private(file).write_text(drawn[0], encoding="utf-8")
        except OSError as error:
            raise options.BadInput(f"--screenshot: {file} cannot be written: {error.strerror}") from error
