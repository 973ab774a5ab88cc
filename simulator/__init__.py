"""Profiles in memory: the oracle, the prediction, and a local service that real SDKs can talk to."""

from recorder.model.dialect import Dialect
from recorder.model.outcomes import Outcome, Verdict
from recorder.model.semantics import apply_operation
from simulator.comparison import compare
from simulator.difference import ABSENT, Change, describe, difference
from simulator.divergences import Comparison, Divergence, DivergenceKind, Occurrence
from simulator.profile import Profile
from simulator.simulator import Rejected, Simulator, Snapshot
from simulator.timeline import Blame, Start, Step, Timeline

__all__ = [
    "ABSENT",
    "Blame",
    "Change",
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
    "Start",
    "Step",
    "Timeline",
    "Verdict",
    "apply_operation",
    "compare",
    "describe",
    "difference",
]
