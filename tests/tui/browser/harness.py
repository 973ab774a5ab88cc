"""The browser without a terminal: screens as text, a fixed clock, journals with everything in them.

Golden screens are files: ``golden/NAME.WxH.txt``. After a change that is meant, look at what it makes of them:

    RESTANTE_REWRITE_GOLDEN=1 .venv/bin/pytest tests/tui/browser && git diff tests/tui/browser/golden
"""

import asyncio
import json
import sqlite3
import time
from contextlib import asynccontextmanager, closing
from pathlib import Path

from recorder import Journal
from recorder.model.entries import NewEntry
from tui.browser.app import Browser
from tui.browser.gateway import Gateway
from tui.browser.widgets.entry_detail import EntryDetail

GOLDEN = Path(__file__).with_name("golden")
REWRITE = "RESTANTE_REWRITE_GOLDEN"
EntryDetail.REST = 0.01  # no hand is on the keys
NOW = 1_790_000_000.0
"""The time of every golden screen."""
WHOSE = {"$distinct_id", "$group_key", "$group_id", "$time", "$token"}


def screen_text(app):
    """What the screen shows, a string a line, without trailing blanks."""
    strips = app.screen._compositor.render_strips()
    return [strip.text.rstrip() for strip in strips]


def text_of(pilot):
    """The screen as one text."""
    return "\n".join(screen_text(pilot.app))


async def settled(pilot, condition=lambda: True, seconds=30.0):
    """Let workers and messages run until nothing is under way and a condition holds."""
    deadline = time.monotonic() + seconds
    quiet = False
    while not quiet:
        if _idle(pilot.app) and condition():
            pilot.app.screen._on_timer_update()  # what would come with the next frame
            await asyncio.sleep(0)
            quiet = _idle(pilot.app) and condition()
        else:
            await asyncio.sleep(0.001)
        assert time.monotonic() < deadline, "in vain waited for the screen to settle"


def _idle(app):
    pumps = [app, *app.screen.walk_children(with_self=True)]
    return all(map(_rests, pumps)) and app.settled


def _rests(pump):
    """Return True if a widget is up and waits for a message, so that none is handled, or never will be again."""
    ready = pump._message_queue.ready_event
    return pump._closing or pump._closed or (ready._waiters and not ready.is_set())


@asynccontextmanager
async def browsing(
    stage, size=(80, 24), *, ascii_only=False, words=(), live=False, toasts=True, first="journal", **options
):
    """A browser on a stage's journal, settled, with its pilot."""
    with stage.gateway(**options) as gateway:
        app = Browser(gateway, live=live, ascii_only=ascii_only, words=words, first=first)
        app.NOTIFICATION_TIMEOUT = 3_600  # what is said stays, however slow the machine
        async with app.run_test(size=size, notifications=toasts) as pilot:
            await settled(pilot)
            yield pilot


async def press(pilot, *keys):
    """One key after another, each settled before the next."""
    for key in keys:
        pilot.app.simulate_key(key)
        await settled(pilot)


async def resize(pilot, width, height):
    """Another size of the terminal, drawn."""
    await pilot.resize_terminal(width, height)
    await settled(pilot, lambda: pilot.app.screen.size == (width, height))


async def type_fast(pilot, *keys):
    """Keys at once, settled after the last."""
    for key in keys:
        pilot.app.simulate_key(key)
    await settled(pilot)


async def type_in(pilot, text):
    """Text into a prompt, and enter."""
    await type_fast(pilot, *text, "enter")


def storable(text):
    """Half of a pair of surrogates is JSON, and can stand in a message; in a column it cannot."""
    return text if text is None else text.encode("utf-8", "replace").decode()


class Stage:
    """A journal of a kiosk's day, as it stands at `NOW`, and browsers on it."""

    def __init__(self, path):
        self.path = path

    def record(self, *messages, ago=60.0, step=1.0, **columns):
        """Entries as recording would leave them, the last one so many seconds old."""
        rows = []
        for place, message in enumerate(messages):
            group = message.get("$group_key")
            operator = next((name for name in message if name not in WHOSE), None)
            rows.append(
                NewEntry(
                    "people" if group is None else "groups",
                    storable(group),
                    storable(message.get("$distinct_id") if group is None else message["$group_id"]),
                    storable(operator),
                    json.dumps(message),
                    NOW - ago - step * (len(messages) - 1 - place),
                )._replace(**columns)
            )
        with Journal(self.path, token="T") as journal:
            return journal.append(rows)

    def change(self, sql, *parameters):
        """What a shipper would write, by hand."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def become(self, state, *numbers, **columns):
        """Entries in another state, and the accounts with them."""
        for number in numbers:
            sets = "".join(f", {name} = ?" for name in columns)
            self.change(f"UPDATE entries SET state = ?{sets} WHERE seq = ?", state, *columns.values(), number)
            self.change("UPDATE counters SET entries = entries + 1 WHERE account = ?", state)

    def attempt(self, first, last, outcome, words="", status=None, *, ago):
        self.change(
            "INSERT INTO attempts (lane, epoch, first, last, updates, bytes, digest, started_at, ended_at, outcome,"
            " status, words, times) VALUES ('people', 1, ?, ?, ?, 2000, 'd', ?, ?, ?, ?, ?, 1)",
            first, last, last - first + 1, NOW - ago, NOW - ago + 1, outcome, status, words,
        )  # fmt: skip
        return self.change("SELECT max(id) FROM attempts")[0][0]

    def gateway(self, **options):
        return Gateway(self.path, clock=lambda: NOW, **options)
