"""`HttpTransport`: the only door to the network.

It says whether a request left by measuring it: the body notes its first read by the connection. An
exception's class cannot tell; a TLS error or a time-out may come before or after.
"""

import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote, urlsplit

from recorder.errors import ShippingError
from recorder.operations import Lane
from recorder.verdicts import Answer

if TYPE_CHECKING:
    import requests
    from requests.auth import HTTPBasicAuth

__all__ = ["HttpTransport", "ImportCredentials", "Transport"]

ImportCredentials = tuple[str, str] | tuple[str, str, str]
"""User name and password for ``/import``, and a service account's project."""

_PATHS = {Lane.PEOPLE: "/engage", Lane.GROUPS: "/groups", Lane.EVENTS: "/track", Lane.IMPORTS: "/import"}
# verbose: an answer with a reason; ip=0: no geolocation from the sender's address (the documented default of
# /engage contradicts itself, so it is always said).
_QUERY = "?verbose=1&ip=0"
_MOST_ANSWER = 64 * 1024
_IDLE = 5.0  # seconds after which a pooled connection is not trusted: it may be gone without a word


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


class _MeasuredBody:
    """A request's body that knows whether the connection began to read it, and can forbid that it begins."""

    def __init__(self, body: bytes) -> None:
        self._body = body
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
            followed, and a body is sent once, whatever its retries say.
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
        session: "requests.Session | None" = None,
        import_credentials: ImportCredentials | None = None,
    ) -> None:
        self.base = _base(url if url is not None else f"https://{api_host}")
        self._timeout = timeout
        self._total = total
        self._session = session
        self._own_session = session is None
        self.import_credentials = import_credentials
        self._last_used = 0.0

    def __repr__(self) -> str:
        return f"HttpTransport(url={self.base!r})"

    def send(self, lane: Lane, body: bytes, *, timeout: float | None = None) -> Answer:
        """Send one request; see `Transport.send`."""
        measured = _MeasuredBody(body)
        url = self._address(lane)
        limit = self._total if timeout is None else min(self._total, timeout)
        deadline = time.monotonic() + limit
        try:
            answer = _within(deadline, lambda: self._post(url, lane, measured, deadline))
        except RuntimeError as error:  # no thread to be had
            return Answer(left=False, url=url, error=str(error))
        finally:
            left = measured.cancel()
        if answer is not None:
            return answer
        self._abandon()
        when = "after the request had left" if left else "before anything was sent"
        return Answer(left=left, url=url, error=f"timed out {when}")

    def reach(self, lane: Lane) -> str | None:
        """Open the connection and send nothing; see `Transport.reach`."""
        url = self._address(lane)
        try:
            cause = _within(time.monotonic() + self._total, lambda: self._connect(url))
        except RuntimeError as error:
            return str(error)
        if cause is None:
            self._abandon()
            return "timed out before anything was sent"
        return cause or None

    def _address(self, lane: Lane) -> str:
        query = _QUERY
        match self.import_credentials:
            case (_, _, project) if lane is Lane.IMPORTS:
                query += f"&project_id={quote(project, safe='')}"
        return self.base + _PATHS[lane] + query

    def _auth(self, lane: Lane) -> "HTTPBasicAuth | None":
        from requests.auth import HTTPBasicAuth

        if lane is not Lane.IMPORTS or not self.import_credentials:
            return None
        # As bytes, whatever is in them: requests encodes text as Latin-1, or fails, and then nothing leaves.
        user, password = (part.encode("utf-8", "surrogatepass") for part in self.import_credentials[:2])
        return HTTPBasicAuth(user, password)

    def _connect(self, url: str) -> str:
        """Open a pooled connection as requests would for this address; why it does not stand, or nothing."""
        import requests

        session = self._ready_session()
        try:
            settings = session.merge_environment_settings(url, {}, True, None, None)  # noqa: FBT003
            pool: Any = session.get_adapter(url).get_connection_with_tls_context(  # type: ignore[attr-defined]
                requests.Request("POST", url).prepare(),
                settings["verify"],
                settings["proxies"],
                settings["cert"],
            )
            # urllib3 has no public way to open a connection and leave it in its pool.
            connection = pool._get_conn()  # noqa: SLF001
        except AttributeError:
            return ""  # an adapter of another kind: the request itself will show
        except Exception as error:  # noqa: BLE001  # as in _post
            return _in_words(error, left=False)
        try:
            if connection.sock is None:
                connection.timeout = self._timeout[0]
                if pool.proxy is not None and pool.scheme == "https":
                    pool._prepare_proxy(connection)  # noqa: SLF001  # as urllib3 does before a tunnel's first request
                else:
                    connection.connect()
        except Exception as error:  # noqa: BLE001  # as in _post
            connection.close()
            return _in_words(error, left=False)
        finally:
            pool._put_conn(connection)  # noqa: SLF001
        self._last_used = time.monotonic()
        return ""

    def close(self) -> None:
        """Let go of pooled connections; the transport can be used again."""
        if self._session is not None:
            self._session.close()

    def _post(self, url: str, lane: Lane, body: _MeasuredBody, deadline: float) -> Answer:
        session = self._ready_session()
        try:
            response = session.post(
                url,
                data=body,  # requests takes what has read() and a length
                headers={"Content-Type": "application/json"},
                auth=self._auth(lane),
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            try:
                content = self._content(response, deadline)
            finally:
                response.close()
        except Exception as error:  # noqa: BLE001  # whatever a stranger's adapter raises, the entries stay
            return Answer(left=body.left, url=url, error=_in_words(error, left=body.left))
        self._last_used = time.monotonic()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(left=body.left, url=url, status=response.status_code, headers=headers, body=content)

    @staticmethod
    def _content(response: "requests.Response", deadline: float) -> bytes:
        content = bytearray()
        # Byte by byte, so that a dripping answer is noticed; those of the service have some thirty.
        for chunk in response.iter_content(1):
            content += chunk
            if len(content) >= _MOST_ANSWER:
                break
            if time.monotonic() > deadline:
                raise TimeoutError("the answer did not end in time")
        return bytes(content[:_MOST_ANSWER])

    def _ready_session(self) -> "requests.Session":
        import requests
        from requests.adapters import HTTPAdapter

        if self._session is None:
            self._session = requests.Session()
            # One connection, never repeated: a repetition nobody wrote down is what this library exists to avoid.
            for scheme in ("http://", "https://"):
                self._session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0))
        elif self._own_session and time.monotonic() - self._last_used > _IDLE:
            self._session.close()
        return self._session

    def _abandon(self) -> None:
        """A request hangs in its thread: the next one gets connections of its own."""
        if self._own_session:
            self._session = None


_Result = TypeVar("_Result")


def _within(deadline: float, work: Callable[[], _Result]) -> _Result | None:
    """What `work` returns; None where it is not done by the deadline.

    It runs in a thread of its own: nothing else bounds the resolution of a name, or an answer that drips.

    Raises:
        RuntimeError: There is no thread to be had.
    """
    done: list[_Result] = []
    worker = threading.Thread(target=lambda: done.append(work()), name="restante-send", daemon=True)
    worker.start()
    worker.join(max(0.0, deadline - time.monotonic()))
    return done[0] if done else None


_HOST = re.compile(r"[\w.:%-]+")


def _base(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = (
            parts.scheme in {"http", "https"}
            and _HOST.fullmatch(parts.hostname or "") is not None
            and (parts.port is None or parts.port >= 0)
        )
    except ValueError:
        usable = False
    if not usable:
        raise ShippingError(
            f"{url!r} is no address of a service", hint="Give a base such as https://api.mixpanel.com."
        )
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ShippingError(
            f"{url!r} has more than a base", hint="Leave out the path: /engage and the like are added."
        )
    return f"{parts.scheme}://{parts.netloc}"


def _in_words(error: BaseException, *, left: bool) -> str:
    """A cause that a person can act on, without the layers that wrap it."""
    text = _root(error)
    for sign, words in _CAUSES:
        if sign in text:
            return words + (" after the request had left" if left and words == "timed out" else "")
    return text[:300] or type(error).__name__


def _root(error: BaseException) -> str:
    """The words of the whole chain: libraries put the cause now here, now there."""
    seen: list[str] = []
    current: Any = error
    while current is not None and len(seen) < 10:  # noqa: PLR2004
        seen.append(f"{type(current).__name__}: {current}")
        current = (
            getattr(current, "reason", None)
            if _has_reason(current)
            else current.__cause__ or current.__context__
        )
    return " / ".join(seen)


def _has_reason(error: BaseException) -> bool:
    return isinstance(getattr(error, "reason", None), BaseException)


# What the libraries below say, and what it means; the first that fits.
_CAUSES = (
    ("NameResolutionError", "the name of the service was not found"),
    ("Connection refused", "connection refused"),
    ("Network is unreachable", "the network is unreachable"),
    ("No route to host", "no route to the service"),
    ("ProxyError", "the proxy could not be used"),
    ("CertificateError", "the service's certificate was not accepted"),
    ("CERTIFICATE_VERIFY_FAILED", "the service's certificate was not accepted"),
    ("ConnectTimeout", "no connection in time"),
    ("_Cancelled", "timed out"),
    ("_Repeated", "the session tried to send it again"),
    ("ReadTimeout", "timed out"),
    ("TimeoutError", "timed out"),
    ("SSLError", "the encrypted connection failed"),
    ("Connection reset", "the connection was reset"),
    ("RemoteDisconnected", "the connection was closed without an answer"),
    ("Broken pipe", "the connection broke"),
    ("IncompleteRead", "the answer was cut"),
    ("InvalidChunkLength", "the answer was cut"),
)
