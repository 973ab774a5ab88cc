"""Imports: credentials, and the validation of each event with ``strict=1``."""

import base64
import gzip
import json

import pytest

from recorder.model.events import DISALLOWED_IDS, FIVE_DAYS, check_event, is_old
from recorder.model.payloads import MAX_BODY
from simulator.service.server import Service
from tests.simulator.service.senders import TIMEOUT

NOW = 1_700_000_000
TOKEN = ("T", "")
ACCOUNT = ("robot", "secret")
FAILED = "some data points in the request failed validation"


@pytest.fixture
def service():
    with Service(clock=lambda: NOW) as service:
        yield service


def event(**properties):
    return {
        "event": "opened",
        "properties": {"time": NOW - 9 * FIVE_DAYS, "distinct_id": "ada", "$insert_id": "a-1", **properties},
    }


def without(name):
    return {"event": "opened", "properties": {k: v for k, v in event()["properties"].items() if k != name}}


def post(http, service, body, query="strict=1", auth=TOKEN, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http.post(f"{service.url}/import?{query}", data=data, auth=auth, headers=headers, timeout=TIMEOUT)


@pytest.mark.parametrize("query", ["strict=1", "strict=1&verbose=1", "strict=1&verbose=0&callback=f&img=1"])
def test_strict_import_names_failed_records(service, http, query):
    bad = [event(**{"$insert_id": "b-2", "time": "noon"}), {"event": "", "properties": {}}]
    answer = post(http, service, [event(), *bad], query)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json")
    assert answer.json() == {
        "code": 400,
        "error": FAILED,
        "failed_records": [
            {
                "index": 1,
                "$insert_id": "b-2",
                "insert_id": "b-2",
                "field": "properties.time",
                "message": "'properties.time' is invalid: must be specified as seconds since epoch",
            },
            {
                "index": 2,
                "$insert_id": None,
                "insert_id": None,
                "field": "event",
                "message": "'event' must not be missing or blank",
            },
        ],
        "num_records_imported": 1,
        "status": "Bad Request",
    }
    assert [one.message for one in service.messages("accepted")] == [event()]
    assert [one.message for one in service.messages("rejected")] == bad
    good = post(http, service, [event(), event()], query)
    assert (good.status_code, good.json()) == (200, {"code": 200, "num_records_imported": 2, "status": "OK"})


def test_strict_import_ignores_batch_policy(http):
    with Service(mixed="reject-all") as service:
        assert post(http, service, [event(), {}]).json()["num_records_imported"] == 1


VALID = {
    "milliseconds": event(time=NOW * 1000),
    "half an hour ahead": event(time=NOW + 1_800),
    "1971": event(time=31_536_000),
    "1971 in milliseconds": event(time=31_536_000_000),
    "a fraction": event(time=NOW - 0.5),
    "nobody": event(distinct_id=""),
    "no distinct_id": without("distinct_id"),
    "a number as id": event(distinct_id=12),
    "longest id": event(**{"$insert_id": "a" * 36}),
    "254 properties": event(**{f"p{n}": n for n in range(251)}),
    "254 elements": event(list=[0] * 254),
    "three levels": event(a={"b": {"c": {"d": 1}}}),
    "a merge": {"event": "$merge", "properties": {"$distinct_ids": ["ada", "bob"]}},
}
INVALID = {
    "no name": ({"properties": event()["properties"]}, "event"),
    "blank name": ({**event(), "event": " "}, "event"),
    "name is a number": ({**event(), "event": 5}, "event"),
    "no properties": ({"event": "opened"}, "properties"),
    "list of properties": ({"event": "opened", "properties": []}, "properties"),
    "no object": ("opened", "event"),
    "no time": (without("time"), "properties.time"),
    "time is text": (event(time="1700000000"), "properties.time"),
    "time is true": (event(time=True), "properties.time"),
    "1970": (event(time=31_535_999), "properties.time"),
    "1970 in milliseconds": (event(time=31_535_999_000), "properties.time"),
    "negative": (event(time=-5), "properties.time"),
    "two hours ahead": (event(time=NOW + 7_200), "properties.time"),
    "400 digits": (event(time=10**400), "properties.time"),
    "two hours ahead in milliseconds": (event(time=(NOW + 7_200) * 1000), "properties.time"),
    "no insert id": (without("$insert_id"), "properties.$insert_id"),
    "empty insert id": (event(**{"$insert_id": ""}), "properties.$insert_id"),
    "insert id of 37": (event(**{"$insert_id": "a" * 37}), "properties.$insert_id"),
    "insert id with a colon": (event(**{"$insert_id": "a:1"}), "properties.$insert_id"),
    "insert id with a line break": (event(**{"$insert_id": "a\n"}), "properties.$insert_id"),
    "insert id is a number": (event(**{"$insert_id": 5}), "properties.$insert_id"),
    "insert id is unknown": (event(**{"$insert_id": "unknown"}), "properties.$insert_id"),
    "255 properties": (event(**{f"p{n}": n for n in range(252)}), "properties"),
    "255 keys": (event(a={"b": {str(n): n for n in range(255)}}), "properties.a"),
    "255 elements": (event(list=[0] * 255), "properties.list"),
    "four levels": (event(a=[{"b": {"c": {"d": {}}}}]), "properties.a"),
    "a merge of one": (
        {"event": "$merge", "properties": {"$distinct_ids": ["ada"]}},
        "properties.$distinct_ids",
    ),
    "more than 1 MB": (event(note="x" * 1_000_000), "event"),
}


@pytest.mark.parametrize("kind", VALID)
def test_valid_event_is_imported(service, http, kind):
    assert post(http, service, [VALID[kind]]).json() == {
        "code": 200,
        "num_records_imported": 1,
        "status": "OK",
    }


@pytest.mark.parametrize("kind", INVALID)
def test_invalid_event_names_its_field(service, http, kind):
    message, field = INVALID[kind]
    answer = post(http, service, [event(), message])
    assert (answer.status_code, answer.json()["num_records_imported"]) == (400, 1)
    (failed,) = answer.json()["failed_records"]
    assert (failed["index"], failed["field"]) == (1, field)
    assert [one.reason for one in service.messages("rejected")] == [failed["message"]]


@pytest.mark.parametrize(
    "id_", [*sorted(DISALLOWED_IDS), "Undefined", " null ", None, 0, -1, True, False, [], {}]
)
def test_disallowed_distinct_id_fails(id_):
    field, message = check_event(event(distinct_id=id_), NOW)
    assert (field, message) == (
        "properties.distinct_id",
        "'properties.distinct_id' is invalid: is a disallowed value",
    )


@pytest.mark.parametrize("query", ["", "strict=0", "verbose=0"])
@pytest.mark.parametrize(("message", "digit"), [(without("time"), "1"), ({"event": "opened"}, "0")])
def test_lenient_import_is_not_validated(service, http, query, message, digit):
    """The Node SDK sends neither ``strict`` nor ``$insert_id``, and takes anything but the digit for a failure."""
    answer = post(http, service, [message], query)
    assert (answer.status_code, answer.text) == (200, digit)


def test_lenient_import_answers_verbosely(service, http):
    """The Python SDK asks like this, and needs both names."""
    assert post(http, service, [event()], "verbose=1").json() == {"status": 1, "error": None}
    assert post(http, service, [{}], "verbose=1").json() == {"status": 0, "error": "event, missing or empty"}


@pytest.mark.parametrize("query", ["strict=1", "strict=1&verbose=1", "verbose=1"])
def test_import_takes_gzip_and_lines(service, http, query):
    lines = b"\n".join(json.dumps(event(n=n)).encode() for n in range(2))
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    assert post(http, service, gzip.compress(lines), query, **headers).status_code == 200
    assert [one.message for one in service.messages("accepted")] == [event(n=0), event(n=1)]


def test_unreadable_strict_import_is_400(service, http):
    for body in (b"[", [event()] * 2_001):
        answer = post(http, service, body)
        assert (answer.status_code, answer.json()["code"], answer.json()["num_records_imported"]) == (
            400,
            400,
            0,
        )
        assert answer.json()["error"].startswith("data, ")


@pytest.mark.parametrize("packed", [False, True])
def test_import_over_10_mb_is_413(service, http, packed):
    body = b" " * (MAX_BODY + 1)
    headers = {"Content-Encoding": "gzip"} if packed else {}
    answer = post(http, service, gzip.compress(body) if packed else body, **headers)
    assert (answer.status_code, answer.json()) == (
        413,
        {
            "code": 413,
            "error": f"request exceeds max limit of {MAX_BODY} bytes",
            "status": "Request Entity Too Large",
        },
    )


def basic(text):
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


REFUSED = {
    "nothing": ("", {}, "no HTTP Basic"),
    "another scheme": ("", {"Authorization": "Digest x"}, "no HTTP Basic"),
    "no colon": ("", basic("token"), "a colon between"),
    "no name": ("", basic(":secret"), "a colon between"),
    "no project": ("", basic("robot:secret"), "needs project_id"),
    "another account": ("project_id=1", basic("robot:guess"), "another service account's"),
}
ADMITTED = {
    "token": ("", basic("T:"), "T"),
    "account": ("project_id=1", basic("robot:secret"), None),
    "account in plain text": ("project_id=1", {"Authorization": "basic robot:secret"}, None),
    "OAuth": ("", {"Authorization": "Bearer xyz"}, None),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_import_without_fit_credentials_is_401(http, kind):
    query, headers, says = REFUSED[kind]
    with Service(credentials=ACCOUNT) as service:
        answer = post(http, service, [event()], f"strict=1&{query}", auth=None, **headers)
        assert answer.status_code == 401
        assert (answer.json()["code"], answer.json()["status"]) == (401, "Unauthorized")
        assert answer.json()["error"].startswith("Invalid credentials")
        assert says in answer.json()["error"]
        assert service.messages() == []


def test_import_without_credentials_is_taken(http):
    """Unless an account is given: a first try should work, and a wrong header is refused all the same."""
    with Service() as service:
        assert post(http, service, [event()], "strict=1", auth=None).status_code == 200
        headers = {"Authorization": "Basic Og=="}
        assert post(http, service, [event()], "strict=1", auth=None, **headers).status_code == 401


@pytest.mark.parametrize("kind", ADMITTED)
def test_credentials_name_events_project(http, kind):
    query, headers, token = ADMITTED[kind]
    with Service(credentials=ACCOUNT) as service:
        events = [event(), event(token="other")]
        assert post(http, service, events, f"strict=1&{query}", auth=None, **headers).status_code == 200
        assert [one.token for one in service.messages()] == [token, "other"]


@pytest.mark.parametrize(
    ("age", "old"),
    [(0, False), (FIVE_DAYS, False), (FIVE_DAYS + 1, True), (40 * FIVE_DAYS, True), (-9, False)],
)
@pytest.mark.parametrize("unit", [1, 1000])
def test_event_is_old_after_five_days(age, old, unit):
    assert is_old({"properties": {"time": (NOW - age) * unit}}, NOW) is old


@pytest.mark.parametrize("time", ["1600000000", None, True, [], {}])
def test_event_of_unknown_age_is_young(time):
    assert not is_old({"properties": {"time": time}}, NOW)
    assert not is_old({"properties": time}, NOW)


def opened(age):
    return {"event": "opened", "properties": {"token": "T", "time": NOW - age, "n": age}}


@pytest.mark.parametrize(
    ("policy", "ages", "status", "kept"),
    [
        ("drop", [6 * 86_400], 1, []),
        ("drop", [6 * 86_400, 0], 1, [0]),
        ("refuse", [6 * 86_400], 0, []),
        ("refuse", [6 * 86_400, 0], 1, [0]),
    ],
)
def test_track_does_not_ingest_old_events(http, policy, ages, status, kept):
    with Service(old_events=policy, clock=lambda: NOW) as service:
        body = json.dumps([opened(age) for age in ages])
        answer = http.post(service.url + "/track?verbose=1", data=body, timeout=TIMEOUT).json()
        assert answer["status"] == status
        assert [one.message["properties"]["n"] for one in service.messages("accepted")] == kept
        (old,) = service.messages("rejected")
        assert old.reason.startswith("older than five days")
        assert answer["error"] in {None, old.reason}


def test_dropped_event_spoils_no_batch(http):
    with Service(mixed="reject-all", clock=lambda: NOW) as service:
        body = json.dumps([opened(6 * 86_400), opened(0)])
        assert http.post(service.url + "/track", data=body, timeout=TIMEOUT).text == "1"
        assert len(service.messages("accepted")) == 1


def test_unknown_policy_for_old_events_is_refused():
    with pytest.raises(ValueError, match="maybe"):
        Service(old_events="maybe")
