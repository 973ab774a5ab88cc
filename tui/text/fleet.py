"""A report about a fleet, as lines. Pure."""

import json
import time
from collections.abc import Iterator
from typing import Any

from fleet.fold import OrderDecides
from fleet.join import Finding
from fleet.report import Report
from fleet.rows import Device, Written
from tui.text.format import age, clipped, count, printable

__all__ = ["format_report"]

_MOST = 60  # characters of a value


def format_report(report: Report) -> Iterator[str]:
    """Yield the lines of a report: devices that need someone first, then a line for each finding."""
    current = report.current
    calling = [device for device in current if report.needs_someone(device)]
    for one in report.unreadable:
        yield f"{printable(one.file)}: cannot be read: {printable(one.reason)}"
    for device in calling:
        yield f"{printable(device.file)}: {'; '.join(_device(report, device))}"
    rest = len(current) - len(calling)
    if rest:
        devices = count(rest, "device needs", "devices need")
        others = "device needs" if rest == 1 else devices
        yield f"{f'The other {others}' if calling else devices} no attention."
    for older, newer in sorted(report.versions.superseded.items()):
        yield f"{printable(older)}: an older snapshot of {printable(newer)}, which is used"
    for file, counter in report.hidden.items():
        yield f"{printable(file)}: the export does not show {printable(counter)} anywhere: its counts are no evidence"
    for file, profiles in report.uncounted.items():
        yield f"{printable(file)}: the count of {count(profiles, 'profile')} is not known"
    for (file, reason), profiles in report.undecided.items():
        yield f"{printable(file)}: {count(profiles, 'run')} in doubt not decided: {printable(reason)}"
    yield from map(_finding, report.findings)
    yield from map(_order, report.order)
    yield _summary(report)


def _device(report: Report, device: Device) -> Iterator[str]:
    if device.stuck_since is not None:
        yield f"stuck since {_minute(device.stuck_since)} ({printable(device.cause)}), {device.unsent:,} unsent"
    for group in device.rejected:
        yield f"{group.entries:,} rejected: {printable(clipped(group.words, 2 * _MOST))}"
    if device.in_doubt:
        yield f"{device.in_doubt:,} in doubt"
    if device.lost:
        yield f"{count(device.lost, 'entry', 'entries')} lost by damage"
    if device.ahead:
        yield f"its clock is wrong: it stamped entries {age(device.ahead)} in the future"
    if device.jumps:
        yield f"its clock is wrong: it went back {count(device.jumps, 'time')}"
    for files in report.versions.copies:
        if device.file in files:
            others = ", ".join(printable(file) for file in files if file != device.file)
            yield f"a copy: {others} is the same journal, continued separately; neither is compared"


def _minute(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def _finding(one: Finding) -> str:
    profile, journal = printable(one.profile), printable(one.journal)
    should, shown = _value(one.expected), _value(one.shown)
    if one.counter is not None:
        words = (
            f"at {'most' if one.finding == 'doubled' else 'least'} {should} {one.counter}, shown is {shown}"
        )
        return f"{profile}: {one.finding} {one.by:,} by {journal} ({words})"
    if one.name is None:
        return f"{profile}: differs by {journal} (its entries alone say that it exists, and it is not shown)"
    name = printable(one.name)
    return f"{profile}: differs in {name} by {journal} (its entries alone say {should}, shown is {shown})"


def _order(one: OrderDecides) -> str:
    first, second = (
        f"{printable(file)} #{entry.seq} {_written(entry)}"
        for file, entry in zip(one.journals, one.entries, strict=True)
    )
    what = "the whole profile" if one.property is None else printable(one.property)
    one_end, other_end = map(_value, one.ends)
    return f"{printable(one.profile)}: the order decides {what}: {first}, then {second}: {one_end}; else {other_end}"


def _written(entry: Written) -> str:
    return entry.operator if entry.value is None else f"{entry.operator} {_value([entry.value])}"


def _value(value: list[Any]) -> str:
    return printable(clipped(json.dumps(value[0], ensure_ascii=False), _MOST)) if value else "nothing"


def _summary(report: Report) -> str:
    text = f"{count(len(report.current), 'journal')}, {count(report.profiles, 'profile')}"
    if report.shown is None:
        return f"{text}; no export to compare with (--profiles)."
    text += f", {report.shown:,} in the export: {count(len(report.findings), 'finding')}"
    decided = count(len(report.decisions), "run in doubt decided", "runs in doubt decided")
    return f"{text}, {decided}." if report.decisions or report.undecided else f"{text}."
