"""The table `entries`: every statement that writes it, and the reads that shipping, deciding and forgetting need.

Functions take the connection of the caller's transaction. Those that change states keep the accounts, too.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from recorder.journal import accounts
from recorder.model.entries import NewEntry, ReadBack, State
from recorder.model.errors import JournalDamaged
from recorder.model.operations import Lane

if TYPE_CHECKING:
    from recorder.model.filters import Where

__all__ = [
    "INDEXED",
    "IS_OBJECT",
    "NAMES",
    "NOT_WAITING",
    "SET_ASIDE",
    "UNIT",
    "Carried",
    "Decidable",
    "Doubtful",
    "Profile",
    "Suspected",
    "delete",
    "discard",
    "doubtful",
    "edit_message",
    "erase",
    "first_of_each",
    "forgotten_when_settled",
    "highest",
    "insert",
    "insert_deletion",
    "insert_many",
    "late",
    "latest_gone",
    "mark_hazardous",
    "mark_out_of_order",
    "mark_unsent",
    "matching",
    "message_of",
    "move",
    "naming",
    "pending",
    "put_back",
    "reject",
    "reject_unreadable",
    "rejected_since",
    "restore",
    "row",
    "sending",
    "settle",
    "settle_range",
    "state_of",
    "suspected",
    "take_up",
    "to_send_again",
    "unit_of",
    "unsent_deletion",
    "unsettled",
    "unsure",
    "updates_of",
    "with_state",
    "write_out",
]

Profile = tuple[str | None, str | None]
"""Owner of an entry in its lane: the group's key, or None for a user, and the id; an event's number."""

SET_ASIDE = "state NOT IN ('pending', 'shipped')"
"""Condition of the partial index: SQLite uses it only for a query that repeats it word for word."""

INDEXED = frozenset(State) - {State.PENDING, State.SENDING, State.SHIPPED}
"""States of entries that the index knows: each of them is written with the entry."""

UNIT = "coalesce(entries.profile, CAST(entries.seq AS TEXT))"
"""SQL for the profile that waits as one; of an event, which has none, its number."""


def unit_of(seq: int, group_key: str | None, profile: str | None) -> Profile:
    """Return group key and profile, or an event's own number: what its waits are about; see `UNIT`."""
    return group_key, str(seq) if profile is None else profile


_OF_ITS_UNIT = (
    f"waits.lane = entries.lane AND waits.profile IS {UNIT} AND waits.group_key IS entries.group_key"
)

NOT_WAITING = f"NOT EXISTS (SELECT 1 FROM waits WHERE {_OF_ITS_UNIT})"
"""Condition: nothing keeps the entry's profile from being sent."""


IS_OBJECT = "json_valid(message) AND message LIKE '{%'"
"""Condition: the message is the JSON object that it was recorded as."""

NAMES = "coalesce(group_key, '') || coalesce(profile, '') || coalesce(operator, '')"
"""All names of an entry as one text: reading it fails if one of them is not UTF-8."""


class Carried(NamedTuple):
    """Entries that an attempt carries, as its row names them.

    Attributes:
        attempt: The attempt's number.
        epoch: Of the shipper that made it.
        lane: Of all its entries.
        first: Lowest number.
        last: Highest number.
        picked: The numbers as JSON, if they were picked one by one; None for the lane's pending ones in the range.
        entries: How many.
        updates: In how many updates.
        counted: How they were counted, if they were; see `Counting.kept`.
    """

    attempt: int
    epoch: int
    lane: Lane
    first: int
    last: int
    picked: str | None
    entries: int
    updates: int
    counted: str | None = None


# --- recording

# Values are plain tuples: of a NamedTuple, sqlite3 looks up each member, which takes longer.
_INSERT = """
INSERT INTO entries (lane, group_key, profile, operator, message, recorded_at, state, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_DELETION = """
INSERT INTO entries (lane, group_key, profile, operator, message, recorded_at, state, reason, ends_forgotten)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)
"""
_HIGHEST = "SELECT coalesce(max(seq), 0) FROM entries"


def insert(connection: sqlite3.Connection, row: NewEntry) -> int:
    """Insert a row and return its number."""
    return connection.execute(_INSERT, tuple(row)).lastrowid or 0


def insert_many(connection: sqlite3.Connection, rows: Iterable[NewEntry]) -> int:
    """Insert rows and return the number of the last one."""
    connection.executemany(_INSERT, map(tuple, rows))
    return highest(connection)


def insert_deletion(connection: sqlite3.Connection, row: NewEntry) -> int:
    """Insert a deletion that is erased once it is shipped, and return its number."""
    return connection.execute(_INSERT_DELETION, tuple(row)).lastrowid or 0


def highest(connection: sqlite3.Connection) -> int:
    """Return the highest number ever handed out; 0 if nothing was recorded."""
    (number,) = connection.execute(_HIGHEST).fetchone()
    return int(number)


# --- claiming

_MESSAGE_IF_OBJECT = f"CASE WHEN {IS_OBJECT} THEN message END"  # NULL where damage made it something else
# And all text that settling will read, so that damage shows at once. Of a range, only an unknown outcome reads it.
_READ = f"seq, {_MESSAGE_IF_OBJECT}, {NAMES}"
_PENDING = f"""
SELECT seq, {_MESSAGE_IF_OBJECT} FROM entries
 WHERE lane = :lane AND seq > :cursor AND seq <= :upto AND state = 'pending' ORDER BY seq
"""
_PENDING_BESIDE_WAITS = f"""
SELECT {_READ}, NOT {NOT_WAITING} FROM entries
 WHERE lane = :lane AND seq > :cursor AND seq <= :upto AND state = 'pending' ORDER BY seq
"""
_OWNER = f"{UNIT}, coalesce(entries.group_key, '')"
# While the service does not answer, a fresh entry may be tried before those to be sent again: not its own profile's.
_PENDING_BESIDE_AGAIN = f"""
SELECT {_READ}, NOT {NOT_WAITING} OR ({_OWNER}) IN (
    SELECT {_OWNER} FROM entries WHERE state IN ('waiting', 'in_doubt') AND {SET_ASIDE} AND lane = :lane
  ) FROM entries
 WHERE lane = :lane AND seq > :cursor AND seq <= :upto AND state = 'pending' ORDER BY seq
"""
# Two walks along the index, merged by number: no further than a request needs, however many wait.
_AGAIN = f"""
SELECT {_READ} FROM entries
 WHERE state = 'waiting' AND {SET_ASIDE} AND lane = :lane AND seq <= :upto AND {NOT_WAITING}
UNION ALL
SELECT {_READ} FROM entries
 WHERE state = 'in_doubt' AND {SET_ASIDE} AND lane = :lane AND seq <= :upto AND {NOT_WAITING}
 ORDER BY seq
"""


def pending(
    connection: sqlite3.Connection,
    lane: Lane,
    cursor: int,
    upto: int,
    *,
    beside_waits: bool,
    beside_again: bool,
) -> sqlite3.Cursor:
    """Return a cursor over number and message of a lane's pending entries above its cursor.

    With `beside_waits` each row also says whether its profile waits; looking at each takes a third longer. With
    `beside_again` it says so, too, of a profile that has earlier entries to be sent again.
    """
    sql = _PENDING_BESIDE_AGAIN if beside_again else _PENDING_BESIDE_WAITS if beside_waits else _PENDING
    return connection.execute(sql, {"lane": lane, "cursor": cursor, "upto": upto})


def to_send_again(connection: sqlite3.Connection, lane: Lane, upto: int) -> sqlite3.Cursor:
    """Return a cursor over number and message of waiting and doubtful entries whose profile does not wait."""
    return connection.execute(_AGAIN, {"lane": lane, "upto": upto})


# An entry may be sent by itself if its profile does not wait, or if its wait is one of these.
_OF_WAITS = f"""
EXISTS (SELECT 1 FROM waits WHERE {_OF_ITS_UNIT} AND id IN (SELECT value FROM json_each(:waits)))
"""
_SUSPECTED = f"""
SELECT {_READ}, group_key, {UNIT}, sends FROM entries
 WHERE state = 'waiting' AND {SET_ASIDE} AND lane = :lane AND seq <= :upto AND {_OF_WAITS}
UNION ALL
SELECT {_READ}, group_key, {UNIT}, sends FROM entries
 WHERE state = 'in_doubt' AND {SET_ASIDE} AND lane = :lane AND seq <= :upto AND {_OF_WAITS}
 ORDER BY seq
"""
_FIRST_OF_EACH = f"""
SELECT min(seq) FROM entries
 WHERE state IN ('waiting', 'in_doubt') AND {SET_ASIDE} AND lane = :lane AND seq <= :upto
   AND ({NOT_WAITING} OR {_OF_WAITS})
 GROUP BY group_key, {UNIT} ORDER BY 1
"""
_ROW = f"SELECT {_READ} FROM entries WHERE seq = ?"


class Suspected(NamedTuple):
    """An entry that was in an unanswered request, or is behind one of its profile."""

    seq: int
    message: str
    names: str
    group_key: str | None
    unit: str
    sends: int


def suspected(connection: sqlite3.Connection, lane: Lane, upto: int, waits: Sequence[int]) -> sqlite3.Cursor:
    """Return a cursor over the waiting and doubtful entries of the profiles of these waits; see `Suspected`."""
    return connection.execute(_SUSPECTED, {"lane": lane, "upto": upto, "waits": json.dumps(waits)})


def first_of_each(connection: sqlite3.Connection, lane: Lane, upto: int, waits: Sequence[int]) -> list[int]:
    """Return the number of the first entry to be sent again of each profile.

    Profiles that wait are left out, except for these waits.
    """
    values = {"lane": lane, "upto": upto, "waits": json.dumps(waits)}
    return [seq for (seq,) in connection.execute(_FIRST_OF_EACH, values).fetchall()]


def row(connection: sqlite3.Connection, seq: int) -> tuple[int, str, str]:
    """Return an entry as claims read it, beginning with number and message."""
    found: tuple[int, str, str] = connection.execute(_ROW, (seq,)).fetchone()
    return found


# --- what damage made unreadable

_UNSENT_BYTES = f"""
SELECT seq, state, typeof(message) = 'text', CAST(message AS BLOB), CAST(operator AS BLOB), CAST(group_key AS BLOB),
       CAST({UNIT} AS BLOB)
  FROM entries WHERE lane = ?
   AND ((state = 'pending' AND seq > (SELECT cursor FROM lanes WHERE lanes.lane = entries.lane))
        OR (state IN ('waiting', 'in_doubt')
            AND NOT EXISTS (SELECT 1 FROM waits WHERE {_OF_ITS_UNIT} AND cause <> 'suspect')))
"""
_UNREADABLE = "it cannot be read: the journal is damaged; `restante salvage` mends it"


def reject_unreadable(connection: sqlite3.Connection, lane: Lane) -> list[Profile]:
    """Set entries of a lane aside that can neither be sent nor settled; return the profiles of them."""
    owners = []
    for seq, state, is_text, message, *names in connection.execute(_UNSENT_BYTES, (lane,)).fetchall():
        if not (is_text and _readable(message, *names)):
            reject(connection, seq, state, None, _UNREADABLE)
            group_key, profile = (name and name.decode(errors="replace") for name in names[1:])
            owners.append((group_key, profile))
    return owners


def _readable(message: bytes, *names: bytes | None) -> bool:
    try:
        b"".join(name or b"" for name in names).decode()
        return isinstance(json.loads(message.decode()), dict)
    except (ValueError, RecursionError):
        return False


# --- settling

_MESSAGE = "CAST(message AS BLOB)"  # whoever parses it also sees if it is not UTF-8
_CARRIED_FRESH = "lane = :lane AND seq BETWEEN :first AND :last AND state = 'pending'"
# By number, not through the index: if the two disagree, an entry would be sent for ever.
_CARRIED_AGAIN = "seq IN (SELECT value FROM json_each(:picked)) AND state IN ('waiting', 'in_doubt')"
# An earlier request may have applied it, and repeating it is hazardous.
_TWICE = "sends > 0 AND hazardous AND NOT possibly_twice"
_AGAIN_STATES = (
    f"SELECT state, count(*), coalesce(sum({_TWICE}), 0) FROM entries WHERE {_CARRIED_AGAIN} GROUP BY state"
)
_SETTLE_FRESH = f"""
UPDATE entries SET state = :state, attempt = :attempt, sends = sends + 1, reason = NULL WHERE {_CARRIED_FRESH}
"""
# An accepted range is shipped once its lane's cursor has passed it; see schema.sql. Of its rows two kinds are written:
# the last one, so that damage to the lane's row does not hide how far it came; and what is erased now.
_SETTLE_RANGE = f"""
UPDATE entries SET state = 'shipped', attempt = :attempt, sends = sends + 1
 WHERE (seq = :last OR seq IN (SELECT seq FROM entries WHERE ends_forgotten)) AND {_CARRIED_FRESH}
"""
_WRITE_OUT = """
UPDATE entries SET (state, attempt, sends) =
                   (SELECT state, attempt, sends FROM entries_with_state AS stands WHERE stands.seq = entries.seq)
 WHERE seq IN (SELECT value FROM json_each(?)) AND state = 'pending'
   AND seq <= (SELECT cursor FROM lanes WHERE lanes.lane = entries.lane)
"""
_SETTLE_AGAIN = f"""
UPDATE entries SET state = :state, attempt = :attempt, sends = sends + 1,
                   reason = CASE WHEN :state = 'shipped' AND reason = '{ReadBack.NOT_APPLIED}' THEN reason END,
                   possibly_twice = possibly_twice OR ({_TWICE})
 WHERE {_CARRIED_AGAIN}
"""
_UPDATES_FRESH = (
    f"SELECT seq, group_key, {UNIT}, operator, {_MESSAGE} FROM entries WHERE {_CARRIED_FRESH} ORDER BY seq"
)
_UPDATES_AGAIN = (
    f"SELECT seq, group_key, {UNIT}, operator, {_MESSAGE} FROM entries WHERE {_CARRIED_AGAIN} ORDER BY seq"
)
_UNSETTLED = f"""
SELECT seq, state, sends, CASE WHEN sends > 0 THEN group_key END, CASE WHEN sends > 0 THEN {UNIT} END FROM entries
 WHERE seq IN (SELECT value FROM json_each(?)) AND state IN ('pending', 'waiting', 'in_doubt') ORDER BY seq
"""
_REJECT = "UPDATE entries SET state = 'rejected', attempt = ?, reason = ? WHERE seq = ?"
_REJECTED_SINCE = (
    f"SELECT seq, sends FROM entries WHERE state = 'rejected' AND {SET_ASIDE} AND lane = ? AND attempt >= ?"
)
# Nothing waits above its lane's cursor: a pending entry there would overtake it.
_PUT_BACK = f"""
UPDATE entries SET state = 'pending'
 WHERE state = 'waiting' AND {SET_ASIDE} AND lane = :lane
   AND seq > (SELECT cursor FROM lanes WHERE lane = :lane)
"""
_LATE = f"""
SELECT seq, group_key, {UNIT},
       state = 'in_doubt' AND attempt = :attempt AND seq NOT IN (SELECT seq FROM carried)
  FROM entries WHERE seq IN (SELECT value FROM json_each(:numbers)) AND state <> 'forgotten' ORDER BY seq
"""
_MOVE = """
UPDATE entries SET state = ?, reason = coalesce(?, reason) WHERE seq IN (SELECT value FROM json_each(?))
"""
_MARK_HAZARDOUS = "UPDATE entries SET hazardous = 1 WHERE seq IN (SELECT value FROM json_each(?))"
_MARK_UNSENT = f"""
UPDATE entries SET sends = 0, hazardous = 0, reason = '{ReadBack.NOT_APPLIED}'
 WHERE seq IN (SELECT value FROM json_each(?))
"""
_DOUBTFUL = f"""
SELECT seq, group_key, {UNIT}, hazardous FROM entries
 WHERE state = 'in_doubt' AND {SET_ASIDE} AND lane = ? ORDER BY seq
"""
# Of those that a person took up again, too, nobody knows whether they were applied.
_UNSURE = f"""
SELECT min(seq), group_key, {UNIT} FROM entries
 WHERE state IN ('in_doubt', 'waiting') AND {SET_ASIDE} AND lane = ? AND sends > 0 GROUP BY group_key, {UNIT}
"""


class Doubtful(NamedTuple):
    """An entry in doubt, and whether sending it again may change what its profile holds."""

    seq: int
    group_key: str | None
    profile: str | None
    hazardous: int

    @property
    def owner(self) -> Profile:
        """Group key and profile."""
        return self.group_key, self.profile


def settle_range(connection: sqlite3.Connection, carried: Carried, others: int) -> None:
    """Ship the entries of a range but for `others`, which were rejected; the caller moves the lane's cursor past it."""
    connection.execute(_SETTLE_RANGE, carried._asdict())
    accounts.add(connection, State.SHIPPED, carried.entries - others)


def settle(connection: sqlite3.Connection, carried: Carried, state: State) -> None:
    """Give the entries of an attempt that may have been applied their next state, each in its row."""
    values = {**carried._asdict(), "state": state}
    if carried.picked is None:  # fresh entries were in no request before, and pending ones have no counter
        accounts.add(connection, state, _settled(connection, _SETTLE_FRESH, values))
        return
    before = connection.execute(_AGAIN_STATES, values).fetchall()
    changes = Counter[str]({state: _settled(connection, _SETTLE_AGAIN, values)})
    for was, entries, twice in before:
        changes[was] -= entries
        changes["possibly_twice"] += twice
    accounts.change(connection, changes)


def _settled(connection: sqlite3.Connection, sql: str, values: Mapping[str, object]) -> int:
    """Return how many entries a settlement changes: in a damaged table none may be found, to be sent again for ever."""
    settled = connection.execute(sql, values).rowcount
    if not settled:
        raise JournalDamaged(f"of {values['entries']} entries that were sent, none is found again")
    return settled


def write_out(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Write how those of these entries stand that their lane has passed: what says so may go."""
    connection.execute(_WRITE_OUT, (json.dumps(numbers),))


def updates_of(
    connection: sqlite3.Connection, carried: Carried
) -> list[tuple[int, str | None, str | None, str, bytes]]:
    """Return number, group key, profile, operator and message of each entry that an attempt carries."""
    sql = _UPDATES_FRESH if carried.picked is None else _UPDATES_AGAIN
    return connection.execute(sql, carried._asdict()).fetchall()


def unsettled(
    connection: sqlite3.Connection, numbers: Sequence[int]
) -> list[tuple[int, str, int, str | None, str | None]]:
    """Return number, state and sends of those of these entries that are still to be settled.

    And group key and profile of those that were sent before: of others, damage may have made them unreadable.
    """
    return connection.execute(_UNSETTLED, (json.dumps(numbers),)).fetchall()


def reject(connection: sqlite3.Connection, seq: int, was: str, attempt: int | None, reason: str) -> None:
    """Set an entry aside that the service refused, or that damage made unreadable (no attempt then)."""
    _change(connection, _REJECT, (attempt, reason, seq), 1)
    accounts.change(connection, {was: -1, State.REJECTED: 1})


def rejected_since(connection: sqlite3.Connection, lane: Lane, attempt: int) -> list[tuple[int, int]]:
    """Return number and sends of the lane's entries that were rejected by this attempt or later ones."""
    return connection.execute(_REJECTED_SINCE, (lane, attempt)).fetchall()


def put_back(connection: sqlite3.Connection, lane: Lane) -> None:
    """Make waiting entries above the lane's cursor pending again: their claim came to nothing."""
    back = connection.execute(_PUT_BACK, {"lane": lane}).rowcount
    accounts.add(connection, State.WAITING, -back)


def late(
    connection: sqlite3.Connection, attempt: int, numbers: Sequence[int]
) -> list[tuple[int, str | None, str | None, int]]:
    """Return the entries of a late answer: number, group key, profile, and whether nothing happened to it since."""
    values = {"attempt": attempt, "numbers": json.dumps(numbers)}
    return connection.execute(_LATE, values).fetchall()


def move(
    connection: sqlite3.Connection,
    numbers: Sequence[int],
    was: State,
    becomes: State,
    reason: str | None = None,
) -> None:
    """Move entries from one state to another; None leaves the reason as it is."""
    if numbers:
        _change(connection, _MOVE, (becomes, reason, json.dumps(numbers)), len(numbers))
        accounts.change(connection, {was: -len(numbers), becomes: len(numbers)})


def mark_hazardous(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Mark entries whose repetition may change what their profile holds."""
    if numbers:
        connection.execute(_MARK_HAZARDOUS, (json.dumps(numbers),))


def mark_unsent(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Note that no request has applied these entries: sending them again applies them once."""
    connection.execute(_MARK_UNSENT, (json.dumps(numbers),))


def doubtful(connection: sqlite3.Connection, lane: str) -> list[Doubtful]:
    """Return the lane's entries in doubt, by number."""
    return [Doubtful(*row) for row in connection.execute(_DOUBTFUL, (lane,)).fetchall()]


def unsure(connection: sqlite3.Connection, lane: str) -> dict[Profile, int]:
    """Return the lane's profiles with unsent entries that may have been applied, and the first number of each."""
    rows = connection.execute(_UNSURE, (lane,)).fetchall()
    return {(group_key, unit): seq for seq, group_key, unit in rows}


# --- deciding

_WITH_STATE = """
SELECT seq, lane, group_key, profile, state, attempt, sends, out_of_order, reason, hazardous FROM entries_with_state
 WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq
"""
# Sent entries that may have been applied, pruned ones included; and of those, the ones that are not sent again.
# Forgotten entries no longer have a profile.
_LATEST_GONE = """
SELECT lane, group_key, profile, max(sent), max(perhaps) FROM (
  SELECT lane, group_key, profile,
         CASE WHEN state NOT IN ('in_doubt', 'waiting', 'pending') THEN seq END AS sent, seq AS perhaps
    FROM entries_with_state WHERE seq > :seq AND (sends > 0 OR state = 'sending') AND state <> 'forgotten'
     AND (profile IS NULL OR profile IN (SELECT value FROM json_each(:profiles)))
  UNION ALL
  SELECT lane, group_key, profile, gone, gone FROM baseline
   WHERE gone > :seq AND profile IN (SELECT value FROM json_each(:profiles)))
 GROUP BY lane, group_key, profile
"""
_TAKE_UP = """
UPDATE entries SET state = ?, reason = NULL,
                   hazardous = hazardous OR (sends > 0 AND seq NOT IN (SELECT value FROM json_each(?)))
 WHERE seq IN (SELECT value FROM json_each(?))
"""
_DISCARD = f"""
UPDATE entries SET state = 'discarded',
                   reason = coalesce(nullif(reason, '{ReadBack.NOT_APPLIED}'), 'discarded by a person')
 WHERE seq IN (SELECT value FROM json_each(?))
"""
_RESTORE = "UPDATE entries SET reason = ?, hazardous = ? WHERE seq = ?"
_MARK_OUT_OF_ORDER = "UPDATE entries SET out_of_order = 1 WHERE seq IN (SELECT value FROM json_each(?))"
_EDIT = "UPDATE entries SET message = ?, operator = ?, group_key = ?, profile = ? WHERE seq = ?"
_ENTRY = (
    f"SELECT operator, {_MESSAGE} FROM entries WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
)


class Decidable(NamedTuple):
    """An entry as a decision sees it."""

    seq: int
    lane: str
    group_key: str | None
    profile: str | None
    state: str
    attempt: int | None
    sends: int
    out_of_order: int
    reason: str | None
    hazardous: int

    @property
    def owner(self) -> tuple[str, str | None, str | None]:
        """Lane, group key and profile."""
        return self.lane, self.group_key, self.profile

    @property
    def unit(self) -> Profile:
        """Group key and profile as waits know them."""
        return unit_of(self.seq, self.group_key, self.profile)


def matching(connection: sqlite3.Connection, where: "Where") -> list[int]:
    """Return the numbers of the entries that match a filter."""
    sql, values = f"SELECT seq FROM entries_with_state WHERE {where.sql}", where.parameters
    if where.state in INDEXED:
        sql += f" AND seq IN (SELECT seq FROM entries WHERE state = ? AND {SET_ASIDE})"
        values = (*values, where.state)
    return [seq for (seq,) in connection.execute(f"{sql} ORDER BY seq", values).fetchall()]


def with_state(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[Decidable]:
    """Return these entries as they stand now, by number."""
    return [Decidable(*row) for row in connection.execute(_WITH_STATE, (json.dumps(numbers),)).fetchall()]


def latest_gone(
    connection: sqlite3.Connection, after: int, profiles: Sequence[str | None]
) -> dict[tuple[str, str | None, str | None], tuple[int, int]]:
    """Return per owner the highest number after `after` that was sent for good, and that may have been applied.

    Only of these profiles, and of what has none: how each of a million entries stands takes a second.
    """
    values = {"seq": after, "profiles": json.dumps(profiles)}
    rows = connection.execute(_LATEST_GONE, values).fetchall()
    return {tuple(owner): (sent or 0, perhaps) for *owner, sent, perhaps in rows}


def take_up(
    connection: sqlite3.Connection, rows: Sequence[Decidable], becomes: State, harmless: Sequence[int]
) -> None:
    """Make entries that were set aside to be sent again; those of them that are not harmless may apply twice."""
    if rows:
        connection.execute(_TAKE_UP, (becomes, json.dumps(harmless), json.dumps([row.seq for row in rows])))
        changes = Counter[str]({becomes: len(rows)})
        changes.subtract(State(row.state) for row in rows)
        accounts.change(connection, changes)


def discard(connection: sqlite3.Connection, rows: Sequence[Decidable]) -> None:
    """Give entries up; those that have a reason keep it."""
    connection.execute(_DISCARD, (json.dumps([row.seq for row in rows]),))
    changes = Counter[str]({State.DISCARDED: len(rows)})
    changes.subtract(State(row.state) for row in rows)
    accounts.change(connection, changes)


def restore(connection: sqlite3.Connection, rows: Sequence[Decidable]) -> None:
    """Give entries the reason and the mark that they had before they were discarded."""
    connection.executemany(_RESTORE, [(row.reason, row.hazardous, row.seq) for row in rows])


def mark_out_of_order(connection: sqlite3.Connection, numbers: Sequence[int], newly: int) -> None:
    """Mark entries that go after later ones of their profile; `newly` of them had no mark yet."""
    connection.execute(_MARK_OUT_OF_ORDER, (json.dumps(numbers),))
    accounts.add(connection, "out_of_order", newly)


def edit_message(connection: sqlite3.Connection, seq: int, new: NewEntry) -> None:
    """Replace an entry's message, and what follows from it."""
    connection.execute(_EDIT, (new.message, new.operator, new.group_key, new.profile, seq))


def message_of(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[tuple[str | None, bytes]]:
    """Return operator and message of each of these entries, by number."""
    return connection.execute(_ENTRY, (json.dumps(numbers),)).fetchall()


# --- forgetting

_STATES = "SELECT state, count(*) FROM entries WHERE seq IN (SELECT value FROM json_each(?)) GROUP BY state"
# Marks, sends and the attempt are figures of accounts that must still add up.
_ERASE = """
UPDATE entries SET state = 'forgotten', group_key = NULL, profile = NULL, operator = NULL, message = '{}',
                   reason = NULL, hazardous = 0, ends_forgotten = 0
 WHERE seq IN (SELECT value FROM json_each(?))
"""
_FORGOTTEN_WHEN_SETTLED = (
    "SELECT seq, lane FROM entries WHERE ends_forgotten AND state IN ('shipped', 'discarded')"
)
_SENDING = """
SELECT count(*) FROM entries_with_state WHERE state = 'sending' AND seq IN (SELECT value FROM json_each(?))
"""
# A deletion that an earlier forgetting asked for names the profile until it is shipped.
_UNSENT = "state IN ('pending', 'waiting', 'in_doubt')"
_NO_DELETION = f"seq NOT IN (SELECT seq FROM entries WHERE ends_forgotten AND {_UNSENT})"
_DELETION = f"""
SELECT seq FROM entries WHERE ends_forgotten AND {_UNSENT}
   AND lane = :lane AND profile = :id AND group_key IS :group_key ORDER BY seq DESC LIMIT 1
"""


def erase(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Make entries forgotten, whatever they were; no open attempt may carry one of them."""
    write_out(connection, numbers)
    chosen = json.dumps(numbers)
    changes = Counter[str]()
    for state, entries in connection.execute(_STATES, (chosen,)).fetchall():
        changes.update({state: -entries, State.FORGOTTEN: entries})
    connection.execute(_ERASE, (chosen,))
    accounts.change(connection, changes)


def forgotten_when_settled(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """Return number and lane of deletions that are to be erased now: they were shipped or discarded."""
    return connection.execute(_FORGOTTEN_WHEN_SETTLED).fetchall()


def sending(connection: sqlite3.Connection, numbers: Sequence[int]) -> int:
    """Return how many of these entries an open attempt carries."""
    (carried,) = connection.execute(_SENDING, (json.dumps(numbers),)).fetchone()
    return int(carried)


def naming(
    connection: sqlite3.Connection, condition: str, values: dict[str, object], first: int, last: int
) -> list[tuple[int, int]]:
    """Return number and message size of the entries in a range that meet a condition of `mentions.py`."""
    sql = f"""
    SELECT seq, coalesce(length(CAST(message AS BLOB)), 0) FROM entries
     WHERE seq BETWEEN :from AND :upto AND {condition} AND {_NO_DELETION}
    """
    return connection.execute(sql, {**values, "from": first, "upto": last}).fetchall()


def state_of(
    connection: sqlite3.Connection, condition: str, values: dict[str, object], numbers: Sequence[int]
) -> list[tuple[int, str, str | None, str | None, str]]:
    """Return number, lane, group key, profile and state of those of these entries that meet a condition."""
    sql = f"""
    SELECT seq, lane, group_key, profile, state FROM entries_with_state
     WHERE seq IN (SELECT value FROM json_each(:numbers)) AND {condition} AND {_NO_DELETION} ORDER BY seq
    """
    return connection.execute(sql, {**values, "numbers": json.dumps(numbers)}).fetchall()


def unsent_deletion(connection: sqlite3.Connection, values: dict[str, object]) -> int | None:
    """Return the number of a profile's deletion that is still to be sent, or None."""
    row = connection.execute(_DELETION, values).fetchone()
    return int(row[0]) if row else None


# --- pruning

_DELETE = "DELETE FROM entries WHERE seq IN (SELECT value FROM json_each(?))"


def delete(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Delete rows; what is left of them must be counted as pruned."""
    _change(connection, _DELETE, (json.dumps(numbers),), len(numbers))


def _change(connection: sqlite3.Connection, sql: str, values: Sequence[object], rows: int) -> None:
    """Change rows that were just read; in a damaged table they may not be found, and the caller would try for ever."""
    changed = connection.execute(sql, values).rowcount
    if changed != rows:
        raise JournalDamaged(f"{rows:,} entries were to be changed, and {changed:,} were found")
