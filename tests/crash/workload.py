"""A kiosk's day in small: two threads record, a third ships, and each says what was promised to it.

What it says are lines of JSON on standard output, written when a call has returned (or, by the transport, while
it is under way), so that whoever traces the process has them in order among its writes and syncs:

    {"opened": true}                            the journal is there
    {"acknowledged": [thread, n]}               the first n entries of a thread are recorded
    {"sent": [[thread, n], ...]}                a request left with these entries
    {"answered": "accepted|unknown|refused"}    what came of it
    {"settled": true}                           and that is written down
"""

import json
import os
import random
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorder import Journal, Lane, Recorder, Shipper, ShippingPolicy
from recorder.shipping.verdicts import Answer
from tests.doubles import ACCEPTED, REFUSED, RESET

THREADS = 2
_ANSWERS = {"accepted": ACCEPTED, "unknown": RESET, "refused": REFUSED}
_DRAWN = ["accepted", "accepted", "accepted", "unknown", "refused"]


@dataclass(frozen=True, slots=True)
class Day:
    """What is recorded and how it is answered: the same whenever it has the same numbers.

    Attributes:
        seed: Of all that is drawn.
        calls: Of each thread.
        largest: Bytes of a message, roughly.
    """

    seed: int
    calls: int
    largest: int

    def batches(self, thread: int) -> list[range]:
        """The numbers of the entries of each recording call."""
        chance = random.Random(f"{self.seed} {thread}")
        batches, first = [], 0
        for _ in range(self.calls):
            size = chance.choice([1, 1, 1, chance.randint(2, 5)])
            batches.append(range(first, first + size))
            first += size
        return batches

    def entry(self, thread: int, n: int) -> tuple[str, str, dict[str, Any]]:
        """Profile, operator and properties of one entry."""
        chance = random.Random(f"{self.seed} {thread} {n}")
        size = chance.choice([10, 100, self.largest // 4, self.largest])
        padding = f"{thread}.{n} " * (size // 5)
        properties = {"thread": thread, "n": n, "padding": padding}
        return f"visitor-{n % 4}", chance.choice(["$set", "$append"]), properties


def say(**what: Any) -> None:
    """One write, so that it is one line of the trace."""
    os.write(1, json.dumps(what).encode() + b"\n")


class Service:
    """A transport with an answer of its own for each request; it says what left, and what came of it."""

    def __init__(self, day: Day) -> None:
        self._chance = random.Random(day.seed)

    def send(self, _lane: Lane, body: bytes, *, timeout: float | None = None) -> Answer:  # noqa: ARG002
        updates = [update.get("$set") or update["$append"] for update in json.loads(body)]
        say(sent=[[update["thread"], update["n"]] for update in updates])
        answer = self._chance.choice(_DRAWN)
        say(answered=answer)
        return _ANSWERS[answer]

    def close(self) -> None:
        pass


def _record(recorder: Recorder, day: Day, thread: int, batches: list[range], go: threading.Semaphore) -> None:
    for batch in batches:
        if len(batch) == 1:
            _one(recorder, day, thread, batch[0])
        else:
            with recorder.batch() as several:
                for n in batch:
                    _one(several, day, thread, n)
        say(acknowledged=[thread, batch.stop])
        go.release()


def _one(people: Any, day: Day, thread: int, n: int) -> None:
    profile, operator, properties = day.entry(thread, n)
    (people.people_set if operator == "$set" else people.people_append)(profile, properties)


def _morning(path: Path, durability: Any, day: Day, part: slice) -> Journal:
    """Part of a day: the journal is opened, recorded into and shipped at the same time."""
    journal = Journal(path, durability=durability)
    say(opened=True)
    recorder = Recorder("T", journal)
    shipper = Shipper(journal, Service(day), ShippingPolicy(batch_updates=4, settle_after=0))
    go = threading.Semaphore(0)
    batches = [day.batches(thread)[part] for thread in range(THREADS)]
    threads = [
        threading.Thread(target=_record, args=(recorder, day, thread, own, go))
        for thread, own in enumerate(batches)
    ]
    for thread in threads:
        thread.start()
    for place in range(sum(map(len, batches))):
        go.acquire()
        if place % 3 == 2:  # now and then, so that much is pending most of the time
            shipper.ship(limit=8)
            say(settled=True)
    for thread in threads:
        thread.join()
    return journal


def main(path: str, durability: str, *numbers: str) -> None:
    """The day, with the journal closed and opened again in between; it ends as if killed."""
    day = Day(*map(int, numbers))
    _morning(Path(path), durability, day, slice(0, day.calls * 3 // 4)).close()
    _morning(Path(path), durability, day, slice(day.calls * 3 // 4, None))
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
