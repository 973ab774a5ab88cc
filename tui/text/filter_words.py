"""Words of a filter: what each takes, what completes one that is begun, and what is wrong with one. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile

from recorder import InvalidFilter
from recorder.model.filters import VALUES, where
from tui.text.format import printable
from tui.text.rows import words_of

__all__ = ["FILTER_WORDS", "Completion", "agreed", "begun", "begun_id", "completions", "quoted", "refusal"]

FILTER_WORDS = [
    ("state=", "unsent, pending, rejected ...; several with commas, as in state=waiting,in_doubt"),
    ("op=", "add, set, union ..., or a method's name: increment, charge"),
    ("profile=", "the id of a user or group, exactly"),
    ("group=", "a group key, such as company"),
    ("lane=", "people, groups, events, imports"),
    ("value=", "a part of a property's value, such as coffee"),
    ("error=", "a part of the reason; error== takes it exactly"),
    ("status=", "the HTTP status of the answer, such as 400, or none"),
    ("seq=", "numbers: 812, or 3,7..9"),
    ("since=", "recorded in the last 90s, 5m, 2h, 7d, or since 2026-01-31T12:00"),
    ("until=", "recorded before that"),
    ("!=", "in place of = negates, as in state!=shipped"),
    ("coffee", "a word alone: a part of an id, a group key, a property, a value or an error"),
]
"""Words and their meaning, for the help. All words of a filter must hold."""

_KEYS = [key for key, _ in FILTER_WORDS if key.endswith("=") and key != "!="]


@dataclass(frozen=True, slots=True)
class Completion:
    """A word that completes one that is begun.

    Attributes:
        word: The word, as it would be typed.
        shown: What tells it from others, with its number of entries if that is known.
    """

    word: str
    shown: str


def begun(text: str) -> tuple[str, str]:
    """Split a text into what stands before the word that is being typed, and that word.

    >>> begun("state=rejected prof"), begun("op=add profile='Ada L"), begun("op=add ")
    (('state=rejected ', 'prof'), ('op=add ', "profile='Ada L"), ('op=add ', ''))
    """
    quote, start = "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter.isspace():
            start = place + 1
    return text[:start], text[start:]


def begun_id(word: str) -> str | None:
    """Return the beginning of an id that a word names; None for other words.

    >>> begun_id("profile='Ada L"), begun_id("profile!=a"), begun_id("op=a")
    ('Ada L', 'a', None)
    """
    key, equals, value = word.partition("=")
    return value.strip("'") if equals and key.removesuffix("!") == "profile" else None


def completions(
    word: str, *, counts: Mapping[str, int] | None = None, profiles: Iterable[tuple[str, int]] = ()
) -> list[Completion]:
    """Return what a word of a filter may become.

    Args:
        word: It, as far as it is typed.
        counts: Entries by state, `unsent` among them, where they are known; states without any come last.
        profiles: Ids that complete `begun_id` of the word, and their numbers of entries.

    >>> [found.word for found in completions("st")], [found.shown for found in completions("lane=")]
    (['state=', 'status='], ['people', 'groups', 'events', 'imports'])
    >>> [found.word for found in completions("state!=rejected,pe", counts={"pending": 1_204})]
    ['state!=rejected,pending']
    """
    key, equals, value = word.partition("=")
    if not equals:
        return [Completion(each, each) for each in _KEYS if each.startswith(word)]
    if begun_id(word) is not None:
        named = ((who, number) for who, number in profiles if who == printable(who) and "'" not in who)
        return [Completion(quoted(f"{key}={who}"), f"{who} {number:,}") for who, number in named]
    before, comma, last = value.rpartition(",")
    taken = before.split(",")
    number = counts if counts is not None and key.removesuffix("!") == "state" else {}
    names = [
        name for name in VALUES.get(key.removesuffix("!"), ()) if name.startswith(last) and name not in taken
    ]
    return [
        Completion(f"{key}={before}{comma}{name}", f"{name} {number[name]:,}" if name in number else name)
        for name in sorted(names, key=lambda name: number.get(name) == 0)
    ]


def agreed(words: Iterable[str]) -> str:
    """Return the longest beginning that all words have.

    >>> agreed(["state=", "status="]), agreed(["op=add"]), agreed([])
    ('stat', 'op=add', '')
    """
    same = takewhile(lambda letters: len({*letters}) == 1, zip(*words, strict=False))
    return "".join(letters[0] for letters in same)


def quoted(word: str) -> str:
    """Return a word as a person would type it.

    >>> quoted("profile=Ada Lovelace"), quoted("op=add")
    ("profile='Ada Lovelace'", 'op=add')
    """
    if words_of(word) == [word] or "'" in word:
        return word
    key, equals, value = word.partition("=")
    return f"{key}='{value}'" if equals and words_of(key) == [key] else f"'{word}'"


def refusal(text: str) -> str:
    """Return why a text is no filter, safe to print, or nothing.

    >>> refusal("colour=red").split(";")[0], refusal("op=add")
    ("'colour' is not a filter key", '')
    """
    try:
        where(words_of(text), now=0.0)
    except InvalidFilter as error:
        return printable(str(error))
    return ""
