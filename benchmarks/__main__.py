"""Figures, each next to a baseline of the same run.

Every pair runs several times in turn, A B A B …, so that a machine whose speed drifts slows both. What counts
is the ratio of each pair; medians and spread are printed.

    python -m benchmarks [--rounds N] [--only WORD] [--full] [--write]
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

from benchmarks import browser, plots, recording, shipping, simulating, starting, writing
from benchmarks.pairs import HEAD, WIDTH, Pair, Result, line, measured

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
FULL = "with --full"
BEGIN, END = "<!-- made by `make bench` -->", "<!-- until here -->"
_INDENT = "    "
_PEERS = (
    "textual",
    "requests",
    "sqlite-utils",
    "persist-queue",
    "huey",
    "litequeue",
    "diskcache",
    "mixpanel",
)

Key = tuple[str, str]


def pairs() -> Iterator[Pair]:
    """Return all pairs, by topic."""
    return chain(
        recording.pairs(),
        shipping.pairs(),
        simulating.pairs(),
        starting.pairs(),
        starting.memory(),
        browser.pairs(),
        writing.pairs(),
    )


def head(rounds: int) -> Iterator[str]:
    """Return the lines above the table: what it was measured on, and with."""
    cores = len(os.sched_getaffinity(0))
    yield (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.system()}"
        f" {platform.release().split('-')[0]} {platform.machine()}, {cores} cores"
    )
    yield ", ".join(f"{name} {version(name)}" for name in _PEERS)
    yield f"{rounds} pairs each, in turn; medians; of speeds the ratio is baseline / ours: 1 is as fast"
    yield ""
    yield HEAD


def named(text: str) -> Key:
    """Return what a line of the page measures, and its baseline: some are measured against several."""
    return text[:WIDTH].rstrip(), re.split(r" {3,}", text.removesuffix("  MISSED"))[-1]


def table(above: list[str], before: list[str], now: list[str]) -> list[str]:
    """Return the page's table: the lines of all pairs there are, as they were measured last."""
    known = {named(text): text for text in [*before, *now]}
    found = [(pair.full, known.get((pair.what, pair.baseline))) for pair in pairs()]
    usual, full = ([text for is_full, text in found if text and is_full is kind] for kind in (False, True))
    return [*above, *usual, "", FULL, *full]


def figures(text: str) -> tuple[str, str, float, float]:
    """Return a line of the table as what it measures, its baseline, and both figures."""
    ours, theirs = (float(figure.replace(",", "")) for figure in text[WIDTH:].split()[:2])
    return *named(text), ours, theirs


def write(above: list[str], now: list[str], *, all_measured: bool) -> None:
    """Put the lines into the page, among those that were not measured, and draw them all."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    there, after = rest.split(END)
    lines = [text.removeprefix(_INDENT) for text in there.strip("\n").split("\n")]
    lines = table(above if all_measured else lines[: len(above)], lines, now)
    text = "\n".join(f"{_INDENT}{text}".rstrip() for text in lines)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    plots.draw_peers(figures(text) for text in lines[len(above) :] if text not in {"", FULL})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each pair runs (default 5)")
    parser.add_argument("--only", default="", help="pairs whose line has this in it")
    parser.add_argument("--full", action="store_true", help="also those that take minutes each")
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/performance.md, and draw its plot"
    )
    given = parser.parse_args()
    above, results = list(head(given.rounds)), list[Result]()
    print(*above, sep="\n", flush=True)
    for pair in pairs():
        if given.only in f"{pair.what} {pair.baseline}" and (given.full or not pair.full):
            results.append(measured(pair, given.rounds))
            print(line(results[-1]), flush=True)
    if given.write:
        write(above, [line(result) for result in results], all_measured=not given.only)


if __name__ == "__main__":
    main()
