"""Changes that the browser makes, with ``--write`` only: blocking calls for threads, and their words."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from recorder import (
    Entry,
    InvalidOperation,
    Journal,
    JournalReader,
    Recorder,
    RestanteError,
    Shipper,
    ShipReport,
)
from recorder.journal.decisions import Decision, Undo, Verb
from recorder.model.json_value import parse_json
from recorder.model.policy import completed
from recorder.model.reports import Forgotten
from recorder.reading.sentence import report_sentence
from recorder.shipping.profiles import HttpProfiles, settle
from tui.browser.gateway import Gateway
from tui.consequences import Consequences, history_read, of_decision, of_edit
from tui.text.compose import Composed
from tui.text.forgetting import told as told_forgotten
from tui.text.format import count, escaped_json, owner_name, printable
from tui.text.marks import Marks, numbered
from tui.text.readback import format_readback, format_wait
from tui.text.rows import Query

__all__ = ["Actions", "ReadOnly", "Step", "decided", "named", "question", "taken_back"]

_MOST_NAMED = 3
_MOST_WEIGHED_TWICE = 10_000  # entries
_MOST_TAKEN_BACK = 100_000  # entries; of more, no discard is remembered
_MOST_EDITED = 100_000  # characters; a text area is no editor for more


class ReadOnly(RestanteError):
    """The browser was started without ``--write``."""

    hint = "Start it with --write to change anything."


class Step(NamedTuple):
    """Step of a change that takes requests.

    Attributes:
        words: A sentence about it.
        done: How far it is.
        total: Of how much; None if that is not known.
    """

    words: str
    done: int = 0
    total: int | None = None


class Actions:
    """Retry, discard, edit, forget, ship; each refuses where the browser only reads.

    Args:
        gateway: The journal.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._undo: Undo | None = None

    def _allowed(self, what: str) -> None:
        if not self._gateway.write:
            raise ReadOnly(f"Read-only: {what} needs --write.")
        # Numbers that a person saw are other entries in another file.
        if (whereabouts := self._gateway.whereabouts()) != "here":
            raise RestanteError(f"{self._gateway.path.name} is {whereabouts}: nothing was changed.")

    def weigh(
        self, verb: Verb, filters: Sequence[Sequence[str]], among: tuple[Marks, Query] | None = None
    ) -> tuple[Decision, str]:
        """Return what a decision would do, and words about marks; nothing is written.

        Args:
            verb: The decision.
            filters: The entries.
            among: The marks, and the query that shows, if the entries are marked ones.
        """
        self._allowed(verb.value)
        with JournalReader(self._gateway.path, clock=self._gateway.now) as reader:
            decision = Decision.sum([reader.weigh(verb, words) for words in filters])
            if among is None:
                return decision, ""
            marks, query = among
            hidden = len(marks) - marks.common(reader.runs(query.words, states=query.states))
        words = f", {hidden:,} of them not shown here" if hidden else ""
        return decision, f"{len(marks):,} marked{words}."

    def other(self, verb: Verb, decision: Decision) -> dict[Verb, Decision]:
        """Return the other decision if it takes exactly the same entries; nothing is written."""
        if decision.entries > _MOST_WEIGHED_TWICE:
            return {}
        (other,) = set(Verb) - {verb}
        with JournalReader(self._gateway.path, clock=self._gateway.now) as reader:
            weighed = Decision.sum([reader.weigh(other, words) for words in numbered(decision.numbers)])
        return {other: weighed} if weighed.numbers == decision.numbers else {}

    def consequences(self, weighed: Mapping[Verb, Decision], stop: Callable[[], bool]) -> Consequences:
        """Return what these decisions about the same entries would make of their first profiles."""
        with JournalReader(self._gateway.path, clock=self._gateway.now) as reader:
            return of_decision(reader, weighed, stop)

    def consequences_of_edit(self, entry: Entry, text: str, stop: Callable[[], bool]) -> Consequences:
        """Return what another message would make of an entry's profile."""
        with JournalReader(self._gateway.path, clock=self._gateway.now) as reader:
            return of_edit(reader, entry, _parsed(text), stop)

    def decide(self, verb: Verb, numbers: Sequence[int]) -> Decision:
        """Decide about exactly these entries: those that the question named, whatever else matches by now."""
        self._allowed(verb.value)
        with Journal(self._gateway.path) as journal:
            if verb is Verb.RETRY:
                return Decision.sum([journal.retry(words) for words in numbered(numbers)])
            with JournalReader(self._gateway.path) as reader:
                undo = reader.before_discard(numbers) if len(numbers) <= _MOST_TAKEN_BACK else None
            done = Decision.sum([journal.discard(words) for words in numbered(numbers)])
            if done.entries:  # one that takes none leaves the last discard to be taken back
                self._undo = undo
            return done

    @property
    def may_take_back(self) -> bool:
        """True if the last discard can be taken back."""
        return self._undo is not None

    def take_back(self) -> str:
        """Take the last discard back, and return the result in words."""
        self._allowed("undo")
        if self._undo is None:
            raise RestanteError("There is no discard to undo since the browser was started")
        with Journal(self._gateway.path) as journal:
            done = journal.take_back(self._undo)
        self._undo = None
        return taken_back(done)

    def editable(self, seq: int) -> tuple[Entry, str, Callable[[str], str]]:
        """Return an entry that may be edited, its message as text, and a check that says why another would be refused.

        Raises:
            RestanteError: It cannot be edited, with the reason.
        """
        self._allowed("edit")
        with JournalReader(self._gateway.path, clock=self._gateway.now) as reader:
            entry = reader.entry(seq)
            for reason in reader.weigh(Verb.DISCARD, f"seq={seq}").refused:
                raise RestanteError(f"entry {seq:,} cannot be edited: {reason}")
            if entry is None:
                raise RestanteError(f"there is no entry {seq:,}")
            check = reader.edit_check(entry)
        text = escaped_json(entry.message, indent=2)
        if len(text) > _MOST_EDITED:
            raise RestanteError(
                f"entry {seq:,} is too long to be edited here; `restante edit {seq}` opens an editor"
            )
        return entry, text, partial(_refusal, check)

    def edit(self, entry: Entry, text: str) -> str:
        """Give an entry another message, and return the result in words.

        Raises:
            InvalidOperation: The text is no message that could be accepted.
        """
        self._allowed("edit")
        message = _parsed(text)
        if json.dumps(message) == json.dumps(entry.message):
            return "The message is the same as before. Nothing was changed."
        with Journal(self._gateway.path) as journal:
            journal.edit(entry.seq, message)
        return f"Entry {entry.seq:,} will be sent as edited."

    @property
    def now(self) -> Callable[[], float]:
        """The clock, in seconds since the epoch."""
        return self._gateway.now

    def check_recording(self) -> None:
        """Refuse to record where the browser only reads."""
        self._allowed("compose")

    def predicted(
        self, profile: str, group_key: str | None, stop: Callable[[], bool]
    ) -> Mapping[str, Any] | None:
        """Return a profile as predicted; None for none."""
        with JournalReader(self._gateway.path, clock=self._gateway.now) as reader:
            history = history_read(reader, profile, group_key, stop)
            return history.held(len(history))[0]

    def record(self, operation: Composed, profile: str, group_key: str | None) -> str:
        """Record an operation as an app would, and return the result in words.

        Raises:
            InvalidOperation: It could never be accepted.
        """
        self._allowed("compose")
        with Journal(self._gateway.path) as journal:
            if journal.token is None:
                raise RestanteError("the journal has no token yet: `restante token` gives it one")
            with Recorder(journal.token, journal) as recorder:
                operation.apply(recorder, profile, group_key)
        return f"Recorded {operation.verb} of {printable(owner_name(profile, group_key))}."

    def weigh_forgetting(self, profile: str, group_key: str | None) -> Forgotten:
        """Return what forgetting a profile would erase; nothing is written."""
        self._allowed("forget")
        with JournalReader(self._gateway.path, clock=self._gateway.now) as reader:
            return reader.weigh_forgetting(profile, group_key)

    def forget(self, profile: str, group_key: str | None) -> str:
        """Erase a profile, and return the result in words.

        Raises:
            JournalBusy: Something is still to be done, with what.
        """
        self._allowed("forget")
        with Journal(self._gateway.path) as journal:
            return "\n".join(told_forgotten(journal.forget(profile, group_key=group_key)))

    def to_ship(self) -> str:
        """Return the question before shipping: how many entries, where to, and what may apply twice."""
        self._allowed("ship now")
        facts = self._gateway.facts()
        counts = facts.statistics
        transport = self._gateway.transport()
        where = transport.base
        transport.close()
        if not counts.unsent:
            raise RestanteError("there is nothing to send")
        text = f"Ship to {printable(where)} now? {count(counts.unsent, 'entry', 'entries')} unsent."
        last = facts.shipper.service
        if last not in {None, where}:
            text += f"\nSo far the journal was shipped to {printable(last or '')}."
        if counts.in_doubt:
            policy = facts.shipper.in_doubt or "resend"
            settled = {
                "resend": "sent again once settled, and may apply twice",
                "hold": "held for a person",
                "drop": "given up once settled, where they may apply twice",
            }[policy]
            text += f"\n{counts.in_doubt:,} of them in doubt: {settled}."
        return text

    @property
    def may_settle(self) -> bool:
        """True with an account that reads profiles."""
        return self._gateway.account is not None

    def settle(self, progress: Callable[[Step], None], stop: threading.Event) -> str:
        """Settle what is in doubt by what its profiles show, and return the result in words.

        Args:
            progress: Called with each wait.
            stop: Once it is set, nothing is waited for.
        """
        self._allowed("settle")
        with JournalReader(self._gateway.path) as reader:
            service = reader.shipping().service
        if self._gateway.account is None or service is None:
            raise RestanteError(
                "nothing can be settled: no service is known, or no account that reads profiles"
            )

        def wait(profiles: int, seconds: float) -> bool:
            progress(Step(format_wait(profiles, seconds)))
            return not stop.wait(seconds)

        user, secret, project = self._gateway.account
        profiles = HttpProfiles(service, (user, secret), project)
        with closing(profiles), Journal(self._gateway.path) as journal:
            return format_readback(settle(journal, profiles, wait))

    def ship(self, progress: Callable[[Step], None], stop: threading.Event) -> str:
        """Send what may go now, and return the result in words.

        Args:
            progress: Called after each request.
            stop: Once it is set, no further request begins.
        """
        self._allowed("ship now")
        transport = self._gateway.transport()
        try:
            with Journal(self._gateway.path) as journal, JournalReader(self._gateway.path) as reader:
                shipper = Shipper(journal, transport, completed({}, reader.shipping()))
                report = shipper.ship(progress=lambda report: progress(_step(report)), stop=stop)
                if stop.is_set() and report.stopped_by == "timeout":
                    report = replace(report, message="a person stopped it")
                return report_sentence(
                    report, reader.counts(), reader.shipping(), now=self._gateway.now(), commands=False
                )
        finally:
            transport.close()


def _step(report: ShipReport) -> Step:
    done = report.shipped + report.rejected
    words = f"Shipped {report.shipped:,} in {count(report.requests, 'request')}, {report.pending:,} to go."
    return Step(words, done, done + report.pending + report.in_doubt)


def _parsed(text: str) -> Any:
    try:
        return parse_json(text)
    except (ValueError, RecursionError) as error:
        raise InvalidOperation("message", f"is not JSON: {error}") from None


def _refusal(check: Callable[[Any], None], text: str) -> str:
    try:
        check(_parsed(text))
    except InvalidOperation as error:
        return str(error)
    return ""


def named(numbers: Sequence[int]) -> str:
    """Return the numbers of entries for a sentence, newest first if they are few.

    >>> named([19]), named([18, 19]), named([3, 4, 5, 40])
    ('#19', '#19, #18', '#3..#40')
    """
    if len(numbers) <= _MOST_NAMED:
        return ", ".join(f"#{seq:,}" for seq in sorted(numbers, reverse=True))
    return f"#{min(numbers):,}..#{max(numbers):,}"


_NO_ACCOUNT = "Set RESTANTE_QUERY_CREDENTIALS to settle by the profiles."


def question(verb: Verb, decision: Decision, marks: str = "", *, settle: bool = False) -> str:
    """Return the question before a decision: how many entries and which, and what may go wrong.

    Args:
        verb: The decision.
        decision: Its effect.
        marks: Words about marks.
        settle: Settling is offered instead.
    """
    lines = [f"{verb.capitalize()} {count(decision.entries, 'entry', 'entries')}, {named(decision.numbers)}?"]
    if marks:
        lines.append(marks)
    if decision.possibly_twice:
        lines.append(f"{decision.possibly_twice:,} may be applied twice.")
    if decision.out_of_order:
        lines.append(f"{decision.out_of_order:,} out of order: later ones of the same profile went before.")
    if decision.counted:
        were = "1 was" if decision.counted == 1 else f"{decision.counted:,} were"
        settling = (
            f"{were} counted: settle reads from the profiles what was applied, of all that is in doubt."
        )
        lines.append(settling if settle else _NO_ACCOUNT)
    lines += [f"Skipped: {number:,} ({printable(reason)})." for reason, number in decision.refused.items()]
    return "\n".join(lines)


def taken_back(decision: Decision) -> str:
    """Return in words what taking a discard back did.

    >>> taken_back(Decision(entries=2, out_of_order=1, refused={"not discarded any more": 1}))
    '2 entries are as before; 1 of them out of order: later ones of its profile went. Not 1 (not discarded any more).'
    """
    words = f"{count(decision.entries, 'entry is', 'entries are')} as before"
    if decision.out_of_order:
        words += f"; {decision.out_of_order:,} of them out of order: later ones of its profile went"
    return f"{words}.{''.join(f' Not {number:,} ({reason}).' for reason, number in decision.refused.items())}"


def decided(verb: Verb, decision: Decision) -> str:
    """Return in words what a decision did."""
    if not decision.entries:
        reasons = "; ".join(printable(reason) for reason in decision.refused)
        return f"There is nothing to {verb}{f': {reasons}' if reasons else ''}."
    becomes = "will be sent again" if verb is Verb.RETRY else "discarded"
    return f"{count(decision.entries, 'entry', 'entries')} {becomes}."
