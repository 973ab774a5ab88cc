"""Connections that know the request they carry: subclasses of urllib3's, opened by the pools of requests.

An `Exchange` is the request on its way. A thread works at one exchange at a time, and `Carrier` finds it there.
"""

import contextlib
import functools
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, Self

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection

__all__ = ["Cancelled", "Carrier", "CarrierAdapter", "Exchange", "Repeated", "open_carriers"]

_IDLE = (
    5.0  # seconds after which a pooled connection is not trusted: the other side may have gone without a word
)

_BLOCK = 1_000_000  # bytes of a body that go in one call: with 16 kB, as usual, 200 kB take a third longer

_thread = threading.local()


class Cancelled(Exception):  # never seen outside
    """The deadline passed before the body began to leave."""


class Repeated(Exception):  # never seen outside
    """A session's own retries began to send the body again, which nobody wrote down."""


class Exchange(bytes):
    """The body of a request, which notes its first read, and the connection that carries it.

    A connection reads the body when it stands and the head has been written, so the first read tells whether the
    request left. The class of an exception cannot tell: a TLS error or a time-out comes before or after.

    To everybody else it is the bytes that it sends: an auth signs them, a test double shows them.

    Args:
        body: What to send; None only opens the connection.

    Attributes:
        measured: False while a session or an adapter has it that may send it without reading it here.
    """

    def __new__(cls, body: bytes | None) -> Self:
        return super().__new__(cls, body or b"")

    def __init__(self, body: bytes | None) -> None:
        self.opens_only = body is None
        self.measured = True
        self.connection: Carrier | None = None
        self._socket: Any = None
        self._body = body or b""
        self._place = 0
        self._guard = threading.Lock()
        self._left = False
        self._ended = False
        self._cancelled = False

    @contextlib.contextmanager
    def in_this_thread(self) -> Iterator[None]:
        """Let the connections that this thread uses carry it."""
        _thread.exchange = self
        try:
            yield
        finally:
            _thread.exchange = None

    def replace_body(self, body: Any) -> None:
        """Send what an auth made of the body.

        Raises:
            TypeError: It is neither bytes nor text, so nobody would see it leave.
        """
        if not isinstance(body, bytes | str):
            raise TypeError(f"the session's auth made a body of type {type(body).__name__}")
        self._body = body.encode() if isinstance(body, str) else bytes(body)

    def read(self, size: int = -1) -> bytes:
        """Return the next part of the body for a connection, as a file would; without a size, all of it for a look."""
        if size < 0:
            return self._body
        with self._guard:
            if self._cancelled:
                raise Cancelled
            if self._ended:
                raise Repeated
            self._left = True
        chunk = self._body[self._place : self._place + size]
        self._place += len(chunk)
        self._ended = not chunk
        return chunk

    @property
    def left(self) -> bool:
        """True if the body began to leave, or may have."""
        with self._guard:
            return self._left or not self.measured

    def travel(self, connection: "Carrier") -> None:
        """Note the connection, and its socket, which an answer without a length takes away from it."""
        if self._cancelled:
            raise Cancelled
        self.connection = connection
        self._socket = connection.sock

    def cancel(self) -> None:
        """Let nothing leave that has not begun to, and end the connection, whatever it waits for.

        A thread that reads an answer that drips would do so for days: each byte begins its time-out anew.
        """
        with self._guard:
            self._cancelled = True
        used = self._socket
        if used is None and self.connection is not None:
            used = self.connection.sock
        if used is not None:
            _shut(used)


def _exchange() -> Exchange | None:
    return getattr(_thread, "exchange", None)


class _FinalAnswer(http.client.HTTPResponse):
    """The final answer to a request; http.client takes an interim one for it, unless that is 100.

    Where more came than the answer, the connection ends with it: the next request would take that for its own.
    """

    def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self._sock = sock

    def begin(self, **options: Any) -> None:
        super().begin(**options)
        while 100 < self.status < 200:  # noqa: PLR2004
            if self.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                raise http.client.HTTPException("101 Switching Protocols")
            self.headers = None  # type: ignore[assignment]  # it begins anew
            super().begin(**options)
        if self.chunked and self.headers.get("content-length") is not None:
            self.will_close = True  # two ends, and no telling which one the other side means

    def _close_conn(self) -> None:
        if not self.will_close and _more_came(self.fp, self._sock):
            _shut(self._sock)
        super()._close_conn()  # type: ignore[misc]  # http.client calls it at the end of the body


def _more_came(reader: Any, used: Any) -> bool:
    """Return True if something is left in a reader, or has come since."""
    timeout = used.gettimeout()
    used.settimeout(0)
    try:
        return bool(reader.peek(1))
    except (OSError, ValueError):  # nothing there, or it ended
        return False
    finally:
        used.settimeout(timeout)


def _shut(used: Any) -> None:
    with contextlib.suppress(OSError):  # it ended at this very moment
        used.shutdown(socket.SHUT_RDWR)


class Carrier(HTTPConnection):
    """A connection that tells its exchange that it carries it, and is not used again when it was idle."""

    response_class = _FinalAnswer
    _used_at = 0.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "blocksize": _BLOCK})

    @property
    def is_connected(self) -> bool:
        """True if the next request may travel on it; urllib3 closes it otherwise, and opens it anew."""
        fresh = time.monotonic() - self._used_at <= _IDLE
        return fresh and _stands(self.sock) and super().is_connected

    def connect(self) -> None:
        """Open the connection, and tell its exchange."""
        if (exchange := _exchange()) is not None:
            exchange.travel(self)
        super().connect()
        self.sock.settimeout(None)  # the time to connect is over; sending ends with the exchange's deadline
        self._used_at = time.monotonic()

    def request(self, *arguments: Any, **options: Any) -> None:
        """Send a request, unless the exchange only opens the connection."""
        exchange = _exchange()
        if exchange is not None:
            exchange.travel(self)
        if exchange is None or not exchange.opens_only:
            super().request(*arguments, **options)
        elif self.sock is None:
            self.connect()

    def getresponse(self) -> Any:
        """Return the answer; one of its own making where nothing was sent."""
        exchange = _exchange()
        if exchange is not None:
            exchange.travel(self)
            if exchange.opens_only:
                return HTTPResponse(status=200, preload_content=False)
        answer = super().getresponse()
        self._used_at = time.monotonic()
        return answer


def _stands(used: Any) -> bool:
    """Return False if the other side closed the connection, or said something that nobody asked for.

    TLS 1.3 sends tickets of itself after a handshake. urllib3 takes a connection on which there is anything to read
    for dead, so they are read here.
    """
    if not isinstance(used, ssl.SSLSocket):
        return True
    used.settimeout(0)  # the request sets it as it needs it
    try:
        used.recv(1)
    except ssl.SSLWantReadError:
        return True
    except OSError:
        pass
    return False


@functools.cache
def _carrier(connection: type) -> type:
    return connection if issubclass(connection, Carrier) else type("Carrier", (Carrier, connection), {})


class CarrierAdapter(HTTPAdapter):
    """An adapter of our own session, whose pools open carriers."""

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """Return the pool for a request."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        pool.ConnectionCls = _carrier(pool.ConnectionCls)
        return pool


def open_carriers(adapter: Any, request: PreparedRequest, settings: dict[str, Any]) -> None:
    """Make the pool that an adapter, an `HTTPAdapter`, takes for a request open carriers."""

    def pool() -> Any:
        return adapter.get_connection_with_tls_context(
            request, settings["verify"], proxies=settings["proxies"], cert=settings["cert"]
        )

    found = pool()
    if found.num_connections and not issubclass(found.ConnectionCls, Carrier):
        adapter.close()  # what was opened before carries no exchange
        found = pool()
    found.ConnectionCls = _carrier(found.ConnectionCls)
