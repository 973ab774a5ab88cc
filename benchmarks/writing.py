"""How many bytes reach the disk for an entry: what wears flash out.

Linux counts them for a process, in whole blocks, when they leave for the disk; the file system's own journal and
what the flash makes of it are not in it.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks import recording
from benchmarks.journals import PROPERTIES, ROW
from benchmarks.pairs import Measure, Pair
from recorder import Recorder

__all__ = ["ROW_ITSELF", "pairs"]

SINGLES = 4_000
BATCHES = 40
BATCH = 1_000
ROW_ITSELF = "the row itself"


def written() -> int:
    """Bytes that this process sent to the disk so far."""
    fields = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in fields if line.startswith("write_bytes"))


def by_one(durability: str) -> Measure:
    def measure(folder: Path) -> float:
        before = written()
        with Recorder("T", folder / "ours.db", durability=durability) as recorder:
            for _ in range(SINGLES):
                recorder.people_set("cdnow-00001", PROPERTIES)
        return (written() - before) / SINGLES

    return measure


def by_batches(folder: Path) -> float:
    before = written()
    with Recorder("T", folder / "ours.db") as recorder:
        for _ in range(BATCHES):
            with recorder.batch() as batch:
                for _ in range(BATCH):
                    batch.people_set("cdnow-00001", PROPERTIES)
    return (written() - before) / (BATCHES * BATCH)


def by_peer(put_all: Measure) -> Measure:
    """Return a measure of what another queue writes for an entry; see `recording.each`."""

    def measure(folder: Path) -> float:
        before = written()
        put_all(folder)
        return (written() - before) / recording.SINGLES

    return measure


def row(folder: Path) -> float:  # noqa: ARG001
    """The row itself: its texts, and eight bytes for each number."""
    return float(
        sum(len(value.encode()) if isinstance(value, str) else 8 for value in ROW if value is not None)
    )


def pairs() -> Iterator[Pair]:
    """All of them."""
    for what, ours in (
        ("a commit each, power", by_one("power")),
        ("a commit each, process", by_one("process")),
        ("batch() of 1,000", by_batches),
    ):
        yield Pair(f"bytes written, {what}", ROW_ITSELF, ours, row, None, by="times", unit=(1.0, "B"))
    for name, put_all, to_reach in (
        ("raw, a commit each, FULL", recording.theirs("FULL"), None),
        ("sqlite-utils insert (FULL, rollback)", recording.sqlite_utils_insert, 1),
        ("persist-queue SQLiteQueue (FULL, WAL)", recording.persist_queue, 1),
        ("huey SqliteStorage (fsync: FULL, WAL)", recording.huey, 1),
    ):
        yield Pair(
            "bytes written, a commit each, power",
            name,
            by_one("power"),
            by_peer(put_all),
            to_reach,
            by="times",
            unit=(1.0, "B"),
        )
