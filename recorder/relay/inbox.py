"""From requests to entries: each message goes to the journal of its project, before the answer."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from recorder.background import Delivery
from recorder.model.entries import NewEntry
from recorder.model.errors import InvalidOperation, JournalError
from recorder.model.events import FailedRecord, check_event, insert_id_of
from recorder.model.intake import Intake, token_of
from recorder.model.json_value import compact, is_text
from recorder.model.operations import Lane, UnknownOperators
from recorder.model.payloads import Endpoint, Submission
from recorder.model.replies import Receipt

if TYPE_CHECKING:
    from recorder.shipping.transport import ImportCredentials

__all__ = ["Inbox"]

_LANES = {
    Endpoint.ENGAGE: Lane.PEOPLE,
    Endpoint.GROUPS: Lane.GROUPS,
    Endpoint.TRACK: Lane.EVENTS,
    Endpoint.IMPORT: Lane.IMPORTS,
}
_NOTE_SECONDS = 60.0
_FAILED = "some data points in the request failed validation"


class _Project(NamedTuple):
    delivery: Delivery
    intake: Intake


class _Judged(NamedTuple):
    """A message: its rows and their project, or its fault, as path and reason."""

    message: Any
    project: _Project | None
    rows: Sequence[NewEntry] = ()
    fault: tuple[str, str] | None = None


class Inbox:
    """The journals of the relay's projects.

    Args:
        deliveries: The journal of each project and what ships it, by token.
        clock: Seconds since the epoch.
        unknown_operators: As for `Recorder`.
        takes_accounts: Imports are sent with the credentials of who sent them here, kept in memory.
    """

    def __init__(
        self,
        deliveries: Mapping[str, Delivery],
        clock: Callable[[], float],
        unknown_operators: UnknownOperators = "refuse",
        *,
        takes_accounts: bool = True,
    ) -> None:
        self._clock = clock
        self._takes_accounts = takes_accounts
        self._lock = Lock()
        self._taken: dict[str, Counter[str]] = {token: Counter() for token in deliveries}
        self._noted_at = -inf
        self._projects = {
            token: _Project(delivery, Intake(token, unknown_operators=unknown_operators))
            for token, delivery in deliveries.items()
        }

    def take(
        self,
        endpoint: Endpoint,
        submission: Submission,
        account: "ImportCredentials | None" = None,
        sender: str = "unknown",
    ) -> Receipt:
        """Journal a submission's messages, and return when they are there.

        Where some are valid, the others are set aside as rejected entries, and the answer is the service's for such a
        batch. Where none is, nothing is journaled, and the sender is told. So it is of each event that fails the
        validation of /import.

        Args:
            endpoint: Where it was sent.
            submission: Its content.
            account: The credentials of an import.
            sender: The program that sent it.

        Raises:
            JournalError: It could not be journaled; the sender may try again.
        """
        if submission.unreadable is not None:
            return Receipt(error=submission.unreadable, refused=1, reason=submission.unreadable)
        lane, messages, now = _LANES[endpoint], submission.messages, self._clock()
        if not all(isinstance(message, dict) for message in messages):
            error = "data, must be an array of objects"
            return Receipt(error=error, refused=len(messages), reason=error)
        strict = lane is Lane.IMPORTS and submission.asks("strict")
        judged = [self._judge(lane, message, account, now, strict=strict) for message in messages]
        wrong = [(place, one) for place, one in enumerate(judged) if one.fault]
        accepted = len(judged) - len(wrong)
        if accepted:
            self._journal(lane, [one for one in judged if not (strict and one.fault)], account, now)
            self._count([one.project.intake.token for one in judged if one.project and not one.fault], sender)
        reason = _words(wrong[0][1].fault, wrong[0][0], len(judged)) if wrong else None
        failed = [
            FailedRecord(place, insert_id_of(one.message), *one.fault) for place, one in wrong if one.fault
        ]
        failure = (_FAILED if strict else None if accepted else reason) if wrong else None
        return Receipt(accepted, failure, len(wrong), reason, tuple(failed) if strict else ())

    def _judge(
        self, lane: Lane, message: Any, account: "ImportCredentials | None", now: float, *, strict: bool
    ) -> _Judged:
        project, fault = self._project(lane, message, account)
        if lane in {Lane.EVENTS, Lane.IMPORTS}:
            fault = fault or (check_event(message, now) if strict else _event_fault(message))
        if project is None or fault:
            return _Judged(message, project, fault=fault)
        try:
            rows = project.intake.received(lane, message, now, os.urandom(16).hex(), identify_imports=True)
        except InvalidOperation as error:
            return _Judged(message, project, fault=(error.path, error.reason))
        return _Judged(message, project, rows)

    def _project(
        self, lane: Lane, message: Any, account: "ImportCredentials | None"
    ) -> tuple[_Project | None, tuple[str, str] | None]:
        """Return the project that a message names, or else its fault."""
        named = token_of(lane, message)
        if named is None and lane is Lane.IMPORTS:
            # A project's token may be the user's name; any other account is that of the only project.
            known = [*self._projects]
            named = account[0] if account and account[0] in known else known[0] if len(known) == 1 else None
        place = "$token" if lane in {Lane.PEOPLE, Lane.GROUPS} else "properties.token"
        if named is None:
            return None, (place, "missing or empty")
        project = self._projects.get(named) if isinstance(named, str) else None
        return project, None if project else (place, "is not of a project that this relay serves")

    def _journal(
        self, lane: Lane, judged: list[_Judged], account: "ImportCredentials | None", now: float
    ) -> None:
        """Write the rows of all messages, in one commit for each project."""
        good = next(one.project for one in judged if one.project and not one.fault)
        rows: dict[str, list[NewEntry]] = {}
        for one in judged:
            project = one.project or good
            found = one.rows or [
                project.intake.set_aside(lane, _storable(one.message), now, ": ".join(one.fault or ()))
            ]
            rows.setdefault(project.intake.token, []).extend(found)
        for token, found in rows.items():
            delivery = self._projects[token].delivery
            if account is not None and account[0] not in self._projects and self._takes_accounts:
                delivery.use_import_credentials(account)  # before the rows: they may go at once
            delivery.append(found)

    def _count(self, tokens: Iterable[str], sender: str) -> None:
        """Count messages that were journaled, and note the numbers in their journals once a minute."""
        with self._lock:
            for token in tokens:
                self._taken[token][sender] += 1
            due = time.monotonic() - self._noted_at > _NOTE_SECONDS
            if due:
                self._noted_at = time.monotonic()
        if due:
            self.note_senders()

    def note_senders(self) -> None:
        """Note in the journals who sent how much; what cannot be noted now is noted later."""
        for token, (delivery, _) in self._projects.items():
            with self._lock:
                counts, self._taken[token] = self._taken[token], Counter()
            try:
                if counts:
                    delivery.journal.note_senders(counts)
            except JournalError:  # the messages are there, and their sender must not try again
                with self._lock:
                    self._taken[token] += counts


def _event_fault(event: Any) -> tuple[str, str] | None:
    if not event.get("event"):
        return "event", "missing or empty"
    return None if isinstance(event.get("properties"), dict) else ("properties", "must be an object")


def _words(fault: tuple[str, str] | None, place: int, of: int) -> str:
    words = ": ".join(fault or ())
    return words if of == 1 else f"message {place + 1} of {of}: {words}"


def _storable(message: Any) -> Any:
    """Return a message without halves of surrogate pairs, which have no form in UTF-8: SDKs cut texts in the middle."""
    text = compact(message)
    if is_text(text):
        return message
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
