"""`restante simulator`: the local service, until it is ended."""

import signal
import sys
from typing import IO, TYPE_CHECKING, Any

import click

from recorder.model.operations import UnknownOperators
from simulator import Dialect
from simulator.service.faults import Fault, InvalidSchedule, read_schedule
from tui.cli import options
from tui.cli.lines import whole_text
from tui.cli.listening import unavailable
from tui.cli.requestlog import RequestLog

if TYPE_CHECKING:
    from simulator.service import Service

__all__ = ["simulator_command"]

_INTERRUPTED = 130  # the exit code that shells give to what Ctrl-C ended


def _pair(value: str) -> tuple[str, str]:
    """Return both ids of ID=INTO; a parameter type."""
    id_, _, into = options.text(value).partition("=")
    if not (id_ and into):
        raise click.BadParameter(f"{value!r} is not ID=INTO, such as visitor-7=ada")
    return id_, into


@click.command("simulator")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="The port to listen on; 0 for any free one.",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on, for devices, containers and emulators; 0.0.0.0 for all. Anyone who "
    "can reach it can read and reset the profiles, except for web pages: its own routes accept as Host only "
    "addresses, names without a dot, .local, .internal and this ADDRESS.",
)
@click.option(
    "--faults",
    type=click.File("rb"),
    metavar="FILE",
    help="A fault schedule: a JSON list; - reads standard input.",
)
@click.option(
    "--mixed",
    type=click.Choice(["apply-valid", "reject-all"]),
    default="apply-valid",
    show_default=True,
    help="What to do with a batch in which some messages are malformed: as documented, or stricter.",
)
@click.option(
    "--old-events",
    type=click.Choice(["drop", "refuse"]),
    default="drop",
    show_default=True,
    help="What /track answers to events older than five days, which it never ingests: 1 (drop) or 0 (refuse).",
)
@click.option(
    "--read-lag",
    "read_lags",
    type=click.FloatRange(0),
    multiple=True,
    metavar="SECONDS",
    help="Queries show profiles as they were this long ago. Can be repeated: queries take turns.",
)
@click.option(
    "--queries-an-hour",
    type=click.IntRange(0),
    metavar="NUMBER",
    help="How many queries an hour are answered; the others get 429. The real service allows 60.  [default: all]",
)
@click.option(
    "--hide",
    "hidden",
    type=options.text,
    multiple=True,
    metavar="NAME",
    help="A property that queries do not show, as if classified; * stands for any text. Can be repeated.",
)
@click.option(
    "--merge",
    "merged",
    type=_pair,
    multiple=True,
    metavar="ID=INTO",
    help="A user's id that was merged into another: queries for ID show the profile of INTO, "
    "and updates of ID change it. Can be repeated.",
)
@click.option(
    "--tls",
    is_flag=True,
    help="Use HTTPS, for SDKs that require it. The second line of output names the certificate file that "
    "senders must trust; a new one is made at each start.",
)
@click.option("--quiet", is_flag=True, help="Do not write a line for each request to standard error.")
@options.unknown_operators
def simulator_command(
    port: int,
    host: str,
    faults: IO[bytes] | None,
    mixed: str,
    old_events: str,
    read_lags: tuple[float, ...],
    queries_an_hour: int | None,
    hidden: tuple[str, ...],
    merged: tuple[tuple[str, str], ...],
    tls: bool,
    quiet: bool,
    unknown_operators: UnknownOperators,
) -> None:
    """Run a local service that SDKs can send to.

    It accepts profile updates and events as the real service does, keeps them in memory, and shows the profiles
    at /simulator/profiles. / lists all routes. It prints its URL once it is ready, and runs until Ctrl-C.

    FILE lists faults: which requests go wrong, and how. Requests that carry updates or events are counted, from
    1:

    \b
        [{"at": 2, "fault": "ack_lost"},
         {"at": 3, "fault": "status", "code": 503, "retry_after": 2}]

    \b
    refuse        reset before the body is read
    partial_read  half of the body is read, then a reset
    reset         the request is read, then a reset
    ack_lost      closed without an answer; applied
    late          closed without an answer; applied "seconds" later
    part          closed without an answer; the first "updates" applied
    status        the answer is "code", with "retry_after" if given
    redirect      a redirect to "location"
    garbage       status 200 and a web page
    truncate      half an answer; applied
    slow          the answer takes "seconds"; applied

    All but the first two take "applied": true or false.

    Profiles are read back at /api/query/engage, as from the real service: old ones with --read-lag, incomplete ones
    with --hide.

    \b
    Example:
        restante simulator --port 8765 &
        curl 'http://127.0.0.1:8765/engage?verbose=1' \\
            -d '{"$token": "T", "$distinct_id": "ada", "$set": {"plan": "pro"}}'
        curl http://127.0.0.1:8765/simulator/profiles
        restante simulator --port 0 --read-lag 5 --hide 'restante_*'
    """  # \b is click's mark for lines to be left alone
    from simulator.service import Service  # needs werkzeug, and help does not

    try:
        try:
            service = Service(
                port,
                host=host,
                tls=tls,
                mixed=mixed,
                old_events=old_events,
                read_lag=read_lags or 0.0,
                queries_an_hour=queries_an_hour,
                hidden=hidden,
                merged=dict(merged),
                faults=_schedule(faults),
                dialect=Dialect(unknown_operators=unknown_operators),
                log=None if quiet else RequestLog(),
            )
        except ValueError as error:  # such as an id that is merged into a merged one
            raise click.UsageError(str(error)) from error
        _serve(service, host, port)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _end(number: int, frame: Any) -> None:  # noqa: ARG001  # as signal handlers are called
    sys.exit(0)


def _schedule(file: IO[bytes] | None) -> tuple[Fault, ...]:
    if file is None:
        return ()
    try:
        return read_schedule(whole_text(file))
    except InvalidSchedule as error:
        raise click.BadParameter(f"{error}. {error.hint}", param_hint="--faults") from error


def _serve(service: "Service", host: str, port: int) -> None:
    try:
        service.start()
    except (OSError, UnicodeError) as error:
        raise click.ClickException(unavailable(host, port, error, "--host")) from error
    try:
        for ending in (signal.SIGTERM, signal.SIGHUP):  # the second when the terminal closes
            if signal.getsignal(ending) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(ending, _end)
        options.narrate(f"Send updates and events to {service.url}. Press Ctrl-C to stop.")
        options.say("\n".join(map(str, filter(None, (service.url, service.ca_file)))))
        service.serve_forever()
    finally:
        service.close()
