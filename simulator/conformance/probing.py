"""Questions about the service that no document answers, asked of a project with one profile.

Each answer is what was seen once: it is no promise of the service's.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.conformance import evidence
from simulator.conformance.project import Project, ProjectFailed

__all__ = ["QUESTIONS", "Finding", "Probe"]

QUESTIONS = {
    "lag": "How long until a read shows a write?",
    "order": "In what order does a batch apply?",
    "add": "What does an $add of two properties do if one is no number?",
    "mixed": "What becomes of a batch with a malformed update?",
    "old_event": "What does /track answer to an event of six days ago?",
    "import_token": "Does /import take the project's token as user name?",
    "delete": "How long until a deleted profile is gone?",
}
"""By the names in `Finding`."""

_APPENDED = 20
_STEP = 7  # no divisor of 20, so that the times' order is neither the written one nor its reverse
_FIRST_PAUSE = 0.25
_LEAST_MARGIN = 0.5
_OLD = 6 * 86_400

_Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer to a question.

    Attributes:
        name: The question's name in `QUESTIONS`.
        answer: In words; None if nothing was seen that answers it.
        seen: The evidence.
    """

    name: str
    answer: str | None
    seen: str

    @property
    def question(self) -> str:
        """The question in words."""
        return QUESTIONS[self.name]


class _OutOfTime(Exception):
    """The time for questions is over."""


class Probe:
    """Asks the questions and deletes the profile.

    Args:
        project: The project.
        profile: The id of the profile, which nobody else may have.
        seconds: Time for all questions.
        clock: Returns the seconds since the epoch.
        sleep: Waits for so many seconds.

    Attributes:
        profile: As given.
        written: True once the profile may exist.

    >>> from simulator.service import Service
    >>> with Service() as service:
    ...     project = Project(service.url, service.url, 1, "T", ("reader", "secret"))
    ...     probe = Probe(project, "probe-1", seconds=60)
    ...     found = {finding.name: finding.answer for finding in probe.findings()}
    ...     found["order"], probe.delete(60).answer is not None, service.profiles()
    ('as written', True, {})
    """

    def __init__(
        self,
        project: Project,
        profile: str,
        *,
        seconds: float,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._project = project
        self.profile = profile
        self._clock = clock
        self._sleep = sleep
        self._deadline = clock() + seconds
        self.written = self._shown = False

    # --- the questions

    def findings(self) -> Iterator[Finding]:
        """Yield the answers in the order in which they are seen; without one where the time was over.

        Raises:
            ProjectFailed: The service cannot be asked, or refuses it.
        """
        self._project.read(self.profile)  # before anything is written: may we?
        yield self._import_token()
        yield self._old_event()
        yield from self._findings_of_reads()

    def _findings_of_reads(self) -> Iterator[Finding]:
        try:
            lag, margin = self._lag()
            yield lag
            yield from self._findings_of_batches(margin)
        except _OutOfTime as error:
            if not self._shown:
                yield Finding("lag", None, f"{error}: is the token one of project {self._project.id}?")
            for name in ("order", "add", "mixed"):
                yield Finding(name, None, str(error))

    def _lag(self) -> tuple[Finding, float]:
        """Write for the first time; return the answer, and the seconds to wait for reads later on."""
        error = self._update({"$set": evidence.BEFORE_ADDITION})
        if error is not None:
            raise ProjectFailed(f"{self._project.url} refuses the first update: {error}")
        _, shown, missed = self._read_until(lambda profile: profile is not None)
        self._shown = True
        answer = "at once" if missed is None else f"between {missed:.1f} and {shown:.1f} s"
        seen = f"shown {shown:.1f} s after the answer" + (
            f", not {missed:.1f} s after" if missed is not None else ""
        )
        if any(self._project.read(self.profile) is None for _ in range(2)):
            answer += ", and reads go back"
            seen += "; a later read did not show it"
        return Finding("lag", answer, seen), max(_LEAST_MARGIN, 2 * shown)

    def _findings_of_batches(self, margin: float) -> Iterator[Finding]:
        written, times = list(range(_APPENDED)), [number * _STEP % _APPENDED for number in range(_APPENDED)]
        begin = int(self._clock()) - _APPENDED
        self._update(
            *({"$append": {"list": one}, "$time": begin + at} for one, at in zip(written, times, strict=True))
        )
        add = self._update({"$add": {"number": 1, "text": 1}})
        mixed = self._project.update(
            {"$distinct_id": self.profile, "$set": {"valid": True}}, {"$set": {"valid": True}}
        )
        self._update({"$set": {"fence": True}})
        # The order of requests is not documented either: what shows the last may still lack the ones before.
        for pause in (0.0, margin):
            self._pause(pause)
            profile, _, _ = self._read_until(lambda profile: profile is not None and "fence" in profile)
        shown = profile.get("list")
        yield Finding("order", *evidence.order(shown, written, times))
        yield Finding("add", *evidence.addition(profile, add))
        yield Finding("mixed", *evidence.mixed_batch(profile, mixed))

    # --- two questions whose answer is the service's

    def _old_event(self) -> Finding:
        at = int(self._clock()) - _OLD
        event = self._event(self._project.token, time=at, distinct_id=self.profile)
        return Finding("old_event", *evidence.old_event(self._project.send("/track?verbose=1&ip=0", [event])))

    def _import_token(self) -> Finding:
        """Send an event that cannot be valid, so that none is kept; and once more with a token that cannot exist."""
        answers = [
            self._project.send("/import?strict=1", [self._event(token)], user=token)
            for token in (self._project.token, "0" * 32)
        ]
        return Finding("import_token", *evidence.import_token(*answers))

    def _event(self, token: str, **properties: Any) -> dict[str, Any]:
        return {
            "event": "restante probe",
            "properties": {"token": token, "$insert_id": self.profile, **properties},
        }

    # --- the profile

    def delete(self, seconds: float) -> Finding:
        """Delete the profile, and wait so long at most until it is gone.

        Raises:
            ProjectFailed: The service cannot be asked, or refuses it: the profile may still be there.
        """
        if not self.written:
            return Finding("delete", None, "nothing was written")
        self._deadline = self._clock() + seconds
        error = self._update({"$delete": ""})
        if error is not None:
            raise ProjectFailed(f"{self._project.url} refuses to delete it: {error}")
        if not self._shown:  # and so it cannot be seen to go
            return Finding("delete", None, "accepted; no read has shown the profile")
        try:
            _, gone, missed = self._read_until(lambda profile: profile is None)
        except _OutOfTime:
            return Finding("delete", None, "accepted; the time was over, and reads still showed the profile")
        answer = "at once" if missed is None else f"between {missed:.1f} and {gone:.1f} s"
        return Finding("delete", answer, f"not shown {gone:.1f} s after the answer")

    def _update(self, *changes: dict[str, Any]) -> str | None:
        self._pause(0)
        self.written = True  # before it is: what is not answered may have arrived
        return self._project.update(*({"$distinct_id": self.profile, **change} for change in changes))

    def _read_until(
        self, fits: Callable[[_Properties | None], bool]
    ) -> tuple[_Properties, float, float | None]:
        """Read until the profile fits; return it, and the seconds from now to that read and to the one before."""
        began, missed, pause = self._clock(), None, 0.0
        while True:
            self._pause(pause)
            profile = self._project.read(self.profile)
            elapsed = self._clock() - began
            if fits(profile):
                return profile or {}, elapsed, missed
            missed, pause = elapsed, max(_FIRST_PAUSE, 2 * pause)

    def _pause(self, seconds: float) -> None:
        if self._clock() + seconds > self._deadline:
            raise _OutOfTime("the time was over before a read showed it")
        if seconds:
            self._sleep(seconds)
