"""Two things timed in turn, A B A B …, so that a machine whose speed drifts slows both; the ratio is what counts."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "HEAD",
    "WIDTH",
    "Measure",
    "Pair",
    "Result",
    "in_process",
    "line",
    "measured",
    "resident",
    "seconds",
]

WIDTH = 38  # of what is measured, in the table
Measure = Callable[[Path], float]


@dataclass(frozen=True, slots=True)
class Pair:
    """A measurement, its baseline, and the ratio to reach.

    Attributes:
        what: Ours.
        baseline: Theirs.
        ours: Called with a folder of its own; gives seconds (or bytes) an operation.
        theirs: The same of the baseline; called right after.
        to_reach: The ratio to reach; None: it is only reported.
        by: How the two are compared. ``"speed"``: baseline / ours, at least; 1 is as fast. ``"times"``: ours /
            baseline, at most. ``"more"``: ours - baseline in the unit shown, at most.
        unit: The factor that figures are shown with, and its name.
        once: It takes minutes, and a line's clock or thousands of repetitions decide it: one round is enough.
        full: It is measured with ``--full`` only.
    """

    what: str
    baseline: str
    ours: Measure
    theirs: Measure
    to_reach: float | None
    by: Literal["speed", "times", "more"] = "speed"
    unit: tuple[float, str] = (1e6, "µs")
    once: bool = False
    full: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of a pair's rounds."""

    pair: Pair
    ours: float
    theirs: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios)

    @property
    def reached(self) -> bool | None:
        """True if the ratio is reached; None if none is set."""
        if self.pair.to_reach is None:
            return None
        return (
            self.ratio >= self.pair.to_reach if self.pair.by == "speed" else self.ratio <= self.pair.to_reach
        )


def compared(pair: Pair, our: float, their: float) -> float:
    """How one round's figures compare."""
    match pair.by:
        case "speed":
            return their / our
        case "times":
            return our / their
        case "more":
            return (our - their) * pair.unit[0]


def measured(pair: Pair, rounds: int) -> Result:
    """Run a pair so many times in turn."""
    ours, theirs = [], []
    for _ in range(1 if pair.once else rounds):
        for measure, figures in ((pair.ours, ours), (pair.theirs, theirs)):
            with tempfile.TemporaryDirectory(prefix="restante-bench-") as own:
                figures.append(measure(Path(own)))
    ratios = sorted(compared(pair, our, their) for our, their in zip(ours, theirs, strict=True))
    return Result(pair, statistics.median(ours), statistics.median(theirs), tuple(ratios))


HEAD = f"| {'what':{WIDTH}} | {'baseline':{WIDTH}} | ours | baseline's | ratio | goal |\n|---|---|---:|---:|---|---|"
_KINDS = {
    "speed": "{:.2f}\N{MULTIPLICATION SIGN} speed",
    "times": "{:.2f}\N{MULTIPLICATION SIGN} cost",
    "more": "{:+.2f} {unit}",
}


def line(result: Result) -> str:
    """Return a row of the table, in Markdown."""
    pair = result.pair
    factor, unit = pair.unit
    ratio = _KINDS[pair.by].format(result.ratio, unit=unit)
    spread = "once" if pair.once else f"{result.ratios[0]:.2f} to {result.ratios[-1]:.2f}"
    goal = "" if pair.to_reach is None else f"{'≥' if pair.by == 'speed' else '≤'} {pair.to_reach:g}"
    missed = ", missed" if result.reached is False else ""
    return (
        f"| {pair.what:{WIDTH}} | {pair.baseline:{WIDTH}} | {result.ours * factor:,.1f} {unit}"
        f" | {result.theirs * factor:,.1f} {unit} | {ratio} ({spread}) | {goal}{missed} |"
    )


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, by the wall's clock."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def resident() -> float:
    """Bytes this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def in_process(program: str, *arguments: Any, env: Mapping[str, str] | None = None) -> Any:
    """Return the last line that a program of its own prints, read as JSON."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    )
    return json.loads(done.stdout.splitlines()[-1])
