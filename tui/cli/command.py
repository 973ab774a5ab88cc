"""The `restante` command: its subcommands, its exit codes, and how errors are shown."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO, TextIOWrapper
from typing import IO, Any, NoReturn

import click

import recorder
from recorder import JournalError, RestanteError, WrongToken
from recorder.model.errors import JournalMissing, JournalSnapshot, JournalTooNew, NotAJournal
from tui.cli.options import narrate

__all__ = ["main", "restante"]

COMMANDS = {
    "record": ("record", "Record update messages from a file or a pipe."),
    "ship": ("ship", "Send what is pending, in order."),
    "status": ("status", "Show the state of shipping, and the accounts."),
    "entries": ("entries", "List entries, newest first."),
    "profiles": ("profiles", "Show profiles, as shipped and as predicted."),
    "tui": ("browse", "Open the full-screen browser."),
    "retry": ("decide", "Send rejected, discarded or doubtful entries again."),
    "discard": ("decide", "Give up unsent, rejected or doubtful entries."),
    "settle": ("settle", "Find out which entries in doubt were applied."),
    "edit": ("edit", "Give an entry another message."),
    "forget": ("forget", "Erase a profile from the journal."),
    "export": ("export", "Write entries as lines for `record`, or as a database."),
    "token": ("token", "Change the project that the journal belongs to."),
    "prune": ("prune", "Free the space of entries shipped long ago."),
    "audit": ("audit", "Recount the accounts from the entries."),
    "doctor": ("doctor", "Check the journal and its surroundings."),
    "salvage": ("salvage", "Make a new journal from a damaged one."),
    "snapshot": ("snapshot", "Copy the journal, to look into."),
    "compare": ("compare", "Compare the journal with what a service received."),
    "fleet": ("fleet", "Look at the journals of many devices."),
    "simulator": ("service", "Run a local service that SDKs can send to."),
    "relay": ("relay", "Take what SDKs send, and ship it from a journal."),
    "conform": ("conform", "Compare another implementation with the simulator."),
    "probe": ("probe", "Ask a test project what no document answers."),
    "demo": ("demo", "Show everything in a few seconds."),
}
"""By name: the module in `tui.cli` with the function ``<name>_command``, and a line for the list of commands."""

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
        try:
            module = importlib.import_module(f"tui.cli.{COMMANDS[cmd_name][0]}")
        except ImportError as error:
            raise click.ClickException(_missing(error)) from error
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:
        """Read the arguments, or write the help."""
        with _closed_pipe():
            return super().make_context(*arguments, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        with _closed_pipe():
            return super().invoke(ctx)


@contextmanager
def _closed_pipe() -> Iterator[None]:
    """End the command silently, where click itself would end with exit code 1."""
    try:
        yield
    except BrokenPipeError:
        raise _PipeClosed from None


def _missing(error: ImportError) -> str:
    """Return the command that installs what is missing."""
    if (error.name or "").partition(".")[0] == "textual":
        return "The browser needs textual: pip install 'restante[tui]'"
    return str(error)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
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
    code = _run()
    lost = _flushed(sys.stdout)
    if lost is not None and not isinstance(lost, BrokenPipeError):
        _show(f"standard output: {lost.strerror}")
        code = code or 1
    _flushed(sys.stderr)
    sys.exit(code)


def _run() -> int:
    try:
        code = restante(standalone_mode=False)
    except click.ClickException as error:
        written = StringIO()
        error.show(written)
        narrate(written.getvalue().rstrip("\n"))
        return error.exit_code
    except RestanteError as error:
        _show(f"{error}\n{error.hint}".rstrip())
        return _code(error)
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except _PipeClosed:
        return 0
    except OSError as error:
        dropped = _flushed(sys.stdout)
        place = error.filename or ("standard output" if dropped else "")
        _show(": ".join(filter(None, (str(place), error.strerror or str(error)))))
        return 1
    return code if isinstance(code, int) else 0


def _open_streams() -> None:
    """Stand in for streams that were closed by whoever started us: their use is an error, stderr's is not."""
    sys.stdin = sys.stdin or _null(os.O_WRONLY, "r")
    sys.stdout = sys.stdout or _null(os.O_RDONLY, "w")
    sys.stderr = sys.stderr or _null(os.O_WRONLY, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show it still gets it


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


def _show(message: str) -> None:
    narrate(f"Error: {message}")


def _code(error: RestanteError) -> int:
    """Return 1 for a journal that needs attention, 2 for the wrong journal or input."""
    return 1 if isinstance(error, JournalError) and not isinstance(error, _WRONG_JOURNAL) else 2
