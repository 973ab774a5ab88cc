"""A process of tests.crash.actors, seen from outside: what it said, and how it ended."""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.crash.actors import command
from tests.crash.forks import Forked
from tests.crash.witness import PATIENCE

_PROJECT = Path(__file__).parents[2]


class Actor:
    """A process of tests.crash.actors, and what it said."""

    def __init__(self, actor: str, path: Path, task: Any, *, at: tuple[str, int] | None = None) -> None:
        self.said: list[str] = []
        self.when: tuple[int, float] | None = None
        self._changed = threading.Condition()
        self._errors = tempfile.NamedTemporaryFile("r")  # noqa: SIM115  # closed at the end of this
        if at is None:
            self.process = Forked(actor, path, task, self._errors.name)
        else:  # -D: the process is ours, and strace is the stranger
            name, nth = at
            stop = ["strace", "-D", "-f", "-q", "-o", os.devnull, "-e", f"trace={name}"]
            stop += ["-e", f"inject={name}:signal=KILL:when={nth}"]
            with Path(self._errors.name).open("a") as errors:
                self.process = subprocess.Popen(
                    [*stop, *command(actor, path, task)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=_PROJECT,
                )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.said.append(line.decode().strip())
                self._changed.notify_all()
            if self.when is not None and len(self.said) > self.when[0]:
                time.sleep(self.when[1])
                self.kill()

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def has_said(self, *words: str, after: int = 0) -> bool:
        """Whether it said one of these, after its first so many lines."""
        return any(word in words for word in self.said[after:])

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it, and see every thread of it stopped: one that waits for the disk goes on until that is done."""
        self.process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + PATIENCE
        while any(state != "T" for state in self._states()):
            assert time.monotonic() < deadline, "it does not stop"
            time.sleep(0.001)

    def _states(self) -> Iterator[str]:
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
                yield (thread / "stat").read_text().rpartition(") ")[2][0]

    def dismiss(self) -> None:
        """Let one that waits for the end of its standard input end."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def bury(self) -> None:
        """See it dead, and that it had nothing to complain about while it lived."""
        self.process.wait(PATIENCE)
        self._listener.join(PATIENCE)
        assert not self._listener.is_alive()
        self._errors.seek(0)
        errors = self._errors.read()
        self._errors.close()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        assert self.process.returncode in {0, -signal.SIGKILL}, (self.process.returncode, errors)
        assert "Traceback" not in errors, errors
        assert "locked" not in errors, errors
