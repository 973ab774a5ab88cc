"""Credentials of /import and the query API: HTTP Basic, as the service documents it."""

from collections.abc import Mapping

from recorder.model.credentials import basic_of, is_bearer

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
    if is_bearer(header):
        return None
    try:
        user, password = basic_of(header)
    except ValueError as error:
        raise Unauthorized(f"{error}; give {_FORMS}") from None
    if not password:
        return None if options.get("project_id") else user
    if not options.get("project_id"):
        raise Unauthorized("a service account needs project_id")
    if account is not None and (user, password) != account:
        raise Unauthorized("another service account's")
    return None
