"""Web pages told from programs: who may use the simulator's own routes.

Any page can have a browser send requests to this computer or its network. It names itself in Origin, or, if its own
name was made to resolve to the service's address, in Host. Browsers always send Host; programs may leave it out.
"""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["web_page"]

_LOOPBACK = re.compile(r"127(\.\d{1,3}){3}|\[::1\]|([a-z\d-]+\.)*localhost", re.ASCII | re.IGNORECASE)

# Addresses, names without a dot and reserved endings: no stranger can have the public DNS resolve one to our address.
_UNREGISTRABLE = re.compile(
    r"\d{1,3}(\.\d{1,3}){3}|\[[\da-f:.]+\]|([\w-]+\.)*(localhost|local|internal)|[\w-]+",
    re.ASCII | re.IGNORECASE,
)
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
    if host is not None and not _is_ours(host.strip(" \t"), own_name):
        known = "127.0.0.1 or localhost" if own_name is None else f"an IP address or {own_name}"
        return f"Host is {host[:_MOST_SHOWN]!r}, not {known}"
    if origin is not None and origin != f"{environ['wsgi.url_scheme']}://{host}":
        return f"Origin is {origin[:_MOST_SHOWN]!r}, a web page's"
    return None


def _is_ours(host: str, own_name: str | None) -> bool:
    name = re.sub(r":\d*$", "", host, flags=re.ASCII)
    if own_name is None:
        return _LOOPBACK.fullmatch(name) is not None
    return name.lower() == own_name.lower() or _UNREGISTRABLE.fullmatch(name) is not None
