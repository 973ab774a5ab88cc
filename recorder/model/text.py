"""Spans of time, counts, and user data that can never style a terminal, as text. Pure."""

__all__ = ["age", "count", "printable"]

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def age(seconds: float) -> str:
    """Return a span of time in its largest unit.

    >>> age(12), age(240), age(90_000)
    ('12 s', '4 m', '1 d')
    """
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "0 s"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    >>> count(1, "entry", "entries"), count(12_000, "entry", "entries")
    ('1 entry', '12,000 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    r"""Return text that is safe on a terminal: controls and marks of direction are spelled out.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
