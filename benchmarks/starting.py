"""Costs of starting: imports, `restante status`, memory."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.journals import INSERT, ROW, kept
from benchmarks.pairs import Measure, Pair, in_process, seconds
from benchmarks.sink import sink
from recorder import Journal
from recorder.journal.schema import create_schema

__all__ = ["memory", "pairs"]

FEW = 10
MANY = 1_000_000
MADE = 10

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
with Recorder("T", "first.db") as recorder:
    recorder.people_set("cdnow-00001", {"plan": "pro", "last_purchase": "1997-01-01"})
"""
_FIRST_ROW = f"""
import json, sqlite3
connection = sqlite3.connect("first.db", isolation_level=None)
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


def command(*arguments: str) -> Measure:
    """The command `restante`."""
    return program("-c", "from tui.cli import main; main()", *arguments)


def status(entries: int) -> Measure:
    def measure(folder: Path) -> float:
        return command("status", "-j", str(kept(entries)))(folder)

    return measure


_CLICK = """
import click
@click.command()
@click.version_option("1.0", prog_name="bare")
def bare():
    pass
bare()
"""


def first_entry(code: str) -> Measure:
    """Record into a journal that exists."""

    def measure(folder: Path) -> float:
        shutil.copy(kept(1), folder / "first.db")
        return program("-c", code)(folder)

    return measure


# --- a journal is made


def our_journal(path: Path) -> None:
    Journal(path, token="T").close()


def their_journal(path: Path) -> None:
    """The same tables, by sqlite3 alone."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        create_schema(connection)


def made(make: Callable[[Path], None]) -> Measure:
    def measure(folder: Path) -> float:
        return seconds(lambda: [make(folder / f"{number}.db") for number in range(MADE)]) / MADE

    return measure


def made_in_memory(what: str) -> Measure:
    """Bytes by which a program grows that makes its first journal."""
    return lambda folder: float(in_process(_MAKING, what, folder / "own.db"))


_MAKING = """
import json, pathlib, sys
from benchmarks import starting
from benchmarks.pairs import resident
before = resident()
getattr(starting, sys.argv[1])(pathlib.Path(sys.argv[2]))
print(json.dumps(resident() - before))
"""


def held(what: str, entries: int) -> Measure:
    """Bytes that a recorder, or a shipper, holds in memory."""

    def measure(folder: Path) -> float:
        path = Path(shutil.copy(kept(entries), folder))
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
        "a program that records one entry",
        "the same with sqlite3, FULL",
        first_entry(_FIRST_ENTRY),
        first_entry(_FIRST_ROW),
        3,
        by="times",
        unit=milliseconds,
    )
    yield Pair(
        "creating a journal",
        "sqlite3: the same tables, WAL, FULL",
        made(our_journal),
        made(their_journal),
        3,
        by="times",
        unit=milliseconds,
    )
    for name, ours, to_reach in (("--version", command("--version"), 2), ("status", status(FEW), 2.5)):
        yield Pair(
            f"restante {name}",
            "click: a program of one command",
            ours,
            program("-c", _CLICK, "--version"),
            to_reach,
            by="times",
            unit=milliseconds,
        )
    yield Pair(
        "restante status, 1,000,000 entries",
        "with 10 entries",
        status(MANY),
        status(FEW),
        1.3,
        by="times",
        unit=milliseconds,
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
    megabytes = (1e-6, "MB")
    for what in ("recorder", "shipper"):
        yield Pair(
            f"{what} with 1,000,000 pending",
            "with 10 pending",
            held(what, MANY),
            held(what, FEW),
            30,
            by="more",
            unit=megabytes,
        )
    yield Pair(
        "creating a journal, memory",
        "sqlite3: the same tables, WAL, FULL",
        made_in_memory("our_journal"),
        made_in_memory("their_journal"),
        2,
        by="more",
        unit=megabytes,
    )
