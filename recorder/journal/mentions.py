"""Which rows name a profile: those that forgetting it erases, wherever they stand. It looks only.

Of a user, entries of the profile, and events and imports that name it as whose they are: as their ``distinct_id``,
its string in a number's place, or another of the names by which the service knows identities. Of a group, entries of
the group. Of both, messages that were rejected without an identity that could be told, where something in them is
the id. That another profile holds the id as a value is no naming: it is a value of that profile.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recorder.journal.erase import remnants
from recorder.model.entries import NewEntry, State
from recorder.model.errors import InvalidOperation
from recorder.model.json_value import is_text
from recorder.model.operations import Lane
from recorder.model.reports import Forgotten

__all__ = [
    "Named",
    "Whose",
    "copies_beside",
    "deletion_of",
    "folded",
    "named",
    "numbers_naming",
    "ranges",
    "spools_naming",
    "weigh_forgetting",
]

# Where events and imports say whose they are; the last ones tie one identity to another.
_IDENTITIES = """
'distinct_id', '$distinct_id', '$user_id', '$device_id', '$anon_id', '$identified_id', 'alias', '$distinct_ids'
"""
_NAMED_IN_PROPERTIES = f"""
EXISTS (SELECT 1 FROM json_each(message, '$.properties') AS property
         WHERE property.key IN ({_IDENTITIES})
           AND (CAST(property.atom AS TEXT) = :id
                OR (property.type = 'array'
                    AND EXISTS (SELECT 1 FROM json_each(property.value) WHERE CAST(atom AS TEXT) = :id))))
"""
_NAMED_ANYWHERE = "EXISTS (SELECT 1 FROM json_tree(message) WHERE CAST(atom AS TEXT) = :id)"
_NAMED_WITHOUT_IDENTITY = f"lane IN ('people', 'groups') AND profile IS NULL AND {_NAMED_ANYWHERE}"
_USER = f"""
(lane = 'people' AND profile = :id
 OR lane IN ('events', 'imports') AND (profile = :id OR {_NAMED_IN_PROPERTIES})
 OR {_NAMED_WITHOUT_IDENTITY})
"""
_GROUP = f"(lane = 'groups' AND profile = :id AND group_key = :group_key OR {_NAMED_WITHOUT_IDENTITY})"

# A deletion that was asked for with an earlier forgetting names the profile until it has gone.
_UNSENT = "state IN ('pending', 'waiting', 'in_doubt')"
_NO_DELETION = f"seq NOT IN (SELECT seq FROM entries WHERE ends_forgotten AND {_UNSENT})"
_NUMBERS = f"""
SELECT seq, length(CAST(message AS BLOB)) FROM entries
 WHERE seq BETWEEN :first AND :last AND {{named}} AND {_NO_DELETION}
"""
_CHOSEN = f"""
SELECT seq, lane, group_key, profile, state FROM entries_with_state
 WHERE seq IN (SELECT value FROM json_each(:numbers)) AND {{named}} AND {_NO_DELETION} ORDER BY seq
"""
_DELETION = f"""
SELECT seq FROM entries WHERE ends_forgotten AND {_UNSENT}
   AND lane = :lane AND profile = :id AND group_key IS :group_key ORDER BY seq DESC LIMIT 1
"""
_FOLDED = """
SELECT coalesce(sum(entries), 0) FROM baseline WHERE profile = :id AND lane = :lane AND group_key IS :group_key
"""
_ONE_ROW = (
    "SELECT 1 FROM (SELECT :lane AS lane, :row_group AS group_key, :profile AS profile, :message AS message)"
    " WHERE {named}"
)

_STRIDE = 20_000  # numbers a read looks through
_SPOOLS = ".spool-"
_LOCK = ".lock"
_COPIES = (".damaged-", ".salvaged")


@dataclass(frozen=True, slots=True)
class Whose:
    """A profile: a user's, or a group's.

    Attributes:
        id: Its id.
        group_key: A group's key; None for a user's profile.

    Raises:
        InvalidOperation: One of them is no text.
    """

    id: str
    group_key: str | None = None

    def __post_init__(self) -> None:
        """See that it can be looked for: what finds nothing would be taken for forgotten."""
        for name, value in (("profile", self.id), ("group_key", self.group_key or "")):
            if not isinstance(value, str) or not is_text(value):
                raise InvalidOperation(
                    name, "is no text", hint="Give the id as the journal has it, as a string."
                )

    @property
    def lane(self) -> Lane:
        """The lane of its updates."""
        return Lane.PEOPLE if self.group_key is None else Lane.GROUPS

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes whose entries may name it."""
        return tuple(Lane) if self.group_key is None else (Lane.PEOPLE, Lane.GROUPS)

    @property
    def condition(self) -> str:
        """That a row names it, in SQL; the values are in `parameters`."""
        return _USER if self.group_key is None else _GROUP

    def parameters(self, **others: object) -> dict[str, object]:
        """What its SQL takes."""
        return {"id": self.id, "group_key": self.group_key, "lane": self.lane, **others}


class Named(NamedTuple):
    """An entry that names it, and how it stands."""

    seq: int
    lane: str
    group_key: str | None
    profile: str | None
    state: State


def numbers_naming(
    connection: sqlite3.Connection, whose: Whose, first: int, last: int
) -> list[tuple[int, int]]:
    """The numbers of the entries that name it, from one number to another, and how many bytes their messages take."""
    sql = _NUMBERS.format(named=whose.condition)
    return connection.execute(sql, whose.parameters(first=first, last=last)).fetchall()


def ranges(highest: int) -> Iterator[tuple[int, int]]:
    """All numbers up to the highest, so many at a time that a read of them is short."""
    for first in range(1, highest + 1, _STRIDE):
        yield first, min(first + _STRIDE - 1, highest)


def named(connection: sqlite3.Connection, whose: Whose, numbers: Sequence[int]) -> list[Named]:
    """Those of these entries that name it, as they stand now."""
    sql = _CHOSEN.format(named=whose.condition)
    rows = connection.execute(sql, whose.parameters(numbers=json.dumps(numbers))).fetchall()
    return [
        Named(seq, lane, group_key, profile, State(state)) for seq, lane, group_key, profile, state in rows
    ]


def deletion_of(connection: sqlite3.Connection, whose: Whose) -> int | None:
    """The number of the deletion that an earlier forgetting asked for and that is still to be sent."""
    row = connection.execute(_DELETION, whose.parameters()).fetchone()
    return int(row[0]) if row else None


def folded(connection: sqlite3.Connection, whose: Whose) -> int:
    """How many pruned entries its row of the baseline is made of."""
    (entries,) = connection.execute(_FOLDED, whose.parameters()).fetchone()
    return int(entries)


def weigh_forgetting(connection: sqlite3.Connection, path: Path, whose: Whose) -> Forgotten:
    """What forgetting it would erase, but for its entries."""
    return Forgotten(
        folded=folded(connection, whose),
        deletion=deletion_of(connection, whose),
        remnants=remnants(connection),
        copies=copies_beside(path),
    )


# --- beside the journal


def copies_beside(path: Path) -> tuple[str, ...]:
    """Files that a salvage left beside the journal: they hold what was in it then."""
    files = sorted(file for mark in _COPIES for file in path.parent.glob(f"{_escaped(path.name)}{mark}*"))
    return tuple(str(file) for file in files)


def spools_naming(path: Path, whose: Whose) -> list[Path]:
    """Spool files of `restante record` that hold a row which names it."""
    spools = sorted(path.parent.glob(f"{_escaped(path.name)}{_SPOOLS}*"))
    with closing(sqlite3.connect(":memory:")) as connection:
        return [file for file in spools if file.suffix != _LOCK and _names(connection, file, whose)]


def _names(connection: sqlite3.Connection, file: Path, whose: Whose) -> bool:
    sql = _ONE_ROW.format(named=whose.condition)
    try:
        with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            for line in lines:
                for row in _rows_of(line):
                    values = whose.parameters(
                        lane=row.lane, row_group=row.group_key, profile=row.profile, message=row.message
                    )
                    if connection.execute(sql, values).fetchone():
                        return True
    except FileNotFoundError:  # it is journaled whole by now
        pass
    return False


def _rows_of(line: str) -> list[NewEntry]:
    """The rows of a line; none where it is the head, or was not written whole."""
    try:
        return [NewEntry(*row) for row in json.loads(line)]
    except (ValueError, TypeError):
        return []


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
