"""Web pages told from programs: who may use the simulator's own routes.

Pages name themselves in Origin, or in Host; see `recorder.model.hosts`. Programs may leave Host out.
"""

from collections.abc import Mapping
from typing import Any

from recorder.model.hosts import is_own_host

__all__ = ["web_page"]

_MOST_SHOWN = 100


def web_page(environ: Mapping[str, Any], own_name: str | None) -> str | None:
    """Return why a web page may be asking; None if none can.

    Args:
        environ: The WSGI environment of the request.
        own_name: The name or address of a service that others can reach; None for one on a loopback address.

    >>> web_page({"HTTP_HOST": "192.168.0.2:8765"}, None)
    "Host is '192.168.0.2:8765', not 127.0.0.1 or localhost"
    >>> web_page({"HTTP_HOST": "192.168.0.2:8765"}, "0.0.0.0")
    """
    host, origin = environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN")
    if host is not None and not is_own_host(host.strip(" \t"), own_name):
        known = "127.0.0.1 or localhost" if own_name is None else f"an IP address or {own_name}"
        return f"Host is {host[:_MOST_SHOWN]!r}, not {known}"
    if origin is not None and origin != f"{environ['wsgi.url_scheme']}://{host}":
        return f"Origin is {origin[:_MOST_SHOWN]!r}, a web page's"
    return None
