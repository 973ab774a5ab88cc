"""Connections to a service: they use no proxy, follow no redirect, and trust the authorities that shipping trusts."""

import os
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Event, Timer
from urllib.parse import urlsplit

__all__ = ["TRUSTED", "Answer", "basic", "connection_to", "post"]

TRUSTED = "REQUESTS_CA_BUNDLE"
"""The environment's name for a file of authorities, as requests reads it, by which the recorder ships."""

_MOST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request.

    Attributes:
        status: The HTTP status.
        text: The body.
        retry_after: The header of that name; None without one.
    """

    status: int
    text: bytes
    retry_after: str | None = None


def connection_to(base: str, timeout: float) -> HTTPConnection:
    """Return a connection to a base address, not yet opened, with seconds to wait for each byte.

    Raises:
        OSError: The file of authorities cannot be read.

    >>> connection_to("http://127.0.0.1:8765", 10).port
    8765
    """
    parts = urlsplit(base)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return HTTPConnection(host, parts.port, timeout=timeout)
    authorities = os.environ.get(TRUSTED)
    try:
        trusting = ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise OSError(f"{TRUSTED} names {authorities!r}, which cannot be read") from error
    return HTTPSConnection(host, parts.port, timeout=timeout, context=trusting)


def basic(user: str, password: str) -> str:
    """Return the header ``Authorization`` of HTTP Basic.

    >>> basic("T", "")
    'Basic VDo='
    """
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def post(base: str, target: str, body: str, headers: Mapping[str, str], timeout: float) -> Answer:
    """Post to a path under a base address, and return the answer once it is whole.

    Args:
        base: The base address; its path comes before `target`.
        target: The path, with its query.
        body: Sent as UTF-8.
        headers: As sent.
        timeout: Seconds for the connection, and again for the rest.

    Raises:
        OSError: There is no whole answer, or it is no HTTP.
    """
    parts = urlsplit(base)
    try:
        with closing(connection_to(base, timeout)) as connection:
            connection.connect()
            with _deadline(connection.sock, timeout) as late:
                connection.request("POST", parts.path + target, body.encode(), dict(headers))
                with connection.getresponse() as answer:
                    text = answer.read(_MOST_BYTES)
                if late.is_set() or len(text) == _MOST_BYTES:
                    raise TimeoutError(f"its answer for {urlsplit(target).path} does not end")
    except HTTPException as error:
        raise ConnectionError(str(error) or type(error).__name__) from error
    return Answer(answer.status, text, answer.headers.get("Retry-After"))


@contextmanager
def _deadline(connection: socket.socket, seconds: float) -> Iterator[Event]:
    """End a connection after a time, as its own time-out begins anew with each byte; the event is set before."""
    late = Event()
    timer = Timer(seconds, _end, (connection, late))
    timer.daemon = True
    try:
        timer.start()  # where Ctrl-C may come, too: a timer that is left would keep the process
        yield late
    finally:
        timer.cancel()


def _end(connection: socket.socket, late: Event) -> None:
    late.set()
    with suppress(OSError):  # it has ended
        connection.shutdown(socket.SHUT_RDWR)
