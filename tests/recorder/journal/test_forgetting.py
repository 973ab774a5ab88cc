"""Forgetting a profile: no byte of it is left, and everything else is as it was."""

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import (
    InvalidOperation,
    Journal,
    JournalBusy,
    JournalFull,
    JournalReader,
    Lane,
    Recorder,
    Shipper,
    ShippingPolicy,
    State,
    audit,
    salvage,
    snapshot,
)
from recorder.journal.claims import ClaimSize, Shipping
from recorder.journal.opening import PAGE_SIZE
from recorder.journal.settle import Settlement
from recorder.maintenance.salvage.carry import carry_over
from recorder.maintenance.shapes import as_table_row
from recorder.model.entries import AttemptOutcome, NewEntry
from simulator import Simulator
from tests.doubles import ACCEPTED, AT_ONCE, BOOTED, FORBIDDEN, REFUSED, RESET, Scripted, claim, take_over
from tests.profiles import costly
from tests.recorder.remnants import ID, VALUE, everywhere, places, quoting, refused, ship
from tests.services import eventually


def rows(path, sql, *parameters):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql, parameters).fetchall()


def entries(path):
    with JournalReader(path) as reader:
        return {entry.seq: entry for entry in reversed(reader.entries(limit=10**6))}


def states(path):
    return {seq: entry.state.value for seq, entry in entries(path).items()}


def counts(path):
    with JournalReader(path) as reader:
        return reader.counts()


def whole(path):
    """Check the accounts and every rule of the audit."""
    assert audit(path).agrees, audit(path).disagreements
    assert counts(path).adds_up


def views(path, but=(ID,)):
    """Return the views of all other profiles."""
    seen = []
    for shipped_only in (False, True):
        made = Simulator.from_journal(path, shipped_only=shipped_only)
        for profiles in (made.profiles, made.groups):
            seen.append({whose: dict(one) for whose, one in profiles.items() if whose not in but})
    return seen


@contextlib.contextmanager
def reading(path):
    """Let another process read, which keeps the log, until the block ends."""
    code = (
        "import sqlite3, sys; c = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True, isolation_level=None);"
        "c.execute('BEGIN'); c.execute('SELECT count(*) FROM entries').fetchall(); print('reads', flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "reads\n"
        yield child.pid
    finally:
        child.communicate("\n", timeout=30)


@pytest.fixture
def _impatient(monkeypatch):
    """Shorten the wait for readers."""
    monkeypatch.setattr("recorder.journal.forget._READER_PATIENCE", 0.2)


# --- forgotten and other entries


def test_forget_leaves_no_byte(path, tmp_path):
    """Forgetting a profile leaves no byte of it, whatever state its entries had."""
    everywhere(path)
    assert {name for _, name in places(path, ID, VALUE)} == {ID, VALUE}
    before, counted, others = entries(path), counts(path), views(path)
    with JournalReader(path) as reader:
        weighed = reader.weigh_forgetting(ID)
    with Journal(path) as journal:
        done = journal.forget(ID)
        assert places(path, ID, VALUE) == set()  # while it is open, too
    assert done == weighed
    assert (done.entries, done.unsent, done.in_doubt, done.folded) == (10, 5, 1, 1)
    assert places(path, ID, VALUE) == set()
    rows(path, "UPDATE project SET remnants = 1")
    copy = snapshot(path, tmp_path / "copy.db")
    assert places(copy, ID, VALUE) == set()
    with JournalReader(copy) as reader:
        assert not reader.weigh_forgetting(ID).remnants
    after = entries(path)
    assert [(one.seq, one.lane, one.recorded_at) for one in after.values()] == [
        (one.seq, one.lane, one.recorded_at) for one in before.values()
    ]
    forgotten = {seq for seq, entry in after.items() if entry.state is State.FORGOTTEN}
    assert forgotten == {4, 6, 7, 8, 9, 11, 12, 14, 15, 16}
    assert all(
        (after[seq].message, after[seq].profile, after[seq].operator, after[seq].reason)
        == ({}, None, None, None)
        for seq in forgotten
    )
    assert {seq: after[seq] for seq in after if seq not in forgotten} == {
        seq: before[seq] for seq in before if seq not in forgotten
    }
    now = counts(path)
    assert (now.recorded, now.pruned, now.forgotten) == (counted.recorded, counted.pruned, 10)
    assert views(path) == others
    whole(path)


@pytest.mark.parametrize("policy", ["resend", "hold", "drop"])
def test_forget_leaves_others_to_ship(path, policy):
    everywhere(path)
    with Journal(path) as journal:
        journal.forget(ID)
        ship(journal, minutes=10, in_doubt=policy)
        assert counts(path).unsent == 0
        assert dict(Simulator.from_journal(path, shipped_only=True).profile("bob")) == {
            "plan": "free",
            "pending": True,
        }
    whole(path)


def test_forget_tells_groups_from_users(recorder, journal, path):
    recorder.people_set("acme", {"of": "user"})
    recorder.group_set("company", "acme", {"of": "company"})
    recorder.group_set("family", "acme", {"of": "family"})
    assert journal.forget("acme", group_key="company").entries == 1
    assert states(path) == {1: "pending", 2: "forgotten", 3: "pending"}
    assert journal.forget("acme").entries == 1
    assert states(path) == {1: "forgotten", 2: "forgotten", 3: "pending"}
    whole(path)


@pytest.mark.parametrize("id_", [7, None, "half of a pair \ud800"])
def test_forget_refuses_impossible_id(journal, id_):
    with pytest.raises(InvalidOperation, match="is not text"):
        journal.forget(id_)


@pytest.mark.parametrize(
    "properties",
    [
        {"distinct_id": "42"},
        {"distinct_id": 42},
        {"distinct_id": "bob", "$user_id": "42"},
        {"distinct_id": "bob", "alias": "42"},
        {"$distinct_ids": ["bob", "42"]},
    ],
)
def test_forget_takes_events_by_identity(journal, properties):
    """Events that name the profile in any identity property are forgotten with it."""
    message = json.dumps({"event": "seen", "properties": properties})
    journal.append([NewEntry("events", None, None, None, message, 1.0)])
    assert journal.forget("42").entries == 1


def test_forget_keeps_mentions_by_others(recorder, journal, path):
    recorder.people_set("bob", {"friend": "ada"})
    journal.append(
        [NewEntry("events", None, "bob", None, '{"event": "call", "properties": {"whom": "ada"}}', 1.0)]
    )
    assert not journal.forget("ada").anything
    assert states(path) == {1: "pending", 2: "pending"}


def test_recording_after_forget_starts_anew(recorder, journal, path):
    recorder.people_set("ada", {"plan": "pro"})
    journal.forget("ada")
    recorder.people_set("ada", {"visits": 1})
    assert ship(journal).shipped == 1
    assert dict(Simulator.from_journal(path).profile("ada")) == {"visits": 1}
    whole(path)


def test_forget_takes_service_words(recorder, journal, path):
    """Words of the service about the profile go with it; words about others stay."""
    recorder.people_append("bob", {"n": "bob's own"})
    ship(journal, refused("bob's own"))
    recorder.people_append("ada", {"n": VALUE})
    forbidden = replace(FORBIDDEN, body=f"no {VALUE}".encode())
    assert ship(journal, forbidden, minutes=1).stopped_by == "paused"
    assert any(name == VALUE for _, name in places(path, VALUE))
    journal.forget("ada")
    assert places(path, VALUE) == set()
    assert "bob's own" in entries(path)[1].reason
    assert [words != "" for (words,) in rows(path, "SELECT words FROM attempts ORDER BY id")] == [True, False]
    whole(path)


def test_forget_takes_words_about_pruned(recorder, journal, path):
    """Words about pruned entries go, too: the latest attempt of a lane outlives its entries."""
    recorder.people_append("ada", {"n": VALUE})
    ship(journal, refused(VALUE))
    journal.discard("profile=ada")
    for _ in range(2):
        journal.append([NewEntry("events", None, "eve", None, '{"event": "e", "properties": {}}', 1.0)])
        ship(journal)
    journal.prune(all_shipped=True)
    assert states(path) == {3: "shipped"}
    assert rows(path, "SELECT count(*) FROM attempts WHERE words LIKE '%Straße%'") == [(1,)]
    assert not journal.forget("ada").anything
    assert places(path, VALUE) == set()
    whole(path)


def test_forget_ends_its_wait(recorder, journal, path):
    recorder.people_append("ada", {"n": 1})
    recorder.people_append("bob", {"n": 1})
    ship(journal, RESET, settle_after=30)
    journal.forget("ada")
    assert rows(path, "SELECT profile FROM waits") == [("bob",)]
    recorder.people_append("ada", {"n": 2})
    assert ship(journal, settle_after=30).shipped == 1
    whole(path)


# --- copies left by SQLite


def moved_about(path, seed=0):
    """Fill a journal whose rows grow: SQLite moves others to new pages, and leaves copies behind."""
    chance = random.Random(seed)
    whose = [chance.choice(("ada-the-first", "bob")) for _ in range(400)]

    def said(n, times):
        return {"v": f"of {whose[n]} " * times}

    with Journal(path, token="T", durability="process") as journal, Recorder("T", journal) as recorder:
        with recorder.batch() as batch:
            for n, profile in enumerate(whose):
                batch.people_set(profile, said(n, chance.choice((1, 2, 8, 30))))
        for n in chance.sample(range(400), 250):
            journal.edit(
                n + 1, {"$distinct_id": whose[n], "$set": said(n, chance.choice((1, 5, 20, 60, 200)))}
            )


def test_forget_erases_copies_by_sqlite(path):
    """Copies of rows that SQLite left when it moved them to other pages are erased."""
    moved_about(path)
    with Journal(path) as journal:
        journal.forget("ada-the-first")
        assert places(path, "ada-the-first") == set()  # before it is closed, and SQLite tidies up by itself
    whole(path)


@pytest.mark.usefixtures("_impatient")
def test_forget_names_blocking_reader(path):
    """A reader that keeps the log is named, and the next call finishes."""
    everywhere(path)
    with Journal(path) as journal:
        with (
            reading(path) as pid,
            pytest.raises(JournalBusy, match=f"process {pid}, which reads it") as caught,
        ):
            journal.forget(ID)
        assert "run it again" in caught.value.hint
        assert places(path, ID)
        with JournalReader(path) as reader:
            weighed = reader.weigh_forgetting(ID)
            assert (weighed.anything, weighed.remnants) == (False, True)
        assert journal.forget(ID) == replace(weighed, remnants=True)
        assert places(path, ID, VALUE) == set()
        with JournalReader(path) as reader:
            assert not reader.weigh_forgetting(ID).remnants
    whole(path)


def test_forget_needs_space_to_rewrite(path, monkeypatch):
    everywhere(path)
    with Journal(path) as journal:
        with journal._connection.reading() as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
        # In place of a full disk: a statement that needs more space than there is, like VACUUM on one.
        monkeypatch.setattr(
            "recorder.journal.forget._REWRITE",
            "INSERT INTO limits (name, value) VALUES ('x', zeroblob(9000000))",
        )
        with pytest.raises(JournalFull, match="no space") as caught:
            journal.forget(ID)
        assert "finishes" in caught.value.hint
    monkeypatch.undo()
    with Journal(path) as journal:
        assert journal.forget(ID).remnants
    assert places(path, ID, VALUE) == set()
    whole(path)


def test_forget_takes_several_transactions(path, monkeypatch):
    """Large values and many entries take several transactions, with progress."""
    monkeypatch.setattr("recorder.journal.forget._MOST_ENTRIES", 7)
    monkeypatch.setattr("recorder.journal.forget._MOST_BYTES", 50_000)
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        for n in range(30):
            recorder.people_set("ada", {"v": f"{VALUE} " * (5_000 if n % 9 == 0 else 5)})
            recorder.people_set("bob", {"n": n})
        ship(journal, limit=20)
        shown = []
        assert journal.forget("ada", progress=lambda *so_far: shown.append(so_far)).entries == 30
        assert shown[0] == (2, 30)
        assert shown[-1] == (30, 30)
        assert len(shown) > 5
    assert places(path, VALUE) == set()
    assert dict(Simulator.from_journal(path).profile("bob")) == {"n": 29}
    whole(path)


def test_killed_forget_leaves_oldest_entries(path, monkeypatch):
    """Forgetting killed between two steps leaves the beginning of the history."""
    monkeypatch.setattr("recorder.journal.forget._MOST_ENTRIES", 2)
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        for n in range(6):
            recorder.people_set("ada", {"n": n})

        def killed(done, _):
            if done == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            journal.forget("ada", progress=killed)
        assert states(path) == {n: "pending" if n <= 2 else "forgotten" for n in range(1, 7)}
        whole(path)
        with JournalReader(path) as reader:
            assert reader.weigh_forgetting("ada").remnants
        assert journal.forget("ada").entries == 2
    whole(path)


@costly(6)
@given(st.data())
def test_forget_works_on_any_journal(tmp_path_factory, data):
    """Forgetting leaves no byte of a profile in any drawn journal, and other profiles unchanged."""
    path = tmp_path_factory.mktemp("any") / "kiosk.db"
    id_ = data.draw(
        st.sampled_from(["ada-the-first", 'q"uo\\te-the-first', "名前-the-first", "<&>\t-the-first"])
    )
    sizes = st.sampled_from([1, 3, 12, 150, 900])
    whose = st.sampled_from([id_, "bob", "eve"])
    with Journal(path, token="T", durability="process") as journal, Recorder("T", journal) as recorder:
        for _ in range(data.draw(st.integers(1, 6))):
            for profile, times in data.draw(st.lists(st.tuples(whose, sizes), max_size=12)):
                verb = data.draw(st.sampled_from([recorder.people_set, recorder.people_append]))
                verb(profile, {"v": f"said by {profile} " * times})
            kinds = st.sampled_from([ACCEPTED, RESET, REFUSED, quoting(id_, f"said by {id_} "), FORBIDDEN])
            answers = data.draw(st.lists(kinds, max_size=8))
            policy = data.draw(st.sampled_from(["resend", "hold", "drop"]))
            ship(journal, *answers, batch_updates=data.draw(st.sampled_from([1, 3, 50])), in_doubt=policy)
            match data.draw(st.sampled_from(["prune", "discard", "retry", "nothing"])):
                case "prune":
                    journal.prune(all_shipped=True)
                case "discard":
                    journal.discard("state=rejected")
                case "retry":
                    journal.retry("state=in_doubt")
        before = views(path, but=(id_,))
        journal.forget(id_)
        assert places(path, id_, f"said by {id_}") == set()
        assert views(path, but=(id_,)) == before
        whole(path)
        ship(journal, minutes=60, in_doubt="resend")
        whole(path)


# --- with other processes and threads at work


def test_forget_waits_for_running_request(recorder, journal, path):
    for profile in ("ada", "bob", "ada"):
        recorder.people_increment(profile, {"n": 1})
    epoch = take_over(journal)
    sent = claim(journal, epoch, updates=2)
    with pytest.MonkeyPatch.context() as patch:  # a shipper holds this for as long as it lives
        patch.setattr("recorder.journal.forget.Forgetting._settle_abandoned", lambda _: None)
        with pytest.raises(JournalBusy, match="1 of its entries are being sent"):
            journal.forget("ada", timeout=0.0)
        assert states(path) == {1: "sending", 2: "sending", 3: "forgotten"}
        whole(path)
        answered = threading.Timer(
            0.2, lambda: journal.claims.settle(sent, Settlement(outcome=AttemptOutcome.SHIPPED, now=1.0))
        )
        answered.start()
        assert journal.forget("ada").entries == 1
    answered.join()
    assert states(path) == {1: "forgotten", 2: "shipped", 3: "forgotten"}
    whole(path)


def test_forget_ignores_dead_shippers_request(recorder, journal, path):
    for profile in ("ada", "bob"):
        recorder.people_increment(profile, {"n": 1})
    claim(journal, take_over(journal), updates=2)
    assert journal.forget("ada", timeout=0.0).entries == 1
    assert states(path) == {1: "forgotten", 2: "in_doubt"}
    whole(path)
    ship(journal, minutes=60, in_doubt="resend")
    assert entries(path)[2].possibly_twice
    whole(path)


def test_late_acceptance_settles_unforgotten_rest(recorder, journal, path):
    """A late acceptance settles the entries of its request that were not forgotten."""
    for profile in ("ada", "bob"):
        recorder.people_increment(profile, {"n": 1})
    journal.append([NewEntry("events", None, "ada", None, '{"event": "e", "properties": {}}', 1.0)])
    epoch = take_over(journal)
    sent = claim(journal, epoch, updates=2)
    take_over(journal, now=2.0)
    journal.forget("ada")
    journal.claims.settle(sent, Settlement(outcome=AttemptOutcome.SHIPPED, now=3.0, words=f"fine, {VALUE}"))
    assert states(path) == {1: "forgotten", 2: "shipped", 3: "forgotten"}
    whole(path)


def test_event_beside_forgotten_stays_harmless(journal, path):
    """An event that ties two identities is forgotten with either; another one can still be sent again."""
    tie = {"event": "$create_alias", "properties": {"distinct_id": "bob", "alias": "ada", "$insert_id": "1"}}
    own = {"event": "seen", "properties": {"distinct_id": "bob", "$insert_id": "2"}}
    journal.append([NewEntry("events", None, "bob", None, json.dumps(each), 1.0) for each in (tie, own)])
    ship(journal, RESET, settle_after=0)
    assert not entries(path)[2].hazardous
    journal.forget("ada")
    assert states(path) == {1: "forgotten", 2: "in_doubt"}
    assert not entries(path)[2].hazardous
    whole(path)


def test_concurrent_forgets_count_once(path):
    everywhere(path)
    with Journal(path) as one, Journal(path) as other:
        done = []
        threads = [
            threading.Thread(target=lambda journal=journal: done.append(journal.forget(ID)))
            for journal in (one, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sum(each.entries for each in done) == 10
    assert places(path, ID, VALUE) == set()
    whole(path)


def test_recording_continues_during_forget(path, monkeypatch):
    monkeypatch.setattr("recorder.journal.forget._MOST_ENTRIES", 20)
    with Journal(path, token="T") as journal, Recorder("T", path) as recorder:
        for n in range(60):
            recorder.people_set("ada", {"n": n})
        stop, recorded = threading.Event(), []

        def record():
            while not stop.is_set():
                recorder.people_set("ada", {"later": True})
                recorded.append(1)
                stop.wait(0.002)

        thread = threading.Thread(target=record)
        thread.start()
        eventually(lambda: recorded)
        journal.forget("ada")
        stop.set()
        thread.join(30)
        assert list(states(path).values()).count("forgotten") >= 60
        assert counts(path).recorded == 60 + len(recorded)
    whole(path)


def test_shipping_continues_during_forget(path):
    """A shipper at work sends the other profiles, and no more of the forgotten one."""
    with Journal(path, token="T", durability="process") as journal, Recorder("T", journal) as recorder:
        for n in range(200):
            recorder.people_append("ada" if n % 2 else "bob", {"n": n})
        begun = threading.Event()

        def slowly(*_):
            begun.set()
            time.sleep(0.002)
            return ACCEPTED

        transport = Scripted(*[slowly] * 200)
        with Journal(path) as other:
            shipper = Shipper(other, transport, ShippingPolicy(batch_updates=3))
            thread = threading.Thread(target=shipper.ship)
            thread.start()
            begun.wait(30)
            done = journal.forget("ada")
            thread.join(60)
        assert done.entries == 100
        assert set(states(path).values()) == {"forgotten", "shipped"}
        assert len(transport.sent) < 67  # of all of them
        assert Simulator.from_journal(path).profile("bob")["n"] == [*range(0, 200, 2)]
    assert places(path, '"ada"') == set()
    whole(path)


@pytest.mark.long
def test_forget_hundred_thousand_entries(path):
    with Journal(path, token="T", durability="process") as journal, Recorder("T", journal) as recorder:
        for start in range(0, 200_000, 20_000):
            with recorder.batch() as batch:
                for n in range(start, start + 20_000):
                    batch.people_set("ada-the-first" if n % 2 else "bob", {"n": n})
        ship(journal, limit=150_000, batch_updates=2_000)
        others = views(path, but=("ada-the-first",))
        done = journal.forget("ada-the-first")
        assert done.entries + done.folded == 100_000  # no more than 100,000 shipped ones stay
        assert views(path, but=("ada-the-first",)) == others
    assert places(path, "ada-the-first") == set()
    whole(path)


# --- pruning, decisions and salvage afterwards


def test_forgotten_entries_are_pruned(recorder, journal, path):
    """Forgotten entries are pruned like discarded ones."""
    for profile in ("ada", "bob", "ada", "bob"):
        recorder.people_increment(profile, {"n": 1})
    ship(journal)
    recorder.people_increment("bob", {"n": 1})
    journal.forget("ada")
    before = views(path, but=())
    assert journal.prune(dry_run=True, all_shipped=True).entries == 4
    assert journal.prune(all_shipped=True).entries == 4
    assert views(path, but=()) == before
    assert rows(path, "SELECT profile FROM baseline") == [("bob",)]
    assert (counts(path).forgotten, counts(path).pruned) == (2, 4)
    whole(path)


def test_forgotten_entry_disturbs_no_order(journal, path):
    """Retrying an entry that precedes a forgotten one is not out of order."""
    event = '{"event": "e", "properties": {}}'
    journal.append([NewEntry("events", None, None, None, event, 1.0)])
    journal.append([NewEntry("events", None, "ada", None, event, 1.0)])
    journal.discard("seq=1")
    ship(journal)
    journal.forget("ada")
    assert journal.retry("seq=1").out_of_order == 0
    ship(journal)
    whole(path)


def test_salvage_keeps_entries_forgotten(path):
    everywhere(path, pruned=False)
    with Journal(path) as journal:
        journal.forget(ID, delete_remote=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'entries_set_aside'"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE_SIZE)
        file.write(b"\xa5" * PAGE_SIZE)
    before = entries(path)
    salvage(path)
    after = entries(path)
    assert {seq for seq, one in after.items() if one.state is State.FORGOTTEN} == {
        seq for seq, one in before.items() if one.state is State.FORGOTTEN
    }
    with Journal(path) as journal:
        ship(journal, minutes=60, in_doubt="resend")
        assert states(path)[19] == "forgotten"
        done = journal.forget(ID)
        assert [file.split(".damaged")[0] for file in done.copies[:1]] == [str(path)]
    assert {name.split("-")[0] for name, _ in places(path, ID)} <= {"kiosk.db.damaged"}


@pytest.mark.parametrize("first", [0, 1])
def test_salvage_prefers_the_forgotten_copy(journal, first):
    """Salvage finds the copies of a row in any order, and the forgotten one counts."""
    row = [None, "people", None, "ada", "$set", '{"$set":{}}', 1.0, "shipped", 1, 9, None, 0, 0, 0, 0]
    gone = [None, "people", None, None, None, "{}", 1.0, "forgotten", 1, 1, None, 0, 0, 0, 0]
    several = [gone, row] if first else [row, gone]
    with journal._connection.reading() as connection:
        carry_over(connection, [as_table_row(1, values) for values in several])
        kept = connection.execute("SELECT state, message FROM entries").fetchall()
    assert kept == [("forgotten", "{}")]


def test_views_stay_consistent_during_forget(path):
    """Views made of several reads show the journal before or after, never between."""
    everywhere(path)
    forgets = [True]
    with Journal(path) as journal, JournalReader(path) as reader:

        def read():
            folded = [one.profile for one in reader.baseline()]
            if forgets:
                forgets.clear()
                journal.forget(ID)
            return folded, {message.get("$distinct_id") for message in reader.history()}

        folded, others = reader.unpruned(read)
    assert ID not in folded
    assert ID not in others


def test_nameless_forgotten_events_are_pruned(journal, path):
    """Forgotten events are no run with events in doubt that never named a profile."""
    event = '{"event": "e", "properties": {}}'
    journal.append([NewEntry("events", None, whose, None, event, 1.0) for whose in (None, "ada")])
    ship(journal, RESET)
    journal.forget("ada")
    for _ in range(2):
        journal.append([NewEntry("events", None, "bob", None, event, 1.0)])
        ship(journal)
    assert journal.prune(all_shipped=True, dry_run=True).entries == 2
    journal.prune(all_shipped=True)
    assert states(path) == {1: "in_doubt", 4: "shipped"}
    whole(path)


def test_late_acceptance_settles_nameless_events(recorder, journal, path):
    """Events without a profile are settled as one run, and forgotten ones are no part of it."""
    event = '{"event": "e", "properties": {}}'
    journal.append([NewEntry("events", None, whose, None, event, 1.0) for whose in (None, "ada", None)])
    size = ClaimSize(3, 10_000)
    epoch = take_over(journal)
    sent = journal.claims.claim(Lane.EVENTS, size, Shipping(epoch, 1.0, BOOTED, AT_ONCE))
    take_over(journal, now=2.0)
    journal.forget("ada")
    journal.claims.settle(sent, Settlement(outcome=AttemptOutcome.SHIPPED, now=3.0))
    assert states(path) == {1: "shipped", 2: "forgotten", 3: "shipped"}
    whole(path)
    recorder.people_set("bob", {"plan": "pro"})
    assert journal.prune(all_shipped=True).entries == 3
    whole(path)


def test_waiting_profile_blocks_pruning(recorder, journal, path):
    """Nothing is pruned from the entry on that a forgotten profile waits for."""
    recorder.people_append("ada", {"n": 1})
    ship(journal, RESET, settle_after=30)
    recorder.people_set("bob", {"plan": "pro"})
    ship(journal, settle_after=30)
    recorder.people_set("bob", {"plan": "free"})
    journal.forget("ada", delete_remote=True)
    journal.prune(all_shipped=True)
    assert 1 in states(path)
    whole(path)


# --- deletion at the service


def test_remote_deletion_is_shipped_then_forgotten(recorder, journal, path):
    """A deletion recorded with `delete_remote` is forgotten once it is shipped."""
    recorder.people_set("ada", {"plan": "pro"})
    ship(journal)
    done = journal.forget("ada", delete_remote=True)
    assert (done.entries, done.deletion) == (1, 2)
    assert entries(path)[2].message.keys() == {"$distinct_id", "$delete", "$time"}
    assert ship(journal, limit=1).shipped == 1
    assert states(path) == {1: "forgotten", 2: "forgotten"}
    assert entries(path)[2].message == {}
    assert (counts(path).forgotten, counts(path).shipped) == (2, 0)
    assert rows(path, "SELECT digest, words FROM attempts") == [("", ""), ("", "")]
    whole(path)
    with JournalReader(path) as reader:
        assert reader.weigh_forgetting("ada").remnants
    journal.forget("ada")
    assert places(path, '"ada"') == set()


def test_group_deletion_is_shipped_then_forgotten(recorder, journal, path):
    recorder.group_set("company", "acme", {"seats": 1})
    journal.forget("acme", group_key="company", delete_remote=True)
    assert entries(path)[2].message["$group_id"] == "acme"
    ship(journal)
    assert states(path) == {1: "forgotten", 2: "forgotten"}
    whole(path)


def test_unknown_profile_can_be_deleted(journal, path):
    """A profile that this journal does not know can be deleted at the service."""
    assert journal.forget("ada", delete_remote=True).deletion == 1
    ship(journal)
    assert states(path) == {1: "forgotten"}
    whole(path)


def test_unsent_deletion_is_reused(recorder, journal, path):
    """A deletion that is still to be sent serves the next call."""
    journal.forget("ada", delete_remote=True)
    recorder.people_set("ada", {"plan": "pro"})
    assert journal.forget("ada").deletion == 1
    assert journal.forget("ada", delete_remote=True).deletion == 1
    assert states(path) == {1: "pending", 2: "forgotten"}
    whole(path)


def test_discarded_deletion_is_forgotten(journal, path):
    journal.forget("ada", delete_remote=True)
    assert journal.discard("state=pending").entries == 1
    assert states(path) == {1: "forgotten"}
    whole(path)


def test_late_accepted_deletion_is_forgotten(journal, path):
    journal.forget("ada", delete_remote=True)
    sent = claim(journal, take_over(journal))
    take_over(journal, now=2.0)
    assert states(path) == {1: "in_doubt"}
    journal.claims.settle(sent, Settlement(outcome=AttemptOutcome.SHIPPED, now=3.0))
    assert states(path) == {1: "forgotten"}
    whole(path)


@pytest.mark.parametrize("policy", ["resend", "hold", "drop"])
def test_deletion_in_doubt_is_resent(journal, path, policy):
    """A deletion in doubt is sent again under every policy."""
    journal.forget("ada", delete_remote=True)
    ship(journal, RESET, in_doubt=policy)
    ship(journal, minutes=5, in_doubt=policy)
    assert states(path) == {1: "forgotten"}
    whole(path)


def test_dropped_deletion_is_forgotten(recorder, journal, path):
    """A deletion that was sent with other updates of its profile is hazardous."""
    journal.forget("ada", delete_remote=True)
    recorder.people_append("ada", {"n": 1})
    ship(journal, RESET, in_doubt="drop")
    ship(journal, minutes=5, in_doubt="drop")
    assert states(path) == {1: "forgotten", 2: "discarded"}
    whole(path)


def test_rejected_deletion_awaits_decision(journal, path):
    journal.forget("ada", delete_remote=True)
    ship(journal, refused("ada"))
    assert states(path) == {1: "rejected"}
    assert journal.forget("ada", delete_remote=True).deletion == 2
    assert states(path) == {1: "forgotten", 2: "pending"}
    whole(path)


def test_deletion_waits_for_late_copies(recorder, journal, path):
    """A deletion does not overtake a late copy of an entry in doubt."""
    recorder.people_append("ada", {"n": 1})
    ship(journal, RESET, settle_after=30)
    journal.forget("ada", delete_remote=True)
    whole(path)
    assert ship(journal, settle_after=30).requests == 0
    assert ship(journal, minutes=1, settle_after=30).shipped == 1
    assert states(path) == {1: "forgotten", 2: "forgotten"}
    assert rows(path, "SELECT * FROM waits") == []
    whole(path)
