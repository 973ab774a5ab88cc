"""Recording, beside raw `sqlite3` that makes the same inserts at the same pragmas in the same run; the browser.

Every pair runs several times in turn, A B A B …, so that a machine whose speed drifts slows both. What counts
is the ratio of each pair; medians and spread are printed. Then the browser: see benchmarks/browser.py.
Usage: ``python -m benchmarks [--rounds N]``.
"""

import argparse
import json
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import browser
from recorder import Recorder

SINGLES = 2_000
BATCHES = 30
BATCH = 1_000
LINES = 100_000
COMMIT_LINES = 10_000

INSERT = """
INSERT INTO entries (lane, group_key, profile, operator, message, recorded_at, state, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
PROPERTIES = {"plan": "pro", "last_purchase": "1997-01-01"}
ROW = (
    "people",
    None,
    "cdnow-00001",
    "$set",
    '{"$time":852076800.0,"$distinct_id":"cdnow-00001","$set":{"plan":"pro","last_purchase":"1997-01-01"}}',
    852076800.0,
    "pending",
    None,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """What is measured, beside what, and the ratio to reach (1 is as fast as the baseline)."""

    name: str
    baseline: str
    to_reach: float
    ours: Callable[[Path], float]
    theirs: Callable[[Path], float]


@contextmanager
def raw(path: Path, synchronous: str) -> Iterator[sqlite3.Connection]:
    """The journal's table and pragmas, and a connection of one's own."""
    Recorder("T", path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        yield connection


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, by the wall's clock."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def our_singles(durability: str) -> Callable[[Path], float]:
    def measure(path: Path) -> float:
        with Recorder("T", path, durability=durability) as recorder:
            return seconds(lambda: [recorder.people_set("cdnow-00001", PROPERTIES) for _ in range(SINGLES)])

    return measure


def raw_singles(synchronous: str) -> Callable[[Path], float]:
    def measure(path: Path) -> float:
        with raw(path, synchronous) as connection:

            def work() -> None:
                for _ in range(SINGLES):
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute(INSERT, ROW)
                    connection.execute("COMMIT")

            return seconds(work)

    return measure


def our_batches(path: Path) -> float:
    with Recorder("T", path) as recorder:

        def work() -> None:
            for _ in range(BATCHES):
                with recorder.batch() as batch:
                    for _ in range(BATCH):
                        batch.people_set("cdnow-00001", PROPERTIES)

        return seconds(work)


def raw_batches(path: Path) -> float:
    with raw(path, "FULL") as connection:

        def work() -> None:
            for _ in range(BATCHES):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(INSERT, [ROW] * BATCH)
                connection.execute("COMMIT")

        return seconds(work)


def our_file(path: Path) -> float:
    """The whole command as a person runs it, the start of the interpreter included."""
    source = path.with_suffix(".jsonl")
    line = json.dumps({"$distinct_id": "cdnow-00001", "$time": 852076800.0, "$set": PROPERTIES})
    source.write_text(f"{line}\n" * LINES, encoding="utf-8")
    command = [
        sys.executable,
        "-c",
        "from tui.cli import main; main()",
        "record",
        "-j",
        str(path),
        "--token",
        "T",
    ]
    return seconds(lambda: subprocess.run([*command, str(source)], check=True, stderr=subprocess.DEVNULL))


def raw_file(path: Path) -> float:
    with raw(path, "FULL") as connection:

        def work() -> None:
            for _ in range(LINES // COMMIT_LINES):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(INSERT, [ROW] * COMMIT_LINES)
                connection.execute("COMMIT")

        return seconds(work)


def pytest_start(*options: str) -> Callable[[Path], float]:
    """What the plugin costs somebody whose tests ask for none of it."""

    def measure(path: Path) -> float:
        path.with_name("test_theirs.py").write_text("def test_theirs(): pass\n", encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:hypothesispytest",
        ]
        return seconds(
            lambda: subprocess.run(
                [*command, *options], check=True, cwd=path.parent, stdout=subprocess.DEVNULL
            )
        )

    return measure


PAIRS = (
    Pair("people_set, power", "raw, a commit each, FULL", 0.7, our_singles("power"), raw_singles("FULL")),
    Pair(
        "people_set, process",
        "raw, a commit each, NORMAL",
        0.4,
        our_singles("process"),
        raw_singles("NORMAL"),
    ),
    Pair("batch() of 1,000, power", "raw executemany, FULL", 0.25, our_batches, raw_batches),
    Pair("restante record of a file", "raw executemany of its rows", 0.15, our_file, raw_file),
    Pair(
        "pytest with the plugin",
        "pytest -p no:restante, one empty test",
        0.95,
        pytest_start(),
        pytest_start("-p", "no:restante"),
    ),
)
COUNTS = (SINGLES, SINGLES, BATCHES * BATCH, LINES, 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each pair runs (default 7)")
    rounds = parser.parse_args().rounds
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.system()} {platform.machine()}"
    )
    print(
        f"{rounds} pairs each, in turn; microseconds an operation as medians; ratio: baseline / ours, 1 is as fast\n"
    )
    print(
        f"{'what':26} {'ours':>8} {'baseline':>9}  {'ratio':>5} {'(lowest to highest)':>20} {'to reach':>9}   beside"
    )
    for pair, number in zip(PAIRS, COUNTS, strict=True):
        ours, theirs = [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(prefix="restante-bench-") as folder:
                ours.append(pair.ours(Path(folder) / "ours.db"))
                theirs.append(pair.theirs(Path(folder) / "raw.db"))
        ratios = sorted(their / our for our, their in zip(ours, theirs, strict=True))
        spread = f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        each = [statistics.median(times) / number * 1e6 for times in (ours, theirs)]
        print(
            f"{pair.name:26} {each[0]:8.1f} {each[1]:9.1f}  {statistics.median(ratios):5.2f} {spread:>20}"
            f" {pair.to_reach:9.2f}   {pair.baseline}",
            flush=True,
        )
    print()
    for line in browser.report(rounds, browser.ENTRIES, browser.TABLE_ROWS):
        print(line, flush=True)


if __name__ == "__main__":
    main()
