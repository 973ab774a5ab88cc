"""Answers in words, with the evidence for each; None where what was seen answers nothing. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.conformance.project import json_of
from simulator.connection import Answer

__all__ = ["BEFORE_ADDITION", "addition", "import_token", "mixed_batch", "old_event", "order"]

BEFORE_ADDITION = {"number": 10, "text": "seven"}
"""Properties to which an ``$add`` of 1 each is sent."""

_ANSWERED = frozenset({200, 400})
_REFUSED = frozenset({401, 403})
_MOST_SHOWN = 120

Judged = tuple[str | None, str]


def order(shown: Any, written: Sequence[int], times: Sequence[int]) -> Judged:
    """Judge the order of a batch by the list that its appends made.

    Args:
        shown: The list.
        written: What was appended, in written order.
        times: The ``$time`` of each.

    >>> order([3, 1, 2], [1, 2, 3], [20, 30, 10])
    ('by $time', 'of 3 appended numbers: [3, 1, 2]')
    """
    seen = f"of {len(written)} appended numbers: {_shortly(shown)}"
    if not isinstance(shown, list) or sorted(map(str, shown)) != sorted(map(str, written)):
        return None, seen
    if shown == list(written):
        return "as written", seen
    if shown == [one for _, one in sorted(zip(times, written, strict=True))]:
        return "by $time", seen
    return "neither as written nor by $time", seen


def addition(profile: Mapping[str, Any], error: str | None) -> Judged:
    """Judge an ``$add`` of 1 to `BEFORE_ADDITION`.

    Args:
        profile: The properties afterwards.
        error: The service's error text; None if it took the update.

    >>> addition({"number": 10, "text": "seven"}, None)[0]
    'nothing is added, the text stays'
    """
    number, text = profile.get("number"), profile.get("text")
    seen = f'10 and "seven" plus 1 are {_shortly(number)} and {_shortly(text)}; answered {_said(error)}'
    added = {"10": "nothing", "11": "the number"}.get(_shortly(number))
    if added is None:
        return None, seen
    kept = "stays" if text == BEFORE_ADDITION["text"] else "is replaced" if "text" in profile else "goes"
    return f"{added} is added, the text {kept}", seen


def mixed_batch(profile: Mapping[str, Any], error: str | None) -> Judged:
    """Judge a batch of ``$set {"valid": true}`` and an update without an id; parameters as for `addition`.

    >>> mixed_batch({}, "$distinct_id, missing or empty")[0]
    'nothing is applied'
    """
    applied = "the valid one is applied" if "valid" in profile else "nothing is applied"
    return applied, f"one without $distinct_id after a valid one; answered {_said(error)}"


def old_event(answer: Answer) -> Judged:
    """Judge the answer to an event that is too old.

    >>> old_event(Answer(200, b'{"status": 1, "error": null}'))
    ('as if it were taken', '200, status 1')
    """
    if answer.status not in _ANSWERED | _REFUSED:
        return None, _told(answer)
    said = json_of(answer)
    taken = said.get("status") == 1 if isinstance(said, dict) else said == 1
    return "as if it were taken" if taken else "that it is refused", _told(answer)


def import_token(real: Answer, made_up: Answer) -> Judged:
    """Judge the answers to an invalid event, sent with the project's token and with one that does not exist.

    >>> import_token(Answer(400, b""), Answer(401, b""))
    ('yes', '400; with a made-up token 401')
    """
    seen = f"{_told(real)}; with a made-up token {made_up.status}"
    if real.status in _REFUSED:
        return "no", seen
    if real.status not in _ANSWERED:
        return None, seen
    return "yes" if made_up.status in _REFUSED else "yes, and any other", seen


def _said(error: str | None) -> str:
    return "1" if error is None else f"0, {error}"


def _told(answer: Answer) -> str:
    said = json_of(answer)
    if not isinstance(said, dict):
        return f"{answer.status} {_shortly(answer.text.decode(errors='replace'))}".rstrip()
    words = [f"{name} {said[name]}" for name in ("status", "error") if said.get(name) is not None]
    return _shortly(", ".join([str(answer.status), *words]))


def _shortly(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"
