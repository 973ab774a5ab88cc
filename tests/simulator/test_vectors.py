"""The shared conformance cases, if this checkout has them: in memory, and through the service."""

import pytest
import requests

from simulator.service.server import Service
from tests.simulator.test_cases import outcome
from tests.simulator.vectors import MISSING, OWN, SHARED, cases, expected, ids, sampled, spelled

CASES = cases(SHARED)
TIMEOUT = 60


@pytest.mark.skipif(not CASES, reason=MISSING)
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_shared_vector(case):
    assert outcome(case) == (expected(case), case["verdicts"])


@pytest.fixture(scope="module")
def send():
    """Send a message to one service, over one connection; or ask it something."""
    with Service() as service, requests.Session() as session:
        session.trust_env = False

        def send(path, message=None, **params):
            params["verbose"] = "1"
            method = "GET" if message is None else "POST"
            answer = session.request(method, service.url + path, params=params, json=message, timeout=TIMEOUT)
            return answer.json()

        yield send


def through_the_service(send, case):
    """Return the service's profiles after a case, under a token of its own, and a bool for each accepted message."""
    token = case["id"]

    def ask(path, message):
        return send(path, {**message, "$token": token})["status"] == 1

    for profile, properties in case["given"].items():
        assert ask("/engage", {"$distinct_id": profile, "$set": properties})
    taken = []
    for message in case["messages"]:
        # As an SDK would: who names a group sends there; who names both is refused at either.
        named = {"$group_key", "$group_id"} & message.keys()
        taken.append(ask("/groups" if named else "/engage", message))
    return spelled(send("/simulator/profiles", token=token), send("/simulator/groups", token=token)), taken


def is_taken(verdicts):
    return any(verdict != "rejected" for verdict in verdicts)


@pytest.mark.parametrize("case", sampled(OWN), ids=ids(OWN))
def test_case_through_the_service(send, case):
    profiles, taken = through_the_service(send, case)
    assert profiles == expected(case)
    assert taken == [is_taken(verdicts) for verdicts in case["verdicts"]]


@pytest.mark.skipif(not CASES, reason=MISSING)
@pytest.mark.parametrize("case", sampled(CASES), ids=ids(CASES))
def test_shared_vector_through_the_service(send, case):
    profiles, taken = through_the_service(send, case)
    assert profiles == expected(case)
    assert taken == [is_taken(verdicts) for verdicts in case["verdicts"]]
