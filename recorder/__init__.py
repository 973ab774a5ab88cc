"""Profile updates journaled on the device, and shipped in order when the network is there.

Start with `Recorder`. `JournalConsumer` is the same for apps that use the official SDK, `JournalReader` looks
into a journal, `Shipper` with `HttpTransport` ships one.
"""

from typing import TYPE_CHECKING

from recorder.journal.journal import Journal
from recorder.journal.limits import AS_KEPT, AsKept
from recorder.model.entries import NewEntry, Outcome, State
from recorder.model.errors import (
    InvalidFilter,
    InvalidOperation,
    JournalBusy,
    JournalClosed,
    JournalDamaged,
    JournalError,
    JournalFull,
    JournalMissing,
    JournalSnapshot,
    JournalTooNew,
    NotAJournal,
    RestanteError,
    ShippingError,
    WrongToken,
)
from recorder.model.intake import Intake
from recorder.model.operations import Lane, Operator
from recorder.model.people import PeopleApi
from recorder.recorder import Recorder

if TYPE_CHECKING:
    from recorder.consumer import JournalConsumer
    from recorder.journal.decisions import Decision, Verb
    from recorder.maintenance.audit import Audit, Disagreement, audit
    from recorder.maintenance.doctor import Finding, Severity, diagnose
    from recorder.maintenance.salvage.salvage import Salvaged, salvage
    from recorder.maintenance.snapshot import snapshot
    from recorder.model.policy import ShippingPolicy
    from recorder.model.reports import (
        Attempt,
        AttemptGroup,
        Baseline,
        Entry,
        EntryRow,
        FailureGroup,
        Forgotten,
        Hold,
        LaneStatus,
        ProfileCount,
        Pruned,
        ShipperStatus,
        ShipReport,
        Statistics,
    )
    from recorder.reading.reader import JournalReader
    from recorder.shipping.shipper import Shipper
    from recorder.shipping.transport import HttpTransport
    from recorder.shipping.verdicts import Answer, Verdict, judge

__all__ = [
    "AS_KEPT",
    "Answer",
    "AsKept",
    "Attempt",
    "AttemptGroup",
    "Audit",
    "Baseline",
    "Decision",
    "Disagreement",
    "Entry",
    "EntryRow",
    "FailureGroup",
    "Finding",
    "Forgotten",
    "Hold",
    "HttpTransport",
    "Intake",
    "InvalidFilter",
    "InvalidOperation",
    "Journal",
    "JournalBusy",
    "JournalClosed",
    "JournalConsumer",
    "JournalDamaged",
    "JournalError",
    "JournalFull",
    "JournalMissing",
    "JournalReader",
    "JournalSnapshot",
    "JournalTooNew",
    "Lane",
    "LaneStatus",
    "NewEntry",
    "NotAJournal",
    "Operator",
    "Outcome",
    "PeopleApi",
    "ProfileCount",
    "Pruned",
    "Recorder",
    "RestanteError",
    "Salvaged",
    "Severity",
    "ShipReport",
    "Shipper",
    "ShipperStatus",
    "ShippingError",
    "ShippingPolicy",
    "State",
    "Statistics",
    "Verb",
    "Verdict",
    "WrongToken",
    "audit",
    "diagnose",
    "judge",
    "salvage",
    "snapshot",
]

_LATER = {
    "maintenance.audit": ("Audit", "Disagreement", "audit"),
    "consumer": ("JournalConsumer",),
    "journal.decisions": ("Decision", "Verb"),
    "maintenance.doctor": ("Finding", "Severity", "diagnose"),
    "model.policy": ("ShippingPolicy",),
    "reading.reader": ("JournalReader",),
    "model.reports": (
        "Attempt",
        "AttemptGroup",
        "Baseline",
        "Entry",
        "EntryRow",
        "FailureGroup",
        "Forgotten",
        "Hold",
        "LaneStatus",
        "ProfileCount",
        "Pruned",
        "ShipReport",
        "ShipperStatus",
        "Statistics",
    ),
    "maintenance.salvage.salvage": ("Salvaged", "salvage"),
    "shipping.shipper": ("Shipper",),
    "maintenance.snapshot": ("snapshot",),
    "shipping.transport": ("HttpTransport",),
    "shipping.verdicts": ("Answer", "Verdict", "judge"),
}
"""What a program that only records never needs is imported when it is asked for: a small device starts sooner.

No room has the name of what is in it: once imported, it would stand in its place.
"""

_ROOMS = {name: room for room, names in _LATER.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from recorder.journal.forks import importing

    with importing():
        value: object = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
