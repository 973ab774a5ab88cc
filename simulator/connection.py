"""Connections to a service: they use no proxy, follow no redirect, and trust the authorities that shipping trusts."""

import os
import ssl
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

__all__ = ["TRUSTED", "connection_to"]

TRUSTED = "REQUESTS_CA_BUNDLE"
"""The environment's name for a file of authorities, as requests reads it, by which the recorder ships."""


def connection_to(base: str, timeout: float) -> HTTPConnection:
    """Return a connection to a base address, not yet opened, with seconds to wait for each byte.

    Raises:
        OSError: The file of authorities cannot be read.

    >>> connection_to("http://127.0.0.1:8765", 10).port
    8765
    """
    parts = urlsplit(base)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return HTTPConnection(host, parts.port, timeout=timeout)
    authorities = os.environ.get(TRUSTED)
    try:
        trusting = ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise OSError(f"{TRUSTED} names {authorities!r}, which cannot be read") from error
    return HTTPSConnection(host, parts.port, timeout=timeout, context=trusting)
