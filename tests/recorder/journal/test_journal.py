"""File of the journal: creation, appends that share commits, refusals, counts."""

import math
import os
import signal
import sqlite3
import stat
import statistics
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from recorder import (
    Journal,
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalFull,
    JournalReader,
    Recorder,
    State,
    WrongToken,
)
from recorder.journal import append, opening, schema
from recorder.journal.locks import OpenLock, beside
from recorder.journal.opening import PAGE_SIZE
from recorder.journal.settle import Settlement
from recorder.model.entries import AttemptOutcome, NewEntry
from recorder.model.errors import JournalClosed, JournalMissing, JournalTooNew, NotAJournal
from tests.doubles import claim, take_over
from tests.services import eventually


def row(profile="ada", number=0, lane="people", **more):
    message = f'{{"$time":1.0,"$distinct_id":"{profile}","$set":{{"n":{number}}}}}'
    return NewEntry(lane, None, profile, "$set", message, 1.0, **more)


def accounts(path):
    with JournalReader(path) as reader:
        return reader.counts()


# --- creation


def test_files_are_private_to_their_owner(path):
    old = os.umask(0)
    try:
        with Journal(path, token="T") as journal:
            journal.append([row()])
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
            modes.pop("kiosk.db.ballast", None)  # only on a small disk
    finally:
        os.umask(old)
    assert modes == dict.fromkeys(["kiosk.db", "kiosk.db-wal", "kiosk.db-shm", "kiosk.db.open"], 0o600)


def test_new_journal_has_its_pragmas(journal):
    """A new journal vacuums incrementally, names its application and writes ahead."""
    pragma = journal._connection._sqlite.execute
    assert pragma("PRAGMA auto_vacuum").fetchone() == (2,)  # incremental
    assert pragma("PRAGMA application_id").fetchone() == (0x72737474,)
    assert pragma("PRAGMA journal_mode").fetchone() == ("wal",)
    assert pragma("PRAGMA wal_autocheckpoint").fetchone() == (0,)
    assert pragma("PRAGMA secure_delete").fetchone() == (1,)


@pytest.mark.parametrize(("durability", "synchronous"), [("power", 2), ("process", 1)])
def test_durability_sets_synchronous(path, durability, synchronous):
    with Journal(path, durability=durability) as journal:
        assert journal._connection._sqlite.execute("PRAGMA synchronous").fetchone() == (synchronous,)


def test_claims_and_settlements_are_durable(path):
    """Claims and settlements wait for the disk under every durability."""
    statements = []
    with Journal(path, token="T", durability="process") as journal:
        journal.append([row()])
        journal._connection._sqlite.set_trace_callback(statements.append)
        epoch = take_over(journal, 1.0)
        claimed = claim(journal, epoch, 1, 100)
        journal.claims.settle(claimed, Settlement(outcome=AttemptOutcome.SHIPPED, status=200, now=2.0))
    level, seen = "NORMAL", {}
    for statement in statements:
        if statement.startswith("PRAGMA synchronous"):
            level = statement.split()[-1]
        for verb in ("INSERT INTO attempts", "UPDATE attempts", "UPDATE entries"):
            if verb in statement:
                seen[verb] = level
    assert seen == dict.fromkeys(["INSERT INTO attempts", "UPDATE attempts", "UPDATE entries"], "FULL")
    assert level == "NORMAL"


def test_creation_is_atomic(path, monkeypatch):
    """A kill during creation leaves nothing at the journal's path."""
    real, seen = schema.create_schema, []

    def making(connection):
        seen.append(path.exists())
        real(connection)

    monkeypatch.setattr(opening, "create_schema", making)
    Journal(path, token="T").close()
    made = {file.name for file in path.parent.iterdir()}
    assert made - {"kiosk.db.ballast"} == {"kiosk.db", "kiosk.db.open"}
    assert sorted(file.name for file in path.parent.iterdir()) == ["kiosk.db", "kiosk.db.open"]


def test_creation_excludes_other_processes(path):
    """One process creates the journal while the others wait."""
    opened = []
    thread = threading.Thread(target=lambda: opened.append(Journal(path, token="T")))
    with OpenLock(path).alone(1):
        thread.start()
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            assert not path.exists()
            assert not opened
            time.sleep(0.01)
    thread.join(10)
    opened[0].close()


def test_empty_file_becomes_a_journal(path):
    path.touch()
    with Journal(path, token="T") as journal:
        assert journal.append([row()]) == 1


def test_path_may_contain_uri_characters(tmp_path):
    path = tmp_path / "a b%20c?mode=ro#x.db"
    with Journal(path, token="T") as journal:
        journal.append([row()])
    assert path.exists()
    assert accounts(path).recorded == 1


FOREIGN = {
    "text": b"dear diary, today I learned to journal\n" * 40,
    "short": b"x",
    "zeros": b"\0" * 8192,
}


def foreign_database(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()


@pytest.mark.parametrize("opened", [Journal, JournalReader], ids=["writer", "reader"])
@pytest.mark.parametrize("kind", [*FOREIGN, "database", "folder"])
def test_foreign_file_is_refused_untouched(path, kind, opened):
    if kind == "database":
        foreign_database(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(FOREIGN[kind])
    before = path.stat().st_mtime_ns, None if kind == "folder" else path.read_bytes()
    with pytest.raises(NotAJournal) as caught:
        opened(path)
    assert caught.value.hint
    assert (path.stat().st_mtime_ns, None if kind == "folder" else path.read_bytes()) == before
    assert not beside(path, "-wal").exists()


@pytest.mark.parametrize("opened", [Journal, JournalReader], ids=["writer", "reader"])
def test_newer_journal_is_refused_untouched(path, opened):
    Journal(path, token="T").close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(JournalTooNew, match="schema 99"):
        opened(path)
    assert path.read_bytes() == before


def test_reader_creates_no_file(path):
    with pytest.raises(JournalMissing, match="no journal at"):
        JournalReader(path)
    assert not path.exists()


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(JournalError, match=r"the folder .*nowhere does not exist"):
        Journal(tmp_path / "nowhere" / "kiosk.db")


def test_damaged_journal_is_refused(path):
    with Journal(path, token="T") as journal:
        journal.append([row(number=n) for n in range(2_000)])
    content = bytearray(path.read_bytes())
    content[PAGE_SIZE : len(content) : 1] = b"\xff" * (len(content) - PAGE_SIZE)
    path.write_bytes(content)  # no connection of this process has it open
    with pytest.raises(JournalDamaged):
        Journal(path)


RECORD_LARGE = """
import sys
from recorder import Recorder
recorder = Recorder("T", sys.argv[1], durability="process")
while True:
    recorder.people_set("ada", {"pad": "x" * 2_000})
"""


def test_journal_opens_during_checkpoint(path):
    """In the middle of a checkpoint the file alone looks damaged, and is whole with its log."""
    Journal(path, token="T").close()
    writer = subprocess.Popen([sys.executable, "-c", RECORD_LARGE, path])
    try:
        for _ in range(30):
            Journal(path).close()
            JournalReader(path).close()
    finally:
        writer.kill()
        writer.wait(30)
    with Journal(path) as journal:  # killed, perhaps in the middle of one
        assert journal.statistics(0.0).adds_up


def test_link_shares_locks_and_log(path, tmp_path):
    """A journal reached through a link has the same locks and the same log."""
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    with Journal(link, token="T") as through, Journal(path) as straight:
        assert through.path == straight.path == path
        through.append([row()])
        straight.append([row()])
        assert [file.name for file in link.parent.iterdir()] == ["link.db"]
    assert accounts(link).recorded == 2


@pytest.mark.parametrize("name", ["x" * 300, "nul\0byte"])
def test_impossible_path_is_a_journal_error(tmp_path, name):
    for opened in (Journal, JournalReader):
        with pytest.raises(JournalError):
            opened(tmp_path / name)


@pytest.mark.parametrize("first", [True, False])
def test_signal_handler_gets_no_deadlock(journal, monkeypatch, first):
    """A signal handler that records in the middle of its thread's own call gets an error."""
    if not first:
        journal.append([row(number=0)])
    connection, errors = journal._connection, []
    noted = connection.note_written

    def interrupted(size):
        for call in (lambda: journal.append([row(number=1)]), lambda: journal.statistics(0.0)):
            try:
                call()
            except JournalError as error:
                errors.append(error)
        noted(size)

    monkeypatch.setattr(connection, "note_written", interrupted)
    number = journal.append([row(number=0)])
    assert ["signal handler" in str(error) for error in errors] == [True, True]
    assert all(error.hint for error in errors)
    monkeypatch.undo()
    assert journal.append([row(number=2)]) == number + 1 == 2 + (not first)


def test_signal_handler_may_close(journal):
    """It does not wait for the call that it interrupted, which ends as it would have."""

    def interrupted(sql):
        if "INSERT INTO entries" in sql:
            journal.close()

    connection = journal._connection.use()
    connection.set_trace_callback(interrupted)
    assert journal.append([row(number=0)]) == 1
    with pytest.raises(JournalClosed):
        journal.append([row(number=1)])
    connection.close()


# --- the token


def test_first_token_is_kept(path):
    """The first token is kept, and another one is refused."""
    with Journal(path, token="T") as journal:
        assert journal.token == "T"
    with Journal(path) as journal:
        assert journal.token == "T"
        with pytest.raises(WrongToken):
            journal.bind("U")
    with pytest.raises(WrongToken):
        Journal(path, token="U")


@pytest.mark.parametrize("token", ["", None, 5, b"T", "\ud800"])
def test_token_is_a_nonempty_string(path, token):
    with Journal(path) as journal, pytest.raises(WrongToken):
        journal.bind(token)


# --- appending


def test_numbers_are_ordered_without_gaps(journal, path):
    assert [journal.append([row(number=n)]) for n in range(3)] == [1, 2, 3]
    assert journal.append([row(number=n) for n in range(5)]) == 8
    with JournalReader(path) as reader:
        assert [(entry.seq, entry.message["$set"]["n"]) for entry in reader.entries()] == [
            (8, 4), (7, 3), (6, 2), (5, 1), (4, 0), (3, 2), (2, 1), (1, 0),
        ]  # fmt: skip


def test_rejected_row_is_counted(journal, path):
    journal.append([row(), row(state=State.REJECTED.value, reason="odd")])
    counted = accounts(path)
    assert (counted.recorded, counted.pending, counted.rejected, counted.adds_up) == (2, 1, 1, True)


def test_closed_journal_refuses_every_call(path):
    journal = Journal(path, token="T")
    journal.close()
    journal.close()
    with pytest.raises(JournalClosed):
        journal.append([row()])
    with pytest.raises(JournalClosed):
        journal.statistics(1.0)


def in_threads(number, work, timeout=None):
    threads = [threading.Thread(target=work, args=(place,), daemon=True) for place in range(number)]
    for thread in threads:
        thread.start()
    deadline = None if timeout is None else time.monotonic() + timeout
    for thread in threads:
        thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads)


def queued_together(journal, number, work):
    """Run threads whose calls are all queued before the first of them may commit."""
    with journal._connection.lock:
        threads = [threading.Thread(target=work, args=(place,)) for place in range(number)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10
        while len(journal._commits.queue) < number and time.monotonic() < deadline:
            time.sleep(0.001)
    for thread in threads:
        thread.join()


def test_waiting_threads_share_one_commit(journal, path):
    """One thread commits all that is queued: 20 calls end in 2 commits at most."""
    commits = []
    journal._connection._sqlite.set_trace_callback(
        lambda sql: commits.append(sql) if sql == "COMMIT" else None
    )
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    numbers = []
    workers = [
        threading.Thread(target=lambda n=n: numbers.append(journal.append([row(number=n)])))
        for n in range(20)
    ]
    workers[0].start()
    deadline = time.monotonic() + 10
    while (
        not journal._connection.lock.locked() and time.monotonic() < deadline
    ):  # the first has taken the queue, and waits for the lock
        time.sleep(0.001)
    for worker in workers[1:]:
        worker.start()
    while len(journal._commits.queue) < 19 and time.monotonic() < deadline:
        time.sleep(0.001)
    other.execute("COMMIT")
    other.close()
    for worker in workers:
        worker.join()
    assert sorted(numbers) == list(range(1, 21))
    assert len(commits) == 2


def test_failing_call_fails_no_other(journal, path):
    """A row that SQLite refuses stands for any failure of one caller."""
    bad = NewEntry("people", None, "bob", "$set", "{}", None)
    outcomes = {}

    def work(place):
        try:
            outcomes[place] = journal.append([row(number=place)] if place % 2 else [row(), bad])
        except JournalError as error:
            outcomes[place] = error

    queued_together(journal, 10, work)
    assert all(isinstance(outcomes[place], JournalError) == (place % 2 == 0) for place in range(10))
    counted = accounts(path)
    assert (counted.recorded, counted.pending, counted.adds_up) == (5, 5, True)


class Slow:
    """Connection with slow commits, as on a slow disk, which are counted."""

    def __init__(self, connection):
        self.connection = connection
        self.commits = 0

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def execute(self, sql, *parameters):
        if sql == "COMMIT" or ("INSERT INTO entries" in sql and not self.connection.in_transaction):
            self.commits += 1
            time.sleep(0.02)
        return self.connection.execute(sql, *parameters)


def test_slow_commits_wait_for_company(journal, monkeypatch):
    """After two calls shared a slow commit, the next one waits for two, and does not carry one call only."""
    monkeypatch.setattr(append, "_SHARE", 1e-4)  # for minutes, should a busy machine's thread come late
    slow = journal._connection._sqlite = Slow(journal._connection._sqlite)
    queued_together(journal, 2, lambda place: journal.append([row(number=place)]))
    before = slow.commits
    waiting = threading.Thread(target=journal.append, args=([row(number=2)],))
    waiting.start()
    eventually(lambda: journal._commits._gathering or not waiting.is_alive())
    journal.append([row(number=3)])
    waiting.join()
    assert slow.commits - before == 1


def test_waiting_threads_are_woken(journal, path, monkeypatch):
    """Waiting threads do not depend on the time-out of their wait."""
    monkeypatch.setattr(append, "_WAKE_UP", 3_600)
    in_threads(4, lambda place: [journal.append([row(f"p{place}", n)]) for n in range(100)], timeout=30)
    assert accounts(path).recorded == 4 * 100


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_signal_handler_records_while_thread_waits(journal):
    """A signal handler may record while its thread waits to commit."""
    done = []

    def handler(*_):
        done.append(journal.append([row(number=2)]))

    before = signal.signal(signal.SIGALRM, handler)
    taken, free = threading.Event(), threading.Event()

    def hold():
        with journal._connection.lock:
            taken.set()
            free.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(10)
    threading.Timer(0.3, free.set).start()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        done.append(journal.append([row(number=1)]))
    finally:
        signal.signal(signal.SIGALRM, before)
        holder.join()
    assert sorted(done) == [1, 2]


def test_interrupted_commit_keeps_others_rows(journal, path):
    """Ctrl-C belongs to the thread it hits: rows of others are neither lost nor written twice."""
    real, raised = journal._commits._write, []

    def interrupted(connection, call):
        real(connection, call)
        if not raised:
            raised.append(True)
            raise KeyboardInterrupt

    journal._commits._write = interrupted
    results = {}

    def work(place):
        try:
            results[place] = journal.append([row(number=place)])
        except KeyboardInterrupt:
            results[place] = "interrupted"

    queued_together(journal, 5, work)
    assert list(results.values()).count("interrupted") == 1
    assert accounts(path).recorded == 4
    assert sorted(number for number in results.values() if number != "interrupted") == [1, 2, 3, 4]


class Interrupted:
    """Connection whose first commit is followed by Ctrl-C."""

    def __init__(self, connection):
        self.connection = connection
        self.commits = 0

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def execute(self, sql, *parameters):
        cursor = self.connection.execute(sql, *parameters)
        if sql == "COMMIT":
            self.commits += 1
            if self.commits == 1:
                raise KeyboardInterrupt
        return cursor


def test_interrupt_after_commit_writes_once(journal, path):
    journal._connection._sqlite = Interrupted(journal._connection._sqlite)
    results = {}

    def work(place):
        try:
            results[place] = journal.append([row(number=place)])
        except KeyboardInterrupt:
            results[place] = "interrupted"

    queued_together(journal, 3, work)
    assert list(results.values()).count("interrupted") == 1
    assert journal.append([row(number=3)]) == 4  # the three were one commit, and are there once
    assert accounts(path).recorded == 4
    assert not journal._commits.queue


class InterruptedInsert(Interrupted):
    """Connection that Ctrl-C hits right before or right after an insert."""

    def __init__(self, connection, *, after):
        super().__init__(connection)
        self.after = after

    def execute(self, sql, *parameters):
        if "INSERT INTO entries" not in sql:
            return self.connection.execute(sql, *parameters)
        if self.after:
            self.connection.execute(sql, *parameters)
        raise KeyboardInterrupt


@pytest.mark.parametrize("after", [False, True])
def test_interrupted_insert_is_atomic(journal, path, after):
    """A call interrupted at its insert is written once or not at all."""
    journal.append([row(number=0)])
    real = journal._connection._sqlite
    journal._connection._sqlite = InterruptedInsert(real, after=after)
    with pytest.raises(KeyboardInterrupt):
        journal.append([row(number=1)])
    journal._connection._sqlite = real
    assert not journal._commits.queue
    assert journal.append([row(number=2)]) == accounts(path).recorded == 2 + after


def test_interrupted_leader_keeps_nobody_waiting(journal):
    """Ctrl-C right after a thread became the leader, before it commits."""
    commits, rows = journal._commits, [row(), row()]
    real = commits._lead

    def interrupted():
        commits._lead = real
        raise KeyboardInterrupt

    commits._lead = interrupted
    with pytest.raises(KeyboardInterrupt):
        journal.append(rows)
    recorded = []
    other = threading.Thread(target=lambda: recorded.append(journal.append(rows)), daemon=True)
    other.start()
    other.join(20)
    assert recorded == [2]


def test_threads_record_in_their_own_order(journal, path):
    in_threads(8, lambda place: [journal.append([row(f"p{place}", n)]) for n in range(50)])
    with JournalReader(path) as reader:
        seen = {}
        for entry in reversed(reader.entries(limit=1_000)):
            seen.setdefault(entry.profile, []).append(entry.message["$set"]["n"])
    assert seen == {f"p{place}": list(range(50)) for place in range(8)}


FILL = """
import sys
from recorder import Recorder
with Recorder("T", sys.argv[1]) as recorder:
    for n in range(int(sys.argv[3])):
        recorder.people_append(f"p{sys.argv[2]}", {"n": n})
"""


def test_processes_fill_one_fresh_journal(path):
    """Four processes create and fill one journal at the same time."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", FILL, path, str(place), "40"], stderr=subprocess.PIPE, text=True
        )
        for place in range(4)
    ]
    errors = [child.communicate(timeout=120)[1] for child in children]
    assert errors == [""] * 4
    assert [child.returncode for child in children] == [0] * 4
    with JournalReader(path) as reader:
        entries = reader.entries(limit=1_000)
        assert reader.counts().adds_up
    assert [entry.seq for entry in reversed(entries)] == list(range(1, 161))
    for place in range(4):
        theirs = [
            entry.message["$append"]["n"] for entry in reversed(entries) if entry.profile == f"p{place}"
        ]
        assert theirs == list(range(40))


OPEN_AND_CLOSE = """
import sys
from recorder import Journal, JournalReader
for _ in range(30):
    JournalReader(sys.argv[1]).close()
    Journal(sys.argv[1]).close()
print("done")
"""


def test_opening_and_closing_loses_nothing(path):
    """A closed descriptor cancels SQLite's locks in its process: only SQLite may open the file."""
    with Journal(path, token="T") as journal, JournalReader(path) as reader:
        other = subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_CLOSE, path], stdout=subprocess.PIPE, text=True
        )
        written = 0
        while other.poll() is None:
            written = journal.append([row(number=written)])
            if written % 20 == 0:
                reader.counts()
                JournalReader(path).close()  # in this very process, too
                with Journal(path) as second:
                    written = second.append([row(number=written)])
        assert other.communicate()[0] == "done\n"
        assert other.returncode == 0
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
        assert reader.counts().recorded == written
        assert reader.counts().adds_up


def test_busy_journal_writes_nothing(path):
    """A journal busy for longer than the time-out is an error, and nothing is written."""
    with Journal(path, token="T", busy_timeout=0.05) as journal:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalBusy):
            journal.append([row()])
        other.execute("ROLLBACK")
        other.close()
        assert journal.append([row()]) == 1


def test_waits_for_a_writer_grow(journal, path, monkeypatch):
    """A call asks at random moments, some thousand times a second; later less often, to spare the CPU."""
    journal.append([row()])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if sum(pauses) > 3:
            other.execute("ROLLBACK")

    monkeypatch.setattr(time, "sleep", sleep)
    assert journal.append([row()]) == 2
    other.close()
    assert max(pauses[:100]) < 0.0012
    assert 0.002 < statistics.mean(pauses[-100:]) < 0.004
    assert max(pauses) < 0.006
    assert len(set(pauses[:100])) > 50


def test_busy_timeout_can_be_set(path):
    """Recording, batches, opening and the shipper's part wait as long as the app said, also after a checkpoint."""
    Journal(path, token="T").close()
    with Recorder("T", path, busy_timeout=0.05) as recorder:
        recorder.people_set("ada", {"a": 1})
        connection = recorder.journal._connection
        for _ in range(2):
            with connection.reading() as beneath:
                assert beneath.execute("PRAGMA busy_timeout").fetchone() == (50,)
                connection.empty_log()  # which waits for nobody
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for call in (
            lambda: recorder.people_set("ada", {"a": 2}),
            lambda: recorder.journal.change_token("T2"),
            lambda: recorder.journal.retry(""),
            lambda: take_over(recorder.journal),
        ):
            with pytest.raises(JournalBusy, match="kept it locked") as caught:
                call()
            assert "busy_timeout" in caught.value.hint
        other.execute("ROLLBACK")
        other.close()
        assert recorder.statistics().recorded == 1
    lock = OpenLock(path)
    with lock.alone(0), pytest.raises(JournalBusy, match="has the journal for itself"):
        Journal(path, busy_timeout=0.05)


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan, 1e6])
def test_odd_busy_timeout_is_refused(path, seconds):
    with pytest.raises(ValueError, match="busy_timeout"):
        Journal(path, busy_timeout=seconds)
    assert not path.exists()


def test_recording_resumes_after_full_file(journal):
    connection = journal._connection._sqlite
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    numbers = []
    with pytest.raises(JournalFull) as caught:
        for n in range(1_000):
            numbers.append(journal.append([row(number=n, profile="x" * 200)]))
    assert caught.value.hint
    connection.execute("PRAGMA max_page_count = 1000000")
    assert journal.append([row()]) == numbers[-1] + 1


# --- the write-ahead log


def test_grown_log_is_checkpointed(journal, path):
    rows = [row(number=n, profile="x" * 200) for n in range(2_000)]
    sizes = []
    for _ in range(15):
        journal.append(rows)
        sizes.append(beside(path, "-wal").stat().st_size)
    assert max(sizes) < 6_000_000
    assert path.stat().st_size > 5_000_000  # the recorded rows went there


def test_reader_delays_no_recording(journal, path):
    """Recording does not wait for a reader that keeps the log."""
    rows = [row(number=n, profile="x" * 200) for n in range(2_000)]
    journal.append(rows)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN")
    holder.execute("SELECT count(*) FROM entries").fetchone()
    begun = time.monotonic()
    for _ in range(15):
        journal.append(rows)
    assert time.monotonic() - begun < 20  # the busy time-out is 60 s
    assert beside(path, "-wal").stat().st_size > 6_000_000
    holder.execute("COMMIT")
    holder.close()
    for _ in range(15):
        journal.append(rows)
    assert beside(path, "-wal").stat().st_size < 6_000_000
