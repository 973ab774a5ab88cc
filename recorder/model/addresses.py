"""Base address of the service, checked when it is given, not when something is sent. Pure."""

import re
from urllib.parse import urlsplit

from recorder.model.errors import ShippingError

__all__ = ["base_of"]

_HOST = re.compile(r"[\w.:%-]+")


def base_of(url: str | None, api_host: str) -> str:
    """Return the address of a service without a path: `url`, or else that of the host.

    Raises:
        ShippingError: It is no base address.

    >>> base_of(None, "api-eu.mixpanel.com"), base_of("http://127.0.0.1:8765/", "")
    ('https://api-eu.mixpanel.com', 'http://127.0.0.1:8765')
    """
    given = url if url is not None else f"https://{api_host}"
    try:
        parts = urlsplit(given)
        usable = (
            parts.scheme in {"http", "https"}
            and _HOST.fullmatch(parts.hostname or "") is not None
            and (parts.port is None or parts.port >= 0)
        )
    except ValueError:
        usable = False
    if not usable:
        raise ShippingError(
            f"{given!r} is not an address of a service", hint="Give a base such as https://api.mixpanel.com."
        )
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ShippingError(
            f"{given!r} has more than a base", hint="Leave out the path: /engage and the like are added."
        )
    return f"{parts.scheme}://{parts.netloc}"
