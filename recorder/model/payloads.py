"""From what SDKs send to messages: arrays, objects, forms, base64, lines of JSON, gzip. Pure.

Sources: the service's reference of /import, /track and /engage, and the official SDKs: forms with base64 from all older
ones, gzip from those in Java, Go, Swift and for Android, surrogates of three bytes from the one for browsers.
"""

import json
import re
import zlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Any, NoReturn

from recorder.model.json_value import object_of
from recorder.model.normalise import MAX_DEPTH

__all__ = [
    "MAX_BODY",
    "MAX_MESSAGES",
    "MAX_SHOWN",
    "Endpoint",
    "Submission",
    "Unreadable",
    "endpoint_of",
    "form_fields",
    "read_submission",
]

MAX_MESSAGES = 2_000
"""The documented limit of messages in a request."""

MAX_BODY = 10 * 1024 * 1024
"""The largest body in bytes, unpacked: the documented 10 MB of /import, here for every endpoint."""

MAX_SHOWN = 1_000
"""Characters kept of an unreadable text."""

_MOST_FIELDS = 100  # of a form or a query: one of separators only would take seconds and gigabytes
_MOST_NAMED = 60  # characters of a header in an error
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_GZIP = 16 + zlib.MAX_WBITS  # zlib's way to say: a gzip header and trailer, and nothing else


class Endpoint(StrEnum):
    """Paths that SDKs send to."""

    ENGAGE = "/engage"
    GROUPS = "/groups"
    TRACK = "/track"
    IMPORT = "/import"


_GZIPPED = frozenset({Endpoint.TRACK, Endpoint.IMPORT})  # documented for these, and denied for /engage


def endpoint_of(path: str) -> Endpoint | None:
    """Return the ingestion endpoint at a path, None for any other path.

    Leading and trailing slashes are ignored: browser SDKs end paths with one.

    >>> endpoint_of("/engage/")
    <Endpoint.ENGAGE: '/engage'>
    """
    bare = "/" + path.strip("/")
    return Endpoint(bare) if bare in set(Endpoint) else None


class Unreadable(ValueError):
    """A request has no readable messages.

    Attributes:
        too_large: True if nothing but its size is wrong.
    """

    def __init__(self, reason: str, *, too_large: bool = False) -> None:
        super().__init__(reason)
        self.too_large = too_large


@dataclass(frozen=True, slots=True)
class Submission:
    """The content of one ingestion request.

    Attributes:
        messages: The updates or events, unchecked.
        options: The parameters in the query and in the form, such as ``verbose``.
        unreadable: Why no message could be read; None if they could.
        too_large: True if that is its size, once unpacked.
        text: The beginning of an unreadable request.
    """

    messages: list[Any] = field(default_factory=list)
    options: Mapping[str, str] = field(default_factory=dict)
    unreadable: str | None = None
    too_large: bool = False
    text: str = ""

    def asks(self, option: str) -> bool:
        """Return True if an option such as ``verbose`` is 1."""
        return self.options.get(option) == "1"


def read_submission(
    endpoint: Endpoint,
    query: bytes = b"",
    body: bytes = b"",
    *,
    content_type: str = "",
    content_encoding: str = "",
) -> Submission:
    """Return the messages in a request's body or query; never raise for what is in them.

    They are a JSON array or one object, alone or in the field ``data`` of a form or of the query, there also in
    base64. The content type is ignored, for SDKs and hand-made requests disagree about it, but for lines of JSON
    (``application/x-ndjson``), which /import takes. /track and /import take gzip.

    Args:
        endpoint: Where it was sent.
        query: The URL's part behind the question mark.
        body: As it was sent.
        content_type: The header.
        content_encoding: The header.

    >>> read_submission(Endpoint.ENGAGE, b"verbose=1", b'{"$token": "T"}').messages
    [{'$token': 'T'}]
    >>> read_submission(Endpoint.TRACK, b"data=W10=").unreadable
    'data, missing or empty'
    >>> read_submission(Endpoint.ENGAGE, body=b"...", content_encoding="gzip").unreadable
    'Content-Encoding, /engage does not support gzip'
    """
    options: dict[str, str] = {}
    try:
        options = form_fields(query)
        body = _unpacked(endpoint, body, content_encoding.strip().lower())
        if _lines_of_json(endpoint, content_type):
            messages = _lines(_text(body))
        else:
            text = _text(body)
            if not _looks_like_json(text):
                options |= form_fields(body)
                text = options.get("data", "")
            messages = _messages(text)
        _check(messages)
    except Unreadable as error:
        shown = (body or query)[: 4 * MAX_SHOWN].decode(errors="replace")[:MAX_SHOWN]
        return Submission([], _without_data(options), str(error), error.too_large, shown)
    return Submission(messages, _without_data(options))


def _without_data(options: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if name != "data"}


# --- Bytes to text ------------------------------------------------------------------------------


def _unpacked(endpoint: Endpoint, body: bytes, encoding: str) -> bytes:
    if encoding in {"", "identity"}:
        return body
    if encoding != "gzip":
        raise Unreadable(f"Content-Encoding, {ascii(encoding)[:_MOST_NAMED]} is not supported")
    if endpoint not in _GZIPPED:
        raise Unreadable(f"Content-Encoding, {endpoint} does not support gzip")
    member = zlib.decompressobj(_GZIP)
    try:
        plain = member.decompress(body, MAX_BODY + 1)
    except zlib.error:
        raise Unreadable("data, malformed gzip") from None
    if len(plain) > MAX_BODY:
        raise Unreadable(f"data, more than {MAX_BODY:,} bytes once unpacked", too_large=True)
    if not member.eof:
        raise Unreadable("data, gzip that is cut short")
    if member.unused_data:  # a second member would be legal gzip; no SDK makes any
        raise Unreadable("data, bytes behind the end of its gzip")
    return plain


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"data, not UTF-8: {error.reason} at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise Unreadable("data, begins with a byte order mark")
    return text


def form_fields(raw: bytes) -> dict[str, str]:
    """Return the fields of a form or a query; of a name that is given twice, the last.

    Raises:
        Unreadable: It is not UTF-8, or has more than 100 fields.

    >>> form_fields(b"verbose=1&data=%5B%5D")
    {'verbose': '1', 'data': '[]'}
    """
    if raw.count(b"&") >= _MOST_FIELDS:
        raise Unreadable(f"data, a form of more than {_MOST_FIELDS} fields")
    pairs = (part.partition(b"=")[::2] for part in raw.split(b"&") if part)
    return {_unescaped(name): _unescaped(value) for name, value in pairs}


def _unescaped(raw: bytes) -> str:
    # Not by urllib, which takes five seconds and a gigabyte for nine megabytes of percent signs.
    octets = _ESCAPES.sub(
        lambda run: bytes.fromhex(run[0].replace(b"%", b" ").decode()), raw.replace(b"+", b" ")
    )
    return _text(octets)


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[:1] in {"[", "{"}


def _from_base64(text: str) -> str:
    # A plus sign that was not escaped in a form arrives as a space.
    try:
        raw = b64decode(text.strip().replace(" ", "+"), validate=True)
    except ValueError:
        raise Unreadable("data, neither JSON nor base64 of it") from None
    try:
        # The browser SDK writes a character beyond U+FFFF as two surrogates of three bytes each: they are joined.
        # One without the other is left, as it is where JSON escapes it: it spoils its message only.
        halves = raw.decode("utf-8", "surrogatepass")
        return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    except UnicodeDecodeError:
        raise Unreadable("data, base64 of no UTF-8 text") from None


# --- Text to messages ---------------------------------------------------------------------------


def _lines_of_json(endpoint: Endpoint, content_type: str) -> bool:
    if content_type.partition(";")[0].strip().lower() != "application/x-ndjson":
        return False
    if endpoint is not Endpoint.IMPORT:
        raise Unreadable(f"Content-Type, {endpoint} does not support application/x-ndjson")
    return True


def _lines(text: str) -> list[Any]:
    messages = []
    for line in re.finditer(r"[^\n]+", text):
        try:
            if not line[0].isspace():
                messages.append(_json(line[0]))
        except Unreadable as error:
            number = text.count("\n", 0, line.start()) + 1
            raise Unreadable(f"line {number} of {error}") from None
    return messages


def _messages(text: str) -> list[Any]:
    if not text.strip():
        return []
    value = _json(text if _looks_like_json(text) else _from_base64(text))
    return value if isinstance(value, list) else [value]


def _check(messages: list[Any]) -> None:
    if not messages:
        raise Unreadable("data, missing or empty")
    if len(messages) > MAX_MESSAGES:
        raise Unreadable(f"data, more than {MAX_MESSAGES:,} messages")
    if _too_deep(messages):
        raise Unreadable(f"data, nested deeper than {MAX_DEPTH}")


def _json(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_json, parse_float=_finite, object_pairs_hook=object_of)
    except RecursionError:
        raise Unreadable(f"data, nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:
        raise Unreadable(f"data, malformed JSON: {error}") from None
    if not isinstance(value, list | dict):
        raise Unreadable("data, must be an array or an object")
    return value


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    if not isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is beyond what a double holds")
    return number


def _too_deep(value: Any, levels: int = MAX_DEPTH + 3) -> bool:
    if not value or not isinstance(value, list | dict):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_too_deep(item, levels - 1) for item in items)
