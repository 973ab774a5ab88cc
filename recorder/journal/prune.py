"""What was shipped long ago is folded into a row per profile and deleted, so that a journal lives for years.

Folded are entries of profiles, those that attempts up to a *cut* shipped, in the order they were shipped; what is
left of them is the *baseline*, what of lanes without profiles only counters. Discarded and forgotten entries below
the cut go with them, and attempts that nothing refers to any more. All else stays, and so does whatever a later
decision may look back at:

- the newest number, and what its request and later ones shipped: numbers are never handed out again;
- all of a profile that has something in doubt, or waits: a late acceptance settles whole runs only, at their place;
- of each profile, the highest number that may have been applied: what a person takes up again went after it.

Several transactions, each of a bounded size and each whole: killed in between, less is pruned. Others wait for as long
as one takes, so how much goes at once follows from how long the one before took. Of each profile what is folded is the
beginning of what was shipped, however often this is begun anew.
"""

import contextlib
import json
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from recorder.journal.accounts import SET_ASIDE
from recorder.journal.limits import Keeping
from recorder.model.operations import Lane

__all__ = ["Cut", "Fold", "Walk", "cut_of", "find_fold", "numbers", "prunable"]

_DAY = 86_400.0
_LONG = 0.05  # seconds that a transaction is to take at most: others wait
_AT_FIRST, _FEWEST, _MOST = 200, 20, 1_000  # entries a transaction
_BYTES_AT_ONCE = 2_000_000  # of messages
_WITH_PROFILES = (Lane.PEOPLE, Lane.GROUPS)
_PROFILES = "('people', 'groups')"

# --- SQL, a named constant each -------------------------------------------------------------------------

_SHIPPED_BEFORE = "SELECT max(id) FROM attempts WHERE outcome = 'shipped' AND ended_at < ?"
_SHIPPED_BEYOND = """
SELECT max(id) FROM (SELECT id, sum(updates) OVER (ORDER BY id DESC) AS since FROM attempts WHERE outcome = 'shipped')
 WHERE since > ?
"""
_LAST_SHIPPED = "SELECT max(id) FROM attempts WHERE outcome = 'shipped'"
_REACHED = "SELECT max(last) FROM attempts WHERE outcome = 'shipped' AND id <= ?"
_NEWEST = "SELECT seq, CASE state WHEN 'shipped' THEN attempt END FROM entries ORDER BY seq DESC LIMIT 1"

_SHIPPED_ATTEMPTS = """
SELECT id, lane, first, last, picked FROM attempts WHERE outcome = 'shipped' AND id > ? AND id <= ? ORDER BY id
"""
_SHIPPED_COLUMNS = "seq, group_key, profile, message, sends, possibly_twice, out_of_order"
_SHIPPED_RANGE = f"""
SELECT {_SHIPPED_COLUMNS} FROM entries
 WHERE seq BETWEEN :first AND :last AND attempt = :attempt AND state = 'shipped' ORDER BY seq
"""
_SHIPPED_PICKED = f"""
SELECT {_SHIPPED_COLUMNS} FROM entries
 WHERE seq IN (SELECT value FROM json_each(:picked)) AND attempt = :attempt AND state = 'shipped' ORDER BY seq
"""
_UNSETTLED_OWNERS = f"""
SELECT lane, group_key, profile FROM entries WHERE state = 'in_doubt' AND {SET_ASIDE}
 UNION SELECT lane, group_key, profile FROM waits
"""
_SET_ASIDE_OWNERS = f"""
SELECT DISTINCT lane, group_key, profile FROM entries WHERE {SET_ASIDE} AND lane NOT IN {_PROFILES}
"""
# A wait says behind which entry it is.
_GIVEN_UP = f"""
SELECT seq, lane, group_key, profile, state, sends, possibly_twice, out_of_order FROM entries
 WHERE state IN ('discarded', 'forgotten') AND {SET_ASIDE} AND seq > ? AND seq <= ?
   AND seq NOT IN (SELECT behind FROM waits) ORDER BY seq LIMIT ?
"""
_DELETE = "DELETE FROM entries WHERE seq IN (SELECT value FROM json_each(?))"
_COUNT_PRUNED = "UPDATE counters SET pruned = pruned + ? WHERE account = ?"

_BASELINE = """
SELECT id, properties, partly_known, entries, sends, gone FROM baseline
 WHERE profile IS ? AND lane = ? AND group_key IS ?
"""
_UPDATE_BASELINE = """
UPDATE baseline SET properties = ?, partly_known = ?, entries = ?, sends = ?, gone = ? WHERE id = ?
"""
_INSERT_BASELINE = """
INSERT INTO baseline (lane, group_key, profile, properties, partly_known, entries, sends, gone)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_DELETE_BASELINE = "DELETE FROM baseline WHERE id = ?"

# Attempts that tell of nothing any more: the latest of each lane stays (failures alike join it), so does the one with
# the words that rejections are held against. What applied nothing goes by its age, however long an outage lasts.
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
            ELSE NOT EXISTS (SELECT 1 FROM entries WHERE seq BETWEEN attempts.first AND attempts.last
                                                     AND attempt = attempts.id) END
  FROM attempts WHERE id > :after ORDER BY id LIMIT :most
"""
_DELETE_ATTEMPTS = "DELETE FROM attempts WHERE id IN (SELECT value FROM json_each(?))"

# The same entries, counted only.
_KEPT_NUMBERS = "SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) FROM entries"
_PRUNABLE = f"""
WITH unsettled AS MATERIALIZED ({_UNSETTLED_OWNERS})
SELECT count(*) FROM entries
 WHERE seq BETWEEN :first AND :last
   AND ((state = 'shipped' AND attempt <= :attempt) OR (state IN ('discarded', 'forgotten') AND seq <= :number))
   AND seq NOT IN (SELECT behind FROM waits)
   AND (state = 'forgotten'
        OR NOT EXISTS (SELECT 1 FROM unsettled WHERE unsettled.lane = entries.lane
                          AND unsettled.group_key IS entries.group_key AND unsettled.profile IS entries.profile))
"""

Owner = tuple[str, str | None, str | None]
"""The lane, the group's key or None for a user, and the id."""


class Folded(Protocol):
    """What a fold gives back; see `simulator.baseline`."""

    @property
    def properties(self) -> str | None:
        """The profile's properties as JSON; None where there is none."""

    @property
    def partly_known(self) -> bool:
        """Whether the service may hold more than that."""

    @property
    def came(self) -> int | None:
        """The place of the message that made it come to be, if one did."""


class Fold(Protocol):
    """Applies a profile's messages, as JSON and in order, to what was folded before."""

    def __call__(self, properties: str | None, messages: Sequence[str], /) -> Folded: ...


def find_fold() -> Fold | None:
    """The fold that is installed, of the group ``restante.fold``; None where none is, and nothing can be pruned."""
    from importlib.metadata import entry_points  # a fifth of the time that importing this package takes

    found = sorted(entry_points(group="restante.fold"), key=lambda entry: entry.name)
    fold: Fold | None = found[0].load() if found else None
    return fold


class Cut(NamedTuple):
    """How far is pruned.

    Attributes:
        attempt: Entries shipped by attempts up to this one.
        number: Discarded and forgotten entries up to this number.
        ended: Attempts that came to nothing and ended before, in seconds since the epoch.
    """

    attempt: int
    number: int
    ended: float


def cut_of(connection: sqlite3.Connection, keeping: Keeping, now: float, *, all_shipped: bool = False) -> Cut:
    """How far may be pruned now; 0 for nothing.

    Args:
        connection: To the journal.
        keeping: What is to stay for inspection.
        now: Seconds since the epoch.
        all_shipped: Room is needed: whatever was shipped may go.
    """
    days, most = keeping.keep_shipped_days, keeping.keep_shipped_entries
    ended = float("-inf") if days is None else now - days * _DAY
    found = [0]
    if all_shipped:
        found += connection.execute(_LAST_SHIPPED).fetchone()
    else:
        found += connection.execute(_SHIPPED_BEFORE, (ended,)).fetchone()
        found += () if most is None else connection.execute(_SHIPPED_BEYOND, (most,)).fetchone()
    attempt = _limited(connection, max(each for each in found if each is not None))
    newest, _ = connection.execute(_NEWEST).fetchone() or (1, None)
    (reached,) = connection.execute(_REACHED, (attempt,)).fetchone()
    return Cut(attempt, min(reached or 0, newest - 1), ended)


def _limited(connection: sqlite3.Connection, attempt: int) -> int:
    """No further than what must stay as it is at this moment."""
    _, newest_by = connection.execute(_NEWEST).fetchone() or (0, None)
    return attempt if newest_by is None else min(attempt, newest_by - 1)


def numbers(connection: sqlite3.Connection) -> tuple[int, int]:
    """The lowest and the highest number that is kept."""
    first, last = connection.execute(_KEPT_NUMBERS).fetchone()
    return int(first), int(last)


def prunable(connection: sqlite3.Connection, cut: Cut, first: int = 1, last: int = 2**62) -> int:
    """How many entries would go, of a range of numbers."""
    where = {"attempt": cut.attempt, "number": cut.number, "first": first, "last": last}
    (entries,) = connection.execute(_PRUNABLE, where).fetchone()
    return int(entries)


@dataclass(slots=True)
class Walk:
    """How far a pruning has come: what was shipped, then what was given up, then attempts.

    Attributes:
        cut: How far it goes.
        entries: How many entries went so far.
        attempts: How many attempts.
        written: How many bytes of rows went, roughly.
        over: Whether it is done.
        clock: Seconds, of a clock that is never set.
    """

    cut: Cut
    entries: int = 0
    attempts: int = 0
    written: int = 0
    over: bool = False
    clock: Callable[[], float] = time.monotonic
    _at_once: int = field(default=_AT_FIRST, init=False)
    _until: float = field(default=0.0, init=False)
    _latest: str = field(default="", init=False)
    _after: int = field(default=0, init=False)
    _part: int = field(default=0, init=False)

    def step(self, connection: sqlite3.Connection, fold: Fold) -> None:
        """Prune some, inside the caller's transaction."""
        began = self.clock()
        self._until = began + _LONG
        parts = (self._fold_some, self._drop_given_up, self._drop_attempts)
        if parts[self._part](connection, fold):
            self._after = 0
            self._part += 1
            self.over = self._part == len(parts)
        took = max(self.clock() - began, _LONG / 1_000)
        self._at_once = min(max(int(self._at_once * min(_LONG / took, 2.0)), _FEWEST), _MOST)

    def _fold_some(self, connection: sqlite3.Connection, fold: Fold) -> bool:
        upto = _limited(connection, self.cut.attempt)
        shipped, self._after, done = self._shipped(connection, upto)
        _keep(connection, shipped, fold)
        self._gone(connection, shipped)
        return done

    def _drop_given_up(self, connection: sqlite3.Connection, fold: Fold) -> bool:
        unsettled = set(connection.execute(_UNSETTLED_OWNERS).fetchall())
        rows = connection.execute(_GIVEN_UP, (self._after, self.cut.number, self._at_once)).fetchall()
        given_up = [
            _Row(seq, (lane, group_key, profile), "", state, sends, twice, late)
            for seq, lane, group_key, profile, state, sends, twice, late in rows
            if state == "forgotten" or (lane, group_key, profile) not in unsettled
        ]
        # Whose the forgotten ones were is not known any more, and nobody looks back at them.
        _keep(connection, [row for row in given_up if row.state != "forgotten"], fold)
        self._gone(connection, given_up)
        self._after = rows[-1][0] if rows else 0
        return not rows

    def _drop_attempts(self, connection: sqlite3.Connection, fold: Fold) -> bool:  # noqa: ARG002  # as the others
        if not self._latest:
            self._latest = json.dumps([id_ for (id_,) in connection.execute(_LATEST_ATTEMPTS).fetchall()])
        where = {
            "after": self._after,
            "attempt": _limited(connection, self.cut.attempt),
            "ended": self.cut.ended,
            "latest": self._latest,
            "most": self._at_once,
        }
        rows = connection.execute(_SPENT_ATTEMPTS, where).fetchall()
        spent = [id_ for id_, is_spent in rows if is_spent]
        connection.execute(_DELETE_ATTEMPTS, (json.dumps(spent),))
        self.attempts += len(spent)
        self.written += len(spent) * 200
        self._after = rows[-1][0] if rows else 0
        return not rows

    def _shipped(self, connection: sqlite3.Connection, upto: int) -> tuple[list["_Row"], int, bool]:
        """Some entries that attempts shipped, in shipped order; up to which attempt that is all; if none is left."""
        unsettled = set(connection.execute(_UNSETTLED_OWNERS).fetchall())
        found: list[_Row] = []
        size, after = 0, self._after
        with contextlib.closing(connection.execute(_SHIPPED_ATTEMPTS, (after, upto))) as attempts:
            for attempt, lane, first, last, picked in attempts:
                sql = _SHIPPED_RANGE if picked is None else _SHIPPED_PICKED
                where = {"attempt": attempt, "first": first, "last": last, "picked": picked}
                with contextlib.closing(connection.execute(sql, where)) as rows:
                    for seq, group_key, profile, message, *marks in rows:
                        if (lane, group_key, profile) in unsettled:
                            continue
                        if len(found) >= self._at_once or size >= _BYTES_AT_ONCE:
                            return found, after, False
                        found.append(_Row(seq, (lane, group_key, profile), message, "shipped", *marks))
                        size += len(message)
                after = attempt
                if self.clock() >= self._until:  # many that nothing is taken from
                    return found, after, False
        return found, after, True

    def _gone(self, connection: sqlite3.Connection, rows: Sequence["_Row"]) -> None:
        connection.execute(_DELETE, (json.dumps([row.seq for row in rows]),))
        pruned = Counter(row.state for row in rows)
        pruned["possibly_twice"] = sum(row.possibly_twice for row in rows)
        pruned["out_of_order"] = sum(row.out_of_order for row in rows)
        connection.executemany(
            _COUNT_PRUNED, [(count, account) for account, count in pruned.items() if count]
        )
        self.entries += len(rows)
        self.written += sum(len(row.message) + 100 for row in rows)


class _Row(NamedTuple):
    """An entry that goes."""

    seq: int
    owner: Owner
    message: str
    state: str
    sends: int
    possibly_twice: int
    out_of_order: int


# --- the baseline


class _Before(NamedTuple):
    """A row of the baseline as it was."""

    id: int | None = None
    properties: str | None = None
    partly_known: int = 0
    entries: int = 0
    sends: int = 0
    gone: int = 0


def _keep(connection: sqlite3.Connection, rows: Sequence[_Row], fold: Fold) -> None:
    """What of these entries is kept: their profiles, and how far they had gone."""
    by_owner: dict[Owner, list[tuple[int, _Row]]] = defaultdict(list)
    for place, row in enumerate(rows):
        by_owner[row.owner].append((place, row))
    came: list[tuple[int, tuple[object, ...]]] = []
    for owner in _worth_a_row(connection, by_owner):
        place, new = _kept(connection, owner, by_owner[owner], fold)
        if new is not None:
            came.append((place, new))
    for _, new in sorted(came, key=lambda each: each[0]):  # in the order in which the profiles came to be
        connection.execute(_INSERT_BASELINE, new)


def _worth_a_row(connection: sqlite3.Connection, owners: Iterable[Owner]) -> list[Owner]:
    owners = list(owners)
    others = any(lane not in _WITH_PROFILES for lane, _, _ in owners)
    looked_back_from = set(connection.execute(_SET_ASIDE_OWNERS).fetchall()) if others else set()
    return [owner for owner in owners if owner[0] in _WITH_PROFILES or owner in looked_back_from]


def _kept(
    connection: sqlite3.Connection, owner: Owner, rows: Sequence[tuple[int, _Row]], fold: Fold
) -> tuple[int, tuple[object, ...] | None]:
    """Bring a row of the baseline up to date; where it comes anew, the place in which, and the row to insert."""
    lane, group_key, profile = owner
    before = _Before(*connection.execute(_BASELINE, (profile, lane, group_key)).fetchone() or ())
    shipped = [(place, row) for place, row in rows if row.state == "shipped"]
    properties, partly_known, came = before.properties, bool(before.partly_known), None
    if shipped and lane in _WITH_PROFILES:
        folded = fold(properties, [row.message for _, row in shipped])
        properties, came = folded.properties, folded.came
        partly_known |= folded.partly_known
    now = (
        properties,
        int(partly_known),
        before.entries + len(shipped),
        before.sends + sum(row.sends for _, row in rows),
        max([before.gone, *(row.seq for _, row in rows if row.sends)]),
    )
    if before.id is not None and came is None:
        connection.execute(_UPDATE_BASELINE, (*now, before.id))
        return 0, None
    if before.id is None and came is None and not any(row.sends for _, row in rows):
        return 0, None  # given up before it was sent: nobody looks back at it
    if before.id is not None:
        connection.execute(_DELETE_BASELINE, (before.id,))
    return shipped[came][0] if came is not None else rows[0][0], (lane, group_key, profile, *now)
