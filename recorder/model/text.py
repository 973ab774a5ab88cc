"""Spans of time, counts, and user data that can never style a terminal, as text. Pure."""

import re
from collections.abc import Callable

__all__ = ["age", "count", "joins", "printable"]

_NOT_ASCII = re.compile(r"[^ -~]")  # or printable
_NON_JOINER, _JOINER = _JOINERS = "\u200c\u200d"
_VIRAMA = 9  # canonical combining class
_AS_EMOJI = "\ufe0f"
_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_MINUTE = 60
_ALONE = 24  # hours or days from which the next unit tells little


def age(seconds: float, *, short: bool = False) -> str:
    """Return a span of time in its largest unit, and in the next one where that tells much.

    Args:
        seconds: The span.
        short: In the largest unit alone, without a blank, for a narrow column.

    >>> age(12), age(1_740), age(11_520), age(90_000), age(90_000, short=True)
    ('12 s', '29 m', '3 h 12 m', '1 d 1 h', '1d')
    """
    for place, (length, unit) in enumerate(_UNITS):
        if seconds >= length:
            whole, rest = divmod(int(seconds), length)
            next_length, next_unit = _UNITS[min(place + 1, len(_UNITS) - 1)]
            more = rest // next_length if length > _MINUTE and whole < _ALONE else 0
            if short:
                return f"{whole}{unit}"
            return f"{whole} {unit}" + (f" {more} {next_unit}" if more else "")
    return "0s" if short else "0 s"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    >>> count(1, "entry", "entries"), count(12_000, "entry", "entries")
    ('1 entry', '12,000 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str, spell: Callable[[str], str] = lambda letter: ascii(letter)[1:-1]) -> str:
    r"""Return text that is safe on a terminal: controls and marks of direction are spelled out.

    Joiners stay where they make letters or emoji what they are; elsewhere, two texts that look alike would differ.

    Args:
        text: The text.
        spell: Spells a letter out.

    >>> printable("a\x1b[31mb"), printable("a\u200db")
    ('a\\x1b[31mb', 'a\\u200db')
    >>> printable("\u06cc\u200c\u0646") == "\u06cc\u200c\u0646"
    True
    """

    def shown(match: re.Match[str]) -> str:
        letter = match[0]
        return letter if letter.isprintable() or joins(text, match.start()) else spell(letter)

    return text if text.isprintable() else _NOT_ASCII.sub(shown, text)


def joins(text: str, place: int) -> bool:
    """Return True for a joiner that belongs where it is: RFC 5892, appendices A.1 and A.2, and UTS #51 for emoji."""
    if text[place] not in _JOINERS or not 0 < place < len(text) - 1:
        return False
    import unicodedata  # noqa: PLC0415  # programs that only record need none of its megabyte

    before, after = text[place - 1], text[place + 1]
    if unicodedata.combining(before) == _VIRAMA:
        return after.isalpha()
    if text[place] == _NON_JOINER:
        return unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL"
    emoji = unicodedata.category(before) == "So" or before == _AS_EMOJI or before in _TONES
    return emoji and unicodedata.category(after) == "So"
