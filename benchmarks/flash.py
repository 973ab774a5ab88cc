"""Bytes that reach the device for an entry, the file system's own journal included, and how long that takes.

    python -m benchmarks.flash      needs root, losetup and mkfs.ext4

An ext4 of its own is made in a file, so that the device's counters show nothing else. Beside the recorder stands
`sqlite3` that makes the same insert with a page of SQLite's usual size, and lets it move the log by itself.
"""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import recording
from benchmarks.journals import INSERT, PROPERTIES, ROW, raw
from benchmarks.pairs import seconds
from benchmarks.sink import sink
from recorder import Recorder

IMAGE = 400_000_000  # bytes
ROUNDS = 5
SECTOR = 512  # what the kernel counts in, whatever the device's are
USUAL_PAGE = 4_096
HEAD = "what                                bytes an entry   us an entry"


@contextmanager
def disk() -> Iterator[tuple[Path, Path]]:
    """A folder on a file system of its own, and where the kernel counts what is written to it."""
    with tempfile.TemporaryDirectory() as folder:
        image, mounted = Path(folder, "image"), Path(folder, "mounted")
        mounted.mkdir()
        with image.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, IMAGE)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        made = subprocess.run(
            ["losetup", "--find", "--show", image], check=True, capture_output=True, text=True
        )
        device = made.stdout.strip()
        try:
            subprocess.run(["mount", device, mounted], check=True)
            try:
                yield mounted, Path("/sys/block", Path(device).name, "stat")
            finally:
                subprocess.run(["umount", mounted], check=True)
        finally:
            subprocess.run(["losetup", "--detach", device], check=True)


def usual(synchronous: str) -> Callable[[Path], float]:
    """As `recording.theirs`, with pages as large as SQLite makes them by itself."""

    def measure(folder: Path) -> float:
        with raw(folder / "raw.db", synchronous) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # the size is not changed in the other mode
            connection.execute(f"PRAGMA page_size = {USUAL_PAGE}")
            connection.execute("VACUUM")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {recording.LOG_PAGES}")
            work = lambda: [connection.execute(INSERT, ROW) for _ in range(recording.SINGLES)]  # noqa: E731
            return seconds(work) / recording.SINGLES

    return measure


FLUSHED = 200


def flushed(folder: Path) -> float:
    """Record and ship one by one: an entry's whole life, at its dearest."""
    with sink() as url, Recorder("T", folder / "ours.db", url=url) as recorder:

        def work() -> None:
            for _ in range(FLUSHED):
                recorder.people_set("cdnow-00001", PROPERTIES)
                recorder.flush()

        return seconds(work) / FLUSHED


def lingered(folder: Path) -> float:
    """Record while a thread ships, as an app does."""
    with sink() as url, Recorder("T", folder / "ours.db", background=True, url=url) as recorder:
        took = recording.singles(recorder)
        recorder.flush()
        return took


KINDS: dict[str, tuple[Callable[[Path], float], int]] = {
    "raw sqlite3, a commit each, FULL": (usual("FULL"), recording.SINGLES),
    "people_set, power": (recording.ours("power"), recording.SINGLES),
    "raw sqlite3, a commit each, NORMAL": (usual("NORMAL"), recording.SINGLES),
    "people_set, process": (recording.ours("process"), recording.SINGLES),
    "people_set and flush, power": (flushed, FLUSHED),
    "people_set beside a shipper, power": (lingered, recording.SINGLES),
    "batch() of 1,000, power": (recording.our_batches, recording.BATCH * recording.BATCHES),
}


def main() -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in KINDS}
    with disk() as (mounted, counters):

        def written() -> int:
            os.sync()
            return SECTOR * int(counters.read_text(encoding="ascii").split()[6])

        for _ in range(ROUNDS):
            for name, (measure, entries) in KINDS.items():
                with tempfile.TemporaryDirectory(dir=mounted) as folder:
                    before = written()
                    took = measure(Path(folder))
                    found[name].append(((written() - before) / entries, took * 1e6))
                time.sleep(0.1)
    print(HEAD)
    for name, results in found.items():
        size, took = (statistics.median(column) for column in zip(*results, strict=True))
        print(f"{name:<36}{size:>14,.0f}{took:>14.1f}")


if __name__ == "__main__":
    main()
