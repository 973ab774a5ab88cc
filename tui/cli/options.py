"""Options, questions and output that commands share."""

import dataclasses
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, get_args

import click

from recorder.model.addresses import SERVICE, base_of
from recorder.model.errors import JournalMissing
from recorder.model.filters import KEYS, moment, seconds
from recorder.model.operations import UnknownOperators
from tui.cli.colour import Part, painted
from tui.text.format import escaped_json, printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "QUERY_CREDENTIALS",
    "BadInput",
    "Command",
    "Part",
    "account",
    "as_dict",
    "as_json",
    "byte_count",
    "connection",
    "destination",
    "filter_words",
    "go_ahead",
    "hanging",
    "journal",
    "journal_hint",
    "json_flag",
    "kept_token",
    "make_private",
    "narrate",
    "new_file",
    "past",
    "profile",
    "query_account",
    "say",
    "span",
    "speaks_utf8",
    "table_width",
    "text",
    "token",
    "unknown_operators",
    "verdict",
    "write_json",
    "write_json_lines",
    "yes",
]

QUERY_CREDENTIALS = "RESTANTE_QUERY_CREDENTIALS"
"""Variable that names the account that reads profiles."""

_NARROWEST = 40  # cells of a terminal whose lines are broken at blanks
_USUAL = 80  # cells of a terminal that does not know its width
_BLANK = re.compile(r" (?=[^`]*(?:`[^`]*`[^`]*)*$)")  # outside of backquotes: an even number of them follows
_SIZE = re.compile(r"(?P<number>[0-9]{1,15})(?P<unit>[KMGkmg]?)B?")

Command = TypeVar("Command", bound=Callable[..., Any])

# A quoted 'op=add profile=Ada Lovelace' arrives as one word: split it before each key.
_BEFORE_KEYS = re.compile(rf"\s+(?=(?:{'|'.join(KEYS)})!?=)")


def span(value: str | float) -> float:
    """Return the seconds of a span of time such as 90s, 5m, 1h or 7d; a parameter type."""
    number = seconds(str(value))
    if number is None:
        raise click.BadParameter(f"{value!r} is not a span of time such as 90s, 5m, 1h or 7d")
    return number


def past(value: str | float) -> float:
    """Return the seconds since the epoch of an age such as 2h, or of a time; a parameter type."""
    found = value if isinstance(value, float) else moment(str(value), time.time())
    if found is None:
        raise click.BadParameter(
            f"{value!r} is neither an age such as 5m, 2h or 7d, nor a time such as 2026-01-31T12:00"
        )
    return found


def byte_count(value: str | int) -> int:
    """Return the bytes of a size such as 500K, 64M or 2G; a parameter type."""
    match = _SIZE.fullmatch(str(value))
    if match is None:
        raise click.BadParameter(f"{value!r} is not a size such as 500K, 64M or 2G")
    factor: int = 1_000 ** " KMG".index(match["unit"].upper() or " ")
    return int(match["number"]) * factor


def text(value: str) -> str:
    """Return an argument as UTF-8, whatever the locale; a parameter type."""
    try:
        return os.fsencode(value).decode()
    except UnicodeError:
        return value


def new_file(value: str | Path) -> Path:
    """Return the path of a file to make; a parameter type."""
    file = Path(value)
    if file.exists() or file.is_symlink():
        raise click.BadParameter(f"{file} exists already. Give the name of a file that does not exist yet.")
    return file


def make_private(file: Path) -> Path:
    """Make a file for output, unless there is one: its owner alone can read it, for it will have user data."""
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    return file


def journal(command: Command) -> Command:
    """Add the option ``-j/--journal``."""
    return click.option(
        "-j",
        "--journal",
        "path",
        type=click.Path(dir_okay=False, readable=False, path_type=Path),
        envvar="RESTANTE_JOURNAL",
        default="restante.db",
        show_default=True,
        help="The journal's file (RESTANTE_JOURNAL).",
        shell_complete=_later("journal_items"),
    )(command)


def account(given: str) -> tuple[str, str, str]:
    """Return name, secret and project of user:secret or user:secret:project_id; what is not there is empty.

    A project's id is a number; any other colon is part of the secret.
    """
    user, _, secret = given.partition(":")
    before, _, project = secret.rpartition(":")
    return (user, before, project) if before and project.isdecimal() else (user, secret, "")


def query_account() -> tuple[str, str, str]:
    """Return name, secret and project of the account that reads profiles; the project may be empty.

    From the environment only: everybody on the machine can read arguments.
    """
    user, secret, project = account(text(os.environ.get(QUERY_CREDENTIALS, "")))
    if not (user and secret and f"{user}{secret}".isprintable()):
        raise BadInput(
            f"Set {QUERY_CREDENTIALS} to user:secret[:project_id] of a service account that may read profiles."
        )
    return user, secret, project


def filter_words(command: Command) -> Command:
    """Add ``[FILTER]...``, handed over as one list of words."""
    return click.argument(
        "words", metavar="[FILTER]...", nargs=-1, callback=_words, shell_complete=_later("filter_items")
    )(command)


def _words(_context: click.Context, _argument: click.Parameter, given: tuple[str, ...]) -> list[str]:
    return [text(word) for words in given for word in _BEFORE_KEYS.split(words)]


def profile(name: str, metavar: str = "ID", *, required: bool = True) -> Callable[[Command], Command]:
    """Return a decorator that adds the id of a profile."""
    return click.argument(
        name, metavar=metavar, required=required, type=text, shell_complete=_later("profile_items")
    )


def _later(name: str) -> Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]:
    """Return a function of `tui.cli.completion`, which is imported when a shell asks."""

    def items(*asked: Any) -> "list[CompletionItem]":
        found: list[CompletionItem] = getattr(import_module("tui.cli.completion"), name)(*asked)
        return found

    return items


def unknown_operators(command: Command) -> Command:
    """Add the option ``--unknown-operators`` to a command."""
    return click.option(
        "--unknown-operators",
        type=click.Choice(get_args(UnknownOperators)),
        default="refuse",
        show_default=True,
        help="What becomes of updates with operators that are not documented, such as a misspelled one.",
    )(command)


def yes(command: Command) -> Command:
    """Add ``--yes``, which answers the question."""
    return click.option(
        "--yes", is_flag=True, help="Do not ask for confirmation; required without a terminal."
    )(command)


def token(command: Command) -> Command:
    """Add the option ``--token``."""
    return click.option(
        "--token", type=text, envvar="RESTANTE_TOKEN", help="The project's token (RESTANTE_TOKEN)."
    )(command)


def connection(command: Command) -> Command:
    """Add ``--url`` and ``--api-host``."""
    command = click.option(
        "--api-host",
        envvar="RESTANTE_API_HOST",
        help="The service's host; eu and in for its regions (RESTANTE_API_HOST).",
    )(command)
    return click.option(
        "--url",
        envvar="RESTANTE_URL",
        help="Another service's base address, such as http://127.0.0.1:8765 (RESTANTE_URL).  "
        "[default: where the journal was shipped last, or api.mixpanel.com]",
    )(command)


def destination(path: Path, url: str | None, api_host: str | None) -> str:
    """Return the base address that was given, or else where the journal was shipped last.

    Raises:
        ShippingError: It is no base address.
    """
    if url is not None or api_host is not None:
        return base_of(url, SERVICE if api_host is None else api_host)
    from recorder import JournalReader  # most commands that share this module read none

    with suppress(JournalMissing), JournalReader(path) as reader:
        return reader.shipping().service or base_of(None, SERVICE)
    return base_of(None, SERVICE)


def kept_token(path: Path) -> str | None:
    """Return the token of the project that a journal belongs to; None where there is no journal, or no token yet."""
    from recorder import JournalReader  # as in `destination`

    with suppress(JournalMissing), JournalReader(path) as reader:
        return reader.token()
    return None


def json_flag(command: Command) -> Command:
    """Add ``--json``, handed over as ``for_programs``."""
    return click.option("--json", "for_programs", is_flag=True, help="Write JSON to standard output.")(
        command
    )


class BadInput(click.ClickException):
    """Wrong input: exit code 2, without a reminder of the usage."""

    exit_code = 2


def journal_hint(path: Path) -> str:
    """Return the option that names a journal, quoted for a shell."""
    return f"-j {shlex.quote(str(path))}"


def say(*parts: Part) -> None:
    """Write lines to standard output, safe for a terminal; parts may have a style.

    Raises:
        OSError: They cannot be written; its file name says where.
    """
    with _standard_output():
        click.echo(painted(parts, _printable_lines), sys.stdout)


def write_json(value: Any) -> None:
    """Write a value as a line of JSON to standard output: UTF-8, whatever the locale.

    Raises:
        OSError: It cannot be written; its file name says where.
    """
    write_json_lines([value])


def write_json_lines(values: Iterable[Any]) -> None:
    """Write a line of JSON for each value, as `write_json` does."""
    with _standard_output():
        sys.stdout.flush()
        for value in values:
            sys.stdout.buffer.write(f"{as_json(value)}\n".encode())
        sys.stdout.buffer.flush()


def verdict(*, good: bool) -> str:
    """Return the style of what a command found."""
    return "$text-success" if good else "$text-error"


def table_width(stream: IO[str] | None = None) -> int:
    """Return the cells of a terminal's line, by COLUMNS first; 0 where the stream (standard output) is none."""
    stream = stream or sys.stdout
    if not stream.isatty():
        return 0
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    with suppress(OSError):
        return os.get_terminal_size(stream.fileno()).columns or _USUAL
    return _USUAL


def hanging(line: str, indent: int) -> str:
    """Return a line, on a terminal broken at blanks; what is broken off is indented by so many cells."""
    width = table_width()
    if width < _NARROWEST:
        return line
    from tui.text.cells import folded  # a pipe needs no cells

    return f"\n{' ' * indent}".join(folded(line, width - indent))


@contextmanager
def _standard_output() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = "standard output"
        raise


def narrate(*parts: Part, ends: bool = True, color: bool | None = None) -> None:
    """Write lines to standard error, as `say` does. Where nobody can read them, the work goes on.

    A terminal would break a long line within a word: there it is broken at blanks, unless it is indented (a table,
    or a command to copy).
    """
    with suppress(OSError):
        width = table_width(sys.stderr)
        lines = painted(parts, _printable_lines).split("\n")
        if width >= _NARROWEST:
            lines = [line if line.startswith(" ") else _broken(line, width) for line in lines]
        click.echo("\n".join(lines), sys.stderr, nl=ends, color=color)


def _broken(line: str, width: int) -> str:
    """Break a line at blanks; a long word, and a command in backquotes, stay whole, to be copied."""
    from rich.cells import cell_len  # a pipe needs no cells

    broken, used = "", 0
    for word in _BLANK.split(line):
        cells = cell_len(click.unstyle(word))
        if broken and used + 1 + cells > width:
            broken, used = f"{broken}\n{word}", cells
        else:
            broken, used = (f"{broken} {word}", used + 1 + cells) if broken else (word, cells)
    return broken


def _printable_lines(words: str) -> str:
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in words.split("\n"))


def go_ahead(question: str, *, yes: bool) -> bool:
    """Return True if ``--yes`` was given, or a person agrees on the terminal.

    Raises:
        BadInput: There is no terminal to ask on.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise BadInput("There is no terminal to ask on. Nothing was changed; give --yes to go ahead.")
    narrate(f"{question} [y/N] ", ends=False)
    answer = sys.stdin.readline()
    if not answer:  # Ctrl-D
        narrate("")
    agreed = answer.strip().lower() in {"y", "yes"}
    if not agreed:
        narrate("Nothing was changed.")
    return agreed


def as_json(value: Any) -> str:
    """Return JSON, safe for a terminal; dataclasses become objects with their fields' names."""
    return escaped_json(value, ensure_ascii=not speaks_utf8(sys.stdout), default=_plain)


def as_dict(value: Any) -> dict[str, Any]:
    """Return a dataclass's own fields by name."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def speaks_utf8(stream: IO[str]) -> bool:
    """Return True if a stream takes any text; elsewhere JSON escapes it."""
    encoding = getattr(stream, "encoding", None) or ""
    return encoding.lower().replace("-", "") == "utf8"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_dict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
