"""Compare what profiles should be with what the service's export shows, and decide about runs in doubt. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isclose
from typing import Any, Literal, NamedTuple

from fleet.export import BadExport
from fleet.fold import Count, Expected, Result, expected_of
from fleet.rows import Doubt
from recorder.model.counting import MARK
from recorder.model.json_value import json_key
from recorder.model.told import Run, told, untold
from simulator.conformance.order import Agreement

__all__ = ["Decision", "Finding", "Joined", "join"]

_NEARLY = 1e-9


class Finding(NamedTuple):
    """A profile that is not as it should be.

    Attributes:
        profile: The profile's id.
        journals: The journal that says so, or several that say so together.
        finding: Entries that were counted are missing in it, or are there twice; or a property differs.
        by: How many entries; None for a property.
        name: The property; None for what a counter tells, and where the export does not show the profile.
        expected: What it should be, in a list of one; an empty list for none.
        shown: What it is, the same.
        counter: What counted; None for what the fold alone says.
        adds: Entries added to the property.
    """

    profile: str
    journals: tuple[str, ...]
    finding: Literal["lost", "doubled", "differs"]
    by: int | None
    name: str | None
    expected: list[Any]
    shown: list[Any]
    counter: str | None
    adds: bool = False

    @property
    def journal(self) -> str:
        """The journals, joined by commas."""
        return ", ".join(self.journals)


class Decision(NamedTuple):
    """Number of entries of a run in doubt that were applied, as `restante settle --decisions` takes it.

    Attributes:
        file: The journal's file.
        journal: Its identity.
        profile: The profile's id.
        epoch: Of the shipper that made the request.
        digest: Of the request's body.
        attempt: The request's number in the journal.
        applied: How many.
        needs: Properties that must be seen somewhere in the export, or their absence is no evidence.
    """

    file: str
    journal: str
    profile: str
    epoch: int
    digest: str
    attempt: int
    applied: int
    needs: frozenset[str]


@dataclass(slots=True)
class Joined:
    """Findings about some profiles; those of others are added.

    Attributes:
        findings: What is wrong.
        decisions: About runs in doubt.
        undecided: Runs about which nothing can be told, by journal and reason.
        uncounted: Profiles whose count the journal does not know, by journal.
        missing: Profiles that a journal has counted on, and that the export does not show, by journal.
        seen: Counters, and properties that tell of runs, that some profile shows.
        profiles: How many of the profiles the export shows.
    """

    findings: list[Finding] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    undecided: Counter[tuple[str, str]] = field(default_factory=Counter)
    uncounted: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)
    profiles: int = 0

    def __add__(self, other: object) -> "Joined":
        """Return both as one."""
        if not isinstance(other, Joined):
            return NotImplemented
        return Joined(
            self.findings + other.findings,
            self.decisions + other.decisions,
            self.undecided + other.undecided,
            self.uncounted + other.uncounted,
            self.missing + other.missing,
            self.seen | other.seen,
            self.profiles + other.profiles,
        )

    def take(self, result: Result, shown: Mapping[str, Any] | None) -> None:
        """Compare one profile; None for one that the export does not show."""
        properties = shown or {}
        self.profiles += shown is not None
        if result.counts:
            # Counters, and lists that may have marks.
            doubts = [count.doubt.run.shown for count in result.counts if count.doubt is not None]
            counters = {count.counter for count in result.counts}
            self.seen |= counters.union(*doubts) & properties.keys()
            self.seen.update(name for name, value in properties.items() if _has_objects(value))
        for count in result.counts:
            self.missing[count.file] += shown is None and bool(count.known)
            if count.doubt is not None:
                self._decide(count, count.doubt, result.profile, properties)
        for count in result.counts:
            if (found := self._count(count, result.profile, properties)) is not None:
                self.findings.append(found)
        expected = expected_of(result)
        if shown is None:
            self.findings += _absent(result, expected)
            return
        for name, one in expected.items():
            self.findings += _differs(result, name, one, shown)

    def _count(self, count: Count, profile: str, properties: Mapping[str, Any]) -> Finding | None:
        present = properties.get(count.counter, 0)
        if count.known is None or type(present) not in {int, float} or present % 1:
            self.uncounted[count.file] += 1
            return None
        if count.doubtful is None and present > count.known:
            self.uncounted[count.file] += 1
            return None
        most = count.known + (count.doubtful or 0)
        if not count.certain or count.known <= present <= most:
            return None
        lost = present < count.known
        by = int(count.known - present if lost else present - most)
        kind: Literal["lost", "doubled"] = "lost" if lost else "doubled"
        expected = count.known if lost else most
        return Finding(profile, (count.file,), kind, by, None, [expected], [present], count.counter)

    def _decide(self, count: Count, doubt: Doubt, profile: str, properties: Mapping[str, Any]) -> None:
        answer = _answer(count, doubt, properties)
        if isinstance(answer, str):
            self.undecided[count.file, answer] += 1
            return
        needs = frozenset() if _all_shown(doubt.run, answer) else doubt.run.shown
        self.decisions.append(
            Decision(
                file=count.file,
                journal=count.identity,
                profile=profile,
                epoch=doubt.epoch,
                digest=doubt.digest,
                attempt=doubt.attempt,
                applied=answer,
                needs=needs,
            )
        )


def join(results: Iterable[Result], export: Iterable[tuple[str, Mapping[str, Any]]]) -> Joined:
    """Compare profiles with those of an export.

    Args:
        results: Of one project, each profile once.
        export: Id and properties of profiles; others may be among them. It is read once, one by one.

    Raises:
        BadExport: One of these profiles is there twice.

    >>> from fleet.fold import fold
    >>> from fleet.lines import read_lines
    >>> lines = ['{"state": "shipped", "message": {"$distinct_id": "ada", "$add": {"visits": 1}}}']
    >>> joined = join(fold(read_lines(lines, "till").profiles), [("ada", {"visits": 2})])
    >>> [(one.profile, one.finding, one.name) for one in joined.findings]
    [('ada', 'differs', 'visits')]
    """
    waiting = {result.profile: result for result in results}
    taken: set[str] = set()
    done = Joined()
    for profile, properties in export:
        result = waiting.pop(profile, None)
        if result is not None:
            done.take(result, properties)
            taken.add(profile)
        elif profile in taken:
            raise BadExport(
                f"the export shows {profile!r} twice",
                hint="Give a file with one export: of two, the newer one is not known.",
            )
    for result in waiting.values():
        done.take(result, None)
    return done


def _has_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(element, dict) for element in value)


def _answer(count: Count, doubt: Doubt, properties: Mapping[str, Any]) -> int | str:
    """Return how many entries of a run were applied, or the reason why that cannot be told."""
    counting = doubt.run.counting
    if doubt.known is None and counting.counter in doubt.run.shown:
        return "somebody decided about an earlier entry of it"
    if not count.certain:
        return "another device deletes the profile"
    applied = told(doubt.run, doubt.known or 0, properties)
    fenced = properties.get(counting.fence) == doubt.attempt
    if not fenced and (applied is None or count.reset or not _all_shown(doubt.run, applied)):
        return "the export may be older than the request: run `restante settle --fence` on the device first"
    return untold(doubt.run, doubt.known or 0, properties) if applied is None else applied


def _all_shown(run: Run, applied: int) -> bool:
    """Return True if the profile shows every entry that it can: then nothing is told by what is absent."""
    shows = run.counting.shows
    return run.deletion is None and not any(shows(update) for _, update in run.entries[applied:])


# --- what the fold alone says


def _absent(result: Result, expected: Mapping[str, Expected]) -> Iterator[Finding]:
    """Yield one finding about a profile that is not there, whatever it should have."""
    journals = tuple(sorted({file for one in expected.values() if one.value for file in one.files}))
    if journals:
        yield Finding(result.profile, journals, "differs", None, None, [], [], None, adds=True)


def _differs(result: Result, name: str, expected: Expected, shown: Mapping[str, Any]) -> Iterator[Finding]:
    present = [] if name not in shown else [_unmarked(shown[name], result.identities)]
    if not _agrees(expected, present):
        journals = tuple(expected.files)
        yield Finding(
            result.profile, journals, "differs", None, name, expected.value, present, None, expected.adds
        )


def _agrees(expected: Expected, present: list[Any]) -> bool:
    if not expected.value or not present:
        return expected.value == present
    one, other = expected.value[0], present[0]
    if {type(one), type(other)} <= {int, float}:
        rounded = expected.agreement == Agreement.ROUNDED and float in {type(one), type(other)}
        return one == other or (rounded and isclose(one, other, abs_tol=_NEARLY))
    if expected.agreement == Agreement.UNORDERED and isinstance(one, list) and isinstance(other, list):
        return Counter(map(json_key, one)) == Counter(map(json_key, other))
    return json_key(one) == json_key(other)


def _unmarked(value: Any, identities: tuple[str, ...]) -> Any:
    """Return a value without the marks that counted charges carry."""
    if identities and isinstance(value, list):
        return [_without_mark(element, identities) for element in value]
    return value


def _without_mark(value: Any, identities: tuple[str, ...]) -> Any:
    if isinstance(value, dict) and str(value.get(MARK)).rpartition("-")[0] in identities:
        return {name: member for name, member in value.items() if name != MARK}
    return value
