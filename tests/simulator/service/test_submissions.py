"""The forms an update travels in, and the answers, over HTTP on 127.0.0.1."""

import base64
import gzip
import json
import socket
from contextlib import closing

import pytest

from recorder.model.payloads import MAX_BODY
from simulator import Dialect
from simulator.service.server import Service
from tests.simulator.service.senders import MIXED, TIMEOUT, encoded, group, increment, send, update


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
        ("/track", {"event": "opened", "properties": []}, "properties, must be an object"),
        ("/import", {"event": "opened", "properties": "none"}, "properties, must be an object"),
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


@pytest.mark.parametrize("path", ["/engage", "/groups", "/track", "/import"])
def test_unreadable_body_is_answered_0(service, http, path, capfd):
    for kind, body in UNREADABLE.items():
        answer = send(http, service, body, path)
        assert (answer.status_code, answer.json()["status"]) == (200, 0), kind
        assert answer.json()["error"], kind
    assert service.profiles() == {}
    listed = http.get(service.url + "/simulator/messages", timeout=TIMEOUT).json()
    assert [one["verdict"] for one in listed] == ["rejected"] * len(UNREADABLE)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("value", ["NaN", "1e999", "[" * 150 + "]" * 150, "[" * 900 + "]" * 900])
def test_event_beyond_json_is_refused(service, http, value):
    event = '{"event": "opened", "properties": {"token": "T", "n": ' + value + "}}"
    assert send(http, service, event, "/track").json()["status"] == 0
    (listed,) = http.get(service.url + "/simulator/messages", timeout=TIMEOUT).json()
    assert listed["verdict"] == "rejected"
    assert listed["message"] == event[:1_000]  # unreadable: the beginning of its text


@pytest.mark.parametrize(("depth", "status"), [(100, 1), (101, 0)])
def test_value_nests_100_deep(service, http, depth, status):
    deep = "[" * depth + "1" + "]" * depth
    event = '{"event": "opened", "properties": {"token": "T", "n": ' + deep + "}}"
    assert send(http, service, f"[{event}]", "/track").json()["status"] == status


@pytest.mark.parametrize(
    "query", ["data=%FF", "data=[", "data=%7B%22a%22", "data=AAA", "data=%00", "%FF=%FF", ""]
)
def test_unreadable_query_is_answered_0(service, http, query):
    answer = http.get(f"{service.url}/engage?verbose=1&{query}", timeout=TIMEOUT)
    assert answer.status_code == 200
    assert answer.text == "0" or answer.json()["status"] == 0


def test_missing_data_has_documented_error(service, http):
    assert send(http, service, b"").json() == {"status": 0, "error": "data, missing or empty"}


def noted(size):
    """An update of so many bytes."""
    text = json.dumps(update(payload={"note": ""}), separators=(",", ":"))
    return text.replace('""', '"' + "x" * (size - len(text)) + '"')


@pytest.mark.parametrize(("size", "status"), [(1_000_000, 1), (1_000_001, 0)])
def test_update_is_at_most_1_mb(service, http, size, status):
    answer = send(http, service, noted(size)).json()
    assert answer == {"status": status, "error": None if status else "message, more than 1,000,000 bytes"}


def test_event_with_half_a_pair_is_refused(service, http):
    event = '{"event": "opened", "properties": {"token": "T", "n": "\\ud83c"}}'
    answer = send(http, service, event, "/track").json()
    assert answer == {"status": 0, "error": "message, half a surrogate pair in a text"}


def test_text_of_browser_sdk_arrives_unchanged(service, http):
    """It writes the tree's two surrogates as three bytes each, and all that in base64."""
    text = json.dumps(update(payload={"note": "text 🌳"}), ensure_ascii=False)
    raw = text.encode().replace("🌳".encode(), b"\xed\xa0\xbc\xed\xbc\xb3")
    assert send(http, service, b"data=" + base64.b64encode(raw)).json()["status"] == 1
    assert service.profiles() == {"ada": {"note": "text 🌳"}}


def test_engage_refuses_gzip_in_words(service, http):
    body, headers = gzip.compress(json.dumps([update()]).encode()), {"Content-Encoding": "gzip"}
    answer = send(http, service, body, headers=headers).json()
    assert answer == {"status": 0, "error": "Content-Encoding, /engage does not support gzip"}


def test_body_over_10_mb_is_413(service, http):
    def sized(size):
        return noted(1_000_000) + " " * (size - 1_000_000)

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


def test_reject_all_applies_nothing(http):
    with Service(mixed="reject-all") as service:
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


def test_valid_updates_of_batch_are_applied(service, http):
    """Documented: 1 means that one or more are valid."""
    assert send(http, service, MIXED).json() == {"status": 1, "error": None}
    assert service.profiles() == {"ada": {"plan": "pro"}, "cy": {"plan": "pro"}}
    assert [one.message for one in service.messages("accepted")] == [MIXED[0], MIXED[3]]
    assert [one.message for one in service.messages("rejected")] == MIXED[1:3]


def test_batch_without_valid_update_is_answered_0(service, http):
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


@pytest.mark.parametrize(
    ("operator", "reason"),
    [
        ("$increment", "$increment, is not an operator; did you mean $add?"),
        ("$merge", "$merge, is not an operator; a property of that name belongs inside $set"),
        ("$device_id", "message, has no operator such as $set"),
    ],
)
def test_unknown_operator_is_refused(service, http, operator, reason):
    assert send(http, service, [update(operator=operator)]).json() == {"status": 0, "error": reason}


def test_dialect_takes_unknown_operators(http):
    with Service(dialect=Dialect(unknown_operators="ship")) as service:
        assert send(http, service, [update(operator="$merge")]).json()["status"] == 1
