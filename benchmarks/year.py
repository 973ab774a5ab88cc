"""A year of a kiosk's journal, in waves of offline and online: what grows, and what does not.

    python -m benchmarks.year [ENTRIES] [--write]

prints a line for each month; a million entries take some minutes. --write draws docs/pictures/year.svg.

A clock that is given makes the days; what is measured is real. Each month is offline for its first ten days.
"""

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import plots
from recorder import Journal, JournalReader, Recorder, Shipper, audit
from recorder.journal.uptime import Uptime
from recorder.shipping.verdicts import Answer
from simulator import Simulator

DAYS = 360
OFFLINE = 10  # days at the beginning of each month
MONTH = 30
DAY = 86_400.0
VISITORS = 5_000
_SAMPLED = 101  # one in so many is kept, or the figures themselves would grow

HEAD = "month   recorded       kept  file MB  log MB  rss MB  record us  open ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """How the journal stands at a month's end, and the most of it since the month before."""

    month: int
    recorded: int
    kept: int
    file: int
    log: int
    rss: int
    record: float
    open: float

    def __str__(self) -> str:
        return (
            f"{self.month:5} {self.recorded:10,} {self.kept:10,} {self.file / 1e6:8.1f} {self.log / 1e6:7.1f}"
            f" {self.rss / 1e6:7.1f} {self.record * 1e6:10.1f} {self.open * 1e3:8.1f}"
        )


class Service:
    """A network that is there or not."""

    def __init__(self):
        self.there = False

    def send(self, lane, body, *, timeout=None):  # noqa: ARG002  # as a transport
        return Answer(left=True, url="https://service.test/engage", status=200, body=b"1")

    def reach(self, lane):  # noqa: ARG002
        return None if self.there else "connection refused"


class Offline(Service):
    """The same, for the first request of an outage."""

    def send(self, lane, body, *, timeout=None):
        if self.there:
            return super().send(lane, body, timeout=timeout)
        return Answer(left=False, url="https://service.test/engage", error="connection refused")


def live(path, entries, tries=4, tell=None):
    """Record so many entries in a year, ship them in waves with so many tries a day; a `Month` each."""
    now, service, months, n = [1_800_000_000.0], Offline(), [], 0
    journal = Journal(path, token="T", durability="process")
    recorder = Recorder("T", journal, clock=lambda: now[0])
    shipper = Shipper(
        journal,
        service,
        clock=lambda: now[0],
        uptime=lambda: Uptime("year", now[0]),
        chance=lambda: 0.5,
    )
    log = path.with_name(path.name + "-wal")
    largest, largest_log, took = 0, 0, []
    for day in range(DAYS):
        service.there = day % MONTH >= OFFLINE
        for time_of_day in range(tries):
            while n < entries * (day * tries + time_of_day + 1) // (DAYS * tries):
                visitor = f"visitor-{n * 7919 % VISITORS}"
                began = time.perf_counter()
                if n % 3:
                    recorder.people_increment(visitor, {"visits": 1})
                else:
                    recorder.people_set(visitor, {"last": n, "kiosk": f"station-{n % 40}"})
                if not n % _SAMPLED:
                    took.append(time.perf_counter() - began)
                n += 1
            now[0] += DAY / tries
            shipper.ship()
            largest, largest_log = max(largest, path.stat().st_size), max(largest_log, log.stat().st_size)
        if day % MONTH == MONTH - 1:
            began = time.perf_counter()
            with JournalReader(path) as reader:
                counts = reader.counts()
            opened = time.perf_counter() - began
            rss = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf(
                "SC_PAGESIZE"
            )
            month = Month(
                month=day // MONTH + 1,
                recorded=counts.recorded,
                kept=counts.kept,
                file=largest,
                log=largest_log,
                rss=rss,
                record=statistics.median(took),
                open=opened,
            )
            months.append(month)
            if tell is not None:
                tell(month)
            largest, largest_log, took = 0, 0, []
    journal.close()
    return months


def draw(months):
    """File, log, memory, time to record and to open, month by month."""
    figure, (sizes, times) = plots.axes(2, (9, 3.2))
    numbers = [month.month for month in months]
    for name, values in (
        ("file, MB", [month.file / 1e6 for month in months]),
        ("log, MB", [month.log / 1e6 for month in months]),
        ("resident, MB", [month.rss / 1e6 for month in months]),
    ):
        sizes.plot(numbers, values, marker="o", label=name)
    times.plot(numbers, [month.record * 1e6 for month in months], marker="o", label="record, µs")
    times.plot(numbers, [month.open * 1e3 for month in months], marker="o", label="open and count, ms")
    for place in (sizes, times):
        place.set(xlabel=f"month, of {months[-1].recorded:,} entries a year", ylim=(0, None))
        place.grid(visible=True, alpha=0.3)
        place.legend()
    plots.save(figure, "year.svg")


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.year", description=__doc__.splitlines()[0])
    parser.add_argument("entries", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help="draw docs/pictures/year.svg")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kiosk.db"
        print(HEAD)
        months = live(path, given.entries, tell=lambda month: print(month, flush=True))
        audited = audit(path)
        visits = sum(profile.get("visits", 0) for profile in Simulator.from_journal(path).profiles.values())
        print(
            f"audit: {'every account agrees' if audited.agrees else audited.disagreements}; {visits:,} visits"
        )
    if given.write:
        draw(months)


if __name__ == "__main__":
    main()
