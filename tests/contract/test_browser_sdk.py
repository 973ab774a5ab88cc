"""The official browser SDK at the local service: every call, each way of sending, and a page that goes."""

import pytest

from simulator.service.server import Service
from tests.contract.agreement import UPDATES, events
from tests.contract.browser_sdk import EVENTS, MODES, UPDATES_SENT, Browser, assert_meant
from tests.services import eventually

pytestmark = pytest.mark.long  # it starts a browser

ANSWERS = 34
INHERITED = ("constructor", "toString", "_action")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def service():
    with Service() as service:
        yield service


@pytest.mark.parametrize("mode", MODES)
def test_browser_sdk_leaves_predicted_profiles(mode, browser, service):
    said = browser.visit(service.url, mode, mode)
    # An image brings no answer; without one, no identify follows an alias.
    names, answers = (EVENTS[:-1], 0) if mode == "img" else (EVENTS, ANSWERS)
    eventually(lambda: len(service.messages()) >= UPDATES_SENT + len(names))

    # Every call that it offers was made, and answered as it should.
    offered = {name for name in said["offered"] if "._" not in name and not name.endswith(INHERITED)}
    assert offered <= {name for name, _ in said["ended"]}
    yes = {"status": 1, "error": None} if mode == "verbose" else 1
    assert [answer for _, answer in said["ended"] if answer is not None] == [yes] * answers
    assert said["broken"] == 0

    # Each message got its verdict, and what is held is what was meant beside what the SDK adds.
    assert service.messages("rejected") == []
    accepted = service.messages("accepted", mode)
    assert len([one for one in accepted if one.endpoint in UPDATES]) == UPDATES_SENT
    assert events(service, mode) == names
    assert_meant(service, mode)


def test_events_are_sent_when_page_goes(browser, service):
    """By sendBeacon, as text/plain, and up to twice; updates of profiles wait for the app's next page."""
    assert browser.visit(service.url, "leaving", "leaving") == {"left": True}
    eventually(lambda: len(service.messages()) >= 2)
    assert service.messages("rejected") == []
    sent = {one.message["properties"]["$insert_id"]: one.message for one in service.messages(token="leaving")}
    assert [message["event"] for message in sent.values()] == ["$identify", "left"]
    assert list(sent.values())[1]["properties"]["page"] == "ø 🌳"
    assert service.profiles() == {}


def test_refused_batches_are_sent_again(browser):
    """The page may read these answers, too: the SDK gives up a batch whose status it is not shown."""
    faults = [{"at": at, "fault": "status", "code": code} for at, code in enumerate((429, 503), 1)]
    with Service(faults=faults) as service:
        browser.visit(service.url, "batched again", "batched")
        eventually(lambda: len(service.messages()) >= UPDATES_SENT + len(EVENTS))
        assert len(service.messages("accepted")) == UPDATES_SENT + len(EVENTS)
        assert_meant(service, "batched again")
