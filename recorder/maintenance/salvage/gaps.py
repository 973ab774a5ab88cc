"""Numbers without an entry after damage: were they pruned, or are they lost? And what is left of the pruned ones.

Nothing says of a single number that it was pruned: the counters say of how many, a profile's row in the baseline how
many of its own. So a number is *lost* where it cannot have been pruned (no lane had come so far, or an index names
it); of the others it is known how many are lost, and not which: those are counted, and have no row. Where the
counters cannot be read, they may have been pruned as well: that is said, and they count as lost.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest

from recorder.maintenance.salvage.scan import Row
from recorder.model.entries import State
from recorder.model.operations import Lane

__all__ = ["Found", "Gaps", "count_accounts", "settle_gaps"]

_GONE_STATES = (State.SHIPPED, State.DISCARDED, State.FORGOTTEN, State.LOST)
_WITH_PROFILES = {Lane.PEOPLE, Lane.GROUPS}
_PROFILES = "('people', 'groups')"

_LOST = "it cannot be read after damage"
_LOST_OR_PRUNED = (
    "it cannot be read after damage, or was pruned before: the counters that would tell cannot be read"
)

# --- SQL, a named constant each -------------------------------------------------------------------------

_LATER_OF_TWO = """
DELETE FROM baseline WHERE EXISTS (
  SELECT 1 FROM baseline AS other WHERE other.profile IS baseline.profile AND other.lane = baseline.lane
     AND other.group_key IS baseline.group_key
     AND (other.entries, other.sends, other.id) > (baseline.entries, baseline.sends, baseline.id))
"""
_FOLDED = "SELECT coalesce(sum(entries), 0), coalesce(max(gone), 0) FROM baseline"
_REACHED = """
SELECT (SELECT coalesce(max(last), 0) FROM attempts), (SELECT coalesce(max(seq), 0) FROM temp.set_aside)
"""
_CURSORS = "SELECT lane, cursor FROM lanes"
_LANES = "SELECT DISTINCT lane FROM entries WHERE state <> 'lost'"

# A number far above all others, and alone there, is damage: each that was ever handed out had a row in the file.
_ABSURD = """
DELETE FROM entries WHERE seq IN (
  SELECT seq FROM (SELECT seq, lag(seq, 1, 0) OVER byNumber AS before, lead(seq) OVER byNumber AS after
                     FROM entries WINDOW byNumber AS (ORDER BY seq))
   WHERE seq - max(before, :reached) > :most AND (after IS NULL OR after - seq > :most))
"""
_ABSURD_ATTEMPTS = "DELETE FROM attempts WHERE last > ? OR first > last OR last < 0"
_HIGHEST_LEFT = "SELECT coalesce(max(seq), 0), count(*) FROM entries"

# A page of the entries may be older than the baseline, where the log is damaged: what was folded is there again. Of
# a profile the beginning is folded, in shipped order, which is that of the numbers where nothing marks it.
_FOLDED_ALREADY = f"""
DELETE FROM entries WHERE seq IN (
  SELECT seq FROM entries JOIN baseline ON baseline.profile IS entries.profile AND baseline.lane = entries.lane
                                       AND baseline.group_key IS entries.group_key
   WHERE entries.state = 'shipped' AND entries.lane IN {_PROFILES} AND entries.seq <= baseline.gone
     AND NOT entries.out_of_order
   ORDER BY entries.attempt, entries.seq LIMIT ?)
"""

_ROWS_ABOVE = "SELECT seq FROM entries WHERE seq > ?"
_NAMED_NUMBERS = """
SELECT seq FROM temp.set_aside WHERE seq <= ? AND seq NOT IN (SELECT seq FROM entries) ORDER BY seq
"""
_LOSE = """
INSERT INTO entries (seq, lane, message, recorded_at, state, reason)
VALUES (?1, 'people', '{}',
        coalesce((SELECT recorded_at FROM entries WHERE seq < ?1 ORDER BY seq DESC LIMIT 1),
                 (SELECT recorded_at FROM entries WHERE seq > ?1 ORDER BY seq LIMIT 1), ?2), 'lost', ?3)
"""

_NO_FURTHER = "UPDATE baseline SET gone = ?1 WHERE gone > ?1"
_NAMES = f"""
SELECT count(*), count(baseline.id) FROM temp.baseline_names AS named LEFT JOIN baseline ON baseline.id = named.id
 WHERE named.lane IN {_PROFILES}
"""
_PROFILES_LEFT = f"SELECT count(*) FROM baseline WHERE lane IN {_PROFILES}"
# What of a profile is known begins after what was folded: it is partly known. Of a group the index knows no key.
_PLACE_NAMED = """
INSERT INTO baseline (id, lane, profile, partly_known, gone)
SELECT id, lane, profile, 1, ?1 FROM temp.baseline_names AS named
 WHERE lane = 'people' AND id NOT IN (SELECT id FROM baseline)
   AND NOT EXISTS (SELECT 1 FROM baseline WHERE baseline.profile IS named.profile AND baseline.lane = named.lane)
"""
_PLACE_OTHERS = f"""
INSERT INTO baseline (lane, group_key, profile, partly_known, gone)
SELECT lane, group_key, profile, 1, ?1 FROM entries
 WHERE lane IN {_PROFILES} AND profile IS NOT NULL AND state <> 'lost'
   AND (?2 OR (profile, lane) IN (SELECT profile, lane FROM temp.baseline_names
                                   WHERE id NOT IN (SELECT id FROM baseline)))
   AND NOT EXISTS (SELECT 1 FROM baseline WHERE baseline.profile IS entries.profile AND baseline.lane = entries.lane
                                            AND baseline.group_key IS entries.group_key)
 GROUP BY lane, group_key, profile ORDER BY min(seq)
"""
_PARTLY_KNOWN = "UPDATE baseline SET partly_known = 1"
_COUNT = """
UPDATE counters SET entries = ?1 + CASE account
  WHEN 'possibly_twice' THEN (SELECT count(*) FROM entries WHERE possibly_twice)
  WHEN 'out_of_order' THEN (SELECT count(*) FROM entries WHERE out_of_order)
  ELSE (SELECT count(*) FROM entries WHERE state = counters.account) END, pruned = ?1
 WHERE account = ?2
"""
_ACCOUNTS = "SELECT account FROM counters"


@dataclass(slots=True)
class Found:
    """What was found beside the rows that were carried over.

    Attributes:
        policy_known: Whether it was found how the last shipper was set up.
        counters: Of each account that was found, how many entries it had, and how many of them were pruned.
        limits: The limits that were found.
        limits_named: Those that an index names.
        torn: Whether the log is damaged before its end: pages may be older than others that were written with them.
    """

    policy_known: bool = False
    counters: dict[str, tuple[int, int]] = field(default_factory=dict)
    limits: dict[str, float | None] = field(default_factory=dict)
    limits_named: set[str] = field(default_factory=set)
    torn: bool = False

    def note(self, row: Row) -> None:
        """Keep what a row says, where it is one of these."""
        name = str(row.values[0])
        match row.table, row.values[1:]:
            case "counters", [int(entries), *more]:
                pruned = more[0] if more and isinstance(more[0], int) else 0  # an older one has none
                self.counters[name] = max((entries, pruned), self.counters.get(name, (0, 0)))
            case "limits", [value] if not isinstance(value, str | bytes):
                self.limits[name] = value
            case "limit names", _:
                self.limits_named.add(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """What came of the numbers without an entry.

    Attributes:
        highest: The highest number that is known to have been handed out.
        pruned: Of each account, how many entries are counted and have no row.
        lost: How many numbers are lost.
        perhaps_pruned: How many of them may have been pruned, for all that can be known.
        profiles_lost: Of how many profiles it cannot be read what pruned entries made of them; None where it cannot
            be known whether there are any.
    """

    highest: int
    pruned: dict[str, int]
    lost: int
    perhaps_pruned: int
    profiles_lost: int | None


def settle_gaps(connection: sqlite3.Connection, found: Found, *, most: int, now: float) -> Gaps:
    """Tell lost numbers from pruned ones, inside the caller's transaction; `count_accounts` is for the end.

    Args:
        connection: To the new journal, with all that was carried over.
        found: What was found beside it.
        most: More entries than that the damaged file cannot have held.
        now: Seconds since the epoch.
    """
    connection.execute(_LATER_OF_TWO)
    folded, gone = connection.execute(_FOLDED).fetchone()
    cursors = dict(connection.execute(_CURSORS).fetchall())
    settled = sum(found.counters[state][0] for state in State if state in found.counters)
    signs = [*cursors.values(), gone, settled, *connection.execute(_REACHED).fetchone()]
    connection.execute(_ABSURD, {"reached": _agreed(signs, most), "most": most})
    left, _ = connection.execute(_HIGHEST_LEFT).fetchone()
    highest = _agreed(signs, most, left)
    connection.execute(_ABSURD_ATTEMPTS, (highest,))
    connection.execute(_NO_FURTHER, (highest,))

    known = all(state in found.counters for state in _GONE_STATES) and settled <= highest
    pruned = {account: found.counters[account][1] for account in found.counters} if known else {}
    pruned[State.SHIPPED] = max(pruned.get(State.SHIPPED, 0), folded)
    gone_for_good = sum(pruned.get(state, 0) for state in _GONE_STATES)
    highest, missing = _as_many_as_pruned(connection, highest, gone_for_good)

    lost = missing - gone_for_good
    upto = _prunable_upto(connection, cursors, highest)
    certain = _certain(connection, upto, highest)[:lost]
    numbers = dict.fromkeys(certain, _LOST)
    if not gone_for_good and (known or lost <= most):
        numbers = {
            number: numbers.get(number, _LOST if known else _LOST_OR_PRUNED)
            for number in _above(connection, 0, highest)
        }
    connection.executemany(_LOSE, [(number, now, reason) for number, reason in sorted(numbers.items())])
    pruned[State.LOST] = pruned.get(State.LOST, 0) + lost - len(numbers)
    only_profiles = bool(cursors) and cursors.keys() <= _WITH_PROFILES
    if (highest and not missing) or (known and pruned[State.SHIPPED] == folded):
        profiles_lost: int | None = 0  # nothing was pruned, or all that was is there
    else:
        profiles_lost = _mark_partly_known(connection, upto, some=known and only_profiles, stale=found.torn)
    return Gaps(
        highest=highest,
        pruned=pruned,
        lost=lost,
        perhaps_pruned=0 if known else lost - len(certain),
        profiles_lost=profiles_lost,
    )


def count_accounts(connection: sqlite3.Connection, gaps: Gaps) -> None:
    """Each account as the entries and what was pruned say."""
    for (account,) in connection.execute(_ACCOUNTS).fetchall():
        connection.execute(_COUNT, (gaps.pruned.get(account, 0), account))


def _agreed(signs: Iterable[int], most: int, highest: int = 0) -> int:
    """The highest of several signs of how far the numbers went that is not, alone, far above all others.

    >>> _agreed([0, 40, 900_000], 1_000), _agreed([0, 900_000, 900_001], 1_000)
    (40, 900001)
    """
    numbers = sorted(signs)
    for number, next_ in zip_longest(numbers, numbers[1:]):
        if number > highest and (number - highest <= most or (next_ is not None and next_ - number <= most)):
            highest = number
    return highest


def _as_many_as_pruned(connection: sqlite3.Connection, highest: int, pruned: int) -> tuple[int, int]:
    """The highest number, and how many have no row: those that were pruned at least.

    The newest is never pruned: where it has no row, it is one more.
    """
    left, rows = connection.execute(_HIGHEST_LEFT).fetchone()
    if highest - rows < pruned:
        connection.execute(_FOLDED_ALREADY, (pruned - (highest - rows),))
        left, rows = connection.execute(_HIGHEST_LEFT).fetchone()
    if highest - rows < pruned + (highest > left):
        highest = rows + pruned + 1
    return highest, highest - rows


def _prunable_upto(connection: sqlite3.Connection, cursors: dict[str, int], highest: int) -> int:
    """No number above was pruned: what goes was sent, or is below what was."""
    lanes = {lane for (lane,) in connection.execute(_LANES).fetchall()}
    if not cursors or lanes - cursors.keys():
        return highest - 1
    return min(highest - 1, max(cursors.values()))


def _certain(connection: sqlite3.Connection, upto: int, highest: int) -> list[int]:
    """Numbers without a row that were not pruned: from the top those above, then those that an index names."""
    above = _above(connection, upto, highest)
    named = connection.execute(_NAMED_NUMBERS, (upto,)).fetchall()
    return [*above, *(seq for (seq,) in named)]


def _above(connection: sqlite3.Connection, number: int, highest: int) -> list[int]:
    """The numbers above one that have no row, from the top."""
    rows = connection.execute(_ROWS_ABOVE, (number,)).fetchall()
    taken = {seq for (seq,) in rows}
    return [each for each in range(highest, number, -1) if each not in taken]


def _mark_partly_known(connection: sqlite3.Connection, upto: int, *, some: bool, stale: bool) -> int | None:
    """Where the beginning of a profile cannot be read, say so; of how many, where that can be told.

    Args:
        connection: To the new journal.
        upto: What was pruned went no further.
        some: Whether it is certain that there are any.
        stale: Whether what is there may be older than the rest.
    """
    (left,) = connection.execute(_PROFILES_LEFT).fetchone()
    named, named_and_left = connection.execute(_NAMES).fetchone()
    lost = int(named - named_and_left)
    # An index that names all that are left names all there were.
    whole = named > 0 and named_and_left == left and (lost > 0 or not some) and not stale
    if stale:
        connection.execute(_PARTLY_KNOWN)
    connection.execute(_PLACE_NAMED, (upto,))
    connection.execute(_PLACE_OTHERS, (upto, not whole))
    return lost if whole else None
