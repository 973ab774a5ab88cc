"""Conformance of other implementations of the operations: published vectors, and which operations commute."""

from simulator.conformance.order import Agreement, commute, repeat
from simulator.conformance.vectors import Vector, predict, read_vectors

__all__ = ["Agreement", "Vector", "commute", "predict", "read_vectors", "repeat"]
