"""Frozen data about a journal: entries, attempts, accounts, and the results of shipping and maintenance.

Apart from `recorder.model.entries`, because a program that only records needs none of it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from recorder.model.entries import AttemptOutcome, State
from recorder.model.operations import Lane

__all__ = [
    "Attempt",
    "AttemptGroup",
    "Baseline",
    "Entry",
    "EntryRow",
    "FailureGroup",
    "Fenced",
    "Flow",
    "Forgotten",
    "Hold",
    "ProfileCount",
    "ProfileState",
    "Pruned",
    "Readback",
    "Statistics",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One operation in the journal.

    Attributes:
        seq: Its number: 1, 2, 3 … in the order of recording, without gaps.
        lane: Its lane.
        group_key: A group's key; None for a user's profile.
        profile: The profile's or group's id.
        operator: Such as ``$set``; None for events, imports and messages rejected for not having exactly one.
        message: The update as the service gets it, without the project's token.
        recorded_at: Seconds since the epoch.
        state: Its state.
        attempt: The attempt that settled it last.
        sends: How many requests that may have been applied carried it.
        reason: The reason it was rejected or set aside.
        possibly_twice: It was sent again after an unknown outcome, and may have been applied twice.
        hazardous: Sending it again may apply it twice; see `recorder.model.hazards`.
        out_of_order: Later ones of its profile were sent before it.
    """

    seq: int
    lane: Lane
    group_key: str | None
    profile: str | None
    operator: str | None
    message: Mapping[str, Any]
    recorded_at: float
    state: State
    attempt: int | None
    sends: int
    reason: str | None
    possibly_twice: bool
    hazardous: bool = False
    out_of_order: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Cause that keeps a profile's entries from being sent now.

    Attributes:
        behind: The number of the entry whose outcome is to be known, or decided about, first.
        by_person: It waits until a person decides, rather than for a time.
        until: When the wait for its outcome ends, in seconds since the epoch; None where a person decides.
    """

    behind: int
    by_person: bool
    until: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request, or several alike in a row that failed the same way.

    Attributes:
        id: Its number.
        lane: Lane of the entries it carried.
        first: The lowest entry number it carried.
        last: The highest entry number it carried.
        entries: How many entries it carried.
        updates: How many updates these made: fewer where they were folded.
        bytes: The size of its body.
        digest: The first 16 hexadecimal digits of the body's SHA-256.
        started_at: When it was written down, before it was sent; seconds since the epoch.
        ended_at: When its outcome was settled; None while it is open.
        outcome: Its outcome; None while it is open.
        status: The HTTP status of the answer, if one came.
        words: The service's words, or the error on the way.
        times: How many attempts in a row this row stands for.
    """

    id: int
    lane: Lane
    first: int
    last: int
    entries: int
    updates: int
    bytes: int
    digest: str
    started_at: float
    ended_at: float | None
    outcome: AttemptOutcome | None
    status: int | None
    words: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptGroup:
    """Attempts that failed in the same way.

    Attributes:
        lane: Lane of the entries they carried.
        outcome: Their outcome.
        words: The service's words, or the error on the way.
        status: The HTTP status of the answers, if any came.
        attempts: How many there were.
        first_at: When the first was started, in seconds since the epoch.
        last_at: When the last was settled, in seconds since the epoch.
    """

    lane: Lane
    outcome: AttemptOutcome
    words: str
    status: int | None
    attempts: int
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Entries that were rejected, are in doubt or were lost with the same words.

    Attributes:
        state: Their state.
        words: The service's words, or the error; empty if unknown.
        status: The HTTP status of the answer, if one came.
        entries: How many there are.
        first_at: When the first got into that state, in seconds since the epoch.
        last_at: When the last did.
        first: The lowest number among them.
        last: The highest number among them.
        rest: These failed with several texts, beyond the most that are kept apart.
    """

    state: State
    words: str
    status: int | None
    entries: int
    first_at: float
    last_at: float
    first: int
    last: int
    rest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileCount:
    """A profile that entries name.

    Attributes:
        profile: Its id, or the group's.
        group_key: A group's key; None for a user's profile.
        entries: How many entries name it.
        latest: The highest number among them.
    """

    profile: str
    group_key: str | None
    entries: int
    latest: int


class ProfileState(NamedTuple):
    """Entries of one profile in one state.

    Attributes:
        profile: Its id, or the group's.
        group_key: A group's key; None for a user's profile.
        state: The state.
        entries: How many of its entries are in it.
    """

    profile: str
    group_key: str | None
    state: State
    entries: int


class EntryRow(NamedTuple):
    """Raw row of an entry, without its lane and its marks; see `JournalReader.rows_of`.

    Attributes:
        seq: Its number.
        operator: Such as ``$set``; empty where it has none.
        state: A `State`'s value.
        attempt: The attempt that settled it last.
        recorded_at: Seconds since the epoch.
        message: JSON.
    """

    seq: int
    operator: str
    state: str
    attempt: int | None
    recorded_at: float
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The accounts: at every moment, ``recorded`` is the sum of the integers named after a State.

    Attributes:
        recorded: How many entries were ever recorded.
        possibly_twice: How many may have been applied twice: sent again after an unknown outcome.
        out_of_order: How many were sent after later ones of their profile.
        pruned: How many of all these are no longer kept: they were folded into their profiles' baseline, or given
            up, and are counted for ever.
        bytes: The size of the journal with its write-ahead log.
        oldest_pending_seconds: The age of the oldest entry that is still to be sent; None where there is none.
    """

    recorded: int = 0
    pending: int = 0
    sending: int = 0
    waiting: int = 0
    in_doubt: int = 0
    shipped: int = 0
    rejected: int = 0
    discarded: int = 0
    forgotten: int = 0
    lost: int = 0
    possibly_twice: int = 0
    out_of_order: int = 0
    pruned: int = 0
    bytes: int = 0
    oldest_pending_seconds: float | None = None

    @property
    def kept(self) -> int:
        """Number of entries that still have a row."""
        return self.recorded - self.pruned - self.lost

    @property
    def to_send(self) -> int:
        """Number of entries to be sent or being sent."""
        return self.pending + self.sending + self.waiting

    @property
    def unsent(self) -> int:
        """Number of entries to be sent, being sent or in doubt."""
        return self.to_send + self.in_doubt

    @property
    def adds_up(self) -> bool:
        """True if the accounts balance."""
        return bool(self.recorded == sum(getattr(self, state.value) for state in State))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Recording and shipping in the last hours.

    Attributes:
        seconds: The time that all slices take together.
        recorded: Entries recorded in each slice, the latest last.
        shipped: Entries that the service accepted in each slice, the latest last.
        lately: Entries recorded, and accepted, in the last five minutes.
    """

    seconds: float
    recorded: tuple[int, ...]
    shipped: tuple[int, ...]
    lately: tuple[int, int]

    def backlog(self, unsent: int) -> list[int]:
        """Return how many entries were unsent at the end of each slice, as far as they were not given up since.

        >>> Flow(seconds=3.0, recorded=(5, 2, 1), shipped=(0, 4, 0), lately=(0, 0)).backlog(4)
        [5, 3, 4]
        """
        found = [unsent]
        for recorded, shipped in zip(self.recorded[:0:-1], self.shipped[:0:-1], strict=True):
            found.append(max(found[-1] - recorded + shipped, 0))
        return found[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Profile as its pruned entries left it: the beginning of its history.

    Attributes:
        group_key: The group's key; None for a user's profile.
        profile: The profile's or group's id.
        properties: Its properties; None if it was deleted in the end.
        partly_known: The service may have more than that.
        entries: How many entries were folded into it.
        sends: How many requests that may have been applied carried its pruned entries, given up ones among them; each
            counts once for every entry.
    """

    group_key: str | None
    profile: str
    properties: Mapping[str, Any] | None
    partly_known: bool
    entries: int
    sends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """Result of pruning, or of its preview.

    Attributes:
        entries: How many entries: shipped ones, folded into their profiles' baseline, and given up ones below them.
        attempts: How many attempts that no entry refers to any more; 0 in a preview.
        freed: Bytes by which the journal got smaller.
    """

    entries: int = 0
    attempts: int = 0
    freed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """Result of forgetting a profile, or of its preview.

    Attributes:
        entries: How many entries that name it.
        unsent: How many of them were still to be sent, and will not be.
        in_doubt: How many may have been applied, and nobody will know.
        folded: How many pruned entries its row of the baseline was made of.
        deletion: The number of the ``$delete`` that is to be sent, which is erased once it is shipped; None if there
            is none.
        remnants: Content that an earlier forgetting erased was left in free space of the file, or in the log.
        copies: Files that a salvage left next to the journal, and that may still name it: a person deletes them.
    """

    entries: int = 0
    unsent: int = 0
    in_doubt: int = 0
    folded: int = 0
    deletion: int | None = None
    remnants: bool = False
    copies: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """True if any entry named it."""
        return bool(self.entries or self.folded)

    def counting(self, states: Iterable[State]) -> "Forgotten":
        """Return a copy that counts entries in these states, too."""
        counted = Counter(states)
        return replace(
            self,
            entries=self.entries + counted.total(),
            unsent=self.unsent + counted[State.PENDING] + counted[State.WAITING] + counted[State.SENDING],
            in_doubt=self.in_doubt + counted[State.IN_DOUBT],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fenced:
    """Result of writing fences to the profiles of runs in doubt, without reading them.

    Attributes:
        written: Profiles that have a fence now.
        not_accepted: Profiles to which none could be written.
        cannot_tell: Profiles that will never tell, by the reason.
        waiting: Profiles whose request may still arrive: their fence is to be written later.
    """

    written: int = 0
    not_accepted: int = 0
    cannot_tell: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Readback:
    """Result of settling runs in doubt by what their profiles show.

    Attributes:
        applied: Profiles whose run was applied whole.
        not_applied: Profiles whose run was not applied at all.
        partly: Profiles of whose run a first part was applied.
        entries: Entries that were decided.
        cannot_tell: Profiles that do not tell, by the reason.
        waiting: Profiles that may be asked later: a reading did not show the fence yet, or a request may still arrive.
    """

    applied: int = 0
    not_applied: int = 0
    partly: int = 0
    entries: int = 0
    cannot_tell: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0

    def then(self, later: "Readback") -> "Readback":
        """Return both as one, of which the later call asked again about whatever was left."""
        return replace(self + later, cannot_tell=later.cannot_tell, waiting=later.waiting)

    def __add__(self, other: "Readback") -> "Readback":
        """Return two that are about different profiles as one."""
        names = ("applied", "not_applied", "partly", "entries", "waiting")
        reasons = Counter(self.cannot_tell) + Counter(other.cannot_tell)
        return Readback(
            **{name: getattr(self, name) + getattr(other, name) for name in names}, cannot_tell=dict(reasons)
        )

    @property
    def settled(self) -> int:
        """Profiles whose run was decided."""
        return self.applied + self.not_applied + self.partly
