"""Costs of starting: imports, `restante status`, memory."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.journals import INSERT, ROW, make
from benchmarks.pairs import Measure, Pair, in_process, seconds
from benchmarks.sink import sink

__all__ = ["memory", "pairs"]

FEW = 10
MANY = 1_000_000

_RECORDER = """
import json, sys
from benchmarks.pairs import resident
from recorder import Recorder
with Recorder("T", sys.argv[1]) as recorder:
    for _ in range(1_000):
        recorder.people_set("ada", {"plan": "pro"})
    print(json.dumps(resident()))
"""
_SHIPPER = """
import json, sys
from benchmarks.pairs import resident
from recorder import HttpTransport, Journal, Shipper
most = 0
with Journal(sys.argv[1]) as journal:
    shipper = Shipper(journal, HttpTransport(url=sys.argv[2]))
    for _ in range(20):
        shipper.ship(limit=1_000)
        most = max(most, resident())
print(json.dumps(most))
"""


_FIRST_ENTRY = """
from recorder import Recorder
with Recorder("T", "../first.db") as recorder:
    recorder.people_set("cdnow-00001", {"plan": "pro", "last_purchase": "1997-01-01"})
"""
_FIRST_ROW = f"""
import json, sqlite3
connection = sqlite3.connect("../raw.db", isolation_level=None)
connection.execute("PRAGMA synchronous = FULL")
connection.execute('''{INSERT}''', {ROW!r})
connection.close()
"""


def program(*arguments: str) -> Measure:
    """A program from its start to its end, as it is installed: pip compiles what it installs."""
    command = [sys.executable, *arguments]
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return lambda folder: seconds(
        lambda: subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, env=compiled)
    )


def status(name: str) -> Measure:
    def measure(folder: Path) -> float:
        command = [sys.executable, "-c", "from tui.cli import main; main()", "status"]
        command += ["-j", str(folder.parent / name)]
        run = lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: E731
        return seconds(run)

    return measure


def both(folder: Path) -> None:
    make(folder / "few.db", FEW)
    make(folder / "many.db", MANY)


def one_each(folder: Path) -> None:
    """The journals of the first entry, and of the first row."""
    for name in ("first.db", "raw.db"):
        make(folder / name, 1)


def held(what: str, name: str) -> Measure:
    """Bytes that a recorder, or a shipper, holds in memory."""

    def measure(folder: Path) -> float:
        path = folder / "own.db"
        path.write_bytes((folder.parent / name).read_bytes())
        if what == "recorder":
            return float(in_process(_RECORDER, path))
        with sink() as url:
            return float(in_process(_SHIPPER, path, url))

    return measure


def pytest_start(*options: str) -> Measure:
    """Measure the plugin where no test asks for it."""

    def measure(folder: Path) -> float:
        (folder / "test_theirs.py").write_text("def test_theirs(): pass\n", encoding="utf-8")
        bare = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
        return program(*bare, *options)(folder)

    return measure


def pairs() -> Iterator[Pair]:
    """Return the pairs that take time."""
    milliseconds = (1e3, "ms")
    yield Pair(
        "from recorder import Recorder",
        "import sqlite3, json",
        program("-c", "from recorder import Recorder"),
        program("-c", "import sqlite3, json"),
        3,
        by="times",
        unit=milliseconds,
    )
    yield Pair(
        "a program that records one thing",
        "the same with sqlite3, FULL",
        program("-c", _FIRST_ENTRY),
        program("-c", _FIRST_ROW),
        3,
        by="times",
        unit=milliseconds,
        prepare=one_each,
    )
    yield Pair(
        "restante status, 1,000,000 entries",
        "with 10",
        status("many.db"),
        status("few.db"),
        1.3,
        by="times",
        unit=milliseconds,
        prepare=both,
    )
    yield Pair(
        "pytest with the plugin",
        "pytest -p no:restante, one empty test",
        pytest_start(),
        pytest_start("-p", "no:restante"),
        0.95,
        unit=milliseconds,
    )


def memory() -> Iterator[Pair]:
    """Return the pairs that take memory."""
    for what in ("recorder", "shipper"):
        yield Pair(
            f"a {what} with 1,000,000 pending",
            "with 10",
            held(what, "many.db"),
            held(what, "few.db"),
            30,
            by="more",
            unit=(1e-6, "MB"),
            prepare=both,
        )
