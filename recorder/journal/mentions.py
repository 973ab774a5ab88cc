"""Entries that name a profile: those that forgetting it erases.

Of a user: entries of the profile, and events and imports that name it as their ``distinct_id``, as the same digits in
a number, or by another of the service's names for identities. Of a group: entries of the group. Of both: messages
rejected without a readable identity that contain the id anywhere. The id as a value in another profile does not count.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recorder.journal import baseline, entries, project
from recorder.journal.entries import Profile
from recorder.model.entries import State
from recorder.model.errors import InvalidOperation
from recorder.model.json_value import is_text
from recorder.model.operations import Lane
from recorder.model.reports import Forgotten

__all__ = ["Named", "Whose", "copies_beside", "named", "numbers_naming", "ranges", "weigh_forgetting"]

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

_NUMBERS_A_READ = 20_000
_COPIES = (".damaged-", ".salvaged")


@dataclass(frozen=True, slots=True)
class Whose:
    """A profile: a user's, or a group's.

    Attributes:
        id: Its id.
        group_key: A group's key; None for a user's profile.

    Raises:
        InvalidOperation: One of them is not text.
    """

    id: str
    group_key: str | None = None

    def __post_init__(self) -> None:
        """Refuse ids that no entry can have: finding nothing would be taken for forgotten."""
        for name, value in (("profile", self.id), ("group_key", self.group_key or "")):
            if not isinstance(value, str) or not is_text(value):
                raise InvalidOperation(
                    name, "is not text", hint="Give the id as the journal has it, as a string."
                )

    @property
    def names(self) -> dict[str, str]:
        """Its identity as a message has it."""
        if self.group_key is None:
            return {"$distinct_id": self.id}
        return {"$group_key": self.group_key, "$group_id": self.id}

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
        """SQL condition of the rows that name it; its values are in `parameters`."""
        return _USER if self.group_key is None else _GROUP

    def parameters(self, **others: object) -> dict[str, object]:
        """Return the values of its SQL condition."""
        return {"id": self.id, "group_key": self.group_key, "lane": self.lane, **others}


class Named(NamedTuple):
    """An entry that names a profile."""

    seq: int
    lane: str
    group_key: str | None
    profile: str | None
    state: State

    @property
    def unit(self) -> Profile:
        """Group key and profile as waits know them."""
        return entries.unit_of(self.seq, self.group_key, self.profile)


def numbers_naming(
    connection: sqlite3.Connection, whose: Whose, first: int, last: int
) -> list[tuple[int, int]]:
    """Return number and message size of the entries in a range that name the profile."""
    return entries.naming(connection, whose.condition, whose.parameters(), first, last)


def ranges(highest: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of numbers up to the highest, each small enough for a short read."""
    for first in range(1, highest + 1, _NUMBERS_A_READ):
        yield first, min(first + _NUMBERS_A_READ - 1, highest)


def named(connection: sqlite3.Connection, whose: Whose, numbers: Sequence[int]) -> list[Named]:
    """Return those of these entries that name the profile, as they stand now."""
    rows = entries.state_of(connection, whose.condition, whose.parameters(), numbers)
    return [
        Named(seq, lane, group_key, profile, State(state)) for seq, lane, group_key, profile, state in rows
    ]


def weigh_forgetting(connection: sqlite3.Connection, path: Path, whose: Whose) -> Forgotten:
    """Return what forgetting the profile would erase besides its entries."""
    return Forgotten(
        folded=baseline.entries_of(connection, whose.lane, whose.group_key, whose.id),
        deletion=entries.unsent_deletion(connection, whose.parameters()),
        remnants=project.remnants(connection),
        copies=copies_beside(path),
    )


def copies_beside(path: Path) -> tuple[str, ...]:
    """Return the files that a salvage left beside the journal: they hold its earlier content."""
    files = sorted(file for mark in _COPIES for file in path.parent.glob(f"{_escaped(path.name)}{mark}*"))
    return tuple(str(file) for file in files)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
