"""A conformance kit for other implementations of the operations, in any language: see `restante conform`."""

from simulator.conformance.check import Deviation, Report, check_vectors
from simulator.conformance.command import Command
from simulator.conformance.implementation import Implementation, ImplementationFailed, Skipped
from simulator.conformance.order import Agreement, commute, repeat
from simulator.conformance.remote import Remote
from simulator.conformance.vectors import Vector, predict, read_vectors

__all__ = [
    "Agreement",
    "Command",
    "Deviation",
    "Implementation",
    "ImplementationFailed",
    "Remote",
    "Report",
    "Skipped",
    "Vector",
    "check_vectors",
    "commute",
    "predict",
    "read_vectors",
    "repeat",
]
