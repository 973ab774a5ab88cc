"""Reads of the history of one profile. Blocking, for threads."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from recorder import JournalReader, State
from tui.browser.pace import Pace
from tui.text.history import History, history_of, start_of

__all__ = ["REREAD_AFTER", "HistoryGateway"]

REREAD_AFTER = 30
"""Times the duration of the last reading, until all entries of something long are read again."""

_MANY = 2_000  # entries that are read again at each look: some ten milliseconds


class HistoryGateway:
    """The histories of a journal's profiles. Safe for threads.

    Args:
        path: The journal's file.
        clock: Seconds since the epoch; tests give a fixed one.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.now = clock
        # Of its own: what takes longer must not keep the pages of entries waiting.
        self._reader = JournalReader(path, clock=clock)
        self._turn = threading.Lock()  # for whatever looks through all entries
        self._whole = Pace(time.monotonic, REREAD_AFTER)  # of reading all entries of a long history again

    def close(self) -> None:
        """Close the journal."""
        self._reader.close()

    def history(
        self,
        profile: str,
        group_key: str | None,
        *,
        known: History | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> History:
        """A profile's entries as they stand, in the order of the prediction.

        The first time all entries of the journal are looked through, in short reads; afterwards only new ones. What
        pruned entries made of the profile, and those that are kept, are of one moment.

        Args:
            profile: Its id, or the group's.
            group_key: A group's key; None for a user's profile.
            known: What was read before; given back where nothing has changed.
            stop: Asked between reads.
        """
        reader, version = self._reader, self._reader.version()
        if known is not None and known.version == version:
            return known
        upto = reader.highest()
        looked_at = known.looked_at if known is not None else 0
        with self._turn:  # the ids wait: two at a time would take turns, slice by slice
            numbers = reader.numbers_of(profile, group_key, after=looked_at, stop=stop)
        new = [
            seq for seq in numbers if seq <= upto
        ]  # more may have come: they come again with the next look
        if known is not None and (later := self._only_more(known, new, upto, stop)) is not None:
            return later
        numbers = [*(known.numbers if known is not None else ()), *new]

        def read() -> History:
            start, rows = reader.unpruned(
                lambda: (
                    start_of(reader.baseline_of(profile, group_key)),
                    tuple(reader.rows_of(numbers, stop)),
                )
            )
            if known is not None and known.rows == rows and known.start == start:
                return known.moved_on(looked_at=upto, version=version)
            return history_of(
                profile, group_key, rows, looked_at=upto, version=version, start=start, known=known, stop=stop
            )

        return self._whole.timed(read)

    def _only_more(
        self, known: History, new: list[int], upto: int, stop: Callable[[], bool]
    ) -> History | None:
        """A history of very many entries and what was recorded since; None where all are to be read again.

        To read them all takes its time, and a recorder may write twice a second: what became of the others is looked
        at so often only that this stays a small part of it.
        """
        if len(known.numbers) <= _MANY or self._whole.due:
            return None
        rows = tuple(self._reader.rows_of(new, stop))
        if any(row.state != State.PENDING for row in rows):
            return None  # it may have overtaken others
        if not rows:
            return known.moved_on(looked_at=upto, version=known.version)
        return history_of(
            known.profile,
            known.group_key,
            known.rows + rows,
            looked_at=upto,
            version=known.version,  # so that the next look asks again
            start=known.start,
            known=known,
        )
