"""Decisions about entries: retry, discard, edit.

Decisions change states, never numbers: an entry taken up again goes at its number among what is still to be
sent, and is marked *out of order* where later ones of its profile went before it.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from recorder.journal import attempts, doubt, entries, lanes
from recorder.journal.connection import Connection
from recorder.journal.entries import Decidable, Doubtful, Profile
from recorder.journal.erase import erase_settled
from recorder.model.entries import NewEntry, ReadBack, State
from recorder.model.errors import InvalidOperation, JournalError
from recorder.model.filters import Where, where
from recorder.model.hazards import Update, dropped
from recorder.model.intake import Intake
from recorder.model.operations import Lane

__all__ = [
    "Decision",
    "Undo",
    "Verb",
    "as_edited",
    "decide_all",
    "edit",
    "matching",
    "take_back",
    "undo_of",
    "weigh",
]

_AT_ONCE = 10_000  # entries in a transaction: others record in between


class Verb(StrEnum):
    """Decisions that take all entries that match a filter."""

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
    """Effect of a decision.

    Attributes:
        entries: How many entries it takes.
        possibly_twice: How many of them may have been applied already, so that sending them may apply them twice.
        out_of_order: How many of them go after later ones of their profile.
        counted: How many of them are in doubt from a counted request: `Journal.settle` may tell what was applied.
        harmless: Those in doubt that leave their profile the same when sent again, whether they were applied or not.
        refused: Why it does not take others that match, and how many.
        numbers: Those that it takes, ascending.
    """

    entries: int = 0
    possibly_twice: int = 0
    out_of_order: int = 0
    counted: int = 0
    harmless: tuple[int, ...] = ()
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
            counted=sum(part.counted for part in parts),
            harmless=tuple(sorted({seq for part in parts for seq in part.harmless})),
            refused=dict(refused),
            numbers=tuple(sorted({seq for part in parts for seq in part.numbers})),
        )


def matching(connection: sqlite3.Connection, condition: Where) -> Iterator[list[int]]:
    """Yield the numbers of the entries that match a filter, in chunks for one transaction each."""
    numbers = entries.matching(connection, condition)
    for start in range(0, len(numbers), _AT_ONCE):
        yield numbers[start : start + _AT_ONCE]


def weigh(connection: sqlite3.Connection, verb: Verb, numbers: Sequence[int]) -> Decision:
    """Return the effect of a decision about these entries; nothing is written."""
    return _Weighed(connection, verb, numbers).decision()


def decide_all(journal: Connection, verb: Verb, filter: str | Sequence[str], now: float) -> Decision:
    """Decide about all entries that match a filter, in as many transactions as that takes."""
    condition = where(filter, now=now)
    with journal.reading() as connection:
        chosen = list(matching(connection, condition))
    parts = []
    for numbers in chosen:
        with journal.transaction() as connection:
            parts.append(_decide(connection, verb, numbers))
    return Decision.sum(parts)


def _decide(connection: sqlite3.Connection, verb: Verb, numbers: Sequence[int]) -> Decision:
    """Decide about these entries, inside the caller's transaction."""
    weighed = _Weighed(connection, verb, numbers)
    if weighed.taken:
        if verb is Verb.RETRY:
            _take_up(connection, weighed.taken, weighed.late, weighed.harmless)
        else:
            _give_up(connection, weighed.taken)
        _resume(connection, weighed.taken, lanes.NEVER_PAUSE if verb is Verb.RETRY else 0)
    return weighed.decision()


class _Weighed:
    """Entries that match: those that a decision takes, and the others with the reason."""

    def __init__(self, connection: sqlite3.Connection, verb: Verb, numbers: Sequence[int]) -> None:
        self.taken: list[Decidable] = []
        self.refused = Counter[str]()
        for row in entries.with_state(connection, numbers):
            reason = _refusal(verb, row)
            if reason is None:
                self.taken.append(row)
            else:
                self.refused[reason] += 1
        self.late = _overtaken(connection, self.taken) if verb is Verb.RETRY else []
        self._sent_again = verb is Verb.RETRY
        self.harmless = _harmless(connection, self.taken, self.late) if verb is Verb.RETRY else ()
        self._counted = attempts.counted(connection, [row.seq for row in self.taken])

    def decision(self) -> Decision:
        return Decision(
            entries=len(self.taken),
            possibly_twice=sum(row.sends > 0 and self._sent_again for row in self.taken) - len(self.harmless),
            out_of_order=len(self.late),
            counted=self._counted,
            harmless=self.harmless,
            refused=dict(self.refused),
            numbers=tuple(row.seq for row in self.taken),
        )


def _harmless(
    connection: sqlite3.Connection, rows: Sequence[Decidable], late: Sequence[int]
) -> tuple[int, ...]:
    """Return the entries in doubt after whose repetition their profile is the same whether they were applied or not.

    Of a run of which only a part is taken, or may be repeated, none that shares a property with the rest. None that
    comes after later ones of its profile: a repeated set once would find what those left.
    """
    taken, found = {row.seq for row in rows}.difference(late), list[int]()
    for lane, owners in _owners(row for row in rows if row.state == State.IN_DOUBT).items():
        runs: dict[Profile, list[Doubtful]] = defaultdict(list)
        for entry in entries.doubtful(connection, lane):
            if entry.owner in owners:
                runs[entry.owner].append(entry)
        for run in runs.values():
            texts = entries.message_of(connection, [entry.seq for entry in run])
            marked = {place for place, each in enumerate(run) if each.hazardous or each.seq not in taken}
            gone = dropped([Update.read(*text) for text in texts], frozenset(marked))
            found += (entry.seq for place, entry in enumerate(run) if place not in gone)
    return tuple(sorted(found))


def _refusal(verb: Verb, row: Decidable) -> str | None:
    if verb is Verb.RETRY:
        if row.state == State.WAITING and row.reason not in {None, ReadBack.NOT_APPLIED}:
            return None  # rejected like many others: it waits until a person has looked why
        if row.state == State.REJECTED and row.attempt is None:
            return _MALFORMED
    return None if row.state in _TAKES[verb] else _WHY.get(State(row.state), row.state)


def _overtaken(connection: sqlite3.Connection, rows: Sequence[Decidable]) -> list[int]:
    """Return the numbers of entries after which later ones of their profile were sent."""
    if not rows:
        return []
    latest = entries.latest_gone(connection, rows[0].seq, list({row.profile for row in rows}))
    late = []
    for row in rows:
        sent, perhaps = latest.get(row.owner, (0, 0))
        # An entry in doubt may have been sent; but of two in doubt the later one goes after the earlier, again.
        if row.seq < (sent if row.state == State.IN_DOUBT else perhaps):
            late.append(row.seq)
    return late


def _take_up(
    connection: sqlite3.Connection,
    rows: Sequence[Decidable],
    late: Sequence[int],
    harmless: Sequence[int] = (),
) -> None:
    ends = _ends(connection)
    above = [row.seq > ends.get(row.lane, 0) for row in rows]
    entries.take_up(
        connection, [row for row, up in zip(rows, above, strict=True) if up], State.PENDING, harmless
    )
    entries.take_up(
        connection, [row for row, up in zip(rows, above, strict=True) if not up], State.WAITING, harmless
    )
    marked = set(late)
    newly = sum(row.seq in marked and not row.out_of_order for row in rows)
    entries.mark_out_of_order(connection, late, newly)


def _ends(connection: sqlite3.Connection) -> dict[str, int]:
    """Return per lane the number above which an entry that is taken up is pending, and below which it waits.

    That is the cursor, or the end of a range that is being sent: its request carries what is pending in it.
    """
    ends = lanes.cursors(connection)
    for lane, first, last in attempts.open_ranges(connection):
        if first > ends.get(lane, 0):
            ends[lane] = last
    return ends


def _give_up(connection: sqlite3.Connection, rows: Sequence[Decidable]) -> None:
    entries.discard(connection, rows)
    for lane, owners in _owners(row for row in rows if row.state == State.IN_DOUBT).items():
        doubt.break_runs(connection, lane, owners)
    erase_settled(connection)


def _owners(rows: Iterable[Decidable]) -> dict[str, set[Profile]]:
    owners: dict[str, set[Profile]] = defaultdict(set)
    for row in rows:
        owners[row.lane].add(row.unit)
    return owners


def _resume(connection: sqlite3.Connection, rows: Sequence[Decidable], alike: int) -> None:
    """Let profiles go on that nothing holds any more, and lanes that were paused."""
    by_lane = _owners(rows)
    for lane, owners in by_lane.items():
        doubt.decided(connection, lane, owners)
    lanes.retry_paused_anew(connection, by_lane, alike)


@dataclass(frozen=True, slots=True)
class Undo:
    """Entries as they stand before a discard; see `Journal.take_back`.

    Attributes:
        rows: The entries, by number.
        held: Lane and profile of those that are held for a person.
    """

    rows: tuple[Decidable, ...]
    held: frozenset[tuple[str, Profile]]


def undo_of(connection: sqlite3.Connection, numbers: Sequence[int]) -> Undo:
    """Return what takes a discard of these entries back."""
    rows = entries.with_state(connection, numbers)
    held = {(lane, owner) for lane in {row.lane for row in rows} for owner in doubt.held(connection, lane)}
    return Undo(tuple(rows), frozenset(held))


def take_back(connection: sqlite3.Connection, undo: Undo) -> Decision:
    """Give discarded entries their earlier state again, inside the caller's transaction.

    Those whose lane has gone on go as after a retry. The rest of a run in doubt that the discard broke stays hazardous.
    """
    found = {row.seq: row for row in entries.with_state(connection, [row.seq for row in undo.rows])}
    before = [row for row in undo.rows if _untouched(row, found.get(row.seq))]
    to_send = [found[row.seq] for row in before if row.state in {State.PENDING, State.WAITING}]
    late = _overtaken(connection, to_send)
    _take_up(connection, to_send, late)
    for state in (State.REJECTED, State.IN_DOUBT):
        entries.move(connection, [row.seq for row in before if row.state == state], State.DISCARDED, state)
    entries.restore(connection, before)
    for lane, owners in _owners(row for row in before if row.state == State.IN_DOUBT).items():
        held = [row for row in before if row.unit in owners and (lane, row.unit) in undo.held]
        doubt.hold_again(connection, lane, {row.unit: row.seq for row in reversed(held)})
        doubt.decide_settled(connection, lane)
    refused = len(undo.rows) - len(before)
    return Decision(
        entries=len(before),
        out_of_order=len(late),
        refused={_CHANGED: refused} if refused else {},
        numbers=tuple(row.seq for row in before),
    )


_CHANGED = "not discarded any more, or something happened before it was"


def _untouched(before: Decidable, now: Decidable | None) -> bool:
    """Return True if an entry was discarded as it stood, and nothing has happened to it since."""
    return (
        now is not None
        and now.state == State.DISCARDED
        and (now.attempt, now.sends) == (before.attempt, before.sends)
    )


def edit(connection: sqlite3.Connection, seq: int, message: Any, *, token: str, now: float) -> None:
    """Give an entry another message, inside the caller's transaction; it will be sent again.

    Raises:
        InvalidOperation: The message could never be accepted, or is about something else.
        JournalError: There is no such entry, or it cannot be edited any more.
    """
    rows = entries.with_state(connection, [seq])
    if not rows:
        raise JournalError(f"there is no entry {seq:,}", hint="`restante entries` lists them.")
    row = rows[0]
    if row.state not in _EDITABLE:
        raise JournalError(f"entry {seq:,} cannot be edited: {_WHY.get(State(row.state), row.state)}")
    ((_, before),) = entries.message_of(connection, [seq])
    owner = row.group_key, row.profile
    new = as_edited(Lane(row.lane), owner, json.loads(before), message, token=token, now=now)
    entries.edit_message(connection, seq, new)
    if row.state in {State.REJECTED, State.IN_DOUBT}:
        _take_up(connection, [row], _overtaken(connection, [row]))
        if row.state == State.IN_DOUBT:
            doubt.break_runs(connection, row.lane, {row.unit})
    _resume(connection, [row], 0)


def as_edited(
    lane: Lane,
    owner: tuple[str | None, str | None],
    before: Mapping[str, Any],
    message: Any,
    *,
    token: str,
    now: float,
) -> NewEntry:
    """Return what an entry becomes with another message; pure, so that it can be checked before anything is asked.

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
        raise InvalidOperation("message", "is not a JSON object")
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
