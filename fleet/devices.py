"""Devices beside each other: snapshots of one journal at several times, copies of it, and projects. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from fleet.rows import Device, Place, ProfileRow
from recorder.model.errors import RestanteError

__all__ = ["SeveralProjects", "Versions", "compare_devices", "project", "usable"]


class SeveralProjects(RestanteError):
    """Profiles belong to a project each, and are never compared with those of another one."""


class Versions(NamedTuple):
    """Files with the same journal in them.

    Attributes:
        superseded: Older snapshots, each with the newer one that continues it.
        copies: Files with journals that were one, and went on apart.
        token: The only project there is; None where there are several, or none.
    """

    superseded: dict[str, str]
    copies: tuple[tuple[str, ...], ...]
    token: str | None

    @property
    def copied(self) -> frozenset[str]:
        """All files with copies of another one."""
        return frozenset(file for files in self.copies for file in files)


def compare_devices(devices: Sequence[Device], continues: Callable[[Device, Device], bool]) -> Versions:
    """Tell newer snapshots of a journal from copies of it.

    Args:
        devices: All of them.
        continues: Return True if the first device's journal has come from where the second's stands.
    """
    same: dict[str, list[Device]] = defaultdict(list)
    for device in devices:
        if device.identity is not None:
            same[device.identity].append(device)
    superseded: dict[str, str] = {}
    copies: list[tuple[str, ...]] = []
    for several in same.values():
        several.sort(key=lambda one: (*_reached(one.place), one.snapshot_at or 0.0, one.file))
        pairs = list(pairwise(several))
        if all(continues(newer, older) for older, newer in pairs):
            superseded |= {older.file: several[-1].file for older, _ in pairs}
        else:
            copies.append(tuple(sorted(one.file for one in several)))
    tokens = {device.token for device in devices} - {None}
    return Versions(superseded, tuple(sorted(copies)), tokens.pop() if len(tokens) == 1 else None)


def _reached(place: Place) -> tuple[int, int, int]:
    return place.number, place.attempt, place.epoch


def project(devices: Sequence[Device], token: str | None) -> str | None:
    """Return the project of an export: the one that was given, or the only one there is.

    Raises:
        SeveralProjects: There are several, and none was given, or the one that was given is none of them.
    """
    tokens = Counter(device.token for device in devices if device.token is not None)
    if token is None and len(tokens) > 1:
        found = ", ".join(f"{each} ({journals:,})" for each, journals in sorted(tokens.items()))
        raise SeveralProjects(
            f"the journals belong to {len(tokens):,} projects, and an export has the profiles of one: {found}",
            hint="Say with --token which project the export is of.",
        )
    if token is not None and devices and token not in tokens:
        raise SeveralProjects(
            f"no journal belongs to the project {token}",
            hint="Give --token as `restante fleet --json` shows it.",
        )
    return next(iter(tokens), None) if token is None else token


def usable(row: ProfileRow, versions: Versions) -> ProfileRow | None:
    """Return a row as far as something may be told from it; None for one of an older snapshot.

    What a copied journal has sent is not known: some of it was sent by the other. Lines that name no project belong to
    the only one there is.
    """
    if row.file in versions.superseded:
        return None
    if row.file in versions.copied:
        return row._replace(unsure=True, deletes=True, counter=None, doubt=None, deleted=0, touched="{}")
    return row._replace(token=versions.token) if row.token is None else row
