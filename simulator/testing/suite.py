"""`law_suite`: a class of tests, one for each law, for an implementation of the operations."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hypothesis import given
from hypothesis import settings as Settings  # noqa: N812  # a class in all but its name

from simulator.testing.law import Implementation, Law
from simulator.testing.laws import LAWS

__all__ = ["law_suite"]


def law_suite(
    *,
    make: Callable[[], Implementation],
    skip: Mapping[str, str] | Iterable[str] = (),
    xfail: Mapping[str, str] | Iterable[str] = (),
    settings: Settings | None = None,
) -> type:
    """A class with one Hypothesis test for each law. Bind it to a name that pytest collects.

    Each call builds its tests anew, so that several suites can stand in one module.

    Args:
        make: Makes an implementation that holds nothing: something with ``apply(message)`` and ``profiles``.
        skip: Laws that are not held against it; a mapping says why, law by law.
        xfail: Laws that it is known to break: their tests must fail. A mapping says why.
        settings: Hypothesis's settings for all of them.

    Raises:
        ValueError: `skip` or `xfail` names a law that is none.

    >>> from simulator import Simulator
    >>> TestSimulator = law_suite(make=Simulator)
    >>> TestSimulator().test_unions_fuse()
    """
    marks = {**_marks("skip", skip), **_marks("xfail", xfail)}
    tests = {f"test_{law.name}": _test(law, make, settings, marks.get(law.name)) for law in LAWS.values()}
    about = f"The laws of the operations, held against {getattr(make, '__name__', make)}."
    return type("LawSuite", (), {"__doc__": about, "__module__": __name__, **tests})


def _marks(kind: str, named: Mapping[str, str] | Iterable[str]) -> dict[str, Any]:
    reasons = dict(named) if isinstance(named, Mapping) else dict.fromkeys(named, "")
    if not reasons:
        return {}
    if unknown := sorted(reasons.keys() - LAWS.keys()):
        raise ValueError(f"no such law: {', '.join(unknown)}; there are {', '.join(LAWS)}")
    from pytest import mark  # noqa: PT013  # only where something is to be marked

    if kind == "skip":
        return {name: mark.skip(reason=reason) for name, reason in reasons.items()}
    return {
        name: mark.xfail(reason=reason, strict=True, raises=AssertionError)
        for name, reason in reasons.items()
    }


def _test(
    law: Law, make: Callable[[], Implementation], settings: Settings | None, mark: Any
) -> Callable[..., None]:
    def test(self: object, **things: Any) -> None:  # noqa: ARG001  # as methods of a class are called
        law(make, **things)

    test.__name__ = test.__qualname__ = f"test_{law.name}"
    test.__doc__ = law.statement
    for wrap in (given(**law.given), settings, mark):
        test = wrap(test) if wrap is not None else test
    return test
