"""Recorders killed with SIGKILL at random moments: what was acknowledged is there, numbered and in order."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict

import pytest

from recorder import Journal, JournalReader, Shipper
from tests.doubles import AT_ONCE, Scripted
from tests.services import eventually

# Records until it is killed, and says of each operation, after the call has returned, that it is recorded.
RECORDER = """
import os, sys, threading
from recorder import Recorder
path, name, durability, batch = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
recorder = Recorder("T", path, durability=durability)
def work(thread):
    n = 0
    while True:
        if batch > 1:
            with recorder.batch() as several:
                for step in range(batch):
                    several.people_append(f"{name}-{thread}", {"n": n + step})
        else:
            recorder.people_append(f"{name}-{thread}", {"n": n})
        n += batch
        os.write(1, f"{name}-{thread} {n - 1}\\n".encode())
for thread in range(2):
    threading.Thread(target=work, args=(thread,), daemon=True).start()
threading.Event().wait()
"""


class Victim:
    """A recorder in a process of its own, whose acknowledgements are collected until it dies."""

    def __init__(self, path, name, durability, batch):
        self.process = subprocess.Popen(
            [sys.executable, "-c", RECORDER, path, name, durability, str(batch)], stdout=subprocess.PIPE
        )
        self.acknowledged = {}
        self.started = threading.Event()
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self):
        for line in self.process.stdout:
            profile, number = line.decode().split()
            self.acknowledged[profile] = int(number)
            self.started.set()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        self.thread.join(30)
        self.process.stdout.close()


def recorded(path):
    """Profile to the numbers it recorded, in the order of the journal, which has no gap."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = connection.execute(
        "SELECT seq, profile, json_extract(message, '$.$append.n') FROM entries ORDER BY seq"
    ).fetchall()
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert [seq for seq, _, _ in rows] == list(range(1, len(rows) + 1))
    numbers = defaultdict(list)
    for _, profile, number in rows:
        numbers[profile].append(number)
    return numbers


@pytest.mark.parametrize("rounds", [4, pytest.param(300, marks=pytest.mark.long)])
def test_killed_recorders_lose_nothing(tmp_path, rounds):
    path, chance = tmp_path / "kiosk.db", random.Random(19970101)
    acknowledged = {}
    for place in range(rounds):
        durability = chance.choice(["power", "process"])
        batch = chance.choice([1, 1, 7])
        victims = [Victim(path, f"r{place}v{v}", durability, batch) for v in range(1 + place % 2)]
        for victim in victims:
            assert victim.started.wait(60)
        time.sleep(chance.random() * 0.05)  # the random moment
        for victim in victims:
            victim.kill()
            acknowledged |= victim.acknowledged
    numbers = recorded(path)
    assert len(acknowledged) >= rounds
    for profile, last in acknowledged.items():
        assert last in numbers[profile], (profile, last)
    for profile, seen in numbers.items():
        assert seen == list(range(len(seen))), profile  # in order, none missing, none twice
    with JournalReader(path) as reader:
        counts = reader.counts()
    assert counts.adds_up
    assert counts.pending == counts.recorded == sum(map(len, numbers.values()))


@pytest.mark.parametrize("rounds", [2, pytest.param(10, marks=pytest.mark.long)])
def test_kill_while_journal_is_made(tmp_path, rounds):
    """It leaves no journal, or a whole one."""
    chance = random.Random(1998)
    for place in range(rounds):
        path = tmp_path / f"kiosk-{place}.db"
        victim = Victim(path, "v", "power", 1)
        deadline = time.monotonic() + 30
        while not path.exists() and not victim.started.is_set() and time.monotonic() < deadline:
            pass
        time.sleep(chance.random() * 0.01)
        victim.kill()
        with Journal(path, token="T") as journal:
            assert journal.statistics(0.0).adds_up
        recorded(path)


SHIPPER = """
import sys
from recorder import HttpTransport, Journal, Shipper, ShippingPolicy
with Journal(sys.argv[1]) as journal:
    Shipper(journal, HttpTransport(url=sys.argv[2]), ShippingPolicy(batch_updates=5)).ship()
"""


def test_killed_shipper_leaves_batch_in_doubt(tmp_path):
    """The service holds the answer back, so the kill falls between the two."""
    from simulator.service.server import Service

    path = tmp_path / "kiosk.db"
    with Journal(path, token="T") as journal:
        from recorder import Recorder

        with Recorder("T", journal) as recorder:
            for n in range(12):
                recorder.people_append("ada", {"n": n})
    with Service(faults=[{"at": 2, "fault": "slow", "seconds": 60}]) as service:
        shipper = subprocess.Popen([sys.executable, "-c", SHIPPER, path, service.url])
        with JournalReader(path) as reader:
            eventually(lambda: (counts := reader.counts()).shipped == 5 == counts.sending)
            os.kill(shipper.pid, signal.SIGKILL)
            shipper.wait(30)
            transport = Scripted()
            with Journal(path) as journal:
                assert Shipper(journal, transport, AT_ONCE).ship().stopped_by == "done"
            counts = reader.counts()
            assert (counts.shipped, counts.possibly_twice, counts.adds_up) == (12, 5, True)
            assert [entry.seq for entry in reader.entries() if entry.possibly_twice] == [10, 9, 8, 7, 6]
