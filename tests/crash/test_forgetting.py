"""A process that forgets a profile is killed at its system calls: others are as before, and again finishes.

As in test_pruning: strace kills it from outside, at the n-th write, sync or cut of a file; at every second of its
steps. What it had erased stays erased, and when it is done again no byte is left.
"""

import shutil
from dataclasses import replace

import pytest

from recorder import Journal, JournalReader, Recorder, audit
from simulator import Simulator
from tests.crash import trace
from tests.crash.steps import copy, killed_at, steps_of
from tests.recorder.remnants import ID, VALUE, everywhere, places, ship

pytestmark = pytest.mark.skipif(bool(trace.why_not()), reason=trace.why_not())

FORGET = """
import sys
import recorder.journal.forget as forgetting
from recorder import Journal
forgetting._MOST_ENTRIES, forgetting._READER_PATIENCE = 40, 0.5
Journal(sys.argv[1]).forget(sys.argv[2], delete_remote=True)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A profile in every state, with what takes four transactions."""
    path = everywhere(tmp_path_factory.mktemp("whole") / "kiosk.db")
    with Journal(path, durability="process") as journal, Recorder("T", journal) as recorder:
        with recorder.batch() as batch:
            for n in range(150):
                batch.people_append(ID if n % 2 else "bob", {"n": f"{VALUE} {n}" if n % 2 else n})
        ship(journal, limit=60)
    return path


def said(path):
    """All that is said about others; of it only what its entries add up to."""
    assert audit(path).agrees, audit(path).disagreements
    with JournalReader(path) as reader:
        counts = reader.counts()
        others = [
            replace(one, attempt=None) for one in reader.entries("profile=bob lane=people", limit=10**6)
        ]
    assert counts.adds_up
    views = []
    for shipped_only in (False, True):
        made = Simulator.from_journal(path, shipped_only=shipped_only)
        for profiles in (made.profiles, made.groups):
            views.append({whose: dict(one) for whose, one in profiles.items() if whose != ID})
    return counts.pruned, others, views


def state(path):
    """How much is forgotten, whether a deletion is to be sent, and whether remnants may be left."""
    with JournalReader(path) as reader:
        weighed = reader.weigh_forgetting(ID)
        return reader.counts().forgotten, weighed.deletion, weighed.remnants


@pytest.fixture(scope="module")
def steps(whole, tmp_path_factory):
    """How often forgetting makes each of these calls."""
    path = copy(whole, tmp_path_factory.mktemp("counted"))
    return steps_of(FORGET, path, ID)


def kill_at(whole, folder, call, nth):
    folder.mkdir()
    path = copy(whole, folder)
    killed_at(call, nth, FORGET, path, ID)
    as_killed, caught = said(path), state(path)
    with Journal(path) as journal:
        journal.forget(ID, delete_remote=True)
    assert said(path) == as_killed
    forgotten, deletion, remnants = state(path)
    assert (forgotten, remnants) == (10 + 75, False)
    assert deletion is not None
    with Journal(path) as journal:  # the one deletion names it, and once it has gone nothing does
        journal.discard(f"seq={deletion}")
        journal.forget(ID)
    assert places(path, ID, VALUE) == set()
    shutil.rmtree(folder)
    return caught, as_killed


def kill_at_all(whole, folder, steps):
    before, reached = said(whole), set()
    for place, (call, nth) in enumerate(steps):
        caught, after = kill_at(whole, folder / str(place), call, nth)
        reached.add(caught)
        assert after == before, (call, nth)
    print(f"{len(steps)} kills, caught with {sorted(reached, key=str)}")
    return reached


@pytest.mark.long
@pytest.mark.parametrize("part", range(2))
def test_forgetting_killed_at_every_second_step(whole, steps, tmp_path, part):
    assert len(kill_at_all(whole, tmp_path, steps[2 * part :: 4])) >= 3
