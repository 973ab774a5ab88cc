"""The table `baseline`: profiles as their pruned entries made them. And the reads that tell what may be pruned."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import NamedTuple

from recorder.journal.entries import SET_ASIDE
from recorder.journal.limits import Limits
from recorder.model.operations import Lane

__all__ = [
    "Cut",
    "Owner",
    "Row",
    "Shipped",
    "any_prunable",
    "attempts_shipped",
    "count_prunable",
    "cut_now",
    "delete",
    "delete_of",
    "due",
    "entries_of",
    "given_up",
    "holding",
    "insert",
    "latest_attempts",
    "limited",
    "lowest",
    "owners_set_aside_elsewhere",
    "reached_by_ranges",
    "row_of",
    "shipped_by",
    "spent_attempts",
    "unsettled_owners",
    "update",
]

Owner = tuple[str, str | None, str | None]
"""Lane, the group's key or None for a user, and the id."""

Accepted = tuple[int, str, int, int, str | None, str | None]
"""An accepted attempt: id, lane, first, last and picked numbers, and how it was counted."""

_DAY = 86_400.0

# --- the table

_ROW = """
SELECT id, properties, partly_known, entries, sends, gone, counter, counted FROM baseline
 WHERE profile IS ? AND lane = ? AND group_key IS ?
"""
_UPDATE = """
UPDATE baseline SET properties = ?, partly_known = ?, entries = ?, sends = ?, gone = ?, counter = ?, counted = ?
 WHERE id = ?
"""
_INSERT = """
INSERT INTO baseline (lane, group_key, profile, properties, partly_known, entries, sends, gone, counter, counted)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_DELETE = "DELETE FROM baseline WHERE id = ?"
_DELETE_OF = "DELETE FROM baseline WHERE lane = ? AND profile = ? AND group_key IS ?"
_ENTRIES_OF = """
SELECT coalesce(sum(entries), 0) FROM baseline WHERE profile = ? AND lane = ? AND group_key IS ?
"""


_HOLDING = """
SELECT profile FROM baseline WHERE lane = 'people' AND properties IS NOT NULL
   AND EXISTS (SELECT 1 FROM json_each(properties) WHERE key IN (SELECT value FROM json_each(?)))
 ORDER BY id DESC LIMIT ?
"""


class Row(NamedTuple):
    """A profile in the baseline.

    Attributes:
        properties: JSON; None if no profile was left.
        partly_known: The service may hold more than that.
        entries: How many pruned entries made it.
        sends: Requests that carried them.
        gone: The highest number that may have been applied.
        counter: The last counter that they added to; None if none did.
        counted: How many of them did since the last deletion; None if that is not known.
    """

    properties: str | None = None
    partly_known: int = 0
    entries: int = 0
    sends: int = 0
    gone: int = 0
    counter: str | None = None
    counted: int | None = None


def row_of(connection: sqlite3.Connection, owner: Owner) -> tuple[int | None, Row]:
    """Return a profile's id in the table, None if it has no row, and its row."""
    lane, group_key, profile = owner
    id_, *rest = connection.execute(_ROW, (profile, lane, group_key)).fetchone() or (None,)
    return id_, Row(*rest)


def insert(connection: sqlite3.Connection, owner: Owner, row: Row) -> None:
    """Insert a profile after all that are there: in the order of their rows, profiles were created."""
    connection.execute(_INSERT, (*owner, *row))


def update(connection: sqlite3.Connection, id_: int, row: Row) -> None:
    """Replace a profile's row."""
    connection.execute(_UPDATE, (*row, id_))


def delete(connection: sqlite3.Connection, id_: int) -> None:
    """Delete a row."""
    connection.execute(_DELETE, (id_,))


def delete_of(connection: sqlite3.Connection, lane: str, group_key: str | None, profile: str) -> None:
    """Delete a profile's row."""
    connection.execute(_DELETE_OF, (lane, profile, group_key))


def entries_of(connection: sqlite3.Connection, lane: str, group_key: str | None, profile: str) -> int:
    """Return how many pruned entries a profile's row is made of."""
    (entries,) = connection.execute(_ENTRIES_OF, (profile, lane, group_key)).fetchone()
    return int(entries)


def holding(connection: sqlite3.Connection, properties: Iterable[str], most: int) -> list[str]:
    """Return users' profiles that have one of these properties, the last created first."""
    return [id_ for (id_,) in connection.execute(_HOLDING, (json.dumps([*properties]), most)).fetchall()]


# --- how far may be pruned

_OLDEST_AND_KEPT = """
SELECT (SELECT min(ended_at) FROM attempts), entries - pruned
  FROM counters WHERE account = 'shipped'
"""
_SHIPPED_BEFORE = "SELECT max(id) FROM attempts WHERE outcome = 'shipped' AND ended_at < ?"
_SHIPPED_BEYOND = """
SELECT max(id) FROM (SELECT id, sum(updates) OVER (ORDER BY id DESC) AS since FROM attempts WHERE outcome = 'shipped')
 WHERE since > ?
"""
_LAST_SHIPPED = "SELECT max(id) FROM attempts WHERE outcome = 'shipped'"
_REACHED = "SELECT max(last) FROM attempts WHERE outcome = 'shipped' AND id <= ?"
_NEWEST = (
    "SELECT seq, CASE state WHEN 'shipped' THEN attempt END FROM entries_with_state ORDER BY seq DESC LIMIT 1"
)
_LOWEST = "SELECT coalesce(min(seq), 1) FROM entries"


class Cut(NamedTuple):
    """Extent of a pruning.

    Attributes:
        attempt: Entries shipped by attempts up to this one.
        number: Discarded and forgotten entries up to this number.
        ended: Attempts that applied nothing and ended before, in seconds since the epoch.
    """

    attempt: int
    number: int
    ended: float


def _ended_before(limits: Limits, now: float) -> float:
    days = limits.keep_shipped_days
    return float("-inf") if days is None else now - days * _DAY


def due(connection: sqlite3.Connection, limits: Limits, now: float) -> bool:
    """Return False if nothing can be old enough, or too much, to be pruned."""
    oldest, kept = connection.execute(_OLDEST_AND_KEPT).fetchone()
    most = limits.keep_shipped_entries
    return (oldest is not None and oldest < _ended_before(limits, now)) or (most is not None and kept > most)


def cut_now(connection: sqlite3.Connection, limits: Limits, now: float, *, all_shipped: bool = False) -> Cut:
    """Return how far may be pruned now; 0 for nothing.

    Args:
        connection: To the journal.
        limits: How long shipped entries stay for inspection.
        now: Seconds since the epoch.
        all_shipped: Space is needed: all shipped entries may go.
    """
    ended = _ended_before(limits, now)
    found = [0]
    if all_shipped:
        found += connection.execute(_LAST_SHIPPED).fetchone()
    else:
        found += connection.execute(_SHIPPED_BEFORE, (ended,)).fetchone()
        if limits.keep_shipped_entries is not None:
            found += connection.execute(_SHIPPED_BEYOND, (limits.keep_shipped_entries,)).fetchone()
    attempt = limited(connection, max(each for each in found if each is not None))
    newest, _ = connection.execute(_NEWEST).fetchone() or (1, None)
    (reached,) = connection.execute(_REACHED, (attempt,)).fetchone()
    return Cut(attempt, min(reached or 0, newest - 1), ended)


def limited(connection: sqlite3.Connection, attempt: int) -> int:
    """Return the attempt up to which may be pruned: not the newest number, which must never be handed out again."""
    _, newest_by = connection.execute(_NEWEST).fetchone() or (0, None)
    return attempt if newest_by is None else min(attempt, newest_by - 1)


def lowest(connection: sqlite3.Connection) -> int:
    """Return the lowest number that has a row."""
    (number,) = connection.execute(_LOWEST).fetchone()
    return int(number)


# --- what may go

_SHIPPED_ATTEMPTS = """
SELECT id, lane, first, last, picked, counted FROM attempts WHERE outcome = 'shipped' AND id > ? AND id <= ? ORDER BY id
"""
_SHIPPED_COLUMNS = "seq, group_key, profile, message, sends, possibly_twice, out_of_order, operator"
_SHIPPED_RANGE = f"""
SELECT {_SHIPPED_COLUMNS} FROM entries_with_state
 WHERE seq BETWEEN :first AND :last AND attempt = :attempt AND state = 'shipped' ORDER BY seq
"""
_SHIPPED_PICKED = f"""
SELECT {_SHIPPED_COLUMNS} FROM entries_with_state
 WHERE seq IN (SELECT value FROM json_each(:picked)) AND attempt = :attempt AND state = 'shipped' ORDER BY seq
"""
_UNSETTLED = f"""
SELECT lane, group_key, profile FROM entries WHERE state = 'in_doubt' AND {SET_ASIDE} AND profile IS NOT NULL
 UNION SELECT lane, group_key, profile FROM waits
"""
_SET_ASIDE_ELSEWHERE = f"""
SELECT DISTINCT lane, group_key, profile FROM entries WHERE {SET_ASIDE} AND lane NOT IN ('people', 'groups')
"""
# A wait names the entry that it is behind.
_GIVEN_UP = f"""
SELECT seq, lane, group_key, profile, state, sends, possibly_twice, out_of_order, operator,
       (SELECT counted FROM attempts WHERE id = attempt) FROM entries
 WHERE state IN ('discarded', 'forgotten') AND {SET_ASIDE} AND seq > ? AND seq <= ?
   AND seq NOT IN (SELECT behind FROM waits) ORDER BY seq LIMIT ?
"""
# Later ranges of a lane have higher numbers. So the highest one that the cut reaches tells of each entry whether a
# range up to it shipped it; to look that range up for each would take ten times as long.
_REACHED_BY_RANGES = """
SELECT lane, max(last) FROM attempts WHERE outcome = 'shipped' AND picked IS NULL AND id <= ? GROUP BY lane
"""
_REACHED_IN_ITS_LANE = " ".join(["CASE lane", *(f"WHEN '{lane}' THEN :{lane}" for lane in Lane), "END"])
_IS_PRUNABLE = f"""
 FROM entries WHERE seq BETWEEN :first AND :last
   AND CASE state WHEN 'pending' THEN seq <= {_REACHED_IN_ITS_LANE}
                  WHEN 'shipped' THEN attempt <= :attempt
                  ELSE state IN ('discarded', 'forgotten') END
   AND seq NOT IN (SELECT behind FROM waits)
   AND (state = 'forgotten'
        OR NOT EXISTS (SELECT 1 FROM unsettled WHERE unsettled.lane = entries.lane
                          AND unsettled.group_key IS entries.group_key AND unsettled.profile IS entries.profile))
"""
_COUNT_PRUNABLE = f"WITH unsettled AS MATERIALIZED ({_UNSETTLED}) SELECT count(*) {_IS_PRUNABLE}"
_ANY_PRUNABLE = f"WITH unsettled AS MATERIALIZED ({_UNSETTLED}) SELECT EXISTS (SELECT 1 {_IS_PRUNABLE})"
# The latest attempt of each lane stays, for equal failures join it; so does the one whose words rejections are compared
# with. Attempts that applied nothing go by their age, however long an outage lasts.
_LATEST_ATTEMPTS = "SELECT max(id) FROM attempts GROUP BY lane"
_SPENT_ATTEMPTS = """
SELECT id, outcome IS NOT NULL
   AND id NOT IN (SELECT value FROM json_each(:latest))
   AND id NOT IN (SELECT alike_since FROM lanes WHERE alike_since IS NOT NULL)
   AND (id <= :attempt OR (outcome NOT IN ('shipped', 'unknown') AND ended_at < :ended))
   AND CASE WHEN outcome IN ('offline', 'wait', 'paused') OR (outcome = 'refused' AND updates > 1) THEN 1
            WHEN outcome = 'unknown'
            THEN NOT EXISTS (SELECT 1 FROM entries
                              WHERE seq BETWEEN attempts.first AND attempts.last AND lane = attempts.lane AND sends > 0
                                AND (picked IS NULL OR seq IN (SELECT value FROM json_each(picked))))
            ELSE NOT EXISTS (SELECT 1 FROM entries_with_state WHERE seq BETWEEN attempts.first AND attempts.last
                                                                AND attempt = attempts.id) END
  FROM attempts WHERE id > :after ORDER BY id LIMIT :most
"""


class Shipped(NamedTuple):
    """An entry that may go.

    Attributes:
        seq: Its number.
        owner: Whose it is.
        message: JSON; empty for an entry that was not shipped.
        state: ``shipped``, ``discarded`` or ``forgotten``.
        sends: Requests that carried it.
        possibly_twice: Its mark.
        out_of_order: Its mark.
        operator: Such as ``$set``.
        counted: How its request was counted, if it was.
    """

    seq: int
    owner: Owner
    message: str
    state: str
    sends: int
    possibly_twice: int
    out_of_order: int
    operator: str | None
    counted: str | None


def attempts_shipped(connection: sqlite3.Connection, after: int, upto: int) -> Iterator[Accepted]:
    """Yield accepted attempts, in their order."""
    with closing(connection.execute(_SHIPPED_ATTEMPTS, (after, upto))) as rows:
        yield from rows


def shipped_by(connection: sqlite3.Connection, attempt: Accepted) -> Iterator[Shipped]:
    """Yield the entries that an attempt shipped, by number."""
    id_, lane, first, last, picked, counted = attempt
    sql = _SHIPPED_RANGE if picked is None else _SHIPPED_PICKED
    values = {"attempt": id_, "first": first, "last": last, "picked": picked}
    with closing(connection.execute(sql, values)) as rows:
        for seq, group_key, profile, message, *marks in rows:
            yield Shipped(seq, (lane, group_key, profile), message, "shipped", *(*marks, counted))


def unsettled_owners(connection: sqlite3.Connection) -> set[Owner]:
    """Return whose entries must all stay: something of theirs is in doubt, or waits."""
    return set(connection.execute(_UNSETTLED).fetchall())


def owners_set_aside_elsewhere(connection: sqlite3.Connection) -> set[Owner]:
    """Return who has entries set aside in lanes without profiles."""
    return set(connection.execute(_SET_ASIDE_ELSEWHERE).fetchall())


def given_up(connection: sqlite3.Connection, after: int, upto: int, most: int) -> list[Shipped]:
    """Return discarded and forgotten entries, by number."""
    rows = connection.execute(_GIVEN_UP, (after, upto, most)).fetchall()
    return [
        Shipped(seq, (lane, group_key, profile), "", state, *marks)
        for seq, lane, group_key, profile, state, *marks in rows
    ]


def count_prunable(
    connection: sqlite3.Connection, cut: Cut, reached: Mapping[str, int], first: int, last: int
) -> int:
    """Return how many entries of a range of numbers would go; see `reached_by_ranges`."""
    (entries,) = connection.execute(_COUNT_PRUNABLE, _values(cut, reached, first, last)).fetchone()
    return int(entries)


def any_prunable(connection: sqlite3.Connection, cut: Cut) -> bool:
    """Return True if any entry would go."""
    values = _values(cut, reached_by_ranges(connection, cut.attempt), 1, cut.number)
    (some,) = connection.execute(_ANY_PRUNABLE, values).fetchone()
    return bool(some)


def reached_by_ranges(connection: sqlite3.Connection, attempt: int) -> dict[str, int]:
    """Return per lane the highest number that accepted ranges up to an attempt shipped."""
    return dict(connection.execute(_REACHED_BY_RANGES, (attempt,)).fetchall())


def _values(cut: Cut, reached: Mapping[str, int], first: int, last: int) -> dict[str, int]:
    return {
        **dict.fromkeys(Lane, 0),
        **reached,
        "attempt": cut.attempt,
        "first": first,
        "last": min(last, cut.number),
    }


def latest_attempts(connection: sqlite3.Connection) -> list[int]:
    """Return the latest attempt of each lane."""
    return [id_ for (id_,) in connection.execute(_LATEST_ATTEMPTS).fetchall()]


def spent_attempts(
    connection: sqlite3.Connection, cut: Cut, latest: list[int], after: int, most: int
) -> list[tuple[int, int]]:
    """Return attempts by id, and whether nothing refers to each any more."""
    values = {
        "after": after,
        "attempt": limited(connection, cut.attempt),
        "ended": cut.ended,
        "latest": json.dumps(latest),
        "most": most,
    }
    return connection.execute(_SPENT_ATTEMPTS, values).fetchall()
