"""Base address of the service, checked when it is given, not when something is sent. Pure."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from recorder.model.errors import ShippingError

__all__ = ["SERVICE", "base_of", "is_loopback", "query_base_of"]

SERVICE = "api.mixpanel.com"

_REGIONS = {"eu": "api-eu.mixpanel.com", "in": "api-in.mixpanel.com"}
_HOST = re.compile(r"[\w.:%-]+")
_PATH = re.compile(r"[\w.~%!$&'()*+,;=:@/-]*")
_ENDPOINT = re.compile(r"/(engage|groups|track|import)$")
_PORTS = {"http": 80, "https": 443}


def base_of(url: str | None, api_host: str) -> str:
    """Return the address that endpoints are added to: `url`, or else that of the host.

    A base may have a path, as behind a proxy of one's own. It never has a user and password: it is stored and shown.

    Raises:
        ShippingError: It is no base address.

    >>> base_of(None, "eu"), base_of("http://127.0.0.1:8765/", ""), base_of("https://shop.example/mp/", "")
    ('https://api-eu.mixpanel.com', 'http://127.0.0.1:8765', 'https://shop.example/mp')
    """
    if url is None:
        return _base_of_host(api_host)
    parts = _split(url)
    if parts is None:
        raise ShippingError(
            f"{_shown(url)!r} is not an address of a service",
            hint="Give a base such as https://api.mixpanel.com.",
        )
    if "@" in parts.netloc:
        raise ShippingError(
            f"{_shown(url)!r} has a user or a password in it, and addresses are stored and shown",
            hint="Leave them out. Where a proxy wants them, give HttpTransport(session=...) a session that has them.",
        )
    if parts.query or parts.fragment or _ENDPOINT.search(parts.path.rstrip("/")):
        raise ShippingError(
            f"{_shown(url)!r} has more than a base",
            hint="Leave out /engage and the like, and what follows: it is added.",
        )
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in {None, _PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def query_base_of(base: str) -> str:
    """Return the base of the query API that belongs to a base for updates; any but the service's own is both.

    >>> query_base_of("https://api-eu.mixpanel.com"), query_base_of("http://127.0.0.1:8765")
    ('https://eu.mixpanel.com', 'http://127.0.0.1:8765')
    """
    host = urlsplit(base).hostname or ""
    if host not in {SERVICE, *_REGIONS.values()}:
        return base
    return f"https://{host.removeprefix('api-').removeprefix('api.')}"


def _base_of_host(given: str) -> str:
    region = given.strip().lower().removeprefix("api-")
    host = _REGIONS.get(region, given)
    if "://" in host:
        raise ShippingError(
            f"the api_host {_shown(given)!r} has a scheme in it",
            hint=f"Drop it: give api_host={_shown(given).partition('://')[2].strip('/')!r}, or the whole as url.",
        )
    if "/" in host:
        raise ShippingError(
            f"the api_host {_shown(given)!r} has a path in it",
            hint=f"Give url={f'https://{_shown(given)}'!r}.",
        )
    parts = _split(f"https://{host}")
    name = (parts and parts.hostname) or ""
    if "." not in name and ":" not in name and name != "localhost":
        raise ShippingError(
            f"the api_host {_shown(given)!r} is not the name of a host",
            hint=f"Give eu, in, {SERVICE} or another host with a dot in its name.",
        )
    return base_of(f"https://{host}", "")


def _split(url: str) -> SplitResult | None:
    """Return the parts of an address that a request can be sent to, or None."""
    try:
        parts = urlsplit(url)
        usable = (
            parts.scheme in _PORTS
            and _HOST.fullmatch(parts.hostname or "") is not None
            and (parts.port is None or parts.port > 0)
            and _PATH.fullmatch(parts.path) is not None
            and url.isprintable()
        )
    except ValueError:
        return None
    return parts if usable else None


def _shown(given: str) -> str:
    """Return an address without what may be secret in it: a user and password, a query."""
    scheme, mark, rest = given.partition("://") if "://" in given else ("", "", given)
    hidden = "…@" if "@" in rest else ""
    return f"{scheme}{mark}{hidden}{re.split('[?#]', rest.rpartition('@')[2])[0]}"


def is_loopback(base: str) -> bool:
    """Return True for an address of this machine, which no proxy can reach for us.

    >>> is_loopback("http://127.0.0.1:8765"), is_loopback("http://[::1]:80/mp"), is_loopback("https://api.mixpanel.com")
    (True, True, False)
    """
    host = (urlsplit(base).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
