"""Answers as the WSGI library has them, and those that faults show."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Response

from recorder.model import replies
from recorder.model.replies import Reply, json_reply
from simulator.service.faults import Status

__all__ = ["busy", "failure", "json_answer", "page", "refusal", "response"]

_PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Welcome to our Wi-Fi</body></html>\n"


def response(reply: Reply) -> Response:
    """Return a reply as a response of werkzeug's."""
    return Response(reply.body, reply.status, dict(reply.headers), mimetype=reply.kind)


def json_answer(
    value: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a value as JSON."""
    return response(json_reply(value, status, headers))


def refusal(code: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer in the service's own form for errors."""
    return response(replies.refusal(code, text, headers))


def busy(reason: str) -> bytes:
    """Return a whole answer for a connection that no handler takes."""
    text = json.dumps({"status": 0, "error": reason})
    head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    return f"{head}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode()


def page() -> Response:
    """Return a captive portal's answer."""
    return Response(_PAGE, mimetype="text/html")


def failure(fault: Status) -> Response:
    """Return the answer of a scheduled status."""
    phrases = {status.value: status.phrase for status in HTTPStatus}
    after = fault.retry_after
    headers = (
        {"Retry-After": f"{after:g}" if isinstance(after, int | float) else after}
        if after is not None
        else {}
    )
    return refusal(fault.code, phrases.get(fault.code, "Unknown"), headers)
