"""What is promised holds whenever the power fails, or the process is killed.

A process records and ships under strace. From its system calls the journal's files are rebuilt as they may
be after each of them: as a killed process leaves them, and as a power loss may (see disk.py). Each journal is
opened and held against what had been promised until then.
"""

import contextlib
import json
import random
import shutil
import sqlite3
import sys
from collections import Counter
from itertools import count

import pytest

from recorder import Journal, JournalError, Recorder, State
from tests.crash import trace
from tests.crash.disk import SYNCS, Disk
from tests.crash.workload import THREADS, Day

pytestmark = pytest.mark.skipif(bool(trace.why_not()), reason=trace.why_not())

NAME = "kiosk.db"
STATES = """
SELECT iif(state = 'pending' AND seq <= cursor, 'shipped', state), count(*)
  FROM entries JOIN lanes ON lanes.lane = entries.lane GROUP BY 1
"""


class Promises:
    """What the process was told, at one moment of the trace.

    Attributes:
        opened: A `Journal` was made.
        recorded: By thread, how many of its entries are acknowledged.
        certain: The same, of those that a power loss may not take.
        sent: Entries in a request that may have been applied: never simply pending again.
        shipped: Entries whose acceptance is settled.
    """

    def __init__(self, durability):
        self._durability = durability
        self.opened = False
        self.recorded = [0] * THREADS
        self.certain = [0] * THREADS
        self.sent = set()
        self.shipped = set()
        self.version = 0
        self._request = set()
        self._perhaps_applied = set()
        self._accepted = set()
        self._begun = {}

    def hear(self, phase, call, disk):
        """Whether more is promised after this call than before it."""
        before = self.version
        if call.name == "write" and call.arguments[0] == "1" and phase == "begins":
            for line in call.arguments[1].splitlines():
                self._told(**json.loads(line))
        if self._durability == "process" and call.name in SYNCS and disk.is_named(call, f"{NAME}-wal"):
            # Nobody waited for it; but what was recorded before a sync of the log began is certain after it.
            if phase == "begins":
                self._begun[id(call)] = list(self.recorded)
            elif call.result == 0:
                begun = self._begun.pop(id(call))
                self.version += self.certain != begun
                self.certain = begun
        return self.version != before

    def _told(self, *, opened=None, acknowledged=None, sent=None, answered=None, settled=None):
        if opened:
            self.opened = True
        if acknowledged:
            thread, n = acknowledged
            self.recorded[thread] = n
            if self._durability == "power":
                self.certain[thread] = n
        if sent or settled:  # one request at a time: the one before is settled
            self.shipped |= self._accepted
        if sent:
            self._request = set(map(tuple, sent))
            self.sent |= self._request
        if answered in {"accepted", "unknown"}:
            self._perhaps_applied |= self._request
        if answered == "accepted":
            self._accepted |= self._request
        if answered == "refused":
            self.sent -= self._request - self._perhaps_applied
        else:
            self.version += 1


class Examined:
    """Journals as they may be found, each opened and held against the promises."""

    def __init__(self, folder, day):
        self._path = folder / "found" / NAME
        self._day = day
        self._known = {}  # messages that were compared, so that each is parsed once
        self._seen = set()
        self._ends = [{0, *(batch.stop for batch in day.batches(thread))} for thread in range(THREADS)]

    @property
    def states(self):
        return len(self._seen)

    def examine(self, files, promises, recorded):
        """One state of the folder; `recorded` is how many entries of each thread must be there."""
        found = hash((frozenset(files.items()), promises.version, tuple(recorded)))
        if found in self._seen:
            return
        self._seen.add(found)
        folder = self._path.parent
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        if not files.get(NAME):
            assert not promises.opened, "the journal is gone"
        # No power fails here: "process" is quicker. And a journal that others look into is closed without
        # moving its log into the file, which would take half of the time.
        journal = Journal(self._path, durability="process")
        with contextlib.closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as look, journal:
            assert look.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            rows = look.execute(
                "SELECT seq, profile, operator, message, state FROM entries_with_state ORDER BY seq"
            ).fetchall()
            self._accounts(look, journal, len(rows))
            self._entries(rows, promises, recorded)
            with Recorder("T", journal) as recorder:
                recorder.people_set("eve", {"found": True})
            after = journal.statistics(0.0)
            assert (after.recorded, after.adds_up) == (len(rows) + 1, True)

    @staticmethod
    def _accounts(look, journal, entries):
        statistics = journal.statistics(0.0)
        assert statistics.adds_up
        assert statistics.recorded == entries
        accounts = dict(look.execute("SELECT account, entries FROM accounts"))
        counted = Counter(dict(look.execute("SELECT state, count(*) FROM entries_with_state GROUP BY state")))
        assert all(accounts.get(state, 0) == counted[state] for state in State)
        # And from the rows alone, where an open attempt's entries still are what they were before it.
        rows = Counter(dict(look.execute(STATES)))
        unsent = (State.PENDING, State.SENDING, State.WAITING, State.IN_DOUBT)
        assert sum(rows[state] for state in unsent) == sum(accounts.get(state, 0) for state in unsent)
        assert all(rows[state] == accounts.get(state, 0) for state in set(State) - set(unsent))

    def _entries(self, rows, promises, recorded):
        assert [seq for seq, *_ in rows] == list(range(1, len(rows) + 1))
        expected = [count() for _ in range(THREADS)]
        states, there = {}, [0] * THREADS
        for _, profile, operator, message, state in rows:
            thread, n = self._identity(profile, operator, message)
            assert n == next(expected[thread]), "out of order"
            states[thread, n] = state
            there[thread] = n + 1
        for thread in range(THREADS):
            assert there[thread] >= recorded[thread], "an acknowledged entry is gone"
            assert there[thread] in self._ends[thread], "half a batch"
        for entry in promises.sent:
            assert states.get(entry, "gone") not in {"gone", State.PENDING}, (entry, "was sent")
        for entry in promises.shipped:
            assert states[entry] == State.SHIPPED, (entry, "was accepted")

    def _identity(self, profile, operator, message):
        """Which entry this is; it has all that was recorded."""
        key = profile, operator, message
        if key not in self._known:
            update = json.loads(message)
            thread, n = update[operator]["thread"], update[operator]["n"]
            assert (update["$distinct_id"], operator, update[operator]) == self._day.entry(thread, n)
            assert profile == update["$distinct_id"]
            self._known[key] = thread, n
        return self._known[key]


def lose_power_all_day(folder, day, durability, *, every=1, draws=1, honest=True):
    """The journals of a day: after each promise and each change (or `every` so many), a killed process's, what
    is certain after a power loss, and so many `draws` of what may be left beside it.
    """
    kiosk, log = folder / "kiosk", folder / "trace"
    kiosk.mkdir()
    numbers = map(str, (day.seed, day.calls, day.largest))
    command = [sys.executable, "-m", "tests.crash.workload", str(kiosk / NAME), durability, *numbers]
    trace.run(command, log)
    # SQLite makes the -shm file anew from the log when nobody has the journal open.
    disk, promises = Disk(kiosk, volatile=("-shm",), honest=honest), Promises(durability)
    chance = random.Random(day.seed)
    examined, place = Examined(folder, day), 0
    for phase, call in trace.read(log):
        changed = disk.take(phase, call)
        more = promises.hear(phase, call, disk)
        place += changed
        if not (more or (changed and place % every == 0)):
            continue
        try:
            examined.examine(disk.files(), promises, promises.recorded)
            if not disk.settled:
                examined.examine(disk.certain(), promises, promises.certain)
                for _ in range(draws):
                    examined.examine(disk.after_power_loss(chance), promises, promises.certain)
        except BaseException as error:
            error.add_note(f"change {place}, where {call.name} {phase}; see found and trace in {folder}")
            raise
    # The model has missed nothing: what it holds is what the process left.
    assert disk.files() == {name: (kiosk / name).read_bytes() for name in disk.files()}
    assert promises.sent
    assert promises.shipped
    return disk, examined.states


@pytest.mark.parametrize("durability", ["power", pytest.param("process", marks=pytest.mark.long)])
def test_power_loss_takes_nothing_promised(tmp_path, durability):
    """Nor does a kill."""
    _, states = lose_power_all_day(tmp_path, Day(seed=1, calls=6, largest=2_000), durability, every=20)
    assert states > 20


def test_unsynced_disk_is_found(tmp_path):
    """What this file looks for can be found."""
    # Where the journal is put in place nothing of it is there, or some of its pages: gone, malformed, or no journal.
    with pytest.raises((AssertionError, sqlite3.DatabaseError, JournalError)):
        lose_power_all_day(tmp_path, Day(seed=1, calls=2, largest=100), "power", every=20, honest=False)


@pytest.mark.long
@pytest.mark.parametrize("durability", ["power", "process"])
def test_power_loss_while_log_is_overwritten(tmp_path, durability):
    disk, states = lose_power_all_day(tmp_path, Day(seed=2, calls=36, largest=60_000), durability, every=4)
    # The journal is opened twice, each time with a log of its own; one of them began anew.
    assert disk.writes[f"{NAME}-wal"].count(0) > 2
    assert states > 1_000


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("durability", ["power", "process"])
def test_power_loss_after_any_write(tmp_path, durability, seed):
    _, states = lose_power_all_day(tmp_path, Day(seed, calls=64, largest=400), durability, draws=2)
    assert states > 3_000
