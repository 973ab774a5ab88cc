"""A fleet in one process: read every journal, fold, and join with the export."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fleet.devices import compare_devices, usable
from fleet.fold import fold
from fleet.join import join
from fleet.read import continues, read
from fleet.report import Report, report
from fleet.rows import Device, ProfileRow, Unreadable
from recorder.model.errors import RestanteError

__all__ = ["inspect"]


def inspect(
    files: Sequence[Path],
    export: Iterable[tuple[str, Mapping[str, Any]]] | None = None,
    *,
    token: str | None = None,
    progress: Callable[[Iterable[Path]], Iterable[Path]] = iter,
) -> Report:
    """Look at a fleet.

    Args:
        files: Journals, and files with lines of `restante export --all`.
        export: Id and properties of profiles at the service; None to look at the journals alone.
        token: The project of the export; None for the only one there is.
        progress: Wraps the files while they are read.
    """
    devices: list[Device] = []
    unreadable: list[Unreadable] = []
    rows: list[ProfileRow] = []
    for path in progress(files):
        try:
            found = read(path)
        except (RestanteError, OSError) as error:
            unreadable.append(Unreadable(str(path), str(error)))
            continue
        devices.append(found.device)
        rows += found.profiles
    versions = compare_devices(devices, lambda newer, older: continues(newer.file, older.place))
    results = fold(one for row in rows if (one := usable(row, versions)) is not None)
    rows.clear()
    project = versions.token if token is None else token
    mine = [result for result in results if result.token == project]
    return report(
        devices,
        unreadable=unreadable,
        versions=versions,
        joined=None if export is None else join(mine, export),
        order=[one for result in results for one in result.order],
        profiles=len(results),
    )
