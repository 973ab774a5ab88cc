"""The recording of the first minute in README.md: `make recording` plays it in tmux, and writes an animated SVG.

Commands run in a shell of 120 by 36 cells, on the journal of draw.py and by its clock; `restante demo` alone tells
times of this run. Each screen is kept as the rows that differ from the one before, which a browser shows in turn.
"""

import os
import shlex
import sys
import tempfile
import time
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from pathlib import Path

from draw import HERE, NOW, SIZE, make
from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

from tests.tui.browser.drive import Terminal

FILE = HERE / "first-minute.svg"
CELL, LINE, BAR, EDGE = 8.4, 18, 28, 8  # pixels: a cell, a row, the bar with what is typed, the edge
FRONT, BACK = "#e0e0e0", "#121212"
PROGRAM = f"""import time
begun = time.monotonic()
time.time = lambda: {NOW} + time.monotonic() - begun
import sys
sys.argv[0] = "restante"
from tui.cli import main
main()"""
# What is typed, what shows when it has acted, and for how many seconds a person looks at it.
STEPS = (
    ("restante demo", "Next: write", 8),
    ("restante status", "adds up", 7),
    ("restante tui --write", "? help", 6),
    ("Enter", "SEQ", 6),
    ("0", "[0 Home]", 2),
    ("R", "Retry 36 entries", 9),
    ("H", "18 in doubt", 7),
    ("q", "$ ", 2),
)


@dataclass
class Frame:
    """A screen: what was typed, its rows, and its seconds."""

    typed: str
    rows: list[Text]
    seconds: int


def play(folder: Path) -> list[Frame]:
    """Go through all steps."""
    make(folder / "kiosks.db")
    script = folder / "restante"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(PROGRAM)} "$@"\n')
    script.chmod(0o755)
    frames = []
    with Terminal(folder, SIZE) as terminal:
        variables = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(HERE.parents[1]),
            "COLORTERM": "truecolor",
            "RESTANTE_JOURNAL": "kiosks.db",
            "TMPDIR": folder,
            "PS1": "$ ",
        }
        terminal.run(
            "env", "-C", folder, *(f"{name}={value}" for name, value in variables.items()), "bash", "--norc"
        )
        terminal.wait("$")
        for typed, shown, seconds in STEPS:
            if typed.startswith("restante"):
                terminal.press("C-l", *typed.replace(" ", " Space ").split(), "Enter")
            else:
                terminal.press(typed)
            frames.append(Frame(typed, still(terminal, shown), seconds))
    return frames


def still(terminal: Terminal, words: str) -> list[Text]:
    """Return the screen once it shows some words and has not changed for half a second."""
    before, after = [], terminal.wait(words)
    while before != after:
        time.sleep(0.5)
        before, after = after, terminal.screen()
    return list(AnsiDecoder().decode("\n".join(terminal.screen("-e", "-N"))))


def rows_as_svg(rows: list[Text], before: list[Text]) -> str:
    """Draw the rows that differ."""
    console = Console(width=SIZE[0], color_system="truecolor", legacy_windows=False)
    parts = []
    for place, row in enumerate(rows):
        if place < len(before) and row == before[place]:
            continue
        top = BAR + place * LINE
        parts.append(f'<rect x="0" y="{top}" width="{width(SIZE[0])}" height="{LINE}" fill="{BACK}"/>')
        column = 0
        for segment in row.render(console):
            cells = cell_len(segment.text)
            parts.append(run_as_svg(segment.text, segment.style or Style(), column, cells, top))
            column += cells
    return "".join(parts)


def run_as_svg(text: str, style: Style, column: int, cells: int, top: int) -> str:
    """Draw some cells of one style."""
    text = text.rstrip("\n")
    front, back = (hexadecimal(style.color) or FRONT), hexadecimal(style.bgcolor)
    if style.reverse:
        front, back = back or BACK, front
    x, length = width(column), f"{cells * CELL:.1f}"
    drawn = (
        f'<rect x="{x}" y="{top}" width="{length}" height="{LINE}" fill="{back}"/>' if back and cells else ""
    )
    if text.strip():
        looks = (
            f' fill="{front}"' * (front != FRONT)
            + ' class="b"' * bool(style.bold)
            + ' opacity=".6"' * bool(style.dim)
        )
        drawn += (
            f'<text x="{x}" y="{top + 13}" textLength="{length}"{looks}>{escape(text, quote=False)}</text>'
        )
    return drawn


def hexadecimal(color: Color | None) -> str | None:
    """Return a colour for SVG; None for the terminal's own."""
    return None if color is None or color.is_default else color.get_truecolor(SVG_EXPORT_THEME).hex


def width(columns: int) -> str:
    """Return the place of a column, in pixels."""
    return f"{EDGE + columns * CELL:.1f}"


def animation(frames: list[Frame]) -> str:
    """Return an SVG that shows one frame after another, for ever; the last one where motion is not wanted."""
    begins = [0, *accumulate(frame.seconds for frame in frames)]
    total = begins.pop()
    shown = [
        f"@keyframes f{place}{{0%{{visibility:hidden}}{100 * begin / total:.2f}%,100%{{visibility:visible}}}}"
        f"#f{place}{{animation:f{place} {total}s step-end infinite}}"
        for place, begin in enumerate(begins)
        if place
    ]
    groups = []
    before: list[Text] = []
    for place, frame in enumerate(frames):
        bar = f'<rect width="100%" height="{BAR}" fill="#333"/><text x="{EDGE}" y="19" class="b">{frame.typed}</text>'
        groups.append(f'<g id="f{place}">{bar}{rows_as_svg(frame.rows, before)}</g>')
        before = frame.rows
    size = f"{EDGE * 2 + SIZE[0] * CELL:.0f} {BAR + SIZE[1] * LINE + EDGE}"
    look = "text{font:14px 'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}.b{font-weight:bold}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}"><title>The first minute with restante</title>'
        f"<style>{look}@media (prefers-reduced-motion:no-preference){{{''.join(shown)}}}</style>"
        f'<g fill="{FRONT}"><rect width="100%" height="100%" fill="{BACK}"/>{"".join(groups)}</g></svg>\n'
    )


def main() -> None:
    """Record the first minute."""
    with tempfile.TemporaryDirectory() as folder:
        FILE.write_text(animation(play(Path(folder))), encoding="utf-8")
    print(f"{FILE}: {FILE.stat().st_size:,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
