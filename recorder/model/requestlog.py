"""Lines of the request log: what was asked, answered, accepted and refused.

No value of a query stands in them, as tokens and data are there, and no control character.
"""

import re

from recorder.model.text import printable

__all__ = ["NOTES", "request_line"]

NOTES = "restante.notes"
"""Key of a list in the WSGI environment to which the application adds what became of the messages."""

_MOST_SHOWN = 200
_LONGEST_METHOD = 20
_LONGEST_PATH = 100


def request_line(method: str | None, target: str, outcome: int | str, *notes: str | None) -> str:
    """Return the line of a request.

    Args:
        method: None or empty if the first line is malformed.
        target: As sent; only its path is shown.
        outcome: The status of the answer, or what became of the connection instead.
        notes: More to say; None is left out.

    >>> request_line("POST", "/engage?data=e30", 200, None, "49 accepted")
    'POST /engage 200 · 49 accepted'
    """
    asked = (
        f"{_shown(method, _LONGEST_METHOD)} {_shown(_path(target) or '/', _LONGEST_PATH)}"
        if method
        else "malformed request"
    )
    return " · ".join([f"{asked} {outcome}", *(_shown(note) for note in notes if note)])


def _path(target: str) -> str:
    """Return the path of a target, which may be a whole URL, with a password in it."""
    return re.split(r"[?#]", re.sub(r"^[A-Za-z][\w+.-]*://[^/?#]*", "", target))[0]


def _shown(text: str, most: int = _MOST_SHOWN) -> str:
    return printable(text[:most]) + "…" * (len(text) > most)
