"""Names and addresses in Host and Origin, by which a server tells programs from web pages. Pure.

Any page can have a browser send requests to this computer or its network. It names itself in Origin, or, if its own
name was made to resolve to the server's address (DNS rebinding), in Host.
"""

import re

__all__ = ["is_own_host"]

_LOOPBACK = re.compile(r"127(\.\d{1,3}){3}|\[::1\]|([a-z\d-]+\.)*localhost", re.ASCII | re.IGNORECASE)

# Addresses, names without a dot and reserved endings: no stranger can have the public DNS resolve one to our address.
_UNREGISTRABLE = re.compile(
    r"\d{1,3}(\.\d{1,3}){3}|\[[\da-f:.]+\]|([\w-]+\.)*(localhost|local|internal)|[\w-]+",
    re.ASCII | re.IGNORECASE,
)


def is_own_host(host: str, own_name: str | None) -> bool:
    """Return True if a Host header, with or without a port, is none that a stranger's page can have.

    Args:
        host: The header.
        own_name: The name or address of a server that others can reach; None for one on a loopback address.

    >>> is_own_host("LocalHost:8766", None), is_own_host("192.168.0.2:8766", None), is_own_host("evil.example", None)
    (True, False, False)
    >>> is_own_host("192.168.0.2:8766", "0.0.0.0"), is_own_host("evil.example", "0.0.0.0")
    (True, False)
    """
    name = re.sub(r":\d*$", "", host, flags=re.ASCII)
    if own_name is None:
        return _LOOPBACK.fullmatch(name) is not None
    return name.lower() == own_name.lower() or _UNREGISTRABLE.fullmatch(name) is not None
