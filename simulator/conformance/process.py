"""A child process that is asked in lines. It may be broken in any way: each wait ends, and no output piles up."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import IO, Any, cast

__all__ = ["LineProcess", "ProcessFailed"]

_LONGEST = 16_000_000  # bytes of a line
_CHUNK = 65_536
_TAIL = 2_000  # bytes of standard error that are kept
_ENDING = 2.0  # seconds to end after standard input was closed
_LAST_WORDS = 0.5  # seconds for standard error, once standard output is closed


class ProcessFailed(Exception):
    """The process wrote no line; the message says why."""


class LineProcess:
    """A child process, in a group of its own: whatever it starts ends with it.

    Args:
        words: The program and its arguments.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, words: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(  # noqa: S603  # the user's own program
            words, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        streams = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._stdin, self._stdout, self._stderr = cast("tuple[IO[bytes], IO[bytes], IO[bytes]]", streams)
        self._written = bytearray()
        self._errors = b""
        self._selector = DefaultSelector()
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)
            if stream is not self._stdin:
                self._selector.register(stream, EVENT_READ)

    @property
    def errors(self) -> str:
        """The end of its standard error."""
        return self._errors.decode(errors="replace").strip()

    def ask(self, line: bytes, seconds: float) -> bytes:
        """Send a line, and return the line that it writes.

        Raises:
            ProcessFailed: It has ended, writes too much, or nothing in this time.
        """
        if self._written:
            raise ProcessFailed("it wrote more than a line for each request")
        until, unsent = time.monotonic() + seconds, line
        self._selector.register(self._stdin, EVENT_WRITE)
        try:
            while unsent or b"\n" not in self._written:
                self._check(until, seconds)
                if self._stdin in self._advance(until):
                    unsent = self._send(unsent)
        finally:
            self._drop(self._stdin)
        answer, _, self._written = self._written.partition(b"\n")
        return bytes(answer)

    def close(self) -> int:
        """Close its standard input, and end what does not end then; return its exit code."""
        self._stdin.close()
        until = time.monotonic() + _ENDING
        while self._is_open(self._stdout) and time.monotonic() < until:
            self._advance(until)
            self._written.clear()
        code = self._end()
        self._selector.close()
        self._stdout.close()
        self._stderr.close()
        return code

    def _check(self, until: float, seconds: float) -> None:
        if len(self._written) > _LONGEST:
            raise ProcessFailed(f"its line is longer than {_LONGEST:,} bytes")
        if not self._is_open(self._stdout):
            raise ProcessFailed(self._ended())
        if time.monotonic() > until:
            raise ProcessFailed(f"it gave no answer in {seconds:g} seconds; does it flush each line?")

    def _advance(self, until: float) -> list[Any]:
        """Read what there is, or wait for it; return the streams that were ready."""
        ready = [key.fileobj for key, _ in self._selector.select(max(0.0, until - time.monotonic()))]
        for stream in ready:
            if stream is not self._stdin:
                self._read(cast("IO[bytes]", stream))
        return ready

    def _read(self, stream: IO[bytes]) -> None:
        chunk = stream.read(_CHUNK)
        if chunk == b"":
            self._drop(stream)
        elif stream is self._stdout:
            self._written += chunk or b""
        else:
            self._errors = (self._errors + (chunk or b""))[-_TAIL:]

    def _send(self, unsent: bytes) -> bytes:
        try:
            unsent = unsent[self._stdin.write(unsent) or 0 :]
        except BrokenPipeError:  # its output says the rest, or the time does
            unsent = b""
        if not unsent:
            self._drop(self._stdin)
        return unsent

    def _is_open(self, stream: IO[bytes]) -> bool:
        return stream in self._selector.get_map()

    def _drop(self, stream: IO[bytes]) -> None:
        with suppress(KeyError):
            self._selector.unregister(stream)

    def _ended(self) -> str:
        until = time.monotonic() + _LAST_WORDS
        while self._is_open(self._stderr) and time.monotonic() < until:
            self._advance(until)
        code = self._end()
        return (
            "it closed its standard output" if code == -signal.SIGKILL else f"it ended with exit code {code}"
        )

    def _end(self) -> int:
        if self._process.returncode is None:
            # Before it is waited for: until then, no other process can have its number.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()
