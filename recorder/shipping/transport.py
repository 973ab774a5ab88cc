"""`HttpTransport`: the only door to the network.

It says whether a request left by measuring it: the body notes its first read by the connection. An
exception's class cannot tell; a TLS error or a time-out may come before or after.
"""

import netrc  # noqa: F401  # requests imports it as it sends, which a thread of ours does: see recorder.background
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import requests
from requests import Request
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from recorder.model.addresses import base_of
from recorder.model.operations import Lane
from recorder.shipping.verdicts import Answer

__all__ = ["HttpTransport", "ImportCredentials", "Transport"]

ImportCredentials = tuple[str, str] | tuple[str, str, str]
"""User name and password for ``/import``, and a service account's project."""

_PATHS = {Lane.PEOPLE: "/engage", Lane.GROUPS: "/groups", Lane.EVENTS: "/track", Lane.IMPORTS: "/import"}
# verbose: an answer with a reason; ip=0: no geolocation from the sender's address (the documented default of
# /engage contradicts itself, so it is always said).
_QUERY = "?verbose=1&ip=0"
_MOST_ANSWER = 64 * 1024
_IDLE = 5.0  # seconds after which a pooled connection is not trusted: it may be gone without a word
_AT_LEAST = 0.001  # seconds: 0 would mean something else
_MOST_HUNG = 4  # threads given up at their deadline that may hang at a time, in a resolver that never answers


class Transport(Protocol):
    """What a `Shipper` sends through; a test can give its own."""

    def send(self, lane: Lane, body: bytes, *, timeout: float | None = None) -> Answer:
        """Send one request; never raises for what the network does.

        Args:
            lane: Which endpoint.
            body: A JSON array.
            timeout: At most so many seconds in all; None leaves the transport's own limit.
        """

    def reach(self, lane: Lane) -> str | None:
        """Open the connection that the next request will travel on, and send nothing.

        Returns:
            None where it stands; otherwise why it does not, in words.
        """

    def close(self) -> None:
        """Let go of connections."""


class _Cancelled(Exception):  # never seen outside
    """The deadline passed before the body began to leave."""


class _Repeated(Exception):  # never seen outside
    """A session's own retries began to send the body again, which nobody wrote down."""


class _Line:
    """The connection that a request travels on: what is cut when its time is up.

    A thread that reads an answer whose headers drip would do so for days: every byte begins the time-out anew.
    """

    def __init__(self) -> None:
        self.connection: Any = None  # urllib3's
        self._socket: Any = None

    def note(self) -> None:
        """The request begins to leave: this is its socket, which an answer without a length takes over."""
        self._socket = getattr(self.connection, "sock", None)

    def cut(self) -> None:
        """End it, whatever it waits for."""
        used: Any = self._socket or getattr(self.connection, "sock", None)
        if used is not None:
            with suppress(OSError):  # it ended at this very moment
                used.shutdown(socket.SHUT_RDWR)


class _MeasuredBody:
    """A request's body that knows whether the connection began to read it, and can forbid that it begins."""

    def __init__(self, body: bytes, line: _Line) -> None:
        self._body = body
        self._line = line
        self._place = 0
        self._guard = threading.Lock()
        self._left = False
        self._ended = False
        self._cancelled = False

    def __len__(self) -> int:
        return len(self._body)

    def read(self, size: int = -1) -> bytes:
        with self._guard:
            if self._cancelled:
                raise _Cancelled
            if self._ended:
                raise _Repeated
            if not self._left:
                self._line.note()
            self._left = True
        end = len(self._body) if size < 0 else self._place + size
        chunk = self._body[self._place : end]
        self._place += len(chunk)
        self._ended = not chunk
        return chunk

    def cancel(self) -> bool:
        """See to it that nothing leaves that has not begun to; returns whether it has."""
        with self._guard:
            self._cancelled = True
            return self._left

    @property
    def left(self) -> bool:
        with self._guard:
            return self._left


class HttpTransport:
    """Posts batches to the service.

    Args:
        url: A base without path, such as ``http://127.0.0.1:8765``; overrides `api_host`.
        api_host: The service's host: ``api.mixpanel.com``, ``api-eu.mixpanel.com`` or ``api-in.mixpanel.com``.
            A wrong region is not redirected by the service.
        timeout: Seconds to connect, and between two bytes of the answer.
        total: Seconds for a whole request, name resolution and a dripping answer included.
        session: A `requests.Session` of your own: proxies, certificates, adapters. Redirects are not
            followed, and a body is sent once, whatever its retries say. Like any such session it is for one
            thread at a time.
        import_credentials: User name and password for ``/import``, such as a project's secret and ``""``; for a
            service account its project's id comes third. Never written to the journal.

    Raises:
        ShippingError: `url` is no base address.

    >>> HttpTransport(api_host="api-eu.mixpanel.com").base
    'https://api-eu.mixpanel.com'
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        api_host: str = "api.mixpanel.com",
        timeout: tuple[float, float] = (5, 30),
        total: float = 60,
        session: requests.Session | None = None,
        import_credentials: ImportCredentials | None = None,
    ) -> None:
        self.base = base_of(url, api_host)
        self._timeout = timeout
        self._total = total
        self._session = session
        self._own_session = session is None
        self._process = os.getpid()
        self.import_credentials = import_credentials
        self._last_used = 0.0
        self._given_up: list[threading.Thread] = []
        self._probed: Any = None  # the connection that was opened last without a request

    def __repr__(self) -> str:
        return f"HttpTransport(url={self.base!r})"

    def send(self, lane: Lane, body: bytes, *, timeout: float | None = None) -> Answer:
        """Send one request; see `Transport.send`."""
        line = _Line()
        measured = _MeasuredBody(body, line)
        url = self._address(lane)
        limit = self._total if timeout is None else min(self._total, timeout)
        deadline = time.monotonic() + limit
        try:
            answer = self._within(deadline, line, lambda: self._post(url, lane, measured, line, deadline))
        except RuntimeError as error:  # no thread to be had
            return Answer(left=False, url=url, error=str(error))
        finally:
            left = measured.cancel()
        return answer or Answer(left=left, url=url, error=_timed_out(left=left))

    def reach(self, lane: Lane) -> str | None:
        """Open the connection and send nothing; see `Transport.reach`."""
        line = _Line()
        url = self._address(lane)
        deadline = time.monotonic() + self._total
        try:
            cause = self._within(deadline, line, lambda: self._connect(url, line, deadline))
        except RuntimeError as error:
            return str(error)
        return _timed_out(left=False) if cause is None else cause or None

    def _within(self, deadline: float, line: _Line, work: Callable[[], "_Result"]) -> "_Result | None":
        """What `work` returns; None where it is not done by the deadline.

        It runs in a thread of its own: nothing else bounds the resolution of a name, or an answer that drips.

        Raises:
            RuntimeError: There is no thread to be had.
        """
        if not self._may_hang(deadline):
            return None
        done: list[_Result] = []
        worker = threading.Thread(target=lambda: done.append(work()), name="restante-send", daemon=True)
        worker.start()
        worker.join(max(0.0, deadline - time.monotonic()))
        if done:
            return done[0]
        line.cut()
        self._given_up.append(worker)
        if self._own_session:
            self._session = None  # the next request gets connections of its own
        return None

    def _may_hang(self, deadline: float) -> bool:
        """Whether another thread may be begun: one that hangs in a resolver cannot be cut, and an outage is long."""
        self._given_up = [worker for worker in self._given_up if worker.is_alive()]
        if len(self._given_up) < _MOST_HUNG:
            return True
        self._given_up[0].join(max(0.0, deadline - time.monotonic()))
        return not self._given_up[0].is_alive()

    def _address(self, lane: Lane) -> str:
        query = _QUERY
        match self.import_credentials:
            case (_, _, project) if lane is Lane.IMPORTS:
                query += f"&project_id={quote(project, safe='')}"
        return self.base + _PATHS[lane] + query

    def _auth(self, lane: Lane) -> HTTPBasicAuth | None:
        if lane is not Lane.IMPORTS or not self.import_credentials:
            return None
        # As bytes, whatever is in them: requests encodes text as Latin-1, or fails, and then nothing leaves.
        user, password = (part.encode("utf-8", "surrogatepass") for part in self.import_credentials[:2])
        return HTTPBasicAuth(user, password)

    def _connect(self, url: str, line: _Line, deadline: float) -> str:
        """Open a pooled connection as requests would for this address; why it does not stand, or nothing."""
        try:
            session = self._ready_session()
            if not _usual(session, url):
                return ""  # the request itself will show
            pool = _pool(session, Request("POST", url).prepare(), _settings(session, url))
            connection = line.connection = self._next_connection(pool)
        except Exception as error:  # noqa: BLE001  # as in _post
            return _in_words(error, left=False)
        try:
            if connection.sock is None:
                connection.timeout = self._time_left(deadline)[0]
                if pool.proxy is not None and pool.scheme == "https":
                    pool._prepare_proxy(connection)  # noqa: SLF001  # as urllib3 does before a tunnel's first request
                else:
                    connection.connect()
        except Exception as error:  # noqa: BLE001  # as in _post
            at_proxy = pool.proxy is not None and not getattr(connection, "has_connected_to_proxy", True)
            connection.close()
            return _in_words(error, left=False, at_proxy=at_proxy)
        finally:
            pool._put_conn(connection)  # noqa: SLF001
        self._probed = connection
        self._last_used = time.monotonic()
        return ""

    def _next_connection(self, pool: Any) -> Any:
        """Take the connection that the next request would; closed where it was idle: it opens anew when used.

        urllib3 has no public way to a pooled connection: `_get_conn` and `_put_conn` are all there is.
        """
        probed, self._probed = self._probed, None
        if probed is not None:
            _read_tickets(probed)
        connection = pool._get_conn(timeout=self._timeout[0])  # noqa: SLF001
        if time.monotonic() - self._last_used > _IDLE:
            connection.close()
        return connection

    def close(self) -> None:
        """Let go of pooled connections; the transport can be used again."""
        if self._session is not None:
            self._session.close()

    def _post(self, url: str, lane: Lane, body: _MeasuredBody, line: _Line, deadline: float) -> Answer:
        try:
            response = self._answered(url, lane, body, line, deadline)
            try:
                content = self._content(response, line, deadline)
            finally:
                response.close()
        except Exception as error:  # noqa: BLE001  # whatever a stranger's adapter raises, the entries stay
            return Answer(left=body.left, url=url, error=_in_words(error, left=body.left))
        self._last_used = time.monotonic()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(left=body.left, url=url, status=response.status_code, headers=headers, body=content)

    def _answered(
        self, url: str, lane: Lane, body: _MeasuredBody, line: _Line, deadline: float
    ) -> requests.Response:
        session = self._ready_session()
        what: dict[str, Any] = {
            "data": body,  # requests takes what has read() and a length
            "headers": {"Content-Type": "application/json"},
            "auth": self._auth(lane),
        }
        if not _usual(session, url):
            return session.post(
                url, **what, timeout=self._time_left(deadline), allow_redirects=False, stream=True
            )
        # What Session.post does, in its steps: looking at the environment and preparing take as long as sending,
        # and to know the connection both are needed before.
        request = session.prepare_request(Request("POST", url, **what))
        settings = _settings(session, url)
        pool = _pool(session, request, settings)
        line.connection = self._next_connection(pool)
        pool._put_conn(line.connection)  # noqa: SLF001  # the last one in is the first one out
        return session.send(request, timeout=self._time_left(deadline), allow_redirects=False, **settings)

    def _time_left(self, deadline: float) -> tuple[float, float]:
        """To connect, and between two bytes: no longer than the whole, so that a handshake ends with it, too."""
        connect, read = (min(limit, deadline - time.monotonic()) for limit in self._timeout)
        return max(connect, _AT_LEAST), max(read, _AT_LEAST)

    @staticmethod
    def _content(response: requests.Response, line: _Line, deadline: float) -> bytes:
        content = bytearray()
        # A line that is known is cut at the deadline. Any other is read byte by byte, so that a dripping answer is
        # noticed, which takes longer than all else about it; those of the service have some thirty.
        for chunk in response.iter_content(1 if line.connection is None else _MOST_ANSWER):
            content += chunk
            if len(content) >= _MOST_ANSWER:
                break
            if time.monotonic() > deadline:
                raise TimeoutError("the answer did not end in time")
        return bytes(content[:_MOST_ANSWER])

    def _ready_session(self) -> requests.Session:
        if self._own_session and self._process != os.getpid():
            self._session = None  # a forked child: its parent goes on using that connection
            self._process = os.getpid()
        if self._session is None:
            session = requests.Session()
            # requests reads all of a redirect's body, however long, even where it is not to follow.
            session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]  # noqa: ARG005
            # One connection, never repeated: a repetition nobody wrote down is what this library exists to avoid.
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0))
            self._session = session
        return self._session


_Result = TypeVar("_Result")


def _usual(session: requests.Session, url: str) -> bool:
    """Whether neither session nor adapter sends in a way of its own.

    One that does may use other proxies or certificates than it shows: a connection of its pool that does not
    stand would prove nothing.
    """
    known = requests.Session
    usual = ((session.post, known.post), (session.request, known.request), (session.send, known.send))
    adapter = session.get_adapter(url)
    return (
        all(getattr(own, "__func__", None) is theirs for own, theirs in usual)
        and isinstance(adapter, HTTPAdapter)
        and getattr(adapter.send, "__func__", None) is HTTPAdapter.send
    )


def _settings(session: requests.Session, url: str) -> dict[str, Any]:
    """Proxies and certificates for an address, from the session and the environment; answers are streamed."""
    return {**session.merge_environment_settings(url, {}, stream=True, verify=None, cert=None)}


def _pool(session: requests.Session, request: requests.PreparedRequest, settings: dict[str, Any]) -> Any:
    """The pool of urllib3's that a usual session will take its connection for this request from."""
    adapter: Any = session.get_adapter(str(request.url))
    verify, cert = settings["verify"], settings["cert"]
    pool = adapter.get_connection_with_tls_context(request, verify, proxies=settings["proxies"], cert=cert)
    adapter.cert_verify(pool, request.url, verify, cert)
    return pool


def _read_tickets(connection: Any) -> None:
    """Read what TLS 1.3 sends of itself after a handshake.

    urllib3 takes a connection on which there is anything to read for dead, and would open another one.
    """
    used = connection.sock
    if not isinstance(used, ssl.SSLSocket):
        return
    used.settimeout(0)  # the request sets it as it needs it
    try:
        used.recv(1)
    except ssl.SSLWantReadError:
        return  # it stands, and nobody has said anything
    except OSError:
        pass
    connection.close()  # closed by the other side, or there is something that nobody asked for


def _timed_out(*, left: bool) -> str:
    return "timed out after the request had left" if left else "timed out before anything was sent"


def _in_words(error: BaseException, *, left: bool, at_proxy: bool = False) -> str:
    """A cause that a person can act on, without the layers that wrap it.

    Args:
        error: What was raised.
        left: Whether the request had left.
        at_proxy: Whether it was raised on the way to a proxy, or by it.
    """
    text = _root(error)
    words = next((words for sign, words in _CAUSES if sign in text), text[:300])
    if unknown := _UNRESOLVED.search(text):
        words = f"the name {unknown[1]} was not found"
    if words == _TIMED_OUT:
        words = _timed_out(left=left)
    if refused := _TUNNEL_REFUSED.findall(text):
        return f"the proxy answered {refused[-1]}"
    return f"the proxy could not be used: {words}" if at_proxy or "ProxyError" in text else words


def _root(error: BaseException) -> str:
    """The words of the whole chain: libraries put the cause now here, now there."""
    seen: list[str] = []
    current: BaseException | None = error
    while current is not None and len(seen) < 10:  # noqa: PLR2004
        seen.append(f"{type(current).__name__}: {current}")
        current = _beneath(current)
    return " / ".join(seen)


def _beneath(error: BaseException) -> BaseException | None:
    for wrapped in ("reason", "original_error"):
        inner = getattr(error, wrapped, None)
        if isinstance(inner, BaseException):
            return inner
    return error.__cause__ or error.__context__


# The innermost has the proxy's words as they came; those that wrap it show them escaped.
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3}[^'\")/]*)")
_UNRESOLVED = re.compile(r"Failed to resolve '([^']*)'")
_TIMED_OUT = "timed out"

# What the libraries below say, and what it means; the first that fits.
_CAUSES = (
    ("Connection refused", "connection refused"),
    ("Network is unreachable", "the network is unreachable"),
    ("No route to host", "no route to the service"),
    ("CertificateError", "the service's certificate was not accepted"),
    ("CERTIFICATE_VERIFY_FAILED", "the service's certificate was not accepted"),
    ("ConnectTimeout", _TIMED_OUT),
    ("_Cancelled", _TIMED_OUT),
    ("_Repeated", "the session tried to send it again"),
    ("ReadTimeout", _TIMED_OUT),
    ("TimeoutError", _TIMED_OUT),
    ("SSL", "the encrypted connection failed"),
    ("Connection reset", "the connection was reset"),
    ("RemoteDisconnected", "the connection was closed without an answer"),
    ("Broken pipe", "the connection broke"),
    ("IncompleteRead", "the answer was cut"),
    ("InvalidChunkLength", "the answer was cut"),
    ("ended prematurely", "the answer was cut"),
)
