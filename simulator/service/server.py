"""The local service: an HTTP server on this machine that real SDKs can talk to, and that fails on request.

`simulator.service.routes` answers; this is the network around it. It reads requests whole, keeps connections alive,
and plays the scheduled faults, most of which no WSGI application could: a connection that is reset, one
closed without an answer, half a body read or sent.
"""

import json
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from email.message import Message
from functools import partial
from http import HTTPStatus
from io import BytesIO
from threading import Condition, Event, Lock, Thread
from types import TracebackType
from typing import Any, Self

from simulator.dialect import Dialect
from simulator.service.bodies import BrokenBody, UnclearBody, announced_length, body_parts
from simulator.service.faults import (
    AckLost,
    Fault,
    Garbage,
    Late,
    PartialRead,
    Redirect,
    Refuse,
    Reset,
    Slow,
    Status,
    Truncate,
    parse_schedule,
)
from simulator.service.ingestion import Acceptance, Endpoint, Inbox, Mixed, Received
from simulator.service.late import LateArrivals
from simulator.service.memory import give_back_large_blocks

try:
    from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
    from werkzeug.wrappers import Response

    from simulator.service.routes import Application, endpoint_of
except ModuleNotFoundError as missing:
    raise ImportError(
        f"the local service needs {missing.name}: pip install 'restante[service]'", name=missing.name
    ) from missing

__all__ = ["MAX_BODY", "Service", "give_back_large_blocks"]

HOST = "127.0.0.1"

MAX_BODY = 10 * 1024 * 1024
"""The largest body that is taken, in bytes; a larger one is answered 413."""

_MAX_DISCARDED = 10 * MAX_BODY
_MAX_SHOWN = 200
_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Welcome to our Wi-Fi</body></html>\n"


class Service:
    """The local service, on a thread of its own from `start` to `close`, or inside ``with``. It lives once.

    Args:
        port: Where it listens on 127.0.0.1; 0 for any free port.
        mixed: What becomes of a batch in which some updates are malformed, which is not known of the real
            service: ``"reject-all"`` answers 0 and applies nothing, ``"apply-valid"`` applies the others.
        faults: A fault schedule, as JSON values or as faults; see `simulator.service.faults`.
        dialect: How it decides what else the real service does not document.
        patience: How long it waits for a sender that says nothing or takes no answer, in seconds; then it
            closes the connection. Also how long a kept connection may be idle.

    Attributes:
        dialect: As given.

    Raises:
        InvalidSchedule: The faults are no schedule.
        ValueError: `mixed` is neither.

    >>> from urllib.request import urlopen
    >>> with Service() as service:
    ...     body = b'{"$token": "T", "$distinct_id": "ada", "$set": {"plan": "pro"}}'
    ...     with urlopen(service.url + "/engage", data=body) as answer:
    ...         answer.read(), service.profiles()
    (b'1', {'ada': {'plan': 'pro'}})
    """

    def __init__(
        self,
        port: int = 0,
        *,
        mixed: str = Mixed.REJECT_ALL,
        faults: Iterable[Any] = (),
        dialect: Dialect | None = None,
        patience: float = 60.0,
    ) -> None:
        self.patience = patience
        self._port = port
        self.dialect = dialect or Dialect()
        self._new_inbox = partial(Inbox, Mixed(mixed), self.dialect)
        self._inbox = self._new_inbox()
        self._late = LateArrivals()
        self._counting = Lock()
        self._schedule(parse_schedule(list(faults)))
        self._closing = Event()
        self._running: tuple[_Server, Thread] | None = None

    # --- its life

    def start(self) -> None:
        """Listen and answer, on a thread of its own; once this returns, the URL answers.

        Raises:
            OSError: The port is in use, or not to be had.
        """
        # Bound here: where a port is in use, werkzeug prints and ends the process.
        with socket.create_server((HOST, self._port), backlog=128) as listener:
            self._port = listener.getsockname()[1]
            server = _Server(self, listener)
        thread = Thread(target=server.serve_forever, args=(0.05,), name="restante-service", daemon=True)
        self._running = server, thread
        thread.start()

    def serve_forever(self) -> None:
        """Start unless it runs already, and return when it is closed: by another thread, or a signal."""
        if self._running is None:
            self.start()
        self._closing.wait()

    def close(self) -> None:
        """End it. Answers on their way still arrive; requests that a fault holds back are dropped.

        So are late copies that are not due yet.
        """
        self._closing.set()
        self._late.close()
        if self._running is not None:
            server, thread = self._running
            server.shutdown()
            thread.join()
            server.end_connections()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it answers, such as ``http://127.0.0.1:8765``."""
        return f"http://{HOST}:{self._port}"

    # --- what its own routes do, for tests in the same process

    def profiles(self, token: str | None = None) -> dict[str, dict[str, Any]]:
        """The users' profiles, id to properties, of one project or of all.

        Of all: where two projects hold the same id, the project that came later is shown.
        """
        return self._inbox.profiles(token)

    def groups(self, token: str | None = None) -> dict[str, dict[str, dict[str, Any]]]:
        """The groups' profiles, group key to id to properties; projects as in `profiles`."""
        return self._inbox.groups(token)

    def messages(self, verdict: str | None = None, token: str | None = None) -> list[Received]:
        """What reached the service, in order of arrival.

        Args:
            verdict: ``"accepted"`` or ``"rejected"``; None for both.
            token: Of this project only.

        Raises:
            ValueError: An unknown verdict.
        """
        return self._inbox.messages(None if verdict is None else Acceptance(verdict), token)

    def set_faults(self, faults: Iterable[Any]) -> None:
        """Replace the fault schedule, and count requests from 1 again.

        Args:
            faults: As JSON values, or as faults.

        Raises:
            InvalidSchedule: They are no schedule; the one before stays.
        """
        self._schedule(parse_schedule(list(faults)))

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until no late copy is outstanding: whether none is.

        Args:
            timeout: How long to wait, in seconds; None for as long as it takes.

        >>> from urllib.request import urlopen
        >>> with Service(faults=[{"at": 1, "fault": "late", "seconds": 0.1}]) as service:
        ...     try:
        ...         urlopen(service.url + "/engage", data=b'{"$token": "T", "$distinct_id": "ada", "$set": {}}')
        ...     except ConnectionError:
        ...         service.settle(timeout=10), service.profiles()
        (True, {'ada': {}})
        """
        return self._late.settle(timeout)

    def reset(self, token: str | None = None) -> None:
        """Forget the profiles and messages of one project, or all. The fault schedule goes on.

        Late copies are on their way, not held here: they still arrive. `settle` first where they should not.
        """
        self._inbox.reset(token)

    # --- what the server asks of it

    def application(self) -> Application:
        """Its routes, as a WSGI application without faults."""
        return Application(self._inbox, self._schedule)

    def rehearsal(self) -> Application:
        """The same routes over an inbox that will be forgotten: they answer alike, and leave nothing applied.

        Alike, because what an update is answered depends on its request alone, not on what is held.
        """
        return Application(self._new_inbox(), self._schedule)

    def _schedule(self, faults: Iterable[Fault]) -> None:
        with self._counting:
            self._requests = 0
            self._faults = {fault.at: fault for fault in faults}

    def next_fault(self) -> Fault | None:
        """Count one ingestion request; what is to befall it."""
        with self._counting:
            self._requests += 1
            return self._faults.get(self._requests)

    def add_late(self, seconds: float, apply: Callable[[], object]) -> None:
        """Have a late copy applied in so many seconds, unless it closes meanwhile."""
        self._late.add(seconds, apply)

    def hold(self, seconds: float) -> bool:
        """Wait, unless it closes meanwhile: whether to go on."""
        return not self._closing.wait(seconds)


class _Server(ThreadedWSGIServer):
    """A thread for each connection; it knows the open ones, so that closing need not wait for clients."""

    def __init__(self, service: Service, listener: socket.socket) -> None:
        self.service = service
        self._open: set[Any] = set()
        self._changed = Condition()
        host, port = listener.getsockname()
        super().__init__(host, port, service.application(), _Handler, fd=listener.fileno())

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def end_connections(self) -> None:
        """Let each handler end: it reads an end of file where it waits for the next request."""
        with self._changed:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._open, timeout=2)


class _Handler(WSGIRequestHandler):
    """Requests of one connection: each is read whole, befallen by its fault if it has one, and answered.

    werkzeug's own `run_wsgi` closes the connection after each answer; a sender that keeps its connections
    meets a local service that does, too.
    """

    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _endpoint: Endpoint | None = None

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.service.patience)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # werkzeug's name
        """Nothing: what a test talks to does not write into its output."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing, without looking: werkzeug's own fails where the target is no URL."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002  # as in the standard library
        """Answer what is no HTTP, in the shape of every refusal, and close."""
        self.close_connection = True
        self._endpoint = None
        self._send(_refusal(code, (message or HTTPStatus(code).phrase)[:_MAX_SHOWN]))

    def run_wsgi(self) -> None:
        """Take one request; `werkzeug.serving` calls this for every method."""
        try:
            environ = self.make_environ()
        except ValueError as error:  # from urlsplit, as for http://[
            self.send_error(HTTPStatus.BAD_REQUEST, f"the request's target is no URL: {error}")
            return
        self._endpoint = endpoint_of(environ["PATH_INFO"])
        # Counted before its body is read, which the body of a refused one never is.
        counted = self._endpoint is not None and self.command.upper() in {"GET", "POST"}
        fault = self.server.service.next_fault() if counted else None
        if isinstance(fault, Refuse):
            self._reset()
            return
        try:
            if isinstance(fault, PartialRead):
                self._read_half()
                self._reset()
                return
            body = self._body()
        except UnclearBody as error:
            self.send_error(error.status, str(error))
            return
        except (BrokenBody, OSError):
            self.close_connection = True
            return
        if body is None:
            self._send(
                _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body takes over {MAX_BODY:,} bytes")
            )
            return
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        self._play(fault, environ)

    def _body(self) -> bytes | None:
        """The body; None for one too large.

        That one is read all the same, within reason: a sender still sending would take an answer and a close
        for a reset.
        """
        length = announced_length(self.headers)
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
        """Read half of the body; of one in chunks, whose length is not known, one byte."""
        try:
            length = announced_length(self.headers)
        except UnclearBody:
            return
        if length is None:
            next(body_parts(self.rfile, None, at_once=1), None)
        else:
            deque(body_parts(self.rfile, length // 2), maxlen=0)

    def _play(self, fault: Fault | None, environ: dict[str, Any]) -> None:
        service = self.server.service
        if isinstance(fault, Slow) and not service.hold(fault.seconds):
            self.close_connection = True
            return
        if isinstance(fault, Late):
            if fault.applied:
                service.add_late(fault.seconds, partial(self._answer, environ))
            self.close_connection = True
            return
        answer = self._answer(environ, applied=fault is None or fault.applied)
        match fault:
            case Reset():
                self._reset()
            case AckLost():
                self.close_connection = True
            case Status():
                self._send(_failure(fault))
            case Redirect():
                self._send(_redirection(fault))
            case Garbage():
                self._send(Response(_PAGE, mimetype="text/html"))
            case Truncate():
                self._send(answer, whole=False)
                self.close_connection = True  # only now: the head does not announce it
            case _:
                self._send(answer)

    def _answer(self, environ: dict[str, Any], *, applied: bool = True) -> Response:
        app = self.server.app if applied else self.server.service.rehearsal()
        return Response.from_app(app, environ, buffered=True)

    def _send(self, response: Response, *, whole: bool = True) -> None:
        body = response.get_data()
        bodiless = response.status_code in _BODILESS
        del response.headers["Content-Length"]
        if self._endpoint is not None:
            response.headers.update(_cross_origin(self.headers))
        if not bodiless:
            response.headers["Content-Length"] = str(len(body))
        if self.close_connection:
            response.headers["Connection"] = "close"
        if self.request_version in {"", "HTTP/0.9"}:
            # The standard library gives those no head, and takes what it cannot read for one of them.
            self.request_version = "HTTP/1.0"
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not bodiless and self.command != "HEAD":
            self.wfile.write(body if whole else body[: len(body) // 2])

    def _reset(self) -> None:
        """Close with RST: lingering for no time drops what is unread and unsent, and skips the farewell.

        Where some of a body is unread, closing alone might end either way: by RST if any of it is left in the
        system, in an orderly manner if the reader's buffer happens to hold it.
        """
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()  # a socket is closed once the files made of it are
        self.connection.close()


def _cross_origin(asked: Message) -> dict[str, str]:
    """What lets a browser SDK read the answer.

    mixpanel-js sends its requests with credentials, and then a browser wants the page's origin by name: it
    hides an answer that says ``*``, and the SDK would send the batch again.
    """
    return {
        "Access-Control-Allow-Origin": _echo(asked.get("Origin"), "*"),
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
        "Access-Control-Allow-Headers": _echo(asked.get("Access-Control-Request-Headers"), "Content-Type"),
        "Access-Control-Expose-Headers": "Retry-After",
        "Vary": "Origin",
    }


def _echo(asked: str | None, otherwise: str) -> str:
    """What was asked, where it may stand in a header: one folded over lines may not, nor may a NUL."""
    return asked if asked is not None and asked.isprintable() else otherwise


def _refusal(code: int, text: str) -> Response:
    return Response(json.dumps({"status": 0, "error": text}), code, mimetype="application/json")


def _failure(fault: Status) -> Response:
    phrases = {status.value: status.phrase for status in HTTPStatus}
    answer = _refusal(fault.code, phrases.get(fault.code, "Unknown"))
    if fault.retry_after is not None:
        after = fault.retry_after
        answer.headers["Retry-After"] = after if isinstance(after, str) else f"{after:g}"
    return answer


def _redirection(fault: Redirect) -> Response:
    answer = _refusal(HTTPStatus.FOUND, HTTPStatus.FOUND.phrase)
    answer.headers["Location"] = fault.location
    return answer
