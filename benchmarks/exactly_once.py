"""Runs under faults: what is applied twice, lost or left in doubt by each policy, the same runs under each.

Recorder, shipper, settling and service are the real ones, over sockets; only the clocks are moved, so that nothing
sleeps. In each run 30 % of the updates' requests, those of settling included, meet one of the faults that the local
service knows, each kind alike; readings are of random age; another program adds and appends to the same properties, and
entries are pruned.

    python -m benchmarks.exactly_once [--runs N] [--write]
"""

import argparse
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from werkzeug.test import Client

from recorder import Journal, JournalReader, Recorder, Shipper, ShippingPolicy, audit
from recorder.journal.readback import settle
from recorder.journal.uptime import Uptime
from recorder.model.counting import MARK
from recorder.shipping.profiles import HttpProfiles
from recorder.shipping.transport import HttpTransport
from simulator import Simulator
from simulator.service import Service

__all__ = ["COUNTED", "LATER", "PAGE", "Tally", "exactly", "line", "rows", "tally"]

PAGE = Path(__file__).parents[1] / "docs" / "exactly-once.md"
BEGIN, END = "<!-- made by `python -m benchmarks.exactly_once --write` -->", "<!-- until here -->"

IDS = ("ada", "bob", "cleo", "dora")
POLICIES = {
    "`resend`": ShippingPolicy(in_doubt="resend"),
    "`hold`": ShippingPolicy(in_doubt="hold"),
    "`hold`, counted, settled": ShippingPolicy(in_doubt="hold", counted="objects"),
}
COUNTED = POLICIES["`hold`, counted, settled"]
SHARE = 0.3
LATER = 300.0
_MOST_REQUESTS = 5_000  # of a schedule: faults go on until the last entry is settled
_MOST_ROUNDS = 600
_WITNESSES = 2  # entries before the first operation
_LEFT = {"pending", "sending", "waiting", "in_doubt"}
_STUCK = 25  # rounds in which nothing changed: what is left waits for a person

Operation = Callable[["Kiosk", str, int], Any]


def faults(chance: random.Random, latest: float) -> Iterator[dict[str, Any]]:
    """Yield a schedule: each kind of fault alike, at random requests."""
    for at in range(2, _MOST_REQUESTS):  # the first request is the witness's
        if chance.random() >= SHARE:
            continue
        applied = chance.random() < 0.5
        kinds: list[dict[str, Any]] = [
            {"fault": "refuse"},
            {"fault": "partial_read"},
            {"fault": "reset", "applied": applied},
            {"fault": "ack_lost"},
            {"fault": "part", "updates": chance.randint(0, 6)},
            {"fault": "late", "seconds": chance.uniform(0, latest)},
            {"fault": "status", "code": chance.choice([500, 502, 504]), "applied": applied},
            {"fault": "status", "code": 503},
            {"fault": "status", "code": 429, "retry_after": chance.randint(1, 60)},
            {"fault": "slow", "seconds": 0.001},
            {"fault": "garbage"},
            {"fault": "redirect", "location": "http://127.0.0.1:9/"},
            {"fault": "truncate"},
        ]
        yield {"at": at, **chance.choice(kinds)}


class Kiosk:
    """A journal, its shipper, the service that it ships to, and the time of all of them.

    Args:
        path: Of the journal.
        seed: Of all that is random.
        policy: Of shipping; what is counted is settled, too.
        latest: Seconds after which the last late copy arrives.
    """

    def __init__(self, path: Path, seed: int, policy: ShippingPolicy, *, latest: float = 29.0) -> None:
        self.chance = random.Random(
            seed
        )  # of all but faults and back-off: each policy gets the same operations
        self.policy = policy
        self.seconds = 1_000.0
        ages = [self.chance.choice([0, 0, 5, 40, 500]) for _ in range(100)]
        self.requests = 0
        schedule = faults(random.Random(seed), latest)
        self.service = Service(clock=self.clock, read_lag=ages, faults=schedule, log=self._count)
        self._path = path
        self._open = ExitStack()
        self.decided = 0
        self.recorded: dict[int, tuple[str, str]] = {}
        self.visits = Counter[tuple[str, str]]()

    def __enter__(self) -> Self:
        self._open.enter_context(self.service)
        self.journal = self._open.enter_context(Journal(self._path, token="T", durability="process"))
        self.recorder = Recorder("T", self.journal, clock=self.clock)
        transport = HttpTransport(url=self.service.url)
        self._open.callback(transport.close)
        self.shipper = Shipper(
            self.journal,
            transport,
            self.policy,
            clock=self.clock,
            uptime=self.uptime,
            chance=lambda: 0.5,
        )
        self.profiles = HttpProfiles(self.service.url, ("ops", "secret"), "1", transport=transport)
        self._others = Client(self.service.application())
        return self

    def __exit__(self, *failure: object) -> None:
        self._open.close()

    def _count(self, line: str) -> None:
        self.requests += "arrived" not in line  # a late copy

    def clock(self) -> float:
        return 1_700_000_000 + self.seconds

    def uptime(self) -> Uptime:
        return Uptime("boot", self.seconds)

    def others(self, update: Mapping[str, Any]) -> None:
        """Have another program write to a profile; no fault befalls it."""
        self._others.post("/engage", data=json.dumps([{"$token": "T", **update}]))

    def turn(self) -> None:
        """Ship, let time pass, and settle what was counted."""
        self.shipper.ship()
        self.seconds += self.chance.choice([5, 31, 400])
        if self.policy.counted:
            readback = settle(self.journal._connection, self.profiles, self.clock(), self.uptime())  # noqa: SLF001
            self.decided += readback.entries
        if self.chance.random() < 0.1:
            self.journal.prune(all_shipped=True, now=self.clock())

    def end(self) -> None:
        """Go on until nothing is left that goes without a person."""
        before, same = None, 0
        for _ in range(_MOST_ROUNDS):
            self.turn()
            unsent = self.journal.claims.unsent()
            same = same + 1 if unsent == before else 0
            before = unsent
            if not unsent[0] or same == _STUCK:
                break
        self.seconds += 10_000  # what is late arrives
        self.service.apply_late()


def run(kiosk: Kiosk, operation: Operation, *, operations: int, others: Operation | None = None) -> None:
    """Record operations, a few at a time, and ship by turns, until nothing is left that may go."""
    chance = kiosk.chance
    # Shows that the reader sees such properties: without that, their absence would be no evidence.
    kiosk.recorder.people_append("witness", {"seen": {"op": 0}})
    kiosk.recorder.people_track_charge("witness", 1)
    kiosk.shipper.ship()
    number = 0
    while number < operations:
        for number in range(number + 1, min(number + chance.randint(1, 6), operations) + 1):  # noqa: B020
            operation(kiosk, chance.choice(IDS), number)
        kiosk.turn()
        if others is not None and chance.random() < 0.3:
            others(kiosk, chance.choice(IDS), number)
    kiosk.end()


# --- operations of which each can be found in the profile


def countable(kiosk: "Kiosk", id_: str, number: int) -> None:
    """Record an operation that leaves its number in the profile as often as it is applied, or a set."""
    recorder, chance = kiosk.recorder, kiosk.chance
    kind = chance.choice(["add", "charge", "object", "set"])
    match kind:
        case "add":
            recorder.people_increment(id_, {"visits": 1, f"op_{number}": 1})
        case "charge":
            recorder.people_track_charge(id_, chance.randint(1, 9), {"op": number})
        case "object":
            recorder.people_append(id_, {"seen": {"op": number}})
        case _:
            kind = f"set_{chance.randint(1, 3)}"
            recorder.people_set(id_, {kind: number})
    kiosk.recorded[number] = id_, kind


def visitor(kiosk: "Kiosk", id_: str, number: int) -> None:
    """Have another program add to the same property, or append to the same list."""
    kind = kiosk.chance.choice(["add", "object"])
    change: dict[str, Any] = (
        {"$add": {"visits": 1}} if kind == "add" else {"$append": {"seen": {"other": number}}}
    )
    kiosk.others({"$distinct_id": id_, **change})
    kiosk.visits[id_, kind] += 1


@dataclass
class Tally:
    """Result of some runs.

    Attributes:
        runs: How many.
        wrong_runs: Those with a wrong profile.
        wrong: Profiles that hold anything else than what was recorded, each once; what is left in doubt may miss.
        doubled: Entries applied twice, each time more counted.
        told: As many of these as the profile shows: adds by the counter, objects by their marks.
        lost: Entries that count as shipped, and were not applied.
        left: Entries that wait for a person.
        decided: Entries decided by what their profile shows.
        requests: As the service counts them.
    """

    runs: int = 0
    wrong_runs: int = 0
    wrong: int = 0
    doubled: int = 0
    told: int = 0
    lost: int = 0
    left: int = 0
    decided: int = 0
    requests: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


def tally(
    path: Path, seed: int, policy: ShippingPolicy, *, operations: int = 60, latest: float = 29.0
) -> Tally:
    """Return the result of one run of countable operations."""
    with Kiosk(path, seed, policy, latest=latest) as kiosk:
        run(kiosk, countable, operations=operations, others=visitor)
        profiles = kiosk.service.profiles()
    with JournalReader(path) as reader:
        left = {entry.seq - _WITNESSES for entry in reader.stream() if entry.state.value in _LEFT}
        counters = [counting.counter for counting in reader.counting()]
    assert audit(path).agrees, audit(path)
    found = Tally(runs=1, left=len(left), decided=kiosk.decided, requests=kiosk.requests)
    for id_ in IDS:
        found += _checked(id_, profiles.get(id_, {}), kiosk, left, counters)
    found.wrong_runs = int(found.wrong > 0)
    return found


def _checked(
    id_: str, profile: Mapping[str, Any], kiosk: "Kiosk", left: set[int], counters: Sequence[str]
) -> Tally:
    own = {number: kind for number, (whose, kind) in kiosk.recorded.items() if whose == id_}
    times = _times(profile)
    found, adds, objects = Tally(), Counter[str](), 0
    last: dict[str, int] = {}
    for number, kind in own.items():
        if kind.startswith("set"):
            last[kind] = number
            continue
        adds["applied"] += times[number] * (kind == "add")
        adds["shipped"] += kind == "add" and number not in left
        more = max(times[number] - 1, 0)
        found.doubled += more
        adds["doubled"] += more * (kind == "add")
        objects += more * (kind != "add")
        found.lost += times[number] == 0 and number not in left
    marked = [each.get(MARK) for name in ("seen", "$transactions") for each in profile.get(name, [])]
    found.told = min(objects, sum(repeats - 1 for mark, repeats in Counter(marked).items() if mark))
    if counters and adds["doubled"] and sum(profile.get(name, 0) for name in counters) != adds["shipped"]:
        found.told += adds["doubled"]
    sets = left.isdisjoint(own) and any(profile.get(name) != number for name, number in last.items())
    visits = profile.get("visits", 0) != adds["applied"] + kiosk.visits[id_, "add"]
    others = sum("other" in each for each in profile.get("seen", [])) != kiosk.visits[id_, "object"]
    found.wrong = int(bool(found.doubled or found.lost or sets or visits or others))
    return found


def _times(profile: Mapping[str, Any]) -> Counter[int]:
    """Return how often each operation was applied, by its number."""
    times = Counter({int(name[3:]): value for name, value in profile.items() if name.startswith("op_")})
    for name in ("seen", "$transactions"):
        times.update(each["op"] for each in profile.get(name, []) if "op" in each)
    return times


# --- operations that collide


def colliding(kiosk: Kiosk, id_: str, number: int) -> None:
    """Record one of ten kinds of operations on the same few properties."""
    recorder, chance = kiosk.recorder, kiosk.chance
    name, value = chance.choice(["a", "b", "seen"]), chance.randint(1, 9)
    number_name = chance.choice(["a", "b"])
    kinds: list[Callable[[], object]] = [
        lambda: recorder.people_increment(id_, {number_name: value}),
        lambda: recorder.people_increment(id_, {"a": -1, "b": 2}),
        lambda: recorder.people_track_charge(id_, value),
        lambda: recorder.people_clear_charges(id_),
        lambda: recorder.people_append(id_, {"seen": {"page": value}}),
        lambda: recorder.people_set(id_, {name: [{"page": value}] if name == "seen" else value}),
        lambda: recorder.people_set_once(id_, {"first": number}),
        lambda: recorder.people_union(id_, {"tags": [value]}),
        lambda: recorder.people_unset(id_, [name]),
        lambda: recorder.people_delete(id_) if chance.random() < 0.3 else None,
    ]
    chance.choice(kinds)()


def stranger(kiosk: Kiosk, id_: str, number: int) -> None:
    """Have another program write to a property of its own."""
    kiosk.others({"$distinct_id": id_, "$add": {"others": number}})


def exactly(path: Path, seed: int, *, operations: int = 60, fold: bool = False) -> Tally:
    """Return the result of one counted run of colliding operations; its profiles are compared with the journal's."""
    with Kiosk(path, seed, replace(COUNTED, fold=fold)) as kiosk:
        run(kiosk, colliding, operations=operations, others=stranger)
        profiles = kiosk.service.profiles()
    with JournalReader(path) as reader:
        left = sum(entry.state.value in _LEFT for entry in reader.stream())
        twice = reader.counts().possibly_twice
    assert audit(path).agrees, audit(path)
    predicted = Simulator.from_journal(path).profiles
    wrong = [id_ for id_ in IDS if plain(profiles.get(id_, {})) != predicted.get(id_, {})]
    found = Tally(runs=1, wrong=len(wrong), wrong_runs=int(bool(wrong)), left=left, doubled=twice)
    found.decided, found.requests = kiosk.decided, kiosk.requests
    return found


def plain(value: Any) -> Any:
    """Return a profile without what counting, and the other program, add to it."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: plain(each) for name, each in value.items() if not name.startswith(MARK) and name != "others"
    }


# --- the table

HEAD = "| policy | runs | wrong | applied twice | lost | left in doubt | decided by reading | requests |"


def rows(runs: int) -> Iterator[tuple[str, Tally]]:
    """Yield each line of the table: what was run, and its result."""
    for name, policy in POLICIES.items():
        yield name, _sum(runs, lambda path, seed, policy=policy: tally(path, seed, policy))
    yield (
        "the same, colliding operations",
        _sum(runs // 2, lambda path, seed: exactly(path, seed, fold=seed % 2 == 0)),
    )
    yield (
        f"the same, copies up to {LATER:.0f} s late",
        _sum(runs // 2, lambda path, seed: tally(path, seed, COUNTED, latest=LATER)),
    )


def _sum(runs: int, result: Callable[[Path, int], Tally]) -> Tally:
    total = Tally()
    for seed in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            total += result(Path(folder) / "kiosk.db", seed)
    return total


def line(what: str, found: Tally) -> str:
    """Return a line of the table."""
    twice = f"{found.doubled:,}" + (f" ({found.told:,} told)" if found.told else "")
    figures = (found.lost, found.left, found.decided, found.requests)
    return (
        f"| {what} | {found.runs:,} | {found.wrong_runs:,} | {twice} | "
        + " | ".join(f"{each:,}" for each in figures)
        + " |"
    )


def write(lines: Sequence[str]) -> None:
    """Put the table into its page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exactly_once", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--runs", type=int, default=200, help="of each policy (default 200); half as many of the others"
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/exactly-once.md")
    given = parser.parse_args()
    lines = [HEAD, "|---|" + "---:|" * 7]
    print(*lines, sep="\n", flush=True)
    for what, found in rows(given.runs):
        lines.append(line(what, found))
        print(lines[-1], flush=True)
    if given.write:
        write(lines)


if __name__ == "__main__":
    main()
