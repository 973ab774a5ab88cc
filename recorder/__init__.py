"""Profile updates journaled on the device, and shipped in order when the network is there.

Start with `Recorder`. Apps that use the official SDK give it a `JournalConsumer` instead. `Journal` is the file
beneath, `JournalReader` reads it, `Shipper` with `HttpTransport` sends what is in it.

    recorder.recorder, recorder.consumer    the API for apps
    recorder.shipping                       sends requests and reads answers
    recorder.reading, recorder.maintenance  entries, counts, audit, doctor, snapshots, salvage
    recorder.journal                        the SQLite file: the only package that writes SQL
    recorder.model                          operations, validation, policy: no I/O

Each module imports only from lines below its own. Names listed in ``__all__`` are stable; see docs/stability.md.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recorder.consumer import JournalConsumer
    from recorder.journal.journal import Journal
    from recorder.maintenance.audit import audit
    from recorder.maintenance.doctor import diagnose
    from recorder.maintenance.salvage.salvage import salvage
    from recorder.maintenance.snapshot import snapshot
    from recorder.model.entries import State
    from recorder.model.errors import (
        InvalidFilter,
        InvalidOperation,
        JournalBusy,
        JournalDamaged,
        JournalError,
        JournalFull,
        RestanteError,
        WrongToken,
    )
    from recorder.model.operations import Lane, Operator
    from recorder.model.people import Batch, PeopleApi
    from recorder.model.policy import ShippingPolicy
    from recorder.model.reports import Attempt, Entry, Statistics
    from recorder.model.shipping import ShipReport
    from recorder.reading.reader import JournalReader
    from recorder.recorder import Recorder
    from recorder.shipping.shipper import Shipper
    from recorder.shipping.transport import HttpTransport

__version__ = "0.2.0.dev0"

__all__ = [
    "Attempt",
    "Batch",
    "Entry",
    "HttpTransport",
    "InvalidFilter",
    "InvalidOperation",
    "Journal",
    "JournalBusy",
    "JournalConsumer",
    "JournalDamaged",
    "JournalError",
    "JournalFull",
    "JournalReader",
    "Lane",
    "Operator",
    "PeopleApi",
    "Recorder",
    "RestanteError",
    "ShipReport",
    "Shipper",
    "ShippingPolicy",
    "State",
    "Statistics",
    "WrongToken",
    "audit",
    "diagnose",
    "salvage",
    "snapshot",
]

# Public names are imported on first use (PEP 562): a program that only records starts without the modules that
# ship, read and repair.
_MODULES = {
    "consumer": ("JournalConsumer",),
    "journal.journal": ("Journal",),
    "maintenance.audit": ("audit",),
    "maintenance.doctor": ("diagnose",),
    "maintenance.salvage.salvage": ("salvage",),
    "maintenance.snapshot": ("snapshot",),
    "model.entries": ("State",),
    "model.errors": (
        "InvalidFilter",
        "InvalidOperation",
        "JournalBusy",
        "JournalDamaged",
        "JournalError",
        "JournalFull",
        "RestanteError",
        "WrongToken",
    ),
    "model.operations": ("Lane", "Operator"),
    "model.people": ("Batch", "PeopleApi"),
    "model.policy": ("ShippingPolicy",),
    "model.reports": ("Attempt", "Entry", "Statistics"),
    "model.shipping": ("ShipReport",),
    "reading.reader": ("JournalReader",),
    "recorder": ("Recorder",),
    "shipping.shipper": ("Shipper",),
    "shipping.transport": ("HttpTransport",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
