"""Answers of the ingestion endpoints: a digit, JSON, an image or a script."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Response

from recorder.model.payloads import MAX_BODY, Endpoint, Submission
from simulator.service.events import FailedRecord
from simulator.service.ingestion import Receipt

__all__ = ["answer", "is_callback", "json_answer", "too_large", "unauthorized"]

# A function's name, as the browser SDK has it an element of a table, or its function that does nothing: what stands
# here is run as a program by the page that asked.
_CALLBACK = re.compile(r"[\w.$]{1,100}(\[\d{1,20}\])?|\(function\(\)\{\}\)", re.ASCII)
_PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def is_callback(text: str) -> bool:
    """Return True if a script may call this.

    >>> is_callback("mixpanel._jsc[123]"), is_callback("alert(1)")
    (True, False)
    """
    return _CALLBACK.fullmatch(text) is not None


def answer(endpoint: Endpoint, submission: Submission, receipt: Receipt) -> Response:
    """Return the service's answer in the form that the request asks for.

    /import with ``strict=1`` answers in JSON, whatever else is asked. Otherwise ``verbose=1`` is answered in JSON, and
    the rest by a digit; but for /import, ``callback`` makes a script of it, and ``img=1`` an image.
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
            return Response(f"{callback}({text});", mimetype="text/javascript")
        if submission.asks("img"):
            return Response(_PIXEL, mimetype="image/gif")
    return Response(text, mimetype=kind)


def _strict(receipt: Receipt) -> Response:
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


def too_large(endpoint: Endpoint | None) -> Response:
    """Return the answer to a body over the limit."""
    error = f"request exceeds max limit of {MAX_BODY} bytes"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if endpoint is Endpoint.IMPORT:
        return _coded(status, "Request Entity Too Large", {"error": error})
    return json_answer({"status": 0, "error": error}, status)


def unauthorized(reason: str) -> Response:
    """Return the answer of /import to missing or unfit credentials."""
    return _coded(HTTPStatus.UNAUTHORIZED, "Unauthorized", {"error": f"Invalid credentials: {reason}"})


def _coded(code: HTTPStatus, status: str, more: Mapping[str, Any]) -> Response:
    return json_answer({"code": code.value, **more, "status": status}, code)


def json_answer(
    value: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a value as JSON."""
    return Response(json.dumps(value), status, headers, mimetype="application/json")
