"""Events of a journal that a local service does not hold, though it accepted the requests that carried them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from recorder import JournalReader, Lane

__all__ = ["LostEvent", "lost_events"]

_ENDPOINTS = frozenset({"/track", "/import"})
_LANES = frozenset({Lane.EVENTS, Lane.IMPORTS})
_NOT_THERE = "it is not there"


class LostEvent(NamedTuple):
    """A shipped event that the service does not hold, and why, as far as it says."""

    seq: int
    reason: str


def lost_events(
    reader: JournalReader, received: Callable[[], Iterable[Mapping[str, Any]]]
) -> list[LostEvent]:
    """Return the shipped events that a service did not keep, by number; those without an ``$insert_id`` are not known.

    Args:
        reader: The journal's.
        received: Asks the service for all that it received, with verdict and reason; not called if no event is shipped.
    """
    if not any(lane.lane in _LANES for lane in reader.shipping().lanes):
        return []
    shipped = {
        known: entry.seq
        for entry in reader.stream(["state=shipped", "lane!=people", "lane!=groups"])
        if (known := _insert_id(entry.message)) is not None
    }
    reasons: dict[str, str] = {}
    for one in received() if shipped else ():
        known = _insert_id(one.get("message")) if one["endpoint"] in _ENDPOINTS else None
        if known is None:
            continue
        if one.get("verdict") == "accepted":
            shipped.pop(known, None)
        else:
            reasons[known] = str(one.get("reason") or _NOT_THERE)
    return [LostEvent(seq, reasons.get(known, _NOT_THERE)) for known, seq in shipped.items()]


def _insert_id(event: Any) -> str | None:
    properties = event.get("properties") if isinstance(event, Mapping) else None
    known = properties.get("$insert_id") if isinstance(properties, Mapping) else None
    return known if isinstance(known, str) and known else None
