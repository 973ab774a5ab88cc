"""The official mixpanel-utils at the local service: profiles written, and read back by the query API."""

import pytest
from mixpanel_utils import MixpanelUtils

from simulator.service.server import Service
from tests.contract.agreement import assert_agreement, events

pytestmark = pytest.mark.long  # it fills more than one page

MANY = 1_201  # a page of the query API has 1,000
ADA = {"plan": "pro", "first": "harbour", "visits": 3, "list": ["a", "b"], "tags": ["x"]}
CALLS = [
    ("people_set", {"plan": "pro", "gone": 1}),
    ("people_set_once", {"first": "harbour", "plan": "late"}),
    ("people_add", {"visits": 3}),
    ("people_append", {"list": "a"}),
    ("people_append", {"list": "b"}),
    ("people_union", {"tags": ["x", "y"]}),
    ("people_remove", {"tags": "y"}),
    ("people_unset", ["gone"]),
]


@pytest.fixture
def service():
    with Service() as service:
        yield service


@pytest.fixture(params=["secret", "service account"])
def utils(request, service):
    account = {"service_account_username": "account", "project_id": "123"}
    more = account if request.param == "service account" else {}
    utils = MixpanelUtils("secret", token="T", pool_size=1, **more)
    utils.import_api, utils.formatted_api = service.url, f"{service.url}/api"
    return utils


def test_utils_write_and_read_profiles(utils, service):
    ada = [{"$distinct_id": "ada"}]
    for verb, value in CALLS:
        assert getattr(utils, verb)(value, profiles=ada, backup=False) == 1
    utils.people_set({"a": 1}, profiles=[{"$distinct_id": "gone"}], backup=False)
    utils.people_delete(profiles=[{"$distinct_id": "gone"}], backup=False)
    many = {str(number): {"number": number, "name": "Ådä 🌳"} for number in range(MANY)}
    utils.import_people([{"$distinct_id": id_, "$properties": profile} for id_, profile in many.items()])

    assert service.messages("rejected") == []
    users = {"ada": ADA, **many}
    assert_agreement(service, "T", users, {})
    read = utils.query_engage()
    assert len(read) == len(users)
    assert {profile["$distinct_id"]: profile["$properties"] for profile in read} == users
    assert utils.query_engage({"distinct_id": "ada"}) == [{"$distinct_id": "ada", "$properties": ADA}]


def test_utils_import_events(utils, service):
    good = {"distinct_id": "ada", "time": 1_000_000_000, "$insert_id": "one"}
    utils.import_events([{"event": "old", "properties": good}], timezone_offset=0)
    assert service.messages("rejected") == []
    assert events(service, "T") == ["old"]
