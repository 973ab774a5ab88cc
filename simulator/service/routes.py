"""Routes of the local service: a WSGI application that answers as the real service does, and shows its state."""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from recorder.model.payloads import Endpoint, Unreadable, endpoint_of, form_fields, read_submission
from recorder.model.replies import answer, is_callback, unauthorized
from recorder.model.requestlog import NOTES
from simulator.service.answers import json_answer, refusal, response
from simulator.service.credentials import Unauthorized, authorize
from simulator.service.faults import Fault, InvalidSchedule, read_schedule
from simulator.service.ingestion import Acceptance, Inbox
from simulator.service.origins import web_page
from simulator.service.queries import Queries, Refused, TooMany

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["PART", "Application"]

PART = "restante.part"
"""Key of a number in the WSGI environment: as many messages of the request are taken, the first ones."""

_ROUTES = (
    ("POST GET", "/engage", "_take", "takes updates of users' profiles"),
    ("POST GET", "/groups", "_take", "takes updates of groups' profiles"),
    ("POST GET", "/track", "_take", "takes events of the last five days, and keeps them unchanged"),
    ("POST GET", "/import", "_take", "takes events of any age, with HTTP Basic; strict=1 validates each"),
    ("POST GET", "/api/query/engage", "_query", "shows profiles in pages, by id or group, with HTTP Basic"),
    ("POST GET", "/api/2.0/engage", "_query", "the same, for mixpanel-utils"),
    ("GET", "/simulator/profiles", "_profiles", "shows users' profiles: id to properties"),
    ("GET", "/simulator/groups", "_groups", "shows groups' profiles: key to id to properties"),
    ("GET", "/simulator/messages", "_messages", "shows messages with verdict and reason (verdict=rejected)"),
    ("POST", "/simulator/reset", "_reset", "forgets profiles and messages; the fault schedule continues"),
    ("PUT", "/simulator/faults", "_faults", 'takes a fault schedule: [{"at": 1, "fault": "ack_lost"}]'),
    ("GET", "/", "_index", "this page"),
)
"""Methods, path, method of `Application`, and what the front page says."""


class Application:
    """Routes over an inbox.

    Args:
        inbox: Messages and profiles.
        schedule: Called with the faults of ``PUT /simulator/faults``.
        queries: The query API over the inbox.
        account: The only service account's name and secret; None accepts any.
        own_name: The name or address of a service that others can reach; None for one on a loopback address.
    """

    def __init__(
        self,
        inbox: Inbox,
        schedule: Callable[[Iterable[Fault]], None],
        queries: Queries,
        *,
        account: tuple[str, str] | None = None,
        own_name: str | None = None,
    ) -> None:
        self._inbox = inbox
        self._schedule = schedule
        self._queries = queries
        self._account = account
        self._own_name = own_name
        self._routes: dict[str, dict[str, Callable[[Request], Response]]] = {
            path: dict.fromkeys(methods.split(), getattr(self, name)) for methods, path, name, _ in _ROUTES
        }

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # Populating makes a cycle of request and environ, which would keep the body until the next garbage collection.
        return self._answer(Request(environ, populate_request=False))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        path = request.path.rstrip("/") or "/"
        if endpoint_of(path) is None and (reason := web_page(request.environ, self._own_name)):
            return refusal(HTTPStatus.FORBIDDEN, f"{path} is for programs, not for web pages: {reason}")
        methods = self._routes.get(path)
        if methods is None:
            return refusal(HTTPStatus.NOT_FOUND, f"no route {path}; GET / lists them")
        if request.method == "OPTIONS":
            return _allowing(methods, Response(status=HTTPStatus.NO_CONTENT))
        route = methods.get(request.method)
        if route is None:
            words = f"{path} takes {' and '.join(methods)}, not {request.method}"
            return _allowing(methods, refusal(HTTPStatus.METHOD_NOT_ALLOWED, words))
        return route(request)

    # --- the real service's routes

    def _take(self, request: Request) -> Response:
        endpoint = Endpoint("/" + request.path.strip("/"))
        submission = read_submission(
            endpoint,
            request.query_string,
            request.get_data(),
            content_type=request.headers.get("Content-Type", ""),
            content_encoding=request.headers.get("Content-Encoding", ""),
        )
        callback = submission.options.get("callback")
        if callback and endpoint is not Endpoint.IMPORT and not is_callback(callback):
            return refusal(HTTPStatus.BAD_REQUEST, "callback, must be a function's name")
        project = None
        if endpoint is Endpoint.IMPORT:
            try:
                project = self._authorized(request, submission.options)
            except Unauthorized as error:
                return response(unauthorized(str(error)))
        receipt = self._inbox.take(endpoint, submission, project, request.environ.get(PART))
        request.environ.setdefault(NOTES, []).append(receipt.summary)
        return response(answer(endpoint, submission, receipt))

    def _query(self, request: Request) -> Response:
        try:
            body = request.get_data()
            if body.lstrip().startswith((b"{", b"[")):
                raise Refused("the body must be a form, not JSON")
            options = form_fields(request.query_string) | form_fields(body)
            self._authorized(request, options)
            return json_answer(self._queries.answer(options))
        except Unauthorized as error:
            return _query_error(f"Invalid credentials: {error}", HTTPStatus.UNAUTHORIZED)
        except TooMany as error:
            return _query_error(str(error), HTTPStatus.TOO_MANY_REQUESTS, error.retry_after)
        except (Refused, Unreadable) as error:
            return _query_error(str(error), HTTPStatus.BAD_REQUEST)

    def _authorized(self, request: Request, options: Mapping[str, str]) -> str | None:
        return authorize(request.headers.get("Authorization", ""), options, self._account)

    # --- the simulator's own routes

    def _profiles(self, request: Request) -> Response:
        return json_answer(self._inbox.profiles(request.args.get("token")))

    def _groups(self, request: Request) -> Response:
        return json_answer(self._inbox.groups(request.args.get("token")))

    def _messages(self, request: Request) -> Response:
        verdict = request.args.get("verdict")
        if verdict is not None and verdict not in set(Acceptance):
            return refusal(HTTPStatus.BAD_REQUEST, "verdict is accepted or rejected")
        chosen = None if verdict is None else Acceptance(verdict)
        shown = ("endpoint", "message", "verdict", "reason")
        received = self._inbox.messages(chosen, request.args.get("token"))
        return json_answer([{name: getattr(one, name) for name in shown} for one in received])

    def _reset(self, request: Request) -> Response:
        try:
            options = form_fields(request.query_string) | form_fields(request.get_data())
        except Unreadable as error:
            return refusal(HTTPStatus.BAD_REQUEST, str(error))
        self._inbox.reset(options.get("token"))
        return json_answer({"status": 1, "error": None})

    def _faults(self, request: Request) -> Response:
        try:
            faults = read_schedule(request.get_data())
        except InvalidSchedule as error:
            return refusal(HTTPStatus.BAD_REQUEST, str(error))
        self._schedule(faults)
        return json_answer({"status": 1, "error": None})

    def _index(self, _request: Request) -> Response:
        lines = [f"{methods:<10}{path:<22}{about}\n" for methods, path, _, about in _ROUTES]
        return Response(_BEFORE + "".join(lines) + _AFTER, mimetype="text/plain")


_BEFORE = "The local service of restante takes what SDKs send, and shows the resulting profiles.\n\n"
_AFTER = """
Requests carry a JSON array or one object, as the body or as data= in a form or the query, there also in
base64; at /track and /import also in gzip, at /import also as lines (application/x-ndjson). The answer is
1 if one or more messages are valid, and 0 otherwise; with verbose=1, JSON with the error. token= narrows what
is shown or forgotten to one project.
"""


def _query_error(text: str, status: int, retry_after: float | None = None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": str(ceil(retry_after))}
    return json_answer({"error": text, "status": "error"}, status, headers)


def _allowing(methods: Iterable[str], response: Response) -> Response:
    response.headers["Allow"] = ", ".join([*methods, "OPTIONS"])
    return response
