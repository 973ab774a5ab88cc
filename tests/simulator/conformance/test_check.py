"""Implementations of others, against the vectors and against drawn cases: faults are found, and shrunk."""

import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from random import Random

import jsonschema
import pytest

from simulator import Dialect
from simulator.conformance import (
    Command,
    Deviation,
    ImplementationFailed,
    Report,
    Skipped,
    Vector,
    check_vectors,
    predict,
    read_vectors,
)
from simulator.conformance.draw import _Search, check_drawn
from simulator.conformance.policies import explain
from tests.simulator.test_cases import SCHEMA

HERE = Path(__file__).parent
PYTHON = [sys.executable, str(HERE / "independent.py")]
ADAPTER = [sys.executable, str(HERE / "adapter.py")]
NODE = ["node", str(HERE / "independent.js")]
NEEDS_NODE = pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")
VECTORS = read_vectors()


class InProcess:
    """An implementation that is the simulator, or something wrong with it."""

    def __init__(self, dialect=None, change=lambda profiles: profiles):
        self.dialect = dialect
        self.change = change

    def run(self, given, messages):
        return self.change(predict(given, messages, self.dialect)[0])


def smallest(implementation, *, strict=False, searches=10):
    """Search until something is found, however long that takes on a busy machine."""
    search = _Search(implementation, 600, Report(strict=strict), float)
    for number in range(searches):
        search.run(Random(number))
        found = [one for one in search.smallest.values() if strict or not one.policies]
        if found:
            return min(found, key=lambda one: len(str(one.vector)))
    return None


@pytest.mark.long  # tests/tui/cli/test_conform.py has a short one
@pytest.mark.parametrize(
    "words", [ADAPTER, PYTHON, pytest.param(NODE, marks=NEEDS_NODE)], ids=["simulator", "python", "node"]
)
def test_right_implementation_conforms(words):
    """JavaScript has no integers: what they explain is told."""
    report = Report()
    with Command(words, timeout=60) as implementation:
        check_vectors(implementation, VECTORS, report)
        _Search(implementation, 600, report, float).run(Random(0))
    explained = {policy for one in report.deviations for policy in one.policies}
    assert report.faults == []
    assert explained == ({"numbers"} if words is NODE else set())
    assert report.counts["documented"] == {"passed": sum(one.source == "documented" for one in VECTORS)}
    assert report.counts["policy"]["skipped"] == 6
    assert report.counts["drawn"]["passed"] > 100


PLANTED = {
    "append spreads": ({}, {"$append": {"a": []}}),
    "delete empties": ({"u1": {}}, {"$delete": ""}),
    "zero is dropped": ({}, {"$add": {"a": 0}}),
    "true is 1": ({}, {"$union": {"a": [1, True]}}),
    "union sorts": ({}, {"$union": {"a": [1, "1"]}}),
    "set merges": ({"u1": {"a": {"x": 0}}}, {"$set": {"a": {}}}),
    "set once overwrites": ({"u1": {"a": 1}}, {"$set_once": {"a": True}}),
    "unset is dropped": ({"u1": {"a": 0}}, {"$unset": ["a"]}),
    "a list is one value": ({"u1": {"a": [1]}}, {"$remove": {"a": [1]}}),
    "emptied is unset": ({"u1": {"a": [1]}}, {"$remove": {"a": 1}}),
}
UNDOCUMENTED = {"a list is one value": "remove_list='whole'", "emptied is unset": "emptied_list='unset'"}
QUICK = {"append spreads"}


@pytest.mark.parametrize(
    ("fault", "minimal"),
    [
        pytest.param(*one, id=one[0], marks=[] if one[0] in QUICK else pytest.mark.long)
        for one in PLANTED.items()
    ],
)
def test_planted_fault_is_shrunk(fault, minimal):
    """To the smallest case there is, as a vector of the published format; and the vectors find it, too."""
    given, payload = minimal
    report = Report()
    with Command([*PYTHON, fault], timeout=60) as implementation:
        found = smallest(implementation, strict=fault in UNDOCUMENTED)
        check_vectors(implementation, VECTORS, report)
    assert json.dumps([found.vector.given, found.vector.messages]) == json.dumps(
        [given, [{"$distinct_id": "u1", **payload}]]
    )
    jsonschema.validate({"version": 1, "vectors": [found.vector.as_json()]}, SCHEMA)
    assert found.policies == tuple(filter(None, [UNDOCUMENTED.get(fault)]))
    assert any(one.policies == found.policies for one in report.deviations)
    assert bool(report.faults) == (fault not in UNDOCUMENTED)


@NEEDS_NODE
@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "given", "payload"),
    [
        ("falsy is unset", {"u1": {"a": 0}}, {"$set_once": {"a": 1}}),
        ("loose equality", {"u1": {"a": ["1"]}}, {"$union": {"a": 1}}),
    ],
)
def test_fault_in_another_language_is_shrunk(fault, given, payload):
    with Command([*NODE, fault], timeout=60) as implementation:
        found = smallest(implementation)
    assert (found.vector.given, found.vector.messages) == (given, [{"$distinct_id": "u1", **payload}])


@pytest.mark.parametrize(
    "policies",
    [
        {"emptied_list": "unset"},
        {"remove_list": "whole", "remove_occurrences": "first"},
        {"add_to_other": "replace"},
        {"null_counts_as_set": False},
        {"several_operators": "reject"},
        {"malformed_operator": "operator"},
        {"unknown_operators": "ship"},
        {"union_duplicates": "collapse", "add_beyond_doubles": "clamp"},
        {"creating": Dialect().creating - {"$remove", "$unset"}},
    ],
    ids=" ".join,
)
def test_other_policy_is_told_and_no_fault(policies):
    """Unless the check is strict; and the report names the fields, and no others."""
    lenient, strict = Report(), Report(strict=True)
    for report in (lenient, strict):
        check_vectors(InProcess(Dialect(**policies)), VECTORS, report)
    told = [set(re.findall(r"(\w+)=", " ".join(one.policies))) for one in lenient.deviations]
    assert {name for named in told for name in named & policies.keys()} == policies.keys()
    assert all(named & policies.keys() for named in told)
    assert lenient.faults == []
    assert strict.faults == strict.deviations == lenient.deviations
    assert all(set(one.vector.dialect) & policies.keys() for one in lenient.deviations)


def test_third_behaviour_is_a_fault():
    """On an undocumented point, too: neither value of its field explains it."""
    report = Report()
    check_vectors(InProcess(change=lambda _: {}), VECTORS[::8], report)
    assert report.counts["documented"]["failed"] > 20
    assert any(one.vector.dialect for one in report.faults)


def test_doubles_are_explained_as_numbers():
    (vector,) = (one for one in VECTORS if one.id == "set-big-integers")
    rounded = predict({"u1": {"a": 2**53}}, [])[0]
    assert explain(vector, rounded) == ("numbers",)
    assert explain(vector, predict({"u1": {"a": 2**53 + 4}}, [])[0]) is None


def test_two_policies_are_explained_together():
    """A list is looked for as one element, which was the last one."""
    message = {"$distinct_id": "u1", "$remove": {"l": [1]}}
    vector = Vector.of({"u1": {"l": [[1]]}}, [message], id="two", about="two", source="policy")
    assert explain(vector, predict({"u1": {}}, [])[0]) == ("remove_list='whole' and emptied_list='unset'",)


def test_alternative_policies_are_both_told():
    """Nobody can see whether an unknown operator was rejected alone, or taken and applied to nothing."""
    (vector,) = (one for one in VECTORS if one.id == "unknown-between")
    kept = predict({"u1": {}}, [])[0]
    assert explain(vector, kept) == ("malformed_operator='operator'", "unknown_operators='ship'")


def test_deviation_becomes_a_test():
    """Of any vector: its text runs, and passes with the simulator."""
    for vector in VECTORS:
        names = {}
        exec(Deviation(vector, {}, ()).as_test(), names)  # noqa: S102  # a test's text
        (test,) = (names[name] for name in names if name.startswith("test_"))
        test()


class Skipping(InProcess):
    def run(self, given, messages):
        if "$add" in messages[0]:
            raise Skipped("adds nothing")
        return super().run(given, messages)


def test_skipped_cases_are_counted():
    report = Report()
    check_vectors(Skipping(), VECTORS, report)
    check_drawn(Skipping(), 0.2, report)
    assert report.faults == []
    assert sum(counts["skipped"] for counts in report.counts.values()) > 80


class Failing(InProcess):
    asked = 0

    def run(self, given, messages):
        self.asked += 1
        if self.asked > 5:
            raise ImplementationFailed("it has ended")
        return super().run(given, messages)


def test_failing_implementation_is_asked_once():
    """Nothing is shrunk: each try might take as long as an answer may."""
    failing = Failing()
    with pytest.raises(ImplementationFailed, match="it has ended"):
        check_drawn(failing, 600, Report())
    assert failing.asked == 6


def test_drawing_ends_in_time():
    """Also while a fault is being shrunk that is never the same."""
    told = []
    report = Report()
    check_drawn(InProcess(), 0.1, report, told.append)
    assert 0 < told[0] <= told[-1] == 0.1
    assert report.deviations == []
    assert report.counts["drawn"] == Counter(passed=len(told) - 1)
