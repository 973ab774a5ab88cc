"""Requests that are no HTTP, or hardly, and senders that break off."""

import gc
import socket
import tracemalloc
from contextlib import suppress
from http import HTTPStatus

import pytest
import requests

from recorder.model.payloads import MAX_BODY
from simulator.service.server import Service
from tests.services import eventually
from tests.simulator.service.senders import (
    CORS,
    TIMEOUT,
    answers_of,
    connected,
    fault,
    increment,
    posted,
    raw,
    seen,
    send,
    update,
)


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"POST /engage HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[",
        b"POST /engage HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n[",
        b"POST /engage HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /engage HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[",
        b"POST /engage HTTP/1.1\r\nHost: x\r\n",
        b"",
    ],
)
def test_broken_request_applies_nothing(service, http, request_, capfd):
    answer = raw(service, request_)
    assert b"Traceback" not in answer
    assert b"500" not in answer.split(b"\r\n")[0]
    assert send(http, service, [update()]).json()["status"] == 1
    assert len(service.messages("accepted")) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        (b"nonsense\r\n\r\n", 400, "Bad request syntax"),
        (b"\x16\x03\x01\x02\r\n\r\n", 400, "Bad request syntax"),
        (b"POST /engage\r\n\r\n", 400, "Bad HTTP/0.9 request type"),
        (b"GET / HTTP/many\r\n\r\n", 400, "Bad request version"),
        (b"GET / HTTP/2.0\r\n\r\n", 505, "Invalid HTTP version"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400, "the request's target is no URL"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414, HTTPStatus.REQUEST_URI_TOO_LONG.phrase),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431, "Line too long"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1_000 + b"\r\n", 431, "Too many headers"),
        (b"POST /engage HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400, "Content-Length, must be a number"),
        (b"POST /engage HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "Content-Length, must be a number"),
        (b"POST /engage HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "Transfer-Encoding, must be chunked"),
        (b"POST /engage HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "Transfer-Encoding, unknown in HTTP/1.0"),
        (b"POST /engage HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "a chunk does not say how long"),
    ],
)  # fmt: skip
def test_malformed_http_is_refused_as_json(service, request_, status, says, capfd):
    ((answered, said),) = answers_of(raw(service, request_))
    assert (answered, said["status"]) == (status, 0)
    assert said["error"].startswith(says)
    assert len(said["error"]) <= 200
    assert service.messages() == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: many\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length : 5\r\n",
        b"Content-Length:\r\n 5\r\n",
        b"X: y\r\n Content-Length: 5\r\n",
        b" X: y\r\nContent-Length: 5\r\n",
        b"X: y\rContent-Length: 5\r\n",
        b"X\0: y\r\nContent-Length: 5\r\n",
        b"no colon\r\nContent-Length: 5\r\n",
        b"From x\r\nContent-Length: 5\r\n",
        b": y\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b"Transfer-Encoding: chunked\xa0\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n",
    ],
)
def test_unclear_body_ends_connection(service, framing):
    hidden = posted(update())
    ((status, _),) = answers_of(raw(service, b"POST /engage HTTP/1.1\r\n" + framing + b"\r\n" + hidden))
    assert status in {400, 501}
    assert service.messages() == []


@pytest.mark.parametrize("size", [b"ffffff", b"7fffffffffffffff"])
def test_truncated_huge_chunk_ends_connection(service, size):
    head = b"POST /engage HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw(service, head + size + b"\r\n[") == b""
    assert service.messages() == []


@pytest.mark.parametrize("request_", [b"GET /engage\r\n\r\n", b"GET /engage HTTP/0.9\r\n\r\n"])
def test_http_09_gets_a_head(service, request_):
    answer = raw(service, request_)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n0")


@pytest.mark.parametrize(
    "part",
    [b"POST /simulator/reset HTTP/1.1\r\n", b"POST /engage HTTP/1.1\r\nContent-Le", posted(update())[:-5]],
)
def test_request_cut_short_is_not_answered(service, part):
    """A shipper would take 400 for a verdict on its entries."""
    assert raw(service, posted(update())).endswith(b"1")
    assert raw(service, part) == b""
    assert len(service.messages()) == 1


@pytest.mark.parametrize(
    "framing", [b"Content-Length: many", b"Content-Length: 5\r\nTransfer-Encoding: chunked"]
)
def test_unclear_body_is_not_invited(service, framing):
    head = b"POST /engage HTTP/1.1\r\nExpect: 100-continue\r\n" + framing + b"\r\n\r\n"
    assert [status for status, _ in answers_of(raw(service, head))] == [400]


@pytest.mark.parametrize("between", [b"", b"\r\n", b"\n"])
def test_empty_line_before_request_is_skipped(service, between):
    """Some senders end a body with an empty line that its length does not count."""
    answers = raw(service, posted(increment()) + between + posted(increment()))
    assert [status for status, _ in answers_of(answers)] == [200, 200]
    assert service.profiles() == {"ada": {"visits": 2}}


@pytest.mark.parametrize("value", [b"\x85", b"\xad"])
@pytest.mark.parametrize("name", [b"Origin", b"Access-Control-Request-Headers"])
def test_illegal_header_is_not_echoed(service, name, value, capfd):
    answer = raw(
        service,
        posted(update(), headers=(name + b": " + value + b"\r\n").decode("latin-1"), encoding="latin-1"),
    )
    assert answer.endswith(b"\r\n\r\n1")
    assert CORS in answer
    assert capfd.readouterr().err == ""


def test_huge_announced_body_is_not_read(service):
    head = b"POST /engage HTTP/1.1\r\nContent-Length: %d\r\n\r\n[" % 10**17
    ((status, said),) = answers_of(raw(service, head, shut=False))
    assert (status, said["status"]) == (413, 0)


def test_endless_body_is_cut_off(service, http):
    sent = []

    def on_and_on():
        for _ in range(30):
            sent.append(MAX_BODY)
            yield bytes(MAX_BODY)

    with suppress(
        requests.ConnectionError
    ):  # it may still be sending when the service has answered and closed
        assert http.post(service.url + "/engage", data=on_and_on(), timeout=TIMEOUT).status_code == 413
    assert len(sent) < 20
    assert service.messages() == []


@pytest.mark.parametrize(
    "request_", [b"", b"POST /engage HT", posted(update())[:-5]], ids=["idle", "head", "body"]
)
def test_silent_sender_is_closed(request_):
    with Service(patience=0.05) as service:
        assert raw(service, request_, shut=False) == b""
        assert service.messages() == []


def test_unreading_sender_is_closed(http):
    with Service(patience=0.05) as service:
        send(http, service, [update(payload={"note": "x" * 9_000_000})])
        with connected(service) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            wire.sendall(b"GET /simulator/profiles HTTP/1.1\r\n\r\n" * 3)
            eventually(lambda: len(service._running[0]._open) <= 1)  # the session's may still be there


@pytest.mark.parametrize(
    "request_",
    [b"get /engage HTTP/1.1\r\n\r\n", b"GET engage HTTP/1.1\r\n\r\n", b"GET /%2Fengage HTTP/1.1\r\n\r\n"],
)
def test_every_ingestion_method_counts(service, request_):
    service.set_faults([fault("refuse")])
    assert seen(service, request_) == (b"", "reset")


def test_form_with_many_fields_is_refused(service, http):
    for body in (b"&" * 101, b"a=1&" * 1_000 + b"data=[]"):
        answer = send(http, service, body).json()
        assert answer == {"status": 0, "error": "data, a form of more than 100 fields"}


def test_too_many_messages_are_refused(service, http):
    assert send(http, service, [increment()] * 2_000).json()["status"] == 1
    answer = send(http, service, [increment()] * 2_001).json()
    assert answer == {"status": 0, "error": "data, more than 2,000 messages"}
    assert service.profiles() == {"ada": {"visits": 2_000}}


@pytest.fixture
def no_garbage_collection():
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


@pytest.mark.usefixtures("no_garbage_collection")
def test_answered_request_is_freed(service):
    """At once, not at the next garbage collection or the end of the connection, as bodies are large."""

    def allocated():
        return tracemalloc.get_traced_memory()[0]

    def ask(wire, unit, times):
        wire.sendall(
            b"POST /engage HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (len(unit) * times) + unit * times
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n0"):
            answer += wire.recv(65_536)

    with connected(service) as wire:
        ask(wire, b"x", 1)
        before = allocated()
        for unit in (b"x", b"%5B", b"&", b"[", b"[1,"):
            ask(wire, unit, 300_000)
        eventually(lambda: allocated() < before + 100_000)
