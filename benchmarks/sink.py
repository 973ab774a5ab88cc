"""A service that takes everything and looks at nothing, in a process of its own, on 127.0.0.1.

    python -m benchmarks.sink SECONDS BYTES     prints its address, ends with its input

answers each request after so many seconds, and so many bytes a second, as over a slow line. 0 of either: at once.
"""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["sink"]

_BODY = b'{"status":1,"error":null}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY
)


@contextmanager
def sink(delay: float = 0.0, rate: float = 0.0) -> Iterator[str]:
    """Its base address, while the block runs."""
    command = [sys.executable, "-m", "benchmarks.sink", str(delay), str(rate)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


class Line:
    """Time that requests take to arrive, one after the other, and their answers to return."""

    def __init__(self, delay: float, rate: float) -> None:
        self._delay = delay
        self._rate = rate
        self._busy = asyncio.Lock()

    async def carry(self, size: int) -> None:
        if self._rate:
            async with self._busy:  # what was given up fills the line, too
                await asyncio.sleep(size / self._rate)
        await asyncio.sleep(self._delay)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            fields = [field.split(b":", 1) for field in head.split(b"\r\n") if b":" in field]
            size = next(int(value) for name, value in fields if name.lower() == b"content-length")
            await reader.readexactly(size)
            await line.carry(len(head) + size)
            writer.write(_ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve(line: Line) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: answer(reader, writer, line), "127.0.0.1", 0, limit=1 << 24
    )
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    wait = lambda: (sys.stdin.read(), loop.call_soon_threadsafe(over.set))  # noqa: E731
    threading.Thread(target=wait, daemon=True).start()
    await over.wait()


if __name__ == "__main__":
    asyncio.run(serve(Line(*map(float, sys.argv[1:]))))
