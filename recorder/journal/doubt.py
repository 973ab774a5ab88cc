"""Profiles that may not be sent now: they settle after an outcome nobody knows, or a person must decide."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection

from recorder.journal.accounts import SET_ASIDE, SET_STATE, moved
from recorder.journal.erase import erase_ended
from recorder.journal.uptime import Due, Uptime
from recorder.model.entries import State
from recorder.model.hazards import Update, dropped
from recorder.model.operations import Lane
from recorder.model.reports import InDoubt

__all__ = ["FREE", "Owner", "begin_wait", "break_runs", "end_waits", "end_waits_of", "let_policy_decide"]

Owner = tuple[str | None, str | None]
"""Whose entries these are: the group's key, or None for a user, and the id."""

FREE = """
NOT EXISTS (SELECT 1 FROM waits WHERE waits.lane = entries.lane
                                  AND waits.profile IS entries.profile AND waits.group_key IS entries.group_key)
"""
"""That an entry's profile does not wait."""

_DROPPED = "given up: it may have been applied, and in_doubt='drop' sends nothing twice"

_SETTLING = (
    "SELECT id, group_key, profile, boot, at, span FROM waits WHERE cause = 'settle_after' AND lane = ?"
)
_WAIT = """
INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)
VALUES (?, ?, ?, 'settle_after', ?, ?, ?, ?)
"""
_END_WAIT = "DELETE FROM waits WHERE id = ?"
_END_WAITS_OF = "DELETE FROM waits WHERE lane = ? AND profile IS ? AND group_key IS ?"
_HOLD = "UPDATE waits SET cause = 'hold', behind = ? WHERE id = ?"
_IN_DOUBT = f"""
SELECT seq, group_key, profile, hazardous FROM entries
 WHERE state = 'in_doubt' AND {SET_ASIDE} AND lane = ? ORDER BY seq
"""
_HAZARDOUS = "UPDATE entries SET hazardous = 1 WHERE seq IN (SELECT value FROM json_each(?))"
_WAITS_OF_LANE = "SELECT id, group_key, profile, cause FROM waits WHERE lane = ?"
_END_SEVERAL = "DELETE FROM waits WHERE id IN (SELECT value FROM json_each(?))"
_DECIDE = f"""
INSERT INTO waits (lane, group_key, profile, cause, behind, boot, at, span)
SELECT lane, group_key, profile, 'settle_after', min(seq), '', 0, 0 FROM entries
 WHERE state = 'in_doubt' AND {SET_ASIDE} AND hazardous AND lane = ? AND {FREE} GROUP BY group_key, profile
"""
_ROWS_BY_NUMBER = (
    "SELECT operator, message FROM entries WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
)


def begin_wait(connection: sqlite3.Connection, lane: Lane, owner: Owner, behind: int, until: Due) -> None:
    """Nothing of this profile is sent before then; in place of any wait it had."""
    group_key, profile = owner
    connection.execute(_END_WAITS_OF, (lane, profile, group_key))
    connection.execute(_WAIT, (lane, group_key, profile, behind, *until))


def break_runs(connection: sqlite3.Connection, lane: str, owners: Collection[Owner]) -> None:
    """Runs that are not sent again whole are not harmless any more: what is left of them in doubt is hazardous."""
    rest = [
        seq
        for seq, group_key, profile, risky in connection.execute(_IN_DOUBT, (lane,)).fetchall()
        if not risky and (group_key, profile) in owners
    ]
    connection.execute(_HAZARDOUS, (json.dumps(rest),))
    let_policy_decide(connection, lane)


def end_waits_of(
    connection: sqlite3.Connection, lane: str, owners: Collection[Owner], *, holds_only: bool = False
) -> None:
    """These profiles go on, those of them that have nothing in doubt any more."""
    doubtful = {row[1:3] for row in connection.execute(_IN_DOUBT, (lane,)).fetchall()}
    over = [
        id_
        for id_, group_key, profile, cause in connection.execute(_WAITS_OF_LANE, (lane,)).fetchall()
        if (group_key, profile) in owners
        and (group_key, profile) not in doubtful
        and (cause == "hold" or not holds_only)
    ]
    connection.execute(_END_SEVERAL, (json.dumps(over),))


def let_policy_decide(connection: sqlite3.Connection, lane: str) -> None:
    """What is hazardous and has settled: a wait that is over, so that the next claim asks the policy."""
    connection.execute(_DECIDE, (lane,))


def end_waits(connection: sqlite3.Connection, lane: Lane, uptime: Uptime, in_doubt: InDoubt) -> None:
    """Profiles that have settled go on, as the policy says."""
    over = [
        (id_, (group_key, profile))
        for id_, group_key, profile, *due in connection.execute(_SETTLING, (lane,)).fetchall()
        if Due(*due).left(uptime) <= 0
    ]
    if not over:
        return
    runs = _doubtful(connection, lane)
    for id_, owner in over:
        numbers, risky = runs.get(owner, ([], []))
        if risky and in_doubt == "hold":
            connection.execute(_HOLD, (numbers[0], id_))
            continue
        if risky and in_doubt == "drop":
            _give_up(connection, numbers, risky)
        connection.execute(_END_WAIT, (id_,))


def _doubtful(connection: sqlite3.Connection, lane: Lane) -> dict[Owner, tuple[list[int], list[int]]]:
    """By profile: the numbers of its entries in doubt, and those of the hazardous ones among them."""
    runs: dict[Owner, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for seq, group_key, profile, risky in connection.execute(_IN_DOUBT, (lane,)).fetchall():
        numbers, hazards = runs[group_key, profile]
        numbers.append(seq)
        if risky:
            hazards.append(seq)
    return runs


def _give_up(connection: sqlite3.Connection, numbers: list[int], risky: list[int]) -> None:
    rows = connection.execute(_ROWS_BY_NUMBER, (json.dumps(numbers),)).fetchall()
    run = [Update.of(operator, json.loads(message)) for operator, message in rows]
    places = dropped(run, frozenset(numbers.index(seq) for seq in risky))
    gone = [numbers[place] for place in sorted(places)]
    connection.execute(SET_STATE, (State.DISCARDED, _DROPPED, json.dumps(gone)))
    moved(connection, {State.IN_DOUBT: -len(gone), State.DISCARDED: len(gone)})
    erase_ended(connection)
