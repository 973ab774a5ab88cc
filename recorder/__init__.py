"""Profile updates journaled on the device, and shipped in order when the network is there.

Start with `Recorder`. `JournalConsumer` is the same for apps that use the official SDK, `JournalReader` looks
into a journal, `Shipper` with `HttpTransport` ships one.
"""

import importlib
import logging
from typing import TYPE_CHECKING

from recorder.auditing import Audit, Disagreement, audit
from recorder.decisions import Decision, Verb
from recorder.entries import NewEntry, Outcome, State
from recorder.errors import (
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
from recorder.intake import Intake
from recorder.journal import Journal
from recorder.keeping import AS_KEPT, AsKept
from recorder.operations import Lane, Operator
from recorder.people import PeopleApi
from recorder.policy import ShippingPolicy
from recorder.reader import JournalReader
from recorder.recorder import Recorder
from recorder.reports import (
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
from recorder.salvaging import Salvaged, salvage
from recorder.shipper import Shipper
from recorder.snapshots import snapshot
from recorder.transport import HttpTransport
from recorder.verdicts import Answer, Verdict, judge

if TYPE_CHECKING:
    from recorder.consumer import JournalConsumer
    from recorder.doctor import Finding, Severity, diagnose

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

_ROOMS = {
    "JournalConsumer": "consumer",
    "Finding": "doctor",
    "Severity": "doctor",
    "diagnose": "doctor",
}
"""What few programs use is imported when it is: an app on a small device starts sooner."""


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


logging.getLogger("restante").addHandler(logging.NullHandler())
