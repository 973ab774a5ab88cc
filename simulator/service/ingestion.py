"""Ingestion of the local service: from messages to profiles. No HTTP."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Any

from recorder.model.dialect import Dialect
from recorder.model.outcomes import Verdict
from recorder.model.payloads import Endpoint, Submission
from simulator.simulator import Simulator

__all__ = ["Acceptance", "Inbox", "Mixed", "Receipt", "Received"]


class Mixed(StrEnum):
    """Policies for a batch with some malformed updates; the real service's policy is unknown."""

    REJECT_ALL = "reject-all"
    """Nothing is applied."""
    APPLY_VALID = "apply-valid"
    """Valid updates are applied."""


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
    """

    endpoint: Endpoint
    message: Any
    verdict: Acceptance
    reason: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a submission.

    Attributes:
        accepted: Number of accepted messages.
        error: The service's error text; None for status 1.
        refused: Number of refused messages.
        reason: Why the first malformed one was refused.
    """

    accepted: int = 0
    error: str | None = None
    refused: int = 0
    reason: str | None = None

    @property
    def summary(self) -> str:
        """The counts and the reason as words."""
        accepted = f"{self.accepted:,} accepted"
        return f"{accepted}, {self.refused:,} refused: {self.reason}" if self.refused else accepted


_REQUIRED = {
    Endpoint.ENGAGE: ("$token", "$distinct_id"),
    Endpoint.GROUPS: ("$token", "$group_key", "$group_id"),
    Endpoint.TRACK: ("event", "properties", "token"),
    Endpoint.IMPORT: ("event", "properties"),
}
_UPDATES = frozenset({Endpoint.ENGAGE, Endpoint.GROUPS})
_SPOILT = "not applied: its batch holds a malformed one"


class Inbox:
    """The service's state: a simulator for each project, and every message received. Thread-safe.

    Args:
        mixed: Policy for a batch with some malformed updates.
        dialect: Policies for what the real service does not document.

    >>> inbox = Inbox()
    >>> inbox.take(Endpoint.ENGAGE, Submission([{"$token": "T", "$set": {"plan": "pro"}}]))
    Receipt(accepted=0, error='$distinct_id, missing or empty', refused=1, reason='$distinct_id, missing or empty')
    """

    def __init__(self, mixed: Mixed = Mixed.REJECT_ALL, dialect: Dialect | None = None) -> None:
        self._mixed = mixed
        self._dialect = dialect or Dialect()
        self._lock = Lock()
        self._projects: dict[str, Simulator] = {}
        self._received: list[Received] = []

    def take(self, endpoint: Endpoint, submission: Submission) -> Receipt:
        """Apply a submission's messages as `mixed` demands, and keep them with their verdicts."""
        if submission.unreadable is not None:
            received = [self._judged(endpoint, submission.text, submission.unreadable)]
        else:
            received = [
                self._judged(endpoint, message, self._fault(endpoint, message))
                for message in submission.messages
            ]
        error = next((one.reason for one in received if one.reason is not None), None)
        if error is not None and self._mixed is Mixed.REJECT_ALL:
            received = [
                one if one.reason else self._judged(endpoint, one.message, _SPOILT) for one in received
            ]
        with self._lock:
            self._received += received
            accepted = [one for one in received if one.verdict is Acceptance.ACCEPTED]
            if endpoint in _UPDATES:
                self._apply(accepted)
        return Receipt(len(accepted), None if accepted else error, len(received) - len(accepted), error)

    def _judged(self, endpoint: Endpoint, message: Any, fault: str | None) -> Received:
        verdict = Acceptance.ACCEPTED if fault is None else Acceptance.REJECTED
        return Received(endpoint, message, verdict, fault, _token(endpoint, message))

    def _fault(self, endpoint: Endpoint, message: Any) -> str | None:
        """Return the error of a message in the service's own style, None for a valid one."""
        if not isinstance(message, dict):
            return "data, must be an array of objects"
        for name in _REQUIRED[endpoint]:
            value = _token(endpoint, message) if name in {"$token", "token"} else message.get(name)
            if value is None or value == "":
                return f"{name}, missing or empty"
        if endpoint not in _UPDATES:
            return None
        # Validity depends on the message alone, so an empty simulator can decide.
        outcomes = Simulator(self._dialect, history=False).apply(message)
        if any(outcome.verdict is not Verdict.REJECTED for outcome in outcomes):
            return None
        return ", ".join(outcomes[0].reasons[0])

    def _apply(self, accepted: Iterable[Received]) -> None:
        for one in accepted:
            if one.token is not None:  # required of updates
                project = self._projects.setdefault(one.token, Simulator(self._dialect, history=False))
                project.apply(one.message)

    def profiles(self, token: str | None = None) -> dict[str, dict[str, Any]]:
        """Return users' profiles as `Service.profiles` does."""
        with self._lock:
            return {
                id_: dict(profile)
                for simulator in self._chosen(token)
                for id_, profile in simulator.profiles.items()
            }

    def groups(self, token: str | None = None) -> dict[str, dict[str, dict[str, Any]]]:
        """Return groups' profiles as `Service.groups` does."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        with self._lock:
            for simulator in self._chosen(token):
                for (key, id_), profile in simulator.groups.items():
                    found.setdefault(key, {})[id_] = dict(profile)
        return found

    def _chosen(self, token: str | None) -> list[Simulator]:
        return [
            simulator for project, simulator in self._projects.items() if token is None or project == token
        ]

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
            if token is None:
                self._projects.clear()
                self._received.clear()
            else:
                self._projects.pop(token, None)
                self._received = [one for one in self._received if one.token != token]


def _token(endpoint: Endpoint, message: Any) -> str | None:
    """Return the project token of an update, or of an event's properties."""
    if not isinstance(message, dict):
        return None
    holder, name = (message, "$token") if endpoint in _UPDATES else (message.get("properties"), "token")
    token = holder.get(name) if isinstance(holder, dict) else None
    return token if isinstance(token, str) else None
