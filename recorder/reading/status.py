"""The accounts of a journal, and the state of shipping."""

from recorder.journal import accounts, shipper
from recorder.journal.copies import copy_reason, current_home
from recorder.journal.doubt import wait_left
from recorder.journal.entries import unit_of
from recorder.journal.opening import making_sense
from recorder.journal.statistics import statistics
from recorder.journal.status import shipper_status
from recorder.journal.uptime import uptime
from recorder.model.entries import State
from recorder.model.errors import JournalDamaged
from recorder.model.reports import Entry, Hold, Statistics
from recorder.model.routes import OLD_AFTER
from recorder.model.shipping import ShipperStatus
from recorder.reading import statements as sql
from recorder.reading.source import Source

__all__ = ["StatusReader"]


_KEPT = (State.PENDING, State.SENDING, State.WAITING, State.IN_DOUBT, State.REJECTED)
_MOST_CHECKED = 10_000  # some 20 ms


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

    def identity(self) -> str:
        """Return the journal's own name, which copies of it share."""
        with self._snapshot() as connection, making_sense(self.path):
            return str(shipper.home(connection)[0])

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
        with self._snapshot() as connection, making_sense(self.path):
            return shipper_status(connection, self.path, now=self._clock())
