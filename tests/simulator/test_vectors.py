"""The shared conformance cases, if this checkout has them: in memory, and through the service."""

from contextlib import ExitStack

import pytest
import requests

from simulator import Dialect
from simulator.service.server import Service
from tests.profiles import sampled
from tests.simulator.test_cases import outcome
from tests.simulator.vectors import MISSING, OWN, SHARED, cases, dialect_of, expected, ids, spelled

CASES = cases(SHARED)
TIMEOUT = 60


@pytest.mark.skipif(not CASES, reason=MISSING)
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_shared_vector(case):
    assert outcome(case) == (expected(case), case["verdicts"])


@pytest.fixture(scope="module")
def send():
    """Send a message to a service of that dialect, over one connection; or ask it something."""
    with ExitStack() as stack:
        dialects = [Dialect(), Dialect(unknown_operators="ship")]
        services = {dialect: stack.enter_context(Service(dialect=dialect)) for dialect in dialects}
        session = stack.enter_context(requests.Session())
        session.trust_env = False

        def send(dialect, path, message=None, **params):
            url = services[dialect].url + path
            method = "GET" if message is None else "POST"
            params["verbose"] = "1"
            return session.request(method, url, params=params, json=message, timeout=TIMEOUT).json()

        yield send


def through_the_service(send, case):
    """Return the service's profiles after a case, under a token of its own, and a bool for each accepted message."""
    token, dialect = case["id"], dialect_of(case)

    def ask(path, message):
        return send(dialect, path, {**message, "$token": token})["status"] == 1

    for profile, properties in case["given"].items():
        assert ask("/engage", {"$distinct_id": profile, "$set": properties})
    taken = []
    for message in case["messages"]:
        # As an SDK would: who names a group sends there; who names both is refused at either.
        named = {"$group_key", "$group_id"} & message.keys()
        taken.append(ask("/groups" if named else "/engage", message))
    profiles, groups = (send(dialect, f"/simulator/{each}", token=token) for each in ("profiles", "groups"))
    return spelled(profiles, groups), taken


def is_taken(verdicts):
    return any(verdict != "rejected" for verdict in verdicts)


@pytest.mark.parametrize("case", sampled(OWN, 8), ids=ids(OWN))
def test_case_through_the_service(send, case):
    profiles, taken = through_the_service(send, case)
    assert profiles == expected(case)
    assert taken == [is_taken(verdicts) for verdicts in case["verdicts"]]


@pytest.mark.skipif(not CASES, reason=MISSING)
@pytest.mark.parametrize("case", sampled(CASES, 8), ids=ids(CASES))
def test_shared_vector_through_the_service(send, case):
    profiles, taken = through_the_service(send, case)
    assert profiles == expected(case)
    assert taken == [is_taken(verdicts) for verdicts in case["verdicts"]]
