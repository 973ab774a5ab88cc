"""A service that takes everything and looks at nothing, in a process of its own, on 127.0.0.1.

    python -m benchmarks.sink SECONDS BYTES     prints its address, ends with its input

answers each request after so many seconds, and so many bytes a second, as over a slow line. 0 of either: at once.
"""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["sink"]

_PIECE = 1_024  # bytes that a slow line takes at a time
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
    """A line that all connections share: so many bytes a second, and as many seconds until an answer is there."""

    def __init__(self, delay: float, rate: float) -> None:
        self._delay = delay
        self._rate = rate
        self._free_at = 0.0
        self.most_ahead = _PIECE if rate else 1 << 24  # bytes: what came too early waits with the sender

    async def carry(self, reader: asyncio.StreamReader, size: int) -> None:
        """Read so many bytes of a request, no faster than that."""
        self._free_at = max(time.monotonic(), self._free_at)
        while self._rate and size:
            piece = min(size, _PIECE)
            await reader.readexactly(piece)
            size -= piece
            self._free_at += piece / self._rate
            await asyncio.sleep(max(0.0, self._free_at - time.monotonic()))
        await reader.readexactly(size)

    async def away(self) -> None:
        await asyncio.sleep(self._delay)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            fields = [field.split(b":", 1) for field in head.split(b"\r\n") if b":" in field]
            size = next(int(value) for name, value in fields if name.lower() == b"content-length")
            await line.carry(reader, size)
            await line.away()
            writer.write(_ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve(line: Line) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    if line.most_ahead == _PIECE:  # the system's own buffer takes no more ahead, either
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
    server = await asyncio.start_server(
        lambda reader, writer: answer(reader, writer, line), sock=listener, limit=line.most_ahead
    )
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    wait = lambda: (sys.stdin.read(), loop.call_soon_threadsafe(over.set))  # noqa: E731
    threading.Thread(target=wait, daemon=True).start()
    await over.wait()


if __name__ == "__main__":
    asyncio.run(serve(Line(*map(float, sys.argv[1:]))))
