"""Many recorders and two shippers at once: nobody is turned away, nothing is lost, and one ships at a time."""

import contextlib
import json
import math
import signal
import sqlite3
import time

import pytest

from recorder import HttpTransport, Journal, JournalReader, Recorder, Shipper
from tests.crash.actors import Crowd, Shipping
from tests.crash.books import tag_of
from tests.crash.stage import Actor
from tests.crash.witness import PATIENCE, Witness
from tests.services import eventually


@contextlib.contextmanager
def acting(actors):
    """Whatever happens, none of them outlives this."""
    try:
        yield actors
    finally:
        for actor in actors:
            actor.kill()


def arrived(service):
    return [tag_of(message) for request in service.applied for message in request.messages]


def crowds_record_while_two_ship(path, *, crowds, threads, seconds, durability):
    # Nothing is pruned, so that every entry can be looked at.
    Journal(path, token="T", keep_shipped_days=math.inf, keep_shipped_entries=math.inf).close()
    tasks = [Crowd(place, threads, seconds, durability) for place in range(crowds)]
    with Witness() as service, JournalReader(path) as reader:
        shipping = Shipping(service.url, "resend", batch_updates=500)
        runners = [Actor("runner", path, shipping) for _ in range(2)]
        with acting([*runners, *(Actor("crowd", path, task) for task in tasks)]) as actors:
            eventually(lambda: all(runner.said for runner in runners) and reader.shipping().running)
            ships = reader.shipping().pid
            assert ships in {runner.process.pid for runner in runners}
            for actor in actors[2:]:
                actor.process.wait(seconds + PATIENCE)
                actor.bury()  # it ended well, and no word of a lock
            eventually(lambda: reader.counts().unsent == 0, seconds + PATIENCE)
            assert reader.shipping().pid == ships
            for runner in runners:
                runner.dismiss()
                runner.bury()
        counts = reader.counts()
        recorded = {
            task.first(thread) + n
            for task, actor in zip(tasks, actors[2:], strict=True)
            for thread, number in (map(int, line.split()) for line in actor.said[1:])
            for n in range(number)
        }
        met = arrived(service)
    with contextlib.closing(sqlite3.connect(path)) as look:
        there = [
            tag_of(json.loads(message))
            for (message,) in look.execute("SELECT message FROM entries ORDER BY seq")
        ]
        (epochs,) = look.execute("SELECT count(DISTINCT epoch) FROM attempts").fetchone()
        assert look.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(there) == len(recorded)
    assert set(there) == recorded  # each acknowledged entry, once
    assert met == there  # each shipped, once, in order
    assert counts.adds_up
    assert (counts.shipped, counts.possibly_twice) == (len(there), 0)
    assert epochs == 1  # one shipped, the other never did
    print(f"{len(there):,} entries by {crowds} x {threads} threads in {seconds} s ({durability})")


@pytest.mark.parametrize("durability", ["power", pytest.param("process", marks=pytest.mark.long)])
def test_crowds_record_while_two_ship(tmp_path, durability):
    crowds_record_while_two_ship(
        tmp_path / "kiosk.db", crowds=3, threads=4, seconds=0.5, durability=durability
    )


@pytest.mark.long
@pytest.mark.parametrize(("durability", "seconds"), [("power", 30), ("process", 10)])
def test_crowds_record_for_long(tmp_path, durability, seconds):
    crowds_record_while_two_ship(
        tmp_path / "kiosk.db", crowds=8, threads=4, seconds=seconds, durability=durability
    )


@pytest.mark.long
def test_second_shipper_takes_over_after_kill(tmp_path):
    """Within ten seconds."""
    path = tmp_path / "kiosk.db"
    with Witness() as service, Recorder("T", path) as recorder, JournalReader(path) as reader:
        shipping = Shipping(service.url, "resend", batch_updates=500)
        with acting([Actor("runner", path, shipping) for _ in range(2)]) as runners:
            eventually(lambda: all(runner.said for runner in runners) and reader.shipping().running)
            recorder.people_set("ada", {"n": 1}, {"$time": 1})
            eventually(lambda: reader.counts().shipped == 1)
            first, second = sorted(runners, key=lambda runner: runner.process.pid != reader.shipping().pid)
            service.hold_at("arrived", 1)
            recorder.people_set("ada", {"n": 2}, {"$time": 2})
            eventually(lambda: service.holds)
            with Journal(path) as journal:
                assert Shipper(journal, HttpTransport(url=service.url)).ship().stopped_by == "busy"
            service.let_go()
            eventually(lambda: reader.counts().shipped == 2)
            first.kill()
            killed_at = time.monotonic()
            recorder.people_set("ada", {"n": 3}, {"$time": 3})
            eventually(lambda: arrived(service)[-1:] == [3], 10.0)
            taken = time.monotonic() - killed_at
            eventually(lambda: reader.counts().shipped == 3)
            assert reader.shipping().pid == second.process.pid
            first.bury()
            assert first.process.returncode == -signal.SIGKILL
            second.dismiss()
            second.bury()
            assert arrived(service) == [1, 2, 3]
    print(f"taken over after {taken:.1f} s")
