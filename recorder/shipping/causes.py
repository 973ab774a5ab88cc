"""Words for what went wrong on the way to the service, without the layers of exceptions that wrap the cause."""

import re

__all__ = ["in_words", "timed_out"]


def timed_out(*, left: bool) -> str:
    """Return the words for a deadline that passed."""
    return "timed out after the request had left" if left else "timed out before anything was sent"


def in_words(error: BaseException, *, left: bool) -> str:
    """Return a cause that a person can act on; `left`: whether the request had left.

    >>> in_words(ConnectionRefusedError(111, "Connection refused"), left=False)
    'connection refused'
    """
    text = _chain(error)
    if refused := _TUNNEL_REFUSED.findall(text):
        return f"the proxy answered {refused[-1]}"
    words = next((words for sign, words in _CAUSES if sign in text), text[:300])
    if unknown := _UNRESOLVED.search(text):
        words = f"the name {unknown[1]} was not found"
    if words == _TIMED_OUT:
        words = timed_out(left=left)
    return f"the proxy could not be used: {words}" if "ProxyError" in text else words


def _chain(error: BaseException) -> str:
    """Return the words of all exceptions beneath: libraries put the cause now here, now there."""
    seen: list[str] = []
    current: BaseException | None = error
    while current is not None and len(seen) < 10:  # noqa: PLR2004
        seen.append(f"{type(current).__name__}: {current}")
        current = _beneath(current)
    return " / ".join(seen)


def _beneath(error: BaseException) -> BaseException | None:
    for wrapped in ("reason", "original_error"):
        inner = getattr(error, wrapped, None)
        if isinstance(inner, BaseException):
            return inner
    return error.__cause__ or error.__context__


# The innermost has the proxy's words as they came; those that wrap it show them escaped.
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3}[^'\")/]*)")
_UNRESOLVED = re.compile(r"Failed to resolve '([^']*)'")
_TIMED_OUT = "timed out"

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
    ("IncompleteRead", "the answer was cut"),
    ("InvalidChunkLength", "the answer was cut"),
    ("ended prematurely", "the answer was cut"),
)
