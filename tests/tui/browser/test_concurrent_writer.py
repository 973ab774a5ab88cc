"""A browser open on a journal that another process writes a thousand times a second."""

import json
import subprocess
import sys

import pytest

from tests.tui.browser.harness import browsing, screen_text
from tui.browser.widgets.entry_table import EntryTable
from tui.browser.widgets.notice import Notice

WRITER = """
import json, sqlite3, sys, time
from recorder import Recorder

path, seconds, rate = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
asked = refused = written = 0
asking = sqlite3.connect(path, isolation_level=None, timeout=5)
begun = time.monotonic()
with Recorder("T", path, durability="process") as recorder:
    while (now := time.monotonic() - begun) < seconds:
        recorder.people_increment(f"p{written % 20}", {"n": 1})
        written += 1
        if written % 500 == 0:
            ((busy, *_),) = asking.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            asked, refused = asked + 1, refused + busy
        time.sleep(max(0.0, written / rate - now))
print(json.dumps({"written": written, "asked": asked, "refused": refused, "seconds": time.monotonic() - begun}))
"""


@pytest.mark.long
async def test_browser_and_writer_run_together(stage):
    stage.record(*({"$distinct_id": f"p{n % 20}", "$add": {"n": 1}} for n in range(500)))
    async with browsing(stage, (120, 36), live=True) as pilot:
        app, table = pilot.app, pilot.app.query_one(EntryTable)
        for _ in range(5):
            await pilot.press("j")
        seq, seen = table.cursor, set()
        writer = subprocess.Popen(  # noqa: ASYNC220  # it is what the browser looks at meanwhile
            [sys.executable, "-c", WRITER, str(stage.path), "4", "1000"], stdout=subprocess.PIPE, text=True
        )
        try:
            while writer.poll() is None:
                await pilot.pause(0.05)
                assert table.cursor == seq
                assert app.query_one("#banner", Notice).text == ""
                seen.add(table.window.rows[0].seq)
        finally:
            writer.kill()
        out, _ = writer.communicate()
        assert writer.returncode == 0
        told = json.loads(out)
        while table.window.rows[0].seq != 500 + told["written"]:  # its last entry comes with the next look
            await pilot.pause(0.05)
        assert table.cursor == seq
        assert not app._notifications, [notification.message for notification in app._notifications]
        assert told["refused"] == 0 < told["asked"], told
        assert len(seen) > 2, "it followed while entries were written"
        assert any(f"{500 + told['written']:,}" in line for line in screen_text(app))
