"""`restante conform`: exit codes, what it prints, and wrong usage."""

import json
import shlex
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.simulator.test_cases import SCHEMA

FOLDER = Path(__file__).parents[2] / "simulator" / "conformance"
RIGHT = [sys.executable, FOLDER / "adapter.py"]
WRONG = [sys.executable, FOLDER / "independent.py"]


@pytest.fixture
def conform(restante):
    """Run it on a program that a planted fault is given to, or none."""

    def run(*options, program=WRONG, fault=""):
        return restante("conform", *options, "--timeout", "60", "--", *program, fault)

    return run


def test_conforming_program(conform):
    ran = conform("--seconds", "0.2", program=RIGHT)
    assert (ran.code, ran.err) == (0, "")
    head, *sources, last = ran.out.splitlines()
    assert head.split() == ["passed", "failed", "undocumented", "skipped"]
    assert {line.split()[0] for line in sources} == {"documented", "sdk", "policy", "drawn"}
    assert all(line.split()[2:4] == ["0", "0"] for line in sources)
    assert last == "It conforms."


def test_fault_is_shown_as_vector_and_test(conform):
    """The vector can be published, and the test runs."""
    ran = conform("--vectors", fault="set merges")
    assert ran.code == 1
    assert "\nset-object-whole: an object is overwritten, not merged (documented)\n" in ran.out
    assert 'found: {"u1": {"a": {"x": 1, "y": 2}}}\n' in ran.out
    (vector,) = (
        json.loads(line.partition(": ")[2]) for line in ran.out.splitlines() if line.startswith("vector: ")
    )
    jsonschema.validate({"version": 1, "vectors": [vector]}, SCHEMA)
    names = {}
    exec(ran.out[ran.out.index("from simulator") : ran.out.index("It deviates")], names)  # noqa: S102  # a test's text
    names["test_set_object_whole"]()
    assert "drawn" not in ran.out


def test_undocumented_point_is_told(conform):
    """By the field and the value that explain it; it counts if asked for."""
    ran = conform("--vectors", fault="emptied is unset")
    assert ran.code == 0
    assert (
        "undocumented: emptied_list='unset' explains 2 deviations, such as remove-is-not-unset\n" in ran.out
    )
    strict = conform("--vectors", "--strict", fault="emptied is unset")
    assert strict.code == 1
    assert "(policy; undocumented: emptied_list='unset')" in strict.out


def test_many_faults_are_listed_in_json(conform):
    words = conform("--vectors", fault="delete empties")
    shown = [json.loads(line[8:]) for line in words.out.splitlines() if line.startswith("vector: ")]
    assert [vector["source"] for vector in shown] == ["documented"] * 5
    report = conform("--vectors", "--json", fault="delete empties").json
    assert list(report) == ["conforms", "strict", "counts", "deviations"]
    assert (report["conforms"], report["strict"]) == (False, False)
    assert report["counts"]["documented"]["failed"] > 50
    assert len(report["deviations"]) == sum(counts.get("failed", 0) for counts in report["counts"].values())
    assert list(report["deviations"][0]) == ["vector", "found", "found_groups", "policies", "test"]
    assert f"It deviates in {len(report['deviations'])} vector" in words.out


def test_skipping_everything_is_no_success(restante):
    program = ["sh", "-c", """while read line; do echo '{"skip": "all"}'; done"""]
    ran = restante("conform", "--vectors", "--timeout", "60", "--", *program)
    assert (ran.code, ran.out.splitlines()[-1]) == (
        1,
        "Nothing was checked: no vector passed, and none failed.",
    )


def test_drawn_vectors_only(conform):
    ran = conform("--drawn", "--seconds", "0.2", "--json", program=RIGHT)
    assert ran.code == 0
    assert list(ran.json["counts"]) == ["drawn"]


def test_service_is_asked(restante, service):
    ran = restante("conform", "--drawn", "--seconds", "0.2", "--url", service.url, "--token", "T", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["counts"]["drawn"]["passed"] > 0
    assert {one.message["$token"] for one in service.messages()} == {"T"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Give a COMMAND after --, or --url"),
        (["--url", "http://127.0.0.1:9", "--", "true"], "Give a COMMAND after --, or --url"),
        (["--seconds", "-1", "--", "true"], "--seconds"),
        (["--url", "https://api.mixpanel.com"], "api.mixpanel.com is the real service"),
        (["--url", "somewhere"], "is not an address of a service"),
        (["--url", "http://127.0.0.1:9"], "cannot be asked"),
        (["--", "no-such-program"], "cannot start no-such-program: No such file or directory"),
        (["--", "true"], "it ended with exit code 0"),
        (["--", "sh", "-c", "echo no config >&2; exit 4"], "Its standard error ends with: no config"),
        (["--", "echo", "\x1b[31mred"], r"It answered: \x1b[31mred"),
    ],
    ids=shlex.join,
)
def test_wrong_usage_is_told(restante, arguments, reason):
    ran = restante("conform", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert reason in ran.err


@pytest.mark.long
def test_progress_is_shown_on_terminal(restante):
    ran = restante.on_terminal("conform", "--seconds", "0.2", "--", *RIGHT)
    assert ran.code == 0
    assert "vectors" in ran.out
    assert "seconds of drawing" in ran.out
