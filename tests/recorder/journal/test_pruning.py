"""Pruning: what it takes away, what it leaves, and that no view and no account shows it."""

import dataclasses
import math
import sqlite3

import pytest

from recorder import Journal, JournalError, JournalReader, Recorder, Shipper, ShippingPolicy, audit
from recorder.journal.baseline import cut_now
from recorder.journal.decisions import Verb
from recorder.journal.limits import Limits
from recorder.journal.prune import Walk
from recorder.journal.settle import Settlement
from recorder.model.entries import AttemptOutcome
from recorder.model.reports import Pruned
from simulator import Simulator
from simulator.baseline import fold
from tests.doubles import FORBIDDEN, REFUSED, RESET, Boot, Scripted, claim, take_over

DAY = 86_400.0


def ship(journal, *answers, now=0.0, limit=None, minutes=0, **policy):
    """Ship what may go, so many minutes after the beginning."""
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
    """The entries that are there: number and state."""
    with JournalReader(path) as reader:
        assert reader.counts().adds_up
        assert audit(path).agrees, audit(path).disagreements
        return {entry.seq: entry.state.value for entry in reversed(reader.entries())}


def counts(path):
    with JournalReader(path) as reader:
        return reader.counts()


def rows(path, sql):
    with sqlite3.connect(path) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def views(path):
    """All that is said about profiles."""
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


def test_what_was_shipped_before_the_cut_is_folded_into_a_row_for_each_profile(recorder, journal, path):
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


def test_what_is_younger_than_the_days_stays(recorder, journal, path):
    for day in range(4):
        fill(recorder, 1)
        ship(journal, now=day * DAY)
    fill(recorder, 1)
    journal.prune(now=9 * DAY)
    assert kept(path) == {3: "shipped", 4: "shipped", 5: "pending"}


def test_no_more_shipped_entries_stay_than_their_number(path):
    with Journal(path, token="T", keep_shipped_entries=2) as journal, Recorder("T", journal) as recorder:
        fill(recorder, 5)
        ship(journal, batch_updates=1)
        fill(recorder, 1)
        journal.prune(now=0.0)
        assert kept(path) == {4: "shipped", 5: "shipped", 6: "pending"}


def test_without_limits_nothing_is_pruned(path):
    limits = {"keep_shipped_days": math.inf, "keep_shipped_entries": math.inf}
    with Journal(path, token="T", **limits) as journal, Recorder("T", journal) as recorder:
        fill(recorder, 3)
        ship(journal, batch_updates=1)
        assert journal.prune(now=1e12) == Pruned()
        assert len(kept(path)) == 3


def test_limits_are_kept_in_the_journal_for_whoever_opens_it_without_them(path):
    """`restante ship` beside an app prunes nothing that the app wants to keep."""
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
def test_a_limit_that_cannot_be_kept_is_refused_before_there_is_a_file(path, limits):
    with pytest.raises(ValueError, match=next(iter(limits))):
        Journal(path, token="T", **limits)
    assert not path.exists()


def test_numbers_are_never_handed_out_again(recorder, journal, path):
    fill(recorder, 5)
    ship(journal, batch_updates=1)
    journal.prune(all_shipped=True)
    assert kept(path) == {5: "shipped"}
    fill(recorder, 1)
    assert kept(path) == {5: "shipped", 6: "pending"}
    assert counts(path).recorded == 6


def test_the_newest_entry_keeps_what_was_shipped_after_it(recorder, journal, path):
    """It stays for its number; what an older one put on top of it cannot be folded below it."""
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


def test_all_else_stays(recorder, journal, path):
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


def test_discarded_entries_below_the_cut_go_with_them_and_those_above_stay(recorder, journal, path):
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


def test_lanes_without_profiles_are_only_counted(journal, path):
    from recorder import JournalConsumer

    with JournalConsumer(journal) as consumer:
        for _ in range(3):
            consumer.send("events", '{"event": "e", "properties": {"token": "T", "distinct_id": "ada"}}')
    ship(journal, batch_updates=1)
    journal.prune(all_shipped=True)
    assert kept(path) == {3: "shipped"}
    assert counts(path).pruned == 2
    assert rows(path, "SELECT * FROM baseline") == []


def test_an_unknown_operator_leaves_its_profile_partly_known(recorder, journal, path):
    recorder.people_update({"$distinct_id": "ada", "$merge": {"a": 1}})
    recorder.people_update({"$distinct_id": "ada", "$set": {"a": 1}})
    recorder.people_delete("ada")
    ship(journal)
    fill(recorder, 1)
    journal.prune(all_shipped=True)
    assert Simulator.from_journal(path).profile("ada").partly_known


def test_what_is_partly_known_stays_so(recorder, journal, path):
    recorder.people_update({"$distinct_id": "ada", "$merge": {"a": 1}})
    ship(journal)
    for _ in range(2):
        fill(recorder, 1)
        journal.prune(all_shipped=True)
        ship(journal)
    fill(recorder, 1, "bob")
    journal.prune(all_shipped=True)
    assert Simulator.from_journal(path).profile("ada").partly_known


def test_marks_are_counted_for_ever(recorder, journal, path):
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


def test_profiles_stay_in_the_order_in_which_they_came_to_be(recorder, journal, path):
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


# --- what later decisions look back at


def test_an_entry_taken_up_after_pruning_still_goes_out_of_order(recorder, journal, path):
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


def test_the_same_in_a_lane_without_profiles(journal, path):
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


def test_a_late_acceptance_finds_its_run_as_it_left_it(recorder, journal, path):
    """Part of the run was discarded: the rest is not settled by the late answer, pruned or not."""
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


def test_what_a_late_acceptance_settles_comes_at_its_place(recorder, journal, path):
    """Nothing that its profile shipped before was kept, nothing that it ships after goes before it."""
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


def test_nothing_of_a_request_under_way_or_after_it_is_pruned(recorder, journal, path):
    fill(recorder, 2)
    ship(journal, limit=1)
    claimed = claim(journal, take_over(journal))
    fill(recorder, 1, "bob")
    journal.prune(all_shipped=True)
    assert kept(path) == {2: "sending", 3: "pending"}
    journal.claims.settle(claimed, Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=3.0))
    journal.prune(all_shipped=True)
    assert kept(path) == {3: "pending"}


def test_a_profile_that_waits_keeps_what_it_waits_behind(recorder, journal, path):
    """A person gave up what was in doubt: its profile waits all the same, for a late copy."""
    recorder.people_append("ada", {"n": 0})
    ship(journal, RESET, settle_after=600)
    journal.discard("state=in_doubt")
    fill(recorder, 2, "bob")
    ship(journal, settle_after=600)
    fill(recorder, 1, "bob")
    journal.prune(all_shipped=True)
    assert kept(path) == {1: "discarded", 4: "pending"}


def test_the_newest_number_stays_though_it_was_given_up(recorder, journal, path):
    """A late acceptance settles the other of its request: what that carried reaches as far as the newest."""
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


def test_attempts_that_nothing_refers_to_go_too(recorder, journal, path):
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


def test_failures_of_years_go_by_their_age(recorder, journal, path):
    """An outage whose cause changes all the time: no entry is shipped, and no row of it stays for ever."""
    fill(recorder, 2)
    for day in range(30):
        ship(journal, FORBIDDEN if day % 2 else RESET, now=day * DAY, in_doubt="hold", settle_after=0)
        fill(recorder, 1, f"visitor-{day}")
    ((made,),) = rows(path, "SELECT max(id) FROM attempts")
    journal.prune(now=30 * DAY)
    assert audit(path).agrees
    assert len(rows(path, "SELECT id FROM attempts")) < made - 10


def test_an_attempt_that_rejections_are_held_against_stays(recorder, journal, path):
    """Its own entry was given up since, and has gone: its words are still what the next rejections are held against."""
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
def test_a_dry_run_counts_and_does_nothing(recorder, journal, path, monkeypatch, at_once):
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


def test_many_entries_go_in_several_transactions_with_progress(recorder, journal, path):
    with recorder.batch() as batch:
        for n in range(2_500):
            batch.people_increment(f"visitor-{n % 7}", {"n": n})
    ship(journal, batch_updates=2_000)
    fill(recorder, 1)
    before, told = views(path), []
    journal.prune(all_shipped=True, progress=lambda done, of: told.append((done, of)))
    assert len({done for done, _ in told}) > 3
    assert (told[-1], sorted(told)) == ((2_500, 2_500), told)
    assert views(path) == before
    assert kept(path) == {2_501: "pending"}


class Slow:
    """A fold on a slow machine, and its clock."""

    def __init__(self, each):
        self.each, self.now = each, 0.0

    def __call__(self):
        return self.now

    def fold(self, properties, messages):
        self.now += self.each
        return fold(properties, messages)


@pytest.mark.parametrize("each", [0.0001, 0.002, 0.02])
def test_a_transaction_takes_no_longer_than_others_may_wait(recorder, journal, each):
    """A profile takes from a tenth to twenty milliseconds: by its clock, each transaction but the first is short."""
    with recorder.batch() as batch:
        for n in range(1_200):
            batch.people_append(f"visitor-{n}", {"n": n})
    ship(journal)
    fill(recorder, 1)
    slow, took = Slow(each), []
    with journal._connection.reading() as connection:
        walk = Walk(cut_now(connection, Limits(), 0.0, all_shipped=True), clock=slow)
    while not walk.over:
        began = slow.now
        with journal._connection.transaction() as connection:
            walk.step(connection, slow.fold)
        took.append(slow.now - began)
    assert walk.entries == 1_200
    assert max(took[1:]) <= max(0.1, 21 * each)  # 20 entries go at least
    assert len(took) < 200


def test_what_nothing_is_taken_from_is_looked_through_a_little_at_a_time(recorder, journal):
    """All that was shipped is of a profile that waits: there is much to read, and nothing that goes."""
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
            walk.step(connection, fold)
        steps += 1
    assert walk.entries == 0
    assert steps > 400 / 10


def test_pruning_twice_is_pruning_once(recorder, journal, path):
    fill(recorder, 3)
    ship(journal, batch_updates=1)
    fill(recorder, 1)
    journal.prune(all_shipped=True)
    before = views(path), kept(path)
    assert journal.prune(all_shipped=True).entries == 0
    assert (views(path), kept(path)) == before


def test_without_a_fold_nothing_is_pruned(recorder, journal, path, monkeypatch):
    import importlib.metadata

    fill(recorder, 2)
    ship(journal, batch_updates=1)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: importlib.metadata.EntryPoints())
    with pytest.raises(JournalError, match="no fold") as caught:
        journal.prune(all_shipped=True)
    assert caught.value.hint
    assert journal.housekeeping.keep(1e12, 0.0, steps=100) is False
    assert len(kept(path)) == 2


# --- looking


def test_a_reader_that_meets_a_pruning_begins_anew(recorder, journal, path):
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


def test_a_reader_that_meets_one_each_time_reads_at_one_moment_in_the_end(recorder, journal, path):
    fill(recorder, 5)
    ship(journal, batch_updates=1)
    begun = []

    def read():
        begun.append(None)
        fill(recorder, 1)  # what was the newest one may go
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


def test_a_shipper_prunes_what_is_due_when_it_has_shipped(recorder, journal, path):
    fill(recorder, 3)
    ship(journal, now=DAY, batch_updates=1)
    fill(recorder, 1)
    ship(journal, now=9 * DAY, minutes=2)
    assert kept(path) == {4: "shipped"}


def test_a_shipper_that_cannot_ship_prunes_all_the_same(recorder, journal, path):
    fill(recorder, 3)
    ship(journal, now=DAY, batch_updates=1)
    fill(recorder, 1)
    ship(journal, FORBIDDEN, now=9 * DAY, minutes=2)
    assert kept(path) == {4: "pending"}
