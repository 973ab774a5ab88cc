"""Ingestion of the local service: from messages to profiles. No HTTP."""

import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Lock
from typing import Any

from recorder.model.dialect import Dialect
from recorder.model.events import FailedRecord, check_event, insert_id_of, is_old
from recorder.model.json_value import MAX_UPDATE_BYTES, compact
from recorder.model.outcomes import Verdict
from recorder.model.payloads import Endpoint, Submission
from recorder.model.replies import Receipt
from simulator.service.projects import Projects
from simulator.simulator import Simulator

__all__ = ["Acceptance", "Inbox", "Mixed", "OldEvents", "Received"]


class Mixed(StrEnum):
    """Treatments of a batch with some malformed messages."""

    APPLY_VALID = "apply-valid"
    """Valid ones are taken: by the service's reference, 1 means that one or more are valid."""
    REJECT_ALL = "reject-all"
    """Nothing is taken, and the answer is 0: stricter than documented."""


class OldEvents(StrEnum):
    """Answers of /track to events of more than five days ago, which it does not ingest."""

    DROP = "drop"
    """As if they were ingested."""
    REFUSE = "refuse"
    """As to malformed ones."""


class Acceptance(StrEnum):
    """The service's verdict on a message."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Received:
    """A message that reached the service.

    Attributes:
        endpoint: The path it was sent to.
        message: The update or event, not to be changed; for an unreadable request, the beginning of its text.
        verdict: See `Acceptance`.
        reason: Why it was rejected; None if accepted.
        token: The project's token; None if missing.
        at: The time of its arrival, in seconds since the epoch; never before an earlier one's.
    """

    endpoint: Endpoint
    message: Any
    verdict: Acceptance
    reason: str | None = None
    token: str | None = None
    at: float = field(default=0.0, compare=False)


_REQUIRED = {
    Endpoint.ENGAGE: ("$token", "$distinct_id"),
    Endpoint.GROUPS: ("$token", "$group_key", "$group_id"),
    Endpoint.TRACK: ("event", "properties", "token"),
    Endpoint.IMPORT: ("event", "properties"),
}
_UPDATES = frozenset({Endpoint.ENGAGE, Endpoint.GROUPS})
_SPOILT = "not applied: its batch holds a malformed one"
_OLD = "older than five days: /track does not ingest it, /import would"
_FAILED = "some data points in the request failed validation"


class Inbox:
    """The service's state: the profiles of each project, and every message received. Thread-safe.

    Args:
        mixed: Treatment of a batch with some malformed messages.
        old_events: Answer of /track to events of more than five days ago.
        dialect: Policies for what the real service does not document.
        clock: Returns the seconds since the epoch, against which ages are measured.
        merged: Users' ids and the id that each was merged into.

    >>> inbox = Inbox()
    >>> inbox.take(Endpoint.ENGAGE, Submission([{"$token": "T", "$set": {"plan": "pro"}}])).error
    '$distinct_id, missing or empty'
    """

    def __init__(
        self,
        mixed: Mixed = Mixed.APPLY_VALID,
        old_events: OldEvents = OldEvents.DROP,
        dialect: Dialect | None = None,
        clock: Callable[[], float] = time.time,
        merged: Mapping[str, str] | None = None,
    ) -> None:
        self._mixed = mixed
        self._old_events = old_events
        self._dialect = dialect or Dialect()
        self._clock = clock
        self._lock = Lock()
        self._merged = dict(merged or {})
        self._projects = self._empty()
        self._received: list[Received] = []
        self._replica, self._replicated = self._empty(), 0

    def take(
        self,
        endpoint: Endpoint,
        submission: Submission,
        project: str | None = None,
        first: int | None = None,
    ) -> Receipt:
        """Apply a submission's messages, and keep them with their verdicts.

        Args:
            endpoint: Where it was sent.
            submission: Its content.
            project: The token of imported events that name none.
            first: As many messages are taken, and the rest is lost; None for all.
        """
        if submission.unreadable is not None:
            return self._keep(
                endpoint, [submission.text], [submission.unreadable], project, error=submission.unreadable
            )
        now = self._clock()
        if endpoint is Endpoint.IMPORT and submission.asks("strict"):
            return self._import_strictly(submission.messages, now, project, first)
        reasons = [self._fault(endpoint, message, now) for message in submission.messages]
        malformed = [reason for reason in reasons if reason and not self._is_silent(reason)]
        error = malformed[0] if len(malformed) == len(reasons) else None
        if malformed and self._mixed is Mixed.REJECT_ALL:
            error = malformed[0]
            reasons = [reason or _SPOILT for reason in reasons]
        return self._keep(endpoint, submission.messages[:first], reasons[:first], project, error=error)

    def _import_strictly(
        self, events: list[Any], now: float, project: str | None, first: int | None
    ) -> Receipt:
        """Validate each event by itself; valid ones are taken, whatever the others are."""
        faults = [_strict_fault(event, now) for event in events]
        failed = tuple(
            FailedRecord(index, insert_id_of(event), *fault)
            for index, (event, fault) in enumerate(zip(events, faults, strict=True))
            if fault is not None
        )
        reasons = [fault and fault[1] for fault in faults]
        error = _FAILED if failed else None
        receipt = self._keep(Endpoint.IMPORT, events[:first], reasons[:first], project, error=error)
        return replace(receipt, failed=failed)

    def _is_silent(self, reason: str) -> bool:
        return reason == _OLD and self._old_events is OldEvents.DROP

    def _keep(
        self,
        endpoint: Endpoint,
        messages: list[Any],
        reasons: list[str | None],
        project: str | None,
        *,
        error: str | None,
    ) -> Receipt:
        """Keep messages, those with a reason as rejected, and apply the others."""
        with self._lock:
            at = max(self._clock(), self._received[-1].at if self._received else 0.0)
            received = [
                Received(
                    endpoint,
                    message,
                    Acceptance.ACCEPTED if reason is None else Acceptance.REJECTED,
                    reason,
                    _token(endpoint, message) or project,
                    at,
                )
                for message, reason in zip(messages, reasons, strict=True)
            ]
            self._received += received
            self._projects.apply(_updates(received))
        accepted = [one for one in received if one.reason is None]
        first = next((reason for reason in reasons if reason and reason != _SPOILT), None)
        return Receipt(len(accepted), error, len(received) - len(accepted), first)

    def _fault(self, endpoint: Endpoint, message: Any, now: float) -> str | None:
        """Return the error of a message in the service's own style, None for a valid one."""
        if not isinstance(message, dict):
            return "data, must be an array of objects"
        for name in _REQUIRED[endpoint]:
            value = _token(endpoint, message) if name in {"$token", "token"} else message.get(name)
            if value is None or value == "":
                return f"{name}, missing or empty"
            if name == "properties" and not isinstance(value, dict):
                return "properties, must be an object"
        if fault := _spelling_fault(message):
            return fault
        if endpoint not in _UPDATES:
            return _OLD if endpoint is Endpoint.TRACK and is_old(message, now) else None
        # Validity depends on the message alone, so an empty simulator can decide.
        outcomes = Simulator(self._dialect, history=False).apply(message)
        if any(outcome.verdict is not Verdict.REJECTED for outcome in outcomes):
            return None
        return ", ".join(outcomes[0].reasons[0])

    def _empty(self) -> Projects:
        return Projects(self._dialect, self._merged)

    def profiles(self, token: str | None = None, age: float = 0.0) -> dict[str, dict[str, Any]]:
        """Return users' profiles as `Service.profiles` does, or as it did so many seconds ago."""
        with self._lock:
            return self._as_of(age).profiles(token)

    def groups(self, token: str | None = None, age: float = 0.0) -> dict[str, dict[str, dict[str, Any]]]:
        """Return groups' profiles as `Service.groups` does, or as it did so many seconds ago."""
        with self._lock:
            return self._as_of(age).groups(token)

    def _as_of(self, age: float) -> Projects:
        if not age:
            return self._projects
        until = bisect_right(self._received, self._clock() - age, key=lambda one: one.at)
        if until < self._replicated:  # older than what was asked for last
            self._replica, self._replicated = self._empty(), 0
        self._replica.apply(_updates(self._received[self._replicated : until]))
        self._replicated = until
        return self._replica

    def messages(self, verdict: Acceptance | None = None, token: str | None = None) -> list[Received]:
        """Return messages in order of arrival, all or those of one verdict or project."""
        with self._lock:
            return [
                one
                for one in self._received
                if (verdict is None or one.verdict is verdict) and (token is None or one.token == token)
            ]

    def reset(self, token: str | None = None) -> None:
        """Forget the profiles and messages of one project or of all."""
        with self._lock:
            self._projects.forget(token)
            self._received = [one for one in self._received if token is not None and one.token != token]
            self._replica, self._replicated = self._empty(), 0


def _updates(received: list[Received]) -> list[tuple[str, Any]]:
    """Return the accepted updates with their tokens, which are required of them."""
    return [
        (one.token, one.message)
        for one in received
        if one.reason is None and one.token is not None and one.endpoint in _UPDATES
    ]


def _token(endpoint: Endpoint, message: Any) -> str | None:
    """Return the project token of an update, or of an event's properties."""
    if not isinstance(message, dict):
        return None
    holder, name = (message, "$token") if endpoint in _UPDATES else (message.get("properties"), "token")
    token = holder.get(name) if isinstance(holder, dict) else None
    return token if isinstance(token, str) else None


def _strict_fault(event: Any, now: float) -> tuple[str, str] | None:
    fault = _spelling_fault(event)
    return ("event", fault) if fault else check_event(event, now)


def _spelling_fault(message: Any) -> str | None:
    try:
        size = len(compact(message).encode())
    except UnicodeEncodeError:
        return "message, half a surrogate pair in a text"
    return f"message, more than {MAX_UPDATE_BYTES:,} bytes" if size > MAX_UPDATE_BYTES else None
