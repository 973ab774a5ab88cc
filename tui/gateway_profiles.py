"""The profiles view's door to the recorder and the simulator: blocking reads for threads, and frozen data."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recorder import Entry, JournalReader
from tui.directory import Directory, Page
from tui.history import History, history_of

__all__ = ["Collected", "ProfilesGateway"]

_SLICE = 10_000  # entries whose profiles are collected at a time: some tens of milliseconds
_CHUNK = 200  # entries fetched at a time: a message may take a megabyte


@dataclass(frozen=True, slots=True)
class Collected:
    """How far the profiles' ids are collected.

    Attributes:
        looked_at: At so many entries.
        recorded: Of so many.
        found: Whether this slice had any.
        anew: Whether it was begun anew, for profiles were forgotten.
    """

    looked_at: int
    recorded: int
    found: bool = False
    anew: bool = False

    @property
    def complete(self) -> bool:
        """Whether all are."""
        return self.looked_at >= self.recorded


class ProfilesGateway:
    """The profiles of one journal. Safe for threads.

    Args:
        path: The journal's file.
        clock: Seconds since the epoch; tests give a fixed one.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.now = clock
        # Of its own: what takes longer must not keep the pages of entries waiting.
        self._reader = JournalReader(path, clock=clock)
        self._directory = Directory()
        self._collecting = threading.Lock()
        self._lowest = self._highest = 0  # what was looked at: from the one to the other
        self._begun = False
        self._forgotten = 0  # entries, when it was begun

    def close(self) -> None:
        """Close the file, and forget the ids."""
        self._reader.close()
        with self._collecting:
            self._directory.close()

    # --- ids

    def collect(self) -> Collected:
        """Collect the ids of one more slice of entries: new ones first, then older ones."""
        with self._collecting:
            recorded, forgotten = self._reader.highest(), self._reader.counts().forgotten
            anew = self._begun and forgotten != self._forgotten
            if anew:
                self._directory.clear()
            if anew or not self._begun:
                self._forgotten = forgotten
                self._begun, self._lowest, self._highest = True, recorded + 1, recorded
            if recorded > self._highest:
                first, last, newer = self._highest + 1, min(self._highest + _SLICE, recorded), True
                self._highest = last
            elif self._lowest > 1:
                first, last, newer = max(self._lowest - _SLICE, 1), self._lowest - 1, False
                self._lowest = first
            else:
                return Collected(recorded, recorded, anew=anew)
            counts = self._reader.profile_counts(first, last)
            self._directory.add(counts, newer=newer)
            return Collected(self._highest - self._lowest + 1, recorded, bool(counts), anew)

    def page(self, latest: int | None, *, limit: int, search: str = "", last: bool = False) -> Page:
        """Profiles around the one whose newest entry has this number; see `Directory.around`."""
        return self._directory.around(latest, limit=limit, search=search, last=last)

    def latest(self, profile: str, group_key: str | None) -> int | None:
        """The number of a profile's newest entry; None where it was not met yet."""
        found = self._directory.find(profile, group_key)
        return found.latest if found is not None else None

    # --- the open profile

    def history(
        self,
        profile: str,
        group_key: str | None,
        *,
        known: History | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> History:
        """A profile's entries as they stand, in the order of the prediction.

        The first time all entries of the journal are looked through, in short reads; afterwards only new ones.

        Args:
            profile: Its id, or the group's.
            group_key: A group's key; None for a user's profile.
            known: What was read before; given back where nothing has changed.
            stop: Asked between reads.
        """
        version = self._reader.version()
        if known is not None and known.version == version:
            return known
        numbers = list(known.numbers) if known is not None else []
        upto = self._reader.highest()
        looked_at = known.looked_at if known is not None else 0
        numbers += self._reader.numbers_of(profile, group_key, after=looked_at, stop=stop)
        history = history_of(
            profile, group_key, self._entries(numbers, stop), looked_at=upto, version=version
        )
        return known.moved_on(history) if known is not None and known.alike(history) else history

    def _entries(self, numbers: list[int], stop: Callable[[], bool]) -> Iterator[Entry]:
        for start in range(0, len(numbers), _CHUNK):
            if stop():
                return
            yield from self._reader.numbered(numbers[start : start + _CHUNK])
