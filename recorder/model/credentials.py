"""The Authorization header: HTTP Basic, as the service documents it for /import and queries. Pure."""

from base64 import b64decode

__all__ = ["basic_of", "is_bearer"]


def is_bearer(header: str) -> bool:
    """Return True if a header carries an OAuth token."""
    scheme, _, text = header.strip().partition(" ")
    return scheme.lower() == "bearer" and bool(text)


def basic_of(header: str) -> tuple[str, str]:
    """Return the user name and the password of a header.

    Raises:
        ValueError: It has none.

    >>> basic_of("Basic VG9rZW46")
    ('Token', '')
    """
    scheme, _, text = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise ValueError("no HTTP Basic")
    user, colon, password = _decoded(text.strip()).partition(":")
    if not colon or not user:
        raise ValueError("no name and password with a colon between")
    return user, password


def _decoded(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode()
    except ValueError:
        return text  # documented: plain text does as well
