"""`Line`: how much one request may carry, by how fast the last one was."""

__all__ = ["Line"]

_FIRST_UPDATES = 200  # as the service's own sample sends
_FIRST_BYTES = 24_576  # 20 s at 9.6 kbit/s, of the 30 s that an answer may take
_LEAST_BYTES = 16_384  # fewer show how far the service is, not how much the line carries
_AIM = 5.0  # seconds for a request: a twelfth of the time-out
_SHORTEST = 0.001  # seconds
_STEP = 4
_FIRST_PATIENCE = 4  # requests


class Line:
    """Limits of the next request: it should take some seconds, and end long before its time-out.

    A request that outlasts its time-out is in doubt, and goes again, and outlasts it again. So does one that is larger
    than something on the way takes. So what was answered grows fourfold at most, and what was not answered is tried
    again only after requests of half its size, of which each failure demands more.

    Attributes:
        updates: Most updates.
        bytes: Most bytes.

    >>> line = Line()
    >>> line.updates, line.bytes
    (200, 24576)
    >>> line.answered(updates=200, size=40_000, seconds=0.5)
    >>> line.updates, line.bytes
    (800, 160000)
    >>> line.unanswered(size=160_000)
    >>> line.updates, line.bytes
    (800, 40000)
    """

    def __init__(self) -> None:
        self.updates = _FIRST_UPDATES
        self.bytes = _FIRST_BYTES
        self._good = 0  # the largest size that was answered; half of a good one that was not
        self._limit = 2**62  # half of the last size that was not answered, and never was
        self._near = 0  # answered requests that were nearly as large as the limit
        self._patience = _FIRST_PATIENCE  # so many of them lift it

    def answered(self, updates: int, size: int, seconds: float) -> None:
        """Note that a request of so many updates and bytes was answered after so many seconds."""
        in_time = int(size / max(seconds, _SHORTEST) * _AIM)
        self._good = max(self._good, size)
        self._lift(size)
        if in_time > self.bytes:
            self.bytes = max(self.bytes, min(in_time, size * _STEP, self._limit))
        elif size >= _LEAST_BYTES or seconds > _AIM:
            self.bytes = max(in_time, _LEAST_BYTES)
        if seconds < _AIM and updates * 2 > self.updates:  # or its bytes ended it a little earlier
            self.updates *= _STEP

    def _lift(self, size: int) -> None:
        self._near += size > self._limit // 2
        if self._near >= self._patience:
            self._limit *= 2
            self._near = 0
            self._patience = max(self._patience // 2, _FIRST_PATIENCE)

    def unanswered(self, size: int) -> None:
        """Note that a request of so many bytes was not answered; of a small one, that is no sign of its size."""
        if size <= _LEAST_BYTES:
            return
        self.bytes = max(size // _STEP, _LEAST_BYTES)
        if size > self._good:
            self._limit = max(size // 2, _LEAST_BYTES)
            self._near = 0
            self._patience *= 4
        else:  # not its size, so far
            self._good = size // 2
