"""Salvaging, killed with SIGKILL from outside at each step it takes: whatever was readable is there in the end."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing

import pytest

from recorder import Journal, JournalDamaged, JournalReader, Recorder, Shipper, State, audit, salvage
from recorder.journal.locks import beside
from recorder.journal.opening import PAGE_SIZE
from simulator import Simulator
from tests.crash import test_pruning as pruning
from tests.crash import trace
from tests.crash.steps import copy, killed_at
from tests.doubles import AT_ONCE, Scripted

pytestmark = pytest.mark.skipif(bool(trace.why_not()), reason=trace.why_not())

SALVAGE = [sys.executable, "-c", "import sys; from recorder import salvage; salvage(sys.argv[1])"]
# What changes files or their names, and what makes that last.
STEPS = ("rename", "unlink", "fsync", "fdatasync", "pwrite64", "ftruncate", "write", "fchmod", "openat")


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A journal with entries shipped, pending, and only in its log; one of its pages is garbage."""
    path = tmp_path_factory.mktemp("damaged") / "kiosk.db"
    with Journal(path, token="T") as journal:
        with Recorder("T", journal) as recorder:
            for n in range(400):
                recorder.people_append(f"p{n % 5}", {"n": n, "text": "x" * 40})
        Shipper(journal, Scripted(), AT_ONCE).ship(limit=150)
    whole = path.parent / "whole"
    whole.mkdir()
    with Recorder("T", path) as recorder:
        for n in range(400, 500):
            recorder.people_append("late", {"n": n})
        for suffix in ("", "-wal"):
            shutil.copy(beside(path, suffix), whole / f"kiosk.db{suffix}")
    with (whole / "kiosk.db").open("r+b") as file:
        file.seek(30 * PAGE_SIZE)
        file.write(b"\xa5" * PAGE_SIZE)
    return whole


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """One of which the larger part was pruned, with a page of garbage."""
    path = tmp_path_factory.mktemp("pruned") / "kiosk.db"
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        with recorder.batch() as batch:
            for n in range(400):
                batch.people_append(f"p{n % 5}", {"n": n, "text": "x" * 40})
        Shipper(journal, Scripted(), AT_ONCE).ship(limit=350)
        assert journal.prune(all_shipped=True).entries == 350
        recorder.people_append("late", {"n": 400})
        whole = path.parent / "whole"
        whole.mkdir()
        for suffix in ("", "-wal"):
            shutil.copy(beside(path, suffix), whole / f"kiosk.db{suffix}")
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'waits'").fetchone()
    with (whole / "kiosk.db").open("r+b") as file:
        file.seek((root - 1) * PAGE_SIZE)
        file.write(b"\xa5" * PAGE_SIZE)
    return whole


def salvaged(folder, kill):
    """Run it, and kill it as a call begins; whether it came so far."""
    name, nth = kill
    how = ["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={nth}"]
    command = ["strace", "-f", "-q", "-o", os.devnull, *how, *SALVAGE, folder / "kiosk.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in {0, -signal.SIGKILL, 128 + signal.SIGKILL}, done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode != 0


def steps(folder, log):
    """How often each call is made by a salvage that nobody kills, after the interpreter has started."""
    trace_of = ["strace", "-f", "-q", "-o", log, "-e", f"trace={','.join(STEPS)}"]
    subprocess.run([*trace_of, *SALVAGE, folder / "kiosk.db"], check=True, timeout=120, capture_output=True)
    counted, begun = Counter(), Counter()
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        name = line.split(None, 1)[1].partition("(")[0]
        if name in STEPS:
            counted[name] += 1
            if ".lock" not in line and not begun["over"]:
                begun[name] += 1
            elif ".lock" in line:
                begun["over"] = 1
    return {name: range(begun[name] + 1, counted[name] + 1) for name in STEPS}


def contents(path):
    """The entries, and what is left of those that were pruned."""
    with JournalReader(path) as reader:
        pruned = reader.counts().pruned
        entries = {
            entry.seq: (entry.state, entry.message["$append"]["n"])
            for entry in reader.entries(limit=10_000)
            if entry.state is not State.LOST
        }
        return entries, pruned, list(reader.baseline())


def fresh(damaged, folder):
    folder.mkdir()
    return copy(damaged / "kiosk.db", folder)


def each_step(damaged, tmp_path):
    expected_at = fresh(damaged, tmp_path / "unharmed")
    evidence = [(damaged / name).read_bytes() for name in ("kiosk.db", "kiosk.db-wal")]
    where = steps(expected_at.parent, tmp_path / "log")
    expected = contents(expected_at)
    assert len(expected[0]) + expected[1] > 400
    killed, half = 0, 0
    for name, places in where.items():
        chosen = list(places)
        if name == "openat":  # most of them read modules
            chosen = sorted(random.Random(7).sample(chosen, min(len(chosen), 20)))
        for nth in chosen:
            folder = tmp_path / f"{name}-{nth}"
            path = fresh(damaged, folder)
            killed += salvaged(folder, (name, nth))
            if beside(path, ".salvaging").exists():  # whoever comes before the second salvage is refused
                half += 1
                with pytest.raises(JournalDamaged, match="interrupted"):
                    Journal(path, token="T")
            salvage(path)
            assert contents(path) == expected, (name, nth)
            assert audit(path).agrees, (name, nth)
            files = {file.name: file.read_bytes() for file in folder.iterdir()}
            assert evidence[0] in files.values()
            assert evidence[1] in files.values()
            assert not {"kiosk.db.salvaging", "kiosk.db.salvaged"} & set(files)
            shutil.rmtree(folder)
    return killed, half


@pytest.mark.long
def test_pruned_salvage_killed_at_every_step(pruned, tmp_path):
    """Pruned entries are carried over once."""
    assert each_step(pruned, tmp_path)[0] >= 100


@pytest.mark.long
def test_salvage_killed_at_every_step(damaged, tmp_path):
    """It loses nothing that can be read, and the next one finishes it."""
    killed, half = each_step(damaged, tmp_path)
    assert killed >= 100
    assert half >= 1


# --- a pruning that was killed, and a page that was damaged after it


def pruning_killed_and_damaged(tmp_path, kills, every_page):
    """As after a crash of the machine: nothing is twice, and whatever is missing is counted or said."""
    original = tmp_path / "original" / "kiosk.db"
    original.parent.mkdir()
    pruning.recorded(original)
    before = lists(original)
    with JournalReader(original) as reader:
        recorded = reader.counts().recorded
    chance, reached = random.Random(5), set()
    for nth in kills:
        killed = tmp_path / f"killed-{nth}"
        killed.mkdir()
        path = copy(original, killed)
        killed_at("pwrite64", nth, pruning.PRUNE, path)
        for page in range(2, path.stat().st_size // PAGE_SIZE, every_page):
            folder = tmp_path / f"{nth}-{page}"
            shutil.copytree(killed, folder)
            copied = folder / "kiosk.db"
            with copied.open("r+b") as file:
                file.seek((page - 1) * PAGE_SIZE)
                file.write(chance.randbytes(PAGE_SIZE))
            told = salvage(copied)
            if told is not None:
                assert told.recorded in {recorded, recorded - 1}  # the newest leaves no trace
                reached.add(told.pruned)
                for owner, numbers in lists(copied).items():
                    assert len(set(numbers)) == len(numbers), (nth, page, owner)
                    assert set(numbers) <= set(before[owner]) or told.lost or told.profiles_lost != 0
            assert audit(copied).agrees, (nth, page)
            shutil.rmtree(folder)
    return reached


def lists(path):
    return {
        owner: profile.get("n", [])
        for owner, profile in Simulator.from_journal(path, shipped_only=True).profiles.items()
    }


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_damage_after_killed_pruning_is_salvaged(tmp_path, part):
    assert len(pruning_killed_and_damaged(tmp_path, range(3 + 25 * part, 320, 100), every_page=5)) > 1
