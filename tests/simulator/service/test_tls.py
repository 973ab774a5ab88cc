"""HTTPS: the same answers and faults as over plain HTTP, and nobody waits for another's handshake."""

import socket
import ssl
import stat
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from http.client import HTTPSConnection
from threading import Thread
from urllib.parse import urlsplit

import pytest
import requests

from simulator.service.connections import MAX_CONNECTIONS
from simulator.service.faults import FAULTS
from simulator.service.server import Service
from tests.services import eventually
from tests.simulator.service.senders import TIMEOUT, connected, fault, posted, raw, seen, update


@pytest.fixture(scope="module")
def lines():
    return []


@pytest.fixture(scope="module")
def running(lines):
    with Service(tls=True, log=lines.append) as service:
        yield service


@pytest.fixture
def service(running, lines):
    running.reset()
    running.set_faults([])
    lines.clear()
    return running


def plain_wire(service):
    """A connection on which nobody has begun a handshake."""
    return socket.create_connection(("127.0.0.1", urlsplit(service.url).port), TIMEOUT)


def test_requests_are_answered_over_https(service, http):
    http.verify = str(service.ca_file)
    assert service.url.startswith("https://127.0.0.1:")
    assert http.post(service.url + "/engage", json=[update()], timeout=TIMEOUT).text == "1"
    origin = {"Origin": service.url}
    shown = http.get(service.url + "/simulator/profiles", headers=origin, timeout=TIMEOUT)
    assert shown.json() == {"ada": {"plan": "pro"}}
    foreign = {"Origin": service.url.replace("https", "http")}
    assert http.get(service.url + "/simulator/profiles", headers=foreign, timeout=TIMEOUT).status_code == 403


@pytest.mark.parametrize("name", FAULTS)
def test_fault_looks_as_over_plain_http(service, name):
    request = posted(update(), path="/engage?verbose=1", headers="Connection: close\r\n")
    with Service(faults=[fault(name)]) as plain:
        expected = seen(plain, request)
        assert plain.settle(TIMEOUT)
        service.set_faults([fault(name)])
        assert seen(service, request) == expected
        assert service.settle(TIMEOUT)
        assert service.profiles() == plain.profiles()


@pytest.mark.parametrize(
    ("name", "trusted"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("127.0.0.2", True),
        ("host.docker.internal", True),
        ("10.0.2.2", True),
        ("kiosk.test", False),
        ("127.0.0.3", False),
    ],
)
def test_certificate_is_for_our_names(name, trusted):
    with Service(host="127.0.0.2", tls=True) as service:
        url = urlsplit(service.url)
        trusting = ssl.create_default_context(cafile=service.ca_file)
        with socket.create_connection((url.hostname, url.port), TIMEOUT) as wire:
            try:
                with trusting.wrap_socket(wire, server_hostname=name) as spoken:
                    lasts = ssl.cert_time_to_seconds(spoken.getpeercert()["notAfter"]) - time.time()
                assert (trusted, lasts < 825 * 86_400) == (True, True)
            except ssl.SSLCertVerificationError:
                assert not trusted


def test_authority_is_file_while_service_runs():
    with Service(tls=True) as first, Service(tls=True) as second:
        text = first.ca_file.read_text()
        assert text.count("BEGIN CERTIFICATE") == 1
        assert "PRIVATE" not in text
        assert text != second.ca_file.read_text()
        assert stat.S_IMODE(first.ca_file.stat().st_mode) == 0o644
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(first.url, verify=str(second.ca_file), timeout=TIMEOUT)
    assert not first.ca_file.exists()
    assert Service().ca_file is None


def test_stalled_handshake_holds_nobody_up(service):
    with ExitStack() as stalled:
        for part in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"):
            stalled.enter_context(plain_wire(service)).sendall(part)
        eventually(lambda: len(service._running[0]._open) >= 3)
        assert raw(service, posted(update(), headers="Connection: close\r\n")).endswith(b"\r\n\r\n1")


def test_surplus_connection_is_closed():
    with Service(tls=True) as service, ExitStack() as idle:
        for _ in range(MAX_CONNECTIONS):
            idle.enter_context(plain_wire(service))
        wire = idle.enter_context(plain_wire(service))
        assert wire.recv(100) == b""


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (posted(update()), "connection closed · plain HTTP, and this port takes HTTPS"),
        (b"nonsense", "connection closed · TLS handshake failed, "),
        (
            b"\x16\x03\x01\x02\x00\x01",
            "connection closed · TLS handshake failed, the sender closed the connection",
        ),
    ],
)
def test_broken_handshake_is_told(service, lines, capfd, sent, line):
    with plain_wire(service) as wire:
        wire.sendall(sent)
        with suppress(OSError):  # the service may have closed it
            wire.shutdown(socket.SHUT_WR)
        eventually(lambda: lines)
    assert len(lines) == 1
    assert lines[0].startswith(line)
    assert capfd.readouterr() == ("", "")


def test_distrust_is_told(service, lines):
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(service.url, timeout=TIMEOUT)
    eventually(lambda: lines)
    assert lines == [
        "connection closed · TLS handshake failed, tlsv1 alert unknown ca: does the sender trust the authority's file?"
    ]


def test_silent_handshake_times_out():
    lines = []
    with Service(tls=True, patience=0.05, log=lines.append) as service, plain_wire(service) as wire:
        assert wire.recv(100) == b""
    assert lines == ["connection closed · TLS handshake failed, timed out"]


def test_close_lets_answer_end(http):
    """Nothing of an answer under way goes out unencrypted, or is lost."""
    with Service(tls=True) as service:
        http.verify = str(service.ca_file)
        large = [update(f"u{number}", "$set", {"text": "a" * 900_000}) for number in range(6)]
        http.post(service.url + "/engage", json=large, timeout=TIMEOUT)
        http.close()
        server = service._running[0]
        eventually(lambda: not server._open)
        with connected(service) as wire:
            wire.sendall(b"GET /simulator/profiles HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = wire.recv(1)
            closing = Thread(target=server.end_connections)
            closing.start()
            eventually(lambda: server._changed._waiters)  # it has cut off what comes in
            while part := wire.recv(65_536):
                answer += part
            closing.join()
    assert answer.endswith(b'aaa"}}')
    assert len(answer) > 5_000_000


def test_close_does_not_wait_for_handshake():
    with Service(tls=True) as service, plain_wire(service):
        eventually(lambda: service._running[0]._open)
        started = time.monotonic()
        service.close()
        assert time.monotonic() - started < 1.5  # connections that do not end are given 2 s


def test_end_does_not_wait_for_sender():
    with Service(tls=True, patience=3_600) as service, connected(service) as wire:
        wire.sendall(posted(update(), headers="Connection: close\r\n"))
        while wire.recv(65_536):
            pass
        eventually(lambda: not service._running[0]._open)


def test_kept_connection_serves_several_requests(service):
    trusting = ssl.create_default_context(cafile=service.ca_file)
    connection = HTTPSConnection("127.0.0.1", urlsplit(service.url).port, timeout=TIMEOUT, context=trusting)
    for _ in range(3):
        connection.request("POST", "/engage", posted(update()).partition(b"\r\n\r\n")[2])
        assert connection.getresponse().read() == b"1"
        connection.auto_open = 0
    connection.close()


def test_missing_trustme_is_named():
    code = """if True:
        import sys
        sys.modules["trustme"] = None
        from simulator.service import Service
        with Service():
            pass
        try:
            Service(tls=True).start()
        except ImportError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "HTTPS needs trustme: pip install 'restante[service]'\n"
