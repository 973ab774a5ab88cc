"""The journal view on a million entries next to ten, and to Textual's own `DataTable` on the same rows.

Each measurement is a process of its own, so that what one holds in memory is not in another's.
"""

import asyncio
import functools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.journals import kept
from benchmarks.pairs import Measure, Pair, in_process, resident

if TYPE_CHECKING:
    from textual.widget import Widget

    from tui.browser.app import Browser

__all__ = ["pairs"]

clock = time.perf_counter

ENTRIES = 1_000_000
FEW = 10
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


class Driver:
    """Keys into a browser, and the time until what they lead to is on the screen."""

    def __init__(self, app: "Browser") -> None:
        self._app = app

    async def move(self, key: str) -> float:
        """Return the time from a key until the cursor is drawn elsewhere; the entry's effect comes later."""
        started = clock()
        self._app.simulate_key(key)
        await until(lambda: self._handled() and self._app.view.ready)
        await drawn(self._app.view)
        return clock() - started

    async def press(self, *keys: str) -> float:
        """Return the time from the first key until all is read and drawn."""
        started = clock()
        for key in keys:
            self._app.simulate_key(key)
            await until(self._handled)
        for _ in range(2):  # what is drawn may ask for more
            await until(lambda: self._app.settled)
            await drawn(self._app.view)
        return clock() - started

    def _handled(self) -> bool:
        app = self._app
        return app._message_queue.empty() and not app._keys  # noqa: SLF001

    async def typed(self, key: str, text: str) -> float:
        """Return the time from enter behind a text in a prompt."""
        await self.press(key, *text)
        return await self.press("enter")


async def measure_browser(path: Path, begun: float) -> dict[str, float]:
    from tui.browser.app import Browser
    from tui.browser.gateway import Gateway
    from tui.browser.widgets.entry_table import EntryTable
    from tui.browser.widgets.profile_pane import ProfilePane

    with Gateway(path) as gateway:
        app = Browser(gateway, first="journal")
        async with app.run_test(size=SIZE):
            driver, table = Driver(app), app.query_one(EntryTable)
            await until(lambda: bool(table.loaded and table.window.rows))
            await drawn(table)
            found = {"paint": clock() - begun}
            await until(lambda: app.settled)
            # Ten entries are one page: down and up in turn, so that the cursor moves each time there, too.
            for figure, keys in (("row", ("j", "k")), ("page", ("ctrl+d", "ctrl+u"))):
                times = [await driver.move(keys[press % 2]) for press in range(PAGES)]
                found[figure] = statistics.median(times)
            found["memory"] = resident()
            found["home"] = await driver.press("0")
            await driver.press("1")
            found["filter"] = await driver.typed("slash", "op=add")
            found["search"] = await driver.typed("slash", " value=nowhere")
            await driver.press("escape")
            began = clock()
            app.simulate_key("p")
            pane = app.query_one(ProfilePane)  # ids of other profiles are collected for seconds more
            await until(lambda: pane.properties.shown is not None)
            await drawn(app.view)
            return {**found, "profile": clock() - began}


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
        return {"paint": painted, "page": statistics.median(times), "memory": resident()}


def shown(what: str, entries: int, figure: str) -> Measure:
    """A figure of one run, in a process of its own; the start of the interpreter is not in it."""
    return lambda _: float(in_process(_MEASURE, what, kept(entries, shipped=True))[figure])


@functools.cache
def table(entries: int) -> dict[str, float]:
    """All figures of Textual's table, which takes minutes."""
    found: dict[str, float] = in_process(_MEASURE, "table", kept(entries, shipped=True))
    return found


_MEASURE = """
import asyncio, json, pathlib, sys, time
from benchmarks import browser
measure = {"browser": browser.measure_browser, "table": browser.measure_table}[sys.argv[1]]
print(json.dumps(asyncio.run(measure(pathlib.Path(sys.argv[2]), time.perf_counter()))))
"""


def pairs() -> Iterator[Pair]:
    """All of them."""
    seconds, milliseconds, megabytes = (1.0, "s"), (1e3, "ms"), (1e-6, "MB")
    for figure, what, by, to_reach, unit in (
        ("paint", "first paint", "more", 0.5, seconds),
        ("row", "a row down", "times", 1.3, milliseconds),
        ("page", "a page down", "times", 1.3, milliseconds),
        ("home", "home", "times", 1.3, milliseconds),
        ("filter", "a filter", "times", 1.3, milliseconds),
        ("search", "a search", "more", None, seconds),
        ("profile", "a profile", "more", None, seconds),
        ("memory", "memory", "more", 30, megabytes),
    ):
        few, many = (shown("browser", entries, figure) for entries in (FEW, ENTRIES))
        name = f"journal view of {ENTRIES:,}, {what}"
        yield Pair(name, f"{FEW} entries", many, few, to_reach, by=by, unit=unit)
        if figure in {"paint", "page", "memory"}:
            theirs = lambda _, figure=figure: table(ENTRIES)[figure]  # noqa: E731
            kind = "times" if figure == "memory" else "speed"
            yield Pair(
                name, "Textual's DataTable of them", many, theirs, None, kind, unit, once=True, full=True
            )
