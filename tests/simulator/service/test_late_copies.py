"""Late copies: applied after their sender gave up."""

import pytest
import requests

from simulator.service.server import Service
from tests.simulator.service.senders import TIMEOUT, fault, increment, send, update


@pytest.fixture
def service(clock):
    with Service(clock=clock) as service:
        yield service


def test_late_copy_applies_after_newer(service, http, clock):
    service.set_faults([fault("late", seconds=1_000)])
    with pytest.raises(requests.ConnectionError):
        send(http, service, [update(payload={"plan": "old"})])
    send(http, service, [update(payload={"plan": "new"})])
    assert service.profiles() == {"ada": {"plan": "new"}}
    clock.now = 1_000
    assert service.profiles() == {"ada": {"plan": "old"}}
    plans = [one.message["$set"]["plan"] for one in service.messages("accepted")]
    assert plans == ["new", "old"]  # in order of arrival


def test_due_copy_precedes_next_request(service, http, clock):
    service.set_faults([fault("late", seconds=1_000)])
    with pytest.raises(requests.ConnectionError):
        send(http, service, [update(payload={"plan": "old"})])
    clock.now = 1_000
    send(http, service, [update(payload={"plan": "new"})])
    plans = [one.message["$set"]["plan"] for one in service.messages("accepted")]
    assert plans == ["old", "new"]


def test_late_copies_apply_in_due_order(service, http, clock):
    late = [("b", 2_000), ("a", 1_000), ("d", 4_000), ("c", 3_000)]
    service.set_faults([fault("late", at, seconds=seconds) for at, (_, seconds) in enumerate(late, 1)])
    for name, _ in late:
        with pytest.raises(requests.ConnectionError):
            send(http, service, [update(name)])
    clock.now = 3_000
    service.close()
    assert list(service.profiles()) == ["a", "b", "c"]


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
    assert service.profiles() == {"ada": {"visits": 1}}


def test_settle_ignores_unapplied_late_copy(service, http):
    service.set_faults([fault("late", seconds=3_600, applied=False)])
    with pytest.raises(requests.ConnectionError):
        send(http, service, [update()])
    assert service.settle(0)
