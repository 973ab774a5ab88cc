"""Conformance of other implementations of the operations: published vectors."""

from simulator.conformance.vectors import Vector, predict, read_vectors

__all__ = ["Vector", "predict", "read_vectors"]
