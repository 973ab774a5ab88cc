"""Words for what went wrong on the way to the service, without the layers of exceptions that wrap the cause."""

import re
from datetime import UTC, datetime

import requests

__all__ = ["in_words", "nothing_sent", "timed_out"]


def timed_out(*, left: bool) -> str:
    """Return the words for a deadline that passed."""
    return "timed out after the request had left" if left else "timed out before anything was sent"


def in_words(error: BaseException, *, left: bool) -> str:
    """Return a cause that a person can act on; `left`: whether the request had left.

    >>> in_words(ConnectionRefusedError(111, "Connection refused"), left=False)
    'connection refused'
    """
    text = _chain(error)
    if _MALFORMED.search(text):
        return "the address, or that of the proxy, is malformed"  # and may quote a password
    if refused := _TUNNEL_REFUSED.findall(text):
        return f"the proxy answered {refused[-1]}"
    words = next((words for sign, words in _CAUSES if sign in text), _USERINFO.sub("…@", text)[:300])
    words += _tls_reason(text)
    if unknown := _UNRESOLVED.search(text):
        words = f"the name {unknown[1]} was not found"
    if words == _TIMED_OUT:
        words = timed_out(left=left)
    return f"the proxy could not be used: {words}" if "ProxyError" in text else words


def _tls_reason(text: str) -> str:
    """Return the reason that the TLS library gives, with what it may mean; nothing where there is none."""
    if found := _UNTRUSTED.search(text):
        reason = found[1].strip()
        meaning = next((meaning for sign, meaning in _MEANINGS if sign in reason), "")
        return f": {reason}{meaning.format(today=datetime.now(UTC).date())}"
    if found := _TLS_FAULT.search(text):
        reason = found[1].replace("_", " ").lower()
        return f": {reason}{' (no TLS at that port?)' if found[1] in _NO_TLS else ''}"
    return ""


def _chain(error: BaseException) -> str:
    """Return the words of all exceptions beneath: libraries put the cause now here, now there."""
    return " / ".join(f"{type(layer).__name__}: {layer}" for layer in _layers(error))


def _layers(error: BaseException) -> list[BaseException]:
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and len(seen) < 10:  # noqa: PLR2004
        seen.append(current)
        current = _beneath(current)
    return seen


def nothing_sent(error: BaseException) -> bool:
    """Return True if an exception of a session or an adapter of the app's own says that no connection stood.

    >>> nothing_sent(ConnectionRefusedError()), nothing_sent(ConnectionResetError())
    (True, False)
    """
    layers = _layers(error)
    names = {kind.__name__ for layer in layers for kind in type(layer).__mro__}
    # requests' own always has a cause; a bare one is how test doubles play a network that is down.
    return bool(names & _UNSENT) or (len(layers) == 1 and isinstance(error, requests.ConnectionError))


def _beneath(error: BaseException) -> BaseException | None:
    for wrapped in ("reason", "original_error"):
        inner = getattr(error, wrapped, None)
        if isinstance(inner, BaseException):
            return inner
    given = next((item for item in error.args if isinstance(item, BaseException)), None)
    return error.__cause__ or error.__context__ or given


# The innermost has the proxy's words as they came; those that wrap it show them escaped.
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3}[^'\")/]*)")
_UNRESOLVED = re.compile(r"Failed to resolve '([^']*)'")
_TIMED_OUT = "timed out"
_UNSENT = {
    *("ConnectionRefusedError", "gaierror", "NewConnectionError", "ConnectTimeout", "ConnectTimeoutError"),
    *("InvalidSchema", "InvalidURL", "MissingSchema", "NoMockAddress"),
}

_UNTRUSTED = re.compile(r"certificate verify failed: (.+?)\.? ?\(_ssl")
_TLS_FAULT = re.compile(r"\[SSL: (?!CERTIFICATE_VERIFY_FAILED)([A-Z0-9_]+)\]")
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
_MALFORMED = re.compile(
    "InvalidProxyURL|InvalidURL|LocationParseError|LocationValueError|ProxySchemeUnknown|MissingSchema"
)
_USERINFO = re.compile(r"[^\s/'\"]*@|(?<=//)\S*@")

# Signs in OpenSSL's reasons, and what to look at.
_CLOCK = " (this device's clock says {today})"
_MEANINGS = (
    ("not yet valid", _CLOCK),
    ("has expired", _CLOCK),
    ("mismatch", " (a login page of the network, or a proxy?)"),
    ("issuer certificate", " (a proxy that looks inside?)"),
    ("self-signed", " (a proxy that looks inside?)"),
    ("self signed", " (a proxy that looks inside?)"),
)

# Signs in the words of the libraries below; the first that is found counts.
_CAUSES = (
    ("Connection refused", "connection refused"),
    ("Network is unreachable", "the network is unreachable"),
    ("No route to host", "no route to the service"),
    ("CertificateError", "the service's certificate was not accepted"),
    ("CERTIFICATE_VERIFY_FAILED", "the service's certificate was not accepted"),
    ("ConnectTimeout", _TIMED_OUT),
    ("Cancelled", _TIMED_OUT),
    ("Repeated", "the session tried to send it again"),
    ("ReadTimeout", _TIMED_OUT),
    ("TimeoutError", _TIMED_OUT),
    ("SSL", "the encrypted connection failed"),
    ("Connection reset", "the connection was reset"),
    ("RemoteDisconnected", "the connection was closed without an answer"),
    ("Broken pipe", "the connection broke"),
    ("Switching Protocols", "the answer was 101, which nobody asked for"),
    ("BadStatusLine", "the answer was not HTTP"),
    ("IncompleteRead", "the answer was cut"),
    ("InvalidChunkLength", "the answer was cut"),
    ("ended prematurely", "the answer was cut"),
)
