"""Choice of what goes after a request that was not answered, so that a poison entry costs its own profile only.

A poison entry is one that the service never answers. Which one it is shows like this:

- While the last request of a lane was not answered, the next carries one update: it asks whether the service
  answers at all.
- The profiles of an unanswered request of n updates are suspects: they travel apart, after everything else, in
  requests of at most n // 2 updates, until they are answered.

So an entry is sent at most 1 + log2(n) times before it is alone; alone, it fails by its own fault, or in an outage.
In an outage every request but the first carries one update, which makes nobody a suspect.
"""

import sqlite3
from collections.abc import Generator, Sequence
from typing import NamedTuple

from recorder.journal import attempts, doubt, entries
from recorder.journal.entries import Suspected
from recorder.journal.packing import Row
from recorder.journal.uptime import Uptime
from recorder.model.operations import Lane

__all__ = ["Apart", "Group", "asks_for_fresh", "probe"]

_FRESH_AT_FIRST = 32  # unanswered requests in a row in which every other one tries a fresh entry
_FRESH_LATER = 16  # after those, each so many: an outage of weeks must not bring ever more profiles in doubt
_GOLDEN = (
    0.618033988749895  # multiples of it, without their whole part, spread evenly: no neighbours in a row
)


class Apart(NamedTuple):
    """A request of suspects only: if it is not answered, its lane goes on.

    Attributes:
        tries: If it carries one entry: how many requests with it were not answered before. It has its own back-off.
    """

    tries: int | None


class Group:
    """The suspects of a lane that travel together next: those of the largest limit."""

    def __init__(
        self, connection: sqlite3.Connection, lane: Lane, uptime: Uptime, began: Uptime | None
    ) -> None:
        self._connection = connection
        self._lane = lane
        due = doubt.suspects(connection, lane, uptime, began)
        self.most = max((suspect.most for suspect in due), default=0)
        self._waits = [suspect.wait for suspect in due if suspect.most == self.most]
        self._rows: dict[int, Suspected] = {}

    def rows(self, upto: int) -> Generator[Row, None, None]:
        """Yield their entries that will be sent again, up to this number."""
        for row in entries.suspected(self._connection, self._lane, upto, self._waits):
            suspected = Suspected(*row)
            self._rows[suspected.seq] = suspected
            yield suspected

    def apart(self, numbers: Sequence[int]) -> Apart | None:
        """Return how a request of these entries stands apart; None if its lane backs off with it.

        It does if the service has not answered for long: this may be an outage.
        """
        rows = [self._rows[seq] for seq in numbers]
        if len(rows) == 1:
            return Apart(rows[0].sends)
        if len({(row.group_key, row.unit) for row in rows}) == 1:
            return Apart(None)
        return Apart(None) if attempts.answered_lately(self._connection, self._lane) else None


def asks_for_fresh(unanswered: int) -> bool:
    """Return True if a fresh entry is tried next, rather than one to be sent again."""
    return unanswered % (2 if unanswered <= _FRESH_AT_FIRST else _FRESH_LATER) == 0


def probe(
    connection: sqlite3.Connection, lane: Lane, upto: int, uptime: Uptime, unanswered: int
) -> Row | None:
    """Return the entry that asks whether the service answers: another profile's each time, so not always poison."""
    waits = [suspect.wait for suspect in doubt.suspects(connection, lane, uptime)]
    found = entries.first_of_each(connection, lane, upto, waits)
    return entries.row(connection, found[int(unanswered * _GOLDEN % 1 * len(found))]) if found else None
