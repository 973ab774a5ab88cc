"""A whole entry as labelled lines: its message, its attempts, its effect, and what happens next. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from recorder import Attempt, Entry, Lane, State
from recorder.model.entries import AttemptOutcome, ReadBack
from tui.text.effect import Effect
from tui.text.facts import EntryFacts
from tui.text.format import age, clipped, count, escaped_json, owner_name, printable, size
from tui.text.states import LOOKS, MUTED

__all__ = ["LOOKING", "Line", "copied", "detail_lines", "next_step", "title"]

LOOKING = "… looking through the journal"
"""Words in place of what needs all entries of a profile: no index knows them."""
_MOST_PAYLOAD = 4_096  # characters that are shown of a message; copying gives all of it
_SHORT_PAYLOAD = 120
_LONGEST_WORDS = 300
_MOST_ATTEMPTS = 6
_DAY = 86_400
_OWNER_KEYS = frozenset({"$distinct_id", "$group_key", "$group_id"})


@dataclass(frozen=True, slots=True)
class Line:
    """One labelled line.

    Attributes:
        label: Empty if it goes on from the line before; None if the text has no label, and begins at the margin.
        text: Safe to print.
        style: A style of the theme, as Textual's ``Content`` takes it.
    """

    label: str | None
    text: str
    style: str = ""


def copied(entry: Entry) -> str:
    """Return an entry's whole message as JSON."""
    return escaped_json(entry.message, indent=2)


def title(entry: Entry) -> str:
    """Return the first line: number, operator, state, tries.

    Its words are safe to print.
    """
    sends = f", {count(entry.sends, 'try', 'tries')}" if entry.sends else ""
    operator = clipped(printable((entry.operator or entry.lane.value)[:_SHORT_PAYLOAD]), 30)
    return f"#{entry.seq:,}  {operator}  {LOOKS[entry.state].mark}{sends}"


def detail_lines(
    facts: EntryFacts,
    effect: Effect | None,
    *,
    effect_known: bool,
    key: Callable[[str], str],
    write: bool = False,
) -> Iterator[Line]:
    """Yield all that is known about an entry.

    Args:
        facts: The entry, and what was read with it.
        effect: Its effect on the profile; None for events and imports.
        effect_known: Whether that was read yet.
        key: Returns the key for the id of a binding.
        write: Whether keys that change something do so.
    """
    entry = facts.entry
    yield Line(None, title(entry), f"bold {LOOKS[entry.state].style}")
    owner = owner_name(entry.profile, entry.group_key)
    yield Line("profile", printable(clipped(owner, _LONGEST_WORDS)))
    yield Line(
        "recorded",
        f"{moment(entry.recorded_at, facts.now, exact=True, local=facts.local)}, "
        f"{_ago(facts.now - entry.recorded_at)}",
    )
    marks = [
        word
        for holds, word in (
            (entry.possibly_twice, "possibly applied twice"),
            (entry.out_of_order, "out of order: later ones of its profile went before it"),
            (entry.hazardous, "sending it again may apply it twice"),
        )
        if holds
    ]
    yield from _labelled("marks", marks, LOOKS[State.IN_DOUBT].style)
    if entry.reason:
        yield Line("reason", printable(clipped(entry.reason, _LONGEST_WORDS)), LOOKS[entry.state].style)
    yield from _payload(entry, key("journal.copy"))
    yield from _attempts(facts)
    yield from _effect(entry, effect, known=effect_known)
    held = _held(facts)
    if held:
        yield Line("held", held, LOOKS[State.WAITING].style)
    yield Line("next", next_step(facts, key if write else None))


def _labelled(label: str, texts: list[str], style: str = "") -> Iterator[Line]:
    for place, text in enumerate(texts):
        yield Line(label if place == 0 else "", text, style)


def _payload(entry: Entry, copy: str) -> Iterator[Line]:
    # The profile stands above already; copying gives all of it.
    shown = {
        name: value
        for name, value in entry.message.items()
        if name not in _OWNER_KEYS or entry.profile is None
    }
    text = escaped_json(shown, separators=(",", ":"))
    if len(text) > _SHORT_PAYLOAD:
        text = escaped_json(shown, indent=2)
    whole = len(text.encode())
    lines = text[:_MOST_PAYLOAD].splitlines()
    yield from _labelled("payload", lines)
    if len(text) > _MOST_PAYLOAD:
        shown_size = f"… the first {size(_MOST_PAYLOAD)} of {size(whole)}"
        yield Line("", f"{shown_size}; {copy} copies all of it", MUTED)


def moment(seconds: float, now: float, *, exact: bool = False, local: bool = False) -> str:
    """Return a time of the day, with the date unless it is today's; in UTC it ends with a Z.

    >>> moment(1_790_000_000.0, 1_790_000_100.0)
    '14:13:20Z'
    """
    zone = None if local else UTC
    try:
        when = datetime.fromtimestamp(seconds, zone)
    except (OverflowError, ValueError, OSError):  # a clock that was far off
        return f"{seconds:.0f} s"
    today = abs(now - seconds) < _DAY / 2 or datetime.fromtimestamp(now, zone).date() == when.date()
    text = when.isoformat(" ", "milliseconds" if exact else "seconds").removesuffix("+00:00")
    return (text[11:] if today else text) + "Z" * (not local)


def _ago(seconds: float) -> str:
    return f"{age(max(seconds, 0.0))} ago"


def _attempts(facts: EntryFacts) -> Iterator[Line]:
    attempts = facts.attempts[-_MOST_ATTEMPTS:]
    lines = [_attempt(attempt, facts) for attempt in attempts]
    if len(facts.attempts) > len(attempts):
        lines.insert(0, f"{len(facts.attempts) - len(attempts):,} before these")
    yield from _labelled("attempts", lines or ["none yet"])


_SAID = {
    AttemptOutcome.SHIPPED: "accepted",
    AttemptOutcome.REFUSED: "refused",
    AttemptOutcome.UNKNOWN: "no answer, so it may have arrived",
    AttemptOutcome.OFFLINE: "offline",
    AttemptOutcome.WAIT: "asked to wait",
    AttemptOutcome.PAUSED: "paused",
}


def _attempt(attempt: Attempt, facts: EntryFacts) -> str:
    status = f" {attempt.status}" if attempt.status is not None else ""
    said = _said(attempt, facts.entry)
    carried = max(attempt.entries, attempt.updates)  # folded, several entries travel as one update
    times = f" ({attempt.times:,} times)" if attempt.times > 1 else ""
    others = f", with {carried - 1:,} more" if carried > 1 else ""
    when = moment(attempt.started_at, facts.now, local=facts.local)
    return f"{when}{status} {said}{times}{others}"


def _said(attempt: Attempt, entry: Entry) -> str:
    """Return the outcome of an attempt for one of its entries: profiles may tell different ones of it."""
    words = f": {printable(clipped(attempt.words, _LONGEST_WORDS))}" if attempt.words else ""
    if attempt.outcome is None:
        return f"under way{words}"
    if attempt.words not in set(ReadBack) and attempt.outcome is not AttemptOutcome.UNKNOWN:
        return f"{_SAID[attempt.outcome]}{words}"
    if entry.reason == ReadBack.NOT_APPLIED or (
        entry.reason == ReadBack.APPLIED and entry.attempt == attempt.id
    ):
        return entry.reason
    return f"{_SAID[AttemptOutcome.UNKNOWN]}{words}"


def _effect(entry: Entry, effect: Effect | None, *, known: bool) -> Iterator[Line]:
    if not known and entry.lane in {Lane.PEOPLE, Lane.GROUPS} and entry.profile is not None:
        yield Line("effect", LOOKING, MUTED)
    elif effect is not None:
        lines = [
            f"{line}{'  (if it is sent)' if effect.would and place == 0 else ''}"
            for place, line in enumerate(effect.lines)
        ]
        if effect.state is not entry.state:
            lines.append(f"as of {LOOKS[effect.state].mark}")
        yield from _labelled("effect", lines)


def _held(facts: EntryFacts) -> str:
    hold, entry = facts.hold, facts.entry
    if hold is None or entry.state not in {State.PENDING, State.WAITING, State.IN_DOUBT}:
        return ""
    whom = "itself, in doubt" if hold.behind == entry.seq else f"waits behind #{hold.behind:,}, in doubt"
    if hold.by_person:
        return f"{whom}: a person decides"
    left = (hold.until or 0.0) - facts.now
    return f"{whom}, for {age(left)} more" if left >= 1 else f"{whom}: the wait is over"


def next_step(facts: EntryFacts, key: Callable[[str], str] | None) -> str:
    """Return in words what happens to an entry next, with the keys for it if there are any."""
    entry = facts.entry
    names = ("journal.retry", "journal.edit", "journal.discard", "journal.ship")
    retry, edit, discard, ship = (f" ({key(name)})" if key is not None else "" for name in names)
    match entry.state:
        case State.SHIPPED:
            accepted = "the service accepted the request that carried it"
            return f"nothing: {'its profile shows it' if entry.reason == ReadBack.APPLIED else accepted}"
        case State.REJECTED if entry.attempt is None:
            return f"malformed: it stays until a person edits{edit} or discards{discard} it"
        case State.REJECTED:
            return f"it stays until a person retries{retry}, edits{edit} or discards{discard} it"
        case State.DISCARDED:
            return f"nothing: it was discarded; a person can retry it{retry}"
        case State.FORGOTTEN:
            return "nothing: its content was erased"
        case State.LOST:
            return "nothing: it is unreadable after damage"
        case State.SENDING:
            return "the request that carries it is answered"
        case State.IN_DOUBT:
            return _after_doubt(facts, f"a person decides: retry{retry} or discard{discard}", ship)
        case State.WAITING if entry.reason not in {None, ReadBack.NOT_APPLIED} and facts.hold is None:
            return f"many were rejected with the same words: a person must look why, then retry{retry}"
    return f"{'then it' if facts.hold is not None else 'it'} goes {_when(facts, ship)}"


def _after_doubt(facts: EntryFacts, by_person: str, ship: str) -> str:
    if facts.hold is not None and facts.hold.by_person:
        return by_person
    waits = facts.hold is not None and (facts.hold.until or 0.0) - facts.now >= 1
    after = "after the wait" if waits else _when(facts, ship)
    if not facts.entry.hazardous:
        return f"it is sent again, which is harmless, {after}"
    policy = facts.shipper.in_doubt or "resend"
    return {
        "resend": f"it is sent again {after}, and marked as possibly twice",
        "hold": f"it is held for a person {after}",
        "drop": f"it is given up {after}",
    }[policy]


def _when(facts: EntryFacts, ship: str) -> str:
    shipper = facts.shipper
    lane = next((lane for lane in shipper.lanes if lane.lane is facts.entry.lane), None)
    if lane is not None and lane.outcome is AttemptOutcome.PAUSED:
        return "once a person has fixed what paused its lane (see 3 Shipping)"
    if not shipper.running:
        return f"once a shipper runs{ship}"
    due = (lane.retry_at or 0.0) - facts.now if lane is not None else 0.0
    return f"with the next try, in {age(due)}" if due >= 1 else "with the next request"
