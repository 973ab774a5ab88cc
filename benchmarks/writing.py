"""How many bytes reach the disk for an entry: what wears flash out.

Linux counts them for a process, in whole blocks, when they leave for the disk; the file system's own journal and
what the flash makes of it are not in it.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.journals import PROPERTIES, ROW
from benchmarks.pairs import Measure, Pair
from recorder import Recorder

__all__ = ["pairs"]

SINGLES = 4_000
BATCHES = 40
BATCH = 1_000


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
        yield Pair(f"bytes written, {what}", "the row itself", ours, row, None, by="times", unit=(1.0, "B"))
