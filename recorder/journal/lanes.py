"""The table `lanes`: each lane's cursor, how its last request ended, and when the next one may go."""

import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

from recorder.journal.uptime import AT_ONCE, Due
from recorder.model.entries import AttemptOutcome
from recorder.model.operations import Lane

__all__ = [
    "NEVER_PAUSE",
    "SHIPPED",
    "WORTH_MOVING",
    "Facts",
    "Failure",
    "Rejections",
    "Standing",
    "begin",
    "cursors",
    "due_at_once",
    "facts",
    "fail",
    "forget_cause",
    "idle",
    "keep_rejections",
    "last_requests",
    "move_cursor",
    "rejections",
    "retry_paused",
    "retry_paused_anew",
    "shipped",
    "shrink_requests",
    "standing",
    "standings",
    "succeed",
    "unanswered",
]

NEVER_PAUSE = -1
"""In place of a count of rejections: a person looked at them. No pause before the next success."""

WORTH_MOVING = 1_000
"""Entries of other lanes above a cursor, from which on it is moved past them: the next look does not read them."""

# A lane begins at its first entry, so that unused lanes cost nothing.
_BEGIN = """
INSERT INTO lanes (lane, cursor) SELECT ?, coalesce(max(seq), 0) FROM entries WHERE true
ON CONFLICT (lane) DO NOTHING
"""
_STANDINGS = """
SELECT lane, outcome, cause, failures, boot, backoff_at, backoff_span, asked_at, asked_span FROM lanes
"""
_LAST_REQUESTS = "SELECT lane, outcome, cause, since, failures, retry_at FROM lanes ORDER BY rowid"
_STANDING = f"{_STANDINGS} WHERE lane = ?"
_FACTS = """
SELECT shipper.epoch, project.token, lanes.cursor, lanes.request_size,
       (SELECT max(seq) FROM entries),
       EXISTS (SELECT 1 FROM open_attempt),
       EXISTS (SELECT 1 FROM waits WHERE waits.lane = lanes.lane),
       EXISTS (SELECT 1 FROM counters WHERE account IN ('waiting', 'in_doubt') AND entries > 0),
       CASE WHEN outcome = 'unknown' THEN failures ELSE 0 END
  FROM shipper, project, lanes WHERE lanes.lane = ?
"""
_IDLE = """
SELECT NOT EXISTS (SELECT 1 FROM entries WHERE entries.lane = lanes.lane AND seq > cursor AND state = 'pending')
       AND NOT EXISTS (SELECT 1 FROM counters WHERE account IN ('waiting', 'in_doubt') AND entries > 0)
       AND (SELECT max(seq) FROM entries) - cursor <= ?
  FROM lanes WHERE lane = ?
"""
_CURSORS = "SELECT lane, cursor FROM lanes"
_MOVE_CURSOR = "UPDATE lanes SET cursor = ? WHERE lane = ?"
_SUCCEED = """
UPDATE lanes SET outcome = 'shipped', cause = '', failures = 0, retry_at = NULL,
                 boot = '', backoff_at = 0, backoff_span = 0, asked_at = 0, asked_span = 0,
                 since = CASE WHEN outcome = 'shipped' THEN since ELSE :now END
 WHERE lane = :lane
"""
# As _SUCCEED; the cursor moves, requests may grow if this one was as large as they may be, and rejections are
# counted anew.
_SHIPPED = """
UPDATE lanes SET outcome = 'shipped', cause = '', failures = 0, retry_at = NULL,
                 boot = '', backoff_at = 0, backoff_span = 0, asked_at = 0, asked_span = 0,
                 since = CASE WHEN outcome = 'shipped' THEN since ELSE :now END,
                 cursor = coalesce(:cursor, cursor), alike = 0, alike_since = NULL,
                 request_size = CASE WHEN :updates < request_size THEN request_size
                                     WHEN request_size * 2 <= 2000 THEN request_size * 2 END
 WHERE lane = :lane
"""
_FAIL = """
UPDATE lanes SET outcome = :outcome, cause = :cause, failures = :failures, retry_at = :retry_at, boot = :boot,
                 backoff_at = :backoff_at, backoff_span = :backoff_span, asked_at = :asked_at, asked_span = :asked_span,
                 since = CASE WHEN outcome = :outcome THEN since ELSE :now END
 WHERE lane = :lane
"""
_SHRINK_REQUESTS = "UPDATE lanes SET request_size = max(1, ? / 2) WHERE lane = ?"
_REJECTIONS = """
SELECT alike, alike_since, (SELECT words FROM attempts WHERE id = alike_since) FROM lanes WHERE lane = ?
"""
_KEEP_REJECTIONS = "UPDATE lanes SET alike = ?, alike_since = ? WHERE lane = ?"
_RETRY_PAUSED = """
UPDATE lanes SET backoff_at = 0, backoff_span = 0, retry_at = NULL WHERE outcome = 'paused' AND lane = coalesce(?, lane)
"""
_RETRY_PAUSED_ANEW = """
UPDATE lanes SET outcome = NULL, cause = '', since = NULL, failures = 0, retry_at = NULL, alike = ?,
                 alike_since = NULL, backoff_at = 0, backoff_span = 0
 WHERE outcome = 'paused' AND lane = ?
"""
_DUE_AT_ONCE = """
UPDATE lanes SET failures = 0, retry_at = NULL, backoff_at = 0, backoff_span = 0, asked_at = 0, asked_span = 0
"""
_FORGET_CAUSE = """
UPDATE lanes SET cause = 'reason erased by forget'
 WHERE lane = ? AND cause <> '' AND cause IN (SELECT words FROM attempts WHERE id IN (SELECT value FROM json_each(?)))
"""


class Standing(NamedTuple):
    """Standing of a lane, for its next request.

    Attributes:
        outcome: Of its last request; None before the first.
        cause: The service's words, or the error on the way.
        failures: Tries in a row that did not go through.
        backoff: When it may be tried again.
        asked: Until when the service asked to wait.
    """

    outcome: AttemptOutcome | None = None
    cause: str = ""
    failures: int = 0
    backoff: Due = AT_ONCE
    asked: Due = AT_ONCE


SHIPPED = Standing(AttemptOutcome.SHIPPED)
"""Standing of a lane whose last request was accepted."""


class Failure(NamedTuple):
    """Standing of a lane after a request that did not go through.

    Attributes:
        outcome: Of the request.
        cause: The service's words, or the error on the way.
        failures: Tries in a row that did not go through, with this one.
        now: Seconds since the epoch.
        backoff: When it may be tried again.
        asked: Until when the service asked to wait.
    """

    outcome: AttemptOutcome
    cause: str
    failures: int
    now: float
    backoff: Due
    asked: Due = AT_ONCE


class Facts(NamedTuple):
    """Facts about a lane that decide which of its entries go next.

    Attributes:
        epoch: Of the shipper that came last.
        token: The project's.
        cursor: Pending entries lie above it.
        request_size: Most updates in a request; None for the policy's own.
        highest: Number of the newest entry of all lanes.
        unsettled: An attempt of any lane is open.
        waits: A profile of the lane waits.
        again: Entries of any lane are waiting or in doubt.
        unanswered: Tries in a row that did not go through, if the last one was not answered.
    """

    epoch: int
    token: str | None
    cursor: int
    request_size: int | None
    highest: int
    unsettled: int
    waits: int
    again: int
    unanswered: int


class Rejections(NamedTuple):
    """Single rejections in a row: how many, since which attempt, and the words of that one."""

    alike: int
    since: int | None
    words: str | None


def begin(connection: sqlite3.Connection, lane: str) -> None:
    """Begin a lane before its first entry is inserted."""
    connection.execute(_BEGIN, (lane,))


def standings(connection: sqlite3.Connection) -> dict[Lane, Standing]:
    """Return how each lane stands that has an entry, in the order in which lanes take turns."""
    rows = {row[0]: _standing(row) for row in connection.execute(_STANDINGS).fetchall()}
    return {lane: rows[lane] for lane in Lane if lane in rows}


def last_requests(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Return of each lane its name, and outcome, cause, since, failures and retry_at of its last request."""
    return connection.execute(_LAST_REQUESTS).fetchall()


def standing(connection: sqlite3.Connection, lane: Lane) -> Standing:
    """Return how a lane stands."""
    row = connection.execute(_STANDING, (lane,)).fetchone()
    return Standing() if row is None else _standing(row)


def _standing(row: tuple[str, str | None, str, int, str, float, float, float, float]) -> Standing:
    _, outcome, cause, failures, boot, *moments = row
    backoff_at, backoff_span, asked_at, asked_span = map(float, moments)  # or it is damaged
    return Standing(
        AttemptOutcome(outcome) if outcome else None,
        cause,
        int(failures),
        Due(boot, backoff_at, backoff_span),
        Due(boot, asked_at, asked_span),
    )


def facts(connection: sqlite3.Connection, lane: Lane) -> Facts | None:
    """Return what decides a lane's next claim, in one statement; None before its first entry."""
    row = connection.execute(_FACTS, (lane,)).fetchone()
    return Facts(*row) if row else None


def idle(connection: sqlite3.Connection, lane: Lane) -> bool:
    """Return True if a claim would find nothing, and the lane's cursor is close to the newest entry."""
    row = connection.execute(_IDLE, (WORTH_MOVING, lane)).fetchone()
    return row is None or bool(row[0])


def unanswered(connection: sqlite3.Connection, lane: Lane) -> bool:
    """Return True if the lane's last request was not answered."""
    found = standing(connection, lane)
    return found.outcome is AttemptOutcome.UNKNOWN and found.failures > 0


def cursors(connection: sqlite3.Connection) -> dict[str, int]:
    """Return each lane's cursor."""
    return dict(connection.execute(_CURSORS).fetchall())


def move_cursor(connection: sqlite3.Connection, lane: Lane, cursor: int) -> None:
    """Move a lane's cursor up."""
    connection.execute(_MOVE_CURSOR, (cursor, lane))


def shipped(connection: sqlite3.Connection, lane: Lane, now: float, cursor: int | None, updates: int) -> None:
    """Note an accepted request, which ended at `cursor`; None if its entries were picked."""
    connection.execute(_SHIPPED, {"lane": lane, "now": now, "cursor": cursor, "updates": updates})


def succeed(connection: sqlite3.Connection, lane: Lane, now: float) -> None:
    """Note that the service answers, whatever it says of the entries."""
    connection.execute(_SUCCEED, {"lane": lane, "now": now})


def fail(connection: sqlite3.Connection, lane: Lane, failure: Failure) -> None:
    """Note a request that did not go through, and when the next may go."""
    backoff, asked = failure.backoff, failure.asked
    connection.execute(
        _FAIL,
        {
            "lane": lane,
            "outcome": failure.outcome,
            "cause": failure.cause,
            "failures": failure.failures,
            "retry_at": failure.now + max(backoff.span, asked.span),
            "boot": backoff.boot,
            "backoff_at": backoff.at,
            "backoff_span": backoff.span,
            "asked_at": asked.at,
            "asked_span": asked.span,
            "now": failure.now,
        },
    )


def shrink_requests(connection: sqlite3.Connection, lane: Lane, updates: int) -> None:
    """Halve the size of the lane's requests: a batch that always outlasts the time-out must not be applied often."""
    connection.execute(_SHRINK_REQUESTS, (updates, lane))


def rejections(connection: sqlite3.Connection, lane: Lane) -> Rejections:
    """Return the lane's single rejections in a row."""
    return Rejections(*connection.execute(_REJECTIONS, (lane,)).fetchone())


def keep_rejections(connection: sqlite3.Connection, lane: Lane, alike: int, since: int | None) -> None:
    """Store the lane's single rejections in a row."""
    connection.execute(_KEEP_REJECTIONS, (alike, since, lane))


def retry_paused(connection: sqlite3.Connection, lane: Lane | None = None) -> None:
    """Make paused lanes due at once, as the configuration may have changed; None for all."""
    connection.execute(_RETRY_PAUSED, (lane,))


def due_at_once(connection: sqlite3.Connection) -> None:
    """Forget every wait, also a Retry-After: another service never said it."""
    connection.execute(_DUE_AT_ONCE)


def retry_paused_anew(connection: sqlite3.Connection, lanes: Iterable[str], alike: int) -> None:
    """Make paused lanes due at once and forget why they paused: a person has acted."""
    connection.executemany(_RETRY_PAUSED_ANEW, [(alike, lane) for lane in sorted(lanes)])


def forget_cause(connection: sqlite3.Connection, lane: str, attempts: str) -> None:
    """Erase a lane's cause if it quotes one of these attempts, given as JSON."""
    connection.execute(_FORGET_CAUSE, (lane, attempts))
