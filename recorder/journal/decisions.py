"""What a person decides about entries: retry, discard, edit. SQL of decisions stands here and nowhere else.

Decisions change states, never numbers: an entry taken up again goes at its number among what is still to be
sent, and is marked *out of order* where later ones of its profile went before it.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from recorder.journal.accounts import count, moved
from recorder.journal.doubt import Owner, break_runs, end_waits_of
from recorder.journal.erase import erase_ended
from recorder.journal.settle import LOOKED_AT
from recorder.model.entries import NewEntry, State
from recorder.model.errors import InvalidOperation, JournalError
from recorder.model.filters import Where
from recorder.model.intake import Intake
from recorder.model.operations import Lane

__all__ = ["Decision", "Verb", "as_edited", "decide", "edit", "matching", "weigh"]

_SEVERAL = 10_000  # entries a transaction: others record in between

_MATCHING = "SELECT seq FROM entries_with_state WHERE {where} ORDER BY seq"
_BY_NUMBER = """
SELECT seq, lane, group_key, profile, state, attempt, sends, out_of_order, reason FROM entries_with_state
 WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq
"""
_CURSORS = "SELECT lane, cursor FROM lanes"
_OPEN_RANGES = "SELECT lane, first, last FROM attempts WHERE outcome IS NULL AND picked IS NULL"
# What was sent and may have been applied, whatever became of it since, pruning included; and of that, what nobody
# sends again. Whose the forgotten ones were is not known any more.
_LATEST_GONE = """
SELECT lane, group_key, profile, max(sent), max(perhaps) FROM (
  SELECT lane, group_key, profile,
         CASE WHEN state NOT IN ('in_doubt', 'waiting', 'pending') THEN seq END AS sent, seq AS perhaps
    FROM entries_with_state WHERE seq > :seq AND (sends > 0 OR state = 'sending') AND state <> 'forgotten'
  UNION ALL
  SELECT lane, group_key, profile, gone, gone FROM baseline WHERE gone > :seq)
 GROUP BY lane, group_key, profile
"""
_TAKE_UP = """
UPDATE entries SET state = ?, reason = NULL, hazardous = hazardous OR (sends > 0)
 WHERE seq IN (SELECT value FROM json_each(?))
"""
_GIVE_UP = """
UPDATE entries SET state = 'discarded', reason = coalesce(reason, 'discarded by a person')
 WHERE seq IN (SELECT value FROM json_each(?))
"""
_MARK_OUT_OF_ORDER = "UPDATE entries SET out_of_order = 1 WHERE seq IN (SELECT value FROM json_each(?))"
_REWRITE = "UPDATE entries SET message = ?, operator = ?, group_key = ?, profile = ? WHERE seq = ?"
_MESSAGE = "SELECT message FROM entries WHERE seq = ?"

# A person has acted: a paused lane is due, and isolating begins anew.
_TRY_PAUSED = """
UPDATE lanes SET outcome = NULL, cause = '', since = NULL, failures = 0, retry_at = NULL, alike = ?,
                 alike_since = NULL, backoff_at = 0, backoff_span = 0
 WHERE outcome = 'paused' AND lane IN (SELECT value FROM json_each(?))
"""


class Verb(StrEnum):
    """What can be decided about entries that a filter matches."""

    RETRY = "retry"
    DISCARD = "discard"


_TAKES = {
    Verb.RETRY: frozenset({State.REJECTED, State.DISCARDED, State.IN_DOUBT}),
    Verb.DISCARD: frozenset({State.PENDING, State.WAITING, State.REJECTED, State.IN_DOUBT}),
}
_EDITABLE = frozenset({State.PENDING, State.WAITING, State.REJECTED, State.IN_DOUBT})

_WHY = {
    State.PENDING: "it is to be sent anyway",
    State.WAITING: "it is to be sent anyway",
    State.SENDING: "it is being sent; try again when its request is answered",
    State.SHIPPED: "it was shipped",
    State.DISCARDED: "it is discarded already",
    State.FORGOTTEN: "its content was erased",
    State.LOST: "it is lost",
}
_MALFORMED = "malformed when it was recorded; `restante edit` can mend it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a decision did, or would do.

    Attributes:
        entries: How many entries it takes.
        possibly_twice: How many of them may have been applied already, so that sending them may apply them twice.
        out_of_order: How many of them go after later ones of their profile.
        refused: Why it does not take others that match, and how many.
        numbers: Those that it takes, ascending.
    """

    entries: int = 0
    possibly_twice: int = 0
    out_of_order: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    numbers: tuple[int, ...] = ()

    @classmethod
    def sum(cls, parts: "Iterable[Decision]") -> "Decision":
        """Several decisions as one."""
        parts, refused = list(parts), Counter[str]()
        for part in parts:
            refused.update(part.refused)
        return cls(
            entries=sum(part.entries for part in parts),
            possibly_twice=sum(part.possibly_twice for part in parts),
            out_of_order=sum(part.out_of_order for part in parts),
            refused=dict(refused),
            numbers=tuple(sorted({seq for part in parts for seq in part.numbers})),
        )


class _Row(NamedTuple):
    seq: int
    lane: str
    group_key: str | None
    profile: str | None
    state: str
    attempt: int | None
    sends: int
    out_of_order: int
    reason: str | None

    @property
    def owner(self) -> tuple[str, str | None, str | None]:
        return self.lane, self.group_key, self.profile

    @property
    def taken_back(self) -> bool:
        """Whether it was rejected like many others, and waits until somebody has looked why."""
        return self.state == State.WAITING and self.reason is not None

    @property
    def malformed(self) -> bool:
        """Whether it was rejected when it was recorded, and no request ever carried it."""
        return self.state == State.REJECTED and self.attempt is None


def matching(connection: sqlite3.Connection, condition: Where) -> Iterator[list[int]]:
    """The numbers of the entries that match a filter, some at a time."""
    sql = _MATCHING.format(where=condition.sql)
    numbers = [seq for (seq,) in connection.execute(sql, condition.parameters).fetchall()]
    for start in range(0, len(numbers), _SEVERAL):
        yield numbers[start : start + _SEVERAL]


def weigh(connection: sqlite3.Connection, verb: Verb, numbers: Sequence[int]) -> Decision:
    """What a decision about these entries would do; nothing is written."""
    return _Weighed(connection, verb, numbers).decision()


def decide(connection: sqlite3.Connection, verb: Verb, numbers: Sequence[int]) -> Decision:
    """Decide about these entries, inside the caller's transaction."""
    weighed = _Weighed(connection, verb, numbers)
    if weighed.taken:
        if verb is Verb.RETRY:
            _take_up(connection, weighed.taken, weighed.late)
        else:
            _give_up(connection, weighed.taken)
        _let_go_on(connection, weighed.taken, LOOKED_AT if verb is Verb.RETRY else 0)
    return weighed.decision()


class _Weighed:
    """Entries that match, sorted into those that a decision takes, and the others with the reason."""

    def __init__(self, connection: sqlite3.Connection, verb: Verb, numbers: Sequence[int]) -> None:
        self.taken: list[_Row] = []
        self.refused = Counter[str]()
        for row in _rows(connection, numbers):
            reason = self._refusal(verb, row)
            if reason is None:
                self.taken.append(row)
            else:
                self.refused[reason] += 1
        self.late = _gone_after(connection, self.taken) if verb is Verb.RETRY else []
        self._sent_again = verb is Verb.RETRY

    @staticmethod
    def _refusal(verb: Verb, row: _Row) -> str | None:
        if verb is Verb.RETRY and row.taken_back:
            return None
        if row.state not in _TAKES[verb]:
            return _WHY.get(State(row.state), row.state)
        return _MALFORMED if verb is Verb.RETRY and row.malformed else None

    def decision(self) -> Decision:
        return Decision(
            entries=len(self.taken),
            possibly_twice=sum(row.sends > 0 and self._sent_again for row in self.taken),
            out_of_order=len(self.late),
            refused=dict(self.refused),
            numbers=tuple(row.seq for row in self.taken),
        )


def _rows(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[_Row]:
    return [_Row(*row) for row in connection.execute(_BY_NUMBER, (json.dumps(numbers),)).fetchall()]


def _gone_after(connection: sqlite3.Connection, rows: Sequence[_Row]) -> list[int]:
    """The numbers of those after which later ones of their profile went already."""
    if not rows:
        return []
    latest = {
        tuple(owner): (sent or 0, perhaps)
        for *owner, sent, perhaps in connection.execute(_LATEST_GONE, {"seq": rows[0].seq}).fetchall()
    }
    late = []
    for row in rows:
        sent, perhaps = latest.get(row.owner, (0, 0))
        # What is in doubt may have gone; but of two in doubt the later one goes after the earlier, again.
        if row.seq < (sent if row.state == State.IN_DOUBT else perhaps):
            late.append(row.seq)
    return late


def _take_up(connection: sqlite3.Connection, rows: Sequence[_Row], late: Sequence[int]) -> None:
    again = _place(connection)
    for state in (State.PENDING, State.WAITING):
        numbers = [row.seq for row in rows if again(row) is state]
        connection.execute(_TAKE_UP, (state, json.dumps(numbers)))
    connection.execute(_MARK_OUT_OF_ORDER, (json.dumps(late),))
    marked = set(late)
    newly = sum(row.seq in marked and not row.out_of_order for row in rows)
    count(connection, "out_of_order", newly)
    for row in rows:
        _recount(connection, row.state, again(row))


def _place(connection: sqlite3.Connection) -> Callable[[_Row], State]:
    """What an entry that is to be sent becomes: pending above its lane's cursor, waiting below it.

    A range that is being sent right now is as good as below: what is pending in it, its request carries.
    """
    cursors = dict(connection.execute(_CURSORS).fetchall())
    for lane, first, last in connection.execute(_OPEN_RANGES).fetchall():
        if first > cursors.get(lane, 0):
            cursors[lane] = last

    def place(row: _Row) -> State:
        return State.PENDING if row.seq > cursors.get(row.lane, 0) else State.WAITING

    return place


def _give_up(connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
    connection.execute(_GIVE_UP, (json.dumps([row.seq for row in rows]),))
    for row in rows:
        _recount(connection, row.state, State.DISCARDED)
    for lane, owners in _owners(row for row in rows if row.state == State.IN_DOUBT).items():
        break_runs(connection, lane, owners)
    erase_ended(connection)


def _owners(rows: Iterable[_Row]) -> dict[str, set[Owner]]:
    """By lane: whose entries these are."""
    owners: dict[str, set[Owner]] = defaultdict(set)
    for row in rows:
        owners[row.lane].add((row.group_key, row.profile))
    return owners


def _let_go_on(connection: sqlite3.Connection, rows: Sequence[_Row], alike: int) -> None:
    """Profiles that are held by nothing any more go on, and so do lanes that were paused."""
    by_lane = _owners(rows)
    for lane, owners in by_lane.items():
        end_waits_of(connection, lane, owners, holds_only=True)
    connection.execute(_TRY_PAUSED, (alike, json.dumps(sorted(by_lane))))


def _recount(connection: sqlite3.Connection, was: str, becomes: State) -> None:
    moved(connection, {State(was): -1})
    moved(connection, {becomes: 1})


def edit(connection: sqlite3.Connection, seq: int, message: Any, *, token: str, now: float) -> None:
    """Give an entry another message, inside the caller's transaction; it is to be sent again.

    Raises:
        InvalidOperation: The message could never be accepted, or is about something else.
        JournalError: There is no such entry, or it cannot be edited any more.
    """
    rows = _rows(connection, [seq])
    if not rows:
        raise JournalError(f"there is no entry {seq:,}", hint="`restante entries` lists them.")
    row = rows[0]
    if row.state not in _EDITABLE:
        raise JournalError(f"entry {seq:,} cannot be edited: {_WHY.get(State(row.state), row.state)}")
    text, operator, group_key, profile = _edited(connection, row, message, token, now)
    connection.execute(_REWRITE, (text, operator, group_key, profile, seq))
    if row.state in {State.REJECTED, State.IN_DOUBT}:
        _take_up(connection, [row], _gone_after(connection, [row]))
        if row.state == State.IN_DOUBT:
            break_runs(connection, row.lane, {(row.group_key, row.profile)})
    _let_go_on(connection, [row], 0)


def _edited(
    connection: sqlite3.Connection, row: _Row, message: Any, token: str, now: float
) -> tuple[str, str | None, str | None, str | None]:
    (before,) = connection.execute(_MESSAGE, (row.seq,)).fetchone()
    new = as_edited(
        Lane(row.lane), (row.group_key, row.profile), json.loads(before), message, token=token, now=now
    )
    return new.message, new.operator, new.group_key, new.profile


def as_edited(
    lane: Lane,
    owner: tuple[str | None, str | None],
    before: Mapping[str, Any],
    message: Any,
    *,
    token: str,
    now: float,
) -> NewEntry:
    """What an entry becomes with another message; pure, so that it can be told before anything is asked or done.

    Args:
        lane: The entry's.
        owner: Its group key and profile.
        before: The message that it has.
        message: The other one.
        token: The project's.
        now: When, in seconds since the epoch.

    Raises:
        InvalidOperation: The message could never be accepted, or is about something else.
    """
    if not isinstance(message, dict):
        raise InvalidOperation("message", "is no JSON object")
    intake = Intake(token)
    if lane not in {Lane.PEOPLE, Lane.GROUPS}:
        rows = [intake.event(lane, message, now)]
    else:
        stamp = before.get("$time")  # it happened when it was recorded
        rows = intake.rows(lane, message if stamp is None else {"$time": stamp, **message}, now)
    if len(rows) != 1:
        raise InvalidOperation("message", f"has {len(rows)} operators; an entry has one")
    new = rows[0]
    if owner[1] is not None and (new.group_key, new.profile) != owner:
        raise InvalidOperation("message", "is about another profile than the entry", hint=_KEEP)
    return new


_KEEP = "Keep the identity; record another operation for another profile."
