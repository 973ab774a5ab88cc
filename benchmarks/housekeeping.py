"""Waits of a recorder during a large pruning, in its own process and in another one.

    python -m benchmarks.housekeeping [ENTRIES]     a million entries take some minutes

Everything that was shipped is pruned while 500 updates a second are recorded, and each call of `people_set` is timed;
next to it the same without a pruning, on the same journal.
"""

import math
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.journals import Accepting
from recorder import Journal, Recorder, Shipper, ShippingPolicy
from recorder.model.entries import NewEntry

ENTRIES = 1_000_000
VISITORS = 20_000
EVERY = 1 / 500  # seconds between two calls
ALONE = 5.0  # seconds of recording with nobody pruning

HEAD = "durability  pruned by        calls   median ms      p99 ms      max ms   prune s"


def shipped(path: Path, entries: int) -> None:
    """A journal with so many entries that were shipped."""
    with closing(Journal(path, token="T", durability="process", keep_shipped_entries=math.inf)) as journal:
        for first in range(0, entries, 10_000):
            profiles = [f"visitor-{n % VISITORS}" for n in range(first, first + 10_000)]
            journal.append(
                [
                    NewEntry(
                        "people",
                        None,
                        name,
                        "$add",
                        f'{{"$distinct_id":"{name}","$add":{{"visits":1}}}}',
                        1.0,
                    )
                    for name in profiles
                ]
            )
        Shipper(journal, Accepting(), ShippingPolicy(batch_updates=2_000)).ship()


def prune(path: Path) -> None:
    """As `restante prune --all-shipped` does."""
    with Journal(path) as journal:
        journal.prune(all_shipped=True)


def record(recorder: Recorder, going_on: Callable[[], bool]) -> list[float]:
    """Record 500 times a second for as long as that; how long each call took, in seconds."""
    took, due, number = [], time.perf_counter(), 0
    while going_on():
        begun = time.perf_counter()
        recorder.people_set(f"visitor-{number % VISITORS}", {"seen": number})
        took.append(time.perf_counter() - begun)
        number, due = number + 1, due + EVERY
        time.sleep(max(0.0, due - time.perf_counter()))
    return took


def measure(path: Path, durability: Any, pruner: str) -> str:
    """One line of the table: `pruner` is nobody, a thread, or a process."""
    with Recorder("T", path, durability=durability) as recorder:
        begun = time.perf_counter()
        match pruner:
            case "a thread":
                thread = threading.Thread(target=recorder.journal.prune, kwargs={"all_shipped": True})
                thread.start()
                took = record(recorder, thread.is_alive)
                thread.join()
            case "a process":
                process = multiprocessing.get_context("spawn").Process(target=prune, args=(path,))
                process.start()
                took = record(recorder, process.is_alive)
                process.join()
            case _:
                took = record(recorder, lambda: time.perf_counter() < begun + ALONE)
        seconds = time.perf_counter() - begun
    quantiles = statistics.quantiles(took, n=100)
    figures = [1e3 * each for each in (quantiles[49], quantiles[98], max(took))]
    return (
        f"{durability:11} {pruner:14} {len(took):7,}"
        + "".join(f"{each:12.2f}" for each in figures)
        + f"{seconds:10.1f}"
    )


def main(entries: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "original.db"
        shipped(original, entries)
        print(HEAD, flush=True)
        for durability in ("power", "process"):
            for pruner in ("nobody", "a thread", "a process"):
                path = shutil.copy(original, Path(folder) / "kiosk.db")
                print(measure(Path(path), durability, pruner), flush=True)
                for file in Path(folder).glob("kiosk.db*"):
                    file.unlink()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES)
