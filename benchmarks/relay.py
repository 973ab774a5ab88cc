"""The relay: how soon it answers one, eight and 64 senders, next to the same server that journals nothing.

A sender sends an update, waits for the answer, and sends the next; at the relay, each is on the disk by then. Both
servers take turns. Then: one sender beside 200 slow ones, and memory in a minute of 64 senders.

    python -m benchmarks.relay [--rounds N] [--write]     some three minutes
"""

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[1] / "docs" / "performance-details.md"
BEGIN, END = "<!-- made by `python -m benchmarks.relay --write` -->", "<!-- until here -->"

SENDERS = (1, 8, 64)
SECONDS = 2.0
MINUTE = 60.0
SLOW = 200
DRIP = 0.01  # seconds between two bytes, each of the next slow sender
NOWHERE = "http://127.0.0.1:9"

BODY = b'{"$token":"T","$distinct_id":"cdnow-00001","$add":{"visits":1}}'
HEAD = b"POST /engage HTTP/1.1\r\nHost: 127.0.0.1\r\n"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
ACCEPTED = b"\r\n\r\n1"

JOURNALS = "from tui.cli import main; main()"
KEEPS_NOTHING = (
    "from recorder.relay.inbox import Inbox; assert Inbox._journal; Inbox._journal = lambda *_: None; "
    + JOURNALS
)


class Server(NamedTuple):
    """A relay in a process of its own."""

    port: int
    pid: int

    def megabytes(self) -> float:
        """Return what it holds in memory."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s*(\d+)", status)
        assert found is not None
        return int(found[1]) / 1_000

    def processor(self) -> float:
        """Return the seconds of processor that it has had."""
        times = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return sum(map(int, times[11:13])) / os.sysconf("SC_CLK_TCK")


class Answers(NamedTuple):
    """Answers a second, milliseconds in which half and 99 % of them came, and microseconds of processor for each."""

    rate: float
    half: float
    most: float
    processor: float


Measure = Callable[[], Answers]


@contextmanager
def server(program: str) -> Iterator[Server]:
    """A relay, or one that does the same and journals nothing, while the block runs; nothing is shipped."""
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as folder:
        options = [
            "relay",
            "-j",
            f"{folder}/site.db",
            "--token",
            "T",
            "--port",
            "0",
            "--url",
            NOWHERE,
            "--yes",
        ]
        with subprocess.Popen(
            [sys.executable, "-c", program, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                yield Server(int(process.stdout.readline().rpartition(":")[2]), process.pid)
            finally:
                process.kill()


def send(port: int, deadline: float, took: list[float]) -> None:
    """Send one update after another until then; note how long each answer took."""
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (begun := time.perf_counter()) < deadline:
            wire.sendall(REQUEST)
            answer = b""
            while not answer.endswith(ACCEPTED):
                answer += (part := wire.recv(4_096))
                assert part
                assert answer.startswith(b"HTTP/1.1 200 "[: len(answer)]), answer
            took.append(time.perf_counter() - begun)


def answers(running: Server, senders: int, seconds: float = SECONDS) -> Answers:
    """Measure so many senders at once, each a connection of its own."""
    took: list[float] = []
    begun, before = time.perf_counter(), running.processor()
    work = [threading.Thread(target=send, args=(running.port, begun + seconds, took)) for _ in range(senders)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    quantiles = statistics.quantiles(took, n=100)
    rate = len(took) / (time.perf_counter() - begun)
    processor = (running.processor() - before) / len(took)
    return Answers(rate, 1e3 * quantiles[49], 1e3 * quantiles[98], 1e6 * processor)


@contextmanager
def slow_senders(port: int, number: int) -> Iterator[None]:
    """Connections on each of which a byte of a request comes in turn, while the block runs."""
    over = threading.Event()

    def drip(wires: Sequence[socket.socket]) -> None:
        for wire in cycle(wires):
            with suppress(OSError):  # closed, to make room for another
                wire.send(b"X")
            if over.wait(DRIP):
                return

    with ExitStack() as opened:
        wires = [opened.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(number)]
        for wire in wires:
            wire.sendall(HEAD)
        thread = threading.Thread(target=drip, args=(wires,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def one_beside_slow(program: str) -> Answers:
    with server(program) as running, slow_senders(running.port, SLOW):
        return answers(running, 1)


def alone(program: str, senders: int) -> Answers:
    with server(program) as running:
        return answers(running, senders)


def in_turn(what: str, ours: Measure, theirs: Measure, baseline: str, rounds: int) -> str:
    """Measure both in turn, and return two rows: medians, and the median of the rounds' ratios of speed."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    ratio = statistics.median(our.rate / their.rate for our, their in pairs)
    shown = "{:,.0f} | {:.2f} ms | {:.2f} ms | {:,.0f} µs".format
    found = [
        shown(*(statistics.median(each) for each in zip(*side, strict=True)))
        for side in zip(*pairs, strict=True)
    ]
    return f"| {what} | {found[0]} | {ratio:.2f} |\n| {baseline} | {found[1]} | |"


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def lines(rounds: int) -> Iterator[str]:
    """Measure, and yield the lines of the table, and of the notes under it."""
    before = load()
    yield "| senders | updates a second | median | 99 % | CPU | ratio |\n|---|---:|---:|---:|---:|---:|"
    for senders in SENDERS:
        ours, theirs = partial(alone, JOURNALS, senders), partial(alone, KEEPS_NOTHING, senders)
        yield in_turn(str(senders), ours, theirs, f"{senders}, without a journal", rounds)
    beside, one = partial(one_beside_slow, JOURNALS), partial(alone, JOURNALS, 1)
    yield in_turn(f"1 beside {SLOW} slow ones", beside, one, "1 alone", rounds)
    with server(JOURNALS) as running:
        answers(running, 1)
        empty = running.megabytes()
        found = answers(running, SENDERS[-1], MINUTE)
        yield (
            f"\n{SENDERS[-1]} senders for a minute: {found.rate:,.0f} updates a second,"
            f" {found.processor:,.0f} µs each; {empty:.0f} MB of memory before, {running.megabytes():.0f} MB after."
        )
    cores = len(os.sched_getaffinity(0))
    yield f"Server and senders shared {cores} cores; the load was {before} before and {load()} after."


def write(table: Sequence[str]) -> None:
    """Put the table into the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    text = "\n".join(table)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relay", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often both servers take turns (default 3)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance-details.md")
    given = parser.parse_args()
    table = []
    for line in lines(given.rounds):
        table.append(line)
        print(line, flush=True)
    if given.write:
        write(table)


if __name__ == "__main__":
    main()
