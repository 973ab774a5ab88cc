"""The simulator, against bare loops that end with the same profiles and check nothing."""

import gc
import gzip
import json
import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

from benchmarks.journals import kept
from benchmarks.pairs import Measure, Pair, seconds
from simulator import Simulator

__all__ = ["pairs"]

MANY = 1_000_000
MIXED = 30_000
PURCHASES = Path(__file__).parents[2] / "shared" / "data" / "cdnow_sample.ops.jsonl.gz"
"""A real workload that is no part of the project; see tests/tui/test_cdnow.py."""

APPLIED = 3
"""Times that messages are applied in a round."""

Profiles = dict[str, dict[str, Any]]


def bare_set(profile: dict[str, Any], payload: dict[str, Any]) -> None:
    profile.update(payload)


def bare_set_once(profile: dict[str, Any], payload: dict[str, Any]) -> None:
    for name, value in payload.items():
        profile.setdefault(name, value)


def bare_add(profile: dict[str, Any], payload: dict[str, Any]) -> None:
    for name, value in payload.items():
        profile[name] = profile.get(name, 0) + value


def bare_append(profile: dict[str, Any], payload: dict[str, Any]) -> None:
    for name, value in payload.items():
        profile.setdefault(name, []).append(value)


def bare_union(profile: dict[str, Any], payload: dict[str, Any]) -> None:
    for name, value in payload.items():
        held = profile.setdefault(name, [])
        held.extend(one for one in (value if isinstance(value, list) else [value]) if one not in held)


def bare_remove(profile: dict[str, Any], payload: dict[str, Any]) -> None:
    for name, value in payload.items():
        if name in profile:
            profile[name] = [one for one in profile[name] if one != value]


def bare_unset(profile: dict[str, Any], payload: list[str]) -> None:
    for name in payload:
        profile.pop(name, None)


BARE: dict[str, Callable[[dict[str, Any], Any], None]] = {
    "$set": bare_set,
    "$set_once": bare_set_once,
    "$add": bare_add,
    "$append": bare_append,
    "$union": bare_union,
    "$remove": bare_remove,
    "$unset": bare_unset,
}


def bare(messages: list[dict[str, Any]]) -> Profiles:
    """The profiles by dict operations alone."""
    profiles: Profiles = {}
    for message in messages:
        profile = profiles.setdefault(message["$distinct_id"], {})
        for operator, apply in BARE.items():
            if operator in message:
                apply(profile, message[operator])
    return profiles


def simulated(messages: list[dict[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    simulator = Simulator()
    for message in messages:
        simulator.apply(message)
    return simulator.profiles


def purchases() -> list[dict[str, Any]]:
    with gzip.open(PURCHASES, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def mixed() -> list[dict[str, Any]]:
    """Every operator in turn on properties of its own kind; so that bare operations fit, too."""
    dice = random.Random(1)  # the same each time
    shapes: list[tuple[str, Callable[[], Any]]] = [
        ("$set", lambda: {"plan": dice.choice("abc"), "address": {"city": dice.choice("xyz")}}),
        ("$set_once", lambda: {"first": dice.randrange(9)}),
        ("$add", lambda: {"visits": 1, "spent": dice.random()}),
        ("$append", lambda: {"seen": dice.randrange(5)}),
        ("$union", lambda: {"tags": [dice.choice("abc"), dice.choice("abc")]}),
        ("$remove", lambda: {"tags": dice.choice("abc")}),
        ("$unset", lambda: [dice.choice(["plan", "address"])]),
    ]
    found = []
    for n in range(MIXED):
        operator, payload = dice.choice(shapes)
        if operator == "$union":  # a bare union of two of a kind would keep both
            found.append({"$distinct_id": f"u{n % 1_000}", operator: {"tags": [dice.choice("abc")]}})
        else:
            found.append({"$distinct_id": f"u{n % 1_000}", operator: payload()})
    return found


def applied(
    workload: Callable[[], list[dict[str, Any]]],
    apply: Callable[[list[dict[str, Any]]], Mapping[str, Mapping[str, Any]]],
) -> Measure:
    """The fastest of some times, for either side.

    A run of the garbage collector takes as long as thousands of messages, and comes in the turn of the one or the
    other by chance: it looks at all that the process holds, which is neither's doing.
    """

    def once(messages: list[dict[str, Any]], expected: Profiles) -> float:
        got: list[Mapping[str, Mapping[str, Any]]] = []
        gc.collect()
        taken = seconds(lambda: got.append(apply(messages)))
        assert {id_: dict(profile) for id_, profile in got[0].items()} == expected
        return taken / len(messages)

    def measure(folder: Path) -> float:  # noqa: ARG001
        messages = workload()
        expected = bare(deepcopy(messages))
        return min(once(deepcopy(messages), expected) for _ in range(APPLIED))

    return measure


def from_journal(folder: Path) -> float:  # noqa: ARG001
    path = kept(MANY)
    return seconds(lambda: Simulator.from_journal(path)) / MANY


def parsed_alone(folder: Path) -> float:  # noqa: ARG001
    with closing(sqlite3.connect(kept(MANY))) as connection:
        rows = connection.execute(
            "SELECT seq, group_key, profile, operator, message FROM entries ORDER BY seq"
        )
        return seconds(lambda: [None for row in rows if json.loads(row[4]) is None]) / MANY


def appended(times: int) -> Measure:
    """One list that grows; seconds an append."""

    def measure(folder: Path) -> float:  # noqa: ARG001
        simulator = Simulator()

        def work() -> None:
            for n in range(times):
                simulator.people_append("ada", {"seen": n})

        return seconds(work) / times

    return measure


def pairs() -> Iterator[Pair]:
    """All of them."""
    workloads = [("a mix", mixed)]
    if PURCHASES.is_file():
        workloads.insert(0, ("the CDNOW sample", purchases))
    for name, workload in workloads:
        yield Pair(
            f"Simulator.apply, {name}",
            "dict operations, nothing checked",
            applied(workload, simulated),
            applied(workload, bare),
            0.25 if "CDNOW" in name else 0.2,
        )
    yield Pair(
        "Simulator.from_journal, 1,000,000",
        "reading and parsing the rows alone",
        from_journal,
        parsed_alone,
        0.5,
    )
    yield Pair(
        "20,000 appends to one list",
        "2,000 appends",
        appended(20_000),
        appended(2_000),
        1.5,
        by="times",
    )
