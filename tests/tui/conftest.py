"""The `restante` command, in this process or in one of its own; the journals and services it works with."""

import contextlib
import errno
import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest import mock

import pytest

from recorder import Journal, JournalReader
from recorder.model.entries import NewEntry
from simulator.service.server import Service
from tui.cli import main

PROJECT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.argv[0] = 'restante'; from tui.cli import main; main()"
PATIENCE = 60.0  # seconds; only what hangs takes so long


@dataclass(frozen=True)
class Ran:
    """The result of a command: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@dataclass
class Restante:
    """`restante(...)` runs a command in this process, through the same `main` as the installed program.

    A test that needs a process (signals, a closed or slow stream, the end of the interpreter) has `process`, which
    runs one to its end; `start`, which leaves it running; and `on_terminal`, which gives it a terminal.
    """

    folder: Path
    started: list = field(default_factory=list)

    def __call__(self, *arguments, stdin=b"", environment=None, **given):
        """Run it; the streams may be given as text files, or None as closed. What such files take is not returned."""
        variables = self.environment(environment)
        encoding = variables.get("PYTHONIOENCODING", "utf-8")
        streams = {
            "stdin": stdin if stdin is None or hasattr(stdin, "read") else _readable(stdin, encoding),
            "stdout": io.TextIOWrapper(io.BytesIO(), encoding),
            "stderr": io.TextIOWrapper(io.BytesIO(), encoding),
        }
        streams |= given
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, variables, clear=True),
            mock.patch.object(tempfile, "tempdir", None),  # found anew: it may be among the variables
            mock.patch.multiple(sys, argv=["restante", *map(str, arguments)], **streams),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        out, err = ("" if name in given else _written(streams[name]) for name in ("stdout", "stderr"))
        return Ran(ended.value.code, out, err)

    def process(self, *arguments, stdin=b"", environment=None, program=PROGRAM, **options):
        done = subprocess.run(
            self.command(arguments, program),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            check=False,
            cwd=self.folder,
            env=self.environment(environment),
            timeout=PATIENCE,
            **options,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments, environment=None, **options):
        process = subprocess.Popen(
            self.command(arguments),
            stdin=options.pop("stdin", subprocess.PIPE),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.environment(environment),
            **options,
        )
        self.started.append(process)
        return process

    def finish(self, process, stdin=None):
        out, err = process.communicate(stdin, timeout=PATIENCE)
        return Ran(process.returncode, out.decode(), err.decode())

    def on_terminal(self, *arguments, typed=None, environment=None):
        """Everything it writes goes to one terminal of 80 columns, and comes back as `out`.

        What is `typed` comes from that terminal, too, once the command asks: typed earlier, its echo could come first.
        """
        ours, theirs = pty.openpty()
        with ThreadPoolExecutor(1) as person, os.fdopen(ours, "wb", buffering=0) as keys:
            shown = person.submit(_answering, keys, (typed or "").encode())
            with (
                os.fdopen(theirs, encoding="utf-8") as read,
                os.fdopen(theirs, "w", encoding="utf-8", closefd=False) as written,
            ):
                streams = {"stdout": written, "stderr": written, "stdin": b"" if typed is None else read}
                terminal = {"TERM": "xterm-256color", "NO_COLOR": "1"} | (environment or {})
                code = self(*arguments, environment=terminal, **streams).code
            return Ran(code, shown.result(PATIENCE).replace("\r\n", "\n"), "")

    @staticmethod
    def command(arguments, program=PROGRAM):
        return [sys.executable, "-c", program, *map(str, arguments)]

    def environment(self, more):
        """Nothing of the surroundings decides what a test sees."""
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", "COLUMNS": "80"}
        # What is not on this machine goes to a proxy that is not there: no test can reach the real service.
        nowhere = {"HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1"}
        return plain | nowhere | {"NO_PROXY": "127.0.0.1", "PYTHONPATH": str(PROJECT)} | (more or {})


def _readable(given, encoding):
    return io.TextIOWrapper(io.BytesIO(given.encode() if isinstance(given, str) else given), encoding)


def _written(stream):
    stream.flush()
    return stream.buffer.getvalue().decode()


def _answering(terminal, typed):
    """Read what is shown to its end, and give the answer at the first question."""
    shown = b""
    for chunk in _until_end(terminal.fileno()):
        shown += chunk
        if typed and b"[y/N]" in shown:
            terminal.write(typed)
            typed = b""
    return shown.decode()


def _until_end(descriptor):
    while True:
        try:
            chunk = os.read(descriptor, 65_536)
        except OSError as error:
            if error.errno == errno.EIO:  # how Linux says that the other side has closed
                return
            raise
        if not chunk:
            return
        yield chunk


@pytest.fixture
def restante(tmp_path):
    command = Restante(tmp_path)
    yield command
    for process in command.started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None and not stream.closed:
                stream.close()


@pytest.fixture
def until():
    """Poll until a condition is true, and return its value; fail with the reason after a while."""

    def wait(condition, reason, seconds=PATIENCE / 2):
        deadline = time.monotonic() + seconds
        while not (result := condition()):
            assert time.monotonic() < deadline, f"waited in vain for {reason}"
            time.sleep(0.002)
        return result

    return wait


@pytest.fixture
def journal(tmp_path):
    """The path of the journal, which may not exist yet."""
    return tmp_path / "kiosk.db"


@pytest.fixture
def entries():
    """All entries of a journal, in the order of recording."""

    def read(path, expression=""):
        with JournalReader(path) as reader:
            return reader.entries(expression, limit=10**6)[::-1]

    return read


@pytest.fixture
def append(journal):
    """Rows straight into the journal, as recording would leave them, well formed or not."""
    return partial(append_to, journal)


def append_to(path, *messages, recorded_at=None, token="T", **columns):
    now = time.time() if recorded_at is None else recorded_at
    rows = []
    for message in messages:
        operator = next(name for name in message if name not in {"$distinct_id", "$group_key", "$group_id"})
        group = message.get("$group_key")
        row = NewEntry(
            "people" if group is None else "groups",
            group,
            message["$distinct_id"] if group is None else message["$group_id"],
            operator,
            json.dumps(message, ensure_ascii=False),
            now,
        )
        rows.append(row._replace(**columns))
    with Journal(path, token=token) as opened:
        opened.append(rows)


@pytest.fixture
def service():
    """A service that refuses a batch whole, so that the bad entry in it is looked for."""
    with Service(mixed="reject-all") as running:
        yield running


@pytest.fixture
def closed_port():
    """An address at which nobody listens, for as long as the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
