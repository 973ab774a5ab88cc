"""The entries of one profile, in the order in which they are predicted to apply, and how it stands at each.

Pure. What was shipped comes first, in shipped order; then what is still to be sent, by number. What was rejected or
given up is no part of it, and only counted.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from recorder import Entry, State
from simulator import Profile, Timeline

__all__ = ["History", "Passage", "history_of"]

_ON_ITS_WAY = frozenset({State.PENDING, State.SENDING, State.WAITING, State.IN_DOUBT})


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
        passages: Its entries in the order of the prediction.
        texts: Their messages as JSON.
        aside: How many are no part of it, by state.
        numbers: Of all of them, ascending.
        looked_at: The highest number of the journal when they were looked for.
        version: The journal's version then; see `JournalReader.version`.
    """

    profile: str
    group_key: str | None
    passages: tuple[Passage, ...]
    texts: tuple[str, ...] = field(repr=False)
    aside: Mapping[State, int]
    numbers: tuple[int, ...] = field(repr=False)
    looked_at: int
    version: int
    _timeline: Timeline = field(repr=False, compare=False)
    _turn: threading.Lock = field(
        repr=False, compare=False
    )  # a timeline is not for several threads at a time

    def __len__(self) -> int:
        return len(self.passages)

    @property
    def shipped(self) -> int:
        """How many of them were shipped: the first ones."""
        return sum(passage.state is State.SHIPPED for passage in self.passages)

    def at(self, n: int) -> Profile | None:
        """The profile after its first `n` entries; None where there is none then."""
        with self._turn:
            return self._timeline.at(n)

    def timeline(self) -> Timeline:
        """Its steps, for whoever walks through them all meanwhile."""
        return _timeline(self.profile, self.group_key, self.passages, self.texts)

    def messages(self, n: int) -> list[Any]:
        """The first `n` messages."""
        return [json.loads(text) for text in self.texts[:n]]

    def place(self, seq: int) -> int | None:
        """How many entries there are up to one, itself included; None where it is no part of the history."""
        return next((n for n, passage in enumerate(self.passages, 1) if passage.seq == seq), None)

    def place_before(self, seq: int) -> int:
        """How many entries come before one that is no part of the history: those shipped, and older ones."""
        return sum(passage.state is State.SHIPPED or passage.seq < seq for passage in self.passages)

    def alike(self, other: "History") -> bool:
        """Whether another reading found the same."""
        return (self.passages, self.texts, self.aside) == (other.passages, other.texts, other.aside)

    def moved_on(self, later: "History") -> "History":
        """The same, looked for at a later moment."""
        return replace(self, looked_at=later.looked_at, version=later.version)


def history_of(
    profile: str, group_key: str | None, entries: Iterable[Entry], *, looked_at: int, version: int = 0
) -> History:
    """A profile's history from all its entries.

    >>> entry = Entry(seq=4, lane="people", group_key=None, profile="ada", operator="$set",
    ...     message={"$distinct_id": "ada", "$set": {"plan": "pro"}}, recorded_at=0.0, state=State.PENDING,
    ...     attempt=None, sends=0, reason=None, possibly_twice=False)
    >>> history = history_of("ada", None, [entry], looked_at=4)
    >>> history.shipped, dict(history.at(1))
    (0, {'plan': 'pro'})
    """
    numbers: list[int] = []
    found: list[tuple[Passage, str]] = []
    aside: Counter[State] = Counter()
    for entry in entries:
        numbers.append(entry.seq)
        if entry.state is State.SHIPPED or entry.state in _ON_ITS_WAY:
            text = json.dumps(entry.message, ensure_ascii=False, separators=(",", ":"))
            found.append((_passage(entry), text))
        else:
            aside[entry.state] += 1
    found.sort(key=lambda item: _order(item[0]))
    passages, texts = tuple(passage for passage, _ in found), tuple(text for _, text in found)
    return History(
        profile=profile,
        group_key=group_key,
        passages=passages,
        texts=texts,
        aside=dict(aside),
        numbers=tuple(numbers),
        looked_at=looked_at,
        version=version,
        _timeline=_timeline(profile, group_key, passages, texts),
        _turn=threading.Lock(),
    )


def _passage(entry: Entry) -> Passage:
    return Passage(entry.seq, entry.operator or "", entry.state, entry.attempt, entry.recorded_at)


def _order(passage: Passage) -> tuple[bool, int, int]:
    """As `JournalReader.history_of` orders them."""
    shipped = passage.state is State.SHIPPED
    return (not shipped, (passage.attempt or 0) if shipped else 0, passage.seq)


def _timeline(
    profile: str, group_key: str | None, passages: tuple[Passage, ...], texts: tuple[str, ...]
) -> Timeline:
    return Timeline(profile, texts, group_key=group_key, seqs=[passage.seq for passage in passages])
