"""A line that a person types to record an operation, such as ``increment visits 1``, and its effect. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from recorder.model.people import PeopleApi
from simulator import Simulator, describe
from tui.text.format import printable
from tui.text.history import applied_to

__all__ = ["VERBS", "Composed", "composed", "effect_lines"]

_PAIRS = ("set", "set_once", "increment", "append", "union", "remove")
_USES = {verb: f"{verb} NAME VALUE ..." for verb in _PAIRS}
_USES |= {"unset": "unset NAME ...", "charge": "charge AMOUNT, or charge AMOUNT {...}"}
_USES |= {verb: f"{verb} alone" for verb in ("clear_charges", "delete")}
_METHODS = {"charge": "track_charge"}
VERBS = ", ".join(_USES)
"""The words that a line begins with: those of the API."""

_decode = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Composed:
    """An operation on one profile.

    Attributes:
        verb: The word of the API.
        arguments: The arguments of its method, behind the profile.
    """

    verb: str
    arguments: tuple[Any, ...]

    def apply(self, people: PeopleApi, profile: str, group_key: str | None) -> None:
        """Call the method of the API.

        Raises:
            InvalidOperation: The operation could never be accepted; nothing was done.
            ValueError: Groups have no such operation.
        """
        name = _METHODS.get(self.verb, self.verb)
        method = getattr(people, f"{'people' if group_key is None else 'group'}_{name}", None)
        if method is None:
            raise ValueError(f"a group has no {self.verb}")
        method(*([profile] if group_key is None else [group_key, profile]), *self.arguments)


def composed(line: str) -> Composed:
    """Return the operation that a line stands for: a word of the API, names, and values as JSON.

    Raises:
        ValueError: It stands for none; the words say what is expected.

    >>> composed('set plan "pro" seats 3').arguments, composed("charge 24.80").arguments
    (({'plan': 'pro', 'seats': 3},), (24.8,))
    """
    verb, _, rest = line.strip().partition(" ")
    if verb not in _USES:
        raise ValueError(f"begin with one of {VERBS}")
    pairs = verb in _PAIRS
    words = list(_words(rest, [_name, _value] if pairs else [_value] if verb == "charge" else [_name]))
    match verb:
        case "charge":
            fits = len(words) in {1, 2}
        case "clear_charges" | "delete":
            fits = not words
        case _:
            fits = bool(words) and not (pairs and len(words) % 2)
    if not fits:
        raise ValueError(f"write {_USES[verb]}")
    if pairs:
        return Composed(verb, (dict(zip(words[::2], words[1::2], strict=True)),))
    return Composed(verb, (words,) if verb == "unset" else tuple(words))


def _words(text: str, kinds: list[Callable[[str], tuple[Any, str]]]) -> Iterator[Any]:
    """Yield what a text consists of, by functions that take turns; each returns one thing and the rest."""
    for take in cycle(kinds):
        text = text.strip()
        if not text:
            return
        found, text = take(text)
        yield found


def _name(text: str) -> tuple[str, str]:
    """Return the name at the beginning of a text, quoted if there are blanks in it, and the rest."""
    if text.startswith('"'):
        return _value(text)
    name, _, rest = text.partition(" ")
    return name, rest


def _value(text: str) -> tuple[Any, str]:
    """Return the JSON value at the beginning of a text, and the rest."""
    try:
        value, end = _decode(text)
    except (ValueError, RecursionError):
        word = text.split(" ", maxsplit=1)[0]
        raise ValueError(f'{word} is not a JSON value: write text as "{word}"') from None
    return value, text[end:]


def effect_lines(
    operation: Composed, profile: str, group_key: str | None, state: Mapping[str, Any] | None, now: float
) -> list[str]:
    """Return what an operation changes, a line each, safe to print.

    Args:
        operation: The operation.
        profile: The profile's or group's id.
        group_key: A group's key; None for a user's profile.
        state: The profile before it; None for no profile.
        now: Seconds since the epoch, for the time of a charge.

    Raises:
        ValueError: It would be refused when it is recorded.

    >>> effect_lines(composed("increment visits 1"), "ada", None, {"visits": 2}, 0.0)
    ['visits: 2 → 3']
    """
    people = Simulator(clock=lambda: now)
    operation.apply(people, profile, group_key)
    message = people.timeline(profile, group_key=group_key).steps[0].message
    timeline = applied_to(profile, group_key, state, [json.dumps(message)])
    reasons = [
        f"{printable(name)}: {reason}" for outcome in timeline.outcomes(1) for name, reason in outcome.reasons
    ]
    return [*reasons, *describe(timeline.changes(1)).splitlines()] or ["nothing changes"]
