"""The `restante` command: its subcommands, its exit codes, and how errors are shown."""

import codecs
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO, TextIOWrapper
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click

import recorder
from recorder import JournalError, RestanteError, WrongToken
from recorder.model.errors import JournalMissing, JournalSnapshot, JournalTooNew, NotAJournal
from tui.cli.colour import color_option
from tui.cli.options import narrate

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["COMMANDS", "GROUPS", "main", "restante"]

GROUPS = {
    "Record and ship": {
        "record": ("record", "Record update messages from a file or a pipe."),
        "ship": ("ship", "Send unsent entries, in order."),
        "relay": ("relay", "Receive what SDKs send, and ship it from a journal."),
    },
    "Look": {
        "status": ("status", "Show the state of shipping, and the accounts."),
        "entries": ("entries", "List entries, newest first."),
        "profiles": ("profiles", "Show profiles as predicted, or as shipped."),
        "tui": ("browse", "Open the full-screen browser."),
        "fleet": ("fleet", "Look at the journals of many devices."),
        "export": ("export", "Write entries as lines for `record`, or as a database."),
    },
    "Decide": {
        "retry": ("decide", "Send entries again: rejected, discarded or in doubt."),
        "discard": ("decide", "Give up entries: unsent, rejected or in doubt."),
        "settle": ("settle", "Find out which entries in doubt were applied."),
        "edit": ("edit", "Replace an entry's message."),
        "forget": ("forget", "Erase a profile from the journal."),
        "token": ("token", "Change the project that the journal belongs to."),
    },
    "Keep": {
        "doctor": ("doctor", "Check the journal and its surroundings."),
        "audit": ("audit", "Recount the accounts from the entries."),
        "prune": ("prune", "Free the space of entries shipped long ago."),
        "snapshot": ("snapshot", "Copy the journal for inspection."),
        "salvage": ("salvage", "Make a new journal from a damaged one."),
    },
    "Test": {
        "demo": ("demo", "Record, ship and compare in a few seconds."),
        "simulator": ("service", "Run a local service that SDKs can send to."),
        "compare": ("compare", "Compare the journal with what a service received."),
        "conform": ("conform", "Compare another implementation with the simulator."),
        "probe": ("probe", "Ask a test project what no documentation answers."),
    },
    "Help": {
        "help": ("help", "Show the help of a command, or this list."),
    },
}
"""By group and name: the module in `tui.cli` with the function ``<name>_command``, and a line for the list."""

COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}

_INTERRUPTED = 130
_WRONG_JOURNAL = (JournalMissing, NotAJournal, JournalSnapshot, JournalTooNew, WrongToken)


class _PipeClosed(Exception):  # a signal to `main`, not an error
    """Nobody reads standard output any more."""


class _Commands(click.Group):
    """Imports a command's module when it is asked for, so that `restante --help` starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # as click calls it
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, or None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tui.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:9}", line) for name, (_, line) in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return the commands that begin so, without importing them, or the options."""
        from click.shell_completion import CompletionItem  # asked for by shells only

        return [
            *(
                CompletionItem(name, help=line)
                for name, (_, line) in COMMANDS.items()
                if name.startswith(incomplete)
            ),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:
        """Read the arguments, or write the help."""
        with _closed_pipe():
            try:
                return super().make_context(*arguments, **extra)
            except click.NoSuchOption as error:
                advice = "Options of a command follow its name: restante status -j FILE."
                message = f"No such option: {error.option_name}. {advice}"
                raise click.NoSuchOption(
                    error.option_name, message, error.possibilities, error.ctx
                ) from error

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what lacks an extra says which."""
        with _closed_pipe():
            try:
                return super().invoke(ctx)
            except ImportError as error:
                raise click.ClickException(str(error)) from error


@contextmanager
def _closed_pipe() -> Iterator[None]:
    """End the command silently, where click itself would end with exit code 1."""
    try:
        yield
    except BrokenPipeError:
        raise _PipeClosed from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@color_option
@click.version_option(recorder.__version__, prog_name="restante")
def restante() -> None:
    """Record profile updates on this device, and ship them when the network is back.

    \b
    Try it:    restante demo
    Record:    restante record --token PROJECT updates.jsonl
    Ship:      restante ship
    Look:      restante status; restante entries state=pending; restante tui

    Results go to standard output, messages to standard error. Exit codes: 0 done; 1 something needs attention;
    2 wrong usage or input.
    """


def main() -> NoReturn:
    """Run the command, and end with its exit code."""
    _open_streams()
    given: dict[str, bool | None] = {}  # what an error needs once the command's context has gone
    code = _run(given)
    lost = _flushed(sys.stdout)
    if lost is not None and not isinstance(lost, BrokenPipeError):
        _show(f"standard output: {lost.strerror}", given)
        code = code or 1
    _flushed(sys.stderr)
    sys.exit(code)


def _run(given: dict[str, bool | None]) -> int:
    try:
        code = restante(standalone_mode=False, obj=given)
    except click.ClickException as error:
        written = StringIO()
        error.show(written)
        usage, _, message = written.getvalue().rstrip("\n").partition("Error: ")
        if message:
            _show(message, given, usage)
        else:  # no command was given, and help is all there is to say
            narrate(usage)
        return error.exit_code
    except RestanteError as error:
        _show(f"{error}\n{error.hint}".rstrip(), given)
        return _code(error)
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except _PipeClosed:
        return 0
    except OSError as error:
        dropped = _flushed(sys.stdout)
        place = error.filename or ("standard output" if dropped else "")
        _show(": ".join(filter(None, (str(place), error.strerror or str(error)))), given)
        return 1
    return code if isinstance(code, int) else 0


def _open_streams() -> None:
    """Stand in for streams that were closed by whoever started us: their use is an error, stderr's is not."""
    sys.stdin = sys.stdin or _null(os.O_WRONLY, "r")
    sys.stdout = sys.stdout or _null(os.O_RDONLY, "w")
    sys.stderr = sys.stderr or _null(os.O_WRONLY, "w")
    codecs.register_error("restante.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Python takes the locale C for UTF-8. A terminal that was told so shows ASCII.
            if _locale() in {"C", "POSIX"} and stream.isatty():
                stream.reconfigure(encoding="ascii")
            stream.reconfigure(errors="restante.plain")


def _locale() -> str:
    """Return the locale that a person chose for characters; nothing without one, as in containers."""
    chosen = os.environ.get("LC_CTYPE", "")
    if chosen in {"C.UTF-8", "C.utf8", "UTF-8"}:  # Python sets these where it finds C
        chosen = ""
    return os.environ.get("LC_ALL") or chosen or os.environ.get("LANG", "")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Spell out what a stream's encoding lacks, glyphs by their twins."""
    from tui.text.ascii import plain  # most terminals show all there is

    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end


def _null(flags: int, mode: str) -> IO[str]:
    descriptor = os.open(os.devnull, flags)
    return os.fdopen(descriptor, mode, encoding="utf-8", closefd=False)  # for as long as the process lives


def _flushed(stream: IO[str]) -> OSError | None:
    """Write out what a stream keeps; return why that cannot be done, and drop it then.

    Python would complain when it flushes at the end, and end with 120.
    """
    try:
        stream.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return error
    return None


def _show(message: str, given: dict[str, bool | None], usage: str = "") -> None:
    narrate(usage, ("Error:", "$text-error"), f" {message}", color=given.get("color"))


def _code(error: RestanteError) -> int:
    """Return 1 for a journal that needs attention, 2 for the wrong journal or input."""
    return 1 if isinstance(error, JournalError) and not isinstance(error, _WRONG_JOURNAL) else 2
