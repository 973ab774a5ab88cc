"""The table `waits`: profiles that are not sent with others now, and entries in doubt.

A profile waits for `settle_after` seconds after an outcome nobody knows, or, under the policy ``hold``, until a
person decides about its entries in doubt. If its own entries may be the reason why there was no answer, it is a
suspect after that, until it is answered; see `suspects`.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from recorder.journal import entries, erase
from recorder.journal.entries import NOT_WAITING, SET_ASIDE, UNIT, Doubtful, Profile
from recorder.journal.uptime import Due, Uptime
from recorder.model.entries import State
from recorder.model.hazards import Update, dropped
from recorder.model.operations import Lane
from recorder.model.shipping import InDoubt

__all__ = [
    "Suspect",
    "TimedWait",
    "any_settling",
    "begin_wait",
    "break_runs",
    "clear_suspects",
    "count_held",
    "decide_settled",
    "decided",
    "end_all_waits",
    "end_settled_waits",
    "end_waits",
    "held",
    "hold_again",
    "limits",
    "over",
    "shortest_wait",
    "suspects",
    "timed_waits",
    "wait_left",
]

_DROPPED = "given up: it may have been applied, and in_doubt='drop' sends nothing twice"

_WAITS = (
    "SELECT id, group_key, profile, cause, behind, boot, at, span, most, backoff FROM waits WHERE lane = ?"
)
_TIMED = """
SELECT coalesce(sends, 0), behind, boot, at, span, backoff FROM waits LEFT JOIN entries ON seq = behind
 WHERE cause <> 'hold'
"""
_INSERT = """
INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span, most, backoff)
VALUES (?, ?, ?, 'settle_after', ?, ?, ?, ?, ?, ?)
"""
# Hazardous entries that settled: a wait that is over makes the next claim ask the policy.
_INSERT_SETTLED = f"""
INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)
SELECT lane, group_key, {UNIT}, 'settle_after', min(seq), '', 0, 0 FROM entries
 WHERE state = 'in_doubt' AND {SET_ASIDE} AND hazardous AND lane = coalesce(?, lane) AND {NOT_WAITING}
 GROUP BY lane, group_key, {UNIT}
"""
_SUSPECTS_SETTLED = """
UPDATE waits SET cause = 'settle_after' WHERE cause = 'suspect' AND lane = coalesce(?, lane)
"""
_SUSPECT = "UPDATE waits SET cause = 'suspect' WHERE id IN (SELECT value FROM json_each(?))"
_ANSWERED = "UPDATE waits SET most = most * 2, behind = ?, backoff = 0 WHERE id = ?"
_DECIDED = (
    "UPDATE waits SET cause = CASE cause WHEN 'hold' THEN 'suspect' ELSE cause END, backoff = 0 WHERE id = ?"
)
_COUNT_HELD = """
SELECT count(*), count(counted) FROM waits LEFT JOIN entries ON seq = behind LEFT JOIN attempts ON attempts.id = attempt
 WHERE cause = 'hold'
"""
_HOLD = "UPDATE waits SET cause = 'hold', behind = ? WHERE id = ?"
_DELETE = "DELETE FROM waits WHERE id IN (SELECT value FROM json_each(?))"
_DELETE_OF_PROFILE = "DELETE FROM waits WHERE lane = ? AND profile IS ? AND group_key IS ?"


class _Wait(NamedTuple):
    id: int
    group_key: str | None
    profile: str | None
    cause: str
    behind: int
    boot: str
    at: float
    span: float
    most: int | None
    backoff: float

    @property
    def owner(self) -> Profile:
        return self.group_key, self.profile

    def left(self, uptime: Uptime) -> float:
        return wait_left(uptime, self.boot, self.at, self.span, self.backoff)


def wait_left(uptime: Uptime, boot: str, at: float, span: float, backoff: float) -> float:
    """Return how much of a wait is left, in seconds, and of the profile's own back-off that began with it."""
    own = Due(boot, at - span + backoff, backoff)
    return max(Due(boot, at, span).left(uptime), own.left(uptime))


class Suspect(NamedTuple):
    """A profile whose entries may be the reason why a request was not answered.

    Attributes:
        wait: Number of its wait.
        most: Most updates in the request that carries it next: half of the last one that was not answered.
    """

    wait: int
    most: int


def _waits(connection: sqlite3.Connection, lane: str) -> list[_Wait]:
    return [_Wait(*row) for row in connection.execute(_WAITS, (lane,)).fetchall()]


def over(connection: sqlite3.Connection, lane: Lane, uptime: Uptime) -> tuple[set[Profile], float | None]:
    """Return the profiles of a lane that are held, or may be held now; and the seconds until the next one may be."""
    waits = [wait for wait in _waits(connection, lane) if wait.cause != "suspect"]
    left = [wait.left(uptime) for wait in waits if wait.cause == "settle_after" and wait.left(uptime) > 0]
    due = {wait.owner for wait in waits if wait.cause == "hold" or wait.left(uptime) <= 0}
    return due, min(left, default=None)


def begin_wait(
    connection: sqlite3.Connection,
    lane: Lane,
    owner: Profile,
    behind: int,
    until: Due,
    *,
    most: int | None,
    backoff: float,
) -> None:
    """Keep a profile from being sent before then, in place of any wait it had; a suspect has a limit `most`."""
    end_all_waits(connection, lane, owner)
    connection.execute(_INSERT, (lane, *owner, behind, *until, most, backoff))


def limits(connection: sqlite3.Connection, lane: Lane) -> dict[Profile, int]:
    """Return the suspects of a lane, and most updates in the next request of each."""
    return {wait.owner: wait.most for wait in _waits(connection, lane) if wait.most is not None}


def suspects(
    connection: sqlite3.Connection, lane: Lane, uptime: Uptime, since: Uptime | None = None
) -> list[Suspect]:
    """Return the suspects of a lane that may be sent now, without those whose wait began after `since`."""
    return [
        Suspect(wait.id, wait.most or 1)
        for wait in _waits(connection, lane)
        if wait.cause == "suspect" and wait.left(uptime) <= 0
        if since is None or wait.boot != since.boot or wait.at - wait.span <= since.seconds
    ]


def clear_suspects(connection: sqlite3.Connection, lane: Lane) -> None:
    """Clear the suspects of which nothing is unsure any more; of others that were answered, more may go at once."""
    found = [wait for wait in _waits(connection, lane) if wait.cause == "suspect"]
    if not found:
        return
    unsure = entries.unsure(connection, lane)
    connection.execute(_DELETE, (json.dumps([wait.id for wait in found if wait.owner not in unsure]),))
    connection.executemany(
        _ANSWERED,
        [
            (unsure[wait.owner], wait.id)
            for wait in found
            if wait.owner in unsure and unsure[wait.owner] > wait.behind
        ],
    )


def decided(connection: sqlite3.Connection, lane: str, owners: Collection[Profile]) -> None:
    """Let profiles go on that a person decided about; suspects still travel apart, without their own back-off."""
    found = [wait for wait in _waits(connection, lane) if wait.owner in owners]
    in_doubt = {entry.owner for entry in entries.doubtful(connection, lane)}
    unsure = entries.unsure(connection, lane)
    freed = {wait.id for wait in found if wait.cause == "hold" and wait.owner not in in_doubt}
    connection.executemany(
        _DECIDED,
        [
            (wait.id,)
            for wait in found
            if wait.cause != "hold" or (wait.id in freed and wait.most is not None)
        ],
    )
    over = [
        wait.id
        for wait in found
        if (wait.id in freed and wait.most is None)
        or (wait.cause != "settle_after" and wait.owner not in unsure)
    ]
    connection.execute(_DELETE, (json.dumps(over),))


def end_all_waits(connection: sqlite3.Connection, lane: str, owner: Profile) -> None:
    """End a profile's waits, whatever is in doubt."""
    group_key, profile = owner
    connection.execute(_DELETE_OF_PROFILE, (lane, profile, group_key))


def end_waits(connection: sqlite3.Connection, lane: str, owners: Collection[Profile]) -> None:
    """End the waits of those of these profiles that have nothing in doubt any more."""
    in_doubt = {entry.owner for entry in entries.doubtful(connection, lane)}
    over = [
        wait.id for wait in _waits(connection, lane) if wait.owner in owners and wait.owner not in in_doubt
    ]
    connection.execute(_DELETE, (json.dumps(over),))


def break_runs(connection: sqlite3.Connection, lane: str, owners: Collection[Profile]) -> None:
    """Mark the rest of runs that are not sent again whole: a part of a harmless run may be hazardous.

    Not of events: each is harmless or not by itself.
    """
    rest = [
        entry.seq
        for entry in entries.doubtful(connection, lane)
        if not entry.hazardous and entry.owner in owners and lane in {Lane.PEOPLE, Lane.GROUPS}
    ]
    entries.mark_hazardous(connection, rest)
    decide_settled(connection, lane)


def decide_settled(connection: sqlite3.Connection, lane: str | None = None) -> None:
    """Have the policy decide, at the next claim, about hazardous entries that settled; None for all lanes."""
    connection.execute(_SUSPECTS_SETTLED, (lane,))
    connection.execute(_INSERT_SETTLED, (lane,))


def end_settled_waits(connection: sqlite3.Connection, lane: Lane, uptime: Uptime, in_doubt: InDoubt) -> None:
    """Let profiles go on that have settled, as the policy says."""
    over = [
        wait for wait in _waits(connection, lane) if wait.cause == "settle_after" and wait.left(uptime) <= 0
    ]
    if not over:
        return
    runs: dict[Profile, list[Doubtful]] = defaultdict(list)
    for entry in entries.doubtful(connection, lane):
        runs[entry.owner].append(entry)
    settled = []
    for wait in over:
        run = runs[wait.owner]
        risky = any(entry.hazardous for entry in run)
        if risky and in_doubt == "hold":
            connection.execute(_HOLD, (run[0].seq, wait.id))
            continue
        if risky and in_doubt == "drop":
            _drop(connection, run)
        settled.append(wait)
    _end_settled(connection, lane, settled)


def _end_settled(connection: sqlite3.Connection, lane: Lane, settled: list[_Wait]) -> None:
    unsure = entries.unsure(connection, lane)
    suspects = {wait.id for wait in settled if wait.most is not None and wait.owner in unsure}
    connection.execute(_SUSPECT, (json.dumps([*suspects]),))
    connection.execute(_DELETE, (json.dumps([wait.id for wait in settled if wait.id not in suspects]),))


def _drop(connection: sqlite3.Connection, doubtful: list[Doubtful]) -> None:
    numbers = [entry.seq for entry in doubtful]
    run = [Update.read(operator, text) for operator, text in entries.message_of(connection, numbers)]
    hazardous = frozenset(place for place, entry in enumerate(doubtful) if entry.hazardous)
    given_up = [numbers[place] for place in sorted(dropped(run, hazardous))]
    entries.move(connection, given_up, State.IN_DOUBT, State.DISCARDED, _DROPPED)
    erase.erase_settled(connection)


class TimedWait(NamedTuple):
    """A profile's wait that ends by itself.

    Attributes:
        sends: Requests that carried the entry in doubt.
        behind: That entry's number.
        left: Seconds until it ends.
        never_answered: The profile's entries are never answered, even alone in a request.
    """

    sends: int
    behind: int
    left: float
    never_answered: bool


def held(connection: sqlite3.Connection, lane: str) -> set[Profile]:
    """Return the profiles of a lane that are held for a person."""
    return {wait.owner for wait in _waits(connection, lane) if wait.cause == "hold"}


def hold_again(connection: sqlite3.Connection, lane: str, behind: Mapping[Profile, int]) -> None:
    """Hold profiles that were held before, each behind its first entry in doubt."""
    waiting = {wait.owner for wait in _waits(connection, lane)}
    new = [(lane, *owner, seq, "", 0, 0, None, 0) for owner, seq in behind.items() if owner not in waiting]
    connection.executemany(_INSERT, new)
    holds = [(behind[wait.owner], wait.id) for wait in _waits(connection, lane) if wait.owner in behind]
    connection.executemany(_HOLD, holds)


def count_held(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return how many profiles are held for a person, and how many of these a counted request left in doubt."""
    held, counted = connection.execute(_COUNT_HELD).fetchone()
    return int(held), int(counted)


def any_settling(connection: sqlite3.Connection, lane: Lane) -> bool:
    """Return True if a profile of the lane waits that is likely to be sent soon."""
    return any(wait.cause != "hold" and not wait.backoff for wait in _waits(connection, lane))


def shortest_wait(connection: sqlite3.Connection, uptime: Uptime) -> tuple[float, bool] | None:
    """Return the seconds until the first profile may go on that waits for a time; None if none does.

    With it, whether that is a profile that is never answered.
    """
    return min(((wait.left, wait.never_answered) for wait in timed_waits(connection, uptime)), default=None)


def timed_waits(connection: sqlite3.Connection, uptime: Uptime) -> list[TimedWait]:
    """Return the waits that end by themselves."""
    return [
        TimedWait(sends, seq, wait_left(uptime, *due), never_answered=due[-1] > 0)
        for sends, seq, *due in connection.execute(_TIMED)
    ]
