"""Official SDKs that send to the relay: the service is away, the relay is killed, and then the service has faults."""

import time
from contextlib import closing, contextmanager

import mixpanel
import pytest
from mixpanel_utils import MixpanelUtils

from simulator.service.server import Service
from tests.contract import node_sdk, python_sdk
from tests.contract.agreement import UPDATES, assert_agreement
from tests.contract.browser_sdk import EVENTS, UPDATES_SENT, Browser, assert_meant
from tests.contract.test_utils_sdk import ADA, CALLS
from tests.relays import RelayCommand
from tests.services import closed_port, eventually

pytestmark = pytest.mark.long  # they start commands, Node and a browser

DAYS = 86_400.0

# What the sender cannot know is so that its policy is right about it: nothing was applied, or all of it.
NOT_APPLIED = [
    {"fault": "status", "code": 503},
    {"fault": "garbage"},
    {"fault": "refuse"},
    {"fault": "reset"},
]
APPLIED = [{"fault": "status", "code": 429, "retry_after": 0}, {"fault": "ack_lost"}, {"fault": "truncate"}]
FAULTS = {"resend": NOT_APPLIED, "drop": APPLIED}


@contextmanager
def shipped_later(folder, tokens, send, in_doubt="resend", *options):
    """Let SDKs send to a relay, kill that, start it again beside a service with faults, and yield the service."""
    port = closed_port()
    journals = {token: folder / f"{token}.db" for token in tokens}
    policy = ("--in-doubt", in_doubt, "--settle-after", "0s")
    relay = RelayCommand(journals, f"http://127.0.0.1:{port}", *policy, *options)
    with relay:
        send(relay)
        if in_doubt == "drop":
            relay.kill_between_requests()
    faults = [{"at": 1 + 2 * place, **fault} for place, fault in enumerate(FAULTS[in_doubt])]
    with Service(port, faults=faults) as service:
        with relay:
            for token in tokens:
                counts = relay.drained(token)
                assert counts.rejected == 0
        assert service.messages("rejected") == []
        yield service


def events(service, token):
    """Return accepted events by name, each once; a repeated one has the same `$insert_id`."""
    arrived = [one.message for one in service.messages("accepted", token) if one.endpoint not in UPDATES]
    once = {event["properties"].get("$insert_id", "no id"): event for event in arrived}  # $merge has none
    return sorted(event["event"] for event in once.values())


@pytest.mark.parametrize("in_doubt", FAULTS)
@pytest.mark.parametrize("kind", ["Consumer", "BufferedConsumer"])
def test_python_sdk_loses_nothing(kind, in_doubt, tmp_path):
    held = time.time() - 10 * DAYS

    def send(relay):
        python_sdk.make_calls(relay.url, "T", kind)
        consumer = mixpanel.Consumer(events_url=f"{relay.url}/track")
        with closing(consumer._session):
            mixpanel.Mixpanel("T", consumer).track("ada", "held", {"time": held})

    with shipped_later(tmp_path, ["T"], send, in_doubt) as service:
        assert_agreement(service, "T", python_sdk.USERS, python_sdk.GROUPS)
        assert events(service, "T") == sorted([*python_sdk.EVENTS, "held"])
        (old,) = {
            (one.endpoint, one.message["properties"]["time"])
            for one in service.messages("accepted")
            if one.message.get("event") == "held"
        }
        assert old == ("/import", held)  # /track would drop what is as old


@pytest.mark.parametrize("in_doubt", FAULTS)
def test_node_sdk_loses_nothing(in_doubt, tmp_path):
    said = {}

    def send(relay):
        said["begun"] = time.time()
        said.update(node_sdk.make_calls(relay.url, "T", "verbose"))
        said["over"] = time.time()

    with shipped_later(tmp_path, ["T"], send, in_doubt) as service:
        failed = [name for name, error in said["ended"] if error is not None]
        assert failed == [*node_sdk.REFUSED]
        assert_agreement(service, "T", node_sdk.USERS, node_sdk.GROUPS)
        assert events(service, "T") == sorted({*node_sdk.EVENTS} - node_sdk.IMPORTED)
        # The SDK gives some no time: theirs is when the relay took them.
        times = [one.message["properties"]["time"] for one in service.messages() if "event" in one.message]
        assert all(said["begun"] - 1 < moment < said["over"] for moment in times)


MODES = ["plain", "script", "preflight", "batched", "leaving"]


def test_browser_sdk_loses_nothing(tmp_path):
    """Pages that the device serves, each with a project of its own; one of them sends as it goes."""
    with Browser(tmp_path / "chromium") as browser:

        def send(relay):
            for mode in MODES[:-1]:
                said = browser.visit(relay.url, mode, mode)
                assert (said["broken"], {answer for _, answer in said["ended"]}) == (0, {None, 1})
                # Batches come later.
                eventually(lambda mode=mode: relay.counts(mode).recorded >= UPDATES_SENT + len(EVENTS))
            assert browser.visit(relay.url, "leaving", "leaving") == {"left": True}

        with shipped_later(tmp_path, MODES, send, "drop", "--origin", browser.origin) as service:
            for mode in MODES[:-1]:
                assert events(service, mode) == sorted(EVENTS)
                assert_meant(service, mode)
            assert events(service, "leaving") == ["$identify", "left"]


def test_browser_without_origin_sends_nothing(tmp_path):
    with Browser(tmp_path / "chromium") as browser:
        send = lambda relay: browser.visit(relay.url, "T", "script")  # noqa: E731
        with shipped_later(tmp_path, ["T"], send) as service:
            assert service.messages() == []


def test_utils_lose_nothing(tmp_path):
    many = {f"visitor-{number}": {"number": number} for number in range(300)}
    event = {"distinct_id": "ada", "time": 1_000_000_000, "$insert_id": "one"}

    def send(relay):
        utils = MixpanelUtils("secret", token="T", pool_size=1)
        utils.import_api = relay.url
        for verb, value in CALLS:
            assert getattr(utils, verb)(value, profiles=[{"$distinct_id": "ada"}], backup=False) == 1
        utils.import_people([{"$distinct_id": id_, "$properties": profile} for id_, profile in many.items()])
        utils.import_events([{"event": "old", "properties": event}], timezone_offset=0)

    with shipped_later(tmp_path, ["T"], send, "drop") as service:
        assert_agreement(service, "T", {"ada": ADA, **many}, {})
        assert events(service, "T") == ["old"]


REACT_NATIVE = {
    "name": "Ådä 🌳 +/=&%",
    "nested": {"a": [1, None, True]},
    "first": "harbour",
    "visits": 3.5,
    "n": -1,
    "list": ["b"],
    "tags": ["x", "y"],
    "$transactions": [{"$amount": 29.99, "$time": "2026-01-02T03:04:05"}],
}


def test_react_native_sdk_loses_nothing(tmp_path):
    """It gives its events no `$insert_id`: the relay does, so that none counts twice."""
    driver = node_sdk.DRIVER.with_name("react_native.mjs")

    def send(relay):
        node_sdk.run(driver, relay.url, "T", node_sdk.package("mixpanel-react-native"))

    with shipped_later(tmp_path, ["T"], send, "drop") as service:
        groups = {"company": {"acme": {"sites": 2, "tags": ["x"]}}}
        assert_agreement(service, "T", {"ada": REACT_NATIVE}, groups)
        assert events(service, "T") == ["$identify", "closed", "opened"]
