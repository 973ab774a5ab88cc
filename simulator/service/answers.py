"""Answers in place of the application's: refusals, what faults show, and headers for browsers."""

import json
from email.message import Message
from http import HTTPStatus

from werkzeug.wrappers import Response

from simulator.service.faults import Status

__all__ = ["busy", "cross_origin", "failure", "page", "refusal"]

_PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Welcome to our Wi-Fi</body></html>\n"


def cross_origin(asked: Message) -> dict[str, str]:
    """Return headers that let a browser SDK read the answer.

    mixpanel-js sends credentials, and then browsers want the page's origin by name: they hide an answer that says
    ``*``, and the SDK would send the batch again.
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
    """Return `asked` if it is legal in a header: folded lines and NUL are not."""
    return asked if asked is not None and asked.isprintable() else otherwise


def refusal(code: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """Return an answer in the service's own form for errors."""
    return Response(json.dumps({"status": 0, "error": text}), code, headers, mimetype="application/json")


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
