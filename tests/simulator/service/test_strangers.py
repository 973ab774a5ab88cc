"""Who may use the service's own routes: programs on this computer, and no web page in a browser there."""

import socket

import pytest

from simulator.service.server import Service
from tests.simulator.service.senders import answers_of, posted, raw, update

OWN = [
    ("GET", "/simulator/profiles"),
    ("GET", "/simulator/groups"),
    ("GET", "/simulator/messages"),
    ("POST", "/simulator/reset"),
    ("PUT", "/simulator/faults"),
    ("POST", "/api/query/engage"),
    ("GET", "/"),
]


def ask(service, method, path, *headers, version="1.1"):
    """Return the status and the body of an answer."""
    body = "[]" if method == "PUT" else ""  # a fault schedule
    lines = [
        f"{method} {path} HTTP/{version}",
        *headers,
        "Authorization: Basic T:",
        f"Content-Length: {len(body)}",
        "",
        body,
    ]
    head, _, said = raw(service, "\r\n".join(lines).encode("latin-1")).partition(b"\r\n\r\n")
    return int(head.split()[1]), said.decode()


@pytest.fixture
def filled(service):
    assert raw(service, posted(update())).endswith(b"1")
    return service


@pytest.mark.parametrize(
    "local", ["127.0.0.1:{port}", "localhost:9000", "LOCALHOST", "[::1]:1", "kiosk.localhost"]
)
def test_local_host_is_answered(filled, local):
    host = local.format(port=filled.url.rsplit(":", 1)[1])
    for method, path in OWN:
        assert ask(filled, method, path, f"Host: {host}")[0] == 200
        assert ask(filled, method, path, f"Host: {host}", f"Origin: http://{host}")[0] == 200


def test_request_without_host_is_answered(filled):
    """Browsers always send one."""
    assert ask(filled, "GET", "/simulator/profiles", version="1.0")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: evil.test"],
        ["Host: evil.test:8765"],
        ["Host: 127.0.0.1.evil.test"],
        ["Host: 127.0.0.1@evil.test"],
        ["Host: localhost.evil.test"],
        ["Host: notlocalhost"],
        ["Host: 192.168.0.2"],
        ["Host: "],
        ["Host: 127.0.0.1", "Host: evil.test"],
        ["Host: 127.0.0.1", "Origin: http://evil.test"],
        ["Host: 127.0.0.1", "Origin: https://127.0.0.1"],
        ["Host: 127.0.0.1", "Origin: http://127.0.0.1:3000"],
        ["Host: 127.0.0.1", "Origin: null"],
        ["Host: 127.0.0.1", "Origin: http://127.0.0.1", "Origin: http://evil.test"],
        ["Host: evil.test", "Origin: http://evil.test"],
    ],
)
def test_web_page_is_refused(filled, headers):
    for method, path in OWN:
        status, said = ask(filled, method, path, *headers)
        assert status == 403
        assert "for programs, not for web pages" in said
        assert "ada" not in said
    assert filled.profiles() == {"ada": {"plan": "pro"}}


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.test/simulator/profiles",
        "//simulator/profiles",
        "/%73imulator/profiles",
        "/simulator/profiles/",
    ],
)
def test_spelling_of_target_is_no_way_around(filled, target):
    host = "127.0.0.1" if target.startswith("http") else "evil.test"
    assert ask(filled, "GET", target, f"Host: {host}")[0] == 403


def test_preflight_of_page_is_refused(filled):
    headers = ["Host: 127.0.0.1", "Origin: http://evil.test", "Access-Control-Request-Method: PUT"]
    assert ask(filled, "OPTIONS", "/simulator/faults", *headers)[0] == 403


def test_any_page_may_send_updates(service):
    """A browser SDK is on a page of another origin, and a hosts file may give the service any name."""
    sent = posted(update(), headers="Origin: http://shop.test\r\n").replace(
        b"Host: x", b"Host: api.mixpanel.com"
    )
    assert raw(service, sent).endswith(b"1")


def test_refusal_shows_little_of_host(service):
    request = b"GET / HTTP/1.1\r\nHost: " + b"a" * 5_000 + b"\r\n\r\n"
    ((status, said),) = answers_of(raw(service, request))
    assert (status, len(said["error"]) < 300) == (403, True)


@pytest.fixture(scope="module")
def reachable():
    """A service that listens on every address."""
    with Service(host="0.0.0.0") as service:  # noqa: S104  # what is tested
        yield service


@pytest.mark.parametrize(
    "host",
    [
        "10.0.2.2:80",
        "[fd00::2]:8765",
        "0.0.0.0",  # noqa: S104  # a name that a sender may use
        "kiosk",
        "my_kiosk:1",
        "host.docker.internal",
        "Kiosk.local",
        "localhost",
    ],
)
def test_unregistrable_host_is_answered(reachable, host):
    """No page of a stranger can have such a name, so none can have a browser send it."""
    for method, path in OWN:
        assert ask(reachable, method, path, f"Host: {host}")[0] == 200
        assert ask(reachable, method, path, f"Host: {host}", f"Origin: http://{host}")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: evil.test"],
        ["Host: 192.168.0.2.evil.test"],
        ["Host: kiosk.local.evil.test:80"],
        ["Host: 192.168.0.2@evil.test"],
        ["Host: evil.internal.test"],
        ["Host: [::1].evil.test"],
        ["Host: "],
        ["Host: kiosk", "Host: evil.test"],
        ["Host: 192.168.0.2", "Origin: http://192.168.0.3"],
        ["Host: kiosk", "Origin: null"],
    ],
)
def test_web_page_is_refused_on_network(reachable, headers):
    for method, path in OWN:
        assert ask(reachable, method, path, *headers)[0] == 403


def test_name_given_is_answered(monkeypatch):
    """The name of `host` may be one of the public DNS: its owner chose it."""
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **options: look_up(host.replace("kiosk.test", "0.0.0.0"), *more, **options),  # noqa: S104
    )
    with Service(host="kiosk.test") as service:
        for host, status in (("KIOSK.test", 200), ("shop.test", 403)):
            assert ask(service, "GET", "/simulator/profiles", f"Host: {host}")[0] == status
