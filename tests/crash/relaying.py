"""A relay that is killed while it answers an SDK, over and over; a fresh service then tells what became of each call.

    python -m tests.crash.relaying [ROUNDS]     100 rounds take some two minutes

A round is some calls of the official Python SDK and a kill: between the commit and the answer, or at any moment of a
request. The SDK, which got no answer, sends again, as it does over HTTPS.
"""

import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import mixpanel

from simulator.service.server import Service
from tests.relays import RelayCommand
from tests.services import closed_port

CALLS = 6  # of a round
MOMENTS = 0.004  # seconds after a request in which a kill comes
_BUFFER = 65_536


class Severed(NamedTuple):
    """Calls whose first request got no answer, by number.

    Attributes:
        answered: The relay had answered: they are in the journal.
        somewhere: The relay was killed at any moment.
    """

    answered: set[int]
    somewhere: set[int]


class Report(NamedTuple):
    """The calls of all rounds, each of which returned, and what arrived of them.

    Attributes:
        calls: Their number, from 0; even ones append it to a list, odd ones are events.
        severed: Calls that the SDK had to send twice.
        appended: The list of the profile.
        events: How often each event came, by `$insert_id` and number.
    """

    calls: int
    severed: Severed
    appended: list[int]
    events: Counter[tuple[str, int]]

    @property
    def lost(self) -> set[int]:
        """Calls of which nothing arrived."""
        return {*range(self.calls)} - {*self.appended} - {number for _, number in self.events}

    @property
    def twice(self) -> set[int]:
        """Updates that were applied twice."""
        return {number for number, times in Counter(self.appended).items() if times > 1}

    def __str__(self) -> str:
        answered, somewhere = self.severed
        updates = sum(number % 2 == 0 for number in answered | somewhere)
        events = sum(times > 1 for times in self.events.values())
        return (
            f"{self.calls} calls acknowledged, {len(self.lost)} lost; {len(answered)} kills between commit and answer,"
            f" {len(somewhere)} at any moment of a request; of {updates} updates that the SDK sent twice"
            f" {len(self.twice)} were applied twice; {events} events came twice, each under one $insert_id"
        )


class Between:
    """Passes an SDK's requests on to a relay, one at a time, and kills that in the middle of one on demand."""

    def __init__(self, relay: RelayCommand, chance: random.Random) -> None:
        self._relay, self._chance = relay, chance
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.kill_when: str | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                sdk, _ = self._listener.accept()
            except OSError:  # closed
                return
            with sdk:
                while (request := _message(sdk)) and (answer := self._answer(request)):
                    sdk.sendall(answer)

    def _answer(self, request: bytes) -> bytes:
        """Return the relay's answer; nothing if the SDK gets none."""
        when, self.kill_when = self.kill_when, None
        host, _, port = self._relay.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as there:
            there.sendall(request)
            if when == "somewhere":
                time.sleep(self._chance.random() * MOMENTS)
                self._relay.kill()
            answer = _message(there)
        if when is None:
            return answer
        if when == "answered":
            assert answer
            self._relay.kill()
        self._relay.start()
        return b""


def _message(wire: socket.socket) -> bytes:
    """Return one request or answer whole; nothing if the other side closes or is gone."""
    got = b""
    with suppress(OSError):
        while True:
            head, found, body = got.partition(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if found and len(body) >= int(lengths[0].partition(b":")[2]):
                return got
            if not (part := wire.recv(_BUFFER)):
                return b""
            got += part
    return b""


def play(rounds: int, folder: Path, seed: int = 0) -> Report:
    """Play so many rounds against one journal, ship it, and report."""
    chance, port = random.Random(seed), closed_port()
    relay = RelayCommand({"T": folder / "site.db"}, f"http://127.0.0.1:{port}", "--settle-after", "0s")
    severed, number = Severed(set(), set()), 0
    with relay, closing(Between(relay, chance)) as between:
        consumer = mixpanel.Consumer(f"{between.url}/track", f"{between.url}/engage")
        consumer._session.mount("http://", consumer._session.get_adapter("https://"))
        sdk = mixpanel.Mixpanel("T", consumer)
        with closing(consumer._session):
            for _ in range(rounds):
                kill_at = number + chance.randrange(CALLS)
                when = chance.choice(Severed._fields)
                getattr(severed, when).add(kill_at)
                for call in range(number, number + CALLS):
                    between.kill_when = when if call == kill_at else None
                    if call % 2:
                        sdk.track("ada", "opened", {"number": call})
                    else:
                        sdk.people_append("ada", {"numbers": call})
                number += CALLS
        with Service(port) as service:
            relay.drained("T")
    appended = service.profiles("T")["ada"]["numbers"]
    arrived = [
        one.message["properties"] for one in service.messages("accepted", "T") if "event" in one.message
    ]
    return Report(
        number, severed, appended, Counter((each["$insert_id"], each["number"]) for each in arrived)
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="restante-relaying-") as folder:
        print(play(int(sys.argv[1]) if len(sys.argv) > 1 else 100, Path(folder)))


if __name__ == "__main__":
    main()
