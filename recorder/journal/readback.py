"""Settling runs in doubt by what their profiles show, for requests that were counted.

Each run was carried by one request. A *fence*, written to the profile once the request can no longer be applied, shows
in a reading that this is not older; then `recorder.model.told` says which entries were applied. Nothing is kept between
the steps: after a kill at any of them, the next call begins anew.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from recorder.journal import attempts, baseline, doubt, entries, project, shipper
from recorder.journal.attempts import InDoubt
from recorder.journal.connection import Connection
from recorder.journal.copies import copy_reason, current_home
from recorder.journal.entries import Profile
from recorder.journal.erase import erase_settled
from recorder.journal.uptime import Uptime
from recorder.model.counting import FENCE, Counting
from recorder.model.entries import ReadBack, State
from recorder.model.errors import JournalError, RestanteError
from recorder.model.hazards import Update
from recorder.model.intake import token_prefix
from recorder.model.json_value import MAX_UPDATE_BYTES, compact
from recorder.model.operations import Lane, Operator
from recorder.model.reports import Fenced, Readback
from recorder.model.told import Past, Run, known_count, told, untold

__all__ = ["MOST_PROFILES", "Profiles", "settle", "settle_decisions", "write_fences"]

MOST_PROFILES = 1_000
"""Most profiles in one reading."""

_WITNESSES = 20


class Profiles(Protocol):
    """The profiles at the service: written and read by `Journal.settle`."""

    def write(self, body: bytes) -> bool:
        """Send updates, a JSON array; return True if they were accepted."""

    def read(self, ids: Sequence[str], properties: Sequence[str]) -> Mapping[str, Mapping[str, Any] | None]:
        """Return these properties of profiles by id; None, or no member, for a profile that is not shown.

        Args:
            ids: At most `MOST_PROFILES`, and some more.
            properties: Their names.
        """


class Held(NamedTuple):
    """A profile's run in doubt that waits to be decided about.

    Attributes:
        profile: Its id.
        attempt: The request that carried it.
        epoch: Of the shipper that made the request.
        digest: Of the request's body.
        run: Its entries; None if the profile cannot tell of it.
        numbers: Their numbers.
        reason: Why it cannot tell.
    """

    profile: str
    attempt: int
    epoch: int
    digest: str
    run: Run | None
    numbers: tuple[int, ...]
    reason: str = ""


class Reading(NamedTuple):
    """Profiles as a reading shows them.

    Attributes:
        shown: Their properties by id; None, or no member, for a profile that is not shown.
        merged: Ids that were merged with another one: the profile has both their counts.
    """

    shown: Mapping[str, Mapping[str, Any] | None]
    merged: AbstractSet[str] = frozenset()


def held(connection: sqlite3.Connection, uptime: Uptime) -> tuple[list[Held], int]:
    """Return the runs in doubt that may be decided now, by number, and how many profiles still settle.

    Harmless ones are not among them: they are sent again without a decision.
    """
    due, _ = doubt.over(connection, Lane.PEOPLE, uptime)
    identity = project.identity(connection)
    runs: dict[Profile, list[InDoubt]] = defaultdict(list)
    for entry in attempts.in_doubt(connection):
        runs[None, entry.profile].append(entry)
    unsure = {owner: run for owner, run in runs.items() if any(entry.hazardous for entry in run)}
    found = [_held(run, identity) for owner, run in unsure.items() if owner in due]
    return found, len(unsure) - len(found)


def _held(run: list[InDoubt], identity: str) -> Held:
    newest = max(run, key=lambda entry: entry.attempt)
    numbers = tuple(entry.seq for entry in run)
    place = run[0].profile, newest.attempt, newest.epoch or 0, newest.digest or ""
    if newest.counted is None:
        return Held(*place, None, numbers, "sent without being counted: retry or discard")
    counting = Counting.read(newest.counted, identity)
    updates = [(entry.seq, Update.read(entry.operator, entry.message)) for entry in run]
    shows = [counting.shows(update) for _, update in updates]
    again = any(
        entry.sends > 1 and (shown or entry.possibly_twice) for entry, shown in zip(run, shows, strict=True)
    )
    if again or any(entry.attempt != newest.attempt for entry in run):
        return Held(*place, None, numbers, "parts of it were sent again")
    if not any(shows) and all(entry.operator != Operator.DELETE for entry in run):
        return Held(*place, None, numbers, "neither counted nor marked")
    return Held(*place, Run(counting, updates), numbers)


# --- what is asked


def fences(runs: Iterable[Held], token: str) -> Iterator[bytes]:
    """Yield requests with the updates that show in a later reading that no request with these runs came after it."""
    prefix = token_prefix(token)
    texts: list[str] = []
    for one in runs:
        if one.run is not None:
            counting = one.run.counting
            who = {"$distinct_id": one.profile, "$ignore_time": True}
            # Adding 0 proves that the reader sees the counter. It goes first: what shows the fence shows it, too.
            updates = [{**who, "$add": {counting.counter: 0}}] * (counting.counter in one.run.shown)
            updates.append({**who, "$set": {counting.fence: one.attempt}})
            texts.append(",".join(prefix + compact(update)[1:] for update in updates))
    while texts:
        sizes = accumulate(len(text.encode()) + 1 for text in texts)
        several = max(1, sum(size < MAX_UPDATE_BYTES for size in sizes))
        yield f"[{','.join(texts[:several])}]".encode()
        del texts[:several]


def write_fences(connection: Connection, write: Callable[[bytes], bool], uptime: Uptime) -> Fenced:
    """Write fences to the profiles of all runs in doubt; see `recorder.journal.journal.Journal.write_fences`."""
    with connection.reading() as reading:
        runs, settling = held(reading, uptime)
        token = project.token(reading) or ""
    telling = [one for one in runs if one.run is not None]
    counts = Counter[bool]()
    for start in range(0, len(telling), MOST_PROFILES):
        some = telling[start : start + MOST_PROFILES]
        counts[all(write(body) for body in fences(some, token))] += len(some)
    reasons = Counter(one.reason for one in runs if one.run is None)
    return Fenced(
        written=counts[True], not_accepted=counts[False], cannot_tell=dict(reasons), waiting=settling
    )


def witnesses(connection: sqlite3.Connection, properties: Iterable[str]) -> list[str]:
    """Return profiles that are likely to hold such a property: they show whether the reader sees it."""
    return [
        *attempts.appended_lately(connection, _WITNESSES),
        *baseline.holding(connection, properties, _WITNESSES),
    ]


# --- what is told


def settle(connection: Connection, profiles: Profiles, now: float, uptime: Uptime) -> Readback:
    """Write fences, read, decide and write, for all runs in doubt; see `recorder.journal.journal.Journal.settle`."""
    with connection.reading() as reading:
        runs, settling = held(reading, uptime)
    done = Readback(waiting=settling)
    for start in range(0, len(runs), MOST_PROFILES):
        some = runs[start : start + MOST_PROFILES]
        try:
            seen = _read(connection, profiles, [one for one in some if one.run is not None])
        except RestanteError:  # such as too many queries
            if not done.settled:
                raise  # otherwise what was decided is told first, and the next call meets the error again
            return replace(done, waiting=done.waiting + len(runs) - start)
        with connection.transaction(full=True) as writing:
            done += settle_by(writing, uptime, [one.profile for one in some], seen, now)
    return done


def _read(connection: Connection, profiles: Profiles, runs: Sequence[Held]) -> Reading:
    """Write fences to the profiles of runs, and read them; nothing where the fences were not accepted.

    Where some are shown and others are not, those are asked for alone: what is then shown under another id was merged.
    """
    names = {name for one in runs if one.run is not None for name in one.run.shown}
    with connection.reading() as reading:
        others, token = witnesses(reading, names), project.token(reading) or ""
    if not runs or not all(profiles.write(body) for body in fences(runs, token)):
        return Reading({})
    names |= {one.run.counting.fence for one in runs if one.run is not None}
    properties, asked = sorted(names), [one.profile for one in runs]
    shown = profiles.read(list(dict.fromkeys([*asked, *others])), properties)
    missing = [id_ for id_ in asked if not shown.get(id_)]
    if not missing or not any(name.endswith(FENCE) for each in shown.values() for name in each or ()):
        return Reading(shown)
    elsewhere = profiles.read(missing, properties).keys() - {*missing}
    return Reading(shown, elsewhere and elsewhere.union(missing))


def settle_by(
    connection: sqlite3.Connection,
    uptime: Uptime,
    asked: Iterable[str],
    reading: Reading,
    now: float,
) -> Readback:
    """Decide about the runs of these profiles by a reading of them, inside the caller's transaction.

    Args:
        connection: To the journal.
        uptime: Now.
        asked: Ids of profiles to which a fence was written.
        reading: What it shows.
        now: Seconds since the epoch.
    """
    wanted, shown = set(asked), reading.shown
    runs = [one for one in held(connection, uptime)[0] if one.profile in wanted]
    seen = frozenset(name for profile in shown.values() for name in profile or ())
    known = known_counts(connection, [(one.profile, one.run) for one in runs if one.run is not None])
    decided: list[tuple[Held, int]] = []
    reasons = Counter[str]()
    waiting = 0
    for one in runs:
        profile = shown.get(one.profile) or {}
        if one.run is None:
            reasons[one.reason] += 1
        elif one.profile in reading.merged:
            reasons["it was merged with another profile"] += 1
        elif profile.get(one.run.counting.fence) != one.attempt:
            waiting += 1
        elif isinstance(answer := _answer(one.run, known[one.profile], profile, seen), str):
            reasons[answer] += 1
        else:
            decided.append((one, answer))
    done = settle_decided(connection, decided, now)
    return Readback(**done, cannot_tell=dict(reasons), waiting=waiting)


def _answer(run: Run, known: int | None, profile: Mapping[str, Any], seen: frozenset[str]) -> int | str:
    """Return how many entries of a run were applied, or the reason why that cannot be told."""
    counter = run.counting.counter
    if known is None and counter in run.shown:
        return "somebody decided about an earlier entry of it"
    applied = told(run, known or 0, profile)
    if applied is None:
        return untold(run, known or 0, profile)
    hidden = run.shown - seen
    if applied < len(run.entries) and hidden:
        return f"this account may not see {min(hidden)}"
    return applied


def known_counts(connection: sqlite3.Connection, runs: Sequence[tuple[str, Run]]) -> dict[str, int | None]:
    """Return by profile what its counter was before its run; None where that is not known."""
    past: dict[str, list[Past]] = defaultdict(list)
    for profile, entry in attempts.past_of(connection, [profile for profile, _ in runs]):
        past[profile].append(entry)
    known = {}
    for profile, run in runs:
        counter = run.counting.counter
        _, kept = baseline.row_of(connection, (Lane.PEOPLE, None, profile))
        before = kept.counted if kept.counter == counter else 0
        known[profile] = known_count(before, counter, past[profile])
    return known


def settle_decided(
    connection: sqlite3.Connection, decided: Sequence[tuple[Held, int]], now: float
) -> dict[str, int]:
    """Ship the applied first part of each run, and send the rest again, inside the caller's transaction."""
    counts = Counter[str]()
    by_attempt: dict[int, Counter[str]] = defaultdict(Counter)
    for one, applied in decided:
        shipped, rest = one.numbers[:applied], one.numbers[applied:]
        entries.move(connection, shipped, State.IN_DOUBT, State.SHIPPED, ReadBack.APPLIED)
        entries.move(connection, rest, State.IN_DOUBT, State.WAITING)
        entries.mark_unsent(connection, rest)
        doubt.end_all_waits(connection, Lane.PEOPLE, (None, one.profile))
        counts["entries"] += len(one.numbers)
        by_attempt[one.attempt].update(applied=len(shipped), others=len(rest))
        counts["partly" if shipped and rest else "applied" if shipped else "not_applied"] += 1
    for attempt, told_of in by_attempt.items():
        attempts.read_back(connection, attempt, told_of["applied"], told_of["others"], now)
    erase_settled(connection)
    return dict(counts)


def settle_decisions(
    connection: sqlite3.Connection,
    path: Path,
    decisions: Iterable[Mapping[str, Any]],
    now: float,
    uptime: Uptime,
) -> Readback:
    """Take decisions made elsewhere about runs that are in doubt still; see `Journal.settle_decisions`."""
    identity, home = shipper.home(connection)
    if (reason := copy_reason(home, current_home(path, identity))) is not None:
        raise JournalError(
            f"{path.name} takes no decisions, for it may be a copy: {reason}",
            hint="If both are used, entries would be sent twice. If it was moved, ship it once.",
        )
    runs = {one.profile: one for one in held(connection, uptime)[0]}
    answers: dict[str, set[int]] = defaultdict(set)
    reasons = Counter[str]()
    for decision in decisions:
        one = runs.get(decision["profile"])
        if decision["journal"] != identity:
            reasons["about another journal"] += 1
        elif one is None or not _is_about(connection, decision, one):
            reasons["not in doubt any more from that request"] += 1
        elif attempts.decided_in_part(connection, one.attempt, one.profile):
            reasons["somebody decided about a part of it"] += 1
        else:
            answers[one.profile].add(decision["applied"])
    reasons["decided in several ways"] = sum(len(several) > 1 for several in answers.values())
    decided = [(runs[profile], applied) for profile, several in answers.items() for applied in several]
    alone = [(one, applied) for one, applied in decided if len(answers[one.profile]) == 1]
    return Readback(**settle_decided(connection, alone, now), cannot_tell=dict(+reasons))


def _is_about(connection: sqlite3.Connection, decision: Mapping[str, Any], one: Held) -> bool:
    """Return True if a decision is about this run, left in doubt by this very request.

    A shipper may make a request again, byte for byte: then only the attempt's number tells them apart.
    """
    named = (decision["epoch"], decision["digest"], decision.get("attempt", one.attempt))
    return (
        one.run is not None
        and named == (one.epoch, one.digest, one.attempt)
        and ("attempt" in decision or attempts.alike(connection, one.epoch, one.digest) == 1)
        and 0 <= decision["applied"] <= len(one.numbers)
    )
