"""Services and proxies on 127.0.0.1 that break in ways no HTTP server would: sockets, read and written by hand."""

import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from typing import NamedTuple

import pytest

SAID_1 = b'{"status": 1, "error": null}'


def answer(status=200, body=SAID_1, *, kind="application/json", keep=True, **headers):
    """The bytes of an answer; `kind` is its Content-Type."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Something')}", f"Content-Type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", *([] if keep else ["Connection: close"])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def said_0(error):
    return json.dumps({"status": 0, "error": error}).encode()


_REASONS = {200: "OK", 302: "Found", 407: "Proxy Authentication Required", 502: "Bad Gateway"}


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(condition, timeout=60.0):
    """Wait for something that another thread brings about."""
    deadline = time.monotonic() + timeout
    while not (met := condition()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)
    return met


def _has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


NEEDS_IPV6 = pytest.mark.skipif(not _has_ipv6(), reason="this computer has no IPv6")


class Request(NamedTuple):
    """A request as it came in: method, target and headers (names in lower case), and its body if it is JSON."""

    method: str
    target: str
    headers: dict
    updates: list | None


class Wire:
    """One connection, seen from the service."""

    def __init__(self, connection, service):
        self.socket = connection
        self.service = service
        self._read = b""

    def request(self):
        """The next request; None where the other side closed."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                return None
        head, _, rest = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self._read = rest
        length = int(headers.get("content-length", 0))
        while len(self._read) < length:
            if not self._more():
                return None
        body, self._read = self._read[:length], self._read[length:]
        return Request(method, target, headers, json.loads(body) if body[:1] in {b"[", b"{"} else None)

    def _more(self):
        try:
            got = self.socket.recv(65_536)
        except OSError:
            got = b""
        self._read += got
        return bool(got)

    def send(self, data):
        with suppress(OSError):
            self.socket.sendall(data)

    def reset(self):
        """Close with RST when the turn is over."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def drip(self, data, every=0.05):
        """Send byte by byte, round and round, until the other side is gone; how it ended is in `cut_off`."""
        while not self.service.closing.is_set():
            for byte in data:
                try:
                    self.socket.sendall(bytes([byte]))
                except OSError:
                    self.service.cut_off.set()
                    return
                if self.service.closing.wait(every):
                    return

    def relay(self, port):
        """Be a tunnel to a port of this machine until either side closes."""
        with socket.create_connection(("127.0.0.1", port), 10) as there:
            back = threading.Thread(target=_pump, args=(there, self.socket), daemon=True)
            back.start()
            _pump(self.socket, there)
            back.join(10)


def _pump(source, sink):
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class RawService:
    """A service whose answers are given from outside, one turn a request; after the last turn it accepts.

    Args:
        turns: The bytes of an answer, or a function of the `Wire` and the request; where that returns True the
            connection is kept.
        tls: A server's SSLContext.
        greeting: A function of the `Wire`, called before anything is read (or the handshake is made); where it
            returns True the connection is closed.
        tunnel_to: A port: CONNECT leads there, whatever it asks for.
    """

    def __init__(self, *turns, tls=None, greeting=None, tunnel_to=None):
        self.turns = deque(turns)
        self.requests = []
        self.connections = 0
        self.closing = threading.Event()
        self.cut_off = threading.Event()
        self._tls = tls
        self._greeting = greeting
        self._tunnel_to = tunnel_to
        self._threads = []
        self._open = set()

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(0.02)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self._thread.join(10)
        self._listener.close()
        eventually(self._ended)

    def _ended(self):
        """End what is still open, again and again: a connection in its handshake changes its socket."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def url(self):
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def sizes(self):
        """How many updates each request carried."""
        return [len(request.updates) for request in self.requests]

    def _accept(self):
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        connection.settimeout(30)
        self._open.add(connection)
        try:
            if self._greeting is not None and self._greeting(Wire(connection, self)):
                return
            if self._tls is not None:
                try:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                except OSError:  # an SSLError is one
                    return
                self._open.add(connection)
            wire = Wire(connection, self)
            while (request := wire.request()) and self._take(wire, request):
                pass
        finally:
            self._open.discard(connection)
            connection.close()

    def _take(self, wire, request):
        if request.method == "CONNECT" and self._tunnel_to is not None:
            wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            wire.relay(self._tunnel_to)
            return False
        self.requests.append(request)
        turn = self.turns.popleft() if self.turns else answer()
        if callable(turn):
            return bool(turn(wire, request))
        wire.send(turn)
        return b"Connection: close" not in turn


def server_context(certificate):
    """What a service speaks TLS with, from a certificate of `trustme`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
