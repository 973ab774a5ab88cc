"""The plots of docs/performance.md, in colours and on a ground that light and dark pages share."""

from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.writing import ROW_ITSELF

__all__ = ["axes", "draw_peers", "save"]

_PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
_INK = "#7a828c"  # readable on white and on black
_OURS, _THEIRS = "#2f81f7", "#a3abb5"


def axes(columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """Return a figure, and its axes side by side."""
    import matplotlib as mpl

    mpl.use("svg")
    ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color")
    mpl.rcParams.update(dict.fromkeys(ink, _INK))
    mpl.rcParams.update({"svg.hashsalt": "restante", "legend.framealpha": 0.0, "font.size": 9})
    from matplotlib import pyplot as plt

    figure, found = plt.subplots(1, columns, figsize=size, layout="constrained")
    return figure, found


def save(figure: Any, name: str) -> None:
    """Write a figure into docs/pictures, the same bytes for the same figures."""
    figure.savefig(_PICTURES / name, transparent=True, bbox_inches="tight", metadata={"Date": None})


_PANELS = (
    ("people_set, power", "recording, µs an entry", "linear"),
    ("bytes written, a commit each, power", "bytes to the disk an entry", "linear"),
    ("draining 20,000 over 50 ms", "draining over 50 ms, µs an entry (log)", "log"),
)


def draw_peers(lines: Iterable[tuple[str, str, float, float]]) -> None:
    """Draw what an entry costs, next to other queues and to the official SDK.

    Args:
        lines: Of the page's table: what, baseline, ours and theirs.
    """
    found = list(lines)
    figure, places = axes(len(_PANELS), (11, 2.2))
    for place, (what, title, scale) in zip(places, _PANELS, strict=True):
        _, baselines, ours, theirs = zip(
            *(line for line in found if line[0] == what and line[1] != ROW_ITSELF), strict=True
        )
        names = ["restante", *(baseline.partition(" (")[0] for baseline in baselines)]
        colours = [_OURS] + [_THEIRS] * len(theirs)
        bars = place.barh(names, [median(ours), *theirs], color=colours, height=0.6)
        place.bar_label(bars, fmt="{:,.0f}", padding=3)
        place.set(title=title, xscale=scale)
        place.xaxis.set_visible(False)  # each bar has its figure
        place.invert_yaxis()
        place.margins(x=0.25)
        place.spines[["top", "right", "bottom"]].set_visible(False)
    save(figure, "peers.svg")
