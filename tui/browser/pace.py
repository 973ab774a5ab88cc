"""The pace of reads that a refresh repeats."""

from collections.abc import Callable
from typing import TypeVar

__all__ = ["Pace"]

Found = TypeVar("Found")


class Pace:
    """Keeps a repeated read from taking more than a small part of the time.

    Most reads take milliseconds, and are repeated whenever the journal changes. Where few of very many entries match, a
    read takes seconds: repeated at once, it would keep a core busy for as long as the view is open.

    Args:
        clock: Seconds; if it goes back, the next read is due.
        times: How many times as long as a read took, until it is repeated.

    >>> times = iter([0.0, 2.0, 9.0, 23.0])  # the read lasts from 0 to 2
    >>> pace = Pace(lambda: next(times))
    >>> pace.timed(lambda: "found"), pace.due, pace.due
    ('found', False, True)
    """

    def __init__(self, clock: Callable[[], float], times: int = 10) -> None:
        self._clock = clock
        self._times = times
        self._resets = 0
        self.reset()

    def reset(self) -> None:
        """Make the next read due at once, even if one that is under way takes long."""
        self._resets += 1
        self._ended = self._again = 0.0

    @property
    def due(self) -> bool:
        """True if it may be read again."""
        return not self._ended <= self._clock() < self._again

    def timed(self, read: Callable[[], Found]) -> Found:
        """Return the result of a read, and note how long it took."""
        begun, resets = self._clock(), self._resets
        found = read()
        ended = self._clock()
        if resets == self._resets:  # else the read was of another filter, or of entries before a change
            self._ended, self._again = ended, ended + self._times * (ended - begun)
        return found
