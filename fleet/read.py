"""Rows of one journal, or of lines of `restante export --all`. The only part of this package that reads files."""

import time
from collections.abc import Iterable
from math import inf
from os import PathLike, fspath
from pathlib import Path

from fleet.files import FileUnavailable, absolute, is_url, lines_of, local_copy
from fleet.lines import read_lines
from fleet.rows import Device, Doubt, Failures, JournalRows, Place, ProfileRow, Unreadable
from fleet.summary import Summary
from recorder.model.entries import UNSENT, AttemptOutcome, State
from recorder.model.errors import NotAJournal, RestanteError
from recorder.model.operations import Operator
from recorder.model.reports import Statistics
from recorder.model.told import Past, known_count
from recorder.reading.rows import as_message
from recorder.reading.survey import Surveyed, SurveyReader, UpdateRow

__all__ = ["LINES", "continues", "read", "read_or_say_why"]

LINES = (".jsonl", ".jsonl.gz")
"""Endings of files with lines, which need not be tried as journals."""

_SKEW = 60.0  # seconds
_LAG = 600.0  # seconds that an update may take until an export shows it, or a clock be off
_LONG = 86_400.0  # seconds that something may wait although nothing failed
_ADD, _DELETE = Operator.ADD.value, Operator.DELETE.value
_IN_DOUBT, _SENDING, _SHIPPED = State.IN_DOUBT.value, State.SENDING.value, State.SHIPPED.value
# What waits may be the rest of a run of which all was applied: it makes the same of the profile when it goes again.
_MAYBE_APPLIED = frozenset({_IN_DOUBT, _SENDING, State.WAITING.value})
_EMPTY = frozenset({State.FORGOTTEN.value, State.LOST.value})
_WELL = frozenset({None, AttemptOutcome.SHIPPED, AttemptOutcome.REFUSED})


def read(
    path: str | PathLike[str],
    *,
    name: str | None = None,
    now: float | None = None,
    exported_at: float | None = None,
) -> JournalRows:
    """Return the rows of a journal, or of a file with lines of `restante export --all`.

    Args:
        path: A file; read-only media will do.
        name: What to call it; None for its path.
        now: Seconds since the epoch, to tell stamps in the future; None for the system's clock.
        exported_at: When the export of profiles was taken; None if nothing was sent between this copy and it. An export
            may not show what was sent later than ten minutes before, and may show what is newer than an older copy.

    Raises:
        JournalError: It cannot be read.

    >>> import pathlib, tempfile
    >>> from recorder import Recorder
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "kiosk.db"
    >>> with Recorder("PROJECT", path) as recorder:
    ...     recorder.people_set("ada", {"plan": "pro"})
    >>> rows = read(path)
    >>> rows.device.unsent, [row.profile for row in rows.profiles]
    (1, ['ada'])
    """
    file = fspath(path) if name is None else name
    moment = time.time() if now is None else now
    try:
        with SurveyReader(path) as reader:
            return reader.at_one_moment(lambda: _Survey(file, reader, moment, exported_at).rows())
    except NotAJournal:
        lines = Path(path)
        if not lines.is_file():
            raise
        with lines.open("rb") as opened:
            return _of_lines(opened, file, exported_at)


def read_or_say_why(
    file: str, now: float, folder: str = "", exported_at: float | None = None
) -> JournalRows | Unreadable:
    """Return the rows of a file at a path or URL, or the reason why it cannot be read.

    Lines are read as they come; a journal behind a URL is copied to this machine as long as it is read.

    Args:
        file: A path, or a URL; see `fleet.files`.
        now: Seconds since the epoch.
        folder: Absolute path of the folder that a path begins at.
        exported_at: As for `read`.
    """
    location = absolute(file, folder)
    try:
        if not is_url(location):
            _refuse_no_file(Path(location))
        if location.endswith(LINES):
            return _of_lines(lines_of(location), file, exported_at)
        with local_copy(location) as path:
            return _read_copy(path, file, now, exported_at)
    except (RestanteError, OSError) as error:
        said = str(error).replace(location, file)
        return Unreadable(file, said.removeprefix(f"{file} cannot be read").removeprefix(": ").lstrip())


def _refuse_no_file(path: Path) -> None:
    """Refuse what is there and is no file: nobody may ever write to a pipe."""
    if path.is_dir():
        next(path.iterdir(), None)  # raises the reason why it could not be listed
    if path.exists() and not path.is_file():
        raise FileUnavailable(f"{path} is not a file")


def _of_lines(lines: Iterable[bytes], name: str, exported_at: float | None) -> JournalRows:
    rows = read_lines(lines, name)
    if exported_at is None:
        return rows
    # They do not say when they were written, nor when anything was sent.
    return rows._replace(profiles=[row._replace(unsure=True) for row in rows.profiles])


def _read_copy(path: Path, name: str, now: float, exported_at: float | None) -> JournalRows:
    try:
        return read(path, name=name, now=now, exported_at=exported_at)
    except (RestanteError, OSError) as error:
        raise FileUnavailable(str(error).replace(str(path), name)) from error


def continues(location: str, place: Place) -> bool:
    """Return True if the journal at a path or URL has come from a place, which another copy of it had reached.

    Raises:
        RestanteError: It cannot be read.
    """
    with local_copy(location) as path, SurveyReader(path) as reader:
        facts = reader.survey()
        if place.number > facts.number or place.attempt > facts.attempt or place.epoch > facts.epoch:
            return False
        if place.epoch == facts.epoch and place.seen_at != facts.seen_at:
            return False  # two shippers took over from the same one
        entry, request = reader.stamps_of(place.number, place.attempt)
    return entry in {None, place.recorded_at} and request in {None, place.started_at}


class _Survey:
    """The rows of a journal, made in one pass."""

    def __init__(self, file: str, reader: SurveyReader, now: float, exported_at: float | None) -> None:
        self._file = file
        self._reader = reader
        self._now = now
        self._facts = reader.survey()
        self._counts = reader.counts()
        facts, counts = self._facts, self._counts
        self._until = inf if exported_at is None else exported_at - _LAG
        last = max(facts.newest_at or 0.0, facts.started_at or 0.0, facts.snapshot_at or 0.0)
        self._went_on = exported_at is not None and last < exported_at + _SKEW
        # Nobody knows what these did: entries before another token went to another project.
        self._unsure = bool(facts.earlier_tokens or counts.lost or self._went_on)
        # Forgetting renews the counter: of a profile that had been pruned whole, nothing else is left.
        self._begins = not facts.renewed
        self._maybe_applied = UNSENT if self._went_on else _MAYBE_APPLIED
        self._profiles: dict[str, Summary] = {}
        self._known: dict[str, int | None] = {}
        self._doubtful: dict[str, int] = {}
        self._reset: set[str] = set()  # profiles whose count a delete may have reset
        self._counting = False

    def rows(self) -> JournalRows:
        """Return all rows."""
        vague = not self._reader.pruned_only_before(self._until)
        for one, counter, count in self._reader.pruned_profiles():
            # More requests than entries: some were sent twice, or given up after they were sent.
            unsure = self._unsure or vague or one.partly_known or one.sends > one.entries
            self._profiles[one.profile] = Summary(
                one.properties, pruned=True, unsure=unsure, begins=self._begins
            )
            if counter == self._facts.counter:
                self._counting = True
                self._known[one.profile] = None if vague else count
        for row in self._reader.updates(self._until):
            self._take(row)
        doubts = self._doubts() if self._counts.in_doubt else {}
        rows = [
            self._row(profile, summary, doubts.get(profile)) for profile, summary in self._profiles.items()
        ]
        return JournalRows(self._device(), rows)

    def _take(self, row: UpdateRow) -> None:
        seq, profile, operator, message, state, sends, twice, _ = row
        summary = self._profiles.get(profile)
        if summary is None:
            summary = self._profiles[profile] = Summary(unsure=self._unsure, begins=self._begins)
        if state in _EMPTY:
            return
        payload = as_message(message).get(operator) if operator else None
        summary.entry(seq, state, operator, payload, sends=sends, twice=bool(twice))
        if operator == _DELETE and state in self._maybe_applied:
            self._reset.add(profile)
        if operator in {_ADD, _DELETE} or twice or state != _SHIPPED:
            self._count(row)

    def _count(self, row: UpdateRow) -> None:
        """Count an entry, as far as the journal's counter depends on it."""
        _, profile, operator, _, state, sends, twice, counted = row
        if state == _SENDING:
            counted = self._facts.sending
        if counted is None or counted.partition(" ")[0] != self._facts.counter:
            return
        self._counting = True
        if state in {_IN_DOUBT, _SENDING}:
            if operator == _ADD:
                self._doubtful[profile] = self._doubtful.get(profile, 0) + max(1, sends)
        elif sends:
            past = Past(operator, state, sends, twice, counted)
            self._known[profile] = known_count(self._known.get(profile, 0), self._facts.counter, [past])

    def _doubts(self) -> dict[str, Doubt]:
        return {
            one.profile: Doubt(one.run, known, one.attempt, one.epoch, one.digest)
            for one, known in self._reader.doubts()
            if one.run is not None
        }

    def _row(self, profile: str, summary: Summary, doubt: Doubt | None) -> ProfileRow:
        facts = self._facts
        row = summary.row(self._file, facts.identity, facts.token, profile)
        if not self._counting and doubt is None:
            return row
        unknown = self._counts.lost or profile in self._reset
        known = None if unknown else self._known.get(profile, 0)
        doubtful = None if self._went_on else self._doubtful.get(profile, 0)
        return row._replace(counter=facts.counter, known=known, doubtful=doubtful, doubt=doubt)

    # --- the device

    def _device(self) -> Device:
        facts, counts = self._facts, self._counts
        since, cause = _stuck(self._reader, facts, counts, self._now)
        ahead = (facts.newest_at or 0.0) - self._now
        place = Place(
            *(facts.number, facts.recorded_at, facts.attempt, facts.started_at),
            *(facts.epoch, facts.seen_at),
        )
        return Device(
            file=self._file,
            identity=facts.identity,
            token=facts.token,
            snapshot_at=facts.snapshot_at,
            place=place,
            stuck_since=since,
            cause=cause,
            unsent=counts.unsent,
            in_doubt=counts.in_doubt,
            rejected=_rejected(self._reader) if counts.rejected else (),
            lost=counts.lost,
            ahead=ahead if ahead > _SKEW else 0.0,
            jumps=facts.jumps,
        )


def _rejected(reader: SurveyReader) -> tuple[Failures, ...]:
    groups = [group for group in reader.failures() if group.state is State.REJECTED]
    return tuple(Failures(group.words, group.entries) for group in groups)


def _stuck(reader: SurveyReader, facts: Surveyed, counts: Statistics, now: float) -> tuple[float | None, str]:
    """Return since when nothing goes through, and why; (None, "") if it goes, or there is nothing to send."""
    if not counts.to_send:
        return None, ""
    for lane in reader.lanes():
        if lane.outcome not in _WELL and lane.since is not None:
            return lane.since, f"{lane.lane}: {lane.cause or lane.outcome}"
    oldest = now - (counts.oldest_pending_seconds or 0.0)
    newest = max(facts.newest_at or 0.0, facts.started_at or 0.0, facts.snapshot_at or 0.0)
    if newest - oldest > _LONG:
        return oldest, "nothing was sent since"
    return None, ""
