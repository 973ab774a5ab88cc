"""Conformance vectors, shared and our own, and the text that is compared with what they expect."""

import json
from importlib.resources import files
from pathlib import Path

from simulator import Dialect

SHARED = Path(__file__).parents[3] / "shared" / "vectors" / "semantics.json"
MISSING = "this checkout has no shared conformance vectors"
PUBLISHED = json.loads(files("simulator.conformance").joinpath("vectors.json").read_text(encoding="utf-8"))
OWN = PUBLISHED["vectors"]
GRID = [case for case in OWN if "-on-" in case["id"]]


def cases(path):
    """The cases of a file; none where it is not there."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def ids(cases):
    return [case["id"] for case in cases]


def dialect_of(case):
    """The default one; for a case in which an operator is not simulated, one whose service takes such operators."""
    taken = any("not_simulated" in verdicts for verdicts in case["verdicts"])
    return Dialect(unknown_operators="ship") if taken else Dialect()


def expected(case):
    return spelled(case["expect"], case["expect_groups"])


def spelled(users, groups):
    """Text in which 1, 1.0 and true differ, and -0.0 and 0.0; the order of an object's names does not count."""
    return json.dumps([users, groups], sort_keys=True)


def by_key(groups):
    """A simulator's groups as cases and the service write them: key to id to properties."""
    found = {}
    for (key, id_), profile in groups.items():
        found.setdefault(key, {})[id_] = dict(profile)
    return found
