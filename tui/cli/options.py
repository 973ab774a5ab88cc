"""Options that commands share, and how they write."""

import dataclasses
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["BadInput", "as_json", "connection", "journal", "journal_hint", "json_flag", "narrate", "token"]

Command = TypeVar("Command", bound=Callable[..., Any])


def journal(command: Command) -> Command:
    """``-j/--journal``: which journal."""
    return click.option(
        "-j",
        "--journal",
        "path",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="RESTANTE_JOURNAL",
        default="restante.db",
        show_default=True,
        help="The journal's file (RESTANTE_JOURNAL).",
    )(command)


def token(command: Command) -> Command:
    """``--token``: which project."""
    return click.option("--token", envvar="RESTANTE_TOKEN", help="The project's token (RESTANTE_TOKEN).")(
        command
    )


def connection(command: Command) -> Command:
    """``--url`` and ``--api-host``: which service."""
    command = click.option(
        "--api-host",
        envvar="RESTANTE_API_HOST",
        default="api.mixpanel.com",
        show_default=True,
        help="The service's host: api, api-eu or api-in .mixpanel.com (RESTANTE_API_HOST).",
    )(command)
    return click.option(
        "--url",
        envvar="RESTANTE_URL",
        help="Another service's base address, such as http://127.0.0.1:8765 (RESTANTE_URL).",
    )(command)


def json_flag(command: Command) -> Command:
    """``--json``: for programs."""
    return click.option("--json", "for_programs", is_flag=True, help="Write JSON to standard output.")(
        command
    )


class BadInput(click.ClickException):
    """What was given to read is wrong: exit code 2, without a lecture on usage."""

    exit_code = 2


def journal_hint(path: Path) -> str:
    """The option that names a journal, as a person would type it."""
    return f"-j {shlex.quote(str(path))}"


def narrate(text: str) -> None:
    """A line for a person, on standard error."""
    click.echo(text, err=True)


def as_json(value: Any) -> str:
    """JSON for programs: frozen data by field names, text as it is."""
    return json.dumps(value, ensure_ascii=not _speaks_utf8(), default=_plain)


def _speaks_utf8() -> bool:
    """Whether standard output takes any text; elsewhere JSON's own escapes say it."""
    encoding = getattr(sys.stdout, "encoding", None) or ""
    return encoding.lower().replace("-", "") == "utf8"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
