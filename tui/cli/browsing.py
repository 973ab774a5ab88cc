"""The browser as `restante tui` runs it: with a person's choices, from where it was left, or for a picture."""

import gc
import os
import reprlib
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from recorder import HttpTransport, InvalidFilter
from recorder.model.filters import where
from tui import config
from tui.browser.app import Browser
from tui.browser.gateway import Gateway
from tui.browser.keys import KEY_IDS, key_names
from tui.browser.messages import Place
from tui.cli import options
from tui.cli.browse import VIEWS
from tui.state import Remembered, forget, recall, remember

__all__ = ["browse"]

_TIMEOUT = 60.0  # seconds for a picture, and for a request: one that is cut off would be in doubt


def browse(
    path: Path,
    words: list[str],
    *,
    write: bool,
    transport: Callable[[], HttpTransport],
    view: str | None,
    ascii_only: bool,
    picture: tuple[Path, tuple[int, int]] | None,
) -> int:
    """Run the browser to its end, anew for each file that is put in the place of the one before; return the exit code.

    Args:
        path: The journal's file.
        words: The filter to begin with; without any, that of the last time.
        write: The person may change the journal.
        transport: Where it ships to.
        view: The view to begin with; None for that of the last time.
        ascii_only: Draw ASCII only.
        picture: A file to draw into, with columns and rows, in place of the terminal.
    """
    account = options.query_account() if write and options.QUERY_CREDENTIALS in os.environ else None
    choices = config.load()
    keymap = _keymap(choices.keys)
    remembers = choices.remember and picture is None
    place: Place | None = None
    while True:  # anew for each file that is put in the place of the one before
        with Gateway(path, write=write, transport=transport, account=account, choices=choices) as gateway:
            identity = gateway.identity()
            known = _recalled(path, identity) if remembers else Remembered()
            app = Browser(
                gateway,
                ascii_only=ascii_only or (picture is None and not _speaks_utf8()),
                keymap=keymap,
                first=view or ("journal" if words else known.view or "home"),
                words=words or known.words,
                place=place,
                remembered=known,
            )
            _choose_theme(app, choices.theme)
            place = _show(app, picture)
        if app.remembered is None:
            forget(path, identity)
        elif remembers:
            remember(path, identity, app.remembered)
        if place is None:
            break
    # Else Python looks once more for cycles among all objects before it ends, which takes 0.2 s of CPU.
    gc.freeze()
    return app.return_code or 0


def _recalled(path: Path, identity: str) -> Remembered:
    """Return the state of the last run, as far as this version knows its view and its filter."""
    known = recall(path, identity)
    try:
        where(known.words, now=0.0)
    except InvalidFilter:
        known = replace(known, words=())
    return known if known.view in VIEWS else replace(known, view="")


def _show(app: Browser, picture: tuple[Path, tuple[int, int]] | None) -> Place | None:
    """Run a browser to its end; where to go on, if it ended for another file."""
    if picture is not None:
        file, size = picture
        if not file.absolute().parent.is_dir():
            raise options.BadInput(f"--screenshot: there is no folder {file.absolute().parent}")
        _picture(app, file, size)
        options.narrate(f"Saved {file}.")
        return None
    place = app.run()
    signal.alarm(0)  # it has ended in time: see _bound_the_end
    if app.changes.sending:
        options.narrate("Waiting for the current change to finish; press Ctrl-C again to stop at once.")
        app.changes.let_end(_TIMEOUT)
    return place


def _speaks_utf8() -> bool:
    """Return True if the terminal can show what is drawn; elsewhere each escape would take several cells."""
    return all(map(options.speaks_utf8, (sys.stdout, sys.stderr)))


def _keymap(keys: Mapping[str, str]) -> Mapping[str, str]:
    for unknown in sorted(keys.keys() - KEY_IDS.keys()):
        raise options.BadInput(
            f"{config.config_file()}: keys: {unknown!r} is not a key id; the ids are {', '.join(sorted(KEY_IDS))}"
        )
    try:
        return {name: key_names(given) for name, given in keys.items()}
    except ValueError as error:
        raise options.BadInput(f"{config.config_file()}: keys: {error}") from None


def _choose_theme(app: Browser, theme: str) -> None:
    if theme and theme not in app.available_themes:
        themes = ", ".join(sorted(app.available_themes))
        raise options.BadInput(
            f"{config.config_file()}: there is no theme {reprlib.repr(theme)}; the themes are {themes}"
        )
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
