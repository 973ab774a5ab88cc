"""A process that prunes is killed at its system calls: accounts and views are as before, and it can be done again.

strace kills it from outside, at the n-th write, sync or cut of a file: the steps of one pruning are all tried.
"""

import shutil
from dataclasses import replace

import pytest

from recorder import Journal, JournalReader, Recorder, Shipper, ShippingPolicy, audit
from recorder.journal.decisions import Verb
from simulator import Simulator
from tests.crash import trace
from tests.crash.steps import copy, killed_at, steps_of
from tests.doubles import REFUSED, RESET, Scripted

pytestmark = pytest.mark.skipif(bool(trace.why_not()), reason=trace.why_not())

PRUNE = "import sys; from recorder import Journal; Journal(sys.argv[1]).prune(all_shipped=True)"


def recorded(path):
    """A journal with a bit of everything, and what a pruning takes three transactions for."""
    with (
        Journal(path, token="T", durability="process") as journal,
        Recorder("T", journal, unknown_operators="ship") as recorder,
    ):
        recorder.people_append("eve", {"n": 1})
        Shipper(journal, Scripted(REFUSED)).ship()
        recorder.people_append("dan", {"n": 1})
        Shipper(journal, Scripted(RESET), ShippingPolicy(in_doubt="hold")).ship()
        with recorder.batch() as batch:
            for n in range(1_500):
                batch.people_append(f"visitor-{n % 90}", {"n": n})
                batch.people_set(f"visitor-{n % 90}", {"last": n})
                if n % 300 == 0:
                    batch.people_delete(f"visitor-{n % 7}")
                    batch.group_union("company", "acme", {"n": [n]})
                    batch.people_update({"$distinct_id": f"visitor-{n % 7}", "$merge": {}})
        recorder.people_set("gus", {"n": 1})
        journal.discard("profile=gus")
        Shipper(journal, Scripted(), ShippingPolicy(in_doubt="hold")).ship()
        recorder.people_set("visitor-1", {"late": True})


def said(path):
    """All that is said about the journal, whatever of it is pruned."""
    assert audit(path).agrees, audit(path).disagreements
    with JournalReader(path) as reader:
        counts = replace(reader.counts(), bytes=0, pruned=0, oldest_pending_seconds=None)
        assert counts.adds_up
        late = reader.weigh(Verb.RETRY, "state=rejected")
    views = []
    for shipped_only in (False, True):
        made = Simulator.from_journal(path, shipped_only=shipped_only)
        for profiles in (made.profiles, made.groups):
            views.append({owner: (dict(one), one.partly_known) for owner, one in profiles.items()})
    return counts, late, views


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "kiosk.db"
    recorded(path)
    return path


@pytest.fixture(scope="module")
def steps(whole, tmp_path_factory):
    """How often a pruning makes each of these calls."""
    path = copy(whole, tmp_path_factory.mktemp("counted"))
    found = steps_of(PRUNE, path)
    with JournalReader(path) as reader:
        assert reader.counts().pruned > 3_000
    return found


def kill_at(whole, folder, call, nth):
    folder.mkdir()
    path = copy(whole, folder)
    killed_at(call, nth, PRUNE, path)
    with JournalReader(path) as reader:
        pruned = reader.counts().pruned
    as_killed = said(path)
    with Journal(path) as journal:
        journal.prune(all_shipped=True)
    assert said(path) == as_killed
    shutil.rmtree(folder)
    return pruned, as_killed


def kill_at_all(whole, folder, steps):
    before, reached = said(whole), set()
    for place, (call, nth) in enumerate(steps):
        pruned, after = kill_at(whole, folder / str(place), call, nth)
        reached.add(pruned)
        assert after == before, (call, nth)
    print(f"{len(steps)} kills, caught with {sorted(reached)} entries pruned")
    return reached


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_pruning_killed_at_every_step(whole, steps, tmp_path, part):
    assert len(kill_at_all(whole, tmp_path, steps[part::4])) >= 3
