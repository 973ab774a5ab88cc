"""The official Node SDK at the local service: every call, plain and verbose, one by one and in batches."""

import pytest

from simulator.service.server import Service
from tests.contract.agreement import UPDATES, assert_agreement, events
from tests.contract.node_sdk import DRIVER, EVENTS, GROUPS, IMPORTED, MODIFIERS, REFUSED, USERS, make_calls

pytestmark = pytest.mark.long  # it starts Node


@pytest.fixture(params=["plain over HTTP", "plain over HTTPS", "verbose over HTTPS"])
def played(request):
    """The service after all calls, how each of them ended, and how the SDK was told."""
    mode, _, scheme = request.param.split()
    with Service(tls=scheme == "HTTPS") as service:
        yield service, make_calls(service.url, "T", mode, service.ca_file), mode


def test_node_sdk_leaves_predicted_profiles(played):
    service, said, mode = played

    # Every call that it offers was made, and ended as it should.
    assert set(said["offered"]) <= {name for name, _ in said["ended"]}
    failed = [(name, error) for name, error in said["ended"] if error is not None]
    assert failed == [
        (name, f"Mixpanel Server Error: {reason if mode == 'verbose' else 0}")
        for name, reason in REFUSED.items()
    ]

    # Each message got its verdict.
    rejected = service.messages("rejected")
    assert [(one.endpoint, one.reason) for one in rejected] == [
        ("/engage", reason) for reason in REFUSED.values()
    ]
    accepted = service.messages("accepted")
    assert {one.token for one in accepted} == {"T"}
    assert len([one for one in accepted if one.endpoint in UPDATES]) == 50
    assert events(service, "T") == [name for name in EVENTS if service.ca_file or name not in IMPORTED]
    assert_agreement(service, "T", USERS, GROUPS)


def test_node_sdk_sends_modifiers_in_envelope(played):
    service, _, _ = played
    modified = [one.message for one in service.messages("accepted") if "$latitude" in one.message]
    assert len(modified) == DRIVER.read_text(encoding="utf-8").count(", modifiers]")
    for message in modified:
        assert {name: value for name, value in message.items() if name in MODIFIERS} == MODIFIERS


def test_node_sdk_agrees_over_https(monkeypatch):
    """As it demands of imports with a secret."""
    with Service(tls=True) as service:
        monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(service.ca_file))
        make_calls(service.url, "T", "plain")
        assert events(service, "T") == [name for name in EVENTS if service.ca_file or name not in IMPORTED]
        assert_agreement(service, "T", USERS, GROUPS)
