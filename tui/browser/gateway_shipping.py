"""Reads for home and the shipping view: state, failures by their words, attempts. Blocking, for threads."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from recorder import Attempt, JournalReader
from recorder.model.reports import AttemptGroup, FailureGroup
from tui.browser.gateway import Gateway
from tui.text.facts import Facts
from tui.text.home import Home
from tui.text.marks import numbered

__all__ = ["Carried", "ShippingGateway", "Standing"]

_ATTEMPTS = 500  # the latest ones
_HOME_AGE = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Standing:
    """State of shipping.

    Attributes:
        facts: The accounts, and the sentence.
        failures: Entries that failed, grouped by what was said.
        tries: Attempts that came to nothing, grouped by what was said.
        attempts: The latest attempts, newest first.
    """

    facts: Facts
    failures: tuple[FailureGroup, ...]
    tries: tuple[AttemptGroup, ...]
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Carried:
    """The entries of an attempt.

    Attributes:
        words: The filter that shows them.
        entries: How many it carried.
        exact: Whether the filter shows no others.
    """

    words: list[str]
    entries: int
    exact: bool


class ShippingGateway:
    """State of shipping of one journal. Safe for threads.

    Args:
        gateway: The journal.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        # Of its own: what takes longer must not keep the pages of entries waiting.
        self._reader = JournalReader(gateway.path, clock=gateway.now)
        self._known: tuple[int, Standing] | None = None
        self._home: tuple[tuple[int, ...], Home] | None = None

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def carried(self, attempt: Attempt) -> Carried:
        """The entries that an attempt carried; where that is not known, those of its range."""
        numbers = self._reader.carried_by(attempt.id)
        if numbers is not None and len(filters := numbered(numbers)) == 1:
            return Carried(filters[0], len(numbers), exact=True)
        words = [f"seq={attempt.first}..{attempt.last}", f"lane={attempt.lane.value}"]
        return Carried(words, attempt.entries, exact=False)

    def standing(self, stop: Callable[[], bool] = lambda: False) -> Standing:
        """Read the state; failures are looked for only if the journal has changed."""
        facts, version = self._gateway.facts(), self._reader.version()
        if self._known is not None and self._known[0] == version:
            known = self._known[1]
            return Standing(facts, known.failures, known.tries, known.attempts)
        standing = Standing(
            facts,
            tuple(self._reader.failures(stop=stop)),
            tuple(self._reader.failed_attempts(stop=stop)),
            tuple(self._reader.attempts(limit=_ATTEMPTS)),
        )
        if not stop():
            self._known = (version, standing)
        return standing

    def home(self, stop: Callable[[], bool] = lambda: False) -> Home:
        """Read what the home view shows.

        Failures and the flow of a day are read again when the numbers of failures change, else every half a minute:
        while an app records, the journal changes all the time.
        """
        facts = self._gateway.facts()
        counts = facts.statistics
        key = (counts.rejected, counts.in_doubt, counts.discarded, int(facts.now / _HOME_AGE))
        if self._home is not None and self._home[0] == key:
            return replace(self._home[1], facts=facts)
        failures = self._reader.failures(stop=stop) if counts.rejected else ()
        home = Home(facts=facts, failures=tuple(failures), flow=self._reader.flow())
        if not stop():
            self._home = key, home
        return home
