"""The official Python SDK's own consumers at the local service: every call, one by one and buffered."""

import mixpanel
import pytest

from simulator import Simulator
from simulator.service.server import Service
from tests.contract.agreement import assert_agreement, events, held, spelled
from tests.contract.python_sdk import CALLS, EVENTS, GROUPS, USERS, make_calls, make_every_call

NOT_CALLED = {"alias"}  # it posts to the real service, whatever consumer there is


def test_every_sending_verb_is_called():
    verbs = {
        name
        for name, member in vars(mixpanel.Mixpanel).items()
        if callable(member) and not name.startswith("_")
    }
    assert verbs - NOT_CALLED == {verb for verb, *_ in CALLS}


@pytest.mark.parametrize(
    ("kind", "options"),
    [("Consumer", {}), ("BufferedConsumer", {"max_size": 7}), ("BufferedConsumer", {"max_size": 50})],
)
def test_python_sdk_leaves_predicted_profiles(kind, options):
    with Service() as service:
        make_calls(service.url, "T", kind, **options)
    assert_all_arrived(service)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("Consumer", {"credentials": mixpanel.ServiceAccountCredentials("account", "password", "123")}),
        ("BufferedConsumer", {}),
    ],
)
@pytest.mark.long
def test_python_sdk_sends_over_https(kind, options, monkeypatch):
    with Service(tls=True) as service:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(service.ca_file))
        make_calls(service.url, "T", kind, **options)
    assert_all_arrived(service)


def assert_all_arrived(service):
    assert service.messages("rejected") == []
    assert len(service.messages("accepted", "T")) == len(CALLS)
    assert_agreement(service, "T", USERS, GROUPS)
    assert events(service, "T") == EVENTS


def test_simulator_takes_the_same_calls():
    called = Simulator()
    make_every_call(called, [call for call in CALLS if call[0].startswith(("people_", "group_"))])
    users, groups = held(called)
    assert (spelled(users), spelled(groups)) == (spelled(USERS), spelled(GROUPS))
