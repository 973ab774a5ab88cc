"""From what size on a cluster pays for `restante fleet`: one process beside one and two Dask workers on this machine.

python -m benchmarks.fleet [--write] [--full]     --write puts the table into docs/fleet.md; --full adds 10^7 operations

A journal has 200 operations, shipped and counted. Journals are copies of one that the recorder made, with names of the
same length in its place, so that ten thousand take a minute.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from distributed import Client, LocalCluster

from benchmarks.journals import Accepting
from recorder import Journal, JournalReader, Recorder, Shipper, ShippingPolicy
from recorder.maintenance.snapshot import snapshot
from simulator import Simulator

OPERATIONS = 200
SIZES = (100_000, 1_000_000)
FULL = 10_000_000
PAGE = Path(__file__).parents[1] / "docs" / "fleet.md"
_TABLE = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- end -->)", re.DOTALL)
_TILL, _SITE = "till-0000000", "site-0000000"


class Cost(NamedTuple):
    """Cost of a run: seconds of all processes' CPUs, seconds by the wall's clock, bytes of the largest process."""

    cpu: float
    wall: float
    peak: float
    findings: int


class Template(NamedTuple):
    """A journal of one till as bytes, its identity, and the profiles that it makes, a line each."""

    journal: bytes
    identity: str
    profiles: str

    def renamed(self, number: int) -> tuple[bytes, str]:
        """Return the journal of another till, and its profiles. Two tills each share a site's profile."""
        identity = uuid.uuid5(uuid.NAMESPACE_OID, str(number)).hex
        names = [
            (self.identity, identity),
            (self.identity[:8], identity[:8]),  # its counter's name
            (_TILL, f"till-{number:07}"),
            (_SITE, f"site-{number // 2:07}"),
        ]
        journal, profiles = self.journal, self.profiles
        for old, new in names:
            journal = journal.replace(old.encode(), new.encode())
            profiles = profiles.replace(old, new)
        return journal, profiles


def template(folder: Path) -> Template:
    """Record and ship one till's operations."""
    live, copy = folder / "live.db", folder / "copy.db"
    with Journal(live, token="T", durability="process") as journal:
        with Recorder("T", journal).batch() as batch:
            for n in range(OPERATIONS):
                visitor = f"{_TILL}-{n % 5}"
                match n % 4:
                    case 0:
                        batch.people_increment(visitor, {"visits": 1})
                    case 1:
                        batch.people_set(visitor, {"plan": "pro" if n % 3 else "free", "page": n})
                    case 2:
                        batch.people_track_charge(visitor, n)
                    case 3:
                        batch.people_increment(_SITE, {"sales": 1})
        Shipper(journal, Accepting(), ShippingPolicy(in_doubt="hold", counted=True)).ship()
    with JournalReader(live) as reader:
        (counting,) = reader.counting()
        made = {id_: dict(profile) for id_, profile in Simulator.from_journal(live).profiles.items()}
        for id_, profile in made.items():
            adds = sum(entry.profile == id_ and entry.operator == "$add" for entry in reader.stream([]))
            profile[counting.counter] = adds
    snapshot(live, copy)
    lines = [json.dumps({"$distinct_id": id_, "$properties": profile}) for id_, profile in made.items()]
    return Template(copy.read_bytes(), counting.identity, "\n".join(lines) + "\n")


@contextmanager
def site(operations: int) -> Iterator[tuple[Path, Path, int]]:
    """Yield a folder of journals, the export of their profiles, and how many lost counts are planted in it."""
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as name:
        folder = Path(name)
        tills, export = folder / "tills", folder / "export.jsonl"
        tills.mkdir()
        (folder / "made").mkdir()
        first = template(folder / "made")
        planted = 0
        with export.open("w", encoding="utf-8") as lines:
            pair: dict[str, Any] = {}
            for number in range(operations // OPERATIONS):
                journal, profiles = first.renamed(number)
                (tills / f"till-{number:07}.db").write_bytes(journal)
                for line in profiles.splitlines():
                    profile = json.loads(line)
                    if profile["$distinct_id"].startswith("site-"):
                        pair = joined(pair, profile)
                        if number % 2 == 0 and number + 1 < operations // OPERATIONS:
                            continue
                        profile, pair = pair, {}
                    elif number % 1_000 == 500 and profile["$distinct_id"].endswith("-0"):
                        lose_one(profile["$properties"])
                        planted += 1
                    lines.write(json.dumps(profile) + "\n")
        yield tills, export, planted


def joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the profile that both of a site's tills make: they only add."""
    if not one:
        return dict(other)
    sums = dict(one["$properties"])
    for name, number in other["$properties"].items():
        sums[name] = sums.get(name, 0) + number
    return {**one, "$properties": sums}


def lose_one(properties: dict[str, Any]) -> None:
    """Take one of a profile's increments out of it, as if its request had been lost."""
    counter = next(name for name in properties if name.startswith("restante_"))
    properties[counter] -= 1
    properties["visits"] -= 1


def run(command: list[str]) -> tuple[int, float, float, float]:
    """Run `restante fleet`; return the number of its findings, seconds of CPU and wall, and its peak in bytes."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "restante", "fleet", "--json", *command], stdout=out
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begun
        out.seek(0)
        found = json.load(out)
    return len(found["profiles"]), used.ru_utime + used.ru_stime, wall, used.ru_maxrss * 1_024.0


def alone(tills: Path, export: Path) -> Cost:
    findings, cpu, wall, peak = run([str(tills), "--profiles", str(export)])
    return Cost(cpu, wall, peak, findings)


def spent(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def highest() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024.0


def clustered(tills: Path, export: Path, workers: int) -> Cost:
    """With the scheduler in this process; its start, and that of the workers, is not in it."""
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        processes = [psutil.Process(), *(psutil.Process(pid) for pid in client.run(os.getpid).values())]
        before = spent(processes)
        command = [str(tills), "--profiles", str(export), "--scheduler", cluster.scheduler_address]
        findings, cpu, wall, peak = run(command)
        cpu += spent(processes) - before
        return Cost(cpu, wall, max(peak, *client.run(highest).values()), findings)


WAYS = {
    "one process": alone,
    "1 worker": lambda tills, export: clustered(tills, export, 1),
    "2 workers": lambda tills, export: clustered(tills, export, 2),
}


def table(sizes: tuple[int, ...]) -> Iterator[str]:
    """Yield the lines of the table, as they are measured."""
    yield "| operations | | CPU | wall | largest process |"
    yield "|---|---|---|---|---|"
    for operations in sizes:
        with site(operations) as (tills, export, planted):
            for name, way in WAYS.items():
                cost = way(tills, export)
                assert cost.findings == planted, (name, cost, planted)
                took = f"{cost.cpu:,.1f} s | {cost.wall:,.1f} s | {cost.peak / 1e6:,.0f} MB"
                yield f"| {operations:,} | {name} | {took} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the table into docs/fleet.md")
    parser.add_argument("--full", action="store_true", help=f"measure {FULL:,} operations, too")
    given = parser.parse_args()
    lines = []
    for line in table((*SIZES, FULL) if given.full else SIZES):
        print(line, flush=True)
        lines.append(f"{line}\n")
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        if not given.full:  # keep what is measured with --full only
            lines += [f"{line}\n" for line in page.splitlines() if line.startswith(f"| {FULL:,} |")]
        PAGE.write_text(_TABLE.sub("".join(lines), page), encoding="utf-8")


if __name__ == "__main__":
    main()
