"""The local service as SDKs, shippers and tests meet it: over HTTP on 127.0.0.1."""

import base64
import gc
import gzip
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, IncompleteRead

import mixpanel
import pytest
import requests

from simulator import Dialect
from simulator.service.faults import FAULTS, AckLost, InvalidSchedule
from simulator.service.late import LateArrivals
from simulator.service.server import MAX_BODY, Service
from tests.services import eventually

TIMEOUT = 60  # seconds; only a hang takes as long, however busy the machine is


@pytest.fixture
def service():
    with Service() as service:
        yield service


@pytest.fixture
def http():
    with requests.Session() as session:
        session.trust_env = False
        yield session


def update(profile="ada", operator="$set", payload=None, token="T"):
    return {
        "$token": token,
        "$distinct_id": profile,
        operator: {"plan": "pro"} if payload is None else payload,
    }


def group(name="acme", payload=None):
    return {"$token": "T", "$group_key": "company", "$group_id": name, "$set": payload or {"sites": 2}}


def increment(profile="ada"):
    return update(profile, "$add", {"visits": 1})


def send(http, service, body, path="/engage", **options):
    options.setdefault("params", {"verbose": "1"})
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    return http.post(service.url + path, data=data, timeout=TIMEOUT, **options)


def encoded(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


def connected(service):
    return closing(socket.create_connection(service.url.removeprefix("http://").split(":"), TIMEOUT))


def posted(*messages, path="/engage", headers="", encoding="ascii"):
    """The bytes of a request."""
    body = json.dumps(messages)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return (head + body).encode(encoding)


def raw(service, request, *, shut=True):
    """Send these bytes, and return the answer up to the close."""
    with connected(service) as wire:
        wire.sendall(request)
        if shut:
            wire.shutdown(socket.SHUT_WR)
        answer = b""
        while part := wire.recv(65536):
            answer += part
        return answer


# --- the forms an update travels in


def test_array_is_applied_in_its_order(service, http):
    answer = send(http, service, [update(), update(payload={"plan": "free"}), update("bob")])
    assert answer.json() == {"status": 1, "error": None}
    assert service.profiles() == {"ada": {"plan": "free"}, "bob": {"plan": "pro"}}


FORMS = {
    "array": lambda http, url: http.post(url, json=[update()], timeout=TIMEOUT),
    "single object": lambda http, url: http.post(url, json=update(), timeout=TIMEOUT),
    "form with JSON": lambda http, url: http.post(
        url, data={"data": json.dumps([update()])}, timeout=TIMEOUT
    ),
    "form with one object": lambda http, url: http.post(
        url, data={"data": json.dumps(update())}, timeout=TIMEOUT
    ),
    "form with base64": lambda http, url: http.post(url, data={"data": encoded([update()])}, timeout=TIMEOUT),
    "query with JSON": lambda http, url: http.get(
        url, params={"data": json.dumps(update())}, timeout=TIMEOUT
    ),
    "query with base64": lambda http, url: http.get(url, params={"data": encoded(update())}, timeout=TIMEOUT),
    "JSON called a form": lambda http, url: http.post(
        url,
        data=json.dumps([update()]),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=TIMEOUT,
    ),
    "JSON of no type": lambda http, url: http.post(url, data=json.dumps([update()]), timeout=TIMEOUT),
    "form called text": lambda http, url: http.post(
        url, data=f"data={encoded(update())}", headers={"Content-Type": "text/plain"}, timeout=TIMEOUT
    ),
    "in chunks": lambda http, url: http.post(
        url,
        data=iter([b'{"$token": "T", "$distinct_id"', b': "ada", "$set": {"plan": "pro"}}']),
        timeout=TIMEOUT,
    ),
    "behind a slash": lambda http, url: http.post(url + "/", json=[update()], timeout=TIMEOUT),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_wrapping_is_applied(service, http, form):
    assert FORMS[form](http, service.url + "/engage").text == "1"
    assert service.profiles() == {"ada": {"plan": "pro"}}


def test_base64_with_unescaped_plus_is_read(service, http):
    message = update(payload={"plan": "ûûû>>>???"})
    text = base64.b64encode(json.dumps(message, ensure_ascii=False).encode()).decode()
    assert "+" in text
    assert send(http, service, f"data={text}").json()["status"] == 1
    assert service.profiles()["ada"] == {"plan": "ûûû>>>???"}


def test_non_ascii_text_arrives_unchanged(service, http):
    http.post(
        service.url + "/engage",
        data={"data": json.dumps(update("ügü", payload={"🙂": "é"}))},
        timeout=TIMEOUT,
    )
    shown = http.get(service.url + "/simulator/profiles", timeout=TIMEOUT).json()
    assert shown == service.profiles() == {"ügü": {"🙂": "é"}}


def test_group_updates_arrive_at_groups(service, http):
    assert send(http, service, [group()], "/groups").json() == {"status": 1, "error": None}
    assert service.groups() == {"company": {"acme": {"sites": 2}}}
    assert http.get(service.url + "/simulator/groups", timeout=TIMEOUT).json() == service.groups()
    assert service.profiles() == {}


@pytest.mark.parametrize("path", ["/track", "/import"])
def test_events_change_no_profile(service, http, path):
    event = {"event": "opened", "properties": {"token": "T", "distinct_id": "ada"}}
    assert send(http, service, [event], path).json() == {"status": 1, "error": None}
    assert [(one.endpoint, one.message, one.token) for one in service.messages()] == [(path, event, "T")]
    assert service.profiles() == {}


def test_import_answers_plainly_as_documented(service, http):
    event = {"event": "opened", "properties": {"distinct_id": "ada"}}
    answer = send(http, service, [event, event], "/import", params={})
    assert answer.json() == {"code": 200, "num_records_imported": 2, "status": "OK"}
    refused = send(http, service, [{"properties": {}}], "/import", params={})
    assert refused.status_code == 400
    assert refused.json()["error"] == "event, missing or empty"


@pytest.mark.parametrize(("event", "digit"), [({"event": "a", "properties": {}}, "1"), ({}, "0")])
def test_import_answers_digit_when_asked(service, http, event, digit):
    """The Node SDK asks for the digit, and takes anything else for a failure."""
    answer = send(http, service, [event], "/import", params={"verbose": "0"})
    assert (answer.status_code, answer.text) == (200, digit)


# --- answers


@pytest.mark.parametrize(("message", "digit"), [(update(), "1"), ({"$set": {}}, "0")])
def test_plain_answer_is_one_digit(service, http, message, digit):
    answer = send(http, service, [message], params={})
    assert (answer.status_code, answer.text) == (200, digit)
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("verbose_in", ["query", "form"])
def test_verbose_answer_is_json_with_200(service, http, verbose_in):
    form = {"data": json.dumps({"$set": {}}), **({"verbose": "1"} if verbose_in == "form" else {})}
    params = {"verbose": "1"} if verbose_in == "query" else {}
    answer = http.post(service.url + "/engage", data=form, params=params, timeout=TIMEOUT)
    assert (answer.status_code, answer.json()) == (200, {"status": 0, "error": "$token, missing or empty"})
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "message", "error"),
    [
        ("/engage", {"$distinct_id": "ada", "$set": {}}, "$token, missing or empty"),
        ("/engage", update(token=""), "$token, missing or empty"),
        ("/engage", update(token=5), "$token, missing or empty"),
        ("/engage", {"$token": "T", "$set": {}}, "$distinct_id, missing or empty"),
        ("/engage", update(""), "$distinct_id, missing or empty"),
        ("/engage", update(None), "$distinct_id, missing or empty"),
        ("/engage", group(), "$distinct_id, missing or empty"),
        ("/groups", update(), "$group_key, missing or empty"),
        ("/groups", {"$token": "T", "$group_key": "company", "$set": {}}, "$group_id, missing or empty"),
        ("/engage", {"$token": "T", "$distinct_id": "ada"}, "message, has no operator such as $set"),
        ("/engage", update(operator="$unset", payload="plan"), "$unset, must be a list of property names"),
        ("/engage", update(operator="$add", payload={"n": "1"}), "$add.n, must be a number"),
        ("/engage", "text", "data, must be an array of objects"),
        ("/track", {"event": "opened", "properties": {}}, "token, missing or empty"),
        ("/track", {"properties": {"token": "T"}}, "event, missing or empty"),
    ],
)
def test_malformed_message_is_answered_0(service, http, path, message, error):
    answer = send(http, service, [message], path).json()
    assert answer["status"] == 0
    assert answer["error"].startswith(error)
    (kept,) = service.messages("rejected")
    assert (kept.message, kept.reason) == (message, answer["error"])


UNREADABLE = {
    "empty": b"",
    "blank": b" \n",
    "no data": b"verbose=1",
    "empty data": b"data=",
    "empty array": b"[]",
    "truncated JSON": json.dumps([update()]).encode()[:-3],
    "truncated in a form": b"data=" + json.dumps([update()]).encode()[:-3],
    "Latin-1": json.dumps([update("é")], ensure_ascii=False).encode("latin-1"),
    "UTF-16": json.dumps([update()]).encode("utf-16"),
    "Latin-1 escaped in a form": b"data=%5B%E9%5D",
    "Latin-1 in base64": b"data=" + base64.b64encode(b'{"$token": "\xe9"}'),
    "no base64": b"data=!!!",
    "base64 of no JSON": b"data=" + base64.b64encode(b"hello"),
    "NaN": b'[{"$token": "T", "$distinct_id": "ada", "$set": {"n": NaN}}]',
    "infinity": b'[{"$token": "T", "$distinct_id": "ada", "$set": {"n": 1e999}}]',
    "integer of 5,000 digits": b'[{"$token": "T", "$distinct_id": "ada", "$set": {"n": '
    + b"9" * 5_000
    + b"}}]",
    "integer of 400 digits": b'[{"$token": "T", "$distinct_id": "ada", "$set": {"n": ' + b"9" * 400 + b"}}]",
    "lone surrogate": b'[{"$token": "T", "$distinct_id": "ada", "$set": {"n": "\\ud800"}}]',
    "nested 10,000 deep": b"[" * 10_000 + b"]" * 10_000,
    "nested 900 deep": b'[{"$token": "T", "$distinct_id": "ada", "$set": {"n": '
    + b"[" * 900
    + b"]" * 900
    + b"}}]",
    "nested 150 deep": b'[{"$token": "T", "$distinct_id": "ada", "$set": {"n": '
    + b"[" * 150
    + b"]" * 150
    + b"}}]",
    "objects nested 100,000 deep": b'{"a":' * 100_000,
    "a number": b"1",
    "null": b"null",
    "a string": b'"text"',
    "gzip": gzip.compress(json.dumps([update()]).encode()),
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("path", ["/engage", "/groups", "/track", "/import"])
def test_unreadable_body_is_answered_0(service, http, kind, path, capfd):
    answer = send(http, service, UNREADABLE[kind], path)
    assert answer.status_code == 200
    assert answer.json()["status"] == 0
    assert answer.json()["error"]
    assert service.profiles() == {}
    listed = http.get(service.url + "/simulator/messages", timeout=TIMEOUT).json()
    assert [one["verdict"] for one in listed] == ["rejected"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("value", ["NaN", "1e999", "[" * 150 + "]" * 150, "[" * 900 + "]" * 900])
def test_event_beyond_json_is_refused(service, http, value):
    event = '{"event": "opened", "properties": {"token": "T", "n": ' + value + "}}"
    assert send(http, service, event, "/track").json()["status"] == 0
    (listed,) = http.get(service.url + "/simulator/messages", timeout=TIMEOUT).json()
    assert listed["verdict"] == "rejected"
    assert listed["message"] == event[:1_000]  # unreadable: the beginning of its text


@pytest.mark.parametrize(
    "query", ["data=%FF", "data=[", "data=%7B%22a%22", "data=AAA", "data=%00", "%FF=%FF", ""]
)
def test_unreadable_query_is_answered_0(service, http, query):
    answer = http.get(f"{service.url}/engage?verbose=1&{query}", timeout=TIMEOUT)
    assert answer.status_code == 200
    assert answer.text == "0" or answer.json()["status"] == 0


def test_missing_data_has_documented_error(service, http):
    assert send(http, service, b"").json() == {"status": 0, "error": "data, missing or empty"}


def test_body_over_10_mb_is_413(service, http):
    def sized(size):
        text = json.dumps(update(payload={"note": ""}))
        return text.replace('""', '"' + "x" * (size - len(text)) + '"')

    assert send(http, service, sized(MAX_BODY)).json()["status"] == 1
    assert send(http, service, sized(MAX_BODY + 1)).status_code == 413
    service.reset()
    too_large = sized(MAX_BODY + 4_000_000)
    in_chunks = http.post(service.url + "/engage", data=iter([too_large.encode()]), timeout=TIMEOUT)
    for refused in (send(http, service, too_large), in_chunks):
        assert (refused.status_code, refused.json()["status"]) == (413, 0)
    assert service.profiles() == {}
    assert send(http, service, [update()]).json()["status"] == 1


def test_connection_is_kept_alive_between_requests(service):
    with closing(socket.create_connection(service.url.removeprefix("http://").split(":"), TIMEOUT)) as wire:
        body = json.dumps([increment()]).encode()
        request = b"POST /engage HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        for _ in range(3):
            wire.sendall(request)
            answer = wire.recv(65536)
            while not answer.endswith(b"\r\n\r\n1"):
                answer += wire.recv(65536)
            assert b"Connection: close" not in answer
    assert service.profiles() == {"ada": {"visits": 3}}


def test_nagle_is_off(service, http):
    send(http, service, [increment()])
    started = time.perf_counter()
    for _ in range(25):
        send(http, service, [increment()])
    # Nagle and delayed acknowledgement together cost 40 ms an answer.
    assert time.perf_counter() - started < 25 * 0.040


# --- batches in which some are malformed


MIXED = [update("ada"), {"$token": "T", "$set": {}}, update("bob", "$unset", "plan"), update("cy")]


def test_reject_all_applies_nothing(service, http):
    answer = send(http, service, MIXED).json()
    assert answer == {"status": 0, "error": "$distinct_id, missing or empty"}
    assert service.profiles() == {}
    assert service.messages("accepted") == []
    reasons = [one.reason for one in service.messages("rejected")]
    assert reasons == [
        "not applied: its batch holds a malformed one",
        "$distinct_id, missing or empty",
        "$unset, must be a list of property names, not a string",
        "not applied: its batch holds a malformed one",
    ]


def test_apply_valid_applies_valid_updates(http):
    with Service(mixed="apply-valid") as service:
        assert send(http, service, MIXED).json() == {"status": 1, "error": None}
        assert service.profiles() == {"ada": {"plan": "pro"}, "cy": {"plan": "pro"}}
        assert [one.message for one in service.messages("accepted")] == [MIXED[0], MIXED[3]]
        assert [one.message for one in service.messages("rejected")] == MIXED[1:3]


def test_apply_valid_without_valid_answers_0(http):
    with Service(mixed="apply-valid") as service:
        answer = send(http, service, MIXED[1:3]).json()
        assert answer == {"status": 0, "error": "$distinct_id, missing or empty"}


def test_unknown_mixed_policy_is_refused():
    with pytest.raises(ValueError, match="maybe"):
        Service(mixed="maybe")


def test_dialect_decides_what_is_malformed(http):
    several = {**update(), "$unset": ["trial"]}
    with Service(dialect=Dialect(several_operators="reject")) as service:
        answer = send(http, service, [several]).json()
        assert answer == {"status": 0, "error": "message, has several operators"}
    with Service() as service:
        assert send(http, service, [several]).json()["status"] == 1


def test_operator_outside_the_vocabulary_is_accepted(service, http):
    assert send(http, service, [update(operator="$merge")]).json()["status"] == 1


# --- looking inside


def test_messages_are_listed_with_verdicts(service, http):
    send(http, service, [update("ada")])
    send(http, service, [{"$token": "T"}])
    send(http, service, [group()], "/groups")
    listed = http.get(service.url + "/simulator/messages", timeout=TIMEOUT).json()
    assert listed == [
        {"endpoint": "/engage", "message": update("ada"), "verdict": "accepted", "reason": None},
        {
            "endpoint": "/engage",
            "message": {"$token": "T"},
            "verdict": "rejected",
            "reason": "$distinct_id, missing or empty",
        },
        {"endpoint": "/groups", "message": group(), "verdict": "accepted", "reason": None},
    ]
    for verdict in ("accepted", "rejected"):
        found = http.get(f"{service.url}/simulator/messages?verdict={verdict}", timeout=TIMEOUT).json()
        assert found == [one for one in listed if one["verdict"] == verdict]


def test_unknown_verdict_is_refused(service, http):
    answer = http.get(service.url + "/simulator/messages?verdict=perhaps", timeout=TIMEOUT)
    assert (answer.status_code, answer.json()["error"]) == (400, "verdict is accepted or rejected")
    with pytest.raises(ValueError, match="perhaps"):
        service.messages("perhaps")


def test_token_separates_projects(service, http):
    send(
        http,
        service,
        [update("ada", payload={"n": 1}, token="A"), update("ada", payload={"m": 2}, token="B")],
    )
    send(http, service, [update("bob", payload={"n": 3}, token="A")])

    def shown(route, token):
        return http.get(f"{service.url}/simulator/{route}", params={"token": token}, timeout=TIMEOUT).json()

    assert shown("profiles", "A") == {"ada": {"n": 1}, "bob": {"n": 3}}
    assert shown("profiles", "B") == {"ada": {"m": 2}}
    assert shown("profiles", "C") == {}
    assert [one["message"]["$token"] for one in shown("messages", "B")] == ["B"]
    # Without a token: all of them; the project that came later covers an equal id.
    assert service.profiles() == {"ada": {"m": 2}, "bob": {"n": 3}}
    http.post(service.url + "/simulator/reset?token=A", timeout=TIMEOUT)
    assert service.profiles() == {"ada": {"m": 2}}
    assert [one.token for one in service.messages()] == ["B"]


def test_reset_forgets_everything(service, http):
    send(http, service, [update(), {"$set": {}}])
    send(http, service, [group()], "/groups")
    assert http.post(service.url + "/simulator/reset", timeout=TIMEOUT).status_code == 200
    assert (service.profiles(), service.groups(), service.messages()) == ({}, {}, [])


def test_query_shows_profiles_as_documented(service, http):
    send(http, service, [update("ada"), update("bob", token="B")])
    answer = http.post(service.url + "/api/query/engage", timeout=TIMEOUT).json()
    assert answer["results"] == [
        {"$distinct_id": "ada", "$properties": {"plan": "pro"}},
        {"$distinct_id": "bob", "$properties": {"plan": "pro"}},
    ]
    assert {name: answer[name] for name in ("page", "page_size", "status", "total")} == {
        "page": 0,
        "page_size": 1000,
        "status": "ok",
        "total": 2,
    }
    assert isinstance(answer["session_id"], str)
    of_one = http.post(service.url + "/api/query/engage", params={"token": "B"}, timeout=TIMEOUT).json()
    assert of_one["total"] == 1


def test_query_comes_in_pages(service, http):
    send(http, service, [update(f"u{number}") for number in range(1_001)])
    page = http.post(service.url + "/api/query/engage", data={"page": 1}, timeout=TIMEOUT).json()
    assert ([one["$distinct_id"] for one in page["results"]], page["page"], page["total"]) == (
        ["u1000"],
        1,
        1001,
    )


def test_query_refuses_where(service, http):
    answer = http.post(service.url + "/api/query/engage", data={"where": "1 == 1"}, timeout=TIMEOUT)
    assert (answer.status_code, "where" in answer.json()["error"]) == (400, True)


def test_front_page_lists_routes(service, http):
    page = http.get(service.url, timeout=TIMEOUT)
    assert page.headers["Content-Type"].startswith("text/plain")
    routes = re.findall(r"^([A-Z ]+?) +(/\S*) +(\S.*)$", page.text, re.MULTILINE)
    assert [path for _, path, _ in routes] == [
        "/engage",
        "/groups",
        "/track",
        "/import",
        "/api/query/engage",
        "/simulator/profiles",
        "/simulator/groups",
        "/simulator/messages",
        "/simulator/reset",
        "/simulator/faults",
        "/",
    ]
    for methods, path, _ in routes:
        allowed = http.options(service.url + path, timeout=TIMEOUT).headers["Allow"]
        assert allowed == ", ".join([*methods.split(), "OPTIONS"])
    assert max(map(len, page.text.splitlines())) <= 110


def test_unknown_route_and_method_are_refused(service, http):
    missing = http.get(service.url + "/nowhere", timeout=TIMEOUT)
    assert (missing.status_code, missing.json()["error"]) == (404, "no route /nowhere; GET / lists them")
    wrong = http.put(service.url + "/engage", data=b"x", timeout=TIMEOUT)
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST, GET, OPTIONS")
    assert http.head(service.url + "/simulator/profiles", timeout=TIMEOUT).status_code == 405


# --- browsers


def test_browser_may_read_ingestion_answers(service, http):
    assert send(http, service, [update()]).headers["Access-Control-Allow-Origin"] == "*"
    # mixpanel-js sends credentials, and then a browser accepts no asterisk.
    answer = send(http, service, [update()], headers={"Origin": "http://shop.test"})
    assert answer.headers["Access-Control-Allow-Origin"] == "http://shop.test"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


def test_preflight_does_not_count(service, http):
    service.set_faults([AckLost(at=1)])
    asked = {
        "Origin": "http://shop.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-custom",
    }
    answer = http.options(service.url + "/engage", headers=asked, timeout=TIMEOUT)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type,x-custom"
    with pytest.raises(requests.ConnectionError):
        send(http, service, [update()])


def test_browser_may_not_read_profiles(service, http):
    answer = http.get(
        service.url + "/simulator/profiles", headers={"Origin": "http://shop.test"}, timeout=TIMEOUT
    )
    assert "Access-Control-Allow-Origin" not in answer.headers


# --- faults


SETTINGS = {
    "status": {"code": 503, "retry_after": 2},
    "redirect": {"location": "http://portal.test/sign-in?to=%2F"},
    "slow": {"seconds": 0.01},
    "late": {"seconds": 0.01},
}
UNREAD = {"refuse", "partial_read"}


def fault(name, at=1, **more):
    return {"at": at, "fault": name, **SETTINGS.get(name, {}), **more}


def seen(service, request):
    """Return the bytes up to the end of the connection, without the date, and True if it ends by RST."""
    answer = b""
    with connected(service) as wire:
        wire.sendall(request)
        try:
            while part := wire.recv(65536):
                answer += part
        except ConnectionResetError:
            return answer, "reset"
    lines = [line for line in answer.split(b"\r\n") if not line.startswith((b"Date: ", b"Server: "))]
    return b"\r\n".join(lines), "closed"


CORS = (
    b"Access-Control-Allow-Origin: *\r\n"
    b"Access-Control-Allow-Credentials: true\r\n"
    b"Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
    b"Access-Control-Allow-Headers: Content-Type\r\n"
    b"Access-Control-Expose-Headers: Retry-After\r\n"
    b"Vary: Origin\r\n"
)


@pytest.mark.parametrize(
    ("name", "applied"),
    [(name, applied) for name in FAULTS for applied in ([False] if name in UNREAD else [False, True])],
)
@pytest.mark.parametrize("path", ["/engage", "/groups", "/track", "/import"])
def test_fault_respects_applied(service, name, applied, path):
    message = {
        "/engage": increment(),
        "/groups": group(),
        "/track": {"event": "opened", "properties": {"token": "T"}},
        "/import": {"event": "opened", "properties": {"token": "T"}},
    }[path]
    service.set_faults([fault(name, applied=applied)])
    seen(service, posted(message, path=path, headers="Connection: close\r\n"))
    assert service.settle(TIMEOUT)
    assert [one.message for one in service.messages("accepted")] == [message] * applied
    assert service.messages("rejected") == []
    assert service.profiles() == ({"ada": {"visits": 1}} if applied and path == "/engage" else {})
    assert service.groups() == ({"company": {"acme": {"sites": 2}}} if applied and path == "/groups" else {})


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in UNREAD])
@pytest.mark.parametrize("message", [increment(), {"$set": {}}], ids=["good", "malformed"])
@pytest.mark.parametrize("verbose", ["", "?verbose=1"])
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


@pytest.mark.parametrize("name", ["ack_lost", "late"])
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


@pytest.mark.parametrize("name", ["refuse", "partial_read", "reset", "ack_lost", "late", "truncate"])
def test_breaking_fault_spares_earlier_answers(service, name):
    service.set_faults([fault(name, at=2)])
    with closing(HTTPConnection(service.url.removeprefix("http://"), timeout=TIMEOUT)) as connection:
        connection.request("POST", "/engage", json.dumps(update()))
        assert connection.getresponse().read() == b"1"
        connection.auto_open = 0
        with pytest.raises((ConnectionError, IncompleteRead)):
            connection.request("POST", "/engage", json.dumps(update()))
            connection.getresponse().read()


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
        b"Content-Type: application/json\r\n"
        b"Location: http://portal.test/sign-in?to=%2F\r\n" + CORS + b"Content-Length: 31\r\n"
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


class Clock:
    """A clock that a test advances."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(service):
    """The clock of the service's late copies."""
    clock = Clock()
    service._late = LateArrivals(clock)
    return clock


def test_late_copy_applies_after_newer(service, http, clock):
    service.set_faults([fault("late", seconds=1_000)])
    with pytest.raises(requests.ConnectionError):
        send(http, service, [update(payload={"plan": "old"})])
    send(http, service, [update(payload={"plan": "new"})])
    assert service.profiles() == {"ada": {"plan": "new"}}
    clock.now = 1_000
    service.close()
    assert service.profiles() == {"ada": {"plan": "old"}}
    plans = [one.message["$set"]["plan"] for one in service.messages("accepted")]
    assert plans == ["new", "old"]  # in order of arrival


def test_late_copies_apply_in_due_order(service, http, clock):
    late = [("b", 2_000), ("a", 1_000), ("d", 4_000), ("c", 3_000)]
    service.set_faults([fault("late", at, seconds=seconds) for at, (_, seconds) in enumerate(late, 1)])
    for name, _ in late:
        with pytest.raises(requests.ConnectionError):
            send(http, service, [update(name)])
    clock.now = 3_000
    service.close()
    assert list(service.profiles()) == ["a", "b", "c"]


@pytest.mark.usefixtures("clock")
def test_settle_reports_outstanding_copies(service, http):
    service.set_faults([fault("late", 1, seconds=0), fault("late", 2, seconds=1_000)])
    assert service.settle(0)
    with pytest.raises(requests.ConnectionError):
        send(http, service, [increment()])
    assert service.settle(TIMEOUT)
    assert service.profiles() == {"ada": {"visits": 1}}
    with pytest.raises(requests.ConnectionError):
        send(http, service, [increment()])
    assert not service.settle(0)
    assert service.profiles() == {"ada": {"visits": 1}}


def test_reset_keeps_late_copies(service, http, clock):
    service.set_faults([fault("late", seconds=1_000)])
    with pytest.raises(requests.ConnectionError):
        send(http, service, [increment()])
    service.reset()
    service.set_faults([])
    clock.now = 1_000
    service.close()
    assert service.profiles() == {"ada": {"visits": 1}}


def test_settle_ignores_unapplied_late_copy(service, http):
    service.set_faults([fault("late", seconds=3_600, applied=False)])
    with pytest.raises(requests.ConnectionError):
        send(http, service, [update()])
    assert service.settle(0)


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
        http.get(service.url, timeout=TIMEOUT)
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


# --- the official SDK


@pytest.fixture
def sdk(service):
    consumer = mixpanel.Consumer(
        events_url=service.url + "/track",
        people_url=service.url + "/engage",
        groups_url=service.url + "/groups",
        import_url=service.url + "/import",
        request_timeout=TIMEOUT,
    )
    with closing(consumer._session):
        yield mixpanel.Mixpanel("T", consumer)


def test_official_sdk_delivers_profile_updates(service, sdk):
    sdk.people_set("ada", {"plan": "pro", "name": "Ådä"})
    sdk.people_increment("ada", {"visits": 2})
    sdk.people_append("ada", {"tags": "a"})
    sdk.people_union("ada", {"tags": ["a", "b"]})
    sdk.people_track_charge("ada", 9.5, {"$time": "2026-01-02T03:04:05"})
    sdk.group_set("company", "acme", {"sites": 2})
    assert service.profiles("T") == {
        "ada": {
            "plan": "pro",
            "name": "Ådä",
            "visits": 2,
            "tags": ["a", "b"],
            "$transactions": [{"$time": "2026-01-02T03:04:05", "$amount": 9.5}],
        }
    }
    assert service.groups("T") == {"company": {"acme": {"sites": 2}}}
    sdk.people_delete("ada")
    assert service.profiles() == {}


def test_official_sdk_delivers_events_and_imports(service, sdk):
    sdk.track("ada", "opened", {"page": "/"})
    sdk.import_data("key", "ada", "opened", 1_700_000_000, api_secret="secret")
    assert [(one.endpoint, one.message["event"], one.token) for one in service.messages("accepted")] == [
        ("/track", "opened", "T"),
        ("/import", "opened", "T"),
    ]


def test_official_sdk_reports_refusals(sdk):
    with pytest.raises(mixpanel.MixpanelException, match="distinct_id, missing or empty"):
        sdk.people_set("", {"plan": "pro"})
    with pytest.raises(mixpanel.MixpanelException, match="NaN is not JSON"):
        sdk.people_set("ada", {"n": float("nan")})


def test_official_buffered_consumer_delivers_its_batches(service):
    consumer = mixpanel.BufferedConsumer(people_url=service.url + "/engage", max_size=10)
    with closing(consumer._consumer._session):
        sdk = mixpanel.Mixpanel("T", consumer)
        for _ in range(25):
            sdk.people_increment("ada", {"visits": 1})
        consumer.flush()
    assert service.profiles() == {"ada": {"visits": 25}}


def test_official_sdk_meets_the_scheduled_faults(service, sdk):
    service.set_faults([{"at": 1, "fault": "ack_lost"}, {"at": 2, "fault": "garbage"}])
    for _ in range(2):
        with pytest.raises(mixpanel.MixpanelException):
            sdk.people_increment("ada", {"visits": 1})
    assert service.profiles() == {"ada": {"visits": 1}}


# --- curl


@pytest.fixture
def curl(service):
    found = shutil.which("curl")
    if found is None:
        pytest.skip("curl is not installed")

    def curl(path, *arguments):
        command = [
            found,
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            str(TIMEOUT),
            *arguments,
        ]
        done = subprocess.run(
            [*command, service.url + path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    return curl


def test_curl_sends_by_get_and_post(service, curl):
    text = json.dumps(update())
    assert curl("/engage", "-d", text) == "1"
    assert curl("/engage", "--data-urlencode", f"data={text}") == "1"
    assert curl("/engage", "--data-urlencode", f"data={encoded(update())}") == "1"
    assert curl("/engage", "--get", "--data-urlencode", f"data={text}") == "1"
    assert curl(f"/engage?data={encoded(update())}") == "1"
    assert curl("/engage", "-d", "{}") == "0"
    assert json.loads(curl("/engage?verbose=1", "-d", "{}"))["error"] == "$token, missing or empty"
    assert len(service.messages("accepted")) == 5
    assert [one["reason"] for one in json.loads(curl("/simulator/messages?verdict=rejected"))] == [
        "$token, missing or empty"
    ] * 2
    assert json.loads(curl("/simulator/profiles?token=T")) == {"ada": {"plan": "pro"}}
    assert json.loads(curl("/simulator/reset", "-X", "POST")) == {"status": 1, "error": None}
    assert json.loads(curl("/simulator/profiles")) == {}


def test_curl_expects_100_continue(service, curl, tmp_path):
    path = tmp_path / "large.json"
    path.write_text(json.dumps(update(payload={"note": "x" * 3_000_000})))
    assert curl("/engage", "-H", "Expect: 100-continue", "--data-binary", f"@{path}") == "1"
    assert curl("/engage", "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{path}") == "1"
    assert len(service.messages("accepted")) == 2


# --- many at once, and odd senders


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
                send(session, service, [increment(), increment(f"u{number}")] * 50).json()["status"]
                for _ in range(5)
            ]

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for each in pool.map(post, range(8)) for status in each]
    assert statuses == [1] * 40
    assert service.profiles() == {"ada": {"visits": 2_000}, **{f"u{n}": {"visits": 250} for n in range(8)}}
    assert len(service.messages("accepted")) == 4_000


@pytest.mark.usefixtures("restless")
def test_threads_meet_each_fault_once(service):
    service.set_faults([{"at": at, "fault": "status", "code": 503} for at in range(1, 41, 2)])

    def post(_):
        return requests.post(service.url + "/engage", json=[increment()], timeout=TIMEOUT).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(post, range(40)))
    assert (codes.count(503), codes.count(200)) == (20, 20)
    assert service.profiles() == {"ada": {"visits": 20}}


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"POST /engage HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[",
        b"POST /engage HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n[",
        b"POST /engage HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /engage HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[",
        b"POST /engage HTTP/1.1\r\nHost: x\r\n",
        b"",
    ],
)
def test_broken_request_applies_nothing(service, http, request_, capfd):
    answer = raw(service, request_)
    assert b"Traceback" not in answer
    assert b"500" not in answer.split(b"\r\n")[0]
    assert send(http, service, [update()]).json()["status"] == 1
    assert len(service.messages("accepted")) == 1
    assert capfd.readouterr().err == ""


# --- what is no HTTP, or hardly


def answers_of(raw_answers):
    """The status lines and the JSON bodies of some answers."""
    parts = [part.partition(b"\r\n\r\n") for part in raw_answers.split(b"HTTP/1.1 ")[1:]]
    return [(int(head[:3]), json.loads(body)) for head, _, body in parts]


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        (b"nonsense\r\n\r\n", 400, "Bad request syntax"),
        (b"\x16\x03\x01\x02\r\n\r\n", 400, "Bad request syntax"),
        (b"POST /engage\r\n\r\n", 400, "Bad HTTP/0.9 request type"),
        (b"GET / HTTP/many\r\n\r\n", 400, "Bad request version"),
        (b"GET / HTTP/2.0\r\n\r\n", 505, "Invalid HTTP version"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400, "the request's target is no URL"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414, HTTPStatus.REQUEST_URI_TOO_LONG.phrase),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431, "Line too long"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1_000 + b"\r\n", 431, "Too many headers"),
        (b"POST /engage HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400, "Content-Length, must be a number"),
        (b"POST /engage HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "Content-Length, must be a number"),
        (b"POST /engage HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "Transfer-Encoding, must be chunked"),
    ],
)  # fmt: skip
def test_malformed_http_is_refused_as_json(service, request_, status, says, capfd):
    ((answered, said),) = answers_of(raw(service, request_))
    assert (answered, said["status"]) == (status, 0)
    assert said["error"].startswith(says)
    assert len(said["error"]) <= 200
    assert service.messages() == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: many\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
    ],
)
def test_unclear_body_ends_connection(service, framing):
    hidden = posted(update())
    ((status, _),) = answers_of(raw(service, b"POST /engage HTTP/1.1\r\n" + framing + b"\r\n" + hidden))
    assert status in {400, 501}
    assert service.messages() == []


@pytest.mark.parametrize("size", [b"ffffff", b"7fffffffffffffff"])
def test_truncated_huge_chunk_ends_connection(service, size):
    head = b"POST /engage HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw(service, head + size + b"\r\n[") == b""
    assert service.messages() == []


@pytest.mark.parametrize("request_", [b"GET /engage\r\n\r\n", b"GET /engage HTTP/0.9\r\n\r\n"])
def test_http_09_gets_a_head(service, request_):
    answer = raw(service, request_)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n0")


@pytest.mark.parametrize("value", [b"http://shop.test\r\n folded", b"a\0b", b"\x85"])
@pytest.mark.parametrize("name", [b"Origin", b"Access-Control-Request-Headers"])
def test_illegal_header_is_not_echoed(service, name, value, capfd):
    answer = raw(
        service,
        posted(update(), headers=(name + b": " + value + b"\r\n").decode("latin-1"), encoding="latin-1"),
    )
    assert answer.endswith(b"\r\n\r\n1")
    assert CORS in answer
    assert capfd.readouterr().err == ""


def test_huge_announced_body_is_not_read(service):
    head = b"POST /engage HTTP/1.1\r\nContent-Length: %d\r\n\r\n[" % 10**17
    ((status, said),) = answers_of(raw(service, head, shut=False))
    assert (status, said["status"]) == (413, 0)


def test_endless_body_is_cut_off(service, http):
    sent = []

    def on_and_on():
        for _ in range(30):
            sent.append(MAX_BODY)
            yield bytes(MAX_BODY)

    with suppress(
        requests.ConnectionError
    ):  # it may still be sending when the service has answered and closed
        assert http.post(service.url + "/engage", data=on_and_on(), timeout=TIMEOUT).status_code == 413
    assert len(sent) < 20
    assert service.messages() == []


@pytest.mark.parametrize(
    "request_", [b"", b"POST /engage HT", posted(update())[:-5]], ids=["idle", "head", "body"]
)
def test_silent_sender_is_closed(request_):
    with Service(patience=0.05) as service:
        assert raw(service, request_, shut=False) == b""
        assert service.messages() == []


def test_unreading_sender_is_closed(http):
    with Service(patience=0.05) as service:
        send(http, service, [update(payload={"note": "x" * 9_000_000})])
        with connected(service) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            wire.sendall(b"GET /simulator/profiles HTTP/1.1\r\n\r\n" * 3)
            eventually(lambda: len(service._running[0]._open) <= 1)  # the session's may still be there


@pytest.mark.parametrize(
    "request_",
    [b"get /engage HTTP/1.1\r\n\r\n", b"GET engage HTTP/1.1\r\n\r\n", b"GET /%2Fengage HTTP/1.1\r\n\r\n"],
)
def test_every_ingestion_method_counts(service, request_):
    service.set_faults([fault("refuse")])
    assert seen(service, request_) == (b"", "reset")


def test_form_with_many_fields_is_refused(service, http):
    for body in (b"&" * 101, b"a=1&" * 1_000 + b"data=[]"):
        answer = send(http, service, body).json()
        assert answer == {"status": 0, "error": "data, a form of more than 100 fields"}


def test_too_many_messages_are_refused(service, http):
    assert send(http, service, [increment()] * 2_000).json()["status"] == 1
    answer = send(http, service, [increment()] * 2_001).json()
    assert answer == {"status": 0, "error": "data, more than 2,000 messages"}
    assert service.profiles() == {"ada": {"visits": 2_000}}


@pytest.fixture
def no_garbage_collection():
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


@pytest.mark.usefixtures("no_garbage_collection")
def test_answered_request_is_freed(service):
    """At once, not at the next garbage collection or the end of the connection, as bodies are large."""

    def allocated():
        return tracemalloc.get_traced_memory()[0]

    def ask(wire, unit, times):
        wire.sendall(
            b"POST /engage HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (len(unit) * times) + unit * times
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n0"):
            answer += wire.recv(65_536)

    with connected(service) as wire:
        ask(wire, b"x", 1)
        before = allocated()
        for unit in (b"x", b"%5B", b"&", b"[", b"[1,"):
            ask(wire, unit, 300_000)
        eventually(lambda: allocated() < before + 100_000)


# --- starting and closing


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


def test_service_listens_on_localhost_only(service):
    assert service.url.startswith("http://127.0.0.1:")


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
