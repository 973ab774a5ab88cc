"""Planted secrets: given in every way there is, and searched for everywhere."""

import base64
import json
import logging

import pytest
import requests

from recorder import HttpTransport, Journal, JournalConsumer, Shipper
from recorder.model.errors import ShippingError
from tests.services import RawService, answer, said_0

SECRET = "hush:0815-hush"
UPDATE = {"$distinct_id": "ada", "$set": {"plan": "pro"}}
OLD = {"event": "old", "properties": {"distinct_id": "ada", "token": "T", "time": 1, "$insert_id": "1"}}
REFUSING = (
    answer(401, said_0("no")),
    answer(302, b"", location="http://login.test/"),
    answer(400, b"<html>no"),
    b"garbage\r\n\r\n",
)


@pytest.fixture(autouse=True)
def netrc(monkeypatch, tmp_path_factory):
    file = tmp_path_factory.mktemp("home") / "netrc"
    file.write_text(f"default login me password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(file))


@pytest.fixture
def told(caplog):
    """All that was said, and the check that no secret is in it, in the log, or in a file."""
    caplog.set_level(logging.DEBUG)
    texts = []

    def check(folder):
        written = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
        everything = b"\n".join([*written, *(text.encode() for text in [*texts, caplog.text])])
        assert b"ada" in everything
        for shape in (SECRET, "0815-hush", base64.b64encode(f"robot:{SECRET}".encode()).decode()):
            assert shape.encode() not in everything

    return texts, check


def import_one(journal, **options):
    with JournalConsumer(journal, **options) as consumer:
        consumer.send("people", json.dumps({"$token": "T", **UPDATE}))
        consumer.send("imports", json.dumps(OLD))
        return repr(consumer), str(consumer.flush())


def test_import_credentials_stay_in_memory(restante, journal, told):
    texts, check = told
    environment = {"RESTANTE_IMPORT_CREDENTIALS": f"robot:{SECRET}"}
    with RawService(*REFUSING) as service:
        texts += import_one(journal, url=service.url, import_credentials=("robot", SECRET))
        for command in (
            ["ship"],
            ["ship", "--json"],
            ["status"],
            ["entries", "--json"],
            ["doctor"],
            ["export"],
        ):
            ran = restante(*command, "-j", journal, environment=environment)
            texts += ran.out, ran.err
        assert restante("snapshot", journal.with_name("s.db"), "-j", journal).code == 0
        assert any(request.headers.get("authorization") for request in service.requests)
    check(journal.parent)


def test_secret_in_an_address_is_refused(restante, journal, append, told):
    texts, check = told
    append(UPDATE)
    for url in (
        f"http://robot:{SECRET}@127.0.0.1:9",
        f"http://robot:{SECRET}@[::1",
        f"http://h/?key={SECRET}",
    ):
        for command in (["ship"], ["ship", "--watch"], ["tui"], ["compare"]):
            ran = restante(*command, "-j", journal, "--url", url, environment={"RESTANTE_URL": url})
            texts += ran.out, ran.err
        with pytest.raises(ShippingError) as caught:
            HttpTransport(url=url)
        texts += str(caught.value), repr(caught.value), caught.value.hint
    check(journal.parent)


@pytest.mark.parametrize(
    "proxy", ["http://robot:{}@127.0.0.1:9", "http://robot:{}#@127.0.0.1:9", "robot:{}@[::1"]
)
def test_proxys_password_is_not_kept(*, restante, journal, append, told, proxy, monkeypatch):
    texts, check = told
    append(UPDATE)
    monkeypatch.setenv("http_proxy", proxy.format(SECRET))
    for command in (["ship", "--url", "http://service.test"], ["ship"], ["status"], ["doctor"]):
        ran = restante(*command, "-j", journal)
        texts += ran.out, ran.err
    assert restante("status", "--json", "-j", journal).json["shipping"]["state"] == "offline"
    check(journal.parent)


def test_sessions_own_auth_is_used(journal, append, told):
    """For a proxy that wants a password, a session has it."""
    texts, check = told
    append(UPDATE)
    with RawService(*REFUSING[1:]) as service, requests.Session() as session, Journal(journal) as opened:
        session.auth = ("robot", SECRET)
        transport = HttpTransport(url=service.url, session=session)
        texts += [repr(transport), *(str(Shipper(opened, transport).ship()) for _ in range(3))]
        assert all(request.headers["authorization"].startswith("Basic") for request in service.requests)
    check(journal.parent)
