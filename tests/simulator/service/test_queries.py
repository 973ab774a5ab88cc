"""The query API: what is asked for is what is shown, and what cannot be evaluated is refused."""

import json

import pytest

from simulator.service.server import Service
from tests.simulator.service.senders import TIMEOUT, group, send, update

ACCOUNT = ("robot", "secret")
ROUTES = ["POST /api/query/engage", "POST /api/2.0/engage", "GET /api/2.0/engage"]
PEOPLE = [update(f"u{n}", payload={"n": n, "plan": "pro"}) for n in range(3)]


def query(http, service, route=ROUTES[0], auth=ACCOUNT, **asked):
    method, path = route.split()
    where = {"params" if method == "GET" else "data": {"project_id": 1, **asked}}
    return http.request(method, service.url + path, auth=auth, timeout=TIMEOUT, **where)


def shown(answer):
    return {one["$distinct_id"]: one["$properties"] for one in answer.json()["results"]}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, {f"u{n}": {"n": n, "plan": "pro"} for n in range(3)}),
        ({"distinct_id": "u1"}, {"u1": {"n": 1, "plan": "pro"}}),
        (
            {"distinct_ids": '["u2", "nobody", "u0"]', "output_properties": '["n"]'},
            {"u2": {"n": 2}, "u0": {"n": 0}},
        ),
        ({"distinct_ids": "[]"}, {}),
        ({"output_properties": '["plan", "missing"]'}, {f"u{n}": {"plan": "pro"} for n in range(3)}),
        ({"distinct_id": "acme", "data_group_id": "company"}, {"acme": {"sites": 2}}),
        ({"data_group_id": "ship"}, {}),
        ({"where": "", "token": "other"}, {}),
    ],
)
def test_query_shows_what_is_asked(service, http, route, asked, found):
    send(http, service, PEOPLE)
    send(http, service, [group()], "/groups")
    answer = query(http, service, route, **asked)
    assert (answer.status_code, shown(answer)) == (200, found)
    assert list(shown(answer)) == list(found)


def test_query_answers_as_documented(service, http):
    send(http, service, [update()])
    answer = query(http, service).json()
    assert isinstance(answer.pop("session_id"), str)
    assert answer == {
        "page": 0,
        "page_size": 1000,
        "results": [{"$distinct_id": "ada", "$properties": {"plan": "pro"}}],
        "status": "ok",
        "total": 1,
    }


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"where": "true"}, "cannot evaluate where"),
        ({"selector": "true"}, "cannot evaluate selector"),
        ({"filter_by_cohort": '{"id": 5}'}, "cannot evaluate filter_by_cohort"),
        ({"behaviors": "5"}, "cannot evaluate behaviors"),
        ({"distinct_ids": "u1"}, "distinct_ids must be a JSON list"),
        ({"distinct_ids": "[1]"}, "distinct_ids must be a JSON list"),
        ({"output_properties": "[" * 100_000}, "output_properties must be a JSON list"),
        ({"page": "-1"}, "page must be a number"),
        ({"page": "many"}, "page must be a number"),
        ({"page": "1"}, "needs the session_id"),
        ({"page": "1", "session_id": "unknown"}, "needs the session_id"),
    ],
)
def test_query_refuses_what_it_cannot_answer(service, http, asked, says):
    answer = query(http, service, **asked)
    assert (answer.status_code, answer.json()["status"]) == (400, "error")
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "says"), [(b"\xff", "not UTF-8"), (b' {"distinct_id": "u1"}', "a form, not JSON")]
)
def test_malformed_query_is_400(service, http, body, says):
    answer = http.post(
        f"{service.url}/api/query/engage?project_id=1", data=body, auth=ACCOUNT, timeout=TIMEOUT
    )
    assert (answer.status_code, says in answer.json()["error"]) == (400, True)


def test_query_pages_show_one_moment(service, http):
    send(http, service, [update(f"u{number}", payload={"tags": ["a"]}) for number in range(1_001)])
    first = query(http, service).json()
    send(http, service, [update("later"), update("u1000", "$append", {"tags": "late"})])
    page = query(http, service, page=1, session_id=first["session_id"]).json()
    assert page == {
        **first,
        "page": 1,
        "results": [{"$distinct_id": "u1000", "$properties": {"tags": ["a"]}}],
    }
    assert query(http, service).json()["total"] == 1_002


def test_query_sessions_are_bounded(service, http):
    """The one in use stays."""
    sessions = [query(http, service).json()["session_id"] for _ in range(5)]
    assert len(set(sessions)) == 5
    query(http, service, session_id=sessions[0])
    query(http, service)
    codes = [query(http, service, page=1, session_id=one).status_code for one in sessions]
    assert codes == [200, 400, 200, 200, 200]


@pytest.mark.parametrize("auth", [None, ("robot", "guess"), ("", "secret")])
def test_query_without_fit_credentials_is_401(http, auth):
    with Service(credentials=ACCOUNT) as service:
        answer = query(http, service, auth=auth)
        assert (answer.status_code, answer.json()["status"]) == (401, "error")
        assert query(http, service).status_code == 200


def test_query_may_be_forbidden(http):
    with Service(queries_an_hour=0) as service:
        answer = query(http, service)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")


def test_query_limit_is_an_option(http):
    now = [1_000.0]
    with Service(queries_an_hour=2, clock=lambda: now[0]) as service:
        codes = []
        for now[0] in (1_000.0, 1_600.0, 1_600.0, 4_599.5, 4_600.0):
            answer = query(http, service)
            codes.append((answer.status_code, answer.headers.get("Retry-After")))
        assert codes == [(200, None), (200, None), (429, "3000"), (429, "1"), (200, None)]
        assert "more than 2 queries in an hour" in json.dumps(query(http, service).json())
