"""Spans of time, counts, and user data that can never style a terminal, as text. Pure."""

__all__ = ["age", "count", "printable"]

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


def printable(text: str) -> str:
    r"""Return text that is safe on a terminal: controls and marks of direction are spelled out.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
