"""An implementation that is a program: asked in JSON lines over its standard input and output."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from recorder.model.errors import InvalidOperation
from recorder.model.json_value import compact
from recorder.model.operations import Identity, identity_of
from recorder.model.semantics import Properties
from simulator.conformance.implementation import ImplementationFailed, Skipped, read_object
from simulator.conformance.process import LineProcess, ProcessFailed
from simulator.conformance.vectors import Profiles

__all__ = ["Command"]

_SHOWN = 500  # characters of a line in an error


class Command:
    """A program that answers ``{"n": 7, "state": {…}, "message": {…}}`` with ``{"n": 7, "state": {…}}``.

    Each is one line. ``state`` has the profile's properties before and after; null is no profile. An answer may leave
    ``n`` out, or be ``{"skip": "why"}``. The program is started at once; `close` ends it.

    Args:
        words: The program and its arguments.
        timeout: Seconds for each answer.

    Raises:
        ImplementationFailed: It cannot be started.
    """

    def __init__(self, words: Sequence[str], *, timeout: float = 10.0) -> None:
        self._timeout = timeout
        self._asked = 0
        try:
            self._process = LineProcess(words)
        except OSError as error:
            raise ImplementationFailed(
                f"cannot start {words[0]}: {error.strerror}",
                hint="Name a program and its arguments after --.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its standard input, and end it if it does not end itself in two seconds."""
        self._process.close()

    def run(self, given: Mapping[str, Properties], messages: list[Any]) -> Profiles:
        """Return what the messages make of the given profiles, as the program answers one by one.

        Raises:
            Skipped: It said so, or a message names no profile, whose state could be sent.
            ImplementationFailed: It gave no answer, or none that can be read.
        """
        profiles: Profiles = {Identity(None, id_): dict(properties) for id_, properties in given.items()}
        for message in messages:
            try:
                identity = identity_of(message)
            except InvalidOperation:
                raise Skipped("a message names no profile") from None
            after = self._apply(profiles.pop(identity, None), message)
            if after is not None:
                profiles[identity] = after
        return profiles

    def _apply(self, state: Properties | None, message: Any) -> Properties | None:
        self._asked += 1
        line = compact({"n": self._asked, "state": state, "message": message})
        answer = b""
        try:
            answer = self._process.ask(f"{line}\n".encode(), self._timeout)
            return _state(read_object(answer), self._asked)
        except (ProcessFailed, ValueError) as error:
            reason = f"its answer cannot be used: {error}" if answer else str(error)
            raise ImplementationFailed(reason, hint=self._evidence(line, answer)) from error

    def _evidence(self, line: str, answer: bytes) -> str:
        told = {
            "It was sent": line[:_SHOWN],
            "It answered": answer[:_SHOWN].decode(errors="replace"),
            "Its standard error ends with": self._process.errors[-_SHOWN:],
        }
        return "\n".join(f"{what}: {text}" for what, text in told.items() if text)


def _state(answer: dict[str, Any], asked: int) -> Properties | None:
    if answer.get("n", asked) != asked:
        raise ValueError(f"n is {answer['n']}, not {asked}")
    if "skip" in answer:
        raise Skipped(str(answer["skip"]))
    state = answer.get("state", "missing")
    if state is None or isinstance(state, dict):
        return state
    raise ValueError("state is not an object or null")
