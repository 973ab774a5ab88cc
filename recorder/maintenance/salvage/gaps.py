"""Gaps: numbers without an entry after damage, which were pruned before, or are lost.

No row says of a single number that it was pruned: the counters say how many were, a profile's row in the baseline how
many of its own. So a number is *lost* if it cannot have been pruned (no lane had come so far, or an index names it);
of the others it is known how many are lost, but not which: they are counted, and have no row. If the counters cannot
be read, those may have been pruned as well: they count as lost, and the result says so.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest

from recorder.maintenance.salvage import statements as sql
from recorder.maintenance.shapes import Row
from recorder.model.entries import State
from recorder.model.operations import Lane

__all__ = ["Found", "Gaps", "count_accounts", "settle_gaps"]

_GONE_STATES = (State.SHIPPED, State.DISCARDED, State.FORGOTTEN, State.LOST)
_WITH_PROFILES = {Lane.PEOPLE, Lane.GROUPS}

_LOST = "it cannot be read after damage"
_LOST_OR_PRUNED = (
    "it cannot be read after damage, or was pruned before: the counters that would tell cannot be read"
)


@dataclass(slots=True)
class Found:
    """Facts in a damaged journal, other than the rows that were carried over.

    Attributes:
        policy_known: The last shipper's settings were found.
        counters: Of each account that was found, how many entries it had, and how many of them were pruned.
        limits: The limits that were found.
        limits_named: The limits that an index names.
        torn: The log is damaged before its end: pages may be older than others that were written with them.
    """

    policy_known: bool = False
    counters: dict[str, tuple[int, int]] = field(default_factory=dict)
    limits: set[str] = field(default_factory=set)
    limits_named: set[str] = field(default_factory=set)
    torn: bool = False

    def note(self, row: Row) -> None:
        """Keep the fact in a row, if it is one of these."""
        match row.table, row.values:
            case "counters", {"account": str(account), "entries": int(entries), "pruned": int(pruned)}:
                self.counters[account] = max((entries, pruned), self.counters.get(account, (0, 0)))
            case "limits", {"name": str(name)}:
                self.limits.add(name)
            case "limit names", {"name": str(name)}:
                self.limits_named.add(name)
            case "shipper", _:
                self.policy_known = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """The result for numbers without an entry.

    Attributes:
        highest: The highest number that is known to have been given to an entry.
        pruned: Of each account, how many entries are counted and have no row.
        lost: How many numbers are lost.
        perhaps_pruned: How many of them may have been pruned.
        profiles_lost: How many profiles lost the result of their pruned entries; None if that cannot be known.
    """

    highest: int
    pruned: dict[str, int]
    lost: int
    perhaps_pruned: int
    profiles_lost: int | None


def settle_gaps(connection: sqlite3.Connection, found: Found, *, most: int, now: float) -> Gaps:
    """Tell lost numbers from pruned ones, inside the caller's transaction; `count_accounts` is for the end.

    Args:
        connection: To the new journal, with the rows that were carried over.
        found: The other facts.
        most: More entries than that did not fit into the damaged file.
        now: Seconds since the epoch.
    """
    connection.execute(sql.LATER_OF_TWO)
    folded, gone = connection.execute(sql.FOLDED).fetchone()
    cursors = dict(connection.execute(sql.CURSORS).fetchall())
    settled = sum(found.counters[state][0] for state in State if state in found.counters)
    signs = [*cursors.values(), gone, settled, *connection.execute(sql.REACHED).fetchone()]
    connection.execute(sql.DELETE_ABSURD, {"reached": _agreed(signs, most), "most": most})
    left, _ = connection.execute(sql.HIGHEST_LEFT).fetchone()
    highest = _agreed(signs, most, left)
    connection.execute(sql.DELETE_ABSURD_ATTEMPTS, (highest,))
    connection.execute(sql.LIMIT_GONE, {"highest": highest})

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
    connection.executemany(
        sql.LOSE, [{"seq": seq, "now": now, "reason": reason} for seq, reason in sorted(numbers.items())]
    )
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
    """Set each account to the number of its entries and its pruned ones."""
    for (account,) in connection.execute(sql.COUNTED).fetchall():
        connection.execute(sql.COUNT, {"pruned": gaps.pruned.get(account, 0), "account": account})


def _agreed(signs: Iterable[int], most: int, highest: int = 0) -> int:
    """Return the highest of several signs of how far the numbers went, without one that is alone far above the others.

    >>> _agreed([0, 40, 900_000], 1_000), _agreed([0, 900_000, 900_001], 1_000)
    (40, 900001)
    """
    numbers = sorted(signs)
    for number, next_ in zip_longest(numbers, numbers[1:]):
        if number > highest and (number - highest <= most or (next_ is not None and next_ - number <= most)):
            highest = number
    return highest


def _as_many_as_pruned(connection: sqlite3.Connection, highest: int, pruned: int) -> tuple[int, int]:
    """Return the highest number, and how many numbers have no row: at least those that were pruned.

    The newest is never pruned: if it has no row, it is one more.
    """
    left, rows = connection.execute(sql.HIGHEST_LEFT).fetchone()
    if highest - rows < pruned:
        connection.execute(sql.DELETE_FOLDED, (pruned - (highest - rows),))
        left, rows = connection.execute(sql.HIGHEST_LEFT).fetchone()
    if highest - rows < pruned + (highest > left):
        highest = rows + pruned + 1
    return highest, highest - rows


def _prunable_upto(connection: sqlite3.Connection, cursors: dict[str, int], highest: int) -> int:
    """Return a number above which nothing was pruned: pruned entries were sent, or are below one that was."""
    lanes = {lane for (lane,) in connection.execute(sql.LANES).fetchall()}
    if not cursors or lanes - cursors.keys():
        return highest - 1
    return min(highest - 1, max(cursors.values()))


def _certain(connection: sqlite3.Connection, upto: int, highest: int) -> list[int]:
    """Return numbers without a row that were not pruned: from the top those above, then those that an index names."""
    above = _above(connection, upto, highest)
    named = connection.execute(sql.NAMED_NUMBERS, (upto,)).fetchall()
    return [*above, *(seq for (seq,) in named)]


def _above(connection: sqlite3.Connection, number: int, highest: int) -> list[int]:
    """Return the numbers above one that have no row, from the top."""
    rows = connection.execute(sql.ROWS_ABOVE, (number,)).fetchall()
    taken = {seq for (seq,) in rows}
    return [each for each in range(highest, number, -1) if each not in taken]


def _mark_partly_known(connection: sqlite3.Connection, upto: int, *, some: bool, stale: bool) -> int | None:
    """Mark profiles whose beginning cannot be read as partly known; return how many, or None if that is not known.

    Args:
        connection: To the new journal.
        upto: Nothing above this number was pruned.
        some: It is certain that there are such profiles.
        stale: The baseline may be older than the rest.
    """
    (left,) = connection.execute(sql.PROFILES_LEFT).fetchone()
    named, named_and_left = connection.execute(sql.NAMED_PROFILES).fetchone()
    lost = int(named - named_and_left)
    # An index that names all that are left names all there were.
    whole = named > 0 and named_and_left == left and (lost > 0 or not some) and not stale
    if stale:
        connection.execute(sql.MARK_PARTLY_KNOWN)
    connection.execute(sql.PLACE_NAMED, {"upto": upto})
    connection.execute(sql.PLACE_OTHERS, {"upto": upto, "all": not whole})
    return lost if whole else None
