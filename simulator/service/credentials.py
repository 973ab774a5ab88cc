"""Credentials of /import and the query API: HTTP Basic, as the service documents it."""

from base64 import b64decode
from collections.abc import Mapping

__all__ = ["Unauthorized", "authorize"]

_FORMS = "a service account with project_id, or a project's token or secret without a password"


class Unauthorized(Exception):
    """A request has no credentials, or none that fit."""


def authorize(header: str, options: Mapping[str, str], account: tuple[str, str] | None = None) -> str | None:
    """Check a request's credentials; return the user name if it stands for the project.

    A project's token or secret comes without a password, and no form tells which of the two it is. A service account
    has a password and needs ``project_id``. An OAuth token is taken as it is.

    Args:
        header: ``Authorization``; empty if missing.
        options: The request's parameters.
        account: The only service account's name and secret; None accepts any, and requests without credentials.

    Raises:
        Unauthorized: They are missing, malformed, or another account's.

    >>> authorize("Basic VG9rZW46", {})
    'Token'
    """
    if account is None and not header:
        return None
    scheme, _, text = header.strip().partition(" ")
    if scheme.lower() == "bearer" and text:
        return None
    if scheme.lower() != "basic":
        raise Unauthorized(f"no HTTP Basic; give {_FORMS}")
    user, colon, password = _decoded(text.strip()).partition(":")
    if not colon or not user:
        raise Unauthorized(f"no name and password with a colon between; give {_FORMS}")
    if not password:
        return None if options.get("project_id") else user
    if not options.get("project_id"):
        raise Unauthorized("a service account needs project_id")
    if account is not None and (user, password) != account:
        raise Unauthorized("another service account's")
    return None


def _decoded(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode()
    except ValueError:
        return text  # documented: plain text does as well
