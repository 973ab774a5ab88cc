"""Figures, each next to a baseline of the same run.

Every pair runs several times in turn, A B A B …, so that a machine whose speed drifts slows both. What counts
is the ratio of each pair; medians and spread are printed.

    python -m benchmarks [--rounds N] [--only WORD] [--full] [--write]
"""

import argparse
import os
import platform
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from benchmarks import browser, plots, recording, shipping, simulating, starting, writing
from benchmarks.pairs import HEAD, Pair, line, measured

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- made by `make bench` -->", "<!-- until here -->"
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


TOPICS: Mapping[str, Callable[[], Iterator[Pair]]] = {
    "Recording": recording.pairs,
    "Shipping": shipping.pairs,
    "Simulating": simulating.pairs,
    "Starting": starting.pairs,
    "Memory": starting.memory,
    "The browser": browser.pairs,
    "Bytes written": writing.pairs,
}


def pairs() -> Iterator[Pair]:
    """Return all pairs, by topic."""
    for found in TOPICS.values():
        yield from found()


def head(rounds: int) -> list[str]:
    """Return the lines above the tables: what they were measured on, and with."""
    cores = len(os.sched_getaffinity(0))
    return [
        (
            f"Medians of {rounds} pairs, with Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
            f" {platform.system()} {platform.release().split('-')[0]} {platform.machine()}, {cores} cores;"
        ),
        f"{', '.join(f'{name} {version(name)}' for name in _PEERS)}.",
    ]


def named(row: str) -> Key:
    """Return what a row of the page measures, and its baseline: some are measured against several."""
    _, what, baseline, *_ = row.split("|")
    return what.strip(), baseline.strip()


def rows(lines: list[str]) -> list[str]:
    """Return the rows among a page's lines that hold figures."""
    return [text for text in lines if text.startswith("| ") and text not in HEAD]


def table(above: list[str], before: list[str], now: list[str]) -> list[str]:
    """Return the page's tables: the rows of all pairs there are, as they were measured last."""
    known = {named(text): text for text in [*rows(before), *now]}
    lines = list(above)
    for topic, made in TOPICS.items():
        found = sorted(made(), key=lambda pair: pair.full)
        there = [known[key] for pair in found if (key := (pair.what, pair.baseline)) in known]
        if there:
            lines += ["", f"### {topic}", "", *HEAD.split("\n"), *there]
    return lines


def figures(row: str) -> tuple[str, str, float, float]:
    """Return a row of the table as what it measures, its baseline, and both figures."""
    ours, theirs = (float(cell.split()[0].replace(",", "")) for cell in row.split("|")[3:5])
    return *named(row), ours, theirs


def write(above: list[str], now: list[str], *, all_measured: bool) -> None:
    """Put the lines into the page, among those that were not measured, and draw them all."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    there, after = rest.split(END)
    lines = there.strip("\n").split("\n")
    lines = table(above if all_measured else lines[: len(above)], lines, now)
    text = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    plots.draw_peers(figures(row) for row in rows(lines))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each pair runs (default 5)")
    parser.add_argument("--only", default="", help="pairs whose row contains this text")
    parser.add_argument("--full", action="store_true", help="also those that take minutes each")
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/performance.md, and draw its plot"
    )
    given = parser.parse_args()
    above, found = head(given.rounds), list[str]()
    print(*above, "", HEAD, sep="\n", flush=True)
    for pair in pairs():
        if given.only in f"{pair.what} {pair.baseline}" and (given.full or not pair.full):
            found.append(line(measured(pair, given.rounds)))
            print(found[-1], flush=True)
    if given.write:
        write(above, found, all_measured=not given.only)


if __name__ == "__main__":
    main()
