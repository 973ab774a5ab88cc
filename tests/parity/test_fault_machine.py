"""Record, ship, restart, kill, clock jumps and faults in any order: what is promised holds after each step.

The world is a double of the network and the service (`world.py`); journal, recorder and shipper are the real
ones. A kill closes the journal under the shipper's feet in the middle of a request: what it leaves on disk is
what a SIGKILL leaves there (`tests/crash/` does it for real).
"""

import shutil
import sqlite3
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from recorder import JournalReader, Recorder, Shipper, ShippingPolicy, State, salvage, snapshot
from recorder.journal import accounts
from recorder.journal.journal import Journal
from recorder.model.errors import JournalClosed
from simulator import Simulator
from tests.parity.world import BAD, Killed, World
from tests.profiles import costly

PROFILES = st.sampled_from(["ada", "bob", "cleo"])
NAMES = st.sampled_from(["a", "b"])
VALUES = st.sampled_from([0, 1, [1], "x"])
DECISIONS = st.tuples(
    st.sampled_from(["retry", "discard"]),
    st.sampled_from(["in_doubt", "rejected", "pending", "waiting", "discarded"]),
)
FAULTS = st.one_of(
    st.tuples(st.sampled_from(["decided", "decided_in_doubt"]), DECISIONS),
    st.tuples(st.sampled_from(["ok", "offline", "reset", "ack_lost", "portal"]), st.none()),
    st.tuples(st.sampled_from(["killed_before", "killed_after"]), st.none()),
    st.tuples(st.sampled_from(["status"]), st.sampled_from([401, 404, 408, 500, 503, 511])),
    st.tuples(st.sampled_from(["storm"]), st.sampled_from([500, 502, 504])),
    st.tuples(st.just("patience"), st.integers(0, 600)),
)
UNSENT = {State.PENDING, State.SENDING, State.WAITING, State.IN_DOUBT}
IN_TIME = st.tuples(st.just("late_copy"), st.integers(0, 29))
TOO_LATE = st.tuples(st.just("late_copy"), st.integers(31, 400))


class Faults(RuleBasedStateMachine):
    """The machine; `in_doubt` and `late` are what its subclasses choose."""

    in_doubt = "resend"
    late = IN_TIME

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "kiosk.db"
        self.world = World()
        self.serial = 0
        self.hands_on = set()  # serials a person decided about

    @initialize(batch=st.integers(1, 6))
    def start(self, batch):
        self.policy = ShippingPolicy(in_doubt=self.in_doubt, batch_updates=batch)
        self.open()

    def open(self):
        self.journal = Journal(self.path, token="T", durability="process")
        self.recorder = Recorder("T", self.journal, clock=self.world.clock)
        self.shipper = Shipper(
            self.journal, self.world, self.policy, clock=self.world.clock, uptime=self.world.uptime
        )
        self.world.kill = self.journal.close
        self.world.decide = self.decided

    def meta(self):
        self.serial += 1
        return {"serial": self.serial}

    # --- what happens

    @rule(profile=PROFILES, name=NAMES, value=VALUES)
    def set(self, profile, name, value):
        self.recorder.people_set(profile, {name: value}, meta=self.meta())

    @rule(profile=PROFILES, name=NAMES, value=VALUES)
    def set_once_then_union(self, profile, name, value):
        with self.recorder.batch() as batch:
            batch.people_set_once(profile, {name: value}, meta=self.meta())
            batch.people_union(profile, {name: [value]}, meta=self.meta())

    @rule(profile=PROFILES, name=NAMES)
    def increment(self, profile, name):
        self.recorder.people_increment(profile, {name: 1}, meta=self.meta())

    @rule(profile=PROFILES, name=NAMES, value=VALUES)
    def append(self, profile, name, value):
        self.recorder.people_append(profile, {name: value}, meta=self.meta())

    @rule(profile=PROFILES, name=NAMES)
    def unset_or_delete(self, profile, name):
        self.recorder.people_unset(profile, [name], meta=self.meta())
        if name == "b":
            self.recorder.people_delete(profile, meta=self.meta())

    @rule(profile=PROFILES, name=NAMES, value=VALUES)
    def group_remove(self, profile, name, value):
        self.recorder.group_remove("company", profile, {name: value}, meta=self.meta())

    @rule(profile=PROFILES)
    def bad(self, profile):
        self.recorder.people_increment(profile, {BAD: 1}, meta=self.meta())

    @rule(data=st.data(), faults=st.lists(FAULTS, max_size=4), lates=st.integers(0, 2))
    def ship(self, data, faults, lates):
        self.world.plan = faults + data.draw(st.lists(self.late, min_size=lates, max_size=lates))
        self.ship_now()

    def ship_now(self):
        try:
            return self.shipper.ship()
        except (Killed, JournalClosed):
            self.restart()
            return None

    @rule()
    def restart(self):
        self.journal.close()
        self.open()

    @rule(seconds=st.sampled_from([1, 10, 29, 31, 300, 4_000]))
    def time_passes(self, seconds):
        self.world.pass_time(seconds)

    @rule(hours=st.integers(-30, 30))
    def clock_jumps(self, hours):
        self.world.wall += 3_600 * hours

    @rule()
    def reboot(self):
        self.journal.close()
        self.world.reboot()
        self.open()

    @rule(decision=DECISIONS)
    def decide(self, decision):
        self.decided(*decision)

    def decided(self, verb, state):
        with JournalReader(self.path) as reader:
            self.hands_on |= {entry.message["serial"] for entry in reader.entries(f"state={state}")}
        getattr(self.journal, verb)(f"state={state}")

    # --- what holds

    @invariant()
    def accounts_add_up_and_agree_with_the_rows(self):
        counted, noted = recount(self.path)
        assert counted == noted

    @invariant()
    def rows_agree_with_what_was_applied(self):
        """Read once for three laws: after each step, opening the journal costs more than any of them."""
        with JournalReader(self.path) as reader:
            entries = reader.entries(limit=10_000)
        self.nothing_was_applied_more_often_than_it_was_sent(entries)
        self.what_is_shipped_was_applied(entries)
        self.what_was_applied_first_kept_its_order(entries)

    def nothing_was_applied_more_often_than_it_was_sent(self, entries):
        sends = {  # what was being sent when its process died is counted when another takes over
            entry.message["serial"]: entry.sends + (entry.state is State.SENDING) for entry in entries
        }
        for serial, times in Counter(self.world.applied).items():
            assert times <= sends[serial], serial

    def what_is_shipped_was_applied(self, entries):
        shipped = {entry.message["serial"] for entry in entries if entry.state is State.SHIPPED}
        assert shipped <= set(self.world.applied)

    def what_was_applied_first_kept_its_order(self, entries):
        """By profile, among what no person took up again, and where no copy came too late."""
        owners = {entry.message["serial"]: owner(entry) for entry in entries}
        last = defaultdict(int)
        for serial in dict.fromkeys(self.world.applied):
            if serial not in self.hands_on and owners[serial] not in self.world.broke:
                assert serial > last[owners[serial]]
                last[owners[serial]] = serial

    def teardown(self):
        try:
            if hasattr(self, "policy"):
                self.salvage_copy()
                self.drain()
                self.compare()
        finally:
            if hasattr(self, "journal"):
                self.journal.close()
            shutil.rmtree(self.folder)

    def salvage_copy(self):
        """Shipped entries stay shipped, by the same request, and only unsent ones become in doubt."""
        copy = snapshot(self.path, self.folder / "copy.db")
        before = standings(self.path)
        assert salvage(copy).disagreements == ()
        after = standings(copy)
        settled = {seq: one for seq, one in before.items() if one[0] not in UNSENT}
        assert {seq: after[seq] for seq in settled} == settled
        assert {after[seq][0] for seq in before.keys() - settled.keys()} <= {State.IN_DOUBT}

    def drain(self):
        """The network comes back, and time enough passes."""
        self.world.plan = []
        for _ in range(200):
            self.world.pass_time(1_000)
            report = self.ship_now()
            if report.stopped_by == "done":
                return
        raise AssertionError(report)

    def compare(self):
        predicted = Simulator.from_journal(self.path, shipped_only=True)
        received = self.world.inbox
        marked, twice = set(), set()
        with JournalReader(self.path) as reader:
            for entry in reader.entries(limit=10_000):
                unsure = entry.state is not State.SHIPPED and entry.sends > 0
                if entry.possibly_twice or unsure or entry.message["serial"] in self.hands_on:
                    marked.add(owner(entry))
                if entry.possibly_twice and entry.message["serial"] not in self.hands_on:
                    twice.add(entry.message["serial"])
            counts = reader.counts()
        assert counts.pending == counts.sending == 0
        ours = {(None, id_): dict(held) for id_, held in predicted.profiles.items()}
        ours |= {key: dict(held) for key, held in predicted.groups.items()}
        theirs = {(None, id_): held for id_, held in received.profiles().items()}
        for key, groups in received.groups().items():
            theirs |= {(key, id_): held for id_, held in groups.items()}
        differ = {who for who in ours.keys() | theirs.keys() if ours.get(who) != theirs.get(who)}
        assert differ <= marked | self.world.broke, (differ - marked, ours, theirs)
        # What was sent twice was harmless when it was: else its profile would differ, and nothing marks it.
        assert self.in_doubt == "resend" or not twice, twice


def standings(path):
    """State, attempt and sends of each entry."""
    with JournalReader(path) as reader:
        return {entry.seq: (entry.state, entry.attempt, entry.sends) for entry in reader.stream()}


def owner(entry):
    return entry.group_key, entry.profile


def recount(path):
    """The accounts counted from the rows, and as they are kept."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = dict(connection.execute("SELECT state, count(*) FROM entries_with_state GROUP BY state"))
    (twice, late, entries, highest) = connection.execute(
        "SELECT coalesce(sum(possibly_twice), 0), coalesce(sum(out_of_order), 0), count(*), coalesce(max(seq), 0)"
        " FROM entries"
    ).fetchone()
    noted = dict(connection.execute("SELECT account, entries FROM accounts"))
    unsent = [noted[state] for state in ("pending", "sending", "waiting", "in_doubt")]
    assert accounts.unsent(connection) == (sum(unsent), unsent[-1])
    connection.close()
    assert entries == highest
    counted = {state.value: rows.get(state.value, 0) for state in State}
    marks = {"possibly_twice": twice, "out_of_order": late, "pruned": 0}  # nothing here is old enough to go
    return {**counted, **marks, "recorded": entries}, noted


class Holding(Faults):
    in_doubt = "hold"


class Dropping(Faults):
    in_doubt = "drop"


class TooLate(Faults):
    """A copy later than `settle_after`: what it may spoil is its own profiles, and nothing else."""

    late = st.one_of(IN_TIME, TOO_LATE)


TestResend = Faults.TestCase
TestHold = Holding.TestCase
TestDrop = Dropping.TestCase
TestTooLate = TooLate.TestCase
TestResend.pytestmark = TestDrop.pytestmark = TestTooLate.pytestmark = [pytest.mark.long]
TestResend.settings = TestHold.settings = TestDrop.settings = TestTooLate.settings = costly(2)
