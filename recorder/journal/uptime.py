"""Time that no change of the clock can turn: seconds since the boot, and which boot.

Waits that must outlast a process (back-off, what the service asked for, the settling of entries in doubt) are
kept in the journal as such moments. After a reboot a wait is counted from the boot: it may last longer than it
had to, never shorter, and never longer than its whole span.
"""

import time
from pathlib import Path
from typing import NamedTuple

__all__ = ["AT_ONCE", "Due", "Uptime", "uptime"]

_ROUNDING = 1e-3  # of sums of seconds: far more than they are off by, and far less than a boot takes
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Uptime(NamedTuple):
    """A moment: how long the system is up.

    Attributes:
        boot: Which boot; empty where the system has no name for it.
        seconds: Since then.
    """

    boot: str
    seconds: float


class Due(NamedTuple):
    """A moment to come.

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
        """The moment so many seconds from now."""
        return cls(now.boot, now.seconds + span, span)

    def left(self, now: Uptime) -> float:
        """How much of the wait is left, in seconds; 0 where it is over.

        >>> due = Due.after(Uptime("monday", 100.0), 30.0)
        >>> due.left(Uptime("monday", 110.0)), due.left(Uptime("tuesday", 10.0))
        (20.0, 20.0)
        """
        left = self.at - now.seconds
        if now.boot == self.boot and left <= self.span + _ROUNDING:
            return min(max(0.0, left), self.span)
        return max(0.0, self.span - now.seconds)  # another boot, which may have no name


AT_ONCE = Due("", 0.0, 0.0)
"""No wait at all."""


def uptime() -> Uptime:
    """Now."""
    return Uptime(_boot(), _seconds())


def _seconds() -> float:
    # Where the system counts the time it is asleep, that is part of a wait: the world outside did not sleep.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="utf-8").strip()
    except OSError:  # no such file but on Linux: a clock that went back shows another boot all the same
        return ""
