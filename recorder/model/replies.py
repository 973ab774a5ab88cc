"""Answers of the ingestion endpoints, as the service gives them: a digit, JSON, an image or a script. Pure."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

from recorder.model.events import FailedRecord
from recorder.model.payloads import MAX_BODY, Endpoint, Submission

__all__ = [
    "Receipt",
    "Reply",
    "answer",
    "cross_origin",
    "is_callback",
    "json_reply",
    "refusal",
    "too_large",
    "unauthorized",
]

# A function's name, as the browser SDK has it an element of a table, or its function that does nothing: what stands
# here is run as a program by the page that asked.
_CALLBACK = re.compile(r"[\w.$]{1,100}(\[\d{1,20}\])?|\(function\(\)\{\}\)", re.ASCII)
_PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@dataclass(frozen=True, slots=True)
class Receipt:
    """The fate of a submission's messages.

    Attributes:
        accepted: Number of accepted messages.
        error: The error text of the answer; None for status 1.
        refused: Number of refused messages.
        reason: Why the first of them was refused.
        failed: Those that failed the validation of /import.
    """

    accepted: int = 0
    error: str | None = None
    refused: int = 0
    reason: str | None = None
    failed: tuple[FailedRecord, ...] = ()

    @property
    def summary(self) -> str:
        """The counts and the reason as words."""
        accepted = f"{self.accepted:,} accepted"
        return f"{accepted}, {self.refused:,} refused: {self.reason}" if self.refused else accepted


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer.

    Attributes:
        status: The status code.
        kind: The media type.
        body: The content.
        headers: Further headers.
    """

    status: int
    kind: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def is_callback(text: str) -> bool:
    """Return True if a script may call this.

    >>> is_callback("mixpanel._jsc[123]"), is_callback("alert(1)")
    (True, False)
    """
    return _CALLBACK.fullmatch(text) is not None


def answer(endpoint: Endpoint, submission: Submission, receipt: Receipt) -> Reply:
    """Return the service's answer in the form that the request asks for.

    /import with ``strict=1`` answers in JSON, whatever else is asked. Otherwise ``verbose=1`` is answered in JSON, and
    the rest by a digit; but for /import, ``callback`` makes a script of it, and ``img=1`` an image.

    >>> answer(Endpoint.ENGAGE, Submission([{}]), Receipt(accepted=1)).body
    b'1'
    """
    if submission.too_large:
        return too_large(endpoint)
    if endpoint is Endpoint.IMPORT and submission.asks("strict"):
        return _strict(receipt)
    status = int(receipt.error is None)
    verbose = submission.asks("verbose")
    text = json.dumps({"status": status, "error": receipt.error} if verbose else status)
    kind = "application/json" if verbose else "text/plain"
    if endpoint is not Endpoint.IMPORT:
        if callback := submission.options.get("callback"):
            return Reply(HTTPStatus.OK, "text/javascript", f"{callback}({text});".encode())
        if submission.asks("img"):
            return Reply(HTTPStatus.OK, "image/gif", _PIXEL)
    return Reply(HTTPStatus.OK, kind, text.encode())


def _strict(receipt: Receipt) -> Reply:
    counted = {"num_records_imported": receipt.accepted}
    if receipt.error is None:
        return _coded(HTTPStatus.OK, "OK", counted)
    failed = {"failed_records": [_failed(one) for one in receipt.failed]} if receipt.failed else {}
    return _coded(HTTPStatus.BAD_REQUEST, "Bad Request", {"error": receipt.error, **failed, **counted})


def _failed(record: FailedRecord) -> dict[str, Any]:
    """Return a failed record with both names of the id.

    The reference's page says ``$insert_id``, its OpenAPI file and the official Go SDK ``insert_id``.
    """
    named = asdict(record)
    return {"index": record.index, "$insert_id": record.insert_id, **named}


def too_large(endpoint: Endpoint | None) -> Reply:
    """Return the answer to a body over the limit."""
    error = f"request exceeds max limit of {MAX_BODY} bytes"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if endpoint is Endpoint.IMPORT:
        return _coded(status, "Request Entity Too Large", {"error": error})
    return refusal(status, error)


def unauthorized(reason: str) -> Reply:
    """Return the answer of /import to missing or unfit credentials."""
    return _coded(HTTPStatus.UNAUTHORIZED, "Unauthorized", {"error": f"Invalid credentials: {reason}"})


def _coded(code: HTTPStatus, status: str, more: Mapping[str, Any]) -> Reply:
    return json_reply({"code": code.value, **more, "status": status}, code)


def refusal(status: int, error: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an error in the service's own form."""
    return json_reply({"status": 0, "error": error}, status, headers)


def json_reply(value: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a value as JSON."""
    return Reply(status, "application/json", json.dumps(value).encode(), headers or {})


def cross_origin(origin: str | None, asked_headers: str | None) -> dict[str, str]:
    """Return headers that let a page's browser SDK read the answer.

    mixpanel-js sends credentials, and then browsers want the page's origin by name: they hide an answer that says
    ``*``, and the SDK would send the batch again.

    Args:
        origin: The page's, as sent; None if it is not named.
        asked_headers: What a preflight asks for; None for any other request.
    """
    return {
        "Access-Control-Allow-Origin": _echo(origin, "*"),
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
        "Access-Control-Allow-Headers": _echo(asked_headers, "Content-Type"),
        "Access-Control-Expose-Headers": "Retry-After",
        "Vary": "Origin",
    }


def _echo(asked: str | None, otherwise: str) -> str:
    """Return `asked` if it is legal in a header: folded lines and NUL are not."""
    return asked if asked is not None and asked.isprintable() else otherwise
