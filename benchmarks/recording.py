"""Recording, against raw `sqlite3` that makes the same inserts, and against other queues on SQLite."""

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.journals import INSERT, PROPERTIES, ROW, kept, raw
from benchmarks.pairs import Measure, Pair, in_process, seconds
from recorder import Recorder

__all__ = ["pairs"]

SINGLES = 2_000
THREADS = 16
EACH = 250  # a thread's
PROCESSES = 4
TURNS = 2_000  # a process's
BATCH = 1_000
BATCHES = 30
LINES = 100_000
COMMIT_LINES = 10_000
MANY = 1_000_000
VERY_MANY = 5_000_000
SLOW_SYNC = 0.005  # seconds, as on an SD card
LOG_PAGES = 1_000  # SQLite's own default


def ours(durability: str) -> Measure:
    def measure(folder: Path) -> float:
        with Recorder("T", folder / "ours.db", durability=durability) as recorder:
            return singles(recorder)

    return measure


def singles(recorder: Recorder) -> float:
    work = lambda: [recorder.people_set("cdnow-00001", PROPERTIES) for _ in range(SINGLES)]  # noqa: E731
    return seconds(work) / SINGLES


def theirs(synchronous: str, log_pages: int = LOG_PAGES) -> Measure:
    """A commit each, in one statement: the least that raw can do."""

    def measure(folder: Path) -> float:
        with raw(folder / "raw.db", synchronous, log_pages=log_pages) as connection:
            return seconds(lambda: [connection.execute(INSERT, ROW) for _ in range(SINGLES)]) / SINGLES

    return measure


def run_in_threads(work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_threads(folder: Path) -> float:
    with Recorder("T", folder / "ours.db") as recorder:

        def work() -> None:
            for _ in range(EACH):
                recorder.people_set("cdnow-00001", PROPERTIES)

        return seconds(lambda: run_in_threads(work)) / (THREADS * EACH)


def tail(put: Callable[[], object]) -> float:
    """Seconds that 999 of 1,000 calls took at most, made by all threads at once."""
    took: list[float] = []

    def work() -> None:
        for _ in range(EACH):
            begun = time.perf_counter()
            put()
            took.append(time.perf_counter() - begun)

    run_in_threads(work)
    return statistics.quantiles(took, n=1_000)[-1]


def our_tail(folder: Path) -> float:
    with Recorder("T", folder / "ours.db") as recorder:
        return tail(lambda: recorder.people_set("cdnow-00001", PROPERTIES))


def raw_tail(folder: Path) -> float:
    """A connection for each thread, as SQLite has it; they wait for each other by its busy time-out."""
    own = threading.local()

    def put() -> None:
        if not hasattr(own, "connection"):
            own.connection = sqlite3.connect(folder / "raw.db", isolation_level=None, timeout=60)
            own.connection.execute("PRAGMA synchronous = FULL")
        own.connection.execute(INSERT, ROW)

    Recorder("T", folder / "raw.db").close()
    return tail(put)


def persist_queue_tail(folder: Path) -> float:
    from persistqueue import SQLiteQueue

    queue = SQLiteQueue(str(folder), auto_commit=True, multithreading=True)
    return tail(lambda: queue.put(ROW[4]))


def huey_tail(folder: Path) -> float:
    from huey.storage import SqliteStorage

    storage = SqliteStorage(filename=str(folder / "their.db"), fsync=True)
    return tail(lambda: storage.enqueue(ROW[4].encode()))


MEASURE = """
import json, pathlib, sys
from benchmarks import recording
recording.SINGLES, recording.EACH = 200, 50
measure = {"threads": recording.in_threads, "raw": recording.theirs("FULL")}[sys.argv[1]]
print(json.dumps(measure(pathlib.Path(sys.argv[2]))))
"""


SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
static int late(const char *name, int fd) {
    struct timespec pause = {0, %d};
    nanosleep(&pause, 0);
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}
int fdatasync(int fd) { return late("fdatasync", fd); }
int fsync(int fd) { return late("fsync", fd); }
"""


def slowly_synced(what: str) -> Measure:
    """The same where each sync takes 5 ms longer: a library is put before the system's."""

    def measure(folder: Path) -> float:
        source, library = folder / "late.c", folder / "late.so"
        source.write_text(SHIM % int(SLOW_SYNC * 1e9), encoding="ascii")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        return float(in_process(MEASURE, what, folder, env={"LD_PRELOAD": str(library)}))

    return measure


LONGEST = """
import pathlib, sys
from benchmarks import recording
print({"ours": recording.our_longest, "raw": recording.raw_longest}[sys.argv[1]](pathlib.Path(sys.argv[2])))
"""


def our_longest(folder: Path) -> float:
    with Recorder("T", folder / "ours.db") as recorder:
        return max(seconds(lambda: recorder.people_set("cdnow-00001", PROPERTIES)) for _ in range(TURNS))


def raw_longest(folder: Path) -> float:
    with raw(folder / "raw.db", "FULL", log_pages=LOG_PAGES) as connection:
        connection.execute("PRAGMA busy_timeout = 60000")
        return max(seconds(lambda: connection.execute(INSERT, ROW)) for _ in range(TURNS))


def in_processes(what: str) -> Measure:
    """The longest call of several processes that record into one journal."""

    def measure(folder: Path) -> float:
        with ThreadPoolExecutor(PROCESSES) as pool:
            return max(pool.map(lambda _: in_process(LONGEST, what, folder), range(PROCESSES)))

    return measure


def our_batches(folder: Path) -> float:
    with Recorder("T", folder / "ours.db") as recorder:

        def work() -> None:
            for _ in range(BATCHES):
                with recorder.batch() as batch:
                    for _ in range(BATCH):
                        batch.people_set("cdnow-00001", PROPERTIES)

        return seconds(work) / (BATCHES * BATCH)


def raw_batches(folder: Path, size: int = BATCH, batches: int = BATCHES) -> float:
    with raw(folder / "raw.db", "FULL", log_pages=LOG_PAGES) as connection:

        def work() -> None:
            for _ in range(batches):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(INSERT, [ROW] * size)
                connection.execute("COMMIT")

        return seconds(work) / (batches * size)


def our_file(folder: Path) -> float:
    """The whole command as a person runs it, the start of the interpreter included."""
    source = folder / "lines.jsonl"
    line = json.dumps({"$distinct_id": "cdnow-00001", "$time": 852076800.0, "$set": PROPERTIES})
    source.write_text(f"{line}\n" * LINES, encoding="utf-8")
    command = [sys.executable, "-c", "from tui.cli import main; main()", "record", "--token", "T"]
    command += ["-j", str(folder / "ours.db"), str(source)]
    return seconds(lambda: subprocess.run(command, check=True, stderr=subprocess.DEVNULL)) / LINES


def upon(pending: int) -> Measure:
    def measure(folder: Path) -> float:
        path = Path(shutil.copy(kept(pending), folder))
        os.sync()  # or each sync of a recording would wait for the copy to reach the disk
        with Recorder("T", path) as recorder:
            return singles(recorder)

    return measure


# --- other queues on SQLite, each as it comes, or as its documentation says to make it durable


def each(put: Callable[[Any], object], item: Any) -> float:
    return seconds(lambda: [put(item) for _ in range(SINGLES)]) / SINGLES


def sqlite_utils_insert(folder: Path) -> float:
    import sqlite_utils

    table = sqlite_utils.Database(folder / "their.db")["entries"]
    columns = ("lane", "group_key", "profile", "operator", "message", "recorded_at", "state", "reason")
    row = dict(zip(columns, ROW, strict=True))
    table.insert(row)
    return each(table.insert, row)


def persist_queue(folder: Path) -> float:
    from persistqueue import SQLiteQueue

    return each(SQLiteQueue(str(folder), auto_commit=True).put, ROW[4])


def litequeue(folder: Path) -> float:
    from litequeue import LiteQueue

    return each(LiteQueue(str(folder / "their.db")).put, ROW[4])


def huey(folder: Path) -> float:
    from huey.storage import SqliteStorage

    return each(SqliteStorage(filename=str(folder / "their.db"), fsync=True).enqueue, ROW[4].encode())


def huey_default(folder: Path) -> float:
    from huey.storage import SqliteStorage

    return each(SqliteStorage(filename=str(folder / "their.db")).enqueue, ROW[4].encode())


def diskcache_deque(folder: Path) -> float:
    from diskcache import Deque

    return each(Deque(directory=str(folder)).append, ROW[4])


def pairs() -> Iterator[Pair]:
    """All of them."""
    power, process = ours("power"), ours("process")
    milliseconds = (1e3, "ms")
    yield Pair("people_set, power", "raw, a commit each, FULL", power, theirs("FULL"), 0.85)
    yield Pair("people_set, process", "raw, a commit each, NORMAL", process, theirs("NORMAL"), 0.55)
    yield Pair("people_set, process", "raw, never checkpointed", process, theirs("NORMAL", 0), None)
    yield Pair("16 threads, power", "raw, one thread", in_threads, theirs("FULL"), 1.3)
    if shutil.which("cc"):
        slow, alone = slowly_synced("threads"), slowly_synced("raw")
        what = "16 threads, each sync 5 ms slower"
        yield Pair(what, "raw, one thread", slow, alone, 10)
    for name, other, to_reach in (
        ("raw, a connection each, FULL", raw_tail, 20),
        ("persist-queue SQLiteQueue (FULL, WAL)", persist_queue_tail, 3),
        ("huey SqliteStorage (fsync: FULL, WAL)", huey_tail, 1),
    ):
        yield Pair("16 threads, 99.9th percentile", name, our_tail, other, to_reach, unit=milliseconds)
    yield Pair(
        "4 processes, longest call",
        "raw, SQLite's own wait",
        in_processes("ours"),
        in_processes("raw"),
        0.3,
        by="times",
        unit=milliseconds,
    )
    yield Pair("batch() of 1,000, power", "raw executemany, FULL", our_batches, raw_batches, 0.3)
    yield Pair(
        "restante record, 100,000 lines",
        "raw executemany of its rows",
        our_file,
        lambda folder: raw_batches(folder, COMMIT_LINES, LINES // COMMIT_LINES),
        0.15,
    )
    for name, other, own, how in (
        ("sqlite-utils insert (FULL, rollback)", sqlite_utils_insert, power, "power"),
        ("persist-queue SQLiteQueue (FULL, WAL)", persist_queue, power, "power"),
        ("huey SqliteStorage (fsync: FULL, WAL)", huey, power, "power"),
        ("litequeue (NORMAL, WAL)", litequeue, process, "process"),
        ("diskcache Deque (NORMAL, WAL)", diskcache_deque, process, "process"),
        ("huey SqliteStorage (OFF, WAL)", huey_default, process, "process"),
    ):
        yield Pair(f"people_set, {how}", name, own, other, 1.0)
    for pending in (MANY, VERY_MANY):
        what = f"people_set, {pending:,} pending"
        yield Pair(what, "an empty journal", upon(pending), power, 0.9, full=pending > MANY)
