"""Profiles in memory: the oracle, the prediction, and a local service that real SDKs can talk to."""

from simulator.comparison import compare
from simulator.dialect import Dialect
from simulator.divergences import Comparison, Divergence, DivergenceKind, Occurrence
from simulator.outcomes import Outcome, Verdict
from simulator.profile import Profile
from simulator.semantics import apply_operation
from simulator.simulator import Rejected, Simulator, Snapshot

__all__ = [
    "Comparison",
    "Dialect",
    "Divergence",
    "DivergenceKind",
    "Occurrence",
    "Outcome",
    "Profile",
    "Rejected",
    "Simulator",
    "Snapshot",
    "Verdict",
    "apply_operation",
    "compare",
]
