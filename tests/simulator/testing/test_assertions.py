"""Assertions: what they compare, and that their failures name property, types and operation."""

import pytest
import requests

from simulator import Simulator
from simulator.server import Service
from simulator.testing import assert_absent, assert_nothing_rejected, assert_profile, unordered


@pytest.fixture
def simulator():
    simulator = Simulator(clock=lambda: 1.5)
    simulator.people_set("ada", {"plan": "pro", "visits": 1, "tags": ["a", "b"]})
    simulator.people_increment("ada", {"visits": 1.0})
    simulator.people_append("ada", {"tags": "a"})
    simulator.group_set("company", "acme", {"sites": 2})
    return simulator


def failure(call, *arguments, **options):
    with pytest.raises(AssertionError) as failed:
        call(*arguments, **options)
    return str(failed.value)


def test_a_profile_is_compared_as_it_is_stored(simulator):
    whole = {"plan": "pro", "visits": 2.0, "tags": ["a", "b", "a"]}
    assert_profile(simulator, "ada", whole)
    assert failure(assert_profile, simulator, "ada", whole | {"visits": 2}) == (
        "profile 'ada', from what was expected to what was found:\n"
        "  visits: 2 (integer) → 2.0 (float)\n"
        "    by 2: {'$time': 1.5, '$distinct_id': 'ada', '$add': {'visits': 1.0}}"
    )


def test_the_writer_of_a_lists_element_is_named(simulator):
    text = failure(assert_profile, simulator, "ada", {"plan": "pro", "visits": 2.0, "tags": ["a", "b"]})
    assert '+ tags[2]: "a"\n    by 3: ' in text


def test_who_took_a_property_away_is_named(simulator):
    simulator.people_set("ada", {"more": 1})
    simulator.people_unset("ada", ["plan"])
    simulator.people_set("ada", {"more": 2})
    text = failure(assert_profile, simulator, "ada", {"plan": "pro"}, partial=True)
    assert '- plan: "pro"\n    by 5: ' in text
    simulator.people_delete("ada")
    simulator.people_set("ada", {"more": 3})
    text = failure(assert_profile, simulator, "ada", {"visits": 2.0}, partial=True)
    assert "- visits: 2.0\n    by 7: {'$time': 1.5, '$distinct_id': 'ada', '$delete': ''}" in text


def test_what_nobody_ever_wrote_has_no_writer(simulator):
    text = failure(assert_profile, simulator, "ada", {"never": 1}, partial=True)
    assert text.splitlines()[1:] == ["  - never: 1"]


def test_part_of_a_profile_can_be_compared(simulator):
    assert_profile(simulator, "ada", {"plan": "pro"}, partial=True)
    assert "+ plan" in failure(assert_profile, simulator, "ada", {"visits": 2.0, "tags": ["a", "b", "a"]})


def test_the_order_of_a_list_can_be_left_aside_but_not_how_often(simulator):
    assert_profile(simulator, "ada", {"tags": unordered(["b", "a", "a"])}, partial=True)
    for other in (["a", "b"], ["a", "a", "b", "b"], ["a", "a", 1], []):
        assert "tags" in failure(assert_profile, simulator, "ada", {"tags": unordered(other)}, partial=True)
    simulator.people_set("ada", {"tags": [1, True]})
    assert_profile(simulator, "ada", {"tags": unordered([True, 1])}, partial=True)
    assert "tags" in failure(assert_profile, simulator, "ada", {"tags": unordered([1.0, True])}, partial=True)
    assert repr(unordered(("a",))) == "unordered(['a'])"
    assert "tags" in failure(assert_profile, simulator, "ada", {"tags": unordered([])}, partial=True)


def test_groups_have_profiles_too(simulator):
    assert_profile(simulator, "acme", {"sites": 2}, group_key="company")
    assert failure(assert_profile, simulator, "acme", {"sites": 3}, group_key="company").startswith(
        "group 'company': 'acme', from"
    )
    assert_absent(simulator, "acme")
    assert_absent(simulator, "ada", group_key="company")


def test_an_id_may_be_an_integer():
    simulator = Simulator.from_messages([{"$distinct_id": 7, "$set": {"a": 1}}])
    assert_profile(simulator, 7, {"a": 1})
    assert_profile(simulator, "7", {"a": 1})


def test_a_missing_profile_says_what_happened_last(simulator):
    assert failure(assert_profile, simulator, "bob", {}) == (
        "profile 'bob' is not there; nothing was ever applied to it"
    )
    simulator.people_delete("ada")
    assert "is not there; the last of its 4 messages was {'$time': 1.5" in failure(
        assert_profile, simulator, "ada", {}
    )


def test_a_present_profile_says_what_it_holds(simulator):
    text = failure(assert_absent, simulator, "acme", group_key="company")
    assert text.startswith("group 'company': 'acme' is there: {'sites': 2}; the last of its 1 messages was ")


def test_rejections_are_told_with_their_reasons(simulator):
    assert_nothing_rejected(simulator)
    simulator.apply({"$distinct_id": "ada", "$add": {"visits": "1"}})
    simulator.apply("nonsense")
    assert failure(assert_nothing_rejected, simulator) == (
        "2 messages were rejected:\n"
        "  $add.visits: must be a number, not a string\n"
        "    {'$distinct_id': 'ada', '$add': {'visits': '1'}}\n"
        "  message: must be an object, not a string\n"
        "    'nonsense'"
    )


def test_user_data_styles_nothing(simulator):
    simulator.people_set("ada", {"plan\x1b[31m": "\x1b[0m\n"})
    text = failure(assert_profile, simulator, "ada", {})
    assert "\x1b" not in text


def test_the_local_service_is_asked_alike():
    with Service() as service, requests.Session() as session:
        session.trust_env = False
        for message in (
            {"$distinct_id": "ada", "$add": {"visits": 1}},
            {"$group_key": "company", "$group_id": "acme", "$set": {"sites": 2}},
        ):
            path = "/groups" if "$group_key" in message else "/engage"
            session.post(service.url + path, json=[{"$token": "T", **message}], timeout=10)
        assert_profile(service, "ada", {"visits": 1})
        assert_profile(service, "acme", {"sites": 2}, group_key="company")
        assert_absent(service, "bob")
        assert_absent(service, "bob", group_key="company")
        assert_nothing_rejected(service)
        text = failure(assert_profile, service, "ada", {"visits": True})
        assert "visits: true (boolean) → 1 (integer)\n    by 1: {'$token': 'T'" in text
        session.post(service.url + "/engage", data="nonsense", timeout=10)
        assert "1 message was rejected:\n  data, " in failure(assert_nothing_rejected, service)
