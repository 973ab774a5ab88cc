"""Delayed calls, made one after the other on one thread."""

import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from threading import Condition, Thread

__all__ = ["LateArrivals"]


class LateArrivals:
    """A queue of delayed calls, ordered by due time, then by insertion. Thread-safe.

    Args:
        clock: Seconds from any origin, read on every change and when the next call should be due.

    >>> arrivals, calls = LateArrivals(), []
    >>> arrivals.add(0.01, lambda: calls.append("late"))
    >>> arrivals.settle(), calls
    (True, ['late'])
    >>> arrivals.close()
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = Condition()
        self._order = count()
        self._outstanding: list[tuple[float, int, Callable[[], object]]] = []
        self._closed = False
        self._thread: Thread | None = None

    def add(self, seconds: float, arrive: Callable[[], object]) -> None:
        """Call `arrive` in so many seconds; never, if closed."""
        with self._changed:
            if self._closed:
                return
            heappush(self._outstanding, (self._clock() + seconds, next(self._order), arrive))
            if self._thread is None:
                self._thread = Thread(target=self._run, name="restante-late", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def arrive(self) -> None:
        """Make the calls that are due: for a clock that is moved, which the thread does not see."""
        with self._changed:
            while self._outstanding and self._outstanding[0][0] <= self._clock():
                # Under the lock, and off the list only afterwards: once `settle` returns, the call was made.
                _, _, arrive = self._outstanding[0]
                arrive()
                heappop(self._outstanding)
                self._changed.notify_all()

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until no call is outstanding, `timeout` seconds at most; return True if none is."""
        self.arrive()
        with self._changed:
            return self._changed.wait_for(lambda: not self._outstanding, timeout)

    def close(self) -> None:
        """Make the calls that are due, and drop the others."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        with self._changed:
            while self._outstanding or not self._closed:
                self.arrive()
                if self._closed:
                    self._outstanding.clear()
                    self._changed.notify_all()
                else:
                    self._changed.wait(self._outstanding[0][0] - self._clock() if self._outstanding else None)
