"""Checks of an implementation: each vector's profiles as it makes them, against the expected ones."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from simulator.conformance.implementation import Implementation, Skipped
from simulator.conformance.policies import explain
from simulator.conformance.vectors import Profiles, Vector
from simulator.testing.replay import to_test

__all__ = ["Deviation", "Report", "check_vectors", "judge"]


@dataclass(frozen=True, slots=True)
class Deviation:
    """A vector for which an implementation makes other profiles than expected.

    Attributes:
        vector: The vector.
        found: The profiles that the implementation made.
        policies: The undocumented points of which each explains them; empty if none does.
    """

    vector: Vector
    found: Profiles
    policies: tuple[str, ...]

    def as_test(self) -> str:
        """Return it as the text of a test of the simulator, in whose place an implementation can be put."""
        given = [
            {"$distinct_id": id_, "$set": dict(properties)} for id_, properties in self.vector.given.items()
        ]
        name = "".join(letter if letter.isalnum() else "_" for letter in self.vector.id)
        return to_test([*given, *self.vector.messages], name=f"test_{name}")


@dataclass(slots=True)
class Report:
    """Results of checks.

    Attributes:
        strict: True if an undocumented point counts like any other.
        counts: By source of vectors, and for ``drawn`` ones: how many ``passed``, ``failed``, deviate by ``policy``
            only, or were ``skipped``.
        deviations: Of published vectors all, of drawn ones the smallest of each operator.
    """

    strict: bool = False
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    deviations: list[Deviation] = field(default_factory=list)

    @property
    def conforms(self) -> bool:
        """True if there is no fault, and something passed. Who skips everything is not checked."""
        return not self.faults and any(counts["passed"] for counts in self.counts.values())

    @property
    def faults(self) -> list[Deviation]:
        """The deviations because of which the implementation does not conform."""
        return [one for one in self.deviations if self.counts_as_fault(one)]

    def counts_as_fault(self, deviation: Deviation) -> bool:
        """Return True if an implementation with this deviation does not conform."""
        return self.strict or not deviation.policies


def check_vectors(implementation: Implementation, vectors: Iterable[Vector], report: Report) -> None:
    """Run vectors, and add the results to a report.

    Raises:
        ImplementationFailed: It gave no answer, or none that can be read.
    """
    for vector in vectors:
        deviation = judge(implementation, vector, report.counts[vector.source])
        if deviation is not None:
            report.deviations.append(deviation)


def judge(implementation: Implementation, vector: Vector, counts: Counter[str]) -> Deviation | None:
    """Run one vector, and count the result; return how it deviates."""
    try:
        found = implementation.run(vector.given, vector.messages)
    except Skipped:
        counts["skipped"] += 1
        return None
    policies = explain(vector, found)
    if policies == ():
        counts["passed"] += 1
        return None
    counts["failed" if policies is None else "policy"] += 1
    return Deviation(vector, found, policies or ())
