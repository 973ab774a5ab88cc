"""Processes forked from a server that has imported what they need, each a third of a second sooner than a new one."""

import multiprocessing
import os
import threading
from multiprocessing import connection
from pathlib import Path
from typing import Any

from tests.crash import actors

_FORKS = multiprocessing.get_context("forkserver")
# Modules that a shipper imports when it first ships; those of `recorder` come with them.
_FORKS.set_forkserver_preload(["__main__", "tests.crash.actors", "requests", "recorder.shipping.transport"])


class Forked:
    """An actor in a process of its own, with what `subprocess.Popen` offers."""

    def __init__(self, actor: str, path: Path, task: Any, errors: str) -> None:
        hears, self._tell = _FORKS.Pipe(duplex=False)
        self._said, says = _FORKS.Pipe(duplex=False)
        # The exit status is read from a pipe, and once: a second thread that asks meanwhile would read 255.
        self._asking = threading.Lock()
        self._process = _FORKS.Process(target=_act, args=((actor, str(path), task), hears, says, errors))
        self._process.start()
        hears.close()
        says.close()
        self.pid = self._process.pid
        self.stdin = os.fdopen(os.dup(self._tell.fileno()), "wb")
        self.stdout = os.fdopen(os.dup(self._said.fileno()), "rb")
        self._tell.close()
        self._said.close()

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        with self._asking:
            return self._process.exitcode

    def wait(self, timeout: float) -> None:
        connection.wait([self._process.sentinel], timeout)
        assert self.poll() is not None, "it does not end"

    def send_signal(self, signal: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal)


def _act(part: tuple[str, str, Any], hears: Any, says: Any, errors: str) -> None:
    os.dup2(hears.fileno(), 0)
    os.dup2(says.fileno(), 1)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND), 2)
    hears.close()
    says.close()
    actor, path, task = part
    actors.ACTORS[actor][0](path, task)
