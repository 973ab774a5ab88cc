"""Pruning in between changes nothing that is said about profiles and accounts: two journals of the same history.

One of them is pruned at random cuts. Everything else is done to both alike, answers that come late included.
"""

import dataclasses
import itertools
import math
import tempfile
from pathlib import Path

from hypothesis import event, given
from hypothesis import strategies as st

from recorder import Journal, JournalConsumer, JournalReader, Recorder, Shipper, ShippingPolicy, audit
from recorder.journal.decisions import Verb
from recorder.journal.settle import Settlement
from recorder.model.entries import AttemptOutcome
from simulator import Simulator
from simulator.testing import strategies
from tests.doubles import ACCEPTED, FORBIDDEN, PATIENCE, REFUSED, RESET, UNREACHABLE, Boot, Scripted, claim
from tests.profiles import costly

ANSWERS = [ACCEPTED, ACCEPTED, RESET, REFUSED, FORBIDDEN, PATIENCE, UNREACHABLE]
EVENT = '{"event": "e", "properties": {"token": "T", "distinct_id": "%s", "$insert_id": ""}}'


class Twin:
    """A journal, and what is done to it."""

    def __init__(self, path):
        self.path = path
        ticks = itertools.count(1_000)
        self.clock = lambda: float(next(ticks))
        self.boot = Boot()
        self.journal = Journal(path, token="T", durability="process", keep_shipped_days=math.inf)
        self.recorder = Recorder("T", self.journal, clock=self.clock, unknown_operators="ship")
        self.consumer = JournalConsumer(self.journal, clock=self.clock)
        self.unanswered = []

    def close(self):
        self.journal.close()

    def record(self, messages):
        for message in messages:
            self.recorder.people_update({"$time": self.clock(), **message})

    def group(self, messages):
        for message in messages:
            rest = {name: value for name, value in message.items() if name != "$distinct_id"}
            self.recorder.group_update(
                {"$time": self.clock(), "$group_key": "company", "$group_id": message["$distinct_id"], **rest}
            )

    def event(self, profile):
        self.consumer.send("events", EVENT % profile)

    def ship(self, answers, updates, in_doubt):
        policy = ShippingPolicy(in_doubt=in_doubt, settle_after=5, batch_updates=updates)
        transport = Scripted(*answers)
        shipper = Shipper(
            self.journal, transport, policy, clock=self.clock, uptime=self.boot, chance=lambda: 0.5
        )
        report = shipper.ship()
        return report.shipped, report.rejected, report.in_doubt, report.requests, transport.sent

    def leave_unanswered(self, updates):
        policy = ShippingPolicy(in_doubt="hold", settle_after=5)
        epoch = self.journal.claims.take_over(1.0, self.boot(), service="", policy=policy)
        made = claim(self.journal, epoch, updates, uptime=self.boot(), policy=policy)
        self.journal.claims.take_over(2.0, self.boot(), service="", policy=policy)
        if made is not None:
            self.unanswered.append(made)

    def answer(self):
        if self.unanswered:
            accepted = Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=3.0)
            self.journal.claims.settle(self.unanswered.pop(0), accepted)

    def passes(self, seconds):
        self.boot.passes(seconds)

    def decide(self, verb, words):
        with JournalReader(self.path) as reader:
            weighed = reader.weigh(Verb(verb), words)
        done = getattr(self.journal, verb)(words)
        return dataclasses.asdict(weighed), dataclasses.asdict(done)

    def said(self):
        """All that is said about it."""
        with JournalReader(self.path, clock=lambda: 0.0) as reader:
            counts = dataclasses.replace(reader.counts(), bytes=0, pruned=0, oldest_pending_seconds=None)
            assert counts.adds_up
        assert audit(self.path).agrees, audit(self.path).disagreements
        views = []
        for shipped_only in (False, True):
            simulator = Simulator.from_journal(self.path, shipped_only=shipped_only)
            views.append(
                [
                    {owner: (repr(dict(profile)), profile.partly_known) for owner, profile in made.items()}
                    for made in (simulator.profiles, simulator.groups)
                ]
            )
            timelines = {
                (one.group_key, one.id): simulator.timeline(one.id, group_key=one.group_key)
                for one in (*simulator.profiles.values(), *simulator.groups.values())
            }
            views.append({owner: repr(made.at(len(made))) for owner, made in timelines.items()})
            views.append({owner: len(made) + made.pruned for owner, made in timelines.items()})
        return counts, views


MESSAGES = st.one_of(
    strategies.messages(),
    st.sampled_from(["ada", "bob"]).map(lambda id_: {"$distinct_id": id_, "$append": {"n": 1}}),
    st.sampled_from(["ada", "bob"]).map(lambda id_: {"$distinct_id": id_, "$merge": {"n": 1}}),
    st.sampled_from(["ada", "bob"]).map(lambda id_: {"$distinct_id": id_, "$delete": ""}),
)
SEVERAL = st.lists(MESSAGES, min_size=1, max_size=5)
RECORD = st.tuples(st.just("record"), SEVERAL)
SHIP = st.tuples(
    st.just("ship"),
    st.one_of(st.just([]), st.lists(st.sampled_from(ANSWERS), max_size=6)),
    st.sampled_from([1, 2, 3, 200]),
    st.sampled_from(["resend", "hold", "drop"]),
)
PASSES = st.tuples(st.just("passes"), st.sampled_from([4_000, 1, 6]))
PRUNE = st.tuples(st.just("prune"), st.sampled_from([0, 0, 1, 2, 5]))
DONE = st.one_of(
    RECORD,
    RECORD,
    SHIP,
    SHIP,
    PASSES,
    PASSES,
    PRUNE,
    PRUNE,
    st.tuples(st.just("group"), SEVERAL),
    st.tuples(st.just("event"), st.sampled_from(["ada", "bob"])),
    st.tuples(st.just("leave_unanswered"), st.sampled_from([1, 2, 5])),
    st.tuples(st.just("answer")),
    st.tuples(
        st.just("decide"),
        st.sampled_from(["retry", "discard"]),
        # What is discarded goes with what was shipped: taking it up again is over then.
        st.sampled_from(
            [
                "state=rejected",
                "state=in_doubt",
                "state=waiting",
                "profile=ada state!=discarded state!=shipped",
            ]
        ),
    ),
)


@costly(6)
@given(story=st.lists(DONE, min_size=15, max_size=50))
def test_pruning_changes_no_profile_or_account(story):
    """The same done to a journal that is pruned in between and to one that is not gives the same."""
    with tempfile.TemporaryDirectory() as folder:
        pruned, whole = Twin(Path(folder) / "pruned.db"), Twin(Path(folder) / "whole.db")
        try:
            for what, *how in story:
                if what == "prune":
                    _prune(pruned, how[0])
                    assert pruned.said() == whole.said()
                    continue
                assert getattr(pruned, what)(*how) == getattr(whole, what)(*how), what
            _prune(pruned, 0)
            with JournalReader(pruned.path) as reader:
                event(f"pruned: {min(reader.counts().pruned // 5 * 5, 20)} or more")
            assert pruned.said() == whole.said()
        finally:
            pruned.close()
            whole.close()


def _prune(twin, keep):
    Journal(twin.path, keep_shipped_entries=keep).close()
    twin.journal.prune(now=0.0)
    Journal(twin.path, keep_shipped_entries=100_000).close()
