"""Routes of the relay: a WSGI application that answers SDKs as the service does, once their messages are journaled."""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Any

from recorder.model.credentials import basic_of, is_bearer
from recorder.model.errors import JournalError
from recorder.model.payloads import MAX_BODY, Endpoint, endpoint_of, read_submission
from recorder.model.replies import Reply, answer, is_callback, refusal, too_large, unauthorized
from recorder.model.requestlog import request_line
from recorder.reading.metrics import MEDIA_TYPE, Family, openmetrics
from recorder.relay.inbox import Inbox
from recorder.relay.pages import Pages
from recorder.relay.senders import Senders, sender_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from recorder.shipping.transport import ImportCredentials

__all__ = ["Application"]

_LARGE = 256 * 1024
_MOST_LARGE = 4  # of the threads that answer; the others are for small requests
_RETRY_AFTER = {"Retry-After": "5"}
_INGESTION = ("GET", "POST")
_ELSEWHERE = frozenset({"/decide", "/flags", "/record"})

_log = logging.getLogger("restante.relay")


class Application:
    """Routes over an inbox.

    Args:
        inbox: Takes messages.
        pages: Web pages that may send.
        health: Returns True if nobody need look, and a sentence about each journal.
        metrics: Returns what is known of the journals.
        log: Called with a line for each request; None for none.
    """

    def __init__(
        self,
        inbox: Inbox,
        pages: Pages,
        health: Callable[[], tuple[bool, str]],
        metrics: Callable[[], list[Family]],
        log: Callable[[str], object] | None = None,
    ) -> None:
        self._inbox = inbox
        self._pages = pages
        self._senders = Senders()
        self._health = health
        self._metrics = metrics
        self._log = log
        self._large = BoundedSemaphore(_MOST_LARGE)
        self._reading_large = Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        notes: list[str] = []
        try:
            reply = self._reply(environ, notes)
        except JournalError as error:
            notes.append(str(error))
            reply = refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error), _RETRY_AFTER)
        except Exception as error:  # noqa: BLE001  # a fault of ours, of which the sender is told
            notes.append(f"{type(error).__name__}: {error}")
            _log.exception("answering a request")
            reply = refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the relay failed")
        self._note(environ, reply.status, notes)
        headers = {
            "Content-Type": reply.kind,
            "Content-Length": str(len(reply.body)),
            "Cache-Control": "no-store",
            **reply.headers,
            **self._pages.headers(environ),
        }
        start_response(f"{int(reply.status)} {HTTPStatus(reply.status).phrase}", [*headers.items()])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else reply.body]

    def _note(self, environ: Mapping[str, Any], status: int, notes: list[str]) -> None:
        """Log a request; an error of the log's must not become the sender's, who would send again."""
        if self._log is not None:
            with suppress(Exception):
                self._log(request_line(environ["REQUEST_METHOD"], environ["REQUEST_URI"], status, *notes))

    def _reply(self, environ: Mapping[str, Any], notes: list[str]) -> Reply:
        if reason := self._pages.refusal(environ):
            notes.append(reason)
            return refusal(HTTPStatus.FORBIDDEN, reason)
        path = environ["PATH_INFO"].rstrip("/") or "/"
        endpoint = endpoint_of(path)
        routes = {"/health": self._answer_health, "/metrics": self._answer_metrics}
        if endpoint is None and path not in routes:
            what = "feature flags and recordings are not relayed" if path in _ELSEWHERE else "no such route"
            return refusal(
                HTTPStatus.NOT_FOUND, f"{path}: {what}; the routes are {', '.join([*Endpoint, *routes])}"
            )
        methods = ("GET",) if endpoint is None else _INGESTION
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return Reply(
                HTTPStatus.NO_CONTENT, "text/plain", b"", {"Allow": ", ".join([*methods, "OPTIONS"])}
            )
        if method not in methods:
            error = f"{path} takes {' and '.join(methods)}, not {method}"
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, error, {"Allow": ", ".join([*methods, "OPTIONS"])})
        return routes[path]() if endpoint is None else self._take(endpoint, environ, notes)

    def _take(self, endpoint: Endpoint, environ: Mapping[str, Any], notes: list[str]) -> Reply:
        body = environ["wsgi.input"].read()
        if len(body) > MAX_BODY:
            return too_large(endpoint)
        if _unpacked_size(body, environ) <= _LARGE:
            return self._take_body(endpoint, environ, body, notes)
        if not self._large.acquire(blocking=False):
            error = f"{_MOST_LARGE} large requests are being read; try again"
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, error, _RETRY_AFTER)
        try:
            with self._reading_large:  # one at a time: what is read takes twenty times the memory
                return self._take_body(endpoint, environ, body, notes)
        finally:
            self._large.release()

    def _take_body(
        self, endpoint: Endpoint, environ: Mapping[str, Any], body: bytes, notes: list[str]
    ) -> Reply:
        submission = read_submission(
            endpoint,
            environ["QUERY_STRING"].encode("latin-1"),
            body,
            content_type=environ.get("CONTENT_TYPE", ""),
            content_encoding=environ.get("HTTP_CONTENT_ENCODING", ""),
        )
        callback = submission.options.get("callback")
        if callback and endpoint is not Endpoint.IMPORT and not is_callback(callback):
            return refusal(HTTPStatus.BAD_REQUEST, "callback, must be a function's name")
        account = None
        if endpoint is Endpoint.IMPORT:
            try:
                account = _account(environ.get("HTTP_AUTHORIZATION", ""), submission.options)
            except ValueError as error:
                return unauthorized(str(error))
        first = next(iter(submission.messages), None)
        sender = self._senders.bounded(sender_of(first, environ.get("HTTP_USER_AGENT", "")))
        receipt = self._inbox.take(endpoint, submission, account, sender)
        self._senders.count(endpoint, sender, receipt)
        notes.append(receipt.summary)
        return answer(endpoint, submission, receipt)

    def _answer_health(self) -> Reply:
        well, sentence = self._health()
        status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        return Reply(status, "text/plain; charset=utf-8", f"{sentence}\n".encode())

    def _answer_metrics(self) -> Reply:
        text = openmetrics([*self._metrics(), *self._senders.families()])
        return Reply(HTTPStatus.OK, MEDIA_TYPE, text.encode())


def _unpacked_size(body: bytes, environ: Mapping[str, Any]) -> int:
    """Return the size of a body; that of gzip is what it says at its end, for else it cannot be unpacked."""
    packed = bool(environ.get("HTTP_CONTENT_ENCODING"))
    return int.from_bytes(body[-4:], "little") if packed else len(body)


def _account(header: str, options: Mapping[str, str]) -> "ImportCredentials | None":
    """Return an import's credentials; None if there are none that could be kept."""
    if not header or is_bearer(header):
        return None
    user, password = basic_of(header)
    project = options.get("project_id")
    return (user, password, project) if project else (user, password)
