"""The browser without a terminal: screens as text, a fixed clock, journals with everything in them.

Golden screens are files: ``golden/NAME.WxH.txt``. After a change that is meant, look at what it makes of them:

    RESTANTE_REWRITE_GOLDEN=1 .venv/bin/pytest tests/tui/browser && git diff tests/tui/browser/golden
"""

import os
import time
from pathlib import Path

import pytest

from tui.widgets.entry_detail import EntryDetail

GOLDEN = Path(__file__).with_name("golden")
REWRITE = "RESTANTE_REWRITE_GOLDEN"
SIZES = ((120, 36), (80, 24), (60, 20), (38, 9))
NOW = 1_790_000_000.0
"""The time of every golden screen."""


def screen_text(app):
    """What the screen shows, a string a line, without trailing blanks."""
    strips = app.screen._compositor.render_strips()
    return [strip.text.rstrip() for strip in strips]


def quiet(app):
    """Whether nothing is under way: no worker, and no detail that is still looked up."""
    if any(not worker.is_finished for worker in app.workers):
        return False
    return all(detail.complete for detail in app.query(EntryDetail) if detail.display and detail.is_on_screen)


async def settled(pilot, condition=lambda: True, seconds=30.0):
    """Let workers and messages run until nothing is under way and a condition holds."""
    deadline = time.monotonic() + seconds
    while True:
        await pilot.pause()
        if quiet(pilot.app) and condition():
            await pilot.pause()
            if quiet(pilot.app) and condition():
                return
        assert time.monotonic() < deadline, "in vain waited for the screen to settle"


@pytest.fixture
def golden():
    """Hold a screen against its file, or rewrite it."""

    def hold(app, name):
        lines = screen_text(app)
        width, height = app.size
        file = GOLDEN / f"{name}.{width}x{height}.txt"
        text = "\n".join(lines) + "\n"
        if os.environ.get(REWRITE):
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"there is no {file.name}; {REWRITE}=1 makes it, to be looked at"
        assert text.splitlines() == file.read_text(encoding="utf-8").splitlines()

    return hold
