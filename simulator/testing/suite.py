"""`law_suite`: a class with a test for each law."""

from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter, Signature
from typing import Any

import hypothesis
import pytest

from simulator.testing.law import Implementation, Law
from simulator.testing.laws import LAWS

__all__ = ["law_suite"]

_EXAMPLES = 300
"""Enough to find the faults of tests/simulator/testing/models.py nearly always; a hundred are not."""


def law_suite(
    *,
    make: Callable[[], Implementation],
    skip: Mapping[str, str] | Iterable[str] = (),
    xfail: Mapping[str, str] | Iterable[str] = (),
    settings: hypothesis.settings | None = None,
) -> type:
    """Return a class with one Hypothesis test for each law. Bind it to a name that pytest collects.

    Each call makes new tests, so that a module can have several suites.

    Args:
        make: Makes an empty implementation: an object with ``apply(message)`` and ``profiles``. Its ``close()``, if it
            has one, is called at the end.
        skip: Laws that are not checked; a mapping gives the reasons.
        xfail: Laws that it is known to break: their tests must fail. A mapping gives the reasons.
        settings: Hypothesis settings for all tests; by default 300 examples each, without a deadline.

    Raises:
        ValueError: `skip` or `xfail` names an unknown law.

    >>> from simulator import Simulator
    >>> TestSimulator = law_suite(make=Simulator)
    >>> TestSimulator().test_unions_fuse()
    """
    marks = {**_marks("skip", skip), **_marks("xfail", xfail)}
    tests = {f"test_{law.name}": _test(law, make, settings, marks.get(law.name)) for law in LAWS.values()}
    about = f"The laws of the operations, checked against {getattr(make, '__name__', make)}."
    return type("LawSuite", (), {"__doc__": about, "__module__": __name__, **tests})


def _marks(kind: str, named: Mapping[str, str] | Iterable[str]) -> dict[str, Any]:
    reasons = dict(named) if isinstance(named, Mapping) else dict.fromkeys(named, "")
    if unknown := sorted(reasons.keys() - LAWS.keys()):
        raise ValueError(f"no such law: {', '.join(unknown)}; there are {', '.join(LAWS)}")
    if kind == "skip":
        return {name: pytest.mark.skip(reason=reason) for name, reason in reasons.items()}
    return {name: pytest.mark.xfail(reason=reason, strict=True) for name, reason in reasons.items()}


def _test(
    law: Law, make: Callable[[], Implementation], settings: hypothesis.settings | None, mark: Any
) -> Callable[..., None]:
    def test(_self: object, **variables: Any) -> None:
        __tracebackhide__ = True
        law(make, **variables)

    test.__name__ = test.__qualname__ = f"test_{law.name}"
    test.__doc__ = law.statement
    # Hypothesis identifies a test by source and signature, and all of these share the source: with equal signatures,
    # each would replay the failures of the others, and drop them from the database because they pass.
    identity = f"{getattr(make, '__module__', '')}.{getattr(make, '__qualname__', make)} {law.name}"
    parameters = [Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)]
    parameters += [Parameter(name, Parameter.KEYWORD_ONLY) for name in law.given]
    test.__signature__ = Signature(parameters, return_annotation=identity)  # type: ignore[attr-defined]
    chosen = settings or hypothesis.settings(max_examples=_EXAMPLES, deadline=None)
    for wrap in (hypothesis.given(**law.given), chosen, mark):
        test = wrap(test) if wrap is not None else test
    return test
