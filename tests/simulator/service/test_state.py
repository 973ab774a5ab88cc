"""The service's state, as its own routes and the query API show it."""

import re

import pytest
import requests

from simulator.service.faults import AckLost
from tests.simulator.service.senders import TIMEOUT, group, send, update


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


def test_reset_takes_a_form(service, http):
    send(http, service, [update(), {**update("bob"), "$token": "B"}])
    http.post(service.url + "/simulator/reset", data={"token": "B"}, timeout=TIMEOUT)
    assert list(service.profiles()) == ["ada"]
    answer = http.post(service.url + "/simulator/reset", data=b"token=%FF", timeout=TIMEOUT)
    assert (answer.status_code, list(service.profiles())) == (400, ["ada"])


def test_reset_forgets_everything(service, http):
    send(http, service, [update(), {"$set": {}}])
    send(http, service, [group()], "/groups")
    assert http.post(service.url + "/simulator/reset", timeout=TIMEOUT).status_code == 200
    assert (service.profiles(), service.groups(), service.messages()) == ({}, {}, [])


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
        "/api/2.0/engage",
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
