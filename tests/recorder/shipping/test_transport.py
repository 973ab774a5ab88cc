"""HTTP transport: whether a request left is measured, with failing sockets on 127.0.0.1."""

import gzip
import hashlib
import io
import json
import re
import socket
import struct
import threading
import time
from contextlib import contextmanager

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase
from urllib3 import Retry
from urllib3.exceptions import ProtocolError

from recorder import HttpTransport, Lane
from recorder.model.entries import AttemptOutcome
from recorder.model.errors import ShippingError
from recorder.shipping.verdicts import judge
from simulator.service.server import Service
from tests.services import RawService, answer, closed_port, eventually, said_0

BODY = b'[{"$token":"T","$distinct_id":"ada","$set":{"a":1}}]'


@contextmanager
def listening(serve):
    """Hand each connection of a listening socket to `serve`, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        done = threading.Event()

        def accept():
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(10)
                    serve(connection, done)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            done.set()
            thread.join(10)


def assert_no_sender_is_left():
    """Check that a request given up ends by itself."""
    senders = [thread for thread in threading.enumerate() if thread.name == "restante-send"]
    for sender in senders:
        sender.join(5)
    assert not any(sender.is_alive() for sender in senders)


def read_request(connection):
    data = b""
    while BODY not in data:
        data += connection.recv(65_536)
    return data


def test_closed_port_lets_nothing_leave():
    answer = HttpTransport(url=f"http://127.0.0.1:{closed_port()}").send(Lane.PEOPLE, BODY)
    assert (answer.left, answer.error) == (False, "connection refused")


def test_unknown_name_lets_nothing_leave():
    answer = HttpTransport(url="http://restante.invalid").send(Lane.PEOPLE, BODY, timeout=20)
    assert not answer.left
    assert judge(answer).outcome is AttemptOutcome.OFFLINE


def test_refusing_proxy_lets_nothing_leave():
    session = requests.Session()
    session.proxies = {"http": f"http://127.0.0.1:{closed_port()}"}
    answer = HttpTransport(url="http://service.test", session=session).send(Lane.PEOPLE, BODY)
    assert not answer.left
    session.close()


def test_request_read_and_reset_has_left():
    def reset(connection, _):
        read_request(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with listening(reset) as url:
        answer = HttpTransport(url=url).send(Lane.PEOPLE, BODY)
    assert (answer.left, answer.status) == (True, None)
    assert judge(answer).outcome is AttemptOutcome.UNKNOWN


def test_request_never_answered_has_left():
    with listening(lambda connection, _: read_request(connection)) as url:
        answer = HttpTransport(url=url).send(Lane.PEOPLE, BODY)
    assert (answer.left, answer.error) == (True, "the connection was closed without an answer")


def test_failed_handshake_lets_nothing_leave():
    with listening(lambda connection, _: connection.recv(100)) as url:
        answer = HttpTransport(url=url.replace("http", "https")).send(Lane.PEOPLE, BODY)
    assert not answer.left


@pytest.mark.parametrize(
    "answered", [b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"stat', b"HTTP/1.1 200"]
)
def test_cut_answer_is_unknown(answered):
    def cut(connection, _):
        read_request(connection)
        connection.sendall(answered)

    with listening(cut) as url:
        answer = HttpTransport(url=url).send(Lane.PEOPLE, BODY)
    assert answer.left
    assert judge(answer).outcome is AttemptOutcome.UNKNOWN


def test_half_answer_without_length_is_unknown():
    def cut(connection, _):
        read_request(connection)
        connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"stat')

    with listening(cut) as url:
        answer = HttpTransport(url=url).send(Lane.PEOPLE, BODY)
    assert answer.status == 200
    assert judge(answer).outcome is AttemptOutcome.UNKNOWN


def test_dripping_answer_ends_at_the_total():
    def drip(connection, done):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not done.wait(0.05):
            try:
                connection.sendall(b" ")
            except OSError:
                return

    with listening(drip) as url:
        begun = time.monotonic()
        answer = HttpTransport(url=url, total=0.5).send(Lane.PEOPLE, BODY)
        took = time.monotonic() - begun
        assert_no_sender_is_left()  # though the answer drips on
    assert (answer.left, answer.status) == (True, None)
    assert took < 5
    assert judge(answer).words == "timed out after the request had left"


def test_sending_takes_longer_than_connecting():
    """A slow line may take as long as the whole request has: the body fits no buffer on the way."""
    body = b"[" + b" " * 16_000_000 + b"]"

    def slow(connection, done):
        done.wait(0.4)
        while part := connection.recv(1_000_000):
            if part.endswith(b"]"):
                connection.sendall(answer())

    with listening(slow) as url:
        sent = HttpTransport(url=url, timeout=(0.1, 10)).send(Lane.PEOPLE, body)
    assert (sent.status, sent.error) == (200, "")


def test_nothing_leaves_after_a_timeout():
    """A thread given up during name resolution sends no request once the name is resolved."""
    resolving, go_on, received = threading.Event(), threading.Event(), []
    real = socket.getaddrinfo

    def slow(*arguments, **options):
        resolving.set()
        go_on.wait(10)
        return real(*arguments, **options)

    def receive(connection, _):
        while data := connection.recv(10_000):
            received.append(data)

    with listening(receive) as url:
        transport = HttpTransport(url=url)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", slow)
            answer = transport.send(Lane.PEOPLE, BODY, timeout=0.3)
            assert resolving.is_set()
            go_on.set()
            worker = next(thread for thread in threading.enumerate() if thread.name == "restante-send")
            worker.join(10)
    assert (answer.left, answer.error) == (False, "timed out before anything was sent")
    assert BODY not in b"".join(received)


def test_redirect_is_not_followed():
    followed = []

    def redirect(connection, _):
        followed.append(read_request(connection))
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/login\r\nContent-Length: 0\r\n\r\n"
        )

    with listening(redirect) as url:
        answer = HttpTransport(url=url).send(Lane.PEOPLE, BODY)
    assert (answer.status, answer.headers["location"], len(followed)) == (302, "http://127.0.0.1:1/login", 1)


def test_redirect_body_is_read_in_part():
    """Read whole, as `requests` does, a portal's redirect could fill the memory."""
    flooded = []

    def flood(wire, _request):
        wire.send(b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n")
        while not wire.service.closing.is_set():
            try:
                flooded.append(wire.socket.send(b"x" * 100_000))
            except OSError:
                return

    with RawService(flood) as service:
        reply = HttpTransport(url=service.url, total=5).send(Lane.PEOPLE, BODY)
    assert (reply.status, len(reply.body)) == (302, 65_536)
    assert sum(flooded) < 50_000_000  # as much as fits in the buffers on the way


def test_answer_is_read_to_64_kilobytes():
    def flood(connection, _):
        read_request(connection)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 1_000_000)
        except OSError:
            return

    with listening(flood) as url:
        answer = HttpTransport(url=url).send(Lane.PEOPLE, BODY)
    assert len(answer.body) == 65_536


def test_server_error_is_not_repeated():
    seen = []

    def fail(connection, _):
        seen.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")

    with listening(fail) as url:
        HttpTransport(url=url).send(Lane.PEOPLE, BODY)
    assert len(seen) == 1


def test_session_that_retries_sends_once():
    seen = []

    def fail(connection, _):
        seen.append(read_request(connection) if not seen else connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    session = requests.Session()
    retries = Retry(total=2, status_forcelist=[503], allowed_methods=None, backoff_factor=0)
    session.mount("http://", HTTPAdapter(max_retries=retries))
    with listening(fail) as url:
        answer = HttpTransport(url=url, session=session).send(Lane.PEOPLE, BODY)
    session.close()
    assert b"".join(seen).count(BODY) == 1
    assert (answer.left, answer.status, answer.error) == (True, None, "the session tried to send it again")
    assert judge(answer).outcome is AttemptOutcome.UNKNOWN


def test_request_without_a_thread_is_sent(monkeypatch):
    """Python 3.12.0 to 3.12.2 start no thread as the interpreter ends."""

    def start(thread):
        if thread.name == "restante-send":
            raise RuntimeError("can't create new thread at interpreter shutdown")
        real(thread)

    real = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    with RawService() as service:
        transport = HttpTransport(url=service.url)
        assert judge(transport.send(Lane.PEOPLE, BODY)).outcome is AttemptOutcome.SHIPPED
        transport.close()


@pytest.mark.parametrize("interim", ["102 Processing\r\n\r\n", "103 Early Hints\r\nLink: x\r\n\r\n"])
def test_interim_answers_are_read_over(interim):
    """An interim answer taken for the final one would leave that to the next request."""
    refusal = answer(400, said_0("$append, wrong"))
    interims = 2 * f"HTTP/1.1 {interim}".encode()
    with RawService(interims + answer(), refusal) as service:
        transport = HttpTransport(url=service.url)
        outcomes = [judge(transport.send(Lane.PEOPLE, BODY)).outcome for _ in range(2)]
        transport.close()
    assert outcomes == [AttemptOutcome.SHIPPED, AttemptOutcome.REFUSED]
    assert service.connections == 1


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
ONE = b"1\r\n1\r\n0\r\n"


@pytest.mark.parametrize(
    "odd",
    [
        answer() + answer(),
        answer() + b"more",
        answer().replace(b"Length: 28", b"Length: 27"),
        answer(204, b"1"),
        answer(502, b"<html>"),
        answer(421, b""),
        answer(200, b"page", Content_Encoding="gzip"),
        CHUNKED + b"\r\n" + ONE + b"\r\n" + answer(),
        CHUNKED + b"Content-Length: 1\r\n\r\n" + ONE + b"\r\n",
        answer().replace(b"Content-Type", b"Content-Length: 1\r\nContent-Type"),
        b"1" + answer(),
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nhi" + answer(),
    ],
)
def test_odd_answer_ends_the_connection(odd):
    """Bytes left over would be the next request's answer."""
    refusal = answer(400, said_0("$append, wrong"))
    with RawService(odd, refusal) as service:
        transport = HttpTransport(url=service.url)
        transport.send(Lane.PEOPLE, BODY)
        assert judge(transport.send(Lane.PEOPLE, BODY)).words == "$append, wrong"
        transport.close()
    assert service.connections == 2


@pytest.mark.parametrize(
    "usual", [answer(), answer(400, said_0("odd")), CHUNKED + b"\r\n" + ONE + b"Digest: x\r\n\r\n"]
)
def test_usual_answer_keeps_the_connection(usual):
    with RawService(usual) as service:
        transport = HttpTransport(url=service.url)
        assert all(transport.send(Lane.PEOPLE, BODY).status for _ in range(2))
        transport.close()
    assert service.connections == 1


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "199 Odd"])
def test_interim_answer_alone_is_none(interim):
    with RawService(f"HTTP/1.1 {interim}\r\nConnection: close\r\n\r\n".encode()) as service:
        transport = HttpTransport(url=service.url)
        assert judge(transport.send(Lane.PEOPLE, BODY)).outcome is AttemptOutcome.UNKNOWN
        assert judge(transport.send(Lane.PEOPLE, BODY)).outcome is AttemptOutcome.SHIPPED
        transport.close()


@pytest.mark.parametrize("status", [400, 403])
def test_wrongly_encoded_page_keeps_its_status(status):
    with RawService(answer(status, b"<html>", Content_Encoding="gzip")) as service:
        answered = HttpTransport(url=service.url).send(Lane.PEOPLE, BODY)
    assert (answered.status, answered.body) == (status, b"")


class OwnAdapter(HTTPAdapter):
    """An adapter of an app's own, whose connections nobody knows."""

    def send(self, request, **options):
        return super().send(request, **options)


def test_interim_answer_ends_unknown_connections(monkeypatch):
    """Such an adapter takes an interim answer for the final one; the connection ends with it."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")

    def late(wire, _):
        wire.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        eventually(lambda: len(service.requests) > 1)
        wire.send(answer())
        return True

    with RawService(late, answer(400, said_0("odd"))) as service, requests.Session() as session:
        session.mount("http://", OwnAdapter())
        transport = HttpTransport(url=service.url, session=session)
        outcomes = [judge(transport.send(Lane.PEOPLE, BODY)).outcome for _ in range(2)]
    assert outcomes == [AttemptOutcome.UNKNOWN, AttemptOutcome.REFUSED]
    assert service.connections == 2


def test_switched_protocols_end_the_connection():
    with RawService(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + answer()) as service:
        transport = HttpTransport(url=service.url)
        first, second = (transport.send(Lane.PEOPLE, BODY) for _ in range(2))
        transport.close()
    assert (first.left, first.status) == (True, None)
    assert judge(first).outcome is AttemptOutcome.UNKNOWN
    assert judge(second).outcome is AttemptOutcome.SHIPPED
    assert service.connections == 2


def test_reach_opens_the_connection_that_sends():
    with RawService() as service:
        transport = HttpTransport(url=service.url)
        assert [transport.reach(Lane.PEOPLE), transport.reach(Lane.EVENTS)] == [None, None]
        eventually(lambda: service.connections == 1)
        assert judge(transport.send(Lane.PEOPLE, BODY)).outcome is AttemptOutcome.SHIPPED
        assert (service.connections, len(service.requests)) == (1, 1)
        transport.close()


@pytest.mark.parametrize(
    ("url", "proxy", "listens"),
    [
        ("http://127.0.0.1:{port}", "", False),
        ("https://127.0.0.1:{port}", "", False),
        ("https://127.0.0.1:{port}", "", True),
        ("http://service.test", "http://127.0.0.1:{port}", False),
        ("https://service.test", "http://127.0.0.1:{port}", False),
        ("https://service.test", "http://127.0.0.1:{port}", True),
    ],
)
def test_reach_gives_the_cause_of_send(url, proxy, listens):
    """Equal causes share one row in the journal, however long an outage lasts."""

    def close(wire):
        wire.socket.recv(10_000)
        return True

    with RawService(greeting=close) as service, requests.Session() as session:
        port = service.port if listens else closed_port()
        session.trust_env = False
        if proxy:
            session.proxies = {"http": proxy.format(port=port), "https": proxy.format(port=port)}
        transport = HttpTransport(url=url.format(port=port), session=session)
        cause = transport.reach(Lane.PEOPLE)
        reply = transport.send(Lane.PEOPLE, BODY)
    assert (reply.left, reply.error) == (False, cause)
    assert cause


def test_reach_ends_at_the_total():
    with RawService(greeting=lambda wire: wire.service.closing.wait(10)) as service:
        url = service.url.replace("http", "https")
        begun = time.monotonic()
        cause = HttpTransport(url=url, total=0.2, timeout=(30, 30)).reach(Lane.PEOPLE)
        assert time.monotonic() - begun < 2
        assert cause == "timed out before anything was sent"
        assert_no_sender_is_left()


def test_session_used_before_opens_anew():
    """Connections that the session opened before cannot be probed without a request."""
    with RawService() as service, requests.Session() as session:
        session.post(service.url, data=b"[]")
        transport = HttpTransport(url=service.url, session=session)
        assert transport.reach(Lane.PEOPLE) is None
        assert judge(transport.send(Lane.PEOPLE, BODY)).outcome is AttemptOutcome.SHIPPED
    assert (service.connections, len(service.requests)) == (2, 2)


def test_reach_trusts_an_unknown_adapter():
    class Elsewhere(BaseAdapter):
        def send(self, request, **_):
            reply = requests.Response()
            reply.status_code, reply.request, reply._content = 200, request, request.body.read() and b"1"
            return reply

        def close(self):
            pass

    with requests.Session() as session:
        session.mount("http://", Elsewhere())
        transport = HttpTransport(url="http://service.test", session=session)
        assert transport.reach(Lane.PEOPLE) is None


class Signing(AuthBase):
    """Puts a digest of the body into a header, as gateways ask for; and may change the body before."""

    def __init__(self, look=bytes, change=None):
        self.look, self.change = look, change

    def __call__(self, request):
        if self.change is not None:
            request.body = self.change(request.body)
        request.headers["X-Digest"] = hashlib.sha256(self.look(request.body)).hexdigest()
        return request


@pytest.mark.parametrize(
    "signing",
    [
        Signing(),
        Signing(look=lambda body: body.read()),
        Signing(change=gzip.compress),
        Signing(look=str.encode, change=bytes.decode),
    ],
    ids=["bytes", "file", "compressed", "text"],
)
@pytest.mark.parametrize("where", ["auth", "send"])
def test_session_may_sign_the_body(signing, where):
    got = []

    def serve(connection, _done):
        head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head.lower())[1])
        while len(body) < length:
            body += connection.recv(65_536)
        got.append((hashlib.sha256(body).hexdigest().encode() in head, len(body) == length))
        connection.sendall(answer())

    class Sending(requests.Session):
        def send(self, request, **options):
            request.prepare_auth(signing)
            return super().send(request, **options)

    with listening(serve) as url, requests.Session() if where == "auth" else Sending() as session:
        if where == "auth":
            session.auth = signing
        said = HttpTransport(url=url, session=session).send(Lane.PEOPLE, BODY)
    assert (said.left, said.status, got) == (True, 200, [(True, True)])


def test_reach_asks_no_auth_for_a_signature():
    """There is no body to sign, and a cause would keep the lane offline for ever."""
    with RawService() as service, requests.Session() as session:
        session.auth = Signing()
        transport = HttpTransport(url=service.url, session=session)
        assert transport.reach(Lane.PEOPLE) is None
        assert transport.send(Lane.PEOPLE, BODY).status == 200
    assert (service.connections, len(service.requests)) == (1, 1)


def test_body_nobody_can_measure_is_refused():
    with requests.Session() as session:
        session.auth = Signing(look=lambda _body: b"", change=iter)
        said = HttpTransport(url="http://service.test", session=session).send(Lane.PEOPLE, BODY)
    assert (said.left, "body of type bytes_iterator" in said.error) == (False, True)


class Playing(BaseAdapter):
    """An adapter of a test double: it answers, or raises, and reads no body."""

    def __init__(self, error=None):
        super().__init__()
        self.error, self.bodies = error, []

    def send(self, request, **_options):
        self.bodies.append(json.loads(request.body))
        if self.error is not None:
            raise self.error
        response = requests.Response()
        response.status_code, response.raw, response.request = 200, io.BytesIO(b'{"status":1}'), request
        return response

    def close(self):
        pass


@pytest.mark.parametrize("patched", [True, False], ids=["patched", "mounted"])
@pytest.mark.parametrize(
    ("error", "left"),
    [
        (None, True),
        (requests.ConnectionError("down"), False),
        (requests.ConnectTimeout(), False),
        (requests.ReadTimeout(), True),
        (requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError())), True),
        (RuntimeError("of a library"), True),
    ],
    ids=repr,
)
def test_test_double_sees_the_body(monkeypatch, error, left, patched):
    """An exception has to say that no connection stood if nobody can see the body leave."""
    playing = Playing(error)
    with requests.Session() as session:
        if patched:  # as requests-mock and responses do
            monkeypatch.setattr(
                HTTPAdapter, "send", lambda _self, request, **options: playing.send(request, **options)
            )
        else:
            session.mount("http://", playing)
        said = HttpTransport(url="http://service.test", session=session).send(Lane.PEOPLE, BODY)
    assert playing.bodies == [json.loads(BODY)]
    assert (said.left, said.status) == (left, None if error else 200)


def test_session_without_adapters_is_offline():
    with requests.Session() as session:
        session.adapters.clear()
        transport = HttpTransport(url="http://service.test", session=session)
        assert "No connection adapters" in transport.reach(Lane.PEOPLE)
        assert not transport.send(Lane.PEOPLE, BODY).left


@pytest.mark.parametrize(
    ("lane", "path"),
    [(Lane.PEOPLE, "/engage"), (Lane.GROUPS, "/groups"), (Lane.EVENTS, "/track"), (Lane.IMPORTS, "/import")],
)
@pytest.mark.parametrize("project", [None, "47 11&x"])
def test_each_lane_has_its_endpoint(lane, path, project):
    credentials = ("user", "secret") if project is None else ("user", "secret", project)
    with RawService() as service:
        HttpTransport(url=f"{service.url}/", import_credentials=credentials).send(lane, BODY)
    (request,) = service.requests
    imports = lane is Lane.IMPORTS
    assert request.target == f"{path}?verbose=1&ip=0" + (
        "&project_id=47%2011%26x" if imports and project else ""
    )
    assert request.headers["content-type"] == "application/json"
    assert request.headers.get("authorization") == ("Basic dXNlcjpzZWNyZXQ=" if imports else None)
    assert request.updates == json.loads(BODY)


def test_service_accepts_a_request():
    with Service() as service:
        transport = HttpTransport(url=service.url)
        assert judge(transport.send(Lane.PEOPLE, BODY)).outcome is AttemptOutcome.SHIPPED
        transport.close()
        assert judge(transport.send(Lane.PEOPLE, BODY)).outcome is AttemptOutcome.SHIPPED
        transport.close()
        assert service.profiles() == {"ada": {"a": 1}}


def test_path_of_a_base_is_kept():
    """A proxy of one's own may stand under a path."""
    with RawService() as service:
        transport = HttpTransport(url=f"{service.url}/mp/")
        assert transport.base == f"{service.url}/mp"
        assert judge(transport.send(Lane.PEOPLE, BODY)).outcome is AttemptOutcome.SHIPPED
        transport.close()
    assert service.requests[0].target == "/mp/engage?verbose=1&ip=0"


@pytest.mark.parametrize("session", [None, requests.Session()])
def test_loopback_needs_no_proxy(monkeypatch, session):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with RawService() as service:
        for host in ("127.0.0.1", "localhost", "127.9.9.9"):
            transport = HttpTransport(url=f"http://{host}:{service.port}", session=session)
            if host != "127.9.9.9":
                assert transport.reach(Lane.PEOPLE) is None
                assert judge(transport.send(Lane.PEOPLE, BODY)).outcome is AttemptOutcome.SHIPPED
            else:  # nobody listens there; the proxy is not asked, either
                assert transport.reach(Lane.PEOPLE) == "connection refused"
            transport.close()
    assert HttpTransport(url="http://service.test").reach(Lane.PEOPLE).startswith("the proxy")


@pytest.mark.parametrize("fails", ["reach", "send", "answer"])
def test_proxies_are_read_after_failure(monkeypatch, fails):
    """The preparation of a request is kept as long as requests go through."""
    transport = HttpTransport(url="http://service.test")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    match fails:
        case "reach":
            assert transport.reach(Lane.PEOPLE).startswith("the proxy")
        case "send":
            assert transport.send(Lane.PEOPLE, BODY).error.startswith("the proxy")
        case "answer":
            with RawService(answer(407)) as refusing:
                monkeypatch.setenv("http_proxy", refusing.url)
                assert transport.send(Lane.PEOPLE, BODY).status == 407
    with RawService() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert transport.send(Lane.PEOPLE, BODY).status == 200
        transport.close()
    assert proxy.requests[0].target == "http://service.test/engage?verbose=1&ip=0"


def test_requests_share_only_their_address():
    """Neither a body, nor credentials, nor a cookie of the one before."""
    with RawService(answer(Set_Cookie="a=1; Path=/")) as service:
        transport = HttpTransport(url=service.url, import_credentials=("own", ""))
        for lane, body in ((Lane.IMPORTS, BODY), (Lane.PEOPLE, b"[]"), (Lane.IMPORTS, b'[{"n":1}]')):
            assert transport.send(lane, body).status == 200
        transport.close()
    assert [request.updates for request in service.requests] == [json.loads(BODY), [], [{"n": 1}]]
    assert [request.headers.get("authorization") for request in service.requests] == [
        "Basic b3duOg==",
        None,
        "Basic b3duOg==",
    ]
    assert not any("cookie" in request.headers for request in service.requests)
    assert service.connections == 1


def test_netrc_is_not_read(monkeypatch, tmp_path):
    """Its default entry would travel to any host, unencrypted."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password hush-hush\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with RawService() as service:
        transport = HttpTransport(url=service.url, import_credentials=("own", ""))
        for lane in (Lane.PEOPLE, Lane.IMPORTS):
            transport.send(lane, BODY)
        transport.close()
    assert [request.headers.get("authorization") for request in service.requests] == [None, "Basic b3duOg=="]


@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:hush-hush#x@127.0.0.1:1",
        "http://user:hush/hush-hush@127.0.0.1:1",
        "user:hush-hush@127.0.0.1:1",
        "http://user:hush-hush@127.0.0.1:port",
        "http://user:hush-hush@[::1",
        "socks5://user:hush-hush@127.0.0.1:1",
        "http://user:hush-hush@127.0.0.1:1",
        "://user:hush-hush@",
    ],
)
def test_proxys_password_is_not_told(proxy):
    session = requests.Session()
    session.proxies = {"http": proxy, "https": proxy}
    for scheme in ("http", "https"):
        transport = HttpTransport(url=f"{scheme}://service.test", session=session)
        cause, answered = transport.reach(Lane.PEOPLE), transport.send(Lane.PEOPLE, BODY)
        assert (answered.left, answered.error) == (False, cause)
        assert cause
        assert "hush" not in cause
    session.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:80",
        "ftp://x",
        "http://",
        "http://h/engage",
        "https://h/mp/track/",
        "http://h#frag",
        "http://h:0",
        "http://h/a b",
        "http://h/a\n",
        "http://h\x00",
        "http://h?x=1",
        "http://h:port",
        "http://[::1",
    ],
)
def test_bad_base_is_refused(url):
    with pytest.raises(ShippingError) as caught:
        HttpTransport(url=url)
    assert caught.value.hint
