"""Home: what needs a person, what goes on by itself, the flow of a day, the accounts. Pure.

The browser's first view, and `restante status` on a terminal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from recorder.model.attention import Action, Need, command_of, needs
from recorder.model.entries import AttemptOutcome
from recorder.model.reports import FailureGroup, Flow
from recorder.reading.sentence import standing_of
from tui.text.accounts import accounts_lines, lane_lines
from tui.text.cells import folded
from tui.text.facts import Facts
from tui.text.format import age, printable
from tui.text.sparkline import merged, sparkline
from tui.text.states import MUTED

__all__ = [
    "Home",
    "Line",
    "beginning",
    "by_itself",
    "flow_lines",
    "head_line",
    "home_lines",
    "look_of",
    "means",
    "standing_line",
    "standing_style",
]

Line = list[tuple[str, str]]
"""Parts of a line, each with a style of the theme."""

_URGENT = frozenset({"accounts", "full", "paused", "rejected"})
_GOES_ON = frozenset({AttemptOutcome.OFFLINE, AttemptOutcome.WAIT, AttemptOutcome.UNKNOWN})
_FLOWS = ("recorded", "shipped")
_LEAST_BARS = 8  # cells of a sparkline
_GAP = "   "
_BAR = "$text-primary"
_MINUTES = 5  # see Flow.lately


_BEGINNING = """Nothing is recorded yet. Three lines of Python that record something:

from recorder import Recorder
recorder = Recorder("PROJECT", "{name}")
recorder.people_set("ada", {{"plan": "pro"}})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The state of a journal, for its first picture.

    Attributes:
        facts: The accounts, and the state of shipping.
        failures: Entries that failed, grouped by what was said.
        flow: Recording and shipping in the last day.
        max_age: The age in seconds that an unsent entry may have.
    """

    facts: Facts
    failures: tuple[FailureGroup, ...]
    flow: Flow
    max_age: float | None = None

    @property
    def needs(self) -> list[Need]:
        """Matters that need a person, the most urgent first."""
        facts = self.facts
        return needs(
            facts.statistics, facts.shipper, now=facts.now, failures=self.failures, max_age=self.max_age
        )


def means(need: Need, keys: Mapping[Action, str]) -> str:
    """Return the keys and commands that act on a need.

    Args:
        need: The need.
        keys: The browser's keys by action, empty for one that cannot be done here. Of other actions, the command is
            named.

    >>> need = Need(name="paused", text="", actions=("token", "ship"))
    >>> means(need, {"ship": "s"}), means(need, {"ship": ""}), means(need, {})
    ('`restante token TOKEN`, s: ship', '`restante token TOKEN`', '`restante token TOKEN`, `restante ship`')
    """
    parts = []
    for action in need.actions:
        if action not in keys:
            command = command_of(need, action)
            parts += [f"`{command}`"] if command else []
        elif keys[action]:
            parts.append(f"{keys[action]}: {action}")
    return ", ".join(parts) or need.hint


def look_of(need: Need) -> str:
    """Return the style of a need's number: a colour of the theme."""
    return "bold $text-error" if need.name in _URGENT else "bold $text-warning"


def standing_style(facts: Facts) -> str:
    """Return the style of the words for the state of shipping."""
    match facts.shipping.state:
        case "paused" | "full":
            return "bold $text-error"
        case "offline" | "waiting":
            return "bold $text-warning"
    return "bold $text-success" if facts.shipper.running else "bold"


def head_line(name: str, home: Home) -> Line:
    """Return the journal's name, how many things need a person, and how shipping stands."""
    number = len(home.needs)
    things = f"{number} THINGS NEED" if number > 1 else "1 THING NEEDS"
    matters = (
        (f"! {things} YOU", look_of(home.needs[0])) if number else ("✓ nothing needs you", "$text-success")
    )
    return [(f" {printable(name)}   ", "bold"), matters, ("   ", ""), *standing_line(home.facts)]


def standing_line(facts: Facts) -> Line:
    """Return how shipping stands: since when, and when it is tried next."""
    shipping = facts.shipping
    line = [(standing_of(shipping, facts.statistics, facts.shipper), standing_style(facts))]
    if shipping.since is not None and facts.now - shipping.since >= 1:
        line.append((f" for {age(facts.now - shipping.since)}", ""))
    if facts.shipper.running and shipping.retry_at is not None:
        left = shipping.retry_at - facts.now
        line.append((f"   next try {f'in {age(left)}' if left >= 1 else 'now'}", MUTED))
    return line


def beginning(name: str) -> str:
    """Return what to do about a journal of this name that is empty."""
    return _BEGINNING.format(name=printable(name))


def by_itself(name: str, home: Home, ship: str) -> Iterator[str]:
    """Yield what goes on without a person.

    Args:
        name: The journal's.
        home: The state of the journal.
        ship: The means to ship now: a key or a command; empty where there is none.
    """
    facts = home.facts
    shipper, counts = facts.shipper, facts.statistics
    if not counts.recorded:
        yield beginning(name)
    if counts.unsent:
        goes_on = ". Nothing to do, it goes on by itself." if shipper.running else "."
        yield from (f"{line}{goes_on}" for line in lane_lines(facts, _GOES_ON))
    settling = (shipper.settling_until or 0.0) - facts.now
    if settling >= 1 and (shipper.held or shipper.unanswered):
        yield f"The other entries in doubt are settled in {age(settling)}."
    if counts.unsent and not shipper.running:
        yield f"No shipper is running: an app ships while it runs{f', or {ship}' if ship else ''}."


def flow_lines(home: Home, width: int) -> list[Line]:
    """Return backlog and throughput of the last day, with sparklines: in one line, or two where that is too narrow."""
    flow, unsent = home.flow, home.facts.statistics.unsent
    backlog = flow.backlog(unsent)
    before, after = f" unsent {unsent:,} ", f" {flow.seconds / 3600:.0f} h, most {max(backlog):,}"
    recorded, shipped = (
        f"{what} {_rate(number)}/min " for what, number in zip(_FLOWS, flow.lately, strict=True)
    )
    texts = len(before) + len(after) + len(recorded) + len(shipped) + 2 * len(_GAP)
    bars = (width - 1 - texts) // 3
    if bars >= _LEAST_BARS:
        first = second = min(bars, len(backlog))
    else:
        first = min(max(width - 1 - len(before) - len(after), 1), len(backlog))
        second = min(max((width - 2 - len(recorded) - len(shipped) - len(_GAP)) // 2, 1), len(backlog))
    rows = [merged(row, second) for row in (flow.recorded, flow.shipped)]
    most = max(map(max, rows))  # for both, so that they can be compared
    line: Line = [(before, "bold"), (sparkline(merged(backlog, first, max)), _BAR), (after, MUTED)]
    rates: Line = [
        *((recorded, "bold"), (sparkline(rows[0], most), _BAR), (_GAP, "")),
        *((shipped, "bold"), (sparkline(rows[1], most), _BAR)),
    ]
    return [[*line, (_GAP, ""), *rates]] if bars >= _LEAST_BARS else [line, [(" ", ""), *rates]]


def _rate(number: int) -> str:
    """Return a number of the last five minutes by the minute."""
    rate = number / _MINUTES
    return f"{rate:,.1f}" if 0 < rate < 10 else f"{rate:,.0f}"  # noqa: PLR2004


def home_lines(name: str, home: Home, width: int) -> Iterator[Line]:
    """Yield the picture for a terminal that takes commands, and no keys."""
    yield head_line(name, home)
    for place, need in enumerate(home.needs, 1):
        first, *others = folded(need.text, max(width - 4, 20))
        yield [(f" {place}  ", look_of(need)), (first, "")]
        for line in others + folded(means(need, {}), max(width - 4, 20)):
            yield [(f"    {line}", "")]
    for text in by_itself(name, home, "run `restante ship`"):
        yield from _hanging(" -  ", text, width)
    yield from flow_lines(home, width)
    facts = home.facts
    for text in accounts_lines(facts.statistics, facts.shipper, facts.now):
        yield from _hanging(" ", text, width)


def _hanging(sign: str, text: str, width: int) -> Iterator[Line]:
    for place, line in enumerate(folded(text, max(width - len(sign), 20))):
        yield [(sign if place == 0 else " " * len(sign), ""), (line, MUTED)]
