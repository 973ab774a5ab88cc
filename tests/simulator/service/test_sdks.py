"""The local service as the official SDK and curl meet it."""

import json
import shutil
import subprocess
from contextlib import closing

import mixpanel
import pytest

from tests.simulator.service.senders import TIMEOUT, connected, encoded, increment, posted, update


@pytest.fixture
def sdk(service):
    consumer = mixpanel.Consumer(
        events_url=service.url + "/track",
        people_url=service.url + "/engage",
        groups_url=service.url + "/groups",
        import_url=service.url + "/import",
        request_timeout=TIMEOUT,
    )
    with closing(consumer._session):
        yield mixpanel.Mixpanel("T", consumer)


def test_official_sdk_delivers_profile_updates(service, sdk):
    sdk.people_set("ada", {"plan": "pro", "name": "Ådä"})
    sdk.people_increment("ada", {"visits": 2})
    sdk.people_append("ada", {"tags": "a"})
    sdk.people_union("ada", {"tags": ["a", "b"]})
    sdk.people_track_charge("ada", 9.5, {"$time": "2026-01-02T03:04:05"})
    sdk.group_set("company", "acme", {"sites": 2})
    assert service.profiles("T") == {
        "ada": {
            "plan": "pro",
            "name": "Ådä",
            "visits": 2,
            "tags": ["a", "b"],
            "$transactions": [{"$time": "2026-01-02T03:04:05", "$amount": 9.5}],
        }
    }
    assert service.groups("T") == {"company": {"acme": {"sites": 2}}}
    sdk.people_delete("ada")
    assert service.profiles() == {}


def test_official_sdk_delivers_events_and_imports(service, sdk):
    sdk.track("ada", "opened", {"page": "/"})
    sdk.import_data("key", "ada", "opened", 1_700_000_000, api_secret="secret")
    assert [(one.endpoint, one.message["event"], one.token) for one in service.messages("accepted")] == [
        ("/track", "opened", "T"),
        ("/import", "opened", "T"),
    ]


def test_official_sdk_reports_refusals(sdk):
    with pytest.raises(mixpanel.MixpanelException, match="distinct_id, missing or empty"):
        sdk.people_set("", {"plan": "pro"})
    with pytest.raises(mixpanel.MixpanelException, match="NaN is not JSON"):
        sdk.people_set("ada", {"n": float("nan")})


def test_official_buffered_consumer_delivers_its_batches(service):
    consumer = mixpanel.BufferedConsumer(people_url=service.url + "/engage", max_size=10)
    with closing(consumer._consumer._session):
        sdk = mixpanel.Mixpanel("T", consumer)
        for _ in range(25):
            sdk.people_increment("ada", {"visits": 1})
        consumer.flush()
    assert service.profiles() == {"ada": {"visits": 25}}


def test_official_sdk_meets_the_scheduled_faults(service, sdk):
    service.set_faults([{"at": 1, "fault": "ack_lost"}, {"at": 2, "fault": "garbage"}])
    for _ in range(2):
        with pytest.raises(mixpanel.MixpanelException):
            sdk.people_increment("ada", {"visits": 1})
    assert service.profiles() == {"ada": {"visits": 1}}


@pytest.fixture
def curl(service):
    found = shutil.which("curl")
    if found is None:
        pytest.skip("curl is not installed")

    def curl(path, *arguments):
        command = [
            found,
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            str(TIMEOUT),
            *arguments,
        ]
        done = subprocess.run(
            [*command, service.url + path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    return curl


def test_curl_sends_by_get_and_post(service, curl):
    text = json.dumps(update())
    assert curl("/engage", "-d", text) == "1"
    assert curl("/engage", "--data-urlencode", f"data={text}") == "1"
    assert curl("/engage", "--data-urlencode", f"data={encoded(update())}") == "1"
    assert curl("/engage", "--get", "--data-urlencode", f"data={text}") == "1"
    assert curl(f"/engage?data={encoded(update())}") == "1"
    assert curl("/engage", "-d", "{}") == "0"
    assert json.loads(curl("/engage?verbose=1", "-d", "{}"))["error"] == "$token, missing or empty"
    assert len(service.messages("accepted")) == 5
    assert [one["reason"] for one in json.loads(curl("/simulator/messages?verdict=rejected"))] == [
        "$token, missing or empty"
    ] * 2
    assert json.loads(curl("/simulator/profiles?token=T")) == {"ada": {"plan": "pro"}}
    assert json.loads(curl("/simulator/reset", "-X", "POST")) == {"status": 1, "error": None}
    assert json.loads(curl("/simulator/profiles")) == {}


def test_curl_expects_100_continue(service, curl, tmp_path):
    path = tmp_path / "large.json"
    path.write_text(json.dumps([update(payload={"note": "x" * 900_000})] * 3))
    assert curl("/engage", "-H", "Expect: 100-continue", "--data-binary", f"@{path}") == "1"
    assert curl("/engage", "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{path}") == "1"
    assert len(service.messages("accepted")) == 6


def test_answer_comes_in_one_read(service):
    """The SDK for PHP reads once, and takes what it left for the answer to its next request, which it repeats."""
    with connected(service) as wire:
        for _ in range(50):
            wire.sendall(posted(increment()))
            assert wire.recv(65_536).endswith(b"\r\n\r\n1")
