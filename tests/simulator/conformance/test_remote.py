"""Services that are asked through /engage and the query API: our own conforms, and broken ones are told."""

from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from threading import Thread

import pytest

from recorder.model.errors import ShippingError
from simulator import connection
from simulator.conformance import ImplementationFailed, Remote, Report, check_vectors, read_vectors
from simulator.service import Service
from tests.services import RawService, closed_port

MESSAGE = {"$distinct_id": "ada", "$add": {"visits": 1}}


def spread(vectors):
    """Every sixteenth, and all those that leave a user's profile out or name several."""
    return [one for place, one in enumerate(vectors) if place % 16 == 0 or len(one.expect) > 1]


@pytest.mark.parametrize("chosen", [spread, pytest.param(list, marks=pytest.mark.long)])
def test_local_service_conforms(chosen):
    """Groups are skipped, and profiles that were there before do not count."""
    vectors = chosen(read_vectors())
    report = Report(strict=True)
    with Service() as service:
        implementation = Remote(f"{service.url}/", "T")
        implementation.run({"u1": {"from": "before"}, "u2": {"from": "before"}}, [])
        check_vectors(implementation, vectors, report)
    assert report.deviations == []
    of_groups = [
        one for one in vectors if any({"$group_key", "$group_id"} & said.keys() for said in one.messages)
    ]
    assert sum(counts["skipped"] for counts in report.counts.values()) == len(of_groups)


def test_lost_update_is_a_deviation():
    """The service answers 1 for an update that it drops."""
    report = Report()
    with Service(faults=[{"at": 3, "fault": "slow", "applied": False, "seconds": 0}]) as service:
        check_vectors(
            Remote(service.url, "T"), [one for one in read_vectors() if one.id == "set-object-whole"], report
        )
    assert [one.found for one in report.faults] == [{(None, "u1"): {"a": {"x": 1}}}]


def test_https_trusts_what_shipping_trusts(monkeypatch):
    with Service(tls=True) as service:
        for authorities, says in (
            (None, "self-signed|local issuer"),
            ("nowhere", "'nowhere', which cannot be read"),
        ):
            if authorities:
                monkeypatch.setenv("REQUESTS_CA_BUNDLE", authorities)
            with pytest.raises(ImplementationFailed, match=says):
                Remote(service.url, "T").run({}, [MESSAGE])
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(service.ca_file))
        assert Remote(service.url, "T").run({}, [MESSAGE]) == {(None, "ada"): {"visits": 1}}


class Broken(BaseHTTPRequestHandler):
    """Answers updates with 1, and the query, or everything, as the test says."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, body = (200, b"1") if self.path.startswith("/engage") else self.server.said
        if self.server.always:
            status, body = self.server.said
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()
        with suppress(OSError):  # it was read for long enough
            for part in body if isinstance(body, Iterator) else [body]:
                self.wfile.write(part)

    def log_message(self, *_):
        pass


@pytest.fixture
def broken():
    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def failure_of(server, *, always, said, timeout=60):
    server.always, server.said = always, said
    with pytest.raises(ImplementationFailed) as failed:
        Remote(f"http://127.0.0.1:{server.server_port}", "T", timeout=timeout).run({}, [MESSAGE])
    return str(failed.value)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_refusing_service_is_told(broken, status):
    assert f"it answers {status} for /engage" in failure_of(broken, always=True, said=(status, b""))


@pytest.mark.parametrize(
    "body",
    [b"<html>", b'{"status": 1}', b'{"results": 1}', b'{"results": [1]}', b'{"results": [{}]}', b"[" * 10**5],
)
def test_other_read_back_is_told(broken, body):
    assert "is not the query API's" in failure_of(broken, always=False, said=(200, body))


def test_endless_answer_is_given_up(broken, monkeypatch):
    monkeypatch.setattr(connection, "_MOST_BYTES", 10**6)
    assert "does not end" in failure_of(broken, always=True, said=(200, repeat(b"x" * 10**5)))


@pytest.mark.parametrize(
    "begun", ["HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"]
)
def test_dripping_answer_is_given_up(begun):
    """Each byte comes in time, and there is always one more."""

    def drip(wire, _request):
        wire.send(begun.encode())
        wire.drip(b"x", every=0.01)

    with (
        RawService(drip) as service,
        pytest.raises(ImplementationFailed, match=r"cannot be asked|does not end"),
    ):
        Remote(service.url, "T", timeout=0.3).run({}, [MESSAGE])


def test_missing_service_is_told():
    with pytest.raises(ImplementationFailed, match=r"cannot be asked: .*refused"):
        Remote(f"http://127.0.0.1:{closed_port()}", "T").run({}, [MESSAGE])


def test_wrong_address_is_refused():
    with pytest.raises(ShippingError, match="is not an address"):
        Remote("127.0.0.1", "T")
