"""Words about addresses that cannot be listened on."""

import errno

__all__ = ["unavailable"]

_OF_PORT = {errno.EADDRINUSE, errno.EACCES}


def unavailable(host: str, port: int, error: OSError | UnicodeError, option: str) -> str:
    """Return why a server cannot start, and what to do.

    Args:
        host: The address or name asked for.
        port: The port.
        error: What the system said.
        option: The command's option for the address.
    """
    reason = str(getattr(error, "strerror", "no such name")).partition(" (")[0].lower()
    if getattr(error, "errno", None) in _OF_PORT:
        return f"cannot listen on port {port} ({reason}); give another with --port, or 0 for any free one"
    return f"cannot listen on {host!r} ({reason}); give an address of this computer with {option}"
