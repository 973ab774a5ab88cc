"""The entries of one profile, in the order in which they are predicted to apply, and how it stands at each.

Pure. It begins with what entries that were pruned made of the profile. What was shipped comes first, in shipped order;
then what is still to be sent, by number. What was rejected or given up is no part of it, and only counted.
"""

import json
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recorder import State
from recorder.model.dialect import of_recorded
from recorder.model.entries import UNSENT
from recorder.model.reports import Baseline, EntryRow
from simulator import Profile, Start, Timeline
from tui.text.format import count

__all__ = ["History", "Passage", "Stopped", "applied_to", "history_of", "note_of", "opening", "start_of"]

_AT_A_TIME = 200  # messages that are applied: some milliseconds


class Stopped(Exception):
    """A long computation was stopped: nothing waits for its result any more."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One entry of a profile's history, without its message.

    Attributes:
        seq: The entry's number.
        operator: Such as ``$set``.
        state: Where it stands.
        attempt: The attempt that settled it last.
        recorded_at: Seconds since the epoch.
    """

    seq: int
    operator: str
    state: State
    attempt: int | None
    recorded_at: float


@dataclass(frozen=True, slots=True)
class History:
    """A profile's entries, and how it stands after each.

    Attributes:
        profile: Its id, or the group's.
        group_key: A group's key; None for a user's profile.
        start: What its pruned entries made of it; None where none was pruned.
        passages: Its entries that are kept, in the order of the prediction.
        texts: Their messages as JSON.
        shipped: How many of them were shipped: the first ones.
        aside: How many are no part of it, by state.
        numbers: Of all of them, ascending.
        looked_at: The highest number of the journal when they were looked for.
        version: The journal's version when all of them were read; see `JournalReader.version`.
        rows: All of them, as they are written down.
    """

    profile: str
    group_key: str | None
    start: Start | None = field(repr=False)
    passages: tuple[Passage, ...]
    texts: tuple[str, ...] = field(repr=False)
    shipped: int
    aside: Mapping[State, int]
    numbers: tuple[int, ...] = field(repr=False)
    looked_at: int
    version: int
    rows: tuple[EntryRow, ...] = field(repr=False)
    _timeline: Timeline = field(repr=False, compare=False)
    _turn: threading.Lock = field(
        repr=False, compare=False
    )  # a timeline is not for several threads at a time

    def __len__(self) -> int:
        return len(self.passages)

    @property
    def pruned(self) -> int:
        """The number of entries that were folded into its beginning."""
        return self.start.entries if self.start is not None else 0

    def at(self, n: int) -> Profile | None:
        """Return the profile after its first `n` entries; None if there is none then."""
        with self._turn:
            return self._timeline.at(n)

    def held(self, n: int, stop: Callable[[], bool] = lambda: False) -> tuple[Mapping[str, Any] | None, bool]:
        """Return the same without a copy, not to be changed, and True if it is partly known.

        Raises:
            Stopped: `stop`, which is asked every few milliseconds, returned True.
        """
        with self._turn:
            for upto in range(self._timeline.begins(n), n, _AT_A_TIME):
                if stop():
                    raise Stopped
                self._timeline.properties(upto)
            return self._timeline.properties(n)

    def timeline(self, before: Timeline | None = None) -> Timeline:
        """Return the steps, for a walk through all of them.

        Args:
            before: One of an earlier reading, whose work is not done again where both begin alike.
        """
        seqs = [passage.seq for passage in self.passages]
        if before is not None:
            return before.continued(self.texts, seqs=seqs)
        return Timeline(
            self.profile, self.texts, of_recorded(), group_key=self.group_key, seqs=seqs, start=self.start
        )

    def same(self, other: "History") -> bool:
        """Return True if it is the same reading, confirmed or not."""
        return self._timeline is other._timeline  # noqa: SLF001  # its own kind

    def common(self, other: "History") -> int:
        """Return the number of entries with which both begin, to the same effect."""
        if self.start != other.start:
            return 0
        if self.texts[: len(other.texts)] == other.texts:
            return len(other.texts)
        pairs = enumerate(zip(self.texts, other.texts, strict=False))
        return next((n for n, (one, another) in pairs if one != another), min(len(self), len(other)))

    def messages(self, n: int) -> list[Any]:
        """Return the first `n` messages; before them one that stands for the pruned entries, if there are any."""
        first = opening(self.profile, self.group_key, self.start)
        return [*first, *map(json.loads, self.texts[:n])]

    def place(self, seq: int) -> int | None:
        """Return the place of an entry, from 1; None if it is no part of the history."""
        return next((n for n, passage in enumerate(self.passages, 1) if passage.seq == seq), None)

    def place_before(self, seq: int) -> int:
        """Return how many entries come before one that is no part of the history."""
        return sum(passage.state is State.SHIPPED or passage.seq < seq for passage in self.passages)

    def contains(self, seq: int) -> bool:
        """Return True if an entry is kept, even if it is no part of the history."""
        at = bisect_left(self.numbers, seq)
        return at < len(self.numbers) and self.numbers[at] == seq

    def moved_on(self, *, looked_at: int, version: int) -> "History":
        """Return the same history, confirmed at a later moment."""
        return replace(self, looked_at=looked_at, version=version)


def history_of(
    profile: str,
    group_key: str | None,
    rows: Iterable[EntryRow],
    *,
    looked_at: int,
    version: int = 0,
    start: Start | None = None,
    known: History | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> History:
    """Make a profile's history from all its entries.

    Args:
        profile: Its id, or the group's.
        group_key: A group's key; None for a user's profile.
        rows: Its entries.
        looked_at: The journal's highest number.
        version: The journal's version.
        start: What its pruned entries made of it.
        known: What was read before: its work is not done again.
        stop: See `History.held`.

    >>> row = EntryRow(4, "$set", "pending", None, 0.0, '{"$distinct_id":"ada","$set":{"plan":"pro"}}')
    >>> history = history_of("ada", None, [row], looked_at=4)
    >>> history.shipped, dict(history.at(1))
    (0, {'plan': 'pro'})
    """
    rows = tuple(rows)
    if known is not None and known.start != start:
        known = None
    before = known if known is not None and _only_grown(known.rows, rows) else None
    passages, texts, aside = _split(rows[len(before.rows) :] if before is not None else rows, stop)
    if before is not None:
        passages, texts, aside = before.passages + passages, before.texts + texts, before.aside
    return History(
        profile=profile,
        group_key=group_key,
        start=start,
        passages=passages,
        texts=texts,
        shipped=sum(passage.state is State.SHIPPED for passage in passages),
        aside=aside,
        numbers=tuple(row.seq for row in rows),
        looked_at=looked_at,
        version=version,
        rows=rows,
        **_applied(profile, group_key, passages, texts, start, known),
    )


def _only_grown(before: tuple[EntryRow, ...], rows: tuple[EntryRow, ...]) -> bool:
    """Return True if the only difference are entries that go behind all others, as most often."""
    return rows[: len(before)] == before and all(row.state in UNSENT for row in rows[len(before) :])


def _split(
    rows: Sequence[EntryRow], stop: Callable[[], bool]
) -> tuple[tuple[Passage, ...], tuple[str, ...], Mapping[State, int]]:
    """Return the entries that are predicted to apply, in order, their messages, and how many others there are."""
    aside: Counter[State] = Counter()
    found: list[tuple[Passage, str]] = []
    for number, row in enumerate(rows):
        if number % _AT_A_TIME == 0 and stop():
            raise Stopped
        state = State(row.state)
        if state is State.SHIPPED or state in UNSENT:
            found.append((Passage(row.seq, row.operator, state, row.attempt, row.recorded_at), row.message))
        else:
            aside[state] += 1
    found.sort(key=lambda item: _order(item[0]))
    return tuple(passage for passage, _ in found), tuple(text for _, text in found), dict(aside)


def _order(passage: Passage) -> tuple[bool, int, int]:
    """Return the key by which `JournalReader.history_of` orders entries, too."""
    shipped = passage.state is State.SHIPPED
    return (not shipped, (passage.attempt or 0) if shipped else 0, passage.seq)


def _applied(
    profile: str,
    group_key: str | None,
    passages: Sequence[Passage],
    texts: tuple[str, ...],
    start: Start | None,
    known: History | None,
) -> dict[str, Any]:
    """Return the timeline and its lock; continuing another one takes that one's lock."""
    seqs = [passage.seq for passage in passages]
    if known is None:
        timeline = Timeline(profile, texts, of_recorded(), group_key=group_key, seqs=seqs, start=start)
    else:
        with known._turn:  # noqa: SLF001  # of the same class's making
            timeline = known._timeline.continued(texts, seqs=seqs)  # noqa: SLF001
    return {"_timeline": timeline, "_turn": threading.Lock()}


def applied_to(
    profile: str,
    group_key: str | None,
    state: Mapping[str, Any] | None,
    texts: Sequence[str],
    *,
    partly_known: bool = False,
) -> Timeline:
    """Return the timeline of messages, given as JSON, that come upon a state of a profile, which stays as it is."""
    start = Start(None if state is None else dict(state), partly_known, entries=0)
    return Timeline(profile, texts, of_recorded(), group_key=group_key, start=start)


# --- what was pruned


def start_of(kept: Baseline | None) -> Start | None:
    """Return the beginning of a history; None if no entry was folded."""
    if kept is None or not kept.entries:
        return None
    properties = None if kept.properties is None else dict(kept.properties)
    return Start(properties, kept.partly_known, kept.entries)


def opening(profile: str, group_key: str | None, start: Start | None) -> list[dict[str, Any]]:
    """Return a message that makes a profile as its pruned entries did, or none if they left none.

    >>> opening("ada", None, Start({"visits": 3}, partly_known=False, entries=2))
    [{'$distinct_id': 'ada', '$set': {'visits': 3}}]
    """
    if start is None or start.properties is None:
        return []
    whose = (
        {"$distinct_id": profile} if group_key is None else {"$group_key": group_key, "$group_id": profile}
    )
    return [{**whose, "$set": start.properties}]


def note_of(start: Start | None) -> str:
    """Return a sentence about the beginning of a copied test; nothing if nothing was pruned.

    >>> note_of(Start({}, partly_known=False, entries=400))
    'The first message stands for 400 entries that were pruned.'
    >>> note_of(Start(None, partly_known=True, entries=1))
    '1 entry was pruned and left no profile. It was not simulated whole: the service may hold more.'
    """
    if start is None:
        return ""
    pruned = count(start.entries, "entry", "entries")
    were = "was" if start.entries == 1 else "were"
    left = (
        f"{pruned} {were} pruned and left no profile."
        if start.properties is None
        else f"The first message stands for {pruned} that {were} pruned."
    )
    partly = " It was not simulated whole: the service may hold more." if start.partly_known else ""
    return left + partly
