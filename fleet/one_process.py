"""A fleet in one process: read every journal, fold, and join with the export."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fleet.devices import compare_devices, project, usable
from fleet.fold import fold
from fleet.join import join
from fleet.read import continues, read_or_say_why
from fleet.report import Report, report
from fleet.rows import Device, ProfileRow, Unreadable

__all__ = ["inspect"]


def inspect(
    files: Sequence[str],
    export: Iterable[tuple[str, Mapping[str, Any]]] | None = None,
    *,
    token: str | None = None,
    exported_at: float | None = None,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> Report:
    """Look at a fleet.

    Args:
        files: Paths or URLs of journals, and of files with lines of `restante export --all`.
        export: Id and properties of profiles at the service; None to look at the journals alone.
        token: The project of the export; None for the only one there is.
        exported_at: When the export was taken; see `fleet.read`.
        progress: Wraps the files while they are read.
    """
    devices: list[Device] = []
    unreadable: list[Unreadable] = []
    rows: list[ProfileRow] = []
    now, folder = time.time(), str(Path.cwd())
    for file in progress(files):
        found = read_or_say_why(file, now, folder, exported_at)
        if isinstance(found, Unreadable):
            unreadable.append(found)
        else:
            devices.append(found.device)
            rows += found.profiles
    versions = compare_devices(devices, lambda newer, older: continues(newer.file, older.place))
    results = fold(one for row in rows if (one := usable(row, versions)) is not None)
    rows.clear()
    joined = None
    if export is not None:
        mine = project(devices, token)
        joined = join((result for result in results if result.token == mine), export)
    return report(
        devices,
        unreadable=unreadable,
        versions=versions,
        joined=joined,
        order=[one for result in results for one in result.order],
        profiles=len(results),
    )
