"""Requests that no SDK makes, a disk that is full, and every kind of attack at once beside a sender that means well."""

import json
import re
import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import pytest
import requests

from recorder import audit
from recorder.relay.server import MAX_CONNECTIONS
from tests.recorder.journal.test_disk_full import WHY_NOT, fill_up, mount, unmount
from tests.recorder.relay.conftest import Running
from tests.recorder.relay.test_limits import HALF, HEAD
from tests.recorder.relay.test_taking import SET
from tests.relays import RelayCommand
from tests.services import closed_port
from tests.simulator.service.hostility import PATIENCE, attack, carry_out, flaw

BODY = json.dumps(SET).encode()
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
LAST = WHOLE.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Running(tmp_path_factory.mktemp("hostile") / "site.db") as relay:
        yield relay


@pytest.fixture
def journaled(running):
    """Return how many entries there are that a test did not find."""
    before = len(running.entries())
    return lambda: len(running.entries()) - before


def answers(running, data):
    """Return all that a connection gives back, up to its end."""
    with ExitStack() as opened:
        connection = opened.enter_context(running.connect())
        connection.sendall(data)
        got = b""
        while part := connection.recv(65_536):
            got += part
    return got


def test_pipelined_requests_are_answered_in_order(running, journaled):
    missing = WHOLE.replace(b"/engage", b"/nowhere")
    got = answers(running, WHOLE + missing + LAST)
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]
    assert journaled() == 2


def test_chunked_body_is_read(running, journaled):
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, BODY[place : place + 1]) for place in range(len(BODY)))
    head = HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    assert answers(running, head + chunks + b"0\r\n\r\n").endswith(b"\r\n\r\n1")
    assert journaled() == 1


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 5\r\nContent-Length: 0\r\n",
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Content-Length: +0\r\n",
        b"Content-Length: 0x0\r\n",
        b"Content-Length: 0, 5\r\n",
        b"X: y\r\n Content-Length: 5\r\nContent-Length: \r\n",
        b"X: y\nContent-Length: 5\r\n",
    ],
)
def test_smuggled_request_is_not_answered(running, journaled, lengths):
    """A request whose end can be read in two ways is refused, and what follows it is not another one."""
    got = answers(running, HEAD + lengths + b"\r\n0\r\n\r\n" + WHOLE)
    (status,) = (int(part[2:5]) for part in got.split(b"HTTP/1.")[1:])
    assert status in {400, 501}
    assert journaled() == 0


@pytest.mark.parametrize(
    "body",
    [b"[" * 10_000, BODY.replace(b'"pro"', b"[" * 900 + b"]" * 900), BODY.decode().encode("utf-16"), b"\0"],
)
def test_unreadable_body_is_answered_in_words(running, journaled, body):
    said = json.loads(running.ask("/engage?verbose=1", body).text)
    assert said["status"] == 0
    assert len(said["error"]) > 10
    assert journaled() == 0


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_full_disk_is_answered_503(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    assert mount(disk, "24m").returncode == 0
    try:
        with Running(disk / "site.db") as running:
            long, taken = SET | {"$set": {"text": "x" * 100_000}}, 0
            fill_up(disk)
            while (answer := running.ask("/engage", long)).status == 200:
                taken += 1
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert "disk" in json.loads(answer.text)["error"]
            assert running.ask("/health").status == 503
            (disk / "others").unlink()
            assert running.ask("/engage", long).text == "1"
            assert len(running.entries()) == taken + 1
        assert audit(disk / "site.db").agrees
    finally:
        unmount(disk)


class Attackers:
    """Threads that attack a relay in every way, and hold hundreds of slow connections, while the block runs."""

    def __init__(self, port, threads=3, slow=500):
        self._port = port
        self.flaws, self.attacks = [], 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._attack, args=(number,)) for number in range(threads)]
        self._threads.append(threading.Thread(target=self._drip, args=(slow,)))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _attack(self, number):
        chance, held = Random(number), []
        while not self._over.is_set():
            one = attack(chance)
            one = one._replace(data=one.data.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r\nHost: localhost\r\n"))
            try:
                got, whole = carry_out(chance, self._port, one, held)
                found = flaw(got, whole=whole, bodiless=one.bodiless, is_documented=is_documented)
            except Exception as error:  # noqa: BLE001  # a thread's; the test sees it there
                found = repr(error)
            if found:
                self.flaws.append(f"{one.about}, {one.manner}: {found}")
            while len(held) > 20:
                held.pop(0).close()
            self.attacks += 1
        for wire in held:
            wire.close()

    def _drip(self, slow):
        """Keep so many connections on which a byte of a request comes now and then."""
        with ExitStack() as opened:
            wires = []
            while not self._over.wait(0.01):
                if len(wires) < slow:
                    wires.append(opened.enter_context(socket.create_connection(("127.0.0.1", self._port))))
                    wires[-1].setblocking(False)
                for wire in wires[:: max(1, len(wires) // 10)]:
                    with suppress(OSError):  # it was closed, to make room for others
                        wire.send(HALF[:1])


def is_documented(status, kind, body):
    if kind == b"text/plain":
        return (status == 200 and body in {b"0", b"1"}) or (status in {400, 413, 431, 501} and len(body) > 20)
    if kind in {b"image/gif", b"text/javascript", b"application/openmetrics-text"}:
        return status == 200
    said = json.loads(body)
    if status == 200:
        return isinstance(said, dict)
    return status in {400, 401, 403, 404, 405, 413, 503} and isinstance(said["error"], str)


SECONDS = 8
MOST_MEMORY = 700_000  # KB; measured were 370,000 to 500,000
LISTS = b"[" + b"[]," * 3_400_000 + b"0]"  # which take twenty times the memory, once they are read


def peak(relay):
    """Return the most memory that a relay has had, in KB."""
    status = Path(f"/proc/{relay.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+)", status)[1])


@pytest.mark.long
def test_attacked_relay_takes_from_others(tmp_path):
    """A good sender's updates are all taken, each once, and memory and connections stay within their bounds."""
    journals = {"H": tmp_path / "attacked.db", "healthy": tmp_path / "healthy.db"}
    relay = RelayCommand(journals, f"http://127.0.0.1:{closed_port()}")
    update, took, files = SET | {"$token": "healthy"}, [], []
    with relay, requests.Session() as session:
        session.trust_env = False
        process = Path(f"/proc/{relay.process.pid}")
        with Attackers(int(relay.url.rpartition(":")[2])) as attackers:
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                begun = time.monotonic()
                assert session.post(f"{relay.url}/engage", json=update, timeout=PATIENCE).text == "1"
                took.append(time.monotonic() - begun)
                if len(took) % 50 == 0:
                    files.append(len([*(process / "fd").iterdir()]))
        assert attackers.flaws == []
        assert relay.counts("healthy").recorded == len(took)
        print(
            f"{attackers.attacks} attacks, {len(took)} updates taken, the slowest in {max(took):.3f} s;"
            f" {peak(relay):,} KB, {max(files)} files at once, {relay.counts('H').recorded} entries of attackers"
        )
        assert peak(relay) < MOST_MEMORY
        assert max(files) < 2 * MAX_CONNECTIONS
    assert audit(journals["H"]).agrees
    assert audit(journals["healthy"]).agrees


@pytest.mark.long
def test_large_requests_take_bounded_memory(tmp_path):
    """Some are answered, some told to come again, and some cut off."""
    relay, got = RelayCommand({"T": tmp_path / "site.db"}, f"http://127.0.0.1:{closed_port()}"), []

    def send():
        with suppress(requests.ConnectionError):
            got.append(requests.post(f"{relay.url}/engage", data=LISTS, timeout=120).status_code)

    with relay:
        threads = [threading.Thread(target=send) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"{peak(relay):,} KB; {got}")
        assert peak(relay) < MOST_MEMORY
        assert 200 in got
        assert {*got} <= {200, 503}
