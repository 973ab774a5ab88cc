"""HTTPS for the local service: a certificate of its own making, handshakes, and the orderly end of a connection."""

import os
import socket
import ssl
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["certified", "end", "handshake_failure", "stop_reading", "wrapped"]

# Also as containers and the emulator of Android call the computer that they run on.
_NAMES = ("localhost", "127.0.0.1", "::1", "host.docker.internal", "10.0.2.2")
_VALID = timedelta(days=800)  # Apple's systems refuse certificates for more than 825 days
_DAY = timedelta(days=1)  # senders' clocks differ


def certified(host: str) -> tuple[ssl.SSLContext, Path]:
    """Make an authority and a certificate; return the server's settings, and the authority's file for senders to trust.

    The authority's key is never written and ends here: nobody can sign anything else for those who trust it.

    Args:
        host: A name or an address that the certificate covers, beside the usual ones.

    Raises:
        ImportError: trustme is not installed.
        UnicodeError: `host` cannot stand in a certificate.
    """
    try:
        import trustme
    except ModuleNotFoundError as missing:
        raise ImportError(
            f"HTTPS needs {missing.name}: pip install 'restante[service]'", name=missing.name
        ) from missing
    authority = trustme.CA(organization_name="restante")
    now = datetime.now(UTC)
    certificate = authority.issue_cert(*_NAMES, host, not_before=now - _DAY, not_after=now + _VALID)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # a sender that leaves without a word is sent no alert
    certificate.configure_cert(context)
    descriptor, name = tempfile.mkstemp(".pem", "restante-ca-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(authority.cert_pem.bytes())
    file_ = Path(name)
    file_.chmod(0o644)  # no secret, and a sender may run as another user
    return context, file_


def wrapped(context: ssl.SSLContext, connection: socket.socket) -> ssl.SSLSocket:
    """Return a connection that speaks TLS once its thread has shaken hands: here, others would wait for that."""
    return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)


def handshake_failure(error: OSError) -> str:
    """Return the log's line about a connection on which no handshake succeeded."""
    reason = getattr(error, "reason", None)
    if reason == "HTTP_REQUEST":
        return "connection closed · plain HTTP, and this port takes HTTPS"
    if isinstance(error, TimeoutError):
        reason = "timed out"
    words = (reason or "the sender closed the connection").replace("_", " ").lower()
    hint = ": does the sender trust the authority's file?" if "alert" in words else ""
    return f"connection closed · TLS handshake failed, {words}{hint}"


def stop_reading(connection: socket.socket) -> None:
    """End a connection's input under its reader; not by the method of `ssl`, after which it would write plain text."""
    socket.socket.shutdown(connection, socket.SHUT_RD)


def end(connection: ssl.SSLSocket) -> None:
    """Tell the peer that nothing was cut off; its own word of that is not waited for."""
    with suppress(OSError, ValueError):  # nothing was begun, or the connection is closed
        connection.settimeout(0)
        connection.unwrap()
