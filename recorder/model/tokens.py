"""Project tokens, checked when they are given: the service says 1 to any, and what goes to a wrong one is lost."""

import re
from typing import Any

from recorder.model.errors import WrongToken

__all__ = ["check_token"]

_ALLOWED = re.compile(r"[!#%&()+./0-9:=?@A-Z^_a-z|~-]+")
_STRINGIFIED = {"none", "null", "undefined", "nan"}
_HINT = (
    "Take it from the project's settings, as it stands there: letters and digits, without spaces or quotes."
)
_MOST_SHOWN = 60


def check_token(token: Any) -> None:
    r"""Refuse what cannot be a project's token.

    Raises:
        WrongToken: It is no text, a placeholder, or has a character that no token has.

    >>> check_token("3a1c0d4be52b4ab4b9a8c6d1a1f0e2d7")
    >>> check_token("3a1c\n")
    Traceback (most recent call last):
    recorder.model.errors.WrongToken: '3a1c\n' is not a project's token: it has a line break in it
    Take it from the project's settings, as it stands there: letters and digits, without spaces or quotes.
    """
    if not isinstance(token, str) or not token:
        given = "" if token is None or token == "" else f", not {type(token).__name__}"
        raise WrongToken(f"the project's token must be a non-empty string{given}", hint=_HINT)
    if fault := _fault(token):
        shown = token if len(token) <= _MOST_SHOWN else token[:_MOST_SHOWN] + "…"
        raise WrongToken(f"{shown!a} is not a project's token: {fault}", hint=_HINT)


def _fault(token: str) -> str | None:
    plain = re.sub(r"[^a-z]", "", token.casefold())
    if ("your" in plain and "token" in plain) or token.casefold() in _STRINGIFIED:
        return "it is a placeholder that was never filled in"
    wrong = _ALLOWED.sub("", token)[:1]
    if not wrong:
        return None
    if wrong in "\r\n":
        return "it has a line break in it"
    if wrong.isspace():
        return "it has a space in it"
    return f"it has {wrong!a} in it"
