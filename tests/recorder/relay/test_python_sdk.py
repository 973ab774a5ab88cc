"""The official Python SDK with its own consumer, sending to the relay."""

import pytest
from mixpanel import Consumer, Mixpanel, MixpanelException

from tests.recorder.relay.conftest import Running


def test_python_sdk_records_through_relay(running):
    urls = [f"{running.url}/{name}" for name in ("track", "engage", "import")]
    mixpanel = Mixpanel("T", Consumer(*urls, groups_url=f"{running.url}/groups"))
    mixpanel.people_increment("ada", {"visits": 2})
    mixpanel.group_set("company", "acme", {"sites": 2})
    mixpanel.track("ada", "opened")
    mixpanel.import_data("key", "ada", "old", 86_400_000, api_secret="secret")
    entries = running.entries()
    assert [lane for lane, *_ in entries] == ["people", "groups", "events", "imports"]
    assert [state for _, _, state, _ in entries] == ["pending"] * 4


def test_python_sdk_is_told_what_is_wrong(tmp_path):
    with Running(tmp_path / "site.db") as running:
        mixpanel = Mixpanel("OTHER", Consumer(people_url=f"{running.url}/engage"))
        with pytest.raises(MixpanelException, match=r"\$token: is not of a project that this relay serves"):
            mixpanel.people_set("ada", {"plan": "pro"})
