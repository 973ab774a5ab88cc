"""Ingestion of the local service: from a request's bytes to messages, and from messages to profiles. No HTTP."""

import json
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from threading import Lock
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from recorder.model.dialect import Dialect
from recorder.model.normalise import MAX_DEPTH
from recorder.model.outcomes import Verdict
from simulator.simulator import Simulator

__all__ = ["Acceptance", "Endpoint", "Inbox", "Mixed", "Receipt", "Received", "Submission", "read_submission"]


class Endpoint(StrEnum):
    """Paths that SDKs send to."""

    ENGAGE = "/engage"
    GROUPS = "/groups"
    TRACK = "/track"
    IMPORT = "/import"


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


# --- From bytes to messages ---------------------------------------------------------------------

MAX_MESSAGES = 2_000
"""The documented limit of messages in a request."""

_MOST_FIELDS = 100  # of a form or a query: one of separators only would take seconds and gigabytes

MAX_SHOWN = 1_000
"""Characters kept of an unreadable text."""


@dataclass(frozen=True, slots=True)
class Submission:
    """The content of one ingestion request.

    Attributes:
        messages: The updates or events, unchecked.
        verbose: The ``verbose`` parameter; None if missing.
        unreadable: Why no message could be read; None if they could.
        text: The beginning of an unreadable request.
    """

    messages: list[Any] = field(default_factory=list)
    verbose: bool | None = None
    unreadable: str | None = None
    text: str = ""


class _Unreadable(ValueError):
    """The request has no readable messages."""


def read_submission(query: bytes, body: bytes = b"") -> Submission:
    """Return the messages in a request's body or query.

    They are a JSON array or one object, alone or in the field ``data`` of a form or of the query, there also in
    base64. The content type is ignored: SDKs and hand-made requests disagree about it.

    >>> read_submission(b"verbose=1", b'{"$token": "T"}').messages
    [{'$token': 'T'}]
    >>> read_submission(b"data=W10=").unreadable
    'data, missing or empty'
    """
    verbose = None
    try:
        asked = _fields(query)
        verbose = _verbose(asked)
        text = _text(body)
        if not _looks_like_json(text):
            asked = {**asked, **_fields(body)}
            verbose = _verbose(asked)
            text = asked.get("data", "")
        return Submission(_messages(text), verbose)
    except _Unreadable as error:
        shown = (body or query)[: 4 * MAX_SHOWN].decode(errors="replace")[:MAX_SHOWN]
        return Submission([], verbose, str(error), shown)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _Unreadable(f"data, not UTF-8: {error.reason} at byte {error.start}") from None


def _fields(raw: bytes) -> dict[str, str]:
    try:
        return dict(
            parse_qsl(_text(raw), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
        )
    except UnicodeDecodeError:
        raise _Unreadable("data, not UTF-8 once unescaped") from None
    except ValueError:
        raise _Unreadable(f"data, a form of more than {_MOST_FIELDS} fields") from None


def _verbose(asked: dict[str, str]) -> bool | None:
    return asked["verbose"] == "1" if "verbose" in asked else None


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[:1] in {"[", "{"}


def _messages(text: str) -> list[Any]:
    if not text.strip():
        raise _Unreadable("data, missing or empty")
    value = _json(text if _looks_like_json(text) else _from_base64(text))
    messages = value if isinstance(value, list) else [value]
    if not messages:
        raise _Unreadable("data, missing or empty")
    if len(messages) > MAX_MESSAGES:
        raise _Unreadable(f"data, more than {MAX_MESSAGES:,} messages")
    if _too_deep(messages):
        raise _Unreadable(f"data, nested deeper than {MAX_DEPTH}")
    return messages


def _from_base64(text: str) -> str:
    # A plus sign that was not escaped in a form arrives as a space.
    try:
        return _text(b64decode(text.strip().replace(" ", "+"), validate=True))
    except ValueError:
        raise _Unreadable("data, neither JSON nor base64 of it") from None


def _json(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_json, parse_float=_finite)
    except RecursionError:
        raise _Unreadable(f"data, nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:
        raise _Unreadable(f"data, malformed JSON: {error}") from None
    if not isinstance(value, list | dict):
        raise _Unreadable("data, must be an array or an object")
    return value


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    if not isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is beyond what a double holds")
    return number


def _too_deep(value: Any, levels: int = MAX_DEPTH + 3) -> bool:
    if not value or not isinstance(value, list | dict):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_too_deep(item, levels - 1) for item in items)


# --- From messages to profiles ------------------------------------------------------------------

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
    >>> inbox.take(Endpoint.ENGAGE, read_submission(b"", b'{"$token": "T", "$set": {"plan": "pro"}}'))
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
