"""The table `waits`: profiles that may not be sent now, and entries in doubt.

A profile waits for `settle_after` seconds after an outcome nobody knows, or, under the policy ``hold``, until a
person decides about its entries in doubt.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

from recorder.journal import entries, erase
from recorder.journal.entries import NOT_WAITING, SET_ASIDE, Doubtful, Profile
from recorder.journal.uptime import Due, Uptime
from recorder.model.entries import State
from recorder.model.hazards import Update, dropped
from recorder.model.operations import Lane
from recorder.model.reports import InDoubt

__all__ = [
    "any_settling",
    "begin_wait",
    "break_runs",
    "decide_settled",
    "end_all_waits",
    "end_settled_waits",
    "end_waits",
    "shortest_wait",
]

_DROPPED = "given up: it may have been applied, and in_doubt='drop' sends nothing twice"

_WAITS = "SELECT id, group_key, profile, cause, boot, at, span FROM waits WHERE lane = ?"
_SETTLING = "SELECT boot, at, span FROM waits WHERE cause = 'settle_after'"
_INSERT = """
INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)
VALUES (?, ?, ?, 'settle_after', ?, ?, ?, ?)
"""
# Hazardous entries that settled: a wait that is over makes the next claim ask the policy.
_INSERT_SETTLED = f"""
INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)
SELECT lane, group_key, profile, 'settle_after', min(seq), '', 0, 0 FROM entries
 WHERE state = 'in_doubt' AND {SET_ASIDE} AND hazardous AND lane = coalesce(?, lane) AND {NOT_WAITING}
 GROUP BY lane, group_key, profile
"""
_HOLD = "UPDATE waits SET cause = 'hold', behind = ? WHERE id = ?"
_DELETE = "DELETE FROM waits WHERE id IN (SELECT value FROM json_each(?))"
_DELETE_OF_PROFILE = "DELETE FROM waits WHERE lane = ? AND profile IS ? AND group_key IS ?"


class _Wait(NamedTuple):
    id: int
    group_key: str | None
    profile: str | None
    cause: str
    boot: str
    at: float
    span: float

    @property
    def owner(self) -> Profile:
        return self.group_key, self.profile


def _waits(connection: sqlite3.Connection, lane: str) -> list[_Wait]:
    return [_Wait(*row) for row in connection.execute(_WAITS, (lane,)).fetchall()]


def begin_wait(connection: sqlite3.Connection, lane: Lane, owner: Profile, behind: int, until: Due) -> None:
    """Keep a profile from being sent before then, in place of any wait it had."""
    end_all_waits(connection, lane, owner)
    connection.execute(_INSERT, (lane, *owner, behind, *until))


def end_all_waits(connection: sqlite3.Connection, lane: str, owner: Profile) -> None:
    """End a profile's waits, whatever is in doubt."""
    group_key, profile = owner
    connection.execute(_DELETE_OF_PROFILE, (lane, profile, group_key))


def end_waits(
    connection: sqlite3.Connection, lane: str, owners: Collection[Profile], *, holds_only: bool = False
) -> None:
    """End the waits of those of these profiles that have nothing in doubt any more."""
    in_doubt = {entry.owner for entry in entries.doubtful(connection, lane)}
    over = [
        wait.id
        for wait in _waits(connection, lane)
        if wait.owner in owners and wait.owner not in in_doubt and (wait.cause == "hold" or not holds_only)
    ]
    connection.execute(_DELETE, (json.dumps(over),))


def break_runs(connection: sqlite3.Connection, lane: str, owners: Collection[Profile]) -> None:
    """Mark the rest of runs that are not sent again whole: a part of a harmless run may be hazardous."""
    rest = [
        entry.seq
        for entry in entries.doubtful(connection, lane)
        if not entry.hazardous and entry.owner in owners
    ]
    entries.mark_hazardous(connection, rest)
    decide_settled(connection, lane)


def decide_settled(connection: sqlite3.Connection, lane: str | None = None) -> None:
    """Have the policy decide, at the next claim, about hazardous entries that settled; None for all lanes."""
    connection.execute(_INSERT_SETTLED, (lane,))


def end_settled_waits(connection: sqlite3.Connection, lane: Lane, uptime: Uptime, in_doubt: InDoubt) -> None:
    """Let profiles go on that have settled, as the policy says."""
    over = [
        wait
        for wait in _waits(connection, lane)
        if wait.cause == "settle_after" and Due(wait.boot, wait.at, wait.span).left(uptime) <= 0
    ]
    if not over:
        return
    runs: dict[Profile, list[Doubtful]] = defaultdict(list)
    for entry in entries.doubtful(connection, lane):
        runs[entry.owner].append(entry)
    ended = []
    for wait in over:
        run = runs[wait.owner]
        risky = any(entry.hazardous for entry in run)
        if risky and in_doubt == "hold":
            connection.execute(_HOLD, (run[0].seq, wait.id))
            continue
        if risky and in_doubt == "drop":
            _drop(connection, run)
        ended.append(wait.id)
    connection.execute(_DELETE, (json.dumps(ended),))


def _drop(connection: sqlite3.Connection, doubtful: list[Doubtful]) -> None:
    numbers = [entry.seq for entry in doubtful]
    run = [
        Update.of(operator, json.loads(text)) for operator, text in entries.message_of(connection, numbers)
    ]
    hazardous = frozenset(place for place, entry in enumerate(doubtful) if entry.hazardous)
    given_up = [numbers[place] for place in sorted(dropped(run, hazardous))]
    entries.move(connection, given_up, State.IN_DOUBT, State.DISCARDED, _DROPPED)
    erase.erase_settled(connection)


def any_settling(connection: sqlite3.Connection, lane: Lane) -> bool:
    """Return True if a profile of the lane waits for `settle_after`."""
    return any(wait.cause == "settle_after" for wait in _waits(connection, lane))


def shortest_wait(connection: sqlite3.Connection, uptime: Uptime) -> float | None:
    """Return the seconds until the first settling profile may go on; None if none settles."""
    waits = connection.execute(_SETTLING).fetchall()
    return min((Due(*wait).left(uptime) for wait in waits), default=None)
