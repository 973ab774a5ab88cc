"""`restante probe`: ask a real test project what no document answers."""

import secrets
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from itertools import zip_longest

import click

from recorder.model.addresses import SERVICE, base_of, query_base_of
from simulator.conformance.probing import QUESTIONS, Finding, Probe
from simulator.conformance.project import Project, ProjectFailed
from tui.cli import options
from tui.cli.progress import progress_bar
from tui.text.format import printable

__all__ = ["probe_command"]

_FOR_DELETION = 60.0  # seconds until a read must show that the profile is gone
_INTERRUPTED = 5.0  # the same for somebody who waits for the command to end
_NARROWEST, _WIDEST = 40, 120  # columns of the table
_ORDER = list(QUESTIONS)


@click.command("probe")
@click.option(
    "--project", "id_", type=click.IntRange(min=1), required=True, metavar="ID", help="The project's number."
)
@options.token
@click.option(
    "--url",
    envvar="RESTANTE_URL",
    help="Another service's base address (RESTANTE_URL).  [default: api.mixpanel.com]",
)
@click.option(
    "--api-host",
    envvar="RESTANTE_API_HOST",
    default=SERVICE,
    help="The service's host; eu and in for its regions (RESTANTE_API_HOST).",
)
@click.option(
    "--query-url",
    help="The base address of the query API.  [default: the one that belongs to where it sends]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 86_400),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long to ask; then the profile is deleted.",
)
@options.yes
@options.json_flag
@click.pass_context
def probe_command(
    context: click.Context,
    id_: int,
    token: str | None,
    url: str | None,
    api_host: str,
    query_url: str | None,
    timeout: float,
    yes: bool,
    for_programs: bool,
) -> None:
    """Ask a test project of the service what no documentation answers.

    How long until a read shows a write? Does a batch apply in order? What happens to an $add of two properties
    if one is not a number, to a batch with a malformed update, to an old event at /track, to the project's
    token at /import? The answers are what was seen once; the service does not promise them.

    It writes one profile with a new id, and deletes it at the end, even after Ctrl-C. It sends an event that is
    too old to be kept, and two that are invalid. It needs 7 to 40 of the 60 queries that a project has in an
    hour.

    RESTANTE_QUERY_CREDENTIALS is user:secret of a service account that may read profiles; it is never written down.

    Exit codes: 0 all answered, and the profile is gone; 1 not all; 2 the service cannot be asked.

    \b
    Examples:
      restante probe --project 12345 --token TOKEN
      restante probe --yes --project 1 --token T --url http://127.0.0.1:8765
    """
    if not token:
        raise options.BadInput("Which project? Give its token with --token, or in RESTANTE_TOKEN.")
    base = base_of(url, api_host)
    query = query_base_of(base) if query_url is None else base_of(query_url, "")
    user, secret, _ = options.query_account()
    project = Project(base, query, id_, token, (user, secret), timeout=min(30.0, timeout))
    profile = f"restante-probe-{secrets.token_hex(8)}"
    if not yes:
        options.narrate(_plan(project, profile))
    if not options.go_ahead(f"Probe project {id_}?", yes=yes):
        context.exit(1)
    findings, failure = _asked(Probe(project, profile, seconds=timeout))
    deleted = any(finding.name == "delete" and finding.answer is not None for finding in findings)
    if for_programs:
        shown = [
            {"name": one.name, "question": one.question, "answer": one.answer, "seen": one.seen}
            for one in findings
        ]
        options.write_json({"project": id_, "profile": profile, "deleted": deleted, "findings": shown})
    else:
        options.say("\n".join(_table(findings)))
    if failure is not None:
        raise failure
    context.exit(int(any(finding.answer is None for finding in findings)))


def _plan(project: Project, profile: str) -> str:
    return (
        f"Project {project.id} at {project.url} gets:\n"
        f"- a profile, {profile}, which is deleted at the end\n"
        "- an event of six days ago at /track, which should not be kept\n"
        "- two invalid events at /import\n"
        f"The profile is read at {project.query_url}.\n"
        "That takes 7 to 40 of a project's 60 queries an hour. Use a test project."
    )


def _asked(probe: Probe) -> tuple[list[Finding], ProjectFailed | None]:
    """Ask, and delete the profile whatever happens; return the findings, and why they are not all."""
    findings, failure, patience = [], None, _INTERRUPTED
    try:
        with progress_bar("probing") as show:
            for finding in probe.findings():
                findings.append(finding)
                if show is not None:
                    show(len(findings), len(QUESTIONS))
        patience = _FOR_DELETION
    except ProjectFailed as error:
        failure = error
    except KeyboardInterrupt:
        options.narrate(f"Deleting the profile {probe.profile}; Ctrl-C again gives up.")
        raise
    finally:
        findings.append(_deleted(probe, patience))
    return sorted(findings, key=lambda one: _ORDER.index(one.name)), failure


def _deleted(probe: Probe, seconds: float) -> Finding:
    """Delete the profile; tell if that is not certain."""
    try:
        finding = probe.delete(seconds)
    except ProjectFailed as error:
        finding = Finding("delete", None, str(error))
    except KeyboardInterrupt:
        options.narrate(f"The profile {probe.profile} may still be there; delete it in the project.")
        raise
    if finding.answer is None and probe.written:
        options.narrate(
            f"The profile {probe.profile} may still be there; look for it in the project: {finding.seen}"
        )
    return finding


def _table(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield the lines of a table as wide as the terminal."""
    width = max(_NARROWEST, min(shutil.get_terminal_size().columns, _WIDEST)) - 4
    widths = (width * 3 // 10, width * 3 // 10, width * 4 // 10)
    rows = [("QUESTION", "ANSWER", "SEEN")]
    rows += [(one.question, one.answer or "no answer", one.seen) for one in findings]
    for row in rows:
        cells = [textwrap.wrap(printable(cell), of) for cell, of in zip(row, widths, strict=True)]
        for parts in zip_longest(*cells, fillvalue=""):
            yield "  ".join(f"{part:{of}}" for part, of in zip(parts, widths, strict=True)).rstrip()
