"""Processes that record and ship, some to be killed. What they say are lines on standard output, each one write.

    recorder:  ``ready``, then after each call that returned the tags of what it recorded, and ``over``
    shipper:   ``ready``, then after each call of ``ship`` how it ended: ``done``, ``busy``, ``waiting`` …
    crowd:     ``ready``, and when its time is up ``THREAD NUMBER`` for each thread: how much that recorded
    runner:    ``ready``; ships in the background until its standard input ends

A *tag* is a number that no other operation of the journal has. It travels as the operation's time, so that
whatever arrives at the service says which entry it was.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from recorder import (
    HttpTransport,
    Journal,
    JournalConsumer,
    JournalError,
    PeopleApi,
    Recorder,
    Shipper,
    ShippingPolicy,
)
from recorder.model.operations import Operator

FIRST_TAG = 1_600_000_000  # a time, as far as the service is concerned
TAGS_EACH = 100_000
USERS = ("ada", "bob", "cyd", "dot", "eve", "fay")
GROUPS = ("acme", "bolt", "crow")
LETTERS = "abcd"


@dataclass(frozen=True, slots=True)
class Recording:
    """What a recorder does; two with the same numbers do the same.

    Attributes:
        place: Which of the round's recorders it is; its tags begin at a number of its own.
        seed: Of all that is drawn.
        calls: How many calls, some of which are batches.
        durability: As the journal's.
    """

    place: int
    seed: int
    calls: int
    durability: str

    def batches(self) -> list[range]:
        """The tags of each call."""
        chance = random.Random(f"sizes {self.seed}")
        batches, tag = [], FIRST_TAG + self.place * TAGS_EACH
        for _ in range(self.calls):
            size = chance.choice([1, 1, 1, chance.randint(2, 6)])
            batches.append(range(tag, tag + size))
            tag += size
        return batches


@dataclass(frozen=True, slots=True)
class Shipping:
    """How a shipper ships.

    Attributes:
        url: Of the service.
        in_doubt: As the policy's.
        batch_updates: As the policy's.
        settle_after: As the policy's.
        updates_per_second: As the policy's.
        endless: Whether it goes on when nothing is left.
    """

    url: str
    in_doubt: str
    batch_updates: int
    settle_after: float = 0.0
    updates_per_second: float | None = None
    endless: bool = False

    def policy(self) -> ShippingPolicy:
        return ShippingPolicy(
            in_doubt=self.in_doubt,  # type: ignore[arg-type]
            settle_after=self.settle_after,
            batch_updates=self.batch_updates,
            updates_per_second=self.updates_per_second,
        )


@dataclass(frozen=True, slots=True)
class Crowd:
    """Threads that record into one journal as fast as it takes it.

    Attributes:
        place: Which of the crowds it is.
        threads: How many.
        seconds: For how long.
        durability: As the journal's.
    """

    place: int
    threads: int
    seconds: float
    durability: str

    def first(self, thread: int) -> int:
        """The first tag of a thread; the others follow without a gap."""
        return FIRST_TAG + (self.place * self.threads + thread) * 10 * TAGS_EACH


def command(actor: str, path: Any, task: Any) -> list[str]:
    """What starts one; from the project's folder."""
    return [sys.executable, "-m", "tests.crash.actors", actor, str(path), json.dumps(asdict(task))]


def _say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def recording(journal: Journal, task: Recording) -> Iterator[range]:
    """Record call by call; what is given back are the tags of a call that has returned."""
    chance = random.Random(task.seed)
    recorder, consumer = Recorder("T", journal), JournalConsumer(journal)
    for tags in task.batches():
        if len(tags) > 1:
            with recorder.batch() as batch:
                for each in tags:
                    _update(batch, chance, each)
        elif chance.random() < 0.15:
            consumer.send("events", json.dumps(_event(chance, tags[0])))
        else:
            _update(recorder, chance, tags[0])
        yield tags


def _record(path: str, task: Recording) -> None:
    with Journal(path, durability=task.durability) as journal:
        calls, chance = recording(journal, task), random.Random()
        _say("ready")
        for tags in calls:
            _say(*tags)
            time.sleep(chance.random() * 0.004)  # a visitor thinks: others record and ship in between
    _say("over")


def _event(chance: random.Random, tag: int) -> dict[str, Any]:
    """A visit, of today or so long ago that it is imported; the service knows half of them again."""
    known_again = f"visit-{tag}" if chance.random() < 0.5 else ""
    properties = {"token": "T", "distinct_id": chance.choice(USERS), "tag": tag, "$insert_id": known_again}
    when = {"time": 1_600_000_000} if chance.random() < 0.5 else {}
    return {"event": "visit", "properties": properties | when}


def _update(people: PeopleApi, chance: random.Random, tag: int) -> None:
    """One operation; few profiles and few properties, so that they collide."""
    meta = {"$time": tag}
    if chance.random() < 0.2:
        group = {"$group_key": "company", "$group_id": chance.choice(GROUPS)}
        operator = chance.choice(
            [Operator.SET, Operator.SET_ONCE, Operator.UNION, Operator.ADD, Operator.REMOVE]
        )
        people.group_update(group | {operator.value: _payload(chance, operator)}, meta)
        return
    user, drawn = chance.choice(USERS), chance.random()
    if drawn < 0.08:
        people.people_track_charge(user, chance.randint(1, 9), {"$time": "2026-01-01T00:00:00"}, meta)
    elif drawn < 0.1:
        people.people_clear_charges(user, meta)
    elif drawn < 0.14:
        people.people_delete(user, meta)
    else:
        operator = chance.choice([each for each in Operator if each is not Operator.DELETE])
        people.people_update({"$distinct_id": user, operator.value: _payload(chance, operator)}, meta)


def _payload(chance: random.Random, operator: Operator) -> Any:
    number, letter = {"n": chance.randint(1, 9)}, {"l": chance.choice(LETTERS)}
    match operator:
        case Operator.ADD:
            return number
        case Operator.APPEND | Operator.REMOVE:
            return letter
        case Operator.UNION:
            return {"l": chance.sample(LETTERS, 2)}
        case Operator.UNSET:
            return [chance.choice("nlm")]
    both = number | {"l": chance.sample(LETTERS, 2)} | {"m": chance.randint(1, 9)}
    return {name: both[name] for name in chance.sample(list(both), chance.randint(1, 2))}


def _ship(path: str, task: Shipping) -> None:
    transport = HttpTransport(url=task.url)
    with Journal(path) as journal:
        shipper = Shipper(journal, transport, task.policy())
        _say("ready")
        while True:
            try:
                report = shipper.ship()
            except JournalError as error:
                _say("failed", error)
                raise
            _say(report.stopped_by)
            if report.stopped_by == "done" and not task.endless:
                return
            time.sleep(0.005)


def _crowd(path: str, task: Crowd) -> None:
    recorded = [0] * task.threads
    with Recorder("T", path, durability=task.durability) as recorder:
        _say("ready")
        end = time.monotonic() + task.seconds

        def work(thread: int) -> None:
            chance = random.Random(task.first(thread))
            tag = task.first(thread)
            while time.monotonic() < end:
                size = chance.choice([1, 1, 1, 5])
                if size == 1:
                    recorder.people_set(chance.choice(USERS), {"n": tag}, {"$time": tag})
                else:
                    with recorder.batch() as batch:
                        for each in range(tag, tag + size):
                            batch.people_set(chance.choice(USERS), {"n": each}, {"$time": each})
                tag += size
                recorded[thread] += size

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(task.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for place, number in enumerate(recorded):
        _say(place, number)


def _run(path: str, task: Shipping) -> None:
    stop = threading.Event()
    with Journal(path) as journal:
        shipper = Shipper(journal, HttpTransport(url=task.url), task.policy())
        thread = threading.Thread(target=shipper.run, args=(stop,))
        thread.start()
        _say("ready")
        os.read(0, 1)  # until it is closed
        stop.set()
        shipper.wake()
        thread.join()


ACTORS: dict[str, tuple[Any, Any]] = {
    "recorder": (_record, Recording),
    "shipper": (_ship, Shipping),
    "crowd": (_crowd, Crowd),
    "runner": (_run, Shipping),
}

if __name__ == "__main__":
    act, kind = ACTORS[sys.argv[1]]
    act(sys.argv[2], kind(**json.loads(sys.argv[3])))
