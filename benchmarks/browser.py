"""The journal view on a million entries next to ten, and to Textual's own `DataTable` on the same rows.

Each measurement is a process of its own, so that what one holds in memory is not in another's. Usage:
``python -m benchmarks.browser [--rounds N] [--entries N] [--table-rows N]``.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.journals import make
from benchmarks.pairs import resident

if TYPE_CHECKING:
    from textual.widget import Widget

ENTRIES = 1_000_000
FEW = 10
TABLE_ROWS = 1_000_000
PAGES = 20
SIZE = (120, 36)


async def until(done: Callable[[], bool]) -> None:
    """Look every millisecond. A tighter loop would keep the interpreter's lock from the threads that read."""
    while not done():  # noqa: ASYNC110 - what a widget shows has no event
        await asyncio.sleep(0.001)


async def drawn(widget: "Widget") -> None:
    """Until what the widget shows now is on the screen."""
    done = asyncio.Event()
    widget.call_after_refresh(done.set)
    await done.wait()


async def measure_browser(path: Path, begun: float) -> dict[str, float]:
    from tui.browser.app import Browser
    from tui.browser.gateway import Gateway
    from tui.browser.widgets.entry_table import EntryTable

    with Gateway(path) as gateway:
        app = Browser(gateway)
        async with app.run_test(size=SIZE):
            table = app.query_one(EntryTable)
            await until(lambda: bool(table.loaded and table.window.rows))
            await drawn(table)
            painted = time.perf_counter() - begun
            times = []
            for page in range(PAGES):
                # Ten entries are one page: down and up in turn, so that the cursor moves each time there, too.
                key = "ctrl+u" if page % 2 and len(table.window.rows) <= FEW else "ctrl+d"
                before, started = table.cursor, time.perf_counter()
                app.simulate_key(key)
                await until(lambda before=before: table.cursor != before and not table.under_way)
                await drawn(table)
                times.append(time.perf_counter() - started)
                await until(lambda: app.settled)
            return {"paint": painted, "page": statistics.median(times), "memory": resident() / 1e6}


async def measure_table(path: Path, begun: float) -> dict[str, float]:
    from textual.app import App, ComposeResult
    from textual.widgets import DataTable

    from recorder import JournalReader
    from tui.text.rows import row_of

    class Table(App[None]):
        def compose(self) -> ComposeResult:
            yield DataTable(cursor_type="row")

        def on_mount(self) -> None:
            table = self.query_one(DataTable)
            table.add_columns("SEQ", "AGE", "PROFILE", "OP", "SUMMARY", "STATE")
            with JournalReader(path) as reader:
                for entry in reader.stream():
                    row = row_of(entry)
                    table.add_row(
                        str(row.seq),
                        str(row.recorded_at),
                        row.owner,
                        row.operator,
                        row.summary,
                        row.state.value,
                    )

    app = Table()
    async with app.run_test(size=SIZE):
        table = app.query_one(DataTable)
        await drawn(table)
        painted = time.perf_counter() - begun
        times = []
        for _ in range(PAGES):
            before, started = table.cursor_row, time.perf_counter()
            app.simulate_key("pagedown")
            await until(lambda before=before: table.cursor_row != before)
            await drawn(table)
            times.append(time.perf_counter() - started)
        return {"paint": painted, "page": statistics.median(times), "memory": resident() / 1e6}


def in_process(what: str, path: Path) -> dict[str, float]:
    """One measurement in a process of its own; the start of the interpreter is not in it."""
    command = [sys.executable, "-m", "benchmarks.browser", "--measure", what, str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    return json.loads(done.stdout.splitlines()[-1])


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def report(rounds: int, entries: int, table_rows: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as folder:
        few, many, table = (Path(folder) / f"{name}.db" for name in ("few", "many", "table"))
        for path, number in ((few, FEW), (many, entries), (table, table_rows)):
            make(path, number, "shipped")
        runs: dict[str, list[dict[str, float]]] = {"few": [], "many": []}
        for _ in range(rounds):
            runs["few"].append(in_process("browser", few))
            runs["many"].append(in_process("browser", many))
        less, more = medians(runs["few"]), medians(runs["many"])
        other = in_process("table", table)
        yield f"{'the journal view':34} {'first paint':>12} {'a page down':>12} {'resident':>10}"
        for name, figures in (
            (f"{FEW:,} entries", less),
            (f"{entries:,} entries", more),
            (f"DataTable, {table_rows:,} of these rows", other),
        ):
            yield (
                f"{name:34} {figures['paint']:10.2f} s {figures['page'] * 1e3:9.1f} ms {figures['memory']:7.0f} MB"
            )
        yield (
            f"{'more than with few (to reach)':34} {more['paint'] - less['paint']:+6.2f} (0.5) s"
            f" {more['page'] / less['page']:5.2f} (1.3) x {more['memory'] - less['memory']:+5.0f} (30) MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.browser", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each runs, in turn (default 5)")
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument(
        "--table-rows", type=int, default=TABLE_ROWS, help="rows for DataTable, which takes longer"
    )
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "JOURNAL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure = {"browser": measure_browser, "table": measure_table}[given.measure[0]]
        print(json.dumps(asyncio.run(measure(Path(given.measure[1]), time.perf_counter()))))
        return
    for line in report(given.rounds, given.entries, given.table_rows):
        print(line, flush=True)


if __name__ == "__main__":
    main()
