"""A process that prunes is killed at its system calls: accounts and views are as before, and it can be done again.

strace kills it from outside, at the n-th write, sync or cut of a file: the steps of one pruning are all tried, some
of them in each run, every one in the long one.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from recorder import Journal, JournalReader, Recorder, Shipper, ShippingPolicy, Verb, audit
from simulator import Simulator
from tests.crash import trace
from tests.doubles import REFUSED, RESET, Scripted

pytestmark = pytest.mark.skipif(bool(trace.why_not()), reason=trace.why_not())

PROJECT = Path(__file__).parents[2]
PRUNE = "import sys; from recorder import Journal; Journal(sys.argv[1]).prune(all_shipped=True)"
CALLS = "pwrite64,fdatasync,fsync,ftruncate"
SIDE_FILES = ("", "-wal", "-shm")


def recorded(path):
    """A journal with a bit of everything, and what a pruning takes three transactions for."""
    with Journal(path, token="T", durability="process") as journal, Recorder("T", journal) as recorder:
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


def copy(whole, folder):
    for suffix in SIDE_FILES:
        source = whole.with_name(whole.name + suffix)
        if source.exists():
            shutil.copy(source, folder / source.name)
    return folder / whole.name


def prune(path, *strace):
    return subprocess.run(
        [*strace, sys.executable, "-c", PRUNE, path],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def steps(whole, tmp_path_factory):
    """How often a pruning makes each of these calls."""
    folder = tmp_path_factory.mktemp("counted")
    log = folder / "log"
    done = prune(copy(whole, folder), "strace", "-f", "-o", log, "-e", f"trace={CALLS}")
    assert done.returncode == 0, done.stderr
    calls = log.read_text(encoding="utf-8").splitlines()
    made = Counter(call for call in CALLS.split(",") for line in calls if f" {call}(" in line)
    assert made["pwrite64"] > 20
    with JournalReader(folder / whole.name) as reader:
        assert reader.counts().pruned > 3_000
    return [(call, nth) for call in made for nth in range(1, made[call] + 1)]


def kill_at(whole, folder, call, nth):
    folder.mkdir()
    path = copy(whole, folder)
    inject = f"inject={call}:signal=KILL:when={nth}"
    killed = prune(path, "strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject)
    assert killed.returncode in {0, -signal.SIGKILL, 128 + signal.SIGKILL}, killed.stderr
    with JournalReader(path) as reader:
        pruned = reader.counts().pruned
    as_killed = said(path)
    assert prune(path).returncode == 0
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


def test_killed_at_some_of_its_steps_it_has_pruned_less_and_nothing_else(whole, steps, tmp_path):
    each = max(1, len(steps) // 14)
    assert len(kill_at_all(whole, tmp_path, steps[::each])) >= 3


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_killed_at_every_step_it_has_pruned_less_and_nothing_else(whole, steps, tmp_path, part):
    assert len(kill_at_all(whole, tmp_path, steps[part::4])) >= 3
