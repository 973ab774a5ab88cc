"""Scheduled faults, as senders meet them."""

import json
import time
from contextlib import closing
from http.client import HTTPConnection, IncompleteRead

import pytest
import requests

from recorder.model.payloads import MAX_BODY
from simulator import Dialect
from simulator.service.faults import FAULTS, InvalidSchedule
from simulator.service.server import Service
from tests.simulator.service.senders import (
    CORS,
    MIXED,
    TIMEOUT,
    UNREAD,
    connected,
    encoded,
    fault,
    group,
    increment,
    posted,
    raw,
    seen,
    send,
    update,
)


@pytest.mark.parametrize(
    ("path", "name", "applied"),
    [
        *(("/engage", name, applied) for name in FAULTS for applied in {False, name not in UNREAD}),
        # No fault looks at where a request goes.
        *((path, name, True) for path in ("/groups", "/track", "/import") for name in ("reset", "late")),
    ],
)
def test_fault_respects_applied(service, path, name, applied):
    message = {
        "/engage": increment(),
        "/groups": group(),
        "/track": {"event": "opened", "properties": {"token": "T"}},
        "/import": {"event": "opened", "properties": {"token": "T"}},
    }[path]
    service.set_faults([fault(name, applied=applied)])
    seen(service, posted(message, path=path, headers="Connection: close\r\nAuthorization: Basic T:\r\n"))
    assert service.settle(TIMEOUT)
    assert [one.message for one in service.messages("accepted")] == [message] * applied
    assert service.messages("rejected") == []
    assert service.profiles() == ({"ada": {"visits": 1}} if applied and path == "/engage" else {})
    assert service.groups() == ({"company": {"acme": {"sites": 2}}} if applied and path == "/groups" else {})


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in UNREAD])
@pytest.mark.parametrize(
    ("message", "verbose"), [(increment(), ""), ({"$set": {}}, "?verbose=1")], ids=["good", "malformed"]
)
def test_sender_cannot_see_applied(service, name, message, verbose):
    service.set_faults([fault(name, at=1, applied=False), fault(name, at=2, applied=True)])
    request = posted(message, path="/engage" + verbose, headers="Connection: close\r\n")
    assert seen(service, request) == seen(service, request)
    assert service.settle(TIMEOUT)
    assert len(service.messages()) == 1


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in UNREAD])
def test_applied_fault_rejects_malformed_submission(service, name):
    service.set_faults([fault(name, applied=True)])
    seen(service, posted({"$set": {}}, headers="Connection: close\r\n"))
    assert service.settle(TIMEOUT)
    assert [one.verdict for one in service.messages()] == ["rejected"]


@pytest.mark.parametrize("mixed", ["reject-all", "apply-valid"])
def test_unapplied_answer_follows_mixed_policy(http, mixed):
    with Service(mixed=mixed, faults=[fault("slow", applied=False)]) as service:
        pretended, true = (send(http, service, [*MIXED, update("dee")]).json() for _ in range(2))
    assert pretended == true
    several = {**update(), "$unset": ["trial"]}
    dialect = Dialect(several_operators="reject")
    with Service(dialect=dialect, faults=[fault("slow", applied=False)]) as service:
        assert send(http, service, [several]).json()["error"] == "message, has several operators"
        assert service.messages() == []


@pytest.mark.parametrize(
    ("name", "applied"),
    [
        ("refuse", False),
        ("partial_read", False),
        ("reset", False),
        ("ack_lost", True),
        ("late", True),
        ("part", True),
    ],
)
@pytest.mark.parametrize("reused", [False, True], ids=["on a new connection", "on a kept connection"])
def test_breaking_fault_is_connection_error(service, http, name, applied, reused):
    if reused:
        send(http, service, [update("bob")])
        service.reset()
    service.set_faults([fault(name)])
    with pytest.raises(requests.ConnectionError):
        send(http, service, [increment()])
    assert service.settle(TIMEOUT)
    assert service.profiles() == ({"ada": {"visits": 1}} if applied else {})
    assert len(service.messages("accepted")) == applied
    assert send(http, service, [increment()]).json()["status"] == 1


@pytest.mark.parametrize("name", ["refuse", "partial_read", "reset"])
def test_reset_faults_end_with_rst(service, name):
    service.set_faults([fault(name)])
    assert seen(service, posted(update())) == (b"", "reset")


@pytest.mark.parametrize("name", ["ack_lost", "late", "part"])
def test_lost_acknowledgement_closes_orderly(service, name):
    service.set_faults([fault(name)])
    assert seen(service, posted(update())) == (b"", "closed")
    assert service.settle(TIMEOUT)
    assert service.profiles() == {"ada": {"plan": "pro"}}


@pytest.mark.parametrize("name", ["status", "redirect", "garbage", "slow"])
@pytest.mark.parametrize("applied", [False, True])
def test_answering_fault_keeps_connection(service, name, applied):
    service.set_faults([fault(name, applied=applied)])
    with closing(HTTPConnection(service.url.removeprefix("http://"), timeout=TIMEOUT)) as connection:
        connection.request("POST", "/engage", json.dumps(increment()))
        connection.getresponse().read()
        connection.auto_open = 0  # the second goes where the first went, or fails
        connection.request("POST", "/engage", json.dumps(increment()))
        assert connection.getresponse().read() == b"1"
    assert service.profiles() == {"ada": {"visits": 1 + applied}}


@pytest.mark.parametrize("name", ["refuse", "partial_read", "reset", "ack_lost", "late", "truncate", "part"])
def test_breaking_fault_spares_earlier_answers(service, name):
    service.set_faults([fault(name, at=2)])
    with closing(HTTPConnection(service.url.removeprefix("http://"), timeout=TIMEOUT)) as connection:
        connection.request("POST", "/engage", json.dumps(update()))
        assert connection.getresponse().read() == b"1"
        connection.auto_open = 0
        with pytest.raises((ConnectionError, IncompleteRead)):
            connection.request("POST", "/engage", json.dumps(update()))
            connection.getresponse().read()


@pytest.mark.parametrize("path", ["/engage", "/track", "/import?strict=1"])
@pytest.mark.parametrize("updates", [0, 1, 2, 9])
def test_part_takes_first_messages(service, path, updates):
    event = {"event": "opened", "properties": {"token": "T", "time": time.time(), "distinct_id": "ada"}}
    batch = [
        update(f"u{number}")
        if path == "/engage"
        else {**event, "properties": {**event["properties"], "$insert_id": f"u{number}"}}
        for number in range(3)
    ]
    service.set_faults([fault("part", updates=updates)])
    request = posted(*batch, path=path, headers="Authorization: Basic T:\r\n")
    assert seen(service, request) == (b"", "closed")
    assert [one.message for one in service.messages()] == batch[:updates]
    assert list(service.profiles()) == [f"u{number}" for number in range(3)][:updates] * (path == "/engage")


@pytest.mark.parametrize(("mixed", "ids"), [("apply-valid", ["ada"]), ("reject-all", [])])
def test_part_judges_whole_batch(mixed, ids):
    """A malformed message after the part spoils the batch, where one does."""
    with Service(mixed=mixed, faults=[fault("part", updates=1)]) as service:
        seen(service, posted(*MIXED))
        assert list(service.profiles()) == ids


def test_part_leaves_next_request_whole(service, http):
    service.set_faults([fault("part", updates=0)])
    with pytest.raises(requests.ConnectionError):
        send(http, service, [increment(), increment()])
    send(http, service, [increment(), increment()])
    assert service.profiles() == {"ada": {"visits": 2}}


def test_refuse_does_not_read_body(service):
    service.set_faults([{"at": 1, "fault": "refuse"}])
    with pytest.raises(ConnectionResetError):
        raw(service, b"POST /engage HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", shut=False)


def test_partial_read_takes_half(service):
    request = posted(update())
    head, body = request.split(b"\r\n\r\n")
    half = len(head) + 4 + len(body) // 2
    service.set_faults([fault("partial_read")])
    with connected(service) as wire:
        wire.sendall(request[: half - 1])
        wire.settimeout(0.05)
        with pytest.raises(TimeoutError):
            wire.recv(1)  # it still reads
        wire.settimeout(TIMEOUT)
        wire.sendall(request[half - 1 : half])
        with pytest.raises(ConnectionResetError):
            wire.recv(1)
    assert service.messages() == []


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /engage HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
        b"POST /engage HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /engage HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[",
        b"GET /engage?data=" + encoded(update()).encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["half a byte", "no length", "in chunks", "in the query"],
)
def test_partial_read_without_length_resets(service, request_):
    service.set_faults([fault("partial_read")])
    assert seen(service, request_) == (b"", "reset")
    assert service.messages() == []


def test_partial_read_precedes_413(service):
    service.set_faults([fault("partial_read")])
    connection = HTTPConnection(service.url.removeprefix("http://"), timeout=TIMEOUT)
    with closing(connection), pytest.raises(ConnectionError):
        connection.request("POST", "/engage", bytes(2 * MAX_BODY))
        connection.getresponse()
    assert service.messages() == []


def test_partial_read_survives_early_leave(service, http, capfd):
    service.set_faults([fault("partial_read")])
    raw(service, posted(update())[:-60])
    assert send(http, service, [update()]).json()["status"] == 1
    assert capfd.readouterr().err == ""


def test_redirect_answers_302_with_location(service):
    service.set_faults([fault("redirect")])
    answer, _ = seen(service, posted(update(), headers="Connection: close\r\n"))
    assert answer == (
        b"HTTP/1.1 302 Found\r\n"
        b"Location: http://portal.test/sign-in?to=%2F\r\n"
        b"Content-Type: application/json\r\n" + CORS + b"Content-Length: 31\r\n"
        b"Connection: close\r\n"
        b"\r\n"
        b'{"status": 0, "error": "Found"}'
    )
    assert service.messages() == []


@pytest.mark.parametrize("applied", [True, False])
def test_truncate_sends_half_the_answer(service, applied):
    service.set_faults([fault("truncate", at, applied=applied) for at in (1, 2)])
    assert seen(service, posted(update(), path="/engage?verbose=1")) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + CORS + b"Content-Length: 28\r\n\r\n"
        b'{"status": 1, ',
        "closed",
    )
    # Half of one byte: a whole answer must never come out of it.
    assert seen(service, posted(update())) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
        + CORS
        + b"Content-Length: 1\r\n\r\n",
        "closed",
    )
    assert service.profiles() == ({"ada": {"plan": "pro"}} if applied else {})


def test_truncated_answer_is_an_incomplete_read(service):
    service.set_faults([fault("truncate")])
    with closing(HTTPConnection(service.url.removeprefix("http://"), timeout=TIMEOUT)) as connection:
        connection.request("POST", "/engage?verbose=1", json.dumps(update()))
        answer = connection.getresponse()
        with pytest.raises(IncompleteRead) as caught:
            answer.read()
    assert (answer.status, caught.value.partial, caught.value.expected) == (200, b'{"status": 1, ', 14)


def test_status_fault_answers_its_code(service, http):
    service.set_faults(
        [
            {"at": 1, "fault": "status", "code": 503},
            {"at": 2, "fault": "status", "code": 429, "retry_after": 7},
            {"at": 3, "fault": "status", "code": 429, "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"},
            {"at": 4, "fault": "status", "code": 599},
            {"at": 5, "fault": "status", "code": 204},
        ]
    )
    answers = [send(http, service, [increment()]) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [503, 429, 429, 599, 204, 200]
    assert answers[0].json() == {"status": 0, "error": "Service Unavailable"}
    assert [answer.headers.get("Retry-After") for answer in answers[:3]] == [
        None,
        "7",
        "Wed, 21 Oct 2026 07:28:00 GMT",
    ]
    assert service.profiles() == {"ada": {"visits": 1}}


def test_browser_may_read_retry_after(service, http):
    service.set_faults([{"at": 1, "fault": "status", "code": 429, "retry_after": 7}])
    answer = send(http, service, [increment()], headers={"Origin": "http://shop.test"})
    assert answer.headers["Access-Control-Allow-Origin"] == "http://shop.test"
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"


def test_garbage_is_page_with_200(service, http):
    service.set_faults([{"at": 1, "fault": "garbage"}])
    answer = send(http, service, [increment()])
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (200, "text/html")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert service.profiles() == {}


def test_slow_answers_after_its_seconds(service, http):
    service.set_faults([{"at": 1, "fault": "slow", "seconds": 0.2}])
    started = time.monotonic()
    assert send(http, service, [increment()]).json()["status"] == 1
    assert time.monotonic() - started >= 0.2
    assert service.profiles() == {"ada": {"visits": 1}}


def test_slow_applies_despite_client_timeout(service, http):
    service.set_faults([{"at": 1, "fault": "slow", "seconds": 0.3}])
    with pytest.raises(requests.ReadTimeout):
        http.post(service.url + "/engage", json=[increment()], timeout=0.05)
    deadline = time.monotonic() + TIMEOUT
    while not service.profiles():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert service.profiles() == {"ada": {"visits": 1}}


def test_only_ingestion_requests_count(service, http):
    service.set_faults([{"at": 2, "fault": "garbage"}])
    assert send(http, service, [increment()]).json()["status"] == 1
    for _ in range(3):
        http.get(service.url + "/simulator/profiles", timeout=TIMEOUT)
    http.put(service.url + "/engage", timeout=TIMEOUT)
    event = {"event": "opened", "properties": {"token": "T"}}
    assert send(http, service, [event], "/track").text.startswith("<!DOCTYPE")


def test_put_replaces_schedule_and_count(service, http):
    url = service.url + "/simulator/faults"
    assert http.put(url, json=[{"at": 2, "fault": "garbage"}], timeout=TIMEOUT).status_code == 200
    send(http, service, [increment()])
    assert http.put(url, json=[{"at": 2, "fault": "ack_lost"}], timeout=TIMEOUT).status_code == 200
    assert send(http, service, [increment()]).json()["status"] == 1
    with pytest.raises(requests.ConnectionError):
        send(http, service, [increment()])
    assert service.profiles() == {"ada": {"visits": 3}}


def test_reset_keeps_fault_schedule(service, http):
    service.set_faults([{"at": 2, "fault": "garbage"}])
    send(http, service, [increment()])
    service.reset()
    assert "html" in send(http, service, [increment()]).text


@pytest.mark.parametrize("schedule", ['[{"at": 1, "fault": "explode"}]', "nonsense", "{}", ""])
def test_bad_schedule_keeps_previous_one(service, http, schedule):
    service.set_faults([{"at": 1, "fault": "garbage"}])
    answer = http.put(service.url + "/simulator/faults", data=schedule, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert "schedule" in answer.json()["error"]
    assert "html" in send(http, service, [increment()]).text


def test_schedule_as_constructor_argument(http):
    with Service(faults=[{"at": 1, "fault": "garbage"}]) as service:
        assert "html" in send(http, service, [increment()]).text
    with pytest.raises(InvalidSchedule):
        Service(faults=[{"at": 1, "fault": "explode"}])
