"""The command `restante relay` as a process of its own, which may be killed and started again."""

import os
import signal
import subprocess
import sys

from recorder import JournalReader
from tests.services import closed_port, eventually

PATIENCE = 60  # seconds, for what should take one
COMMAND = [sys.executable, "-c", "from tui.cli import main; main()", "relay", "--yes"]


class RelayCommand:
    """A relay from `start` to `kill`, and again; it stays at its port, and its journals at their paths.

    Args:
        journals: The path of each project's journal, by token.
        upstream: The base address that it ships to.
        options: More of the command's.
    """

    def __init__(self, journals, upstream, *options):
        self.journals = journals
        self._port = closed_port()
        self.url = f"http://127.0.0.1:{self._port}"
        projects = [part for token, path in journals.items() for part in ("--project", f"{token}={path}")]
        self._command = [*COMMAND, *projects, "--port", str(self._port), "--url", upstream, *options]

    def start(self):
        """Start it; once this returns, it answers."""
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
            text=True,
        )
        assert self.process.stdout.readline().strip() == self.url

    def kill(self):
        """End it by SIGKILL, at whatever it does."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    def kill_between_requests(self):
        """Kill it while it sends nothing: a request that is cut off is in doubt, though the service is not there."""
        while True:
            self.process.send_signal(signal.SIGSTOP)
            os.waitpid(self.process.pid, os.WUNTRACED)
            if not any(self.counts(token).sending for token in self.journals):
                return self.kill()
            self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process.returncode is None:
            self.kill()

    def counts(self, token):
        """Return the numbers of a journal's entries by state."""
        with JournalReader(self.journals[token]) as reader:
            return reader.counts()

    def drained(self, token):
        """Wait until nothing of a journal is pending, under way or in doubt; return the numbers by state."""

        def done():
            counts = self.counts(token)
            return (
                counts
                if not (counts.pending or counts.sending or counts.in_doubt or counts.waiting)
                else None
            )

        return eventually(done, PATIENCE)
