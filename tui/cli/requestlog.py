"""Lines about requests on standard error, as the local service and the relay write them."""

import os
import select
import sys
import time
from threading import Lock

from tui.text.format import count

__all__ = ["RequestLog"]


class RequestLog:
    """Writes lines to standard error, unless that would wait: a slow reader costs lines, and not the senders' time."""

    def __init__(self) -> None:
        self._writing = Lock()
        self._lost = 0

    def __call__(self, line: str) -> None:
        with self._writing:
            if self._lost and _write(f"{count(self._lost, 'line')} left out: standard error was full"):
                self._lost = 0
            if self._lost or not _write(line):
                self._lost += 1


def _write(line: str) -> bool:
    """Write a line with the time to standard error; return False if it does not take it now.

    Not through `sys.stderr`, whose lock a stuck writer would hold, also when the interpreter ends.
    """
    shown = f"{time.strftime('%H:%M:%S')} {line}".encode(sys.stderr.encoding, "backslashreplace")
    try:
        descriptor = sys.stderr.fileno()
        _, ready, _ = select.select([], [descriptor], [], 0)
        return bool(ready) and os.write(descriptor, shown[: select.PIPE_BUF - 1] + b"\n") > 0
    except OSError:
        return False
