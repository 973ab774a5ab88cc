"""Matters of a journal that need a person, the most urgent first. Pure.

`status`, its exit code, `doctor` and the browser's home view all judge by `needs`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from recorder.model.entries import AttemptOutcome, State
from recorder.model.reports import FailureGroup, Statistics
from recorder.model.shipping import LaneStatus, ShipperStatus
from recorder.model.text import age, count, printable

__all__ = ["Action", "Need", "advice_of", "command_of", "needs", "wants_token"]

Action = Literal["audit", "discard", "edit", "look", "retry", "salvage", "settle", "ship", "token"]

_COMMANDS: dict[Action, str] = {
    "audit": "restante audit",
    "discard": "restante discard {words}",
    "look": "restante entries {words}",
    "retry": "restante retry {words}",
    "salvage": "restante salvage",
    "settle": "restante settle",
    "ship": "restante ship",
    "token": "restante token TOKEN",
}
_MOST_QUOTED = 50  # characters of the service's words


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A matter that needs a person.

    Attributes:
        name: The matter in a word or two.
        text: A sentence about it.
        actions: The means against it, the best first.
        words: The filter that finds its entries; None where no entries are its cause.
        groups: How many different reasons they have.
        hint: The means where there is no action.
    """

    name: str
    text: str
    actions: tuple[Action, ...]
    words: str | None = None
    groups: int = 1
    hint: str = ""


def needs(
    statistics: Statistics,
    shipper: ShipperStatus,
    *,
    now: float,
    failures: Sequence[FailureGroup] = (),
    max_age: float | None = None,
) -> list[Need]:
    """Return what needs a person, the most urgent first.

    Args:
        statistics: The accounts of the journal.
        shipper: The state of shipping.
        now: Seconds since the epoch.
        failures: Groups of rejected entries, for their words.
        max_age: The age in seconds that an unsent entry may have.

    >>> [need.text for need in needs(Statistics(recorded=3, shipped=1, rejected=2), ShipperStatus(), now=0.0)]
    ['2 entries are rejected.']
    """
    return [
        *_accounts(statistics),
        *_full(statistics, shipper),
        *_paused(statistics, shipper, now),
        *_held(statistics, shipper),
        *_unanswered(shipper, now),
        *_rejected(statistics, failures),
        *_in_doubt(statistics, shipper, now),
        *_late(statistics, max_age),
    ]


def command_of(need: Need, action: Action) -> str:
    """Return the command for an action; empty where there is none.

    >>> command_of(Need(name="rejected", text="", actions=("retry",), words="state=rejected"), "retry")
    'restante retry state=rejected'
    """
    return _COMMANDS.get(action, "").format(words=need.words)


def advice_of(need: Need) -> str:
    """Return the commands for a need, the best first.

    >>> advice_of(Need(name="rejected", text="", actions=("look", "retry"), words="state=rejected"))
    '`restante entries state=rejected` or `restante retry state=rejected`'
    """
    commands = [f"`{command}`" for action in need.actions if (command := command_of(need, action))]
    return " or ".join(commands) or need.hint


def wants_token(cause: str) -> bool:
    """Return True if the service refuses the project's token: its answer is 401 or 403, or names the token.

    Imports have credentials of their own, which the cause names.

    >>> wants_token("HTTP 401: Unauthorized"), wants_token("HTTP 404: Not Found")
    (True, False)
    """
    refused = cause.startswith(("HTTP 401", "HTTP 403")) or "token" in cause.lower()
    return refused and "IMPORT_CREDENTIALS" not in cause


def _accounts(statistics: Statistics) -> Iterator[Need]:
    if not statistics.adds_up:
        text = "The accounts do not add up: entries may be missing."
        yield Need(name="accounts", text=text, actions=("audit", "salvage"))


def _full(statistics: Statistics, shipper: ShipperStatus) -> Iterator[Need]:
    if shipper.full:
        cure = "something is shipped" if statistics.unsent else "space is freed on its disk"
        text = f"The journal is full: nothing more is recorded until {cure}."
        actions: tuple[Action, ...] = ("ship",) if statistics.unsent else ()
        yield Need(name="full", text=text, actions=actions, hint="Free space on its disk.")


def _paused(statistics: Statistics, shipper: ShipperStatus, now: float) -> Iterator[Need]:
    paused: dict[str, LaneStatus] = {}
    for lane in shipper.lanes:
        if statistics.unsent and lane.outcome is AttemptOutcome.PAUSED:
            paused.setdefault(lane.cause, lane)
    for cause, lane in paused.items():
        long = now - lane.since if lane.since is not None else 0.0
        since = f" for {age(long)}" if long >= 1 else ""
        token: tuple[Action, ...] = ("token",) if wants_token(cause) else ()
        # Behind twenty rejections in a row with the same words, entries wait that may be good.
        retry: tuple[Action, ...] = ("retry",) if statistics.waiting else ()
        yield Need(
            name="paused",
            text=f"Shipping is paused{since}: {printable(cause)}.",
            actions=(*token, "ship", *retry),
            words=f"state={State.WAITING}" if statistics.waiting else None,
        )


def _held(statistics: Statistics, shipper: ShipperStatus) -> Iterator[Need]:
    if shipper.held:
        behind = f" {statistics.waiting:,} wait behind." if statistics.waiting else ""
        text = f"{count(shipper.held, 'profile')} held: {_may_have(statistics)}.{behind}"
        settle: tuple[Action, ...] = ("settle",) if shipper.held_counted else ()
        actions: tuple[Action, ...] = (*settle, "look", "retry", "discard")
        yield Need(name="held", text=text, actions=actions, words=f"state={State.IN_DOUBT}")


def _may_have(statistics: Statistics) -> str:
    return f"{count(statistics.in_doubt, 'entry', 'entries')} may have been applied"


def _unanswered(shipper: ShipperStatus, now: float) -> Iterator[Need]:
    found = shipper.unanswered
    if found is None:
        return
    left = found.retry_at - now
    tries = count(found.tries, "try", "tries")
    when = f" Next try in {age(left)}." if left >= 1 else ""
    if found.profiles == 1:
        text, words = f"1 profile is never answered ({tries}).{when}", f"seq={found.first}"
    else:
        text = f"{found.profiles:,} profiles are never answered (up to {tries}).{when}"
        words = f"state={State.IN_DOUBT}"
    yield Need(name="unanswered", text=text, actions=("look", "discard"), words=words)


def _rejected(statistics: Statistics, failures: Sequence[FailureGroup]) -> Iterator[Need]:
    if not statistics.rejected:
        return
    groups: Counter[str] = Counter()
    for group in failures:
        if group.state is State.REJECTED:
            groups[group.words] += group.entries
    rejected = f"{statistics.rejected:,} rejected" if groups else ""
    if len(groups) > 1:
        (most, number), *_ = groups.most_common(1)
        text = f'{rejected} in {len(groups):,} groups: "{_quoted(most)}" {number:,}, …'
    elif groups:
        text = f'{rejected}: "{_quoted(next(iter(groups)))}"'
    else:
        are = "is" if statistics.rejected == 1 else "are"
        text = f"{count(statistics.rejected, 'entry', 'entries')} {are} rejected."
    yield Need(
        name="rejected",
        text=text,
        actions=("look", "retry", "edit", "discard"),
        words=f"state={State.REJECTED}",
        groups=len(groups),
    )


def _quoted(words: str) -> str:
    return printable(words if len(words) <= _MOST_QUOTED else words[: _MOST_QUOTED - 1] + "…")


def _in_doubt(statistics: Statistics, shipper: ShipperStatus, now: float) -> Iterator[Need]:
    """Yield what is in doubt for another reason than those above: it is settled, or held, once somebody ships."""
    if not statistics.in_doubt or shipper.held or shipper.unanswered:
        return
    left = (shipper.settling_until or now) - now
    when = f" in {age(left)}" if left >= 1 else ""
    match shipper.in_doubt == "hold", shipper.running:
        case True, True:
            next_ = f"What may count twice is held for you{when}."
        case True, False:
            next_ = "The next shipper holds what may count twice."
        case False, True:
            next_ = f"It is settled{when} by itself."
        case _:
            next_ = "The next shipper settles it."
    text = f"{_may_have(statistics)}: no answer came. {next_}"
    actions: tuple[Action, ...] = ("look",) if shipper.running else ("ship", "look")
    yield Need(name="in doubt", text=text, actions=actions, words=f"state={State.IN_DOUBT}")


def _late(statistics: Statistics, max_age: float | None) -> Iterator[Need]:
    oldest = statistics.oldest_pending_seconds or 0.0
    if max_age is not None and oldest > max_age:
        text = f"The oldest unsent entry has waited {age(oldest)}, longer than {age(max_age)}."
        yield Need(name="late", text=text, actions=("ship",))
