"""`restante relay`: a place for official SDKs to send to, until it is ended."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recorder import JournalError, JournalReader
from recorder.model.errors import JournalMissing
from recorder.model.operations import UnknownOperators
from recorder.model.shipping import ShipperStatus
from tui.cli import options
from tui.cli.listening import unavailable
from tui.cli.narrator import Narrator
from tui.cli.policy import import_credentials, policy_of, policy_options
from tui.cli.requestlog import RequestLog
from tui.cli.ship import may_ship_to
from tui.cli.stopping import stop_signals

if TYPE_CHECKING:
    from recorder.relay import Relay

__all__ = ["relay_command"]

_LOOK = 0.2  # seconds between looks for signals, and for an error that ends it
_LAST_TRY = 30.0  # seconds to ship and be answered at the end


def _project(value: str) -> tuple[str, Path]:
    """Return token and path of TOKEN=FILE; a parameter type."""
    token, _, file = options.text(value).partition("=")
    if not (token and file):
        raise click.BadParameter(f"{value!r} is not TOKEN=FILE, such as 3a1c0d=shop.db")
    return token, Path(file)


@click.command("relay")
@options.journal
@options.token
@click.option(
    "--project",
    "projects",
    type=_project,
    multiple=True,
    metavar="TOKEN=FILE",
    help="Another project and its journal. Can be repeated.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8766,
    show_default=True,
    help="The port to listen on; 0 for any free one.",
)
@click.option(
    "--listen",
    "host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; any but a loopback address needs --allow.",
)
@click.option(
    "--allow",
    metavar="CIDR",
    multiple=True,
    help="A network whose computers may send, such as 192.168.7.0/24. Several times for several.",
)
@click.option(
    "--origin",
    "origins",
    metavar="ORIGIN",
    multiple=True,
    help="Where web pages come from that may send, such as http://127.0.0.1:8000. Several times for several.",
)
@options.connection
@policy_options
@options.unknown_operators
@click.option("--verbose", is_flag=True, help="Write a line for each request to standard error.")
@options.yes
@click.pass_context
def relay_command(
    context: click.Context,
    /,
    path: Path,
    token: str | None,
    projects: tuple[tuple[str, Path], ...],
    port: int,
    host: str,
    allow: tuple[str, ...],
    origins: tuple[str, ...],
    url: str | None,
    api_host: str | None,
    unknown_operators: UnknownOperators,
    verbose: bool,
    yes: bool,
    **policy: Any,
) -> None:
    """Receive what official SDKs send, journal it before answering, and ship it when the network is back.

    It prints its URL once it is ready: give that to the SDKs in place of the service's. It accepts messages of
    its own projects only. SIGTERM or Ctrl-C ends it with 0 once the current request is answered; a second one
    ends it at once.

    /health answers 200, or 503 if something needs a person, with the sentence of `restante status`; /metrics is
    for Prometheus.

    Imports are sent with RESTANTE_IMPORT_CREDENTIALS, or else with the credentials they came with.

    \b
    Examples:
      restante relay -j site.db --token PROJECT
      restante relay --project 3a1c0d=shop.db --project 77be21=bar.db
      restante relay --token PROJECT --origin http://kiosk.local
      restante relay --listen 192.168.7.2 --allow 192.168.7.0/24
    """
    journals = _journals(context, path, token, projects)
    given = {name: value for name, value in policy.items() if value is not None}
    places = {name: options.destination(file, url, api_host) for name, file in journals.items()}
    policies = {}
    for name, file in journals.items():
        policies[name], may = _before(file, places[name], given, yes=yes)
        if not may:
            context.exit(1)
    relay_options = {
        "host": host,
        "port": port,
        "allow": allow,
        "origins": origins,
        "url": places,
        "policy": policies,
        "unknown_operators": unknown_operators,
        "log": RequestLog() if verbose else None,
    }
    _serve(journals, relay_options)


def _serve(journals: dict[str, Path], relay_options: dict[str, Any]) -> None:
    shipping = _Shipping(journals)
    with stop_signals() as received:
        relay = _started(journals, relay_options, shipping)
        try:
            where = ", ".join(sorted({*relay_options["url"].values()}))
            options.narrate(f"Listening for SDKs at {relay.url}, shipping to {where}. Press Ctrl-C to stop.")
            options.say(relay.url)
            while not (received or shipping.error):
                time.sleep(_LOOK)
        finally:
            relay.close(_LAST_TRY)
    if shipping.error is not None:
        raise shipping.error
    options.narrate(relay.health()[1])


def _started(journals: dict[str, Path], relay_options: dict[str, Any], shipping: "_Shipping") -> "Relay":
    from recorder.relay import Relay  # needs waitress, and help does not

    try:
        relay = Relay(
            journals, import_credentials=import_credentials(), on_event=shipping.tell, **relay_options
        )
        relay.start()
    except (OSError, UnicodeError) as error:
        host, port = relay_options["host"], relay_options["port"]
        raise click.ClickException(unavailable(host, port, error, "--listen")) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return relay


def _journals(
    context: click.Context, path: Path, token: str | None, projects: tuple[tuple[str, Path], ...]
) -> dict[str, Path]:
    """Return the journal of each project."""
    source = context.get_parameter_source("path")
    if token is None and (not projects or source is not click.core.ParameterSource.DEFAULT):
        token = options.kept_token(path)
        if token is None:
            raise click.UsageError("No project: give --token, or --project TOKEN=FILE.")
    both = [*([(token, path)] if token is not None else []), *projects]
    if len({*dict(both)}) < len(both) or len({file.resolve() for _, file in both}) < len(both):
        raise click.UsageError("A project, or a journal, is given twice.")
    return dict(both)


def _before(file: Path, place: str, given: dict[str, Any], *, yes: bool) -> tuple[Any, bool]:
    """Return the policy for a journal, and True if it may be shipped to a place."""
    try:
        with JournalReader(file) as reader:
            return policy_of(given, reader.shipping()), may_ship_to(reader, place, watching=True, yes=yes)
    except JournalMissing:
        return policy_of(given, ShipperStatus()), True


class _Shipping:
    """Lines about what the shippers do, and an error that ends the relay."""

    def __init__(self, journals: dict[str, Path]) -> None:
        self.error: BaseException | None = None
        self._journals = journals
        self._narrators: dict[str, Narrator] = {}

    def tell(self, token: str, event: Any) -> None:
        """Say what a shipper tells."""
        try:
            if token not in self._narrators:
                name = str(self._journals[token]) if len(self._journals) > 1 else ""
                self._narrators[token] = Narrator(JournalReader(self._journals[token]), self._end, name=name)
            self._narrators[token](event)
        except JournalError as error:  # nothing to read, of which the event may have been about
            self._end(event if isinstance(event, JournalError) else error)

    def _end(self, error: BaseException) -> None:
        self.error = self.error or error
