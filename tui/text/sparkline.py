"""Numbers over time as a line of bars. Pure."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

__all__ = ["merged", "sparkline"]

_BARS = "▁▂▃▅▆▇█"  # without ▄, which other parts of a screen are drawn with


def sparkline(values: Sequence[float], most: float | None = None) -> str:
    """Return a bar for each number; only zero has the lowest.

    Args:
        values: The numbers, none below zero.
        most: What the highest bar stands for; by default the largest number.

    >>> sparkline([0, 1, 50, 100])
    '▁▂▅█'
    """
    top = max(most or 0.0, *values, 0.0) or 1.0
    steps = len(_BARS) - 1
    return "".join(_BARS[-int(-value * steps // top)] for value in values)


def merged(values: Sequence[float], number: int, by: Callable[[Iterable[float]], float] = sum) -> list[float]:
    """Return so many numbers, each of several neighbours.

    >>> merged([1, 2, 3, 4, 5], 2), merged([1, 2, 3, 4], 2, max)
    ([3, 12], [2, 4])
    """
    number = min(number, len(values))
    ends = [place * len(values) // number for place in range(number + 1)]
    return [by(values[first:last]) for first, last in pairwise(ends)]
