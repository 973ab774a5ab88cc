"""`restante fleet`: many devices' journals, beside each other and beside the service's profiles."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from fleet import tables
from fleet.export import profiles_of
from fleet.files import files_at, is_url
from fleet.one_process import inspect
from fleet.report import Report
from tui.cli import options
from tui.cli.progress import progress_bar
from tui.text.fleet import format_report
from tui.text.format import count

__all__ = ["fleet_command"]

_ENDINGS = (".db", ".jsonl", ".jsonl.gz")


@click.command("fleet")
@click.argument("places", metavar="FILES|FOLDERS|URLS...", nargs=-1, required=True)
@click.option("--profiles", metavar="FILE", help="The service's profiles: JSON lines of its export.")
@click.option("--token", type=options.text, help="The project of that export, where journals have several.")
@click.option(
    "--decide",
    metavar="FILE",
    type=options.new_file,
    help="Write decisions about runs in doubt, for `restante settle --decisions`.",
)
@click.option(
    "--to", "file", metavar="FILE.db", type=options.new_file, help="Make a database of plain tables."
)
@options.json_flag
@click.pass_context
def fleet_command(
    context: click.Context,
    /,
    places: Sequence[str],
    profiles: str | None,
    token: str | None,
    decide: Path | None,
    file: Path | None,
    for_programs: bool,
) -> None:
    """Look at the journals of many devices, collected in a folder; nothing is changed.

    Takes journals, snapshots of them, and lines of `restante export --all`; of folders, all files that end with .db,
    .jsonl or .jsonl.gz. Says which devices are stuck and since when, what the service rejected, what is in doubt, which
    clocks are off, and which journals are copies of one another. Exits 1 if somebody has to look at something.

    --profiles takes an export of the service's profiles, a line each: {"$distinct_id": "ada", "$properties": {...}}. Of
    journals shipped with `ship --counted`, each profile then tells how many entries are lost or doubled. What differs
    by the fold of the entries alone may also be what another program wrote. Take the snapshots first, then the export,
    while the devices send nothing.

    --decide writes what the profiles tell of runs in doubt. Before its snapshot, run `restante settle --fence` on each
    device, so that the export's age is known; after it, `restante settle --decisions`. Devices need no credentials.

    \b
    --json: devices, profiles (profile, journal, finding: lost, doubled or
      differs, by, property, expected, shown, told_by), decisions, order_decides,
      undecided and unreadable.

    \b
    Examples:
      restante fleet snapshots/
      restante fleet snapshots/ --profiles export.jsonl --json
      restante fleet snapshots/ --profiles export.jsonl --decide decisions.jsonl
    """
    if decide is not None and profiles is None:
        raise click.UsageError("--decide needs --profiles: only they tell of runs in doubt.")
    report = _inspect(_files(places, profiles), profiles, token)
    _write(report, decide, file)
    if for_programs:
        options.write_json(tables.all_rows(report))
    else:
        options.say("\n".join(format_report(report)))
    context.exit(int(not report.well))


def _files(places: Iterable[str], profiles: str | None) -> list[str]:
    """Return all files, each once, without the export of the profiles."""
    found: dict[str, None] = {}
    for place in places:
        if is_url(place):
            found |= dict.fromkeys(files_at(place, _ENDINGS))
        elif Path(place).is_dir():
            inside = (path for path in sorted(Path(place).rglob("*")) if path.name.endswith(_ENDINGS))
            found |= dict.fromkeys(str(path) for path in inside)
        else:
            found[place] = None
    files = [file for file in found if profiles is None or not _same(file, profiles)]
    if not files:
        raise options.BadInput(f"There is no file that ends with {', '.join(_ENDINGS)}.")
    return files


def _same(file: str, other: str) -> bool:
    return file == other or (
        not is_url(file) and not is_url(other) and Path(file).resolve() == Path(other).resolve()
    )


def _inspect(files: Sequence[str], profiles: str | None, token: str | None) -> Report:
    export = None if profiles is None else profiles_of(profiles)
    with progress_bar("reading journals") as show:

        def shown(reading: Iterable[str]) -> Iterator[str]:
            for number, one in enumerate(reading):
                if show is not None:
                    show(number, len(files))
                yield one

        return inspect(files, export, token=token, progress=shown)


def _write(report: Report, decide: Path | None, file: Path | None) -> None:
    if decide is not None:
        lines = [f"{json.dumps(row)}\n" for row in tables.decision_rows(report)]
        options.make_private(decide).write_text("".join(lines), encoding="utf-8")
        options.narrate(f"Wrote {count(len(lines), 'decision')} to {decide}.")
    if file is not None:
        from tui.cli.fleet_database import fleet_database  # noqa: PLC0415  # sqlite-utils takes long to import

        fleet_database(report, file)
