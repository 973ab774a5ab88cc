"""Pruning: entries that go, entries that stay, and views and counts that do not change."""

import dataclasses
import math
import sqlite3
from contextlib import closing

import pytest

from recorder import Journal, JournalReader, Recorder, Shipper, ShippingPolicy, audit
from recorder.journal.baseline import cut_now
from recorder.journal.decisions import Verb
from recorder.journal.limits import Limits
from recorder.journal.prune import Walk
from recorder.journal.settle import Settlement
from recorder.model.entries import AttemptOutcome
from recorder.model.fold import fold
from recorder.model.reports import Pruned
from simulator import Simulator
from tests.doubles import FORBIDDEN, REFUSED, RESET, Boot, Scripted, claim, take_over

DAY = 86_400.0


def ship(journal, *answers, now=0.0, limit=None, minutes=0, **policy):
    """Ship, so many minutes after the beginning."""
    boot = Boot()
    boot.passes(minutes * 60)
    shipper = Shipper(
        journal,
        Scripted(*answers),
        ShippingPolicy(**{"settle_after": 0, **policy}),
        clock=lambda: now,
        uptime=boot,
        chance=lambda: 0.5,
    )
    return shipper.ship(limit=limit)


def kept(path):
    """Return number and state of the entries in the journal."""
    with JournalReader(path) as reader:
        assert reader.counts().adds_up
        assert audit(path).agrees, audit(path).disagreements
        return {entry.seq: entry.state.value for entry in reversed(reader.entries())}


def counts(path):
    with JournalReader(path) as reader:
        return reader.counts()


def rows(path, sql):
    with closing(sqlite3.connect(path)) as connection, connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def views(path):
    """Return the views of all profiles, of all and of shipped entries only."""
    seen = []
    for shipped_only in (False, True):
        simulator = Simulator.from_journal(path, shipped_only=shipped_only)
        seen.append(
            [
                (owner, dict(profile), profile.partly_known)
                for made in (simulator.profiles, simulator.groups)
                for owner, profile in made.items()
            ]
        )
    return seen


def fill(recorder, number, profile="ada"):
    for n in range(number):
        recorder.people_append(profile, {"n": n})


def test_shipped_entries_fold_by_profile(recorder, journal, path):
    """Entries shipped before the cut become one row of the baseline for each profile."""
    for profile in ("ada", "bob", "ada"):
        recorder.people_increment(profile, {"visits": 1})
    recorder.group_union("company", "acme", {"sites": ["Oslo"]})
    ship(journal, now=DAY)
    recorder.people_increment("ada", {"visits": 1})
    before = views(path)
    assert journal.prune(now=9 * DAY).entries == 4
    assert kept(path) == {5: "pending"}
    assert views(path) == before
    with JournalReader(path) as reader:
        assert [(one.profile, one.properties, one.entries) for one in reader.baseline()] == [
            ("ada", {"visits": 2}, 2),
            ("bob", {"visits": 1}, 1),
            ("acme", {"sites": ["Oslo"]}, 1),
        ]
    assert dataclasses.replace(counts(path), bytes=0, oldest_pending_seconds=None) == dataclasses.replace(
        counts(path), recorded=5, shipped=4, pending=1, pruned=4, bytes=0, oldest_pending_seconds=None
    )
    assert counts(path).kept == 1


def test_recently_shipped_entries_stay(recorder, journal, path):
    for day in range(4):
        fill(recorder, 1)
        ship(journal, now=day * DAY)
    fill(recorder, 1)
    journal.prune(now=9 * DAY)
    assert kept(path) == {3: "shipped", 4: "shipped", 5: "pending"}


def test_shipped_entries_are_limited_in_number(path):
    with Journal(path, token="T", keep_shipped_entries=2) as journal, Recorder("T", journal) as recorder:
        fill(recorder, 5)
        ship(journal, batch_updates=1)
        fill(recorder, 1)
        journal.prune(now=0.0)
        assert kept(path) == {4: "shipped", 5: "shipped", 6: "pending"}


def test_infinite_limits_prune_nothing(path):
    limits = {"keep_shipped_days": math.inf, "keep_shipped_entries": math.inf}
    with Journal(path, token="T", **limits) as journal, Recorder("T", journal) as recorder:
        fill(recorder, 3)
        ship(journal, batch_updates=1)
        assert journal.prune(now=1e12) == Pruned()
        assert len(kept(path)) == 3


def test_limits_are_kept_in_journal(path):
    """A shipper that opens the journal without limits prunes nothing that the app wants to keep."""
    Journal(path, token="T", keep_shipped_days=math.inf, keep_shipped_entries=3).close()
    Journal(path, keep_shipped_entries=math.inf).close()
    with Journal(path) as journal, Recorder("T", journal) as recorder:
        fill(recorder, 5)
        ship(journal)
        assert journal.prune(now=1e12) == Pruned()


@pytest.mark.parametrize(
    "limits",
    [{"max_bytes": 1_000}, {"keep_shipped_days": -1}, {"keep_shipped_entries": "all"}, {"max_bytes": True}],
)
def test_invalid_limit_creates_no_file(path, limits):
    with pytest.raises(ValueError, match=next(iter(limits))):
        Journal(path, token="T", **limits)
    assert not path.exists()


def test_pruned_numbers_are_never_reused(recorder, journal, path):
    fill(recorder, 5)
    ship(journal, batch_updates=1)
    journal.prune(all_shipped=True)
    assert kept(path) == {5: "shipped"}
    fill(recorder, 1)
    assert kept(path) == {5: "shipped", 6: "pending"}
    assert counts(path).recorded == 6


def test_newest_entry_keeps_later_shipped(recorder, journal, path):
    """An older entry that was shipped after the newest one cannot be folded before it."""
    recorder.people_set("ada", {"n": 1})
    ship(journal, REFUSED)
    recorder.people_set("ada", {"n": 2})
    ship(journal)
    journal.retry("state=rejected")
    ship(journal)
    before = views(path)
    assert before[0][0][1] == {"n": 1}
    journal.prune(all_shipped=True)
    assert kept(path) == {1: "shipped", 2: "shipped"}
    assert views(path) == before


def test_unsettled_entries_stay(recorder, journal, path):
    recorder.people_set("eve", {"a": 1})
    ship(journal, REFUSED)
    recorder.people_set("bob", {"a": 1})
    ship(journal, RESET, in_doubt="hold", settle_after=600)
    fill(recorder, 3)
    ship(journal, in_doubt="hold", settle_after=600)
    recorder.people_set("bob", {"a": 2})
    recorder.people_set("ada", {"a": 1})
    journal.prune(all_shipped=True)
    assert kept(path) == {1: "rejected", 2: "in_doubt", 6: "pending", 7: "pending"}


def test_discarded_entries_go_below_cut(recorder, journal, path):
    """Discarded entries below the cut are pruned, and those above it stay."""
    recorder.people_set("bob", {"a": 1})
    journal.discard("profile=bob")
    fill(recorder, 1)
    ship(journal)
    recorder.people_set("bob", {"a": 2})
    journal.discard("profile=bob")
    fill(recorder, 1)
    journal.prune(all_shipped=True)
    assert kept(path) == {3: "discarded", 4: "pending"}
    assert (counts(path).discarded, counts(path).shipped, counts(path).pruned) == (2, 1, 2)


def test_events_are_only_counted(journal, path):
    from recorder import JournalConsumer

    with JournalConsumer(journal) as consumer:
        for _ in range(3):
            consumer.send("events", '{"event": "e", "properties": {"token": "T", "distinct_id": "ada"}}')
    ship(journal, batch_updates=1)
    journal.prune(all_shipped=True)
    assert kept(path) == {3: "shipped"}
    assert counts(path).pruned == 2
    assert rows(path, "SELECT * FROM baseline") == []


def merge(journal):
    """Record an update whose effect is not known."""
    with Recorder("T", journal, unknown_operators="ship") as recorder:
        recorder.people_update({"$distinct_id": "ada", "$merge": {"a": 1}})


def test_unknown_operator_leaves_partly_known(recorder, journal, path):
    merge(journal)
    recorder.people_update({"$distinct_id": "ada", "$set": {"a": 1}})
    recorder.people_delete("ada")
    ship(journal)
    fill(recorder, 1)
    journal.prune(all_shipped=True)
    assert Simulator.from_journal(path).profile("ada").partly_known


def test_partly_known_profile_stays_so(recorder, journal, path):
    merge(journal)
    ship(journal)
    for _ in range(2):
        fill(recorder, 1)
        journal.prune(all_shipped=True)
        ship(journal)
    fill(recorder, 1, "bob")
    journal.prune(all_shipped=True)
    assert Simulator.from_journal(path).profile("ada").partly_known


def test_marks_outlive_pruned_entries(recorder, journal, path):
    recorder.people_append("ada", {"n": "bad"})
    recorder.people_append("bob", {"n": 1})
    ship(journal, REFUSED, REFUSED, RESET)
    ship(journal)
    fill(recorder, 1)
    ship(journal)
    journal.retry("state=rejected")
    ship(journal)
    fill(recorder, 1)
    before = counts(path)
    assert (before.possibly_twice, before.out_of_order) == (1, 1)
    assert journal.prune(all_shipped=True).entries == 3
    assert kept(path) == {4: "pending"}
    assert (counts(path).possibly_twice, counts(path).out_of_order) == (1, 1)


def test_profiles_keep_their_creation_order(recorder, journal, path):
    for profile in ("cal", "ada", "bob"):
        recorder.people_set(profile, {"a": 1})
    recorder.people_delete("cal")
    recorder.people_set("cal", {"a": 2})
    ship(journal)
    fill(recorder, 1)
    before = views(path)
    assert [owner for owner, *_ in before[1]] == ["ada", "bob", "cal"]
    journal.prune(all_shipped=True)
    assert views(path) == before


# --- later decisions


def test_retry_after_pruning_out_of_order(recorder, journal, path):
    """A retry is out of order although the later entries it follows are pruned."""
    recorder.people_append("ada", {"n": "bad"})
    ship(journal, REFUSED)
    fill(recorder, 1)
    ship(journal)
    fill(recorder, 1, "bob")
    journal.prune(all_shipped=True)
    assert kept(path) == {1: "rejected", 3: "pending"}
    with JournalReader(path) as reader:
        assert reader.weigh(Verb.RETRY, "state=rejected").out_of_order == 1
    assert journal.retry("state=rejected").out_of_order == 1


def test_event_retry_is_out_of_order(journal, path):
    """A retry of an event is out of order although the later events are pruned."""
    from recorder import JournalConsumer

    event = '{"event": "e", "properties": {"token": "T", "distinct_id": "ada"}}'
    with JournalConsumer(journal) as consumer:
        consumer.send("events", event)
        ship(journal, REFUSED)
        consumer.send("events", event)
        ship(journal)
        consumer.send("events", event)
    journal.prune(all_shipped=True)
    assert kept(path) == {1: "rejected", 3: "pending"}
    assert journal.retry("state=rejected").out_of_order == 1


def test_late_acceptance_ignores_pruning(recorder, journal, path):
    """Part of the run was discarded: a late acceptance does not settle the rest, pruned or not."""
    recorder.people_set("ada", {"a": 1})
    recorder.people_append("ada", {"n": 1})
    claimed = claim(journal, take_over(journal), 2)
    take_over(journal, policy=ShippingPolicy(in_doubt="hold", settle_after=600))
    journal.discard("op=$append")
    fill(recorder, 1, "bob")
    ship(journal, in_doubt="hold", settle_after=600)
    fill(recorder, 1, "bob")
    journal.prune(all_shipped=True)
    assert kept(path) == {1: "in_doubt", 2: "discarded", 4: "pending"}
    journal.claims.settle(claimed, Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=3.0))
    assert kept(path)[1] == "in_doubt"


def test_late_accepted_entry_keeps_place(recorder, journal, path):
    """An entry accepted late is folded after the earlier and before the later of its profile."""
    recorder.people_append("ada", {"n": 0})
    ship(journal)
    recorder.people_append("ada", {"n": 1})
    claimed = claim(journal, take_over(journal))
    take_over(journal, policy=ShippingPolicy(in_doubt="hold", settle_after=600))
    fill(recorder, 2, "bob")
    ship(journal, in_doubt="hold", settle_after=600)
    fill(recorder, 1, "cal")
    journal.prune(all_shipped=True)
    assert kept(path) == {1: "shipped", 2: "in_doubt", 5: "pending"}
    journal.claims.settle(claimed, Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=3.0))
    recorder.people_append("ada", {"n": 2})
    ship(journal)
    recorder.people_append("cal", {"n": 3})
    journal.prune(all_shipped=True)
    assert dict(Simulator.from_journal(path).profile("ada")) == {"n": [0, 1, 2]}


def test_running_request_blocks_pruning(recorder, journal, path):
    """Nothing is pruned of a request under way, nor after it."""
    fill(recorder, 2)
    ship(journal, limit=1)
    claimed = claim(journal, take_over(journal))
    fill(recorder, 1, "bob")
    journal.prune(all_shipped=True)
    assert kept(path) == {2: "sending", 3: "pending"}
    journal.claims.settle(claimed, Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=3.0))
    journal.prune(all_shipped=True)
    assert kept(path) == {3: "pending"}


def test_waiting_profile_blocks_pruning(recorder, journal, path):
    """A profile waits for a late copy even if a person discarded its entry in doubt."""
    recorder.people_append("ada", {"n": 0})
    ship(journal, RESET, settle_after=600)
    journal.discard("state=in_doubt")
    fill(recorder, 2, "bob")
    ship(journal, settle_after=600)
    fill(recorder, 1, "bob")
    journal.prune(all_shipped=True)
    assert kept(path) == {1: "discarded", 4: "pending"}


def test_newest_discarded_entry_stays(recorder, journal, path):
    """The newest number stays, although the rest of its request was accepted late and is pruned."""
    recorder.people_append("ada", {"n": 0})
    recorder.people_append("bob", {"n": 0})
    claimed = claim(journal, take_over(journal), 2)
    take_over(journal, policy=ShippingPolicy(in_doubt="hold", settle_after=0))
    journal.discard("profile=bob")
    journal.claims.settle(claimed, Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=3.0))
    assert claim(journal, take_over(journal)) is None  # and nothing waits any more
    journal.prune(all_shipped=True)
    assert kept(path) == {2: "discarded"}
    recorder.people_append("bob", {"n": 0})
    assert counts(path).recorded == 3


# --- attempts


def test_unreferenced_attempts_are_pruned(recorder, journal, path):
    recorder.people_append("ada", {"n": "bad"})
    fill(recorder, 3)
    ship(journal, REFUSED, REFUSED, REFUSED)
    fill(recorder, 3)
    ship(journal, batch_updates=1)
    fill(recorder, 1)
    assert journal.prune(all_shipped=True).attempts == 6
    with JournalReader(path) as reader:
        assert [attempt.outcome for attempt in reader.attempts(1)] == ["refused"]
        assert len(reader.attempts()) == 2  # that one, and the lane's latest


def test_old_failures_are_pruned(recorder, journal, path):
    """An outage with ever-changing causes ships no entry, and leaves no attempt for ever."""
    fill(recorder, 2)
    for day in range(30):
        ship(journal, FORBIDDEN if day % 2 else RESET, now=day * DAY, in_doubt="hold", settle_after=0)
        fill(recorder, 1, f"visitor-{day}")
    ((made,),) = rows(path, "SELECT max(id) FROM attempts")
    journal.prune(now=30 * DAY)
    assert audit(path).agrees
    assert len(rows(path, "SELECT id FROM attempts")) < made - 10


def test_attempt_behind_guard_stays(recorder, journal, path):
    """Later rejections are compared with the words of an attempt whose own entry is pruned."""
    for n in range(9):
        recorder.people_set("ada", {"n": n})
    ship(journal, *[REFUSED] * 5, batch_updates=1, limit=5)
    ((alike, since),) = rows(path, "SELECT alike, alike_since FROM lanes")
    journal.discard("seq=1")
    recorder.group_set("company", "acme", {"a": 1})
    ship(journal, FORBIDDEN)
    fill(recorder, 1)
    journal.prune(all_shipped=True)
    assert alike == 5
    assert 1 not in kept(path)
    assert rows(path, f"SELECT id FROM attempts WHERE id = {since}") == [(since,)]


# --- the call itself


@pytest.mark.parametrize("at_once", [20_000, 2])
def test_dry_run_only_counts(recorder, journal, path, monkeypatch, at_once):
    monkeypatch.setattr("recorder.journal.housekeeping._NUMBERS_A_READ", at_once)
    recorder.people_set("bob", {"a": 1})
    ship(journal, RESET, in_doubt="hold", settle_after=600)
    fill(recorder, 3)
    recorder.people_set("eve", {"a": 1})
    journal.discard("profile=eve")
    fill(recorder, 1)
    ship(journal, in_doubt="hold", settle_after=600)
    fill(recorder, 1)
    before = kept(path)
    going = journal.prune(all_shipped=True, dry_run=True)
    assert kept(path) == before
    assert journal.prune(all_shipped=True).entries == going.entries == 5


def test_dry_run_knows_who_shipped_what(recorder, journal, path):
    """Entries that a later request shipped stay, of another lane or retried; and those given up since."""
    recorder.people_increment("ada", {"visits": 1})
    ship(journal, REFUSED)
    for plan in ("free", "pro"):
        recorder.group_set("company", "acme", {"plan": plan})
    recorder.people_set("bob", {"plan": "pro"})
    ship(journal, limit=1)
    journal.retry("seq=1")
    fill(recorder, 2)
    journal.discard("seq=5")
    ship(journal, now=6 * DAY)
    assert journal.prune(now=8 * DAY, dry_run=True).entries == 1
    assert journal.prune(now=8 * DAY).entries == 1
    assert kept(path) == {1: "shipped", 2: "shipped", 3: "shipped", 5: "discarded", 6: "shipped"}


def test_pruning_takes_several_transactions(recorder, journal, path):
    with recorder.batch() as batch:
        for n in range(2_500):
            batch.people_increment(f"visitor-{n % 7}", {"n": n})
    ship(journal, batch_updates=2_000)
    fill(recorder, 1)
    before, steps = views(path), []
    journal.prune(all_shipped=True, progress=lambda done, of: steps.append((done, of)))
    assert len({done for done, _ in steps}) > 3
    assert (steps[-1], sorted(steps)) == ((2_500, 2_500), steps)
    assert views(path) == before
    assert kept(path) == {2_501: "pending"}


class Slow:
    """Fold on a slow machine, with its clock."""

    def __init__(self, each):
        self.each, self.now = each, 0.0

    def __call__(self):
        return self.now

    def fold(self, properties, messages):
        self.now += self.each
        return fold(properties, messages)


@pytest.mark.parametrize("each", [0.0001, 0.002, 0.02])
def test_pruning_transactions_are_short(recorder, journal, each, monkeypatch):
    """At 0.1 to 20 ms for each profile, every transaction but the first is short."""
    with recorder.batch() as batch:
        for n in range(1_200):
            batch.people_append(f"visitor-{n}", {"n": n})
    ship(journal)
    fill(recorder, 1)
    slow, took = Slow(each), []
    monkeypatch.setattr("recorder.journal.prune.fold", slow.fold)
    with journal._connection.reading() as connection:
        walk = Walk(cut_now(connection, Limits(), 0.0, all_shipped=True), clock=slow)
    while not walk.over:
        began = slow.now
        with journal._connection.transaction() as connection:
            walk.step(connection)
        took.append(slow.now - began)
    assert walk.entries == 1_200
    assert max(took[1:]) <= max(0.1, 21 * each)  # each transaction prunes at least 20 entries
    assert len(took) < 200


def test_fruitless_search_takes_several_transactions(recorder, journal):
    """Entries of a waiting profile are many to read, and none of them may go."""
    fill(recorder, 400)
    ship(journal, batch_updates=1)
    recorder.people_append("ada", {"n": 1})
    ship(journal, RESET, settle_after=600)
    fill(recorder, 1)

    def ticks():
        ticks.now += 0.01
        return ticks.now

    ticks.now, steps = 0.0, 0
    with journal._connection.reading() as connection:
        walk = Walk(cut_now(connection, Limits(), 0.0, all_shipped=True), clock=ticks)
    while not walk.over:
        with journal._connection.transaction() as connection:
            walk.step(connection)
        steps += 1
    assert walk.entries == 0
    assert steps > 400 / 10


def test_growing_failure_delays_no_pruning(recorder, journal, path):
    """The first attempt of all is a lane's failure that repeats to this day: others are old all the same."""
    recorder.group_set("company", "acme", {"a": 1})
    ship(journal, FORBIDDEN, now=1.0)
    fill(recorder, 3)
    ship(journal, now=1.0, limit=3)
    with (
        closing(sqlite3.connect(path)) as connection,
        connection,
    ):  # the failure is repeated, and its row grows
        connection.execute("UPDATE attempts SET ended_at = ? WHERE id = 1", (30 * DAY,))
    connection.close()
    fill(recorder, 1, "bob")
    ship(journal, now=30 * DAY)
    assert not {2, 3} & set(kept(path))


def test_pruning_is_idempotent(recorder, journal, path):
    fill(recorder, 3)
    ship(journal, batch_updates=1)
    fill(recorder, 1)
    journal.prune(all_shipped=True)
    before = views(path), kept(path)
    assert journal.prune(all_shipped=True).entries == 0
    assert (views(path), kept(path)) == before


# --- readers


def test_reader_restarts_after_pruning(recorder, journal, path):
    fill(recorder, 4)
    ship(journal, batch_updates=1)
    fill(recorder, 1)
    begun = []

    def read():
        begun.append(None)
        baseline = list(reader.baseline())
        if len(begun) == 1:
            journal.prune(all_shipped=True)
        return sum(one.entries for one in baseline) + len(list(reader.history()))

    with JournalReader(path) as reader:
        assert reader.unpruned(read) == 5
    assert len(begun) == 2


def test_reader_ends_with_one_transaction(recorder, journal, path):
    """A reader that meets a pruning each time reads in one transaction in the end."""
    fill(recorder, 5)
    ship(journal, batch_updates=1)
    begun = []

    def read():
        begun.append(None)
        fill(recorder, 1)  # the entry before may now be pruned
        seen = reader.counts().recorded
        baseline = list(reader.baseline())
        ship(journal)
        journal.prune(all_shipped=True)
        return seen, sum(one.entries for one in baseline) + len(list(reader.history()))

    with JournalReader(path) as reader:
        seen, total = reader.unpruned(read)
    assert len(begun) == 4
    assert total == seen == 9


# --- by the shipper


def test_shipper_prunes_after_shipping(recorder, journal, path):
    fill(recorder, 3)
    ship(journal, now=DAY, batch_updates=1)
    fill(recorder, 1)
    ship(journal, now=9 * DAY, minutes=2)
    assert kept(path) == {4: "shipped"}


def test_paused_shipper_prunes_too(recorder, journal, path):
    fill(recorder, 3)
    ship(journal, now=DAY, batch_updates=1)
    fill(recorder, 1)
    ship(journal, FORBIDDEN, now=9 * DAY, minutes=2)
    assert kept(path) == {4: "pending"}
