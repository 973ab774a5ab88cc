"""The `restante` command: its subcommands, its exit codes, and how errors are shown."""

import importlib
import os
import sys
from io import TextIOWrapper
from typing import IO, NoReturn

import click

from recorder import JournalError, RestanteError, WrongToken
from recorder.model.errors import JournalMissing, JournalSnapshot, JournalTooNew, NotAJournal

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
    "simulator": ("service", "Run a local service that SDKs can send to."),
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

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; a closed pipe ends it, which click itself would report with exit code 1."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise _PipeClosed from None
        return result


def _missing(error: ImportError) -> str:
    """Return the command that installs what is missing."""
    if (error.name or "").partition(".")[0] == "textual":
        return "The browser needs textual: pip install 'restante[tui]'"
    return str(error)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(package_name="restante", prog_name="restante")
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
    sys.stdout = sys.stdout or _nowhere()  # closed by whoever started us
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show it still gets it
    try:
        code = restante(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except RestanteError as error:
        _show(f"{error}\n{error.hint}".rstrip())
        code = _code(error)
    except (click.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except OSError as error:
        _show(f"{error.filename or 'standard output'}: {error.strerror}")
        code = 1
    except _PipeClosed:
        # Python would complain when it flushes at the end: give it somewhere to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _nowhere() -> IO[str]:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  # for as long as the process lives


def _show(message: str) -> None:
    click.ClickException(message).show()


def _code(error: RestanteError) -> int:
    """Return 1 for a journal that needs attention, 2 for the wrong journal or input."""
    return 1 if isinstance(error, JournalError) and not isinstance(error, _WRONG_JOURNAL) else 2
