"""Drawn cases: Hypothesis makes states and messages, and shrinks those for which an implementation deviates."""

import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from random import Random
from typing import Any

from hypothesis import HealthCheck, find, settings
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import dictionaries, just, none, one_of, tuples

from recorder.model.json_value import compact
from simulator.conformance.check import Deviation, Report, judge
from simulator.conformance.implementation import Implementation, ImplementationFailed
from simulator.conformance.vectors import Vector
from simulator.testing.operation import Operation
from simulator.testing.strategies import operations, states, values

__all__ = ["check_drawn"]

_SHRINKING = 10.0  # seconds that a search may go on, to shrink what it found
_SETTINGS = settings(max_examples=500, database=None, deadline=None, suppress_health_check=list(HealthCheck))
# Most meet on one property, which is also the simplest case.
_ONE = just("a")
_ON_ONE = tuples(
    none() | dictionaries(_ONE, values(), max_size=1),
    operations(names=_ONE, min_properties=1, max_properties=1),
)
_DRAWN = one_of(_ON_ONE, _ON_ONE, tuples(states(), operations()))


def check_drawn(
    implementation: Implementation,
    seconds: float,
    report: Report,
    progress: Callable[[float], object] = float,
) -> None:
    """Compare an implementation with the simulator on drawn states and operations, for a time.

    The smallest deviation of each operator is added to the report, and the smallest for each policy.

    Args:
        implementation: What is checked.
        seconds: The time to draw; shrinking may take ten more.
        report: Where results are added.
        progress: Is called with the seconds that have passed.

    Raises:
        ImplementationFailed: It gave no answer, or none that can be read.
    """
    search = _Search(implementation, seconds, report, progress)
    try:
        for number in count():
            search.run(Random(number))  # noqa: S311  # the same examples each time
    except _Stopped as stopped:
        if stopped.__cause__ is not None:
            raise stopped.__cause__ from None
    report.deviations += search.smallest.values()


class _Stopped(BaseException):
    """Ends a search. It is no Exception, for which Hypothesis would look for a smaller case."""


class _Search:
    """Searches one after the other, each for operators of which nothing was found yet."""

    def __init__(
        self,
        implementation: Implementation,
        seconds: float,
        report: Report,
        progress: Callable[[float], object],
    ) -> None:
        self.smallest: dict[tuple[str, ...], Deviation] = {}
        self._implementation = implementation
        self._seconds = seconds
        self._report = report
        self._progress = progress
        self._began: float | None = None
        self._done: set[str] = set()
        self._shrinking = False

    def run(self, random: Random) -> None:
        """Search for one more operator that deviates."""
        with suppress(NoSuchExample):
            _, operation = find(_DRAWN, self._deviates, settings=_SETTINGS, random=random)
            self._done.add(operation.operator)
        self._shrinking = False

    def _deviates(self, drawn: tuple[dict[str, Any] | None, Operation]) -> bool:
        state, operation = drawn
        if self._began is None:  # the first one took time to be drawn, and is always tried
            self._began = time.monotonic()
        passed = time.monotonic() - self._began
        self._progress(min(passed, self._seconds))
        if passed > self._seconds + (_SHRINKING if self._shrinking else 0):
            raise _Stopped
        if operation.operator in self._done:
            return False
        try:
            deviation = judge(self._implementation, _vector(state, operation), self._report.counts["drawn"])
        except ImplementationFailed as failure:
            raise _Stopped from failure
        if deviation is None:
            return False
        key = (operation.operator, *deviation.policies)
        self.smallest[key] = min(self.smallest.get(key, deviation), deviation, key=_size)
        self._shrinking |= self._report.counts_as_fault(deviation)
        return self._report.counts_as_fault(deviation)


def _vector(state: dict[str, Any] | None, operation: Operation) -> Vector:
    given = {} if state is None else {"u1": state}
    name = operation.operator.removeprefix("$").replace("_", "-")
    return Vector.of(given, [operation.on("u1")], id=f"drawn-{name}", about="drawn", source="policy")


def _size(deviation: Deviation) -> tuple[int, str]:
    text = compact([deviation.vector.given, deviation.vector.messages])
    return len(text), text
