"""The `restante` command."""

import os
import sys
from io import TextIOWrapper
from typing import IO, NoReturn

import click

from recorder import JournalError, RestanteError, WrongToken
from recorder.model.errors import JournalMissing, JournalSnapshot, JournalTooNew, NotAJournal
from tui.cli.audit import audit_command
from tui.cli.browse import tui_command
from tui.cli.compare import compare_command
from tui.cli.decide import discard_command, retry_command
from tui.cli.demo import demo_command
from tui.cli.doctor import doctor_command
from tui.cli.edit import edit_command
from tui.cli.export import export_command
from tui.cli.forget import forget_command
from tui.cli.look import entries_command, status_command
from tui.cli.profiles import profiles_command
from tui.cli.prune import prune_command
from tui.cli.record import record_command
from tui.cli.salvage import salvage_command
from tui.cli.service import simulator_command
from tui.cli.ship import ship_command
from tui.cli.snapshot import snapshot_command
from tui.cli.token import token_command

__all__ = ["main", "restante"]

_INTERRUPTED = 130


class _PipeClosed(Exception):  # a signal to `main`, not an error
    """Whoever read our output has enough."""


class _Restante(click.Group):
    """Tells a closed pipe from other ends: click itself would end with 1, which means something else here."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise _PipeClosed from None
        return result


@click.group(cls=_Restante, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(package_name="restante", prog_name="restante")
def restante() -> None:
    """Profile updates, journaled on this device and shipped when the network comes back.

    \b
    Try it:    restante demo
    Record:    restante record --token PROJECT updates.jsonl
    Ship:      restante ship
    Look:      restante status; restante entries state=pending; restante tui

    Machine output goes to standard output, narration to standard error. Exit codes: 0 done; 1 something needs
    attention; 2 wrong usage or input.
    """


for _command in (
    record_command,
    ship_command,
    status_command,
    entries_command,
    profiles_command,
    tui_command,
    retry_command,
    discard_command,
    edit_command,
    forget_command,
    export_command,
    token_command,
    prune_command,
    audit_command,
    doctor_command,
    salvage_command,
    snapshot_command,
    compare_command,
    simulator_command,
    demo_command,
):
    restante.add_command(_command)


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
        code = _explain(error)
    except (click.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except OSError as error:
        click.echo(f"restante: {error.filename or 'standard output'}: {error.strerror}", err=True)
        code = 1
    except _PipeClosed:
        # Python would complain when it flushes at the end: give it somewhere to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _nowhere() -> IO[str]:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  # for as long as the process lives


def _explain(error: RestanteError) -> int:
    click.echo(f"restante: {error}", err=True)
    if error.hint:
        click.echo(error.hint, err=True)
    theirs = (JournalMissing, NotAJournal, JournalSnapshot, JournalTooNew, WrongToken)
    return 1 if isinstance(error, JournalError) and not isinstance(error, theirs) else 2
