"""Assertions: what they compare, and that their failures name property, types and operation."""

import pytest
import requests

from recorder import Recorder
from simulator import Dialect, Simulator
from simulator.service.server import Service
from simulator.testing import (
    assert_absent,
    assert_nothing_rejected,
    assert_profile,
    assert_within_limits,
    unordered,
)


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


def test_assertion_compares_spelling(simulator):
    whole = {"plan": "pro", "visits": 2.0, "tags": ["a", "b", "a"]}
    assert_profile(simulator, "ada", whole)
    assert failure(assert_profile, simulator, "ada", whole | {"visits": 2}) == (
        "profile 'ada', from expected to actual:\n"
        "  visits: 2 (integer) → 2.0 (float)\n"
        "    by message 2: {'$time': 1.5, '$distinct_id': 'ada', '$add': {'visits': 1.0}}"
    )


def test_writer_of_element_is_named(simulator):
    text = failure(assert_profile, simulator, "ada", {"plan": "pro", "visits": 2.0, "tags": ["a", "b"]})
    assert '+ tags[2]: "a"\n    by message 3: ' in text


def test_remover_of_property_is_named(simulator):
    simulator.people_set("ada", {"more": 1})
    simulator.people_unset("ada", ["plan"])
    simulator.people_set("ada", {"more": 2})
    text = failure(assert_profile, simulator, "ada", {"plan": "pro"}, partial=True)
    assert '- plan: "pro"\n    by message 5: ' in text
    simulator.people_delete("ada")
    simulator.people_set("ada", {"more": 3})
    text = failure(assert_profile, simulator, "ada", {"visits": 2.0}, partial=True)
    assert "- visits: 2.0\n    by message 7: {'$time': 1.5, '$distinct_id': 'ada', '$delete': ''}" in text


def test_unwritten_property_has_no_writer(simulator):
    text = failure(assert_profile, simulator, "ada", {"never": 1}, partial=True)
    assert text.splitlines()[1:] == ["  - never: 1"]


def test_partial_comparison(simulator):
    assert_profile(simulator, "ada", {"plan": "pro"}, partial=True)
    assert "+ plan" in failure(assert_profile, simulator, "ada", {"visits": 2.0, "tags": ["a", "b", "a"]})


def test_unordered_counts_elements(simulator):
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


def test_missing_profile_names_last_operation(simulator):
    assert failure(assert_profile, simulator, "bob", {}) == "profile 'bob' does not exist"
    simulator.people_delete("ada")
    assert "does not exist; the last operation was message 4: {'$time': 1.5" in failure(
        assert_profile, simulator, "ada", {}
    )


def test_present_profile_is_shown(simulator):
    text = failure(assert_absent, simulator, "acme", group_key="company")
    assert text.startswith(
        "group 'company': 'acme' exists: {'sites': 2}; the last operation was message 1: {"
    )


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


def test_values_beyond_limits_are_named(simulator):
    assert_within_limits(simulator)
    simulator.people_set("ada", {"bio": "a" * 256, "plan": "pro"})
    group = {"$group_key": "company", "$group_id": "acme"}
    simulator.group_update({**group, "$append": {"offices": {"o": {}}}})
    assert failure(assert_within_limits, simulator) == (
        "2 values are beyond the limits of the service:\n"
        "  profile 'ada' bio: 256 bytes in a string; the limit is 255\n"
        "  group 'company': 'acme' offices: 2 levels of objects in a list; the limit is 1"
    )

    class Theirs:
        profiles = {"ada": {str(n): "a" * 256 for n in range(30)}}  # noqa: RUF012

    assert failure(assert_within_limits, Theirs()).endswith("\n  … and 10 more")


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
            session.post(service.url + path, json=[{"$token": "T", **message}], timeout=60)
        assert_profile(service, "ada", {"visits": 1})
        assert_profile(service, "acme", {"sites": 2}, group_key="company")
        assert_absent(service, "bob")
        assert_absent(service, "bob", group_key="company")
        assert_nothing_rejected(service)
        text = failure(assert_profile, service, "ada", {"visits": True})
        assert "visits: true (boolean) → 1 (integer)\n    by message 1: {'$token': 'T'" in text
        session.post(service.url + "/engage", data="nonsense", timeout=60)
        assert "1 message was rejected:\n  data, " in failure(assert_nothing_rejected, service)


def test_unordered_names_missing_and_surplus():
    simulator = Simulator()
    for member in ("b", "c"):
        simulator.people_append("ada", {"t": member})
    text = failure(assert_profile, simulator, "ada", {"t": unordered(["a", "b"])})
    assert 't[1]: "a" → "c"\n    by message 2: ' in text
    simulator.people_append("ada", {"t": "b"})
    text = failure(assert_profile, simulator, "ada", {"t": unordered(["c", "b"])})
    assert text.splitlines()[1:2] == ['  + t[2]: "b"']
    assert "by message 3: " in text


def test_unordered_must_be_whole_value(simulator):
    assert_profile(simulator, "ada", {"tags": ("a", "b", "a")}, partial=True)
    assert_profile(simulator, "ada", {"tags": unordered(("a", "a", "b"))}, partial=True)
    with pytest.raises(TypeError, match="whole value only"):
        assert_profile(simulator, "ada", {"tags": [unordered([])]}, partial=True)


def test_assertion_fails_without_history(tmp_path):
    without = Simulator(history=False)
    without.people_set("ada", {"n": 1})
    assert failure(assert_profile, without, "ada", {"n": 2}).endswith("\n  n: 2 → 1")
    assert failure(assert_profile, without, "bob", {}) == "profile 'bob' does not exist"
    assert failure(assert_absent, without, "ada") == "profile 'ada' exists: {'n': 1}"
    path = tmp_path / "kiosk.db"
    with Recorder("T", path) as recorder:
        recorder.people_set("ada", {"tags": ["a", "b"], "n": 1})
        before = Simulator.from_journal(path)
        assert "by entry 1: " in failure(assert_profile, before, "ada", {"n": 2}, partial=True)
        recorder.people_set("ada", {"tags": [], "n": 5})
        text = failure(assert_profile, before, "ada", {"tags": ["a", "x"], "n": 2})
    assert "n: 2 → 1" in text
    assert "by entry" not in text  # what the journal says now is of another value
    path.unlink()
    assert "n: 2 → 1" in failure(assert_profile, before, "ada", {"n": 2}, partial=True)


def test_token_selects_the_project():
    with Service() as service, requests.Session() as session:
        session.trust_env = False
        for token, value in (("U", 5), ("T", [1, 2, 3]), ("U", [7])):
            message = {"$token": token, "$distinct_id": "ada", "$set": {"l": value}}
            session.post(service.url + "/engage", json=[message], timeout=60)
        assert_profile(service, "ada", {"l": [7]}, token="U")
        assert_profile(service, "ada", {"l": [1, 2, 3]}, token="T")
        assert_absent(service, "bob", token="T")
        text = failure(assert_profile, service, "ada", {"l": [1, 2, 4]})
        assert "l[2]: 4 → 3" in text
        assert "by message" not in text  # whose it is, is not said
        assert "by message 1: " in failure(assert_profile, service, "ada", {"l": [1, 2, 4]}, token="T")


def test_service_dialect_finds_writers():
    with Service(dialect=Dialect(union_duplicates="collapse")) as service, requests.Session() as session:
        session.trust_env = False
        for payload in ({"$set": {"l": [1, 1]}}, {"$union": {"l": [2]}}):
            message = {"$token": "T", "$distinct_id": "ada", **payload}
            session.post(service.url + "/engage", json=[message], timeout=60)
        text = failure(assert_profile, service, "ada", {"l": [1, 3]})
        assert "l[1]: 3 → 2\n    by message 2: " in text


def test_any_implementation_can_be_asked():
    class Theirs:
        def profiles(self):
            return {"ada": {"n": 1}}

    assert_profile(Theirs(), "ada", {"n": 1})
    assert failure(assert_profile, Theirs(), "ada", {"n": 1.0}).endswith("\n  n: 1.0 (float) → 1 (integer)")
    assert_absent(Theirs(), "bob")
    with pytest.raises(TypeError, match="has no groups"):
        assert_absent(Theirs(), "acme", group_key="company")
    with pytest.raises(TypeError, match="a dict has no profiles: give a simulator"):
        assert_profile({}, "ada", {})


def test_failure_of_long_history_is_short():
    simulator = Simulator()
    with simulator.batch() as batch:
        for number in range(5_000):
            batch.people_append("ada", {"l": number})
    text = failure(assert_profile, simulator, "ada", {"l": list(range(1, 5_001)), "never": "x" * 5_000})
    assert "… and 4,981 more" in text
    assert len(text) < 10_000
