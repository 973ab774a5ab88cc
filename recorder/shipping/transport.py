"""`HttpTransport`, the only module that sends anything."""

import contextlib
import netrc  # noqa: F401  # requests would import it in a thread of ours: see recorder.background
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import requests
from requests import PreparedRequest, Request
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from recorder.model.addresses import SERVICE, base_of, is_loopback
from recorder.model.operations import Lane
from recorder.model.routes import Import
from recorder.shipping.causes import in_words, nothing_sent, timed_out
from recorder.shipping.connections import CarrierAdapter, Exchange, open_carriers
from recorder.shipping.verdicts import Answer

__all__ = ["HttpTransport", "ImportCredentials", "Transport"]

ImportCredentials = tuple[str, str] | tuple[str, str, str]
"""User name and password for ``/import``, and a service account's project."""

_PATHS = {Lane.PEOPLE: "/engage", Lane.GROUPS: "/groups", Lane.EVENTS: "/track", Lane.IMPORTS: "/import"}
# verbose: an answer with a reason; ip=0: no geolocation from the sender's address (the documented default of
# /engage contradicts itself, so it is always said).
_QUERY = "?verbose=1&ip=0"
_STRICT = "&strict=1"
_HEADERS = {"Content-Type": "application/json"}
_MOST_ANSWER = 64 * 1024
_MOST_STRICT = 4 * 1024 * 1024  # it names up to 2,000 events, with words about each
_EXPECTED = {200, 400}  # after these the connection is used again
_AT_LEAST = 0.001  # seconds: 0 would mean something else
_MOST_HUNG = 4  # threads given up at their deadline that may hang at a time, in a resolver that never answers

_Result = TypeVar("_Result")


class Transport(Protocol):
    """The way of a `Shipper` to the service; a test can give its own."""

    def send(
        self, lane: Lane, body: bytes, *, route: Import | None = None, timeout: float | None = None
    ) -> Answer:
        """Send one request; never raise for what the network does.

        Args:
            lane: The endpoint.
            body: A JSON array.
            route: How to send events or imports to ``/import``; not given for any other request.
            timeout: At most so many seconds in all; None leaves the transport's own limit.
        """

    def reach(self, lane: Lane) -> str | None:
        """Open the connection that the next request will travel on, and send nothing.

        Returns:
            None if it stands; otherwise the reason, in words.
        """

    def close(self) -> None:
        """Close all pooled connections."""


class HttpTransport:
    """Posts batches to the service.

    Args:
        url: A base, such as ``http://127.0.0.1:8765`` or ``https://shop.example/mp``; overrides `api_host`.
        api_host: The service's host; ``eu`` and ``in`` stand for ``api-eu.mixpanel.com`` and
            ``api-in.mixpanel.com``. A wrong region is not redirected by the service.
        timeout: Seconds to connect, and between two bytes of the answer.
        total: Seconds for a whole request, name resolution and a dripping answer included.
        session: A `requests.Session` of your own: proxies, certificates, adapters, an auth. Redirects are not
            followed, and a body is sent once, whatever its retries say. Like any such session it is for one
            thread at a time. Without one, the environment's proxies are used, but not for loopback addresses;
            they are read at the first request, and again after one that failed. ``~/.netrc`` is not read, and no
            cookie is kept.
        import_credentials: User name and password for ``/import``, such as a project's secret and ``""``; for a
            service account its project's id comes third. Never written to the journal. Without them, events that
            are too old for ``/track`` are sent there with the project's token, unless `session` has an auth.

    Raises:
        ShippingError: `url` is no base address.

    >>> HttpTransport(api_host="api-eu.mixpanel.com").base
    'https://api-eu.mixpanel.com'
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        api_host: str = SERVICE,
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
        self._given_up: list[threading.Thread] = []
        self._kept: dict[str, tuple[PreparedRequest, dict[str, Any]]] = {}  # by address; see _prepared

    def __repr__(self) -> str:
        return f"HttpTransport(url={self.base!r})"

    def send(
        self, lane: Lane, body: bytes, *, route: Import | None = None, timeout: float | None = None
    ) -> Answer:
        """Send one request; see `Transport.send`."""
        exchange = Exchange(body)
        url, auth = self._address(lane, route), self._auth(lane, route)
        deadline = time.monotonic() + (self._total if timeout is None else min(self._total, timeout))
        answer = self._within(deadline, exchange, lambda: self._post(url, auth, exchange, deadline))
        left = exchange.left
        return answer or Answer(left=left, url=url, error=timed_out(left=left))

    def reach(self, lane: Lane) -> str | None:
        """Open the connection and send nothing; see `Transport.reach`."""
        exchange = Exchange(None)
        url = self._address(lane)
        deadline = time.monotonic() + self._total
        cause = self._within(deadline, exchange, lambda: self._open(url, deadline))
        return timed_out(left=False) if cause is None else cause or None

    def _within(self, deadline: float, exchange: Exchange, work: Callable[[], _Result]) -> _Result | None:
        """Return what `work` returns, or None if it is not done by the deadline.

        It runs in a thread of its own, for nothing else bounds the resolution of a name, or an answer that drips.
        """
        if not self._may_hang(deadline):
            return None
        done: list[_Result] = []

        def run() -> None:
            with exchange.in_this_thread():
                done.append(work())

        worker = threading.Thread(target=run, name="restante-send", daemon=True)
        try:
            worker.start()
        except RuntimeError:  # no thread starts: so Python 3.12.0 to 3.12.2 as the interpreter ends
            run()
        try:
            if not done:
                worker.join(max(0.0, deadline - time.monotonic()))
        finally:
            in_time = done[:1]
            if not in_time:
                self._give_up(exchange, worker)
        return in_time[0] if in_time else None

    def _give_up(self, exchange: Exchange, worker: threading.Thread) -> None:
        exchange.cancel()
        self._given_up.append(worker)
        if self._own_session:
            self._session = None  # the next request gets connections of its own

    def _may_hang(self, deadline: float) -> bool:
        """Return True if another thread may start: one that hangs in a resolver cannot be cut."""
        self._given_up = [worker for worker in self._given_up if worker.is_alive()]
        if len(self._given_up) < _MOST_HUNG:
            return True
        self._given_up[0].join(max(0.0, deadline - time.monotonic()))
        return not self._given_up[0].is_alive()

    def _address(self, lane: Lane, route: Import | None = None) -> str:
        endpoint = lane if route is None else Lane.IMPORTS
        query = _QUERY + _STRICT * (route is not None and route.strict)
        match self.import_credentials:
            case (_, _, project) if endpoint is Lane.IMPORTS:
                query += f"&project_id={quote(project, safe='')}"
        return self.base + _PATHS[endpoint] + query

    def _auth(self, lane: Lane, route: Import | None) -> HTTPBasicAuth | None:
        if lane is not Lane.IMPORTS and route is None:
            return None
        credentials = self.import_credentials
        if not credentials and route is not None and route.token and not self._brings_auth():
            credentials = route.token, ""  # documented: the token as the user's name, without a password
        if not credentials:
            return None
        # As bytes, whatever is in them: requests encodes text as Latin-1, or fails, and then nothing leaves.
        user, password = (part.encode("utf-8", "surrogatepass") for part in credentials[:2])
        return HTTPBasicAuth(user, password)

    def _brings_auth(self) -> bool:
        """Return True if the app's own session authorizes its requests, as for a gateway."""
        session = None if self._own_session else self._session
        return session is not None and bool(session.auth or "Authorization" in session.headers)

    def _open(self, url: str, deadline: float) -> str:
        """Open a pooled connection as a request would; return why it does not stand, or nothing."""
        try:
            session = self._ready_session()
            if not _usual(session, url):
                return ""  # the request itself will show
            if self._own_session:
                request, settings = self._prepared(session, url)
            else:  # an auth would want a body
                request = Request("POST", url).prepare()
                settings = _settings(session, request)
            adapter = session.get_adapter(url)
            response = adapter.send(request, timeout=self._time_left(deadline), **settings)
            response.raw.release_conn()  # into the pool, where the next request finds it
        except Exception as error:  # noqa: BLE001  # as in _post
            self._kept.clear()
            return in_words(error, left=False)
        return ""

    def close(self) -> None:
        """Close pooled connections; the transport can be used again."""
        if self._session is not None:
            self._session.close()

    def _post(self, url: str, auth: HTTPBasicAuth | None, exchange: Exchange, deadline: float) -> Answer:
        try:
            response = self._answered(url, auth, exchange, deadline)
            try:
                most = _MOST_STRICT if _STRICT in url else _MOST_ANSWER
                content = self._content(response, exchange, deadline, most)
                if response.status_code not in _EXPECTED:
                    _end(self._session, url, exchange)  # what says the unexpected may go on saying it
                    self._kept.clear()  # and may be a proxy
            finally:
                response.close()
        except Exception as error:  # noqa: BLE001  # whatever a stranger's adapter raises, the entries stay
            self._kept.clear()
            exchange.measured |= nothing_sent(error)
            return Answer(left=exchange.left, url=url, error=in_words(error, left=exchange.left))
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(left=True, url=url, status=response.status_code, headers=headers, body=content)

    def _answered(
        self, url: str, auth: HTTPBasicAuth | None, exchange: Exchange, deadline: float
    ) -> requests.Response:
        session, timeout = self._ready_session(), self._time_left(deadline)
        if not _usual(session, url):
            exchange.measured = False
            return session.post(
                url,
                data=exchange,
                headers=_HEADERS,
                auth=auth,
                proxies=_own_proxies(url),
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            )
        if self._own_session:
            request, settings = self._prepared(session, url)
            request.prepare_body(exchange, None)
            if auth is not None:
                request.prepare_auth(auth)
            return session.get_adapter(url).send(request, timeout=timeout, **settings)
        # The steps of Session.post: the pool must be known before it opens a connection.
        request = session.prepare_request(Request("POST", url, data=exchange, headers=_HEADERS, auth=auth))
        if request.body is not exchange:
            exchange.replace_body(request.body)
            request.body = exchange
        settings = _settings(session, request)
        return session.send(request, timeout=timeout, allow_redirects=False, **settings)

    def _prepared(self, session: requests.Session, url: str) -> tuple[PreparedRequest, dict[str, Any]]:
        """Return a request of our own session, without a body, and its settings.

        They are kept until a request fails: making them takes as long as the request itself.
        """
        kept = self._kept.get(url)
        if kept is None:
            request = session.prepare_request(Request("POST", url, headers=_HEADERS))
            kept = self._kept[url] = request, _settings(session, request)
        return kept[0].copy(), kept[1]

    def _time_left(self, deadline: float) -> tuple[float, float]:
        """Return the time-outs to connect and to read, which end no later than the deadline."""
        connect, read = (min(limit, deadline - time.monotonic()) for limit in self._timeout)
        return max(connect, _AT_LEAST), max(read, _AT_LEAST)

    @staticmethod
    def _content(response: requests.Response, exchange: Exchange, deadline: float, most: int) -> bytes:
        content = bytearray()
        # A connection that is known is cut at the deadline. Any other is read byte by byte, so that a dripping answer
        # is noticed, which takes longer than all else about it; those of the service have some thirty.
        try:
            for chunk in response.iter_content(1 if exchange.connection is None else _MOST_ANSWER):
                content += chunk
                if len(content) >= most:
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError("the answer did not end in time")
        except requests.exceptions.ContentDecodingError:
            exchange.cancel()
            return b""  # a page that is not encoded as it says; its status says enough
        return bytes(content[:most])

    def _ready_session(self) -> requests.Session:
        if self._own_session and self._process != os.getpid():
            self._session = None  # a forked child: its parent goes on using that connection
            self._process = os.getpid()
        if self._session is None:
            session = requests.Session()
            session.auth = _as_it_is  # in place of ~/.netrc, whose default entry would go anywhere
            # One connection, never repeated: a repetition nobody wrote down is what this library exists to avoid.
            for scheme in ("http://", "https://"):
                session.mount(scheme, CarrierAdapter(pool_connections=1, pool_maxsize=1, max_retries=0))
            self._session = session
        return self._session


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    return request


def _usual(session: requests.Session, url: str) -> bool:
    """Return True if neither session nor adapter sends in a way of its own.

    One that does may use other proxies or certificates than it shows: a connection of its pool that does not
    stand would prove nothing.
    """
    adapter = session.get_adapter(url)
    usual = [
        (getattr(session, name), getattr(requests.Session, name)) for name in ("post", "request", "send")
    ]
    usual.append((adapter.send, HTTPAdapter.send))
    return isinstance(adapter, HTTPAdapter) and all(
        # Test doubles put their own in the place of requests'.
        getattr(own, "__func__", None) is theirs and theirs.__module__.startswith("requests.")
        for own, theirs in usual
    )


def _own_proxies(url: str) -> dict[str, str]:
    """Return what lets a session pass over the environment's proxies: none of them can reach this machine."""
    return {"no_proxy": "*"} if is_loopback(url) else {}


def _end(session: requests.Session | None, url: str, exchange: Exchange) -> None:
    """Let no later request travel on the connection of this one."""
    exchange.cancel()
    if exchange.connection is None and session is not None:
        with contextlib.suppress(Exception):  # a stranger's adapter; what was answered stands
            session.get_adapter(url).close()


def _settings(session: requests.Session, request: PreparedRequest) -> dict[str, Any]:
    """Return proxies and certificates for a request, from session and environment; its connection is a `Carrier`."""
    url = str(request.url)
    settings = {
        **session.merge_environment_settings(url, _own_proxies(url), stream=True, verify=None, cert=None)
    }
    adapter = session.get_adapter(url)
    if not isinstance(adapter, CarrierAdapter):
        open_carriers(adapter, request, settings)
    return settings
