"""Starting, closing, and many senders at once."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from simulator.service.server import Service
from tests.services import NEEDS_IPV6, eventually
from tests.simulator.service.senders import TIMEOUT, connected, fault, increment, posted, raw, send, update


@pytest.fixture
def restless():
    """Threads take turns after nearly every step, so that a missing lock shows."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
def test_posts_of_threads_are_kept(service):
    def post(number):
        with requests.Session() as session:
            session.trust_env = False
            return [
                send(session, service, [increment(), increment(f"u{number}")] * 10).json()["status"]
                for _ in range(5)
            ]

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for each in pool.map(post, range(8)) for status in each]
    assert statuses == [1] * 40
    assert service.profiles() == {"ada": {"visits": 400}, **{f"u{n}": {"visits": 50} for n in range(8)}}
    assert len(service.messages("accepted")) == 800


@pytest.mark.usefixtures("restless")
def test_threads_meet_each_fault_once(service):
    service.set_faults([{"at": at, "fault": "status", "code": 503} for at in range(1, 41, 2)])

    def post(_):
        return requests.post(service.url + "/engage", json=[increment()], timeout=TIMEOUT).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(post, range(40)))
    assert (codes.count(503), codes.count(200)) == (20, 20)
    assert service.profiles() == {"ada": {"visits": 20}}


def test_close_frees_port_and_connections(http):
    service = Service()
    service.start()
    send(http, service, [update()])  # its connection is kept
    started = time.monotonic()
    service.close()
    assert time.monotonic() - started < 2
    with pytest.raises(requests.ConnectionError):
        send(http, service, [update()])
    port = int(service.url.rsplit(":", 1)[1])
    with Service(port) as again:
        assert again.url == service.url
        assert again.profiles() == {}


def test_close_interrupts_slow_fault(http):
    with (
        Service(faults=[{"at": 1, "fault": "slow", "seconds": 3_600}]) as service,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(send, http, service, [update()])
        deadline = time.monotonic() + TIMEOUT
        while service._requests == 0:
            assert time.monotonic() < deadline
        service.close()
        with pytest.raises(requests.ConnectionError):
            waiting.result(TIMEOUT)
    assert service.profiles() == {}


def test_close_applies_due_late_copies(http):
    faults = [fault("late", 1, seconds=0), fault("late", 2, seconds=3_600)]
    with Service(faults=faults) as service:
        for name in ("due", "not due"):
            with pytest.raises(requests.ConnectionError):
                send(http, service, [update(name)])
        started = time.monotonic()
        service.close()
        assert time.monotonic() - started < 2
        assert list(service.profiles()) == ["due"]
        assert service.settle(0)
    assert "restante-late" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("part", [posted(update())[:-5], b"POST /engage HTTP/1.1\r\nContent-Le"])
def test_close_blames_no_sender(part):
    """A shipper would take 400 for a verdict on its entries."""
    with Service() as service, connected(service) as wire:
        wire.sendall(part)
        eventually(lambda: service._running[0]._open)
        service.close()
        assert wire.recv(65_536) == b""
    assert service.messages() == []


def test_close_is_idempotent():
    Service().close()
    with Service() as service:
        service.close()


def test_port_in_use_is_os_error(service):
    with pytest.raises(OSError, match="in use"):
        Service(int(service.url.rsplit(":", 1)[1])).start()


def test_serve_forever_ends_on_close(http):
    service = Service()
    thread = threading.Thread(target=service.serve_forever)
    thread.start()
    deadline = time.monotonic() + TIMEOUT
    while service.url.endswith(":0"):
        assert time.monotonic() < deadline
    assert send(http, service, [update()]).json()["status"] == 1
    service.close()
    thread.join(TIMEOUT)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("given", "listens_on", "shown"),
    [
        ({}, "127.0.0.1", "127.0.0.1"),
        ({"host": "127.0.0.2"}, "127.0.0.2", "127.0.0.2"),
        ({"host": "0.0.0.0"}, "0.0.0.0", "127.0.0.1"),  # noqa: S104  # what is tested
        pytest.param({"host": "::1"}, "::1", "[::1]", marks=NEEDS_IPV6),
        pytest.param({"host": "::"}, "::", "[::1]", marks=NEEDS_IPV6),
    ],
)
def test_service_listens_where_told(given, listens_on, shown):
    with Service(**given) as service:
        assert service._running[0].socket.getsockname()[0] == listens_on
        assert service.url.startswith(f"http://{shown}:")
        assert raw(service, posted(update())).endswith(b"\r\n\r\n1")


@pytest.mark.parametrize("host", ["", "203.0.113.1", "a..b", "x" * 70])
def test_foreign_address_is_error(host):
    """An empty one, which sockets take for every address, too."""
    with pytest.raises((OSError, UnicodeError)):
        Service(host=host).start()


def test_missing_werkzeug_is_named():
    code = """if True:
        import sys
        sys.modules["werkzeug"] = None
        import simulator
        import simulator.service
        import simulator.service.faults
        try:
            from simulator.service import Service
        except ImportError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'restante[service]'" in done.stdout
    assert "werkzeug" in done.stdout


def test_service_writes_no_output(service, http, capfd):
    send(http, service, [update()])
    http.get(service.url + "/nowhere", timeout=TIMEOUT)
    assert capfd.readouterr() == ("", "")
