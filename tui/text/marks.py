"""Marked entries, as runs of numbers: a million of them take no more than their gaps. Pure."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import islice

from recorder.model.filters import MOST_RANGES

__all__ = ["Marks", "Run", "numbered"]

Run = tuple[int, int]
"""The first and the last of consecutive numbers."""


class Marks:
    """A set of numbers. It never changes: each operation gives another one.

    Args:
        runs: Runs in the order of their first numbers; they may touch and overlap.

    >>> marks = Marks([(3, 4), (5, 5), (9, 9)])
    >>> len(marks), list(marks.runs()), 4 in marks, 6 in marks
    (4, [(3, 5), (9, 9)], True, False)
    >>> list(marks.toggled(4).runs()), marks.common([(1, 3), (9, 20)])
    ([(3, 3), (5, 5), (9, 9)], 2)
    """

    __slots__ = ("_firsts", "_lasts", "_number")

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._firsts, self._lasts = array("q"), array("q")
        for first, last in runs:
            if self._lasts and first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(last, self._lasts[-1])
            else:
                self._firsts.append(first)
                self._lasts.append(last)
        self._number = sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def __len__(self) -> int:
        return self._number

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]

    def runs(self) -> Iterator[Run]:
        """Yield the runs, ascending."""
        return zip(self._firsts, self._lasts, strict=True)

    def with_runs(self, runs: Iterable[Run]) -> "Marks":
        """Return these marks and others."""
        return Marks(merge(self.runs(), runs))

    def toggled(self, number: int) -> "Marks":
        """Return these marks with a number more, or without it."""
        if number not in self:
            return self.with_runs([(number, number)])
        return Marks(run for first, last in self.runs() for run in _without(number, first, last))

    def common(self, runs: Iterable[Run]) -> int:
        """Return how many of these numbers are in ascending runs, too."""
        number = 0
        for first, last in runs:
            place = bisect_left(self._lasts, first)
            while place < len(self._firsts) and self._firsts[place] <= last:
                number += min(self._lasts[place], last) - max(self._firsts[place], first) + 1
                place += 1
        return number

    def filters(self) -> Iterator[list[str]]:
        """Yield filters for these numbers; each takes a limited number of ranges."""
        texts = (str(first) if first == last else f"{first}..{last}" for first, last in self.runs())
        while several := list(islice(texts, MOST_RANGES)):
            yield [f"seq={','.join(several)}"]


def _without(number: int, first: int, last: int) -> Iterator[Run]:
    if not first <= number <= last:
        yield first, last
        return
    if first < number:
        yield first, number - 1
    if number < last:
        yield number + 1, last


def numbered(numbers: Iterable[int]) -> list[list[str]]:
    """Return filters for entries by number.

    >>> numbered([3, 7, 4])
    [['seq=3..4,7']]
    """
    return list(Marks((number, number) for number in sorted(numbers)).filters())
