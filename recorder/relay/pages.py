"""Web pages told from programs, and the pages that may use the relay.

Whatever page a browser shows can send to the relay. Browsers name it in Origin, but for images, scripts and links,
which they mark by Sec-Fetch-Site or Referer; a page whose own name was made to resolve to the relay's address (DNS
rebinding) shows in Host. SDKs that are no web pages send none of these but Host.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from recorder.model.hosts import is_own_host
from recorder.model.replies import cross_origin

__all__ = ["Pages"]

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@]+", re.IGNORECASE)
_MOST_SHOWN = 100


class Pages:
    """The origins of pages that may send.

    Args:
        origins: Such as ``http://kiosk.local`` or ``http://127.0.0.1:8000``.
        own_name: The name or address of a relay that others can reach; None for one on a loopback address.

    Raises:
        ValueError: One is no origin.

    >>> pages = Pages(["http://127.0.0.1:8000"], None)
    >>> pages.refusal({"HTTP_HOST": "127.0.0.1:8766", "REQUEST_URI": "/track", "HTTP_ORIGIN": "https://evil.example"})
    "the page 'https://evil.example' may not send here; --origin, or origins=, permits it"
    """

    def __init__(self, origins: Collection[str], own_name: str | None) -> None:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin such as http://127.0.0.1:8000")
        self._origins = {origin.lower() for origin in origins}
        self._own_name = own_name

    def refusal(self, environ: Mapping[str, Any]) -> str | None:
        """Return why a request is refused, or None."""
        host, target = environ.get("HTTP_HOST"), environ["REQUEST_URI"]
        if host is None:
            return "Host is missing"
        named = [host] if target.startswith("/") else [host, _host_of(target)]
        for name in named:
            if not is_own_host(name, self._own_name):
                known = (
                    "127.0.0.1 or localhost" if self._own_name is None else "an IP address or a local name"
                )
                return f"Host is {name[:_MOST_SHOWN]!r}; call the relay by {known}"
        page = _page(environ)
        if page is None or page.lower() in self._origins:
            return None
        return f"the page {page[:_MOST_SHOWN]!r} may not send here; --origin, or origins=, permits it"

    def headers(self, environ: Mapping[str, Any]) -> dict[str, str]:
        """Return headers that let a page that may send read the answer."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or origin.lower() not in self._origins:
            return {}
        headers = cross_origin(origin, environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"))
        if environ.get("HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK") == "true":
            headers["Access-Control-Allow-Private-Network"] = "true"
        return headers


def _page(environ: Mapping[str, Any]) -> str | None:
    """Return the origin of the page that a browser sends for; None if it is none, or the browser was asked itself."""
    if (origin := environ.get("HTTP_ORIGIN")) is not None:
        return str(origin)
    if (referer := environ.get("HTTP_REFERER")) is not None:
        return _origin_of(str(referer))
    return None if environ.get("HTTP_SEC_FETCH_SITE", "none") == "none" else "without a name"


def _origin_of(address: str) -> str:
    return "/".join(address.split("/", 3)[:3])


def _host_of(target: str) -> str:
    """Return the host that a target in absolute form names, which counts more than Host; empty if it is none."""
    try:
        return urlsplit(target).netloc
    except ValueError:
        return ""
