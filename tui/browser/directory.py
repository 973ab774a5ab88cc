"""The ids of all profiles, collected from the journal a slice at a time, newest entries first.

No index of the journal knows profiles: recording would pay for it with each entry. So they are collected into a
temporary database, which SQLite keeps on disk but for some megabytes, and which is gone with this process. What is
collected stays: afterwards only new entries are looked at. How their entries stand is counted apart, as often as that
is cheap.
"""

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from recorder import State
from recorder.model.reports import ProfileCount, ProfileState

__all__ = ["ORDERS", "STATES", "Directory", "Listed", "Order", "Page", "narrowing"]

STATES = ("in_doubt", "rejected", "waiting", "pending")
"""States whose entries are counted for each profile, the most urgent first: columns, too."""

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA secure_delete = ON;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8000;
CREATE TABLE profiles (
  id INTEGER PRIMARY KEY, is_group INTEGER NOT NULL, group_key TEXT NOT NULL, profile TEXT NOT NULL,
  entries INTEGER NOT NULL, latest INTEGER NOT NULL,
  in_doubt INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0, waiting INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL DEFAULT 0, UNIQUE (profile, group_key, is_group)
);
CREATE INDEX profiles_latest ON profiles (latest);
CREATE TABLE counting (
  is_group INTEGER NOT NULL, group_key TEXT NOT NULL, profile TEXT NOT NULL,
  in_doubt INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0, waiting INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (profile, group_key, is_group)
) WITHOUT ROWID;
"""
_INSERT = """
INSERT INTO profiles (is_group, group_key, profile, entries, latest) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (profile, group_key, is_group) DO UPDATE SET entries = entries + excluded.entries
"""
# Of those whose entries were all pruned no number is known: they come last.
_INSERT_PRUNED = """
INSERT INTO profiles (is_group, group_key, profile, entries, latest)
VALUES (?, ?, ?, ?, (SELECT min(coalesce(min(latest), 0), 0) - 1 FROM profiles))
    ON CONFLICT (profile, group_key, is_group) DO UPDATE SET entries = {entries}
"""
_INSERT_OLDER = _INSERT  # what is found later has lower numbers, and the index is left alone
_INSERT_NEWER = f"{_INSERT}, latest = excluded.latest"
_COUNT_STATE = """
INSERT INTO counting (is_group, group_key, profile, {state}) VALUES (?, ?, ?, ?)
    ON CONFLICT (profile, group_key, is_group) DO UPDATE SET {state} = {state} + excluded.{state}
"""
_SHOW_STATES = """
BEGIN;
UPDATE profiles SET in_doubt = 0, rejected = 0, waiting = 0, pending = 0
 WHERE in_doubt OR rejected OR waiting OR pending;
UPDATE profiles SET (in_doubt, rejected, waiting, pending) = (one.in_doubt, one.rejected, one.waiting, one.pending)
  FROM counting AS one
 WHERE (profiles.profile, profiles.group_key, profiles.is_group) = (one.profile, one.group_key, one.is_group);
DELETE FROM counting;
COMMIT;
"""
_COLUMNS = f"profile, CASE WHEN is_group THEN group_key END, entries, latest, {', '.join(STATES)}"
_MATCHES = "(instr(lower(profile), ?) OR instr(lower(group_key), ?))"
_UNSENT = "(in_doubt + waiting + pending)"
_PAGE = f"SELECT {_COLUMNS} FROM profiles WHERE {{where}} ORDER BY {{order}} LIMIT ?"
_COUNT = "SELECT count(*) FROM profiles WHERE {where}"
_ALL = "SELECT coalesce(max(id), 0) FROM profiles"  # numbered without gaps: nothing is counted
# Letters above the last one that an id can have: none begins with it.
_STARTING = """
SELECT profile, sum(entries) FROM profiles WHERE profile >= ? AND profile < ? || char(1114111)
 GROUP BY profile ORDER BY profile LIMIT ?
"""
_MOST_STARTING = 30  # of those that begin alike: no line shows more
_ONE = f"SELECT {_COLUMNS} FROM profiles WHERE profile = ? AND group_key = ? AND is_group = ?"


class Listed(NamedTuple):
    """One profile of the list.

    Attributes:
        profile: Its id, or the group's.
        group_key: A group's key; None for a user's profile.
        entries: How many entries name it.
        latest: The highest number among them; below 1 where all were pruned.
        in_doubt: How many are in doubt, as they were counted last; so for the next three.
        rejected: How many were rejected.
        waiting: How many wait behind others.
        pending: How many are still to be sent.
        deleted: Whether the latest deletes it.
    """

    profile: str
    group_key: str | None
    entries: int
    latest: int
    in_doubt: int = 0
    rejected: int = 0
    waiting: int = 0
    pending: int = 0
    deleted: bool = False

    @property
    def unsent(self) -> int:
        """The number of entries that are to be sent or in doubt: the service may hold another profile."""
        return self.in_doubt + self.waiting + self.pending


@dataclass(frozen=True, slots=True)
class Order:
    """Order of the list.

    Attributes:
        name: What it goes by.
        columns: The same in SQL; together they tell any two profiles apart.
        down: Whether it begins with the highest.
    """

    name: str
    columns: tuple[str, ...]
    down: bool = True

    def key(self, row: Listed) -> tuple[Any, ...]:
        """Return what a profile is placed by."""
        whose = (row.profile, row.group_key or "", row.group_key is not None)
        return {"id": whose, "unsent": (row.unsent, row.latest), "entries": (row.entries, row.latest)}.get(
            self.name, (row.latest,)
        )


ORDERS = (
    Order("change", ("latest",)),
    Order("unsent", (_UNSENT, "latest")),
    Order("entries", ("entries", "latest")),
    Order("id", ("profile", "group_key", "is_group"), down=False),
)
"""Two have an index. For the others all profiles are read, and the first ones kept: 30 ms of 300,000."""


@dataclass(frozen=True, slots=True)
class Page:
    """Profiles around one of them, in their order.

    Attributes:
        rows: They.
        more_above: Whether there are more before them.
        more_below: Whether there are more behind them.
        matching: How many match the search.
        known: How many there are, as far as they are collected.
    """

    rows: tuple[Listed, ...] = ()
    more_above: bool = False
    more_below: bool = False
    matching: int = 0
    known: int = 0


class Directory:
    """All known profiles, with their numbers of entries; safe for threads.

    >>> directory = Directory()
    >>> directory.add([ProfileCount(profile="ada", group_key=None, entries=2, latest=5)], newer=True)
    >>> directory.around(None, limit=10).rows[0].profile
    'ada'
    >>> directory.close()
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # An empty name: a file of its own that SQLite makes, and removes, when it does not fit the cache any more.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database, which removes it."""
        self._database.interrupt()  # counts of 300,000 profiles take a third of a second to show
        with self._lock:
            self._database.close()

    # --- collecting

    def add(self, counts: Sequence[ProfileCount], *, newer: bool) -> None:
        """Profiles of a range of entries, beyond all those looked at so far, or below them."""
        rows = [(*_name(count), count.entries, count.latest) for count in counts]
        self._write(_INSERT_NEWER if newer else _INSERT_OLDER, rows)

    def clear(self) -> None:
        """Forget all profiles: some were forgotten in the journal, and it does not say which."""
        with self._lock:
            self._database.execute("DELETE FROM profiles")
            self._database.execute("DELETE FROM counting")

    def add_pruned(self, counts: Sequence[ProfileCount], *, again: bool) -> None:
        """Profiles with so many entries that were pruned.

        Args:
            counts: They, in the order in which those are to come that have no other entries.
            again: Something was pruned since these were counted: of a profile that is known already, entries that
                were met may be among them.
        """
        entries = "max(entries, excluded.entries)" if again else "entries + excluded.entries"
        self._write(
            _INSERT_PRUNED.format(entries=entries), [(*_name(count), count.entries) for count in counts]
        )

    def show_states(self, pages: Iterable[Sequence[ProfileState]]) -> None:
        """Take the profiles' numbers of entries by state from these, once all are read, and from no earlier ones."""
        with self._lock:
            self._database.execute("DELETE FROM counting")
        for page in pages:
            for state in STATES:
                found = [(*_name(one), one.entries) for one in page if one.state == State(state)]
                self._write(_COUNT_STATE.format(state=state), found)
        with self._lock:
            self._database.executescript(_SHOW_STATES)

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._lock:
            self._database.execute("BEGIN")
            self._database.executemany(statement, rows)
            self._database.execute("COMMIT")

    # --- reading

    def find(self, profile: str, group_key: str | None) -> Listed | None:
        """A profile, None where it was not met yet."""
        parameters = (profile, group_key or "", group_key is not None)
        with self._lock:
            rows = self._database.execute(_ONE, parameters).fetchall()
        return Listed(*rows[0]) if rows else None

    def starting(self, text: str) -> list[tuple[str, int]]:
        """Ids that begin with a text, by the alphabet, and how many entries name each."""
        with self._lock:
            return list(self._database.execute(_STARTING, (text, text, _MOST_STARTING)))

    def around(
        self,
        at: Listed | None,
        *,
        limit: int,
        search: str = "",
        order: Order = ORDERS[0],
        reverse: bool = False,
        last: bool = False,
    ) -> Page:
        """Profiles around one of them.

        Args:
            at: The profile; None for the first ones.
            limit: So many on either side.
            search: Only those whose id or group key holds this, whatever its case; see `narrowing`.
            order: The order.
            reverse: Turn it round.
            last: The last ones instead.
        """
        where, parameters = _condition(search)
        down = order.down != reverse

        def rows(*, before: bool) -> list[Listed]:
            # A search reads the table and sorts what it finds: through the index it would jump about for each row.
            columns = [f"+{column}" for column in order.columns] if search else order.columns
            sign = (">" if down else "<") if before else ("<=" if down else ">=")
            beyond = (
                f"({', '.join(columns)}) {sign} ({', '.join('?' * len(columns))})" if at is not None else "1"
            )
            way = " DESC" if down != before else " ASC"
            sql = _PAGE.format(where=f"{where} AND {beyond}", order=", ".join(each + way for each in columns))
            key = order.key(at) if at is not None else ()
            with self._lock:
                return [Listed(*row) for row in self._database.execute(sql, (*parameters, *key, limit + 1))]

        above = rows(before=True) if at is not None or last else []
        below = [] if last else rows(before=False)
        more_above, more_below = len(above) > limit, len(below) > limit
        shown = (*above[:limit][::-1], *below[:limit])
        return Page(shown, more_above, more_below, self._number(search), self._number(""))

    def _number(self, search: str) -> int:
        where, parameters = _condition(search)
        sql = _COUNT.format(where=where) if search else _ALL
        with self._lock:
            return int(self._database.execute(sql, parameters).fetchone()[0])


def narrowing(search: str) -> tuple[str | None, str]:
    """Split a search into the state that some entry of a profile must have, and a part of its id or group key.

    >>> narrowing("state=rejected Ada L"), narrowing("Ada L")
    (('rejected', 'Ada L'), (None, 'Ada L'))
    """
    word, _, rest = search.partition(" ")
    return (word.removeprefix("state="), rest) if word.startswith("state=") else (None, search)


def _condition(search: str) -> tuple[str, tuple[str, ...]]:
    state, text = narrowing(search)
    wanted = "".join(letter.lower() if letter.isascii() else letter for letter in text)
    column = _UNSENT if state == "unsent" else state if state in STATES else "0"
    counted = "1" if state is None else column
    return (f"{counted} AND {_MATCHES}", (wanted, wanted)) if wanted else (counted, ())


def _name(one: ProfileCount | ProfileState) -> tuple[bool, str, str]:
    return one.group_key is not None, one.group_key or "", one.profile
