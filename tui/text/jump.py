"""Places and actions that a typed text may mean. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tui.text.format import owner_name, printable

__all__ = ["Jump", "jumps"]


@dataclass(frozen=True, slots=True)
class Jump:
    """One meaning of a text.

    Attributes:
        words: It in words, safe to print.
        entry: The entry to go to.
        profile: Id and group key of the profile to open.
        action: The place of an action among those offered.
    """

    words: str
    entry: int | None = None
    profile: tuple[str, str | None] | None = None
    action: int | None = None


def jumps(text: str, actions: Sequence[tuple[str, str]]) -> list[Jump]:
    """Return what a text may mean, the likeliest first: a number, an action by its name, a profile, other actions.

    Args:
        text: As it was typed.
        actions: Names and sentences of actions.

    >>> actions = [("Ship (s)", "send what can be sent now"), ("Retry (R)", "send again what is marked")]
    >>> [jump.words for jump in jumps("812", actions)]
    ['Go to entry #812', 'Open profile 812']
    >>> [jump.words for jump in jumps("send again", actions)]
    ['Open profile send again', 'Retry (R): send again what is marked']
    """
    text = text.strip()
    number = text.removeprefix("#").replace(",", "")
    found = []
    if number.isascii() and number.isdigit():
        found.append(Jump(f"Go to entry #{int(number[:18]):,}", entry=int(number[:18])))
    named, described = [], []
    for place, (name, sentence) in enumerate(actions):
        jump = Jump(f"{name}: {sentence}", action=place)
        if _matches(text, name):
            named.append(jump)
        elif _matches(text, f"{name} {sentence}"):
            described.append(jump)
    return [*found, *named, *_profiles(text), *described]


def _profiles(text: str) -> Iterator[Jump]:
    if text:
        yield Jump(f"Open profile {printable(text)}", profile=(text, None))
    group, colon, name = text.partition(":")
    if colon and group and name:
        yield Jump(f"Open group {printable(owner_name(name, group))}", profile=(name, group))


def _matches(text: str, words: str) -> bool:
    """Return True if each word that was typed begins one of these."""
    given = words.lower().split()
    return all(any(word.startswith(typed) for word in given) for typed in text.lower().split())
