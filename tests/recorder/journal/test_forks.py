"""Forked children record into their parent's journal: nothing is lost, doubled or left hanging."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest

from recorder import Journal, JournalError, JournalReader, Recorder, RestanteError, Shipper
from recorder.journal.forks import _forks, at_forks, opening
from recorder.journal.locks import ShipLock
from simulator.service.server import Service
from tests.doubles import Scripted
from tests.profiles import sampled
from tests.services import RawService, answer, said_0

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    # Python 3.12 warns of every fork while threads run; these tests show that ours is safe.
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]

PATIENCE = 30  # seconds; only a child that hangs takes so long


def forked(work):
    """Run `work` in a child, and return its exit code: 0 if it raised nothing."""
    return ended(begun(work))


def begun(work):
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException as error:  # noqa: BLE001  # the child ends here after any error
        os.write(2, f"child: {error!r}\n".encode())
        os._exit(1)
    os._exit(0)


def ended(child):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise TimeoutError("the child hangs")


def recorded(path):
    with JournalReader(path) as reader:
        assert reader.counts().adds_up
        return sorted(
            (entry.profile, entry.message["$append"]["n"]) for entry in reader.entries(limit=100_000)
        )


def test_child_records_into_its_parents_journal(path):
    with Recorder("T", path) as recorder:
        recorder.people_append("parent", {"n": 0})
        assert forked(lambda: recorder.people_append("child", {"n": 0})) == 0
        recorder.people_append("parent", {"n": 1})
    assert recorded(path) == [("child", 0), ("parent", 0), ("parent", 1)]


def test_child_records_after_its_parent_closed(path):
    """The parent seems to SQLite the last to close, and would remove the log."""
    read, write = os.pipe()
    recorder = Recorder("T", path)
    recorder.people_append("parent", {"n": 0})

    def work():
        recorder.people_append("child", {"n": 0})
        assert os.read(read, 1) == b"x"
        recorder.people_append("child", {"n": 1})

    child = begun(work)
    deadline = time.monotonic() + PATIENCE
    while recorder.statistics().recorded < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    recorder.close()
    os.write(write, b"x")
    assert ended(child) == 0
    assert recorded(path) == [("child", 0), ("child", 1), ("parent", 0)]


def test_reader_in_the_parent_stays_open(path):
    with Recorder("T", path) as recorder, JournalReader(path) as reader:
        recorder.people_append("parent", {"n": 0})
        assert reader.counts().recorded == 1
        child = begun(lambda: (recorder.people_append("child", {"n": 0}), time.sleep(0.3)))
        assert reader.counts().recorded >= 1
        recorder.close()
        reader.close()
        assert ended(child) == 0
    assert recorded(path) == [("child", 0), ("parent", 0)]


@pytest.mark.parametrize("children", [4, pytest.param(40, marks=pytest.mark.long)])
def test_forks_during_recording_lose_nothing(path, children):
    """Calls that a thread had queued at the fork are recorded by the parent, not by the child."""
    stop, acknowledged = threading.Event(), [0, 0, 0]

    def work(thread):
        while not stop.is_set():
            recorder.people_append(f"thread-{thread}", {"n": acknowledged[thread]})
            acknowledged[thread] += 1

    with Recorder("T", path, durability="process") as recorder:
        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(3)]
        for thread in threads:
            thread.start()
        try:
            for child in range(children):
                assert forked(lambda child=child: recorder.people_append(f"child-{child}", {"n": 0})) == 0
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    expected = [(f"child-{child}", 0) for child in range(children)]
    expected += [(f"thread-{thread}", n) for thread in range(3) for n in range(acknowledged[thread])]
    assert recorded(path) == sorted(expected)


def test_children_of_multiprocessing_record(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = multiprocessing.get_context("fork")
        with Recorder("T", path) as recorder:
            recorder.people_append("parent", {"n": 0})
            workers = [
                context.Process(target=recorder.people_append, args=(f"worker-{n}", {"n": n}))
                for n in range(4)
            ]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join(PATIENCE)
            assert [worker.exitcode for worker in workers] == [0] * 4
    assert recorded(path) == [("parent", 0), *((f"worker-{n}", n) for n in range(4))]


def test_parent_ships_what_workers_record(path):
    """In a pre-fork server the master makes the recorder, and keeps the lock: its workers ship nothing."""
    with Service() as service, Recorder("T", path, url=service.url, background=True) as recorder:
        recorder.people_append("master", {"n": 0})

        def work():
            recorder.people_append("worker", {"n": os.getpid()})
            recorder.close()

        for _ in range(3):
            assert forked(work) == 0
        deadline = time.monotonic() + PATIENCE
        while len(service.profiles().get("worker", {}).get("n", [])) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(service.profiles()["worker"]["n"]) == 3


DAEMON = """
import os, sys, time
import recorder.background
from recorder import Recorder
recorder.background._PARENT_FIRST = 0.0
app = Recorder("T", sys.argv[1], url=sys.argv[2], background=True)
gone, alive = os.pipe()
for _ in range(int(sys.argv[3])):
    if os.fork():
        os._exit(0)
os.close(alive)
os.read(gone, 1)  # until the first process has ended, and with it its lock
app.people_append("daemon", {"n": 0})
if sys.argv[4] == "runs":
    while app.statistics().shipped < 1:
        time.sleep(0.01)
else:
    app.close(20)
print("shipped", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("ends", sampled(["runs", "closes"], 2))
@pytest.mark.parametrize("forks", ["1", pytest.param("2", marks=pytest.mark.long)])
def test_daemonized_process_ships(path, forks, ends):
    """A program that makes its recorder and then forks into the background is left with the child only."""
    with Service() as service:
        command = [sys.executable, "-W", "ignore", "-c", DAEMON, path, service.url, forks, ends]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert (done.stdout, done.stderr) == ("shipped\n", "")
        assert service.profiles() == {"daemon": {"n": [0]}}


def test_batch_across_fork_is_the_parents(path):
    """Both processes come to the end of the block; the child records nothing."""
    with Recorder("T", path) as recorder:
        batch = recorder.batch()
        with batch:
            batch.people_append("parent", {"n": 0})

            def work():
                with pytest.raises(RestanteError, match="begun before this process was forked"):
                    batch.close()
                with recorder.batch() as own:
                    own.people_append("child", {"n": 0})

            assert forked(work) == 0
    assert recorded(path) == [("child", 0), ("parent", 0)]


FORKED_IN_C = """
import ctypes, os, sys
from recorder import JournalError, Recorder
recorder = Recorder("T", sys.argv[1])
child = ctypes.PyDLL(None).fork()
if child == 0:
    try:
        recorder.people_append("child", {"n": 0})
    except JournalError as error:
        os._exit("was open while this process was forked" not in str(error))
    os._exit(1)
recorder.people_append("parent", {"n": 0})
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_fork_in_c_is_refused(path):
    """Servers written in C fork past Python's hooks."""
    command = [sys.executable, "-W", "ignore", "-c", FORKED_IN_C, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert recorded(path) == [("parent", 0)]


@pytest.mark.parametrize("hook", [_forks.after_in_child, _forks.after_in_parent])
def test_hook_without_its_fork_does_nothing(path, hook):
    """Servers written in C may call Python's hook of the child, and not the one before the fork."""
    with Recorder("T", path) as recorder:
        recorder.people_append("parent", {"n": 0})
        hook()
        assert forked(lambda: recorder.people_append("child", {"n": 0})) == 0
    assert recorded(path) == [("child", 0), ("parent", 0)]


def test_failing_hook_keeps_nobody_waiting(path, capfd):
    """An app may have closed a descriptor of ours: Python would print the error, and call no other member."""

    class Closed(Watching):
        def after_fork_in_child(self):
            raise OSError(errno.EBADF, "Bad file descriptor")

    closed = [Closed() for _ in range(3)]
    with Recorder("T", path) as recorder:
        with opening:
            for member in closed:
                at_forks(member)
        assert forked(lambda: recorder.people_append("child", {"n": 0})) == 0
    assert capfd.readouterr().err == ""
    assert recorded(path) == [("child", 0)]


def test_child_may_ship_for_itself(path):
    with Service() as service, Recorder("T", path, url=service.url) as recorder:
        recorder.people_append("parent", {"n": 0})
        assert recorder.flush().stopped_by == "done"  # its connection to the service is not the child's

        def work():
            recorder.people_append("child", {"n": 0})
            report = recorder.flush()
            assert (report.stopped_by, report.shipped) == ("done", 1), report

        assert forked(work) == 0
        recorder.people_append("parent", {"n": 1})
        assert recorder.flush().shipped == 1
        assert service.profiles() == {"parent": {"n": [0, 1]}, "child": {"n": [0]}}


PREFORK = """
import os, sys, time
from recorder import Recorder
recorder = Recorder("T", sys.argv[1], url="http://127.0.0.1:9", background=True)
recorder.people_append("master", {"n": 0})
from recorder import JournalReader
with JournalReader(sys.argv[1]) as reader:
    while not reader.shipping().running:
        time.sleep(0.01)
if os.fork() == 0:
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


def test_worker_releases_its_masters_lock(path):
    """A child inherits locks with their files, and lets go of them."""
    master = subprocess.Popen([sys.executable, "-W", "ignore", "-c", PREFORK, path], stdout=subprocess.PIPE)
    worker = int(master.stdout.readline())
    try:
        master.kill()
        master.wait(PATIENCE)
        master.stdout.close()
        with Journal(path) as journal:
            assert Shipper(journal, Scripted()).ship().stopped_by != "busy"
    finally:
        os.kill(worker, signal.SIGKILL)


def test_released_lock_outlives_no_copy(path):
    """A child has a copy of the descriptor for a moment; who released the lock takes it again meanwhile."""
    lock = ShipLock(path)
    assert lock.acquire()
    copy = os.dup(lock._descriptor)
    try:
        assert not ShipLock(path).acquire()
        lock.release()
        assert lock.acquire()
    finally:
        os.close(copy)
        lock.release()


def test_fork_within_a_call_is_refused(path):
    """A signal handler that forks while its own thread records has no right way to go on."""
    codes = []
    with Journal(path, token="T") as journal:

        def fork_now(sql):
            if "INSERT INTO entries" in sql and not codes:
                codes.append(forked(refused))

        def refused():
            with pytest.raises(JournalError, match="forked"):
                journal.statistics(0.0)

        recorder = Recorder("T", journal)
        journal._connection.use().set_trace_callback(fork_now)
        recorder.people_append("parent", {"n": 0})
        journal._connection.use().set_trace_callback(None)
        recorder.people_append("parent", {"n": 1})
    assert codes == [0]
    assert recorded(path) == [("parent", 0), ("parent", 1)]


def test_child_opens_its_own_http_connection(path):
    """Two processes that speak HTTP on one connection would read each other's answers."""
    with RawService() as service, Recorder("T", path, url=service.url) as recorder:
        for profile in ("parent", "child", "parent"):
            recorder.people_append(profile, {"n": 0})
            if profile == "child":
                assert forked(lambda: os._exit(recorder.flush().stopped_by != "done")) == 0
            else:
                assert recorder.flush().shipped == 1
        assert service.connections == 2


AT_ONCE = """
import os, signal, sys
from recorder import Recorder
recorder = Recorder("T", sys.argv[1], url=sys.argv[2], background=True)
loaded = set(sys.modules)
recorder.people_append("parent", {"n": 0})
child = os.fork()
if child == 0:
    signal.alarm(20)
    recorder.people_append("child", {"n": 0})
    other = Recorder("T", sys.argv[1] + "-child", url=sys.argv[2])  # which nobody else ships
    other.people_append("other", {"n": 0})
    os._exit(other.flush().stopped_by != "done")
recorder.close(20)
print(*set(sys.modules) - loaded)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_child_ships_while_parent_starts(path):
    """A thread of ours imports nothing: a child would wait for ever for that import to end."""
    with Service() as service:
        command = [sys.executable, "-W", "ignore", "-c", AT_ONCE, path, service.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
        assert {"parent", "other"} <= service.profiles().keys()
    assert recorded(path) == [("child", 0), ("parent", 0)]


IMPORTING = """
import os, signal, sys, threading
from recorder import Recorder
from recorder.model.errors import ShippingError

begun, go_on = threading.Event(), threading.Event()

def wait_in_import(event, args):  # not in a finder: Python's own fork waits for those
    if event == "exec" and args[0].co_filename.endswith("requests/sessions.py"):
        begun.set()
        go_on.wait(20)

sys.addaudithook(wait_in_import)
recorder = Recorder("T", sys.argv[1], url="http://127.0.0.1:9")
recorder.people_append("parent", {"n": 0})
thread = threading.Thread(target=recorder.flush)
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    recorder.people_append("child", {"n": 0})
    try:
        recorder.flush()
    except ShippingError as error:
        os._exit("while another thread imported" not in str(error))
    os._exit(1)
go_on.set()
thread.join()
recorder.close()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_child_of_an_import_records_only(path):
    """A child forked while another thread imported the transport cannot ship, and says so."""
    command = [sys.executable, "-W", "ignore", "-c", IMPORTING, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert recorded(path) == [("child", 0), ("parent", 0)]


IN_A_THREAD = """
import os, signal, sys, threading
from recorder import Recorder

path, url, file = sys.argv[1:]
begun, go_on = threading.Event(), threading.Event()

def wait_in_import(event, args):
    if event == "exec" and args[0].co_filename.endswith(file):
        begun.set()
        go_on.wait(0.5)  # a fork that does not wait comes meanwhile

def work(path):
    with Recorder("T", path, url=url, on_event=lambda entry: None) as recorder:
        recorder.people_append("ada", {"n": 0})
        recorder.flush()
        recorder.journal.prune(all_shipped=True)

sys.addaudithook(wait_in_import)
thread = threading.Thread(target=work, args=(path,))
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    work(path + "-child")
    os._exit(0)
go_on.set()
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("file", sampled(["recorder/reading/reader.py", "recorder/journal/prune.py"], 2))
def test_fork_waits_for_late_imports(path, file):
    """Modules that shipping seldom needs are imported by its thread; a child has no such thread to end that."""
    refused = answer(400, said_0("bad"))
    with RawService(refused, refused) as service:
        command = [sys.executable, "-W", "ignore", "-c", IN_A_THREAD, path, service.url, file]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(service.requests) == 2


class Watching:
    """Observer of forks, which counts how many are under way at once."""

    def __init__(self):
        self.now = self.most = 0

    def before_fork(self):
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.05)  # another thread gets a turn

    def after_fork_in_parent(self):
        self.now -= 1

    def after_fork_in_child(self):
        pass


def test_threads_that_fork_take_turns():
    watching, codes = Watching(), []
    with opening:
        at_forks(watching)
    threads = [threading.Thread(target=lambda: codes.append(forked(lambda: None))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert codes == [0] * 3
    assert watching.most == 1


IN_THE_MIDDLE = """
import os, signal, sys
from recorder import Recorder

recorder = Recorder("T", sys.argv[1], background=True, url="http://127.0.0.1:9")
within = []

def record_once(frame, event, _):  # as a signal handler may, while a thread is started
    if (event, frame.f_code.co_qualname) == ("call", "Thread.start") and not within:
        within.append(event)
        recorder.people_append("handler", {"n": 0})

child = os.fork()
if child == 0:
    signal.alarm(20)
    sys.setprofile(record_once)
    recorder.people_append("child", {"n": 0})
    os._exit(not within)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
recorder.close()
sys.exit(code)
"""


def test_signal_handler_may_record_in_child(path):
    """The child's first call starts a thread; a handler that records in the middle of that waits for nobody."""
    command = [sys.executable, "-W", "ignore", "-c", IN_THE_MIDDLE, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert recorded(path) == [("child", 0), ("handler", 0)]
