"""Connections of the local service: requests read whole, scheduled faults, answers.

`simulator.service.routes` answers; this is the network around it. Most faults are beyond a WSGI application: a
connection reset, one closed without an answer, half a body read or sent.
"""

import errno
import re
import socket
import ssl
import struct
import time
from collections import deque
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from io import BytesIO
from threading import Condition
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Response

from recorder.model.payloads import MAX_BODY, Endpoint, endpoint_of
from recorder.model.replies import cross_origin, too_large
from recorder.model.requestlog import NOTES, request_line
from simulator.service.answers import busy, failure, page, refusal
from simulator.service.answers import response as as_response
from simulator.service.bodies import HeadLines, UnclearBody, announced_length, body_parts
from simulator.service.faults import (
    AckLost,
    Fault,
    Garbage,
    Late,
    Part,
    PartialRead,
    Redirect,
    Refuse,
    Reset,
    Slow,
    Status,
    Truncate,
)
from simulator.service.routes import PART
from simulator.service.tls import end, handshake_failure, stop_reading, wrapped

if TYPE_CHECKING:
    from simulator.service.server import Service

__all__ = ["MAX_CONNECTIONS", "HttpServer"]

MAX_CONNECTIONS = 128
"""Connections at once, each with a thread; one more is answered 503, and closed."""

_MAX_DISCARDED = 10 * MAX_BODY
_MAX_LINE = 65_537  # as the standard library reads the first line
_MAX_SHOWN = 200
_BACK_OFF = 0.1
_MAX_REFUSED = 32
_REFUSED_FOR = 2.0
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# What a parser's error quotes of the request, and so may be a token, follows one of these.
_QUOTED = re.compile(r" \(|: ")
_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class HttpServer(ThreadedWSGIServer):
    """A thread for each connection, up to `MAX_CONNECTIONS`.

    It tracks open connections, so that closing need not wait for clients.
    """

    def __init__(
        self, service: "Service", listener: socket.socket, context: ssl.SSLContext | None = None
    ) -> None:
        self.service = service
        self._open: set[Any] = set()
        self._refused: deque[tuple[float, socket.socket]] = deque()
        self._changed = Condition()
        host, port = listener.getsockname()[:2]
        super().__init__(host, port, service.application(), _Connection, fd=listener.fileno())
        # Given only now: werkzeug would shake hands where it accepts, and all connections wait for one.
        self.ssl_context = context

    def get_request(self) -> tuple[Any, Any]:
        try:
            request, address = super().get_request()
            return (wrapped(self.ssl_context, request) if self.ssl_context else request), address
        except OSError as error:
            if error.errno in _EXHAUSTED:  # the connection still waits, and would be reported again at once
                with self._changed:
                    self._changed.wait(_BACK_OFF)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            full = len(self._open) >= MAX_CONNECTIONS
            if not full:
                self._open.add(request)
        if full:
            self._refuse(request)
        else:
            super().process_request(request, client_address)

    def _refuse(self, request: socket.socket) -> None:
        """Answer 503, and close later: a close with the request unread would be a reset, and hide the answer.

        Over TLS there is no answer: the handshake would hold up all others.
        """
        reason = f"all {MAX_CONNECTIONS} connections are in use"
        self.service.note(f"connection 503 · {reason}")
        with suppress(OSError):
            if self.ssl_context is None:
                request.sendall(busy(f"{reason}; close one"))
            request.shutdown(socket.SHUT_WR)
        self._refused.append((time.monotonic(), request))

    def service_actions(self) -> None:
        """Close connections that were refused a while ago; the loop of `serve_forever` calls this."""
        latest = time.monotonic() - _REFUSED_FOR
        while self._refused and (self._refused[0][0] < latest or len(self._refused) > _MAX_REFUSED):
            self._refused.popleft()[1].close()

    def server_close(self) -> None:
        for _, request in self._refused:
            request.close()
        super().server_close()

    def shutdown_request(self, request: Any) -> None:
        if isinstance(request, ssl.SSLSocket):
            end(request)
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def end_connections(self) -> None:
        """Shut down reading, so that handlers waiting for the next request end; wait 2 s for them at most."""
        with self._changed:
            for connection in self._open:
                with suppress(OSError):
                    stop_reading(connection)
            self._changed.wait_for(lambda: not self._open, timeout=2)


class _Connection(WSGIRequestHandler):
    """The requests of one connection: each is read whole, meets its fault if it has one, and is answered.

    werkzeug's own `run_wsgi` closes the connection after each answer, which senders with connection pools would
    notice.
    """

    server: HttpServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    raw_requestline: bytes
    _endpoint: Endpoint | None = None
    _fault: Fault | None  # of this request, once it is played
    _summary: str | None

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.service.patience)

    def handle(self) -> None:
        """Shake hands if the service speaks TLS, and take requests."""
        if isinstance(self.connection, ssl.SSLSocket):
            try:
                self.connection.do_handshake()
            except OSError as error:
                self.server.service.note(handshake_failure(error))
                return
        super().handle()

    def handle_one_request(self) -> None:
        self._fault = self._summary = None
        super().handle_one_request()

    def parse_request(self) -> bool:
        if not self.raw_requestline.strip(b"\r\n"):  # some senders end a body with an empty line too many
            self.raw_requestline = self.rfile.readline(_MAX_LINE)
        stream = self.rfile
        self.rfile = HeadLines(stream)
        try:
            return super().parse_request()
        except UnclearBody as error:
            self.send_error(error.status, str(error))
            return False
        finally:
            self.rfile = stream

    def handle_expect_100(self) -> bool:
        """Invite the body, unless nobody could say where it ends."""
        with suppress(UnclearBody):
            self._announced()
            return super().handle_expect_100()
        return True

    def _announced(self) -> int | None:
        return announced_length(self.headers, self.request_version)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # werkzeug's name
        """Do not log: `_tell` does, without user data, and only if somebody asked for it."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Do not log: werkzeug's own method fails on a target that is not a URL."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002  # as in the standard library
        """Answer malformed HTTP like every other refusal, and close."""
        self.close_connection = True
        self._endpoint = None
        text = (message or HTTPStatus(code).phrase)[:_MAX_SHOWN]
        reason = _QUOTED.split(text)[0]
        if self.raw_requestline.startswith(b"\x16\x03"):
            reason = "a TLS handshake, and this port takes plain HTTP"
        self._send(refusal(code, text), reason=reason)

    def run_wsgi(self) -> None:
        """Take one request; `werkzeug.serving` calls this for every method."""
        try:
            environ = self.make_environ()
        except ValueError as error:  # from urlsplit, as for http://[
            self.send_error(HTTPStatus.BAD_REQUEST, f"the request's target is no URL: {error}")
            return
        self._endpoint = endpoint_of(environ["PATH_INFO"])
        # Counted before its body is read, as the body of a refused one never is.
        counted = self._endpoint is not None and self.command.upper() in {"GET", "POST"}
        fault = self.server.service.next_fault() if counted else None
        try:
            if isinstance(fault, Refuse | PartialRead):
                self._fault = fault
                if isinstance(fault, PartialRead):
                    self._read_half()
                self._reset()
                return
            body = self._body()
        except UnclearBody as error:
            self.send_error(error.status, str(error))
            return
        except OSError as error:  # such as CutShort
            self._close(error.strerror or str(error))
            return
        if body is None:
            self._send(as_response(too_large(self._endpoint)))
            return
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        self._play(fault, environ)

    def _body(self) -> bytes | None:
        """Read the body; None if it is too large.

        A large one is still read, within reason: a sender in the middle of sending would take an answer followed
        by a close for a reset.
        """
        length = self._announced()
        if length is not None and length > _MAX_DISCARDED:
            self.close_connection = True
            return None
        body = bytearray()
        size = 0
        for part in body_parts(self.rfile, length):
            size += len(part)
            if size <= MAX_BODY:
                body += part
            elif size <= _MAX_DISCARDED:
                body.clear()
            else:
                self.close_connection = True
                return None
        return bytes(body) if size <= MAX_BODY else None

    def _read_half(self) -> None:
        """Read half of the body; one byte of a chunked one, whose length is unknown."""
        try:
            length = self._announced()
        except UnclearBody:
            return
        if length is None:
            next(body_parts(self.rfile, None, piece=1), None)
        else:
            deque(body_parts(self.rfile, length // 2), maxlen=0)

    def _play(self, fault: Fault | None, environ: dict[str, Any]) -> None:
        service = self.server.service
        service.apply_late()
        self._fault = fault
        if isinstance(fault, Slow) and not service.hold(fault.seconds):
            self.close_connection = True
            return
        if isinstance(fault, Late):
            self._close()
            if fault.applied:
                service.add_late(fault.seconds, partial(self._arrive, environ))
            return
        answer = self._answer(environ, applied=fault is None or fault.applied)
        match fault:
            case Reset():
                self._reset()
            case AckLost() | Part():
                self._close()
            case Status():
                self._send(failure(fault))
            case Redirect():
                self._send(refusal(HTTPStatus.FOUND, HTTPStatus.FOUND.phrase, {"Location": fault.location}))
            case Garbage():
                self._send(page())
            case Truncate():
                self._send(answer, whole=False)
                self.close_connection = True  # only now: the head does not announce it
            case _:
                self._send(answer)

    def _answer(self, environ: dict[str, Any], *, applied: bool = True) -> Response:
        app = self.server.app if applied else self.server.service.rehearsal()
        notes = environ[NOTES] = list[str]()
        if isinstance(self._fault, Part):
            environ[PART] = self._fault.updates
        answer = Response.from_app(app, environ, buffered=True)
        self._summary = ", ".join(notes) if applied else None
        return answer

    def _arrive(self, environ: dict[str, Any]) -> None:
        """Apply a late request, long after its connection was closed."""
        self._answer(environ)
        self._tell("arrived")

    def _tell(self, outcome: int | str, reason: str | None = None) -> None:
        """Log the request."""
        notes = [self._summary or reason]
        if self._fault is not None:
            notes.insert(0, f"fault {self._fault.name}{'' if self._fault.applied else ', not applied'}")
        target = self.path if self.command else ""
        self.server.service.note(request_line(self.command, target, outcome, *notes))

    def _close(self, reason: str | None = None) -> None:
        """Close without an answer once this request is done."""
        self._tell("closed", reason)
        self.close_connection = True

    def _send(self, response: Response, *, whole: bool = True, reason: str | None = None) -> None:
        """Send an answer, or half of one; the log says the reason of a refusal."""
        body = response.get_data()
        if response.status_code >= HTTPStatus.BAD_REQUEST and self._fault is None:
            reason = reason or (response.get_json(silent=True) or {}).get("error")
        self._tell(response.status_code, reason)
        bodiless = response.status_code in _BODILESS
        del response.headers["Content-Length"]
        if self._endpoint is not None:
            origin, headers = (
                self.headers.get(name) for name in ("Origin", "Access-Control-Request-Headers")
            )
            response.headers.update(cross_origin(origin, headers))
        if not bodiless:
            response.headers["Content-Length"] = str(len(body))
        if self.close_connection:
            response.headers["Connection"] = "close"
        if self.request_version in {"", "HTTP/0.9"}:
            # The standard library sends those no head, and counts unreadable requests among them.
            self.request_version = "HTTP/1.0"
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            self.send_header(name, value)
        head = BytesIO()
        stream, self.wfile = self.wfile, head
        self.end_headers()
        self.wfile = stream
        if bodiless or self.command == "HEAD":
            body = b""
        # In one write: the SDK for PHP takes what one read brings for the whole answer.
        stream.write(head.getvalue() + (body if whole else body[: len(body) // 2]))

    def _reset(self) -> None:
        """Close with RST: a linger time of 0 drops unread and unsent bytes.

        A plain close with part of a body unread ends either way: by RST if the kernel still has bytes, in an orderly
        manner if the reader's buffer took them all.
        """
        self._tell("reset")
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()  # a socket is closed once the files made of it are
        self.connection.close()
