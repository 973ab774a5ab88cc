"""The accounts of a journal, and the state of shipping."""

from dataclasses import replace

from recorder.journal import accounts, doubt, lanes, project, shipper
from recorder.journal.copies import copy_reason, current_home
from recorder.journal.doubt import wait_left
from recorder.journal.entries import unit_of
from recorder.journal.environment import ships
from recorder.journal.locks import beside
from recorder.journal.opening import making_sense
from recorder.journal.space import refuses
from recorder.journal.statistics import statistics
from recorder.journal.uptime import Due, uptime
from recorder.model.entries import State
from recorder.model.errors import JournalDamaged
from recorder.model.operations import Lane
from recorder.model.policy import ShippingPolicy
from recorder.model.reports import Entry, Hold, Statistics
from recorder.model.routes import OLD_AFTER
from recorder.model.shipping import LaneStatus, ShipperStatus, Unanswered
from recorder.reading import statements as sql
from recorder.reading.rows import as_outcome, make
from recorder.reading.source import Source

__all__ = ["StatusReader"]


_KEPT = (State.PENDING, State.SENDING, State.WAITING, State.IN_DOUBT, State.REJECTED)
_MOST_CHECKED = 10_000  # some 20 ms


_ALL_OBJECTS = 2  # see schema.sql


class StatusReader(Source):
    """The accounts of a journal, and the state of shipping."""

    def counts(self) -> Statistics:
        """Return the accounts, from counters and the highest number: nothing is scanned."""
        with self._snapshot() as connection, making_sense(self.path):
            return statistics(connection, self.path, now=self._clock())

    def check_kept(self) -> None:
        """Look through the entries that are still to be sent or decided about, of a long backlog the first 10,000.

        Raises:
            JournalDamaged: Some cannot be read.
        """
        with self._snapshot() as connection, making_sense(self.path):
            counts = accounts.read_all(connection)
            kept = min(sum(counts[state] for state in _KEPT), _MOST_CHECKED)
            rows = connection.execute(sql.KEPT, (_MOST_CHECKED,))
            readable = sum(bool(is_object) for is_object, _ in rows)
        if readable != kept:
            raise JournalDamaged(
                f"{self.path.name}: {kept - readable:,} of {kept:,} entries to send or decide about cannot be read"
            )

    def old_events(self) -> int:
        """Return how many unsent events were recorded over four days ago, and so go to ``/import``; at most 10,000."""
        with self._snapshot() as connection, making_sense(self.path):
            return accounts.old_events(connection, self._clock() - OLD_AFTER)

    def version(self) -> int:
        """Return a number that changes when another connection has changed the journal; a cheap read."""
        return int(self._all(sql.DATA_VERSION)[0][0])

    def token(self) -> str | None:
        """Return the project's token, None before the first was given."""
        token = self._all(sql.TOKEN)[0][0]
        return str(token) if token is not None else None

    def earlier_tokens(self) -> list[str]:
        """Return the project tokens that the journal had before `restante token` changed it."""
        return [token for (token,) in self._all(sql.EARLIER_TOKENS)]

    def moved(self) -> str | None:
        """Return why this looks like a copy of a journal that ships elsewhere, or None."""
        with self._snapshot() as connection:
            identity, before = shipper.home(connection)
        with making_sense(self.path):
            return copy_reason(before, current_home(self.path, identity))

    def hold(self, entry: Entry) -> Hold | None:
        """Return why an entry's profile cannot be sent now, or None."""
        group_key, unit = unit_of(entry.seq, entry.group_key, entry.profile)
        rows = self._all(sql.HOLD, (entry.lane, unit, group_key))
        if not rows:
            return None
        behind, cause, *due = rows[0]
        by_person = cause == "hold"
        until = None if by_person else self._clock() + wait_left(uptime(), *due)
        return Hold(behind=behind, by_person=by_person, until=until)

    def shipping(self) -> ShipperStatus:
        """Return the last shipper, and how shipping stands in each lane."""
        with making_sense(self.path):
            ((pid, seen_at, service, in_doubt, settle_after, counted),) = self._all(sql.SHIPPER)
            now = uptime()
            policy = {"in_doubt": in_doubt, "settle_after": settle_after}
            ShippingPolicy(
                **{name: value for name, value in policy.items() if value is not None}
            )  # or it is damaged
            with self._snapshot() as connection:
                held, held_counted = doubt.count_held(connection)
                senders = project.senders(connection)
            settling = min((Due(*row).left(now) for row in self._all(sql.SETTLING)), default=None)
            return ShipperStatus(
                pid=pid,
                running=ships(beside(self.path, ".lock"), pid),
                seen_at=seen_at,
                service=service,
                in_doubt=in_doubt,
                settle_after=settle_after,
                counted="objects" if counted == _ALL_OBJECTS else bool(counted),
                settling_until=None if settling is None else self._clock() + settling,
                held=held,
                held_counted=held_counted,
                unanswered=self._unanswered(),
                full=self._full(),
                lanes=self._lanes(),
                senders=senders,
            )

    def _unanswered(self) -> Unanswered | None:
        rows = self._all(sql.UNANSWERED)
        if not rows:
            return None
        now = uptime()
        return Unanswered(
            profiles=len(rows),
            tries=max(sends for sends, *_ in rows),
            first=min(seq for _, seq, *_ in rows),
            retry_at=self._clock() + min(wait_left(now, *due) for _, _, *due in rows),
        )

    def _lanes(self) -> tuple[LaneStatus, ...]:
        with self._snapshot() as connection:
            rows, standings = connection.execute(sql.LANES).fetchall(), lanes.standings(connection)
        found = (make(LaneStatus, row, lane=Lane(row[0]), outcome=as_outcome(row[1])) for row in rows)
        return tuple(replace(one, retry_at=self._due(one, standings[one.lane])) for one in found)

    def _due(self, lane: LaneStatus, standing: lanes.Standing) -> float | None:
        """When the next try is due by the present clock, which may have been set since the wait began."""
        if lane.retry_at is None:
            return None
        moment, now = uptime(), self._clock()
        left = max(standing.backoff.left(moment), standing.asked.left(moment))
        return now + left if left else min(lane.retry_at, now)

    def _full(self) -> bool:
        with self._snapshot() as connection:
            return refuses(connection, self.path, project.limits(connection))
