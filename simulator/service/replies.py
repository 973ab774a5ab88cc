"""Answers as the WSGI library has them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Response

from recorder.model.replies import Reply, json_reply

__all__ = ["json_answer", "response"]


def response(reply: Reply) -> Response:
    """Return a reply as a response of werkzeug's."""
    return Response(reply.body, reply.status, dict(reply.headers), mimetype=reply.kind)


def json_answer(
    value: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a value as JSON."""
    return response(json_reply(value, status, headers))
