"""`restante conform`: compare another implementation of the operations with the simulator."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import click

from recorder.model.text import count
from simulator.conformance import (
    Command,
    Deviation,
    Implementation,
    Remote,
    Report,
    Vector,
    check_vectors,
    read_vectors,
)
from simulator.conformance.vectors import users_and_groups
from tui.cli import options
from tui.cli.progress import progress_bar

__all__ = ["conform_command"]

_SHOWN = 5  # faults of vectors
_KINDS = {"passed": "passed", "failed": "failed", "policy": "undocumented", "skipped": "skipped"}
_REAL = "mixpanel.com"


@click.command("conform")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--url", help="Check the service at this base address instead; it is sent made-up profiles.")
@click.option("--token", default="conform", show_default=True, help="The project's token, for --url.")
@click.option("--vectors", is_flag=True, help="Run the published vectors only.")
@click.option("--drawn", is_flag=True, help="Run random vectors only.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    help="How long to run random vectors.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=10,
    show_default=True,
    help="Seconds to wait for each answer.",
)
@click.option("--strict", is_flag=True, help="Count deviations on undocumented points, too.")
@options.json_flag
@click.pass_context
def conform_command(
    context: click.Context,
    command: tuple[str, ...],
    url: str | None,
    token: str,
    vectors: bool,
    drawn: bool,
    seconds: float,
    timeout: float,
    strict: bool,
    for_programs: bool,
) -> None:
    """Compare another implementation of the operations with the simulator.

    COMMAND is started once. For each line {"n": 7, "state": {...}, "message": {...}} of its standard input it writes
    a line {"n": 7, "state": {...}} at once: the properties of the message's profile, before and afterwards. null
    stands for no profile; a malformed message leaves the state as it is. It may leave out n, or answer {"skip":
    "why"}.

    A service at --url is asked by POST /engage, and POST /api/query/engage with distinct_ids in a form.

    Published vectors (updates, and the profiles that they must make) are run first, then random ones. The smallest
    deviation of each operator is shown, as a vector and as a test. Deviations that another Dialect explains, or that
    come from all numbers being doubles, are on undocumented points: they are reported, but count only with --strict.

    Exit codes: 0 it conforms; 1 it deviates, or skips everything; 2 it cannot be run or reached.

    \b
    Examples:
      restante conform -- node mock.js
      restante conform --drawn --seconds 5 --url http://127.0.0.1:8765
    """
    if bool(command) == (url is not None):
        raise click.UsageError("Give a COMMAND after --, or --url.", context)
    report = Report(strict=strict)
    both = vectors == drawn
    with _implementation(command, url, token, timeout) as implementation:
        if vectors or both:
            check_vectors(implementation, _counted(read_vectors()), report)
        if drawn or both:
            _draw(implementation, seconds, report)
    if for_programs:
        options.write_json(_for_programs(report))
    else:
        options.say("\n".join(_in_words(report)))
    context.exit(int(not report.conforms))


def _implementation(
    command: tuple[str, ...], url: str | None, token: str, timeout: float
) -> Command | Remote:
    if url is None:
        return Command([options.text(word) for word in command], timeout=timeout)
    host = urlsplit(url).hostname or ""
    if host == _REAL or host.endswith(f".{_REAL}"):
        raise options.BadInput(
            f"{host} is the real service, and its project would get made-up profiles. Give another --url."
        )
    return Remote(url, token, timeout=timeout)


def _counted(vectors: list[Vector]) -> Iterator[Vector]:
    with progress_bar("vectors") as show:
        for number, vector in enumerate(vectors):
            if show is not None:
                show(number, len(vectors))
            yield vector


def _draw(implementation: Implementation, seconds: float, report: Report) -> None:
    try:
        from simulator.conformance.draw import check_drawn  # needs Hypothesis
    except ModuleNotFoundError as missing:
        raise click.ClickException(
            f"drawing needs {missing.name}: pip install 'restante[testing]', or give --vectors"
        ) from missing
    with progress_bar("seconds of drawing") as show:
        tell = (lambda done: show(int(done), int(seconds))) if show else float
        check_drawn(implementation, seconds, report, tell)


def _for_programs(report: Report) -> dict[str, Any]:
    return {
        "conforms": report.conforms,
        "strict": report.strict,
        "counts": report.counts,
        "deviations": [_deviation(one) for one in report.deviations],
    }


def _deviation(deviation: Deviation) -> dict[str, Any]:
    found, groups = users_and_groups(deviation.found)
    return {
        "vector": deviation.vector.as_json(),
        "found": found,
        "found_groups": groups,
        "policies": deviation.policies,
        "test": deviation.as_test(),
    }


def _in_words(report: Report) -> Iterator[str]:
    yield " " * 12 + "".join(word.rjust(14) for word in _KINDS.values())
    for source, counts in report.counts.items():
        yield f"{source:<12}" + "".join(f"{counts[kind]:>14,}" for kind in _KINDS)
    for policies, ids in _undocumented(report).items():
        yield f"undocumented: {policies} explains {count(len(ids), 'deviation')}, such as {ids[0]}"
    faults = sorted(report.faults, key=_rank)
    for fault in faults[:_SHOWN]:
        shown = _deviation(fault)
        yield f"\n{fault.vector.id}: {fault.vector.about} ({fault.vector.source}{_policies(fault)})"
        yield f"found: {options.as_json(shown['found'])}"
        if shown["found_groups"]:
            yield f"found groups: {options.as_json(shown['found_groups'])}"
        yield f"vector: {options.as_json(shown['vector'])}\n"
        yield shown["test"]
    if faults:
        yield f"It deviates in {count(len(faults), 'vector')}; --json has all of them."
    else:
        yield "It conforms." if report.conforms else "Nothing was checked: no vector passed, and none failed."


def _rank(fault: Deviation) -> tuple[bool, bool, int]:
    """Drawn ones are the smallest, and a documented result weighs more than our own policy."""
    vector = fault.vector
    return vector.about != "drawn", vector.source == "policy", len(str(vector))


def _policies(fault: Deviation) -> str:
    named = fault.policies or fault.vector.dialect
    return f"; undocumented: {' or '.join(named)}" if named else ""


def _undocumented(report: Report) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in report.deviations:
        if one.policies:
            found.setdefault(" or ".join(one.policies), []).append(one.vector.id)
    return found
