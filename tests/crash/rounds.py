"""A round: recorders and shippers of one journal are killed, a fresh shipper drains, and the books are held
against what the service applied.

What is drawn comes from the round's seed; when a process is killed depends on the machine, too. A round again:

    python -m tests.crash.rounds SEED [STEP ...]
"""

import contextlib
import itertools
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from recorder import HttpTransport, Journal, Shipper
from recorder.journal.uptime import Uptime, uptime
from tests.crash.actors import Recording, Shipping, recording
from tests.crash.books import Books
from tests.crash.stage import Actor
from tests.crash.witness import PATIENCE, Witness

# System calls in the middle of what a shipper or a recorder does, and up to which of them one thread gets.
# Opened (fcntl takes SQLite's locks), written, synced; sent, and the answer read.
CALLS = {"pwrite64": 30, "fdatasync": 8, "fcntl": 60, "sendto": 2, "recvfrom": 2, "connect": 1}
_OPEN = "SELECT count(*) FROM attempts WHERE outcome IS NULL"
_SETTLED = "SELECT count(outcome) FROM attempts"
_ATTEMPTS = "SELECT count(*) FROM attempts"
_PAUSE = 0.15  # seconds between the requests of a shipper that is caught there
_OF_RECORDERS = ("pwrite64", "fdatasync", "fcntl")


class Round:
    """One round.

    Args:
        seed: Of what is drawn.
        folder: Where the journal is.
        steps: At which steps shippers are killed, one after the other; names in `STEPS`.
    """

    def __init__(self, seed: int, folder: Path, steps: list[str]) -> None:
        self.seed = seed
        self.path = folder / "kiosk.db"
        self.steps = steps
        self.reached: list[str] = []
        self.compared = 0
        self.marked = 0
        self._chance = random.Random(seed)
        self._in_doubt = self._chance.choice(["resend", "hold", "drop"])
        self._batch = self._chance.randint(2, 9)
        self._recorders: list[tuple[Recording, Actor]] = []
        self._recorded: list[tuple[list[range], int]] = []
        self._all: list[Actor] = []

    def run(self) -> None:
        Journal(self.path, token="T").close()
        with contextlib.ExitStack() as stack, Witness(self._faults(60, _WHILE_KILLING)) as self._service:
            stack.callback(self._end)
            self._start_recorders()
            for step in self.steps:
                if STEPS[step](self):
                    self.reached.append(step)
                Books(self.path, self._service).add_up()
            for _, actor in self._recorders:
                actor.bury()
            self._drain(self._faults(30, _WHILE_DRAINING))
            self._check(self._in_doubt)
            if self._in_doubt == "hold":
                self._decide()
                self._check("decided")

    def _end(self) -> None:
        for actor in self._all:
            actor.kill()

    # --- what is drawn

    def _faults(self, requests: int, kinds: list[dict[str, Any]]) -> list[dict[str, Any]]:
        share = self._chance.choice([0, 0.15, 0.4])
        return [
            {"at": at, **self._chance.choice(kinds)}
            for at in range(1, requests)
            if self._chance.random() < share
        ]

    def _start_recorders(self) -> None:
        by_call = any(step.startswith("call") for step in self.steps)
        for place in range(self._chance.choice([1, 2])):
            durability = self._chance.choice(["power", "process"])
            calls = self._chance.randint(12, 30)
            task = Recording(place, self._chance.getrandbits(32), calls, durability)
            fate = self._chance.random()
            at = None
            if by_call and fate < 0.5:
                name = self._chance.choice(_OF_RECORDERS)
                at = name, self._chance.randint(1, 3 * CALLS[name])
            actor = Actor("recorder", self.path, task, at=at)
            self._all.append(actor)
            if at is None and fate < 0.5:
                actor.when = self._chance.randrange(calls), self._chance.random() * 0.003
            self._recorders.append((task, actor))

    def _start_shipper(
        self,
        *,
        at: tuple[str, int] | None = None,
        batch: int | None = None,
        updates_per_second: float | None = None,
    ) -> Actor:
        task = Shipping(
            self._service.url,
            self._in_doubt,
            batch or self._batch,
            settle_after=self._chance.choice([0.0, 0.03]),
            updates_per_second=updates_per_second,
            endless=True,
        )
        actor = Actor("shipper", self.path, task, at=at)
        self._all.append(actor)
        return actor

    # --- waiting

    def _until(self, condition: Callable[[], bool], shipper: Actor, *ends: str) -> bool:
        """Wait for a condition: False where nothing is left that could bring it about."""
        deadline = time.monotonic() + PATIENCE
        known: int | None = None
        while not condition():
            assert time.monotonic() < deadline, f"{self.seed}: waited in vain; {shipper.said[-3:]}"
            if shipper.ended:
                return condition()
            if known is None and all(actor.ended for _, actor in self._recorders):
                known = len(shipper.said) + 1  # this call may have begun before the last was recorded
            if known is not None and shipper.has_said(*(ends or ("done",)), after=known):
                return condition()
            time.sleep(0.002)
        return True

    def _a_moment(self, longest: float) -> None:
        time.sleep(self._chance.random() * longest)

    def _kill(self, *shippers: Actor) -> None:
        """Kill shippers, and let what they had sent be applied."""
        for shipper in shippers:
            shipper.kill()
        self._service.let_go()
        for shipper in shippers:
            shipper.bury()
        self._service.be_quiet()

    def _ready(self, shipper: Actor) -> bool:
        return self._until(lambda: "ready" in shipper.said, shipper)

    @contextlib.contextmanager
    def _write_lock(self, patience: float = PATIENCE) -> Iterator[None]:
        """Hold the journal's write lock."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=patience, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                holder.execute("ROLLBACK")

    def _writable(self) -> bool:
        try:
            with self._write_lock(patience=0.0):
                return True
        except sqlite3.OperationalError:
            return False

    def _ask(self, sql: str) -> int:
        with contextlib.closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as look:
            return int(look.execute(sql).fetchone()[0] or 0)

    # --- steps: each starts a shipper and kills it there; whether it came so far

    def _at_random(self) -> bool:
        shipper = self._start_shipper()
        self._ready(shipper)
        self._a_moment(0.15)
        self._kill(shipper)
        return True

    def _claimed(self) -> bool:
        """An attempt is open: the request is anywhere between here and its answer."""
        shipper = self._start_shipper()
        skip = self._chance.randrange(3)
        so_far = self._ask("SELECT max(id) FROM attempts") + skip
        reached = self._until(lambda: self._ask(f"{_OPEN} AND id > {so_far}") > 0, shipper)
        self._a_moment(0.004)
        self._kill(shipper)
        return reached

    def _held(self, step: str) -> tuple[Actor, bool]:
        self._service.hold_at(step, self._chance.randint(1, 4))
        shipper = self._start_shipper()
        return shipper, self._until(lambda: self._service.holds, shipper)

    def _arrived(self) -> bool:
        """The request is with the service, and applied after its sender is gone."""
        shipper, reached = self._held("arrived")
        self._kill(shipper)
        return reached

    def _applied(self) -> bool:
        """It is applied, and not answered."""
        shipper, reached = self._held("applied")
        self._kill(shipper)
        return reached

    def _answered(self) -> bool:
        """It is answered, and the answer cannot be written down."""
        shipper, reached = self._held("applied")
        with self._write_lock():
            self._service.let_go()
            self._a_moment(0.03)
            self._kill(shipper)
        return reached

    def _taking_over(self) -> bool:
        """A shipper begins, and cannot write that it does."""
        with self._write_lock():
            shipper = self._start_shipper()
            reached = self._ready(shipper)
            self._a_moment(0.05)
            self._kill(shipper)
        return reached

    def _between(self) -> tuple[Actor, bool]:
        """A shipper that has settled a request, and waits before it claims the next."""
        shipper = self._start_shipper(
            batch=2, updates_per_second=2 / _PAUSE
        )  # one update alone is half a pause
        so_far = self._ask(_SETTLED)
        return shipper, self._until(lambda: self._ask(_SETTLED) > so_far, shipper)

    def _claiming(self) -> bool:
        """Between two requests the second cannot be written down."""
        shipper, reached = self._between()
        with self._write_lock():
            time.sleep(_PAUSE + 0.02)
            self._kill(shipper)
        return reached

    def _late(self) -> bool:
        """As arrived; but it is applied only when the next shipper is at work already, which must be the last."""
        shipper, reached = self._held("arrived")
        if not reached:
            self._kill(shipper)
            return False
        shipper.kill()
        shipper.bury()
        return True

    def _beside(self) -> bool:
        """A second shipper is there, and takes over at once."""
        first, reached = self._held("applied")
        second = self._start_shipper()
        reached = reached and self._until(lambda: second.has_said("busy"), second)
        first.kill()
        first.bury()
        words = len(second.said)
        taken = self._until(
            lambda: second.has_said("done", "waiting", "offline", "paused", after=words), second
        )
        self._a_moment(0.02)
        self._kill(second)
        return reached and taken

    def _overtaken_after_sending(self) -> bool:
        """A shipper is stopped, and its lock is lost; it goes on while another is in the middle of a request."""
        return self._overtake(*self._held("applied"), open_attempts=1)

    def _overtaken_between(self) -> bool:
        """The same, between two requests."""
        return self._overtake(*self._between(), open_attempts=0)

    def _overtake(self, first: Actor, reached: bool, *, open_attempts: int) -> bool:
        if not reached:
            self._kill(first)
            return False
        first.stop()
        lock = self.path.with_name(self.path.name + ".lock")
        if self._ask(_OPEN) != open_attempts or not self._writable() or not lock.exists():
            self._kill(first)  # it was stopped too late, in the middle of what comes next
            return False
        self._service.hold_at("arrived", 1)  # and what the first one had sent is answered
        lock.unlink()
        second = self._start_shipper()
        if not self._until(lambda: self._service.holds, second):
            self._kill(first, second)  # nothing is left to send: the first need not notice
            return False
        said, attempts = len(first.said), self._ask(_ATTEMPTS)
        first.process.send_signal(signal.SIGCONT)
        assert self._until(lambda: first.has_said("busy", after=said), first, "busy")
        # What it had settled may have ended its call: that call's word comes first then, and nothing else does.
        assert first.said[said:].index("busy") <= 1 - open_attempts, first.said[said:]
        assert self._ask(_ATTEMPTS) == attempts, "it claimed although it was overtaken"
        self._kill(first, second)
        return True

    def _at_a_call(self, name: str) -> bool:
        shipper = self._start_shipper(at=(name, self._chance.randint(1, CALLS[name])))
        reached = self._until(lambda: shipper.ended, shipper)
        self._kill(shipper)
        return reached

    # --- the end

    def _drain(self, faults: list[dict[str, Any]]) -> None:
        """A fresh shipper until nothing is left that could go; here its profiles in doubt do wait.

        Time passes only between its calls, when no copy is out, so that none is later than that. One more
        recorder records in between.
        """
        passed = 0.0

        def now() -> Uptime:
            boot, seconds = uptime()
            return Uptime(boot, seconds + passed)

        self._service.set_faults(faults)
        task = Shipping(self._service.url, self._in_doubt, self._batch, settle_after=30.0)
        transport = HttpTransport(url=self._service.url)
        last = Recording(2 + len(self._recorded), self._chance.getrandbits(32), 20, "process")
        batches, recorded = last.batches(), 0
        with Journal(self.path) as journal:
            shipper = Shipper(journal, transport, task.policy(), uptime=now)
            calls = recording(journal, last)
            for _ in range(200):
                recorded += sum(1 for _ in itertools.islice(calls, self._chance.randint(1, 5)))
                report = shipper.ship()
                self._service.apply_what_is_late()
                if report.stopped_by == "done" and recorded == len(batches):
                    self._recorded.append((batches, recorded))
                    transport.close()
                    return
                passed += self._chance.choice([0.0, 10.0, 400.0])
        raise AssertionError(f"never done: {report}")

    def _decide(self) -> None:
        """A person takes up what is in doubt, or gives it up."""
        with Journal(self.path) as journal:
            decide = self._chance.choice([journal.retry, journal.discard])
            decide("state=in_doubt")
        self._drain([])

    def _check(self, in_doubt: str) -> None:
        books = Books(self.path, self._service)
        killed = [
            (task.batches(), sum(line[:1].isdigit() for line in actor.said))
            for task, actor in self._recorders
        ]
        books.check([*killed, *self._recorded], in_doubt)
        self.compared = books.compared
        self.marked = sum(row.possibly_twice for row in books.rows)


STEPS: dict[str, Callable[[Round], bool]] = {
    "at random": Round._at_random,
    "claimed": Round._claimed,
    "arrived": Round._arrived,
    "applied": Round._applied,
    "answered": Round._answered,
    "taking over": Round._taking_over,
    "claiming": Round._claiming,
    "beside": Round._beside,
    "overtaken after sending": Round._overtaken_after_sending,
    "overtaken between": Round._overtaken_between,
    "late": Round._late,
    **{f"call {name}": lambda self, name=name: self._at_a_call(name) for name in CALLS},  # type: ignore[misc]
}
"""By name; "late" comes last in a round."""

_ANYWHERE: list[dict[str, Any]] = [
    {"fault": "ack_lost"},
    {"fault": "reset", "applied": True},
    {"fault": "reset"},
    {"fault": "truncate"},
    {"fault": "partial_read"},
    {"fault": "refuse"},
    {"fault": "garbage"},
    {"fault": "status", "code": 500, "applied": True},
    {"fault": "status", "code": 502},
    {"fault": "status", "code": 429},
    {"fault": "status", "code": 400},
    {"fault": "status", "code": 403},
]
# An answer that is slow leaves a shipper that lives in the dark only for as long; one that is killed meanwhile
# leaves a request that is applied later, for which the driver waits.
_WHILE_KILLING = [*_ANYWHERE, *({"fault": "slow", "seconds": seconds} for seconds in (0.01, 0.03))]
# A copy that arrives after its sender has given up: only where its profiles wait for it.
_WHILE_DRAINING = [*_ANYWHERE, {"fault": "late", "seconds": 0.02}, {"fault": "late", "seconds": 0}]


def plan(seeds: range, *, traced: bool) -> Iterator[tuple[int, list[str]]]:
    """Seeds with their steps: in turn, so that each comes up, and two or three in some rounds."""
    names = [name for name in STEPS if name.startswith("call") == traced]
    for seed, name in zip(seeds, itertools.cycle(names), strict=False):
        chance = random.Random(f"plan {seed}")
        before = [other for other in names if other != "late"]
        yield seed, [*chance.sample(before, chance.choice([0, 0, 1, 2])), name]


def play(seed: int, steps: list[str]) -> Round:
    """One round in a folder of its own; where it fails it says which it was, and its folder stays."""
    folder = Path(tempfile.mkdtemp(prefix=f"restante-crash-{seed}-"))
    played = Round(seed, folder, steps)
    try:
        played.run()
    except BaseException as error:
        error.add_note(f"python -m tests.crash.rounds {seed} {' '.join(map(repr, steps))}; see {folder}")
        raise
    shutil.rmtree(folder)
    return played


if __name__ == "__main__":
    came = play(int(sys.argv[1]), sys.argv[2:] or ["at random"])
    print(f"{came.reached} reached; {came.compared} profiles compared, {came.marked} entries possibly twice")
