"""Progress bars: on a terminal, and nowhere else."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

__all__ = ["progress_bar", "tracked"]

_SHOW_EVERY = 1_000

_Item = TypeVar("_Item")


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int | None], None] | None]:
    """Yield a function to call with the steps done and their total; None if standard error is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (title, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def tracked(items: Iterable[_Item], title: str, total: int | None = None) -> Iterator[_Item]:
    """Yield the items while a progress bar counts them."""
    with progress_bar(title) as show:
        for number, item in enumerate(items):
            if show is not None and number % _SHOW_EVERY == 0:
                show(number, total)
            yield item
