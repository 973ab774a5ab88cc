"""`law_suite`: a class with a test for each law."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from inspect import Parameter, Signature
from traceback import FrameSummary, extract_stack
from typing import Any
from unittest import skip as skipped

import hypothesis
import pytest

from simulator.testing.law import Fold, Implementation, Law
from simulator.testing.laws import LAWS

__all__ = ["law_suite"]

__tracebackhide__ = __unittest = True

_EXAMPLES = 300
"""Enough to find the faults of tests/simulator/testing/models.py nearly always; a hundred are not."""


def law_suite(
    *,
    make: Callable[[], Implementation],
    skip: Mapping[str, str] | Iterable[str] = (),
    xfail: Mapping[str, str] | Iterable[str] = (),
    settings: hypothesis.settings | None = None,
) -> type:
    """Return a class with one Hypothesis test for each law.

    For pytest, bind it to a name that begins with ``Test``; for unittest, derive from it and from `TestCase`. Each call
    makes new tests, so that a module can have several suites.

    Args:
        make: Makes an empty implementation: an object with ``apply(message)`` and ``profiles``. Its ``close()``, if it
            has one, is called at the end.
        skip: Laws that are not checked; a mapping gives the reasons.
        xfail: Laws that it is known to break: their tests must fail. A mapping gives the reasons.
        settings: Hypothesis settings for all tests; by default 300 examples each, without a deadline.

    Raises:
        ValueError: `skip` or `xfail` names an unknown law.

    >>> from restante import Simulator
    >>> TestSimulator = law_suite(make=Simulator)
    >>> TestSimulator().test_unions_fuse()
    """
    skipping, failing = _reasons(skip), _reasons(xfail)
    marks: dict[str, list[Callable[[Any], Any]]] = {
        **{name: [pytest.mark.skip(reason=why), skipped(why)] for name, why in skipping.items()},
        **{name: [pytest.mark.xfail(reason=why, strict=True)] for name, why in failing.items()},
    }
    chosen = settings or hypothesis.settings(max_examples=_EXAMPLES, deadline=None)
    # A suite has no state, so several classes may inherit its tests.
    alike = {hypothesis.HealthCheck.differing_executors, *chosen.suppress_health_check}
    wraps = [hypothesis.settings(chosen, suppress_health_check=alike)]
    (caller, _) = extract_stack(limit=2)
    tests = {
        f"test_{law.name}": _test(law, make, caller, [*wraps, *marks.get(law.name, ())])
        for law in LAWS.values()
    }
    about = f"The laws of the operations, checked against {getattr(make, '__name__', make)}."
    expected = {f"test_{name}" for name in failing}
    members = {
        "__doc__": about,
        "__module__": __name__,
        "__unittest_expecting_failure__": property(lambda case: _expects_failure(case, expected)),
        "setup_example": _warming_up(make),
        **tests,
    }
    return type("LawSuite", (), members)


def _expects_failure(case: Any, expected: set[str]) -> bool:
    """Return what unittest asks; pytest asks, too, and would take the answer for the result that its mark wants."""
    return "PYTEST_CURRENT_TEST" not in os.environ and case.id().rpartition(".")[2] in expected


def _reasons(named: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    reasons = dict(named) if isinstance(named, Mapping) else dict.fromkeys(named, "")
    if unknown := sorted(reasons.keys() - LAWS.keys()):
        raise ValueError(f"no such law: {', '.join(unknown)}; there are {', '.join(LAWS)}")
    return reasons


def _warming_up(make: Callable[[], Implementation]) -> Callable[[Any], None]:
    """Return what Hypothesis calls before each example, outside of its deadline."""
    cold = [make]

    def setup_example(_self: object) -> None:
        while cold:
            with suppress(Exception):  # the example will meet it, too
                Fold(cold.pop()).of([{"$distinct_id": "u1", "$set": {"a": 1}}])

    return setup_example


def _test(
    law: Law, make: Callable[[], Implementation], caller: FrameSummary, wraps: list[Callable[[Any], Any]]
) -> Callable[..., None]:
    def test(self: object, **variables: Any) -> None:  # noqa: ARG001  # older Hypotheses give it by name
        law(make, **variables)

    test.__name__ = test.__qualname__ = f"test_{law.name}"
    test.__doc__ = law.statement
    # Failures and test lists show the line that made the suite: this function's second one counts as that.
    test.__code__ = test.__code__.replace(
        co_filename=caller.filename, co_firstlineno=max(1, (caller.lineno or 1) - 1)
    )
    # Hypothesis identifies a test by source and signature, and all of these share the source: with equal signatures,
    # each would replay the failures of the others, and drop them from the database because they pass.
    identity = f"{getattr(make, '__module__', '')}.{getattr(make, '__qualname__', make)} {law.name}"
    parameters = [Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)]
    parameters += [Parameter(name, Parameter.KEYWORD_ONLY) for name in law.given]
    test.__signature__ = Signature(parameters, return_annotation=identity)  # type: ignore[attr-defined]
    test = hypothesis.given(**law.given)(test)
    for wrap in wraps:
        test = wrap(test)
    return test
