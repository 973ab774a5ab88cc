"""The pictures of the browser in README.md: `make pictures` draws them anew, to be looked at before they go in.

A kiosk's journal is recorded, and shipped to the local service under a schedule of faults; then the browser is
drawn on it, each view once, without a terminal.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from recorder import HttpTransport, Journal, Recorder, Shipper, ShippingPolicy
from simulator.service.faults import read_schedule
from simulator.service.server import Service
from tui.browser.app import Browser
from tui.browser.gateway import Gateway
from tui.browser.widgets.entry_table import EntryTable

HERE = Path(__file__).parent
SIZE = (120, 30)
FAULTS = b'[{"at": 4, "fault": "ack_lost"}]'
PEOPLE = ("ada@ex.org", "u-1042", "grace@ex.org", "visitor-007", "mary@ex.org")
# What is pressed before a picture, by its name.
PICTURES = {
    "journal": ("journal", ("e", "e")),
    "profiles": ("profiles", ("enter",)),
    "shipping": ("shipping", ()),
}


def record(recorder: Recorder, first: int, last: int) -> None:
    """A morning at the kiosk."""
    for n in range(first, last):
        who = PEOPLE[n % 5]
        recorder.people_set(who, {"plan": ("free", "pro")[n % 2], "kiosk": "harbour"})
        recorder.people_increment(who, {"visits": 1, "credits": n % 9})
        recorder.people_union(who, {"tags": [f"t{n % 4}"]})
        if n % 6 == 0:
            recorder.people_track_charge(who, 2.5 + n % 3, {"item": "coffee"})


def make(path: Path) -> None:
    """Most of it shipped, something rejected, something in doubt and what waits behind it, the rest pending."""
    with (
        Service(faults=read_schedule(FAULTS)) as service,
        Recorder("PROJECT", path, on_invalid="reject") as recorder,
    ):
        transport = HttpTransport(url=service.url)
        policy = ShippingPolicy(in_doubt="hold", batch_updates=40)
        record(recorder, 0, 40)
        recorder.people_increment("u-1042", {"credits": "five"})  # type: ignore[dict-item]  # it is set aside
        with Journal(path) as journal:
            Shipper(journal, transport, policy).ship()
            record(recorder, 40, 46)
        transport.close()


async def draw(path: Path) -> None:
    """One picture a view."""
    for name, (view, keys) in PICTURES.items():
        with Gateway(path) as gateway:
            app = Browser(gateway, live=False, first=view)
            async with app.run_test(size=SIZE) as pilot:
                for key in (None, *keys):
                    if key is not None:
                        await pilot.press(key)
                    await pilot.pause()
                    while not (app.settled and app.query_one(EntryTable).loaded):
                        await pilot.pause(0.02)
                    await pilot.pause()
                (HERE / f"{name}.svg").write_text(app.export_screenshot(), encoding="utf-8")
        print(HERE / f"{name}.svg", file=sys.stderr)


def main() -> None:
    """Draw them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kiosk.db"
        make(path)
        asyncio.run(draw(path))


if __name__ == "__main__":
    main()
