"""`restante settle`: read from profiles which entries in doubt were applied."""

import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from recorder import Journal, JournalReader
from recorder.model.addresses import base_of
from recorder.model.reports import Readback
from recorder.shipping.profiles import HttpProfiles, settle
from tui.cli import options
from tui.text.readback import format_fenced, format_readback, format_wait

__all__ = ["settle_command"]

_EXPLANATION = """\
settle assumes:
- An accepted request is applied whole. An unanswered one is applied within `ship`'s --settle-after, or never.
- An update is applied whole or not at all. Of an unanswered request, the first updates may be applied alone.
- A reading shows one moment of a profile. Its age does not matter: a fence, which settle writes
  to each profile first, shows that the reading is not older than the request.
- Only this journal adds to its counter. Nobody else removes charges that it appended, deletes its profiles
  or merges them.
- What an account cannot see is no evidence: a property counts as missing only if it was seen somewhere."""

_KEYS = {"journal": str, "profile": str, "epoch": int, "digest": str, "applied": int}
_OTHERS = "about another journal"


@click.command("settle")
@options.journal
@click.option("--url", metavar="BASE", help="The service it was shipped to, if the journal does not know.")
@click.option(
    "--query-url",
    metavar="BASE",
    help="The base address of the query API.  [default: the one that belongs to --url]",
)
@click.option(
    "--project",
    default="",
    metavar="ID",
    help="The project's id; a service account needs it.  [default: the one with the credentials]",
)
@click.option(
    "--decisions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take decisions from a file instead: JSON lines of journal, profile, epoch, digest and applied.",
)
@click.option(
    "--fence",
    is_flag=True,
    help="Only write fences, for `restante fleet --decide`: no credentials are needed.",
)
@click.option("--explain", is_flag=True, help="Only list what is assumed, and read nothing.")
@options.json_flag
@click.pass_context
def settle_command(
    context: click.Context,
    /,
    path: Path,
    url: str | None,
    query_url: str | None,
    project: str,
    decisions: Path | None,
    fence: bool,
    explain: bool,
    for_programs: bool,
) -> None:
    """Find out from the service's profiles which entries in doubt were applied.

    It settles entries that `restante ship --counted` sent. Applied ones become shipped; the next `ship` sends
    the others, and none is applied twice. A reading that is too old is repeated after 10, 60 and 600 seconds.
    Exits 1 if a profile does not show what was applied: decide about its entries with `retry` or `discard`.

    RESTANTE_QUERY_CREDENTIALS is user:secret[:project_id] of a service account that may read profiles; it is never
    written down. A device without it writes fences (--fence) and takes the decisions of `restante fleet`
    (--decisions); lines about other journals are ignored.

    \b
    Examples:
      restante settle -j kiosk.db --project 123
      restante settle -j kiosk.db --url http://127.0.0.1:8765 --json
      restante settle -j kiosk.db --fence
      restante settle -j kiosk.db --decisions decisions.jsonl
    """
    if explain:
        options.say(_EXPLANATION)
        return
    if fence and decisions is not None:
        raise click.UsageError(
            "--fence comes before the snapshot, and --decisions after it: give one of them."
        )
    service = _service(path, url)
    if fence:
        context.exit(_fence(path, service, for_programs=for_programs))
    if decisions is not None:
        with Journal(path) as journal:
            done = _without_others(journal.settle_decisions(_read(decisions)))
    elif service is None:
        raise options.BadInput("The journal was never shipped: give --url.")
    else:
        user, secret, its_project = options.query_account()
        profiles = HttpProfiles(service, (user, secret), project or its_project, query_base=query_url)
        with closing(profiles), Journal(path) as journal:
            done = settle(journal, profiles, _wait)
    if for_programs:
        options.write_json({"profiles": done.settled, **options.as_dict(done)})
    else:
        options.narrate(format_readback(done))
    context.exit(int(bool(done.cannot_tell or done.waiting)))


def _service(path: Path, url: str | None) -> str | None:
    """Return the address that the requests in doubt went to: profiles of another service tell nothing of them."""
    with JournalReader(path) as reader:  # settling never makes a journal
        last = reader.shipping().service
    if url is not None and last is not None and base_of(url, "") != last:
        raise options.BadInput(
            f"The journal was shipped to {last}: profiles at {base_of(url, '')} do not tell what was applied there."
        )
    return last or url


def _fence(path: Path, service: str | None, *, for_programs: bool) -> int:
    """Write fences, and return the exit code."""
    if service is None:
        raise options.BadInput("The journal was never shipped: give --url.")
    with Journal(path) as journal:
        done = journal.write_fences(HttpProfiles(service).write)
    if for_programs:
        options.write_json(options.as_dict(done))
    else:
        options.narrate(format_fenced(done))
    return int(bool(done.not_accepted or done.cannot_tell or done.waiting))


def _without_others(done: Readback) -> Readback:
    """Leave out decisions about other journals of a fleet, unless there are no others."""
    reasons = {reason: lines for reason, lines in done.cannot_tell.items() if reason != _OTHERS}
    return replace(done, cannot_tell=reasons) if reasons or done.settled else done


def _wait(profiles: int, seconds: float) -> bool:
    options.narrate(format_wait(profiles, seconds))
    time.sleep(seconds)
    return True


def _read(file: Path) -> list[dict[str, Any]]:
    lines = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            decision = json.loads(line)
            fits = all(type(decision[key]) is kind for key, kind in _KEYS.items())
            fits &= type(decision.get("attempt", 0)) is int
        except (ValueError, LookupError, TypeError, RecursionError):
            fits = False
        if not fits:
            raise options.BadInput(f"{file}, line {number}: no decision with {', '.join(_KEYS)}.")
        lines.append(decision)
    return lines
