"""Time that no change of the clock affects: seconds since the boot, and the boot's identity.

Waits that must outlast a process (back-off, Retry-After, the settling of entries in doubt) are stored in the journal
as such moments. After a reboot a wait is counted from the boot: it may last longer than it
had to, never shorter, and never longer than its whole span.
"""

import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["AT_ONCE", "Due", "Uptime", "now", "uptime"]

_ROUNDING = 1e-3  # seconds: more than sums of seconds are off by, and less than a boot takes
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Uptime(NamedTuple):
    """Moment in the uptime of the system.

    Attributes:
        boot: Identity of the boot; empty if the system has none.
        seconds: Since then.
    """

    boot: str
    seconds: float


class Due(NamedTuple):
    """Moment at which a wait ends.

    Attributes:
        boot: Of the boot in which the wait began.
        at: When it ends, in seconds since then.
        span: How long it was to be, in seconds.
    """

    boot: str
    at: float
    span: float

    @classmethod
    def after(cls, now: Uptime, span: float) -> "Due":
        """Return the moment `span` seconds from now."""
        return cls(now.boot, now.seconds + span, span)

    def left(self, now: Uptime) -> float:
        """Return how much of the wait is left, in seconds; 0 if it is over.

        >>> due = Due.after(Uptime("monday", 100.0), 30.0)
        >>> due.left(Uptime("monday", 110.0)), due.left(Uptime("tuesday", 10.0))
        (20.0, 20.0)
        """
        left = self.at - now.seconds
        if now.boot == self.boot and left <= self.span + _ROUNDING:
            return min(max(0.0, left), self.span)
        return max(0.0, self.span - now.seconds)  # another boot, which may have no name


AT_ONCE = Due("", 0.0, 0.0)
"""A wait that is over."""


def now() -> float:
    """Return seconds since the epoch.

    The default of each ``clock``: `time.time` itself, bound when a module is imported, would stay the real one where a
    test replaces it (freezegun).
    """
    return time.time()


def uptime() -> Uptime:
    """Return the present moment."""
    return Uptime(_boot(), _seconds())


def _seconds() -> float:
    # Time asleep is part of a wait, if the system counts it: the service did not sleep.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@cache
def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="utf-8").strip()
    except OSError:  # only Linux has that file: elsewhere a smaller uptime shows another boot
        return ""
