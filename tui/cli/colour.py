"""Colours of the command line: `--color`, NO_COLOR, and words in the colours that the browser gives them."""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

__all__ = ["Part", "color_option", "painted"]

Part = str | tuple[str, str]
"""Words, or words and a style; a line of such parts is what Textual's ``Content.assemble`` takes, too."""

Command = TypeVar("Command", bound=Callable[..., Any])

# By the browser's names of its theme's colours; a terminal has its own theme for these.
_STYLES: dict[str, dict[str, Any]] = {
    "$text-error": {"fg": "red"},
    "$text-warning": {"fg": "yellow"},
    "$text-success": {"fg": "green"},
    "$text-primary": {"fg": "cyan"},
    "$text-accent": {"fg": "magenta"},
    "dim": {"dim": True},
    "bold": {"bold": True},
}


def color_option(command: Command) -> Command:
    """Add ``--color``; what it says holds for the context, and for the errors that leave it."""
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        is_eager=True,
        expose_value=False,
        callback=_choose,
        help="When to use colours. auto: on a terminal, unless NO_COLOR or config.toml says otherwise.",
    )(command)


def _choose(context: click.Context, _option: click.Parameter, mode: str) -> None:
    if mode == "auto" and any(stream.isatty() for stream in (sys.stdout, sys.stderr)):
        from tui.config import load  # programs start many commands, and read no such file

        mode = load().color
    if mode == "never":
        os.environ["NO_COLOR"] = "1"  # for the browser and an editor, too
    elif mode == "always":
        os.environ.pop("NO_COLOR", None)
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    context.color = True if mode == "always" else False if plain else None
    context.ensure_object(dict)["color"] = context.color


def painted(parts: Iterable[Part], safe: Callable[[str], str]) -> str:
    """Return parts of a text in their colours; `click.echo` drops these where there is no terminal.

    Args:
        parts: The parts. A style that is not known here is none.
        safe: Makes user data harmless, before it is styled.
    """
    return "".join(safe(part) if isinstance(part, str) else _styled(safe(part[0]), part[1]) for part in parts)


def _styled(text: str, style: str) -> str:
    looks: dict[str, Any] = {}
    for name in style.split():
        looks |= _STYLES.get(name, {})
    return click.style(text, **looks) if looks else text
