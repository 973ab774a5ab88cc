"""`Line`: how much one request may carry, by how fast the last one was."""

__all__ = ["Line"]

_FIRST_UPDATES = 200  # as the service's own sample sends
_FIRST_BYTES = 65_536  # 8 s at 64 kbit/s
_LEAST_BYTES = 16_384  # fewer show how far the service is, not how much the line carries
_AIM = 5.0  # seconds for a request: a twelfth of the time-out
_SHORTEST = 0.001  # seconds
_STEP = 4


class Line:
    """Limits of the next request: it should take some seconds, and end long before its time-out.

    A request that outlasts its time-out is in doubt, and goes again, and outlasts it again.

    Attributes:
        updates: Most updates.
        bytes: Most bytes.

    >>> line = Line()
    >>> line.updates, line.bytes
    (200, 65536)
    >>> line.answered(updates=200, size=40_000, seconds=0.5)
    >>> line.updates, line.bytes
    (800, 400000)
    >>> line.unanswered(size=400_000)
    >>> line.updates, line.bytes
    (800, 100000)
    """

    def __init__(self) -> None:
        self.updates = _FIRST_UPDATES
        self.bytes = _FIRST_BYTES

    def answered(self, updates: int, size: int, seconds: float) -> None:
        """Note that a request of so many updates and bytes was answered after so many seconds."""
        in_time = int(size / max(seconds, _SHORTEST) * _AIM)
        if size >= _LEAST_BYTES or seconds > _AIM or in_time > self.bytes:
            self.bytes = max(in_time, _LEAST_BYTES)
        if seconds < _AIM and updates >= self.updates:
            self.updates *= _STEP

    def unanswered(self, size: int) -> None:
        """Note that a request of so many bytes left and was not answered."""
        self.bytes = max(size // _STEP, _LEAST_BYTES)
