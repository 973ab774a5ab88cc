"""Salvage of a journal from which entries were pruned: what is left of them stays, and none is taken for lost."""

import json
import math
import random
import shutil
import sqlite3
from contextlib import closing
from typing import NamedTuple

import pytest

from recorder import (
    Journal,
    JournalConsumer,
    JournalReader,
    Recorder,
    Shipper,
    ShippingPolicy,
    State,
    audit,
    salvage,
    snapshot,
)
from recorder.journal import project
from recorder.journal.baseline import cut_now
from recorder.journal.decisions import Verb
from recorder.journal.locks import beside
from recorder.journal.opening import PAGE_SIZE
from recorder.journal.prune import Walk
from recorder.maintenance.salvage.scan import Remains
from simulator import Simulator
from tests.doubles import AT_ONCE, BOOTED, REFUSED, Scripted, claim, take_over

HELD = ShippingPolicy(in_doubt="hold", settle_after=600)
EVENT = '{"event": "e", "properties": {"token": "T", "distinct_id": "ada"}}'
FORGET = """
UPDATE entries SET state = 'forgotten', profile = NULL, group_key = NULL, operator = NULL, message = '{}' WHERE seq = ?
"""


def one(path, sql, *parameters):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql, parameters).fetchone()


def pruned_journal(path, several):
    """Most of it pruned, and of the rest a bit in every state; `several` sets how large it is."""
    chance = random.Random(several)
    limits = {"keep_shipped_days": math.inf, "keep_shipped_entries": several, "max_bytes": 50_000_000}
    with (
        Journal(path, token="T", durability="process", **limits) as journal,
        Recorder("T", journal, on_invalid="reject") as recorder,
        JournalConsumer(journal) as consumer,
    ):
        recorder.people_append("eve", {"n": "bad"})
        Shipper(journal, Scripted(REFUSED), HELD).ship()
        recorder.people_append("dan", {"n": 1})
        claim(journal, take_over(journal, policy=HELD))
        take_over(journal, policy=HELD)
        with recorder.batch() as batch:
            for n in range(several * 5):
                text = chance.randbytes(chance.choice([10, 60, 2_200 if n % 30 == 7 else 20])).hex()
                batch.people_append(f"visitor-{n % (several // 4)}", {"n": n})
                batch.people_set(f"visitor-{n % (several // 4)}", {"text": text})
                if n % 9 == 0:
                    batch.group_union("company", f"acme-{n % 7}", {"n": [n]})
                if n % 100 == 3:
                    batch.people_delete(f"visitor-{n % 5}")
        for _ in range(several // 4):
            consumer.send("events", EVENT)
        recorder.people_set("gus", {"n": 1})
        journal.discard("profile=gus")
        Shipper(
            journal, Scripted(), ShippingPolicy(in_doubt="hold", settle_after=600, batch_updates=40)
        ).ship()
        journal.prune()
        assert journal.statistics(0.0).pruned > several * 5
        for n in range(several // 5):
            recorder.people_append(f"visitor-{n}", {"late": n})
        recorder.people_update({"$distinct_id": "ada", "$add": {"n": "no number"}})
        forgotten = one(path, "SELECT min(seq) FROM entries WHERE state = 'shipped'")[0]
        with journal._connection.transaction() as connection:
            connection.execute(FORGET, (forgotten,))
            for change, account in ((1, "forgotten"), (-1, "shipped")):
                connection.execute(
                    "UPDATE counters SET entries = entries + ? WHERE account = ?", (change, account)
                )
        claim(journal, take_over(journal, policy=HELD), 10, 100_000)  # and left open


class Known(NamedTuple):
    """What is known of a journal before it is damaged."""

    entries: dict
    on_pages: dict
    baseline: dict
    baseline_on_pages: dict
    roots: dict
    counts: object
    pruned: dict
    keeping: object
    views: tuple


def entries(path):
    with JournalReader(path) as reader:
        return {entry.seq: entry for entry in reader.entries(limit=100_000)}


def baseline(path):
    with JournalReader(path) as reader:
        return {(each.group_key, each.profile): each for each in reader.baseline()}


def counts(path):
    with JournalReader(path) as reader:
        return reader.counts()


def views(path):
    """Each profile as shipped and as predicted, and whether it is known whole."""
    made = []
    for shipped_only in (True, False):
        simulator = Simulator.from_journal(path, shipped_only=shipped_only)
        for profiles in (simulator.profiles, simulator.groups):
            made.append({owner: (dict(profile), profile.partly_known) for owner, profile in profiles.items()})
    return tuple(made)


def pruned_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT account, pruned FROM counters WHERE pruned").fetchall())


def on_pages(content, text, number=None):
    """The pages that a row's text is on."""
    data = text.encode()
    parts = [data] if len(data) < 2_000 else [data[at : at + 48] for at in range(0, len(data) - 48, 16)]
    found = {
        1 + (at + end) // PAGE_SIZE for part in parts if (at := content.find(part)) >= 0 for end in (0, 47)
    }
    assert found, number
    return found


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    path = tmp_path_factory.mktemp("pristine") / "kiosk.db"
    pruned_journal(path, 120)
    return path


@pytest.fixture(scope="module")
def known(pristine):
    return knowing(pristine)


def knowing(path):
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT seq, message FROM entries WHERE state <> 'forgotten'").fetchall()
        folded = connection.execute("SELECT group_key, profile, properties FROM baseline").fetchall()
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE rootpage").fetchall())
        keeping = project.limits(connection)
    return Known(
        entries(path),
        {seq: on_pages(content, message, seq) for seq, message in rows},
        baseline(path),
        {(key, profile): on_pages(content, properties) for key, profile, properties in folded if properties},
        roots,
        counts(path),
        pruned_of(path),
        keeping,
        views(path),
    )


@pytest.fixture
def damaged(pristine, path):
    shutil.copy(pristine, path)
    path.chmod(0o600)
    return path


def overwrite(path, page, content=b"\xa5" * PAGE_SIZE):
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_SIZE)
        file.write(content)


def whole(path):
    """A journal that is well, in which the next number is a new one."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    audited = audit(path)
    assert audited.agrees, audited.disagreements
    before = counts(path)
    assert before.adds_up
    with Recorder("T", path) as recorder:
        recorder.people_set("new", {"a": 1})
    assert (max(entries(path)), counts(path).recorded) == (before.recorded + 1, before.recorded + 1)


def carried_over(was, entry):
    assert (entry.message, entry.lane, entry.profile, entry.group_key) == (
        *(was.message, was.lane, was.profile, was.group_key),
    )
    if was.state in {State.PENDING, State.SENDING, State.WAITING, State.IN_DOUBT}:
        assert (entry.state, entry.sends) == (State.IN_DOUBT, was.sends + 1)
    else:
        assert entry.state == was.state


def untouched_views(known, after, entries_gone, baselines_gone):
    """Profiles of which nothing was on what is gone are shown as they were."""
    touched = {
        (e.group_key, e.profile) for seq, e in known.entries.items() if seq in entries_gone
    } | baselines_gone
    for before, now in zip(known.views, after, strict=True):
        for owner, (properties, partly) in before.items():
            full = owner if isinstance(owner, tuple) else (None, owner)
            if full not in touched:
                assert now[owner][0] == properties, owner
                assert now[owner][1] >= partly, owner


def survives(path, known, gone_pages, *, exact=True):
    """Salvaged: what was on other pages is there, and what is gone is counted, not more and not less."""
    before = path.read_bytes()
    salvaged = salvage(path)
    if salvaged is None:
        assert entries(path).keys() == known.entries.keys()
        return None
    assert any(file.read_bytes() == before for file in path.parent.glob("*.damaged-*"))
    after = entries(path)
    gone = {seq for seq, pages in known.on_pages.items() if pages & gone_pages}
    lost_rows = {seq for seq, entry in after.items() if entry.state is State.LOST}
    alive = after.keys() - lost_rows
    assert known.on_pages.keys() - gone <= alive
    for seq in alive:
        carried_over(known.entries[seq], after[seq])
    gone = known.entries.keys() - alive
    folded_gone = {owner for owner, pages in known.baseline_on_pages.items() if pages & gone_pages}
    left = baseline(path)
    for owner in known.baseline.keys() - folded_gone:
        assert left[owner] == known.baseline[owner] or known.baseline[owner].properties is None
    order = [owner for owner in known.baseline if owner in left and owner not in folded_gone]
    assert [owner for owner in left if owner in set(order)] == order
    untouched_views(known, views(path), gone, folded_gone)
    for owner in folded_gone:
        assert salvaged.profiles_lost is None or salvaged.profiles_lost >= 1
        assert owner not in left or left[owner].partly_known
    assert salvaged.lost == counts(path).lost
    if exact:
        assert salvaged.recorded >= max(alive)
        assert (
            salvaged.recorded == known.counts.recorded or known.counts.recorded in gone
        )  # the newest, without a trace
        gone = {seq for seq in gone if seq <= salvaged.recorded}
        if known.roots["counters"] not in gone_pages:
            assert (salvaged.lost, salvaged.perhaps_pruned) == (len(gone), 0)
            assert lost_rows <= gone
            assert {**pruned_of(path), "lost": 0} == {**known.pruned, "lost": 0}
        else:
            assert salvaged.lost == len(gone) + salvaged.perhaps_pruned
    whole(path)
    return salvaged


GARBAGE = {
    "zeros": lambda chance: b"\0" * PAGE_SIZE,  # noqa: ARG005
    "ones": lambda chance: b"\xff" * PAGE_SIZE,  # noqa: ARG005
    "noise": lambda chance: chance.randbytes(PAGE_SIZE),
    "a leaf of noise": lambda chance: b"\x0d" + chance.randbytes(PAGE_SIZE - 1),
    "an index of noise": lambda chance: b"\x0a" + chance.randbytes(PAGE_SIZE - 1),
}


def sweep(pristine, known, folder, pages, kinds):
    chance, losses = random.Random(1), []
    for page in pages:
        path = folder / f"{page}.db"
        shutil.copy(pristine, path)
        path.chmod(0o600)
        overwrite(path, page, GARBAGE[kinds[page % len(kinds)]](chance))
        losses.append(survives(path, known, {page}))
        for file in folder.iterdir():
            file.unlink()
    return [each for each in losses if each is not None]


# --- sweeps


def pages_of(path):
    return range(1, path.stat().st_size // PAGE_SIZE + 1)


def test_some_overwritten_pages_keep_pruned_profiles(pristine, known, tmp_path):
    pages = [known.roots[name] for name in ("counters", "lanes", "attempts", "limits", "baseline", "shipper")]
    pages += [max(found) for found in list(known.baseline_on_pages.values())[::18]]
    pages += [max(found) for found in list(known.on_pages.values())[::90]]
    told = sweep(pristine, known, tmp_path, sorted({*pages}), list(GARBAGE))
    assert sum(each.lost for each in told) > 25
    assert sum(each.profiles_lost or 0 for each in told) > 5


@pytest.mark.long
@pytest.mark.parametrize("kind", GARBAGE)
def test_each_overwritten_page_keeps_pruned_profiles(pristine, known, tmp_path, kind):
    assert sweep(pristine, known, tmp_path, pages_of(pristine), [kind])


@pytest.mark.long
@pytest.mark.parametrize("kind", GARBAGE)
def test_larger_pruned_journal_page_by_page(tmp_path, kind):
    path = tmp_path / "pristine" / "kiosk.db"
    path.parent.mkdir()
    pruned_journal(path, 800)
    folder = tmp_path / "copies"
    folder.mkdir()
    sweep(path, knowing(path), folder, list(pages_of(path))[::3], [kind])


def cut_at(pristine, known, folder, pages):
    for page in pages:
        path = folder / f"{page}.db"
        shutil.copy(pristine, path)
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.truncate(page * PAGE_SIZE)
        survives(path, known, set(pages_of(pristine)[page:]), exact=False)
        for file in folder.iterdir():
            file.unlink()


def test_cut_at_some_pages_keeps_before(pristine, known, tmp_path):
    cut_at(pristine, known, tmp_path, pages_of(pristine)[:-1:9])


@pytest.mark.long
def test_cut_at_each_page_keeps_before(pristine, known, tmp_path):
    cut_at(pristine, known, tmp_path, pages_of(pristine)[:-1])


# --- what is left of pruned entries


def settled(before):
    """The accounts as they are once all that was to be sent is in doubt."""
    unsettled = before.pending + before.sending + before.waiting + before.in_doubt
    return (
        before.recorded,
        unsettled,
        before.shipped,
        before.rejected,
        before.discarded,
        before.forgotten,
        0,
    )


def accounts(path):
    found = counts(path)
    assert found.pending == found.sending == found.waiting == 0
    return (
        found.recorded,
        found.in_doubt,
        found.shipped,
        found.rejected,
        found.discarded,
        found.forgotten,
        found.lost,
    )


def test_damage_elsewhere_keeps_pruned_profiles(damaged, known):
    overwrite(damaged, known.roots["entries_set_aside"])
    salvaged = salvage(damaged)
    assert (salvaged.recorded, salvaged.lost, salvaged.perhaps_pruned) == (known.counts.recorded, 0, 0)
    assert (salvaged.pruned, salvaged.profiles_lost, salvaged.limits_lost) == (known.counts.pruned, 0, ())
    assert pruned_of(damaged) == known.pruned
    assert accounts(damaged) == settled(known.counts)
    assert list(baseline(damaged).items()) == list(known.baseline.items())
    assert views(damaged) == known.views
    with closing(sqlite3.connect(damaged)) as connection:
        assert project.limits(connection) == known.keeping
    whole(damaged)


def test_snapshot_keeps_pruned_profiles(pristine, known, path):
    snapshot(pristine, path)
    assert salvage(path).profiles_lost == 0
    assert accounts(path) == settled(known.counts)
    assert views(path) == known.views
    whole(path)


def test_salvaged_journal_can_be_salvaged_again(damaged, known):
    overwrite(damaged, max(next(iter(known.on_pages.values()))))
    first = salvage(damaged)
    with Journal(damaged, token="T", durability="process") as journal:
        before = views(damaged)[2:]
        Shipper(journal, Scripted(), AT_ONCE, uptime=much_later).ship()
        journal.prune(all_shipped=True)
        assert views(damaged)[2:] == before
    held = {account: number for account, number in pruned_of(damaged).items() if account != "lost"}
    overwrite(damaged, known.roots["waits"])
    overwrite(damaged, known.roots["attempts"])
    again = salvage(damaged)
    assert again is None or again.lost == first.lost
    assert {**pruned_of(damaged), "lost": 0} == {**held, "lost": 0}
    whole(damaged)


def much_later():
    return BOOTED._replace(boot="later", seconds=1e6)


def test_missing_counters_leave_lost_or_pruned(damaged, known):
    overwrite(damaged, known.roots["counters"])
    salvaged = salvage(damaged)
    folded = sum(each.entries for each in known.baseline.values())
    others = known.counts.pruned - folded
    assert others > 0
    assert (salvaged.lost, salvaged.perhaps_pruned, salvaged.profiles_lost) == (others, others, 0)
    assert pruned_of(damaged) == {"shipped": folded, "lost": others}
    assert views(damaged) == known.views
    whole(damaged)


def test_lost_profiles_are_named_by_index(damaged, known):
    page = max(next(iter(known.baseline_on_pages.values())))
    overwrite(damaged, page)
    gone = {owner for owner, pages in known.baseline_on_pages.items() if page in pages}
    salvaged = salvage(damaged)
    assert (salvaged.lost, salvaged.profiles_lost) == (0, len(gone))
    assert pruned_of(damaged) == known.pruned
    simulator = Simulator.from_journal(damaged)
    seen = [owner for key, owner in gone if key is None and owner in simulator.profiles]
    assert seen
    assert all(simulator.profile(owner).partly_known for owner in seen)
    assert not any(
        simulator.profile(owner).partly_known
        for key, owner in known.baseline.keys() - gone
        if key is None and owner in simulator.profiles
    )
    whole(damaged)


def test_lost_index_leaves_profiles_partly_known(damaged, known):
    page = max(next(iter(known.baseline_on_pages.values())))
    overwrite(damaged, page)
    overwrite(damaged, known.roots["baseline_of_profile"])
    salvaged = salvage(damaged)
    assert (salvaged.lost, salvaged.profiles_lost) == (0, None)
    left = {owner for owner, each in baseline(damaged).items() if each.entries}
    simulator = Simulator.from_journal(damaged)
    for owner, profile in simulator.profiles.items():
        assert profile.partly_known == ((None, owner) not in left), owner
    whole(damaged)


def test_lost_limits_are_named(damaged, known):
    overwrite(damaged, known.roots["limits"])
    assert salvage(damaged).limits_lost == ("keep_shipped_days", "keep_shipped_entries", "max_bytes")
    whole(damaged)


def test_retried_entry_is_out_of_order(path):
    with Journal(path, token="T") as journal, Recorder("T", journal) as recorder:
        recorder.people_append("ada", {"n": "bad"})
        Shipper(journal, Scripted(REFUSED), AT_ONCE).ship()
        for _ in range(2):
            recorder.people_append("ada", {"n": 1})
            Shipper(journal, Scripted(), AT_ONCE).ship()
        assert journal.prune(all_shipped=True).entries == 1
    overwrite(path, one(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'shipper'")[0])
    assert salvage(path).lost == 0
    with JournalReader(path) as reader:
        assert reader.weigh(Verb.RETRY, "state=rejected").out_of_order == 1
    whole(path)


def test_killed_salvage_reports_the_same_again(damaged, known):
    overwrite(damaged, max(next(iter(known.baseline_on_pages.values()))))
    overwrite(damaged, known.roots["limits"])
    first = salvage(damaged)
    aside = first.kept.rpartition("/")[2]
    beside(damaged, ".salvaging").write_text(json.dumps({"aside": aside}), encoding="utf-8")
    assert salvage(damaged) == first
    assert salvage(damaged) is None


# --- numbers


def test_next_number_is_new_without_entries(damaged, known):
    for page in set().union(*known.on_pages.values()):
        overwrite(damaged, page)
    salvaged = salvage(damaged)
    last = one(damaged, "SELECT max(cursor) FROM lanes")[0]
    assert salvaged.recorded >= last >= known.counts.pruned
    assert salvaged.lost == salvaged.recorded - known.counts.pruned
    whole(damaged)


def test_more_pruned_than_the_file_fits(path):
    with Journal(path, token="T", durability="process") as journal, Recorder("T", journal) as recorder:
        recorder.people_append("ada", {"n": 0})
        Shipper(journal, Scripted(), AT_ONCE).ship()
        with journal._connection.transaction() as connection:  # as though two million had been
            connection.execute("UPDATE entries SET seq = 2000001")
            connection.execute("UPDATE attempts SET first = 1999000, last = 2000001")
            connection.execute("UPDATE lanes SET cursor = 2000001")
            connection.execute(
                "UPDATE counters SET entries = 2000001, pruned = 2000000 WHERE account = 'shipped'"
            )
            connection.execute(
                "INSERT INTO baseline (lane, profile, properties, entries, sends, gone)"
                " VALUES ('people', 'ada', '{}', 2000000, 2000000, 2000000)"
            )
        for n in range(3):
            recorder.people_append("bob", {"n": n})
        assert audit(path).agrees
    for damage in ("waits", "shipper", "lanes", "counters", "attempts", "baseline"):
        overwrite(path, one(path, "SELECT rootpage FROM sqlite_schema WHERE name = ?", damage)[0])
        salvaged = salvage(path)
        assert (salvaged.recorded, damage) == (2_000_004, damage)
        assert salvaged.lost == 0, damage
        assert salvaged.states["shipped"] == 2_000_001
        assert audit(path).agrees


@pytest.mark.parametrize("alone", [True, False])
def test_far_number_alone_is_damage(damaged, known, alone):
    with closing(sqlite3.connect(damaged, isolation_level=None)) as connection:
        if alone:
            connection.execute("UPDATE entries SET seq = 20000 WHERE seq = (SELECT max(seq) FROM entries)")
        else:
            unsent = "SELECT seq FROM entries_with_state WHERE state IN ('pending', 'sending')"
            connection.execute(f"UPDATE entries SET seq = seq + 20000 WHERE seq IN ({unsent})")
    overwrite(damaged, known.roots["waits_of_profile"])
    salvaged = salvage(damaged)
    assert (salvaged.recorded < 10_000) == alone
    assert salvaged.states["in_doubt"] == settled(known.counts)[1]  # the newest was rejected
    assert audit(damaged).agrees


def test_log_alone_keeps_its_entries(tmp_path):
    """They are far above all that is known otherwise, and many agree."""
    original, path = tmp_path / "original.db", tmp_path / "kiosk.db"
    with Recorder("T", original) as recorder, recorder.batch() as batch:
        for n in range(20_000):
            batch.people_append("ada", {"n": n})
    with Recorder("T", original) as recorder:
        for n in range(30):
            recorder.people_append("bob", {"n": n})
        shutil.copy(beside(original, "-wal"), beside(path, "-wal"))
    salvaged = salvage(path)
    assert salvaged.recorded == 20_030
    found = [entry.message["$append"]["n"] for entry in entries(path).values() if entry.profile == "bob"]
    assert sorted(found) == list(range(30))
    assert audit(path).agrees


# --- forgotten entries


def test_forgotten_entries_stay_forgotten(damaged, known):
    with closing(sqlite3.connect(damaged, isolation_level=None)) as connection:
        (number,) = connection.execute("SELECT seq FROM entries WHERE state = 'forgotten'").fetchone()
    overwrite(damaged, known.roots["entries_set_aside"])
    assert salvage(damaged).lost == 0
    after = entries(damaged)[number]
    assert (after.state, after.profile, after.message) == (State.FORGOTTEN, None, {})
    whole(damaged)


# --- a log that is damaged in the middle of a pruning


@pytest.fixture(scope="module")
def pruned_in_log(tmp_path_factory):
    """What was recorded and shipped is in the file, and that it was pruned only in the log; and the views."""
    original = tmp_path_factory.mktemp("original") / "kiosk.db"
    with Journal(original, token="T", durability="process") as journal, Recorder("T", journal) as recorder:
        with recorder.batch() as batch:
            for n in range(1_500):
                batch.people_append(f"visitor-{n % 40}", {"n": n})
        Shipper(journal, Scripted(), AT_ONCE).ship()
        recorder.people_append("visitor-1", {"n": 5_000})
        before = views(original)
        with journal._connection.reading() as connection:
            journal._connection.empty_log()
            walk = Walk(cut_now(connection, project.limits(connection), 0.0, all_shipped=True))
        while not walk.over:
            with journal._connection.transaction() as connection:
                walk.step(connection)
        folder = tmp_path_factory.mktemp("pruned_in_log")
        for part in ("", "-wal"):
            shutil.copy(beside(original, part), beside(folder / "kiosk.db", part))
    return folder, before


def frames_damaged(pruned_in_log, tmp_path, step):
    """Each profile's list has nothing twice; where something is missing, it is lost or its profile partly known."""
    source, before = pruned_in_log
    size = (source / "kiosk.db-wal").stat().st_size
    for at in range(32, size - PAGE_SIZE - 24, step * (PAGE_SIZE + 24)):
        folder = tmp_path / str(at)
        shutil.copytree(source, folder)
        path = folder / "kiosk.db"
        with beside(path, "-wal").open("r+b") as file:
            file.seek(at + 24 + 900)
            file.write(b"\xa5" * 2_000)
        overwrite(path, one_root(source / "kiosk.db", "waits"))
        salvaged = salvage(path)
        after = views(path)
        for was, now in zip(before[2:], after[2:], strict=True):
            for owner, (properties, partly) in now.items():
                numbers = properties["n"]
                assert len(set(numbers)) == len(numbers), (at, owner)
                assert set(numbers) <= set(was[owner][0]["n"])
                if numbers != was[owner][0]["n"]:
                    assert partly or salvaged.lost, (at, owner)
        assert salvaged.recorded >= 1_501
        assert audit(path).agrees, (at, audit(path).disagreements)
        shutil.rmtree(folder)


def one_root(path, table):
    """The root of a table, read beside the log that is there, and nothing of it changed."""
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as connection:
        return connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]


def test_some_damaged_frames_restore_nothing_folded(pruned_in_log, tmp_path):
    frames_damaged(pruned_in_log, tmp_path, 31)


@pytest.mark.long
def test_each_damaged_frame_restores_nothing_folded(pruned_in_log, tmp_path):
    frames_damaged(pruned_in_log, tmp_path, 1)


@pytest.mark.parametrize(("place", "torn"), [(None, False), (0, True), (0.5, True), (1, False)])
def test_log_is_torn_before_sound_frames(pruned_in_log, tmp_path, place, torn):
    """What is damaged at its end was never committed, for all that can be known: what is before it belongs together."""
    path = tmp_path / "torn" / "kiosk.db"
    shutil.copytree(pruned_in_log[0], path.parent)
    log = beside(path, "-wal")
    frames = (log.stat().st_size - 32) // (PAGE_SIZE + 24)
    if place is not None:
        with log.open("r+b") as file:
            file.seek(32 + int(place * (frames - 1)) * (PAGE_SIZE + 24) + 24 + 900)
            file.write(b"\xa5" * 2_000)
    with Remains(path) as remains:
        assert remains.torn == torn
