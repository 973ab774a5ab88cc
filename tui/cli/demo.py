"""`restante demo`: record, ship and compare, with made-up input and a service of its own."""

import random
import shlex
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click

from recorder import HttpTransport, Journal, JournalReader, PeopleApi, Recorder, Shipper
from recorder.reading.sentence import shipping_of
from simulator import Simulator
from tui.cli.options import as_json, journal_hint, narrate
from tui.cli.ship import format_report, ship_with_progress
from tui.text.format import count

__all__ = ["demo_command", "kiosk_day"]

_KIOSKS = ("harbour", "museum", "station")
_VISITS = 250  # a kiosk's, in one day
_MENU = (("coffee", 2.5), ("bun", 1.8), ("ticket", 12.0), ("map", 3.0))
_EIGHT_O_CLOCK = 28_800
_OPEN_SECONDS = 12 * 3600


def kiosk_day(kiosk: str, visits: int = _VISITS) -> Iterator[tuple[str, str, str, float, int]]:
    """A day of one kiosk: visitor, time of day, item, price and loyalty points, the same on every run."""
    chance = random.Random(kiosk)  # noqa: S311  # a story, no secret
    moments = sorted(chance.randrange(_OPEN_SECONDS) + _EIGHT_O_CLOCK for _ in range(visits))
    for moment in moments:
        item, price = chance.choice(_MENU)
        clock = f"{moment // 3600:02}:{moment // 60 % 60:02}"
        yield f"visitor-{chance.randrange(120):03}", clock, item, price, chance.randrange(1, 4)


def _serve_visit(people: PeopleApi, kiosk: str, visit: tuple[str, str, str, float, int]) -> None:
    visitor, clock, item, price, points = visit
    with people.batch() as batch:
        batch.people_set_once(visitor, {"first_kiosk": kiosk})
        batch.people_set(visitor, {"last_seen": f"{kiosk} {clock}"})
        batch.people_increment(visitor, {"visits": 1, "points": points})
        batch.people_union(visitor, {"kiosks": [kiosk]})
        batch.people_track_charge(visitor, price, {"item": item})


@click.command("demo")
def demo_command() -> None:
    """Record a day of three kiosks without a network, and ship it when the network is back.

    Takes a few seconds, with made-up input and a service of its own. Leaves a journal for you to look at.

    \b
    Example:
      restante demo
    """
    from simulator.service import Service  # needs werkzeug, and help does not

    path = Path(tempfile.mkdtemp(prefix="restante-demo-")) / "kiosks.db"
    port = _free_port()
    url = f"http://127.0.0.1:{port}"

    _title("1. Three kiosks record for a day, without a network")
    _record_day(path, url)
    _show(path)

    _title("2. The network is back")
    with Service(port) as service:
        narrate(f"a local service is running at {url}")
        with Journal(path) as journal:
            report = ship_with_progress(Shipper(journal, HttpTransport(url=url)))
        narrate(format_report(path, report))

        _title("3. The service's profiles, compared with the prediction")
        received, predicted = service.profiles(), Simulator.from_journal(path).profiles
    differ = [
        id_ for id_ in predicted.keys() | received.keys() if dict(predicted.get(id_, {})) != received.get(id_)
    ]
    if differ:
        raise click.ClickException(f"{count(len(differ), 'profile')} differ, {min(differ)} first")
    revenue = sum(profile.revenue for profile in predicted.values())
    visits = sum(profile["visits"] for profile in predicted.values())
    narrate(f"{count(len(predicted), 'profile')}, {visits:,} visits, {revenue:,.2f} of revenue: all agree.")
    _farewell(path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _title(text: str) -> None:
    click.secho(f"\n{text}", err=True, bold=True)


def _record_day(path: Path, url: str) -> None:
    begun = time.perf_counter()
    with Recorder("DEMO", path, url=url) as recorder:

        def work(kiosk: str) -> None:
            for visit in kiosk_day(kiosk):
                _serve_visit(recorder, kiosk, visit)

        threads = [threading.Thread(target=work, args=(kiosk,)) for kiosk in _KIOSKS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - begun
        recorded = recorder.statistics().recorded
        narrate(
            f"recorded {count(recorded, 'operation')} in {took:.1f} s, each visit safe on disk before the next"
        )
        narrate(format_report(path, recorder.flush()))


def _show(path: Path) -> None:
    with JournalReader(path) as reader:
        shipping = shipping_of(reader.counts(), reader.shipping(), now=time.time())
    narrate(f"status:    {shipping.sentence}")
    visitor = "visitor-007"
    profile = dict(Simulator.from_journal(path).profile(visitor))
    profile["$transactions"] = f"{len(profile['$transactions'])} charges"
    narrate(f"predicted: {visitor} {as_json(profile)}")


def _command() -> str:
    """Return how to call this command again: by name if the shell finds it, else by its path."""
    started = Path(sys.argv[0])
    by_name = shutil.which("restante") is not None or started.name != "restante"
    return "restante" if by_name else shlex.quote(str(started))


def _farewell(path: Path) -> None:
    _title("The journal is kept, so that you can look around")
    command = _command()
    narrate(f"  {command} status   {journal_hint(path)}")
    narrate(f"  {command} entries  {journal_hint(path)} visitor-007 --limit 10")
    narrate(f"  {command} profiles {journal_hint(path)} visitor-007 --json")
    narrate(f"  rm -r {shlex.quote(str(path.parent))}    when you have seen enough")
    narrate("Next: write a first program, with the ten lines in README.md.")
