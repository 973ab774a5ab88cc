"""What a person may change through the browser, with ``--write`` only: blocking calls for threads.

Each is weighed first, in the words that the question then uses.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from recorder import (
    Decision,
    Entry,
    Forgotten,
    InvalidOperation,
    Journal,
    JournalReader,
    RestanteError,
    Shipper,
    ShippingPolicy,
    ShipReport,
    Verb,
)
from tui.detail import escaped_json
from tui.forgetting import told as told_forgotten
from tui.format import count, printable
from tui.gateway import Gateway
from tui.sentence import report_sentence

__all__ = ["Actions", "ReadOnly", "numbered", "question", "told"]

_MOST_EDITED = 100_000  # characters; a text area is no editor for more
_STRIDE = 1_000  # entries a call of the shipper: between two of them it can be told to stop


class ReadOnly(RestanteError):
    """The browser was started without ``--write``."""

    hint = "Start it with --write to change anything."


def numbered(numbers: Iterable[int]) -> list[list[str]]:
    """Entries by their numbers, as filters: one for each unbroken run.

    >>> numbered([3, 7, 4])
    [['seq=3..4'], ['seq=7..7']]
    """
    runs: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return [[f"seq={first}..{last}"] for first, last in runs]


class Actions:
    """Retry, discard, edit, forget, ship; each refuses where the browser only reads.

    Args:
        gateway: The journal.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def _allowed(self, what: str) -> None:
        if not self._gateway.write:
            raise ReadOnly(f"Read-only: {what} needs --write.")

    def weigh(self, verb: Verb, filters: Sequence[Sequence[str]]) -> Decision:
        """What it would do; nothing is written."""
        self._allowed(verb.value)
        with JournalReader(self._gateway.path, clock=self._gateway.now) as reader:
            return Decision.sum(reader.weigh(verb, words) for words in filters)

    def decide(self, verb: Verb, filters: Sequence[Sequence[str]]) -> Decision:
        """Do it."""
        self._allowed(verb.value)
        with Journal(self._gateway.path) as journal:
            act = journal.retry if verb is Verb.RETRY else journal.discard
            return Decision.sum([act(words) for words in filters])

    def editable(self, seq: int) -> tuple[Entry, str]:
        """An entry that may be edited, and its message as text.

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
        text = escaped_json(entry.message, indent=2)
        if len(text) > _MOST_EDITED:
            raise RestanteError(
                f"entry {seq:,} is too long to be edited here; `restante edit {seq}` opens an editor"
            )
        return entry, text

    def edit(self, entry: Entry, text: str) -> str:
        """Give an entry another message; what came of it, in words.

        Raises:
            InvalidOperation: The text is no message that could be accepted.
        """
        self._allowed("edit")
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidOperation("message", f"is not JSON: {error}") from None
        if json.dumps(message) == json.dumps(entry.message):
            return "The message is as it was. Nothing was done."
        with Journal(self._gateway.path) as journal:
            journal.edit(entry.seq, message)
        return f"Entry {entry.seq:,} is to be sent as edited."

    def weigh_forgetting(self, profile: str, group_key: str | None) -> Forgotten:
        """What forgetting a profile would erase; nothing is written."""
        self._allowed("forget")
        with JournalReader(self._gateway.path, clock=self._gateway.now) as reader:
            return reader.weigh_forgetting(profile, group_key)

    def forget(self, profile: str, group_key: str | None) -> str:
        """Erase a profile; what came of it, in words.

        Raises:
            JournalBusy: Something is still to be done, with what.
        """
        self._allowed("forget")
        with Journal(self._gateway.path) as journal:
            return "\n".join(told_forgotten(journal.forget(profile, group_key=group_key)))

    def to_ship(self) -> str:
        """The question before shipping: how many entries, where to, and what may apply twice."""
        self._allowed("ship now")
        facts = self._gateway.facts()
        counts = facts.statistics
        transport = self._gateway.transport()
        where = transport.base
        transport.close()
        if not counts.unsent:
            raise RestanteError("there is nothing to send")
        text = f"Send {count(counts.to_send, 'entry', 'entries')} to {printable(where)} now?"
        if counts.in_doubt:
            policy = facts.shipper.in_doubt or "resend"
            settled = {
                "resend": "sent again once settled, and may apply twice",
                "hold": "held for a person",
                "drop": "given up once settled, where they may apply twice",
            }[policy]
            text += f"\n{count(counts.in_doubt, 'entry', 'entries')} in doubt: {settled}."
        return text

    def ship(self, progress: Callable[[ShipReport], None], stop: Callable[[], bool]) -> str:
        """Send what may go now; what came of it, in words.

        Args:
            progress: Called after each request with what was done so far.
            stop: Asked between requests, every now and then.
        """
        self._allowed("ship now")
        transport = self._gateway.transport()
        try:
            with Journal(self._gateway.path) as journal, JournalReader(self._gateway.path) as reader:
                shipper = Shipper(journal, transport, _policy(reader))
                report = _ship(shipper, progress, stop)
                return report_sentence(report, reader.counts(), reader.shipping(), now=self._gateway.now())
        finally:
            transport.close()


def _policy(reader: JournalReader) -> ShippingPolicy:
    """As the journal's last shipper did, so that nobody resends by hand what an app holds."""
    last = reader.shipping()
    kept = {"in_doubt": last.in_doubt, "settle_after": last.settle_after}
    return ShippingPolicy(**{name: value for name, value in kept.items() if value is not None})  # type: ignore[arg-type]


def _ship(shipper: Shipper, progress: Callable[[ShipReport], None], stop: Callable[[], bool]) -> ShipReport:
    """Call the shipper again and again, as long as it ends for nothing but the limit."""
    so_far = ShipReport()
    while True:
        before = so_far
        report = shipper.ship(limit=_STRIDE, progress=lambda now, before=before: progress(_sum(before, now)))  # type: ignore[misc]
        so_far = _sum(before, report)
        progress(so_far)
        if stop():
            return replace(so_far, stopped_by="timeout", message="a person stopped it")
        if report.stopped_by != "done" or report.shipped + report.rejected < _STRIDE:
            return so_far


def _sum(before: ShipReport, now: ShipReport) -> ShipReport:
    return replace(
        now,
        shipped=before.shipped + now.shipped,
        rejected=before.rejected + now.rejected,
        requests=before.requests + now.requests,
    )


def question(verb: Verb, decision: Decision) -> str:
    """What is asked before a decision: how many entries, and what may go wrong."""
    lines = [f"{verb.capitalize()} {count(decision.entries, 'entry', 'entries')}?"]
    if decision.possibly_twice:
        lines.append(f"{decision.possibly_twice:,} may be applied twice.")
    if decision.out_of_order:
        lines.append(f"{decision.out_of_order:,} out of order: later ones of the same profile went before.")
    lines += [f"Not taken: {number:,} ({printable(reason)})." for reason, number in decision.refused.items()]
    return "\n".join(lines)


def told(verb: Verb, decision: Decision) -> str:
    """What a decision did."""
    if not decision.entries:
        reasons = "; ".join(printable(reason) for reason in decision.refused)
        return f"There is nothing to {verb}{f': {reasons}' if reasons else ''}."
    are = "is to be sent again" if decision.entries == 1 else "are to be sent again"
    becomes = are if verb is Verb.RETRY else "discarded"
    return f"{count(decision.entries, 'entry', 'entries')} {becomes}."
