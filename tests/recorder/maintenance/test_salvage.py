"""Damage of every kind: never a traceback, never wiped; what can be read is carried over, what cannot is counted."""

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from recorder import (
    Journal,
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalReader,
    Recorder,
    Shipper,
    ShippingPolicy,
    State,
    audit,
    diagnose,
    salvage,
    snapshot,
)
from recorder.journal.claims import ClaimSize, Shipping
from recorder.journal.locks import OpenLock, ShipLock, beside
from recorder.journal.opening import PAGE_SIZE
from recorder.journal.settle import Settlement
from recorder.journal.uptime import Due
from recorder.maintenance.salvage.scan import Remains
from recorder.model.entries import AttemptOutcome
from recorder.model.errors import JournalMissing, JournalTooNew, NotAJournal
from recorder.model.operations import Lane
from tests.doubles import AT_ONCE, BOOTED, RESET, Scripted, claim, take_over

UNSETTLED = {State.PENDING, State.SENDING, State.WAITING, State.IN_DOUBT}


def varied(path, number=300, long_every=40):
    """A journal with entries in every state, of users and groups, some of them longer than a page."""
    chance = random.Random(number)
    with Journal(path, token="T") as journal:
        with Recorder("T", journal, on_invalid="reject") as recorder:
            for n in range(number):
                with recorder.batch() as batch:
                    text = chance.randbytes(4_500 if n % long_every == 7 else n % 25).hex()
                    batch.people_append(f"p{n % 7}", {"n": n, "text": text})
                    if n % 5 == 0:
                        batch.group_set("company", f"g{n % 3}", {"n": n})
                if n % 50 == 49:
                    recorder.people_update({"$distinct_id": "ada", "$add": {"n": "no number"}})
        epoch = take_over(journal)
        good, open_ = AttemptOutcome.SHIPPED, AttemptOutcome.UNKNOWN
        for outcome, updates in (
            (good, 30),
            (good, 31),
            (open_, 3),
            (good, 1),
            (good, 2),
            (good, 4),
            (good, 8),
        ):
            claimed = claim(journal, epoch, updates, 100_000)
            settle = Due.after(BOOTED, 1_000.0)
            journal.claims.settle(claimed, Settlement(outcome=outcome, status=200, now=2.0, settle=settle))
        size = ClaimSize(10, 100_000)
        groups = journal.claims.claim(Lane.GROUPS, size, Shipping(epoch, 3.0, BOOTED, AT_ONCE))
        journal.claims.settle(groups, Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=3.0))
        claim(journal, epoch, 20, 100_000)  # and left open
        journal.discard("profile=p3 state=pending")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    path = tmp_path_factory.mktemp("pristine") / "kiosk.db"
    varied(path)
    return path


@pytest.fixture
def damaged(pristine, path):
    """A copy to damage; without a log, as its journal was closed."""
    shutil.copy(pristine, path)
    path.chmod(0o600)
    return path


def entries(path):
    with JournalReader(path) as reader:
        return {entry.seq: entry for entry in reader.entries(limit=100_000)}


def overwrite(path, page, content):
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_SIZE)
        file.write(content)


def whole(path):
    """A journal that is well: SQLite's own check, the accounts, and every rule of the audit."""
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()
    audited = audit(path)
    assert audited.agrees, audited.disagreements
    with JournalReader(path) as reader:
        assert reader.counts().adds_up
    return audited


def carried_over(before, after):
    """What is there after is what was there before: number, content, marks; settled states as they were."""
    for seq, entry in after.items():
        if entry.state is State.LOST:
            continue
        was = before[seq]
        assert (entry.message, entry.lane, entry.profile, entry.group_key, entry.recorded_at) == (
            *(was.message, was.lane, was.profile, was.group_key, was.recorded_at),
        )
        if was.state in UNSETTLED:
            assert (entry.state, entry.sends) == (State.IN_DOUBT, was.sends + 1), seq
        else:
            assert (entry.state, entry.reason, entry.attempt) == (was.state, was.reason, was.attempt) or (
                entry.state is State.SHIPPED
            )


def kept(path):
    return [file for file in path.parent.iterdir() if ".damaged-" in file.name]


# --- the whole of it


def test_unsent_entries_are_salvaged_in_doubt(damaged):
    before = entries(damaged)
    assert {entry.state for entry in before.values()} == set(State) - {State.FORGOTTEN, State.LOST}
    with closing(sqlite3.connect(damaged)) as connection, connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'entries_set_aside'"
        ).fetchone()
        identity = connection.execute("SELECT identity FROM project").fetchone()
    connection.close()
    overwrite(damaged, root, b"\xa5" * PAGE_SIZE)  # an index only: no row is gone
    content = damaged.read_bytes()
    salvaged = salvage(damaged)
    assert (salvaged.lost, salvaged.recorded, salvaged.token_known) == (0, len(before), True)
    after = entries(damaged)
    assert set(after) == set(before)
    carried_over(before, after)
    assert whole(damaged).entries == len(before)
    (aside,) = kept(damaged)
    assert str(aside) == salvaged.kept
    assert aside.read_bytes() == content
    with closing(sqlite3.connect(damaged)) as connection, connection:
        assert connection.execute("SELECT identity FROM project").fetchone() != identity
        assert connection.execute("SELECT DISTINCT cursor FROM lanes").fetchall() == [(len(before),)]
    connection.close()


def test_salvaged_entries_ship_and_are_counted(damaged):
    overwrite(damaged, 1, b"\0" * PAGE_SIZE)
    salvage(damaged)
    with Journal(damaged, token="T") as journal:
        Shipper(
            journal, Scripted(), AT_ONCE, uptime=lambda: BOOTED._replace(boot="later", seconds=1e6)
        ).ship()
        counts = journal.statistics(0.0)
    assert (counts.unsent, counts.adds_up) == (0, True)
    assert counts.possibly_twice > 100
    whole(damaged)
    with Recorder("T", damaged) as recorder:
        recorder.people_set("ada", {"a": 1})
        assert recorder.statistics().recorded == counts.recorded + 1


def test_healthy_journal_is_left_alone(damaged):
    content = damaged.read_bytes()
    assert salvage(damaged) is None
    assert damaged.read_bytes() == content
    assert not kept(damaged)


def test_dry_run_reports_and_moves_nothing(damaged):
    overwrite(damaged, 9, b"\xa5" * PAGE_SIZE)
    content, names = damaged.read_bytes(), {file.name for file in damaged.parent.iterdir()}
    would = salvage(damaged, dry_run=True)
    assert damaged.read_bytes() == content
    assert {file.name for file in damaged.parent.iterdir()} - names <= {"kiosk.db.open", "kiosk.db.lock"}
    did = salvage(damaged)
    assert (would.kept, did.kept is not None) == (None, True)
    assert (would.recorded, would.lost, would.states) == (did.recorded, did.lost, did.states)


def test_snapshot_becomes_a_journal_in_doubt(pristine, path):
    snapshot(pristine, path)
    before = entries(path)
    assert salvage(path).lost == 0
    carried_over(before, entries(path))
    Journal(path, token="T").close()
    whole(path)


def causes(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        found = dict(connection.execute("SELECT cause, count(*) FROM waits GROUP BY cause").fetchall())
    connection.close()
    return found


def root_of(path, table):
    with closing(sqlite3.connect(path)) as connection, connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    connection.close()
    return root


@pytest.mark.parametrize(("table", "cause"), [("counters", "settle_after"), ("shipper", "hold")])
def test_hazardous_entries_held_without_known_policy(damaged, table, cause):
    overwrite(damaged, root_of(damaged, table), b"\xa5" * PAGE_SIZE)
    salvage(damaged)
    found = causes(damaged)
    assert found[cause] >= 7  # each profile that something is appended to
    assert cause == "hold" or set(found) == {cause}
    whole(damaged)


def test_held_profile_stays_held(path):
    with Recorder("T", path) as recorder:
        for name in ("ada", "bob"):
            recorder.people_increment(name, {"n": 1})
    with Journal(path) as journal:
        policy = ShippingPolicy(in_doubt="hold", settle_after=0, batch_updates=1)
        Shipper(journal, Scripted(RESET), policy).ship()
        Shipper(journal, Scripted(), policy).ship()
    assert causes(path) == {"hold": 1}
    overwrite(path, root_of(path, "counters"), b"\xa5" * PAGE_SIZE)
    salvage(path)
    assert causes(path) == {"hold": 1}
    whole(path)


def test_number_far_above_is_damage(damaged):
    before = entries(damaged)
    with closing(sqlite3.connect(damaged)) as connection, connection:
        connection.execute("UPDATE entries SET seq = 300000 WHERE seq = 200")
    connection.close()
    salvaged = salvage(damaged)
    assert (salvaged.recorded, salvaged.lost) == (len(before), 1)
    whole(damaged)


@pytest.mark.parametrize(
    "damage",
    ["state = CAST(x'ff' AS TEXT)", "state = 'sent'", "lane = 'peeple'", "message = '{'", "message = '[]'"],
)
def test_senseless_values_are_lost(damaged, damage):
    with closing(sqlite3.connect(damaged)) as connection, connection:
        connection.execute(f"UPDATE entries SET {damage} WHERE seq = 3")
    connection.close()
    if damage != "message = '[]'":  # an object is what is asked for; a reader takes what is JSON
        with pytest.raises(JournalDamaged) as caught:
            look(damaged)
        assert "restante salvage" in caught.value.hint
    assert salvage(damaged).lost == 1
    whole(damaged)


# --- who is at it


def test_salvage_of_open_journal_is_refused(damaged):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, damaged], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "ready\n"
    with pytest.raises(JournalBusy, match="open"):
        salvage(damaged)
    other.communicate("")
    with ShipLock(damaged), pytest.raises(JournalBusy, match="shipping"):
        salvage(damaged)
    assert salvage(damaged) is None


HOLD = """
import sys
from recorder import Journal
with Journal(sys.argv[1]):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_journal_cannot_open_during_salvage(damaged):
    overwrite(damaged, 9, b"\xa5" * PAGE_SIZE)
    held = []

    def look_for_locks(done, pages):  # noqa: ARG001
        lock = OpenLock(damaged)
        with pytest.raises(JournalBusy), lock.alone(0):
            pass
        held.append(True)

    salvage(damaged, progress=look_for_locks)
    assert held


# --- what is none of ours, or newer


def test_salvage_of_other_file_is_refused(path):
    with pytest.raises(JournalMissing):
        salvage(path)
    assert list(path.parent.iterdir()) == []
    path.write_text("a shopping list\n" * 1_000, encoding="utf-8")
    with pytest.raises(NotAJournal):
        salvage(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, lane TEXT)")
        connection.execute("INSERT INTO entries VALUES (1, 'people')")
        connection.execute("CREATE TABLE friends (name TEXT, kind TEXT)")
        connection.execute(
            "CREATE INDEX by_name ON friends (name, kind)"
        )  # as an index of ours, by its shape
        connection.execute("INSERT INTO friends VALUES ('ada', 'people')")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(NotAJournal):
        salvage(path)
    assert path.read_bytes() == content


def test_salvage_needs_a_new_sqlite(damaged, monkeypatch):
    """Errors of an SQLite without the SQL in use look like damage, and nothing is moved for them."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(JournalError, match=r"3\.35"):
        salvage(damaged)
    assert kept(damaged) == []


def test_salvage_of_newer_journal_is_refused(damaged):
    with closing(sqlite3.connect(damaged)) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    overwrite(damaged, 9, b"\xa5" * PAGE_SIZE)
    content = damaged.read_bytes()
    with pytest.raises(JournalTooNew):
        salvage(damaged)
    assert damaged.read_bytes() == content


def look(path):
    """Whatever a command that looks asks for."""
    with JournalReader(path) as reader:
        reader.counts()
        reader.shipping()
        reader.entries(limit=100_000)
        reader.attempts()
        reader.attempts(80)
        list(reader.history())
        list(reader.shipped_entries())


def record(path):
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"a": 1})


def ship(path):
    with Journal(path) as journal:
        Shipper(journal, Scripted(), AT_ONCE).ship()


def refused_or_done(use, path):
    """Never a traceback: it works, or says what to do."""
    error = None
    try:
        use(path)
    except JournalError as refusal:
        error = refusal
    assert error is None or error.hint


def survives(path, before, expect):
    """Opened, looked at and salvaged: what `expect` says can be read is there, and the accounts add up."""
    for use in (look, audit, diagnose):
        refused_or_done(use, path)
    for use in (record, ship):
        copy = path.with_name(f"{use.__name__}.db")
        shutil.copy(path, copy)
        refused_or_done(use, copy)
    size = path.stat().st_size
    salvaged = salvage(path)
    if salvaged is None:  # a page that nothing needs
        assert whole(path).entries == len(before)
        return 0
    after = entries(path)
    carried_over(before, after)
    assert whole(path).entries == salvaged.recorded
    alive = {seq for seq, entry in after.items() if entry.state is not State.LOST}
    assert expect <= alive, sorted(expect - alive)[:5]
    assert salvaged.lost == len(after) - len(alive)
    assert any(file.stat().st_size == size for file in kept(path))
    return salvaged.lost


def places(path):
    """On which pages each entry is, found by its bytes: which page lost costs it."""
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute("SELECT seq, message FROM entries").fetchall()
    connection.close()
    found = {}
    for seq, message in rows:
        data = message.encode()
        parts = [data] if len(data) < 2_000 else [data[at : at + 48] for at in range(0, len(data) - 48, 16)]
        ats = [content.find(part) for part in parts]
        found[seq] = {1 + (at + end) // PAGE_SIZE for at in ats if at >= 0 for end in (0, 47)}
        assert found[seq]
    return found


GARBAGE = {
    "zeros": lambda chance: b"\0" * PAGE_SIZE,  # noqa: ARG005
    "ones": lambda chance: b"\xff" * PAGE_SIZE,  # noqa: ARG005
    "noise": lambda chance: chance.randbytes(PAGE_SIZE),
    "a leaf of noise": lambda chance: b"\x0d" + chance.randbytes(PAGE_SIZE - 1),
}


def sweep_pages(pristine, folder, kinds, seed, every=1):
    before, where, chance = entries(pristine), places(pristine), random.Random(seed)
    pages, lost = pristine.stat().st_size // PAGE_SIZE, 0
    for page in {*range(1, pages + 1, every), pages}:
        path = folder / f"{page}.db"
        shutil.copy(pristine, path)
        path.chmod(0o600)
        overwrite(path, page, GARBAGE[kinds[page % len(kinds)]](chance))
        expect = {seq for seq, pages_of_it in where.items() if page not in pages_of_it}
        lost += survives(path, before, expect)
        for file in folder.iterdir():
            file.unlink()
    return lost


def test_overwritten_page_costs_its_own_rows(pristine, tmp_path):
    lost = sweep_pages(pristine, tmp_path, list(GARBAGE), seed=1, every=40)
    assert lost >= len(entries(pristine)) // 80  # many rows were on some page that was overwritten


@pytest.mark.long
def test_each_overwritten_page_costs_its_rows(pristine, tmp_path):
    lost = sweep_pages(pristine, tmp_path, list(GARBAGE), seed=1)
    assert lost >= len(entries(pristine)) // 2  # most rows were on some page that was overwritten


@pytest.mark.parametrize("every", [40, pytest.param(1, marks=pytest.mark.long)])
def test_cut_file_costs_the_rest(pristine, tmp_path, every):
    before, where = entries(pristine), places(pristine)
    for pages in range(1, pristine.stat().st_size // PAGE_SIZE, every):
        path = tmp_path / f"{pages}.db"
        shutil.copy(pristine, path)
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.truncate(pages * PAGE_SIZE)
        survives(path, before, {seq for seq, on in where.items() if max(on) <= pages})


@pytest.mark.long
@pytest.mark.parametrize("kind", GARBAGE)
def test_larger_journal_page_by_page(tmp_path, kind):
    path = tmp_path / "pristine" / "kiosk.db"
    path.parent.mkdir()
    varied(path, 3_000)
    folder = tmp_path / "copies"
    folder.mkdir()
    assert sweep_pages(path, folder, [kind], seed=2, every=4)


# --- the log


@pytest.fixture(scope="module")
def pristine_logged(tmp_path_factory):
    """A journal as a killed process leaves it: 200 entries in the file, 600 more in the log."""
    original, killed = (tmp_path_factory.mktemp("logged") / name for name in ("original.db", "killed.db"))
    with Recorder("T", original) as recorder:
        for n in range(200):
            recorder.people_append("ada", {"n": n})
    with Recorder("T", original) as recorder:
        for n in range(200, 800):
            recorder.people_append("bob", {"n": n})
        for suffix in ("", "-wal"):
            shutil.copy(beside(original, suffix), beside(killed, suffix))
    return killed


@pytest.fixture
def logged(pristine_logged, path):
    """A copy of it to damage."""
    for suffix in ("", "-wal"):
        shutil.copy(beside(pristine_logged, suffix), beside(path, suffix))
        beside(path, suffix).chmod(0o600)
    return path


def numbers(path):
    """What was recorded, by number."""
    return {
        seq: entry.message["$append"]["n"] for seq, entry in entries(path).items() if entry.state != "lost"
    }


ALL = {n + 1: n for n in range(800)}


def test_first_page_is_read_from_log(logged):
    overwrite(logged, 1, b"\xa5" * PAGE_SIZE)
    with beside(logged, "-wal").open("ab") as file:
        file.write(b"a torn end")
    Journal(logged, token="T").close()
    assert numbers(logged) == ALL
    whole(logged)


@pytest.mark.parametrize("empty", [False, True])
def test_log_without_file_is_damage(logged, empty):
    """A new file beside an old log would be read through it, and be ruined."""
    logged.unlink()
    if empty:
        logged.touch()
    for use in (lambda path: Journal(path, token="T"), JournalReader, audit):
        with pytest.raises(JournalDamaged, match="its log exists") as caught:
            use(logged)
        assert "restante salvage" in caught.value.hint
    diagnose(logged)  # through SQLite it would: it deletes the log of an empty file
    log = beside(logged, "-wal").read_bytes()
    assert log
    salvaged = salvage(logged)
    found = numbers(logged)
    assert set(found) >= set(range(201, 801)) - {201}  # the page that both were on is in the log, too
    assert all(ALL[seq] == n for seq, n in found.items())
    assert salvaged.lost == 800 - len(found)
    whole(logged)
    assert any(file.read_bytes() == log for file in kept(logged) if file.name.endswith("-wal"))


def test_damaged_frame_costs_its_page(logged):
    """SQLite would end there, and forget all that was acknowledged after it."""
    log = beside(logged, "-wal")
    frames = (log.stat().st_size - 32) // (PAGE_SIZE + 24)
    with log.open("r+b") as file:
        file.seek(32 + (frames // 2) * (PAGE_SIZE + 24) + 500)
        file.write(b"\xa5" * 100)
    overwrite(logged, 3, b"\xa5" * PAGE_SIZE)  # or nothing would look damaged: see the next
    salvaged = salvage(logged)
    assert salvaged.recorded == 800
    found = numbers(logged)
    assert all(ALL[seq] == n for seq, n in found.items())
    assert len(found) >= 700
    whole(logged)


def test_missing_log_leaves_older_journal(logged):
    """It cannot be told from one in which nothing more was recorded: docs/journal-format.md says so."""
    beside(logged, "-wal").unlink()
    Journal(logged, token="T").close()
    assert whole(logged).entries == 200
    assert salvage(logged) is None


def test_frame_needs_a_right_checksum(logged):
    with Remains(logged) as remains:
        at = max(remains._frames.values())
    with beside(logged, "-wal").open("r+b") as file:
        file.seek(at + 700)
        byte = file.read(1)
        file.seek(at + 700)
        file.write(bytes([byte[0] ^ 1]))
    with Remains(logged) as remains:
        assert remains._frames
        assert at not in remains._frames.values()


def test_uncommitted_frames_are_left_out(logged):
    log = beside(logged, "-wal")
    data = log.read_bytes()
    frames = range(32, len(data) - 32, PAGE_SIZE + 24)
    unfinished = [at for at in frames if data[at + 4 : at + 8] == bytes(4)]
    log.write_bytes(data[: unfinished[-1] + PAGE_SIZE + 24])
    with Remains(logged) as remains:
        assert remains._frames
        assert max(remains._frames.values()) < unfinished[-1]


@pytest.mark.long
def test_each_log_page_overwritten(logged, tmp_path):
    log = beside(logged, "-wal")
    frames = (log.stat().st_size - 32) // (PAGE_SIZE + 24)
    chance = random.Random(3)
    for frame in range(0, frames, 7):
        path = tmp_path / "copies" / "kiosk.db"
        path.parent.mkdir()
        shutil.copy(logged, path)
        shutil.copy(log, beside(path, "-wal"))
        overwrite(path, 3, b"\xa5" * PAGE_SIZE)
        with beside(path, "-wal").open("r+b") as file:
            file.seek(32 + frame * (PAGE_SIZE + 24) + chance.randrange(24, PAGE_SIZE))
            file.write(b"\xa5")
        salvage(path)
        assert all(ALL[seq] == n for seq, n in numbers(path).items())
        whole(path)
        shutil.rmtree(path.parent)


# --- killed in the middle: see tests/crash/test_salvage.py for each step


def test_interrupted_salvage_continues(damaged):
    before = entries(damaged)
    overwrite(damaged, 1, b"\xa5" * PAGE_SIZE)
    content = damaged.read_bytes()
    aside = damaged.with_name("kiosk.db.damaged-then")
    beside(damaged, ".salvaging").write_text(json.dumps({"aside": aside.name}), encoding="utf-8")
    damaged.rename(aside)  # killed here
    for use in (lambda path: Journal(path, token="T"), JournalReader, audit):
        with pytest.raises(JournalDamaged, match="interrupted") as caught:
            use(damaged)
        assert "restante salvage" in caught.value.hint
    assert any(finding.name == "salvage" for finding in diagnose(damaged))
    salvaged = salvage(damaged)
    assert (salvaged.kept, aside.read_bytes()) == (str(aside), content)
    assert set(entries(damaged)) == set(before)
    whole(damaged)
    assert not beside(damaged, ".salvaging").exists()


@pytest.mark.parametrize("noted", ["", "{", '{"aside": 7}', '{"other": 1}', '{"aside": "../../elsewhere"}'])
def test_torn_note_means_nothing_moved(damaged, noted):
    overwrite(damaged, 1, b"\xa5" * PAGE_SIZE)
    beside(damaged, ".salvaging").write_text(noted, encoding="utf-8")
    assert salvage(damaged).kept
    whole(damaged)


def test_failed_write_moves_nothing(damaged):
    overwrite(damaged, 1, b"\xa5" * PAGE_SIZE)
    content = damaged.read_bytes()
    beside(damaged, ".salvaged").mkdir()  # where the new journal is made
    with pytest.raises(OSError, match="salvaged"):
        salvage(damaged)
    assert damaged.read_bytes() == content
    assert not kept(damaged)
    assert not beside(damaged, ".salvaging").exists()
