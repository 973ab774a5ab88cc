"""The journal's file: creation, appends that share commits, refusals, accounts."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time

import pytest

from recorder import (
    Journal,
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalFull,
    JournalReader,
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


def row(profile="ada", number=0, lane="people", **more):
    message = f'{{"$time":1.0,"$distinct_id":"{profile}","$set":{{"n":{number}}}}}'
    return NewEntry(lane, None, profile, "$set", message, 1.0, **more)


def accounts(path):
    with JournalReader(path) as reader:
        return reader.counts()


# --- creation


def test_a_journal_and_its_side_files_are_readable_by_their_owner_only(path):
    old = os.umask(0)
    try:
        with Journal(path, token="T") as journal:
            journal.append([row()])
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert modes == dict.fromkeys(["kiosk.db", "kiosk.db-wal", "kiosk.db-shm", "kiosk.db.open"], 0o600)


def test_a_journal_shrinks_by_itself_says_who_made_it_and_writes_ahead(journal):
    pragma = journal._connection._sqlite.execute
    assert pragma("PRAGMA auto_vacuum").fetchone() == (2,)  # incremental
    assert pragma("PRAGMA application_id").fetchone() == (0x72737474,)
    assert pragma("PRAGMA journal_mode").fetchone() == ("wal",)
    assert pragma("PRAGMA wal_autocheckpoint").fetchone() == (0,)
    assert pragma("PRAGMA secure_delete").fetchone() == (1,)


@pytest.mark.parametrize(("durability", "synchronous"), [("power", 2), ("process", 1)])
def test_durability_says_what_a_commit_waits_for(path, durability, synchronous):
    with Journal(path, durability=durability) as journal:
        assert journal._connection._sqlite.execute("PRAGMA synchronous").fetchone() == (synchronous,)


def test_claims_and_settlements_wait_for_the_disk_whatever_the_durability(path):
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


def test_a_journal_is_put_in_place_whole(path, monkeypatch):
    """A kill while it is made leaves nothing where it is to be."""
    real, seen = schema.create_schema, []

    def making(connection):
        seen.append(path.exists())
        real(connection)

    monkeypatch.setattr(opening, "create_schema", making)
    Journal(path, token="T").close()
    assert seen == [False]
    assert sorted(file.name for file in path.parent.iterdir()) == ["kiosk.db", "kiosk.db.open"]


def test_one_process_makes_it_while_the_others_wait(path):
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


def test_an_empty_file_becomes_a_journal(path):
    path.touch()
    with Journal(path, token="T") as journal:
        assert journal.append([row()]) == 1


def test_a_path_with_spaces_percent_signs_and_question_marks_is_just_a_path(tmp_path):
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
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()


@pytest.mark.parametrize("opened", [Journal, JournalReader], ids=["writer", "reader"])
@pytest.mark.parametrize("kind", [*FOREIGN, "database", "folder"])
def test_a_foreign_file_is_refused_and_not_touched(path, kind, opened):
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
def test_a_newer_journal_is_refused_and_not_touched(path, opened):
    Journal(path, token="T").close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(JournalTooNew, match="schema 99"):
        opened(path)
    assert path.read_bytes() == before


def test_a_reader_never_makes_a_file(path):
    with pytest.raises(JournalMissing, match="no journal at"):
        JournalReader(path)
    assert not path.exists()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(JournalError, match=r"the folder .*nowhere does not exist"):
        Journal(tmp_path / "nowhere" / "kiosk.db")


def test_a_damaged_journal_is_refused_by_name(path):
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


def test_a_journal_opens_while_another_process_moves_its_log(path):
    """In the middle of a checkpoint the file alone looks damaged; only with its log it is whole."""
    Journal(path, token="T").close()
    writer = subprocess.Popen([sys.executable, "-c", RECORD_LARGE, path])
    try:
        deadline = time.monotonic() + 3
        opened = 0
        while time.monotonic() < deadline:
            Journal(path).close()
            JournalReader(path).close()
            opened += 1
        assert opened > 10
    finally:
        writer.kill()
        writer.wait(30)
    with Journal(path) as journal:  # killed, perhaps in the middle of one
        assert journal.statistics(0.0).adds_up


def test_a_journal_reached_through_a_link_has_the_same_locks_and_log(path, tmp_path):
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
def test_a_path_that_can_be_none_is_a_journal_error(tmp_path, name):
    for opened in (Journal, JournalReader):
        with pytest.raises(JournalError):
            opened(tmp_path / name)


def test_recording_into_a_file_that_was_taken_away_is_noticed(path):
    with Journal(path, token="T") as journal:
        journal.append([row()])
        for file in path.parent.glob("kiosk.db*"):
            file.unlink()
        with pytest.raises(JournalError, match="removed or moved"):
            for n in range(1_000):
                journal.append([row(number=n)])


@pytest.mark.parametrize("first", [True, False])
def test_a_signal_handler_that_records_gets_an_error_not_a_deadlock(journal, monkeypatch, first):
    """It runs in the middle of a call of the same thread, which cannot go on before it returns."""
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


# --- the token


def test_the_first_token_is_kept_and_another_refused(path):
    with Journal(path, token="T") as journal:
        assert journal.token == "T"
    with Journal(path) as journal:
        assert journal.token == "T"
        with pytest.raises(WrongToken):
            journal.bind("U")
    with pytest.raises(WrongToken):
        Journal(path, token="U")


@pytest.mark.parametrize("token", ["", None, 5, b"T", "\ud800"])
def test_a_token_is_a_non_empty_string(path, token):
    with Journal(path) as journal, pytest.raises(WrongToken):
        journal.bind(token)


# --- appending


def test_numbers_are_handed_out_in_order_and_without_gaps(journal, path):
    assert [journal.append([row(number=n)]) for n in range(3)] == [1, 2, 3]
    assert journal.append([row(number=n) for n in range(5)]) == 8
    with JournalReader(path) as reader:
        assert [(entry.seq, entry.message["$set"]["n"]) for entry in reader.entries()] == [
            (8, 4), (7, 3), (6, 2), (5, 1), (4, 0), (3, 2), (2, 1), (1, 0),
        ]  # fmt: skip


def test_a_rejected_row_is_counted_at_once(journal, path):
    journal.append([row(), row(state=State.REJECTED.value, reason="odd")])
    counted = accounts(path)
    assert (counted.recorded, counted.pending, counted.rejected, counted.adds_up) == (2, 1, 1, True)


def test_after_closing_every_call_says_so(path):
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
    """Threads whose calls all stand in the queue before the first of them may commit."""
    with journal._connection.lock:
        threads = [threading.Thread(target=work, args=(place,)) for place in range(number)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10
        while len(journal._commits.queue) < number and time.monotonic() < deadline:
            time.sleep(0.001)
    for thread in threads:
        thread.join()


def test_threads_that_wait_share_one_commit(journal, path):
    """One commits what all have queued: with the writer held up, 20 calls end in 2 commits at the most."""
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


def test_one_callers_failure_never_fails_another(journal, path):
    """A row that SQLite refuses stands in for whatever may go wrong with one caller's rows."""
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
    """A connection whose commits take their time, as on a slow disk, and are counted."""

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


def test_on_a_slow_disk_those_who_were_committed_together_are_waited_for(journal, path):
    """Else the first to come again would go alone, and half of all commits would carry one call."""
    journal.append([row(number=0)])
    slow = journal._connection._sqlite = Slow(journal._connection._sqlite)
    in_threads(8, lambda place: [journal.append([row(f"p{place}", n)]) for n in range(12)])
    assert accounts(path).recorded == 1 + 8 * 12
    assert slow.commits <= 18  # 13 where all come in time, 24 without a wait


def test_waiting_threads_are_woken(journal, path, monkeypatch):
    """None has to look by itself."""
    monkeypatch.setattr(append, "_WAKE_UP", 3_600)
    in_threads(4, lambda place: [journal.append([row(f"p{place}", n)]) for n in range(100)], timeout=30)
    assert accounts(path).recorded == 4 * 100


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_a_signal_handler_may_record_while_its_thread_waits_to_commit(journal):
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


def test_an_interrupt_while_committing_leaves_the_others_rows_to_the_next(journal, path):
    """Ctrl-C belongs to the thread it hits. What others queued is neither lost nor written twice."""
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
    """A connection whose first commit is followed by Ctrl-C."""

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


def test_an_interrupt_right_after_a_commit_writes_nothing_twice(journal, path):
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
    """A connection that Ctrl-C hits at an insert: right before it, or right after."""

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
def test_a_call_that_is_interrupted_at_its_insert_is_there_once_or_not_at_all(journal, path, after):
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


def test_many_threads_record_each_in_its_own_order(journal, path):
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


def test_eight_processes_create_and_fill_one_fresh_journal_at_once(path):
    children = [
        subprocess.Popen(
            [sys.executable, "-c", FILL, path, str(place), "40"], stderr=subprocess.PIPE, text=True
        )
        for place in range(8)
    ]
    errors = [child.communicate(timeout=120)[1] for child in children]
    assert errors == [""] * 8
    assert [child.returncode for child in children] == [0] * 8
    with JournalReader(path) as reader:
        entries = reader.entries(limit=1_000)
        assert reader.counts().adds_up
    assert [entry.seq for entry in reversed(entries)] == list(range(1, 321))
    for place in range(8):
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


def test_nothing_is_lost_while_others_open_and_close(path):
    """A closed descriptor cancels SQLite's locks in its process: so nothing here opens the file but SQLite."""
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


def test_busy_longer_than_we_wait_is_said_and_nothing_is_written(journal, path):
    journal._connection._sqlite.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalBusy):
        journal.append([row()])
    other.execute("ROLLBACK")
    other.close()
    assert journal.append([row()]) == 1


def test_a_full_file_is_said_and_recording_goes_on_when_there_is_room(journal):
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


def test_the_log_is_moved_into_the_file_when_it_has_grown(journal, path):
    rows = [row(number=n, profile="x" * 200) for n in range(2_000)]
    sizes = []
    for _ in range(15):
        journal.append(rows)
        sizes.append(beside(path, "-wal").stat().st_size)
    assert max(sizes) < 6_000_000
    assert path.stat().st_size > 5_000_000  # what was recorded went there


def test_recording_does_not_wait_for_a_reader_that_holds_the_log(journal, path):
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
