"""Credentials for imports: what the official SDK hands over, to the service and nowhere else."""

import base64
import http.server
import json
import logging
import threading
from urllib.parse import parse_qs, urlsplit

import mixpanel
import pytest

from recorder import JournalConsumer, JournalReader, State
from recorder.model.entries import AttemptOutcome
from recorder.model.shipping import LaneStatus

KEY = "api-key-4711"
SECRET = "hush-hush-0815"
ACCOUNT = ("service-account", "its-password", "project-42")


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Gate:
    """A service that lets imports in with the right credentials only, and everything else."""

    def __init__(self, *authorized):
        self.authorized = authorized
        self.seen = []  # (path, query, authorization, body)
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                parts = urlsplit(self.path)
                authorization = self.headers["Authorization"]
                gate.seen.append((parts.path, parse_qs(parts.query), authorization, body))
                let_in = parts.path != "/import" or authorization in gate.authorized
                answer = (
                    b'{"status": 1, "error": null}' if let_in else b'{"status": 0, "error": "unauthorized"}'
                )
                self.send_response(200 if let_in else 401)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def authorizations(self):
        return [(path, authorization) for path, _, authorization, _ in self.seen]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kiosk.db"


def written(path):
    """Every byte in the journal's folder: the journal, its log, its side files."""
    files = [file for file in path.parent.rglob("*") if file.is_file()]
    assert path in files
    return b"".join(file.read_bytes() for file in files)


def traces(*credentials):
    """The ways in which credentials could show."""
    shapes = set()
    for one in credentials:
        shapes |= {one.encode(), one[::-1].encode(), one.encode("utf-16-le"), one.encode().hex().encode()}
    shapes |= {basic(one, "").removeprefix("Basic ").encode() for one in credentials}
    shapes.add(basic(*credentials[:2]).removeprefix("Basic ").encode())
    return shapes


def assert_no_trace(path, *credentials):
    content = written(path)
    assert [trace for trace in traces(*credentials) if trace in content] == []


def every_import(sdk):
    sdk.import_data(KEY, "ada", "old", 1_000, {"page": 2}, api_secret=SECRET)
    sdk.merge(KEY, "ada", "bob", api_secret=SECRET)


def test_imports_are_authorized_as_by_sdk(path):
    with Gate(basic(SECRET, "")) as theirs, Gate(basic(SECRET, "")) as gate:
        own = mixpanel.Consumer(
            events_url=f"{theirs.url}/track",
            people_url=f"{theirs.url}/engage",
            import_url=f"{theirs.url}/import",
        )
        with JournalConsumer(path, url=gate.url) as consumer:
            for sdk in (mixpanel.Mixpanel("T", own), mixpanel.Mixpanel("T", consumer)):
                every_import(sdk)
                sdk.track("ada", "opened")
                sdk.people_set("ada", {"plan": "pro"})
            assert consumer.flush().stopped_by == "done"
    assert set(gate.authorizations()) == set(theirs.authorizations())
    assert set(gate.authorizations()) == {("/import", basic(SECRET, "")), ("/track", None), ("/engage", None)}
    assert all(KEY.encode() not in body for _, _, _, body in gate.seen)


def test_service_account_is_authorized_as_by_sdk(path):
    with Gate(basic(*ACCOUNT[:2])) as theirs, Gate(basic(*ACCOUNT[:2])) as gate:
        account = mixpanel.ServiceAccountCredentials(*ACCOUNT)
        own = mixpanel.Consumer(import_url=f"{theirs.url}/import", credentials=account)
        mixpanel.Mixpanel("T", own).import_data(None, "ada", "old", 1_000)
        with JournalConsumer(path, url=gate.url, import_credentials=ACCOUNT) as consumer:
            mixpanel.Mixpanel("T", consumer).import_data(None, "ada", "old", 1_000)
            assert consumer.flush().stopped_by == "done"
            assert_no_trace(path, *ACCOUNT[:2])
    assert gate.authorizations() == theirs.authorizations()
    ((_, ours, _, _),), ((_, query, _, _),) = gate.seen, theirs.seen
    assert ours["project_id"] == query["project_id"] == ["project-42"]


def test_credentials_given_to_the_constructor_win(path):
    with (
        Gate(basic(*ACCOUNT[:2])) as gate,
        JournalConsumer(path, url=gate.url, import_credentials=ACCOUNT) as consumer,
    ):
        every_import(mixpanel.Mixpanel("T", consumer))
        assert consumer.flush().stopped_by == "done"
    assert gate.authorizations() == [("/import", basic(*ACCOUNT[:2]))]


def test_secret_may_be_given_as_api_key(path):
    with Gate(basic(SECRET, "")) as gate, JournalConsumer(path, url=gate.url) as consumer:
        event = {"event": "old", "properties": {"token": "T", "distinct_id": "ada", "time": 1_000}}
        consumer.send("imports", json.dumps(event), KEY, SECRET)
        assert consumer.flush().stopped_by == "done"


def test_key_without_secret_authorizes_nothing(path):
    with Gate() as gate, JournalConsumer(path, url=gate.url) as consumer:
        mixpanel.Mixpanel("T", consumer).import_data(KEY, "ada", "old", 1_000)
        assert consumer.flush().stopped_by == "paused"
    assert gate.authorizations() == [("/import", None)]


def test_key_and_secret_are_never_written(path, caplog):
    """Recorded, refused for want of other credentials, shipped, closed: the files are searched each time."""
    caplog.set_level(logging.DEBUG)
    with Gate() as gate:
        with JournalConsumer(path, url=gate.url) as consumer:
            every_import(mixpanel.Mixpanel("T", consumer))
            assert_no_trace(path, KEY, SECRET)
            assert consumer.flush().stopped_by == "paused"
            assert_no_trace(path, KEY, SECRET)
            gate.authorized = (basic(SECRET, ""),)
            assert consumer.flush().stopped_by == "done"
            assert_no_trace(path, KEY, SECRET)
        assert_no_trace(path, KEY, SECRET)
    assert b"$merge" in written(path)  # what would be found is found
    ours = [record.getMessage() for record in caplog.records if record.name != "mixpanel"]
    assert ours
    assert [line for line in ours if KEY in line or SECRET in line] == []
    assert SECRET not in repr(consumer) + repr(consumer._delivery._ready())


def test_imports_wait_for_credentials_after_restart(path):
    with JournalConsumer(path) as consumer:
        every_import(mixpanel.Mixpanel("T", consumer))
    with Gate(basic(SECRET, "")) as gate:
        with JournalConsumer(path, url=gate.url) as consumer:
            assert consumer.flush().stopped_by == "paused"
            mixpanel.Mixpanel("T", consumer).people_set("ada", {"plan": "pro"})
            assert consumer.flush().shipped == 1  # the other lanes go on
        with JournalConsumer(path, url=gate.url, import_credentials=(SECRET, "")) as consumer:
            assert (consumer.flush().shipped, consumer.flush().stopped_by) == (2, "done")


def test_paused_lane_resumes_when_credentials_come(path):
    """Not at the end of the longest back-off, which is five minutes."""
    paused, gone = threading.Event(), threading.Event()

    def heard(event):
        if isinstance(event, LaneStatus) and event.outcome is AttemptOutcome.PAUSED:
            paused.set()
        elif getattr(event, "shipped", 0):
            gone.set()

    with (
        Gate(basic(SECRET, "")) as gate,
        JournalConsumer(path, url=gate.url, background=True, on_event=heard) as consumer,
    ):
        sdk = mixpanel.Mixpanel("T", consumer)
        sdk.import_data(None, "ada", "old", 1_000)
        assert paused.wait(20)
        sdk.import_data(None, "ada", "older", 500, api_secret=SECRET)
        assert gone.wait(20)
    with JournalReader(path) as reader:
        assert {entry.state for entry in reader.entries()} == {State.SHIPPED}


@pytest.mark.parametrize("secret", ["schlüssel", "key-…", "\udcff"])
def test_secret_of_any_text_is_sent(path, secret):
    with Gate() as gate, JournalConsumer(path, url=gate.url) as consumer:
        sdk = mixpanel.Mixpanel("T", consumer)
        sdk.import_data(None, "ada", "old", 1_000, api_secret=secret)
        sdk.people_set("ada", {"plan": "pro"})
        report = consumer.flush()
    assert (report.stopped_by, report.shipped) == ("paused", 1)
    expected = base64.b64encode(secret.encode("utf-8", "surrogatepass") + b":").decode()
    assert ("/import", f"Basic {expected}") in gate.authorizations()
