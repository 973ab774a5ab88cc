"""Figures, each next to a baseline of the same run.

Every pair runs several times in turn, A B A B …, so that a machine whose speed drifts slows both. What counts
is the ratio of each pair; medians and spread are printed.

    python -m benchmarks [--rounds N] [--only WORD] [--write]
"""

import argparse
import os
import platform
import re
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from benchmarks import browser, recording, shipping, simulating, starting, writing
from benchmarks.pairs import Pair, lines, measured

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
NL = "\n"
_ABOVE = 5  # lines, before the first that is measured
_INDENT = "    "
BEGIN, END = "<!-- made by `make bench` -->", "<!-- until here -->"


def pairs() -> Iterator[Pair]:
    """Return all pairs, by topic."""
    return chain(
        recording.pairs(),
        shipping.pairs(),
        simulating.pairs(),
        starting.pairs(),
        starting.memory(),
        writing.pairs(),
    )


def named(line: str) -> tuple[str, str]:
    """Return what a line of the page measures, and its baseline: some are measured against several."""
    text = line.removeprefix(_INDENT).removesuffix("MISSED").rstrip()
    return text[:36].rstrip(), re.split(r" {3,}", text)[-1]


def merged(there: list[str], measured_now: list[str]) -> list[str]:
    """Return a page's table with the lines of some pairs measured again, and without those of pairs that are gone."""
    known = {named(line): line for line in [*there, *measured_now]}
    end = there.index("", _ABOVE)
    current = (known.get((pair.what[:36].rstrip(), pair.baseline)) for pair in pairs())
    return [*there[:_ABOVE], *filter(None, current), *there[end:]]


def report(rounds: int, only: str) -> Iterator[str]:
    """The page's tables, a line at a time."""
    names = (
        "textual",
        "requests",
        "sqlite-utils",
        "persist-queue",
        "huey",
        "litequeue",
        "diskcache",
        "mixpanel",
    )
    cores = len(os.sched_getaffinity(0))
    yield (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.system()}"
        f" {platform.release().split('-')[0]} {platform.machine()}, {cores} cores"
    )
    yield ", ".join(f"{name} {version(name)}" for name in names)
    yield f"{rounds} pairs each, in turn; medians; of speeds the ratio is baseline / ours: 1 is as fast"
    yield ""
    chosen = (pair for pair in pairs() if only in f"{pair.what} {pair.baseline}")
    yield from lines(measured(pair, rounds) for pair in chosen)
    if only in "browser":
        yield ""
        yield from browser.report(rounds, browser.ENTRIES, browser.TABLE_ROWS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each pair runs (default 5)")
    parser.add_argument("--only", default="", help="pairs whose line has this in it")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    given = parser.parse_args()
    printed = []
    for line in report(given.rounds, given.only):
        print(line, flush=True)
        printed.append(line)
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        table = [f"{_INDENT}{line}".rstrip() for line in printed]
        if given.only:  # in the place of the lines that are there
            there = page.split(BEGIN)[1].split(END)[0].strip("\n").split("\n")
            table = merged(there, table[_ABOVE:])
        PAGE.write_text(f"{before}{BEGIN}\n\n{NL.join(table)}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
