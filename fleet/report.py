"""Report about a fleet: devices and findings in one order, whichever process found them. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fleet.devices import Versions
from fleet.fold import OrderDecides
from fleet.join import Decision, Finding, Joined
from fleet.rows import Device, Unreadable

__all__ = ["Report", "report"]


_MERGED = (
    "the export lacks other profiles of the journal: one that was merged into this would be counted with it"
)


class Report(NamedTuple):
    """Everything that is to be said about a fleet.

    Attributes:
        devices: All that were read, by file.
        unreadable: Files that could not be read, by name.
        versions: Snapshots and copies of one journal.
        findings: About profiles, by id.
        decisions: About runs in doubt, by profile.
        undecided: Runs about which nothing can be told, by journal and reason.
        uncounted: Profiles whose count a journal does not know, by journal.
        hidden: Counters that the export shows nowhere, by journal.
        order: What the order of two devices decides, by profile.
        profiles: How many profiles the journals know.
        shown: How many of them the export shows; None without one.
    """

    devices: list[Device]
    unreadable: list[Unreadable]
    versions: Versions
    findings: list[Finding]
    decisions: list[Decision]
    undecided: dict[tuple[str, str], int]
    uncounted: dict[str, int]
    hidden: dict[str, str]
    order: list[OrderDecides]
    profiles: int
    shown: int | None

    def needs_someone(self, device: Device) -> bool:
        """Return True if a person has to look at a device."""
        return bool(
            device.stuck_since is not None
            or device.rejected
            or device.in_doubt
            or device.lost
            or device.ahead
            or device.jumps
            or device.file in self.versions.copied
        )

    @property
    def well(self) -> bool:
        """True if nothing needs a person."""
        return not (self.unreadable or self.findings or any(map(self.needs_someone, self.current)))

    @property
    def current(self) -> list[Device]:
        """The devices, without older snapshots."""
        return [device for device in self.devices if device.file not in self.versions.superseded]


def _is_told(one: Finding, told: set[tuple[str, str]]) -> bool:
    """Return True for a property that differs by what a counter has told of its profile already."""
    return one.adds and any((one.profile, file) in told for file in one.journals)


def report(
    devices: Sequence[Device],
    *,
    unreadable: Sequence[Unreadable],
    versions: Versions,
    joined: Joined | None,
    order: Iterable[OrderDecides],
    profiles: int,
) -> Report:
    """Put everything in one order, and leave out what rests on a property that the export shows nowhere."""
    findings, decisions = ([], []) if joined is None else (joined.findings, joined.decisions)
    seen = frozenset() if joined is None else joined.seen
    undecided = Counter() if joined is None else Counter(joined.undecided)
    kept = []
    for one in decisions:
        if joined is not None and joined.missing[one.file]:
            undecided[one.file, _MERGED] += 1
        elif one.needs <= seen:
            kept.append(one)
        else:
            undecided[one.file, f"the export shows {min(one.needs - seen)} nowhere"] += 1
    hidden = {
        one.journal: one.counter for one in findings if one.counter is not None and one.counter not in seen
    }
    told = {(one.profile, one.journal) for one in findings if one.counter in seen}
    shown = [
        one for one in findings if one.counter in seen or (one.counter is None and not _is_told(one, told))
    ]
    return Report(
        devices=sorted(devices, key=lambda one: one.file),
        unreadable=sorted(unreadable),
        versions=versions,
        findings=sorted(shown, key=lambda one: (one.profile, one.journal, one.finding, one.name or "")),
        decisions=sorted(kept, key=lambda one: (one.profile, one.file)),
        undecided=dict(sorted(undecided.items())),
        uncounted={} if joined is None else dict(sorted(joined.uncounted.items())),
        hidden=dict(sorted(hidden.items())),
        order=sorted(order, key=lambda one: (one.profile, one.property or "", one.journals)),
        profiles=profiles,
        shown=None if joined is None else joined.profiles,
    )
