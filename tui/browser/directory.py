"""The ids of all profiles, collected from the journal a slice at a time, newest entries first.

No index of the journal knows profiles: recording would pay for it with each entry. So they are collected into a
temporary database, which SQLite keeps on disk but for some megabytes, and which is gone with this process. What is
collected stays: afterwards only new entries are looked at.
"""

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from recorder.model.reports import ProfileCount

__all__ = ["Directory", "Page"]

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA secure_delete = ON;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8000;
CREATE TABLE profiles (
  id INTEGER PRIMARY KEY, is_group INTEGER NOT NULL, group_key TEXT NOT NULL, profile TEXT NOT NULL,
  entries INTEGER NOT NULL, latest INTEGER NOT NULL, UNIQUE (profile, group_key, is_group)
);
CREATE INDEX profiles_latest ON profiles (latest);
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
_COLUMNS = "profile, CASE WHEN is_group THEN group_key END, entries, latest"
# A search reads the table and sorts what it finds: through the index it would jump about for each row.
_ORDER = {"": "latest", "search": "+latest"}
_MATCHES = "(instr(lower(profile), ?) OR instr(lower(group_key), ?))"
_PAGE = (
    f"SELECT {_COLUMNS} FROM profiles WHERE {{where}} AND {{by}} {{sign}} ? ORDER BY {{by}} {{order}} LIMIT ?"
)
_COUNT = "SELECT count(*) FROM profiles WHERE {where}"
_ALL = "SELECT coalesce(max(id), 0) FROM profiles"  # numbered without gaps: nothing is counted
_ONE = f"SELECT {_COLUMNS} FROM profiles WHERE profile = ? AND group_key = ? AND is_group = ?"

_HIGHEST, _LOWEST = 2**62, -(2**62)


@dataclass(frozen=True, slots=True)
class Page:
    """Profiles around one of them, the one with the newest entry first.

    Attributes:
        rows: They.
        more_above: Whether there are more with newer entries.
        more_below: Whether there are more with older ones.
        matching: How many match the search.
        known: How many there are, as far as they are collected.
    """

    rows: tuple[ProfileCount, ...] = ()
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
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # An empty name: a file of its own that SQLite makes, and removes, when it does not fit the cache any more.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database, which removes it."""
        with self._lock:
            self._database.close()

    def add(self, counts: Sequence[ProfileCount], *, newer: bool) -> None:
        """Profiles of a range of entries, beyond all those looked at so far, or below them."""
        rows = [
            (count.group_key is not None, count.group_key or "", count.profile, count.entries, count.latest)
            for count in counts
        ]
        with self._lock:
            self._database.execute("BEGIN")
            self._database.executemany(_INSERT_NEWER if newer else _INSERT_OLDER, rows)
            self._database.execute("COMMIT")

    def clear(self) -> None:
        """Forget all profiles: some were forgotten in the journal, and it does not say which."""
        with self._lock:
            self._database.execute("DELETE FROM profiles")

    def add_pruned(self, counts: Sequence[ProfileCount], *, again: bool) -> None:
        """Profiles with so many entries that were pruned.

        Args:
            counts: They, in the order in which those are to come that have no other entries.
            again: Something was pruned since these were counted: of a profile that is known already, entries that
                were met may be among them.
        """
        entries = "max(entries, excluded.entries)" if again else "entries + excluded.entries"
        rows = [
            (count.group_key is not None, count.group_key or "", count.profile, count.entries)
            for count in counts
        ]
        with self._lock:
            self._database.execute("BEGIN")
            self._database.executemany(_INSERT_PRUNED.format(entries=entries), rows)
            self._database.execute("COMMIT")

    def find(self, profile: str, group_key: str | None) -> ProfileCount | None:
        """A profile, None where it was not met yet."""
        parameters = (profile, group_key or "", group_key is not None)
        with self._lock:
            rows = self._database.execute(_ONE, parameters).fetchall()
        return _count(rows[0]) if rows else None

    def around(self, latest: int | None, *, limit: int, search: str = "", last: bool = False) -> Page:
        """Profiles around the one whose newest entry has this number.

        Args:
            latest: The number; None for the first ones.
            limit: So many on either side.
            search: Only those whose id or group key holds this, whatever its case.
            last: The last ones instead.
        """
        at = _LOWEST if last else _HIGHEST if latest is None else latest
        above = [] if latest is None and not last else self._page(at, limit, search, newer=True)
        below = [] if last else self._page(at, limit, search, newer=False)
        if last:
            above.sort(key=lambda count: count.latest)
        more_above, more_below = len(above) > limit, len(below) > limit
        rows = (*above[:limit][::-1], *below[:limit])
        return Page(rows, more_above, more_below, self._number(search), self._number(""))

    def _page(self, at: int, limit: int, search: str, *, newer: bool) -> list[ProfileCount]:
        where, parameters = _condition(search)
        sql = _PAGE.format(
            where=where,
            sign=">" if newer else "<=",
            by=_ORDER["search" if search else ""],
            order="ASC" if newer else "DESC",
        )
        with self._lock:
            rows = self._database.execute(sql, (*parameters, at, limit + 1)).fetchall()
        return [_count(row) for row in rows]

    def _number(self, search: str) -> int:
        where, parameters = _condition(search)
        sql = _COUNT.format(where=where) if search else _ALL
        with self._lock:
            return int(self._database.execute(sql, parameters).fetchone()[0])


def _condition(search: str) -> tuple[str, tuple[str, ...]]:
    wanted = "".join(letter.lower() if letter.isascii() else letter for letter in search)
    return (_MATCHES, (wanted, wanted)) if search else ("1", ())


def _count(row: tuple[str, str | None, int, int]) -> ProfileCount:
    profile, group_key, entries, latest = row
    return ProfileCount(profile=profile, group_key=group_key, entries=entries, latest=latest)
