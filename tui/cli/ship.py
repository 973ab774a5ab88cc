"""`restante ship`: send what is unsent, once or for as long as it runs."""

import time
from pathlib import Path
from typing import Any

import click

from recorder import HttpTransport, Journal, JournalReader, Shipper, ShipReport
from recorder.model.shipping import ShipperStatus
from recorder.reading.sentence import report_sentence
from tui.cli import options
from tui.cli.policy import import_credentials, policy_of, policy_options
from tui.cli.progress import progress_bar
from tui.cli.watch import warn_of_copy, watch
from tui.text.format import count, printable

__all__ = ["format_report", "may_ship_to", "ship_command", "ship_with_progress"]

_LAST_ANSWER = 60.0  # seconds to wait for an answer: a request that is cut off would be in doubt


@click.command("ship")
@options.journal
@options.connection
@click.option("--watch", "watching", is_flag=True, help="Keep shipping until SIGTERM or Ctrl-C.")
@click.option("--now", is_flag=True, help="Send even if the service asked to wait.")
@click.option("--limit", type=click.IntRange(min=1), help="Largest number of entries to send.")
@policy_options
@options.yes
@options.json_flag
@click.pass_context
def ship_command(
    context: click.Context,
    /,
    path: Path,
    url: str | None,
    api_host: str | None,
    watching: bool,
    now: bool,
    limit: int | None,
    yes: bool,
    for_programs: bool,
    **policy: Any,
) -> None:
    """Send unsent entries in order. Exits 1 if anything is left, or was rejected.

    With --watch it keeps shipping as entries are recorded, waits for a journal that does not exist yet, and
    reports each change (--json: one report per line). SIGTERM ends it with 0 once the current request is
    answered.

    Without --url and --api-host, it ships to the service it shipped to last. It asks before it ships to another
    one; without a terminal, that needs --yes.

    Imports need RESTANTE_IMPORT_CREDENTIALS: user:password or user:password:project_id. Events older than four days
    are sent with them, too, or with the project's token.

    \b
    Examples:
      restante ship -j kiosk.db
      restante ship --url http://127.0.0.1:8765 --limit 1000
      restante ship --watch --in-doubt hold --settle-after 2m
      restante ship --counted
    """
    if watching and (now or limit is not None):
        raise click.UsageError(f"{'--now' if now else '--limit'} cannot be combined with --watch.")
    given = {name: value for name, value in policy.items() if value is not None}
    policy_of(given, ShipperStatus())  # report what is out of range before anything else
    credentials = import_credentials()

    def transport_for() -> HttpTransport:
        return HttpTransport(url=options.destination(path, url, api_host), import_credentials=credentials)

    transport = transport_for()
    if not watching or path.exists():  # shipping never makes a journal
        with JournalReader(path) as reader:
            if not may_ship_to(reader, transport.base, watching=watching, yes=yes):
                context.exit(1)
    if watching:
        context.exit(
            watch(path, transport_for, lambda last: policy_of(given, last), for_programs=for_programs)
        )
    with Journal(path) as journal, JournalReader(path) as reader:
        warn_of_copy(reader)
        shipper = Shipper(journal, transport, policy_of(given, reader.shipping()))
        report = _ship(shipper, reader, limit, now=now)
        in_doubt = reader.counts().in_doubt
    transport.close()
    if for_programs:
        options.write_json(report)
    else:
        options.narrate(format_report(path, report))
    context.exit(int(report.stopped_by != "done" or report.pending + report.rejected + in_doubt > 0))


def _ship(shipper: Shipper, reader: JournalReader, limit: int | None, *, now: bool) -> ShipReport:
    try:
        return ship_with_progress(shipper, limit, now=now)
    except KeyboardInterrupt:
        options.narrate("Waiting for the answer to the current request; press Ctrl-C again to stop at once.")
        shipper.wait(_LAST_ANSWER)
        left = count(reader.counts().unsent, "entry", "entries")
        options.narrate(f"Interrupted: {left} still to be sent.")
        raise


def may_ship_to(reader: JournalReader, base: str, *, watching: bool, yes: bool) -> bool:
    """Return True if the journal was shipped there last, nothing is sent, or somebody agrees."""
    last, unsent = reader.shipping().service, reader.counts().unsent
    if last in {None, base} or not (unsent or watching):
        return True
    what = count(unsent, "unsent entry would go", "unsent entries would go")
    options.narrate(
        f"So far the journal was shipped to {printable(last or '')}; {what} to {printable(base)}."
    )
    return options.go_ahead("Ship there?", yes=yes)


def ship_with_progress(shipper: Shipper, limit: int | None = None, *, now: bool = False) -> ShipReport:
    """Ship, with a progress bar on a terminal."""
    with progress_bar("shipping") as show:

        def update(report: ShipReport) -> None:
            done = report.shipped + report.rejected
            total = done + report.pending + report.in_doubt
            if show is not None:
                show(done, total if limit is None else min(limit, total))

        return shipper.ship(now=now, limit=limit, progress=update)


def format_report(path: Path, report: ShipReport) -> str:
    """Return a sentence about a call to `ship`, and about the journal after it."""
    with JournalReader(path) as reader:
        return report_sentence(report, reader.counts(), reader.shipping(), now=time.time())
