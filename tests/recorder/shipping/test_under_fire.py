"""Shipping through bad networks and to failing services, over real sockets on 127.0.0.1."""

import gc
import json
import select
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import requests
import requests.adapters
import trustme

from recorder import (
    HttpTransport,
    Journal,
    JournalConsumer,
    JournalReader,
    Lane,
    Recorder,
    Shipper,
    ShippingPolicy,
    ShipReport,
    State,
)
from recorder.journal.uptime import Uptime
from recorder.model.entries import AttemptOutcome
from recorder.shipping import connections
from recorder.shipping.connections import Carrier
from tests.profiles import sampled
from tests.services import RawService, answer, closed_port, eventually, said_0, server_context

PAGE = b"<html><body>Welcome to Harbour Wi-Fi</body></html>"
RESOLVING = "service.invalid"


class Clockwork:
    """Time given by a test: a wall clock, and seconds since the boot."""

    def __init__(self):
        self.wall = 1_800_000_000.0
        self.now = Uptime("monday", 5_000.0)

    def go_by(self, seconds):
        self.wall += seconds
        self.now = self.now._replace(seconds=self.now.seconds + seconds)


class Device:
    """Journal and shipper of an app from its start to its end."""

    def __init__(self, path, url, time, *, policy=None, on_event=None, **transport):
        transport.setdefault("total", 10)
        self.path = path
        self.journal = Journal(path, token="T")
        self.recorder = Recorder("T", self.journal)
        self.transport = HttpTransport(url=url, **transport)
        self.shipper = Shipper(
            self.journal,
            self.transport,
            policy or ShippingPolicy(),
            on_event=on_event,
            clock=lambda: time.wall,
            uptime=lambda: time.now,
            chance=lambda: 1.0,
        )
        self.ship = self.shipper.ship

    def record(self, number=1):
        """Record so many increments, each of a profile of its own."""
        for n in range(number):
            self.recorder.people_increment(f"p{n}", {"visits": 1})

    def close(self):
        self.transport.close()
        self.journal.close()

    @contextmanager
    def running(self):
        """Ship in the background until the block ends."""
        stop = threading.Event()
        thread = threading.Thread(target=self.shipper.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            self.shipper.wake()
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def time_given():
    return Clockwork()


@pytest.fixture
def start(path, time_given):
    """Start the app anew, on the same journal; the one before it ends."""
    with ExitStack() as last:

        def start(url, **options):
            last.close()
            device = Device(path, url, time_given, **options)
            last.callback(device.close)
            return device

        yield start


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority):
    quiet = server_context(authority.issue_cert("127.0.0.1", "service.test"))
    quiet.num_tickets = 0  # they would arrive at a moment of their own
    return quiet


@pytest.fixture
def trusted(authority, tmp_path):
    """Path of a bundle of accepted certificates."""
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    return str(bundle)


@pytest.fixture
def session():
    """Session of a user, without this machine's settings."""
    with requests.Session() as own:
        own.trust_env = False
        yield own


@pytest.fixture
def trusting(session, trusted):
    session.verify = trusted
    return session


def states(path):
    with JournalReader(path) as reader:
        counts = reader.counts()
    assert counts.adds_up
    return {state.value: n for state in State if (n := getattr(counts, state.value))}


def attempts(path):
    """Return the journal's attempts, oldest first."""
    with JournalReader(path) as reader:
        return reader.attempts()[::-1]


def entries(path):
    with JournalReader(path) as reader:
        return reader.entries()[::-1]


def people(path):
    with JournalReader(path) as reader:
        return next(lane for lane in reader.shipping().lanes if lane.lane is Lane.PEOPLE)


def senders():
    return [thread for thread in threading.enumerate() if thread.name == "restante-send"]


def assert_offline(device, report, cause):
    """Check that only the words for people changed."""
    lane = people(device.path)
    assert (report.stopped_by, report.shipped, report.in_doubt) == ("offline", 0, 0)
    assert cause in report.message
    assert (lane.outcome, lane.cause) == (AttemptOutcome.OFFLINE, report.message)
    assert set(states(device.path)) == {"pending"}
    assert all(entry.sends == 0 for entry in entries(device.path))
    assert {(one.outcome, one.words) for one in attempts(device.path)} == {
        (AttemptOutcome.OFFLINE, report.message)
    }


def assert_in_doubt(device, report, cause):
    lane = people(device.path)
    assert (report.stopped_by, report.shipped) == ("waiting", 0)
    assert cause in report.message
    assert (lane.outcome, lane.cause) == (AttemptOutcome.UNKNOWN, report.message)
    assert set(states(device.path)) == {"in_doubt"}
    (attempt,) = attempts(device.path)
    assert (attempt.outcome, attempt.words) == (AttemptOutcome.UNKNOWN, report.message)


def assert_paused(device, report, cause):
    lane = people(device.path)
    assert (report.stopped_by, report.shipped) == ("paused", 0)
    assert cause in report.message
    assert (lane.outcome, lane.cause) == (AttemptOutcome.PAUSED, report.message)
    assert set(states(device.path)) == {"pending"}


# --- captive portals, and services that moved

PORTALS = {
    "page": (answer(200, PAGE, kind="text/html; charset=utf-8"), "a web page instead of the service"),
    "redirect": (answer(302, b"", Location="http://login.harbour.example/?next=x"), "login.harbour.example"),
    "511": (answer(511, PAGE, kind="text/html"), "the network requires a login"),
}


@pytest.mark.parametrize("portal", PORTALS)
def test_captive_portal_is_offline(start, portal):
    """A captive portal is offline, and all is shipped once somebody has signed in."""
    shown, cause = PORTALS[portal]
    with RawService(shown, shown) as service:
        device = start(service.url)
        device.record(3)
        assert_offline(device, device.ship(), cause)
        assert_offline(device, device.ship(), cause)
        assert device.ship().shipped == 3
        assert service.requests[-1].updates == service.requests[0].updates
    assert states(device.path) == {"shipped": 3}


def test_page_over_tls_is_in_doubt(start, context, trusting):
    """A web page over TLS cannot be a portal's."""
    with RawService(answer(200, PAGE, kind="text/html"), tls=context) as service:
        device = start(service.url, session=trusting)
        device.record()
        assert_in_doubt(device, device.ship(), "not the service's")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_same_host_redirect_pauses(start, status):
    """A redirect to the same host pauses the lane, and names the location."""
    with RawService(answer(status, b"", Location="/v2/engage")) as service:
        device = start(service.url)
        device.record(2)
        assert_paused(device, device.ship(), "/v2/engage")
        assert len(service.requests) == 1  # not followed
        assert device.ship().shipped == 2  # on request


# --- names, proxies


def test_unresolved_name_is_offline(start):
    device = start(f"http://{RESOLVING}", total=3)
    device.record()
    begun = time.monotonic()
    report = device.ship()
    assert time.monotonic() - begun < 6
    # The second message is for a slow resolver on this machine.
    assert report.message in {
        f"the name {RESOLVING} was not found",
        "timed out before anything was sent",
    }
    assert_offline(device, report, report.message)


@pytest.fixture
def hung_resolver(monkeypatch):
    """Let the system's resolver hang for one name while the test lasts."""
    over, real = threading.Event(), socket.getaddrinfo

    def resolve(host, *arguments, **options):
        if host == RESOLVING:
            over.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield
    over.set()
    for thread in senders():
        thread.join(10)


@pytest.mark.usefixtures("hung_resolver")
def test_hanging_resolver_ends_at_the_total(start):
    device = start(f"http://{RESOLVING}", total=0.2)
    device.record()
    begun = time.monotonic()
    assert_offline(device, device.ship(), "timed out before anything was sent")
    assert_offline(device, device.ship(), "timed out before anything was sent")
    assert time.monotonic() - begun < 3
    assert [one.times for one in attempts(device.path)] == [2]


@pytest.mark.usefixtures("hung_resolver")
def test_hanging_resolver_keeps_few_threads(start):
    device = start(f"http://{RESOLVING}", total=0.03)
    device.record()
    for _ in range(12):
        assert device.ship().stopped_by == "offline"
    assert len(senders()) <= 4
    assert [one.times for one in attempts(device.path)] == [12]


def test_hanging_thread_allows_exit(path):
    program = f"""
import socket, time
socket.getaddrinfo = lambda *arguments, **options: time.sleep(600)
from recorder import HttpTransport, Journal, Recorder, Shipper
journal = Journal({str(path)!r}, token="T")
Recorder("T", journal).people_set("ada", {{"plan": "pro"}})
print(Shipper(journal, HttpTransport(url="http://{RESOLVING}", total=0.2)).ship().message)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("timed out before anything was sent\n", "", 0)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("given", ["session", "environment"])
def test_refusing_proxy_is_offline(start, session, monkeypatch, scheme, given):
    proxy = f"http://127.0.0.1:{closed_port()}"
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    if given == "session":
        session.proxies = {scheme: proxy}
    else:
        monkeypatch.setenv(f"{scheme}_proxy", proxy)
    device = start(f"{scheme}://service.test", session=session if given == "session" else None)
    device.record()
    for _ in range(3):  # a request first, then only connections
        assert_offline(device, device.ship(), "the proxy could not be used: connection refused")
    assert [one.times for one in attempts(device.path)] == [3]


@pytest.mark.parametrize(
    ("status", "reason"), [(407, "Proxy Authentication Required"), (502, "Bad Gateway")], ids=[407, 502]
)
def test_failing_tunnel_is_offline(start, session, status, reason):
    """A proxy that opens no tunnel is offline, and its answer is the cause."""
    refusal = answer(status, PAGE, keep=False)
    with RawService(*[refusal] * 3) as proxy:
        session.proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
        device = start("https://service.test", session=session)
        device.record()
        for _ in range(3):
            assert_offline(device, device.ship(), f"the proxy answered {status} {reason}")
        assert [request.method for request in proxy.requests] == ["CONNECT"] * 3
    assert [one.times for one in attempts(device.path)] == [3]


def test_proxys_words_are_one_line(start, session):
    refusal = answer(502, b"", keep=False).replace(b"Bad Gateway", b"\x1b[31mBad\x07 Gateway")
    with RawService(refusal, refusal) as proxy:
        session.proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
        device = start("https://service.test", session=session)
        device.record()
        for _ in range(2):
            assert_offline(device, device.ship(), "the proxy answered 502 [31mBad Gateway")
        assert [one.times for one in attempts(device.path)] == [2]


@pytest.mark.parametrize(("status", "check"), [(407, assert_paused), (502, assert_in_doubt)])
def test_plain_proxys_answer_counts(start, session, status, check):
    """Without TLS the proxy had the request: 407 lacked a password, 502 may have come too late."""
    with RawService(answer(status, PAGE)) as proxy:
        session.proxies = {"http": f"http://127.0.0.1:{proxy.port}"}
        device = start("http://service.test", session=session)
        device.record()
        check(device, device.ship(), f"HTTP {status}")
        assert proxy.requests[0].target == "http://service.test/engage?verbose=1&ip=0"


# --- TLS failures before and after the request


def close_first(wire):
    wire.socket.recv(10_000)
    return True


def reset_first(wire):
    wire.socket.recv(10_000)
    wire.reset()
    return True


def talk_otherwise(wire):
    wire.socket.recv(10_000)
    wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    return True


@pytest.mark.parametrize(
    ("greeting", "cause"),
    [
        (close_first, "the encrypted connection failed"),
        (reset_first, "the connection was reset"),
        (talk_otherwise, "(no TLS at that port?)"),
    ],
)
def test_tls_failure_before_request_is_offline(start, trusting, context, greeting, cause):
    with RawService(tls=context, greeting=greeting) as service:
        device = start(service.url, session=trusting)
        device.record()
        for _ in range(2):
            assert_offline(device, device.ship(), cause)
    assert [one.times for one in attempts(device.path)] == [2]


@pytest.mark.parametrize("limits", [{"timeout": (0.2, 30)}, {"total": 0.2, "timeout": (30, 30)}])
def test_endless_handshake_is_offline(start, trusting, context, limits):
    """A handshake that never ends is offline, and leaves no thread waiting."""
    with RawService(tls=context, greeting=lambda wire: wire.service.closing.wait(30)) as service:
        device = start(service.url, session=trusting, **limits)
        device.record()
        for _ in range(2):
            assert_offline(device, device.ship(), "timed out before anything was sent")
            eventually(lambda: not senders(), 5)


def dated(authority, first, last):
    """Issue a certificate that is valid from so many days from now to so many."""
    now = datetime.now(UTC)
    return authority.issue_cert(
        "127.0.0.1", not_before=now + timedelta(days=first), not_after=now + timedelta(days=last)
    )


@pytest.mark.parametrize(
    ("issue", "reason"),
    [
        (lambda ours: dated(ours, -60, -7), "certificate has expired (this device's clock says 20"),
        (lambda ours: dated(ours, 7, 60), "certificate is not yet valid (this device's clock says 20"),
        (
            lambda ours: ours.issue_cert("elsewhere.test"),
            "mismatch, certificate is not valid for '127.0.0.1'",
        ),
        (lambda _: trustme.CA().issue_cert("127.0.0.1"), "unable to get local issuer certificate"),
    ],
)
def test_unaccepted_certificate_has_its_reason(start, trusting, authority, issue, reason):
    """OpenSSL tells apart what a person must mend: the clock, the proxy, the network."""
    with RawService(tls=server_context(issue(authority))) as service:
        device = start(service.url, session=trusting)
        device.record()
        for _ in range(2):
            assert_offline(device, device.ship(), "the service's certificate was not accepted: ")
            assert reason in people(device.path).cause
        assert service.requests == []


def close_after(_wire, _request):
    pass


def reset_after(wire, _request):
    wire.reset()


def break_the_encryption_after(wire, _request):
    socket.socket.sendall(wire.socket, b"HTTP/1.1 400 Bad Request\r\n\r\n")  # past the TLS


@pytest.mark.parametrize(
    ("turn", "cause"),
    [
        (close_after, "closed without an answer"),
        (reset_after, "the connection was"),  # Python cannot always tell a reset from an end, under TLS
        (break_the_encryption_after, "the encrypted connection failed"),
    ],
)
def test_tls_failure_after_request_in_doubt(start, trusting, context, turn, cause):
    with RawService(turn, tls=context) as service:
        device = start(service.url, session=trusting)
        device.record(2)
        assert_in_doubt(device, device.ship(), cause)
        assert service.sizes == [2]


# --- answers that drip, answers that are cut


def drip_headers(wire, _request):
    wire.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Nothing: at all\r\n" * 80)


def drip_body(wire, _request):
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    wire.drip(b" ")


def drip_body_without_a_length(wire, _request):
    wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
    wire.drip(b" ")


def drip_a_chunks_head(wire, _request):
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1;")
    wire.drip(b"x")


DRIPS = [drip_headers, drip_body, drip_body_without_a_length, drip_a_chunks_head]


@pytest.mark.parametrize("turn", DRIPS)
@pytest.mark.parametrize("scheme", sampled(["https", "http"], 2))
def test_dripping_answer_ends_at_the_total(start, trusting, context, turn, scheme):
    """An answer that drips is given up at the total, and no thread reads on."""
    with RawService(turn, tls=context if scheme == "https" else None) as service:
        device = start(service.url, session=trusting, total=0.3)
        device.record()
        begun = time.monotonic()
        assert_in_doubt(device, device.ship(), "timed out after the request had left")
        assert time.monotonic() - begun < 2
        assert service.cut_off.wait(5)
        eventually(lambda: not senders(), 5)


def test_dripping_tunnel_ends_at_the_total(start, session):
    def drip(wire, _request):
        wire.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Nothing: at all\r\n" * 80)

    with RawService(drip, drip) as proxy:
        session.proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
        device = start("https://service.test", session=session, total=0.3)
        device.record()
        for _ in range(2):
            assert_offline(device, device.ship(), "timed out before anything was sent")
            assert proxy.cut_off.wait(5)
            proxy.cut_off.clear()
        eventually(lambda: not senders(), 5)


def slow(release):
    """Return a turn that drips until it is released, and then answers."""

    def turn(wire, _request):
        whole = answer()
        for place in range(3):
            wire.send(whole[place : place + 1])
            wire.service.closing.wait(0.02)
        while not release.wait(0.02):
            if wire.service.closing.is_set():
                return False
        wire.send(whole[3:])
        return True

    return turn


def test_flush_timeout_leaves_request_running(path, journal):
    """A flush out of time returns, and its request is settled later."""
    release = threading.Event()
    with RawService(slow(release)) as service, Recorder("T", journal, url=service.url) as recorder:
        recorder.people_increment("ada", {"visits": 1})
        begun = time.monotonic()
        report = recorder.flush(timeout=0.2)
        assert time.monotonic() - begun < 1.5
        assert (report.stopped_by, report.shipped, report.pending) == ("timeout", 0, 1)
        assert states(path) == {"sending": 1}
        release.set()
        eventually(lambda: states(path) == {"shipped": 1})


def test_close_timeout_leaves_request_running(path, journal):
    """A close out of time returns, and its request is settled later."""
    release = threading.Event()
    with RawService(slow(release)) as service:
        recorder = Recorder("T", journal, url=service.url, background=True)
        recorder.people_increment("ada", {"visits": 1})
        eventually(lambda: service.requests)
        begun = time.monotonic()
        recorder.close(timeout=0.3)
        assert time.monotonic() - begun < 1.5
        assert states(path) == {"sending": 1}
        release.set()
        eventually(lambda: states(path) == {"shipped": 1})


def test_closed_journal_leaves_in_doubt(path, start):
    """A close out of time that closes the journal, too, leaves its request in doubt."""
    with RawService(slow(threading.Event())) as service:
        recorder = Recorder("T", path, url=service.url, background=True)
        recorder.people_increment("ada", {"visits": 1})
        eventually(lambda: service.requests)
        begun = time.monotonic()
        recorder.close(timeout=0.3)
        assert time.monotonic() - begun < 1.5
        assert states(path) == {"sending": 1}
        device = start(service.url)
        assert device.ship().stopped_by == "busy"  # the request is still under way
        assert service.sizes == [1]
    eventually(lambda: device.ship().stopped_by == "waiting")
    assert states(path) == {"in_doubt": 1}


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CUTS = {
    "length": (HEAD + b'Content-Length: 28\r\n\r\n{"status": 1', "the answer was cut"),
    "nothing of it": (HEAD + b"Content-Length: 28\r\n\r\n", "the answer was cut"),
    "until the end": (HEAD + b'Connection: close\r\n\r\n{"stat', "not the service's, or was cut"),
    "chunk": (HEAD + b'Transfer-Encoding: chunked\r\n\r\n1c\r\n{"status": 1', "the answer was cut"),
    "last chunk": (
        HEAD + b'Transfer-Encoding: chunked\r\n\r\n1c\r\n{"status": 1, "error": null}\r\n',
        "the answer was cut",
    ),
    "head": (b"HTTP/1.1 200", ""),
    "empty": (b"", "closed without an answer"),
}


@pytest.mark.parametrize("cut", CUTS)
def test_cut_answer_is_in_doubt(start, cut):
    sent, cause = CUTS[cut]
    with RawService(lambda wire, _: wire.send(sent)) as service:
        device = start(service.url)
        device.record()
        assert_in_doubt(device, device.ship(), cause)


# --- Retry-After

DATES = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry_After": "Wed, 21 Oct 2015 07:30:00 GMT"}
ASKS = {
    "429 in seconds": answer(429, b"slow down", kind="text/plain", Retry_After="120"),
    "429 as a date, by a clock years off": answer(429, b"", **DATES),
    "503 in seconds, from anybody": answer(503, PAGE, kind="text/html", Retry_After="120"),
    "503 as a date": answer(503, PAGE, kind="text/html", **DATES),
}


@pytest.mark.parametrize("asked", ASKS)
def test_retry_after_is_kept(start, time_given, asked):
    """Explicit calls, restarts and turned clocks do not shorten what the service asked for."""
    with RawService(ASKS[asked]) as service:
        device = start(service.url)
        device.record(2)
        report = device.ship()
        assert (report.stopped_by, report.pending) == ("waiting", 2)
        assert report.retry_at == time_given.wall + 120
        assert people(device.path).outcome is AttemptOutcome.WAIT
        assert states(device.path) == {"pending": 2}

        assert device.ship().stopped_by == "waiting"
        device = start(service.url)
        again = device.ship()
        assert (again.stopped_by, again.message, again.requests) == ("waiting", report.message, 0)
        for hours in (-30, 70):
            time_given.wall += hours * 3600
            assert device.ship().requests == 0
        time_given.go_by(119)
        assert device.ship().requests == 0
        time_given.go_by(1.5)
        assert device.ship() == ShipReport(shipped=2, requests=1)
        assert service.sizes == [2, 2]


def test_retry_after_ends_at_a_day(start, time_given):
    with RawService(answer(429, b"", Retry_After="31536000")) as service:
        device = start(service.url)
        device.record()
        assert device.ship().retry_at == time_given.wall + 86_400
        time_given.go_by(86_399)
        assert device.ship().requests == 0
        time_given.go_by(2)
        assert device.ship().shipped == 1


def test_retry_after_counts_from_a_reboot(start, time_given):
    with RawService(ASKS["429 in seconds"]) as service:
        device = start(service.url)
        device.record()
        device.ship()
        time_given.now = Uptime("tuesday", 20.0)
        device = start(service.url)
        assert device.ship().requests == 0
        time_given.go_by(99)
        assert device.ship().requests == 0
        time_given.go_by(2)
        assert device.ship().shipped == 1


def test_retry_after_binds_other_processes(path, journal):
    with RawService(answer(429, b"", Retry_After="3600")) as service:
        with Recorder("T", journal) as recorder:
            recorder.people_increment("ada", {"visits": 1})
        assert Shipper(journal, HttpTransport(url=service.url)).ship().stopped_by == "waiting"
        program = f"""
from recorder import HttpTransport, Journal, Shipper
report = Shipper(Journal({str(path)!r}), HttpTransport(url={service.url!r})).ship()
print(report.stopped_by, report.message, report.requests)
"""
        ended = subprocess.run(
            [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
        )
        assert (ended.stdout, ended.stderr) == ("waiting HTTP 429 0\n", "")
        assert len(service.requests) == 1


def test_service_503_waits_for_back_off(start, time_given):
    """A 503 in the service's own words waits for the back-off alone."""
    with RawService(answer(503, said_0("overloaded"))) as service:
        device = start(service.url)
        device.record()
        report = device.ship()
        assert (report.stopped_by, report.message) == ("waiting", "HTTP 503: overloaded")
        assert (report.in_doubt, report.retry_at) == (0, time_given.wall + 1)
        assert states(device.path) == {"pending": 1}
        assert device.ship().shipped == 1  # an explicit call skips a back-off


def test_unknown_503_is_in_doubt(start):
    with RawService(answer(503, PAGE, kind="text/html")) as service:
        device = start(service.url)
        device.record()
        assert_in_doubt(device, device.ship(), "HTTP 503")


# --- a storm of 500s


def test_server_errors_shrink_requests(start, time_given):
    """In a storm of 500s requests shrink, nothing is lost, and only increments may apply twice."""
    policy = ShippingPolicy(batch_updates=8, settle_after=30)
    with RawService(*[answer(500, b"boom")] * 9) as service:
        device = start(service.url, policy=policy)
        for n in range(8):
            device.recorder.people_set(f"p{2 * n}", {"plan": "pro"})
            device.recorder.people_increment(f"p{2 * n + 1}", {"visits": 1})
        for failures in range(1, 10):
            report = device.ship()
            assert (report.stopped_by, report.requests) == ("waiting", 1)
            assert people(device.path).failures == failures
            assert report.retry_at == time_given.wall + 2 ** (failures - 1)
            device = start(service.url, policy=policy)
        assert service.sizes == [8] + [1] * 8
        assert states(device.path) == {"in_doubt": 16}

        report = device.ship()  # the back-off is skipped, but the wait of entries in doubt is not
        assert (report.requests, report.stopped_by) == (0, "waiting")
        time_given.go_by(29)
        assert device.ship().requests == 0
        time_given.go_by(2)
        assert device.ship() == ShipReport(shipped=16, requests=5)
        assert service.sizes[9:] == [1, 4, 3, 4, 4]
    assert states(device.path) == {"shipped": 16}
    sent_again = [update for request in service.requests[9:] for update in request.updates]
    assert {update["$distinct_id"] for update in sent_again} == {f"p{n}" for n in range(16)}
    assert {entry.operator for entry in entries(device.path) if entry.possibly_twice} == {"$add"}
    with JournalReader(device.path) as reader:
        assert reader.counts().possibly_twice == 8


def test_back_off_outlasts_the_app(start, time_given):
    events = []
    policy = ShippingPolicy(batch_updates=1)
    with RawService(*[answer(500, b"boom")] * 3) as service:
        device = start(service.url, policy=policy)
        device.record(4)
        for _ in range(3):
            device.ship()
        device = start(service.url, policy=policy, on_event=events.append)
        with device.running():
            eventually(lambda: events)
            assert (events[0].stopped_by, events[0].requests) == ("waiting", 0)
            assert service.sizes == [1, 1, 1]
            time_given.go_by(4)
            eventually(lambda: states(device.path) == {"in_doubt": 3, "shipped": 1})
    assert people(device.path).failures == 0


# --- a wrong token


@pytest.mark.parametrize("status", sampled([200, 400], 2))
def test_new_token_resumes_the_lane(start, status):
    """A wrong token pauses the lane, and another one makes all entries due at once."""
    events = []
    with RawService(answer(status, said_0("$token, invalid"))) as service:
        device = start(service.url, on_event=events.append)
        device.record(3)
        assert_paused(device, device.ship(), "$token, invalid")
        with device.running():
            eventually(lambda: [one for one in events if isinstance(one, ShipReport)])
            assert service.sizes == [3]  # no retry by itself: nothing has changed
            device.journal.change_token("MENDED")
            eventually(lambda: states(device.path) == {"shipped": 3})
        assert service.sizes == [3, 3]
        tokens = [{update["$token"] for update in request.updates} for request in service.requests]
        assert tokens == [{"T"}, {"MENDED"}]


# --- the probe


@pytest.fixture
def offline(start):
    """Device that found no service, with three entries."""

    def begin(**options):
        device = start(f"http://127.0.0.1:{closed_port()}", **options)
        device.record(3)
        assert device.ship().stopped_by == "offline"
        return device

    return begin


def test_outage_writes_one_row(offline):
    device = offline()
    for _ in range(5):
        report = device.ship()
        assert report.requests == 0
        assert_offline(device, report, "connection refused")
    (only,) = attempts(device.path)
    assert (only.times, only.outcome) == (6, AttemptOutcome.OFFLINE)


def test_probe_connects_before_claiming(start, offline, trusting, context):
    device, seen = offline(), []

    def look(_wire):  # in the middle of the handshake
        seen.append((states(device.path), [one.outcome for one in attempts(device.path)]))

    with RawService(tls=context, greeting=look) as service:
        device = start(service.url, session=trusting)
        assert device.ship().shipped == 3
        assert seen == [({"pending": 3}, [AttemptOutcome.OFFLINE])]
        assert service.connections == 1


@pytest.mark.parametrize("own", [True, False], ids=["its-own-session", "a-users-session"])
def test_request_uses_the_probed_connection(start, offline, session, own):
    offline()
    with RawService() as service:
        device = start(service.url, session=None if own else session)
        assert device.transport.reach(Lane.PEOPLE) is None
        eventually(lambda: service.connections == 1)  # it is open before anything is sent
        assert service.requests == []
        assert device.ship().shipped == 3
        assert (service.connections, service.sizes) == (1, [3])


def test_request_uses_the_probed_proxy(start, offline, session):
    offline()
    with RawService() as proxy:
        session.proxies = {"http": f"http://127.0.0.1:{proxy.port}"}
        assert start("http://service.test", session=session).ship().shipped == 3
        assert (proxy.connections, proxy.sizes) == (1, [3])


def test_request_uses_the_probed_tunnel(start, offline, trusting, context):
    offline()
    with RawService(tls=context) as service, RawService(tunnel_to=service.port) as proxy:
        trusting.proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
        assert start("https://service.test", session=trusting).ship().shipped == 3
        assert (proxy.connections, service.connections, service.sizes) == (1, 1, [3])


def carriers():
    return [each for each in gc.get_objects() if isinstance(each, Carrier)]


def test_tls_tickets_keep_probed_connection(start, offline, trusting, authority, monkeypatch):
    """TLS 1.3 servers send tickets unasked, and urllib3 drops a pooled connection that can be read."""
    monkeypatch.setattr(connections, "_IDLE", 60)
    offline()
    earlier = carriers()  # of another test, perhaps to the same port
    with RawService(tls=server_context(authority.issue_cert("127.0.0.1"))) as service:
        device = start(service.url, session=trusting)
        assert device.transport.reach(Lane.PEOPLE) is None
        (probed,) = (each for each in carriers() if each not in earlier)
        assert select.select([probed.sock], [], [], 10)[0]  # they are there
        assert device.ship().shipped == 3
        assert service.connections == 1


def test_probe_trusts_requests_own_bundle(start, offline, monkeypatch, trusted, context):
    """By default requests trusts its own bundle; urllib3 alone would trust the system's."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", trusted)
    offline()
    with RawService(tls=context) as service:
        assert start(service.url).ship().shipped == 3
        assert service.connections == 1


def test_probe_trusts_the_environments_bundle(start, offline, monkeypatch, trusted, context):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted)
    offline()
    with RawService(tls=context) as service:
        assert start(service.url).ship().shipped == 3
        assert service.connections == 1


def test_probe_uses_an_adapters_context(start, offline, session, authority, context):
    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *arguments, **options):
            own = requests.packages.urllib3.util.create_urllib3_context()
            authority.configure_trust(own)
            super().init_poolmanager(*arguments, ssl_context=own, **options)

    session.mount("https://", Adapter())
    offline()
    with RawService(tls=context) as service:
        assert start(service.url, session=session).ship().shipped == 3
        assert service.connections == 1


def test_probe_keeps_no_adapter_back(start, offline, session, trusted, context):
    """An adapter may send in its own way, which a probe cannot know."""

    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, request, **options):
            options["verify"] = trusted
            return super().send(request, **options)

    session.mount("https://", Adapter())
    offline()
    with RawService(tls=context) as service:
        assert start(service.url, session=session).ship().shipped == 3


@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize("own", [True, False], ids=["its-own-session", "a-users-session"])
def test_idle_connection_is_closed_first(start, session, idle, own, monkeypatch):
    """After 5 idle seconds the other side may have gone unnoticed."""
    monkeypatch.setattr(connections, "_IDLE", -1.0 if idle else 60.0)
    with RawService() as service:
        device = start(service.url, session=None if own else session)
        for _ in range(2):
            device.record()
            assert device.ship().shipped == 1
        assert service.connections == (2 if idle else 1)


def test_probe_closes_an_idle_connection(start, monkeypatch):
    """The service is gone since then, and only opening a new connection shows it."""
    monkeypatch.setattr(connections, "_IDLE", -1.0)
    with RawService() as service:
        device = start(service.url)
        device.record()
        device.ship()
        assert device.transport.reach(Lane.PEOPLE) is None
        eventually(lambda: service.connections == 2)


# --- imports


def test_import_credentials_stay_unwritten(path):
    """Credentials for imports go to the service, and not into the journal."""
    imported = answer(200, b'{"code":200,"num_records_imported":1,"status":"OK"}')
    event = {"event": "opened", "properties": {"distinct_id": "ada", "$insert_id": "1"}}
    with (
        RawService(imported) as service,
        Journal(path, token="T") as journal,
        JournalConsumer(journal) as consumer,
    ):
        consumer.send("imports", json.dumps(event))
        transport = HttpTransport(url=service.url, import_credentials=("some user", "a secret", "47 11"))
        assert Shipper(journal, transport).ship().shipped == 1
        (request,) = service.requests
        assert request.target == "/import?verbose=1&ip=0&project_id=47%2011"
        assert request.headers["authorization"] == "Basic c29tZSB1c2VyOmEgc2VjcmV0"
        written = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
    assert b"opened" in written
    for secret in (b"some user", b"a secret", b"c29tZSB1c2VyOmEgc2VjcmV0", b"47 11", b"47%2011"):
        assert secret not in written
