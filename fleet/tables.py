"""A report as plain tables, for JSON, SQLite and others. Pure."""

from collections.abc import Mapping
from typing import Any

from fleet.fold import OrderDecides
from fleet.join import Finding
from fleet.report import Report
from fleet.rows import Device

__all__ = ["AS_JSON", "COLUMNS", "Row", "all_rows", "decision_rows"]

Row = dict[str, Any]

COLUMNS: dict[str, dict[str, type]] = {
    "devices": {
        **dict.fromkeys(("journal", "identity", "token"), str),
        "snapshot_at": float,
        "needs_someone": bool,
        "stuck_since": float,
        "cause": str,
        **dict.fromkeys(("unsent", "in_doubt"), int),
        "rejected": str,
        "lost": int,
        "clock_ahead": float,
        "clock_jumps": int,
        **dict.fromkeys(("copies", "superseded_by", "counter_hidden"), str),
        "profiles_not_counted": int,
    },
    "unreadable": {"journal": str, "reason": str},
    "profiles": {
        **dict.fromkeys(("profile", "journal", "finding"), str),
        "by": int,
        **dict.fromkeys(("property", "expected", "shown", "told_by"), str),
    },
    "decisions": {
        "journal": str,
        "profile": str,
        "epoch": int,
        "digest": str,
        "attempt": int,
        "applied": int,
    },
    "undecided": {"journal": str, "reason": str, "profiles": int},
    "order_decides": dict.fromkeys(("profile", "property", "entries", "ends"), str),
}
"""The columns of each table."""

AS_JSON = frozenset({"rejected", "copies", "expected", "shown", "entries", "ends"})
"""Columns whose values are JSON of any kind, to be written as text."""


def all_rows(report: Report) -> dict[str, list[Row]]:
    """Return the rows of each table."""
    return {
        "devices": _device_rows(report),
        "unreadable": _unreadable_rows(report),
        "profiles": _finding_rows(report),
        "decisions": decision_rows(report),
        "undecided": _undecided_rows(report),
        "order_decides": _order_rows(report),
    }


def _device_rows(report: Report) -> list[Row]:
    """Return a row for each journal."""
    return [_device(report, device) for device in report.devices]


def _device(report: Report, device: Device) -> Row:
    versions = report.versions
    copies = [
        file for files in versions.copies if device.file in files for file in files if file != device.file
    ]
    return {
        "journal": device.file,
        "identity": device.identity,
        "token": device.token,
        "snapshot_at": device.snapshot_at,
        "needs_someone": device.file not in versions.superseded and report.needs_someone(device),
        "stuck_since": device.stuck_since,
        "cause": device.cause,
        "unsent": device.unsent,
        "in_doubt": device.in_doubt,
        "rejected": [{"words": group.words, "entries": group.entries} for group in device.rejected],
        "lost": device.lost,
        "clock_ahead": device.ahead,
        "clock_jumps": device.jumps,
        "copies": copies,
        "superseded_by": versions.superseded.get(device.file),
        "counter_hidden": report.hidden.get(device.file),
        "profiles_not_counted": report.uncounted.get(device.file, 0),
    }


def _unreadable_rows(report: Report) -> list[Row]:
    """Return a row for each file that could not be read."""
    return [{"journal": one.file, "reason": one.reason} for one in report.unreadable]


def _finding_rows(report: Report) -> list[Row]:
    """Return a row for each finding about a profile; a value that is not there is null."""
    return [_finding(one) for one in report.findings]


def _finding(one: Finding) -> Row:
    return {
        "profile": one.profile,
        "journal": one.journal,
        "finding": one.finding,
        "by": one.by,
        "property": one.name,
        "expected": _only(one.expected),
        "shown": _only(one.shown),
        "told_by": one.counter or "fold",
    }


def _only(value: list[Any]) -> Any:
    return value[0] if value else None


def decision_rows(report: Report) -> list[Row]:
    """Return a line of `restante settle --decisions` for each run in doubt that is decided."""
    return [
        {
            "journal": one.journal,
            "profile": one.profile,
            "epoch": one.epoch,
            "digest": one.digest,
            "attempt": one.attempt,
            "applied": one.applied,
        }
        for one in report.decisions
    ]


def _undecided_rows(report: Report) -> list[Row]:
    """Return a row for each journal and reason for which runs in doubt are not decided."""
    return [
        {"journal": file, "reason": reason, "profiles": profiles}
        for (file, reason), profiles in report.undecided.items()
    ]


def _order_rows(report: Report) -> list[Row]:
    """Return a row for each property that depends on the order of two devices."""
    return [_order(one) for one in report.order]


def _order(one: OrderDecides) -> Row:
    entries: list[Mapping[str, Any]] = [
        {"journal": file, "seq": entry.seq, "operator": entry.operator, "value": entry.value}
        for file, entry in zip(one.journals, one.entries, strict=True)
    ]
    return {
        "profile": one.profile,
        "property": one.property,
        "entries": entries,
        "ends": [_only(end) for end in one.ends],
    }
