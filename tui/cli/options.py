"""Options that commands share, and how they write."""

import dataclasses
import json
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from recorder.model.filters import KEYS, seconds

__all__ = [
    "BadInput",
    "Bytes",
    "Span",
    "as_json",
    "connection",
    "filter_words",
    "go_ahead",
    "journal",
    "journal_hint",
    "json_flag",
    "narrate",
    "token",
    "yes",
]

_SIZE = re.compile(r"(?P<number>[0-9]{1,15})(?P<unit>[KMGkmg]?)B?")

Command = TypeVar("Command", bound=Callable[..., Any])

# A shell hands over 'op=add profile=Ada Lovelace' as one word: it is split before the keys.
_BEFORE_KEYS = re.compile(rf"\s+(?=(?:{'|'.join(KEYS)})!?=)")


class Span(click.ParamType[float]):
    """A span of time such as 90s, 5m, 1h, 7d; in seconds."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The span in seconds."""
        if isinstance(value, int | float):
            return float(value)
        span = seconds(str(value))
        if span is None:
            self.fail(f"{value!r} is no span of time; write 90s, 5m, 1h or 7d", param, ctx)
        return span


class Bytes(click.ParamType[int]):
    """A size such as 500K, 64M, 2G; in bytes."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The size in bytes."""
        match = _SIZE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no size; write 500K, 64M or 2G", param, ctx)
        times: int = 1_000 ** " KMG".index(match["unit"].upper() or " ")
        return int(match["number"]) * times


class _Words(click.ParamType[list[str]]):
    """One argument of a filter, as the words it holds."""

    name = "filter"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:  # noqa: ARG002  # as click calls it
        """Its words."""
        return value if isinstance(value, list) else _BEFORE_KEYS.split(str(value))


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


def filter_words(command: Command) -> Command:
    """``[FILTER]...``: which entries, as one list of words."""
    return click.argument(
        "words",
        metavar="[FILTER]...",
        nargs=-1,
        type=_Words(),
        callback=lambda _context, _argument, several: [word for words in several for word in words],
    )(command)


def yes(command: Command) -> Command:
    """``--yes``: do not ask."""
    return click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")(command)


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


def go_ahead(question: str, *, yes: bool) -> bool:
    """Whether it may be done: a person says so on a terminal, or ``--yes`` did.

    Raises:
        BadInput: There is nobody to ask.
    """
    if yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise BadInput("There is no terminal to ask on: give --yes to go ahead. Nothing was done.")
    click.echo(f"{question} [y/N] ", err=True, nl=False)
    answer = sys.stdin.readline()
    if not answer:  # Ctrl-D
        click.echo(err=True)
    agreed = answer.strip().lower() in {"y", "yes"}
    if not agreed:
        narrate("Nothing was done.")
    return agreed


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
