"""The pictures of the browser in README.md and in docs/: `make pictures` draws them anew, the same at each run.

The day of `restante demo`'s kiosks is recorded and shipped by a clock of its own, to a service that has enough of
one visitor and loses an answer, until the network is gone. Then the browser is drawn on it, without a terminal:
each view that it has, and a question.
"""

import asyncio
import json
import sys
import tempfile
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from recorder import Journal, Lane, Recorder, Shipper, ShippingPolicy
from recorder.shipping.verdicts import Answer
from tests.doubles import ACCEPTED, RESET, UNREACHABLE, URL, Boot
from tui.browser.app import Browser
from tui.browser.gateway import Gateway
from tui.browser.views.view import View
from tui.cli.demo import kiosk_day

HERE = Path(__file__).parent
WIDTH = 120
HEIGHTS = {"home": 14, "shipping": 24}  # as much as there is to see
MIDNIGHT = datetime(2026, 6, 19, tzinfo=UTC).timestamp()
NOW = MIDNIGHT + 20 * 3_600 + 61
ONLINE_UNTIL, LOST_AT = 18.5 * 3_600, 17.5 * 3_600
FULL = Answer(left=True, url=URL, status=400, body=b'{"status": 0, "error": "$append: the profile is full"}')
POLICY = ShippingPolicy(in_doubt="hold", settle_after=0, batch_updates=60)
# What is pressed on a view before its picture, by the view's name; the others are drawn as they open.
PRESSED = {"journal": "e", "profiles": "j enter"}
QUESTION = ("journal", "state=in_doubt op=add", "m j m j m R")


class Day:
    """The network and the service of the day, as a transport."""

    def __init__(self) -> None:
        self.clock = 0.0
        self._lost = False

    def now(self) -> float:
        return MIDNIGHT + self.clock

    def send(self, _: Lane, body: bytes, **__: object) -> Answer:
        if self.clock > ONLINE_UNTIL:
            return UNREACHABLE
        if any(one["$distinct_id"] == "visitor-042" and "$append" in one for one in json.loads(body)):
            return FULL
        if self.clock > LOST_AT and not self._lost:
            self._lost = True
            return RESET
        return ACCEPTED

    def reach(self, _: Lane) -> str | None:
        return UNREACHABLE.error if self.clock > ONLINE_UNTIL else None

    def close(self) -> None:
        """Nothing is open."""


def make(path: Path) -> None:
    """Record a day, visit by visit, and ship every half hour."""
    day = Day()
    visits = sorted(
        (clock, kiosk, who, item, price, points)
        for kiosk in ("harbour", "museum", "station")
        for who, clock, item, price, points in kiosk_day(kiosk, 70)
    )
    with Recorder("KIOSKS", path, clock=day.now) as recorder, Journal(path) as journal:
        shipper = Shipper(journal, day, POLICY, clock=day.now, uptime=Boot(), chance=lambda: 0.5)
        shipped = count(8 * 2 + 1)
        due = next(shipped) * 1_800
        for clock, kiosk, who, item, price, points in visits:
            hours, minutes = map(int, clock.split(":"))
            day.clock = hours * 3_600 + minutes * 60.0
            while due <= day.clock:
                shipper.ship()
                due = next(shipped) * 1_800
            with recorder.batch() as batch:
                batch.people_set(who, {"last_seen": f"{kiosk} {clock}"})
                batch.people_increment(who, {"visits": 1, "points": points})
                batch.people_union(who, {"kiosks": [kiosk]})
                batch.people_track_charge(who, price, {"item": item})
        day.clock = NOW - MIDNIGHT - 41
        shipper.ship()


async def draw(path: Path, name: str, view: str, words: str, keys: str) -> list[str]:
    """Draw one picture, and return the names of all views."""
    with Gateway(path, write=True, clock=lambda: NOW) as gateway:
        app = Browser(gateway, live=False, first=view, words=words.split())
        async with app.run_test(size=(WIDTH, HEIGHTS.get(name, 36))) as pilot:
            for key in (None, *keys.split()):
                if key is not None:
                    await pilot.press(key)
                await pilot.pause()
                while not app.settled:
                    await pilot.pause(0.02)
                await pilot.pause()
            (HERE / f"{name}.svg").write_text(app.export_screenshot(), encoding="utf-8")
            print(HERE / f"{name}.svg", file=sys.stderr)
            return [one.where for one in app.query(View)]


async def draw_all(path: Path) -> None:
    """Draw each view, and a question."""
    for view in await draw(path, "question", *QUESTION):
        await draw(path, view, view, "", PRESSED.get(view, ""))


def main() -> None:
    """Draw all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kiosks.db"
        make(path)
        asyncio.run(draw_all(path))


if __name__ == "__main__":
    main()
