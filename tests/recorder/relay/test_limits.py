"""Slow, large and hostile requests: none of them holds up another sender."""

import gzip
import json
import socket
import threading
import time
from contextlib import ExitStack

import pytest

from recorder.relay import server
from tests.recorder.relay.conftest import Running
from tests.recorder.relay.test_taking import SET
from tests.services import eventually

HEAD = b"POST /engage HTTP/1.1\r\nHost: 127.0.0.1\r\n"
TEXT = json.dumps([SET | {"$set": {"text": "x" * 300_000}}]).encode()
LARGE = HEAD + f"Content-Length: {len(TEXT)}\r\n\r\n".encode() + TEXT
HALF = HEAD + b"Content-Length: 1000\r\n\r\n{"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Running(tmp_path_factory.mktemp("limits") / "site.db") as relay:
        yield relay


@pytest.fixture
def connect(running):
    with ExitStack() as opened:

        def connect(data=b""):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            connection.settimeout(20)
            connection.sendall(data)
            return connection

        yield connect


def closed(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_half_requests_give_way_to_others(running, connect):
    slow = [connect(HALF) for _ in range(server.MAX_CONNECTIONS + 50)]
    assert running.ask("/engage", SET).text == "1"
    assert closed(slow[0])  # the oldest


def test_connections_with_answers_under_way_are_bounded(monkeypatch, tmp_path):
    """None of them can be closed: a new one waits."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    with Running(tmp_path / "site.db") as running, ExitStack() as opened:
        application = running.relay._server.application
        with application._reading_large:
            for _ in range(2):
                opened.enter_context(running.connect()).sendall(LARGE)
            eventually(lambda: application._large._value == 2)
            third = opened.enter_context(running.connect())
            third.sendall(HEAD.replace(b"POST /engage", b"GET /health") + b"\r\n")
            third.settimeout(0.2)
            with pytest.raises(TimeoutError):
                third.recv(1)
        third.settimeout(20)
        assert third.recv(12) == b"HTTP/1.1 200"


def test_dripping_request_is_ended(monkeypatch, tmp_path):
    """However often a byte of it comes."""
    monkeypatch.setattr(server, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(server, "_REQUEST_SECONDS", 0.3)
    with Running(tmp_path / "site.db") as running, ExitStack() as opened:
        connection = opened.enter_context(socket.create_connection(("127.0.0.1", running.port)))
        connection.sendall(HALF.replace(b"1000", b"9000000"))

        def drip():
            try:
                connection.sendall(b" ")
            except OSError:
                return True
            return False

        eventually(drip)


def test_large_bodies_together_are_bounded(monkeypatch, connect):
    monkeypatch.setattr(server, "_MAX_BODIES", 1_000_000)
    large = HEAD + b"Content-Length: 900000\r\n\r\n" + b" " * 600_000
    first, second = connect(large), connect(large)
    assert closed(first)
    second.sendall(b" " * 300_000)
    assert second.recv(12) == b"HTTP/1.1 200"


def test_large_requests_leave_threads_for_small_ones(tmp_path):
    event = json.dumps({"event": "e", "properties": {"token": "T", "text": "x" * 300_000}}).encode()
    with Running(tmp_path / "site.db") as running:
        slots = running.relay._server.application._large
        while slots.acquire(blocking=False):
            pass
        assert running.ask("/engage", TEXT).status == 503
        assert running.ask("/track", gzip.compress(event), Content_Encoding="gzip").status == 503
        assert running.ask("/engage", SET).text == "1"
        slots.release()
        assert running.ask("/engage", TEXT).text == "1"
        assert running.ask("/track", gzip.compress(event), Content_Encoding="gzip").text == "1"


def test_large_requests_are_read_one_by_one(running, connect):
    """Read JSON takes twenty times the memory of its text."""
    with running.relay._server.application._reading_large:
        connection = connect(LARGE)
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert running.ask("/engage", SET).text == "1"
    connection.settimeout(20)
    assert connection.recv(12) == b"HTTP/1.1 200"


def test_too_large_body_is_answered(running):
    for size in (10 * 1024 * 1024 + 1, 15 * 1024 * 1024):
        assert running.ask("/engage", b" " * size).status == 413


def test_large_body_is_kept_up_to_limit(running, connect):
    connect(HEAD + b"Content-Length: 13000000\r\n\r\n" + b" " * 12_000_000)

    def kept():
        requests = [open_.request for open_ in [*running.relay._server.active_channels.values()]]
        return [len(one.body_rcv) for one in requests if one and one.body_bytes_received == 12_000_000]

    assert eventually(kept) == [10 * 1024 * 1024 + 1]


def test_connection_from_elsewhere_is_closed(tmp_path):
    with Running(tmp_path / "site.db") as running, ExitStack() as opened:
        running.relay._server._admits = lambda address: address != "127.0.0.1"
        connection = opened.enter_context(socket.create_connection(("127.0.0.1", running.port)))
        assert closed(connection)


def test_gzip_bomb_is_answered(running):
    bomb = gzip.compress(b" " * 20_000_000)
    assert running.ask("/track", bomb, Content_Encoding="gzip").status == 413


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n", b"1" * 2_000),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", b""),
        (b"Content-Length: -5\r\n", b""),
        (b"X: " + b"a" * 70_000 + b"\r\n", b""),
    ],
    ids=["both-lengths", "long-chunk-line", "two-lengths", "negative", "long-head"],
)
def test_unclear_request_is_refused(connect, head, rest):
    connection = connect(HEAD + head + b"\r\n" + rest)
    assert connection.recv(10)[:10] in {b"HTTP/1.1 4", b"HTTP/1.0 4"}


def test_request_cut_short_is_no_entry(running, connect):
    before = len(running.entries())
    connect(HALF).close()
    assert running.ask("/health").status == 200
    assert len(running.entries()) == before


def test_closing_does_not_wait_for_clients(tmp_path):
    with Running(tmp_path / "site.db") as running:
        connection = socket.create_connection(("127.0.0.1", running.port))
        connection.sendall(HALF)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    connection.settimeout(20)
    assert closed(connection)
    connection.close()


def test_closing_waits_for_answer_under_way(tmp_path):
    with Running(tmp_path / "site.db") as running, running.connect() as connection:
        application = running.relay._server.application
        with application._reading_large:
            connection.sendall(LARGE)
            eventually(lambda: application._large._value < 4)
            closing = threading.Thread(target=running.relay.close, args=(0,))
            closing.start()
            closing.join(0.2)
            assert closing.is_alive()
        closing.join()
        assert connection.recv(12) == b"HTTP/1.1 200"
        assert len(running.entries()) == 1
