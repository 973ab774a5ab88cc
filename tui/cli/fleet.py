"""`restante fleet`: many devices' journals, beside each other and beside the service's profiles."""

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

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
_INDENT = 2
_PARQUET = "parquet:"
_SKEW = 600.0  # seconds that a clock may be off


@click.command("fleet")
@click.argument("places", metavar="FILES|FOLDERS|URLS...", nargs=-1, required=True)
@click.option("--profiles", metavar="FILE", help="The service's profiles, exported as JSON lines.")
@click.option("--token", type=options.text, help="The export's project, if the journals have several.")
@click.option(
    "--exported-at",
    type=options.past,
    metavar="TIME",
    help="When the export was taken, such as 2026-01-31T12:00 (UTC) or 2h, if devices kept sending meanwhile.",
)
@click.option(
    "--decide",
    metavar="FILE",
    type=options.new_file,
    help="Write decisions about runs in doubt, for `restante settle --decisions`.",
)
@click.option(
    "--to",
    "target",
    metavar="FILE.db|parquet:FOLDER",
    help="Make plain tables: a database, or a folder with a Parquet file for each.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Run on the workers of this Dask scheduler.")
@options.json_flag
@click.pass_context
def fleet_command(
    context: click.Context,
    /,
    places: Sequence[str],
    profiles: str | None,
    token: str | None,
    exported_at: float | None,
    decide: Path | None,
    target: str | None,
    scheduler: str | None,
    for_programs: bool,
) -> None:
    """Inspect the journals of many devices, collected in a folder. Nothing is changed.

    Reads journals, snapshots of them, and lines of `restante export --all`; in folders, all files that end with
    .db, .jsonl or .jsonl.gz. Shows which devices are stuck and since when, what the service rejected, what is
    in doubt, which clocks are wrong, and which journals are copies of one another. Exits 1 if something needs a
    person.

    --profiles takes an export of the service's profiles, one per line: {"$distinct_id": "ada", "$properties":
    {...}}. For journals shipped with `ship --counted`, each profile then shows how many entries are lost or
    doubled. Other profiles are compared with what the entries alone make of them: a difference may also be what
    another program wrote.

    If devices keep sending, take the export first, then the snapshots, and give --exported-at: what was sent
    after ten minutes before that time may or may not be in the export. From an older snapshot, only losses are
    reported.

    --decide writes what the profiles show about runs in doubt. On each device, run `restante settle --fence`
    before its snapshot, so that the export's age is known, and `restante settle --decisions` afterwards.
    Devices need no credentials.

    URLs, such as s3://fleet/tills/ or https://…, are read by fsspec, with the credentials that its file systems take
    from the environment. --scheduler, such as tcp://10.0.0.5:8786, runs the work on a Dask cluster, with the
    same output. Its workers need the same version of restante[fleet], and the files under the same paths or
    URLs.

    \b
    Examples:
      restante fleet snapshots/
      restante fleet snapshots/ --profiles export.jsonl --json
      restante fleet snapshots/ --profiles export.jsonl --decide decisions.jsonl
      restante fleet s3://fleet/tills/ --scheduler tcp://10.0.0.5:8786
      restante fleet snapshots/ --to parquet:today
    """
    if profiles is None and decide is not None:
        raise click.UsageError("--decide needs --profiles: only they show what became of runs in doubt.")
    if profiles is None and exported_at is not None:
        raise click.UsageError("--exported-at needs --profiles: it says when they were exported.")
    if exported_at is not None and exported_at > time.time() + _SKEW:
        raise click.UsageError("--exported-at is in the future. Give the time at which the export was taken.")
    made = None if target is None else options.new_file(target.removeprefix(_PARQUET))
    if made is not None and decide is not None and made.absolute() == decide.absolute():
        raise click.UsageError("--decide and --to name the same file.")
    report = _inspect(_files(places, profiles), profiles, scheduler, token=token, exported_at=exported_at)
    _write(report, decide)
    if made is not None:
        _make_tables(report, made, parquet=target != str(made))
    if for_programs:
        options.write_json(tables.all_rows(report))
    else:
        for line in format_report(report):
            options.say(options.hanging(line, _INDENT))
        if report.findings and exported_at is None:
            options.narrate(
                "This holds only if no device sent anything between its snapshot and the export; "
                "otherwise give --exported-at."
            )
    context.exit(int(not report.well))


def _files(places: Iterable[str], profiles: str | None) -> list[str]:
    """Return all files, each once, without the export of the profiles."""
    found: dict[str, None] = {}
    for place in places:
        if is_url(place):
            found |= dict.fromkeys(files_at(place, _ENDINGS))
        elif Path(place).is_dir():
            found |= dict.fromkeys(map(str, sorted(_inside(place))))
        else:
            found[place] = None
    files = [file for file in found if profiles is None or not _same(file, profiles)]
    if not files:
        raise options.BadInput(f"There is no file whose name ends with {', '.join(_ENDINGS)}.")
    return files


def _inside(folder: str) -> Iterator[Path]:
    """Yield the files in a folder, however deep, and the folders that cannot be listed: to be named as unreadable."""
    unlisted: list[OSError] = []
    for inside, _, names in os.walk(folder, onerror=unlisted.append):
        yield from (Path(inside, name) for name in names if name.endswith(_ENDINGS))
    yield from (Path(error.filename) for error in unlisted)


def _same(file: str, other: str) -> bool:
    return file == other or (
        not is_url(file) and not is_url(other) and Path(file).resolve() == Path(other).resolve()
    )


def _inspect(files: Sequence[str], profiles: str | None, scheduler: str | None, **export: Any) -> Report:
    with progress_bar("reading journals") as show:

        def shown(reading: Iterable[str]) -> Iterator[str]:
            for number, one in enumerate(reading):
                if show is not None:
                    show(number, len(files))
                yield one

        if scheduler is None:
            shown_profiles = None if profiles is None else profiles_of(profiles)
            return inspect(files, shown_profiles, progress=shown, **export)
        try:
            from fleet.cluster import inspect_by  # an extra
        except ImportError as error:
            raise _needs("--scheduler", "dask and distributed") from error
        return inspect_by(scheduler, files, profiles, progress=shown, **export)


def _needs(option: str, packages: str) -> click.ClickException:
    return click.ClickException(f"{option} needs {packages}: pip install 'restante[fleet]'")


def _write(report: Report, decide: Path | None) -> None:
    if decide is not None:
        lines = [f"{json.dumps(row)}\n" for row in tables.decision_rows(report)]
        options.make_private(decide).write_text("".join(lines), encoding="utf-8")
        options.narrate(f"Wrote {count(len(lines), 'decision')} to {decide}.")


def _make_tables(report: Report, made: Path, *, parquet: bool) -> None:
    if not parquet:
        from tui.cli.fleet_database import fleet_database  # sqlite-utils takes long to import

        fleet_database(report, made)
        return
    try:
        from tui.cli.fleet_parquet import fleet_parquet  # an extra
    except ImportError as error:
        raise _needs("--to parquet:", "pyarrow") from error
    fleet_parquet(report, made)
