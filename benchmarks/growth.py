"""How cost grows: the same figures in journals of a thousand to a million entries, as a plot.

python -m benchmarks.growth [--rounds N] [--write]     --write draws docs/pictures/growth.svg
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks import plots
from benchmarks.journals import PROPERTIES, make
from benchmarks.pairs import seconds
from benchmarks.sink import sink
from recorder import HttpTransport, Journal, JournalReader, Recorder, Shipper, ShippingPolicy
from simulator import Simulator

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SINGLES = 2_000
REQUEST = 500


def recording(path: Path, entries: int) -> float:  # noqa: ARG001
    with Recorder("T", path, durability="process") as recorder:
        work = lambda: [recorder.people_set("cdnow-00001", PROPERTIES) for _ in range(SINGLES)]  # noqa: E731
        return seconds(work) / SINGLES * 1e6


def shipping(path: Path, entries: int) -> float:  # noqa: ARG001
    policy = ShippingPolicy(batch_updates=REQUEST)
    with sink() as url, Journal(path) as journal, closing(HttpTransport(url=url)) as transport:
        shipper = Shipper(journal, transport, policy)
        shipper.ship(limit=100)  # the connection stands
        return seconds(lambda: shipper.ship(limit=REQUEST)) * 1e3


def reading(path: Path, entries: int) -> float:
    with JournalReader(path) as reader:
        return seconds(lambda: [reader.entries(limit=100, after=entries // 2) for _ in range(20)]) / 20 * 1e3


def status(path: Path, entries: int) -> float:  # noqa: ARG001
    command = [sys.executable, "-c", "from tui.cli import main; main()", "status", "-j", str(path)]
    return seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)) * 1e3


def predicting(path: Path, entries: int) -> float:
    return seconds(lambda: Simulator.from_journal(path)) / entries * 1e6


FIGURES: dict[str, Callable[[Path, int], float]] = {
    "an entry recorded (process durability), µs": recording,
    f"a request of {REQUEST} claimed, sent and settled, ms": shipping,
    "a page of 100 entries read, ms": reading,
    "restante status, ms": status,
    "the prediction, µs an entry": predicting,
}


def measured(rounds: int) -> dict[str, list[float]]:
    """Each figure at each size; medians."""
    found: dict[str, list[float]] = {name: [] for name in FIGURES}
    for entries in SIZES:
        with tempfile.TemporaryDirectory(prefix="restante-bench-") as folder:
            path = Path(folder) / "kiosk.db"
            make(path, entries)
            for name, measure in reversed(FIGURES.items()):
                found[name].append(statistics.median(measure(path, entries) for _ in range(rounds)))
    return found


def draw(found: dict[str, list[float]]) -> None:
    figure, place = plots.axes(1, (8, 3.4))
    for name, values in found.items():
        place.plot(SIZES, values, marker="o", label=name)
    place.set(xscale="log", yscale="log", xlabel="pending entries in the journal")
    place.grid(visible=True, alpha=0.3)
    figure.legend(loc="outside right center")
    plots.save(figure, "growth.svg")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="draw docs/pictures/growth.svg")
    given = parser.parse_args()
    found = measured(given.rounds)
    print(f"{'entries':46}" + "".join(f"{entries:>12,}" for entries in SIZES))
    for name, values in found.items():
        print(f"{name:46}" + "".join(f"{value:12.2f}" for value in values))
    if given.write:
        draw(found)


if __name__ == "__main__":
    main()
