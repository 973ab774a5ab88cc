"""The relay as a whole: shipping, health, metrics, busy and full journals, addresses."""

import sqlite3
from contextlib import closing
from http.client import HTTPConnection

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from recorder import Journal, JournalBusy, JournalReader, WrongToken
from recorder.model.payloads import Endpoint
from recorder.model.replies import Receipt
from recorder.relay import Relay
from recorder.relay.senders import Senders
from simulator.service import Service
from tests.recorder.relay.conftest import NOWHERE, Running
from tests.recorder.relay.test_taking import OPENED, SET
from tests.services import eventually

EVERYWHERE = "0.0.0.0"  # noqa: S104  # it listens on no other in these tests than it refuses
ADD = {"$token": "T", "$distinct_id": "ada", "$add": {"visits": 1}}


def test_entries_are_shipped(tmp_path):
    with Service() as service, Running(tmp_path / "site.db", url=service.url) as running:
        for _ in range(3):
            running.ask("/engage", ADD)
        eventually(lambda: service.profiles().get("ada") == {"visits": 3})


def test_entries_outlive_relay(tmp_path):
    path = tmp_path / "site.db"
    with Running(path) as running:
        running.ask("/engage", ADD)
    with Service() as service, Running(path, url=service.url):
        eventually(lambda: service.profiles() == {"ada": {"visits": 1}})


@pytest.mark.parametrize("own", [None, ("relay", "own")])
def test_import_goes_with_credentials_it_came_with(tmp_path, own):
    """Unless the relay has its own; they are in memory only."""
    event = {"event": "e", "properties": {"token": "T", "time": 86_400_000, "$insert_id": "a"}}
    account = {"Authorization": "Basic dXNlcjpzZWNyZXQ="}  # user:secret
    with Running(tmp_path / "site.db", import_credentials=own) as running:
        transport = running.relay._deliveries["T"]._ready()[1]
        assert transport.import_credentials == (own or ("T", ""))
        assert running.ask("/import?project_id=7", [event], **account).text == "1"
        assert transport.import_credentials == (own or ("user", "secret", "7"))
        assert running.ask("/import", [event], Authorization="Digest x").status == 401
    assert all(b"secret" not in file.read_bytes() for file in tmp_path.iterdir())


def test_other_routes_are_refused_in_words(running):
    for path in ("/decide", "/flags/", "/record", "/", "/simulator/profiles"):
        answer = running.ask(path)
        assert (answer.status, "/engage" in answer.text) == (404, True)
    assert running.ask("/engage", method="PUT").status == 405


def test_head_is_answered_without_body(running):
    with closing(HTTPConnection("127.0.0.1", running.port)) as connection:
        for method, status in (("HEAD", 405), ("GET", 200)):  # a body would be taken for the next answer
            connection.request(method, "/health")
            answer = connection.getresponse()
            assert answer.status == status
            answer.read()


def test_full_journal_is_answered_503(tmp_path):
    with Running(tmp_path / "site.db", max_bytes=2_000_000) as running:
        large = {"$token": "T", "$distinct_id": "ada", "$set": {"text": "x" * 400_000}}
        answer = eventually(lambda: (found := running.ask("/engage", large)).status != 200 and found)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        health = running.ask("/health")
        assert (health.status, health.text[:20]) == (503, "The journal is full:")


def test_busy_journal_is_answered_503(tmp_path):
    with Running(tmp_path / "site.db", busy_timeout=0.05) as running:
        running.ask("/engage", SET)
        with closing(sqlite3.connect(running.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = running.ask("/engage?verbose=1", SET)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            other.execute("ROLLBACK")
        assert running.ask("/engage", SET).text == "1"


def test_health_is_status_sentence(running):
    running.ask("/engage", SET)
    health = running.ask("/health")
    assert health.status == 200
    assert "1 entry unsent" in health.text


def test_metrics_are_openmetrics(tmp_path):
    path = tmp_path / 'a "b\\\n.db'
    with Running(path) as running:
        running.ask("/engage", SET, User_Agent="Go-http-client/1.1")
        running.ask(
            "/track",
            OPENED | {"properties": OPENED["properties"] | {"mp_lib": "node", "$lib_version": "0.24"}},
        )
        running.ask("/track", {"event": "e"}, User_Agent='"')
        answer = running.ask("/metrics")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    found = {
        (sample.labels.get("sender"), sample.value)
        for sample in families["restante_relay_accepted_messages"].samples
    }
    assert found == {("Go-http-client/1.1", 1), ("node 0.24", 1)}
    states = {sample.labels["state"]: sample.value for sample in families["restante_entries"].samples}
    assert (states["pending"], sum(states.values())) == (2, 2)
    assert families["restante_shipping"].type == "gauge"


def test_senders_are_noted_in_their_journals(tmp_path):
    """At once, each minute, and at the end; of each project what it got."""
    journals = {token: tmp_path / f"{token}.db" for token in "TU"}
    event = {"event": "e", "properties": {"token": "T", "mp_lib": "node", "$lib_version": "0.24.0"}}
    update = {"$token": "U", "$distinct_id": "ada", "$set": {"a": 1}}
    with Running(None, journals=journals) as running:
        assert running.ask("/track", [event, event]).text == "1"
        assert noted(journals["T"]) == {"node 0.24.0": 2}
        assert running.ask("/engage", [update], User_Agent="php/8.3").text == "1"
        assert noted(journals["U"]) == {}
    assert noted(journals["U"]) == {"php/8.3": 1}
    assert noted(journals["T"]) == {"node 0.24.0": 2}


def test_noted_senders_are_bounded(tmp_path):
    """Whoever sends can make up any number of names."""
    with Running(tmp_path / "site.db") as running:
        for number in range(60):
            running.ask("/engage", SET, User_Agent=f"made-up/{number}")
    assert len(noted(tmp_path / "site.db")) <= 50
    assert noted(tmp_path / "site.db")["others"] == 10


def test_unnoted_senders_refuse_no_message(tmp_path, monkeypatch):
    """The message is journaled: its sender must not send again."""

    def busy(*_):
        raise JournalBusy("locked")

    monkeypatch.setattr(Journal, "note_senders", busy)
    with Running(tmp_path / "site.db") as running:
        assert running.ask("/engage", SET, User_Agent="php/8.3").text == "1"
        monkeypatch.undo()
    assert noted(tmp_path / "site.db") == {"php/8.3": 1}


def noted(path):
    with JournalReader(path) as reader:
        return {name: messages for name, (messages, _) in reader.shipping().senders.items()}


def test_senders_are_bounded():
    senders = Senders()
    for number in range(200):
        senders.count(Endpoint.TRACK, f"sender {number}", Receipt(accepted=1))
    samples = senders.families()[0].samples
    assert len(samples) <= 51
    assert sum(value for _, value in samples) == 200


def test_address_for_others_needs_networks(tmp_path):
    with pytest.raises(ValueError, match="name the networks"):
        Relay({"T": tmp_path / "s.db"}, host=EVERYWHERE).start()
    assert not (tmp_path / "s.db").exists()
    with pytest.raises(ValueError, match="host bits"):
        Relay({"T": tmp_path / "s.db"}, host=EVERYWHERE, allow=["192.168.7.1/24"])


def test_only_allowed_networks_connect(tmp_path):
    relay = Relay({"T": tmp_path / "s.db"}, host=EVERYWHERE, allow=["192.168.7.0/24"])
    for address, admitted in (
        ("127.0.0.1", True),
        ("::1", True),
        ("192.168.7.9", True),
        ("::ffff:192.168.7.9", True),
        ("192.168.8.9", False),
        ("fe80::1%eth0", False),
    ):
        assert relay._admits(address) == admitted, address


def test_journal_of_another_project_is_refused(tmp_path):
    with Running(tmp_path / "site.db"):
        pass
    with pytest.raises(WrongToken):
        Relay({"U": tmp_path / "site.db"}, url=NOWHERE).start()


def test_error_of_log_is_not_the_senders(tmp_path):
    def log(line):
        raise OSError(line)

    with Running(tmp_path / "site.db", log=log) as running:
        assert running.ask("/engage", SET).text == "1"


def test_request_lines_show_no_data(tmp_path):
    lines = []
    with Running(tmp_path / "site.db", log=lines.append) as running:
        running.ask("/engage?token=secret", SET)
        running.ask("/nowhere?secret")
    assert lines == ["POST /engage 200 · 1 accepted", "GET /nowhere 404"]
