"""Previews: the effect that a retry, a discard, an edit or a forgetting would have. Nothing is written."""

from collections.abc import Callable, Sequence
from typing import Any

from recorder.journal.decisions import Decision, Undo, Verb, as_edited, matching, undo_of, weigh
from recorder.journal.mentions import Whose, named, numbers_naming, ranges, weigh_forgetting
from recorder.model.filters import where
from recorder.model.reports import Entry, Forgotten
from recorder.reading.entries import EntryReader
from recorder.reading.source import never
from recorder.reading.status import StatusReader

__all__ = ["PreviewReader"]


class PreviewReader(EntryReader, StatusReader):
    """Previews of what a person may do to entries."""

    def weigh(self, verb: Verb, filter: str | Sequence[str]) -> Decision:
        """Return the effect that `Journal.retry` or `Journal.discard` would have.

        Raises:
            InvalidFilter: The filter is not understood.
        """
        condition = where(filter, now=self._clock())
        with self._snapshot() as connection:
            return Decision.sum(
                weigh(connection, verb, several) for several in matching(connection, condition)
            )

    def before_discard(self, numbers: Sequence[int]) -> Undo:
        """Return what `Journal.take_back` needs to take a discard of these entries back."""
        with self._snapshot() as connection:
            return undo_of(connection, numbers)

    def edit_check(self, entry: Entry) -> Callable[[Any], None]:
        """Return a function that raises `InvalidOperation` for a message that `Journal.edit` would refuse."""
        token, now, owner = self.token() or "", self._clock(), (entry.group_key, entry.profile)

        def check(message: Any) -> None:
            as_edited(entry.lane, owner, entry.message, message, token=token, now=now)

        return check

    def weigh_forgetting(
        self, profile: str, group_key: str | None = None, *, stop: Callable[[], bool] = never
    ) -> Forgotten:
        """Return what `Journal.forget` would erase.

        All entries are looked through, in several short reads.

        Args:
            profile: The profile's or group's id.
            group_key: A group's key; None for a user's profile.
            stop: Asked between reads; once it returns True, the sums so far are returned.
        """
        whose = Whose(profile, group_key)
        with self._snapshot() as connection:
            weighed = weigh_forgetting(connection, self.path, whose)
        for first, last in ranges(self.highest()):
            if stop():
                break
            with self._snapshot() as connection:
                numbers = [seq for seq, _ in numbers_naming(connection, whose, first, last)]
                weighed = weighed.counting(row.state for row in named(connection, whose, numbers))
        return weighed
