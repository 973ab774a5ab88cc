"""Survey of a whole journal at one moment, for `fleet`: in one pass over its updates, with no object for each entry."""

from collections.abc import Callable, Iterator
from math import inf
from typing import NamedTuple, TypeVar

from recorder.journal import lanes, readback
from recorder.journal.opening import making_sense
from recorder.journal.readback import Held
from recorder.journal.uptime import Uptime
from recorder.model.operations import Lane
from recorder.model.reports import Baseline
from recorder.model.shipping import LaneStatus
from recorder.reading import statements as sql
from recorder.reading.reader import JournalReader
from recorder.reading.rows import as_outcome, make

__all__ = ["SurveyReader", "Surveyed", "UpdateRow"]

Made = TypeVar("Made")

_SETTLED = Uptime("", inf)
_JUMP = -60.0  # seconds: threads that share a commit may be out of order by less


class Surveyed(NamedTuple):
    """Facts about a journal.

    Attributes:
        identity: The name that copies of it share.
        counter: The property that it would count with now.
        token: Its project's.
        earlier_tokens: It had other tokens before.
        snapshot_at: When the copy was made, if `restante snapshot` did.
        number: Its highest entry.
        recorded_at: When that was recorded.
        epoch: Of the shipper that came last.
        seen_at: When that took over.
        renewed: It has begun another counter: something was forgotten, or the project or the service changed.
        sending: How the request that is open is counted, if it is.
        attempt: The last request that may have been applied; 0 for none.
        started_at: When that was made.
        newest_at: Its newest stamp.
        jumps: How often its clock went back by more than a minute.
    """

    identity: str
    counter: str
    token: str | None
    earlier_tokens: bool
    snapshot_at: float | None
    number: int
    recorded_at: float | None
    epoch: int
    seen_at: float | None
    renewed: bool
    sending: str | None
    attempt: int
    started_at: float | None
    newest_at: float | None
    jumps: int


UpdateRow = tuple[int, str, str | None, str, str, int, int, str | None]
"""An update of a user's profile: its number, the profile's id, operator, JSON, state, how many requests that may have
been applied carried it, 1 if it may have been applied twice, and how the request that settled it last was counted."""


class SurveyReader(JournalReader):
    """A journal, read as a whole; see `at_one_moment`."""

    def at_one_moment(self, read: Callable[[], Made]) -> Made:
        """Return the result of several reads of one moment. For as long, the log cannot be moved into the file.

        Raises:
            JournalDamaged: `read` made no sense of a value.
        """
        with self._snapshot(), making_sense(self.path):
            return read()

    def survey(self) -> Surveyed:
        """Return the facts about it."""
        with self._snapshot() as connection, making_sense(self.path):
            identity, counter, *facts = connection.execute(sql.SURVEY).fetchone()
            attempt, started_at = connection.execute(sql.LAST_SENT).fetchone() or (0, None)
            stamps = connection.execute(sql.STAMPS, (_JUMP,)).fetchone()
        facts[1] = bool(facts[1])
        return Surveyed._make([identity, f"restante_{counter}", *facts, attempt, started_at, *stamps])

    def lanes(self) -> list[LaneStatus]:
        """Return how shipping stood in each lane."""
        with self._connected() as connection, making_sense(self.path):
            rows = lanes.last_requests(connection)
            return [make(LaneStatus, row, lane=Lane(row[0]), outcome=as_outcome(row[1])) for row in rows]

    def pruned_profiles(self) -> Iterator[tuple[Baseline, str | None, int | None]]:
        """Yield users' profiles as their pruned entries left them, with their counter and its count."""
        counted = {profile: rest for profile, *rest in self._all(sql.BASELINE_COUNTED)}
        for one in self.baseline():
            if one.group_key is None:
                counter, count = counted.get(one.profile, (None, None))
                yield one, counter, count

    def pruned_only_before(self, until: float) -> bool:
        """Return True if nothing was pruned that was shipped later: an earlier request is there still.

        Args:
            until: Seconds since the epoch.
        """
        return until == inf or bool(self._all(sql.SHIPPED_BEFORE, (until,)))

    def updates(self, until: float = inf) -> Iterator[UpdateRow]:
        """Yield the updates of users' profiles: shipped ones in shipped order, others anywhere.

        Args:
            until: Seconds since the epoch; what a later request carried is in doubt.
        """
        with self._connected() as connection:
            yield from connection.execute(sql.UPDATES, (until,))

    def doubts(self) -> list[tuple[Held, int | None]]:
        """Return the runs in doubt that will be decided about, each with what its counter was before it."""
        with self._snapshot() as connection, making_sense(self.path):
            runs, _ = readback.held(connection, _SETTLED)
            known = readback.known_counts(
                connection, [(one.profile, one.run) for one in runs if one.run is not None]
            )
        return [(one, known.get(one.profile)) for one in runs]

    def stamps_of(self, number: int, attempt: int) -> tuple[float | None, float | None]:
        """Return when an entry was recorded and a request was made; None for one that was pruned, or never was."""
        found = self._all(sql.STAMP_OF_ENTRY, (number,)), self._all(sql.STAMP_OF_ATTEMPT, (attempt,))
        entry, request = (rows[0][0] if rows else None for rows in found)
        return entry, request
