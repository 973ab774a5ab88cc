"""Connections of the relay: waitress, with limits that a slow or hostile client cannot stretch.

waitress reads requests whole in one thread and hands them to others, so a slow client takes no thread. What it lacks
is added here: a time by which a request must be there, however often a byte of it comes; a place for a new connection
when all are taken; a bound on the memory of all bodies together.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import BadRequest

from recorder.model.payloads import MAX_BODY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["MAX_CONNECTIONS", "HttpServer"]

MAX_CONNECTIONS = 200
"""Connections at once; for one more, the one that has waited longest for its client is closed.

Where all are being answered, the next one waits.
"""

# That answer: those that wait at once share a commit, and the slower the disk, the more of them gain by it.
_THREADS = 24
_MANY = 8  # requests that are being answered or wait to be
_TOGETHER = 0.001  # seconds in which the answers to so many come together
_REQUEST_SECONDS = 30.0  # from the first byte of a request to its last
_IDLE_SECONDS = 60.0
_LOOK_SECONDS = 2.0  # between looks for connections that are overdue
_MAX_HEAD = 64 * 1024
_MAX_DISCARDED = 10 * MAX_BODY  # of a body that is too large, so that its sender reads the answer
_MAX_CHUNK_LINE = 1_000
_SMALL_BODY = 256 * 1024
_MAX_BODIES = 32 * 1024 * 1024  # bytes of larger bodies at once
_RECEIVE = 64 * 1024
_FOR_EVER = 86_400  # what is being answered waits for a journal, which takes busy_timeout at most

_log = logging.getLogger("restante.relay")
_queue_log = logging.getLogger("restante.relay.queue")
_queue_log.setLevel(logging.ERROR)  # a queue of some requests is no news


class _Body(OverflowableBuffer):
    """A body in memory, kept up to one byte over the limit, which tells that it is too large."""

    def __init__(self) -> None:
        super().__init__(MAX_BODY + 2)  # beyond that it would go to a file

    def append(self, s: bytes) -> None:
        super().append(s[: MAX_BODY + 1 - len(self)])


class _Request(HTTPRequestParser):
    """A request as it comes in."""

    completed: bool

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            if self.chunked and "CONTENT_LENGTH" in self.headers:
                raise ParsingError("Content-Length with Transfer-Encoding")
            self.body_rcv.buf = _Body()

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.chunked and not self.completed:
            # waitress joins a line to what came of it before, which takes seconds for one of megabytes
            line = len(self.body_rcv.control_line) + len(self.body_rcv.trailer)
            if line > _MAX_CHUNK_LINE:
                self.error, self.completed = BadRequest("a line between chunks is too long"), True
        return consumed


class _Connection(HTTPChannel):
    """A connection, and since when it waits for its client."""

    parser_class = _Request
    logger = _log

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.since = time.monotonic()
        super().__init__(*arguments, **named)

    def received(self, data: bytes) -> bool:
        before = self.request
        taken: bool = super().received(data)
        if self.request is not before:
            self.since = time.monotonic()
        if self.request is not None and self.request.body_bytes_received > _SMALL_BODY:
            self.server.bound_bodies()
        return taken

    def service(self) -> None:
        super().service()
        self.since = time.monotonic()

    @property
    def waits(self) -> bool:
        """True while its client is expected to send or to read, and no answer is being made."""
        return not (self.requests or self.will_close)

    @property
    def body_bytes(self) -> int:
        """Bytes of its bodies in memory, if they are large."""
        requests = [*self.requests, self.request]
        sizes = (request.body_bytes_received for request in requests if request is not None)
        return sum(min(size, MAX_BODY) for size in sizes if size > _SMALL_BODY)


class HttpServer(TcpWSGIServer):
    """Takes requests and has them answered.

    Args:
        application: Called in one of some threads, with a whole request.
        listener: A socket that is bound.
        admits: Called with the address of whoever connects; false closes the connection.
    """

    channel_class = _Connection
    next_channel_cleanup: float
    logger = _log

    def __init__(
        self, application: "WSGIApplication", listener: socket.socket, admits: Callable[[str], bool]
    ) -> None:
        self._admits = admits
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="restante-relay", daemon=True)
        settings = Adjustments(
            listen="127.0.0.1:0",  # not used, and else it looks up the address of all
            ident=None,
            clear_untrusted_proxy_headers=False,  # none is read
            log_socket_errors=False,
            max_request_header_size=_MAX_HEAD,
            max_request_body_size=_MAX_DISCARDED,
            recv_bytes=_RECEIVE,
        )
        workers = ThreadedTaskDispatcher()
        workers.logger, workers.queue_logger = _log, _queue_log
        workers.set_thread_count(_THREADS)
        super().__init__(
            application,
            {},
            True,  # noqa: FBT003  # waitress's own order
            listener,
            dispatcher=workers,
            adj=settings,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
        )

    def start(self) -> None:
        """Take requests, in a thread."""
        self._thread.start()

    def _serve(self) -> None:
        while not self._ending.is_set():
            # A turn goes through all connections. One for each answer would keep those that answer from their work.
            if self.task_dispatcher.active_count + len(self.task_dispatcher.queue) > _MANY:
                time.sleep(_TOGETHER)
            self._turn(_LOOK_SECONDS)

    def _turn(self, seconds: float) -> None:
        self.asyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)

    def end(self) -> None:
        """Take no more requests, and answer those that are being answered."""
        self._ending.set()
        self.pull_trigger()
        if self._thread.ident is not None:
            self._thread.join()
        # Whoever answers writes into the trigger at the end: by then its descriptor may not be another file's.
        self.task_dispatcher.shutdown(timeout=_FOR_EVER)
        self._turn(0)
        self.asyncore.close_all(self._map)

    # --- as waitress calls them

    def readable(self) -> bool:
        now = time.time()
        if now >= self.next_channel_cleanup:
            self.next_channel_cleanup = now + _LOOK_SECONDS
            self.maintenance(now)
        connections = self.active_channels.values()
        return len(connections) < MAX_CONNECTIONS or any(connection.waits for connection in connections)

    def maintenance(self, now: float) -> None:  # noqa: ARG002  # by a clock that nobody sets
        moment = time.monotonic()
        for connection in self.active_channels.values():
            longest = _IDLE_SECONDS if connection.request is None else _REQUEST_SECONDS
            if connection.waits and moment - connection.since > longest:
                connection.will_close = True

    def accept(self) -> tuple[socket.socket, Any] | None:
        pair: tuple[socket.socket, Any] | None = super().accept()
        if pair is None:
            return None
        if not self._admits(pair[1][0]):
            pair[0].close()
            return None
        if len(self.active_channels) >= MAX_CONNECTIONS:
            self._close_oldest(self.active_channels.values())
        return pair

    @staticmethod
    def _close_oldest(connections: Iterable[_Connection]) -> None:
        """Close the connection that has waited longest for its client, if one waits."""
        waiting = [connection for connection in connections if connection.waits]
        if waiting:
            # Not at once: the system would give its number to the next one, which then gets events of this one.
            min(waiting, key=lambda connection: connection.since).will_close = True

    def bound_bodies(self) -> None:
        """Close a connection with a large body, if all such bodies together take too much memory."""
        open_ = [connection for connection in self.active_channels.values() if not connection.will_close]
        large = [connection for connection in open_ if connection.body_bytes]
        if sum(connection.body_bytes for connection in large) > _MAX_BODIES:
            self._close_oldest(large)
