"""Profiles in memory: the oracle, the prediction, and a local service that real SDKs can talk to."""

from simulator.dialect import Dialect
from simulator.difference import ABSENT, Change, describe, difference
from simulator.outcomes import Outcome, Verdict
from simulator.profile import Profile
from simulator.semantics import apply_operation
from simulator.simulator import Rejected, Simulator, Snapshot
from simulator.timeline import Blame, Step, Timeline

__all__ = [
    "ABSENT",
    "Blame",
    "Change",
    "Dialect",
    "Outcome",
    "Profile",
    "Rejected",
    "Simulator",
    "Snapshot",
    "Step",
    "Timeline",
    "Verdict",
    "apply_operation",
    "describe",
    "difference",
]
