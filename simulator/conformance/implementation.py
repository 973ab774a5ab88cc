"""Questions to an implementation, and the errors of one that cannot be asked."""

from collections.abc import Mapping
from typing import Any, Protocol

from recorder.model.errors import RestanteError
from recorder.model.json_value import parse_json
from recorder.model.normalise import normalise
from recorder.model.semantics import Properties
from simulator.conformance.vectors import Profiles

__all__ = ["Implementation", "ImplementationFailed", "Skipped", "read_object"]


class Implementation(Protocol):
    """Another implementation of the operations."""

    def run(self, given: Mapping[str, Properties], messages: list[Any]) -> Profiles:
        """Return what the messages make of the given users' profiles.

        Raises:
            Skipped: It does not take part in this.
            ImplementationFailed: It gave no answer, or none that can be read.
        """


class Skipped(Exception):
    """The implementation does not take part in a case; the message says why."""


class ImplementationFailed(RestanteError):
    """The implementation gave no answer, or none that can be read."""


def read_object(text: bytes) -> dict[str, Any]:
    """Return the JSON object that an implementation wrote.

    Raises:
        ValueError: It is something else.

    >>> read_object(b'{"n": 1, "state": {"visits": 2}}')
    {'n': 1, 'state': {'visits': 2}}
    """
    try:
        return normalise(parse_json(text.decode()))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
